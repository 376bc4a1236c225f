// Package nodetest runs nodes for the tests of other packages.
package nodetest

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/node"
)

// Running is a node that runs in this process until the test ends.
type Running struct {
	*node.Node
	node.Started
	Stop func() // ends it before, and reports what goes wrong then
}

// Dev runs a node of the dev network that listens for RPC on a free port, in a
// fresh folder. change, unless nil, changes its configuration.
func Dev(t testing.TB, change func(*node.Config)) *Running {
	t.Helper()
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	config := node.Config{
		DataDir: filepath.Join(t.TempDir(), "dev"), Params: params, CacheBytes: 8 << 20, Filters: true, TxIndex: true, MempoolBytes: 8 << 20,
		MinFeeRate: node.DefaultMinFeeRate, RPCListen: "127.0.0.1:0", NoDiscovery: true,
	}
	if change != nil {
		change(&config)
	}
	n, err := node.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	up, done := make(chan node.Started, 1), make(chan error, 1)
	go func() { done <- n.Run(ctx, func(s node.Started) { up <- s }) }()
	r := &Running{Node: n, Stop: sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, n.Close()); err != nil {
			t.Errorf("the node ended: %v", err)
		}
	})}
	t.Cleanup(r.Stop)
	select {
	case r.Started = <-up:
		return r
	case err := <-done:
		done <- nil
		t.Fatalf("the node ended: %v", err)
		return nil
	}
}

// Matures lets coinbases be spent after two blocks.
func Matures(c *node.Config) { c.Params.CoinbaseMaturity = 2 }
