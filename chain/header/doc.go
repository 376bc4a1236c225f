// Package header is what is known of a block before and beside its body: the
// values that the header tree hands out and the store keeps. They are plain
// values without locks, so that chain, its store and all who ask about blocks
// (rpc, p2p, mempool) mean the same by them.
//
//	record.Status.Has(header.StatusBody | header.StatusUndo) // can be disconnected
//
// A Record is stored. An Info adds what follows from the tree at the moment of
// asking, and is out of date when the tip moves. A Tip is the end of a branch. A
// Result is what became of a block that was added.
package header
