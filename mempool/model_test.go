package mempool

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// twin is a pool as one would write it on a blackboard: a map of transactions,
// and everything that is asked is computed from nothing.
type twin struct {
	txs      map[types.Hash]*Entry
	coins    map[types.OutPoint]types.Coin
	height   uint32 // of the tip
	maxBytes int
}

func (w *twin) parents(e *Entry) map[types.Hash]*Entry {
	parents := map[types.Hash]*Entry{}
	for _, in := range e.Tx.Inputs {
		if p := w.txs[in.PreviousOutPoint.TxID]; p != nil {
			parents[p.TxID] = p
		}
	}
	return parents
}

// ancestors includes the transaction itself.
func (w *twin) ancestors(e *Entry) map[types.Hash]*Entry {
	all := map[types.Hash]*Entry{e.TxID: e}
	for _, p := range w.parents(e) {
		maps.Copy(all, w.ancestors(p))
	}
	return all
}

// descendants includes the transaction itself.
func (w *twin) descendants(e *Entry) map[types.Hash]*Entry {
	all := map[types.Hash]*Entry{}
	for _, other := range w.txs {
		if w.ancestors(other)[e.TxID] != nil {
			all[other.TxID] = other
		}
	}
	return all
}

func (w *twin) without(gone map[types.Hash]*Entry) *twin {
	rest := &twin{txs: maps.Clone(w.txs), coins: w.coins, height: w.height}
	for txid := range gone {
		delete(rest.txs, txid)
	}
	return rest
}

// cluster returns the transactions that are connected with one.
func (w *twin) cluster(e *Entry) map[types.Hash]*Entry {
	found := map[types.Hash]*Entry{e.TxID: e}
	for grown := true; grown; {
		grown = false
		for _, other := range w.txs {
			if found[other.TxID] != nil {
				continue
			}
			for _, in := range found {
				if w.parents(other)[in.TxID] != nil || w.parents(in)[other.TxID] != nil {
					found[other.TxID], grown = other, true
					break
				}
			}
		}
	}
	return found
}

// sum returns the fees and the weight of a set.
func sum(set map[types.Hash]*Entry) (t Total) {
	for _, e := range set {
		t.add(e)
	}
	return t
}

func (t Total) rate() *big.Rat { return big.NewRat(int64(t.Fees), int64(t.Weight)) }

// order is the linearization: the best set of a transaction and its ancestors
// that are left, again and again.
func (w *twin) order(cluster map[types.Hash]*Entry) []*Entry {
	left := maps.Clone(cluster)
	var order []*Entry
	for len(left) > 0 {
		var best map[types.Hash]*Entry
		var bestID types.Hash
		for txid, e := range left {
			set := w.ancestors(e)
			maps.DeleteFunc(set, func(id types.Hash, _ *Entry) bool { return left[id] == nil })
			if best == nil {
				best, bestID = set, txid
				continue
			}
			switch d := sum(set).rate().Cmp(sum(best).rate()); {
			case d > 0,
				d == 0 && sum(set).Weight < sum(best).Weight,
				d == 0 && sum(set).Weight == sum(best).Weight && slices.Compare(txid[:], bestID[:]) < 0:
				best, bestID = set, txid
			}
		}
		part := slices.Collect(maps.Values(best))
		slices.SortFunc(part, func(a, b *Entry) int {
			if d := len(w.ancestors(a)) - len(w.ancestors(b)); d != 0 {
				return d
			}
			return slices.Compare(a.TxID[:], b.TxID[:])
		})
		order = append(order, part...)
		maps.DeleteFunc(left, func(id types.Hash, _ *Entry) bool { return best[id] != nil })
	}
	return order
}

// chunks cuts an order: again and again the beginning with the best feerate.
func chunks(order []*Entry) [][]*Entry {
	var cut [][]*Entry
	for len(order) > 0 {
		best, total := 0, Total{}
		var rate *big.Rat
		for i, e := range order {
			total.add(e)
			if rate == nil || total.rate().Cmp(rate) > 0 {
				best, rate = i+1, total.rate()
			}
		}
		cut = append(cut, order[:best])
		order = order[best:]
	}
	return cut
}

