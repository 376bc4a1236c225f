package dev

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/rpc/devinfo"
)

// maxShotBytes bounds the transactions that snapshots hold, in bytes.
const maxShotBytes = 64 << 20

// snapshot is a moment: the tip, what waited, and the clock. Nothing of it is copied: blocks
// stay on disk, and entries never change.
type snapshot struct {
	id      int
	tip     types.Index
	entries []*pending.Entry
	bytes   int
	clock   time.Time
}

func (s *snapshot) info() devinfo.Snapshot {
	return devinfo.Snapshot{ID: s.id, Tip: s.tip, Waiting: len(s.entries)}
}

// Snapshot remembers this moment, and returns its number.
func (b *Bench) Snapshot(ctx context.Context) (devinfo.Snapshot, error) {
	if err := b.turn.Take(ctx); err != nil {
		return devinfo.Snapshot{}, err
	}
	defer b.turn.Give()
	if err := b.o.Pool.CatchUp(ctx); err != nil {
		return devinfo.Snapshot{}, err
	}
	b.lastID++
	s := snapshot{id: b.lastID, tip: b.o.Chain.Tip(), clock: b.o.Clock.Now()}
	s.entries, _ = b.o.Pool.Snapshot()
	for _, e := range s.entries {
		s.bytes += len(e.Raw)
	}
	b.shots = append(b.shots, s)
	total := 0
	for i := range b.shots {
		total += b.shots[i].bytes
	}
	for len(b.shots) > 1 && (len(b.shots) > devinfo.MostSnapshots || total > maxShotBytes) {
		total -= b.shots[0].bytes
		b.shots = slices.Delete(b.shots, 0, 1)
	}
	return s.info(), nil
}

// Revert goes back to a snapshot: its tip, what waited then, and the time that it was. The
// snapshot stays, those that were made after it are forgotten.
func (b *Bench) Revert(ctx context.Context, id int) (devinfo.Reverted, error) {
	if err := b.turn.Take(ctx); err != nil {
		return devinfo.Reverted{}, err
	}
	defer b.turn.Give()
	at := slices.IndexFunc(b.shots, func(s snapshot) bool { return s.id == id })
	if at < 0 {
		return devinfo.Reverted{}, fmt.Errorf("there is no snapshot %d: dev_info lists those that are kept", id)
	}
	s := b.shots[at]
	defer b.forgetNew()
	if err := b.goTo(ctx, s.tip); err != nil {
		return devinfo.Reverted{}, err
	}
	b.o.Clock.Move(s.clock)
	lost, err := b.restore(ctx, s.entries)
	if err != nil {
		return devinfo.Reverted{}, err
	}
	b.shots = slices.Delete(b.shots, at+1, len(b.shots))
	return devinfo.Reverted{Tip: b.o.Chain.Tip(), Lost: lost}, nil
}

// goTo makes a block the tip, by ruling out what is better. It assumes the turn.
func (b *Bench) goTo(ctx context.Context, to types.Index) error {
	tip := b.o.Chain.Tip()
	if tip == to {
		return nil
	}
	if info, ok := b.o.Chain.Info(to.Hash); !ok {
		return fmt.Errorf("block %s of the snapshot is not there any more", to.Hash)
	} else if !info.OnBestChain { // it may have been ruled out on the way to another snapshot
		if err := b.o.Chain.Reconsider(ctx, to.Hash); err != nil {
			return err
		}
	}
	for {
		if tip = b.o.Chain.Tip(); tip == to {
			return nil
		}
		worse, err := b.above(tip, to)
		if err != nil {
			return err
		}
		if err := b.o.Chain.Invalidate(ctx, worse); err != nil {
			return err
		}
	}
}

// above returns the lowest block of the best chain that is no ancestor of a block.
func (b *Bench) above(tip, to types.Index) (types.Hash, error) {
	at := to
	for {
		hash, ok := b.o.Chain.HashAt(at.Height)
		if ok && hash == at.Hash {
			break
		}
		info, ok := b.o.Chain.Info(at.Hash)
		if !ok || at.Height == 0 {
			return types.Hash{}, consensus.Local(fmt.Errorf("block %s is of no chain", at.Hash))
		}
		at = types.Index{Height: at.Height - 1, Hash: info.Header.PrevBlock}
	}
	hash, ok := b.o.Chain.HashAt(at.Height + 1)
	if !ok {
		return types.Hash{}, fmt.Errorf("the tip %s is not the one that is wanted, and has less work", tip.Hash)
	}
	return hash, nil
}

// restore makes these transactions, and no others, wait. It returns those that were refused.
// It assumes the turn.
func (b *Bench) restore(ctx context.Context, entries []*pending.Entry) (lost []types.Hash, err error) {
	if err := b.o.Pool.CatchUp(ctx); err != nil {
		return nil, err
	}
	wanted := make(map[types.Hash]bool, len(entries))
	for _, e := range entries {
		wanted[e.TxID] = true
	}
	now, _ := b.o.Pool.Snapshot()
	here := make(map[types.Hash]bool, len(now))
	var others []types.Hash
	for _, e := range now {
		if here[e.TxID] = true; !wanted[e.TxID] {
			others = append(others, e.TxID)
		}
	}
	if err := b.o.Pool.Withdraw(ctx, others); err != nil {
		return nil, err
	}
	for _, e := range entries {
		if here[e.TxID] {
			continue
		}
		if _, err := b.o.Pool.Accept(ctx, e.Tx, 0); err != nil {
			if errors.Is(err, consensus.ErrLocal) || ctx.Err() != nil {
				return nil, err
			}
			lost = append(lost, e.TxID)
		}
	}
	return lost, nil
}

// Reorganise replaces the last blocks by one more than they were, as if another miner had
// found them. The new ones are empty, so that what the old ones confirmed waits again, unless
// confirm has them take what waits.
func (b *Bench) Reorganise(ctx context.Context, depth int, confirm bool) (r devinfo.Reorganised, err error) {
	if err := b.turn.Take(ctx); err != nil {
		return r, err
	}
	defer b.turn.Give()
	tip := b.o.Chain.Tip()
	if uint32(depth) > tip.Height {
		return r, fmt.Errorf("there are %d blocks to replace, not %d: the genesis block stays", tip.Height, depth)
	}
	r.Fork.Height = tip.Height - uint32(depth)
	r.Fork.Hash, _ = b.o.Chain.HashAt(r.Fork.Height)
	for height := r.Fork.Height + 1; height <= tip.Height; height++ {
		hash, _ := b.o.Chain.HashAt(height)
		r.Replaced = append(r.Replaced, hash)
	}
	defer b.forgetNew()
	first := r.Replaced[0]
	// They are as good as the others, but fewer. If they are not, they are the chain again.
	defer func() { err = errors.Join(err, b.o.Chain.Reconsider(context.WithoutCancel(ctx), first)) }()
	if err := b.goTo(ctx, r.Fork); err != nil {
		return r, err
	}
	if err := b.o.Pool.CatchUp(ctx); err != nil {
		return r, err
	}
	for range depth + 1 {
		var hash types.Hash
		if confirm {
			var made []types.Hash
			if made, err = b.generate(ctx, 1, b.o.PayTo, 0, maxTries); err == nil && len(made) == 0 {
				err = errTooHard
			} else if err == nil {
				hash = made[0]
			}
		} else {
			hash, err = b.generateOf(ctx, nil, b.o.PayTo)
		}
		if err != nil {
			return r, err
		}
		r.Mined = append(r.Mined, hash)
	}
	return r, nil
}
