package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/poke"
)

// world is a tree of blocks, nodes that know parts of it, and the stream that they write.
type world struct {
	t      *testing.T
	rand   *rand.Rand
	params *consensus.Params
	tree   *chaintest.Tree
	log    fakeStream
	nodes  []*fakeNode
}

func newWorld(t *testing.T, nodes int, seed uint64) *world {
	text, err := os.ReadFile("../../testdata/bitcoin-regtest.json")
	if err != nil {
		t.Fatal(err)
	}
	params, err := network.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, rand: rand.New(rand.NewPCG(seed, 1)), params: params, tree: chaintest.NewTree(params.GenesisBlock().Block)}
	w.log.rand = rand.New(rand.NewPCG(seed, 2)) // which it guards
	for i := range nodes {
		n := &fakeNode{w: w, known: map[types.Hash]*chaintest.Block{}, writer: fmt.Sprint("node ", i), warnings: map[string]bool{}}
		n.learn(w.tree.Genesis)
		w.nodes = append(w.nodes, n)
	}
	return w
}

// fakeNode is a node's chain and its board.
type fakeNode struct {
	poke.Bell
	w      *world
	writer string
	from   uint32
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu:
	known    map[types.Hash]*chaintest.Block
	tip      *chaintest.Block
	pruned   uint32 // bodies below are gone
	warnings map[string]bool
}

// learn makes a block known, and the tip if it is the best.
func (n *fakeNode) learn(b *chaintest.Block) {
	n.mu.Lock()
	for at := b; at != nil && n.known[at.Hash] == nil; at = at.Parent {
		n.known[at.Hash] = at
	}
	if n.tip == nil || b.Height > n.tip.Height {
		n.tip = b
	}
	n.mu.Unlock()
	n.Ring()
}

// move makes a block the tip, whatever its work is.
func (n *fakeNode) move(b *chaintest.Block) {
	n.mu.Lock()
	n.tip = b
	n.mu.Unlock()
	n.Ring()
}

func (n *fakeNode) Tip() types.Index {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tip.Index()
}

func (n *fakeNode) onBest(b *chaintest.Block) bool {
	at := n.tip
	for at.Height > b.Height {
		at = at.Parent
	}
	return at == b
}

func (n *fakeNode) Info(hash types.Hash) (header.Info, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b, ok := n.known[hash]
	if !ok {
		return header.Info{}, false
	}
	r := header.Record{Header: b.Block.Header, Hash: hash, Height: b.Height}
	return header.Info{Record: r, Work: consensus.Uint256{uint64(b.Height) + 1}, OnBestChain: n.onBest(b)}, true
}

func (n *fakeNode) HashAt(height uint32) (types.Hash, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := n.tip
	for ; at.Height > height; at = at.Parent {
	}
	return at.Hash, at.Height == height
}

func (n *fakeNode) update(b *chaintest.Block) (u consensus.BlockUpdate, err error) {
	if b.Height < n.pruned {
		return u, consensus.ErrNotFound
	}
	u.Block = consensus.HashBlock(b.Block)
	var undo []types.Coin
	for _, o := range u.Block.External {
		undo = append(undo, b.Parent.Coins[o])
	}
	u.Update, err = consensus.RevertUpdate(u.Block, b.Parent.Index(), b.Height, undo)
	return u, err
}

func (n *fakeNode) BlockUpdate(hash types.Hash) (consensus.BlockUpdate, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.update(n.known[hash])
}

func (n *fakeNode) UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := n.known[since.Hash]
	for ; !n.onBest(at) && len(reverted) < limit; at = at.Parent {
		u, err := n.update(at)
		if err != nil {
			return reverted, nil, err
		}
		reverted = append(reverted, u)
	}
	var way []*chaintest.Block
	for b := n.tip; n.onBest(at) && b != at; b = b.Parent {
		way = append(way, b)
	}
	for i := len(way) - 1; i >= 0 && len(reverted)+len(applied) < limit; i-- {
		u, err := n.update(way[i])
		if err != nil {
			return reverted, applied, err
		}
		applied = append(applied, u)
	}
	return reverted, applied, nil
}

func (n *fakeNode) Set(_, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.warnings[text] = true
}

func (n *fakeNode) Unset(string) {}

func (n *fakeNode) warned(text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for w := range n.warnings {
		if strings.Contains(w, text) {
			return true
		}
	}
	return false
}

