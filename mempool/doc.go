// Package mempool holds the transactions that no block has yet: what this node
// takes (policy), how they depend on each other, what it throws away when memory is
// short, what replaces what, and which of them make the best block.
//
// # One list, two ends
//
// A child can pay for its parent, so the feerate of a transaction alone says little
// of when it is mined. The pool therefore weighs chunks. Transactions that are
// connected by spending each other form a cluster, of at most 64. A cluster is kept
// in the order in which a miner would take it, cut into chunks of falling feerate: a
// chunk is the smallest set at the front of what is left that pays best. Everything
// that weighs fees against each other asks the chunks: the best ones make a block
// (Select), the worst one is evicted, a replacement must leave a better set of chunks
// behind, and what has no room in the next blocks is what must be outbid (Estimate).
//
// # At a block
//
// The pool stands at a block, and every transaction in it is valid in the next block
// on that one, together with all others. When the chain moves on, confirmed
// transactions and those that conflict with them leave. After a reorganisation the
// transactions of the blocks that were undone come back, and all is checked anew in a
// graph that takes the old one's place when it is done.
//
// So a transaction comes in by two looks. The first needs no lock: rules, coins of
// the chain, scripts. Then, under the lock, it is put in, if the pool still stands at
// the same block; or else the first look is repeated. Until it is in, nothing has
// changed.
//
//	pool := mempool.New(mempool.Options{Params: params, Chain: chain})
//	go pool.Run(ctx)                   // follows the chain
//	entry, err := pool.Accept(ctx, tx, 0)
//	entries, at := pool.Select(pending.Selection{MaxWeight: maxWeight})
//
// A child and its parents can come in together (AcceptPackage), as a group that is
// examined and put in as one.
//
// # Names
//
// An entry (pending.Entry) is a transaction of the pool, and a txNode is its place in
// the graph. A candidate is a transaction that is not in yet, with what was found out
// about it; a group is candidates that come in together. A change is a difference to the
// graph that was worked out and is not made yet, so that to refuse it costs nothing. An
// ancestor is what a transaction spends, directly or not; lineage is the set of all
// ancestors with the transaction itself. A modified fee is what a transaction counts for:
// its fee and the operator's delta (Prioritise), which may make it negative. A node never
// changes its delta; another node takes its place, so that whoever reads a cluster without
// the lock sees one order and the fees that belong to it.
package mempool
