package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/pipenet"
	"github.com/karatcoin/karat/internal/vectors"
	"github.com/karatcoin/karat/miner"
)

// world is a network of nodes in this process, on a clock that only moves when
// all of them wait (testing/synctest), over connections that can be cut.
type world struct {
	t      *testing.T
	params *consensus.Params
	dir    string
	random *rand.Rand
	net    *pipenet.Network
	logger *slog.Logger // of nodes that start; nil: none
}

// simulate runs a test in a world of its own.
func simulate(t *testing.T, seed uint64, test func(t *testing.T, w *world)) {
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	params.CoinbaseMaturity = 2
	simulateOn(t, params, seed, test)
}

func simulateOn(t *testing.T, params *consensus.Params, seed uint64, test func(t *testing.T, w *world)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		// goleveldb ends its last goroutine a second after it was closed. Any other
		// that a node leaves behind fails the test.
		t.Cleanup(func() { time.Sleep(2 * time.Second) })
		// The bubble's clock begins in 2000, before the networks' blocks.
		time.Sleep(time.Until(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)))
		test(t, &world{
			t: t, params: params, dir: dir, random: rand.New(rand.NewPCG(seed, 0)), net: pipenet.New(),
		})
	})
}

// simNode is a node of a world.
type simNode struct {
	*Node
	w     *world
	name  string
	end   func() error // as a signal would
	miner *miner.Miner

	coinbases byte // that template has made
}

// smallPolicy is that of a node whose pool takes little memory.
func smallPolicy() pending.Policy {
	policy := DefaultPolicy()
	policy.MaxBytes = 4 << 20
	return policy
}

// start starts a node, new or with the data of an earlier run, that stays
// connected to others.
func (w *world) start(name string, connect ...string) *simNode {
	w.t.Helper()
	config := Config{
		DataDir: filepath.Join(w.dir, name), Params: w.params, CacheBytes: 4 << 20, Indexes: []string{indexed.Txs, indexed.Filters}, Policy: smallPolicy(),
		Logger: w.logger, Listen: name + ":1", MaxPeers: 125, NoDiscovery: true,
		NewListener: func(address string) (net.Listener, error) { return w.net.Listen(address), nil },
		Dial:        func(_ context.Context, address string) (net.Conn, error) { return w.net.Dial(name, address) },
	}
	for _, other := range connect {
		config.Connect = append(config.Connect, other+":1")
	}
	n, err := Open(w.t.Context(), config)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	up, done := make(chan Started, 1), make(chan error, 1)
	go func() { done <- n.Run(ctx, func(t Started) { up <- t }) }()
	s := &simNode{Node: n, w: w, name: name, end: sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-done, n.Close())
	})}
	w.t.Cleanup(s.stop)
	select {
	case <-up:
	case err := <-done:
		done <- nil
		w.t.Fatalf("%s ended: %v", name, err)
	}
	s.miner = miner.New(miner.Options{Params: w.params, Chain: n.chain, Pool: currentPool{n.running.Load().pool}, Threads: 1, Tag: name, Now: n.clock.now})
	return s
}

// stop ends a node, which the end of the test does too.
func (s *simNode) stop() {
	s.w.t.Helper()
	if err := s.end(); err != nil {
		s.w.t.Errorf("%s: %v", s.name, err)
	}
}

// mine makes blocks from what the node's pool has, and returns the hash of the
// last.
func (s *simNode) mine(n int) types.Hash {
	s.w.t.Helper()
	hashes, err := s.miner.Generate(s.w.t.Context(), n, chaintest.Anchor, 1<<20)
	if err != nil {
		s.w.t.Fatal(err)
	}
	return hashes[n-1]
}

// pay spends an output and gives the transaction to the node's pool.
func (s *simNode) pay(from types.OutPoint, value types.Amount) *types.Tx {
	s.w.t.Helper()
	tx := payment(from, value)
	if _, err := s.running.Load().pool.Accept(s.w.t.Context(), tx, 0); err != nil {
		s.w.t.Fatal(err)
	}
	return tx
}

// payment spends an anchor to two others, so that many can follow.
func payment(from types.OutPoint, value types.Amount) *types.Tx {
	return &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: from, Sequence: 0xfffffffd}}, Outputs: []types.TxOut{
		{Value: value / 2, ScriptPubKey: chaintest.Anchor}, {Value: value/2 - 10_000, ScriptPubKey: chaintest.Anchor},
	}}
}

// coinOf returns the output of the coinbase of a block of the node's chain.
func (s *simNode) coinOf(height uint32) (types.OutPoint, types.Amount) {
	s.w.t.Helper()
	hash, _ := s.chain.HashAt(height)
	raw, err := s.chain.Block(hash)
	if err != nil {
		s.w.t.Fatal(err)
	}
	block, err := consensus.DecodeBlock(raw)
	if err != nil {
		s.w.t.Fatal(err)
	}
	return types.OutPoint{TxID: block.TxIDs[0]}, block.Block.Txs[0].Outputs[0].Value
}