func (n *fakeNode) start() {
	ctx, cancel := context.WithCancel(context.Background())
	p, err := New(Options{
		Config: Config{Servers: "nats://127.0.0.1", Format: journal.JSON, From: n.from}, Params: n.w.params, Chain: n, Writer: n.writer, Board: n,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		n.w.t.Fatal(err)
	}
	p.open = func(context.Context, func()) (place, error) { return n.w.log.open() }
	n.cancel = cancel
	n.done.Go(func() { _ = p.Run(ctx) })
}

func (n *fakeNode) stop() {
	n.cancel()
	n.done.Wait()
}

// fakeStream is a stream that fails at times.
type fakeStream struct {
	mu sync.Mutex
	// Guarded by mu:
	rand     *rand.Rand
	faults   int // of a hundred calls
	messages []journal.Message
}

var errFault = errors.New("no server answers")

func (f *fakeStream) fault() bool { return f.rand.IntN(100) < f.faults }

func (f *fakeStream) open() (place, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault() {
		return nil, errFault
	}
	return &fakePlace{f: f}, nil
}

func (f *fakeStream) all() []journal.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.messages)
}

// fakePlace is a connection: what goes wrong with a message is said by a later call.
type fakePlace struct {
	f     *fakeStream
	later error
}

func (c *fakePlace) end() (uint64, *journal.Message, *journal.Message, error) {
	time.Sleep(time.Millisecond)
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	n := len(c.f.messages)
	if n == 0 {
		return 0, nil, nil, nil
	}
	for i := n - 1; i >= 0; i-- {
		if strings.Contains(c.f.messages[i].Subject, ".block.") {
			return uint64(n), &c.f.messages[i], &c.f.messages[n-1], nil
		}
	}
	return uint64(n), nil, &c.f.messages[n-1], nil
}

func (c *fakePlace) put(after uint64, id string, m *journal.Message) error {
	time.Sleep(time.Millisecond)
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if c.later != nil && c.f.rand.IntN(4) == 0 {
		return c.later
	}
	lost := c.f.fault()
	if lost && c.f.rand.IntN(2) == 0 {
		c.later = cmpErr(c.later, errFault) // it did not arrive
		return nil
	}
	if after != uint64(len(c.f.messages)) || id != "" && c.f.messages[after-1].Header[journal.HeaderID][0] != id {
		c.later = cmpErr(c.later, errMoved)
		return nil
	}
	c.f.messages = append(c.f.messages, *m)
	if lost { // its receipt did not
		c.later = cmpErr(c.later, errFault)
	}
	return nil
}

func cmpErr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

func (c *fakePlace) settle() error { return c.later }

func (c *fakePlace) close() {}

// check reads the whole stream, and returns how many blocks came and went.
func (w *world) check(tip *chaintest.Block) (connected, disconnected, abandoned int) {
	w.t.Helper()
	r := journal.Reader{Network: w.params.Identity()}
	coins := chaintest.Coins{}
	for _, m := range w.log.all() {
		s, err := r.Read(&m)
		if err != nil {
			w.t.Fatal(err)
		}
		if s == nil {
			continue
		}
		switch s.Direction {
		case journal.Connected:
			connected++
		case journal.Disconnected:
			disconnected++
		default:
			abandoned++
		}
		for i := range s.Txs {
			if s.Direction == journal.Disconnected {
				i = len(s.Txs) - 1 - i
			}
			tx, err := s.Tx(i)
			if err != nil {
				w.t.Fatal(err)
			}
			work(coins, tx)
		}
	}
	if r.At.Block != tip.Index() {
		w.t.Errorf("the stream is at %s, the tip at %s", r.At.Block, tip.Index())
	}
	if !maps.Equal(coins, tip.Coins) {
		w.t.Errorf("a reader has %d coins, not these %d", len(coins), len(tip.Coins))
	}
	return connected, disconnected, abandoned
}

// work changes coins by what is said of a transaction.
func work(coins chaintest.Coins, tx *journal.Tx) {
	comes := tx.Event == journal.Connected
	put := func(is bool, o types.OutPoint, v types.Amount, script []byte, height uint32, coinbase bool) {
		if is {
			coins[o], _ = types.NewCoin(&types.TxOut{Value: v, ScriptPubKey: script}, height, coinbase)
		} else {
			delete(coins, o)
		}
	}
	for n, o := range tx.Outputs {
		if !o.Unspendable {
			put(comes, types.OutPoint{TxID: tx.TxID, Index: uint32(n)}, o.Value, o.ScriptPubKey, tx.Height, tx.Coinbase)
		}
	}
	for _, in := range tx.Inputs {
		if c := in.Coin; c != nil {
			put(!comes, types.OutPoint{TxID: in.TxID, Index: in.Index}, c.Value, c.ScriptPubKey, c.Height, c.Coinbase)
		}
	}
}

