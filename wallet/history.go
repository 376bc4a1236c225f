package wallet

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Kind is what a transaction was for the wallet.
type Kind string

// The kinds of transactions.
const (
	KindReceived Kind = "received"
	KindSent     Kind = "sent"
	KindMined    Kind = "mined"
	KindSelf     Kind = "to self" // the wallet's coins, and all of it comes back but for the fee
)

// Party is an output of a transaction, as its owner sees it.
type Party struct {
	Index        uint32 // of the output
	ScriptPubKey []byte
	Value        types.Amount
	Ours         bool
	Change       bool   // it pays to a change key of the wallet
	Label        string // of the output, or else of its address
}

// History returns the wallet's transactions, the oldest first: by blocks, then those that wait.
// What has come to nothing stands at the time when it was met.
func (w *Wallet) History() []Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	entries := make([]Entry, 0, len(w.transactions))
	addresses := w.labelsOfScripts()
	var conflicted []Entry
	balance := types.Amount(0)
	for _, t := range w.ledger().order {
		e := w.describe(t, addresses)
		if e.Status == StatusConflicted {
			conflicted = append(conflicted, e)
			continue
		}
		balance += e.Amount
		e.Balance = balance
		entries = append(entries, e)
	}
	return w.insertInTime(entries, conflicted)
}

// insertInTime puts what has come to nothing among the others: behind what it spends, and before
// what is later. It is in no block, and would be the newest for ever. It assumes mu.
func (w *Wallet) insertInTime(entries, conflicted []Entry) []Entry {
	if len(conflicted) == 0 {
		return entries
	}
	// Blocks' times can run backwards, and ahead of this machine's clock.
	latest := make([]int64, len(entries)) // of an entry and of those before it
	behind := make(map[types.Hash]int, len(w.transactions))
	for i := range entries {
		latest[i] = entries[i].Time
		if entries[i].Confirmations == 0 {
			latest[i]++ // it may have taken the place of another in the same second
		}
		if i > 0 {
			latest[i] = max(latest[i], latest[i-1])
		}
		behind[entries[i].TxID] = i + 1
	}
	places := make([][]Entry, len(entries)+1)
	for _, e := range conflicted { // parents come before their children
		at := sort.Search(len(latest), func(i int) bool { return latest[i] > e.Time })
		tx := w.transactions[e.TxID].Tx
		for i := range tx.Inputs {
			at = max(at, behind[tx.Inputs[i].PreviousOutPoint.TxID])
		}
		behind[e.TxID] = at
		if at > 0 {
			e.Balance = entries[at-1].Balance
		}
		places[at] = append(places[at], e)
	}
	list := make([]Entry, 0, len(entries)+len(conflicted))
	for at := range places {
		list = append(list, places[at]...)
		if at < len(entries) {
			list = append(list, entries[at])
		}
	}
	return list
}

// describe makes an entry with all that people ask for, but for the balance. It assumes mu.
func (w *Wallet) describe(t *Transaction, addresses map[string]string) Entry {
	e := w.ledger().entry(t, w.meta.position.Height, w.params.CoinbaseMaturity, w.keys)
	e.Label = w.labels[labelKey{kind: LabelTx, ref: t.TxID.String()}].Text
	all := w.parties(t, addresses)
	toOthers := slices.ContainsFunc(all, func(p Party) bool { return !p.Ours && consensus.IsSpendable(p.ScriptPubKey) })
	switch {
	case t.Tx.IsCoinbase():
		e.Kind = KindMined
	case !e.Sent || e.Amount > 0:
		e.Kind = KindReceived
	case toOthers:
		e.Kind = KindSent
	default:
		e.Kind = KindSelf
	}
	// Of a payment between others and the wallet the others' outputs are nobody's business.
	e.Parties = slices.DeleteFunc(all, func(p Party) bool { return p.Ours == (e.Kind == KindSent) })
	return e
}

// parties returns the outputs of a transaction. It assumes mu.
func (w *Wallet) parties(t *Transaction, addresses map[string]string) []Party {
	list := make([]Party, len(t.Tx.Outputs))
	for i := range t.Tx.Outputs {
		out := &t.Tx.Outputs[i]
		key, ours := w.keys[string(out.ScriptPubKey)]
		list[i] = Party{Index: uint32(i), ScriptPubKey: out.ScriptPubKey, Value: out.Value, Ours: ours, Change: ours && key.Branch == Change}
		if list[i].Label = addresses[string(out.ScriptPubKey)]; len(w.labels) > 0 {
			ref := types.OutPoint{TxID: t.TxID, Index: uint32(i)}.String()
			if text := w.labels[labelKey{kind: LabelOutput, ref: ref}].Text; text != "" {
				list[i].Label = text
			}
		}
	}
	return list
}

// labelsOfScripts returns the labels of addresses of the network, by script. It assumes mu.
func (w *Wallet) labelsOfScripts() map[string]string {
	texts := map[string]string{}
	for key, l := range w.labels {
		if key.kind != LabelAddress || key.foreign != "" || l.Text == "" {
			continue
		}
		if script, err := taproot.DecodeAddress(w.params.HRP, key.ref); err == nil {
			texts[string(script)] = l.Text
		}
	}
	return texts
}

