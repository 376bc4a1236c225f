package consensus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
)

// bothScripts runs a transaction's scripts, at once and with claims in a batch,
// which must agree.
func bothScripts(t testing.TB, tx *types.Tx, prevouts []types.TxOut) error {
	t.Helper()
	b := HashBlock(&types.Block{Txs: []types.Tx{{}, *tx}})
	err := CheckScripts(b, prevouts, 1, 2, nil, nil)
	var batch secp.Batch
	if deferred := CheckScripts(b, prevouts, 1, 2, &batch, nil) == nil && batch.Verify(); deferred != (err == nil) {
		t.Errorf("transaction %s at once: %v, in a batch: %v", tx.TxID(), err, deferred)
	}
	if judged := JudgeScripts(b, prevouts); fmt.Sprint(judged) != fmt.Sprint(err) {
		t.Errorf("transaction %s at once: %v, judged: %v", tx.TxID(), err, judged)
	}
	return err
}

// newReplay is a chain on Bitcoin's regtest network itself.
func newReplay(t testing.TB) *chainTest {
	params := regtest(t)
	if entries := params.GenesisCoins(); len(entries) != 0 {
		t.Fatalf("Bitcoin's genesis block makes %d coins", len(entries))
	}
	return chainOf(t, params)
}

func (c *chainTest) stats() coinstats.Stats {
	collector := coinstats.New(true, true)
	for _, outPoint := range slices.SortedFunc(maps.Keys(c.coins), func(a, b types.OutPoint) int {
		if d := bytes.Compare(a.TxID[:], b.TxID[:]); d != 0 {
			return d
		}
		return int(a.Index) - int(b.Index)
	}) {
		entry := c.coins[outPoint]
		collector.Add(outPoint, &entry)
	}
	return collector.Result()
}

// undoTo takes blocks back, by undo data, until the height, and returns them.
func (c *chainTest) undoTo(height uint32, undo [][]types.Coin, states []State) {
	c.Helper()
	for at := c.state.Index.Height; at > height; at-- {
		b := c.blocks[at-1]
		u, err := RevertUpdate(b, states[at-1].Index, at, undo[at-1])
		if err != nil {
			c.Fatal(err)
		}
		c.apply(&Update{Spent: u.Created, Created: u.Spent})
	}
	c.state, c.medians, c.blocks = states[height], c.medians[:height+1], c.blocks[:height]
}

// undoData is what a node would have written when it connected the block.
func undoData(b *HashedBlock, coins map[types.OutPoint]types.Coin) []types.Coin {
	var undo []types.Coin
	for _, outPoint := range b.External {
		undo = append(undo, coins[outPoint])
	}
	return undo
}

// amountOf is a number in Core's JSON: coins, exactly.
type amountOf types.Amount

func (a *amountOf) UnmarshalJSON(b []byte) error {
	parsed, err := types.ParseAmount(string(b))
	*a = amountOf(parsed)
	return err
}

type chainVector struct {
	Genesis string
	TipHash string `json:"tip_hash_serialized_3"`
	Blocks  []struct {
		Height        uint32
		Hash, Block   string
		Prevouts      [][]string
		Weight, Size  int
		Stripped      int `json:"stripped_size"`
		MedianTime    uint32
		Chainwork     string
		TxIDs, WTxIDs []string
		Fees          types.Amount `json:"fees_sat"`
		UTXO          struct {
			TxOuts   uint64
			MuHash   string
			Total    types.Amount `json:"total_amount_sat"`
			BogoSize uint64
		}
	}
}

