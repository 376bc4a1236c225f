package web

import (
	"context"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// lagging is a node whose chain has a block with a transaction that its pool has still.
type lagging struct {
	Headers
	Blocks
	Index
	block   *consensus.HashedBlock
	spent   types.Coin
	entry   *pending.Entry
	without int // questions for coins until there is one again, as after a reorganisation
	states  []indexed.State
}

// laggingPool has one transaction.
type laggingPool struct {
	Pool
	entry *pending.Entry
}

func (l laggingPool) Get(txid types.Hash) *pending.Entry {
	if txid == l.entry.TxID {
		return l.entry
	}
	return nil
}
func (l *lagging) Tip() types.Index { return types.Index{Height: 1, Hash: l.block.Hash} }
func (l *lagging) Info(hash types.Hash) (header.Info, bool) {
	info := header.Info{OnBestChain: true}
	info.Hash, info.Header = hash, l.block.Block.Header
	if hash == l.block.Hash {
		info.Height, info.Status = 1, header.StatusUndo
	}
	return info, true
}
func (l *lagging) Coins(context.Context, []types.OutPoint) ([]consensus.FetchedCoin, consensus.State, error) {
	l.without--
	return []consensus.FetchedCoin{{Coin: l.spent, Found: l.without < 0}}, consensus.State{}, nil
}
func (l *lagging) BlockUpdate(types.Hash) (consensus.BlockUpdate, error) {
	return consensus.BlockUpdate{Block: l.block, Update: &consensus.Update{Spent: []consensus.CoinEntry{{Coin: l.spent}}}}, nil
}
func (l *lagging) States() []indexed.State { return l.states }

func newLagging(t *testing.T, confirmed bool) (*Server, *lagging) {
	t.Helper()
	spend := types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{1}}}}, Outputs: []types.TxOut{{Value: 1, ScriptPubKey: []byte{0x52, 2, 1, 2}}}}
	coinbase := types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{Index: 0xffffffff}, ScriptSig: []byte{0x51, 0}}}, Outputs: []types.TxOut{{ScriptPubKey: []byte{0x6a}}}}
	block := types.Block{Txs: []types.Tx{coinbase}}
	if confirmed {
		block.Txs = append(block.Txs, spend)
	}
	hashed, err := consensus.DecodeBlock(block.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	coin, _ := types.NewCoin(&types.TxOut{Value: 777, ScriptPubKey: []byte{0x52, 2, 3, 4}}, 1, false)
	l := &lagging{block: hashed, spent: coin, entry: &pending.Entry{Tx: &spend, TxID: spend.TxID()}}
	s := &Server{Options: Options{Params: &consensus.Params{HRP: "krtd"}, Pool: laggingPool{entry: l.entry}, Headers: l, Blocks: l, Index: l}}
	s.blocks = newBlockCache(s.loadBlock, s.connected)
	return s, l
}

// TestLaggingPool: what a transaction spends is told while a block has it already and the pool
// still does, and while a reorganisation brings it back. If it cannot be told, nothing is.
func TestLaggingPool(t *testing.T) {
	for _, c := range []struct {
		name      string
		confirmed bool
		without   int
		fails     bool
	}{
		{"in a block", true, 1 << 30, false},
		{"coming back", false, 3, false},
		{"never", false, 1 << 30, true},
	} {
		s, l := newLagging(t, c.confirmed)
		l.without = c.without
		tx, err := s.read(t.Context(), foundTx{txid: l.entry.TxID, entry: l.entry})
		if err != nil {
			t.Fatal(err)
		}
		j, err := s.txJSON(t.Context(), tx, l.entry.TxID, nil)
		if (err != nil) != c.fails {
			t.Fatalf("%s: %v", c.name, err)
		}
		if !c.fails && (j.Inputs[0].Prevout == nil || j.Inputs[0].Prevout.Value != 777) {
			t.Errorf("%s: %+v", c.name, j.Inputs[0])
		}
	}
}

// TestIndexVersions: what depends on an index that is being made is another thing after each of
// its steps, and when it is done.
func TestIndexVersions(t *testing.T) {
	s, l := newLagging(t, false)
	seen := map[string]bool{s.indexAt(indexed.Spenders): true}
	for _, state := range []indexed.State{{At: types.Index{Height: 1}}, {At: types.Index{Height: 2}}, {At: types.Index{Height: 2}, Synced: true}} {
		state.Name = indexed.Spenders
		l.states = []indexed.State{{Name: indexed.Txs}, state}
		if at := s.indexAt(indexed.Spenders); seen[at] {
			t.Errorf("%q came twice", at)
		} else {
			seen[at] = true
		}
	}
}
