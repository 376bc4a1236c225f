package sim

import (
	"context"
	"encoding/binary"
	"iter"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// birth is a block or a payment, and when it reached whom.
type birth struct {
	block bool
	hash  types.Hash // of the block
	txid  types.Hash // of the payment
	at    time.Time
	due   map[*node]bool // was there then
	took  []time.Duration
}

// pick returns a random honest node that is there and meets a condition.
func (w *world) pick(condition func(*node) bool) *node {
	for {
		if n := w.honest[w.random.IntN(len(w.honest))]; n.up() && condition(n) {
			return n
		}
	}
}

// born notes that something exists from now on.
func (w *world) born(name string, b *birth) {
	b.at, b.due = time.Now(), map[*node]bool{}
	for _, n := range w.honest {
		if n.up() {
			b.due[n] = true
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.births[name] = b
	w.order = append(w.order, b)
}

// reached notes that a node has something.
func (w *world) reached(n *node, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b := w.births[name]; b != nil && b.due[n] {
		delete(b.due, n)
		b.took = append(b.took, time.Since(b.at))
		if b.block {
			n.took = time.Since(b.at)
		}
	}
}

// moved notes a node's new tip.
func (w *world) moved(n *node, reverted, applied []*block) {
	w.pooled(n, reverted, applied)
	for _, b := range applied {
		w.reached(n, b.hash.String())
	}
	if len(reverted) > 0 {
		w.mu.Lock()
		w.report.Reorganisations++
		w.mu.Unlock()
	}
}

// pooled moves transactions between a node's chain and its pool.
func (w *world) pooled(n *node, reverted, applied []*block) {
	for _, b := range reverted {
		n.pool.unconfirm(b)
	}
	n.pool.confirm(applied)
}

// coin makes an outpoint that exists.
func (l *ledger) coin() types.OutPoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unique++
	var at types.OutPoint
	binary.LittleEndian.PutUint64(at.TxID[:], l.unique)
	at.TxID[31] = 1
	l.coins[at] = struct{}{}
	return at
}

// payment makes a transaction as most are: one taproot input, two outputs.
func (w *world) payment() *types.Tx {
	from := w.ledger.coin()
	script := func(n byte) []byte { return append([]byte{0x51, 32}, append(slices.Clone(from.TxID[:31]), n)...) }
	return &types.Tx{
		Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: from, Sequence: 0xfffffffd, Witness: [][]byte{make([]byte, 64)}}},
		Outputs: []types.TxOut{{Value: 100_000, ScriptPubKey: script(1)}, {Value: 200_000, ScriptPubKey: script(2)}},
	}
}

// pay has random nodes make payments, which are relayed: one a second.
func (w *world) pay(n int) {
	for range n {
		tx := w.payment()
		w.born(tx.WTxID().String(), &birth{txid: tx.TxID()})
		_, _ = w.pick(func(*node) bool { return true }).pool.Accept(context.Background(), tx, 0)
		time.Sleep(time.Second)
	}
	if n > 1 {
		time.Sleep(settle)
	}
}

// mine has a node make a block of the transactions that all know, and of what else its
// pool has. Attackers hear of it at once.
func (w *world) mine(n *node) {
	var known []*pending.Entry
	for range w.o.Txs {
		tx := w.payment()
		known = append(known, w.ledger.entry(tx, tx.WTxID(), time.Now()))
	}
	for _, other := range w.honest {
		other.pool.put(known...)
	}
	var txs []*types.Tx
	for _, e := range n.pool.sorted() {
		txs = append(txs, e.Tx)
	}
	on := n.chain.TipState()
	tag := binary.LittleEndian.AppendUint64(nil, w.ledger.next())
	b := chaintest.NewBlock(&on.Header, chaintest.Coinbase(on.Index.Height+1, tag, types.TxOut{Value: 1_000_000, ScriptPubKey: chaintest.Anchor}), txs...)
	if now := uint32(time.Now().Unix()); b.Header.Timestamp < now {
		b.Header.Timestamp = now
	}
	chaintest.Mine(b)
	w.report.Mined++
	w.report.BlockBytes = len(b.AppendTo(nil))
	w.born(b.Hash().String(), &birth{block: true, hash: b.Hash()})
	w.know.Learn(b)
	n.take(b)
}

// take gives a node a block that it has made itself.
func (n *node) take(b *types.Block) {
	raw := b.AppendTo(nil)
	one := iter.Seq[[]byte](func(yield func([]byte) bool) { yield(raw) })
	_ = n.chain.AddBlocks(context.Background(), one, func(header.Result) {})
}

// next returns a number that was not there.
func (l *ledger) next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unique++
	return l.unique
}
