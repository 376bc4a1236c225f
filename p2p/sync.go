package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/p2p/wire"
)

// The bounds of a sync.
const (
	window         = 1024     // blocks above the first that is missing that are asked for
	maxArrived     = 48 << 20 // bytes of blocks that wait for the chain, beyond which no more are asked for or taken
	flightBytes    = 8 << 20  // that are asked of a peer at once, by what blocks have weighed lately
	minFlights     = 2        // blocks asked of a peer at once at least
	maxFlights     = 64       // and at most
	segmentTime    = 2 * time.Second
	segmentIdle    = 20 * time.Millisecond
	stallTimeout   = 20 * time.Second // in which a peer must deliver one of the blocks asked of it
	slowTimeout    = 10 * time.Minute // instead, while it sends at least
	slowest        = 8 << 10          // bytes a second: large blocks over a slow line take their time
	laggardTimeout = 5 * time.Second  // after which the block that all wait for is asked of another too
	withheldTime   = 20 * time.Second // in which one of the blocks above the tip must come, or they count for nothing
	maxStalls      = 2
	announceMost   = 8   // headers in an announcement
	workMargin     = 144 // blocks of work below the tip that a branch may have
	maxLacks       = 2 * window
	maxPartial     = 4   // compact blocks of a peer that lack transactions
	limitedBlocks  = 288 // the last ones, that a pruned peer has
)

// syncer fetches what others have.
type syncer struct {
	m    *Manager
	feed chan delivery
	more poke.Slot // blocks may be asked for

	progress progress
	recent   recentBlocks
	near     atomic.Bool // the tip was near the best chain once

	mu sync.Mutex
	// Guarded by mu:
	peers        map[*peer]*syncPeer
	flying       map[types.Hash]*flight   // asked for
	arrived      map[types.Hash]*delivery // with the chain
	arrivedBytes int
	room         chan struct{} // is closed when arrivedBytes is below maxArrived again
	average      int           // bytes of a block lately
	heard        bool          // a peer has told all headers that it has
	behind       time.Time     // since when no block has come though we are behind; zero: we are not
}

// syncPeer is what is known of a peer's chain.
type syncPeer struct {
	best    types.Index             // the highest block that it is known to have
	presync *presync                // nil: none is under way
	flying  map[types.Hash]*flight  // asked of it, perhaps of another since
	lacks   map[types.Hash]struct{} // it said that it has not
	last    time.Time               // it delivered or was first asked
	before  uint64                  // bytes that had come from it by then
	stalls  int
	partial map[types.Hash]*wire.Reconstruction // compact blocks that lack transactions
}

// has reports whether the peer claims to have a block.
func (sp *syncPeer) has(p *peer, at types.Index) bool {
	if _, lacks := sp.lacks[at.Hash]; lacks || len(sp.lacks) >= maxLacks || sp.best.Height < at.Height {
		return false
	}
	return p.hello.Services&wire.ServiceNetwork != 0 || p.hello.Services&wire.ServiceNetworkLimited != 0 && sp.best.Height-at.Height < limitedBlocks
}

// flight is a block that was asked for.
type flight struct {
	at    types.Index
	peer  *peer
	since time.Time
}

// delivery is a block on its way to the chain.
type delivery struct {
	raw     []byte
	hash    types.Hash
	peer    *peer
	rebuilt bool // from a compact block, which may have deceived us
}

func newSyncer(m *Manager) *syncer {
	return &syncer{
		m: m, feed: make(chan delivery, window), more: poke.NewSlot(),
		peers: map[*peer]*syncPeer{}, flying: map[types.Hash]*flight{}, arrived: map[types.Hash]*delivery{}, average: 1000,
		room: make(chan struct{}), recent: newRecentBlocks(),
	}
}

// run asks for blocks, feeds the chain and announces its tip until the context
// ends. An error is an ErrLocal.
func (s *syncer) run(ctx context.Context) error {
	var work sync.WaitGroup
	work.Go(func() { s.scheduling(ctx) })
	work.Go(func() { s.announcing(ctx) })
	err := s.feeding(ctx)
	work.Wait()
	return err
}

// join begins to sync with a peer.
func (s *syncer) join(p *peer) {
	sp := &syncPeer{flying: map[types.Hash]*flight{}, lacks: map[types.Hash]struct{}{}, partial: map[types.Hash]*wire.Reconstruction{}}
	if info, ok := s.m.o.Headers.Info(p.hello.Tip); ok {
		sp.best = types.Index{Height: info.Height, Hash: info.Hash}
	}
	s.mu.Lock()
	s.peers[p] = sp
	s.mu.Unlock()
	p.send(&wire.GetHeaders{Locator: s.m.o.Headers.Locator()})
	s.more.Poke()
}

