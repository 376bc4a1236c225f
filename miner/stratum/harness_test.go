package stratum

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/pipenet"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/internal/stratumtest"
)

// testChain is a chain that takes blocks which are valid by all that can be known of
// them without coins, and the templates on it.
type testChain struct {
	params *consensus.Params
	now    func() time.Time
	delay  time.Duration // of templates on a new tip
	poke.Bell

	mu       sync.Mutex
	state    consensus.State
	entries  []*pending.Entry
	template *template.Template
	blocks   []*types.Block // the last ten of those that were taken
	taken    int
	refuse   error
}

func newTestChain(t testing.TB, difficulty float64, now func() time.Time) *testChain {
	t.Helper()
	params, err := karat.LoadNetwork("../../testdata/bitcoin-regtest.json")
	if err != nil {
		t.Fatal(err)
	}
	if difficulty > 0 {
		params.Genesis.Bits = consensus.CompactBits(targetOf(difficulty))
	}
	header := params.GenesisBlock().Block.Header
	header.Timestamp = uint32(now().Unix())
	state := consensus.NewState(types.Index{Height: 200, Hash: types.Hash{7}}, header, consensus.Uint256{1}, []uint32{header.Timestamp - 600})
	return &testChain{params: params, now: now, state: state}
}

func (c *testChain) TipState() consensus.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// AddBlock implements Chain.
func (c *testChain) AddBlock(_ context.Context, raw []byte) error {
	block, err := types.DecodeBlock(raw)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		return c.refuse
	}
	hashed := consensus.HashBlock(block)
	err = errors.Join(consensus.CheckHeader(c.params, &block.Header, block.Hash()), consensus.ValidateHeader(c.params, &c.state, &block.Header, c.now().Unix()),
		consensus.CheckBlock(c.params, hashed), consensus.ValidateBlock(c.params, &c.state, hashed))
	if err != nil {
		return err
	}
	c.blocks = append(c.blocks[max(0, len(c.blocks)-9):], block)
	c.taken++
	c.extend(&block.Header)
	return nil
}

// extend moves the tip. It assumes mu.
func (c *testChain) extend(header *types.Header) {
	c.state = c.state.Extend(header, header.Hash())
	c.template = nil
	c.Ring()
}

// advance is a block of somebody else.
func (c *testChain) advance() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.extend(&types.Header{Version: 0x20000000, PrevBlock: c.state.Index.Hash, Timestamp: uint32(c.now().Unix()), Bits: c.params.Genesis.Bits})
}

// Template implements Templates.
func (c *testChain) Template() *template.Template {
	c.mu.Lock()
	made, delay := c.template != nil, c.delay
	c.mu.Unlock()
	if !made && delay > 0 {
		time.Sleep(delay)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.template == nil {
		c.template = template.New(c.params, &c.state, c.entries, 8000, c.now())
	}
	return c.template
}

func (c *testChain) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taken
}

func (c *testChain) mined() []*types.Block {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*types.Block(nil), c.blocks...)
}

// world is a server with a chain, in a network of pipes.
type world struct {
	t       testing.TB
	chain   *testChain
	pool    poke.Bell
	network *pipenet.Network
	server  *Server
	stop    func()
}

const serverAddress = "server:3333"

// newWorld runs a server in a bubble. It stops when the test ends.
func newWorld(t testing.TB, difficulty float64, change func(*Options)) *world {
	t.Helper()
	w := &world{t: t, network: pipenet.New(), chain: newTestChain(t, difficulty, time.Now)}
	o := Options{Params: w.chain.params, Templates: w.chain, Chain: w.chain, Pool: &w.pool, Listener: w.network.Listen(serverAddress), Tag: "/test/"}
	if change != nil {
		change(&o)
	}
	w.server = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended: %v", err)
		}
	})
	return w
}

// address is that of a taproot output of whoever has such a number.
func (w *world) address(n byte) string {
	w.t.Helper()
	return encodeAddress(w.t, w.chain.params.HRP, scriptOf(n))
}

func encodeAddress(t testing.TB, hrp string, script []byte) string {
	t.Helper()
	address, err := taproot.EncodeAddress(hrp, script)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func scriptOf(n byte) []byte {
	script := make([]byte, 34)
	script[0], script[1], script[2] = 0x51, 32, n
	return script
}

// dial connects a miner.
func (w *world) dial(host string) *stratumtest.Client {
	w.t.Helper()
	conn, err := w.network.Dial(host, serverAddress)
	if err != nil {
		w.t.Fatal(err)
	}
	return stratumtest.New(conn)
}

// miner is a client that has a job.
func (w *world) miner(host string, n byte) *stratumtest.Client {
	w.t.Helper()
	c := w.dial(host)
	if err := c.Start(w.address(n) + "." + host); err != nil {
		w.t.Fatal(err)
	}
	w.job(c)
	return c
}

// job returns the job that a client has when all is quiet.
func (w *world) job(c *stratumtest.Client) *stratumtest.Job {
	w.t.Helper()
	synctest.Wait()
	job, _ := c.Current()
	if job == nil {
		w.t.Fatal("the miner has no job")
	}
	return job
}

// inBubble runs a test with a world, on a clock that goes when all wait.
func inBubble(t *testing.T, difficulty float64, change func(*Options), test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, difficulty, change)
		defer w.stop()
		test(t, w)
	})
}

// refusal is the code and text with which a share was refused.
func refusal(t testing.TB, err error) stratumtest.Refusal {
	t.Helper()
	var r *stratumtest.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("%v is no refusal", err)
	}
	return *r
}

// search finds a share, or fails.
func search(t testing.TB, job *stratumtest.Job, extraNonce2 uint32) stratumtest.Share {
	t.Helper()
	share, ok := job.Search(extraNonce2, 0, 1<<22)
	if !ok {
		t.Fatal("no share was found")
	}
	return share
}