// TestOneStreamOfMany: nodes that disagree, stop and start again while the server fails
// write one stream, in which nothing is missing or there twice.
func TestOneStreamOfMany(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 3, seed)
			w.log.faults = 5
			for _, n := range w.nodes {
				n.start()
			}
			best := w.tree.Genesis
			for range 60 {
				n := w.nodes[w.rand.IntN(3)]
				switch w.rand.IntN(8) {
				case 0:
					n.stop()
					time.Sleep(time.Duration(w.rand.IntN(5000)) * time.Millisecond)
					n.start()
				case 1: // a branch of its own
					at := n.tip
					for range w.rand.IntN(4) {
						if at.Parent != nil {
							at = at.Parent
						}
					}
					for range 1 + w.rand.IntN(4) {
						at = w.block(at)
					}
					n.learn(at)
				case 2:
					n.learn(best)
				default:
					n.learn(w.block(n.tip))
				}
				if n.tip.Height > best.Height {
					best = n.tip
				}
				time.Sleep(time.Duration(w.rand.IntN(300)) * time.Millisecond)
			}
			last := w.block(best)
			for _, n := range w.nodes {
				n.learn(last)
			}
			time.Sleep(2 * time.Minute)
			for _, n := range w.nodes {
				n.stop()
			}
			connected, disconnected, abandoned := w.check(last)
			if t.Failed() {
				t.Logf("seed %d: %d came, %d went, %d were given up", seed, connected, disconnected, abandoned)
			}
		})
	}
}

// block makes a block with a payment if its parent has a coin to spend.
func (w *world) block(parent *chaintest.Block) *chaintest.Block {
	name := fmt.Sprint("block ", w.rand.Uint64())
	if coins := parent.Spendable(100, nil); len(coins) > 0 {
		return w.tree.Block(name, parent, w.tree.Spend(1, w.tree.Anyone(), coins[0]))
	}
	return w.tree.Block(name, parent)
}

// TestTies: nodes on two tips with the same work do not fight; more work decides.
func TestTies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, 1)
		a, b := w.tree.Blocks("a", w.tree.Genesis, 3), w.tree.Blocks("b", w.tree.Genesis, 4)
		w.nodes[0].learn(a[2])
		w.nodes[0].start()
		time.Sleep(time.Second)
		w.nodes[1].learn(a[2])
		w.nodes[1].learn(b[2])
		w.nodes[1].move(b[2])
		w.nodes[1].start()
		time.Sleep(time.Hour)
		if c, d, _ := w.check(a[2]); c != 4 || d != 0 {
			t.Errorf("%d blocks came and %d went", c, d)
		}
		w.nodes[1].learn(b[3])
		time.Sleep(time.Hour)
		if c, d, _ := w.check(b[3]); c != 8 || d != 3 {
			t.Errorf("%d blocks came and %d went", c, d)
		}
		w.nodes[0].learn(b[3])
		// What a node has written it takes back when its operator rules it out, and not
		// what others have.
		w.nodes[0].move(a[2])
		time.Sleep(time.Hour)
		if c, d, _ := w.check(b[3]); c != 8 || d != 3 {
			t.Errorf("%d blocks came and %d went", c, d)
		}
		w.nodes[0].stop()
		w.nodes[1].move(b[1])
		time.Sleep(time.Second)
		if c, d, _ := w.check(b[1]); c != 8 || d != 5 {
			t.Errorf("%d blocks came and %d went", c, d)
		}
		w.nodes[1].stop()
	})
}

// TestGivenUp: a block that its writer did not tell to the end is given up by nodes that
// have another, and by the writer itself after a reorganisation.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, 1)
		a, b := w.tree.Blocks("a", w.tree.Genesis, 3), w.tree.Blocks("b", w.tree.Genesis, 3)
		w.nodes[0].learn(a[2])
		w.nodes[0].start()
		time.Sleep(time.Second)
		w.nodes[0].stop()
		w.log.messages = w.log.messages[:len(w.log.messages)-1] // the block a3 is not ended
		w.nodes[1].learn(a[2])                                  // of which it is never told
		w.nodes[1].learn(b[2])
		w.nodes[1].move(b[2])
		w.nodes[1].start()
		time.Sleep(time.Minute)
		if c, d, g := w.check(b[2]); c != 6 || d != 2 || g != 1 {
			t.Errorf("%d blocks came, %d went and %d were given up", c, d, g)
		}
		w.nodes[1].stop()
	})
}

