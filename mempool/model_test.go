package mempool

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// model is the pool, its twin, and the dice.
type model struct {
	*harness
	twin   *twin
	random *rand.Rand
	pace   int         // the larger, the more happens between two blocks
	made   []*types.Tx // every transaction that was ever made
	blocks []*chaintest.Block
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
			policy := modelPolicy(seed)
			m.harness = newHarness(t, func(o *Options) { o.Policy = policy })
			m.blocks = []*chaintest.Block{m.Genesis}
			for range 4 {
				m.blocks = append(m.blocks, m.mine())
			}
			m.sync()
			m.twin = &twin{txs: map[types.Hash]*pending.Entry{}, deltas: map[types.Hash]types.Amount{}, coins: m.tip.Coins, height: m.tip.Height, policy: policy}
			told := told{txs: map[types.Hash]bool{}}
			for range steps {
				m.step()
				m.compare()
				told.follow(t, m.pool, m.counts)
			}
		})
	}
	t.Log(counts)
	if testing.Short() {
		return // too few to see everything
	}
	for _, kind := range []string{
		"accepted", "replaced", string(pending.ReasonInsufficientFee), string(pending.ReasonNotImproved), string(pending.ReasonMinRelayFee),
		string(consensus.ReasonMissingInputs), string(ReasonInPool), string(pending.ReasonMempoolMinFee), string(pending.ReasonFull),
		"block", "reorganisation", "expiry", "eviction", "priority", "negative",
		string(ReasonTRUC), string(pending.ReasonInsufficientSiblingFee), "a sibling left",
		"package", "package, replaced", "package, evicted or there", "package: " + string(pending.ReasonMinRelayFee),
		"package: " + string(ReasonPackageNotPair), "package: " + string(ReasonPackageAncestors), "package: " + string(ReasonPackageInsufficientFee),
		"package: " + string(ReasonTRUC),
		"left: block", "left: conflict", "left: expiry", "left: reorg", "left: replaced", "left: sizelimit",
		string(ReasonDust), string(ReasonEphemeralDust), string(ReasonClusterTooLarge), "package: " + string(ReasonEphemeralDust), "package: " + string(ReasonUnspentDust),
	} {
		if counts[kind] == 0 {
			t.Errorf("nothing of kind %q happened", kind)
		}
	}
}

// modelPolicy is what the operator of a model has set.
func modelPolicy(seed int) pending.Policy {
	policy := DefaultPolicy()
	policy.MaxBytes = 1 << 20
	if seed%3 == 1 {
		policy.MaxBytes = 10_000 // some eight transactions
	}
	switch seed % 5 {
	case 1:
		policy.MinRelay = 0
	case 2:
		policy.MaxClusterCount = 3
	case 3:
		policy.IncrementalRelay = 0
	case 4:
		policy.MinRelay, policy.IncrementalRelay = 0, 3000
	}
	return policy
}

