package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/cmdline"
)

// TestSendSaysWhatItDoes: the receivers in the order in which they were typed, what it costs
// in all, and when to expect it.
func TestSendSaysWhatItDoes(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.karat("alice", "create", "--no-passphrase")
	var to []string
	for range 4 {
		to = append(to, b.karat("alice", "address"))
	}
	args := []string{"send", "--label", "rent, of May", to[2], "3", to[0], "1", to[3], "4", to[1], "2", "--feerate", "2", "--label", "beer"}
	code, stdout, stderr := b.atTerminal("rich", sendIt, "n", args...)
	if code != 1 || stdout != "" {
		t.Errorf("exit code %d: %s", code, stdout)
	}
	want := `(?s)^pay +3.00000000 +to ` + to[2] + `\n +rent, of May\npay +1.00000000 +to ` + to[0] + `\n +beer\npay +4.00000000 +to ` + to[3] + `\npay +2.00000000 +to ` + to[1] +
		`\nfee +0.00000566 +2.000 grains for each of 283 virtual bytes\ntotal +10.00000566 +of 1 coin\nchange +99989.99999434 +comes back to the wallet\nExpect it within 1 block, about 1 second, by the node's estimate.\n`
	if !regexp.MustCompile(want).MatchString(stderr) {
		t.Errorf("shown:\n%s\nwant\n%s", stderr, want)
	}
	var dry struct {
		TxID    string
		Outputs []struct{ Address, Label string }
		Coins   []string
		Total   json.Number
	}
	text := b.karat("rich", append(args, "--dry-run", "--json")...)
	if err := json.Unmarshal([]byte(text), &dry); err != nil || len(dry.Outputs) != 4 || dry.Outputs[1].Address != to[0] || dry.Outputs[1].Label != "beer" || dry.Total != "10.00000566" || len(dry.Coins) != 1 || dry.TxID != "" {
		t.Errorf("%v: %s", err, text)
	}
	if pool := call[[]string](b, "getrawmempool"); len(pool) != 0 {
		t.Fatalf("something was sent: %v", pool)
	}
	b.karat("rich", append(args, "--yes")...)
	if got := b.karat("rich", "label", to[2]); got != "rent, of May" {
		t.Errorf("label %q", got)
	}
	if len(call[[]string](b, "getrawmempool")) != 1 {
		t.Error("nothing was sent")
	}
}

// TestCoinsThatCannotBeSpentYet: a balance shows them, so that who cannot spend them is told why.
func TestCoinsThatCannotBeSpentYet(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.karat("alice", "create", "--no-passphrase")
	b.karat("rich", "send", "--yes", b.karat("alice", "address"), "12.5")
	code, _, stderr := b.try("", "alice", "send", "--yes", b.karat("rich", "address"), "1")
	if code != 1 || !strings.Contains(stderr, "0.00000000 can be spent; 12.50000000 more is in no block yet") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// TestWaitingIsTold: --wait says what it waits for, and Ctrl-C ends it.
func TestWaitingIsTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		defer w.Close()
		code <- run(ctx, []string{"karat", "--network", "dev", "--datadir", t.TempDir(), "--rpc", "127.0.0.1:1", "rpc", "--wait", "getblockcount"}, cmdline.Streams{In: strings.NewReader(""), Out: io.Discard, Err: w})
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "waiting for a node, until Ctrl-C: no node answers at http://127.0.0.1:1") {
		t.Errorf("%v: %q", err, line)
	}
	cancel()
	go io.Copy(io.Discard, r)
	if got := <-code; got != cmdline.ExitFailure {
		t.Errorf("exit code %d", got)
	}
}