func total(entries []*Entry) (t Total) {
	for _, e := range entries {
		t.add(e)
	}
	return t
}

// allChunks returns the chunks of each cluster that one of the transactions
// belongs to.
func (w *twin) allChunks(of map[types.Hash]*Entry) [][][]*Entry {
	seen := map[types.Hash]bool{}
	var all [][][]*Entry
	for _, e := range of {
		if !seen[e.TxID] {
			cluster := w.cluster(e)
			for txid := range cluster {
				seen[txid] = true
			}
			all = append(all, chunks(w.order(cluster)))
		}
	}
	return all
}

// curve returns the fees that chunks bring in a room of a weight.
func curve(clusters [][][]*Entry, room int) *big.Rat {
	var totals []Total
	for _, c := range clusters {
		for _, chunk := range c {
			totals = append(totals, total(chunk))
		}
	}
	slices.SortFunc(totals, func(a, b Total) int { return b.rate().Cmp(a.rate()) })
	fees := new(big.Rat)
	for _, t := range totals {
		if room <= 0 {
			break
		}
		part := big.NewRat(int64(min(room, t.Weight)), 1)
		fees.Add(fees, part.Mul(part, t.rate()))
		room -= t.Weight
	}
	return fees
}

func corners(clusters [][][]*Entry) []int {
	var totals []Total
	for _, c := range clusters {
		for _, chunk := range c {
			totals = append(totals, total(chunk))
		}
	}
	slices.SortFunc(totals, func(a, b Total) int { return b.rate().Cmp(a.rate()) })
	var weights []int
	weight := 0
	for _, t := range totals {
		weight += t.Weight
		weights = append(weights, weight)
	}
	return weights
}

// accept is the verdict on a transaction; nil puts it in.
func (w *twin) accept(e *Entry, floor, relay, increment types.FeeRate) error {
	if w.txs[e.TxID] != nil {
		return ReasonInPool
	}
	fee, err := w.fee(e)
	if err != nil {
		return err
	}
	e.Fee = fee
	if fee < floor.Fee(e.VSize) {
		return ReasonMempoolMinFee
	}
	if fee < relay.Fee(e.VSize) {
		return ReasonMinRelayFee
	}
	gone, touched := map[types.Hash]*Entry{}, w.parents(e)
	direct := map[types.Hash]*Entry{}
	for _, other := range w.txs {
		for _, in := range other.Tx.Inputs {
			if slices.ContainsFunc(e.Tx.Inputs, func(mine types.TxIn) bool { return mine.PreviousOutPoint == in.PreviousOutPoint }) {
				direct[other.TxID] = other
				maps.Copy(gone, w.descendants(other))
			}
		}
	}
	for txid := range w.ancestors(e) {
		if direct[txid] != nil {
			return ReasonSpendsConflict
		}
	}
	if len(gone) > 0 && fee < sum(gone).Fees+increment.Fee(e.VSize) {
		return ReasonInsufficientFee
	}
	maps.Copy(touched, gone)
	for _, t := range maps.Clone(touched) {
		maps.Copy(touched, w.cluster(t))
	}
	after := w.without(gone)
	after.txs[e.TxID] = e
	if t := sum(after.cluster(e)); t.Count > 64 || t.VSize > 101_000 {
		return ReasonClusterTooLarge
	}
	if len(gone) > 0 {
		maps.DeleteFunc(touched, func(id types.Hash, _ *Entry) bool { return w.txs[id] == nil })
		before := w.allChunks(touched)
		maps.DeleteFunc(touched, func(id types.Hash, _ *Entry) bool { return gone[id] != nil })
		touched[e.TxID] = e
		then := after.allChunks(touched)
		better := false
		for _, room := range append(corners(before), corners(then)...) {
			switch curve(then, room).Cmp(curve(before, room)) {
			case -1:
				return ReasonNotImproved
			case 1:
				better = true
			}
		}
		if !better {
			return ReasonNotImproved
		}
	}
	w.txs = after.txs
	w.evict()
	if w.txs[e.TxID] == nil {
		return ReasonFull
	}
	return nil
}

