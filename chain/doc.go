// Package chain keeps the best chain that the node knows: the tree of all
// headers, the choice of the best block in it, and the coin set of that block.
//
// The one idea is that the coins are always those of some block, and that they
// move by single blocks only. To get to a better block, the chain disconnects
// down to the fork and connects upwards. The next block, a reorganisation, a
// restart after a crash and an operator's invalidateblock are all this one walk.
//
//	c, err := chain.New(ctx, params, store, chain.Options{}) // walks to the best stored block
//	err = c.AddHeaders(headers)                              // the tree grows; the coins stay
//	err = c.AddBlocks(ctx, raws, report)                     // stores bodies, and walks
//	reverted, applied, err := c.UpdatesSince(position, 8)    // the walk, for someone else's state
//
// A block gets there in this order: its header is in the tree; its body is stored;
// all bodies below are stored too, so that it is complete and a candidate for the
// tip; it is connected, so that the coins include it; its scripts hold, so that
// it is valid and is published as the tip.
//
// A caller must know:
//
//   - A broken rule is a verdict on a block, and work goes on. An ErrLocal is a
//     fault of the disk or of the program. The chain does nothing after it, closes
//     Failed, and leaves it to the node to stop.
//   - Whoever keeps a state beside the chain follows it as internal/poke tells.
//   - Flush comes last. After a crash the next start repeats what was not flushed.
//
// The rules are those of chain/consensus and the disk is Store's. This package
// decides only what is asked of them, and in which order.
package chain
