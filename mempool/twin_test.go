package mempool

import (
	"maps"
	"math"
	"math/big"
	"slices"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// twin is a pool as one would write it on a blackboard: a map of transactions,
// and everything that is asked is computed from nothing.
type twin struct {
	txs    map[types.Hash]*pending.Entry
	deltas map[types.Hash]types.Amount // of fees; the fees of the twin's entries have them
	coins  map[types.OutPoint]types.Coin
	height uint32 // of the tip
	policy pending.Policy
	raised types.FeeRate    // what must be paid after what was evicted
	early  []*pending.Entry // of a package that is coming in; nil: none is
}

func (w *twin) parents(e *pending.Entry) map[types.Hash]*pending.Entry {
	parents := map[types.Hash]*pending.Entry{}
	for _, in := range e.Tx.Inputs {
		if p := w.txs[in.PreviousOutPoint.TxID]; p != nil {
			parents[p.TxID] = p
		}
	}
	return parents
}

// ancestors includes the transaction itself.
func (w *twin) ancestors(e *pending.Entry) map[types.Hash]*pending.Entry {
	all := map[types.Hash]*pending.Entry{e.TxID: e}
	for _, p := range w.parents(e) {
		maps.Copy(all, w.ancestors(p))
	}
	return all
}

// descendants includes the transaction itself.
func (w *twin) descendants(e *pending.Entry) map[types.Hash]*pending.Entry {
	all := map[types.Hash]*pending.Entry{}
	for _, other := range w.txs {
		if w.ancestors(other)[e.TxID] != nil {
			all[other.TxID] = other
		}
	}
	return all
}

func (w *twin) without(gone map[types.Hash]*pending.Entry) *twin {
	rest := &twin{txs: maps.Clone(w.txs), deltas: w.deltas, coins: w.coins, height: w.height, policy: w.policy}
	for txid := range gone {
		delete(rest.txs, txid)
	}
	return rest
}

// cluster returns the transactions that are connected with one.
func (w *twin) cluster(e *pending.Entry) map[types.Hash]*pending.Entry {
	found := map[types.Hash]*pending.Entry{e.TxID: e}
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
func sum(set map[types.Hash]*pending.Entry) (t pending.Total) {
	for _, e := range set {
		t.Add(e)
	}
	return t
}

func rateOf(t pending.Total) *big.Rat { return big.NewRat(int64(t.Fees), int64(t.Weight)) }

// order is the linearization: the best set of a transaction and its ancestors
// that are left, again and again.
func (w *twin) order(cluster map[types.Hash]*pending.Entry) []*pending.Entry {
	left := maps.Clone(cluster)
	var order []*pending.Entry
	for len(left) > 0 {
		var best map[types.Hash]*pending.Entry
		var bestID types.Hash
		for txid, e := range left {
			set := w.ancestors(e)
			maps.DeleteFunc(set, func(id types.Hash, _ *pending.Entry) bool { return left[id] == nil })
			if best == nil {
				best, bestID = set, txid
				continue
			}
			switch d := rateOf(sum(set)).Cmp(rateOf(sum(best))); {
			case d > 0,
				d == 0 && sum(set).Weight < sum(best).Weight,
				d == 0 && sum(set).Weight == sum(best).Weight && slices.Compare(txid[:], bestID[:]) < 0:
				best, bestID = set, txid
			}
		}
		part := slices.Collect(maps.Values(best))
		slices.SortFunc(part, func(a, b *pending.Entry) int {
			if d := len(w.ancestors(a)) - len(w.ancestors(b)); d != 0 {
				return d
			}
			return slices.Compare(a.TxID[:], b.TxID[:])
		})
		order = append(order, part...)
		maps.DeleteFunc(left, func(id types.Hash, _ *pending.Entry) bool { return best[id] != nil })
	}
	return order
}

// chunks cuts an order: again and again the beginning with the best feerate.
func chunks(order []*pending.Entry) [][]*pending.Entry {
	var cut [][]*pending.Entry
	for len(order) > 0 {
		best, total := 0, pending.Total{}
		var rate *big.Rat
		for i, e := range order {
			total.Add(e)
			if rate == nil || rateOf(total).Cmp(rate) > 0 {
				best, rate = i+1, rateOf(total)
			}
		}
		cut = append(cut, order[:best])
		order = order[best:]
	}
	return cut
}

func total(entries []*pending.Entry) (t pending.Total) {
	for _, e := range entries {
		t.Add(e)
	}
	return t
}

// allChunks returns the chunks of each cluster that one of the transactions
// belongs to.
func (w *twin) allChunks(of map[types.Hash]*pending.Entry) [][][]*pending.Entry {
	seen := map[types.Hash]bool{}
	var all [][][]*pending.Entry
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
func curve(clusters [][][]*pending.Entry, room int) *big.Rat {
	var totals []pending.Total
	for _, c := range clusters {
		for _, chunk := range c {
			totals = append(totals, total(chunk))
		}
	}
	slices.SortFunc(totals, func(a, b pending.Total) int { return rateOf(b).Cmp(rateOf(a)) })
	fees := new(big.Rat)
	for _, t := range totals {
		if room <= 0 {
			break
		}
		part := big.NewRat(int64(min(room, t.Weight)), 1)
		fees.Add(fees, part.Mul(part, rateOf(t)))
		room -= t.Weight
	}
	return fees
}

func corners(clusters [][][]*pending.Entry) []int {
	var totals []pending.Total
	for _, c := range clusters {
		for _, chunk := range c {
			totals = append(totals, total(chunk))
		}
	}
	slices.SortFunc(totals, func(a, b pending.Total) int { return rateOf(b).Cmp(rateOf(a)) })
	var weights []int
	weight := 0
	for _, t := range totals {
		weight += t.Weight
		weights = append(weights, weight)
	}
	return weights
}

// evict throws away what pays worst until the rest fits.
func (w *twin) evict() {
	for {
		usage := 0
		for _, e := range w.txs {
			usage += usageOf(e)
		}
		if usage <= w.policy.MaxBytes {
			return
		}
		ranking := w.ranking()
		worst := ranking[len(ranking)-1]
		for _, e := range worst {
			delete(w.txs, e.TxID)
		}
		t := total(worst)
		w.raised = max(w.raised, types.NewFeeRate(t.Fees, (t.Weight+3)/4)+w.policy.IncrementalRelay)
	}
}

// modified returns what a fee counts for.
func (w *twin) modified(fee types.Amount, txid types.Hash) types.Amount {
	delta := w.deltas[txid]
	if delta > 1e15 || delta < -1e15 {
		delta = delta / 4 // no matter how far out
	}
	return min(max(fee+delta, -1e15), 1e15)
}

// confirm removes what a block confirms and what conflicts with it.
func (w *twin) confirm(b *chaintest.Block) {
	for i := 1; i < len(b.Block.Txs); i++ {
		delete(w.txs, b.TxIDs[i])
		delete(w.deltas, b.TxIDs[i])
	}
	before := maps.Clone(w.txs)
	for i := 1; i < len(b.Block.Txs); i++ {
		for _, in := range b.Block.Txs[i].Inputs {
			for _, e := range before {
				if slices.ContainsFunc(e.Tx.Inputs, func(other types.TxIn) bool { return other.PreviousOutPoint == in.PreviousOutPoint }) {
					delete(w.deltas, e.TxID)
					w.txs = w.without(w.descendants(e)).txs
				}
			}
		}
	}
	w.coins, w.height = b.Coins, b.Height
}

// rebuild puts in what is valid of a list, in its order.
func (w *twin) rebuild(list []*pending.Entry, tip *chaintest.Block) {
	w.txs, w.coins, w.height = map[types.Hash]*pending.Entry{}, tip.Coins, tip.Height
	for _, e := range list {
		fee, err := w.fee(e)
		if err != nil || w.txs[e.TxID] != nil {
			continue
		}
		copied := *e
		copied.Fee = w.modified(fee, e.TxID)
		if hasDust(e) && (fee != 0 || copied.Fee != 0) {
			continue
		}
		w.txs[e.TxID] = &copied
		if len(w.cluster(&copied)) > w.policy.MaxClusterCount {
			delete(w.txs, e.TxID)
		}
	}
	w.evict()
}

// selection is Select.
func (w *twin) selection(room int) (selected []types.Hash) {
	for _, part := range w.taken(room) {
		if total(part).Fees < 0 {
			break
		}
		for _, e := range part {
			selected = append(selected, e.TxID)
		}
	}
	return selected
}

// ranking is all chunks, those first that a miner would take first.
func (w *twin) ranking() [][]*pending.Entry { return w.taken(math.MaxInt) }

// taken is the chunks that have room, one cluster's next chunk after another.
func (w *twin) taken(room int) (taken [][]*pending.Entry) {
	queues := w.allChunks(w.txs)
	for {
		best := -1
		for i, q := range queues {
			if len(q) == 0 {
				continue
			}
			if best >= 0 {
				d := rateOf(total(q[0])).Cmp(rateOf(total(queues[best][0])))
				a, b := q[0][0].TxID, queues[best][0][0].TxID
				if d < 0 || d == 0 && slices.Compare(a[:], b[:]) > 0 {
					continue
				}
			}
			best = i
		}
		if best < 0 {
			return taken
		}
		next := queues[best][0]
		if total(next).Weight > room {
			queues[best] = nil
			continue
		}
		room -= total(next).Weight
		queues[best] = queues[best][1:]
		taken = append(taken, next)
	}
}
