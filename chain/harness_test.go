package chain

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// testParams are Bitcoin's regtest parameters with coins that mature at once,
// so that short chains can spend.
func testParams(t testing.TB) *consensus.Params {
	t.Helper()
	data, err := os.ReadFile("../testdata/bitcoin-regtest.json")
	if err != nil {
		t.Fatal(err)
	}
	params, err := network.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	params.CoinbaseMaturity = 1
	return params
}

// memStore is the naive twin of the real store: maps, and a copy of them for
// what a crash leaves.
type memStore struct {
	bodies, savedBodies map[types.Hash][]byte
	undos, savedUndos   map[types.Hash][]types.Coin
	coins, savedCoins   map[types.OutPoint]types.Coin
	records             map[types.Hash]consensus.HeaderRecord
	tip                 types.Index
	flushes             int
	flushEvery          int // updates between demands to flush; 0: never
	updates             int
	failAt              int // the write that fails; 0: none
	prune               bool
	writes              int
}

func newMemStore() *memStore {
	return &memStore{
		bodies: map[types.Hash][]byte{}, savedBodies: map[types.Hash][]byte{},
		undos: map[types.Hash][]types.Coin{}, savedUndos: map[types.Hash][]types.Coin{},
		coins: map[types.OutPoint]types.Coin{}, savedCoins: map[types.OutPoint]types.Coin{},
		records: map[types.Hash]consensus.HeaderRecord{},
	}
}

// crash forgets bodies that were not made durable; open forgets coins.
func (s *memStore) crash() {
	s.bodies, s.undos = maps.Clone(s.savedBodies), maps.Clone(s.savedUndos)
}

func (s *memStore) write() error {
	s.writes++
	if s.writes == s.failAt {
		return fmt.Errorf("the disk broke at write %d", s.writes)
	}
	return nil
}

func (s *memStore) WriteBlock(at types.Index, raw []byte) error {
	s.bodies[at.Hash] = slices.Clone(raw)
	return s.write()
}

func (s *memStore) ReadBlock(hash types.Hash) ([]byte, error) {
	if raw, ok := s.bodies[hash]; ok {
		return raw, nil
	}
	return nil, fmt.Errorf("no body of %s", hash)
}

func (s *memStore) WriteUndo(at types.Index, coins []types.Coin) error {
	s.undos[at.Hash] = slices.Clone(coins)
	return s.write()
}

func (s *memStore) ReadUndo(hash types.Hash) ([]types.Coin, error) {
	if coins, ok := s.undos[hash]; ok {
		return coins, nil
	}
	return nil, fmt.Errorf("no undo data of %s", hash)
}

func (s *memStore) Prune(below uint32) (pruned []types.Hash, err error) {
	for hash, r := range s.records {
		if s.prune && r.Height < below && r.Status.Has(consensus.StatusBody) {
			r.Status &^= consensus.StatusBody | consensus.StatusUndo
			s.records[hash] = r
			for _, m := range []map[types.Hash][]byte{s.bodies, s.savedBodies} {
				delete(m, hash)
			}
			for _, m := range []map[types.Hash][]types.Coin{s.undos, s.savedUndos} {
				delete(m, hash)
			}
			pruned = append(pruned, hash)
		}
	}
	return pruned, nil
}

func (s *memStore) FetchCoins(outPoints []types.OutPoint, into []consensus.FetchedCoin) error {
	for i, outPoint := range outPoints {
		coin, ok := s.coins[outPoint]
		into[i] = consensus.FetchedCoin{Coin: coin, Found: ok}
	}
	return nil
}

func (s *memStore) ApplyUpdate(u *consensus.Update) error  { return s.move(u.Spent, u.Created) }
func (s *memStore) RevertUpdate(u *consensus.Update) error { return s.move(u.Created, u.Spent) }

func (s *memStore) move(out, in []consensus.CoinEntry) error {
	s.updates++
	for _, entry := range out {
		if s.coins[entry.OutPoint] != entry.Coin {
			return fmt.Errorf("coin %s is not there as it should be", entry.OutPoint)
		}
		delete(s.coins, entry.OutPoint)
	}
	for _, entry := range in {
		if _, there := s.coins[entry.OutPoint]; there {
			return fmt.Errorf("coin %s is there already", entry.OutPoint)
		}
		s.coins[entry.OutPoint] = entry.Coin
	}
	return nil
}

func (s *memStore) CoinsTip() types.Index { return s.tip }
func (s *memStore) NeedsFlush() bool      { return s.flushEvery > 0 && s.updates >= s.flushEvery }

