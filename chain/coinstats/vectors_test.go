package coinstats

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"math/big"
	"path"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
)

// coinSet is the naive twin of a node's coin database.
type coinSet map[types.OutPoint]types.Coin

// connect applies a block, whose validity is not the question here, and keeps
// an incremental MuHash of the set beside it.
func (s coinSet) connect(t *testing.T, block *types.Block, height uint32, incremental *MuHash) {
	t.Helper()
	for i := range block.Txs {
		tx := &block.Txs[i]
		if i > 0 {
			for j := range tx.Inputs {
				op := tx.Inputs[j].PreviousOutPoint
				coin, ok := s[op]
				if !ok {
					t.Fatalf("height %d: no coin %s", height, op)
				}
				incremental.Remove(AppendCoin(nil, op, &coin))
				delete(s, op)
			}
		}
		txid := tx.TxID()
		for j := range tx.Outputs {
			if script := tx.Outputs[j].ScriptPubKey; len(script) > 0 && script[0] == 0x6a {
				continue
			}
			coin, ok := types.NewCoin(&tx.Outputs[j], height, i == 0)
			if !ok {
				t.Fatalf("height %d: output %s:%d does not make a coin", height, txid, j)
			}
			op := types.OutPoint{TxID: txid, Index: uint32(j)}
			incremental.Insert(AppendCoin(nil, op, &coin))
			s[op] = coin
		}
	}
}

func compareOutPoints(a, b types.OutPoint) int {
	return cmp.Or(bytes.Compare(a.TxID[:], b.TxID[:]), cmp.Compare(a.Index, b.Index))
}

func (s coinSet) stats() Stats {
	c := New(true, true)
	for _, op := range slices.SortedFunc(maps.Keys(s), compareOutPoints) {
		coin := s[op]
		c.Add(op, &coin)
	}
	return c.Result()
}

func (s coinSet) transactions() uint64 {
	ids := map[types.Hash]bool{}
	for op := range s {
		ids[op.TxID] = true
	}
	return uint64(len(ids))
}

// TestVectorsEveryBlock compares the set after each block with gettxoutsetinfo.
func TestVectorsEveryBlock(t *testing.T) {
	blocks := 0
	for _, file := range vectors.Files(t, "chain/*.json") {
		var chain struct {
			Tip    types.Hash `json:"tip_hash_serialized_3"`
			Blocks []struct {
				Height uint32
				Block  string
				UTXO   struct {
					TxOuts   uint64
					MuHash   types.Hash
					Amount   types.Amount `json:"total_amount_sat"`
					BogoSize uint64
				}
			}
		}
		vectors.ReadJSON(t, file, &chain)
		set, incremental, last := coinSet{}, new(MuHash), Stats{}
		for _, b := range chain.Blocks {
			block, err := types.DecodeBlock(vectors.Hex(t, b.Block))
			if err != nil {
				t.Fatal(err)
			}
			set.connect(t, block, b.Height, incremental)
			last = set.stats()
			want := Stats{
				TxOuts: b.UTXO.TxOuts, Transactions: set.transactions(), TotalAmount: b.UTXO.Amount,
				BogoSize: b.UTXO.BogoSize, MuHash: b.UTXO.MuHash, HashSerialized3: last.HashSerialized3,
			}
			if last != want {
				t.Fatalf("%s, height %d:\ngot  %+v\nwant %+v", file, b.Height, last, want)
			}
			if got := incremental.Digest(); got != want.MuHash {
				t.Fatalf("%s, height %d: incremental MuHash %s, want %s", file, b.Height, got, want.MuHash)
			}
			blocks++
		}
		if last.HashSerialized3 != chain.Tip {
			t.Errorf("%s: hash_serialized_3 of the tip is %s, want %s", file, last.HashSerialized3, chain.Tip)
		}
	}
	vectors.Ran(t, blocks, "coin sets, one a block")
}

func readChain(t *testing.T, file string) (blocks []*types.Block) {
	t.Helper()
	for _, raw := range vectors.ReadBlocks(t, file) {
		block, err := types.DecodeBlock(raw)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		blocks = append(blocks, block)
	}
	return blocks
}

