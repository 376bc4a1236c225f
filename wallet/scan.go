package wallet

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/types"
)

// scan looks through the filters of the blocks that were not looked at, then through those of
// all blocks for late keys.
func (s *session) scan(ctx context.Context) error {
	w := s.w
	if err := w.skipToBirthday(); err != nil {
		return err
	}
	w.mu.Lock()
	from, tip, stored := w.meta.position, w.tip, w.meta.filter
	w.mu.Unlock()
	if from != tip {
		header, agreed, err := s.begin(ctx, from, stored)
		if err != nil {
			return err
		}
		if !agreed {
			return s.scanAnew(ctx)
		}
		if err := s.walk(ctx, from, header, tip.Height, func(b *batch) error { return s.scanBatch(ctx, b) }); err != nil {
			return err
		}
	}
	return s.scanForLate(ctx)
}

// scanAnew begins again: the filters by which blocks were looked through were false.
func (s *session) scanAnew(ctx context.Context) error {
	s.w.log.Warn("a node that was asked earlier told false filters: all blocks are looked through anew")
	if err := s.w.forget(); err != nil {
		return err
	}
	return s.scan(ctx)
}

// walk goes through the blocks from one, which it leaves out, to a height, batch by batch.
// While one is looked through, the next is fetched. prev is the filter header of the first.
func (s *session) walk(ctx context.Context, from types.Index, prev types.Hash, to uint32, each func(*batch) error) error {
	type fetched struct {
		b   *batch
		err error
	}
	ctx, stop := context.WithCancel(ctx)
	next := make(chan fetched, 1)
	var fetching sync.WaitGroup
	defer fetching.Wait()
	defer stop()
	fetching.Go(func() {
		defer close(next)
		for from.Height < to {
			b, err := s.fetch(ctx, from, prev, min(from.Height+filterBatch, to))
			select {
			case next <- fetched{b, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
			from, prev = b.last(), b.headers[len(b.headers)-1]
		}
	})
	for f := range next {
		if f.err != nil {
			return f.err
		}
		if err := each(f.b); err != nil {
			return err
		}
	}
	return ctx.Err()
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
	if birthday.Height == 0 && birthday.Time > 0 {
		return w.blockBefore(birthday.Time - birthdaySlack)
	}
	if birthday.Height > w.tip.Height {
		return genesis, nil
	}
	h, err := w.headerAt(birthday.Height)
	hash := h.Hash()
	if err != nil || hash != birthday.Hash && !birthday.Hash.IsZero() {
		return genesis, err
	}
	return types.Index{Height: birthday.Height, Hash: hash}, nil
}

// birthdaySlack is how far, in seconds, a block's time may be from that of its payments: they
// wait, clocks differ by zones, and miners may set a time two hours ahead.
const birthdaySlack = 24 * 60 * 60

// blockBefore returns a block whose time is before some instant, the last one as far as times
// rise from block to block. It assumes mu.
func (w *Wallet) blockBefore(instant int64) (types.Index, error) {
	var failed error
	above := sort.Search(int(w.tip.Height), func(below int) bool {
		h, err := w.headerAt(uint32(below) + 1)
		failed = errors.Join(failed, err)
		return int64(h.Timestamp) >= instant
	})
	h, err := w.headerAt(uint32(above))
	return types.Index{Height: uint32(above), Hash: h.Hash()}, errors.Join(failed, err)
}

// scanBatch looks through a batch, and stores the new position in one step with what was found.
func (s *session) scanBatch(ctx context.Context, b *batch) error {
	w := s.w
	found, err := s.search(ctx, b, nil)
	if err != nil {
		return err
	}
	w.mu.Lock()
	m := w.meta
	m.position, m.filter = b.last(), b.headers[len(b.headers)-1]
	step := w.db.begin()
	step.putMeta(&m)
	if err = w.save(step, found); err == nil {
		w.meta = m
	}
	tip := w.tip
	w.mu.Unlock()
	s.progress(Progress{Headers: tip.Height, Scanned: m.position.Height, Tip: tip.Height})
	return err
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
		w.put(t)
	}
	return nil
}

// search looks through a batch for keys of each account and branch from an index on, all of
// them if keys is nil, and returns the transactions that it found. A block is only fetched if
// its filter says that there may be any. A filter covers the scripts that a block spends as
// well as those that it pays, so a spend is found by the script of its coin.
//
// One filter in some 785,000 matches a script by chance, and the block is fetched for nothing.
// That also blurs what the node can conclude from the blocks that it is asked for.
func (s *session) search(ctx context.Context, b *batch, keys []marks) (found []*Transaction, err error) {
	w := s.w
	matches := make([]bool, len(b.filters))
	if err := b.match(w.watched(keys), matches); err != nil {
		return nil, s.dropSource(ctx, b, err)
	}
	for i := slices.Index(matches, true); i >= 0; i = slices.Index(matches, true) {
		matches[i] = false
		at := types.Index{Height: b.from + uint32(i), Hash: b.hashes[i]}
		block, err := s.block(ctx, at)
		if err != nil {
			return nil, err
		}
		if err := leavesOut(b.filters[i], block); err != nil {
			return nil, s.dropSource(ctx, b, err)
		}
		before := w.keysEnd()
		txs, err := w.scanBlock(block)
		if err != nil {
			return nil, err
		}
		for _, t := range txs {
			t.Height, t.Time = at.Height, int64(b.times[i])
			found = append(found, t)
		}
		// Keys that came under watch may be paid anywhere in the batch.
		if err := b.match(w.watched(before), matches); err != nil {
			return nil, s.dropSource(ctx, b, err)
		}
	}
	return found, nil
}

// dropSource stops asking the node whose filters a batch has, since they are false. What was
// found by them is not stored, and the sync ends: other nodes told the same.
func (s *session) dropSource(ctx context.Context, b *batch, err error) error {
	if err := s.drop(ctx, b.source, err); err != nil {
		return err
	}
	s.forget(b.source)
	return b.source.named(err)
}

// match notes which filters of a batch may hold any of some scripts. All processors share the
// work.
func (b *batch) match(scripts [][]byte, matches []bool) error {
	if len(scripts) == 0 {
		return nil
	}
	var next atomic.Int64
	var work sync.WaitGroup
	var failed atomic.Pointer[error]
	for range min(runtime.GOMAXPROCS(0), len(b.filters)) {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(b.filters); i = int(next.Add(1)) - 1 {
				match, err := filter.Match(b.filters[i], b.hashes[i], scripts)
				if err != nil {
					err = lying("the filter of block %s: %v", b.hashes[i], err)
					failed.Store(&err)
				}
				matches[i] = matches[i] || match
			}
		})
	}
	work.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// scanBlock returns the transactions of a block that concern the wallet.
func (w *Wallet) scanBlock(block *consensus.HashedBlock) ([]*Transaction, error) {
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
			w.outputs.ours[c.OutPoint] = c
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
		if _, ours := w.outputs.ours[tx.Inputs[i].PreviousOutPoint]; ours {
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
