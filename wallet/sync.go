package wallet

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/types"
)

// Progress is where a sync stands.
type Progress struct {
	Headers uint32 // height of the last header
	Scanned uint32 // height of the last block that was scanned
	Tip     uint32 // height at which the sync will end, as far as is known
}

// filterBatch is how many filters are fetched at once.
const filterBatch = 500

// Sync brings the wallet up to the node's best chain, as a light client: headers
// are checked for their work and difficulty, filters (BIP158) against the headers
// that chain them (BIP157), and only blocks that concern the wallet are fetched,
// so that the node learns no address. Then it looks at the transactions that wait
// for a block, and passes the wallet's own on again if the node lacks them. A
// node that is found to lie gives an ErrLying; what was checked before stays.
func (w *Wallet) Sync(ctx context.Context, node Node, progress func(Progress)) error {
	w.syncing.Lock()
	defer w.syncing.Unlock()
	r := &remote{node, w.params}
	if err := r.checkNetwork(ctx); err != nil {
		return err
	}
	if err := w.syncHeaders(ctx, r, progress); err != nil {
		return err
	}
	if err := w.checkWork(); err != nil {
		return err
	}
	for {
		if err := w.scan(ctx, r, progress); err != nil {
			return err
		}
		if err := w.syncPool(ctx, r); err != nil {
			return err
		}
		if w.lateKeys() == nil {
			return nil
		}
	}
}

// checkWork refuses to look through a chain of less work than the network is known
// to have: it may be made up.
func (w *Wallet) checkWork() error {
	state, err := w.stateAt(w.Tip().Height)
	if err != nil {
		return err
	}
	if state.Work.Cmp(w.params.MinimumChainWork) < 0 {
		return fmt.Errorf("%w: it ends at height %d", ErrLittleWork, state.Index.Height)
	}
	return nil
}

// stateAt returns the state after the header at a height.
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

// locator names blocks of the wallet's chain: the newest ten, then fewer and
// fewer.
func (w *Wallet) locator() (hashes []types.Hash, heights map[types.Hash]uint32, err error) {
	heights = map[types.Hash]uint32{}
	step := uint32(1)
	for height := w.tip.Height; ; height -= min(step, height) {
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
			step *= 2
		}
	}
}

// syncHeaders follows the node's best chain. A branch is only taken if it has more
// work than what the wallet follows.
func (w *Wallet) syncHeaders(ctx context.Context, r *remote, progress func(Progress)) error {
	locator, heights, err := w.locator()
	if err != nil {
		return err
	}
	headers, err := r.headers(ctx, locator)
	if err != nil || len(headers) == 0 {
		return err
	}
	base, known := heights[headers[0].PrevBlock]
	if !known {
		return lying("headers that follow no block that it was asked about")
	}
	state, err := w.stateAt(base)
	if err != nil {
		return err
	}
	branch := &branch{w: w, base: base, state: state}
	for len(headers) > 0 {
		if err := branch.add(headers); err != nil {
			return err
		}
		if err := branch.adopt(); err != nil {
			return err
		}
		progress(Progress{Headers: branch.state.Index.Height, Scanned: w.Position().Height, Tip: branch.state.Index.Height})
		if len(headers) < maxHeaders {
			return nil
		}
		if headers, err = r.headers(ctx, []types.Hash{branch.state.Index.Hash}); err != nil {
			return err
		}
		if len(headers) > 0 && headers[0].PrevBlock != branch.state.Index.Hash {
			return nil // the node's chain changed; the next sync sees to it
		}
	}
	return nil
}

// branch is headers that the node sent, from the wallet's chain on.
type branch struct {
	w       *Wallet
	base    uint32 // the height below the first of pending
	state   consensus.State
	pending []types.Header // that are not part of the wallet's chain yet
	works   []consensus.Uint256
}

// add checks headers.
func (b *branch) add(headers []types.Header) error {
	now := b.w.now().Unix()
	for i := range headers {
		h := &headers[i]
		hash := h.Hash()
		err := consensus.CheckHeader(b.w.params, h, hash)
		if err == nil {
			err = consensus.ValidateHeader(b.w.params, &b.state, h, now)
		}
		switch {
		case errors.Is(err, consensus.ErrNotYet):
			return fmt.Errorf("the node's block %s is of the future (%w): is the clock of this computer right?", hash, err)
		case err != nil:
			return lying("header %s: %v", hash, err)
		}
		b.state = b.state.Extend(h, hash)
		b.pending = append(b.pending, *h)
		b.works = append(b.works, b.state.Work)
	}
	return nil
}

// adopt makes the branch the wallet's chain as soon as it has more work.
func (b *branch) adopt() error {
	w := b.w
	w.mu.Lock()
	defer w.mu.Unlock()
	current, err := w.stateAt(w.tip.Height)
	if err != nil {
		return err
	}
	if b.state.Work.Cmp(current.Work) <= 0 {
		return nil
	}
	s := w.db.begin()
	if err := w.rollBack(s, b.base); err != nil {
		return err
	}
	for i := range b.pending {
		s.putHeader(b.base+1+uint32(i), &b.pending[i], b.works[i])
	}
	for height := b.state.Index.Height + 1; height <= w.tip.Height; height++ {
		s.deleteHeader(height)
	}
	if err := s.write(); err != nil {
		return err
	}
	w.tip = b.state.Index
	b.base, b.pending, b.works = b.state.Index.Height, nil, nil
	return nil
}

