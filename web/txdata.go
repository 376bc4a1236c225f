package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// foundTx is a transaction, and where it is: in a block, or in the pool.
type foundTx struct {
	txid  types.Hash
	entry *pending.Entry // nil: it is in a block
	info  header.Info    // of that block
	n     int            // its position there; -1: it was not looked up yet
}

// transaction returns the transaction, what its inputs spend as far as that is known, and
// what it pays.
type transaction struct {
	tx     *types.Tx
	raw    []byte
	wtxid  types.Hash
	spent  []types.Coin // of a transaction in a block; nil: not known
	fee    types.Amount
	hasFee bool
	waits  bool // it was in the pool
}

// keeps reports whether an index is kept.
func (s *Server) keeps(name string) bool {
	if s.Index == nil {
		return false
	}
	return slices.ContainsFunc(s.Index.States(), func(st indexed.State) bool { return st.Name == name })
}

// indexAt names how far an index is; empty: it is not kept. What is made of an index that is
// being made has another version after each of its steps.
func (s *Server) indexAt(name string) string {
	if s.Index == nil {
		return ""
	}
	for _, st := range s.Index.States() {
		if st.Name == name {
			return fmt.Sprint(st.At, st.Synced)
		}
	}
	return ""
}

// findTx finds a transaction by its id.
func (s *Server) findTx(ctx context.Context, txid types.Hash) (foundTx, error) {
	if e := s.Pool.Get(txid); e != nil {
		return foundTx{txid: txid, entry: e}, nil
	}
	if txid == s.genesis.TxIDs[0] {
		info, _ := s.at(0)
		return foundTx{txid: txid, info: info}, nil
	}
	if !s.keeps(indexed.Txs) {
		return foundTx{}, notFound("Unknown transaction",
			"It does not wait for a block, and this node keeps no index of the transactions in blocks. Its operator can switch that on by starting karatd with --txindex.")
	}
	place, err := s.Index.FindTx(txid)
	if err != nil && s.Index.Wait(ctx, indexed.Txs) { // it may be in a block of just now
		place, err = s.Index.FindTx(txid)
	}
	if err == nil {
		if info, ok := s.Headers.Info(place.Block); ok {
			return foundTx{txid: txid, info: info, n: int(place.N)}, nil
		}
	}
	if by, ok := s.changes.replacedBy(txid); ok {
		return foundTx{}, notFound("Replaced transaction", "Another transaction took its place in the pool: it spends a coin of this one, and pays more. This one will be in no block unless somebody sends it again.",
			hint{"What replaced it", s.to("tx", by)})
	}
	for _, st := range s.Index.States() {
		if st.Name == indexed.Txs && !st.Synced {
			return foundTx{}, notFound("Not found yet", "The node's index of transactions has come to block "+groups(uint64Text(st.At.Height))+", and this transaction is not in a block up to there. Try again later.")
		}
	}
	if err != nil && !errors.Is(err, indexed.ErrBehind) {
		return foundTx{}, err
	}
	return foundTx{}, notFound("Unknown transaction", "No block has a transaction of that id, and none waits for a block here. If it was just sent, it may not have come yet; if it pays little, this node may have refused it.",
		hint{"What waits", s.to("mempool")})
}

// read reads a transaction.
func (s *Server) read(ctx context.Context, f foundTx) (transaction, error) {
	if e := f.entry; e != nil {
		return transaction{tx: e.Tx, raw: e.Raw, wtxid: e.WTxID, fee: e.Fee, hasFee: true, waits: true}, nil
	}
	if s.blocks.find(f.info.Hash) == nil { // else nothing has to be read
		if t, ok := s.readAlone(f); ok {
			return t, nil
		}
	}
	b, err := s.blocks.get(ctx, f.info.Hash)
	if err != nil {
		return transaction{}, err
	}
	if f.n >= len(b.TxIDs) || b.TxIDs[f.n] != f.txid {
		return transaction{}, notFound("Not found", "The block does not have this transaction.")
	}
	t := transaction{tx: &b.Block.Txs[f.n], wtxid: b.WTxIDs[f.n]}
	t.raw = t.tx.AppendTo(nil)
	t.fee, t.hasFee = b.fee(f.n)
	if b.spent != nil {
		t.spent = b.spent[f.n]
	}
	if f.n == 0 {
		t.wtxid = t.tx.WTxID() // of which BIP141 makes zero
	}
	return t, nil
}

// readAlone reads a transaction of a block without the others, if that can be done.
func (s *Server) readAlone(f foundTx) (transaction, bool) {
	b, spent, err := s.Blocks.BlockTx(f.info.Hash, f.n)
	if err != nil || b.Tx.TxID() != f.txid {
		return transaction{}, false
	}
	t := transaction{tx: b.Tx, raw: b.Raw, wtxid: b.Tx.WTxID(), spent: spent, hasFee: f.n > 0}
	for i := range spent {
		t.fee += spent[i].Value
	}
	for i := range b.Tx.Outputs {
		t.fee -= b.Tx.Outputs[i].Value
	}
	if !t.hasFee {
		t.fee = 0
	}
	return t, true
}

