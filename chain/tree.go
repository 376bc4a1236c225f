package chain

import (
	"math/bits"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// blockNode is a header in the tree, with what is known of its block. The first
// group of fields never changes, so it is read without a lock; the second is
// guarded by Chain.mu. A blockNode is never removed: refused blocks stay, so that
// nobody makes the node check them again.
type blockNode struct {
	header types.Header
	hash   types.Hash
	height uint32
	work   consensus.Uint256 // of the whole chain up to and with this header
	parent *blockNode        // nil for the genesis block
	skip   *blockNode        // an ancestor far below, see ancestor

	status   header.Status
	txCount  uint32
	complete bool   // this block's body and all bodies below are stored
	chainTxs uint64 // transactions up to and with this block; 0 until it is complete
	order    int64  // when the block became complete; the lower wins a tie
}

// HeaderMemory is about how many bytes a header takes in the tree, its place in the map of all
// among them.
const HeaderMemory = 320

const statusRefused = header.StatusInvalid | header.StatusInvalidAncestor

func (n *blockNode) index() types.Index { return types.Index{Height: n.height, Hash: n.hash} }

func (n *blockNode) refused() bool { return n.status.Refused() }

func (n *blockNode) record() header.Record {
	return header.Record{Header: n.header, Hash: n.hash, Height: n.height, TxCount: n.txCount, Status: n.status}
}

// better reports whether n is preferred to other as a tip: by work, then by which
// was complete here first. So a tie never moves the tip, and a miner gains nothing
// by publishing a rival of the same work later.
func (n *blockNode) better(other *blockNode) bool {
	if order := n.work.Cmp(other.work); order != 0 {
		return order > 0
	}
	return n.order < other.order
}

// newBlockNode returns the child of parent with the given header, or the genesis
// block for a nil parent. It does not put it into the tree.
func newBlockNode(parent *blockNode, header types.Header, hash types.Hash) *blockNode {
	n := &blockNode{header: header, hash: hash, parent: parent, work: consensus.BlockWork(header.Bits)}
	if parent != nil {
		n.height = parent.height + 1
		n.work = parent.work.Add(n.work)
		n.skip = parent.ancestor(skipHeight(n.height))
	}
	return n
}

// skipHeight is the height that the skip pointer of a block at the given height
// leads to. Clearing low bits makes any ancestor reachable in a number of steps
// logarithmic in the distance (as Bitcoin Core's GetSkipHeight does).
func skipHeight(height uint32) uint32 {
	if height < 2 {
		return 0
	}
	clearLowest := func(v uint32) uint32 { return v &^ (1 << bits.TrailingZeros32(v)) }
	if height%2 == 1 {
		return clearLowest(clearLowest(height-1)) + 1
	}
	return clearLowest(height)
}

// ancestor returns the block at the given height on the way from n down to the
// genesis block, n itself for its own height, nil above it.
func (n *blockNode) ancestor(height uint32) *blockNode {
	if n == nil || height > n.height {
		return nil
	}
	for n.height > height {
		skip, skipBefore := skipHeight(n.height), skipHeight(n.height-1)
		// Follow the skip pointer unless the parent's leads further down
		// without passing the target.
		if n.skip != nil && (skip == height || skip > height && (skipBefore+2 >= skip || skipBefore < height)) {
			n = n.skip
		} else {
			n = n.parent
		}
	}
	return n
}

// descendsFrom reports whether other is n or an ancestor of n.
func (n *blockNode) descendsFrom(other *blockNode) bool { return n.ancestor(other.height) == other }

// fork returns the last common ancestor of two blocks.
func fork(a, b *blockNode) *blockNode {
	height := min(a.height, b.height)
	a, b = a.ancestor(height), b.ancestor(height)
	for a != b {
		a, b = a.parent, b.parent
	}
	return a
}

// pathFrom returns the blocks above base up to n, lowest first.
func (n *blockNode) pathFrom(base *blockNode) []*blockNode {
	path := make([]*blockNode, 0, n.height-base.height)
	for ; n != base; n = n.parent {
		path = append(path, n)
	}
	slices.Reverse(path)
	return path
}

// timestamps returns the times of n and up to ten headers below, oldest first:
// those that the median time past is taken of.
func (n *blockNode) timestamps() []uint32 {
	times := make([]uint32, 0, consensus.MedianTimeBlocks)
	for m := n; m != nil && len(times) < consensus.MedianTimeBlocks; m = m.parent {
		times = append(times, m.header.Timestamp)
	}
	slices.Reverse(times)
	return times
}

// state returns what the rules need to know of the chain below a child of n.
func (n *blockNode) state() consensus.State {
	return consensus.NewState(n.index(), n.header, n.work, n.timestamps())
}

// ancestry answers consensus.Ancestry for the children of a block.
type ancestry struct{ parent *blockNode }

// MedianTimePast returns the median time of the ancestor at the given height.
func (a ancestry) MedianTimePast(height uint32) uint32 {
	state := a.parent.ancestor(height).state()
	return state.MedianTimePast()
}
