package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
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

// TestFailedStartLeavesNothing: no password of a server that never was, and no
// listener.
func TestFailedStartLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, dir, "dev", 0)
	defer closeNode(t, n)
	n.config.RPCListen, n.config.NoDiscovery = "127.0.0.1:0", true
	n.config.RPCAuth = []string{"nonsense"}
	if err := n.Run(t.Context(), func(Started) {}); err == nil {
		t.Fatal("nonsense was taken for a user")
	}
	if _, err := os.Stat(filepath.Join(dir, cookieFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the cookie is left: %v", err)
	}
}

func (r *running) synced() bool {
	_, synced := r.index.Position()
	return synced
}