// leave forgets a peer; what was asked of it is asked of others.
func (s *syncer) leave(p *peer) {
	s.mu.Lock()
	if sp := s.peers[p]; sp != nil {
		s.takeBack(sp)
		delete(s.peers, p)
	}
	s.mu.Unlock()
	s.more.Poke()
}

// takeBack lets what was asked of a peer be asked of others. It assumes mu.
func (s *syncer) takeBack(sp *syncPeer) {
	for hash, f := range sp.flying {
		if s.flying[hash] == f {
			delete(s.flying, hash)
		}
	}
	clear(sp.flying)
	clear(sp.partial)
}

// block takes a block that a peer sent.
func (s *syncer) block(p *peer, raw []byte) error {
	if len(raw) < types.HeaderSize {
		return fmt.Errorf("%w: a block of %d bytes", wire.ErrProtocol, len(raw))
	}
	hash := types.DoubleSHA256(raw[:types.HeaderSize])
	s.deliver(delivery{raw: raw, hash: hash, peer: p})
	return nil
}

// deliver hands a block to the chain unless the peer was not asked for it, or it
// came already. It waits while the chain is behind, and with it the peer.
func (s *syncer) deliver(d delivery) {
	for {
		taken, room := s.take(&d)
		if taken {
			break
		}
		if room == nil {
			return
		}
		select {
		case <-room:
		case <-d.peer.closed:
			return
		}
	}
	select {
	case s.feed <- d:
	case <-d.peer.closed:
		s.answered(d.hash)
	}
	s.more.Poke()
}

// take counts a block among those that are with the chain. If there is no room for
// it now, it returns what to wait for; else nil if it is of no use.
func (s *syncer) take(d *delivery) (taken bool, room <-chan struct{}) {
	now := s.m.o.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.peers[d.peer]
	if from == nil || from.flying[d.hash] == nil || s.arrived[d.hash] != nil {
		return false, nil
	}
	if s.arrivedBytes > maxArrived {
		return false, s.room
	}
	delete(s.flying, d.hash)
	for _, sp := range s.peers {
		delete(sp.flying, d.hash)
		delete(sp.partial, d.hash)
	}
	from.resume(d.peer, now)
	from.stalls = 0
	d.peer.answers++
	d.peer.lastBlock.Store(now.UnixNano())
	s.arrived[d.hash] = d
	s.arrivedBytes += len(d.raw)
	s.average += (len(d.raw) - s.average) / 16
	return true, nil
}

// answered forgets a block that the chain has answered for, and returns it.
func (s *syncer) answered(hash types.Hash) *delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.arrived[hash]
	if d != nil {
		delete(s.arrived, hash)
		if s.arrivedBytes -= len(d.raw); s.arrivedBytes <= maxArrived {
			close(s.room)
			s.room = make(chan struct{})
		}
	}
	return d
}

// feeding gives the chain the blocks that arrive: long streams while there are
// many, so that their signatures are checked together, but not so long that others
// wait for the chain.
func (s *syncer) feeding(ctx context.Context) error {
	for {
		var first delivery
		select {
		case first = <-s.feed:
		case <-ctx.Done():
			return nil
		}
		end := time.Now().Add(segmentTime)
		err := s.m.o.Blocks.AddBlocks(ctx, func(yield func([]byte) bool) {
			idle := time.NewTimer(segmentIdle)
			defer idle.Stop()
			for d := first; yield(d.raw) && time.Now().Before(end); {
				idle.Reset(segmentIdle)
				select {
				case d = <-s.feed:
				case <-idle.C:
					return
				case <-ctx.Done():
					return
				}
			}
		}, s.report)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		s.tell()
		s.more.Poke()
	}
}

// report acts on the chain's verdict on a block.
func (s *syncer) report(r header.Result) {
	d, err := s.answered(r.Block.Hash), r.Err
	if d == nil || err == nil {
		return
	}
	if d.rebuilt && errors.Is(err, consensus.ErrMutated) {
		s.deceived(d.peer, r.Block.Hash)
		return
	}
	if d.rebuilt {
		err = fmt.Errorf("%w: %w", errUnchecked, err)
	}
	if cost, _ := judge(err); cost != free {
		d.peer.close(err)
	}
}

