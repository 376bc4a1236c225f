package wallet

import (
	"context"
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// maxKept is how many headers above a fork are kept in memory until they have the work that
// they need: a week of blocks that come each minute. A node could send more without end, at
// little work each. So of a longer branch only marks are kept, and once all of it is known
// to have the work it is fetched again.
const maxKept = 5 * maxHeaders

// maxTurns is how often a node's chain may change while its headers are fetched.
const maxTurns = 5

// ErrBehind is a node whose chain has no more work than the one that the wallet has seen, and
// is another or ends earlier. What the wallet shows stays true as of its position.
var ErrBehind = errors.New("the node is behind")

// syncHeaders brings the wallet's headers up to the node's best chain. A chain that forks off
// is only taken if it has more work than the wallet's, and as much as the network's is known
// to have. So a node that is behind, or on a chain of less work, takes nothing from a wallet
// that has seen better. Errors: ErrBehind, ErrLittleWork, ErrLying.
func (w *Wallet) syncHeaders(ctx context.Context, r *remote, progress func(Progress)) error {
	for range maxTurns {
		done, err := w.followOnce(ctx, r, progress)
		if done || err != nil {
			return err
		}
	}
	return lying("another tip each time, and headers that do not lead there")
}

// followOnce fetches the node's headers above the wallet's chain. It is not done if the node's
// chain has changed meanwhile.
func (w *Wallet) followOnce(ctx context.Context, r *remote, progress func(Progress)) (done bool, err error) {
	locator, heights, err := w.locator()
	if err != nil {
		return false, err
	}
	headers, err := r.headers(ctx, locator)
	if err != nil {
		return false, err
	}
	if len(headers) == 0 {
		return w.nothingNew(ctx, r)
	}
	// Headers that build on nothing known could not be checked for their difficulty.
	fork, known := heights[headers[0].PrevBlock]
	if !known {
		return false, lying("headers that build on no block that it was asked about")
	}
	theirs := &nodeChain{w: w, r: r, progress: progress}
	if err := theirs.begin(fork); err != nil {
		return false, err
	}
	return theirs.follow(ctx, headers)
}

// nothingNew judges a node that has no headers above the wallet's chain: it has the same tip,
// or its chain ends below.
func (w *Wallet) nothingNew(ctx context.Context, r *remote) (done bool, err error) {
	tip := w.Tip()
	hash, told, err := r.tip(ctx)
	if err != nil || !told || hash == tip.Hash {
		return true, err // one that does not say it may have the same tip
	}
	height, told, err := r.height(ctx)
	switch {
	case err != nil:
		return false, err
	case told && height > tip.Height: // a block has come since
		return false, nil
	case told:
		if h, err := w.headerAt(height); err == nil && h.Hash() == hash {
			r.upTo = height
		}
		return false, fmt.Errorf("%w: its chain ends at block %d, and this wallet has seen block %d", ErrBehind, height, tip.Height)
	}
	return true, nil
}

// nodeChain is the node's chain above the wallet's, as far as it sent headers. They are kept
// until they have more work than the wallet's chain above the fork. If they are too many for
// that, the hash of each answer's last header is kept instead, and they are fetched again.
type nodeChain struct {
	w        *Wallet
	r        *remote
	progress func(Progress)
	fork     uint32              // height of the last block that the wallet's chain has too
	work     consensus.Uint256   // of the wallet's chain
	state    consensus.State     // after the last header
	headers  []types.Header      // above the fork; none while there are marks
	works    []consensus.Uint256 // of the chain up to each of them
	marks    []types.Index       // the last header of each answer
	again    bool                // they are fetched again, up to the marks
}

func (c *nodeChain) begin(fork uint32) (err error) {
	own, err := c.w.stateAt(c.w.Tip().Height)
	if err != nil {
		return err
	}
	c.fork, c.work = fork, own.Work
	c.state, err = c.w.stateAt(fork)
	return err
}

// follow goes along the node's chain from its first headers on, and takes it if it is worth
// it. It is not done if the node's chain has changed meanwhile.
func (c *nodeChain) follow(ctx context.Context, headers []types.Header) (done bool, err error) {
	for {
		last := len(headers) < maxHeaders
		if c.again { // up to the mark: the chain may have grown since
			headers, last = headers[:min(len(headers), int(c.marks[0].Height-c.state.Index.Height))], false
		}
		if err := c.add(headers); err != nil {
			return false, err
		}
		end := c.state.Index
		if same, err := c.take(); !same || err != nil {
			return false, err
		}
		c.progress(Progress{Headers: end.Height, Scanned: c.w.Position().Height, Tip: end.Height})
		if last && !c.again {
			return true, c.judge()
		}
		// From the last header on, though the wallet may not have adopted it yet.
		if headers, err = c.r.headers(ctx, []types.Hash{c.state.Index.Hash}); err != nil {
			return false, err
		}
		switch {
		case len(headers) == 0 && !c.again:
			return true, c.judge()
		case len(headers) == 0 || headers[0].PrevBlock != c.state.Index.Hash:
			return false, nil
		}
	}
}

// add checks headers by all rules that a header has: its hash is below its target, the target
// is what the headers below ask for, its time is neither too early nor too late, and its
// version is in force. So to make up a chain costs as much work as to mine it.
func (c *nodeChain) add(headers []types.Header) error {
	now := c.w.now().Unix()
	for i := range headers {
		h := &headers[i]
		hash := h.Hash()
		err := consensus.CheckHeader(c.w.params, h, hash)
		if err == nil {
			err = consensus.ValidateHeader(c.w.params, &c.state, h, c.latest(h, now))
		}
		switch {
		case errors.Is(err, consensus.ErrNotYet): // the clock here may be wrong: nobody is said to lie
			return fmt.Errorf("the node's block %s is from the future (%w): is the clock of this computer right?", hash, err)
		case err != nil:
			return lying("header %s: %v", hash, err)
		}
		c.state = c.state.Extend(h, hash)
		if len(c.marks) == 0 || c.again {
			c.headers = append(c.headers, *h)
			c.works = append(c.works, c.state.Work)
		}
	}
	return nil
}

// latest returns the time by which a header is judged to be from the future. Where difficulty
// is fixed, a block's time decides nothing that a wallet shows, and a laboratory may set its
// nodes' clocks: their time counts.
func (c *nodeChain) latest(h *types.Header, now int64) int64 {
	if c.w.params.Difficulty.Algorithm == consensus.DifficultyFixed {
		return max(now, int64(h.Timestamp))
	}
	return now
}

// take adopts the headers if their chain has the work that it needs. Else they are kept, or a
// mark of them. same is false if headers that were fetched again are others than before.
func (c *nodeChain) take() (same bool, err error) {
	switch {
	case c.again:
		if c.state.Index != c.marks[0] {
			return false, nil
		}
		c.marks = c.marks[1:]
		c.again = len(c.marks) > 0
		return true, c.adopt()
	case c.worthIt() && len(c.marks) == 0:
		return true, c.adopt()
	case c.worthIt(): // all of them is worth it, so they are stored as they come again
		c.marks = append(c.marks, c.state.Index)
		c.again = true
		c.state, err = c.w.stateAt(c.fork)
		return true, err
	case len(c.marks) > 0:
		c.marks = append(c.marks, c.state.Index)
	case len(c.headers) >= maxKept:
		for at := maxHeaders; at <= len(c.headers); at += maxHeaders {
			c.marks = append(c.marks, types.Index{Height: c.fork + uint32(at), Hash: c.headers[at-1].Hash()})
		}
		c.headers, c.works = nil, nil
	}
	return true, nil
}

// worthIt reports whether the chain has more work than the wallet's, and as much as the
// network's is known to have. At equal work the wallet's own stays, as in a node: whoever was
// first.
func (c *nodeChain) worthIt() bool {
	return c.state.Work.Cmp(c.work) > 0 && c.state.Work.Cmp(c.w.params.MinimumChainWork) >= 0
}

// judge says what is wrong with a chain that ends, if the wallet has not taken it.
func (c *nodeChain) judge() error {
	tip := c.w.Tip()
	if c.state.Index == tip {
		return nil
	}
	if c.state.Work.Cmp(c.w.params.MinimumChainWork) < 0 {
		return fmt.Errorf("%w: it ends at block %d", ErrLittleWork, c.state.Index.Height)
	}
	c.r.upTo = c.fork
	return fmt.Errorf("%w: its chain leaves the wallet's at block %d, ends at block %d and has no more work than the wallet's, which ends at block %d", ErrBehind, c.fork, c.state.Index.Height, tip.Height)
}

// adopt makes the node's chain the wallet's, up to the last of its headers. Headers and what
// they undo are one step, so that no position is ever on another chain than the headers.
func (c *nodeChain) adopt() error {
	w := c.w
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.db.begin()
	if err := w.rollBack(s, c.fork); err != nil {
		return err
	}
	for i := range c.headers {
		s.putHeader(c.fork+1+uint32(i), &c.headers[i], c.works[i])
	}
	for height := c.state.Index.Height + 1; height <= w.tip.Height; height++ {
		s.deleteHeader(height)
	}
	if err := s.write(); err != nil {
		return err
	}
	w.tip = c.state.Index
	c.fork, c.work = c.state.Index.Height, c.state.Work
	c.headers, c.works = nil, nil
	return nil
}