// TestSendIsCheckedFirst: what is wrong is said before any question, and names what is meant.
func TestSendIsCheckedFirst(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.karat("alice", "create", "--no-passphrase")
	alice := b.karat("alice", "address")
	wages := func(text string) []string {
		file := filepath.Join(t.TempDir(), "wages.csv")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"--file", file}
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"a mistyped address", []string{alice, "1", mistyped(alice), "2"}, 2, mistyped(alice)},
		{"no address at all", []string{"\x1b[2Jalice", "1"}, 2, "alice"},
		{"dust", []string{alice, "0.00000329"}, 1, alice + ": impossible payment: dust: it holds 0.00000329, and the least is 0.00000330"},
		{"a feerate that the node does not take", []string{"--feerate", "0.05", alice, "1"}, 1, "the node takes nothing below 0.100"},
		{"a feerate that no node takes", []string{"--feerate", "10000.001", alice, "1"}, 2, "no more than 10000.000"},
		{"a fee above the most", []string{"--feerate", "10", "--max-fee", "1000grains", alice, "1"}, 1, "--max-fee allows 0.00001000"},
		{"more labels than receivers", []string{"--label", "a", "--label", "b", alice, "1"}, 2, "2 times for 1 receiver"},
		{"a label of lines", []string{"--label", "a\nb", alice, "1"}, 2, alice},
		{"a file and words", append(wages(alice+",1\n"), alice, "1"), 2, "--file"},
		{"an empty file", wages("address,amount\n# nobody\n"), 2, "no payment"},
		{"a line of one field", wages(alice + ",1\n" + alice + "\n"), 2, "line 2: want ADDRESS,AMOUNT"},
		{"a mistyped address in a file", wages("address,amount\n" + alice + ",1\n\n" + mistyped(alice) + ",2,x\n"), 2, "line 4: not an address of this network: \"" + mistyped(alice)},
		{"a comma for a point", wages(alice + ",\"1,5\"\n"), 2, "line 1"},
		{"dust in a file", wages(alice + ",0.0000001\n"), 1, "line 1: " + alice},
		{"no file", []string{"--file", "nowhere.csv"}, 1, "nowhere.csv"},
	} {
		// With a terminal there would be somebody to ask.
		all := append([]string{"karat", "--network", "dev", "--datadir", b.dir, "--rpc", b.rpc, "--rpc-cookie", b.cookie, "--wallet", "rich", "send"}, c.args...)
		code, stdout, stderr := newPerson(t).run(all, nil)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "y/N") || strings.Contains(stderr, "\x1b") {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s", c.name, code, c.code, c.want, stderr)
		}
	}
	b.karat("rich", append([]string{"send", "--yes"}, wages("\ufeffAddress,Amount,Label\r\n# of June\r\n"+alice+", 1.5,\"Ann, \"\"the\"\" cook\"\r\n"+b.karat("alice", "address")+",500mkrtd\r\n")...)...)
	b.mine(1)
	b.expect("paid by a file", "alice", "2.00000000", "0.00000000")
	if got := b.karat("rich", "label", alice); got != `Ann, "the" cook` {
		t.Errorf("label %q", got)
	}
}

// TestSendAllSaysWhatStays: what waits, is locked or too young stays, and why is said.
func TestSendAllSaysWhatStays(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.karat("alice", "create", "--no-passphrase")
	alice, rich := b.karat("alice", "address"), b.karat("rich", "address")
	b.karat("rich", "send", "--yes", alice, "5")
	b.mine(1)
	call[[]string](b, "generatetoaddress", 1, alice)
	b.karat("rich", "send", "--yes", b.karat("alice", "address"), "0.00000400", "--max-fee", "1")
	b.mine(1)
	b.karat("rich", "send", "--yes", alice, "7")
	code, _, stderr := b.atTerminal("alice", sendIt, "", "send", "--all", "--feerate", "20", rich)
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		`pay +4.99997780 +to ` + rich, `total +5.00000000 +of 1 coin`, `stays +7.00000000 +1 coin: it was sent by others`,
		`stays +10.00000000 +1 coin: it was mined too recently`, `stays +0.00000400 +1 coin: it costs more`,
	} {
		if !regexp.MustCompile(want).MatchString(stderr) {
			t.Errorf("no %s in\n%s", want, stderr)
		}
	}
}

// TestSendWaits: for so many confirmations, and while it waits other commands work.
func TestSendWaits(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.karat("alice", "create", "--no-passphrase")
	alice := b.karat("alice", "address")
	start := func() (done chan int, out, errs *lockedBuffer) {
		done, out, errs = make(chan int, 1), &lockedBuffer{}, &lockedBuffer{}
		args := []string{"karat", "--network", "dev", "--datadir", b.dir, "--rpc", b.rpc, "--rpc-cookie", b.cookie, "--wallet", "rich", "send", "--yes", "--wait", "2", alice, "1"}
		go func() {
			done <- run(t.Context(), args, cmdline.Streams{In: strings.NewReader(""), Out: out, Err: errs})
		}()
		b.until("it waits", func() bool { return strings.Contains(errs.String(), "0 of 2 confirmations") })
		return done, out, errs
	}
	done, out, errs := start()
	b.mine(1)
	b.until("it has one", func() bool { return strings.Contains(errs.String(), "1 of 2 confirmations") })
	b.until("the wallet can be used", func() bool { code, _, _ := b.try("", "rich", "balance"); return code == 0 })
	b.mine(1)
	if code := <-done; code != 0 || len(strings.TrimSpace(out.String())) != 64 || !strings.Contains(errs.String(), "2 of 2 confirmations") {
		t.Errorf("exit code %d: %s%s", code, out.String(), errs.String())
	}

	done, out, errs = start()
	b.until("it is cancelled", func() bool {
		code, _, _ := b.try("", "rich", "cancel", "--yes", strings.TrimSpace(out.String()))
		return code == 0
	})
	b.mine(1)
	if code := <-done; code != 1 || !strings.Contains(errs.String(), "another has taken its place") {
		t.Errorf("cancelled: exit code %d: %s%s", code, out.String(), errs.String())
	}
}

// until waits for something that another goroutine does.
func (b *bench) until(what string, reached func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); !reached(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("never: %s", what)
		}
	}
}
