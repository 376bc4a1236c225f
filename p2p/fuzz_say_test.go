package p2p

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// message is one that can be decoded, of a type; nil for types that are none.
func (s *scene) message(p *program, kind wire.Type) wire.Message {
	switch kind {
	case wire.TypeHello:
		return s.hello(p)
	case wire.TypePing:
		return &wire.Ping{Nonce: uint64(p.uint32())}
	case wire.TypePong:
		return &wire.Pong{Nonce: uint64(p.uint32())}
	case wire.TypeGetPeers:
		return &wire.GetPeers{}
	case wire.TypePeers:
		m := &wire.Peers{}
		for range p.below(32) {
			m.Peers = append(m.Peers, wire.PeerAddress{ID: s.strangers[p.below(4)].key.ID(), LastSeen: time.Now().Unix() - int64(p.byte()),
				Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, p.byte()}), uint16(p.uint32()))})
		}
		return m
	case wire.TypeGetHeaders:
		return &wire.GetHeaders{Locator: s.hashes(p)[:1], Stop: s.hash(p)}
	case wire.TypeHeaders:
		return &wire.Headers{Headers: s.headers(p)}
	case wire.TypeInv:
		return &wire.Inv{WTxIDs: s.hashes(p)}
	case wire.TypeGetTxs:
		return &wire.GetTxs{WTxIDs: s.hashes(p)}
	case wire.TypeTx:
		return &wire.Tx{Raw: s.tx(p).AppendTo(nil)}
	case wire.TypeGetBlocks:
		return &wire.GetBlocks{Hashes: s.hashes(p)}
	case wire.TypeGetParents:
		return &wire.GetParents{TxIDs: s.hashes(p)[:1]}
	case wire.TypeBlock:
		return &wire.Block{Raw: s.block(p).AppendTo(nil)}
	case wire.TypeNotFound:
		return &wire.NotFound{What: wire.What(1 + p.below(4)), Hashes: s.hashes(p)}
	case wire.TypeCompactBlock:
		return s.compact(p)
	case wire.TypeGetBlockTxs:
		return &wire.GetBlockTxs{Hash: s.hash(p), Indexes: indexes(p)}
	case wire.TypeBlockTxs:
		return &wire.BlockTxs{Hash: s.hash(p), Txs: [][]byte{s.tx(p).AppendTo(nil)}}
	case wire.TypeFeeFilter:
		return &wire.FeeFilter{MinFeeRate: types.FeeRate(p.uint32())}
	case wire.TypeSendCompact:
		return &wire.SendCompact{Announce: p.below(2) == 0}
	}
	return nil
}

// headers are some that follow each other, or not, or are changed.
func (s *scene) headers(p *program) (list []types.Header) {
	switch p.below(4) {
	case 0: // a chain without bodies
		on := s.n.chain.TipState()
		for _, b := range s.build(on, 1+p.below(30)) {
			list = append(list, b.Header)
		}
	case 1: // any
		for range 1 + p.below(4) {
			list = append(list, s.block(p).Header)
		}
	case 2:
		list = headersOf(s.secret[:2]...)
	default:
		list = headersOf(s.block(p))
	}
	if p.below(8) == 0 {
		h := &list[p.below(len(list))]
		h.Nonce, h.Timestamp = p.uint32(), h.Timestamp+p.uint32()
	}
	return list
}

func indexes(p *program) (list []uint32) {
	for next, n := uint32(0), 1+p.below(20); n > 0; n-- {
		next += uint32(p.below(4))
		list = append(list, next)
		next++
	}
	return list
}

func (s *scene) compact(p *program) wire.Message {
	b := s.block(p)
	var wtxids []types.Hash
	for i := range b.Txs {
		wtxids = append(wtxids, b.Txs[i].WTxID())
	}
	c, err := wire.NewCompactBlock(b, wtxids, uint64(p.byte()))
	if err != nil {
		s.t.Fatal(err)
	}
	switch p.below(8) {
	case 0:
		c.ShortIDs = append(c.ShortIDs, wire.ShortID(p.uint32()))
	case 1:
		c.Prefilled[0].Raw = s.tx(p).AppendTo(nil)
	case 2: // seldom many
		for range 50 * p.below(256) {
			c.ShortIDs = append(c.ShortIDs, wire.ShortID(len(c.ShortIDs)))
		}
	}
	return c
}

