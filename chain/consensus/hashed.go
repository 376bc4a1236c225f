package consensus

import "github.com/karatcoin/karat/chain/types"

// HashedBlock is a block with everything that the rules ask for more than
// once, computed once: encoding, hashes, weight and where each input's coin
// comes from. It is made outside of any lock, on any core, and never changed.
type HashedBlock struct {
	Block  *types.Block
	Raw    []byte // the encoding
	Hash   types.Hash
	TxIDs  []types.Hash
	WTxIDs []types.Hash // the coinbase's is the zero hash (BIP141)
	Weight int          // weight units

	// External lists, in the order of inputs, the outpoints that the block
	// spends and does not make itself: the coins that ConnectBlock needs.
	External []types.OutPoint

	// source says for each input of the transactions after the coinbase, in
	// order, which transaction of this block made its coin; -1 is External.
	source []int32
	// doubleSpend is an outpoint that two inputs of the block spend.
	doubleSpend *types.OutPoint
}

// DecodeBlock decodes and hashes a block. All of raw must be used; the result
// refers to raw, which must not change afterwards. A failure wraps ErrInvalid.
func DecodeBlock(raw []byte) (*HashedBlock, error) {
	block, err := types.DecodeBlock(raw)
	if err != nil {
		return nil, mutated(ReasonDecode, "%v", err)
	}
	return hashBlock(block, raw), nil
}

// HashBlock encodes and hashes a block that was made here, which must not
// change afterwards.
func HashBlock(block *types.Block) *HashedBlock {
	return hashBlock(block, block.AppendTo(make([]byte, 0, block.Size())))
}

func hashBlock(block *types.Block, raw []byte) *HashedBlock {
	b := &HashedBlock{
		Block:  block,
		Raw:    raw,
		Hash:   block.Hash(),
		TxIDs:  make([]types.Hash, len(block.Txs)),
		WTxIDs: make([]types.Hash, len(block.Txs)),
		Weight: block.StrippedSize()*(types.WitnessScale-1) + len(raw),
	}
	var buf []byte
	for i := range block.Txs {
		tx := &block.Txs[i]
		buf = tx.AppendStripped(buf[:0])
		b.TxIDs[i] = types.DoubleSHA256(buf)
		if i == 0 {
			continue
		}
		b.WTxIDs[i] = b.TxIDs[i]
		if tx.HasWitness() {
			buf = tx.AppendTo(buf[:0])
			b.WTxIDs[i] = types.DoubleSHA256(buf)
		}
	}
	b.findSources()
	return b
}

// findSources fills External, source and doubleSpend. Only a transaction
// earlier in the block can be a source: a later one's output does not exist
// yet, so the input is left to External, where no coin will be found.
func (b *HashedBlock) findSources() {
	inputs := 0
	for i := range b.Block.Txs {
		inputs += len(b.Block.Txs[i].Inputs)
	}
	b.source = make([]int32, 0, inputs)
	b.External = make([]types.OutPoint, 0, inputs)
	made := make(map[types.Hash]int32, len(b.TxIDs))
	spent := make(map[types.OutPoint]struct{}, inputs)
	for i := range b.Block.Txs {
		tx := &b.Block.Txs[i]
		for j := range tx.Inputs {
			if i == 0 {
				break // the coinbase spends nothing
			}
			outPoint := tx.Inputs[j].PreviousOutPoint
			source, internal := made[outPoint.TxID]
			if !internal {
				source = -1
				b.External = append(b.External, outPoint)
			}
			b.source = append(b.source, source)
			if _, twice := spent[outPoint]; twice && b.doubleSpend == nil {
				b.doubleSpend = &outPoint
			}
			spent[outPoint] = struct{}{}
		}
		made[b.TxIDs[i]] = int32(i)
	}
}
