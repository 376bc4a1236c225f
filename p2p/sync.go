package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
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
	window        = 1024     // blocks above the first that is missing that are asked for
	maxArrived    = 48 << 20 // bytes of blocks that wait for the chain, beyond which no more are asked for or taken
	segmentTime   = 2 * time.Second
	segmentIdle   = 20 * time.Millisecond
	withheldTime  = 20 * time.Second // in which one of the blocks above the tip must come, or they count for nothing
	announceMost  = 8                // headers in an announcement
	workMargin    = 144              // blocks of work below the tip that a branch may have
	maxLacks      = 2 * window
	limitedBlocks = 288 // the last ones, that a pruned peer has
)

// syncer fetches the headers and blocks that others have, and tells them of ours. Its
// parts are in several files: headers.go takes headers, schedule.go decides which block
// is asked of whom, compact.go takes new blocks in their short form, serve.go answers.
type syncer struct {
	params *consensus.Params
	tree   Headers
	blocks Blocks
	pool   Pool
	now    func() time.Time
	log    *slog.Logger
	strike func(*peer) bool // counts an offence, and reports whether it was one too many

	uploads      *uploads
	closedCircle bool                      // the operator chose all peers
	pruned       bool                      // we have the last blocks only
	connected    func(wtxids []types.Hash) // is told which transactions a new tip has

	feed chan *delivery
	more poke.Slot // blocks may be asked for

	progress progress
	recent   recentBlocks
	near     atomic.Bool // the tip was near the best chain once

	mu sync.Mutex
	// Guarded by mu:
	peers        map[*peer]*syncPeer
	flying       map[types.Hash][]*flight // asked for, each of another peer
	arrived      map[types.Hash]*delivery // with the chain, one body of each: its answer names the hash alone
	arrivedBytes int
	room         chan struct{} // is closed when arrivedBytes is below maxArrived again
	average      int           // bytes of a block lately
	delivered    time.Time     // the last block that was asked for came
	stallers     stallers
	patience     time.Duration // with who brings a new block
	heard        bool          // a peer has told all headers that it has
	behind       time.Time     // since when nothing of a block has come though we are behind; zero: we are not
	blocked      time.Time     // since when no whole block has
	ownBytes     uint64        // of blocks, from peers of our own choice
}

// syncPeer is what is known of a peer's chain, and what is asked of it.
type syncPeer struct {
	best         types.Index             // the last header that it told of, or was told of by us
	told         types.Index             // the last header that it told of
	news         time.Time               // when it last told of one that was new
	presync      *presync                // nil: none is under way
	flying       map[types.Hash]*flight  // asked of it, perhaps of another since
	lacks        map[types.Hash]struct{} // it said that it has not
	late         map[types.Hash]*flight  // asked of it, and brought by another meanwhile
	limit        int                     // blocks that may be asked of it at once
	shrunk       time.Time               // limit was lowered
	took         time.Duration           // from asking to a block, usually; 0: it brought none
	upTo         time.Time               // the latest asking of a block that it brought
	excused      time.Time               // we could not read from it until then
	last         time.Time               // it brought something, or was first asked
	before       uint64                  // bytes that had come from it when last was set
	blocksBefore uint64                  // those of blocks
	proven       bool                    // it brought a block, and was not too slow or wrong since
	missed       bool                    // it was too slow or wrong, and has brought no block since
	tries        int                     // compact blocks that it sent and that came to nothing, one after the other
	tried        time.Time
	partial      map[types.Hash]*wire.Reconstruction // compact blocks that lack transactions, each in flying too
}

// has reports whether the peer may have a block of its own chain. A pruned peer has the
// last ones only. One that lacks very many is not believed any more.
func (sp *syncPeer) has(p *peer, at types.Index) bool {
	if _, lacks := sp.lacks[at.Hash]; lacks || len(sp.lacks) >= maxLacks || sp.best.Height < at.Height {
		return false
	}
	return p.hello.Services&wire.ServiceNetwork != 0 || p.hello.Services&wire.ServiceNetworkLimited != 0 && sp.best.Height-at.Height < limitedBlocks
}

// flight is a block that was asked of a peer. There may be several of one block.
type flight struct {
	at     types.Index
	peer   *peer
	since  time.Time
	had    uint64    // bytes that had come from the peer by then
	whole  bool      // not as a compact block
	mark   float64   // bytes that had come of it
	marked time.Time // by then
}

