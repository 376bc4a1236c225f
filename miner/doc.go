// Package miner makes blocks. It fills a template with the transactions that pay
// best, and searches for the nonce that gives the template its proof of work.
//
// The rules of a block are consensus's, and which transactions go into it is the
// pool's choice. What is left to the miner is when to stop one search and begin the
// next: at a new tip at once, since a block on the old one would lose; for higher
// fees after a while, since a new template costs time; and when the header's time
// has grown old. A search has no memory, so a change of template loses nothing but
// the time that making it takes.
//
// There are two ways to use one. Run mines for as long as its context lasts:
//
//	m := miner.New(miner.Options{Params: params, Chain: chain, Pool: pool, ScriptPubKey: script})
//	err := m.Run(ctx)
//
// Generate makes some blocks at once, for tests and for networks on which a block
// costs no work.
package miner
