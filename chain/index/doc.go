// Package index keeps what can be computed from the chain but should not be computed
// for every question: the place of each transaction, the filter of each block
// (BIP158), who spends an output, what a script was paid, and the coin
// set after each block.
//
// The one idea is that an index is no part of the ledger. It follows the chain by
// itself, from its own position and in a database of its own, like any other
// subscriber. A block never waits for it, and the node neither fails to start nor
// stops because of it.
//
//	s := index.Open(dir, chain, index.Options{Names: []string{indexed.Filters}})
//	go s.Run(ctx)                             // follows the chain
//	filter, header, err := s.Filter(hash)     // ErrBehind: not yet, ask again
//
// So answers may be behind the chain. One that must not be asks Wait first. The chain,
// for its part, must not prune what an index still needs: Needs says from which height
// on.
//
// Indexes know nothing of each other. Each is switched on and off alone, and those that
// are at the same block take the next step together, so that its body is read once.
//
// Everything can be made again from the blocks. An index that is damaged, of another
// network or of another format is therefore removed and begun anew, once in a run. If
// old blocks are pruned that cannot be done, and it stands still.
//
// # Adding an index
//
// An index is a line of the table kinds, and a type that implements content: what a
// block that comes or goes puts into the database. A content lives for one step, which
// is some blocks and one atomic, synced write. All that it has to know of before is in
// the database (writer.get) and in writer.state, some bytes that are stored with the
// position. It must be a function of the chain alone: an index that came over branches,
// restarts and crashes answers as one that was built at once.
package index