// fee returns the fee of a transaction whose inputs are all there.
func (w *twin) fee(e *Entry) (types.Amount, error) {
	fee := types.Amount(0)
	premature, locked := false, false
	for _, in := range e.Tx.Inputs {
		height := w.height + 1
		if p := w.txs[in.PreviousOutPoint.TxID]; p != nil {
			fee += p.Tx.Outputs[in.PreviousOutPoint.Index].Value
		} else if coin, ok := w.coins[in.PreviousOutPoint]; ok {
			premature = premature || coin.IsCoinbase && w.height+1-coin.Height < maturity
			height = coin.Height
			fee += coin.Value
		} else {
			for i := range e.Tx.Outputs {
				if _, ok := w.coins[types.OutPoint{TxID: e.TxID, Index: uint32(i)}]; ok {
					return 0, ReasonConfirmed
				}
			}
			return 0, consensus.ReasonMissingInputs
		}
		if in.Sequence < 1<<16 && height+in.Sequence > w.height+1 {
			locked = true
		}
	}
	if premature {
		return 0, consensus.ReasonPrematureSpend
	}
	for _, out := range e.Tx.Outputs {
		fee -= out.Value
	}
	if locked {
		return 0, consensus.ReasonNonFinalSequence
	}
	return fee, nil
}

// evict throws away what pays worst until the rest fits.
func (w *twin) evict() {
	for {
		usage := 0
		for _, e := range w.txs {
			usage += e.usage()
		}
		if usage <= w.maxBytes {
			return
		}
		var worst []*Entry
		for _, cluster := range w.allChunks(w.txs) {
			last := cluster[len(cluster)-1]
			if worst != nil {
				d := total(last).rate().Cmp(total(worst).rate())
				a, b := last[len(last)-1].TxID, worst[len(worst)-1].TxID
				if d > 0 || d == 0 && slices.Compare(a[:], b[:]) > 0 {
					continue
				}
			}
			worst = last
		}
		for _, e := range worst {
			delete(w.txs, e.TxID)
		}
	}
}

// confirm removes what a block confirms and what conflicts with it.
func (w *twin) confirm(b *testBlock) {
	for i := 1; i < len(b.Block.Txs); i++ {
		delete(w.txs, b.TxIDs[i])
	}
	for i := 1; i < len(b.Block.Txs); i++ {
		for _, in := range b.Block.Txs[i].Inputs {
			for _, e := range maps.Clone(w.txs) {
				if slices.ContainsFunc(e.Tx.Inputs, func(other types.TxIn) bool { return other.PreviousOutPoint == in.PreviousOutPoint }) {
					w.txs = w.without(w.descendants(e)).txs
				}
			}
		}
	}
	w.coins, w.height = b.coins, b.height
}

// rebuild puts in what is valid of a list, in its order.
func (w *twin) rebuild(list []*Entry, tip *testBlock) {
	w.txs, w.coins, w.height = map[types.Hash]*Entry{}, tip.coins, tip.height
	for _, e := range list {
		fee, err := w.fee(e)
		if err != nil || w.txs[e.TxID] != nil {
			continue
		}
		copied := *e
		copied.Fee = fee
		w.txs[e.TxID] = &copied
	}
	w.evict()
}

