package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"

	"github.com/karatcoin/karat/chain/consensus"
	blockfilter "github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
)

// Run follows the chain until the context ends, which is no error. If the index
// itself fails, that is logged, and it stands still: this is no reason for a node to
// stop.
func (x *Index) Run(ctx context.Context) error {
	x.fail(nil)
	x.anew = false
	if err := poke.Follow(ctx, x.chain, func() (bool, error) { return x.advance(ctx) }); err != nil {
		x.o.Logger.Error("the index stands still", "err", err)
		x.fail(err)
		<-ctx.Done()
	}
	return nil
}

// fail notes why the index stands still, or with nil that it goes on.
func (x *Index) fail(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.failed = err
}

// advance takes one step towards the tip, and reports whether there may be more. What
// is damaged is made anew, but only once: a disk that damages it again and again
// would be worn out by that, and would never have an index.
func (x *Index) advance(ctx context.Context) (more bool, err error) {
	more, err = x.tryAdvance(ctx)
	if !isDamage(err) || x.anew {
		return more, err
	}
	x.o.Logger.Warn("making the index anew", "why", err)
	x.anew = true
	x.damaged.Store(false)
	return true, x.reset()
}

func (x *Index) tryAdvance(ctx context.Context) (more bool, err error) {
	if x.damaged.Load() {
		return false, fmt.Errorf("%w: a query met damage", errAnew)
	}
	if x.fresh {
		return true, x.first()
	}
	x.giveWay(ctx)
	reverted, applied, err := x.chain.UpdatesSince(x.at, x.limit)
	switch {
	case errors.Is(err, consensus.ErrNotFound):
		return false, fmt.Errorf("it is at %s, and blocks from there on were pruned: %w", x.at, err)
	case errors.Is(err, consensus.ErrLocal):
		return false, err
	case err != nil: // the chain does not know the block: it is another one than before
		return false, fmt.Errorf("%w: %w", errAnew, err)
	case len(reverted)+len(applied) == 0:
		x.limit, x.logged = 1, time.Now()
		return false, nil
	}
	if err := x.write(reverted, applied); err != nil {
		return false, err
	}
	x.limit = nextLimit(x.limit, sizeOf(reverted)+sizeOf(applied))
	if time.Since(x.logged) > 10*time.Second {
		x.logged = time.Now()
		x.o.Logger.Info("indexing", "height", x.at.Height, "of", x.chain.Tip().Height)
	}
	return true, nil
}

// giveWay waits while the node has more urgent work and gets on with it. A tip that
// has once stood still for too long is not waited for again.
func (x *Index) giveWay(ctx context.Context) {
	const patience = 5 * time.Second
	tip, since := x.chain.Tip(), time.Now()
	for x.o.Later != nil && tip != x.stood && x.o.Later() {
		if time.Since(since) >= patience {
			x.stood = tip
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return
		}
		if now := x.chain.Tip(); now != tip {
			tip, since = now, time.Now()
		}
	}
}

// nextLimit returns how many blocks to ask for, when as many as limit had so many
// bytes: the number doubles or halves until a step is of the right size.
func nextLimit(limit, bytes int) int {
	switch {
	case bytes > batchBytes:
		return max(limit/2, 1)
	case bytes < batchBytes/2:
		return min(2*limit, batchBlocks)
	}
	return limit
}

func sizeOf(updates []consensus.BlockUpdate) (bytes int) {
	for i := range updates {
		bytes += len(updates[i].Block.Raw)
	}
	return bytes
}

// first indexes the genesis block.
func (x *Index) first() error {
	u, err := x.chain.BlockUpdate(x.at.Hash)
	if err != nil {
		return err
	}
	return x.write(nil, []consensus.BlockUpdate{u})
}

// write makes one step durable, with the position that it leads to. The filters of
// blocks that left the best chain stay: they are found by their hashes, and wallets
// may still ask for them.
func (x *Index) write(reverted, applied []consensus.BlockUpdate) error {
	var batch leveldb.Batch
	at, header := x.at, x.header
	for i := range reverted {
		at = reverted[i].Update.Parent
		if x.o.Txs {
			x.forgetTxs(&batch, &reverted[i])
		}
	}
	if len(reverted) > 0 && x.o.Filters { // the chain of filter headers goes on from the fork
		stored, err := x.db.Get(append([]byte{keyFilter}, at.Hash[:]...), nil)
		if errors.Is(err, leveldb.ErrNotFound) || err == nil && len(stored) < types.HashSize {
			err = errAnew
		}
		if err != nil {
			return fmt.Errorf("filter of block %s: %w", at, err)
		}
		copy(header[:], stored)
	}
	for i := range applied {
		u := &applied[i]
		if x.o.Filters {
			bytes, err := blockfilter.Build(u)
			if err != nil {
				return err
			}
			header = blockfilter.Header(bytes, header)
			batch.Put(append([]byte{keyFilter}, u.Block.Hash[:]...), append(header[:], bytes...))
		}
		if x.o.Txs {
			for j, place := range u.Block.Block.Places(u.Block.Hash) {
				batch.Put(append([]byte{keyTx}, u.Block.TxIDs[j][:]...), appendPlace(nil, &place))
			}
		}
		at = u.Update.Block
	}
	position := binary.LittleEndian.AppendUint32(x.mark(), at.Height)
	position = append(append(position, at.Hash[:]...), header[:]...)
	batch.Put([]byte{keyPosition}, position)
	batch.Delete(stepKey(x.lastStep))
	batch.Put(stepKey(x.lastStep+1), nil)
	if err := x.db.Write(&batch, &opt.WriteOptions{Sync: true}); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.at, x.header, x.lastStep, x.fresh = at, header, x.lastStep+1, false
	return nil
}

func stepKey(step uint64) []byte { return binary.BigEndian.AppendUint64([]byte{keyStep}, step) }

// appendPlace appends the value of a transaction's key.
func appendPlace(b []byte, p *types.TxPlace) []byte {
	b = append(b, p.Block[:]...)
	b = binary.LittleEndian.AppendUint32(b, p.N)
	b = binary.LittleEndian.AppendUint32(b, p.Offset)
	return binary.LittleEndian.AppendUint32(b, p.Size)
}

// forgetTxs removes the transactions of a block that was disconnected. Those that a
// block of the other branch has as well are put in again later in the same batch.
func (x *Index) forgetTxs(batch *leveldb.Batch, u *consensus.BlockUpdate) {
	for j := range u.Block.TxIDs {
		batch.Delete(append([]byte{keyTx}, u.Block.TxIDs[j][:]...))
	}
}