func (s *simNode) has(tx *types.Tx) bool { return s.running.Load().pool.Get(tx.TxID()) != nil }

// eventually waits until a condition holds, on the world's clock.
func (w *world) eventually(what string, condition func() bool) {
	w.t.Helper()
	const patience = 10 * time.Minute
	for began := time.Now(); !condition(); time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > patience {
			w.t.Fatalf("not in %s: %s", patience, what)
		}
	}
}

// agree waits until all nodes have the same tip and the same transactions, and
// checks that they have the same coins.
func (w *world) agree(what string, nodes ...*simNode) {
	w.t.Helper()
	same := func(at *simNode) bool {
		return at.chain.Tip() == nodes[0].chain.Tip() && slices.Equal(poolOf(at), poolOf(nodes[0]))
	}
	defer func() {
		for _, n := range nodes {
			if w.t.Failed() {
				w.t.Logf("%s: tip %s, best header %s, %d waiting, peers %+v", n.name, n.chain.Tip(), n.chain.BestHeader(), len(poolOf(n)), n.running.Load().peers.Peers())
			}
		}
	}()
	w.eventually(what, func() bool {
		return !slices.ContainsFunc(nodes, func(at *simNode) bool { return !same(at) })
	})
	want := coinsOf(w.t, nodes[0].Node)
	for _, n := range nodes[1:] {
		if got := coinsOf(w.t, n.Node); got != want {
			w.t.Errorf("%s: %s has the coins %+v, %s %+v", what, n.name, got, nodes[0].name, want)
		}
	}
}

func poolOf(s *simNode) (ids []types.Hash) {
	for _, e := range s.running.Load().pool.Entries() {
		ids = append(ids, e.WTxID)
	}
	slices.SortFunc(ids, func(a, b types.Hash) int { return slices.Compare(a[:], b[:]) })
	return ids
}

// partition cuts all connections between nodes of different sides, and lets none
// be made until heal.
func (w *world) partition(sides ...[]string) {
	side := map[string]int{}
	for i, names := range sides {
		for _, name := range names {
			side[name] = i
		}
	}
	w.net.Separate(func(from, to string) bool { return side[from] != side[to] })
}

func (w *world) heal() { w.net.Separate(nil) }

func TestTransactionsAndBlocksReachAll(t *testing.T) {
	simulate(t, 1, func(t *testing.T, w *world) {
		a := w.start("a")
		b := w.start("b", "a")
		c := w.start("c", "b")
		a.mine(5)
		w.agree("blocks", a, b, c)
		coin, value := a.coinOf(1)
		parent := a.pay(coin, value)
		child := c.w.payAfter(c, parent)
		w.eventually("transactions", func() bool { return b.has(child) && a.has(child) && c.has(parent) })
		c.mine(1)
		w.agree("a block with them", a, b, c)
		if a.has(parent) {
			t.Error("a mined transaction still waits for a block")
		}

		b.stop() // a and c are not connected
		a.mine(3)
		coin, value = a.coinOf(2)
		late := a.pay(coin, value)
		b = w.start("b", "a")
		w.agree("what b and c missed", a, b, c)
		if !c.has(late) {
			t.Error("a transaction did not travel on")
		}
	})
}

// payAfter waits until the node has a transaction, and spends its first output.
func (w *world) payAfter(s *simNode, parent *types.Tx) *types.Tx {
	w.t.Helper()
	w.eventually("a parent", func() bool { return s.has(parent) })
	return s.pay(types.OutPoint{TxID: parent.TxID()}, parent.Outputs[0].Value)
}

// TestCoreChainOverTheWire: a node that imported the chain of Bitcoin Core and a
// branch that wins over a part of it serves them to fresh nodes, the last of which
// fetches from two at once. All end with the coins that Core counted.
func TestCoreChainOverTheWire(t *testing.T) {
	chainFile, forkFile := vectors.Copy(t, "core-regtest/chain.dat"), vectors.Copy(t, "core-regtest/fork.dat")
	var core struct {
		MuHash struct {
			MuHash types.Hash `json:"muhash"`
		} `json:"muhash"`
	}
	vectors.ReadJSON(t, "core-regtest/fork.json", &core)
	params, err := karat.LoadNetwork(regtest)
	if err != nil {
		t.Fatal(err)
	}
	simulateOn(t, params, 4, func(t *testing.T, w *world) {
		full := openNode(t, filepath.Join(w.dir, "a"), regtest, 0)
		importFiles(t, full, chainFile, forkFile)
		closeNode(t, full)
		a := w.start("a")
		b := w.start("b", "a")
		w.agree("one peer", a, b)
		c := w.start("c", "a", "b")
		w.agree("two peers", a, b, c)
		for _, n := range []*simNode{a, b, c} {
			if got := coinsOf(t, n.Node).Stats.MuHash; got != core.MuHash.MuHash {
				t.Errorf("%s: MuHash %s, Core's is %s", n.name, got, core.MuHash.MuHash)
			}
		}
	})
	vectors.Ran(t, 3, "coin sets")
}

