// Package sim simulates a network of hundreds of nodes in one process: the real
// p2p.Manager of each, over the real encryption, on a network of package simnet and a
// clock that moves only when all wait (testing/synctest). Some of the nodes may be
// attackers of package hostile. Only tests import it.
//
//	synctest.Test(t, func(t *testing.T) {
//		report, err := sim.Run(t.Context(), sim.Options{Nodes: 40, Outbound: 8, Blocks: 5, Txs: 2000, Seed: 1, Hostile: 0.2})
//		… // report.Blocks.At(95) is the time in which 95 of 100 had a block
//	})
//
// What is simulated is the network's code, so the rest is light: a node's chain checks
// headers, proof of work, merkle root and what else needs no coins, and its pool runs no
// scripts. To look at a block takes the time that Options say, for all nodes the same.
// docs/simulation.md has figures, and says what they leave out.
package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/hostile"
	"github.com/karatcoin/karat/internal/simnet"
)

// Options are what is simulated.
type Options struct {
	Params     *consensus.Params // of a network of little work
	Seed       uint64
	Nodes      int     // all together
	Hostile    float64 // share of them that attacks
	Behaviours []string
	Outbound   int // connections that each node makes

	Blocks   int           // that are mined
	Spacing  time.Duration // between them, on average
	Txs      int           // transactions of a block that all pools have
	Payments int           // transactions that are relayed, before the blocks and between them
	Verify   time.Duration // that a node looks at a block

	Nearest, Farthest time.Duration // one way between two nodes
	Loss              float64       // share of packets that have to be sent again
	Up                int           // bytes a second that a node can send
	Churn             time.Duration // after which a node goes away for a while, on average; 0: none does
	Partition         time.Duration // for which half of the nodes are cut off, once; 0: never
	Quiet             func()        // is called when nothing happens, before each block; nil: nothing
}

// Defaults fills in what is zero: the targets' network.
func (o Options) withDefaults() Options {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&o.Spacing, time.Minute)
	set(&o.Verify, 50*time.Millisecond)
	set(&o.Nearest, 50*time.Millisecond)
	set(&o.Farthest, 150*time.Millisecond)
	if o.Up == 0 {
		o.Up = 2_500_000 // 20 Mbit/s
	}
	if len(o.Behaviours) == 0 {
		o.Behaviours = []string{"withhold", "withhold-compact", "stall", "lie-compact", "lie-short-ids"}
	}
	return o
}

// The phases of a simulation besides that of the blocks.
const (
	arrival = 30 * time.Second // in which all nodes start
	patient = 2 * time.Minute  // for all to have their connections
	settle  = 30 * time.Second // after the last block
	minPace = 5 * time.Second  // between blocks
	awayFor = time.Minute      // a node that went away, on average
)

// world is a simulation while it runs.
type world struct {
	o      Options
	random *rand.Rand // of the driver, which is one goroutine
	net    *simnet.Network
	ledger *ledger
	know   *hostile.Knowledge
	honest []*node
	evil   []*attacker
	places []place
	report *Report

	sent    uint64                           // bytes, when they were counted last
	metered time.Time                        // then
	kinds   map[types.Hash]map[string]uint64 // bytes by type, of each connection, then

	mu sync.Mutex
	// Guarded by mu:
	births map[string]*birth // of blocks and payments, by their names
	order  []*birth
}

// Run simulates, inside a bubble of testing/synctest. The error is that nodes did not
// find each other, or did not agree in the end.
func Run(ctx context.Context, o Options) (*Report, error) {
	o = o.withDefaults()
	// The bubble's clock begins in 2000, before the networks' blocks.
	time.Sleep(time.Until(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)))
	w, err := newWorld(o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer w.stop()
	defer cancel()
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	w.meter(&w.report.Upkeep)
	w.pay(o.Payments / 2)
	w.meter(&w.report.Relay)
	w.report.Relay.Things = o.Payments / 2
	w.blocks(ctx)
	w.meter(&w.report.Chain)
	w.report.Chain.Things = w.report.Mined
	if err := w.agree(); err != nil {
		return nil, err
	}
	w.finish()
	return w.report, nil
}

