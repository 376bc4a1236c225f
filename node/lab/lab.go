// Package lab is a whole network of real nodes in one process, for people who want to see
// what a network does: blocks that are found at the same time, partitions, delay, loss.
// It is what karatd dev --nodes runs.
//
//	l, err := lab.Open(ctx, lab.Options{Params: params, Nodes: 5, Seed: 7, Dir: dir, Spacing: 10 * time.Second})
//	go l.Run(ctx, func(nodes []node.Started) { … })
//	err = l.Partition(ctx, [][]int{{0, 1}, {2, 3, 4}})
//	err = l.Blocks(ctx, 20) // found, wherever chance has it, as fast as can be
//	err = l.Heal(ctx)
//	err = l.Settle(ctx)     // all news have arrived
//
// # The same seed gives the same tip
//
// Each node is package node's: its own chain on disk, its own pool, its own encrypted
// connections. Goroutines and the time that work takes are never the same twice. So the
// lab leaves nothing that ends up in a block to them. It has a clock of its own and a list
// of what happens when, and takes one thing from the list after the other:
//
//   - A node finds a block. When, and which node, is drawn from the seed, by the nodes'
//     shares of the hash rate. Blocks have the lab's time, pay to a script of the node's
//     own, and their extra nonce comes from the seed.
//   - News cross a link. The links are connections of package simnet, and nothing passes
//     one of them but at such a moment. The lab opens the link and waits, however long
//     it takes, until both nodes have all that they want of each other: the tip with more
//     work, and what waits in the pools. Then it closes the link, and looks
//     whose news have to go on over which other links, and how long that takes: the
//     link's delay, give or take a half, and twice the delay again for each time that it
//     is lost. That too is drawn from the seed, for each link apart.
//
// So the order in which a node hears of blocks is that of the list, and of two chains with
// equal work each node keeps the one that it was told first. What clients do is outside of
// the seed: their payments and blocks go on the list when the lab sees them.
//
// What is left out: news that are sent while others are under way over the same link
// arrive with them, and bandwidth costs nothing. Package simnet's and package p2p's tests
// have those.
package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/baton"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/internal/simnet"
	"github.com/karatcoin/karat/node"
)

// The bounds of a lab.
const (
	MaxNodes = 32
	MaxDelay = time.Hour
	MaxLoss  = 0.9
)

// Options are the choices of Open. Params, Nodes and Dir are needed.
type Options struct {
	Params *consensus.Params // whose blocks cost nothing
	Nodes  int               // 2 to MaxNodes
	Seed   uint64
	Dir    string // of the nodes' data; it should be empty

	Spacing time.Duration // between blocks, on average; 0: they are made on command only
	Delay   time.Duration // of each link
	Loss    float64       // share of the news that have to be sent again
	Speed   float64       // seconds of the lab in a second; 0: time passes on command only

	Change func(number int, config *node.Config) // changes a node's configuration; nil: none is changed
	Logger *slog.Logger                          // of what cannot be repeated; nil: discard
}

// check says what is wrong with the options.
func (o *Options) check() error {
	switch {
	case o.Params.Difficulty.Algorithm != consensus.DifficultyFixed:
		return errors.New("a lab needs a network of fixed difficulty")
	case o.Nodes < 2 || o.Nodes > MaxNodes:
		return fmt.Errorf("%d nodes: a lab has 2 to %d", o.Nodes, MaxNodes)
	case o.Spacing < 0:
		return errors.New("time does not run backwards")
	}
	return errors.Join(checkDelay(o.Delay), checkLoss(o.Loss), checkSpeed(o.Speed))
}

func checkDelay(delay time.Duration) error {
	if delay < 0 || delay > MaxDelay {
		return fmt.Errorf("a delay of %s: it may be 0 to %s", delay, MaxDelay)
	}
	return nil
}

func checkLoss(loss float64) error {
	if !(loss >= 0 && loss <= MaxLoss) {
		return fmt.Errorf("a loss of %v: it may be 0 to %v", loss, MaxLoss)
	}
	return nil
}

func checkSpeed(speed float64) error {
	if !(speed >= 0 && speed <= 1e6) {
		return fmt.Errorf("a speed of %v: it may be 0 to 1000000", speed)
	}
	return nil
}

// member is a node of the lab.
type member struct {
	*node.Node
	number  int
	address netip.AddrPort
	script  []byte // that its blocks pay to
	links   []*link
	found   uint64 // blocks, by the lab

	// What the lab has seen of it. What differs from that a client did.
	tip      types.Index
	accepted uint64 // position in the pool
}

// link joins two nodes. The one with the higher number has called.
type link struct {
	a, b   *member
	delay  time.Duration
	random *rand.Rand
	cut    bool     // by a partition
	inVain struct { // what the lab has waited for, and waits for no more
		tips [2]types.Hash           // of a and b, of which neither took the other's
		txs  map[types.Hash]struct{} // by witness ids
	}
}

// Lab is the network. Its methods may be called concurrently; one does its work at a time.
type Lab struct {
	o       Options
	network *simnet.Network
	members []*member
	links   []*link
	wake    poke.Slot // Run looks at the list anew
	ready   chan struct{}

	gate struct {
		sync.Mutex
		open *link // nil: none
		all  bool  // while the nodes find each other
	}

	turn baton.Baton
	// Guarded by turn:
	now        time.Duration // since start
	pace       pace
	list       list
	finds      *rand.Rand // when blocks are found, and by whom
	outside    *rand.Rand // of what clients bring about
	loss       float64
	repeatable bool
}