// selection is Select, one cluster's next chunk after another.
func (w *twin) selection(room int) []types.Hash {
	queues := w.allChunks(w.txs)
	var selected []types.Hash
	for {
		best := -1
		for i, q := range queues {
			if len(q) == 0 {
				continue
			}
			if best >= 0 {
				d := total(q[0]).rate().Cmp(total(queues[best][0]).rate())
				a, b := q[0][0].TxID, queues[best][0][0].TxID
				if d < 0 || d == 0 && slices.Compare(a[:], b[:]) > 0 {
					continue
				}
			}
			best = i
		}
		if best < 0 {
			return selected
		}
		next := queues[best][0]
		if total(next).Weight > room {
			queues[best] = nil
			continue
		}
		room -= total(next).Weight
		queues[best] = queues[best][1:]
		for _, e := range next {
			selected = append(selected, e.TxID)
		}
	}
}

// model is the pool, its twin, and the dice.
type model struct {
	*harness
	twin   *twin
	random *rand.Rand
	pace   int         // the larger, the more happens between two blocks
	made   []*types.Tx // every transaction that was ever made
	blocks []*testBlock
	counts map[string]int
}

// TestModel rolls dice over everything that can happen to a pool, and compares it
// with its twin after each step.
func TestModel(t *testing.T) {
	seeds, steps := 24, 200
	if testing.Short() {
		seeds = 6
	}
	counts := map[string]int{}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &model{random: rand.New(rand.NewPCG(uint64(seed), 7)), counts: counts, pace: 30 + seed%4*70}
			maxBytes := 1 << 20
			if seed%3 == 1 {
				maxBytes = 25_000 // some twenty transactions
			}
			m.harness = newHarness(t, func(o *Options) { o.MaxBytes = maxBytes })
			m.blocks = []*testBlock{m.genesis}
			for range 4 {
				m.blocks = append(m.blocks, m.mine())
			}
			m.sync()
			m.twin = &twin{txs: map[types.Hash]*Entry{}, coins: m.tip.coins, height: m.tip.height, maxBytes: maxBytes}
			for range steps {
				m.step()
				m.compare()
			}
		})
	}
	t.Log(counts)
	if testing.Short() {
		return // too few to see everything
	}
	for _, kind := range []string{
		"accepted", "replaced", string(ReasonInsufficientFee), string(ReasonNotImproved), string(ReasonMinRelayFee),
		string(consensus.ReasonMissingInputs), string(ReasonInPool), string(ReasonMempoolMinFee), string(ReasonFull),
		"block", "reorganisation", "expiry", "eviction",
	} {
		if counts[kind] == 0 {
			t.Errorf("nothing of kind %q happened", kind)
		}
	}
}

func (m *model) step() {
	switch n := m.random.IntN(m.pace); {
	case n < 4:
		m.block()
	case n < 6:
		m.reorganise()
	case n == 6:
		m.pass()
	default:
		m.submit()
	}
}

// anyOutput names an output that a transaction may want to spend.
func (m *model) anyOutput() types.OutPoint {
	if len(m.twin.txs) > 0 && m.random.IntN(4) > 0 {
		entries := m.pool.Entries()
		e := entries[m.random.IntN(len(entries))]
		if m.random.IntN(6) == 0 { // what it spends itself: a conflict
			return e.Tx.Inputs[m.random.IntN(len(e.Tx.Inputs))].PreviousOutPoint
		}
		return types.OutPoint{TxID: e.TxID, Index: uint32(m.random.IntN(len(e.Tx.Outputs) - 1))}
	}
	var list []types.OutPoint
	for outPoint, coin := range m.tip.coins {
		immature := coin.IsCoinbase && m.tip.height+1-coin.Height < maturity
		if string(coin.ScriptPubKey()) == string(anchor) && (!immature || coin.Height%8 == 0) {
			list = append(list, outPoint)
		}
	}
	slices.SortFunc(list, compareOutPoints)
	return list[m.random.IntN(len(list))]
}