// TestCoreAnswers compares the tip of a chain file with the answers that
// Bitcoin Core's RPC gave there.
func TestCoreAnswers(t *testing.T) {
	answered := 0
	for _, file := range vectors.Files(t, "*/chain.dat") {
		var answers map[string]json.RawMessage
		vectors.ReadJSON(t, path.Join(path.Dir(file), "answers.json"), &answers)
		set, incremental := coinSet{}, new(MuHash)
		for height, block := range readChain(t, file) {
			if height > 0 { // the genesis coinbase makes no coins
				set.connect(t, block, uint32(height), incremental)
			}
		}
		got := set.stats()
		for _, kind := range []string{"muhash", "hash_serialized_3"} {
			answer, ok := answers[`["gettxoutsetinfo", "`+kind+`"]`]
			if !ok {
				t.Errorf("%s: no answer for %s", file, kind)
				continue
			}
			checkAnswer(t, answer, got, incremental.Digest())
			answered++
		}
	}
	vectors.Ran(t, answered, "answers of gettxoutsetinfo")
}

// TestVectorsReorganization moves a set from one branch to another, as an index does:
// its MuHash goes along by insertions and removals alone, and ends where
// Bitcoin Core's does.
//
//	chain.dat  ... - x - o - o - ... - o   old tip
//	                  \
//	fork.dat           o - o - ... - o - o   tip
func TestVectorsReorganization(t *testing.T) {
	reorganized := 0
	for _, file := range vectors.Files(t, "*/fork.json") {
		var fork struct {
			Tip    types.Hash
			OldTip types.Hash `json:"old_tip"`
			Height int
			MuHash json.RawMessage
		}
		vectors.ReadJSON(t, file, &fork)
		set, incremental := coinSet{}, new(MuHash)
		sets, heights := map[types.Hash]coinSet{}, map[types.Hash]int{}
		var tip types.Hash
		add := func(block *types.Block, height int) {
			if height > 0 {
				set.connect(t, block, uint32(height), incremental)
			}
			tip = block.Hash()
			sets[tip], heights[tip] = maps.Clone(set), height
		}
		for height, block := range readChain(t, path.Join(path.Dir(file), "chain.dat")) {
			add(block, height)
		}
		if tip != fork.OldTip {
			t.Fatalf("%s: the chain ends at %s, not at %s", file, tip, fork.OldTip)
		}
		branch := readChain(t, path.Join(path.Dir(file), "fork.dat"))
		parent := branch[0].Header.PrevBlock
		target, ok := sets[parent]
		if !ok || parent == tip {
			t.Fatalf("%s: the branch does not leave the chain", file)
		}
		set.become(target, incremental)
		for i, block := range branch {
			add(block, heights[parent]+1+i)
		}
		if tip != fork.Tip || heights[tip] != fork.Height {
			t.Errorf("%s: the branch ends at %d:%s", file, heights[tip], tip)
		}
		checkAnswer(t, fork.MuHash, set.stats(), incremental.Digest())
		reorganized++
	}
	vectors.Ran(t, reorganized, "reorganizations")
}

// become makes the set equal to another, as disconnecting blocks does.
func (s coinSet) become(target coinSet, incremental *MuHash) {
	for op, coin := range s {
		if _, stays := target[op]; !stays {
			incremental.Remove(AppendCoin(nil, op, &coin))
			delete(s, op)
		}
	}
	for op, coin := range target {
		if _, there := s[op]; !there {
			incremental.Insert(AppendCoin(nil, op, &coin))
			s[op] = coin
		}
	}
}

func checkAnswer(t *testing.T, answer []byte, got Stats, incremental types.Hash) {
	t.Helper()
	var want struct {
		TxOuts          uint64
		Transactions    *uint64
		BogoSize        uint64
		Amount          json.Number `json:"total_amount"`
		MuHash          *types.Hash
		HashSerialized3 *types.Hash `json:"hash_serialized_3"`
	}
	if err := json.Unmarshal(answer, &want); err != nil {
		t.Fatal(err)
	}
	amount, ok := new(big.Rat).SetString(want.Amount.String())
	if !ok || amount.Cmp(big.NewRat(int64(got.TotalAmount), types.GrainsPerCoin)) != 0 ||
		got.TxOuts != want.TxOuts || got.BogoSize != want.BogoSize ||
		want.Transactions != nil && got.Transactions != *want.Transactions ||
		want.MuHash != nil && (got.MuHash != *want.MuHash || incremental != *want.MuHash) ||
		want.HashSerialized3 != nil && got.HashSerialized3 != *want.HashSerialized3 ||
		want.MuHash == nil && want.HashSerialized3 == nil {
		t.Errorf("got %+v (incremental %s), want %s", got, incremental, answer)
	}
}
