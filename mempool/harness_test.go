package mempool

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/store"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// anchor can be spent by anyone with an empty witness.
var anchor = []byte{0x51, 2, 0x4e, 0x73}

const maturity = 3

// testBlock is a block that a test made, with the coins after it by a naive
// replay.
type testBlock struct {
	*consensus.HashedBlock
	height uint32
	coins  map[types.OutPoint]types.Coin
}

// harness is a pool on a real chain on a real store, and a maker of blocks and
// transactions for them.
type harness struct {
	t       testing.TB
	params  *consensus.Params
	chain   *chain.Chain
	pool    *Pool
	genesis *testBlock
	tip     *testBlock
	now     time.Time
	counter uint32
	outputs map[types.OutPoint]types.TxOut // of all that was made
	key     *btcec.PrivateKey
}

func newHarness(t testing.TB, change func(*Options)) *harness {
	t.Helper()
	data, err := os.ReadFile("../testdata/bitcoin-regtest.json")
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, now: time.Unix(1_800_000_000, 0), outputs: map[types.OutPoint]types.TxOut{}}
	if h.params, err = network.Parse(data); err != nil {
		t.Fatal(err)
	}
	h.params.CoinbaseMaturity = maturity
	h.key, _ = btcec.PrivKeyFromBytes([]byte("a key that everybody knows......"))
	s, err := store.Open(t.TempDir(), store.Options{Network: h.params.Identity(), CacheBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	now := func() time.Time { return h.now }
	h.chain, err = chain.New(t.Context(), h.params, s, chain.Options{
		Now: now, Workers: 1,
		Verified: func(wtxid types.Hash) bool { return h.pool.Verified(wtxid) },
	})
	if err != nil {
		t.Fatal(err)
	}
	h.genesis = &testBlock{HashedBlock: h.params.GenesisBlock(), coins: map[types.OutPoint]types.Coin{}}
	h.tip = h.genesis
	h.pool = h.newPool(change)
	return h
}

func (h *harness) newPool(change func(*Options)) *Pool {
	o := Options{Params: h.params, Chain: h.chain, Now: func() time.Time { return h.now }}
	if change != nil {
		change(&o)
	}
	return New(o)
}

// taprootScript pays to the harness's key.
func (h *harness) taprootScript() []byte {
	return append([]byte{0x51, 32}, schnorr.SerializePubKey(h.key.PubKey())...)
}

// coinbaseOutputs is the number of anchors that a block makes.
const coinbaseOutputs = 20

// build makes a block on a parent.
func (h *harness) build(parent *testBlock, txs ...*types.Tx) *testBlock {
	h.t.Helper()
	h.counter++
	height := parent.height + 1
	scriptSig := []byte{3, byte(height), byte(height >> 8), byte(height >> 16)}
	if height <= 16 {
		scriptSig = []byte{0x50 + byte(height)}
	} else if height < 128 {
		scriptSig = []byte{1, byte(height)}
	} else if height < 1<<15 {
		scriptSig = []byte{2, byte(height), byte(height >> 8)}
	}
	coinbase := types.Tx{Version: 2, Inputs: []types.TxIn{{
		PreviousOutPoint: types.OutPoint{Index: types.NullIndex}, Sequence: 0xffffffff,
		ScriptSig: binary.LittleEndian.AppendUint32(append(scriptSig, 4), h.counter),
		Witness:   [][]byte{make([]byte, 32)},
	}}}
	for range coinbaseOutputs {
		coinbase.Outputs = append(coinbase.Outputs, types.TxOut{Value: 100_000_000, ScriptPubKey: anchor})
	}
	coinbase.Outputs = append(coinbase.Outputs, types.TxOut{Value: 100_000_000, ScriptPubKey: h.taprootScript()}, types.TxOut{})
	block := &types.Block{
		Header: types.Header{
			Version: 0x20000000, PrevBlock: parent.Hash, Bits: parent.Block.Header.Bits,
			Timestamp: parent.Block.Header.Timestamp + 60,
		},
		Txs: []types.Tx{coinbase},
	}
	for _, tx := range txs {
		block.Txs = append(block.Txs, *tx)
	}
	commit(block)
	for consensus.CheckHeader(h.params, &block.Header, block.Header.Hash()) != nil {
		block.Header.Nonce++
	}
	b := &testBlock{HashedBlock: consensus.HashBlock(block), height: height, coins: maps.Clone(parent.coins)}
	for i := range block.Txs {
		h.note(&block.Txs[i])
		for _, in := range block.Txs[i].Inputs {
			delete(b.coins, in.PreviousOutPoint)
		}
		for j := range block.Txs[i].Outputs {
			if out := &block.Txs[i].Outputs[j]; consensus.IsSpendable(out.ScriptPubKey) {
				b.coins[types.OutPoint{TxID: b.TxIDs[i], Index: uint32(j)}], _ = types.NewCoin(out, height, i == 0)
			}
		}
	}
	return b
}

// commit sets the witness commitment (BIP141) and the merkle root.
func commit(block *types.Block) {
	txids, wtxids := make([]types.Hash, len(block.Txs)), make([]types.Hash, len(block.Txs))
	for i := 1; i < len(block.Txs); i++ {
		wtxids[i] = block.Txs[i].WTxID()
	}
	root, _ := types.MerkleRoot(wtxids)
	commitment := types.DoubleSHA256(append(root[:], make([]byte, 32)...))
	outputs := block.Txs[0].Outputs
	outputs[len(outputs)-1].ScriptPubKey = append([]byte{0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed}, commitment[:]...)
	for i := range block.Txs {
		txids[i] = block.Txs[i].TxID()
	}
	block.Header.MerkleRoot, _ = types.MerkleRoot(txids)
}

// add gives the chain blocks, and the tip of the tests is the last of them.
func (h *harness) add(blocks ...*testBlock) {
	h.t.Helper()
	for _, b := range blocks {
		if err := h.chain.AddBlock(h.t.Context(), b.Raw); err != nil {
			h.t.Fatalf("AddBlock: %v", err)
		}
		h.tip = b
	}
	if got := h.chain.Tip().Hash; got != h.tip.Hash {
		h.t.Fatalf("the tip is %s, want %s", got, h.tip.Hash)
	}
}

// mine adds a block of transactions.
func (h *harness) mine(txs ...*types.Tx) *testBlock {
	h.t.Helper()
	h.add(h.build(h.tip, txs...))
	return h.tip
}

// mineEmpty adds n blocks.
func (h *harness) mineEmpty(n int) {
	h.t.Helper()
	for range n {
		h.mine()
	}
}

// note remembers the outputs of a transaction.
func (h *harness) note(tx *types.Tx) {
	txid := tx.TxID()
	for i := range tx.Outputs {
		h.outputs[types.OutPoint{TxID: txid, Index: uint32(i)}] = tx.Outputs[i]
	}
}

// coins returns n mature anchors of the tip's coins in a fixed order.
func (h *harness) coins(n int) []types.OutPoint {
	h.t.Helper()
	var list []types.OutPoint
	for outPoint, coin := range h.tip.coins {
		mature := !coin.IsCoinbase || h.tip.height+1-coin.Height >= maturity
		if mature && string(coin.ScriptPubKey()) == string(anchor) {
			list = append(list, outPoint)
		}
	}
	slices.SortFunc(list, compareOutPoints)
	if len(list) < n {
		h.t.Fatalf("%d anchors, want %d", len(list), n)
	}
	return list[:n]
}

func compareOutPoints(a, b types.OutPoint) int {
	if d := slices.Compare(a.TxID[:], b.TxID[:]); d != 0 {
		return d
	}
	return int(a.Index) - int(b.Index)
}

// pay makes a transaction that spends outpoints, pays a fee, and divides the rest
// among a number of anchors. Each call's is different.
func (h *harness) pay(fee types.Amount, outputs int, outPoints ...types.OutPoint) *types.Tx {
	h.t.Helper()
	tx := &types.Tx{Version: 2}
	total := -fee
	for _, outPoint := range outPoints {
		out, ok := h.outputs[outPoint]
		if !ok {
			h.t.Fatalf("nobody made %s", outPoint)
		}
		total += out.Value
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: outPoint, Sequence: 0xffffffff})
	}
	for i := range outputs {
		value := total / types.Amount(outputs)
		if i == 0 {
			value += total % types.Amount(outputs)
		}
		tx.Outputs = append(tx.Outputs, types.TxOut{Value: value, ScriptPubKey: anchor})
	}
	h.counter++
	nonce := binary.BigEndian.AppendUint32([]byte{0x6a, 4}, h.counter)
	tx.Outputs = append(tx.Outputs, types.TxOut{ScriptPubKey: nonce})
	h.note(tx)
	return tx
}