// delivery is a block on its way to the chain.
type delivery struct {
	raw     []byte
	hash    types.Hash
	peer    *peer
	rebuilt bool // from a compact block, which may have deceived us

	answered chan struct{} // is closed when the chain has answered for it
	waiting  int           // others under the same header that wait for that
}

func newSyncer(o Options, log *slog.Logger, strike func(*peer) bool) *syncer {
	return &syncer{
		params: o.Params, tree: o.Headers, blocks: o.Blocks, pool: o.Pool, now: o.Now, log: log, strike: strike,
		uploads: newUploads(o.MaxUpload, o.Params, o.Now), closedCircle: len(o.Allow) > 0, pruned: o.Pruned,
		feed: make(chan *delivery, window), more: poke.NewSlot(),
		peers: map[*peer]*syncPeer{}, flying: map[types.Hash][]*flight{}, arrived: map[types.Hash]*delivery{}, average: 1000,
		stallers: stallers{map[string]stalls{}},
		room:     make(chan struct{}), recent: newRecentBlocks(),
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

// join begins to sync with a peer: it asks for the headers that the peer has above ours.
func (s *syncer) join(p *peer) {
	sp := &syncPeer{
		flying: map[types.Hash]*flight{}, late: map[types.Hash]*flight{}, lacks: map[types.Hash]struct{}{},
		partial: map[types.Hash]*wire.Reconstruction{}, limit: firstOwn,
	}
	if p.inbound {
		sp.limit = firstCaller
	}
	if info, ok := s.tree.Info(p.hello.Tip); ok {
		sp.best = types.Index{Height: info.Height, Hash: info.Hash}
		sp.told = sp.best
	}
	s.mu.Lock()
	if s.stallers.knows(p, s.now()) {
		sp.limit, sp.missed = 1, true
	}
	s.peers[p] = sp
	s.mu.Unlock()
	p.send(&wire.GetHeaders{Locator: s.tree.Locator()})
	s.more.Poke()
}

// leave forgets a peer; what was asked of it is asked of others.
func (s *syncer) leave(p *peer) {
	s.mu.Lock()
	if sp := s.peers[p]; sp != nil {
		if sp.took == 0 && sp.load() > 0 {
			s.stallers.note(p, s.now())
		}
		for _, f := range sp.flying {
			s.unfly(f)
		}
		delete(s.peers, p)
	}
	s.mu.Unlock()
	s.more.Poke()
}

// neighbours returns the peers.
func (s *syncer) neighbours() []*peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.peers))
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

// deliver hands a block to the chain, unless the peer was not asked for it or it came
// already. While the chain is behind, or has another body under the same header, it waits,
// and so does the peer, from which nothing is read meanwhile. That is what bounds the
// blocks in memory.
func (s *syncer) deliver(d delivery) {
	for {
		taken, wait := s.take(&d)
		if taken {
			break
		}
		if wait == nil {
			return
		}
		select {
		case <-wait:
		case <-d.peer.closed:
			return
		}
	}
	select {
	case s.feed <- &d:
	case <-d.peer.closed:
		s.mu.Lock()
		s.depart(&d)
		s.mu.Unlock()
	}
	s.more.Poke()
}

// take counts a block among those that are with the chain. If it is not its turn yet,
// it returns what to wait for. If the block is of no use, it returns nil.
func (s *syncer) take(d *delivery) (taken bool, wait <-chan struct{}) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.peers[d.peer]
	if from == nil {
		return false, nil
	}
	f := from.flying[d.hash]
	if f == nil {
		s.cameLate(d.peer, from, d.hash, now)
		return false, nil
	}
	other := s.arrived[d.hash]
	if other != nil && other.waiting < maxFetches-1 {
		other.waiting++
		return false, other.answered
	}
	if other == nil && s.arrivedBytes > maxArrived {
		return false, s.room
	}
	s.unfly(f) // others go on until it is known whether this is the block
	delete(from.flying, d.hash)
	delete(from.partial, d.hash)
	if other != nil { // too many wait: it can be asked for again
		return false, nil
	}
	if from.resume(d.peer, now); f.whole {
		from.came(d.peer, f, now)
	}
	s.delivered = now
	d.peer.answers++
	d.answered = make(chan struct{})
	s.arrived[d.hash] = d
	s.arrivedBytes += len(d.raw)
	s.average += (len(d.raw) - s.average) / 16
	return true, nil
}