// While the pool takes up a block, the coins of the block's transactions are gone, and the pool
// has them still. So what is missing is looked for in the last blocks, and again after a moment.
const (
	lagBlocks = 3
	lagTries  = 20
	lagPause  = 25 * time.Millisecond
)

// prevouts returns what some inputs spend. What is not known is nil: the inputs of a coinbase,
// and of a block that was never connected.
func (s *Server) prevouts(ctx context.Context, t transaction, from, to int) ([]*types.TxOut, error) {
	for range lagTries {
		list, all := s.lookUpPrevouts(ctx, t, from, to)
		if all || !t.waits {
			return list, nil
		}
		if t.spent = s.spentOf(ctx, t.tx.TxID()); t.spent != nil {
			continue
		}
		if !pause(ctx, lagPause) {
			return nil, ctx.Err()
		}
	}
	return nil, &failure{status: http.StatusServiceUnavailable, title: "Not now", text: "The chain is being changed, and with it what this transaction spends. Try again in a moment."}
}

// spentOf returns what a transaction of the last blocks spends; nil if it is in none of them.
func (s *Server) spentOf(ctx context.Context, txid types.Hash) []types.Coin {
	hash := s.Headers.Tip().Hash
	for range lagBlocks {
		info, ok := s.Headers.Info(hash)
		if !ok || info.Height == 0 {
			return nil
		}
		b, err := s.blocks.get(ctx, hash)
		if err != nil {
			return nil
		}
		if n := slices.Index(b.TxIDs, txid); n > 0 && b.spent != nil {
			return b.spent[n]
		}
		hash = info.Header.PrevBlock
	}
	return nil
}

// lookUpPrevouts returns what some inputs spend, and whether that is all of it.
func (s *Server) lookUpPrevouts(ctx context.Context, t transaction, from, to int) (list []*types.TxOut, all bool) {
	list = make([]*types.TxOut, to-from)
	if t.spent != nil {
		for i := from; i < to && i < len(t.spent); i++ {
			out := t.spent[i].Output()
			list[i-from] = &out
		}
		return list, true
	}
	if t.tx.IsCoinbase() {
		return list, true
	}
	var missing []types.OutPoint
	var places []int
	for i := from; i < to; i++ {
		at := t.tx.Inputs[i].PreviousOutPoint
		if e := s.Pool.Get(at.TxID); e != nil && int(at.Index) < len(e.Tx.Outputs) {
			list[i-from] = &e.Tx.Outputs[at.Index]
			continue
		}
		missing, places = append(missing, at), append(places, i-from)
	}
	if len(missing) == 0 {
		return list, true
	}
	coins, _, err := s.Blocks.Coins(ctx, missing)
	if err != nil {
		return list, false
	}
	all = true
	for i := range coins {
		if !coins[i].Found {
			all = false
			continue
		}
		out := coins[i].Coin.Output()
		list[places[i]] = &out
	}
	return list, all
}

// Spent is what became of an output.
type Spent struct {
	Known   bool       // that it is spent, or that it is not
	By      types.Hash // zero: it is not, or it is not known by what
	Input   uint32
	Waiting bool // what spends it waits for a block
	Spent   bool
}

// spenders tells what became of some outputs of a transaction.
func (s *Server) spenders(ctx context.Context, f foundTx, tx *types.Tx, from, to int) []Spent {
	list := make([]Spent, to-from)
	indexKept := s.keeps(indexed.Spenders) && s.Index.Wait(ctx, indexed.Spenders)
	var ask []types.OutPoint
	var places []int
	for i := from; i < to; i++ {
		at := types.OutPoint{TxID: f.txid, Index: uint32(i)}
		spent := &list[i-from]
		if !consensus.IsSpendable(tx.Outputs[i].ScriptPubKey) {
			continue
		}
		if e := s.Pool.SpentBy(at); e != nil {
			*spent = Spent{Known: true, Spent: true, Waiting: true, By: e.TxID, Input: inputOf(e.Tx, at)}
			continue
		}
		if f.entry != nil {
			spent.Known = true
			continue
		}
		if !f.info.OnBestChain {
			continue
		}
		if indexKept {
			if by, err := s.Index.FindSpender(at); err == nil {
				*spent = Spent{Known: true, Spent: true, By: by.TxID, Input: by.Input}
				continue
			}
		}
		ask, places = append(ask, at), append(places, i-from)
	}
	if len(ask) == 0 {
		return list
	}
	coins, _, err := s.Blocks.Coins(ctx, ask)
	if err != nil {
		return list
	}
	for i := range coins {
		list[places[i]].Known, list[places[i]].Spent = true, !coins[i].Found
	}
	return list
}

// inputOf returns which input spends an output.
func inputOf(tx *types.Tx, at types.OutPoint) uint32 {
	return uint32(slices.IndexFunc(tx.Inputs, func(in types.TxIn) bool { return in.PreviousOutPoint == at }))
}
