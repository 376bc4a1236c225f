package proof

import (
	"encoding/binary"
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// MerkleBlock shows that transactions are in the block of a header. It is the message
// merkleblock of BIP37. Here t1 is shown:
//
//	      root 1
//	     /      \
//	   a 1       b 0
//	  /   \     /   \
//	t0 0  t1 1  t2   t3
//
// There is a flag for each node that the way to a shown transaction passes or leaves
// aside: is something shown below it? They go from the root on, the left before the
// right: 1 1 0 1 0. There is a hash for each node at which the way ends: t0 t1 b. With
// both, anybody computes the root and compares it with the header's.
type MerkleBlock struct {
	Header types.Header
	Count  uint32       // of the block's transactions, if it tells the truth
	Hashes []types.Hash // in the order of their flags
	Flags  []byte       // eight each, the lowest bit first
}

// NewMerkleBlock shows transactions of a block. There is at least one, and shown has as many
// values as the block has transactions.
func NewMerkleBlock(header *types.Header, txids []types.Hash, shown []bool) *MerkleBlock {
	m := &MerkleBlock{Header: *header, Count: uint32(len(txids))}
	b := merkleBuilder{MerkleBlock: m, levels: [][]types.Hash{txids}, shown: shown}
	for level := txids; len(level) > 1; {
		next := make([]types.Hash, 0, (len(level)+1)/2)
		for pair := range slices.Chunk(level, 2) {
			next = append(next, parent(pair[0], pair[len(pair)-1]))
		}
		b.levels, level = append(b.levels, next), next
	}
	b.walk(len(b.levels)-1, 0)
	return m
}

// parent returns the node above two. One without a right half has its left half twice.
func parent(left, right types.Hash) types.Hash {
	return types.DoubleSHA256(append(left[:], right[:]...))
}

type merkleBuilder struct {
	*MerkleBlock
	levels [][]types.Hash // of the tree, the transactions first
	shown  []bool         // beside them
	flags  int            // that there are
}

// walk goes down from a node, by its height above the transactions and its place there, as
// far as something is shown.
func (b *merkleBuilder) walk(height, at int) {
	shown := slices.Contains(b.shown[at<<height:min((at+1)<<height, len(b.shown))], true)
	if b.flags%8 == 0 {
		b.Flags = append(b.Flags, 0)
	}
	if shown {
		b.Flags[b.flags/8] |= 1 << (b.flags % 8)
	}
	b.flags++
	if height == 0 || !shown {
		b.Hashes = append(b.Hashes, b.levels[height][at])
		return
	}
	b.walk(height-1, 2*at)
	if 2*at+1 < len(b.levels[height-1]) {
		b.walk(height-1, 2*at+1)
	}
}

// AppendTo appends the message to b and returns the result.
func (m *MerkleBlock) AppendTo(b []byte) []byte {
	b = m.Header.AppendTo(b)
	b = binary.LittleEndian.AppendUint32(b, m.Count)
	b = types.AppendCompactSize(b, uint64(len(m.Hashes)))
	for i := range m.Hashes {
		b = append(b, m.Hashes[i][:]...)
	}
	return types.AppendVarBytes(b, m.Flags)
}

// DecodeMerkleBlock reads the message. As in Core, what stands behind it does not matter.
func DecodeMerkleBlock(raw []byte) (*MerkleBlock, error) {
	header, err := types.DecodeHeader(raw[:min(len(raw), types.HeaderSize)])
	if err != nil {
		return nil, err
	}
	d := types.NewDecoder(raw[types.HeaderSize:])
	m := &MerkleBlock{Header: header, Count: d.Uint32()}
	for range d.Count(types.HashSize) {
		m.Hashes = append(m.Hashes, d.Hash())
	}
	m.Flags = d.VarBytes()
	return m, d.Err()
}

// Verify returns the transactions that are shown, in the block's order. It reports false if
// the flags and hashes do not lead to the header's merkle root. A block of this weight has at
// most so many transactions that the work is bounded.
//
// Who relies on it compares Count with what the block has: a proof that hides how deep the
// tree is passes a node of it off as a transaction.
func (m *MerkleBlock) Verify(maxWeight int) (shown []types.Hash, ok bool) {
	const leastWeight = 4 * 60 // of a transaction
	if m.Count == 0 || int64(m.Count) > int64(maxWeight/leastWeight) || len(m.Hashes) > int(m.Count) || 8*len(m.Flags) < len(m.Hashes) {
		return nil, false
	}
	r := merkleReader{MerkleBlock: m}
	height := 0
	for r.width(height) > 1 {
		height++
	}
	root := r.walk(height, 0)
	ok = !r.bad && (r.flags+7)/8 == len(m.Flags) && r.hashes == len(m.Hashes) && root == m.Header.MerkleRoot
	if !ok {
		return nil, false
	}
	return r.shown, true
}

type merkleReader struct {
	*MerkleBlock
	flags  int // that were read
	hashes int // that were read
	shown  []types.Hash
	bad    bool
}

// width is the number of nodes at a height above the transactions.
func (r *merkleReader) width(height int) int { return (int(r.Count) + 1<<height - 1) >> height }

// walk returns the hash of a node, and collects the transactions below it that are shown.
func (r *merkleReader) walk(height, at int) types.Hash {
	if r.flags >= 8*len(r.Flags) {
		r.bad = true
		return types.Hash{}
	}
	shown := r.Flags[r.flags/8]>>(r.flags%8)&1 == 1
	r.flags++
	if height == 0 || !shown {
		if r.hashes == len(r.Hashes) {
			r.bad = true
			return types.Hash{}
		}
		hash := r.Hashes[r.hashes]
		if r.hashes++; shown {
			r.shown = append(r.shown, hash)
		}
		return hash
	}
	left := r.walk(height-1, 2*at)
	right := left
	if 2*at+1 < r.width(height-1) {
		if right = r.walk(height-1, 2*at+1); right == left {
			r.bad = true // as transactions differ, halves are never alike
		}
	}
	return parent(left, right)
}