// deceived asks for a block whole of which the short ids met others than were meant.
// Chance does that once in a lifetime, so that it counts against who does it often.
func (s *syncer) deceived(p *peer, hash types.Hash) {
	if !p.manual && s.m.strike(p) {
		p.close(errDeceived)
		return
	}
	s.ask(p, hash)
}

// ask asks a peer for one block.
func (s *syncer) ask(p *peer, hash types.Hash) {
	info, ok := s.m.o.Headers.Info(hash)
	if !ok {
		return
	}
	s.mu.Lock()
	there := s.peers[p] != nil
	if there {
		s.fly(p, types.Index{Height: info.Height, Hash: hash}, s.m.o.Now())
	}
	s.mu.Unlock()
	if there {
		p.send(&wire.GetBlocks{Hashes: []types.Hash{hash}})
	}
}

// notFound notes that a peer has not what was asked of it.
func (s *syncer) notFound(p *peer, hashes []types.Hash) {
	s.mu.Lock()
	if sp := s.peers[p]; sp != nil {
		for _, hash := range hashes {
			if f := sp.flying[hash]; f != nil {
				delete(sp.flying, hash)
				if s.flying[hash] == f {
					delete(s.flying, hash)
				}
				delete(sp.partial, hash)
				sp.lacks[hash] = struct{}{}
			}
		}
	}
	s.mu.Unlock()
	s.more.Poke()
}

// txsNotFound asks a peer for blocks whole, of which it does not send
// transactions alone: to it they are no longer new.
func (s *syncer) txsNotFound(p *peer, hashes []types.Hash) {
	for _, hash := range hashes {
		s.mu.Lock()
		partial := false
		if sp := s.peers[p]; sp != nil {
			partial = sp.partial[hash] != nil
			delete(sp.partial, hash)
		}
		s.mu.Unlock()
		if partial {
			s.ask(p, hash)
		}
	}
}

// compactBlock takes a new block in its short form.
func (s *syncer) compactBlock(p *peer, m *wire.CompactBlock) error {
	defer s.more.Poke() // not before it is known how the block is fetched
	if err := s.takeHeaders(p, []types.Header{m.Header}); err != nil {
		return err
	}
	hash := m.Header.Hash()
	info, ok := s.m.o.Headers.Info(hash)
	if !ok || info.Status.Has(header.StatusBody) || info.Status.Has(header.StatusValid) || !s.isNews(&info) {
		return nil // it has no place yet, or came before
	}
	if !s.claim(p, types.Index{Height: info.Height, Hash: hash}) {
		return nil
	}
	r, err := wire.NewReconstruction(m)
	if err != nil {
		s.ask(p, hash)
		return nil
	}
	for _, tx := range s.m.o.Pool.Entries() {
		if r.Wants(tx.WTxID) {
			r.Offer(tx.WTxID, tx.Raw)
		}
	}
	if raw, ok := r.Block(); ok {
		s.deliver(delivery{raw: raw, hash: hash, peer: p, rebuilt: true})
		return nil
	}
	s.mu.Lock()
	sp := s.peers[p]
	room := sp != nil && len(sp.partial) < maxPartial
	if room {
		sp.partial[hash] = r
	}
	s.mu.Unlock()
	if room {
		p.send(&wire.GetBlockTxs{Hash: hash, Indexes: r.Missing()})
	} else {
		s.ask(p, hash)
	}
	return nil
}

// isNews reports whether a block could be the next tip, or its rival: others come
// first, or are of no use.
func (s *syncer) isNews(info *header.Info) bool {
	state := s.m.o.Headers.TipState()
	return info.Work.Cmp(state.Work) >= 0 && info.Height <= state.Index.Height+2
}

// claim notes that a block comes from a peer, unless it is under way.
func (s *syncer) claim(p *peer, at types.Index) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers[p] == nil || s.flying[at.Hash] != nil || s.arrived[at.Hash] != nil {
		return false
	}
	s.fly(p, at, s.m.o.Now())
	return true
}

// blockTxs takes the transactions that a compact block lacked.
func (s *syncer) blockTxs(p *peer, m *wire.BlockTxs) error {
	s.mu.Lock()
	var rebuild *wire.Reconstruction
	if sp := s.peers[p]; sp != nil {
		rebuild = sp.partial[m.Hash]
		delete(sp.partial, m.Hash)
	}
	s.mu.Unlock()
	if rebuild == nil {
		return nil
	}
	if err := rebuild.Fill(m); err != nil {
		return err
	}
	if raw, ok := rebuild.Block(); ok {
		s.deliver(delivery{raw: raw, hash: m.Hash, peer: p, rebuilt: true})
	}
	return nil
}