func (s *memStore) CoinSnapshot() (func(func(types.OutPoint, *types.Coin) error) error, error) {
	coins := maps.Clone(s.savedCoins)
	return func(each func(types.OutPoint, *types.Coin) error) error {
		for outPoint, coin := range coins {
			if err := each(outPoint, &coin); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func (s *memStore) Headers(each func(consensus.HeaderRecord) error) error {
	for _, r := range s.records {
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *memStore) SaveHeaders(records []consensus.HeaderRecord) error {
	if err := s.write(); err != nil {
		return err
	}
	s.savedBodies, s.savedUndos = maps.Clone(s.bodies), maps.Clone(s.undos)
	for _, r := range records {
		s.records[r.Hash] = r
	}
	return nil
}

func (s *memStore) Flush(records []consensus.HeaderRecord, tip types.Index) error {
	if err := s.SaveHeaders(records); err != nil {
		return err
	}
	s.savedCoins, s.tip = maps.Clone(s.coins), tip
	s.updates = 0
	s.flushes++
	return nil
}

// testBlock is a block that a test made, with the coin set that a naive replay
// gives after it.
type testBlock struct {
	*consensus.HashedBlock
	name   string
	parent *testBlock
	height uint32
	fault  consensus.Reason // what it breaks itself; empty: nothing
	coins  map[types.OutPoint]types.Coin
}

// valid reports whether neither the block nor one below breaks a rule.
func (b *testBlock) valid() bool {
	return b == nil || b.fault == "" && b.parent.valid()
}

func (b *testBlock) index() types.Index { return types.Index{Height: b.height, Hash: b.Hash} }

// harness is a chain under test and a builder of blocks for it.
type harness struct {
	t       testing.TB
	params  *consensus.Params
	store   *memStore
	chain   *Chain
	genesis *testBlock
	key     *btcec.PrivateKey
	script  []byte // pays to key
	counter uint32
	now     time.Time
}

func newHarness(t testing.TB) *harness {
	t.Helper()
	h := &harness{t: t, params: testParams(t), store: newMemStore(), now: time.Unix(1_800_000_000, 0)}
	genesis := h.params.GenesisBlock()
	h.genesis = &testBlock{HashedBlock: genesis, name: "genesis", coins: map[types.OutPoint]types.Coin{}}
	for _, entry := range h.params.GenesisCoins() {
		h.genesis.coins[entry.OutPoint] = entry.Coin
	}
	h.key, _ = btcec.PrivKeyFromBytes([]byte("a key that everybody knows......"))
	h.script = append([]byte{0x51, 32}, schnorr.SerializePubKey(h.key.PubKey())...)
	h.open()
	return h
}

// open makes the chain anew from the store, whose coin cache a restart empties.
func (h *harness) open() {
	h.t.Helper()
	h.store.coins = maps.Clone(h.store.savedCoins)
	c, err := New(context.Background(), h.params, h.store, Options{Workers: 2, Prune: h.store.prune, Now: func() time.Time { return h.now }})
	if err != nil {
		h.t.Fatalf("open the chain: %v", err)
	}
	h.chain = c
}

// anyoneScript is a witness program of a version without rules, distinct at
// each call: anyone can spend it, with an empty witness.
func (h *harness) anyoneScript() []byte {
	h.counter++
	return binary.BigEndian.AppendUint32([]byte{0x52, 4}, h.counter|1<<31)
}

// spend makes a transaction that moves the given coins of the parent's set to
// one output, with a fee of one grain.
func (h *harness) spend(parent *testBlock, script []byte, outPoints ...types.OutPoint) types.Tx {
	tx := types.Tx{Version: 2}
	total := types.Amount(-1)
	var prevouts []types.TxOut
	for _, outPoint := range outPoints {
		coin := parent.coins[outPoint]
		total += coin.Value
		prevouts = append(prevouts, types.TxOut{Value: coin.Value, ScriptPubKey: slices.Clone(coin.ScriptPubKey())})
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: outPoint, Sequence: 0xffffffff})
	}
	tx.Outputs = []types.TxOut{{Value: total, ScriptPubKey: script}}
	h.sign(&tx, prevouts)
	return tx
}

// sign signs the inputs that spend the harness's key.
func (h *harness) sign(tx *types.Tx, prevouts []types.TxOut) {
	for i := range tx.Inputs {
		if string(prevouts[i].ScriptPubKey) != string(h.script) {
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
}

// build makes a block of transactions on the parent. change, if there is one,
// spoils it before its proof of work is found; fault says how.
func (h *harness) build(name string, parent *testBlock, txs []types.Tx, fault consensus.Reason, change func(*types.Block)) *testBlock {
	h.t.Helper()
	h.counter++
	height := parent.height + 1
	fees := types.Amount(len(txs))
	scriptSig := []byte{3, byte(height), byte(height >> 8), byte(height >> 16)}
	if height <= 16 {
		scriptSig = []byte{0x50 + byte(height)}
	} else if height < 128 {
		scriptSig = []byte{1, byte(height)}
	} else if height < 1<<15 {
		scriptSig = []byte{2, byte(height), byte(height >> 8)}
	}
	scriptSig = append(scriptSig, 4, byte(h.counter), byte(h.counter>>8), byte(h.counter>>16), byte(h.counter>>24))
	reward := types.TxOut{Value: consensus.Subsidy(h.params, height) + fees, ScriptPubKey: h.anyoneScript()}
	coinbase := types.Tx{
		Version: 2,
		Inputs: []types.TxIn{{
			PreviousOutPoint: types.OutPoint{Index: types.NullIndex}, ScriptSig: scriptSig, Sequence: 0xffffffff,
			Witness: [][]byte{make([]byte, 32)},
		}},
		Outputs: []types.TxOut{reward, {}},
	}
	block := &types.Block{
		Header: types.Header{
			Version: 0x20000000, PrevBlock: parent.Hash, Bits: parent.Block.Header.Bits,
			Timestamp: parent.Block.Header.Timestamp + 1,
		},
		Txs: append([]types.Tx{coinbase}, txs...),
	}
	commit(block)
	if change != nil {
		change(block)
	}
	h.mine(block)
	b := &testBlock{HashedBlock: consensus.HashBlock(block), name: name, parent: parent, height: height, fault: fault}
	if b.valid() {
		b.coins = replay(parent.coins, b)
	}
	return b
}

// commit sets the witness commitment (BIP141) and the merkle root.
func commit(block *types.Block) {
	wtxids := make([]types.Hash, len(block.Txs))
	for i := 1; i < len(block.Txs); i++ {
		wtxids[i] = block.Txs[i].WTxID()
	}
	root, _ := types.MerkleRoot(wtxids)
	commitment := types.DoubleSHA256(append(root[:], make([]byte, 32)...))
	block.Txs[0].Outputs[1].ScriptPubKey = append([]byte{0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed}, commitment[:]...)
	setMerkleRoot(block)
}

func setMerkleRoot(block *types.Block) {
	txids := make([]types.Hash, len(block.Txs))
	for i := range block.Txs {
		txids[i] = block.Txs[i].TxID()
	}
	block.Header.MerkleRoot, _ = types.MerkleRoot(txids)
}

func (h *harness) mine(block *types.Block) {
	for consensus.CheckHeader(h.params, &block.Header, block.Header.Hash()) != nil {
		block.Header.Nonce++
	}
}

// replay is the naive rule of what a block does to a coin set.
func replay(before map[types.OutPoint]types.Coin, b *testBlock) map[types.OutPoint]types.Coin {
	after := maps.Clone(before)
	for i := range b.Block.Txs {
		tx := &b.Block.Txs[i]
		for _, in := range tx.Inputs {
			delete(after, in.PreviousOutPoint)
		}
		for j := range tx.Outputs {
			if version, _, ok := types.WitnessProgram(tx.Outputs[j].ScriptPubKey); ok && version > 0 {
				after[types.OutPoint{TxID: b.TxIDs[i], Index: uint32(j)}], _ = types.NewCoin(&tx.Outputs[j], b.height, i == 0)
			}
		}
	}
	return after
}

// add gives blocks to the chain in one stream and returns the verdicts.
func (h *harness) add(blocks ...*testBlock) map[types.Hash]error {
	h.t.Helper()
	verdicts := map[types.Hash]error{}
	err := h.chain.AddBlocks(context.Background(), func(yield func([]byte) bool) {
		for _, b := range blocks {
			if !yield(b.Raw) {
				return
			}
		}
	}, func(r Result) { verdicts[r.Block.Hash] = r.Err })
	if err != nil {
		h.t.Fatalf("AddBlocks: %v", err)
	}
	return verdicts
}

// expectTip checks the tip and that the coins are those of a replay.
func (h *harness) expectTip(want *testBlock) {
	h.t.Helper()
	if got := h.chain.Tip(); got != want.index() {
		h.t.Fatalf("tip is %s, want %s (%s)", got, want.index(), want.name)
	}
	h.expectCoins(want)
}

func (h *harness) expectCoins(want *testBlock) {
	h.t.Helper()
	if !maps.Equal(h.store.coins, want.coins) {
		h.t.Fatalf("at %s the store has %d coins, a replay from genesis %d, or they differ", want.name, len(h.store.coins), len(want.coins))
	}
}

// linear builds n blocks without payments.
func (h *harness) linear(prefix string, parent *testBlock, n int) []*testBlock {
	var blocks []*testBlock
	for i := range n {
		parent = h.build(fmt.Sprintf("%s%d", prefix, i+1), parent, nil, "", nil)
		blocks = append(blocks, parent)
	}
	return blocks
}

// anyCoin returns a coin of the set that can be spent in a child of the block.
func (h *harness) anyCoin(b *testBlock) types.OutPoint {
	h.t.Helper()
	best, found := types.OutPoint{}, false
	for outPoint, coin := range b.coins {
		if coin.IsCoinbase && coin.Height+h.params.CoinbaseMaturity > b.height+1 {
			continue
		}
		if !found || slices.Compare(outPoint.TxID[:], best.TxID[:]) < 0 {
			best, found = outPoint, true
		}
	}
	if !found {
		h.t.Fatalf("no coin to spend at %s", b.name)
	}
	return best
}