// submit gives the pool a transaction: a new one, seldom an old one.
func (m *model) submit() {
	var tx *types.Tx
	if len(m.made) > 0 && m.random.IntN(10) == 0 {
		tx = m.made[m.random.IntN(len(m.made))]
	} else {
		inputs := map[types.OutPoint]bool{}
		for range 1 + m.random.IntN(3) {
			inputs[m.anyOutput()] = true
		}
		list := slices.SortedFunc(maps.Keys(inputs), compareOutPoints)
		fee := types.Amount(m.random.IntN(40))
		if m.random.IntN(3) > 0 {
			fee *= types.Amount(1 + m.random.IntN(30))
		}
		tx = m.pay(fee, 1+m.random.IntN(3), list...)
		if m.random.IntN(8) == 0 {
			tx.Inputs[0].Sequence = uint32(m.random.IntN(3))
			m.note(tx)
		}
	}
	m.made = append(m.made, tx)
	before := len(m.twin.txs)
	e := &Entry{Tx: tx, Raw: tx.AppendTo(nil), TxID: tx.TxID(), WTxID: tx.WTxID(), Weight: tx.Weight(), VSize: tx.VirtualSize(), Time: m.now}
	m.pool.mu.Lock()
	floor, rate := m.pool.rollingMinimum(), m.pool.rolling.rate
	m.pool.mu.Unlock()
	want := m.twin.accept(e, floor, DefaultMinRelay, DefaultIncrementalRelay)
	trial, err := m.pool.Test(m.t.Context(), []*types.Tx{tx})
	if err != nil {
		m.t.Fatal(err)
	}
	_, got := m.pool.Accept(m.t.Context(), tx)
	if want == nil && got != nil || want != nil && !errors.Is(got, want) {
		m.t.Fatalf("Accept: %v, the twin says %v", got, want)
	}
	if trial[0].Err != nil != (got != nil) && want != ReasonFull {
		m.t.Fatalf("Test says %v, Accept %v", trial[0].Err, got)
	}
	kind := "accepted"
	if want != nil {
		kind = want.Error()
	} else if m.pool.rolling.rate > rate {
		kind = "eviction"
	} else if len(m.twin.txs) <= before {
		kind = "replaced"
	}
	m.counts[kind]++
}

// contents makes a list of transactions for a block: a selection, and some that
// the pool may never have seen.
func (m *model) contents(coins map[types.OutPoint]types.Coin, height uint32) []*types.Tx {
	w := &twin{txs: map[types.Hash]*Entry{}, coins: coins, height: height}
	var list []*types.Tx
	add := func(tx *types.Tx) {
		e := &Entry{Tx: tx, TxID: tx.TxID(), Weight: tx.Weight()}
		fee, err := w.fee(e)
		if err != nil || w.txs[e.TxID] != nil || fee < 0 {
			return
		}
		for _, other := range w.txs {
			for _, in := range other.Tx.Inputs {
				if slices.ContainsFunc(tx.Inputs, func(i types.TxIn) bool { return i.PreviousOutPoint == in.PreviousOutPoint }) {
					return
				}
			}
		}
		w.txs[e.TxID] = e
		list = append(list, tx)
	}
	selected, _ := m.pool.Select(m.random.IntN(12_000))
	for range m.random.IntN(3) {
		if len(m.made) > 0 {
			add(m.made[m.random.IntN(len(m.made))])
		}
	}
	for _, e := range selected {
		add(e.Tx)
	}
	return list
}

func (m *model) block() {
	room := m.random.IntN(20_000)
	selected, position := m.pool.Select(room)
	if position.Hash != m.tip.Hash {
		m.t.Fatalf("Select is for %s", position)
	}
	want := m.twin.selection(room)
	got := make([]types.Hash, len(selected))
	txs := make([]*types.Tx, len(selected))
	for i, e := range selected {
		got[i], txs[i] = e.TxID, e.Tx
	}
	if !slices.Equal(got, want) {
		m.t.Fatalf("Select gives %d transactions, the twin %d, or others", len(got), len(want))
	}
	if m.random.IntN(2) == 0 {
		txs = m.contents(m.tip.coins, m.tip.height)
	}
	m.blocks = append(m.blocks, m.mine(txs...))
	m.sync()
	m.twin.confirm(m.tip)
	m.counts["block"]++
}

