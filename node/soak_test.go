package node

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/freeport"
	"github.com/karatcoin/karat/internal/hostile"
	"github.com/karatcoin/karat/miner"
	"github.com/karatcoin/karat/p2p/noise"
)

var soakTime = flag.Duration("soak", 0, "how long TestSoak runs")

// What a soak is like.
const (
	soakNodes     = 24
	soakCalls     = 4 // connections that each node keeps to others
	soakPatience  = 2 * time.Minute
	soakGoes      = 5 // of so many steps one is a restart
	soakReorgs    = 6 // and one a branch that was mined apart
	soakHeapSlack = 64 << 20
)

// soak is real nodes on real sockets, among attackers.
type soak struct {
	t      *testing.T
	params *consensus.Params
	dir    string
	random *rand.Rand
	know   *hostile.Knowledge
	nodes  []*soakNode
	seen   map[types.Hash]bool // blocks that attackers know

	mined, restarts, branches, paid int
}

// soakNode is a node with the address that it keeps over restarts.
type soakNode struct {
	*Node
	number int
	listen string
	miner  *miner.Miner
	end    func() error
}

// TestSoak is what make soak runs: nodes go and come, branches compete, and half of the
// library of attackers is at work. Nothing leaks, and in the end all are on one tip.
func TestSoak(t *testing.T) {
	if *soakTime == 0 {
		t.Skip("make soak runs it")
	}
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	params.CoinbaseMaturity = 2
	s := &soak{t: t, params: params, dir: t.TempDir(), random: rand.New(rand.NewPCG(1, 2)), know: hostile.NewKnowledge(params), seen: map[types.Hash]bool{}}
	for i := range soakNodes { // a port that is held is a descriptor
		s.nodes = append(s.nodes, &soakNode{number: i, listen: freeport.At(t, "127.0.0.1")})
	}
	before := resourcesNow()
	t.Logf("before: %s", before)
	for _, n := range s.nodes {
		s.start(n)
	}
	s.mine(s.nodes[0], 5)
	ctx, stopAttack := context.WithCancel(t.Context())
	attack := s.attack(ctx)
	samples := s.steps(time.Now().Add(*soakTime))
	s.agree()
	stopAttack()
	attack.Wait()
	for _, n := range s.nodes {
		s.stop(n)
	}
	t.Logf("%d blocks, %d payments, %d restarts, %d branches mined apart", s.mined, s.paid, s.restarts, s.branches)
	checkLeaks(t, before, samples)
}

// start starts a node, new or again.
func (s *soak) start(n *soakNode) {
	s.t.Helper()
	config := Config{
		DataDir: filepath.Join(s.dir, fmt.Sprint(n.number)), Params: s.params, CacheBytes: 4 << 20, Indexes: soakIndexes(n.number),
		Policy: smallPolicy(), Listen: n.listen, MaxPeers: 60, NoDiscovery: n.number%2 == 1,
	}
	for i := range min(soakCalls, n.number) {
		config.Connect = append(config.Connect, s.nodes[(n.number*7+i*5)%n.number].listen)
	}
	slices.Sort(config.Connect)
	config.Connect = slices.Compact(config.Connect)
	opened, err := Open(s.t.Context(), config)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	up, done := make(chan Started, 1), make(chan error, 1)
	go func() { done <- opened.Run(ctx, func(t Started) { up <- t }) }()
	n.Node, n.end = opened, sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-done, opened.Close())
	})
	s.t.Cleanup(func() { s.stop(n) })
	select {
	case started := <-up:
		n.listen = started.Listen
	case err := <-done:
		done <- nil
		s.t.Fatalf("node %d ended: %v", n.number, err)
	}
	n.miner = miner.New(miner.Options{
		Params: s.params, Chain: n.chain, Pool: currentPool{n.running.Load().pool}, Threads: 1, Tag: fmt.Sprint(n.number), Now: n.clock.now,
	})
}

func (s *soak) stop(n *soakNode) {
	s.t.Helper()
	if err := n.end(); err != nil {
		s.t.Errorf("node %d: %v", n.number, err)
	}
}

// any returns a random node.
func (s *soak) any() *soakNode { return s.nodes[s.random.IntN(len(s.nodes))] }

// mine has a node make blocks, of which attackers hear at once.
func (s *soak) mine(n *soakNode, count int) {
	s.t.Helper()
	hashes, err := n.miner.Generate(s.t.Context(), count, chaintest.Anchor, 1<<22)
	if err != nil {
		s.t.Errorf("node %d: %v", n.number, err)
	}
	s.mined += len(hashes)
	for _, hash := range hashes {
		s.teach(n, hash)
	}
}

