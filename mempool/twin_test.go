package mempool

import (
	"maps"
	"math"
	"math/big"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
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

// accept is the verdict on a transaction; nil puts it in.
func (w *twin) accept(e *pending.Entry, floor types.FeeRate) error {
	return w.acceptAll([]*pending.Entry{e}, floor)
}

// acceptPackage is the verdict on a child with its parents, each tried alone, and those
// that need it together.
func (w *twin) acceptPackage(list []*pending.Entry, floor func() types.FeeRate) error {
	var together []*pending.Entry
	var first, fault error
	w.early = []*pending.Entry{}
	for _, e := range list {
		if w.txs[e.TxID] != nil {
			continue
		}
		err := w.accept(e, floor())
		switch {
		case err == nil:
			w.early = append(w.early, e)
		case err == consensus.ReasonMissingInputs || pending.Reconsiderable(&consensus.RuleError{Kind: consensus.ErrPolicy, Reason: err.(consensus.Reason)}):
			together = append(together, e)
			if first == nil {
				first = err
			}
		case fault == nil:
			fault = err
		}
	}
	switch {
	case fault != nil:
	case len(together) > 1:
		fault = w.acceptAll(together, floor())
	default:
		fault = first
	}
	w.early = nil
	w.evict()
	for _, e := range list {
		if fault == nil && w.txs[e.TxID] == nil {
			return pending.ReasonFull // it had to make room for one that came later
		}
	}
	return fault
}

// acceptAll is the verdict on transactions that come in together, the child last; nil
// puts them in.
func (w *twin) acceptAll(list []*pending.Entry, floor types.FeeRate) error {
	with := w.without(nil)
	var fault error
	for _, e := range list {
		if w.txs[e.TxID] != nil {
			return ReasonInPool
		}
		fee, err := with.fee(e)
		if err == consensus.ReasonMissingInputs || err == pending.ReasonConfirmed {
			return err // of all of them, before anything else is looked at
		}
		if fault == nil {
			fault = err
		}
		e.Fee = w.modified(fee, e.TxID)
		with.txs[e.TxID] = e
		if fault == nil && hasDust(e) && (fee != 0 || e.Fee != 0) {
			fault = ReasonDust
		}
	}
	if fault != nil {
		return fault
	}
	all := total(list)
	switch {
	case floor > 0 && all.Fees < floor.Fee(all.VSize):
		fault = pending.ReasonMempoolMinFee
	case all.Fees < w.policy.MinRelay.Fee(all.VSize):
		fault = pending.ReasonMinRelayFee
	}
	if len(list) == 1 && fault != nil {
		return fault
	}
	sibling, ok := w.truc(list)
	if !ok {
		return ReasonTRUC
	}
	if fault != nil {
		return fault
	}
	return w.replace(list, sibling)
}

// conflicts returns what spends the same as a transaction.
func (w *twin) conflicts(e *pending.Entry) map[types.Hash]*pending.Entry {
	direct := map[types.Hash]*pending.Entry{}
	for _, other := range w.txs {
		for _, in := range other.Tx.Inputs {
			if slices.ContainsFunc(e.Tx.Inputs, func(mine types.TxIn) bool { return mine.PreviousOutPoint == in.PreviousOutPoint }) {
				direct[other.TxID] = other
			}
		}
	}
	return direct
}

// truc tells whether BIP431 allows transactions to come in together, in the words of the
// BIP: a family is two of version 3. If one that comes alone would be the second child,
// the first is named.
func (w *twin) truc(list []*pending.Entry) (sibling *pending.Entry, ok bool) {
	all := w.without(nil) // nothing has left yet
	for _, e := range list {
		all.txs[e.TxID] = e
	}
	for _, e := range list {
		parents := all.parents(e)
		for _, parent := range parents {
			if (parent.Tx.Version == 3) != (e.Tx.Version == 3) {
				return nil, false
			}
		}
		switch {
		case e.Tx.Version != 3:
			continue
		case e.VSize > 10_000, len(all.ancestors(e)) > 2, len(parents) > 0 && e.VSize > 1000:
			return nil, false
		}
		for _, parent := range parents {
			var others []*pending.Entry
			replaced := false
			for _, d := range all.descendants(parent) {
				if d != parent && d != e {
					others = append(others, d)
					replaced = replaced || w.conflicts(e)[d.TxID] != nil
				}
			}
			switch {
			case len(others) == 0 || replaced && len(list) == 1:
			case len(others) == 1 && len(all.ancestors(others[0])) == 2 && len(list) == 1:
				sibling = others[0]
			default:
				return nil, false
			}
		}
	}
	return sibling, true
}

// replace is the rest of acceptAll.
func (w *twin) replace(list []*pending.Entry, sibling *pending.Entry) error {
	gone, touched, direct, own := map[types.Hash]*pending.Entry{}, map[types.Hash]*pending.Entry{}, map[types.Hash]*pending.Entry{}, pending.Total{}
	pair, related := len(list) == 2, false
	for _, e := range list {
		own.Add(e)
		maps.Copy(touched, w.parents(e))
		related = related || len(w.parents(e)) > 0
		maps.Copy(direct, w.conflicts(e))
	}
	poor := pending.ReasonInsufficientFee
	if sibling != nil {
		direct[sibling.TxID] = sibling
		poor = pending.ReasonInsufficientSiblingFee
	}
	for _, other := range direct {
		maps.Copy(gone, w.descendants(other))
	}
	if len(gone) > 0 && len(list) > 1 {
		poor = ReasonPackageInsufficientFee
		if !pair {
			return ReasonPackageNotPair
		}
		if related {
			return ReasonPackageAncestors
		}
	}
	if len(gone) > 0 && own.Fees < sum(gone).Fees+w.policy.IncrementalRelay.Fee(own.VSize) {
		return poor
	}
	if len(gone) > 0 && pair {
		first := list[0]
		if big.NewRat(int64(own.Fees), int64(own.VSize)).Cmp(big.NewRat(int64(first.Fee), int64(first.VSize))) <= 0 {
			return ReasonPackageParentRate
		}
	}
	for _, e := range list {
		for txid := range w.ancestors(e) {
			if direct[txid] != nil {
				return ReasonSpendsConflict
			}
		}
	}
	maps.Copy(touched, gone)
	for _, t := range maps.Clone(touched) {
		maps.Copy(touched, w.cluster(t))
	}
	after := w.without(gone)
	for _, e := range list {
		after.txs[e.TxID] = e
	}
	for _, e := range list {
		if t := sum(after.cluster(e)); t.Count > w.policy.MaxClusterCount || t.Weight > 404_000 {
			return ReasonClusterTooLarge
		}
	}
	if len(gone) > 0 && !w.improves(after, touched, gone, list) {
		if len(list) > 1 {
			return ReasonPackageNotImproved
		}
		return pending.ReasonNotImproved
	}
	for _, e := range list {
		if after.leavesDust(e) {
			if len(list) > 1 {
				return ReasonUnspentDust
			}
			return ReasonEphemeralDust
		}
	}
	trial := after.without(nil)
	if len(list) == 1 {
		trial.policy.MaxBytes += w.spare()
	}
	trial.evict()
	for _, e := range list {
		if trial.txs[e.TxID] == nil {
			return pending.ReasonFull
		}
	}
	w.txs = after.txs
	if w.early == nil {
		w.evict()
	}
	return nil
}

// hasDust tells whether a transaction has an output to an anchor that is dust.
func hasDust(e *pending.Entry) bool {
	return slices.ContainsFunc(e.Tx.Outputs, func(out types.TxOut) bool {
		return string(out.ScriptPubKey) == string(chaintest.Anchor) && out.Value < 240
	})
}

// leavesDust tells whether a transaction spends one with dust, and leaves that.
func (w *twin) leavesDust(e *pending.Entry) bool {
	for _, parent := range w.parents(e) {
		for i, out := range parent.Tx.Outputs {
			dust := types.OutPoint{TxID: parent.TxID, Index: uint32(i)}
			spent := slices.ContainsFunc(e.Tx.Inputs, func(in types.TxIn) bool { return in.PreviousOutPoint == dust })
			if string(out.ScriptPubKey) == string(chaintest.Anchor) && out.Value < 240 && !spent {
				return true
			}
		}
	}
	return false
}

// spare is the memory of those of a package that are in already.
func (w *twin) spare() (bytes int) {
	for _, e := range w.early {
		if w.txs[e.TxID] != nil {
			bytes += usageOf(e)
		}
	}
	return bytes
}

// improves tells whether the chunks of what is touched become better.
func (w *twin) improves(after *twin, touched, gone map[types.Hash]*pending.Entry, list []*pending.Entry) bool {
	maps.DeleteFunc(touched, func(id types.Hash, _ *pending.Entry) bool { return w.txs[id] == nil })
	before := w.allChunks(touched)
	maps.DeleteFunc(touched, func(id types.Hash, _ *pending.Entry) bool { return gone[id] != nil })
	for _, e := range list {
		touched[e.TxID] = e
	}
	then := after.allChunks(touched)
	better := false
	for _, room := range append(corners(before), corners(then)...) {
		switch curve(then, room).Cmp(curve(before, room)) {
		case -1:
			return false
		case 1:
			better = true
		}
	}
	return better
}

// fee returns the fee of a transaction whose inputs are all there.
func (w *twin) fee(e *pending.Entry) (types.Amount, error) {
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
					return 0, pending.ReasonConfirmed
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