// depart forgets a block that was with the chain. It assumes mu.
func (s *syncer) depart(d *delivery) {
	delete(s.arrived, d.hash)
	close(d.answered)
	if s.arrivedBytes -= len(d.raw); s.arrivedBytes <= maxArrived {
		close(s.room)
		s.room = make(chan struct{})
	}
}

// answered notes that the chain has answered for a block, and returns what it was
// given. If it was good, nobody else needs to bring it.
func (s *syncer) answered(hash types.Hash, good bool) (d *delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d = s.arrived[hash]; d != nil {
		s.depart(d)
		if good {
			d.peer.lastBlock.Store(s.now().UnixNano())
		}
		if sp := s.peers[d.peer]; sp != nil {
			sp.proven, sp.missed = good, !good
			if good {
				sp.tries = 0
				s.stallers.forgive(d.peer)
			}
		}
	}
	if good {
		s.behind = time.Time{} // it begins anew
		delete(s.flying, hash)
		for _, sp := range s.peers {
			if f := sp.flying[hash]; f != nil {
				sp.tries = 0 // another was quicker
				if f.whole {
					sp.late[hash] = f
				}
			}
			delete(sp.flying, hash)
			delete(sp.partial, hash)
		}
	}
	return d
}

// feeding gives the chain the blocks that arrive. While there are many it gives them in
// long streams, because signatures of many blocks are checked together at a fraction of
// the cost. A stream ends after a while all the same, because others wait for the chain.
func (s *syncer) feeding(ctx context.Context) error {
	for {
		var first *delivery
		select {
		case first = <-s.feed:
		case <-ctx.Done():
			return nil
		}
		end := time.Now().Add(segmentTime)
		err := s.blocks.AddBlocks(ctx, func(yield func([]byte) bool) {
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

// report acts on the chain's verdict on a block. The chain calls it in the middle of its
// work, so it must not wait.
func (s *syncer) report(r header.Result) {
	d, err := s.answered(r.Block.Hash, r.Err == nil), r.Err
	if d == nil || err == nil {
		return
	}
	if d.rebuilt && errors.Is(err, consensus.ErrMutated) {
		s.deceived(d.peer)
		return
	}
	if d.rebuilt {
		err = fmt.Errorf("%w: %w", errUnchecked, err)
	}
	if cost, _ := judge(err); cost != free {
		d.peer.close(err)
	}
	s.more.Poke()
}

// deceived lets a block be asked for whole of which the short ids met others than were
// meant. Chance does that once in a lifetime, so that it counts against who does it
// often.
func (s *syncer) deceived(p *peer) {
	if !p.manual && s.strike(p) {
		p.close(errDeceived)
	}
	s.more.Poke()
}

// ask asks a peer for one block.
func (s *syncer) ask(p *peer, hash types.Hash) {
	info, ok := s.tree.Info(hash)
	if !ok {
		return
	}
	s.mu.Lock()
	there := s.peers[p] != nil
	if there {
		s.fly(p, types.Index{Height: info.Height, Hash: hash}, s.now()).whole = true
	}
	s.mu.Unlock()
	if there {
		p.send(&wire.GetBlocks{Hashes: []types.Hash{hash}})
	}
}

// notFound notes that a peer does not have what was asked of it.
func (s *syncer) notFound(p *peer, hashes []types.Hash) {
	s.mu.Lock()
	if sp := s.peers[p]; sp != nil {
		for _, hash := range hashes {
			delete(sp.late, hash)
			if f := sp.flying[hash]; f != nil {
				delete(sp.flying, hash)
				s.unfly(f)
				delete(sp.partial, hash)
				sp.lacks[hash] = struct{}{}
			}
		}
	}
	s.mu.Unlock()
	s.more.Poke()
}

// txsNotFound lets blocks be asked for whole of which a peer does not send
// transactions alone: to it they are no longer new.
func (s *syncer) txsNotFound(p *peer, hashes []types.Hash) {
	s.mu.Lock()
	if sp := s.peers[p]; sp != nil {
		for _, hash := range hashes {
			if sp.partial[hash] != nil {
				s.unfly(sp.flying[hash])
				delete(sp.flying, hash)
				delete(sp.partial, hash)
				sp.miss()
			}
		}
	}
	s.mu.Unlock()
	s.more.Poke()
}
