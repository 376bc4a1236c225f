package node

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/rpc"
)

// run runs an open node until the test ends.
func run(t testing.TB, n *Node) *running {
	t.Helper()
	n.config.RPCListen = "127.0.0.1:0"
	n.config.NoDiscovery = true
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

func (r *running) synced() bool {
	_, synced := r.index.Position()
	return synced
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
		hashes, err := n.running.Load().miner.Generate(t.Context(), 2, anchor, 1<<20)
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
		if _, err := n.running.Load().pool.Accept(t.Context(), payment(types.OutPoint{TxID: coinbase.TxID()}, coinbase.Outputs[0].Value)); err != nil {
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
}
