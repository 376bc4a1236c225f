package p2p

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/p2p/wire"
)

// serveHeaders answers a request for headers.
func (s *syncer) serveHeaders(p *peer, m *wire.GetHeaders) {
	p.send(&wire.Headers{Headers: s.tree.HeadersAfter(m.Locator, m.Stop, wire.MaxHeaders)})
}

// serveBlocks answers a request for blocks.
func (s *syncer) serveBlocks(p *peer, m *wire.GetBlocks) {
	var lacking []types.Hash
	for _, hash := range m.Hashes {
		if !p.room() {
			return
		}
		info, ok := s.tree.Info(hash)
		old := ok && info.Height+recent < s.tree.Tip().Height && !s.favours(p)
		if old && s.refusesHistory(&info) {
			p.close(errUpload)
			return
		}
		raw, err := s.body(hash, old)
		if err != nil {
			lacking = append(lacking, hash)
			continue
		}
		p.send(&wire.Block{Raw: raw})
		if old && !p.pause(s.uploads.draw(culprit(p.address, p.id), len(raw))) {
			return
		}
	}
	if len(lacking) > 0 {
		p.send(&wire.NotFound{What: wire.WhatBlocks, Hashes: lacking})
	}
}

// favours reports whether a peer may draw as many old blocks as it likes: the operator
// chose it.
func (s *syncer) favours(p *peer) bool { return p.manual || p.trusted || s.closedCircle }

// refusesHistory reports whether a block is too old to be sent, since the target of the
// day would be missed. As in Bitcoin Core its age is that to the best header.
func (s *syncer) refusesHistory(info *header.Info) bool {
	best, _ := s.tree.Info(s.tree.BestHeader().Hash)
	age := time.Duration(int64(best.Header.Timestamp)-int64(info.Header.Timestamp)) * time.Second
	return age > historyAge && !s.uploads.state().ServesHistory
}

// body reads a block. Old ones are read one at a time: so each of those who want them
// gets one in turn, whoever asked for more.
func (s *syncer) body(hash types.Hash, old bool) ([]byte, error) {
	if old {
		s.uploads.reading <- struct{}{}
		defer func() { <-s.uploads.reading }()
	}
	return s.blocks.Block(hash)
}

// blockTxsWanted looks at a request for transactions of a compact block before it is
// queued. Who asks for a block that is no longer new has to ask for it whole.
func (s *syncer) blockTxsWanted(p *peer, m *wire.GetBlockTxs) error {
	info, ok := s.tree.Info(m.Hash)
	if !ok || !info.Status.Has(header.StatusBody) || info.Height+recent < s.tree.Tip().Height {
		p.send(&wire.NotFound{What: wire.WhatBlockTxs, Hashes: []types.Hash{m.Hash}})
		return nil
	}
	if last := m.Indexes[len(m.Indexes)-1]; last >= info.TxCount {
		return fmt.Errorf("%w: transaction %d of a block with %d", wire.ErrProtocol, last, info.TxCount)
	}
	at := types.Index{Height: info.Height, Hash: m.Hash}
	return p.later(4*len(m.Indexes), func() { s.serveBlockTxs(p, at, m) })
}

// serveBlockTxs answers a request for transactions that the block has.
func (s *syncer) serveBlockTxs(p *peer, at types.Index, m *wire.GetBlockTxs) {
	found := s.recent.load(at, s.blocks.Block)
	if found == nil {
		p.send(&wire.NotFound{What: wire.WhatBlockTxs, Hashes: []types.Hash{m.Hash}})
		return
	}
	answer, err := wire.NewBlockTxs(found.block, m)
	if err != nil {
		p.close(err)
		return
	}
	p.send(answer)
}

// announcing tells peers of new tips.
func (s *syncer) announcing(ctx context.Context) {
	last := s.tree.Tip()
	_ = poke.Follow(ctx, s.blocks, func() (more bool, err error) {
		s.more.Poke()
		if s.syncing() { // more will have come by then
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
		}
		if tip := s.tree.Tip(); tip != last {
			last = tip
			s.announce(tip)
		}
		return false, nil
	})
}

// announce tells of a new tip whoever is not known to have a better one: those that
// want it so by a compact block, the others by headers.
func (s *syncer) announce(tip types.Index) {
	headers := s.lastHeaders(tip)
	if len(headers) == 0 {
		return
	}
	parent := headers[len(headers)-1].PrevBlock
	peers := s.neighbours()
	if len(peers) == 0 {
		return
	}
	compact := s.compactForm(tip)
	for _, p := range peers {
		knows, wants := s.wants(p, tip)
		if !wants {
			continue
		}
		p.mu.Lock()
		wantsCompact := p.compact
		p.mu.Unlock()
		if wantsCompact && knows == parent && compact != nil {
			p.send(compact)
			continue
		}
		p.send(&wire.Headers{Headers: s.after(headers, knows)})
	}
}

// lastHeaders returns the headers up to a block that are announced with it.
func (s *syncer) lastHeaders(tip types.Index) (headers []types.Header) {
	for hash := tip.Hash; len(headers) < announceMost; {
		info, ok := s.tree.Info(hash)
		if !ok || info.Height == 0 {
			break
		}
		headers = append([]types.Header{info.Header}, headers...)
		hash = info.Header.PrevBlock
	}
	return headers
}

// wants reports whether a peer is to be told of a new tip, and which block it is
// known to have. It has the tip from then on.
func (s *syncer) wants(p *peer, tip types.Index) (knows types.Hash, wants bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.peers[p]
	if sp == nil || sp.best == tip {
		return knows, false
	}
	knows = sp.best.Hash
	if theirs, ok := s.tree.Info(knows); ok && !theirs.Status.Refused() {
		if ours, _ := s.tree.Info(tip.Hash); theirs.Work.Cmp(ours.Work) > 0 {
			return knows, false
		}
	}
	sp.best = tip
	return knows, true
}

// after returns the headers that a peer does not have, if it is known.
func (s *syncer) after(headers []types.Header, knows types.Hash) []types.Header {
	for i := range headers {
		if headers[i].PrevBlock == knows {
			return headers[i:]
		}
	}
	return headers
}

// compactForm returns the compact form of a block, or nil if it has none. Parts of
// the block will be asked for.
func (s *syncer) compactForm(at types.Index) wire.Message {
	raw, err := s.blocks.Block(at.Hash)
	if err != nil {
		return nil
	}
	block, err := consensus.DecodeBlock(raw)
	if err != nil {
		return nil
	}
	s.connected(block.WTxIDs)
	if s.recent.get(at.Hash) == nil {
		s.recent.put(&recentBlock{at, block.Block, len(raw)})
	}
	compact, err := wire.NewCompactBlock(block.Block, block.WTxIDs, rand.Uint64())
	if err != nil {
		return nil
	}
	return compact
}
