package index

import (
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

// The transaction index:
//
//	key         value
//	't' txid 32 height, position in the block, offset, size, all varints
const keyTx = 't'

type txs struct {
	w     *writer
	key   []byte
	value []byte
}

func beginTxs(w *writer) (content, error) { return &txs{w: w, key: []byte{keyTx}}, nil }

// revert removes the transactions of a block. Those that a block of the other branch has
// as well are put in again by it.
func (t *txs) revert(u *consensus.BlockUpdate) error {
	for i := range u.Block.TxIDs {
		t.key = append(t.key[:1], u.Block.TxIDs[i][:]...)
		t.w.delete(t.key)
	}
	return nil
}

func (t *txs) apply(u *consensus.BlockUpdate) error {
	for i, place := range u.Block.Block.Places(u.Block.Hash) {
		t.key = append(t.key[:1], u.Block.TxIDs[i][:]...)
		t.value = appendPlace(t.value[:0], u.Update.Block.Height, &place)
		t.w.put(t.key, t.value)
	}
	return nil
}

func (t *txs) finish() error { return nil }

// FindTx returns where on the best chain the transaction stands, or ErrBehind. A
// transaction is in the index under its id alone, so of two blocks that have it on two
// branches the one that was applied last counts.
func (s *Set) FindTx(txid types.Hash) (place types.TxPlace, err error) {
	err = s.find(indexed.Txs).read(func(v *view) error {
		value, err := v.get(append([]byte{keyTx}, txid[:]...))
		if err == nil {
			place, _, _, err = v.place(value)
		}
		return err
	})
	return place, err
}