// A chain that Core made and validated: every figure that Core gives for each
// block, and the way back.
func TestVectorsCoreChain(t *testing.T) {
	blocks, inputs := 0, 0
	for _, name := range vectors.Files(t, "chain/*.json") {
		var file chainVector
		vectors.ReadJSON(t, name, &file)
		c := newReplay(t)
		if genesis := c.params.GenesisBlock(); !bytes.Equal(genesis.Raw, vectors.Hex(t, file.Genesis)) {
			t.Fatalf("the genesis block is %x", genesis.Raw)
		}
		states := []State{c.state}
		sets := []map[types.OutPoint]types.Coin{maps.Clone(c.coins)}
		var undo [][]types.Coin
		for _, v := range file.Blocks {
			b, err := DecodeBlock(vectors.Hex(t, v.Block))
			if err != nil {
				t.Fatal(err)
			}
			connection, err := ConnectBlock(c.params, &c.state, b, c.fetch(b), c)
			if err != nil {
				t.Fatalf("block %d: %v", v.Height, err)
			}
			undo = append(undo, undoData(b, c.coins))
			c.addHashed(b)
			states, sets = append(states, c.state), append(sets, maps.Clone(c.coins))
			if c.state.Index.Height != v.Height || b.Hash.String() != v.Hash || c.state.Work.String() != v.Chainwork ||
				c.state.MedianTimePast() != v.MedianTime {
				t.Fatalf("block %d: %s, work %s, median %d", v.Height, b.Hash, c.state.Work, c.state.MedianTimePast())
			}
			if b.Weight != v.Weight || len(b.Raw) != v.Size || strippedSize(b) != v.Stripped || connection.Fees != v.Fees {
				t.Errorf("block %d: weight %d, size %d, stripped %d, fees %d", v.Height, b.Weight, len(b.Raw), strippedSize(b), connection.Fees)
			}
			for i := range v.TxIDs {
				if b.TxIDs[i].String() != v.TxIDs[i] || i > 0 && b.WTxIDs[i].String() != v.WTxIDs[i] {
					t.Errorf("block %d: ids of transaction %d differ", v.Height, i)
				}
			}
			inputs += checkPrevouts(t, connection.Prevouts, v.Prevouts)
			stats := c.stats()
			if stats.TxOuts != v.UTXO.TxOuts || stats.TotalAmount != v.UTXO.Total || stats.BogoSize != v.UTXO.BogoSize ||
				stats.MuHash.String() != v.UTXO.MuHash {
				t.Fatalf("block %d: coins are %+v, Core has %+v", v.Height, stats, v.UTXO)
			}
			blocks++
		}
		if got := c.stats().HashSerialized3.String(); got != file.TipHash {
			t.Errorf("hash_serialized_3 at the tip is %s, want %s", got, file.TipHash)
		}
		for height := len(c.blocks) - 1; height >= 0; height-- {
			c.undoTo(uint32(height), undo, states)
			if !maps.Equal(c.coins, sets[height]) {
				t.Fatalf("going back to height %d gives other coins", height)
			}
		}
	}
	vectors.Ran(t, blocks, "blocks")
	vectors.Ran(t, inputs, "inputs")
}

func checkPrevouts(t *testing.T, got []types.TxOut, want [][]string) (n int) {
	t.Helper()
	for _, tx := range want {
		for _, prevout := range tx {
			if encoded := got[n].AppendTo(nil); !bytes.Equal(encoded, vectors.Hex(t, prevout)) {
				t.Errorf("prevout %d is %x, want %s", n, encoded, prevout)
			}
			n++
		}
	}
	if n != len(got) {
		t.Errorf("%d prevouts, want %d", len(got), n)
	}
	return n
}

