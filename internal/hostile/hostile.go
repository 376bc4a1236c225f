// Package hostile is a library of strangers who mean harm. Each behaviour speaks over
// the real encryption and the real messages, as an attacker's own program would, and
// does one thing that has hurt nodes: it withholds, stalls, lies, floods or keeps
// silent. Only tests import it.
//
//	know := hostile.NewKnowledge(params)
//	attacker := hostile.Node{Know: know, Key: key, Behaviour: hostile.Named("withhold"), Calls: 8, Targets: addresses, Dial: dial, Random: random}
//	go attacker.Run(ctx)
//	know.Learn(block) // as soon as the block exists, so that attackers are the first to tell of it
//
// A Node calls others and is called, and every connection of it is a Stranger that
// behaves. What an attacker does is a function of its random numbers and of what it is
// told, so a run can be repeated.
package hostile

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/p2p/noise"
)

// Behaviour is what a stranger does on a connection.
type Behaviour struct {
	Name  string
	About string // what it does, for people
	// speak is called after the hello, until the connection ends.
	speak func(ctx context.Context, s *Stranger)
	// call is instead of all, with a connection on which nothing was said.
	call func(ctx context.Context, conn net.Conn)
	deaf bool // it does not read
}

// Library returns all behaviours, in a fixed order.
func Library() []Behaviour {
	var all []Behaviour
	for _, some := range [][]Behaviour{aboutBlocks, aboutMessages, aboutConnections} {
		all = append(all, some...)
	}
	return all
}

// Named returns a behaviour of the library. A name that is not there panics: the test
// is wrong.
func Named(name string) Behaviour {
	for _, b := range Library() {
		if b.Name == name {
			return b
		}
	}
	panic("no behaviour " + name)
}

// Knowledge is what attackers know of the honest nodes' chain. They share it. It may be
// more than anybody tells them: whoever tests the worst case tells them at once.
type Knowledge struct {
	Params *consensus.Params

	bell poke.Bell
	mu   sync.Mutex
	// Guarded by mu:
	blocks []*types.Block // in the order in which they were learnt, each after its parent
	states map[types.Hash]consensus.State
	tip    consensus.State
}

// NewKnowledge returns the knowledge of the genesis block.
func NewKnowledge(params *consensus.Params) *Knowledge {
	genesis := params.GenesisState()
	return &Knowledge{Params: params, states: map[types.Hash]consensus.State{genesis.Index.Hash: genesis}, tip: genesis}
}

// Learn adds a block whose parent is known, and lets attackers act on it. Others are of
// no use to them.
func (k *Knowledge) Learn(b *types.Block) {
	hash := b.Header.Hash()
	k.mu.Lock()
	parent, known := k.states[b.Header.PrevBlock]
	_, again := k.states[hash]
	if known && !again {
		state := parent.Extend(&b.Header, hash)
		k.states[hash] = state
		k.blocks = append(k.blocks, b)
		if state.Work.Cmp(k.tip.Work) > 0 {
			k.tip = state
		}
	}
	k.mu.Unlock()
	k.bell.Ring()
}

// top returns the end of the best chain.
func (k *Knowledge) top() consensus.State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tip
}

// since returns the blocks that were learnt after the first n.
func (k *Knowledge) since(n int) []*types.Block {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.blocks[min(n, len(k.blocks)):len(k.blocks):len(k.blocks)]
}

// find returns a block, nil if it is not known.
func (k *Knowledge) find(hash types.Hash) *types.Block {
	for _, b := range k.since(0) {
		if b.Header.Hash() == hash {
			return b
		}
	}
	return nil
}

// chain returns the headers of the best chain above one of a locator.
func (k *Knowledge) chain(locator []types.Hash, most int) []types.Header {
	at := map[types.Hash]types.Header{}
	for _, b := range k.since(0) {
		at[b.Header.Hash()] = b.Header
	}
	stop := map[types.Hash]bool{}
	for _, hash := range locator {
		stop[hash] = true
	}
	var headers []types.Header // the highest first
	for hash := k.top().Index.Hash; !stop[hash]; {
		header, known := at[hash]
		if !known {
			break
		}
		headers = append(headers, header)
		hash = header.PrevBlock
	}
	list := make([]types.Header, 0, min(most, len(headers)))
	for i := len(headers) - 1; i >= 0 && len(list) < most; i-- {
		list = append(list, headers[i])
	}
	return list
}

// Node is an attacker with an id, who calls and is called.
type Node struct {
	Know      *Knowledge
	Key       noise.Key
	NewIDs    bool // it takes another key for each call
	Behaviour Behaviour
	Random    *rand.Rand
	Now       func() time.Time // nil: time.Now

	Listener net.Listener // nil: it cannot be called
	Port     uint16       // that it says it listens at
	Dial     func(ctx context.Context, address string) (net.Conn, error)
	Calls    int      // connections that it tries to keep
	Targets  []string // addresses that it calls
}

// recallAfter is how long an attacker waits before it calls again, on average.
const recallAfter = 10 * time.Second

// Run attacks until the context ends, and waits until all that it began has ended.
func (n *Node) Run(ctx context.Context) {
	var work sync.WaitGroup
	if n.Listener != nil {
		stop := context.AfterFunc(ctx, func() { n.Listener.Close() })
		defer stop()
		random := n.fork()
		work.Go(func() {
			for {
				conn, err := n.Listener.Accept()
				if err != nil {
					return
				}
				own := rand.New(rand.NewPCG(random.Uint64(), 0))
				work.Go(func() { n.talk(ctx, conn, own, false) })
			}
		})
	}
	for range min(n.Calls, len(n.Targets)) {
		random := n.fork()
		work.Go(func() {
			for ctx.Err() == nil {
				if conn, err := n.Dial(ctx, n.Targets[random.IntN(len(n.Targets))]); err == nil {
					n.talk(ctx, conn, random, true)
				}
				pause(ctx, time.Duration(random.ExpFloat64()*float64(recallAfter)))
			}
		})
	}
	work.Wait()
}

// fork returns random numbers of somebody's own.
func (n *Node) fork() *rand.Rand { return rand.New(rand.NewPCG(n.Random.Uint64(), n.Random.Uint64())) }

// talk behaves on a connection until it ends.
func (n *Node) talk(ctx context.Context, raw net.Conn, random *rand.Rand, calling bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer raw.Close()
	if n.Behaviour.call != nil && calling {
		n.Behaviour.call(ctx, raw)
		return
	}
	s, err := n.meet(ctx, raw, random, calling)
	if err != nil {
		return
	}
	s.run(ctx, cancel)
}

// pause waits, and reports whether the context goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
