package rpc

import (
	"context"
	"encoding/hex"
	"math"

	"github.com/gorilla/websocket"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/baton"
	"github.com/karatcoin/karat/internal/poke"
)

const (
	// What a slow client has not taken yet is held in memory: what two blocks gave, or
	// some hundreds of transactions, and no more of those than fit into stepBytes. It is
	// asked for more only when they are gone.
	notifyBlocks = 2
	notifyTxs    = 500
	stepBytes    = 1 << 20

	// Blocks are large when they are decoded. So many steps are made at once for all
	// clients; none of them waits for a client.
	readingPlaces = 4
)

// flow is the notifications of one kind to a client: of blocks, or of transactions.
// Whoever tells a step of it, begins it or ends it has the turn.
type flow struct {
	turn baton.Baton
	// Guarded by turn:
	end context.CancelFunc // nil: it does not run
	at  types.Index        // of blocks: the position
	seq uint64             // of transactions: the position
}

// adjust begins and ends flows, as what the client wants asks for. When it returns,
// nothing comes any more that is no longer wanted.
func (c *socket) adjust(ctx context.Context) error {
	c.wanted.mu.Lock()
	w := &c.wanted
	watching := w.filter.size()+w.old.size() > 0
	blocks, txs := w.blocks || w.old.size() > 0, w.txs || watching
	c.wanted.mu.Unlock()
	err := c.blocks.set(ctx, blocks, func(f *flow) func(context.Context) {
		f.at = c.s.Headers.Tip() // what is older the client can ask for
		return c.followBlocks
	}, c)
	if err != nil {
		return err
	}
	return c.txs.set(ctx, txs, func(f *flow) func(context.Context) {
		_, f.seq = c.s.Pool.Accepted(math.MaxUint64, 0)
		return c.followTxs
	}, c)
}

// set lets a flow run or not.
func (f *flow) set(ctx context.Context, run bool, begin func(*flow) func(context.Context), c *socket) error {
	if err := f.turn.Take(ctx); err != nil {
		return err
	}
	defer f.turn.Give()
	switch {
	case run && f.end == nil:
		follow := begin(f)
		var on context.Context
		on, f.end = context.WithCancel(c.ctx)
		c.work.Go(func() { follow(on) })
	case !run && f.end != nil:
		f.end()
		f.end = nil
	}
	return nil
}

// followBlocks tells of every block that is disconnected and connected after the
// position of the flow, in order and without gaps, however slow the client is.
func (c *socket) followBlocks(ctx context.Context) {
	err := poke.Follow(ctx, c.s.Blocks, func() (more bool, err error) {
		if err := c.blocks.turn.Take(ctx); err != nil {
			return false, nil
		}
		defer c.blocks.turn.Give()
		if ctx.Err() != nil || c.goodbye.Load() {
			return false, nil // the turn may be had although the flow has ended
		}
		return c.tellBlocks(ctx)
	})
	c.broken(err)
}

// broken cuts off a client that cannot be told of everything any more, so that it knows.
func (c *socket) broken(err error) {
	switch e := asError(err); {
	case err == nil:
	case e.Code == CodeOutOfMemory:
		c.cut(websocket.ClosePolicyViolation, e.Message)
	default:
		c.s.log.Warn("a client cannot be told of blocks", "err", err)
		c.cut(websocket.CloseInternalServerErr, "the blocks that follow cannot be read")
	}
}

