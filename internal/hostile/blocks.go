package hostile

import (
	"context"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// aboutBlocks are those who tell of blocks first, and then do not bring them.
var aboutBlocks = []Behaviour{
	{Name: "withhold", About: "tells of each new block first, by its header, and answers no request for it", speak: withhold},
	{Name: "withhold-compact", About: "the same, by a compact block of which it never sends the rest", speak: withholdCompact},
	{Name: "withhold-chain", About: "tells of headers with more work than the tip, of blocks that nobody has", speak: withholdChain},
	{Name: "stall", About: "sends the blocks that it is asked for, a fragment every five seconds", speak: stall},
	{Name: "lie-compact", About: "sends compact blocks with other transactions under the true header", speak: lieCompact},
	{Name: "lie-short-ids", About: "sends compact blocks with made-up short ids, and answers with garbage", speak: lieShortIDs},
	{Name: "mutate", About: "answers with bodies that are not the header's", speak: mutate},
	{Name: "invalid", About: "mines blocks that break a rule, and serves them", speak: invalid},
	{Name: "not-found", About: "tells of each new block first, and then has it not", speak: notFound},
	{Name: "header-spam", About: "sends branches of headers, long below the tip, which cost it little", speak: headerSpam},
}

func withhold(ctx context.Context, s *Stranger) {
	s.follow(ctx, func(b *types.Block) { s.send(ctx, &wire.Headers{Headers: []types.Header{b.Header}}) }, nil)
}

func withholdCompact(ctx context.Context, s *Stranger) {
	s.follow(ctx, func(b *types.Block) { s.send(ctx, s.falseCompact(b)) }, nil)
}

// falseCompact is a compact block of which nobody has the transactions, since the short
// ids are made up. A true one would help whoever has them.
func (s *Stranger) falseCompact(b *types.Block) wire.Message {
	c := &wire.CompactBlock{Header: b.Header, Nonce: s.random.Uint64(), Prefilled: []wire.PrefilledTx{{Index: 0, Raw: b.Txs[0].AppendTo(nil)}}}
	for range max(len(b.Txs)-1, 1) {
		c.ShortIDs = append(c.ShortIDs, wire.ShortID(s.random.Uint64()>>16))
	}
	return c
}

func withholdChain(ctx context.Context, s *Stranger) {
	lie := func() bool { return s.send(ctx, &wire.Headers{Headers: s.branch(s.know.top(), 5)}) }
	s.follow(ctx, func(*types.Block) { lie() }, nil)
}

// branch makes headers with work on a state, of blocks that do not exist.
func (s *Stranger) branch(on consensus.State, n int) []types.Header {
	headers := make([]types.Header, n)
	for i := range headers {
		h := types.Header{
			Version: 0x20000000, PrevBlock: on.Index.Hash, MerkleRoot: s.hash(), Timestamp: on.Header.Timestamp + 1,
			Bits: consensus.NextBits(s.know.Params, &on),
		}
		for consensus.CheckHeader(s.know.Params, &h, h.Hash()) != nil {
			h.Nonce++
		}
		headers[i] = h
		on = on.Extend(&h, h.Hash())
	}
	return headers
}

func stall(ctx context.Context, s *Stranger) {
	busy := false
	s.follow(ctx, func(b *types.Block) { s.send(ctx, s.falseCompact(b)) }, func(m wire.Message) {
		var answer wire.Message
		switch m := m.(type) {
		case *wire.GetBlocks:
			if b := s.know.find(m.Hashes[0]); b != nil {
				answer = &wire.Block{Raw: b.AppendTo(nil)}
			}
		case *wire.GetBlockTxs:
			if b := s.know.find(m.Hash); b != nil {
				if txs, err := wire.NewBlockTxs(b, m); err == nil {
					answer = txs
				}
			}
		}
		if answer != nil && !busy {
			busy = true // for the rest of the connection
			s.work.Go(func() { s.trickle(ctx, answer) })
		}
	})
}

// trickle sends a message so slowly that it might as well not come.
func (s *Stranger) trickle(ctx context.Context, m wire.Message) {
	var f wire.Fragmenter
	if f.Push(m) != nil {
		return
	}
	s.every(ctx, 5*time.Second, func() bool {
		b, more := f.AppendNext(nil)
		return more && s.write(ctx, b)
	})
}

func lieCompact(ctx context.Context, s *Stranger) {
	s.follow(ctx, func(b *types.Block) {
		s.send(ctx, &wire.CompactBlock{Header: b.Header, Nonce: s.random.Uint64(), Prefilled: []wire.PrefilledTx{
			{Index: 0, Raw: b.Txs[0].AppendTo(nil)}, {Index: 1, Raw: s.payment().AppendTo(nil)},
		}})
	}, nil)
}

// payment is a transaction that spends what does not exist.
func (s *Stranger) payment() *types.Tx {
	return &types.Tx{
		Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: s.hash()}, Sequence: 0xfffffffd}},
		Outputs: []types.TxOut{{Value: 100_000, ScriptPubKey: []byte{0x51, 2, 0x4e, 0x73}}},
	}
}

