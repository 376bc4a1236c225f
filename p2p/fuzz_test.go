package p2p

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/wire"
)

// FuzzStrangers lets up to four strangers do what the bytes say to a node that has an
// honest peer: call, greet, send any message whole, changed or in part, answer what they
// are asked rightly or wrongly, be silent, hang up, and come again with the same id. After
// each program the honest peer is connected as before and unpunished, its block and its
// payment arrive, and when the strangers have gone the node holds nothing of theirs.
//
// What a program found becomes a file in testdata; Go's fuzzer writes it.
func FuzzStrangers(f *testing.F) {
	for _, seed := range programs() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			t.Skip("programs are short")
		}
		timer := time.AfterFunc(5*time.Minute, func() { panic("the world stands still") })
		defer timer.Stop()
		simulateAlone(t, func(t *testing.T, w *world) {
			s := newScene(w)
			p := &program{data}
			for actions := 0; len(p.data) > 0 && actions < 64; actions++ {
				s.act(p)
				s.check()
			}
			s.end()
		})
	})
}

// program is choices that are read from bytes, and zeros when there are no more.
type program struct{ data []byte }

func (p *program) byte() byte {
	if len(p.data) == 0 {
		return 0
	}
	b := p.data[0]
	p.data = p.data[1:]
	return b
}

// below is a choice of n, which is at most 256.
func (p *program) below(n int) int { return int(p.byte()) % n }

func (p *program) uint32() uint32 {
	return binary.LittleEndian.Uint32([]byte{p.byte(), p.byte(), p.byte(), p.byte()})
}

func (p *program) bytes(n int) []byte {
	b := make([]byte, n)
	copy(b, p.data)
	p.data = p.data[min(n, len(p.data)):]
	return b
}

// scene is a node with an honest peer, and what strangers know of the chain.
type scene struct {
	*world
	n, honest *testNode
	number    int            // of the honest peer among the node's
	common    []*types.Block // that everybody has
	secret    []*types.Block // that only strangers have, the last ones broken
	txs       []*types.Tx    // likewise
	strangers [4]foe
}

// foe is a stranger with its connections, the newest last.
type foe struct {
	key   noise.Key
	host  string
	lines []*line
}

// newScene builds a chain of a dozen blocks, and a node and its honest peer that have it.
func newScene(w *world) *scene {
	s := &scene{world: w}
	s.n = w.start("n", func(o *Options) { o.MaxMemory, o.MaxInbound = 4<<20, 8 })
	s.common = s.n.mine(12)
	s.honest = w.start("honest", nil, "n")
	w.agree("the beginning", s.n.chain.Tip().Hash, s.honest)
	s.number = s.peer().number
	for i := range s.strangers {
		s.strangers[i] = foe{key: mustKey(w.t, byte(i+1)), host: fmt.Sprint("192.0.2.", i+1)}
	}
	parent := payment(s.common[0])
	child := spend(chaintest.Output(parent, 0), parent.Outputs[0].Value)
	greedy, poor, orphan := payment(s.common[1]), payment(s.common[2]), payment(s.common[0])
	greedy.Outputs[0].Value *= 2
	poor.Outputs[0].Value += 10_000
	orphan.Inputs[0].PreviousOutPoint.TxID[0]++
	s.txs = []*types.Tx{parent, child, greedy, poor, orphan}

	tip := s.n.chain.TipState()
	good := w.build(tip, 2, parent, child)
	fork := w.build(after(w.params.GenesisState(), s.common[:8]...), 2)
	broken := w.build(tip, 1, greedy)
	early := w.build(after(tip, good...), 1, orphan)
	s.secret = append(append(append(good, fork...), broken...), early...)
	return s
}

