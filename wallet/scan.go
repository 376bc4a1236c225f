package wallet

import (
	"context"
	"slices"

	"github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/types"
)

// filterBatch is how many filters are fetched at once: few enough that a sync which is cut
// off loses little, and many enough that the way to the node hardly counts.
const filterBatch = 500

// scan looks through the filters of the blocks that were not looked at, then through those of
// all blocks for late keys.
func (w *Wallet) scan(ctx context.Context, r *remote, progress func(Progress)) error {
	if err := w.skipToBirthday(); err != nil {
		return err
	}
	for {
		w.mu.Lock() // the position is read anew each time: the batch before has moved it
		from, tip, last := w.meta.position, w.tip, w.meta.filter
		w.mu.Unlock()
		if from == tip {
			return w.scanForLate(ctx, r, progress)
		}
		// No filter was read yet, or blocks were rolled back. From here on the node is
		// bound by its own word: all later filters must chain up to this header.
		if last.IsZero() {
			var err error
			if last, err = r.filterHeader(ctx, from.Hash); err != nil {
				return err
			}
		}
		if err := w.scanBatch(ctx, r, from, last, min(from.Height+filterBatch, tip.Height)); err != nil {
			return err
		}
		progress(Progress{Headers: tip.Height, Scanned: w.Position().Height, Tip: tip.Height})
	}
}

// skipToBirthday passes over the blocks in which there can be nothing: the words were made
// later.
func (w *Wallet) skipToBirthday() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	first, err := w.firstBlock()
	if err != nil || w.meta.position.Height >= first.Height {
		return err
	}
	m := w.meta
	m.position, m.filter = first, types.Hash{}
	s := w.db.begin()
	s.putMeta(&m)
	if err := s.write(); err != nil {
		return err
	}
	w.meta = m
	return nil
}

// firstBlock returns the block up to which there can be nothing: the birthday, or the genesis
// block if that is not known, or is on no chain that the wallet has. The node that told the
// birthday may have lied, and then all blocks are looked through. It assumes mu.
func (w *Wallet) firstBlock() (types.Index, error) {
	genesis := types.Index{Hash: w.params.GenesisBlock().Hash}
	birthday := w.file.Birthday()
	if birthday.Height > w.tip.Height {
		return genesis, nil
	}
	h, err := w.headerAt(birthday.Height)
	if err != nil || h.Hash() != birthday.Hash {
		return genesis, err
	}
	return birthday, nil
}

// scanBatch looks through the filters from a block, which it leaves out, to a height, and
// stores the new position in one step with what was found. last is the filter header of the
// first.
func (w *Wallet) scanBatch(ctx context.Context, r *remote, from types.Index, last types.Hash, to uint32) error {
	found, at, last, err := w.scanBlocks(ctx, r, from, last, to, nil)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.meta
	m.position, m.filter = at, last
	s := w.db.begin()
	s.putMeta(&m)
	if err := w.save(s, found); err != nil {
		return err
	}
	w.meta = m
	return nil
}

// save writes a step with transactions of blocks, and which keys came under watch meanwhile:
// without those a sync that is cut off here would never look for them. It assumes mu.
func (w *Wallet) save(s *step, found []*Transaction) error {
	for _, t := range found {
		s.putTx(t)
	}
	s.putLate(w.late)
	if err := s.write(); err != nil {
		return err
	}
	for _, t := range found {
		w.transactions[t.TxID] = t
	}
	w.ledger = newLedger(w.transactions, w.keys)
	return nil
}

// scanBlocks looks through the blocks from one, which it leaves out, to a height, for keys of
// each branch from an index on. It returns the transactions that it found, the last of the
// blocks, and its filter header. last is the filter header of the first. All filters are
// fetched, so the node cannot tell which of them matter.
func (w *Wallet) scanBlocks(ctx context.Context, r *remote, from types.Index, last types.Hash, to uint32, keys []marks) (found []*Transaction, at types.Index, _ types.Hash, _ error) {
	var hashes []types.Hash
	var times []uint32
	for height := from.Height + 1; height <= to; height++ {
		h, err := w.headerAt(height)
		if err != nil {
			return nil, at, last, err
		}
		hashes, times = append(hashes, h.Hash()), append(times, h.Timestamp)
	}
	filters, err := r.filters(ctx, hashes)
	if err != nil {
		return nil, at, last, err
	}
	for i, f := range filters {
		// The header is computed, and must be the one that the node names. A node that
		// tells now these filters and now those is found out where they meet.
		header := filter.Header(f.filter, last)
		if header != f.header {
			return nil, at, last, lying("the filter of block %s is not the one that its header names", hashes[i])
		}
		last, at = header, types.Index{Height: from.Height + 1 + uint32(i), Hash: hashes[i]}
		txs, err := w.scanBlock(ctx, r, hashes[i], f.filter, keys)
		if err != nil {
			return nil, at, last, err
		}
		for _, t := range txs {
			t.Height, t.Time = at.Height, int64(times[i])
			found = append(found, t)
		}
	}
	return found, at, last, nil
}

// scanBlock returns the transactions of a block that concern the wallet. The block is only
// fetched if its filter says that there may be any. A filter covers the scripts that a block
// spends as well as those that it pays, so a spend is found by the script of its coin.
func (w *Wallet) scanBlock(ctx context.Context, r *remote, hash types.Hash, f []byte, keys []marks) ([]*Transaction, error) {
	match, err := filter.Match(f, hash, w.watched(keys))
	if err != nil {
		return nil, lying("the filter of block %s: %v", hash, err)
	}
	if !match {
		return nil, nil
	}
	// One filter in some 785,000 matches a script by chance, and the block is fetched for
	// nothing. That also blurs what the node can conclude from the blocks that it is asked for.
	block, err := r.block(ctx, hash, f)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	// Once more from the beginning if keys came under watch: an earlier transaction of the
	// same block may have paid one of them.
	var found []*Transaction
	for more := true; more; {
		found, more = nil, false
		for i := range block.Block.Txs {
			tx := &block.Block.Txs[i]
			late, err := w.notePaid(tx)
			if err != nil {
				return nil, err
			}
			more = more || late
			if w.concerns(tx) {
				found = append(found, &Transaction{Tx: tx, TxID: block.TxIDs[i], place: uint32(i)})
			}
		}
	}
	// What is found has to be known before the next block is looked at, which may
	// spend it.
	for _, t := range found {
		for _, c := range coinsOf(t, w.keys) {
			w.ledger.outputs[c.OutPoint] = c
		}
	}
	return found, nil
}

// concerns reports whether a transaction pays to the wallet or spends from it. It asks for
// all outputs that ever paid the wallet, spent ones too, because a chain that was rolled back
// spends them anew. It assumes mu.
func (w *Wallet) concerns(tx *types.Tx) bool {
	if w.pays(tx) {
		return true
	}
	for i := range tx.Inputs {
		if _, ours := w.ledger.outputs[tx.Inputs[i].PreviousOutPoint]; ours {
			return true
		}
	}
	return false
}

// pays reports whether a transaction pays to the wallet. It assumes mu.
func (w *Wallet) pays(tx *types.Tx) bool {
	return slices.ContainsFunc(tx.Outputs, func(out types.TxOut) bool {
		_, ours := w.keys[string(out.ScriptPubKey)]
		return ours
	})
}