// reading takes one of the few places in which blocks are read for clients.
func (s *Server) reading(ctx context.Context) (leave func(), err error) {
	select {
	case s.sockets.readings <- struct{}{}:
		return func() { <-s.sockets.readings }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// tellBlocks tells the next step of the flow. It assumes the turn.
func (c *socket) tellBlocks(ctx context.Context) (more bool, err error) {
	leave, err := c.s.reading(ctx)
	if err != nil {
		return false, nil
	}
	var messages [][]byte
	at := c.blocks.at
	reverted, applied, err := c.s.Blocks.UpdatesSince(at, notifyBlocks)
	for i := range reverted {
		messages = c.appendReverted(messages, &reverted[i])
		at = reverted[i].Update.Parent
	}
	for i := range applied {
		if err == nil {
			messages, err = c.appendApplied(messages, &applied[i])
		}
		at = applied[i].Update.Block
	}
	leave()
	c.sendAll(messages)
	c.blocks.at = at
	return len(reverted)+len(applied) > 0, err
}

func headerHex(u *consensus.BlockUpdate) string {
	return hex.EncodeToString(u.Block.Block.Header.AppendTo(nil))
}

func (c *socket) appendReverted(messages [][]byte, u *consensus.BlockUpdate) [][]byte {
	c.wanted.mu.Lock()
	defer c.wanted.mu.Unlock()
	if !c.wanted.blocks {
		return messages
	}
	return append(messages,
		notification("blockdisconnected", u.Block.Hash, u.Update.Block.Height, u.Block.Block.Header.Timestamp),
		notification("filteredblockdisconnected", u.Update.Block.Height, headerHex(u)))
}

// blockDetails is btcd's place of a transaction in a block.
type blockDetails struct {
	Height uint32     `json:"height"`
	Hash   types.Hash `json:"hash"`
	Index  int        `json:"index"`
	Time   uint32     `json:"time"`
}

func detailsOf(u *consensus.BlockUpdate, i int) blockDetails {
	return blockDetails{u.Update.Block.Height, u.Block.Hash, i, u.Block.Block.Header.Timestamp}
}

// appendApplied tells of a block's transactions that the client watches, in btcd's
// older form before the block and in its newer one with the block.
func (c *socket) appendApplied(messages [][]byte, u *consensus.BlockUpdate) ([][]byte, error) {
	c.wanted.mu.Lock()
	defer c.wanted.mu.Unlock()
	relevant := []string{}
	for i := range u.Block.Block.Txs {
		tx, txid := &u.Block.Block.Txs[i], u.Block.TxIDs[i]
		spends, pays, err := c.oldMatch(tx, txid, true)
		if err != nil {
			return messages, err
		}
		filtered := false
		if c.wanted.blocks { // else nobody is told which ones they are, as from btcd
			if filtered, err = c.relevant(tx, txid); err != nil {
				return messages, err
			}
		}
		if !spends && !pays && !filtered {
			continue
		}
		text := hex.EncodeToString(tx.AppendTo(nil))
		if spends {
			messages = append(messages, notification("redeemingtx", text, detailsOf(u, i)))
		}
		if pays {
			messages = append(messages, notification("recvtx", text, detailsOf(u, i)))
		}
		if filtered {
			relevant = append(relevant, text)
		}
	}
	if !c.wanted.blocks {
		return messages, nil
	}
	return append(messages,
		notification("blockconnected", u.Block.Hash, u.Update.Block.Height, u.Block.Block.Header.Timestamp),
		notification("filteredblockconnected", u.Update.Block.Height, headerHex(u), relevant)), nil
}

// followTxs tells of the transactions that the pool takes after the position of the flow.
func (c *socket) followTxs(ctx context.Context) {
	err := poke.Follow(ctx, c.s.Pool, func() (more bool, err error) {
		if err := c.txs.turn.Take(ctx); err != nil {
			return false, nil
		}
		defer c.txs.turn.Give()
		if ctx.Err() != nil || c.goodbye.Load() {
			return false, nil
		}
		return c.tellTxs()
	})
	c.broken(err)
}

// tellTxs tells the next step of the flow. It assumes the turn.
func (c *socket) tellTxs() (more bool, err error) {
	wtxids, next := c.s.Pool.Accepted(c.txs.seq, notifyTxs)
	var messages [][]byte
	size := 0
	for i, wtxid := range wtxids {
		e := c.s.Pool.GetByWitness(wtxid)
		if e == nil {
			continue // it has left meanwhile
		}
		before := len(messages)
		if messages, err = c.appendTx(messages, e.Tx, e.TxID, e.Raw); err != nil {
			break
		}
		for _, m := range messages[before:] {
			size += len(m)
		}
		if size > stepBytes {
			next -= uint64(len(wtxids) - i - 1) // the rest comes in the next step
			break
		}
	}
	c.sendAll(messages)
	c.txs.seq = next
	return len(wtxids) > 0, err
}

func (c *socket) appendTx(messages [][]byte, tx *types.Tx, txid types.Hash, raw []byte) ([][]byte, error) {
	c.wanted.mu.Lock()
	defer c.wanted.mu.Unlock()
	switch {
	case c.wanted.txs && c.wanted.verbose:
		messages = append(messages, notification("txacceptedverbose", c.s.txJSON(tx, true)))
	case c.wanted.txs:
		total := types.Amount(0)
		for j := range tx.Outputs {
			total += tx.Outputs[j].Value
		}
		messages = append(messages, notification("txaccepted", txid, amount(total)))
	}
	spends, pays, err := c.oldMatch(tx, txid, false)
	if err != nil {
		return messages, err
	}
	relevant, err := c.relevant(tx, txid)
	if err != nil || !spends && !pays && !relevant {
		return messages, err
	}
	text := hex.EncodeToString(raw)
	for _, told := range []struct {
		method string
		told   bool
	}{{"redeemingtx", spends}, {"recvtx", pays}, {"relevanttxaccepted", relevant}} {
		if told.told {
			messages = append(messages, notification(told.method, text))
		}
	}
	return messages, nil
}
