package lab

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

var dayHours = flag.Int("day", 0, "how many hours of its time TestDay runs a lab; 0: a part of one")

// TestDay is a lab over a day of its time, at its full speed: a block a minute, payments all
// along, and each hour a partition that is mended. After the first hours nothing grows:
// neither memory, nor open files, nor goroutines, nor what is written into the log in an
// hour. make day runs the whole day.
func TestDay(t *testing.T) {
	if testing.Short() {
		t.Skip("make day runs it; without -short a part of an hour is tried")
	}
	var log counter
	logger := slog.New(slog.NewTextHandler(&log, nil)) // at the default level
	run(t, Options{Nodes: 4, Seed: 7, Spacing: time.Minute, Delay: time.Second, Loss: 0.02, Logger: logger}, func(ctx context.Context, l *Lab) {
		p := payer{t: t, l: l}
		var hours []hour
		quarters := 4
		if *dayHours == 0 {
			quarters = 1
		}
		for n := range max(1, *dayHours) {
			blocks, paid := tipsOf(l)[0].Height, p.paid
			p.fill(ctx)
			for range quarters {
				do(t, l.Advance(ctx, 10*time.Minute))
				p.pay(ctx, 10)
				do(t, l.Advance(ctx, 5*time.Minute))
			}
			do(t, l.Partition(ctx, [][]int{{n % 4}}), l.Advance(ctx, 5*time.Minute), l.Heal(ctx), l.Settle(ctx))
			h := now(&log)
			h.blocks, h.paid = int(tipsOf(l)[0].Height-blocks), p.paid-paid
			hours = append(hours, h)
			t.Logf("hour %2d: %s", n+1, h)
		}
		if got := status(t, l); got.Nodes[0].Waiting > 100 {
			t.Errorf("%d transactions wait in the end", got.Nodes[0].Waiting)
		}
		flat(t, hours)
	})
}

// flat compares the first quarter of the hours, but for the very first, with the last.
func flat(t *testing.T, hours []hour) {
	quarter := len(hours) / 4
	if quarter < 2 {
		return // the rest is for whole days
	}
	first, last := mean(hours[1:quarter]), mean(hours[len(hours)-quarter:])
	t.Logf("first quarter: %s", first)
	t.Logf("last quarter:  %s", last)
	for _, c := range []struct {
		what        string
		first, last int
		slack       int
	}{
		{"bytes of memory", first.heap, last.heap, first.heap/5 + 4<<20},
		{"open files", first.files, last.files, 8},
		{"goroutines", first.goroutines, last.goroutines, 8},
		{"bytes of log in an hour", first.log, last.log, first.log / 4},
	} {
		if c.last > c.first+c.slack {
			t.Errorf("%s grow from %d to %d", c.what, c.first, c.last)
		}
	}
}

// hour is what a lab took at the end of an hour, all nodes together, and what it did in it.
type hour struct {
	heap, files, goroutines int // bytes; descriptors of this process
	log                     int // bytes
	blocks, paid            int
}

func (h hour) String() string {
	return fmt.Sprintf("%.1f MB of memory, %d open files, %d goroutines, %d bytes of log; %d blocks, %d payments",
		float64(h.heap)/(1<<20), h.files, h.goroutines, h.log, h.blocks, h.paid)
}

func mean(hours []hour) (m hour) {
	for _, h := range hours {
		m.heap, m.files, m.goroutines, m.log = m.heap+h.heap, m.files+h.files, m.goroutines+h.goroutines, m.log+h.log
		m.blocks, m.paid = m.blocks+h.blocks, m.paid+h.paid
	}
	n := len(hours)
	return hour{m.heap / n, m.files / n, m.goroutines / n, m.log / n, m.blocks / n, m.paid / n}
}

// now measures this process, and takes what was counted of the log.
func now(log *counter) (h hour) {
	runtime.GC()
	runtime.GC() // what finalizers and pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.heap, h.goroutines, h.log = int(m.HeapAlloc), runtime.NumGoroutine(), int(log.n.Swap(0))
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		h.files = len(files)
	}
	return h
}

// counter counts the bytes that are written.
type counter struct{ n atomic.Int64 }

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

// payer pays with coins that everybody may spend.
type payer struct {
	t    *testing.T
	l    *Lab
	free []coin
	paid int
}

type coin struct {
	at    types.OutPoint
	value types.Amount
}

// fill mines coins, as a client would: the lab's own blocks pay to keys.
func (p *payer) fill(ctx context.Context) {
	p.t.Helper()
	n := p.l.members[0]
	var made []coin
	for i := range 2 {
		hash, err := n.MineBlock(ctx, chaintest.Anchor, uint64(p.paid)<<8|uint64(i))
		if err != nil {
			p.t.Fatal(err)
		}
		raw, err := n.Chain().Block(hash)
		if err != nil {
			p.t.Fatal(err)
		}
		block, err := types.DecodeBlock(raw)
		if err != nil {
			p.t.Fatal(err)
		}
		made = append(made, coin{types.OutPoint{TxID: block.Txs[0].TxID()}, block.Txs[0].Outputs[0].Value})
	}
	do(p.t, p.l.Settle(ctx), p.l.Mine(ctx, 0, 2), p.l.Settle(ctx)) // they are mature
	p.free = made
}

// pay makes some payments at a node, each of which splits a coin, and lets them arrive.
func (p *payer) pay(ctx context.Context, n int) {
	p.t.Helper()
	at := p.l.members[p.paid/n%len(p.l.members)]
	for range n {
		from := p.free[0]
		tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: from.at, Sequence: 0xfffffffd}}, Outputs: []types.TxOut{
			{Value: from.value / 2, ScriptPubKey: chaintest.Anchor}, {Value: from.value/2 - 10_000, ScriptPubKey: chaintest.Anchor},
		}}
		if _, err := at.Pool().Accept(ctx, tx, 0); err != nil {
			p.t.Fatal(err)
		}
		p.free = p.free[1:]
		for i, out := range tx.Outputs {
			p.free = append(p.free, coin{types.OutPoint{TxID: tx.TxID(), Index: uint32(i)}, out.Value})
		}
	}
	p.paid += n
	do(p.t, p.l.Settle(ctx))
}
