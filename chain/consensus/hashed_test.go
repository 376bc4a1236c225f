package consensus

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// chosenOutPoints are families of outpoints that agree in all but a few bits of
// their choice: whoever makes up a block is bound to no transaction that exists.
var chosenOutPoints = map[string]func(n int) types.OutPoint{
	"first_half_equal": func(n int) (o types.OutPoint) {
		binary.LittleEndian.PutUint32(o.TxID[16:], uint32(n))
		return o
	},
	"second_half_equal": func(n int) (o types.OutPoint) {
		binary.LittleEndian.PutUint32(o.TxID[:], uint32(n))
		return o
	},
	"last_bytes": func(n int) (o types.OutPoint) {
		binary.BigEndian.PutUint32(o.TxID[28:], uint32(n))
		return o
	},
	"index_alone":   func(n int) types.OutPoint { return types.OutPoint{TxID: types.Hash{1}, Index: uint32(n)} },
	"index_strides": func(n int) types.OutPoint { return types.OutPoint{TxID: types.Hash{1}, Index: uint32(n) << 15} },
	"halves_cancel": func(n int) (o types.OutPoint) {
		binary.LittleEndian.PutUint32(o.TxID[:], uint32(n))
		binary.LittleEndian.PutUint32(o.TxID[16:], uint32(n))
		binary.LittleEndian.PutUint32(o.TxID[8:], ^uint32(n))
		return o
	},
}

// withInputs is a block that spends the outpoints, of which none exists.
func withInputs(n int, outPoint func(n int) types.OutPoint) *types.Block {
	tx := types.Tx{Version: 2, Outputs: []types.TxOut{{ScriptPubKey: chaintest.Anyone(0)}}}
	for i := range n {
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: outPoint(i), Sequence: final})
	}
	return &types.Block{Txs: []types.Tx{chaintest.Coinbase(1, nil, types.TxOut{ScriptPubKey: chaintest.Anyone(1)}), tx}}
}

// TestChosenOutPoints: whatever outpoints a block spends, it costs a few looks at a
// table each to find out where they come from.
func TestChosenOutPoints(t *testing.T) {
	const inputs = 20_000
	for name, family := range chosenOutPoints {
		b := hashBlock(withInputs(inputs, family), withInputs(inputs, family).AppendTo(nil))
		if looks := b.findSources(); looks > 5*inputs {
			t.Errorf("%s: %d looks for %d inputs", name, looks, inputs)
		}
		if len(b.External) != inputs || b.doubleSpend >= 0 {
			t.Errorf("%s: %d coins, double spend %d", name, len(b.External), b.doubleSpend)
		}
	}
}

// TestOpenBlockOrder: what costs more than its bytes is not done for a block without
// work or with another's transactions.
func TestOpenBlockOrder(t *testing.T) {
	params := regtest(t)
	block := withInputs(10, chosenOutPoints["index_alone"])
	block.Header.Bits = params.Genesis.Bits
	chaintest.SetMerkleRoot(block)
	chaintest.Mine(block)
	open := func(raw []byte, kind error, reason Reason) *HashedBlock {
		t.Helper()
		b, err := OpenBlock(params, raw)
		if !errors.Is(err, kind) || !errors.Is(err, reason) {
			t.Errorf("%v, want %v", err, reason)
		}
		return b
	}
	raw := block.AppendTo(nil)
	if b, err := OpenBlock(params, raw); err != nil || len(b.External) != 10 {
		t.Fatal(err)
	}
	if b := open(raw[:len(raw)-1], ErrMutated, ReasonDecode); b != nil {
		t.Error("a block that cannot be read is returned")
	}
	open(raw[:types.HeaderSize-1], ErrMutated, ReasonDecode)

	other := *block
	other.Txs = withInputs(11, chosenOutPoints["index_alone"]).Txs
	if b := open(other.AppendTo(nil), ErrMutated, ReasonMerkleRoot); b.Hash != block.Hash() || b.External != nil {
		t.Error("the sources of another body's inputs were looked for")
	}

	for chaintest.HasWork(&block.Header) {
		block.Header.Nonce++
	}
	if b := open(append(block.Header.AppendTo(nil), "no transactions"...), ErrInvalid, ReasonHighHash); b != nil {
		t.Error("a block without work was read")
	}
}
