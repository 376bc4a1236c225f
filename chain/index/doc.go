// Package index keeps what can be computed from the chain but should not be
// computed for every question: the filter of each block (BIP158), and the place of
// each transaction.
//
// The one idea is that an index is no part of the ledger. It follows the chain by
// itself, from its own position and in a database of its own, like any other
// subscriber. A block never waits for it, and the node neither fails to start nor
// stops because of it.
//
//	x, err := index.Open(dir, chain, index.Options{Filters: true})
//	go x.Run(ctx)                             // follows the chain
//	filter, header, err := x.Filter(hash)     // ErrBehind: not yet, ask again
//
// So its answers may be behind the chain. One that must not be asks Wait first. The
// chain, for its part, must not prune what the index still needs: Needs says from
// which height on.
//
// Everything can be made again from the blocks. An index that is damaged, of another
// network or made with other options is therefore removed and begun anew, once in a
// run. If old blocks are pruned that cannot be done, and the index stands still.
package index
