package p2p

import (
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// maxMarks bounds the messages of headers that are looked at until there is enough work.
// What is kept of a message is 32 bytes.
const maxMarks = 10_000

// maxAllMarks bounds what is kept of the messages of all callers together, to 2 MiB.
const maxAllMarks = 1 << 16

// presync follows a peer's headers without keeping them, until they have as much work as
// a chain must have to matter. So nobody can fill our memory with headers that cost
// nothing. Then the headers are fetched a second time, and stored. The hash of the last
// header of each message is kept from the first pass: by it the second pass can be of no
// other chain (the idea is Bitcoin Core's headers presync).
type presync struct {
	base   types.Hash // the header that we have below them
	marks  []types.Hash
	work   consensus.Uint256 // up to the last mark
	height uint32            // of the last mark
	enough bool              // the second pass is under way
	passed int               // marks that the second pass has reached
	last   time.Time         // a message came
}

// top is the header that the next message follows.
func (pre *presync) top() types.Hash {
	n := len(pre.marks)
	if pre.enough {
		n = pre.passed
	}
	if n == 0 {
		return pre.base
	}
	return pre.marks[n-1]
}

// headers takes headers that a peer sent: an answer, or the announcement of new
// blocks.
func (s *syncer) headers(p *peer, headers []types.Header) error {
	defer s.more.Poke()
	return s.takeHeaders(p, headers)
}

func (s *syncer) takeHeaders(p *peer, headers []types.Header) error {
	if len(headers) == 0 {
		s.heardAll()
		return nil
	}
	for i := 1; i < len(headers); i++ {
		if headers[i].PrevBlock != headers[i-1].Hash() {
			return fmt.Errorf("%w: headers that form no chain", wire.ErrProtocol)
		}
	}
	ready, err := s.enoughWork(p, headers)
	if err != nil || ready == nil {
		return err
	}
	_, known := s.tree.Info(ready[len(ready)-1].Hash())
	refused := s.tree.AddHeaders(ready)
	s.tell()
	if refused != nil && !errors.Is(refused, consensus.ErrNotYet) {
		return refused
	}
	// Of headers of which one comes too early, those below it are of use.
	taken := sort.Search(len(ready), func(i int) bool { _, ok := s.tree.Info(ready[i].Hash()); return !ok })
	if taken == 0 {
		return refused
	}
	last := ready[taken-1].Hash()
	info, _ := s.tree.Info(last)
	s.mu.Lock()
	if sp := s.peers[p]; sp != nil {
		sp.best = types.Index{Height: info.Height, Hash: last}
		sp.told = sp.best
		if !known && info.Work.Cmp(s.tree.TipState().Work) > 0 {
			sp.news = s.now()
		}
		clear(sp.lacks) // it tells anew what it has
	}
	s.mu.Unlock()
	if refused == nil && len(headers) == wire.MaxHeaders {
		p.send(&wire.GetHeaders{Locator: append([]types.Hash{last}, s.tree.Locator()...)})
	} else {
		s.heardAll()
	}
	return refused
}

// heardAll notes that a peer has told all headers that it has.
func (s *syncer) heardAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = true
}

// enoughWork returns the headers if they may be stored, as presync tells.
func (s *syncer) enoughWork(p *peer, headers []types.Header) ([]types.Header, error) {
	work, err := s.workOf(headers)
	if err != nil {
		return nil, err
	}
	least := s.leastWork()
	base, known := s.tree.Info(headers[0].PrevBlock)
	ready, locator := s.weigh(p, headers, work, least, base, known)
	if locator != nil {
		p.send(&wire.GetHeaders{Locator: locator})
	} else if ready == nil {
		s.log.Debug("headers of no use", "peer", p, "headers", len(headers))
	}
	return ready, nil
}

// weigh returns the headers if the chain has at least so much work, and else the
// locator of what to ask the peer for next, if for anything. base is the header
// below them, if it is known.
func (s *syncer) weigh(p *peer, headers []types.Header, work, least consensus.Uint256, base header.Info, known bool) ([]types.Header, []types.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.peers[p]
	if sp == nil {
		return nil, nil
	}
	pre := sp.presync
	switch {
	case pre != nil && headers[0].PrevBlock == pre.top():
		pre.last = s.now()
		if pre.enough {
			return sp.secondPass(headers), nil
		}
		defer s.boundMarks()
		return nil, sp.firstPass(headers, work, least)
	case !known && pre == nil:
		return nil, s.tree.Locator()
	case !known:
		return nil, nil
	case work.Add(base.Work).Cmp(least) >= 0:
		return headers, nil
	case len(headers) < wire.MaxHeaders:
		return nil, nil
	}
	sp.presync = &presync{base: base.Hash, height: base.Height, work: base.Work, last: s.now()}
	return nil, sp.firstPass(headers, work, least)
}