// TestPruned: a node that has pruned what comes next says so, and one that has not writes on.
func TestPruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, 1)
		a := w.tree.Blocks("a", w.tree.Genesis, 9)
		w.nodes[0].learn(a[8])
		w.nodes[0].pruned = 5
		w.nodes[0].start()
		time.Sleep(time.Minute)
		w.check(w.tree.Genesis)
		if !w.nodes[0].warned("this node has pruned what comes then") {
			t.Errorf("it warned of %v", w.nodes[0].warnings)
		}
		w.nodes[1].learn(a[8])
		w.nodes[1].start()
		time.Sleep(time.Minute)
		w.check(a[8])
		for _, n := range w.nodes {
			n.stop()
		}
		// A new stream begins where it can.
		w.log.messages = nil
		w.nodes[0].from = 2
		w.nodes[0].start()
		time.Sleep(time.Minute)
		if !w.nodes[0].warned("begin higher by --events-from") {
			t.Errorf("it warned of %v", w.nodes[0].warnings)
		}
		w.nodes[0].stop()
		w.nodes[0].from = 6
		w.nodes[0].start()
		time.Sleep(time.Minute)
		w.nodes[0].stop()
		first, err := w.log.messages[1].Head()
		if err != nil || first.Block != a[5].Index() || first.Number != 0 {
			t.Errorf("it begins with %+v, %v", first, err)
		}
	})
}

// TestForeignStream: what is in the stream already is not written on.
func TestForeignStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 1)
		w.log.messages = []journal.Message{{Subject: "karat.regtest.json.block.connected", Data: []byte("hello")}}
		w.nodes[0].start()
		time.Sleep(time.Hour)
		w.nodes[0].stop()
		if len(w.log.messages) != 1 || !w.nodes[0].warned("this is not the journal of this network") {
			t.Errorf("%d messages; it warned of %v", len(w.log.messages), w.nodes[0].warnings)
		}
	})
}

// TestConfig: what is wrong with options is said, and passwords are not.
func TestConfig(t *testing.T) {
	good := Config{Servers: "nats://127.0.0.1:4222, tls://karat:SeCrEt@example.org", Format: journal.JSON}
	if err := good.Check(); err != nil || good.Where() != "nats://127.0.0.1:4222,tls://example.org" {
		t.Errorf("%q, %v", good.Where(), err)
	}
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Servers: ""}, "does not begin with nats://"},
		{Config{Servers: "http://karat:SeCrEt@example.org"}, "does not begin with nats://"},
		{Config{Servers: "nats://karat:SeC%rEt@example.org"}, "URL 1 cannot be read"},
		{Config{Servers: "nats://127.0.0.1,nats://karat:SeCrEt@:4222"}, "URL 2 has no host"},
		{Config{Servers: "nats://karat:SeCrEt@example.org/stream"}, "more than a host"},
		{Config{Servers: "nats://SeCrEt@example.org", Format: "xml"}, `"xml": want json or raw`},
		{Config{Servers: "nats://SeCrEt@example.org", Format: journal.Raw, Key: "key.pem"}, "need each other"},
		{Config{Servers: "nats://SeCrEt@example.org", Format: journal.Raw, Credentials: "nowhere.creds"}, "nowhere.creds"},
		{Config{Servers: "nats://SeCrEt@example.org", Format: journal.Raw, Authority: "config.go"}, "config.go has no certificate"},
	} {
		if err := c.config.Check(); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "SeC") {
			t.Errorf("%+v: %v, want %q", c.config, err, c.want)
		}
		if strings.Contains(c.config.Where(), "SeC") {
			t.Error(c.config.Where())
		}
	}
	for servers, want := range map[string]bool{
		"nats://karat:SeCrEt@example.org": true, "nats://example.org": false, "nats://SeCrEt@127.0.0.1,nats://SeCrEt@localhost": false, "tls://SeCrEt@10.0.0.1": false,
	} {
		if c := (Config{Servers: servers}); c.Readable() != want {
			t.Errorf("%s is readable: %t", servers, !want)
		}
	}
}

// takenPlace is of a server that says of every place that it is taken, and has nothing there.
type takenPlace struct{ fakePlace }

func (*takenPlace) end() (uint64, *journal.Message, *journal.Message, error) { return 7, nil, nil, nil }
func (*takenPlace) put(uint64, string, *journal.Message) error               { return errMoved }

// TestTaken: a server that refuses what comes next, without reason, is not pressed.
func TestTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 1)
		n := w.nodes[0]
		ctx, cancel := context.WithCancel(t.Context())
		p, err := New(Options{
			Config: Config{Servers: "nats://127.0.0.1", Format: journal.JSON}, Params: w.params, Chain: n, Writer: n.writer, Board: n, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		opened := 0
		p.open = func(context.Context, func()) (place, error) {
			if opened++; opened > 1000 {
				cancel() // it never waits
			}
			return &takenPlace{}, nil
		}
		n.cancel = cancel
		n.done.Go(func() { _ = p.Run(ctx) })
		time.Sleep(time.Hour)
		n.stop()
		if opened < 100 || opened > 300 || !n.warned("window of duplicates") {
			t.Errorf("in an hour it was asked %d times; it warned of %v", opened, n.warnings)
		}
	})
}