// teach tells attackers of a block and of what is below it.
func (s *soak) teach(n *soakNode, hash types.Hash) {
	raw, err := n.chain.Block(hash)
	if err != nil || s.seen[hash] {
		return
	}
	block, err := types.DecodeBlock(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	s.seen[hash] = true
	s.teach(n, block.Header.PrevBlock)
	s.know.Learn(block)
}

// pay spends an old coinbase, if nobody has.
func (s *soak) pay(n *soakNode) {
	tip := n.chain.Tip().Height
	if tip < 4 {
		return
	}
	hash, _ := n.chain.HashAt(1 + uint32(s.random.IntN(int(tip-3))))
	raw, err := n.chain.Block(hash)
	if err != nil {
		return
	}
	block, err := types.DecodeBlock(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	out := block.Txs[0].Outputs[0]
	if _, err := n.running.Load().pool.Accept(s.t.Context(), payment(types.OutPoint{TxID: block.Txs[0].TxID()}, out.Value), 0); err == nil {
		s.paid++
	}
}

// attack begins with every other behaviour of the library: each calls from the machine
// itself, where many nodes may be, under a new id each time.
func (s *soak) attack(ctx context.Context) *sync.WaitGroup {
	var targets []string
	for _, n := range s.nodes {
		targets = append(targets, n.listen)
	}
	var work sync.WaitGroup
	for i, b := range hostile.Library() {
		if i%2 == 1 {
			continue
		}
		key, err := noise.GenerateKey()
		if err != nil {
			s.t.Fatal(err)
		}
		evil := hostile.Node{
			Know: s.know, Key: key, NewIDs: true, Behaviour: b, Random: rand.New(rand.NewPCG(3, uint64(i))), Targets: targets, Calls: 3,
			Dial: func(ctx context.Context, address string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "tcp", address)
			},
		}
		work.Go(func() { evil.Run(ctx) })
	}
	return &work
}

// steps has something happen about once a second until a time, and measures now and
// then.
func (s *soak) steps(end time.Time) (samples []resources) {
	began, total := time.Now(), time.Until(end)
	for time.Now().Before(end) && !s.t.Failed() {
		s.pay(s.any())
		switch {
		case s.random.IntN(soakGoes) == 0:
			n := s.any()
			s.stop(n)
			s.start(n)
			s.restarts++
		case s.random.IntN(soakReorgs) == 0:
			s.apart()
		default:
			for range 1 + s.random.IntN(2) {
				s.mine(s.any(), 1)
			}
		}
		time.Sleep(time.Duration(s.random.IntN(1000)) * time.Millisecond)
		if time.Since(began) >= total*time.Duration(len(samples)+1)/10 {
			samples = append(samples, resourcesNow())
			s.t.Logf("after %s, height %d: %s", time.Since(began).Round(time.Second), s.nodes[0].chain.Tip().Height, samples[len(samples)-1])
		}
	}
	return samples
}

// apart has a node mine a branch while it talks to nobody, which all others then follow.
func (s *soak) apart() {
	n, other := s.any(), s.any()
	if n == other {
		return
	}
	n.running.Load().peers.SetActive(false)
	s.mine(other, 1)
	s.mine(n, 3)
	n.running.Load().peers.SetActive(true)
	s.branches++
}

// agree waits until all are on one tip. A further block ends a tie.
func (s *soak) agree() {
	s.t.Helper()
	for began := time.Now(); time.Since(began) < soakPatience; {
		s.mine(s.nodes[0], 1)
		for range 20 {
			time.Sleep(time.Second)
			best := s.nodes[0].chain.Tip()
			if !slices.ContainsFunc(s.nodes, func(n *soakNode) bool { return n.chain.Tip() != best }) {
				s.t.Logf("all %d nodes are on one tip at height %d after %s", len(s.nodes), best.Height, time.Since(began).Round(time.Second))
				return
			}
		}
	}
	for _, n := range s.nodes {
		s.t.Logf("node %d: %s, %d peers", n.number, n.chain.Tip(), len(n.running.Load().peers.Peers()))
	}
	s.t.Errorf("the nodes are not on one tip in %s", soakPatience)
}

// resources are what may leak.
type resources struct {
	goroutines, descriptors int
	heap                    uint64 // bytes in use after a collection
}

func (r resources) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %d MB of heap", r.goroutines, r.descriptors, r.heap>>20)
}

func resourcesNow() (r resources) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.goroutines, r.heap = runtime.NumGoroutine(), m.HeapAlloc
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		r.descriptors = len(files)
	}
	return r
}

// checkLeaks compares what is left with what was there before, and the later samples
// with the earlier ones.
func checkLeaks(t *testing.T, before resources, samples []resources) {
	var after resources
	for range 100 { // goleveldb ends its last goroutine a second after it was closed
		if after = resourcesNow(); after.goroutines <= before.goroutines+2 && after.descriptors <= before.descriptors+2 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("after: %s", after)
	if after.goroutines > before.goroutines+2 || after.descriptors > before.descriptors+2 || after.heap > before.heap+soakHeapSlack {
		stacks := make([]byte, 1<<20)
		t.Errorf("left behind: %s, was %s\n%s", after, before, stacks[:runtime.Stack(stacks, true)])
	}
	if len(samples) < 4 {
		return
	}
	half := len(samples) / 2
	early, late := most(samples[:half]), most(samples[half:])
	if late.heap > early.heap+early.heap/2+soakHeapSlack || late.goroutines > 2*early.goroutines || late.descriptors > 2*early.descriptors {
		t.Errorf("it grows: at most %s in the first half, %s in the second", early, late)
	}
}

// most returns the greatest of each.
func most(samples []resources) (m resources) {
	for _, r := range samples {
		m.goroutines, m.descriptors, m.heap = max(m.goroutines, r.goroutines), max(m.descriptors, r.descriptors), max(m.heap, r.heap)
	}
	return m
}

// soakIndexes are the indexes of a node: not all have the same.
func soakIndexes(number int) (names []string) {
	for i, name := range []string{indexed.Filters, indexed.Txs, indexed.Spenders, indexed.Scripts, indexed.CoinStats} {
		if number%(2+i) == 0 {
			names = append(names, name)
		}
	}
	return names
}
