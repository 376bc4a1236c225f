package taproot

import "fmt"

const (
	// LeafVersionTapscript is the version of leaves that hold a tapscript
	// (BIP342). Leaves of any other version can be spent by anyone.
	LeafVersionTapscript = 0xc0

	// MaxControlPath is the greatest depth of a leaf (BIP341).
	MaxControlPath = 128

	controlBaseSize = 33
	controlNodeSize = 32
	leafVersionMask = 0xfe
)

// ControlBlock is BIP341's control block: it shows that an output commits to a
// leaf.
type ControlBlock struct {
	LeafVersion byte       // an even number
	Parity      byte       // of the output key's y coordinate: 0 even, 1 odd
	InternalKey [32]byte   // x only
	Path        [][32]byte // the siblings from the leaf to the root
}

// ParseControlBlock reads a control block. Any bytes of a right length are one.
func ParseControlBlock(b []byte) (*ControlBlock, error) {
	if !isControlSize(len(b)) {
		return nil, fmt.Errorf("taproot: a control block has 33 bytes and 32 for each of up to %d path elements, not %d bytes", MaxControlPath, len(b))
	}
	c := &ControlBlock{LeafVersion: b[0] & leafVersionMask, Parity: b[0] &^ leafVersionMask}
	copy(c.InternalKey[:], b[1:])
	for rest := b[controlBaseSize:]; len(rest) > 0; rest = rest[controlNodeSize:] {
		c.Path = append(c.Path, [32]byte(rest))
	}
	return c, nil
}

// Encode returns the bytes of the control block.
func (c *ControlBlock) Encode() []byte {
	b := make([]byte, 0, controlBaseSize+controlNodeSize*len(c.Path))
	b = append(b, c.LeafVersion&leafVersionMask|c.Parity&1)
	b = append(b, c.InternalKey[:]...)
	for i := range c.Path {
		b = append(b, c.Path[i][:]...)
	}
	return b
}

// MerkleRoot returns the root of the tree in which the control block places a
// script.
func (c *ControlBlock) MerkleRoot(script []byte) [32]byte {
	node := LeafHash(c.LeafVersion, script)
	for i := range c.Path {
		node = BranchHash(node, c.Path[i])
	}
	return node
}

func isControlSize(n int) bool {
	return n >= controlBaseSize && n <= controlBaseSize+controlNodeSize*MaxControlPath &&
		(n-controlBaseSize)%controlNodeSize == 0
}

// rootOf is MerkleRoot on the encoded control block, whose size was checked.
func rootOf(control []byte, leaf [32]byte) [32]byte {
	for rest := control[controlBaseSize:]; len(rest) > 0; rest = rest[controlNodeSize:] {
		leaf = BranchHash(leaf, [32]byte(rest))
	}
	return leaf
}
