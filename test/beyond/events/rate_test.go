package events

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/node/events"
	"github.com/karatcoin/karat/test/beyond/natsd"
)

// processors is the time that this process has had of them.
func processors() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestRate measures how fast a chain is written and read: KARAT_BEYOND_RATE says of how many
// transactions.
func TestRate(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("KARAT_BEYOND_RATE"))
	if err != nil {
		t.Skip("KARAT_BEYOND_RATE says nothing")
	}
	params, err := testParams()
	if err != nil {
		t.Fatal(err)
	}
	const perBlock = 1000
	tree := chaintest.NewTree(params.GenesisBlock().Block)
	tree.Reward = func(_ uint32, value types.Amount) []types.TxOut {
		return []types.TxOut{{Value: value, ScriptPubKey: chaintest.Anchor}}
	}
	tip, raws := tree.Genesis, [][]byte{}
	for told := 0; told < n; told += perBlock {
		var txs []*types.Tx
		if from := tip.Spendable(2, chaintest.Anchor); len(from) > 0 { // payments of two outputs
			coins := []types.OutPoint{slices.MaxFunc(from, func(a, b types.OutPoint) int { return int(tree.Outputs[a].Value - tree.Outputs[b].Value) })}
			for len(txs) < perBlock-1 {
				tx := tree.Pay(1000, 2, coins[0])
				txs, coins = append(txs, tx), append(coins[1:], chaintest.Output(tx, 0), chaintest.Output(tx, 1))
			}
		}
		parent := tip
		tip = tree.Block("b", tip, txs...)
		raws = append(raws, tip.Raw)
		if parent != tree.Genesis && parent.Parent != nil {
			parent.Parent.Coins = nil
		}
	}
	for _, f := range []journal.Format{journal.JSON, journal.Raw} {
		s := natsd.New(t)
		d := nodetest.Dev(t, func(c *node.Config) {
			c.Params = params
			c.Events = events.Config{Servers: s.URL(), Format: f}
		})
		for _, raw := range raws {
			if err := d.Chain().AddBlock(t.Context(), raw); err != nil {
				t.Fatal(err)
			}
		}
		begin, before := time.Now(), processors()
		s.Start()
		count, bytes := 0, 0
		read := func() time.Duration {
			count, bytes = 0, 0
			begin := time.Now()
			steps(t, s.URL(), "regtest", f, params.Identity(), tip.Index(), func(s *journal.Step) {
				for i := range s.Txs {
					count, bytes = count+1, bytes+len(s.Txs[i])
					if f == journal.JSON {
						if _, err := s.Tx(i); err != nil {
							t.Error(err)
						}
					}
				}
			})
			return time.Since(begin)
		}
		read()
		written, used := time.Since(begin), processors()-before
		again := read()
		rate := func(d time.Duration) string { return fmt.Sprintf("%.0f a second", float64(count)/d.Seconds()) }
		t.Logf("%s: %d transactions (%d bytes each) were written and read beside in %.1f s (%s; %d µs of a processor each, without the server), and read again in %.1f s (%s)",
			f, count, bytes/max(1, count), written.Seconds(), rate(written), used.Microseconds()/int64(max(1, count)), again.Seconds(), rate(again))
		d.Stop()
	}
}
