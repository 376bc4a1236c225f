package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/hostile"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/wire"
)

// stranger speaks the protocol by hand to a node of a world.
type stranger struct {
	*hostile.ByHand
	w   *world
	to  string
	key noise.Key
}

// stranger connects somebody who keeps to the protocol so far.
func (w *world) stranger(to string) *stranger {
	w.t.Helper()
	key, err := noise.GenerateKey()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.strangerWith(to, key)
}

func (w *world) strangerWith(to string, key noise.Key) *stranger {
	w.t.Helper()
	raw, err := w.net.Dial("stranger", to+":1")
	if err != nil {
		w.t.Fatal(err)
	}
	conn, err := noise.Client(w.t.Context(), raw, key, w.params.Identity(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	s := &stranger{hostile.Drive(conn, w.params.MaxBlockWeight, false), w, to, key}
	s.send(&wire.Hello{
		Version: wire.Version, Services: wire.ServiceNetwork | wire.ServiceNetworkLimited, UserAgent: "/stranger/",
		Tip: w.params.GenesisBlock().Hash, Time: time.Now().Unix(), Relay: true,
	})
	return s
}

// send sends a message. The node may have hung up.
func (s *stranger) send(m wire.Message) { _ = s.Send(m) }

func (s *stranger) raw(b []byte) { _ = s.Write(b) }

// next returns the next message of a type, or nil when the node hangs up or
// sends none within a minute.
func next[M wire.Message](s *stranger) M { return hostile.Next[M](s.ByHand, time.Minute) }

// What became of a stranger.
const (
	stays    = hostile.Stays
	hungUpOn = hostile.HungUpOn
	banned   = hostile.Banned
)

// expect waits a while and checks what the node did with who does something.
func (s *stranger) expect(want, who string, patience time.Duration) {
	s.w.t.Helper()
	if got := s.fate(patience); got != want {
		s.w.t.Errorf("%s is %s, want %s", who, got, want)
	}
}

// fate waits a while and finds out what the node did.
func (s *stranger) fate(patience time.Duration) string {
	s.w.t.Helper()
	defer s.Conn.Close()
	return s.Fate(patience, func() *hostile.ByHand { return s.w.strangerWith(s.to, s.key).ByHand })
}

// template is a block on the node's tip that breaks no rule yet. Its coinbase is of no
// other.
func (s *simNode) template(txs ...*types.Tx) *types.Block {
	t := s.miner.Template()
	s.coinbases++
	b := t.Block(t.HeaderAt(s.clock.now()), t.Coinbase(chaintest.Anchor, []byte{1, s.coinbases}))
	for _, tx := range txs {
		b.Txs = append(b.Txs, *tx)
	}
	chaintest.Commit(b) // the template commits to fewer
	return chaintest.Mine(b)
}

// offer announces a block and sends it, or something else, when it is asked for.
func (s *stranger) offer(block *types.Block, body []byte) {
	s.send(&wire.Headers{Headers: []types.Header{block.Header}})
	if get := next[*wire.GetBlocks](s); get != nil {
		s.send(&wire.Block{Raw: body})
	}
}

// misdeeds are what a stranger does to a node with twenty blocks, and what it
// costs.
var misdeeds = []struct {
	name string
	fate string
	do   func(s *stranger, n *simNode)
}{
	{"nothing wrong", stays, func(s *stranger, n *simNode) { s.send(&wire.GetPeers{}) }},
	{"a second hello", banned, func(s *stranger, n *simNode) { s.send(&wire.Hello{Version: wire.Version, UserAgent: "x"}) }},
	{"an unknown type", stays, func(s *stranger, n *simNode) {
		s.raw(wire.AppendFragment(nil, wire.Fragment{Type: 200, Total: 3, Data: []byte{1, 2, 3}}))
	}},
	{"an unknown type without end", banned, func(s *stranger, n *simNode) {
		s.raw(wire.AppendFragment(nil, wire.Fragment{Type: 200, Total: wire.MaxUnknown + 1, Data: []byte{1}}))
	}},
	{"a lane that is none", banned, func(s *stranger, n *simNode) {
		s.raw(wire.AppendFragment(nil, wire.Fragment{Lane: 9, Type: wire.TypePing, Total: 1, Data: []byte{1}}))
	}},
	{"a message that is too long", banned, func(s *stranger, n *simNode) {
		s.raw(wire.AppendFragment(nil, wire.Fragment{Type: wire.TypePing, Total: 9, Data: make([]byte, 9)}))
	}},
	{"a ping that is too short", banned, func(s *stranger, n *simNode) {
		s.raw(wire.AppendFragment(nil, wire.Fragment{Type: wire.TypePing, Total: 1, Data: []byte{1}}))
	}},
	{"a pong to no ping", stays, func(s *stranger, n *simNode) { s.send(&wire.Pong{Nonce: 5}) }},
	{"headers that form no chain", banned, func(s *stranger, n *simNode) {
		s.send(&wire.Headers{Headers: []types.Header{n.template().Header, n.template().Header}})
	}},
	{"headers without work", banned, func(s *stranger, n *simNode) {
		h := n.template().Header
		for chaintest.HasWork(&h) {
			h.Nonce++
		}
		s.send(&wire.Headers{Headers: []types.Header{h}})
	}},
	{"headers of another difficulty", banned, func(s *stranger, n *simNode) {
		b := n.template()
		b.Header.Bits = 0x207ffffe
		s.send(&wire.Headers{Headers: []types.Header{chaintest.Mine(b).Header}})
	}},
	{"a time before the median", banned, func(s *stranger, n *simNode) {
		b := n.template()
		b.Header.Timestamp = s.w.params.Genesis.Timestamp
		s.send(&wire.Headers{Headers: []types.Header{chaintest.Mine(b).Header}})
	}},
	{"a time in the future", stays, func(s *stranger, n *simNode) {
		b := n.template()
		b.Header.Timestamp += 3 * 3600
		s.send(&wire.Headers{Headers: []types.Header{chaintest.Mine(b).Header}})
	}},
	{"headers that follow nothing known", stays, func(s *stranger, n *simNode) {
		b := n.template()
		b.Header.PrevBlock = types.Hash{1}
		s.send(&wire.Headers{Headers: []types.Header{chaintest.Mine(b).Header}})
	}},
	{"a block that nobody asked for", stays, func(s *stranger, n *simNode) { s.send(&wire.Block{Raw: n.template().AppendTo(nil)}) }},
	{"a block of a few bytes", banned, func(s *stranger, n *simNode) { s.send(&wire.Block{Raw: []byte{1, 2, 3}}) }},
	{"a block that makes too much", banned, func(s *stranger, n *simNode) {
		b := n.template()
		chaintest.Greedy(b)
		chaintest.Mine(b)
		s.offer(b, b.AppendTo(nil))
	}},
	{"a block that spends nothing", banned, func(s *stranger, n *simNode) {
		b := n.template(payment(types.OutPoint{TxID: types.Hash{7}}, 100_000))
		s.offer(b, b.AppendTo(nil))
	}},
	{"a block whose transactions are doubled", hungUpOn, func(s *stranger, n *simNode) {
		coin, value := n.coinOf(1)
		parent := payment(coin, value)
		child := payment(types.OutPoint{TxID: parent.TxID()}, parent.Outputs[0].Value)
		b := n.template(parent, child) // three, whose tree is that of four with the last twice
		doubled := *b
		doubled.Txs = append(append([]types.Tx(nil), b.Txs...), b.Txs[2])
		s.offer(b, doubled.AppendTo(nil))
	}},
	{"a block that ends early", hungUpOn, func(s *stranger, n *simNode) {
		b := n.template()
		raw := b.AppendTo(nil)
		s.offer(b, raw[:len(raw)-1])
	}},
	{"announcing what one has not", stays, func(s *stranger, n *simNode) {
		b := n.template()
		s.send(&wire.Headers{Headers: []types.Header{b.Header}})
		if get := next[*wire.GetBlocks](s); get != nil {
			s.send(&wire.NotFound{What: wire.WhatBlocks, Hashes: get.Hashes})
		}
	}},
	{"announcing and staying silent", hungUpOn, func(s *stranger, n *simNode) {
		s.send(&wire.Headers{Headers: []types.Header{n.template().Header}})
		go func() { // it answers pings
			for m := range s.Got {
				if ping, is := m.(*wire.Ping); is {
					s.send(&wire.Pong{Nonce: ping.Nonce})
				}
			}
		}()
	}},
	{"asking for what does not exist", stays, func(s *stranger, n *simNode) {
		s.send(&wire.GetBlocks{Hashes: []types.Hash{{1}, {2}}})
		s.send(&wire.GetTxs{WTxIDs: []types.Hash{{3}}})
		s.send(&wire.GetHeaders{Locator: []types.Hash{{4}}, Stop: types.Hash{5}})
		s.send(&wire.GetBlockTxs{Hash: types.Hash{6}, Indexes: []uint32{0}})
	}},
	{"a transaction that nobody asked for", stays, func(s *stranger, n *simNode) {
		s.send(&wire.Tx{Raw: payment(types.OutPoint{TxID: types.Hash{7}}, 100_000).AppendTo(nil)})
	}},
	{"a transaction that cannot be decoded", banned, func(s *stranger, n *simNode) { s.send(&wire.Tx{Raw: []byte{1, 2, 3}}) }},
	{"a transaction without parents", stays, func(s *stranger, n *simNode) {
		s.offerTx(payment(types.OutPoint{TxID: types.Hash{7}}, 100_000))
	}},
	{"a transaction that makes coins", banned, func(s *stranger, n *simNode) {
		coin, value := n.coinOf(1)
		tx := payment(coin, value)
		tx.Outputs[0].Value = 2 * value
		s.offerTx(tx)
	}},
	{"a transaction without a fee", stays, func(s *stranger, n *simNode) {
		coin, value := n.coinOf(1)
		tx := payment(coin, value)
		tx.Outputs[1].Value += 10_000
		s.offerTx(tx)
	}},
	{"a coinbase as a transaction", banned, func(s *stranger, n *simNode) { s.offerTx(&n.template().Txs[0]) }},
	{"a compact block with an answer that is wrong", banned, func(s *stranger, n *simNode) {
		b := n.template()
		c := compact(s.w.t, b)
		c.ShortIDs = append(c.ShortIDs, 77) // a transaction that is not in the block
		s.send(c)
		if get := next[*wire.GetBlockTxs](s); get != nil {
			s.send(&wire.BlockTxs{Hash: get.Hash, Txs: [][]byte{payment(types.OutPoint{TxID: types.Hash{7}}, 100_000).AppendTo(nil)}})
		}
	}},
	{"a compact block that might be bad luck", stays, func(s *stranger, n *simNode) {
		b := n.template()
		c := compact(s.w.t, b)
		c.Prefilled[0].Raw = n.template().Txs[0].AppendTo(nil) // another coinbase
		s.send(c)
		if get := next[*wire.GetBlocks](s); get != nil {
			s.send(&wire.Block{Raw: b.AppendTo(nil)})
		} else {
			s.w.t.Error("the node did not ask for the whole block")
		}
	}},
}

func compact(t *testing.T, b *types.Block) *wire.CompactBlock {
	t.Helper()
	c, err := wire.NewCompactBlock(b, []types.Hash{b.Txs[0].WTxID()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// offerTx announces a transaction and sends it when it is asked for.
func (s *stranger) offerTx(tx *types.Tx) {
	s.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}})
	if get := next[*wire.GetTxs](s); get != nil {
		s.send(&wire.Tx{Raw: tx.AppendTo(nil)})
	} else {
		s.w.t.Error("the node did not ask for a transaction")
	}
}

// TestStrangers: each misdeed costs what it should, and the node goes on with its
// honest peer as if nothing had been.
func TestStrangers(t *testing.T) {
	for i, m := range misdeeds {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			simulate(t, uint64(100+i), func(t *testing.T, w *world) {
				n := w.start("n")
				honest := w.start("honest", "n")
				n.mine(20)
				w.agree("the beginning", n, honest)
				s := w.stranger("n")
				m.do(s, n)
				s.expect(m.fate, "the stranger", 150*time.Second)
				s.Conn.Close()
				coin, value := n.coinOf(3)
				tx := honest.pay(coin, value)
				w.eventually("a payment arrives", func() bool { return n.has(tx) })
				honest.mine(1)
				w.agree("a block arrives", n, honest)
				if len(n.running.Load().peers.Peers()) != 1 || len(honest.running.Load().peers.Peers()) != 1 {
					t.Error("the honest peer was punished")
				}
			})
		})
	}
}

