package wallet

import (
	"errors"

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
	for _, t := range w.transactions {
		if t.Height <= fork {
			continue
		}
		undone := *t
		undone.Height, undone.place = 0, 0
		undone.Dropped = t.Tx.IsCoinbase()
		w.put(&undone)
		s.putTx(&undone)
	}
	return nil
}
