package p2p

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/p2p/wire"
)

// serveHeaders answers a request for headers.
func (s *syncer) serveHeaders(p *peer, m *wire.GetHeaders) {
	p.send(&wire.Headers{Headers: s.m.o.Headers.HeadersAfter(m.Locator, m.Stop, wire.MaxHeaders)})
}

// serveBlocks answers a request for blocks.
func (s *syncer) serveBlocks(p *peer, m *wire.GetBlocks) {
	var lacking []types.Hash
	for _, hash := range m.Hashes {
		raw, err := s.m.o.Blocks.Block(hash)
		if err != nil {
			lacking = append(lacking, hash)
			continue
		}
		if !p.out.wait(serveBelow, p.closed) {
			return
		}
		p.send(&wire.Block{Raw: raw})
	}
	if len(lacking) > 0 {
		p.send(&wire.NotFound{What: wire.WhatBlocks, Hashes: lacking})
	}
}

// recent is how deep below the tip compact blocks are answered for. To read and
// decode others costs us more than the question costs the peer.
const recent = 10

// serveBlockTxs answers a request for transactions of a compact block. Who asks for
// one that is no longer new has to ask for it whole.
func (s *syncer) serveBlockTxs(p *peer, m *wire.GetBlockTxs) {
	var raw []byte
	info, ok := s.m.o.Headers.Info(m.Hash)
	err := errors.New("it is not new")
	if ok && info.Height+recent >= s.m.o.Headers.Tip().Height {
		raw, err = s.m.o.Blocks.Block(m.Hash)
	}
	if err == nil {
		var block *types.Block
		if block, err = types.DecodeBlock(raw); err == nil {
			var answer *wire.BlockTxs
			if answer, err = wire.NewBlockTxs(block, m); err == nil {
				p.send(answer)
				return
			}
		}
	}
	if errors.Is(err, wire.ErrProtocol) {
		p.close(err)
		return
	}
	p.send(&wire.NotFound{What: wire.WhatBlockTxs, Hashes: []types.Hash{m.Hash}})
}

// announcing tells peers of new tips.
func (s *syncer) announcing(ctx context.Context) {
	last := s.m.o.Headers.Tip()
	_ = poke.Follow(ctx, s.m.o.Blocks, func() (more bool, err error) {
		s.more.Poke()
		if tip := s.m.o.Headers.Tip(); tip != last && !s.m.Syncing() {
			last = tip
			s.announce(tip)
		}
		return false, nil
	})
}

// announce tells of a new tip: those that want it so by a compact block, the
// others by headers.
func (s *syncer) announce(tip types.Index) {
	var headers []types.Header
	for hash := tip.Hash; len(headers) < announceMost; {
		info, ok := s.m.o.Headers.Info(hash)
		if !ok || info.Height == 0 {
			break
		}
		headers = append([]types.Header{info.Header}, headers...)
		hash = info.Header.PrevBlock
	}
	if len(headers) == 0 {
		return
	}
	compact := s.compactForm(tip.Hash)
	for _, p := range s.m.all() {
		s.mu.Lock()
		sp := s.peers[p]
		var knows types.Index
		if sp != nil {
			if knows = sp.best; knows.Height <= tip.Height {
				sp.best = tip
			}
		}
		s.mu.Unlock()
		if sp == nil || knows == tip {
			continue
		}
		p.mu.Lock()
		wantsCompact := p.compact
		p.mu.Unlock()
		if wantsCompact && compact != nil && knows.Hash == headers[len(headers)-1].PrevBlock {
			p.send(compact)
			continue
		}
		p.send(&wire.Headers{Headers: s.after(headers, knows)})
	}
}

// after returns the headers that a peer does not have, if it is known.
func (s *syncer) after(headers []types.Header, knows types.Index) []types.Header {
	for i := range headers {
		if headers[i].PrevBlock == knows.Hash {
			return headers[i:]
		}
	}
	return headers
}

// compactForm returns the compact form of a block, or nil if it has none.
func (s *syncer) compactForm(hash types.Hash) wire.Message {
	raw, err := s.m.o.Blocks.Block(hash)
	if err != nil {
		return nil
	}
	block, err := consensus.DecodeBlock(raw)
	if err != nil {
		return nil
	}
	compact, err := wire.NewCompactBlock(block.Block, block.WTxIDs, rand.Uint64())
	if err != nil {
		return nil
	}
	return compact
}