// sign signs the inputs that spend the harness's key, and notes the outputs anew.
func (h *harness) sign(tx *types.Tx) *types.Tx {
	h.t.Helper()
	prevouts := make([]types.TxOut, len(tx.Inputs))
	for i := range tx.Inputs {
		prevouts[i] = h.outputs[tx.Inputs[i].PreviousOutPoint]
	}
	for i := range tx.Inputs {
		if string(prevouts[i].ScriptPubKey) != string(h.taprootScript()) {
			continue
		}
		hash, err := taproot.NewContext(tx, prevouts).SignatureHash(i, 0, nil, nil)
		if err != nil {
			h.t.Fatal(err)
		}
		signature, err := schnorr.Sign(h.key, hash[:])
		if err != nil {
			h.t.Fatal(err)
		}
		tx.Inputs[i].Witness = [][]byte{signature.Serialize()}
	}
	h.note(tx)
	return tx
}

// output names an output of a transaction.
func output(tx *types.Tx, index uint32) types.OutPoint {
	return types.OutPoint{TxID: tx.TxID(), Index: index}
}

// accept gives the pool transactions that it must take.
func (h *harness) accept(txs ...*types.Tx) {
	h.t.Helper()
	for i, tx := range txs {
		if _, err := h.pool.Accept(h.t.Context(), tx, 0); err != nil {
			h.t.Fatalf("transaction %d is refused: %v", i, err)
		}
	}
	checkGraph(h.t, h.pool)
}

