package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/ratelog"
	"github.com/karatcoin/karat/rpc"
)

// run runs an open node until the test ends.
func run(t testing.TB, n *Node) *running {
	t.Helper()
	n.config.NoDiscovery = true
	return runAsIs(t, n)
}

// runAsIs runs an open node with its own configuration until the test ends.
func runAsIs(t testing.TB, n *Node) *running {
	t.Helper()
	n.config.RPCListen = []string{"127.0.0.1:0"}
	ctx, cancel := context.WithCancel(context.Background())
	up, done := make(chan Started, 1), make(chan error, 1)
	go func() { done <- n.Run(ctx, func(s Started) { up <- s }) }()
	select {
	case s := <-up:
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		return &running{Node: n, client: rpc.NewCookieClient("http://"+s.RPC, s.CookieFile)}
	case err := <-done:
		cancel()
		t.Fatalf("the node ended: %v", err)
		return nil
	}
}

// TestFailedStartLeavesNothing: no password of a server that never was, and no
// listener.
func TestFailedStartLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, dir, "dev", 0)
	defer closeNode(t, n)
	n.config.RPCListen, n.config.NoDiscovery = []string{"127.0.0.1:0"}, true
	n.config.RPCAuth = []string{"nonsense"}
	if err := n.Run(t.Context(), func(Started) {}); err == nil {
		t.Fatal("nonsense was taken for a user")
	}
	if _, err := os.Stat(filepath.Join(dir, cookieFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the cookie is left: %v", err)
	}
}

func (r *running) synced() bool {
	for _, state := range r.index.States() {
		if !state.Synced {
			return false
		}
	}
	return true
}

// TestStoppedBeforeThePoolIsRead: a node that must end while it starts leaves the
// file of waiting transactions as it is.
func TestStoppedBeforeThePoolIsRead(t *testing.T) {
	dir := t.TempDir()
	start := func(ctx context.Context, started func(*Node)) {
		t.Helper()
		n := openNode(t, dir, "dev", 0)
		defer closeNode(t, n)
		n.config.NoDiscovery = true
		n.config.Params.CoinbaseMaturity = 1
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if err := n.Run(ctx, func(Started) { started(n); cancel() }); err != nil {
			t.Fatal(err)
		}
	}
	start(t.Context(), func(n *Node) {
		hashes, err := n.running.Load().miner.Generate(t.Context(), 2, chaintest.Anchor, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := n.chain.Block(hashes[0])
		if err != nil {
			t.Fatal(err)
		}
		block, err := types.DecodeBlock(raw)
		if err != nil {
			t.Fatal(err)
		}
		coinbase := &block.Txs[0]
		if _, err := n.running.Load().pool.Accept(t.Context(), payment(types.OutPoint{TxID: coinbase.TxID()}, coinbase.Outputs[0].Value), 0); err != nil {
			t.Fatal(err)
		}
	})
	before, err := os.ReadFile(filepath.Join(dir, mempoolFile))
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	start(ended, func(*Node) {})
	if after, err := os.ReadFile(filepath.Join(dir, mempoolFile)); err != nil || !bytes.Equal(before, after) {
		t.Errorf("of %d bytes %d are left (%v)", len(before), len(after), err)
	}
	// However much of the file a crash has left, the node starts, and nothing else is left.
	for _, size := range []int{0, 3, 40, len(before) / 2, len(before) - 1} {
		for name, data := range map[string][]byte{mempoolFile: before[:size], mempoolFile + ".12.tmp": before[:size]} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		start(t.Context(), func(n *Node) {
			if info := n.running.Load().pool.Info(); !info.Loaded || info.Count != 0 {
				t.Errorf("%d bytes: %+v", size, info)
			}
		})
		if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// TestGenerateIntoTheFuture: blocks that come much faster than the clock end at two
// hours ahead of it, with an error that says so, and go on with the clock.
func TestGenerateIntoTheFuture(t *testing.T) {
	n := openNode(t, t.TempDir(), "dev", 0)
	t.Cleanup(func() { closeNode(t, n) })
	r := run(t, n)
	address := "krtd1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzs5euz4j"
	generate := func(at int64, blocks int) (hashes []string, err error) {
		t.Helper()
		if err := r.client.Call(t.Context(), "setmocktime", nil, at); err != nil {
			t.Fatal(err)
		}
		return hashes, r.client.Call(t.Context(), "generatetoaddress", &hashes, blocks, address)
	}
	const now = 1_800_000_000
	if hashes, err := generate(now, 20); err != nil || len(hashes) != 20 {
		t.Fatalf("%d blocks, %v", len(hashes), err)
	}
	_, err := generate(now-2*3600+10, 1000)
	if err == nil || !strings.Contains(err.Error(), "of 1000 blocks: time-too-new") {
		t.Fatalf("two hours ahead: %v", err)
	}
	if height := n.chain.Tip().Height; height < 50 || height > 100 {
		t.Errorf("height %d, want six for each of ten seconds", height)
	}
	if hashes, err := generate(now-2*3600+20, 30); err != nil || len(hashes) != 30 {
		t.Errorf("later: %d blocks, %v", len(hashes), err)
	}
}

// TestLogHasAllBlocks: each block is told of by a line of its own or counted in another, and
// there are few lines however fast they come.
func TestLogHasAllBlocks(t *testing.T) {
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	n, err := Open(t.Context(), Config{
		DataDir: t.TempDir(), Params: params, NoDiscovery: true, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Mine: true, MineTo: chaintest.Anchor, MineInterval: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer closeNode(t, n)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	poke, end := n.chain.Subscribe()
	defer end()
	go func() {
		for n.chain.Tip().Height < 2*ratelog.Burst {
			<-poke
		}
		cancel()
	}()
	if err := n.Run(ctx, func(Started) {}); err != nil {
		t.Fatal(err)
	}
	told := strings.Count(log.String(), "msg=block ")
	for _, line := range regexp.MustCompile(`msg=blocks count=([0-9]+)`).FindAllStringSubmatch(log.String(), -1) {
		count, _ := strconv.Atoi(line[1])
		told += count
	}
	// The end may come between the last block and its line.
	if all := int(n.chain.Tip().Height); told < all-1 || told > all {
		t.Errorf("the log tells of %d of %d blocks", told, all)
	}
	if lines := strings.Count(log.String(), "\n"); lines > linesAtOnce+ratelog.Burst+10 {
		t.Errorf("%d lines", lines)
	}
}
