package consensus

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"github.com/karatcoin/karat/chain/types"
)

// HashedBlock is a block with everything that the rules ask for more than once: the
// encoding, the hashes, the weight, and where each input's coin comes from. All of it
// is computed once, outside of any lock and on any core, and then never changes. So
// blocks are prepared side by side, and what must go in order is left with little to
// do.
type HashedBlock struct {
	Block  *types.Block
	Raw    []byte // the encoding
	Hash   types.Hash
	TxIDs  []types.Hash
	WTxIDs []types.Hash // the coinbase's is the zero hash (BIP141)
	Weight int          // weight units

	// External are the outpoints that the block spends and does not make itself, in
	// the order of the inputs: the coins that ConnectBlock needs.
	External []types.OutPoint

	// source says of each input, in order and without the coinbase's, which
	// transaction of this block made its coin. It is -1 if none did, and the coin is
	// the next one of External.
	source []int32
	// doubleSpend is the first input, in source's order, whose outpoint an earlier
	// input spends already. It is -1 if there is none.
	doubleSpend int
	// inside says of each output, counted through the whole block, whether the block
	// spends it itself. It is nil if the block spends none.
	inside []bool
}

// DecodeBlock decodes and hashes a block, and checks no rule but the encoding: all of
// raw must be used. The result refers to raw, which must not change afterwards. A
// failure is ErrMutated. What a stranger sends is read with OpenBlock.
func DecodeBlock(raw []byte) (*HashedBlock, error) {
	block, err := types.DecodeBlock(raw)
	if err != nil {
		return nil, mutated(ReasonDecode, "%v", err)
	}
	b := hashBlock(block, raw)
	b.findSources()
	return b, nil
}

// HashBlock encodes and hashes a block that was made here. It must not change
// afterwards.
func HashBlock(block *types.Block) *HashedBlock {
	b := hashBlock(block, block.AppendTo(make([]byte, 0, block.Size())))
	b.findSources()
	return b
}

// hashBlock does everything except findSources, which OpenBlock puts off until the
// body has kept its rules.
func hashBlock(block *types.Block, raw []byte) *HashedBlock {
	b := &HashedBlock{
		Block:  block,
		Raw:    raw,
		Hash:   block.Hash(),
		TxIDs:  make([]types.Hash, len(block.Txs)),
		WTxIDs: make([]types.Hash, len(block.Txs)),
	}
	offset := types.HeaderSize + types.CompactSizeLen(uint64(len(block.Txs)))
	stripped := offset
	var buf []byte
	for i := range block.Txs {
		tx := &block.Txs[i]
		whole, size := tx.Size(), tx.StrippedSize()
		// A transaction has one encoding, so this part of the block's is it, and nothing
		// is encoded again.
		encoded := raw[offset : offset+whole]
		offset += whole
		stripped += size
		if whole == size {
			b.TxIDs[i] = types.DoubleSHA256(encoded)
			b.WTxIDs[i] = b.TxIDs[i]
			continue
		}
		// The id leaves out what BIP144 adds to an encoding: a marker and a flag behind
		// the version, and the witnesses before the lock time.
		buf = append(buf[:0], encoded[:4]...)
		buf = append(buf, encoded[6:6+size-8]...)
		buf = append(buf, encoded[whole-4:]...)
		b.TxIDs[i] = types.DoubleSHA256(buf)
		b.WTxIDs[i] = types.DoubleSHA256(encoded)
	}
	if len(b.WTxIDs) > 0 {
		b.WTxIDs[0] = types.Hash{}
	}
	b.Weight = stripped*(types.WitnessScale-1) + len(raw)
	return b
}