// answer is what the node has asked for last, or something else of that type; nil if it
// has asked for nothing.
func (s *scene) answer(p *program, l *line) wire.Message {
	lie := p.below(4) == 0
	switch asked := l.question().(type) {
	case *wire.Ping:
		return &wire.Pong{Nonce: asked.Nonce}
	case *wire.GetHeaders:
		if lie {
			return &wire.Headers{Headers: s.headers(p)}
		}
		return &wire.Headers{Headers: headersOf(append(s.common[:12:12], s.secret[:2]...)...)}
	case *wire.GetBlocks:
		for _, b := range append(s.secret, s.common...) {
			if b.Hash() == asked.Hashes[0] && !lie {
				return &wire.Block{Raw: b.AppendTo(nil)}
			}
		}
		return &wire.NotFound{What: wire.WhatBlocks, Hashes: asked.Hashes}
	case *wire.GetBlockTxs:
		for _, b := range s.secret {
			if m, err := wire.NewBlockTxs(b, asked); err == nil && b.Hash() == asked.Hash && !lie {
				return m
			}
		}
		return &wire.BlockTxs{Hash: asked.Hash, Txs: [][]byte{s.tx(p).AppendTo(nil)}}
	case *wire.GetTxs:
		for _, tx := range s.txs {
			if tx.WTxID() == asked.WTxIDs[0] && !lie {
				return &wire.Tx{Raw: tx.AppendTo(nil)}
			}
		}
		return &wire.Tx{Raw: s.tx(p).AppendTo(nil)}
	case *wire.GetParents:
		return &wire.Tx{Raw: s.txs[0].AppendTo(nil)}
	}
	return nil
}

// line is a connection of a stranger.
type line struct {
	raw, to net.Conn // to is raw, or encrypts for it
	out     chan []byte
	closed  chan struct{}
	once    sync.Once

	mu     sync.Mutex
	asked  []wire.Message
	paused chan struct{} // closed when it reads again; nil: it reads
}

func (f *foe) newest() *line {
	if len(f.lines) == 0 {
		return nil
	}
	return f.lines[len(f.lines)-1]
}

func (l *line) start() {
	go l.read()
	go func() {
		for {
			select {
			case b := <-l.out:
				if _, err := l.to.Write(b); err != nil {
					l.hangUp()
				}
			case <-l.closed:
				return
			}
		}
	}()
}

// read keeps the questions of the node, as far as the stranger reads.
func (l *line) read() {
	defer l.hangUp()
	assembler, buf := wire.NewAssembler(4_000_000), make([]byte, wire.MaxFragmentSize)
	for {
		m, err := readMessage(l.to, buf, assembler, func(wire.Fragment) {})
		if err != nil {
			return
		}
		l.mu.Lock()
		if len(l.asked) < 100 {
			l.asked = append(l.asked, m)
		}
		paused := l.paused
		l.mu.Unlock()
		if paused != nil {
			select {
			case <-paused:
			case <-l.closed:
			}
		}
	}
}

// pause makes that it reads no more, or again.
func (l *line) pause(stop bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused != nil {
		close(l.paused)
		l.paused = nil
	}
	if stop {
		l.paused = make(chan struct{})
	}
}

// question takes the last question of the node that has not been taken.
func (l *line) question() (m wire.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := len(l.asked); n > 0; n-- {
		m, l.asked = l.asked[n-1], l.asked[:n-1]
		switch m.(type) {
		case *wire.Ping, *wire.GetHeaders, *wire.GetBlocks, *wire.GetBlockTxs, *wire.GetTxs, *wire.GetParents:
			return m
		}
	}
	return nil
}

// write sends bytes when the ones before have gone, unless too many wait.
func (l *line) write(b []byte) {
	select {
	case l.out <- b:
	default:
	}
}

func (l *line) hangUp() {
	l.once.Do(func() { close(l.closed) })
	l.raw.Close()
}
