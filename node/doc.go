// Package node puts a karat node together. It is the only package that knows all
// others, and has no protocol logic of its own: it says what is made from what, what
// runs when, and in which order everything ends.
//
// A node has two lives. Open opens the data directory and brings the chain in it up to
// date; that is all that the jobs need which work on blocks without a network, such as
// Import and Export. Run then makes the pool, the miner, the connections to peers and
// the RPC server, and runs them until the context ends:
//
//	n, err := node.Open(ctx, config)
//	defer n.Close()
//	err = n.Run(ctx, func(s node.Started) { … }) // tells when everything listens
//
// # Order
//
// All listeners are opened before anything begins, so that a port that is taken stops
// a start at once. What waited in the pool is read back before clients are answered.
// When one service fails, all end, since a node that does half its work deceives those
// who rely on it. Then the pool is saved and the store is flushed. A kill at any moment
// loses no block and no coin: then the next start does what was left to do.
//
// # Adapters
//
// The packages meet through interfaces that each declares for itself. Mostly one
// implements what the other asks for, and is handed over as it is. Where they differ
// there is an adapter (adapters.go), which embeds what it adapts. It may add what only
// the node knows, but translates no types: what two packages say to each other has one
// type, in the pure layer.
package node
