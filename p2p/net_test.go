package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/store"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/hostile"
	"github.com/karatcoin/karat/internal/pipenet"
	"github.com/karatcoin/karat/mempool"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/wire"
)

// world is a network of managers, each on a chain and a pool of its own, that are
// joined by pipes and live on a clock that moves only when all of them wait. A
// goroutine that one of them leaves behind fails the test (testing/synctest).
type world struct {
	t      *testing.T
	params *consensus.Params
	dir    string
	net    *pipenet.Network

	mu       sync.Mutex
	services wire.Services // of strangers
	version  uint32        // of the protocol, of strangers
	calls    map[string][]time.Time
	counter  uint32
}

// simulate runs a test in a world of its own on a network of fixed difficulty.
func simulate(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	simulateAlone(t, test)
}

// simulateAlone does so while no other test runs that simulate runs.
func simulateAlone(t *testing.T, test func(t *testing.T, w *world)) {
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	params.CoinbaseMaturity = 2
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		// goleveldb ends its last goroutine a second after it was closed.
		t.Cleanup(func() { time.Sleep(2 * time.Second) })
		// The bubble's clock begins in 2000, before the network's blocks.
		time.Sleep(time.Until(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)))
		test(t, &world{t: t, params: params, dir: dir, net: pipenet.New(), calls: map[string][]time.Time{},
			services: wire.ServiceNetwork | wire.ServiceNetworkLimited, version: wire.Version})
	})
}

// testNode is a manager of a world.
type testNode struct {
	*Manager
	w     *world
	name  string
	chain *chain.Chain
	pool  *mempool.Pool
	stop  func() // ends it, and waits; the end of the test does so too
}

// start starts a node that stays connected to others. change may be nil.
func (w *world) start(name string, change func(*Options), connect ...string) *testNode {
	w.t.Helper()
	s, err := store.Open(filepath.Join(w.dir, name), store.Options{Network: w.params.Identity(), CacheBytes: 4 << 20})
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := chain.New(w.t.Context(), w.params, s, chain.Options{Workers: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := noise.GenerateKey()
	if err != nil {
		w.t.Fatal(err)
	}
	pool := mempool.New(mempool.Options{Params: w.params, Chain: c})
	o := Options{
		Params: w.params, Key: key, Headers: c, Blocks: c, Pool: pool, UserAgent: "/" + name + "/", MaxInbound: 125, MaxPerAddress: 125,
		Dial: func(_ context.Context, address string) (net.Conn, error) { return w.dial(name, address) }, Listener: w.net.Listen(name + ":1"),
	}
	for _, other := range connect {
		o.Connect = append(o.Connect, other+":1")
	}
	if change != nil {
		change(&o)
	}
	n := &testNode{Manager: New(o), w: w, name: name, chain: c, pool: pool}
	n.run(s)
	return n
}

// run runs the node until stop.
func (n *testNode) run(s *store.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	var poolErr, err error
	work.Go(func() { poolErr = n.pool.Run(ctx) })
	work.Go(func() { err = n.Run(ctx) })
	n.stop = sync.OnceFunc(func() {
		cancel()
		work.Wait()
		if err := errors.Join(poolErr, err, n.chain.Flush(), s.Close()); err != nil {
			n.w.t.Errorf("%s: %v", n.name, err)
		}
	})
	n.w.t.Cleanup(n.stop)
	<-n.Running()
}

// build makes n blocks on a state, the first of them with the transactions.
func (w *world) build(on consensus.State, n int, txs ...*types.Tx) []*types.Block {
	blocks := make([]*types.Block, n)
	for i := range blocks {
		w.mu.Lock()
		w.counter++ // no two coinbases are equal
		unique := w.counter
		w.mu.Unlock()
		tag := binary.LittleEndian.AppendUint32(nil, unique)
		coinbase := chaintest.Coinbase(on.Index.Height+1, tag, types.TxOut{Value: 1_000_000, ScriptPubKey: chaintest.Anchor})
		blocks[i] = chaintest.Mine(chaintest.NewBlock(&on.Header, coinbase, txs...))
		txs = nil
		on = after(on, blocks[i])
	}
	return blocks
}

// after is the state after blocks.
func after(state consensus.State, blocks ...*types.Block) consensus.State {
	for _, b := range blocks {
		state = state.Extend(&b.Header, b.Hash())
	}
	return state
}

// add gives blocks to the node's own chain.
func (n *testNode) add(blocks ...*types.Block) {
	n.w.t.Helper()
	err := n.chain.AddBlocks(n.w.t.Context(), func(yield func([]byte) bool) {
		for _, b := range blocks {
			if !yield(b.AppendTo(nil)) {
				return
			}
		}
	}, func(r header.Result) {
		if r.Err != nil {
			n.w.t.Errorf("%s: %v", n.name, r.Err)
		}
	})
	if err != nil {
		n.w.t.Fatal(err)
	}
}

// mine makes blocks on the node's tip, the first of them with the transactions.
func (n *testNode) mine(count int, txs ...*types.Tx) []*types.Block {
	n.w.t.Helper()
	blocks := n.w.build(n.chain.TipState(), count, txs...)
	n.add(blocks...)
	return blocks
}

// payment spends the coinbase of a block.
func payment(b *types.Block) *types.Tx {
	return spend(types.OutPoint{TxID: b.Txs[0].TxID()}, b.Txs[0].Outputs[0].Value)
}

// spend spends an anchor to another, for a fee.
func spend(from types.OutPoint, value types.Amount) *types.Tx {
	return &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: from, Sequence: 0xfffffffd}}, Outputs: []types.TxOut{
		{Value: value - 10_000, ScriptPubKey: chaintest.Anchor}, {Value: 0, ScriptPubKey: []byte{0x6a, 24, 23: 0, 24: 0, 25: 0}},
	}}
}

