// Package nodetest runs whole nodes for the tests of other packages, in the test's
// process and without a network but the loopback. Only tests import it.
//
//	n := nodetest.Dev(t, nodetest.Matures) // runs until the test ends
//	tip := n.Chain().Tip()                 // the node itself
//	url := "http://" + n.RPC               // what it tells when it has started
package nodetest

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/internal/freeport"
	"github.com/karatcoin/karat/node"
)

// Running is a node that runs in this process until the test ends.
type Running struct {
	*node.Node
	node.Started
	Stop func() // ends it earlier, and fails the test if anything goes wrong then
}

// Dev runs a node of the dev network in a fresh folder. It listens for RPC on a port that is
// kept for the test, and for peers on none. change, unless it is nil, changes its
// configuration first.
func Dev(t testing.TB, change func(*node.Config)) *Running {
	t.Helper()
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	config := node.Config{
		DataDir: filepath.Join(t.TempDir(), "dev"), Params: params, CacheBytes: 8 << 20, Indexes: []string{indexed.Txs, indexed.Filters},
		Policy: node.DefaultPolicy(), RPCListen: []string{freeport.At(t, "127.0.0.1")}, NoDiscovery: true,
	}
	config.Policy.MaxBytes = 8 << 20
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
		done <- nil // for Stop, which would wait for ever
		t.Fatalf("the node ended: %v", err)
		return nil
	}
}

// Matures lets coinbases be spent after two blocks, so that a test need not mine a
// hundred.
func Matures(c *node.Config) { c.Params.CoinbaseMaturity = 2 }
