package p2p

import (
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/p2p/wire"
)

// bareHeaders makes n headers on a state, of blocks that do not exist.
func (w *world) bareHeaders(on consensus.State, n int) []types.Header {
	headers := make([]types.Header, n)
	for i := range headers {
		b := chaintest.NewBlock(&on.Header, chaintest.Coinbase(on.Index.Height+1, []byte{1}, types.TxOut{}))
		b.Header.Timestamp = on.Header.Timestamp + 1 // tens of thousands are not of the future
		headers[i] = chaintest.Mine(b).Header
		on = after(on, b)
	}
	return headers
}

// workAt is the work of a chain of headers on the genesis block.
func (w *world) workAt(headers []types.Header) consensus.Uint256 {
	work := w.params.GenesisState().Work
	for i := range headers {
		work = work.Add(consensus.BlockWork(headers[i].Bits))
	}
	return work
}

// startWanting starts a node whose network's file asks for so much work.
func (w *world) startWanting(work consensus.Uint256) *testNode {
	return w.start("n", func(o *Options) {
		params := *o.Params
		params.MinimumChainWork = work
		o.Params = &params
	})
}

// answerHeaders answers requests for headers from a chain of them, until none
// comes, and calls each before an answer.
func (s *stranger) answerHeaders(headers []types.Header, each func(asked int)) (asked int) {
	above := map[types.Hash]int{}
	for i := range headers {
		above[headers[i].Hash()] = i + 1
	}
	for {
		get := next[*wire.GetHeaders](s, 5*time.Second)
		if get == nil {
			return asked
		}
		asked++
		each(asked)
		first := 0
		for _, hash := range get.Locator {
			if i, ok := above[hash]; ok {
				first = i
				break
			}
		}
		if s.send(&wire.Headers{Headers: headers[first:min(first+wire.MaxHeaders, len(headers))]}) != nil || asked == 100 {
			return asked
		}
	}
}

// TestMinimumWork: a chain is stored once it has the work that the network's file
// asks for, however long it is, and whatever is announced meanwhile.
func TestMinimumWork(t *testing.T) {
	for _, c := range []struct {
		name  string
		count int
	}{{"short", 5*wire.MaxHeaders + 100}, {"long", 60_000}} {
		t.Run(c.name, func(t *testing.T) {
			if c.count > 50_000 && testing.Short() {
				t.Skip("long")
			}
			simulate(t, func(t *testing.T, w *world) {
				headers := w.bareHeaders(w.params.GenesisState(), c.count)
				n := w.startWanting(w.workAt(headers[:c.count-50]))
				s := w.stranger(n)
				s.answerHeaders(headers, func(asked int) {
					if asked == 3 { // a block was found
						s.send(&wire.Headers{Headers: headers[c.count-1:]})
					}
					if asked == 4 && n.chain.BestHeader().Height != 0 {
						t.Error("headers are stored before there is enough work")
					}
				})
				if got := n.chain.BestHeader().Height; got != uint32(c.count) {
					t.Errorf("the best header is at %d, want %d", got, c.count)
				}
				s.conn.Close()
			})
		})
	}
}

// TestTooLittleWork: a chain that never has enough work is not stored, takes bounded
// memory, and costs the peer nothing.
func TestTooLittleWork(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		headers := w.bareHeaders(w.params.GenesisState(), 3*wire.MaxHeaders+10)
		n := w.startWanting(w.workAt(append(headers, headers...))) // twice what there is
		s := w.stranger(n)
		if asked := s.answerHeaders(headers, func(int) {}); asked != 4 {
			t.Errorf("%d questions for headers, want 4", asked)
		}
		if n.chain.BestHeader().Height != 0 {
			t.Error("headers are stored")
		}
		s.expect(stays, "the peer", time.Minute)
		s.conn.Close()
	})
}

// TestSwappedHeaders: who shows a chain with enough work and then sends another
// gets none of that stored.
func TestSwappedHeaders(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		headers := w.bareHeaders(w.params.GenesisState(), 4*wire.MaxHeaders)
		other := w.build(w.params.GenesisState(), 1)
		light := append(headersOf(other...), w.bareHeaders(after(w.params.GenesisState(), other...), wire.MaxHeaders-1)...)
		n := w.startWanting(w.workAt(headers[:len(headers)-10]))
		s := w.stranger(n)
		s.answerHeaders(headers, func(asked int) {
			if asked >= 5 && asked < 20 {
				_ = s.send(&wire.Headers{Headers: light})
			}
		})
		if _, known := n.chain.Info(light[0].Hash()); known {
			t.Error("headers without work are stored")
		}
		if got := n.chain.BestHeader().Height; got != uint32(len(headers)) && got != 0 {
			t.Errorf("the best header is at %d", got)
		}
		s.conn.Close()
	})
}

// TestBadHeaders: headers that cost nothing, or break a rule, do not get in.
func TestBadHeaders(t *testing.T) {
	for _, c := range []struct {
		name string
		fate string
		make func(w *world, h []types.Header)
	}{
		{"without_work", banned, func(w *world, h []types.Header) {
			for chaintest.HasWork(&h[2]) {
				h[2].Nonce++
			}
		}},
		{"gap", banned, func(w *world, h []types.Header) { h[1] = h[2] }},
		{"easier", banned, func(w *world, h []types.Header) { h[2].Bits = 0x207ffffe }},
		{"before_its_time", banned, func(w *world, h []types.Header) { h[2].Timestamp = 1 }},
		{"unknown_parent", stays, func(w *world, h []types.Header) {
			unknown := h[0]
			unknown.Nonce++
			copy(h, w.bareHeaders(consensus.State{Header: unknown}, len(h)))
		}},
		{"none", stays, func(w *world, h []types.Header) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				n := w.start("n", nil)
				n.mine(3)
				headers := w.bareHeaders(n.chain.TipState(), 3)
				c.make(w, headers)
				if c.name == "easier" || c.name == "before_its_time" {
					b := types.Block{Header: headers[2]}
					headers[2] = chaintest.Mine(&b).Header
				}
				if c.name == "none" {
					headers = nil
				}
				s := w.stranger(n)
				s.send(&wire.Headers{Headers: headers})
				s.expect(c.fate, "who sends them", 20*time.Second)
				if c.name == "unknown_parent" {
					if next[*wire.GetHeaders](s, time.Second) == nil {
						t.Error("what lies between is not asked for")
					}
				}
				s.conn.Close()
			})
		})
	}
}
