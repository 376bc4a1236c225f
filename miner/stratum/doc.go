// Package stratum is a Stratum v1 server: miners connect to it, are given jobs, and
// hand in the shares that they find. The name of a worker is the address that its
// blocks pay, so that there are no accounts, no balances and nothing to trust: who
// finds a block is paid by it.
//
//	server := stratum.New(stratum.Options{
//		Params: params, Templates: miner, Tip: chain, Pool: pool, Chain: chain, Listener: listener,
//	})
//	err := server.Run(ctx)
//
// A template becomes a job. What a job says depends on who is paid, and on nothing
// else of a connection: so the line that tells of it is made once for each payout and
// handed to all connections that have it. What tells these apart is extra nonce 1,
// which each puts into the coinbase by itself.
//
// A session is what a miner gets back when it resumes after its line broke: extra
// nonce 1, the difficulty, and which shares were handed in. The difficulty follows the
// shares (vardiff), and is never harder than the network's target, so that no block is
// lost by it. A share counts by the difficulty of its job: whoever is given a harder
// one may still hand in what it found for the job before.
//
// All that comes over a connection is a stranger's. A line is bounded before it is
// read, lines by the second, connections by address and in all; what waits to be
// written is bounded too, and whoever does not read is hung up on. Whoever hands in
// more bad shares than good ones is hung up on, and then kept out for a while.
package stratum
