package rpc

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

const (
	rescanProgress  = 10 * time.Second // between notifications of how far a rescan has come
	maxRescanBlocks = 2000             // that rescanblocks looks through
	rescanChases    = 10               // how often a rescan runs after a tip that moves on
)

var errReorganised = failf(CodeDatabase, "Reorganize") // btcd's words

// rescan is a rescan that is under way.
type rescan struct {
	c    *socket
	own  *watch      // what is looked for: outputs that were found are, too
	held int         // how many of them are counted for the client
	at   types.Index // the last block that was looked through; before the first: its parent
	last uint32      // the height of the last block that is wanted
	time uint32      // of the block at
	told time.Time   // when progress was told last
}

// rescanChain is btcd's rescan: the client is told of transactions of blocks that pay to
// addresses or spend from them or of outpoints, and of their end by rescanfinished. If
// no last block is given, the same is told of blocks and transactions that come.
func rescanChain(s *Server, a *args) work {
	c := a.socket
	first := s.blockInfo(a, 0, "beginblock")
	scripts, outPoints := a.scripts(s, 1, false), a.outPoints(2)
	last := uint32(0)
	if a.given(3) {
		info := s.blockInfo(a, 3, "endblock")
		if a.err == nil && !info.OnBestChain {
			a.fail(failf(CodeAddressOrKey, "Error getting block: it is not on the best chain"))
		}
		last = info.Height
	}
	open := !a.given(3)
	if a.err == nil && !first.OnBestChain {
		a.fail(failf(CodeAddressOrKey, "Error getting block: it is not on the best chain"))
	}
	return func(ctx context.Context) (any, error) {
		if err := c.rescans.Take(ctx); err != nil { // one at a time
			return nil, err
		}
		defer c.rescans.Give()
		r := &rescan{c: c, own: newWatch(), last: last, told: time.Now()}
		r.own.add(scripts, outPoints)
		if first.Height > 0 {
			r.at = types.Index{Height: first.Height - 1, Hash: first.Header.PrevBlock}
		}
		if err := r.count(r.own.size()); err != nil { // for as long as it runs
			return nil, err
		}
		defer func() { _ = r.count(0) }()
		// It ends with the connection, and not with the time of a call: it goes at the pace of
		// its client, and holds no place while it waits.
		return nil, r.run(c.ctx, first.Height == 0, open, scripts)
	}
}

// count notes how many scripts and outpoints a rescan looks for.
func (r *rescan) count(n int) error {
	r.c.wanted.mu.Lock()
	defer r.c.wanted.mu.Unlock()
	err := r.c.resize(n - r.held)
	if err == nil {
		r.held = n
	}
	return err
}

// run looks through the blocks.
func (r *rescan) run(ctx context.Context, genesis, open bool, scripts [][]byte) error {
	tip := r.c.s.Headers.Tip()
	info, _ := r.c.s.Headers.Info(tip.Hash)
	switch {
	case r.own.size() == 0: // there is nothing to look for
		r.at, r.time = tip, info.Header.Timestamp
	case !open:
		if err := r.upTo(ctx, r.last, genesis); err != nil {
			return err
		}
	default:
		if err := r.upTo(ctx, tip.Height, genesis); err != nil {
			return err
		}
		if err := r.goOn(ctx, scripts); err != nil {
			return err
		}
	}
	r.c.send(notification("rescanfinished", r.at.Hash, r.at.Height, r.time))
	return nil
}

