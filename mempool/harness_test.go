package mempool

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/store"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/mempool/fees"
)

const maturity = 3

// harness is a pool on a real chain on a real store, and the tree of the chain's
// blocks. Each has twenty anchors and an output to the key, of a coin each.
type harness struct {
	*chaintest.Tree
	t      testing.TB
	params *consensus.Params
	chain  *chain.Chain
	pool   *Pool
	tip    *chaintest.Block
	now    time.Time
}

func newHarness(t testing.TB, change func(*Options)) *harness {
	t.Helper()
	params, err := karat.LoadNetwork("../testdata/bitcoin-regtest.json")
	if err != nil {
		t.Fatal(err)
	}
	params.CoinbaseMaturity = maturity
	s, err := store.Open(t.TempDir(), store.Options{Network: params.Identity(), CacheBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	h := &harness{t: t, params: params, now: time.Unix(1_800_000_000, 0)}
	h.chain, err = chain.New(t.Context(), params, s, chain.Options{
		Now: func() time.Time { return h.now }, Workers: 1,
		Verified: func(wtxid types.Hash) bool { return h.pool.Verified(wtxid) },
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Tree = chaintest.NewTree(params.GenesisBlock().Block)
	h.Reward = func(uint32, types.Amount) []types.TxOut {
		outputs := slices.Repeat([]types.TxOut{{Value: 100_000_000, ScriptPubKey: chaintest.Anchor}}, 20)
		return append(outputs, types.TxOut{Value: 100_000_000, ScriptPubKey: chaintest.KeyScript()})
	}
	h.tip = h.Genesis
	h.pool = h.newPool(change)
	return h
}

func (h *harness) newPool(change func(*Options)) *Pool {
	o := Options{Policy: DefaultPolicy(), Params: h.params, Chain: h.chain, Now: func() time.Time { return h.now }}
	if change != nil {
		change(&o)
	}
	return New(o)
}

// add gives the chain blocks, and the tip of the tests is the last of them.
func (h *harness) add(blocks ...*chaintest.Block) {
	h.t.Helper()
	for _, b := range blocks {
		if err := h.chain.AddBlock(h.t.Context(), b.Raw); err != nil {
			h.t.Fatalf("AddBlock: %v", err)
		}
		h.tip = b
	}
	if got := h.chain.Tip().Hash; got != h.tip.Hash {
		h.t.Fatalf("the tip is %s, want %s", got, h.tip.Hash)
	}
}

// mine adds a block of transactions.
func (h *harness) mine(txs ...*types.Tx) *chaintest.Block {
	h.t.Helper()
	h.add(h.Block("", h.tip, txs...))
	return h.tip
}

// mineEmpty adds n blocks.
func (h *harness) mineEmpty(n int) {
	h.t.Helper()
	for range n {
		h.mine()
	}
}

// coins returns n mature anchors of the tip's coins.
func (h *harness) coins(n int) []types.OutPoint {
	return h.tip.Spendable(maturity, chaintest.Anchor)[:n]
}

// keyCoins returns n mature outputs to the key.
func (h *harness) keyCoins(n int) []types.OutPoint {
	return h.tip.Spendable(maturity, chaintest.KeyScript())[:n]
}

// accept gives the pool transactions that it must take.
func (h *harness) accept(txs ...*types.Tx) {
	h.t.Helper()
	for i, tx := range txs {
		if _, err := h.pool.Accept(h.t.Context(), tx, 0); err != nil {
			h.t.Fatalf("transaction %d is refused: %v", i, err)
		}
	}
	checkGraph(h.t, h.pool)
}

// refuse gives the pool a transaction that it must refuse for a reason.
func (h *harness) refuse(tx *types.Tx, kind error, reason consensus.Reason) {
	h.t.Helper()
	_, err := h.pool.Accept(h.t.Context(), tx, 0)
	if !errors.Is(err, reason) || !errors.Is(err, kind) {
		h.t.Fatalf("Accept: %v, want %v (%v)", err, reason, kind)
	}
	for _, other := range []error{consensus.ErrInvalid, consensus.ErrNotYet, consensus.ErrPolicy, consensus.ErrLocal} {
		if other != kind && errors.Is(err, other) {
			h.t.Fatalf("%v is both %v and %v", err, kind, other)
		}
	}
	checkGraph(h.t, h.pool)
}

// expect brings the pool to the tip and compares what it holds.
func (h *harness) expect(txs ...*types.Tx) {
	h.t.Helper()
	h.sync()
	want := map[types.Hash]bool{}
	for i, tx := range txs {
		want[tx.TxID()] = true
		if h.pool.Get(tx.TxID()) == nil {
			h.t.Errorf("transaction %d is not in the pool", i)
		}
	}
	for _, e := range h.pool.Entries() {
		if !want[e.TxID] {
			h.t.Errorf("transaction %s should not be in the pool", e.TxID)
		}
	}
	if h.t.Failed() {
		h.t.FailNow()
	}
}

func (h *harness) sync() {
	h.t.Helper()
	if err := h.pool.CatchUp(context.Background()); err != nil {
		h.t.Fatalf("catchUp: %v", err)
	}
	checkGraph(h.t, h.pool)
	if got := h.pool.Info().Position; got != h.chain.Tip() {
		h.t.Fatalf("the pool is at %s, the chain at %s", got, h.chain.Tip())
	}
}

// checkGraph checks that everything that the graph keeps agrees with the
// transactions in it, computed the naive way.
func checkGraph(t testing.TB, p *Pool) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.graph
	usage, vsize, fees, inputs, nodes := 0, 0, types.Amount(0), 0, 0
	if waiting := histogramOf(&g.ranking); waiting != g.waiting {
		t.Fatal("the histogram of what waits is another than the ranking's")
	}
	for at, c := range checkRanking(t, &g.ranking) {
		for i, n := range c.nodes {
			nodes++
			usage, vsize, fees, inputs = usage+usageOf(n.Entry), vsize+n.VSize, fees+n.Fee, inputs+len(n.Tx.Inputs)
			if n.cluster != c || n.at != i || g.byTxID[n.TxID] != n || g.byWTxID[n.WTxID] != n {
				t.Fatalf("node %d of cluster %d is not where it says", i, at)
			}
			for j := range n.Tx.Inputs {
				outPoint := n.Tx.Inputs[j].PreviousOutPoint
				if g.spends[outPoint] != n {
					t.Fatalf("%s is not known to be spent by %s", outPoint, n.TxID)
				}
				if parent := g.byTxID[outPoint.TxID]; parent != nil && (parent.cluster != c || parent.at >= n.at) {
					t.Fatalf("%s stands before its parent, or apart from it", n.TxID)
				}
			}
		}
	}
	if nodes != len(g.byTxID) || nodes != len(g.byWTxID) || inputs != len(g.spends) {
		t.Fatalf("%d nodes with %d inputs, the maps have %d, %d and %d", nodes, inputs, len(g.byTxID), len(g.byWTxID), len(g.spends))
	}
	if usage != g.usage || vsize != g.vsize || fees != g.fees {
		t.Fatalf("sums are %d %d %d, should be %d %d %d", g.usage, g.vsize, g.fees, usage, vsize, fees)
	}
	for txid := range p.local {
		if g.byTxID[txid] == nil {
			t.Fatalf("%s waits to be broadcast and is not there", txid)
		}
	}
	if usage > p.options.MaxBytes {
		t.Fatalf("the pool takes %d bytes, more than %d", usage, p.options.MaxBytes)
	}
}

// checkRanking checks that a ranking is in order and has all chunks of each of its
// clusters, which it returns.
func checkRanking(t testing.TB, r *ranking) (clusters []*cluster) {
	t.Helper()
	count := map[*cluster]int{}
	var last *ranked
	for at, p := range r.pages {
		if len(p.chunks) == 0 || len(p.chunks) > maxPage || p.epoch > r.epoch {
			t.Fatalf("page %d has %d chunks of epoch %d", at, len(p.chunks), p.epoch)
		}
		for i := range p.chunks {
			next := &p.chunks[i]
			if last != nil && last.compare(next) >= 0 {
				t.Fatalf("the ranking is out of order in page %d at %d", at, i)
			}
			if c := next.cluster.chunks[next.index]; int(next.index) != count[next.cluster] || c.fee != next.fee || c.weight != int(next.weight) {
				t.Fatalf("chunk %d of a cluster is in page %d at %d", next.index, at, i)
			}
			if count[next.cluster]++; count[next.cluster] == 1 {
				clusters = append(clusters, next.cluster)
			}
			last = next
		}
	}
	for c, chunks := range count {
		if chunks != len(c.chunks) {
			t.Fatalf("%d chunks of %d are there", chunks, len(c.chunks))
		}
	}
	return clusters
}

// histogramOf sorts a ranking by feerate.
func histogramOf(r *ranking) (h fees.Histogram) {
	for c := range r.worstFirst() {
		h.Add(c.feeRate(), int(c.weight))
	}
	return h
}

func entriesOf(nodes []*txNode) []*pending.Entry {
	entries := make([]*pending.Entry, len(nodes))
	for i, n := range nodes {
		entries[i] = n.Entry
	}
	return entries
}
