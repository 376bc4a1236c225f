package p2p

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// A node that calls itself finds both ends of the handshake, one whose key was copied finds
// one end, and says so.
func TestCopiedKey(t *testing.T) {
	for name, copied := range map[string]bool{"itself": false, "a copy": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				key, err := noise.GenerateKey()
				if err != nil {
					t.Fatal(err)
				}
				var logs [2]bytes.Buffer
				node := func(i int) *greeter {
					return &greeter{
						key: key, network: func() types.Hash { return types.Hash{1} }, allowed: func(id peerinfo.NodeID) bool { return id != key.ID() },
						measure: func(work func(), _ *atomic.Int64) time.Duration { work(); return 0 }, worked: func(*peer, time.Duration) {},
						twins: &twins{log: slog.New(slog.NewTextHandler(&logs[i], nil))},
					}
				}
				nodes := [2]*greeter{node(0), node(1)}
				if !copied {
					nodes[1] = nodes[0]
				}
				ends := [2]net.Conn{}
				ends[0], ends[1] = net.Pipe()
				var both sync.WaitGroup
				for i := range ends {
					both.Go(func() {
						defer ends[i].Close()
						p := &peer{inbound: i == 1, address: "192.0.2.1:9555"}
						if err := nodes[i].greet(context.Background(), p, &countedConn{Conn: ends[i], read: func(int) {}, written: func(int) {}}, target{}); err == nil || !strings.Contains(err.Error(), "not let in") {
							t.Errorf("end %d: %v, want that it is not let in", i, err)
						}
					})
				}
				both.Wait()
				time.Sleep(2 * twinWait)
				synctest.Wait()
				said := strings.Count(logs[0].String()+logs[1].String(), "another node has this node's key")
				if want := map[bool]int{false: 0, true: 2}[copied]; said != want {
					t.Errorf("said %d times, want %d", said, want)
				}
			})
		})
	}
}
