package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/cmdline"
)

// watching is a karat watch that runs.
type watching struct {
	b         *bench
	out, errs lockedBuffer
	end       context.CancelFunc
	code      chan int
}

func (b *bench) watch(args ...string) *watching {
	b.t.Helper()
	ctx, end := context.WithCancel(b.t.Context())
	w := &watching{b: b, end: end, code: make(chan int, 1)}
	all := append([]string{"karat", "--network", "dev", "--datadir", b.dir, "--rpc", b.rpc, "--rpc-cookie", b.cookie, "--wallet", "alice", "watch"}, args...)
	go func() { w.code <- run(ctx, all, cmdline.Streams{In: strings.NewReader(""), Out: &w.out, Err: &w.errs}) }()
	b.t.Cleanup(end)
	return w
}

// until waits until a text is shown.
func (w *watching) until(buffer *lockedBuffer, text string) {
	w.b.t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(buffer.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.b.t.Fatalf("no %q: %s%s", text, w.out.String(), w.errs.String())
		}
	}
}

// ended waits for the end, and checks its code.
func (w *watching) ended(want int) {
	w.b.t.Helper()
	select {
	case code := <-w.code:
		if code != want {
			w.b.t.Errorf("exit code %d: %s", code, w.errs.String())
		}
	case <-time.After(time.Minute):
		w.b.t.Fatal("it does not end")
	}
}

// event is a line of karat watch --json.
type event struct {
	Event, TxID, Kind, Label string
	Amount, Balance          json.Number
	Height                   int
}

func (w *watching) events() (list []event) {
	w.b.t.Helper()
	for line := range strings.Lines(w.out.String()) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			w.b.t.Fatalf("%q: %v", line, err)
		}
		list = append(list, e)
	}
	return list
}

// TestWatch: a payment is told of when it is met, when it is confirmed, and when it is undone;
// other commands can be used meanwhile, and Ctrl-C is a good end.
func TestWatch(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.karat("alice", "create", "--no-passphrase")
	address := b.karat("alice", "address", "--label", "wages")
	w := b.watch("--json")
	w.until(&w.out, `"event":"start"`)
	txid := b.karat("rich", "send", "--yes", address, "5")
	w.until(&w.out, `"event":"pending"`)
	for code := 1; code != 0; { // while the watch has the wallet open, another is refused
		code, _, _ = b.try("", "alice", "balance")
	}
	block := b.mine(1)[0]
	w.until(&w.out, `"event":"confirmed"`)
	call[any](b, "invalidateblock", block)
	call[any](b, "generateblock", "krtd1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqr2y4qk", []string{})
	call[any](b, "generateblock", "krtd1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqr2y4qk", []string{})
	w.until(&w.out, `"event":"undone"`)
	w.end()
	w.ended(0)
	var told []string
	for _, e := range w.events()[1:] {
		told = append(told, e.Event+" "+e.Kind+" "+string(e.Amount)+" "+e.Label+" "+string(e.Balance))
		if e.TxID != txid {
			t.Errorf("event of %s, want %s", e.TxID, txid)
		}
	}
	want := "pending received 5.00000000 wages 5.00000000\nconfirmed received 5.00000000 wages 5.00000000\nundone received 5.00000000 wages 5.00000000"
	if got := strings.Join(told, "\n"); got != want {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}
}

// TestWatchEnds: it ends after the lines that were asked for, when nobody reads it any more,
// and with an error where there is no node at first. A node that goes away later is waited for.
func TestWatchEnds(t *testing.T) {
	b := newBench(t)
	b.karat("alice", "create", "--no-passphrase")
	address := b.karat("alice", "address")
	if got := b.karat("alice", "watch", "--count", "1"); !strings.HasPrefix(got, "watching from block 0 on, with 0.00000000") {
		t.Errorf("the start: %s", got)
	}
	w := b.watch("--count", "2")
	w.until(&w.out, "watching")
	call[any](b, "generatetoaddress", 1, address)
	w.ended(0)
	if got := w.out.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "mined +10.00000000, confirmed in block 1, balance 10.00000000") {
		t.Errorf("told %s", got)
	}
	w = b.watch()
	w.until(&w.out, "watching")
	time.Sleep(50 * time.Millisecond) // mostly it is connected then; else it fails to
	b.stop()
	w.until(&w.errs, "trying again")
	w.end()
	w.ended(0)
	if code, _, stderr := b.try("", "alice", "watch"); code != 1 || !strings.Contains(stderr, "karat") {
		t.Errorf("without a node: %d %s", code, stderr)
	}
}
