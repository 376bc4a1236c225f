package mempool

import (
	"maps"
	"math/big"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// What comes into the blackboard's pool.

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
