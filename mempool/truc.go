package mempool

import (
	"slices"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// Version 3 is TRUC, topologically restricted until confirmation (BIP431): whoever sends
// such a transaction gives up having large families of unconfirmed relatives, so that
// nobody who shares an output of it can attach so much that it becomes dear to replace. A
// family is one parent and one child, both of version 3, and the child is small.
const (
	TRUCVersion       = 3
	MaxTRUCVSize      = 10_000 // virtual bytes
	MaxTRUCChildVSize = 1_000  // virtual bytes, of one whose parent waits
)

// checkTRUC checks a transaction against the pool alone; parents are those that wait
// there, and conflicts what the transaction would replace. If it fails for another child
// of its parent alone, that one is returned: a better child may replace it, although
// both could be mined. Without this a bad child would keep a good one out for ever.
func checkTRUC(e *pending.Entry, parents, conflicts []*txNode) (sibling *txNode, err error) {
	for _, parent := range parents {
		if err := checkTRUCVersions(e, parent.Entry); err != nil {
			return nil, err
		}
	}
	if e.Tx.Version != TRUCVersion {
		return nil, nil
	}
	if e.VSize > MaxTRUCVSize {
		return nil, trucViolation("version=3 tx %s (wtxid=%s) is too big: %d > %d virtual bytes", e.TxID, e.WTxID, e.VSize, MaxTRUCVSize)
	}
	if len(parents) == 0 {
		return nil, nil
	}
	parent := parents[0]
	if len(parents) > 1 || len(parent.ancestors()) > 0 {
		return nil, tooManyAncestors(e)
	}
	if e.VSize > MaxTRUCChildVSize {
		return nil, tooBigAChild(e)
	}
	others := parent.descendants()
	if len(others) == 0 || slices.ContainsFunc(others, func(n *txNode) bool { return slices.Contains(conflicts, n) }) {
		return nil, nil // the transaction takes the place of the other one
	}
	// After a reorganisation there may be more. Then it is not clear which one to take
	// out, and none is.
	if len(others) == 1 && len(others[0].ancestors()) == 1 {
		sibling = others[0]
	}
	return sibling, tooManyChildren(parent.Entry)
}

// checkPackageTRUC checks one of several transactions that come in together against the
// others. parents are those of it that wait in the pool. All of checkTRUC holds already.
func checkPackageTRUC(e *pending.Entry, all []*pending.Entry, parents []*txNode) error {
	family := make([]*pending.Entry, 0, len(parents)+1)
	for _, parent := range parents {
		family = append(family, parent.Entry)
	}
	for _, other := range all {
		if other != e && spendsFrom(e.Tx, other.TxID) {
			family = append(family, other)
		}
	}
	if e.Tx.Version != TRUCVersion {
		for _, parent := range family {
			if err := checkTRUCVersions(e, parent); err != nil {
				return err
			}
		}
		return nil
	}
	switch {
	case len(family) == 0:
		return nil
	case len(family) > 1, len(parents) == 1 && len(parents[0].ancestors()) > 0:
		return tooManyAncestors(e)
	case e.VSize > MaxTRUCChildVSize:
		return tooBigAChild(e)
	}
	parent := family[0]
	if err := checkTRUCVersions(e, parent); err != nil {
		return err
	}
	for _, other := range all {
		switch {
		case other == e:
		case spendsFrom(other.Tx, parent.TxID):
			return tooManyChildren(parent)
		case spendsFrom(other.Tx, e.TxID):
			return tooManyAncestors(other)
		}
	}
	// What a child in the pool could make room for by leaving is for single transactions.
	if len(parents) == 1 && len(parents[0].descendants()) > 0 {
		return tooManyChildren(parent)
	}
	return nil
}

// checkTRUCVersions checks that a child and its parent are both of version 3 or both not.
func checkTRUCVersions(child, parent *pending.Entry) error {
	switch {
	case child.Tx.Version == TRUCVersion && parent.Tx.Version != TRUCVersion:
		return trucViolation("version=3 tx %s (wtxid=%s) cannot spend from non-version=3 tx %s (wtxid=%s)",
			child.TxID, child.WTxID, parent.TxID, parent.WTxID)
	case child.Tx.Version != TRUCVersion && parent.Tx.Version == TRUCVersion:
		return trucViolation("non-version=3 tx %s (wtxid=%s) cannot spend from version=3 tx %s (wtxid=%s)",
			child.TxID, child.WTxID, parent.TxID, parent.WTxID)
	}
	return nil
}

func trucViolation(format string, args ...any) error { return policy(ReasonTRUC, format, args...) }

func tooManyAncestors(e *pending.Entry) error {
	return trucViolation("tx %s (wtxid=%s) would have too many ancestors", e.TxID, e.WTxID)
}

func tooBigAChild(e *pending.Entry) error {
	return trucViolation("version=3 child tx %s (wtxid=%s) is too big: %d > %d virtual bytes", e.TxID, e.WTxID, e.VSize, MaxTRUCChildVSize)
}

func tooManyChildren(parent *pending.Entry) error {
	return trucViolation("tx %s (wtxid=%s) would exceed descendant count limit", parent.TxID, parent.WTxID)
}

// spendsFrom reports whether a transaction spends an output of the one with the id.
func spendsFrom(tx *types.Tx, txid types.Hash) bool {
	return slices.ContainsFunc(tx.Inputs, func(in types.TxIn) bool { return in.PreviousOutPoint.TxID == txid })
}
