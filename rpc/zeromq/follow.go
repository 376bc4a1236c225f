package zeromq

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/event"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/rpc/zmqinfo"
)

const (
	blocksAtOnce  = 2 // in memory, with what they spend
	changesAtOnce = 500
)

// position is up to where all was published.
type position struct {
	block   types.Index
	changes uint64 // of the pool
	tips    event.Tips
}

// follow publishes what changes. The pool marks in its changes where a block came or went,
// so both are told in the order in which they happened.
func (p *Publisher) follow(ctx context.Context) error {
	blocks, endBlocks := p.Chain.Subscribe()
	defer endBlocks()
	changes, endChanges := p.Pool.Subscribe()
	defer endChanges()
	at := position{block: p.Chain.Tip(), changes: p.Pool.Changes()}
	for {
		if err := p.advance(ctx, &at); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-blocks:
		case <-changes:
		case <-ctx.Done():
			return nil
		}
	}
}

// advance publishes all that has happened since a position.
func (p *Publisher) advance(ctx context.Context, at *position) error {
	tip := p.Chain.Tip()
	if err := p.Pool.CatchUp(ctx); err != nil {
		return err
	}
	for {
		list, next, ok := p.Pool.ChangesSince(at.changes, changesAtOnce)
		if !ok {
			p.log.Warn("changes of the mempool were not published: they came faster than that")
			p.missed(zmqinfo.HashTx, zmqinfo.RawTx, zmqinfo.Sequence)
			at.changes = p.Pool.Changes()
			continue
		}
		if len(list) == 0 {
			break
		}
		for i := range list {
			if err := p.change(ctx, at, &list[i]); err != nil {
				return err
			}
		}
		at.changes = next
	}
	return p.blocksUpTo(ctx, at, tip)
}

// change publishes one change of the pool.
func (p *Publisher) change(ctx context.Context, at *position, c *pending.Change) error {
	switch {
	case c.Block != nil:
		return p.blocksUpTo(ctx, at, *c.Block)
	case c.Added:
		p.tx(c.TxID, func() []byte {
			if e := p.Pool.GetByWitness(c.WTxID); e != nil {
				return e.Raw
			}
			return nil
		})
		p.sequence(c.TxID, 'A', &c.Sequence)
	case c.Left != pending.LeftBlock: // the block tells of the others
		p.sequence(c.TxID, 'R', &c.Sequence)
	}
	return nil
}

// tx publishes a transaction. Of one that has left the pool since there is only the id.
func (p *Publisher) tx(txid types.Hash, raw func() []byte) {
	p.publish(zmqinfo.HashTx, func() []byte { return shown(txid) })
	if !p.wanted(zmqinfo.RawTx) {
		return
	}
	if body := raw(); body != nil {
		p.publish(zmqinfo.RawTx, func() []byte { return body })
	} else {
		p.missed(zmqinfo.RawTx)
	}
}

// sequence publishes that a block or a waiting transaction came or went.
func (p *Publisher) sequence(hash types.Hash, label byte, number *uint64) {
	p.publish(zmqinfo.Sequence, func() []byte {
		b := append(shown(hash), label)
		if number != nil {
			b = binary.LittleEndian.AppendUint64(b, *number)
		}
		return b
	})
}

// blocksUpTo publishes blocks that left and came, until one is the last. If the chain has
// left that one already, nothing is published: it is told on the way to where the chain
// is now.
func (p *Publisher) blocksUpTo(ctx context.Context, at *position, to types.Index) error {
	for at.block != to && ctx.Err() == nil {
		reverted, applied, err := p.Chain.UpdatesSince(at.block, blocksAtOnce)
		if errors.Is(err, consensus.ErrNotFound) {
			p.log.Warn("blocks were not published: they are pruned", "from", at.block, "to", p.Chain.Tip())
			p.missed(zmqinfo.Topics()...)
			at.block = p.Chain.Tip()
			return nil
		}
		if err != nil {
			return err
		}
		if len(reverted)+len(applied) == 0 {
			return nil
		}
		for i := range reverted {
			u := &reverted[i]
			p.block(u, 'D')
			at.tips.Reverted()
			if at.block = u.Update.Parent; at.block == to {
				return nil
			}
		}
		for i := range applied {
			u := &applied[i]
			p.block(u, 'C')
			at.block = u.Update.Block
			if at.tips.Applied(at.block, p.Chain.Tip(), p.syncing) {
				p.publish(zmqinfo.HashBlock, func() []byte { return shown(u.Block.Hash) })
				p.publish(zmqinfo.RawBlock, func() []byte { return u.Block.Raw })
			}
			if at.block == to {
				return nil
			}
		}
	}
	return ctx.Err()
}

// block publishes the transactions of a block, and whether it came or went.
func (p *Publisher) block(u *consensus.BlockUpdate, label byte) {
	if p.wanted(zmqinfo.HashTx, zmqinfo.RawTx) {
		for i := range u.Block.Block.Txs {
			tx := &u.Block.Block.Txs[i]
			p.tx(u.Block.TxIDs[i], func() []byte { return tx.AppendTo(make([]byte, 0, tx.Size())) })
		}
	}
	p.sequence(u.Block.Hash, label, nil)
}

// shown is a hash in the order in which it is shown.
func shown(h types.Hash) []byte {
	b := slices.Clone(h[:])
	slices.Reverse(b)
	return b
}
