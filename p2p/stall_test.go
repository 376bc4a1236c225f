package p2p

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/wire"
)

// hostStranger lets a node call a stranger at an address, and does something with each connection.
func (w *world) hostStranger(name string, do func(s *stranger)) {
	l := w.net.Listen(name + ":1")
	w.t.Cleanup(func() { l.Close() })
	key := newKey(w.t)
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				if conn, err := noise.Server(w.t.Context(), raw, key, w.params.Identity()); err == nil {
					do(w.begin("", key, conn))
				}
			}()
		}
	}()
}

// tell tells all headers of a chain.
func (s *stranger) tell(blocks []*types.Block) {
	for some := range slices.Chunk(blocks, wire.MaxHeaders) {
		s.send(&wire.Headers{Headers: headersOf(some...)})
	}
}

// staller is a behaviour of who tells of a chain and does not deliver it.
type staller func(s *stranger, blocks []*types.Block)

// silent delivers nothing.
func silent(s *stranger, blocks []*types.Block) {
	s.tell(blocks)
	<-s.Closed
}

// proving delivers what it is asked for at first, and from then on all but the lowest of
// what it is asked for.
func proving(s *stranger, blocks []*types.Block) {
	s.tell(blocks)
	byHash := map[types.Hash]*types.Block{}
	for _, b := range blocks {
		byHash[b.Hash()] = b
	}
	for n := 0; ; n++ {
		get := next[*wire.GetBlocks](s, time.Hour)
		if get == nil {
			return
		}
		if n > 0 {
			get.Hashes = get.Hashes[1:]
		}
		time.Sleep(100 * time.Millisecond)
		for _, hash := range get.Hashes {
			s.send(&wire.Block{Raw: byHash[hash].AppendTo(nil)})
		}
	}
}

// trickling sends a block without end, a fragment now and then.
func trickling(s *stranger, blocks []*types.Block) {
	s.tell(blocks)
	if next[*wire.GetBlocks](s, time.Hour) == nil {
		return
	}
	part := wire.Fragment{Lane: wire.Bulk, Type: wire.TypeBlock, Total: 900_000, Data: make([]byte, wire.MaxFragmentData)}
	for range 50 {
		if _, err := s.conn.Write(wire.AppendFragment(nil, part)); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// leaving hangs up soon after it was asked.
func leaving(s *stranger, blocks []*types.Block) {
	s.tell(blocks)
	next[*wire.GetBlocks](s, time.Hour)
	time.Sleep(500 * time.Millisecond)
	s.conn.Close()
}

// syncAmong returns how long a new node takes for a chain from one honest peer over a
// line of 100 ms, among stallers who came before.
func syncAmong(t *testing.T, w *world, blocks []*types.Block, calls bool, inbound, outbound int, do staller) time.Duration {
	n := w.start("n", w.dialFar("n"))
	honest := w.start("honest", w.dialFar("honest"))
	honest.add(blocks...)
	stop := make(chan struct{})
	var work sync.WaitGroup
	for i := range inbound {
		work.Go(func() { // who is hung up on comes back under another id
			for {
				if s := w.strangerFrom(fmt.Sprint("evil", i%10), "n", newKey(t)); s != nil {
					do(s, blocks)
					s.conn.Close()
				}
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
	for i := range outbound {
		name := fmt.Sprint("called", i)
		w.hostStranger(name, func(s *stranger) { do(s, blocks) })
		if err := n.AddNode(name + ":1"); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(3 * time.Second)
	began := time.Now()
	caller, called := n, honest
	if calls {
		caller, called = honest, n
	}
	if err := caller.AddNode(called.name + ":1"); err != nil {
		t.Fatal(err)
	}
	for n.chain.Tip().Hash != tip(blocks) && time.Since(began) < 10*time.Minute {
		time.Sleep(50 * time.Millisecond)
	}
	took := time.Since(began)
	if len(honest.Peers()) == 0 {
		t.Error("the honest peer is gone")
	}
	close(stop)
	n.stop()
	work.Wait()
	return took
}

// TestStallers: fifty who tell of a chain and do not deliver it, under ids and from
// addresses as they like, do not keep a node from it.
func TestStallers(t *testing.T) {
	var alone time.Duration
	for _, c := range []struct {
		name              string
		inbound, outbound int
		do                staller
		calls             bool // the honest peer calls us
		long              bool
	}{
		{"alone", 0, 0, silent, true, false},
		{"silent", 40, 10, silent, true, false},
		{"silent_callers", 50, 0, silent, false, true},
		{"proving", 45, 5, proving, true, true},
		{"trickling", 40, 10, trickling, true, true},
		{"leaving", 20, 0, leaving, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			count := 2141
			if testing.Short() {
				count = 1000
				if c.long {
					t.Skip("takes long")
				}
			}
			simulateAlone(t, func(t *testing.T, w *world) {
				took := syncAmong(t, w, w.build(w.params.GenesisState(), count), c.calls, c.inbound, c.outbound, c.do)
				if t.Logf("%s", took); alone == 0 {
					alone = took
				}
				if took > 2*alone {
					t.Errorf("it takes %s, and %s without them", took, alone)
				}
			})
		})
	}
}

// mutating delivers bodies that are not those of the headers.
func mutating(s *stranger, blocks []*types.Block) {
	s.tell(blocks)
	for get := next[*wire.GetBlocks](s, time.Hour); get != nil; get = next[*wire.GetBlocks](s, time.Hour) {
		for _, b := range blocks {
			if slices.Contains(get.Hashes, b.Hash()) {
				s.send(&wire.Block{Raw: append(b.AppendTo(nil), 0)})
			}
		}
	}
}

// breaking returns a peer that delivers a longer chain, of which a block breaks a rule.
func breaking(w *world, blocks []*types.Block) staller {
	half := len(blocks) / 2
	state := after(w.params.GenesisState(), blocks[:half]...)
	bad := w.build(state, 1)[0]
	bad.Txs[0].Outputs[0].Value = w.params.MaxMoney
	bad.Header.MerkleRoot = bad.Txs[0].TxID()
	chaintest.Mine(bad)
	chain := append(slices.Clone(blocks[:half]), bad)
	chain = append(chain, w.build(after(state, bad), len(blocks)-half)...)
	return func(s *stranger, _ []*types.Block) {
		s.tell(chain)
		s.serve(chain...)
	}
}

// TestSyncAmongLiars: of three peers one says nothing and one serves wrong blocks, and the
// sync takes no more than a fifth longer than from the good one alone.
func TestSyncAmongLiars(t *testing.T) {
	count := 2141
	if testing.Short() {
		count = 700
	}
	var alone time.Duration
	for _, name := range []string{"alone", "mutating", "breaking"} {
		t.Run(name, func(t *testing.T) {
			simulateAlone(t, func(t *testing.T, w *world) {
				blocks := w.build(w.params.GenesisState(), count)
				liar, others := mutating, 1
				switch name {
				case "alone":
					others = 0
				case "breaking":
					liar = breaking(w, blocks)
				}
				took := syncAmong(t, w, blocks, false, others, others, func(s *stranger, blocks []*types.Block) {
					if s.to == "" { // it was called
						silent(s, blocks)
					}
					liar(s, blocks)
				})
				if t.Logf("%s", took); alone == 0 {
					alone = took
				}
				if took > alone*12/10 {
					t.Errorf("it takes %s, and %s from one good peer", took, alone)
				}
			})
		})
	}
}