// TestSyncIsTold: the log says that a node syncs and that it has synced, once, and
// nothing of the kind about single blocks.
func TestSyncIsTold(t *testing.T) {
	simulate(t, 15, func(t *testing.T, w *world) {
		a := w.start("a")
		a.mine(50)
		var log bytes.Buffer
		w.logger = slog.New(slog.NewTextHandler(&log, nil))
		b := w.start("b", "a")
		w.agree("a sync", a, b)
		a.mine(1)
		w.agree("a block", a, b)
		b.stop()
		for what, want := range map[string]int{"msg=syncing height=0 of=50": 1, "msg=synced height=50 ": 1, "msg=sync": 2} {
			if got := strings.Count(log.String(), what); got != want {
				t.Errorf("%d times %q, want %d:\n%s", got, what, want, log.String())
			}
		}
	})
}

func TestPartitionHeals(t *testing.T) {
	simulate(t, 2, func(t *testing.T, w *world) {
		a := w.start("a")
		b := w.start("b", "a")
		c := w.start("c", "b", "a")
		d := w.start("d", "c", "b")
		all := []*simNode{a, b, c, d}
		a.mine(10)
		w.agree("the beginning", all...)

		w.partition([]string{"a", "b"}, []string{"c", "d"})
		coin, value := a.coinOf(1)
		light := a.pay(coin, value) // the same coin is spent on both sides
		heavy := c.pay(coin, value-20_000)
		coin, value = a.coinOf(2)
		survivor := b.pay(coin, value) // and one only on the side that loses
		w.eventually("each side has its own", func() bool { return b.has(light) && a.has(survivor) && d.has(heavy) })
		a.mine(3)
		lost := a.coinbase()
		c.mine(5)
		w.agree("one side", a, b)
		w.agree("the other side", c, d)
		if a.chain.Tip() == c.chain.Tip() || a.has(survivor) || c.has(light) {
			t.Fatal("the partition leaks")
		}
		w.heal()
		w.agree("the heavier branch", append([]*simNode{c}, all...)...)
		if a.chain.Tip().Height != 15 {
			t.Errorf("height %d", a.chain.Tip().Height)
		}
		// What was confirmed on the lighter branch waits again, unless the other has
		// spent the same.
		w.eventually("an undone payment waits again everywhere", func() bool {
			return a.has(survivor) && b.has(survivor) && c.has(survivor) && d.has(survivor)
		})
		for _, n := range all {
			if n.has(light) || n.has(heavy) {
				t.Errorf("%s keeps a payment that is spent or confirmed", n.name)
			}
			if coin, _, err := n.chain.Coins(t.Context(), []types.OutPoint{lost}); err != nil || coin[0].Found {
				t.Errorf("%s keeps a coin of the lighter branch: %v, %v", n.name, coin, err)
			}
		}
		d.mine(1)
		w.agree("a block with the payment", all...)
		if b.has(survivor) {
			t.Error("the payment was not mined again")
		}
	})
}

// coinbase returns the coin that the node's last block made.
func (s *simNode) coinbase() types.OutPoint {
	coin, _ := s.coinOf(s.chain.Tip().Height)
	return coin
}

