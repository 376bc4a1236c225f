package p2p

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// dispatcher hands what a peer sends to the part that it concerns. It is the only one
// that knows all parts, and no part knows it.
type dispatcher struct {
	sync      *syncer
	txs       *relay
	discovery *discovery
	processor *processor
	now       func() time.Time
}

// talk runs the connection until it ends, and returns why.
func (d *dispatcher) talk(ctx context.Context, p *peer) error {
	stop := context.AfterFunc(ctx, func() { p.close(ctx.Err()) })
	defer stop()
	p.answer = func(r request) { d.answer(p, r) }
	var work sync.WaitGroup
	work.Go(p.write)
	work.Go(p.serve)
	work.Go(func() { d.keepAlive(p) })
	d.sync.join(p)
	if !p.blocksOnly {
		d.txs.join(p)
	}
	d.discovery.join(p)
	p.send(&wire.SendCompact{Announce: true})
	err := p.read(func(message wire.Message) error { return d.take(ctx, p, message) })
	p.close(err)
	work.Wait()
	<-p.closed // by another goroutine, perhaps
	p.empty()
	d.txs.leave(p)
	d.sync.leave(p)
	return p.closeErr
}

// take acts on a message, and notes how long that takes. Who makes us work for nothing may
// have to wait first.
func (d *dispatcher) take(ctx context.Context, p *peer, message wire.Message) error {
	if err := d.wait(p); err != nil {
		return err
	}
	p.handling.Store(d.now().UnixNano())
	before := d.merit(p, message)
	var err error
	spent := d.processor.measure(func() { err = d.handle(ctx, p, message) }, nil)
	d.handled(p)
	d.worked(p, message, spent, d.merit(p, message) != before)
	if cost, _ := judge(err); cost == free {
		return nil
	}
	return err
}

// wait lets a stranger wait that makes us work more than its part. A good block that it
// has brought pays for all that was before it.
func (d *dispatcher) wait(p *peer) error {
	if !p.shares() {
		return nil
	}
	if block := p.lastBlock.Load(); block != p.paid {
		p.paid = block
		d.processor.brought(p.culprit(), math.MaxInt64)
	}
	wait, err := d.processor.patience(p.culprit())
	if err != nil || wait == 0 {
		return err
	}
	p.waited.Store(d.now().UnixNano())
	select {
	case <-time.After(wait):
	case <-p.closed:
	}
	return nil
}

// merit is what changes when a message has brought something: a transaction that the pool
// took, or better headers.
func (d *dispatcher) merit(p *peer, message wire.Message) any {
	switch message.(type) {
	case *wire.Tx:
		return p.lastTx.Load()
	case *wire.Headers:
		return d.sync.tree.BestHeader()
	}
	return nil
}

// worked counts the work on a message. If that brought something the work is no waste, and
// some of what was before is paid for. Nor are blocks, which we asked for.
func (d *dispatcher) worked(p *peer, message wire.Message, spent time.Duration, brought bool) {
	p.cost.Add(int64(spent))
	asked := false
	switch message.(type) {
	case *wire.Block, *wire.CompactBlock, *wire.BlockTxs:
		asked = true
	}
	switch {
	case asked || !p.shares():
	case brought:
		d.processor.brought(p.culprit(), meritWorth)
	default:
		d.processor.charge(p.culprit(), netgroup(p.address), spent)
	}
}

// answer answers a request, and counts the work.
func (d *dispatcher) answer(p *peer, r request) {
	spent := d.processor.measure(r.answer, &p.idle)
	p.cost.Add(int64(spent))
	if p.shares() && !r.bulk {
		d.processor.charge(p.culprit(), netgroup(p.address), spent)
	}
}

// handled notes that we read again. After a message that took long, the peer's time to
// answer begins anew.
func (d *dispatcher) handled(p *peer) {
	now := d.now()
	if p.busy(now) {
		p.listening.Store(now.UnixNano())
		d.sync.resume(p, now)
	}
	p.handling.Store(0)
}

// handle acts on a message. What takes long to answer is queued, and nobody waits for it
// here. The error says what is wrong with the message, and judge what that costs.
func (d *dispatcher) handle(ctx context.Context, p *peer, message wire.Message) error {
	switch m := message.(type) {
	case *wire.Ping:
		p.send(&wire.Pong{Nonce: m.Nonce})
	case *wire.Pong:
		p.pong(m.Nonce)
	case *wire.GetPeers:
		d.discovery.tell(p)
	case *wire.Peers:
		d.discovery.told(p, m.Peers)
	case *wire.SendCompact:
		p.mu.Lock()
		p.compact = m.Announce
		p.mu.Unlock()
	case *wire.FeeFilter:
		p.mu.Lock()
		p.minRate = m.MinFeeRate
		p.mu.Unlock()
	case *wire.GetHeaders:
		return p.laterBulk(len(m.Locator)*types.HashSize, func() { d.sync.serveHeaders(p, m) })
	case *wire.GetBlocks:
		return p.laterBulk(len(m.Hashes)*types.HashSize, func() { d.sync.serveBlocks(p, m) })
	case *wire.GetBlockTxs:
		return d.sync.blockTxsWanted(p, m)
	case *wire.GetTxs:
		return p.later(len(m.WTxIDs)*types.HashSize, func() { d.txs.serve(p, m) })
	case *wire.GetParents:
		return p.later(len(m.TxIDs)*types.HashSize, func() { d.txs.serveParents(p, m) })
	case *wire.Headers:
		return d.sync.headers(p, m.Headers)
	case *wire.Block:
		return d.sync.block(p, m.Raw)
	case *wire.CompactBlock:
		return d.sync.compactBlock(p, m)
	case *wire.BlockTxs:
		return d.sync.blockTxs(p, m)
	case *wire.NotFound:
		return d.notFound(p, m)
	case *wire.Inv:
		return d.txs.inv(p, m.WTxIDs)
	case *wire.Tx:
		return d.txs.tx(ctx, p, m.Raw)
	case *wire.Hello:
		return fmt.Errorf("%w: a second hello", wire.ErrProtocol)
	}
	return nil
}

func (d *dispatcher) notFound(p *peer, m *wire.NotFound) error {
	switch m.What {
	case wire.WhatTxs:
		d.txs.notFound(p, m.Hashes)
	case wire.WhatParents:
		d.txs.parentsNotFound(p, m.Hashes)
	case wire.WhatBlocks:
		d.sync.notFound(p, m.Hashes)
	case wire.WhatBlockTxs:
		d.sync.txsNotFound(p, m.Hashes)
	}
	return nil
}

// keepAlive pings the peer now and then, and ends the connection when it falls silent: a
// connection whose other end is gone would otherwise take somebody's place for hours.
func (d *dispatcher) keepAlive(p *peer) {
	p.lastRecv.Store(d.now().UnixNano())
	p.ping()
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-p.closed:
			return
		}
		now := d.now()
		heard := max(p.lastRecv.Load(), p.listening.Load())
		if now.Sub(time.Unix(0, heard)) > silenceTimeout && !p.busy(now) {
			p.close(errors.New("it fell silent"))
			return
		}
		p.ping()
		// A header may have been announced when it was too early to be of use, or while
		// the operator had ruled it out. Nobody announces it again.
		d.sync.askHeaders(p)
	}
}