// rollBack takes transactions out of blocks above a height, if the wallet has
// looked that far. A coinbase cannot come back. It assumes mu.
func (w *Wallet) rollBack(s *step, base uint32) error {
	if w.meta.position.Height <= base {
		return nil
	}
	h, err := w.headerAt(base)
	if err != nil {
		return err
	}
	m := w.meta
	m.position = types.Index{Height: base, Hash: h.Hash()}
	m.filter = types.Hash{} // the node is asked for it again
	s.putMeta(&m)
	w.meta = m
	for txid, t := range w.transactions {
		if t.Height <= base {
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

// scan looks through the filters of the blocks that were not looked at.
func (w *Wallet) scan(ctx context.Context, r *remote, progress func(Progress)) error {
	if err := w.skipToBirthday(); err != nil {
		return err
	}
	for {
		w.mu.Lock()
		from, tip, last := w.meta.position, w.tip, w.meta.filter
		w.mu.Unlock()
		if from == tip {
			return w.scanForLate(ctx, r, progress)
		}
		if last.IsZero() { // no filter was read yet, or blocks were rolled back
			var err error
			if last, err = r.filterHeader(ctx, from.Hash); err != nil {
				return err
			}
		}
		if err := w.scanFrom(ctx, r, from, last, min(from.Height+filterBatch, tip.Height)); err != nil {
			return err
		}
		progress(Progress{Headers: tip.Height, Scanned: w.Position().Height, Tip: tip.Height})
	}
}

// skipToBirthday passes over the blocks in which there can be nothing.
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

// firstBlock returns the block up to which there can be nothing: the birthday, or
// the genesis block if that is not known or was undone since. It assumes mu.
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

// scanFrom looks through the filters from a block, which it leaves out, to a
// height. last is the filter header of the first.
func (w *Wallet) scanFrom(ctx context.Context, r *remote, from types.Index, last types.Hash, to uint32) error {
	found, at, last, err := w.look(ctx, r, from, last, to, [2]uint32{})
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.meta
	m.position, m.filter = at, last
	s := w.db.begin()
	s.putMeta(&m)
	if err := w.note(s, found); err != nil {
		return err
	}
	w.meta = m
	return nil
}

// note writes a step with transactions of blocks, and the keys that came to be
// watched meanwhile. It assumes mu.
func (w *Wallet) note(s *step, found []*Transaction) error {
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

// look returns the transactions that concern the keys of each branch from an index
// on, of the blocks from one, which it leaves out, to a height; then the last of
// the blocks and its filter header. last is the filter header of the first.
func (w *Wallet) look(ctx context.Context, r *remote, from types.Index, last types.Hash, to uint32, keys [2]uint32) (found []*Transaction, at types.Index, _ types.Hash, _ error) {
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

// scanBlock returns the transactions of a block that concern the wallet. The block
// is only fetched if its filter says that there may be any.
func (w *Wallet) scanBlock(ctx context.Context, r *remote, hash types.Hash, f []byte, keys [2]uint32) ([]*Transaction, error) {
	match, err := filter.Match(f, hash, w.watched(keys))
	if err != nil {
		return nil, lying("the filter of block %s: %v", hash, err)
	}
	if !match {
		return nil, nil
	}
	block, err := r.block(ctx, hash, f)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []*Transaction
	for more := true; more; {
		found, more = nil, false
		for i := range block.Block.Txs {
			tx := &block.Block.Txs[i]
			new, err := w.noteKeys(tx)
			if err != nil {
				return nil, err
			}
			more = more || new
			if w.concerns(tx) {
				found = append(found, &Transaction{Tx: tx, TxID: block.TxIDs[i], place: uint32(i)})
			}
		}
	}
	// What is found has to be known before the next block is looked at, which may
	// spend it.
	for _, t := range found {
		for j := range t.Tx.Outputs {
			outPoint := types.OutPoint{TxID: t.TxID, Index: uint32(j)}
			if key, ours := w.keys[string(t.Tx.Outputs[j].ScriptPubKey)]; ours {
				w.ledger.outputs[outPoint] = Coin{OutPoint: outPoint, Branch: key.branch, Index: key.index, Value: t.Tx.Outputs[j].Value, ScriptPubKey: t.Tx.Outputs[j].ScriptPubKey}
			}
		}
	}
	return found, nil
}

// watched returns the scripts of each branch from an index on.
func (w *Wallet) watched(keys [2]uint32) [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append(slices.Clone(w.scripts[Receive][keys[Receive]:]), w.scripts[Change][keys[Change]:]...)
}

// concerns reports whether a transaction pays to the wallet or spends from it. It
// assumes mu.
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