func (m *model) reorganise() {
	depth := 1 + m.random.IntN(3)
	if len(m.blocks) <= depth {
		return
	}
	list := m.pool.Entries()
	kept, undone := m.blocks[:len(m.blocks)-depth], m.blocks[len(m.blocks)-depth:]
	branch := []*testBlock{}
	parent := kept[len(kept)-1]
	for range depth + 1 {
		parent = m.build(parent, m.contents(parent.coins, parent.height)...)
		branch = append(branch, parent)
	}
	m.blocks = append(slices.Clone(kept), branch...)
	for _, b := range branch {
		if err := m.chain.AddBlock(m.t.Context(), b.Raw); err != nil {
			m.t.Fatal(err)
		}
	}
	m.tip = parent
	m.sync()
	var returned []*Entry
	for _, b := range undone {
		for i := 1; i < len(b.Block.Txs); i++ {
			tx := &b.Block.Txs[i]
			returned = append(returned, &Entry{Tx: tx, Raw: tx.AppendTo(nil), TxID: b.TxIDs[i], Weight: tx.Weight(), VSize: tx.VirtualSize(), Time: m.now})
		}
	}
	m.twin.rebuild(append(returned, list...), m.tip)
	m.counts["reorganisation"]++
}

// pass lets time go by.
func (m *model) pass() {
	m.now = m.now.Add(time.Duration(m.random.IntN(400)) * time.Hour)
	m.pool.expire()
	limit := m.now.Add(-DefaultExpiry)
	for _, e := range maps.Clone(m.twin.txs) {
		if m.twin.txs[e.TxID] != nil && e.Time.Before(limit) {
			for txid := range m.twin.descendants(e) {
				delete(m.twin.txs, txid)
			}
			m.counts["expiry"]++
		}
	}
}

// compare compares everything that can be asked.
func (m *model) compare() {

	m.t.Helper()
	checkGraph(m.t, m.pool)
	entries := m.pool.Entries()
	if len(entries) != len(m.twin.txs) {
		m.t.Fatalf("the pool has %d transactions, the twin %d", len(entries), len(m.twin.txs))
	}
	for _, d := range m.pool.AllDetails() {
		e := m.twin.txs[d.TxID]
		if e == nil || d.Fee != e.Fee || !d.Time.Equal(e.Time) {
			m.t.Fatalf("%s is not in the twin, or not so", d.TxID)
		}
		if d.Ancestors != sum(m.twin.ancestors(e)) || d.Descendants != sum(m.twin.descendants(e)) {
			m.t.Fatalf("%s has relatives %+v and %+v", d.TxID, d.Ancestors, d.Descendants)
		}
		if len(d.Depends) != len(m.twin.parents(e)) || len(m.pool.Ancestors(d.TxID)) != d.Ancestors.Count-1 || len(m.pool.Descendants(d.TxID)) != d.Descendants.Count-1 {
			m.t.Fatalf("%s depends on %d", d.TxID, len(d.Depends))
		}
	}
	seen := map[types.Hash]bool{}
	for _, e := range m.twin.txs {
		if seen[e.TxID] {
			continue
		}
		cut := chunks(m.twin.order(m.twin.cluster(e)))
		for _, part := range cut {
			for _, member := range part {
				seen[member.TxID] = true
				if d, _ := m.pool.Details(member.TxID); d.Chunk != total(part) {
					m.t.Fatalf("%s is in chunk %+v, the twin says %+v", member.TxID, d.Chunk, total(part))
				}
			}
		}
		got := entriesOf(m.pool.graph.byTxID[e.TxID].cluster.nodes)
		if want := slices.Concat(cut...); !slices.EqualFunc(got, want, func(a, b *Entry) bool { return a.TxID == b.TxID }) {
			m.t.Fatal("a cluster is in another order than the twin's")
		}
	}
}