// findSources fills External, source, doubleSpend and inside. Only an earlier
// transaction of the block can be a source. The output of a later one does not exist
// yet, so such an input goes to External, where no coin will be found. It returns
// the number of table slots that it looked at, which is what it costs.
func (b *HashedBlock) findSources() (looks int) {
	b.doubleSpend = -1
	txs := b.Block.Txs
	if len(txs) < 2 {
		return 0 // the coinbase spends nothing
	}
	inputs, outputs := 0, 0
	for i := range txs {
		inputs += len(txs[i].Inputs)
		outputs += len(txs[i].Outputs)
	}
	inputs -= len(txs[0].Inputs)
	b.source = make([]int32, 0, inputs)
	b.External = make([]types.OutPoint, 0, inputs)
	made, spent := newHashTable(len(txs)), newHashTable(inputs)
	var firstOutput []int // of each transaction, counted through the block
	var key [types.HashSize + 4]byte
	for i := range txs {
		for j := range txs[i].Inputs {
			if i == 0 {
				break
			}
			outPoint := &txs[i].Inputs[j].PreviousOutPoint
			source, internal := made.find(outPoint.TxID[:], func(n int) bool { return b.TxIDs[n] == outPoint.TxID })
			twice := false
			if internal {
				if b.inside == nil {
					b.inside, firstOutput = make([]bool, outputs), b.firstOutputs()
				}
				twice = b.spendInside(firstOutput[source], source, outPoint.Index)
			} else {
				source = -1
				copy(key[:], outPoint.TxID[:])
				binary.LittleEndian.PutUint32(key[types.HashSize:], outPoint.Index)
				_, twice = spent.find(key[:], func(n int) bool { return b.External[n] == *outPoint })
				if !twice {
					spent.add(len(b.External))
				}
				b.External = append(b.External, *outPoint)
			}
			if twice && b.doubleSpend < 0 {
				b.doubleSpend = len(b.source)
			}
			b.source = append(b.source, int32(source))
		}
		if _, repeated := made.find(b.TxIDs[i][:], func(n int) bool { return b.TxIDs[n] == b.TxIDs[i] }); !repeated {
			made.add(i)
		}
	}
	return made.looks + spent.looks
}

// spendInside notes that the block spends an output of its own, and reports whether
// it had done so before. An output that the transaction does not have is left for
// ConnectBlock to refuse.
func (b *HashedBlock) spendInside(first, source int, index uint32) (twice bool) {
	if uint64(index) >= uint64(len(b.Block.Txs[source].Outputs)) {
		return false
	}
	spent := &b.inside[first+int(index)]
	twice = *spent
	*spent = true
	return twice
}

// firstOutputs returns the number of outputs before each transaction.
func (b *HashedBlock) firstOutputs() []int {
	first, n := make([]int, len(b.Block.Txs)), 0
	for i := range b.Block.Txs {
		first[i] = n
		n += len(b.Block.Txs[i].Outputs)
	}
	return first
}

// hashTable finds numbers by the keys that they stand for. It is open addressing, half
// empty; a map would take twice the time and memory. Whoever makes a block chooses
// the keys, so a key's place depends on all of its bytes and on a secret seed. No
// block can be made to slow the table down, and the seed changes nothing but speed.
type hashTable struct {
	slots []int32 // number + 1; 0 is empty
	shift int
	seed  maphash.Seed
	last  uint64 // where find ended
	looks int    // slots that find has looked at
}

// newHashTable returns a table for n numbers.
func newHashTable(n int) *hashTable {
	size := bits.Len(uint(2*n) | 1)
	return &hashTable{slots: make([]int32, 1<<size), shift: 64 - size, seed: maphash.MakeSeed()}
}

// find returns the number for which same holds, among those that were added under the
// key.
func (t *hashTable) find(key []byte, same func(int) bool) (n int, found bool) {
	mask := uint64(len(t.slots) - 1)
	for t.last = maphash.Bytes(t.seed, key) >> t.shift; ; t.last = (t.last + 1) & mask {
		t.looks++
		slot := t.slots[t.last]
		if slot == 0 {
			return 0, false
		}
		if n := int(slot - 1); same(n) {
			return n, true
		}
	}
}

// add adds a number under the key that find was last asked for and did not find. So
// a key is hashed once.
func (t *hashTable) add(n int) { t.slots[t.last] = int32(n) + 1 }