// upTo looks through the blocks up to a height of the best chain, or up to the tip.
func (r *rescan) upTo(ctx context.Context, height uint32, genesis bool) error {
	if genesis {
		u, err := r.c.s.Blocks.BlockUpdate(r.c.s.Params.GenesisBlock().Hash)
		if err != nil {
			return err
		}
		r.c.sendAll(r.block(&u))
	}
	for r.at.Height < height || r.at.Hash.IsZero() {
		more, err := r.step(ctx)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// step looks through the next block.
func (r *rescan) step(ctx context.Context) (more bool, err error) {
	leave, err := r.c.s.reading(ctx)
	if err != nil {
		return false, err
	}
	reverted, applied, err := r.c.s.Blocks.UpdatesSince(r.at, 1)
	if err != nil || len(reverted) > 0 {
		leave()
		if err == nil {
			err = errReorganised // what was told of is no longer true
		}
		return false, err
	}
	var messages [][]byte
	for i := range applied {
		messages = append(messages, r.block(&applied[i])...)
	}
	leave()
	if len(applied) > 0 && time.Since(r.told) >= rescanProgress {
		r.told = time.Now()
		messages = append(messages, notification("rescanprogress", r.at.Hash, r.at.Height, r.time))
	}
	r.c.sendAll(messages)
	if err := r.count(r.own.size()); err != nil { // what was found is looked for, too
		return false, err
	}
	return len(applied) > 0, ctx.Err()
}

// block looks through a block, and returns what is told of it: of a transaction at most
// once that it spends, and once that it pays.
func (r *rescan) block(u *consensus.BlockUpdate) (messages [][]byte) {
	spent := u.SpentCoins()
	for i := range u.Block.Block.Txs {
		tx, txid := &u.Block.Block.Txs[i], u.Block.TxIDs[i]
		spends, pays := false, false
		for j := range tx.Inputs {
			if outPoint := tx.Inputs[j].PreviousOutPoint; r.own.spends(outPoint) {
				spends = true
				delete(r.own.outPoints, outPoint)
			} else if i > 0 && i < len(spent) && j < len(spent[i]) {
				_, from := r.own.scripts[string(spent[i][j].ScriptPubKey())]
				spends = spends || from
			}
		}
		for j := range tx.Outputs {
			if r.own.pays(&tx.Outputs[j]) {
				pays = true
				r.own.outPoints[types.OutPoint{TxID: txid, Index: uint32(j)}] = struct{}{}
			}
		}
		if !spends && !pays {
			continue
		}
		text := hex.EncodeToString(tx.AppendTo(nil))
		if spends {
			messages = append(messages, notification("redeemingtx", text, detailsOf(u, i)))
		}
		if pays {
			messages = append(messages, notification("recvtx", text, detailsOf(u, i)))
		}
	}
	r.at, r.time = u.Update.Block, u.Block.Block.Header.Timestamp
	return messages
}

// goOn lets notifications of what comes follow on the rescan, without a gap. If the
// client is told of blocks already, both are brought to the same block first.
func (r *rescan) goOn(ctx context.Context, scripts [][]byte) error {
	f := &r.c.blocks
	if err := f.turn.Take(ctx); err != nil {
		return err
	}
	unspent := make([]types.OutPoint, 0, len(r.own.outPoints))
	err := func() error {
		defer f.turn.Give()
		for chase := 0; ; chase++ {
			for more := true; more; {
				var err error
				if more, err = r.step(ctx); err != nil {
					return err
				}
			}
			if f.end == nil {
				f.at = r.at
				break
			}
			if f.at == r.at || chase == rescanChases {
				break
			}
			if _, err := r.c.tellBlocks(ctx); err != nil {
				return err
			}
		}
		for outPoint := range r.own.outPoints {
			unspent = append(unspent, outPoint)
		}
		_ = r.count(0) // the client watches them itself from now on
		return r.c.addOld(scripts, unspent)
	}()
	if err != nil {
		return err
	}
	if err := r.c.adjust(ctx); err != nil {
		return err
	}
	r.c.tellSpent(unspent)
	return nil
}

// rescannedJSON is a block in which transactions were found.
type rescannedJSON struct {
	Hash         types.Hash `json:"hash"`
	Transactions []string   `json:"transactions"`
}

// rescanBlocks is btcd's rescanblocks: it holds the loaded filter against blocks that
// follow each other, on whatever chain they are.
func rescanBlocks(s *Server, a *args) work {
	c, texts := a.socket, a.texts(0, maxRescanBlocks)
	hashes := make([]types.Hash, len(texts))
	for i := range texts {
		hashes[i] = a.parseHash("blockhash", texts[i])
	}
	return func(ctx context.Context) (any, error) {
		c.wanted.mu.Lock()
		loaded := c.wanted.filter != nil
		c.wanted.mu.Unlock()
		if !loaded {
			return nil, failf(CodeMisc, "Transaction filter must be loaded before rescanning")
		}
		list, size := []rescannedJSON{}, 0
		for i, hash := range hashes {
			if info, ok := s.Headers.Info(hash); ok && i > 0 && info.Header.PrevBlock != hashes[i-1] {
				return nil, failf(CodeInvalidParam, "Block %s is not a child of %s", hash, hashes[i-1])
			}
			found, err := c.rescanBlock(ctx, hash)
			if errors.Is(err, consensus.ErrNotFound) {
				return nil, failf(CodeAddressOrKey, "Failed to fetch block: %v", err)
			}
			if err != nil {
				return nil, err
			}
			for _, text := range found {
				size += len(text)
			}
			if size > maxAnswers {
				return nil, failf(CodeMisc, "the transactions of these blocks are too long together; ask for fewer blocks")
			}
			if len(found) > 0 {
				list = append(list, rescannedJSON{hash, found})
			}
		}
		return list, nil
	}
}

// rescanBlock returns the transactions of a block that the client's filter matches.
func (c *socket) rescanBlock(ctx context.Context, hash types.Hash) (found []string, err error) {
	leave, err := c.s.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	raw, err := c.s.Blocks.Block(hash)
	if err != nil {
		return nil, err
	}
	block, err := types.DecodeBlock(raw)
	if err != nil {
		return nil, consensus.Local(err)
	}
	c.wanted.mu.Lock()
	defer c.wanted.mu.Unlock()
	for i := range block.Txs {
		relevant, err := c.relevant(&block.Txs[i], block.Txs[i].TxID())
		if err != nil {
			return nil, err
		}
		if relevant {
			found = append(found, hex.EncodeToString(block.Txs[i].AppendTo(nil)))
		}
	}
	return found, nil
}