// pay gives a transaction to the node's own pool.
func (n *testNode) pay(tx *types.Tx) *types.Tx {
	n.w.t.Helper()
	if err := n.pool.CatchUp(n.w.t.Context()); err != nil {
		n.w.t.Fatal(err)
	}
	if _, err := n.pool.Accept(n.w.t.Context(), tx, 0); err != nil {
		n.w.t.Fatal(err)
	}
	return tx
}

func (n *testNode) has(tx *types.Tx) bool { return n.pool.Get(tx.TxID()) != nil }

// eventually waits until a condition holds, on the world's clock.
func (w *world) eventually(what string, patience time.Duration, condition func() bool) {
	w.t.Helper()
	for began := time.Now(); !condition(); time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > patience {
			w.t.Fatalf("not in %s: %s", patience, what)
		}
	}
}

// agree waits until all nodes have the tip.
func (w *world) agree(what string, tip types.Hash, nodes ...*testNode) {
	w.t.Helper()
	for _, n := range nodes {
		w.eventually(what+": "+n.name, 5*time.Minute, func() bool { return n.chain.Tip().Hash == tip })
	}
}

// dial connects somebody to the listener at an address.
func (w *world) dial(from, address string) (net.Conn, error) {
	w.mu.Lock()
	w.calls[address] = append(w.calls[address], time.Now())
	w.mu.Unlock()
	return w.net.Dial(from, address)
}

// down makes that nobody can be reached, up that all can be again.
func (w *world) down() { w.net.Separate(func(from, to string) bool { return true }) }

func (w *world) up() { w.net.Separate(nil) }

// stranger speaks the protocol by hand to a node.
type stranger struct {
	*hostile.ByHand
	w    *world
	to   string
	key  noise.Key
	conn *noise.Conn
}

// stranger calls a node, and keeps to the protocol so far.
func (w *world) stranger(to *testNode) *stranger {
	w.t.Helper()
	key, err := noise.GenerateKey()
	if err != nil {
		w.t.Fatal(err)
	}
	s := w.strangerWith(to.name, key)
	if s == nil {
		w.t.Fatal("a stranger was not let in")
	}
	return s
}

