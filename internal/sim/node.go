package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/internal/hostile"
	"github.com/karatcoin/karat/internal/simnet"
	"github.com/karatcoin/karat/p2p"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

type addr = netip.Addr

// port is where all nodes listen.
const port = 9555

// place is where a node is: on the map and in the network.
type place struct {
	addr addr
	x, y float64 // 0 to 1
}

// at is where the node can be called.
func (p place) at() netip.AddrPort { return netip.AddrPortFrom(p.addr, port) }

// node is an honest node.
type node struct {
	place
	w      *world
	number int
	key    noise.Key
	params *consensus.Params // with nodes of its own to begin with
	chain  *lightChain
	pool   *lightPool
	back   sync.WaitGroup // it comes back

	mu sync.Mutex
	// Guarded by mu:
	manager *p2p.Manager
	cancel  context.CancelFunc // nil: it is away
	done    chan struct{}
	since   time.Time // it is there

	took time.Duration // the last block to come; guarded by the world's mu
}

// attacker is a hostile node.
type attacker struct {
	place
	w         *world
	behaviour string
	key       noise.Key
	random    *rand.Rand
	done      chan struct{}
}

// bootstrapNodes is how many others a node knows of in the beginning.
const bootstrapNodes = 4

// newWorld makes the nodes, none of which runs.
func newWorld(o Options) (*world, error) {
	w := &world{
		o: o, random: rand.New(rand.NewPCG(o.Seed, 1)), ledger: newLedger(o.Params), know: hostile.NewKnowledge(o.Params),
		report: &Report{Options: o}, births: map[string]*birth{}, metered: time.Now(),
	}
	// An attacker is anywhere in the order, and each node in a network group of its own.
	evil := int(math.Round(o.Hostile * float64(o.Nodes)))
	for i, at := range w.random.Perm(o.Nodes) {
		p := place{netip.AddrFrom4([4]byte{byte(20 + at/200), byte(1 + at%200), 0, 1}), w.random.Float64(), w.random.Float64()}
		w.places = append(w.places, p)
		key, err := noise.NewKey(keyBytes(o.Seed, i))
		if err != nil {
			return nil, err
		}
		if i < evil {
			name := o.Behaviours[i%len(o.Behaviours)]
			w.evil = append(w.evil, &attacker{place: p, w: w, behaviour: name, key: key, random: rand.New(rand.NewPCG(o.Seed, uint64(1000+i))), done: make(chan struct{})})
			continue
		}
		n := &node{place: p, w: w, number: i, key: key}
		n.pool = newPool(w.ledger, func(e *pending.Entry) { w.reached(n, e.WTxID.String()) })
		n.chain = newChain(w.ledger, o.Verify, func(reverted, applied []*block) { w.moved(n, reverted, applied) })
		w.honest = append(w.honest, n)
	}
	w.net = simnet.New(simnet.Options{Seed: o.Seed, Latency: w.latency(), Loss: o.Loss, Up: o.Up})
	for _, n := range w.honest {
		params := *o.Params
		params.Bootstrap = consensus.Bootstrap{}
		for range bootstrapNodes {
			if other := w.places[w.random.IntN(len(w.places))]; other != n.place {
				params.Bootstrap.Nodes = append(params.Bootstrap.Nodes, other.at().String())
			}
		}
		n.params = &params
	}
	return w, nil
}

// keyBytes is the secret of a node, which is none.
func keyBytes(seed uint64, i int) (b [32]byte) {
	binary.LittleEndian.PutUint64(b[:], seed)
	binary.LittleEndian.PutUint64(b[8:], uint64(i)+1)
	return b
}

// latency is the time that the way on the map takes.
func (w *world) latency() func(from, to addr) time.Duration {
	at := map[addr]place{}
	for _, p := range w.places {
		at[p.addr] = p
	}
	return func(from, to addr) time.Duration {
		distance := min(1, math.Hypot(at[from].x-at[to].x, at[from].y-at[to].y))
		return w.o.Nearest + time.Duration(distance*float64(w.o.Farthest-w.o.Nearest))
	}
}

// start starts a node, with the chain that it has.
func (n *node) start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	manager := p2p.New(p2p.Options{
		Params: n.params, Key: n.key, Headers: n.chain, Blocks: n.chain, Pool: n.pool, UserAgent: "/karat:0.2.0/",
		Listener: n.w.net.Listen(n.at()), ListenPort: port,
		Dial:     func(ctx context.Context, address string) (net.Conn, error) { return n.w.net.Dial(ctx, n.addr, address) },
		Discover: true, MaxInbound: 117, MaxOutbound: n.w.o.Outbound,
	})
	done := make(chan struct{})
	var err error
	go func() {
		defer close(done)
		if e := manager.Run(ctx); e != nil {
			err = e
		}
	}()
	select {
	case <-manager.Running():
	case <-done:
		cancel()
		return fmt.Errorf("node %d: %w", n.number, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.manager, n.cancel, n.done, n.since = manager, cancel, done, time.Now()
	return nil
}

// stop ends a node, and waits.
func (n *node) stop() {
	n.mu.Lock()
	cancel, done := n.cancel, n.done
	n.cancel = nil
	n.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
}

func (n *node) up() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cancel != nil
}

// start starts an attacker, who calls as many as he likes.
func (a *attacker) start(ctx context.Context) {
	var targets []string
	for _, n := range a.w.honest {
		targets = append(targets, n.at().String())
	}
	evil := hostile.Node{
		Know: a.w.know, Key: a.key, Behaviour: hostile.Named(a.behaviour), Random: a.random, Listener: a.w.net.Listen(a.at()), Port: port,
		Dial:  func(ctx context.Context, address string) (net.Conn, error) { return a.w.net.Dial(ctx, a.addr, address) },
		Calls: 2 * a.w.o.Outbound, Targets: targets,
	}
	go func() {
		defer close(a.done)
		evil.Run(ctx)
	}()
}

// peers returns a node's connections, none if it is away.
func (n *node) peers() []peerinfo.Info {
	n.mu.Lock()
	manager, up := n.manager, n.cancel != nil
	n.mu.Unlock()
	if !up {
		return nil
	}
	return manager.Peers()
}

// called returns whom a node has called, in the order of the addresses.
func (w *world) called(n *node) (addresses []string) {
	for _, p := range n.peers() {
		if !p.Inbound {
			addresses = append(addresses, p.Address)
		}
	}
	slices.Sort(addresses)
	return addresses
}

// countPeers counts a node's connections: those that it made, of them those to
// attackers, and all.
func (w *world) countPeers(n *node) (out, captured, all int) {
	for _, p := range n.peers() {
		all++
		if p.Inbound {
			continue
		}
		out++
		for _, a := range w.evil {
			if a.at().String() == p.Address {
				captured++
			}
		}
	}
	return out, captured, all
}
