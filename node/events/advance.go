package events

import (
	"errors"
	"fmt"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/types"
)

// blocksAtOnce are in memory, with what they spend.
const blocksAtOnce = 2

// advance writes some steps behind the end, or says how long to wait before looking again.
func (p *Publisher) advance() (wait time.Duration, err error) {
	e := p.end
	if e.At.Block == (types.Index{}) {
		return p.begin()
	}
	at, known := p.o.Chain.Info(e.At.Block.Hash)
	if !known || at.Height != e.At.Block.Height {
		if !p.ahead {
			p.ahead = true
			p.o.Logger.Info("the stream of events is ahead of this node", "height", e.At.Block.Height, "here", p.o.Chain.Tip().Height)
		}
		return lookAgain, nil
	}
	p.ahead = false
	tip := p.o.Chain.Tip()
	if tip == e.At.Block && e.Open == nil {
		return lookIdle, nil
	}
	goal, known := p.o.Chain.Info(tip.Hash)
	if !known {
		return 0, fmt.Errorf("the tip %s is not known", tip)
	}
	if wait := p.turnOf(&at, &goal); wait > 0 {
		return wait, nil
	}
	reverted, applied, err := p.o.Chain.UpdatesSince(e.At.Block, blocksAtOnce)
	if errors.Is(err, consensus.ErrNotFound) {
		return 0, fmt.Errorf("the stream is at height %d, and this node has pruned what comes then: a node that has not must write on, or the stream be removed and begun again by --events-from", e.At.Block.Height)
	}
	if err != nil {
		return 0, err
	}
	if len(reverted)+len(applied) == 0 {
		if e.Open != nil && p.o.Chain.Tip() == e.At.Block { // what was begun is no way to the tip
			return 0, p.abandon(&goal)
		}
		return lookAgain, nil // the tip has moved meanwhile
	}
	for i := range reverted {
		if err := p.step(journal.Disconnected, &reverted[i], &goal); err != nil {
			return 0, err
		}
	}
	for i := range applied {
		if err := p.step(journal.Connected, &applied[i], &goal); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// begin writes the first step: the block at the height from which on the operator wants
// events. The genesis block is told of from the network's file.
func (p *Publisher) begin() (wait time.Duration, err error) {
	tip := p.o.Chain.Tip()
	goal, known := p.o.Chain.Info(tip.Hash)
	hash, ok := p.o.Chain.HashAt(p.o.From)
	if !known || !ok {
		return lookAgain, nil // the chain is not that long yet
	}
	if p.end.Open != nil {
		if wait := p.turnOf(nil, &goal); wait > 0 {
			return wait, nil
		}
	}
	u := consensus.BlockUpdate{Block: p.o.Params.GenesisBlock(), Update: &consensus.Update{Block: types.Index{Hash: hash}}}
	if p.o.From > 0 {
		u, err = p.o.Chain.BlockUpdate(hash)
		if errors.Is(err, consensus.ErrNotFound) {
			return 0, fmt.Errorf("the stream is to begin with block %d, which is pruned here: begin higher by --events-from", p.o.From)
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, p.step(journal.Connected, &u, &goal)
}

// turnOf says how long to wait until this node may write on behind block at (nil: nothing was
// told yet), towards its tip goal.
//
// Nodes may disagree on the tip for a while, and the stream must not go back and forth between
// them. So it leaves a block for a tip with more work only. In the middle of a way it has less
// work than at both ends: there its writer goes on, and another takes over when it does not.
// What a node has written itself it may leave for whatever its tip is, as when its operator
// rules a block out.
func (p *Publisher) turnOf(at, goal *header.Info) time.Duration {
	e := p.end
	if e.Writer == p.o.Writer {
		return 0
	}
	if e.Open == nil && e.At.Block.Hash == e.Goal.Hash { // nobody is on the way
		if at.OnBestChain || goal.Work.Cmp(e.Work) > 0 {
			return 0
		}
		return lookAgain
	}
	patience := giveUp
	if theirs, known := p.o.Chain.Info(e.Goal.Hash); at == nil || goal.Work.Cmp(e.Goal.Work) > 0 || known && theirs.OnBestChain {
		patience = takeOver
	}
	left := patience - time.Since(p.since)
	if left <= 0 {
		return 0
	}
	return min(left, lookAgain)
}

// step writes a step, or the rest of it.
func (p *Publisher) step(d journal.Direction, u *consensus.BlockUpdate, goal *header.Info) error {
	e, block := p.end, u.Update.Block
	if e.Open != nil && (e.Open.Direction != d || e.Open.Hash != block.Hash) {
		if err := p.abandon(goal); err != nil {
			return err
		}
	}
	info, known := p.o.Chain.Info(block.Hash)
	h := p.head(d, block, goal)
	h.Parent, h.Txs, h.At = info.Header.PrevBlock, len(u.Block.Block.Txs), block
	if d == journal.Disconnected && known {
		h.At = u.Update.Parent
		info, known = p.o.Chain.Info(h.At.Hash)
	}
	if !known {
		return fmt.Errorf("block %s is not known any more", block)
	}
	h.Work = info.Work
	for m, err := range p.writer.Messages(h, u, e.Place(h.Txs)) {
		if err != nil {
			return err
		}
		if err := p.put(&m); err != nil {
			return err
		}
	}
	e.End = journal.End{At: h.Behind(), Work: h.Work, Goal: h.Goal, Writer: p.o.Writer}
	p.height.Store(h.At.Height)
	return nil
}

// head is what is said of the step behind the end.
func (p *Publisher) head(d journal.Direction, block types.Index, goal *header.Info) *journal.Head {
	return &journal.Head{
		Network: p.o.Params.Identity(), Number: p.end.At.Steps, Direction: d, Block: block, Goal: journal.Goal{Hash: goal.Hash, Work: goal.Work},
	}
}

// abandon writes that what was begun behind the end does not hold.
func (p *Publisher) abandon(goal *header.Info) error {
	e := p.end
	block := types.Index{Height: e.At.Block.Height, Hash: e.Open.Hash}
	switch {
	case e.At.Block == types.Index{}:
		block.Height = p.o.From
	case e.Open.Direction == journal.Connected:
		block.Height++
	}
	h := p.head(journal.Abandoned, block, goal)
	h.At, h.Work = e.At.Block, e.Work
	m, err := p.writer.Abandon(h)
	if err == nil {
		err = p.put(&m)
	}
	if err != nil {
		return err
	}
	e.End = journal.End{At: h.Behind(), Work: h.Work, Goal: h.Goal, Writer: p.o.Writer}
	p.height.Store(h.At.Height)
	return nil
}

func (p *Publisher) put(m *journal.Message) error {
	if err := p.stream.put(p.end.last, p.sent, m); err != nil {
		return err
	}
	p.end.last++
	p.messages.Add(1)
	p.sent = m.Header[journal.HeaderID][0]
	return nil
}