// strangerWith calls a node with a key of its own. It is nil if the node hangs up
// at once.
func (w *world) strangerWith(to string, key noise.Key) *stranger {
	w.t.Helper()
	return w.strangerFrom("stranger", to, key)
}

// strangerFrom is strangerWith from an address.
func (w *world) strangerFrom(from, to string, key noise.Key) *stranger {
	w.t.Helper()
	raw, err := w.dial(from, to+":1")
	if err != nil {
		w.t.Fatal(err)
	}
	conn, err := noise.Client(w.t.Context(), raw, key, w.params.Identity(), nil)
	if err != nil {
		return nil
	}
	return w.begin(to, key, conn)
}

// caller calls a node, says hello, and reads nothing but the node's.
func (w *world) caller(to *testNode) *stranger {
	w.t.Helper()
	w.mu.Lock()
	from := fmt.Sprint("caller", len(w.calls[to.name+":1"]))
	w.mu.Unlock()
	raw, err := w.dial(from, to.name+":1")
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := noise.GenerateKey()
	if err != nil {
		w.t.Fatal(err)
	}
	conn, err := noise.Client(w.t.Context(), raw, key, w.params.Identity(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	s := &stranger{hostile.Deaf(conn), w, to.name, key, conn}
	w.t.Cleanup(func() { conn.Close() })
	go s.hello()
	if _, err := readMessage(conn, make([]byte, wire.MaxFragmentSize), wire.NewAssembler(w.params.MaxBlockWeight), func(wire.Fragment) {}); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// begin says hello on a connection and reads what comes.
func (w *world) begin(to string, key noise.Key, conn *noise.Conn) *stranger {
	w.t.Cleanup(func() { conn.Close() })
	s := &stranger{hostile.Drive(conn, w.params.MaxBlockWeight, true), w, to, key, conn}
	s.hello()
	return s
}

// strangerOfVersion is stranger for a peer that speaks an older version of the protocol.
func (w *world) strangerOfVersion(to *testNode, version uint32) *stranger {
	w.version = version
	defer func() { w.version = wire.Version }()
	return w.stranger(to)
}

func (s *stranger) hello() {
	_ = s.send(&wire.Hello{
		Version: s.w.version, Services: s.w.services, UserAgent: "/stranger/",
		Tip: s.w.params.GenesisBlock().Hash, Time: time.Now().Unix(), Relay: true,
	})
}

// send sends a message. The error is that the node has hung up, or does not read.
func (s *stranger) send(m wire.Message) error { return s.Send(m) }

// next returns the next message of a type, or nil when the node hangs up or sends
// none within a while.
func next[M wire.Message](s *stranger, patience time.Duration) M {
	return hostile.Next[M](s.ByHand, patience)
}

// drain forgets what has come.
func (s *stranger) drain() {
	synctest.Wait()
	for len(s.Got) > 0 {
		<-s.Got
	}
}

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
	return s.Fate(patience, func() *hostile.ByHand {
		if again := s.w.strangerWith(s.to, s.key); again != nil {
			return again.ByHand
		}
		return nil
	})
}

// headersOf returns the headers of blocks.
func headersOf(blocks ...*types.Block) (headers []types.Header) {
	for _, b := range blocks {
		headers = append(headers, b.Header)
	}
	return headers
}

// serve answers requests for blocks until there is none for half a minute.
func (s *stranger) serve(blocks ...*types.Block) {
	for get := next[*wire.GetBlocks](s, 30*time.Second); get != nil; get = next[*wire.GetBlocks](s, 30*time.Second) {
		s.sendBlocks(get.Hashes, blocks)
	}
}

// deliver sends blocks, and then does as serve.
func (s *stranger) deliver(first []types.Hash, blocks ...*types.Block) {
	s.sendBlocks(first, blocks)
	s.serve(blocks...)
}

func (s *stranger) sendBlocks(hashes []types.Hash, blocks []*types.Block) {
	for _, hash := range hashes {
		for _, b := range blocks {
			if b.Hash() == hash {
				s.send(&wire.Block{Raw: b.AppendTo(nil)})
			}
		}
	}
}
