package taproot

const (
	// LeafVersionTapscript is the version of leaves that hold a tapscript
	// (BIP342). Leaves of any other version can be spent by anyone.
	LeafVersionTapscript = 0xc0

	// LeafVersionMask selects the version from the first byte of a control block,
	// whose last bit is the parity of the output key.
	LeafVersionMask = 0xfe

	maxControlPath  = 128 // the greatest depth of a leaf (BIP341)
	controlBaseSize = 33
	controlNodeSize = 32
)

func isControlSize(n int) bool {
	return n >= controlBaseSize && n <= controlBaseSize+controlNodeSize*maxControlPath &&
		(n-controlBaseSize)%controlNodeSize == 0
}

// rootOf returns the root of the tree in which a control block places a leaf. Its
// size was checked.
func rootOf(control []byte, leaf [32]byte) [32]byte {
	for rest := control[controlBaseSize:]; len(rest) > 0; rest = rest[controlNodeSize:] {
		leaf = BranchHash(leaf, [32]byte(rest))
	}
	return leaf
}