func lieShortIDs(ctx context.Context, s *Stranger) {
	s.follow(ctx, func(b *types.Block) { s.send(ctx, s.falseCompact(b)) }, func(m wire.Message) {
		if get, is := m.(*wire.GetBlockTxs); is {
			answer := &wire.BlockTxs{Hash: get.Hash}
			for range get.Indexes {
				answer.Txs = append(answer.Txs, s.payment().AppendTo(nil))
			}
			s.send(ctx, answer)
		}
	})
}

func mutate(ctx context.Context, s *Stranger) {
	s.follow(ctx, func(b *types.Block) { s.send(ctx, &wire.Headers{Headers: []types.Header{b.Header}}) }, func(m wire.Message) {
		get, is := m.(*wire.GetBlocks)
		if !is {
			return
		}
		for _, hash := range get.Hashes {
			if b := s.know.find(hash); b != nil {
				other := *b
				other.Txs = append(slices.Clone(b.Txs), *s.payment())
				s.send(ctx, &wire.Block{Raw: other.AppendTo(nil)})
			}
		}
	})
}

func invalid(ctx context.Context, s *Stranger) {
	var made []*types.Block
	s.follow(ctx, func(b *types.Block) {
		// The coinbase that it takes over is of another height.
		state := s.know.top()
		bad := &types.Block{Header: s.branch(state, 1)[0], Txs: slices.Clone(b.Txs[:1])}
		bad.Header.MerkleRoot = bad.Txs[0].TxID()
		for bad.Header.Nonce = 0; consensus.CheckHeader(s.know.Params, &bad.Header, bad.Header.Hash()) != nil; {
			bad.Header.Nonce++
		}
		made = append(made, bad)
		s.send(ctx, &wire.Headers{Headers: []types.Header{bad.Header}})
	}, func(m wire.Message) {
		if get, is := m.(*wire.GetBlocks); is {
			for _, b := range made {
				if slices.Contains(get.Hashes, b.Header.Hash()) {
					s.send(ctx, &wire.Block{Raw: b.AppendTo(nil)})
				}
			}
		}
	})
}

func notFound(ctx context.Context, s *Stranger) {
	s.follow(ctx, func(b *types.Block) { s.send(ctx, s.falseCompact(b)) }, func(m wire.Message) {
		switch m := m.(type) {
		case *wire.GetBlocks:
			s.send(ctx, &wire.NotFound{What: wire.WhatBlocks, Hashes: m.Hashes})
		case *wire.GetBlockTxs:
			s.send(ctx, &wire.NotFound{What: wire.WhatBlockTxs, Hashes: []types.Hash{m.Hash}})
		case *wire.GetTxs:
			s.send(ctx, &wire.NotFound{What: wire.WhatTxs, Hashes: m.WTxIDs})
		}
	})
}

func headerSpam(ctx context.Context, s *Stranger) {
	s.every(ctx, 15*time.Second, func() bool {
		return s.send(ctx, &wire.Headers{Headers: s.branch(s.know.Params.GenesisState(), 50)})
	})
}