// TestMalleatedBlockDoesNotPoison: somebody who sends a block with doubled
// transactions cannot keep the real one out.
func TestMalleatedBlockDoesNotPoison(t *testing.T) {
	simulate(t, 5, func(t *testing.T, w *world) {
		n := w.start("n")
		n.mine(20)
		coin, value := n.coinOf(1)
		parent := payment(coin, value)
		b := n.template(parent, payment(types.OutPoint{TxID: parent.TxID()}, parent.Outputs[0].Value))
		doubled := *b
		doubled.Txs = append(append([]types.Tx(nil), b.Txs...), b.Txs[2])
		evil := w.stranger("n")
		evil.offer(b, doubled.AppendTo(nil))
		evil.expect(hungUpOn, "the stranger", time.Minute)
		good := w.stranger("n")
		good.offer(b, b.AppendTo(nil))
		w.eventually("the real block is the tip", func() bool { return n.chain.Tip().Hash == b.Hash() })
		good.Conn.Close()
	})
}

// TestSilenceAndNoise: connections that do not become one, or fall silent, end.
func TestSilenceAndNoise(t *testing.T) {
	simulate(t, 6, func(t *testing.T, w *world) {
		w.start("n")
		ends := func(c net.Conn, within time.Duration) bool {
			_ = c.SetReadDeadline(time.Now().Add(within))
			_, err := io.Copy(io.Discard, c)
			return !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err)
		}
		dial := func() net.Conn {
			c, err := w.net.Dial("stranger", "n:1")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		silent := dial()
		if !ends(silent, time.Minute) {
			t.Error("a silent call is held")
		}
		noisy := dial()
		go func() { _, _ = noisy.Write(bytes.Repeat([]byte{0x55}, 4096)) }()
		if !ends(noisy, time.Minute) {
			t.Error("a call of noise is held")
		}
		key, err := noise.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := noise.Client(t.Context(), dial(), key, types.Hash{1}, nil); err == nil {
			t.Error("a node of another network was let in")
		}
		mute := w.stranger("n") // says hello, and answers no ping
		mute.expect(hungUpOn, "who falls silent", 10*time.Minute)
	})
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// TestOrphans: a transaction that comes before its parent waits for it.
func TestOrphans(t *testing.T) {
	simulate(t, 10, func(t *testing.T, w *world) {
		n := w.start("n")
		n.mine(20)
		coin, value := n.coinOf(1)
		parent := payment(coin, value)
		child := payment(types.OutPoint{TxID: parent.TxID()}, parent.Outputs[0].Value)
		s := w.stranger("n")
		s.offerTx(child)
		time.Sleep(time.Second)
		if n.has(child) {
			t.Error("a transaction without its parent was taken")
		}
		s.offerTx(parent)
		w.eventually("both are taken", func() bool { return n.has(parent) && n.has(child) })
	})
}

// TestWorklessBranchesAreNotStored: headers that cost nothing take no memory.
func TestWorklessBranchesAreNotStored(t *testing.T) {
	simulate(t, 7, func(t *testing.T, w *world) {
		n := w.start("n")
		n.mine(400)
		s := w.stranger("n")
		var headers []types.Header
		for parent := &w.params.GenesisBlock().Block.Header; len(headers) < 100; parent = &headers[len(headers)-1] {
			b := chaintest.NewBlock(parent, chaintest.Coinbase(1, []byte{1}, types.TxOut{}))
			headers = append(headers, chaintest.Mine(b).Header)
		}
		s.send(&wire.Headers{Headers: headers})
		s.expect(stays, "the stranger", time.Minute)
		for i := range headers {
			if _, known := n.chain.Info(headers[i].Hash()); known {
				t.Fatalf("header %d of a branch without work is stored", i)
			}
		}
	})
}

// TestStallingPeerIsReplaced: a peer that announces a chain and delivers nothing
// does not keep a node from syncing with another.
func TestStallingPeerIsReplaced(t *testing.T) {
	simulate(t, 8, func(t *testing.T, w *world) {
		full := w.start("full")
		full.mine(300)
		n := w.start("n")
		s := w.stranger("n")
		s.send(&wire.Headers{Headers: full.chain.HeadersAfter(nil, types.Hash{}, wire.MaxHeaders)})
		if next[*wire.GetBlocks](s) == nil {
			t.Fatal("the node asked for nothing")
		}
		if err := n.running.Load().peers.AddNode("full:1"); err != nil {
			t.Fatal(err)
		}
		w.agree("synced all the same", full, n)
		s.Conn.Close()
	})
}
