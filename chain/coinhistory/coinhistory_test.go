package coinhistory_test

import (
	"encoding/json"
	"math/big"
	"os"
	"path"
	"testing"

	"github.com/karatcoin/karat/chain/coinhistory"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
)

// walk keeps a coin set and its history beside each other. Whether blocks are valid is
// not the question here.
type walk struct {
	t      *testing.T
	params *consensus.Params
	coins  map[types.OutPoint]types.Coin
	state  coinhistory.State
	at     types.Index
	path   []consensus.BlockUpdate // by height
	kept   []coinhistory.Record
	states []coinhistory.State
}

func newWalk(t *testing.T) *walk {
	t.Helper()
	text, err := os.ReadFile("../../testdata/bitcoin-regtest.json")
	if err != nil {
		t.Fatal(err)
	}
	params, err := network.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return &walk{t: t, params: params, coins: map[types.OutPoint]types.Coin{}}
}

// connect applies a block, whose height is the number of those before it.
func (w *walk) connect(raw []byte) coinhistory.Record {
	w.t.Helper()
	decoded, err := types.DecodeBlock(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	block := consensus.HashBlock(decoded)
	update := &consensus.Update{Block: types.Index{Height: uint32(len(w.path)), Hash: block.Hash}}
	if len(w.path) > 0 {
		var undo []types.Coin
		for _, outPoint := range block.External {
			coin, ok := w.coins[outPoint]
			if !ok {
				w.t.Fatalf("block %d: no coin %s", len(w.path), outPoint)
			}
			undo = append(undo, coin)
		}
		if update, err = consensus.RevertUpdate(block, w.at, uint32(len(w.path)), undo); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, entry := range update.Spent {
		delete(w.coins, entry.OutPoint)
	}
	for _, entry := range update.Created {
		w.coins[entry.OutPoint] = entry.Coin
	}
	u := consensus.BlockUpdate{Block: block, Update: update}
	record, err := w.state.Apply(w.params, &u)
	if err != nil {
		w.t.Fatal(err)
	}
	w.at = update.Block
	w.path, w.kept, w.states = append(w.path, u), append(w.kept, record), append(w.states, w.state)
	return record
}

// disconnect takes the last block back. The state must be that of its parent.
func (w *walk) disconnect() {
	w.t.Helper()
	u := w.path[len(w.path)-1]
	if err := w.state.Revert(w.params, &u); err != nil {
		w.t.Fatal(err)
	}
	for _, entry := range u.Update.Created {
		delete(w.coins, entry.OutPoint)
	}
	for _, entry := range u.Update.Spent {
		w.coins[entry.OutPoint] = entry.Coin
	}
	n := len(w.path) - 1
	w.at, w.path, w.kept, w.states = u.Update.Parent, w.path[:n], w.kept[:n], w.states[:n]
	if got, want := string(w.state.AppendTo(nil)), string(w.states[n-1].AppendTo(nil)); got != want {
		w.t.Fatalf("block %d taken back: another state than before", n)
	}
}

// answer is what Bitcoin Core's gettxoutsetinfo tells by its index.
type answer struct {
	TxOuts, BogoSize uint64
	MuHash           *types.Hash
	Total            json.Number `json:"total_amount"`
	Unspendable      json.Number `json:"total_unspendable_amount"`
	Info             struct {
		PrevoutSpent json.Number `json:"prevout_spent"`
		Coinbase     json.Number
		NewOutputs   json.Number `json:"new_outputs_ex_coinbase"`
		Unspendable  json.Number
		Unspendables struct {
			Genesis   json.Number `json:"genesis_block"`
			Scripts   json.Number
			Unclaimed json.Number `json:"unclaimed_rewards"`
		}
	} `json:"block_info"`
}

func checkAnswer(t *testing.T, text []byte, got coinhistory.Record) {
	t.Helper()
	var want answer
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if got.TxOuts != want.TxOuts || got.BogoSize != want.BogoSize || want.MuHash != nil && got.MuHash != *want.MuHash {
		t.Errorf("got %+v, want %s", got, text)
	}
	for name, pair := range map[string]struct {
		got  types.Amount
		want json.Number
	}{
		"total_amount": {got.TotalAmount, want.Total}, "total_unspendable_amount": {got.Unspendable, want.Unspendable},
		"prevout_spent": {got.Block.PrevoutSpent, want.Info.PrevoutSpent}, "coinbase": {got.Block.Coinbase, want.Info.Coinbase},
		"new_outputs_ex_coinbase": {got.Block.NewOutputs, want.Info.NewOutputs}, "unspendable": {got.Block.Unspendable(), want.Info.Unspendable},
		"genesis_block": {got.Block.Genesis, want.Info.Unspendables.Genesis}, "scripts": {got.Block.Scripts, want.Info.Unspendables.Scripts},
		"unclaimed_rewards": {got.Block.Unclaimed, want.Info.Unspendables.Unclaimed},
	} {
		amount, ok := new(big.Rat).SetString(pair.want.String())
		if !ok || amount.Cmp(big.NewRat(int64(pair.got), types.GrainsPerCoin)) != 0 {
			t.Errorf("%s is %d grains, want %q coins", name, pair.got, pair.want)
		}
	}
}

// TestCoreAnswers goes along a chain that Bitcoin Core made, and over to a branch of it,
// and compares with what Core's index told at both tips.
func TestCoreAnswers(t *testing.T) {
	answered := 0
	for _, file := range vectors.Files(t, "*/fork.json") {
		var answers map[string]json.RawMessage
		vectors.ReadJSON(t, path.Join(path.Dir(file), "answers.json"), &answers)
		var fork struct {
			Height int
			MuHash json.RawMessage
		}
		vectors.ReadJSON(t, file, &fork)
		w := newWalk(t)
		var last coinhistory.Record
		for _, raw := range vectors.ReadBlocks(t, path.Join(path.Dir(file), "chain.dat")) {
			last = w.connect(raw)
		}
		for _, kind := range []string{"muhash", "none"} {
			checkAnswer(t, answers[`["gettxoutsetinfo", "`+kind+`"]`], last)
			answered++
		}
		branch := vectors.ReadBlocks(t, path.Join(path.Dir(file), "fork.dat"))
		for len(w.path) > fork.Height+1-len(branch) {
			w.disconnect()
		}
		for _, raw := range branch {
			last = w.connect(raw)
		}
		checkAnswer(t, fork.MuHash, last)
		answered++
	}
	vectors.Ran(t, answered, "answers of the coin statistics index")
}

// TestVectorsEveryBlock compares the set after every block, and reads what is written of
// it back.
func TestVectorsEveryBlock(t *testing.T) {
	blocks := 0
	for _, file := range vectors.Files(t, "chain/*.json") {
		var chain struct {
			Genesis string
			Blocks  []struct {
				Block string
				UTXO  struct {
					TxOuts   uint64
					MuHash   types.Hash
					Amount   types.Amount `json:"total_amount_sat"`
					BogoSize uint64
				}
			}
		}
		vectors.ReadJSON(t, file, &chain)
		w := newWalk(t)
		if genesis := w.connect(vectors.Hex(t, chain.Genesis)); genesis.TxOuts != 0 || genesis.Block.Genesis != 50*types.GrainsPerCoin {
			t.Errorf("Bitcoin's genesis block: %+v", genesis)
		}
		unspendable := w.kept[0].Unspendable
		for height, b := range chain.Blocks {
			got := w.connect(vectors.Hex(t, b.Block))
			if got.TxOuts != b.UTXO.TxOuts || got.MuHash != b.UTXO.MuHash || got.TotalAmount != b.UTXO.Amount || got.BogoSize != b.UTXO.BogoSize {
				t.Fatalf("%s, block %d: got %+v, want %+v", file, height+1, got, b.UTXO)
			}
			info := got.Block
			unspendable += info.Unspendable()
			in := consensus.Subsidy(w.params, uint32(height+1)) + info.PrevoutSpent
			if out := info.Coinbase + info.NewOutputs + info.Unspendable(); in != out || got.Unspendable != unspendable {
				t.Errorf("%s, block %d: %d came in, %d went out; %d unspendable, want %d", file, height+1, in, out, got.Unspendable, unspendable)
			}
			if again, err := coinhistory.DecodeRecord(got.AppendTo(nil)); err != nil || again != got {
				t.Fatalf("%+v is read back as %+v: %v", got, again, err)
			}
			encoded := w.state.AppendTo(nil)
			again, err := coinhistory.DecodeState(encoded)
			if err != nil || string(again.AppendTo(nil)) != string(encoded) {
				t.Fatalf("the state of block %d is read back as another: %v", height+1, err)
			}
			w.state = again // all goes on with what was read
			blocks++
		}
	}
	vectors.Ran(t, blocks, "coin sets, one a block")
}

// TestDecodeRefuses: damage of a length is told, and so is a number that no set has.
func TestDecodeRefuses(t *testing.T) {
	var state coinhistory.State
	whole := state.AppendTo(nil)
	if len(whole) != coinhistory.StateSize {
		t.Errorf("a state has %d bytes", len(whole))
	}
	for name, b := range map[string][]byte{
		"nothing": {}, "less": whole[1:], "more": append(whole[:len(whole):len(whole)], 0), "no product": make([]byte, coinhistory.StateSize),
	} {
		if _, err := coinhistory.DecodeState(b); err == nil {
			t.Errorf("%s was taken for a state", name)
		}
	}
	if _, err := coinhistory.DecodeRecord(make([]byte, coinhistory.RecordSize-1)); err == nil {
		t.Error("a short record was taken")
	}
}