func mustKey(t *testing.T, secret byte) noise.Key {
	key, err := noise.NewKey([32]byte{secret})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// peer is the honest peer as the node sees it, or nil.
func (s *scene) peer() *peer {
	for _, p := range s.n.slots.all() {
		if p.id == s.honest.NodeID() {
			return p
		}
	}
	return nil
}

// check holds what is true at every moment.
func (s *scene) check() {
	if p := s.peer(); p == nil || p.number != s.number {
		s.t.Fatal("the honest peer was hung up on")
	}
	if len(s.n.Bans()) > 0 && s.n.slots.bans.hits(s.honest.NodeID(), "honest:2", true) != nil || len(s.honest.Bans()) > 0 {
		s.t.Fatalf("an honest node was punished: %v, %v", s.n.Bans(), s.honest.Bans())
	}
	held, most := s.n.budget.held.Load(), s.n.budget.most
	if held < 0 { // what has gone may be counted a moment before it was
		synctest.Wait()
		held = s.n.budget.held.Load()
	}
	if held < 0 || held > most+wire.MaxFragmentSize*int64(len(s.strangers)) {
		s.t.Fatalf("%d bytes are held, of at most %d", held, most)
	}
	if len(s.n.Peers()) > 1+len(s.strangers) {
		s.t.Fatal("one id has two places")
	}
}

// end holds what must be true when all is over.
func (s *scene) end() {
	w := s.world
	time.Sleep(time.Minute) // for what was begun at the end
	w.agree("a block that ends a tie", s.n.mine(1)[0].Hash(), s.honest)
	w.agree("an honest block arrives", s.honest.mine(1)[0].Hash(), s.n)
	tx := s.honest.pay(payment(s.common[6]))
	w.eventually("an honest payment arrives", 2*time.Minute, func() bool { return s.n.has(tx) })
	w.agree("a block after it", s.n.mine(1)[0].Hash(), s.honest)
	s.check()
	for i := range s.strangers {
		for _, l := range s.strangers[i].lines {
			l.hangUp()
		}
	}
	w.eventually("the strangers' places are free", time.Minute, func() bool { return len(s.n.Peers()) == 1 })
	for began := time.Now(); s.left() != ""; time.Sleep(time.Second) {
		if time.Since(began) > time.Minute {
			s.t.Fatalf("when the strangers have gone there is left: %s", s.left())
		}
	}
	s.check()
}

// left is what the node still holds of strangers.
func (s *scene) left() string {
	var left []string
	count := func(what string, n int) {
		if n != 0 {
			left = append(left, fmt.Sprint(n, " ", what))
		}
	}
	count("bytes", int(s.n.budget.held.Load()))
	calls := s.n.slots.calls
	calls.mu.Lock()
	count("calls", len(calls.list))
	calls.mu.Unlock()
	s.n.txs.mu.Lock()
	count("peers of the relay", len(s.n.txs.peers)-1)
	count("transactions wanted", len(s.n.txs.wanted))
	count("orphans", len(s.n.txs.orphans.byID)+s.n.txs.orphans.count+s.n.txs.orphans.bytes)
	s.n.txs.mu.Unlock()
	s.n.sync.mu.Lock()
	count("peers of the syncer", len(s.n.sync.peers)-1)
	count("blocks asked for", len(s.n.sync.flying))
	count("bytes of blocks", s.n.sync.arrivedBytes)
	s.n.sync.mu.Unlock()
	return strings.Join(left, ", ")
}

// act does one thing: a stranger's, or time passing, or what honest people do.
func (s *scene) act(p *program) {
	who := &s.strangers[p.below(len(s.strangers))]
	switch action := p.below(16); action {
	case 0, 1:
		s.call(p, who)
	case 2:
		for _, l := range who.lines {
			l.hangUp()
		}
		who.lines = nil
	case 3:
		time.Sleep([...]time.Duration{time.Millisecond, time.Second, 25 * time.Second, 200 * time.Second}[p.below(4)])
	case 4:
		s.honestly(p)
	case 5:
		who.host = fmt.Sprint("198.51.100.", p.byte()) // from now on it calls from there
	default:
		if l := who.newest(); l != nil {
			s.say(p, l, action)
		}
	}
	if p.below(4) > 0 { // else it happens at the same moment as the next
		synctest.Wait()
	}
}

// honestly lets the honest peer or the operator do something.
func (s *scene) honestly(p *program) {
	switch p.below(4) {
	case 0:
		s.honest.mine(1)
	case 1:
		if s.n.chain.Tip().Height < 14 {
			s.n.mine(1)
		}
	case 2:
		s.n.Ping()
	case 3:
		for _, foe := range s.strangers {
			_ = s.n.Disconnect(foe.key.ID().String())
		}
	}
}

// call opens a connection, and mostly keeps to the protocol until it says hello.
func (s *scene) call(p *program, who *foe) {
	if len(who.lines) >= 3 {
		who.lines[0].hangUp()
		who.lines = who.lines[1:]
	}
	raw, err := s.dial(who.host, "n:1")
	if err != nil {
		return
	}
	l := &line{raw: raw, out: make(chan []byte, 64), closed: make(chan struct{})}
	how := p.below(8)
	if how == 0 { // no handshake
		l.to = raw
		l.start()
		l.write(p.bytes(p.below(200)))
	} else {
		conn, err := noise.Client(s.t.Context(), raw, who.key, s.params.Identity(), nil)
		if err != nil {
			raw.Close()
			return
		}
		l.to = conn
		l.start()
		if how != 1 {
			l.write(frame(wire.TypeHello, wire.Encode(s.hello(p)), 0))
		}
	}
	who.lines = append(who.lines, l)
}

func (s *scene) hello(p *program) *wire.Hello {
	h := &wire.Hello{
		Version: wire.Version, Services: s.services, UserAgent: "/stranger/", Height: 12,
		Tip: s.common[11].Hash(), Time: time.Now().Unix(), Relay: true,
	}
	switch p.below(8) {
	case 0:
		h.Version = uint32(p.below(4))
	case 1:
		h.Height, h.Tip = p.uint32(), s.hash(p)
	case 2:
		h.Services, h.Relay = wire.Services(p.uint32()), false
	case 3:
		h.Time, h.ListenPort = int64(p.uint32())<<32, uint16(p.uint32())
	}
	return h
}

// say sends something on a line.
func (s *scene) say(p *program, l *line, action int) {
	var payload []byte
	kind := wire.Type(p.below(21))
	switch action {
	case 6: // anything
		payload = p.bytes(p.below(256))
	case 7: // no fragments
		l.write(p.bytes(p.below(64)))
		return
	case 8:
		l.pause(p.below(2) == 0)
		return
	case 9, 10, 11, 12:
		m := s.answer(p, l)
		if m == nil {
			return
		}
		kind, payload = m.Type(), wire.Encode(m)
	default:
		m := s.message(p, kind)
		if m == nil {
			return
		}
		payload = wire.Encode(m)
	}
	how, times, cut := p.below(8), 1, 0
	switch how {
	case 0: // changed
		for range 1 + p.below(4) {
			if len(payload) > 0 {
				payload[int(p.uint32())%len(payload)] ^= 1 << p.below(8)
			}
		}
	case 1: // of another length
		if p.below(2) == 0 {
			payload = append(payload, p.bytes(1+p.below(100))...)
		} else {
			payload = payload[:len(payload)-min(len(payload), 1+p.below(100))]
		}
	case 2: // again and again
		times = 1 + p.below(256)
	case 3: // in part
		cut = 1 + p.below(64)
	}
	for range times {
		l.write(frame(kind, payload, cut))
	}
}

// frame is a message in its fragments, less the last bytes.
func frame(kind wire.Type, payload []byte, cut int) (all []byte) {
	total := uint32(len(payload))
	for more := true; more; more = len(payload) > 0 {
		data := payload[:min(len(payload), wire.MaxFragmentData)]
		payload = payload[len(data):]
		all = wire.AppendFragment(all, wire.Fragment{Lane: kind.Lane(), Type: kind, Total: total, Data: data})
	}
	return all[:len(all)-min(cut, len(all))]
}

// hash is one that means something to somebody, or none.
func (s *scene) hash(p *program) types.Hash {
	switch i := p.below(40); {
	case i < 12:
		return s.common[i].Hash()
	case i < 18:
		return s.secret[i-12].Hash()
	case i < 23:
		return s.txs[i-18].WTxID()
	case i < 28:
		return s.txs[i-23].TxID()
	case i < 30:
		return s.n.chain.Tip().Hash
	case i < 31:
		return s.params.GenesisBlock().Hash
	}
	return types.Hash{p.byte()}
}

func (s *scene) hashes(p *program) (list []types.Hash) {
	for range 1 + p.below(8) {
		list = append(list, s.hash(p))
	}
	for range 20 * max(p.below(20)-15, 0) { // seldom many
		list = append(list, list[p.below(len(list))])
	}
	return list
}

func (s *scene) block(p *program) *types.Block {
	if i := p.below(18); i < 6 {
		return s.secret[i]
	} else {
		return s.common[i-6]
	}
}

func (s *scene) tx(p *program) *types.Tx { return s.txs[p.below(len(s.txs))] }

// programs are the seeds: what strangers are known to do, and after it anything.
func programs() (seeds [][]byte) {
	const wait, plain, again, inPart = 1, 7, 2, 3
	do := func(parts ...[]byte) { seeds = append(seeds, slices.Concat(parts...)) }
	call := func(who byte) []byte { return []byte{who, 0, 2, 7, wait} }
	hangUp := func(who byte) []byte { return []byte{who, 2, wait} }
	deaf := func(who byte) []byte { return []byte{who, 8, 0, 0, wait} }
	sleep := func(how byte) []byte { return []byte{0, 3, how, wait} }
	mine := func() []byte { return []byte{0, 4, 0, wait} }
	answer := func(who byte) []byte { return []byte{who, 9, 0, 1, plain, wait} }
	say := func(who byte, kind wire.Type, choices ...byte) []byte {
		return slices.Concat([]byte{who, 13, byte(kind)}, choices, []byte{wait})
	}
	many := append([]byte{7, 0, 1, 2, 3, 4, 5, 6, 7, 19}, make([]byte, 80)...) // hashes

	do(call(0), deaf(0), say(0, wire.TypeGetBlocks, append(many, again, 255)...), sleep(1), say(0, wire.TypeGetHeaders, append(many, 39, again, 255)...), sleep(3))
	do(call(0), deaf(0), say(0, wire.TypeGetBlocks, append(many, again, 255)...), hangUp(0), call(0), say(0, wire.TypePing, 0, 0, 0, 0, plain))
	do(call(0), call(1), say(0, wire.TypeBlock, 0, inPart, 63), say(1, wire.TypeInv, append(many, inPart, 9)...), sleep(2), hangUp(1))
	do(call(0), say(0, wire.TypeHeaders, 2, 1, plain), answer(0), answer(0), sleep(1), mine())
	do(call(0), say(0, wire.TypeHeaders, 0, 29, 1, plain), sleep(2), mine(), sleep(3), call(0))
	do(call(0), call(1), say(0, wire.TypeCompactBlock, 0, 0, 7, plain), say(1, wire.TypeCompactBlock, 0, 1, 1, 3, plain), answer(0), answer(1), mine())
	do(call(0), say(0, wire.TypeCompactBlock, 4, 0, 7, plain), answer(0), sleep(2), call(0))
	do(call(0), say(0, wire.TypeInv, 0, 19, 0, plain), answer(0), say(0, wire.TypeInv, 0, 18, 0, plain), answer(0), sleep(2))
	do(call(0), say(0, wire.TypeInv, 4, 18, 19, 20, 21, 22, 0, plain), answer(0), answer(0), answer(0), hangUp(0), sleep(2))
	do(call(0), call(0), call(0), call(0), []byte{0, 4, 3, wait}, call(0), hangUp(0), call(0))
	for i := range 6 {
		random, anything := rand.NewChaCha8([32]byte{byte(i)}), make([]byte, 300)
		_, _ = random.Read(anything)
		do(call(0), call(1), call(2), call(3), anything)
	}
	return seeds
}