// refuse gives the pool a transaction that it must refuse for a reason.
func (h *harness) refuse(tx *types.Tx, kind error, reason consensus.Reason) {
	h.t.Helper()
	_, err := h.pool.Accept(h.t.Context(), tx, 0)
	if !errors.Is(err, reason) || !errors.Is(err, kind) {
		h.t.Fatalf("Accept: %v, want %v (%v)", err, reason, kind)
	}
	for _, other := range []error{consensus.ErrInvalid, consensus.ErrNotYet, consensus.ErrPolicy, consensus.ErrLocal} {
		if other != kind && errors.Is(err, other) {
			h.t.Fatalf("%v is both %v and %v", err, kind, other)
		}
	}
	checkGraph(h.t, h.pool)
}

// expect brings the pool to the tip and compares what it holds.
func (h *harness) expect(txs ...*types.Tx) {
	h.t.Helper()
	h.sync()
	want := map[types.Hash]bool{}
	for i, tx := range txs {
		want[tx.TxID()] = true
		if h.pool.Get(tx.TxID()) == nil {
			h.t.Errorf("transaction %d is not in the pool", i)
		}
	}
	for _, e := range h.pool.Entries() {
		if !want[e.TxID] {
			h.t.Errorf("transaction %s should not be in the pool", e.TxID)
		}
	}
	if h.t.Failed() {
		h.t.FailNow()
	}
}

func (h *harness) sync() {
	h.t.Helper()
	if err := h.pool.CatchUp(context.Background()); err != nil {
		h.t.Fatalf("catchUp: %v", err)
	}
	checkGraph(h.t, h.pool)
	if got := h.pool.Info().Position; got != h.chain.Tip() {
		h.t.Fatalf("the pool is at %s, the chain at %s", got, h.chain.Tip())
	}
}

// checkGraph checks that everything that the graph keeps agrees with the
// transactions in it, computed the naive way.
func checkGraph(t testing.TB, p *Pool) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.graph
	usage, vsize, fees, inputs, nodes := 0, 0, types.Amount(0), 0, 0
	for at, c := range g.clusters {
		if c.heapAt != at {
			t.Fatalf("cluster %d thinks that it is %d", at, c.heapAt)
		}
		if at > 0 && g.clusters.Less(at, (at-1)/2) {
			t.Fatalf("the heap is out of order at %d", at)
		}
		for i, n := range c.nodes {
			nodes++
			usage, vsize, fees, inputs = usage+usageOf(n.Entry), vsize+n.VSize, fees+n.Fee, inputs+len(n.Tx.Inputs)
			if n.cluster != c || n.at != i || g.byTxID[n.TxID] != n || g.byWTxID[n.WTxID] != n {
				t.Fatalf("node %d of cluster %d is not where it says", i, at)
			}
			for j := range n.Tx.Inputs {
				outPoint := n.Tx.Inputs[j].PreviousOutPoint
				if g.spends[outPoint] != n {
					t.Fatalf("%s is not known to be spent by %s", outPoint, n.TxID)
				}
				if parent := g.byTxID[outPoint.TxID]; parent != nil && (parent.cluster != c || parent.at >= n.at) {
					t.Fatalf("%s stands before its parent, or apart from it", n.TxID)
				}
			}
		}
	}
	if nodes != len(g.byTxID) || nodes != len(g.byWTxID) || inputs != len(g.spends) {
		t.Fatalf("%d nodes with %d inputs, the maps have %d, %d and %d", nodes, inputs, len(g.byTxID), len(g.byWTxID), len(g.spends))
	}
	if usage != g.usage || vsize != g.vsize || fees != g.fees {
		t.Fatalf("sums are %d %d %d, should be %d %d %d", g.usage, g.vsize, g.fees, usage, vsize, fees)
	}
	if usage > p.options.MaxBytes {
		t.Fatalf("the pool takes %d bytes, more than %d", usage, p.options.MaxBytes)
	}
}
