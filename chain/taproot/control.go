package taproot

const (
	// LeafVersionTapscript is the version of leaves that hold a tapscript (BIP342).
	// Leaves of other versions can be spent by anyone, until they get a meaning.
	LeafVersionTapscript = 0xc0

	// LeafVersionMask selects the version from the first byte of a control block. The
	// byte's last bit is the parity of the output key.
	LeafVersionMask = 0xfe

	maxControlPath  = 128 // the greatest depth of a leaf (BIP341)
	controlBaseSize = 33  // bytes: version and parity, internal key
	controlNodeSize = 32  // bytes of a sibling on the way to the root
)

// isControlSize checks the one thing about a control block that can be wrong in itself
// (BIP341). Whether it belongs to the output is for the tweak to show.
func isControlSize(n int) bool {
	return n >= controlBaseSize && n <= controlBaseSize+controlNodeSize*maxControlPath &&
		(n-controlBaseSize)%controlNodeSize == 0
}

// rootOf returns the root of the tree in which a control block places a leaf. The
// block is read where it lies, as nothing of it is needed afterwards. Its size was
// checked.
func rootOf(control []byte, leaf [32]byte) [32]byte {
	for rest := control[controlBaseSize:]; len(rest) > 0; rest = rest[controlNodeSize:] {
		leaf = BranchHash(leaf, [32]byte(rest))
	}
	return leaf
}
