package hostile

import (
	"context"
	"net/netip"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// aboutMessages are those who send too much, or what is of no use.
var aboutMessages = []Behaviour{
	{Name: "orphan-flood", About: "sends transactions of which no parent exists", speak: orphanFlood},
	{Name: "inv-flood", About: "tells of transactions that do not exist", speak: invFlood},
	{Name: "address-flood", About: "tells of addresses where nobody is, asked or not", speak: addressFlood},
	{Name: "useless-requests", About: "asks for blocks and transactions that nobody has, and parts that no block has", speak: uselessRequests},
	{Name: "greedy", About: "asks for all blocks again and again, and reads nothing", speak: greedy, deaf: true},
	{Name: "half-messages", About: "begins the longest messages, and never ends them", speak: halfMessages},
	{Name: "ping-flood", About: "sends two hundred pings a second", speak: pingFlood},
	{Name: "garbage", About: "sends bytes that are no messages", speak: garbage},
	{Name: "unknown-types", About: "sends messages of types that do not exist", speak: unknownTypes},
}

func orphanFlood(ctx context.Context, s *Stranger) {
	orphans := map[types.Hash]*types.Tx{}
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			inv := &wire.Inv{}
			clear(orphans)
			for range 100 {
				tx := s.payment()
				orphans[tx.WTxID()] = tx
				inv.WTxIDs = append(inv.WTxIDs, tx.WTxID())
			}
			s.send(ctx, inv)
		case m := <-s.in:
			if get, is := m.(*wire.GetTxs); is {
				for _, wtxid := range get.WTxIDs {
					if tx := orphans[wtxid]; tx != nil {
						s.send(ctx, &wire.Tx{Raw: tx.AppendTo(nil)})
					}
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

func invFlood(ctx context.Context, s *Stranger) {
	s.every(ctx, 10*time.Second, func() bool { return s.send(ctx, &wire.Inv{WTxIDs: s.hashes(wire.MaxInv)}) })
}

func addressFlood(ctx context.Context, s *Stranger) {
	s.every(ctx, 10*time.Second, func() bool {
		peers := &wire.Peers{}
		for range wire.MaxPeers {
			ip := [4]byte{byte(1 + s.random.IntN(220)), byte(s.random.Uint32()), byte(s.random.Uint32()), 1}
			peers.Peers = append(peers.Peers, wire.PeerAddress{
				ID: peerinfo.NodeID(s.hash()), Addr: netip.AddrPortFrom(netip.AddrFrom4(ip), 1), LastSeen: time.Now().Unix(),
			})
		}
		return s.send(ctx, peers, &wire.GetPeers{})
	})
}

func uselessRequests(ctx context.Context, s *Stranger) {
	s.every(ctx, time.Second, func() bool {
		return s.send(ctx,
			&wire.GetBlockTxs{Hash: s.hash(), Indexes: []uint32{0, 1, 2}},
			&wire.GetBlocks{Hashes: s.hashes(wire.MaxGetBlocks)},
			&wire.GetTxs{WTxIDs: s.hashes(100)},
			&wire.GetHeaders{Locator: s.hashes(wire.MaxLocator)},
		)
	})
}

func greedy(ctx context.Context, s *Stranger) {
	s.every(ctx, 100*time.Millisecond, func() bool {
		get := &wire.GetBlocks{}
		for _, b := range s.know.since(0) {
			if len(get.Hashes) < wire.MaxGetBlocks {
				get.Hashes = append(get.Hashes, b.Header.Hash())
			}
		}
		return len(get.Hashes) == 0 || s.send(ctx, get)
	})
}

func halfMessages(ctx context.Context, s *Stranger) {
	total := uint32(wire.MaxPayload(wire.TypeBlockTxs))
	if most := uint32(s.know.Params.MaxBlockWeight); total > most {
		total = most
	}
	data := make([]byte, wire.MaxFragmentData)
	for left := int(total) - len(data); left > len(data) && ctx.Err() == nil; left -= len(data) {
		if !s.write(ctx, wire.AppendFragment(nil, wire.Fragment{Lane: wire.Bulk, Type: wire.TypeBlockTxs, Total: total, Data: data})) {
			return
		}
	}
	<-ctx.Done()
}

func pingFlood(ctx context.Context, s *Stranger) {
	s.every(ctx, time.Second, func() bool {
		var some []wire.Message
		for range 200 {
			some = append(some, &wire.Ping{Nonce: s.random.Uint64()})
		}
		return s.send(ctx, some...)
	})
}

func garbage(ctx context.Context, s *Stranger) {
	pause(ctx, time.Second)
	b := make([]byte, 1000)
	for i := range b {
		b[i] = byte(s.random.Uint32())
	}
	s.write(ctx, b)
}

func unknownTypes(ctx context.Context, s *Stranger) {
	s.every(ctx, 500*time.Millisecond, func() bool {
		data := make([]byte, wire.MaxFragmentData)
		return s.write(ctx, wire.AppendFragment(nil, wire.Fragment{Type: 200, Total: uint32(len(data)), Data: data}))
	})
}
