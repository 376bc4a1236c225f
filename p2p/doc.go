// Package p2p is the node among other nodes. It keeps connections, fetches the
// headers, blocks and transactions that other nodes have, and passes on what is new.
//
// Its one idea is that a peer is a stranger. It may lie, keep silent, send too much or
// take nothing, and it may have as many ids as it likes, because an id costs nothing.
// So the package believes no peer, and hangs on none of them:
//
//   - It validates nothing itself. Headers, blocks and transactions go to the
//     interfaces Headers, Blocks and Pool, and what these answer decides what becomes of
//     the peer. One function, judge, is the whole policy.
//   - Whatever a peer can make the node hold has a limit, and all peers together share
//     one budget (Options.MaxMemory).
//   - Blocks are asked of each peer's own chain. Headers whose blocks nobody gives
//     keep the node from nothing.
//   - What one peer does not bring in time is asked of another.
//
// A Manager does all this while its Run goes on:
//
//	peers := p2p.New(p2p.Options{Params: params, Key: key, Headers: chain, Blocks: chain, Pool: pool})
//	err := peers.Run(ctx) // until ctx ends, or the chain has a local fault
//
// Inside, a peer is one connection with four goroutines: one reads and handles
// messages, one answers requests, one writes, and one pings. The connection knows nobody.
// The dispatcher hands each message to the part that it concerns. The syncer knows which
// blocks are asked of whom, and feeds the chain. The relay does the same for
// transactions, and feeds the pool. Discovery decides whom to call, by what package
// addrbook knows. The slots decide who is connected, and remember who misbehaved. Each
// of them has a lock of its own. No lock is taken under another, and nothing that can
// wait happens under any: a peer is closed, and a message is sent, outside of all locks.
//
// The bytes of the messages are package wire's matter, and the encryption is package
// noise's. docs/wire-protocol.md describes both.
package p2p
