// Package header is what is known of a block besides its body: the values that the
// header tree hands out and the store keeps. Package chain makes them, and all who ask
// about blocks (rpc, p2p, the pool) mean the same by them.
//
//	info, known := chain.Info(hash)
//	if known && info.Status.Has(header.StatusBody) {
//		raw, err := chain.Block(hash)
//
// A Record is stored. An Info adds what follows from the tree. A Tip is the end of a
// branch. They are values that share nothing, so they need no lock, but they were true
// when they were made: a tip may have moved since. Whoever needs two facts that agree
// asks for both at once.
package header