// start starts all nodes and waits until they have their connections.
func (w *world) start(ctx context.Context) error {
	pause := arrival / time.Duration(len(w.honest)+len(w.evil))
	for i := range len(w.honest) + len(w.evil) {
		// Attackers come among the others.
		if i < len(w.honest) {
			if err := w.honest[i].start(ctx); err != nil {
				return err
			}
		}
		if i < len(w.evil) {
			w.evil[i].start(ctx)
		}
		time.Sleep(pause)
	}
	began := time.Now()
	for w.short() > 0 && time.Since(began) < patient {
		time.Sleep(5 * time.Second)
	}
	w.report.Connected, w.report.Short = time.Since(began)+arrival, w.short()
	time.Sleep(settle)
	return nil
}

// short returns how many nodes have not made all the connections that they look for.
func (w *world) short() (nodes int) {
	for _, n := range w.honest {
		if out, _, _ := w.countPeers(n); out < w.o.Outbound {
			nodes++
		}
	}
	return nodes
}

// blocks mines blocks at random times, and has nodes go and come meanwhile.
func (w *world) blocks(ctx context.Context) {
	for i := range w.o.Blocks {
		w.wait(ctx, max(minPace, time.Duration(w.random.ExpFloat64()*float64(w.o.Spacing))))
		if w.o.Partition > 0 && i == w.o.Blocks/2 {
			w.partition(ctx)
		}
		if w.o.Quiet != nil {
			w.o.Quiet()
		}
		w.mine(w.pick(func(*node) bool { return true }))
	}
	w.wait(ctx, settle)
}

// partition cuts half of the nodes off for a while, in which each side mines.
func (w *world) partition(ctx context.Context) {
	side := map[string]bool{}
	for i, p := range w.places {
		side[p.addr.String()] = i%2 == 0
	}
	w.net.Separate(func(a, b addr) bool { return side[a.String()] != side[b.String()] })
	for _, half := range []bool{true, false} {
		w.wait(ctx, w.o.Partition/3)
		w.mine(w.pick(func(n *node) bool { return side[n.addr.String()] == half }))
	}
	w.wait(ctx, w.o.Partition/3)
	w.net.Separate(nil)
	w.report.Partitions++
}

// wait passes time, in which payments are made, and nodes go away and come back.
func (w *world) wait(ctx context.Context, d time.Duration) {
	end := time.Now().Add(d)
	if w.o.Payments > 0 {
		w.pay(max(1, w.o.Payments/2/w.o.Blocks))
	}
	for w.o.Churn > 0 {
		next := time.Duration(w.random.ExpFloat64() * float64(w.o.Churn) / float64(len(w.honest)))
		if time.Now().Add(next).After(end) {
			break
		}
		time.Sleep(next)
		n := w.pick(func(*node) bool { return true })
		n.stop()
		w.report.Restarts++
		away := time.Duration(w.random.ExpFloat64() * float64(awayFor))
		n.back.Go(func() {
			select {
			case <-time.After(away):
				_ = n.start(ctx)
			case <-ctx.Done():
			}
		})
	}
	time.Sleep(time.Until(end))
}

// agree waits until all honest nodes that are there have one tip. A further block ends a
// tie.
func (w *world) agree() error {
	for range 10 {
		time.Sleep(settle)
		tips := map[*block]bool{}
		var highest uint32
		for _, n := range w.honest {
			if n.up() {
				tips[n.chain.top()] = true
				highest = max(highest, n.chain.top().height())
			}
		}
		if len(tips) == 1 {
			return nil
		}
		tied := 0
		for b := range tips {
			if b.height() == highest {
				tied++
			}
		}
		if tied > 1 {
			w.mine(w.pick(func(n *node) bool { return n.chain.top().height() == highest }))
		}
	}
	return fmt.Errorf("the honest nodes do not agree on a tip: %s", w.tips())
}

// tips tells which nodes have which tip.
func (w *world) tips() string {
	at := map[string][]int{}
	for _, n := range w.honest {
		if n.up() {
			tip := n.chain.top()
			name := fmt.Sprintf("%d %.8s", tip.height(), tip.hash)
			at[name] = append(at[name], n.number)
		}
	}
	return fmt.Sprint(at)
}

// stop ends all nodes.
func (w *world) stop() {
	var work sync.WaitGroup
	for _, n := range w.honest {
		work.Go(func() {
			n.back.Wait()
			n.stop()
		})
	}
	for _, a := range w.evil {
		work.Go(func() { <-a.done })
	}
	work.Wait()
}