func TestTwentyFourNodesConverge(t *testing.T) {
	simulate(t, 3, func(t *testing.T, w *world) {
		var nodes []*simNode
		name := func(i int) string { return fmt.Sprintf("n%02d", i) }
		for i := range 24 {
			var connect []string
			for range min(i, 3) {
				if other := name(w.random.IntN(i)); !slices.Contains(connect, other) {
					connect = append(connect, other)
				}
			}
			nodes = append(nodes, w.start(name(i), connect...))
		}
		nodes[0].mine(30)
		w.agree("the beginning", nodes...)
		// Nodes mine at random times, often two at once, and pay.
		next := uint32(1)
		for range 40 {
			for range 1 + w.random.IntN(2) {
				nodes[w.random.IntN(len(nodes))].mine(1)
			}
			if payer := nodes[w.random.IntN(len(nodes))]; w.random.IntN(2) == 0 {
				coin, value := payer.coinOf(next)
				next++
				if _, err := payer.running.Load().pool.Accept(t.Context(), payment(coin, value), 0); err != nil && !errors.Is(err, consensus.ErrNotYet) {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Duration(w.random.IntN(2000)) * time.Millisecond)
		}
		w.eventually("one chain for all but ties", func() bool {
			best := nodes[0].chain.Tip().Height
			return !slices.ContainsFunc(nodes, func(n *simNode) bool { return n.chain.Tip().Height != best })
		})
		nodes[5].mine(1) // what ends a tie
		w.agree("one chain", nodes...)
	})
}

// TestInvalidateIsNoGuilt: a peer that follows a branch that the operator has
// ruled out is no bad peer.
func TestInvalidateIsNoGuilt(t *testing.T) {
	simulate(t, 12, func(t *testing.T, w *world) {
		a := w.start("a")
		b := w.start("b", "a")
		c := w.start("c", "a") // on the other side of a
		a.mine(10)
		w.agree("the beginning", a, b, c)
		out, _ := a.chain.HashAt(9)
		if err := a.chain.Invalidate(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		b.mine(2)
		time.Sleep(time.Minute)
		if got := a.chain.Tip().Height; got != 8 {
			t.Errorf("height %d on a branch that was ruled out", got)
		}
		a.mine(1)
		time.Sleep(time.Minute)
		if err := a.chain.Reconsider(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		w.agree("the heavier branch after all", b, a, c)
		if a.chain.Tip().Height != 12 {
			t.Errorf("height %d", a.chain.Tip().Height)
		}
	})
}

// TestBlockOfTheFuture: a block that comes before its time is taken when that has
// come, without another block on it.
func TestBlockOfTheFuture(t *testing.T) {
	simulate(t, 13, func(t *testing.T, w *world) {
		a := w.start("a")
		b := w.start("b", "a")
		a.mine(5)
		w.agree("the beginning", a, b)
		a.clock.set(time.Now().Unix() + 3*3600)
		a.mine(1)
		time.Sleep(50 * time.Minute)
		if got := b.chain.Tip().Height; got != 5 {
			t.Errorf("height %d before its time", got)
		}
		time.Sleep(12 * time.Minute)
		w.agree("two hours before its time", a, b)
	})
}

// TestMockedTime: a clock that stands still stops no relay.
func TestMockedTime(t *testing.T) {
	simulate(t, 11, func(t *testing.T, w *world) {
		a := w.start("a")
		b := w.start("b", "a")
		a.mine(5)
		w.agree("the beginning", a, b)
		for _, n := range []*simNode{a, b} {
			n.clock.set(time.Now().Unix() + 3600)
		}
		for height := range uint32(3) {
			coin, value := a.coinOf(height + 1)
			tx := a.pay(coin, value)
			w.eventually("a payment arrives", func() bool { return b.has(tx) })
			b.mine(1)
			w.agree("a block arrives", a, b)
		}
	})
}

// peersOf returns how many connections a node has.
func peersOf(s *simNode) int { return len(s.running.Load().peers.Peers()) }

// TestConnections: whom a node connects to, and whom it lets in.
func TestConnections(t *testing.T) {
	simulate(t, 9, func(t *testing.T, w *world) {
		// Of two that call each other, one connection stays; nobody stays connected to
		// itself.
		a := w.start("a", "b", "a")
		b := w.start("b", "a")
		w.eventually("a connection", func() bool { return peersOf(a) == 1 && peersOf(b) == 1 })
		time.Sleep(5 * time.Minute)
		if peersOf(a) != 1 || peersOf(b) != 1 {
			t.Errorf("%d and %d connections", peersOf(a), peersOf(b))
		}
		// A peer that was given with its id is that peer or none.
		id := a.running.Load().peers.NodeID().String()
		other := b.running.Load().peers.NodeID().String()
		c := w.start("c")
		for _, address := range []string{other + "@a:1", id + "@a:1"} {
			if err := c.running.Load().peers.AddNode(address); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if got := peersOf(c); got != 1 {
			t.Errorf("%d connections of c, want the one with the right id", got)
		}
		if err := c.running.Load().peers.Disconnect(id); err != nil {
			t.Error(err)
		}
		w.eventually("a peer that was added is called again", func() bool { return peersOf(c) == 1 })
		// It is not called any more once it was removed.
		if err := errors.Join(c.running.Load().peers.RemoveNode(id+"@a:1"), c.running.Load().peers.RemoveNode(other+"@a:1")); err != nil {
			t.Error(err)
		}
		w.eventually("the connection ends", func() bool { return peersOf(c) == 0 })
		self := w.start("self", "self")
		time.Sleep(time.Minute)
		if got := peersOf(self); got != 0 {
			t.Errorf("a node has %d connections to itself", got)
		}
		a.stop()
		w.eventually("b is alone", func() bool { return peersOf(b) == 0 })
		a = w.start("a")
		w.eventually("b calls again", func() bool { return peersOf(a) == 1 && peersOf(b) == 1 })
	})
}
