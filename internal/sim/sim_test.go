package sim

import (
	"flag"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/internal/hostile"
)

// run simulates in a bubble.
func run(t *testing.T, o Options) (report *Report) {
	t.Helper()
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	o.Params = params
	synctest.Test(t, func(t *testing.T) {
		if report, err = Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	})
	var text strings.Builder
	report.Write(&text)
	t.Logf("\n%s", &text)
	return report
}

// The flags of TestSimulation, which test/sim.sh sets.
var (
	out       = flag.String("sim.out", "", "folder for the report and the drawings")
	nodes     = flag.Int("sim.nodes", 200, "nodes")
	seed      = flag.Uint64("sim.seed", 1, "seed")
	evil      = flag.Float64("sim.hostile", 0, "share of hostile nodes")
	blocks    = flag.Int("sim.blocks", 10, "blocks")
	payments  = flag.Int("sim.payments", 50, "payments")
	loss      = flag.Float64("sim.loss", 0, "share of packets that are lost")
	churn     = flag.Duration("sim.churn", 0, "how long a node stays, on average; 0: for ever")
	partition = flag.Duration("sim.partition", 0, "how long half of the nodes are cut off; 0: never")
	behave    = flag.String("sim.behaviours", "", "behaviours of hostile nodes, by commas")
)

// TestSimulation is what make sim runs. With one processor and the runtime that
// test/sim.sh builds, its output is a function of its flags.
func TestSimulation(t *testing.T) {
	if *out == "" {
		t.Skip("make sim runs it")
	}
	// Collections begin at random moments else, and change who is next.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	cryptotest.SetGlobalRandom(t, *seed)
	o := Options{
		Nodes: *nodes, Seed: *seed, Hostile: *evil, Outbound: 8, Blocks: *blocks, Txs: 2000, Payments: *payments, Loss: *loss, Churn: *churn,
		Partition: *partition, Quiet: func() { synctest.Wait(); runtime.GC() },
	}
	if *behave != "" {
		o.Behaviours = strings.Split(*behave, ",")
	}
	report := run(t, o)
	if err := report.Save(*out); err != nil {
		t.Fatal(err)
	}
	if err := report.Write(os.Stdout); err != nil {
		t.Fatal(err)
	}
}

// atMost checks a percentile of the propagation of blocks.
func (r *Report) atMost(t *testing.T, percent float64, most time.Duration) {
	t.Helper()
	if took := r.Blocks.At(percent); took > most {
		t.Errorf("%g of 100 nodes have a block within %s, want %s", percent, show(took), most)
	}
}

// small is a network of the targets' kind that takes some seconds, or fewer when short.
func small(o Options) Options {
	o.Nodes, o.Outbound, o.Blocks, o.Txs, o.Payments = 40, 8, 3, 2000, 6
	if testing.Short() {
		o.Nodes, o.Outbound, o.Blocks, o.Txs = 10, 3, 2, 200
	}
	return o
}

// TestBlocksSpread: half of the nodes have a block within one second, and 95 of 100
// within two.
func TestBlocksSpread(t *testing.T) {
	if testing.Short() {
		t.Skip("the network with attackers is enough")
	}
	r := run(t, small(Options{Seed: 1}))
	r.atMost(t, 50, time.Second)
	r.atMost(t, 95, 2*time.Second)
}

// TestBlocksSpreadAmongAttackers: with a fifth of the nodes hostile, 95 of 100 have a
// block within four seconds.
func TestBlocksSpreadAmongAttackers(t *testing.T) {
	r := run(t, small(Options{Seed: 1, Hostile: 0.2}))
	r.atMost(t, 95, 4*time.Second)
}

// TestGoingAndComing: nodes go away and come back, packets are lost, and half of the
// network is cut off for a while.
func TestGoingAndComing(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	r := run(t, Options{Nodes: 20, Outbound: 4, Blocks: 6, Txs: 50, Payments: 6, Seed: 4, Loss: 0.02, Churn: 5 * time.Minute, Partition: 2 * time.Minute})
	if r.Restarts == 0 || r.Partitions != 1 {
		t.Errorf("%d restarts, %d partitions", r.Restarts, r.Partitions)
	}
}

// TestEveryBehaviour: whatever a third of the nodes does, the others get the blocks and
// agree. Each behaviour of the library is there once.
func TestEveryBehaviour(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	for some := range slices.Chunk(hostile.Library(), 8) {
		o := Options{Nodes: 24, Hostile: float64(len(some)) / 24, Outbound: 6, Blocks: 2, Spacing: 20 * time.Second, Txs: 50, Payments: 2, Seed: 3}
		for _, b := range some {
			o.Behaviours = append(o.Behaviours, b.Name)
		}
		t.Run(some[0].Name, func(t *testing.T) { run(t, o).atMost(t, 95, 10*time.Second) })
	}
}
