package wallet

import (
	"cmp"
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// Coin is an unspent output of the wallet.
type Coin struct {
	types.OutPoint
	Value        types.Amount
	ScriptPubKey []byte
	Key          KeyID  // that it pays to
	Height       uint32 // of its block; 0: in none yet, or a coinbase of the genesis block
	IsCoinbase   bool
	SpendWeight  int // of the witness of an input that spends it, at most; 0: a signature alone
}

// confirmed reports whether the coin is in a block.
func (c *Coin) confirmed() bool { return c.Height > 0 || c.IsCoinbase }

// Transaction is a transaction that pays to the wallet or spends from it.
type Transaction struct {
	Tx     *types.Tx
	TxID   types.Hash
	Height uint32 // of its block; 0: in none, or in the genesis block; see confirmed
	Time   int64  // of its block or, before that, when the wallet met it; seconds since 1970
	// Dropped says that it is not waited for any more: a reorganisation or another payment
	// has made it impossible, or nodes refuse it. It may still be confirmed, so it is kept.
	Dropped bool
	// Abandoned says that its owner has given it up: its coins are free, and it is not passed
	// on, unless it is met in a pool or a block after all.
	Abandoned bool

	place uint32 // in its block
}

// confirmed reports whether it is in a block. Height 0 alone does not tell: a coinbase of the
// genesis block is in one, and one whose block was undone is in none, and Dropped.
func (t *Transaction) confirmed() bool {
	return t.Height > 0 || t.Tx.IsCoinbase() && !t.Dropped
}

// ledger is what the wallet's transactions amount to. It is made anew from them when it is
// asked for after a change. To answer each change by a matching one, reorganisations and
// replacements included, would be faster and could drift.
type ledger struct {
	order     []*Transaction                  // as they count
	coins     map[types.OutPoint]Coin         // unspent
	outputs   map[types.OutPoint]Coin         // all outputs to the wallet, whatever has become of them
	spentBy   map[types.OutPoint]*Transaction // of those that count
	conflicts map[types.Hash]bool             // transactions that cannot be confirmed any more
}

// newLedger adds transactions up. Of two that spend the same coin, the confirmed one counts,
// else the one that came first. One that spends an output of another that does not count does
// not count either, which is why parents come first.
func newLedger(transactions map[types.Hash]*Transaction, keys map[string]KeyID, outputs map[types.OutPoint]Coin) *ledger {
	l := &ledger{
		order: sorted(transactions), coins: map[types.OutPoint]Coin{}, outputs: outputs,
		spentBy: make(map[types.OutPoint]*Transaction, len(transactions)), conflicts: map[types.Hash]bool{},
	}
	for _, t := range l.order {
		if t.Dropped || t.Abandoned && !t.confirmed() || l.conflicted(t) {
			l.conflicts[t.TxID] = true
			continue
		}
		if !t.Tx.IsCoinbase() {
			l.spendInputs(t)
		}
		for _, c := range coinsOf(t, keys) {
			l.coins[c.OutPoint] = c
		}
	}
	return l
}

// sorted returns transactions in the order in which they count: by blocks, then
// those without one as they came.
func sorted(transactions map[types.Hash]*Transaction) []*Transaction {
	order := make([]*Transaction, 0, len(transactions))
	for _, t := range transactions {
		order = append(order, t)
	}
	slices.SortFunc(order, func(a, b *Transaction) int {
		if a.confirmed() != b.confirmed() {
			if a.confirmed() {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Height, b.Height), cmp.Compare(a.place, b.place), cmp.Compare(a.Time, b.Time), slices.Compare(a.TxID[:], b.TxID[:]))
	})
	// A block has parents before their children.
	waiting := slices.IndexFunc(order, func(t *Transaction) bool { return !t.confirmed() })
	if waiting < 0 {
		return order
	}
	return append(order[:waiting], parentsFirst(order[waiting:])...)
}

// parentsFirst puts transactions without a block behind those of them that they spend. Times
// do not tell: a child can be met before its parent, in the same second.
func parentsFirst(order []*Transaction) []*Transaction {
	byID := make(map[types.Hash]*Transaction, len(order))
	for _, t := range order {
		byID[t.TxID] = t
	}
	// Marked before its parents are visited. Made-up transactions cannot form a ring, since
	// an id is a hash of what it spends; but a walk should not depend on it.
	done := make(map[types.Hash]bool, len(order))
	result := make([]*Transaction, 0, len(order))
	var visit func(t *Transaction)
	visit = func(t *Transaction) {
		if done[t.TxID] {
			return
		}
		done[t.TxID] = true
		for i := range t.Tx.Inputs {
			if parent := byID[t.Tx.Inputs[i].PreviousOutPoint.TxID]; parent != nil {
				visit(parent)
			}
		}
		result = append(result, t)
	}
	for _, t := range order {
		visit(t)
	}
	return result
}

// conflicted reports whether a coin of a transaction is spent by another that
// counts, or comes from one that does not.
func (l *ledger) conflicted(t *Transaction) bool {
	for i := range t.Tx.Inputs {
		outPoint := t.Tx.Inputs[i].PreviousOutPoint
		if l.spentBy[outPoint] != nil || l.conflicts[outPoint.TxID] {
			return true
		}
	}
	return false
}

// conflictedByOther reports whether a coin of a transaction is spent by another
// that counts.
func (l *ledger) conflictedByOther(t *Transaction) bool {
	for i := range t.Tx.Inputs {
		if other := l.spentBy[t.Tx.Inputs[i].PreviousOutPoint]; other != nil && other.TxID != t.TxID {
			return true
		}
	}
	return false
}

// spendInputs takes the coins of a transaction. Inputs of others count too: by them a payment
// that others sent is found to conflict with another.
func (l *ledger) spendInputs(t *Transaction) {
	for i := range t.Tx.Inputs {
		outPoint := t.Tx.Inputs[i].PreviousOutPoint
		l.spentBy[outPoint] = t
		delete(l.coins, outPoint)
	}
}

// coinsOf returns the outputs of a transaction that pay to keys of the wallet.
func coinsOf(t *Transaction, keys map[string]KeyID) (coins []Coin) {
	for i := range t.Tx.Outputs {
		if key, ours := keys[string(t.Tx.Outputs[i].ScriptPubKey)]; ours {
			coins = append(coins, coinOf(t, i, key))
		}
	}
	return coins
}

// coinOf returns an output that pays to a key.
func coinOf(t *Transaction, i int, key KeyID) Coin {
	out := &t.Tx.Outputs[i]
	return Coin{
		OutPoint: types.OutPoint{TxID: t.TxID, Index: uint32(i)}, Value: out.Value, ScriptPubKey: out.ScriptPubKey,
		Key: key, Height: t.Height, IsCoinbase: t.Tx.IsCoinbase(),
	}
}

// Balance is what the wallet has, in grains.
type Balance struct {
	Confirmed types.Amount // in blocks, and may be spent
	Immature  types.Amount // mined, and must wait for more blocks
	Pending   types.Amount // on its way to the wallet, change included
}

// Total returns everything.
func (b Balance) Total() types.Amount { return b.Confirmed + b.Immature + b.Pending }

// matures returns the height of the tip from which on a coin may be spent by the next block.
// A coinbase may be spent in the block that is maturity above its own: before, a reorganisation
// could undo it, and with it all that came of it. What the genesis block pays nothing undoes.
func matures(c *Coin, maturity uint32) uint32 {
	if !c.IsCoinbase || c.Height == 0 {
		return 0
	}
	return c.Height + maturity - 1
}

// balance adds the coins up for a wallet that has looked up to a height.
func (l *ledger) balance(tip, maturity uint32) (b Balance) {
	for _, c := range l.coins {
		switch {
		case !c.confirmed():
			b.Pending += c.Value
		case tip < matures(&c, maturity):
			b.Immature += c.Value
		default:
			b.Confirmed += c.Value
		}
	}
	return b
}

// Status is how far a transaction has come.
type Status string

// The states of a transaction.
const (
	StatusConfirmed  Status = "confirmed"
	StatusImmature   Status = "immature"   // mined, and cannot be spent yet
	StatusPending    Status = "pending"    // waits for a block
	StatusConflicted Status = "conflicted" // cannot be confirmed: another spends the same, or its block was undone
)

// Entry is a line of the history.
type Entry struct {
	TxID          types.Hash
	Height        uint32 // 0: in no block
	Confirmations uint32
	Time          int64        // seconds since 1970
	Amount        types.Amount // what the wallet has more, or less if negative, fee included
	Fee           types.Amount // 0 if others paid it
	Sent          bool         // the wallet's coins paid for it
	Status        Status
	Kind          Kind
	Label         string       // of the transaction itself; see Labelled
	Parties       []Party      // whom it went to, if it was sent; else where it came to the wallet
	Balance       types.Amount // what the wallet had after it, if all before it are confirmed
}

// entry makes a line of the history. The fee is only known if all inputs are the wallet's: of
// other inputs nobody has told the amounts.
func (l *ledger) entry(t *Transaction, tip, maturity uint32, keys map[string]KeyID) Entry {
	e := Entry{TxID: t.TxID, Height: t.Height, Time: t.Time, Status: StatusPending}
	in, out, ours := types.Amount(0), types.Amount(0), 0
	for i := range t.Tx.Inputs {
		if c, ok := l.outputs[t.Tx.Inputs[i].PreviousOutPoint]; ok {
			in += c.Value
			ours++
		}
	}
	for i := range t.Tx.Outputs {
		out += t.Tx.Outputs[i].Value
		if _, ok := keys[string(t.Tx.Outputs[i].ScriptPubKey)]; ok {
			e.Amount += t.Tx.Outputs[i].Value
		}
	}
	e.Amount -= in
	if e.Sent = ours > 0; ours == len(t.Tx.Inputs) {
		e.Fee = in - out
	}
	switch {
	case l.conflicts[t.TxID]:
		e.Status = StatusConflicted
	case t.confirmed():
		e.Status, e.Confirmations = StatusConfirmed, tip-t.Height+1
		if t.Tx.IsCoinbase() && t.Height > 0 && tip < t.Height+maturity-1 {
			e.Status = StatusImmature
		}
	}
	return e
}
