package wallet

import (
	"context"
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// stateAt returns the state after the header at a height, by which the next is checked. Its
// work is stored, and its median time needs the last eleven headers (BIP113).
func (w *Wallet) stateAt(height uint32) (consensus.State, error) {
	if height == 0 {
		return w.params.GenesisState(), nil
	}
	h, work, ok, err := w.db.header(height)
	if err != nil || !ok {
		return consensus.State{}, errors.Join(err, errMissingHeader(ok))
	}
	times := []uint32{}
	for at := height - min(height, consensus.MedianTimeBlocks-1); at < height; at++ {
		earlier, err := w.headerAt(at)
		if err != nil {
			return consensus.State{}, err
		}
		times = append(times, earlier.Timestamp)
	}
	return consensus.NewState(types.Index{Height: height, Hash: h.Hash()}, h, work, append(times, h.Timestamp)), nil
}

func errMissingHeader(ok bool) error {
	if ok {
		return nil
	}
	return errDatabase
}

func (w *Wallet) headerAt(height uint32) (types.Header, error) {
	if height == 0 {
		return w.params.GenesisBlock().Block.Header, nil
	}
	h, _, ok, err := w.db.header(height)
	return h, errors.Join(err, errMissingHeader(ok || err != nil))
}

// locator names blocks of the wallet's chain: the newest ten, then fewer and fewer, and the
// genesis block. So the node finds a block that both chains have not far below the fork, and
// at most some 40 hashes are sent whatever the height. It returns their heights too.
func (w *Wallet) locator() (hashes []types.Hash, heights map[types.Hash]uint32, err error) {
	heights = map[types.Hash]uint32{}
	stride := uint32(1)
	for height := w.tip.Height; ; height -= min(stride, height) {
		h, err := w.headerAt(height)
		if err != nil {
			return nil, nil, err
		}
		hash := h.Hash()
		hashes = append(hashes, hash)
		heights[hash] = height
		if height == 0 {
			return hashes, heights, nil
		}
		if len(hashes) >= 10 {
			stride *= 2
		}
	}
}

// syncHeaders brings the wallet's headers up to the node's best chain. A chain that forks off
// is only taken if it has more work than the wallet's. So a node that is behind, or on a
// chain of less work, takes nothing from a wallet that has seen better.
func (w *Wallet) syncHeaders(ctx context.Context, r *remote, progress func(Progress)) error {
	locator, heights, err := w.locator()
	if err != nil {
		return err
	}
	headers, err := r.headers(ctx, locator)
	if err != nil || len(headers) == 0 {
		return err
	}
	// Headers that build on nothing known could not be checked for their difficulty.
	fork, known := heights[headers[0].PrevBlock]
	if !known {
		return lying("headers that build on no block that it was asked about")
	}
	state, err := w.stateAt(fork)
	if err != nil {
		return err
	}
	theirs := &nodeChain{w: w, fork: fork, state: state}
	for len(headers) > 0 {
		if err := theirs.add(headers); err != nil {
			return err
		}
		if err := theirs.adopt(); err != nil {
			return err
		}
		progress(Progress{Headers: theirs.state.Index.Height, Scanned: w.Position().Height, Tip: theirs.state.Index.Height})
		if len(headers) < maxHeaders {
			return nil
		}
		// From the last header on, though the wallet may not have adopted it yet.
		if headers, err = r.headers(ctx, []types.Hash{theirs.state.Index.Hash}); err != nil {
			return err
		}
		if len(headers) > 0 && headers[0].PrevBlock != theirs.state.Index.Hash {
			return nil // the node's chain changed; the next sync sees to it
		}
	}
	return nil
}

// nodeChain is the node's chain, as far as it sent headers. They are kept in memory until
// they have more work than the wallet's chain above the fork.
type nodeChain struct {
	w       *Wallet
	fork    uint32              // height of the last block that the wallet's chain has too
	state   consensus.State     // after the last header
	headers []types.Header      // above the fork
	works   []consensus.Uint256 // of the chain up to each of them
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
			err = consensus.ValidateHeader(c.w.params, &c.state, h, now)
		}
		switch {
		case errors.Is(err, consensus.ErrNotYet): // the clock here may be wrong: nobody is said to lie
			return fmt.Errorf("the node's block %s is from the future (%w): is the clock of this computer right?", hash, err)
		case err != nil:
			return lying("header %s: %v", hash, err)
		}
		c.state = c.state.Extend(h, hash)
		c.headers = append(c.headers, *h)
		c.works = append(c.works, c.state.Work)
	}
	return nil
}

// adopt makes the node's chain the wallet's as soon as it has more work. At equal work the
// wallet's own stays, as in a node: whoever was first. Headers and what they undo are one
// step, so that no position is ever on another chain than the headers.
func (c *nodeChain) adopt() error {
	w := c.w
	w.mu.Lock()
	defer w.mu.Unlock()
	current, err := w.stateAt(w.tip.Height)
	if err != nil {
		return err
	}
	if c.state.Work.Cmp(current.Work) <= 0 {
		return nil
	}
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
	c.fork, c.headers, c.works = c.state.Index.Height, nil, nil
	return nil
}

// rollBack takes transactions out of the blocks above the fork, if the wallet has looked that
// far. They wait for a block again, since the other chain may confirm them too. A coinbase
// cannot come back: it belongs to the one block that made it. It assumes mu.
func (w *Wallet) rollBack(s *step, fork uint32) error {
	if w.meta.position.Height <= fork {
		return nil
	}
	h, err := w.headerAt(fork)
	if err != nil {
		return err
	}
	m := w.meta
	m.position = types.Index{Height: fork, Hash: h.Hash()}
	m.filter = types.Hash{} // the node is asked for it again
	s.putMeta(&m)
	w.meta = m
	for txid, t := range w.transactions {
		if t.Height <= fork {
			continue
		}
		undone := *t
		undone.Height, undone.place = 0, 0
		undone.Dropped = t.Tx.IsCoinbase()
		w.transactions[txid] = &undone
		s.putTx(&undone)
	}
	w.ledger = newLedger(w.transactions, w.keys)
	return nil
}
