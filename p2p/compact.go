package p2p

import (
	"cmp"
	"time"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// The bounds of those who bring a new block. Whoever tells of it first may never send
// the rest, and a hundred strangers may be of one mind. So several peers are asked at
// once, of whom one at least is of our own choice; the places of those who say nothing
// go to others, more each time; and who was slow or wrong once is asked last.
const (
	maxFetches  = 3 // peers of whom a new block is fetched at once, of those as good as each other
	maxPartial  = 4 // compact blocks of a peer that lack transactions
	maxPartials = 32
	lateTime    = 250 * time.Millisecond // besides the way there and back, in which a part of it must come
	firstPart   = 4 << 10                // bytes
	lateMost    = 3 * time.Second        // after which it must come at a good rate
	goodRate    = 200 << 10              // bytes a second
	moreFetches = 8                      // that are begun for each peer that says nothing
	// maxTries is how many compact blocks of a peer may come to nothing. Then one more is
	// looked at every retryEvery: each has us go through the pool.
	maxTries   = 8
	retryEvery = 10 * time.Second
)

// rank orders peers by how likely they are to bring a new block: the lower, the more.
// What a peer did counts most. Who never brought anything may be one of a hundred ids of
// one stranger. Of those who called us and those whom we called, the former chose us.
func (sp *syncPeer) rank(p *peer) (rank int) {
	if sp.missed {
		rank += 4
	}
	if !sp.proven {
		rank += 2
	}
	if p.inbound {
		rank++
	}
	return rank
}

// miss notes that a peer was slow.
func (sp *syncPeer) miss() { sp.proven, sp.missed = false, true }

// got is what has come from the peer since it was asked, in bytes.
func (f *flight) got() float64 { return float64(f.peer.received.Load() - f.had) }

// silent reports whether nothing has come of a new block for longer than it takes, since
// it was asked for or since something came last. A few bytes now and then are nothing.
func (f *flight) silent(now time.Time, patience time.Duration) bool {
	if got := f.got(); got-f.mark >= firstPart {
		f.mark, f.marked = got, now
	}
	since := f.since
	if f.marked.After(since) {
		since = f.marked
	}
	return now.Sub(since) > patience
}

// late reports whether a new block should have come by now.
func (f *flight) late(now time.Time, patience time.Duration) bool {
	age := now.Sub(f.since)
	return f.silent(now, patience) || age > lateMost && f.got() < goodRate*age.Seconds()
}

// measure returns how long to wait for the first part of a new block: longer over a line
// that is long for all. Strangers who call have no say in it while there are peers of
// our own choice.
func (s *syncer) measure() time.Duration {
	var called, calling time.Duration // the least
	for _, p := range s.neighbours() {
		least := &called
		if p.inbound {
			least = &calling
		}
		if ping := p.shortestPing(); ping > 0 && (*least == 0 || ping < *least) {
			*least = ping
		}
	}
	return lateTime + min(cmp.Or(called, calling), lateMost)
}

// compactBlock takes a new block in its short form, and puts it together from the pool.
// Transactions that the pool does not have are asked of the same peer.
func (s *syncer) compactBlock(p *peer, m *wire.CompactBlock) error {
	defer s.more.Poke() // not before it is known how the block is fetched
	if err := s.takeHeaders(p, []types.Header{m.Header}); err != nil {
		return err
	}
	hash := m.Header.Hash()
	info, ok := s.tree.Info(hash)
	if !ok || info.Status.Has(header.StatusBody) || info.Status.Has(header.StatusValid) || !s.isNews(&info) {
		return nil // its parent is not known, it came before, or it cannot be the tip
	}
	if !s.claim(p, types.Index{Height: info.Height, Hash: hash}) {
		return nil
	}
	r, err := wire.NewReconstruction(m)
	if err != nil {
		s.ask(p, hash)
		return nil
	}
	for _, tx := range s.pool.Entries() {
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
	wanted := sp != nil && sp.flying[hash] != nil // another may have brought the block meanwhile
	room := wanted && len(sp.partial) < maxPartial && s.partials() < maxPartials
	if room {
		sp.partial[hash] = r
	}
	s.mu.Unlock()
	if !wanted {
		return nil
	}
	if room {
		p.send(&wire.GetBlockTxs{Hash: hash, Indexes: r.Missing()})
	} else {
		s.ask(p, hash)
	}
	return nil
}

// partials counts the compact blocks that lack transactions. It assumes mu.
func (s *syncer) partials() (n int) {
	for _, sp := range s.peers {
		n += len(sp.partial)
	}
	return n
}

// isNews reports whether a block could be the next tip, or its rival: others come
// first, or are of no use.
func (s *syncer) isNews(info *header.Info) bool {
	state := s.tree.TipState()
	return info.Work.Cmp(state.Work) >= 0 && info.Height <= state.Index.Height+2
}

// claim gives a peer one of the places of those who bring a new block, if there is
// one for it.
func (s *syncer) claim(p *peer, at types.Index) bool {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.peers[p]
	if sp == nil || sp.flying[at.Hash] != nil {
		return false
	}
	ours := sp.rank(p)
	taken, inbound, live := 0, 0, 0
	for _, f := range s.flying[at.Hash] {
		if f.late(now, s.patience) {
			if s.arrived[at.Hash] == nil { // else it may have come, and wait
				s.peers[f.peer].miss()
			}
			continue
		}
		live++
		if s.peers[f.peer].rank(f.peer) > ours {
			continue // we do not wait for those
		}
		taken++
		if f.peer.inbound {
			inbound++
		}
	}
	if taken >= maxFetches || p.inbound && inbound >= maxFetches-1 || sp.missed && live > 0 {
		return false
	}
	if sp.tries >= maxTries && now.Sub(sp.tried) < retryEvery {
		return false
	}
	sp.tries++
	sp.tried = now
	s.fly(p, at, now)
	return true
}

// blockTxs takes the transactions that a compact block lacked. If nobody waits for them
// any more, they are ignored: the block has come from another.
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
