package index

import (
	"encoding/binary"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

// The index of spenders:
//
//	key                    value
//	'o' txid 32 | output 4 txid of the spender 32 | its input, a varint | its place
const keySpender = 'o'

type spenders struct {
	w          *writer
	key, value []byte
}

func beginSpenders(w *writer) (content, error) { return &spenders{w: w}, nil }

func appendOutPoint(key []byte, o *types.OutPoint) []byte {
	return binary.BigEndian.AppendUint32(append(key, o.TxID[:]...), o.Index)
}

// revert removes the spends of a block. Those that the other branch has as well are put
// in again by it.
func (s *spenders) revert(u *consensus.BlockUpdate) error {
	for i := range u.Block.Block.Txs[1:] {
		inputs := u.Block.Block.Txs[1+i].Inputs
		for j := range inputs {
			s.key = appendOutPoint(append(s.key[:0], keySpender), &inputs[j].PreviousOutPoint)
			s.w.delete(s.key)
		}
	}
	return nil
}

func (s *spenders) apply(u *consensus.BlockUpdate) error {
	places := u.Block.Block.Places(u.Block.Hash)
	for i := 1; i < len(places); i++ {
		inputs := u.Block.Block.Txs[i].Inputs
		for j := range inputs {
			s.key = appendOutPoint(append(s.key[:0], keySpender), &inputs[j].PreviousOutPoint)
			s.value = append(s.value[:0], u.Block.TxIDs[i][:]...)
			s.value = appendPlace(binary.AppendUvarint(s.value, uint64(j)), u.Update.Block.Height, &places[i])
			s.w.put(s.key, s.value)
		}
	}
	return nil
}

func (s *spenders) finish() error { return nil }

// FindSpender returns what spends an output on the best chain. ErrBehind is also that
// nothing does.
func (s *Set) FindSpender(o types.OutPoint) (spender indexed.Spender, err error) {
	err = s.find(indexed.Spenders).read(func(v *view) error {
		value, err := v.get(appendOutPoint([]byte{keySpender}, &o))
		if err != nil {
			return err
		}
		d := types.NewDecoder(value)
		spender.TxID = d.Hash()
		input, rest, err := uvarint(d.Bytes(d.Remaining()))
		if err != nil {
			return err
		}
		spender.Input = uint32(input)
		spender.Place, _, _, err = v.place(rest)
		return err
	})
	return spender, err
}
