package rpc

import (
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/types"
)

// blockView is a decoded block with all that answers about it need. It never changes.
type blockView struct {
	*consensus.HashedBlock // nil: it is not decoded
	raw                    []byte
	spent                  [][]types.Coin // by each input of each transaction; nil: not known
	offsets                []uint32       // of the transactions in the encoding, and the end of the last
	keys                   [][]keyStatus  // of the outputs
}

// decode reads a block. What its transactions spend is not known of a block that was never
// connected. As in Core, an answer then lacks fees and prevouts, and is no error.
func (s *Server) decode(info *header.Info, spent bool) (*blockView, error) {
	if spent {
		if u, err := s.Blocks.BlockUpdate(info.Hash); err == nil {
			return newBlockView(u.Block, u.SpentCoins()), nil
		}
	}
	block, err := s.block(info)
	if err != nil {
		return nil, err
	}
	return newBlockView(block, nil), nil
}

func newBlockView(block *consensus.HashedBlock, spent [][]types.Coin) *blockView {
	txs := block.Block.Txs
	v := &blockView{HashedBlock: block, raw: block.Raw, spent: spent, offsets: make([]uint32, len(txs)+1), keys: make([][]keyStatus, len(txs))}
	at, outputs := types.HeaderSize+types.CompactSizeLen(uint64(len(txs))), 0
	for i := range txs {
		v.offsets[i] = uint32(at)
		at += txs[i].Size()
		outputs += len(txs[i].Outputs)
	}
	v.offsets[len(txs)] = uint32(at)
	statuses := make([]keyStatus, outputs)
	var keys []*[32]byte
	var where []int
	n := 0
	for i := range txs {
		v.keys[i] = statuses[n : n+len(txs[i].Outputs)]
		for k := range txs[i].Outputs {
			if version, program, ok := types.WitnessProgram(txs[i].Outputs[k].ScriptPubKey); ok && version == 1 && len(program) == 32 {
				keys, where = append(keys, (*[32]byte)(program)), append(where, n)
			}
			n++
		}
	}
	for i, valid := range secp.ArePublicKeys(keys) {
		statuses[where[i]] = keyStatusOf(valid)
	}
	return v
}

// size is about what a decoded block takes in memory: the bytes, and what refers to them.
func (v *blockView) size() int64 {
	size := int64(len(v.raw)) + 1000
	for i := range v.Block.Txs {
		tx := &v.Block.Txs[i]
		size += 200 + 200*int64(len(tx.Inputs)) + 40*int64(len(tx.Outputs))
		for k := range tx.Inputs {
			size += 24 * int64(len(tx.Inputs[k].Witness))
		}
	}
	return size
}

// rawTx is the encoding of a transaction.
func (v *blockView) rawTx(i int) []byte { return v.raw[v.offsets[i]:v.offsets[i+1]] }

// tx is a transaction as it is answered.
func (v *blockView) tx(i int, hrp string, prevouts bool) *txJSON {
	tx := &v.Block.Txs[i]
	j := &txJSON{hrp: hrp, tx: tx, raw: v.rawTx(i), txid: v.TxIDs[i], witness: v.WTxIDs[i], keys: v.keys[i]}
	if i == 0 { // its place has the zero hash (BIP141)
		j.witness = types.DoubleSHA256(j.raw)
	}
	j.size = len(j.raw)
	j.weight = tx.StrippedSize()*(types.WitnessScale-1) + j.size
	if v.spent != nil {
		j.addSpent(v.spent[i], prevouts)
	}
	return j
}
