package miner

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/store"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/mempool"
)

// impossible are bits that no block has the work for.
const impossible = 0x03000001

const coin = 100_000_000

func testParams(t testing.TB) *consensus.Params {
	t.Helper()
	params, err := karat.LoadNetwork("../testdata/bitcoin-regtest.json")
	if err != nil {
		t.Fatal(err)
	}
	params.CoinbaseMaturity = 1
	return params
}

// world is a miner on a real chain with a real pool.
type world struct {
	chaintest.Outputs
	t      testing.TB
	params *consensus.Params
	chain  *chain.Chain
	pool   *mempool.Pool
	miner  *Miner
	clock  atomic.Int64     // nanoseconds since 1970; the pool reads it too
	free   []types.OutPoint // anchors that nobody spends
}

func newWorld(t testing.TB, change func(*consensus.Params, *Options)) *world {
	t.Helper()
	w := &world{t: t, params: testParams(t), Outputs: chaintest.Outputs{}}
	w.setTime(time.Unix(1_800_000_000, 0))
	o := Options{Params: w.params, ScriptPubKey: chaintest.Anchor, Now: w.now}
	if change != nil {
		change(w.params, &o)
	}
	s, err := store.Open(t.TempDir(), store.Options{Network: w.params.Identity(), CacheBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	w.chain, err = chain.New(t.Context(), w.params, s, chain.Options{Now: o.Now, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	w.pool = mempool.New(mempool.Options{Params: w.params, Chain: w.chain, Now: o.Now})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.pool.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait(); s.Close() })
	o.Chain, o.Pool = w.chain, w.pool
	w.miner = New(o)
	return w
}

func (w *world) now() time.Time        { return time.Unix(0, w.clock.Load()) }
func (w *world) setTime(now time.Time) { w.clock.Store(now.UnixNano()) }

// template waits until the pool has followed the chain.
func (w *world) template() *template.Template {
	w.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		if t := w.miner.Template(); !t.PoolBehind {
			return t
		}
		if time.Now().After(deadline) {
			w.t.Fatal("the pool does not follow the chain")
		}
	}
}

// mine makes a block of what is in the pool, an hour later.
func (w *world) mine() *types.Block {
	w.t.Helper()
	w.setTime(w.now().Add(time.Hour))
	w.template()
	hashes, err := w.miner.Generate(w.t.Context(), 1, chaintest.Anchor, 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	if tip := w.chain.Tip(); tip.Hash != hashes[0] {
		w.t.Fatalf("the tip is %s, want %s", tip, hashes[0])
	}
	raw, err := w.chain.Block(hashes[0])
	if err != nil {
		w.t.Fatal(err)
	}
	block, err := types.DecodeBlock(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	w.release(&block.Txs[0])
	return block
}

// release notes a transaction, and lets its outputs be spent.
func (w *world) release(tx *types.Tx) {
	w.Note(tx)
	for i, out := range tx.Outputs {
		if out.Value > 0 {
			w.free = append(w.free, chaintest.Output(tx, uint32(i)))
		}
	}
}

// pay spends one of the free outputs, divides it and leaves a fee.
func (w *world) pay(which int, outputs int, fee types.Amount) *types.Tx {
	from := w.free[which]
	w.free = slices.Delete(w.free, which, which+1)
	return w.Pay(fee, outputs, from)
}

func (w *world) accept(tx *types.Tx) {
	w.t.Helper()
	if _, err := w.pool.Accept(w.t.Context(), tx, 0); err != nil {
		w.t.Fatal(err)
	}
	w.release(tx)
}

// check holds what is true of every template on the tip, and returns a block of it.
func (w *world) check(tpl *template.Template) *types.Block {
	w.t.Helper()
	state := w.chain.TipState()
	whole := w.miner.block(tpl, chaintest.Anchor)
	block := consensus.HashBlock(whole)
	if tpl.Height != state.Index.Height+1 || tpl.Weight < block.Weight || tpl.Weight > w.params.MaxBlockWeight {
		w.t.Fatalf("height %d on %d, weight %d of %d", tpl.Height, state.Index.Height, tpl.Weight, block.Weight)
	}
	if err := consensus.ValidateHeader(w.params, &state, &whole.Header, w.now().Unix()); err != nil {
		w.t.Fatal(err)
	}
	if err := consensus.CheckBlock(w.params, block); err != nil {
		w.t.Fatal(err)
	}
	if err := consensus.ValidateBlock(w.params, &state, block); err != nil {
		w.t.Fatal(err)
	}
	// The coinbase takes the subsidy, which is halved every 150 blocks, and all fees.
	fees := types.Amount(0)
	made := map[types.Hash]bool{}
	for i := range whole.Txs[1:] {
		tx := &whole.Txs[i+1]
		for _, in := range tx.Inputs {
			out, ok := w.Outputs[in.PreviousOutPoint]
			if !ok {
				w.t.Fatalf("nobody made %s", in.PreviousOutPoint)
			}
			fees += out.Value
			if e := w.pool.Get(in.PreviousOutPoint.TxID); e != nil && !made[in.PreviousOutPoint.TxID] {
				w.t.Fatal("a child comes before its parent")
			}
		}
		for _, out := range tx.Outputs {
			fees -= out.Value
		}
		made[tx.TxID()] = true
	}
	outputs := whole.Txs[0].Outputs
	if want := types.Amount(50*coin>>(tpl.Height/150)) + fees; outputs[0].Value != want || tpl.Fees != fees || outputs[1].Value != 0 || len(outputs) != 2 {
		w.t.Fatalf("the coinbase takes %d, want %d; fees are %d, want %d", outputs[0].Value, want, tpl.Fees, fees)
	}
	return whole
}

// fakeChain is a chain of nothing but a state. Its channels tell of calls.
type fakeChain struct {
	poke   chan struct{}
	asked  chan struct{} // TipState was called; nil: do not tell
	over   chan struct{} // closed when nobody listens to asked any longer
	refuse error

	mu     sync.Mutex
	state  consensus.State
	blocks []*types.Block
}

func newFakeChain(params *consensus.Params, now int64) *fakeChain {
	header := params.GenesisBlock().Block.Header
	header.Timestamp = uint32(now)
	return &fakeChain{
		poke:  make(chan struct{}, 1),
		state: consensus.NewState(types.Index{Height: 7, Hash: types.Hash{7}}, header, consensus.Uint256{1}, []uint32{uint32(now)}),
	}
}

func (c *fakeChain) TipState() consensus.State {
	if c.asked != nil {
		select {
		case c.asked <- struct{}{}:
		case <-c.over:
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

func (c *fakeChain) AddBlock(_ context.Context, raw []byte) error {
	block, err := types.DecodeBlock(raw)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocks = append(c.blocks, block)
	if c.refuse != nil {
		return c.refuse
	}
	c.state = c.state.Extend(&block.Header, block.Hash())
	select {
	case c.poke <- struct{}{}:
	default:
	}
	return nil
}

func (c *fakeChain) mined() []*types.Block {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.blocks)
}

func (c *fakeChain) Subscribe() (<-chan struct{}, func()) { return c.poke, func() {} }

// fakePool is a pool of candidates for a tip.
type fakePool struct {
	poke    chan struct{}
	make    func(maxWeight int) ([]*pending.Entry, types.Index)
	info    pending.Info
	changes *atomic.Uint64 // nil: info tells
	selects int
}

func (p *fakePool) Select(want pending.Selection) ([]*pending.Entry, types.Index) {
	p.selects++
	return p.make(want.MaxWeight)
}

func (p *fakePool) Info() pending.Info {
	if p.changes != nil {
		return pending.Info{Sequence: p.changes.Load()}
	}
	return p.info
}

func (p *fakePool) Subscribe() (<-chan struct{}, func()) { return p.poke, func() {} }