func (m *model) step() {
	switch n := m.random.IntN(m.pace); {
	case n < 4:
		m.block()
	case n < 6:
		m.reorganise()
	case n == 6:
		m.pass()
	case n == 7:
		m.prioritise()
	case m.random.IntN(4) == 0:
		m.submitPackage()
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
	for outPoint, coin := range m.tip.Coins {
		immature := coin.IsCoinbase && m.tip.Height+1-coin.Height < maturity
		if string(coin.ScriptPubKey()) == string(chaintest.Anchor) && (!immature || coin.Height%8 == 0) {
			list = append(list, outPoint)
		}
	}
	slices.SortFunc(list, chaintest.CompareOutPoints)
	return list[m.random.IntN(len(list))]
}

// submit gives the pool a transaction: a new one, seldom an old one.
func (m *model) submit() {
	var tx *types.Tx
	if len(m.made) > 0 && m.random.IntN(10) == 0 {
		tx = m.made[m.random.IntN(len(m.made))]
	} else {
		inputs := map[types.OutPoint]bool{}
		for want, value := 1+m.random.IntN(3), types.Amount(0); want > 0 || value < 10_000; want-- {
			outPoint := m.anyOutput()
			inputs[outPoint] = true
			value += m.Outputs[outPoint].Value // of dust alone nothing can be paid
		}
		list := slices.SortedFunc(maps.Keys(inputs), chaintest.CompareOutPoints)
		tx = m.Pay(m.fee(), 1+m.random.IntN(3), list...)
		if m.random.IntN(8) == 0 {
			tx.Inputs[0].Sequence = uint32(m.random.IntN(3))
			m.Note(tx)
		}
		m.setVersion(tx)
	}
	m.made = append(m.made, tx)
	m.give(tx)
}

// setVersion rolls the version of a transaction: mostly that of what it spends. One of
// version 3 may be too large for a child.
func (m *model) setVersion(tx *types.Tx, parents ...*types.Tx) {
	version := uint32(2 + m.random.IntN(3)/2)
	if m.random.IntN(8) > 0 {
		for _, in := range tx.Inputs {
			if e := m.twin.txs[in.PreviousOutPoint.TxID]; e != nil {
				version = e.Tx.Version
			}
		}
		for _, parent := range parents {
			version = parent.Version
		}
	}
	tx.Version = version
	if version == TRUCVersion && m.random.IntN(12) == 0 {
		size := 900 + m.random.IntN(80)
		if m.random.IntN(3) == 0 {
			size = MaxTRUCVSize - 100*m.random.IntN(3)
		}
		data := &tx.Outputs[len(tx.Outputs)-1]
		data.ScriptPubKey = append(dataScript(size), data.ScriptPubKey[1:]...)
	}
	m.Note(tx)
}

// give gives the pool a transaction by itself.
func (m *model) give(tx *types.Tx) {
	before := len(m.twin.txs)
	floor, rate := m.floor(), m.pool.rolling.rate
	sibling, _ := m.twin.truc([]*pending.Entry{m.entry(tx)})
	want := m.twin.accept(m.entry(tx), floor)
	trial, err := m.pool.Try(m.t.Context(), []*types.Tx{tx})
	if err != nil {
		m.t.Fatal(err)
	}
	_, got := m.pool.Accept(m.t.Context(), tx, 0)
	if m.random.IntN(2) == 0 {
		m.pool.MarkUnbroadcast(tx.TxID())
	}
	if want == nil && got != nil || want != nil && !errors.Is(got, want) {
		m.t.Fatalf("Accept: %v, the twin says %v", got, want)
	}
	if trial[0].Err != nil != (got != nil) && want != pending.ReasonFull {
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
	if got == nil && sibling != nil && m.twin.txs[sibling.TxID] == nil {
		m.counts["a sibling left"]++
	}
}

// fee rolls a fee, often too small.
func (m *model) fee() types.Amount {
	fee := types.Amount(m.random.IntN(40))
	if m.random.IntN(3) > 0 {
		fee *= types.Amount(1 + m.random.IntN(30))
	}
	return fee
}

// makeDust gives a transaction a second output, which is dust or almost, and mostly takes
// its fee.
func (m *model) makeDust(tx *types.Tx) {
	paid := tx.Outputs[0].Value
	if len(tx.Outputs) > 2 {
		paid += tx.Outputs[1].Value
	}
	for _, in := range tx.Inputs {
		paid -= m.Outputs[in.PreviousOutPoint].Value
	}
	if m.random.IntN(8) > 0 {
		tx.Outputs[0].Value -= paid // which is less than 0
	}
	value := types.Amount(m.random.IntN(250))
	if len(tx.Outputs) > 2 {
		tx.Outputs[0].Value += tx.Outputs[1].Value - value
		tx.Outputs[1].Value = value
		return
	}
	tx.Outputs[0].Value -= value
	tx.Outputs = slices.Insert(tx.Outputs, 1, types.TxOut{Value: value, ScriptPubKey: chaintest.Anchor})
}

// submitPackage gives the pool a child and one or more parents, which are mostly too
// cheap. Some are in the pool already.
func (m *model) submitPackage() {
	spent := map[types.OutPoint]bool{}
	input := func() (list []types.OutPoint) {
		if outPoint := m.anyOutput(); !spent[outPoint] && m.Outputs[outPoint].Value >= 10_000 {
			spent[outPoint] = true
			list = append(list, outPoint)
		}
		return list
	}
	var txs []*types.Tx
	var from []types.OutPoint
	for range 1 + m.random.IntN(5)/3 {
		tx := m.Pay(types.Amount(m.random.IntN(20)), 1+m.random.IntN(2), input()...)
		if len(tx.Inputs) == 0 {
			return
		}
		dust := m.random.IntN(4) == 0
		if dust {
			m.makeDust(tx)
		}
		m.setVersion(tx)
		txs = append(txs, tx)
		from = append(from, chaintest.Output(tx, 0))
		spent[from[len(from)-1]] = true
		if dust && m.random.IntN(4) > 0 {
			from = append(from, chaintest.Output(tx, 1))
		}
		if m.random.IntN(6) == 0 {
			m.give(tx)
		}
	}
	if m.random.IntN(3) == 0 {
		from = append(from, input()...)
	}
	child := m.Pay(m.fee(), 1, from...)
	m.setVersion(child, txs...)
	txs = append(txs, child)
	m.made = append(m.made, txs...)
	var list []*pending.Entry
	for _, tx := range txs {
		list = append(list, m.entry(tx))
	}
	before := len(m.twin.txs)
	floor := m.floor()
	m.twin.raised = 0
	want := m.twin.acceptPackage(list, func() types.FeeRate { return max(floor, m.twin.raised) })
	result, got := m.pool.AcceptPackage(m.t.Context(), txs, 0)
	if want == nil && got != nil || want != nil && !errors.Is(got, want) {
		m.t.Fatalf("AcceptPackage: %v, the twin says %v", got, want)
	}
	for i, v := range result.Verdicts {
		if v.Entry != nil && v.Entry.TxID != list[i].TxID || (v.Entry != nil) != (m.twin.txs[list[i].TxID] != nil) || (v.Err != nil) != (v.Entry == nil) {
			m.t.Fatalf("verdict %d is %+v", i, v)
		}
	}
	kind := "package"
	if want != nil {
		kind += ": " + want.Error()
	} else if len(result.Replaced) > 0 {
		kind += ", replaced"
	} else if len(m.twin.txs) < before+len(txs) {
		kind += ", evicted or there"
	}
	m.counts[kind]++
}

func (m *model) entry(tx *types.Tx) *pending.Entry {
	return &pending.Entry{Tx: tx, Raw: tx.AppendTo(nil), TxID: tx.TxID(), WTxID: tx.WTxID(), Weight: tx.Weight(), VSize: tx.VirtualSize(), Time: m.now}
}

// floor is what a full pool asks for.
func (m *model) floor() types.FeeRate {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	return m.pool.rollingMinimum()
}

// contents makes a list of transactions for a block: a selection, and some that
// the pool may never have seen.
func (m *model) contents(coins map[types.OutPoint]types.Coin, height uint32) []*types.Tx {
	w := &twin{txs: map[types.Hash]*pending.Entry{}, coins: coins, height: height}
	var list []*types.Tx
	add := func(tx *types.Tx) {
		e := &pending.Entry{Tx: tx, TxID: tx.TxID(), Weight: tx.Weight()}
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
	selected, _ := m.pool.Select(pending.Selection{MaxWeight: m.random.IntN(12_000)})
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
	selected, position := m.pool.Select(pending.Selection{MaxWeight: room})
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
		txs = m.contents(m.tip.Coins, m.tip.Height)
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
	branch := []*chaintest.Block{}
	parent := kept[len(kept)-1]
	for range depth + 1 {
		parent = m.Block("", parent, m.contents(parent.Coins, parent.Height)...)
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
	var returned []*pending.Entry
	for _, b := range undone {
		for i := 1; i < len(b.Block.Txs); i++ {
			tx := &b.Block.Txs[i]
			returned = append(returned, &pending.Entry{Tx: tx, Raw: tx.AppendTo(nil), TxID: b.TxIDs[i], Weight: tx.Weight(), VSize: tx.VirtualSize(), Time: m.now})
		}
	}
	for _, b := range branch {
		for _, txid := range b.TxIDs {
			delete(m.twin.deltas, txid)
		}
	}
	m.twin.rebuild(append(returned, list...), m.tip)
	m.counts["reorganisation"]++
}

// prioritise gives any transaction that was ever made a delta, also a huge one.
func (m *model) prioritise() {
	if len(m.made) == 0 {
		return
	}
	txid := m.made[len(m.made)-1-m.random.IntN(min(len(m.made), 8))].TxID()
	delta := types.Amount(m.random.IntN(1201) - 600)
	if m.random.IntN(8) == 0 {
		delta *= 1 << 53
	}
	m.pool.Prioritise(txid, delta)
	sum := new(big.Int).Add(big.NewInt(int64(m.twin.deltas[txid])), big.NewInt(int64(delta)))
	if sum.IsInt64() {
		m.twin.deltas[txid] = types.Amount(sum.Int64())
	} else {
		m.twin.deltas[txid] = types.Amount(uint64(math.MaxInt64 + (1-sum.Sign())/2))
	}
	if e := m.twin.txs[txid]; e != nil {
		copied := *e
		copied.Fee = m.twin.modified(m.pool.Get(txid).Fee, txid)
		m.twin.txs[txid] = &copied
		m.counts["priority"]++
		if copied.Fee < 0 {
			m.counts["negative"]++
		}
	}
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
	for _, d := range m.pool.Prioritised() {
		if m.twin.deltas[d.TxID] != d.Delta || d.InPool != (m.twin.txs[d.TxID] != nil) || d.InPool && d.Modified != m.twin.txs[d.TxID].Fee {
			m.t.Fatalf("a delta is %+v, the twin says %d", d, m.twin.deltas[d.TxID])
		}
	}
	maps.DeleteFunc(m.twin.deltas, func(_ types.Hash, delta types.Amount) bool { return delta == 0 })
	if len(m.twin.deltas) != len(m.pool.Prioritised()) {
		m.t.Fatalf("%d deltas, the twin has %d", len(m.pool.Prioritised()), len(m.twin.deltas))
	}
	entries := m.pool.Entries()
	if len(entries) != len(m.twin.txs) {
		m.t.Fatalf("the pool has %d transactions, the twin %d", len(entries), len(m.twin.txs))
	}
	for _, e := range m.pool.Entries() {
		d, _ := m.pool.Details(e.TxID)
		e = m.twin.txs[d.TxID]
		if e == nil || d.Modified != e.Fee || !d.Time.Equal(e.Time) {
			m.t.Fatalf("%s is not in the twin, or not so", d.TxID)
		}
		if d.Ancestors.Total != sum(m.twin.ancestors(e)) || d.Descendants.Total != sum(m.twin.descendants(e)) {
			m.t.Fatalf("%s has relatives %+v and %+v", d.TxID, d.Ancestors, d.Descendants)
		}
		if len(d.Depends) != len(m.twin.parents(e)) || len(d.Ancestors.TxIDs) != d.Ancestors.Count-1 || len(d.Descendants.TxIDs) != d.Descendants.Count-1 {
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
		if want := slices.Concat(cut...); !slices.EqualFunc(got, want, func(a, b *pending.Entry) bool { return a.TxID == b.TxID }) {
			m.t.Fatal("a cluster is in another order than the twin's")
		}
	}
}