// Open makes the nodes. They run, and blocks can be made, while Run does.
func Open(ctx context.Context, o Options) (*Lab, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Lab{
		o: o, network: simnet.New(simnet.Options{Seed: o.Seed}), wake: poke.NewSlot(), ready: make(chan struct{}), turn: baton.New(),
		finds: stream(o.Seed, 0), outside: stream(o.Seed, 1), loss: o.Loss, repeatable: true,
	}
	l.pace.speed = o.Speed
	l.gate.all = true
	l.network.Separate(l.closed)
	if err := l.build(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l.nextFind()
	return l, nil
}

// stream returns one of the seed's independent sources of chance.
func stream(seed, number uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, number)) }

// build opens the nodes and draws who is connected to whom: a ring, and half as many links
// again across it.
func (l *Lab) build(ctx context.Context) error {
	for i := range l.o.Nodes {
		l.members = append(l.members, &member{
			number: i, address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, byte(i + 1), 1}), 1), script: l.scriptOf(i),
		})
	}
	chance := stream(l.o.Seed, 2)
	for i := 1; i < l.o.Nodes; i++ {
		l.join(i-1, i)
	}
	l.join(0, l.o.Nodes-1)
	for range l.o.Nodes / 2 {
		l.join(chance.IntN(l.o.Nodes), chance.IntN(l.o.Nodes))
	}
	for _, m := range l.members {
		if err := l.open(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// join makes a link, unless there is one.
func (l *Lab) join(a, b int) {
	a, b = min(a, b), max(a, b)
	if a == b || l.between(a, b) != nil {
		return
	}
	k := &link{a: l.members[a], b: l.members[b], delay: l.o.Delay, random: stream(l.o.Seed, uint64(1<<32+a<<16+b))}
	k.inVain.txs = map[types.Hash]struct{}{}
	l.links = append(l.links, k)
	k.a.links, k.b.links = append(k.a.links, k), append(k.b.links, k)
}

// between returns the link of two nodes; nil if they have none.
func (l *Lab) between(a, b int) *link {
	for _, k := range l.links {
		if k.a.number == min(a, b) && k.b.number == max(a, b) {
			return k
		}
	}
	return nil
}

// scriptOf returns what a node's blocks pay to: one of the network's allocations, whose
// words a developer has, or nobody's.
func (l *Lab) scriptOf(number int) []byte {
	var scripts [][]byte
	for _, out := range l.o.Params.Genesis.Outputs {
		if len(out.ScriptPubKey) == 34 && out.ScriptPubKey[0] == 0x51 {
			scripts = append(scripts, out.ScriptPubKey)
		}
	}
	if len(scripts) == 0 {
		return []byte{0x51, 2, 0x4e, 0x73} // pay to anchor
	}
	return scripts[number%len(scripts)]
}

func (l *Lab) open(ctx context.Context, m *member) error {
	at := m.address.String()
	config := node.Config{
		DataDir: filepath.Join(l.o.Dir, fmt.Sprintf("node%d", m.number), l.o.Params.Name), Params: l.o.Params, CacheBytes: 16 << 20,
		Indexes: []string{indexed.Txs, indexed.Filters}, Policy: node.DefaultPolicy(), Listen: at, MaxPeers: 2 * MaxNodes, NoDiscovery: true,
		Logger: l.o.Logger.With("node", m.number), NoPersist: true, Lab: l,
		Dial: func(ctx context.Context, to string) (net.Conn, error) {
			return l.network.Dial(ctx, m.address.Addr(), to)
		},
	}
	config.Policy.MaxBytes = 32 << 20
	config.NewListener = func(address string) (net.Listener, error) {
		if address == at {
			return l.network.Listen(m.address), nil
		}
		return net.Listen("tcp", address)
	}
	for _, k := range m.links {
		if k.b == m {
			config.Connect = append(config.Connect, k.a.address.String())
		}
	}
	if l.o.Change != nil {
		l.o.Change(m.number, &config)
	}
	n, err := node.Open(ctx, config)
	if err != nil {
		return fmt.Errorf("node %d: %w", m.number, err)
	}
	if n.Chain().Tip().Height > 0 {
		return errors.Join(fmt.Errorf("node %d has a chain already: a lab begins anew, in an empty folder", m.number), n.Close())
	}
	n.SetTime(l.clock())
	m.Node, m.tip = n, n.Chain().Tip()
	return nil
}

// clock is the lab's time as blocks tell it: it begins with the genesis block.
func (l *Lab) clock() time.Time {
	return time.Unix(int64(l.o.Params.Genesis.Timestamp), 0).Add(l.now)
}

// Close closes the nodes, after Run has ended.
func (l *Lab) Close() error {
	var errs []error
	for _, m := range l.members {
		if m.Node != nil {
			errs = append(errs, m.Node.Close())
		}
	}
	return errors.Join(errs...)
}

// closed is what simnet is separated by.
func (l *Lab) closed(a, b netip.Addr) bool {
	l.gate.Lock()
	defer l.gate.Unlock()
	if l.gate.all || l.gate.open == nil {
		return !l.gate.all
	}
	x, y := l.gate.open.a.address.Addr(), l.gate.open.b.address.Addr()
	return (a != x || b != y) && (a != y || b != x)
}

// let lets a link alone be open; nil: none.
func (l *Lab) let(k *link) {
	l.gate.Lock()
	l.gate.open, l.gate.all = k, false
	l.gate.Unlock()
	l.network.Separate(l.closed)
}

// String tells who is linked with whom, and the delay.
func (k *link) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d-%d %s", k.a.number, k.b.number, k.delay)
	if k.cut {
		b.WriteString(" (cut)")
	}
	return b.String()
}
