package taproot

import (
	"fmt"

	"github.com/karatcoin/karat/chain/types"
)

// The interpreter never takes a control block apart. The tests do, in the plain
// way that BIP341 describes it, to make spends and to compare.

// controlBlock is BIP341's control block: it shows that an output commits to a
// leaf.
type controlBlock struct {
	LeafVersion byte       // an even number
	Parity      byte       // of the output key's y coordinate: 0 even, 1 odd
	InternalKey [32]byte   // x only
	Path        [][32]byte // the siblings from the leaf to the root
}

// parseControlBlock reads a control block. Any bytes of a right length are one.
func parseControlBlock(b []byte) (*controlBlock, error) {
	if !isControlSize(len(b)) {
		return nil, fmt.Errorf("taproot: a control block has 33 bytes and 32 for each of up to %d path elements, not %d bytes", maxControlPath, len(b))
	}
	c := &controlBlock{LeafVersion: b[0] & LeafVersionMask, Parity: b[0] &^ LeafVersionMask}
	copy(c.InternalKey[:], b[1:])
	for rest := b[controlBaseSize:]; len(rest) > 0; rest = rest[controlNodeSize:] {
		c.Path = append(c.Path, [32]byte(rest))
	}
	return c, nil
}

// encode returns the bytes of the control block.
func (c *controlBlock) encode() []byte {
	b := make([]byte, 0, controlBaseSize+controlNodeSize*len(c.Path))
	b = append(b, c.LeafVersion&LeafVersionMask|c.Parity&1)
	b = append(b, c.InternalKey[:]...)
	for i := range c.Path {
		b = append(b, c.Path[i][:]...)
	}
	return b
}

// merkleRoot returns the root of the tree in which the control block places a
// script.
func (c *controlBlock) merkleRoot(script []byte) [32]byte {
	node := hashOfLeaf(c.LeafVersion, script)
	for i := range c.Path {
		node = BranchHash(node, c.Path[i])
	}
	return node
}

// hashOfLeaf returns BIP341's hash of a leaf.
func hashOfLeaf(version byte, script []byte) [32]byte {
	return TaggedHash("TapLeaf", []byte{version}, types.AppendVarBytes(nil, script))
}
