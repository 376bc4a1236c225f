package stratum

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/internal/stratumtest"
)

// ended reports whether a client's connection has ended.
func ended(c *stratumtest.Client) bool {
	synctest.Wait()
	select {
	case <-c.Ended():
		return true
	default:
		return false
	}
}

// TestCrowds: somebody at a few addresses cannot keep others out, neither with connections
// that do nothing nor with ones whose shares cost nothing. A farm that does the work keeps
// its places.
func TestCrowds(t *testing.T) {
	for _, test := range []struct {
		name   string
		shares bool
		farm   int // connections of an honest one at one address
	}{{"silent", false, 0}, {"cheap shares", true, 0}, {"beside a farm", false, 4}, {"cheap shares beside a farm", true, 4}} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, 1, func(o *Options) { o.MaxConnections = 10 }, func(t *testing.T, w *world) {
				var farm, crowd []*stratumtest.Client
				join := func(host, difficulty string) *stratumtest.Client {
					c := w.dial(host)
					if err := c.Subscribe(""); err != nil {
						t.Fatal(err)
					}
					if err := c.Authorize(w.address(1), difficulty); err != nil {
						t.Fatal(err)
					}
					t.Cleanup(c.Close)
					return c
				}
				share := func(c *stratumtest.Client) {
					if err := c.Submit(search(t, w.job(c), 1)); err != nil {
						t.Fatal(err)
					}
				}
				for range test.farm {
					farm = append(farm, join("farm", "d=1e-5"))
				}
				for i := range 10 - test.farm {
					crowd = append(crowd, join([]string{"mallory", "trudy"}[i%2], "d=1e-9"))
				}
				for _, c := range farm {
					share(c)
				}
				if test.shares {
					time.Sleep(usefulFor / 2)
					for _, c := range append(farm, crowd...) {
						share(c)
					}
				}
				for _, host := range []string{"alice", "bob"} {
					c := w.miner(host, 3)
					defer c.Close()
				}
				for i, c := range farm {
					if ended(c) {
						t.Errorf("connection %d of the farm was ended", i)
					}
				}
				n := 0
				for _, c := range crowd {
					if ended(c) {
						n++
					}
				}
				if n != 2 {
					t.Errorf("%d of the crowd were ended", n)
				}
			})
		})
	}
}

// TestAlone: who has one connection is ended for nobody, however slow it is.
func TestAlone(t *testing.T) {
	inBubble(t, 1, func(o *Options) { o.MaxConnections = 2 }, func(t *testing.T, w *world) {
		for _, host := range []string{"alice", "bob"} {
			c := w.miner(host, 1)
			defer c.Close()
		}
		_, l := w.raw("mallory")
		if !endsWithin(l, time.Second) {
			t.Error("let in")
		}
	})
}
