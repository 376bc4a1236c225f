package mempool

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// loner is a transaction of an ordinary size that has no relatives.
func loner(i int) *pending.Entry {
	var in types.TxIn
	in.PreviousOutPoint.TxID = types.DoubleSHA256(fmt.Append(nil, i))
	in.Witness = [][]byte{make([]byte, 64)}
	out := types.TxOut{Value: types.Amount(i), ScriptPubKey: chaintest.KeyScript()}
	tx := &types.Tx{Version: 2, Inputs: []types.TxIn{in}, Outputs: []types.TxOut{out, out}}
	return &pending.Entry{Tx: tx, TxID: tx.TxID(), WTxID: tx.WTxID(), Weight: tx.Weight(), VSize: tx.VirtualSize(), Fee: types.Amount(100 + i*7919%100_000)}
}

// BenchmarkPool is a pool of many loners, as after a flood.
func BenchmarkPool(b *testing.B) {
	const count = 100_000
	g := newGraph()
	add := func(e *pending.Entry) {
		c, _ := g.prepare(nil, []*txNode{{Entry: e}})
		g.apply(c)
	}
	for i := range count {
		add(loner(i))
	}
	var more []*pending.Entry
	for i := range 10_000 {
		more = append(more, loner(count+i))
	}
	n := 0
	change := func() {
		add(more[n%len(more)])
		nodes, _ := g.worst()
		g.remove(nodes)
		n++
	}
	b.Run("add and evict", func(b *testing.B) {
		for b.Loop() {
			change()
		}
	})
	p := &Pool{graph: g}
	params, err := karat.LoadNetwork("../testdata/bitcoin-regtest.json")
	if err != nil {
		b.Fatal(err)
	}
	state := params.GenesisState()
	run := func(name string, body func()) {
		b.Run(name, func(b *testing.B) {
			before := processorTime()
			for b.Loop() {
				body()
			}
			b.ReportMetric(float64((processorTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
	want := pending.Selection{MaxWeight: 4_000_000 - 8000}
	run("select", func() { p.Select(want) })
	run("select after a change", func() {
		change()
		p.Select(want)
	})
	run("template after a change", func() {
		change()
		entries, _ := p.Select(want)
		template.New(params, &state, entries, 8000, time.Unix(1_800_000_000, 0))
	})
}

// fan has a block divide a coin into n outputs to the key.
func (h *harness) fan(n int) (coins []types.OutPoint) {
	h.t.Helper()
	tx := h.Pay(1000, n, h.coins(1)[0])
	for i := range n {
		tx.Outputs[i].ScriptPubKey = chaintest.KeyScript()
		coins = append(coins, types.OutPoint{Index: uint32(i)})
	}
	h.Note(tx)
	h.mine(tx)
	for i := range coins {
		coins[i].TxID = tx.TxID()
	}
	return coins
}

// BenchmarkConnect is a block of transactions that the pool has, from its bytes to the
// pool that has followed it.
func BenchmarkConnect(b *testing.B) {
	const count = 2000
	h := newHarness(b, nil)
	h.mineEmpty(5)
	coins := h.fan(count)
	var used time.Duration
	for b.Loop() {
		b.StopTimer()
		txs := make([]*types.Tx, len(coins))
		for i := range coins {
			txs[i] = h.Spend(20, chaintest.KeyScript(), coins[i])
			if _, err := h.pool.Accept(b.Context(), txs[i], 0); err != nil {
				b.Fatal(err)
			}
			coins[i] = chaintest.Output(txs[i], 0)
		}
		block := h.Block("", h.tip, txs...)
		runtime.GC()
		before := processorTime()
		b.StartTimer()
		if err := h.chain.AddBlock(b.Context(), block.Raw); err != nil {
			b.Fatal(err)
		}
		if err := h.pool.CatchUp(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		used += processorTime() - before
		h.tip = block
		if got := h.pool.Info(); got.Count != 0 || got.Position.Hash != block.Hash {
			b.Fatalf("%d are left at %s", got.Count, got.Position)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// processorTime is what this process has used. Where others use the machine as well, it
// tells more than the clock.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
