package node

import (
	"context"
	"testing"

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