// boundMarks ends the presync of the caller that has most, when all callers together have
// too much. The best chain needs few: who has many tells of one that is longer and not
// better. Peers of our own choice are few. It assumes mu.
func (s *syncer) boundMarks() {
	total := 0
	var most *syncPeer
	for p, sp := range s.peers {
		if !p.inbound || sp.presync == nil {
			continue
		}
		total += len(sp.presync.marks)
		if most == nil || len(sp.presync.marks) > len(most.presync.marks) {
			most = sp
		}
	}
	if total > maxAllMarks {
		most.presync = nil
	}
}

// workOf returns the work of headers, and checks that it was done.
func (s *syncer) workOf(headers []types.Header) (work consensus.Uint256, err error) {
	for i := range headers {
		if err := consensus.CheckHeader(s.params, &headers[i], headers[i].Hash()); err != nil {
			return work, err
		}
		work = work.Add(consensus.BlockWork(headers[i].Bits))
	}
	return work, nil
}

// firstPass adds the work of headers, and returns the locator of the next, or of
// the first again once there is enough.
func (sp *syncPeer) firstPass(headers []types.Header, work, least consensus.Uint256) []types.Hash {
	pre := sp.presync
	pre.work, pre.height = pre.work.Add(work), pre.height+uint32(len(headers))
	pre.marks = append(pre.marks, headers[len(headers)-1].Hash())
	pre.enough = pre.work.Cmp(least) >= 0
	if !pre.enough && (len(headers) < wire.MaxHeaders || len(pre.marks) == maxMarks) {
		sp.presync = nil // it never has enough
		return nil
	}
	return []types.Hash{pre.top()}
}

// secondPass returns the headers if they are of the chain of the first pass. If
// not, there may have been a reorganisation, and the next answer begins anew.
func (sp *syncPeer) secondPass(headers []types.Header) []types.Header {
	pre := sp.presync
	for i := range headers {
		if headers[i].Hash() == pre.marks[pre.passed] {
			if pre.passed++; pre.passed == len(pre.marks) {
				sp.presync = nil
			}
			return headers
		}
	}
	sp.presync = nil
	return nil
}

// askHeaders asks a peer for what it has above what we know of it, unless it is just
// telling a long chain.
func (s *syncer) askHeaders(p *peer) {
	s.mu.Lock()
	sp := s.peers[p]
	busy := sp != nil && sp.presync != nil && s.now().Sub(sp.presync.last) < pingEvery
	var locator []types.Hash
	if sp != nil && !busy {
		sp.presync = nil
		if sp.best.Height > 0 { // our best header may be of a chain that it does not have
			locator = []types.Hash{sp.best.Hash}
		}
	}
	s.mu.Unlock()
	if !busy {
		p.send(&wire.GetHeaders{Locator: append(locator, s.tree.Locator()...)})
	}
}

// leastWork is the work that a chain must have to be stored: what the network's file asks
// for, and not much less than our own. A chain with less could only fill the disk.
func (s *syncer) leastWork() consensus.Uint256 {
	state := s.tree.TipState()
	work := state.Work
	block := consensus.BlockWork(state.Header.Bits)
	for range workMargin {
		if work.Cmp(block) < 0 {
			work = consensus.Uint256{}
			break
		}
		work = work.Sub(block)
	}
	if least := s.params.MinimumChainWork; work.Cmp(least) < 0 {
		return least
	}
	return work
}

// told is the last block that a peer told of. What we told it of says nothing of it.
func (s *syncer) told(p *peer) (told types.Index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp := s.peers[p]; sp != nil {
		told = sp.told
	}
	return told
}

// news is when a peer last told of a block that could become the tip and that nobody had
// told of before; zero if it never did.
func (s *syncer) news(p *peer) (at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp := s.peers[p]; sp != nil {
		at = sp.news
	}
	return at
}

// askTip asks a peer whether it has our tip, which it need not have told us of. The idea
// is Bitcoin Core's: it is asked for what comes after the block below.
func (s *syncer) askTip(p *peer) {
	header := s.tree.TipState().Header
	p.send(&wire.GetHeaders{Locator: append([]types.Hash{header.PrevBlock}, s.tree.Locator()...)})
}

// work is the work of a chain up to a block, if it is known.
func (s *syncer) work(hash types.Hash) (consensus.Uint256, bool) {
	info, ok := s.tree.Info(hash)
	return info.Work, ok
}