func readBlocks(t *testing.T, name string) (blocks []*HashedBlock) {
	t.Helper()
	for _, raw := range vectors.ReadBlocks(t, name) {
		b, err := DecodeBlock(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// Core's own wallet and miner made this chain; a fork leaves it below the tip
// and wins.
func TestVectorsCoreRegtest(t *testing.T) {
	c := newReplay(t)
	states := []State{c.state}
	sets := []map[types.OutPoint]types.Coin{maps.Clone(c.coins)}
	var undo [][]types.Coin
	add := func(b *HashedBlock) {
		undo = append(undo, undoData(b, c.coins))
		c.addHashed(b)
		states, sets = append(states, c.state), append(sets, maps.Clone(c.coins))
	}
	chain := readBlocks(t, "core-regtest/chain.dat")
	if chain[0].Hash != c.state.Index.Hash {
		t.Fatalf("the file begins with %s", chain[0].Hash)
	}
	for _, b := range chain[1:] {
		add(b)
	}
	var answers map[string]json.RawMessage
	vectors.ReadJSON(t, "core-regtest/answers.json", &answers)
	type info struct {
		BestBlock       string
		Height          uint32
		TxOuts          uint64
		BogoSize        uint64
		Total           amountOf `json:"total_amount"`
		MuHash          string
		HashSerialized3 string `json:"hash_serialized_3"`
	}
	check := func(want info) {
		t.Helper()
		stats := c.stats()
		if c.state.Index.Hash.String() != want.BestBlock || c.state.Index.Height != want.Height || stats.TxOuts != want.TxOuts ||
			stats.BogoSize != want.BogoSize || stats.TotalAmount != types.Amount(want.Total) ||
			want.MuHash != "" && stats.MuHash.String() != want.MuHash ||
			want.HashSerialized3 != "" && stats.HashSerialized3.String() != want.HashSerialized3 {
			t.Errorf("at %s the coins are %+v, Core has %+v", c.state.Index, stats, want)
		}
	}
	for _, kind := range []string{"muhash", "hash_serialized_3", "none"} {
		var want info
		if err := json.Unmarshal(answers[`["gettxoutsetinfo", "`+kind+`"]`], &want); err != nil {
			t.Fatal(err)
		}
		check(want)
	}
	statsOfBlocks(t, c, answers)

	fork := readBlocks(t, "core-regtest/fork.dat")
	height := slices.IndexFunc(states, func(s State) bool { return s.Index.Hash == fork[0].Block.Header.PrevBlock })
	if height < 0 {
		t.Fatal("the fork begins nowhere on the chain")
	}
	before := c.state
	c.undoTo(uint32(height), undo, states)
	if !maps.Equal(c.coins, sets[height]) {
		t.Fatalf("going back to height %d gives other coins", height)
	}
	states, sets, undo = states[:height+1], sets[:height+1], undo[:height]
	for _, b := range fork {
		add(b)
	}
	if c.state.Work.Cmp(before.Work) <= 0 {
		t.Error("the fork has less work than the chain that it leaves")
	}
	var forked struct{ MuHash info }
	vectors.ReadJSON(t, "core-regtest/fork.json", &forked)
	check(forked.MuHash)
	c.undoTo(0, undo, states)
	if len(c.coins) != 0 {
		t.Errorf("going back to the genesis block leaves %d coins", len(c.coins))
	}
	vectors.Ran(t, len(chain)-1+len(fork), "blocks")
}

// statsOfBlocks compares what Core's getblockstats says of single blocks.
func statsOfBlocks(t *testing.T, c *chainTest, answers map[string]json.RawMessage) {
	t.Helper()
	n := 0
	for key, answer := range answers {
		var call []any
		if json.Unmarshal([]byte(key), &call) != nil || call[0] != "getblockstats" {
			continue
		}
		var want struct {
			BlockHash  string
			Height     uint32
			MedianTime uint32
			Ins, Txs   int
			Subsidy    types.Amount
			TotalFee   types.Amount
			Change     int `json:"utxo_increase_actual"`
		}
		if err := json.Unmarshal(answer, &want); err != nil {
			t.Fatal(err)
		}
		if want.Height == 0 {
			continue
		}
		b := c.blocks[want.Height-1]
		claimed := types.Amount(0)
		for _, out := range b.Block.Txs[0].Outputs {
			claimed += out.Value
		}
		// The miner took all that it could.
		if b.Hash.String() != want.BlockHash || c.medians[want.Height] != want.MedianTime || len(b.source) != want.Ins ||
			len(b.Block.Txs) != want.Txs || Subsidy(c.params, want.Height) != want.Subsidy || claimed != want.Subsidy+want.TotalFee ||
			len(b.created(want.Height))-len(b.External) != want.Change {
			t.Errorf("block %d differs from %+v", want.Height, want)
		}
		n++
	}
	vectors.Ran(t, n, "answers of getblockstats")
}