// Labelled returns what an entry is called: its own label, or else those of its outputs.
func (e *Entry) Labelled() string {
	if e.Label != "" {
		return e.Label
	}
	var texts []string
	for _, p := range e.Parties {
		if p.Label != "" && !slices.Contains(texts, p.Label) {
			texts = append(texts, p.Label)
		}
	}
	return strings.Join(texts, ", ")
}

// Spent is an input of a transaction, as its owner sees it.
type Spent struct {
	types.OutPoint
	Known        bool // the wallet has the output that it spends; of others it does not
	ScriptPubKey []byte
	Value        types.Amount
}

// Explained is all that the wallet knows of a transaction.
type Explained struct {
	Entry
	Tx         *types.Tx
	Inputs     []Spent
	Outputs    []Party
	Abandoned  bool
	ReplacedBy []types.Hash // others of the wallet that have taken its coins
	Replaces   []types.Hash // others of the wallet whose coins it has taken
	SpentBy    []types.Hash // those that spend what it paid to the wallet, and count
}

// FeeRate returns the feerate, and false if the fee is not known.
func (e *Explained) FeeRate() (types.FeeRate, bool) {
	return types.NewFeeRate(e.Fee, e.Tx.VirtualSize()), e.Fee > 0
}

// ErrUnknownTx is wrapped by the errors about a transaction that the wallet does not have.
var ErrUnknownTx = errors.New("the wallet has no such transaction")

// leastPrefix is how many digits of a txid tell it from others, at least.
const leastPrefix = 4

// FindTx returns the transaction of a txid, of the first digits of one, or of its first and
// last digits with … between them, as tables show it. Errors: ErrUnknownTx.
func (w *Wallet) FindTx(text string) (types.Hash, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	begin, end, _ := strings.Cut(strings.ToLower(text), "…")
	if digits := begin + end; len(begin) < leastPrefix || len(digits) > 64 || strings.Trim(digits, "0123456789abcdef") != "" {
		return types.Hash{}, fmt.Errorf("%w: a txid has 64 hexadecimal digits, of which the first %d or more suffice", ErrUnknownTx, leastPrefix)
	}
	var found []types.Hash
	for txid := range w.transactions {
		if id := txid.String(); strings.HasPrefix(id, begin) && strings.HasSuffix(id, end) {
			found = append(found, txid)
		}
	}
	switch len(found) {
	case 0:
		return types.Hash{}, fmt.Errorf("%w as %s: sync, or see karat history", ErrUnknownTx, text)
	case 1:
		return found[0], nil
	}
	return types.Hash{}, fmt.Errorf("%w: %d begin with %s: add more of its digits", ErrUnknownTx, len(found), text)
}

// Explain returns all that is known of a transaction. Errors: ErrUnknownTx.
func (w *Wallet) Explain(txid types.Hash) (*Explained, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.transactions[txid]
	if t == nil {
		return nil, fmt.Errorf("%w as %s", ErrUnknownTx, txid)
	}
	addresses := w.labelsOfScripts()
	e := &Explained{Entry: w.describe(t, addresses), Tx: t.Tx, Outputs: w.parties(t, addresses), Abandoned: t.Abandoned}
	for i := range t.Tx.Inputs {
		in := Spent{OutPoint: t.Tx.Inputs[i].PreviousOutPoint}
		c, known := w.outputs.ours[in.OutPoint]
		if in.Known = known; known {
			in.ScriptPubKey, in.Value = c.ScriptPubKey, c.Value
		}
		e.Inputs = append(e.Inputs, in)
	}
	behind := false
	for _, other := range w.ledger().order {
		counts := !w.ledger().conflicts[other.TxID]
		if !behind && counts {
			e.Balance += w.ledger().entry(other, 0, 0, w.keys).Amount
		}
		if other.TxID == txid {
			behind = true
			continue
		}
		switch {
		case t.Tx.IsCoinbase() || other.Tx.IsCoinbase():
		case !conflicting(t.Tx, other.Tx):
		case counts:
			e.ReplacedBy = append(e.ReplacedBy, other.TxID)
		case e.Status != StatusConflicted:
			e.Replaces = append(e.Replaces, other.TxID)
		}
		if counts && slices.ContainsFunc(other.Tx.Inputs, func(in types.TxIn) bool {
			_, ours := w.outputs.ours[in.PreviousOutPoint]
			return ours && in.PreviousOutPoint.TxID == txid
		}) {
			e.SpentBy = append(e.SpentBy, other.TxID)
		}
	}
	return e, nil
}

// DataOf returns what an OP_RETURN output holds, in hexadecimal, empty if it is none.
func DataOf(script []byte) string {
	if consensus.IsSpendable(script) || len(script) < 2 {
		return ""
	}
	return hex.EncodeToString(script[1:])
}
