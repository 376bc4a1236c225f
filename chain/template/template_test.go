package template_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
)

const now = 1_800_000_000

var script = []byte{0x51, 2, 0x4e, 0x73}

func testParams(t *testing.T) *consensus.Params {
	t.Helper()
	params, err := karat.LoadNetwork("../../testdata/bitcoin-regtest.json")
	if err != nil {
		t.Fatal(err)
	}
	return params
}

// tip is a state at a height with a median time past.
func tip(params *consensus.Params, height, median uint32) *consensus.State {
	header := params.GenesisBlock().Block.Header
	header.Timestamp = median
	s := consensus.NewState(types.Index{Height: height, Hash: types.Hash{7}}, header, consensus.Uint256{1}, []uint32{median})
	return &s
}

// entries are transactions that differ, each with a witness and a fee of 10 more than
// the last.
func entries(n int) (list []*pending.Entry) {
	for i := range n {
		tx := &types.Tx{
			Version: 2, LockTime: uint32(i),
			Inputs:  []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{9}}, Sequence: 1, Witness: [][]byte{{byte(i)}}}},
			Outputs: []types.TxOut{{Value: 1, ScriptPubKey: script}},
		}
		list = append(list, &pending.Entry{Tx: tx, TxID: tx.TxID(), WTxID: tx.WTxID(), Fee: types.Amount(10 * i), Weight: tx.Weight()})
	}
	return list
}

// TestBlocksAreValid: with any number of transactions the root, the commitment and
// the weight are those of the block as a whole.
func TestBlocksAreValid(t *testing.T) {
	params := testParams(t)
	for n := range 34 {
		state := tip(params, 99, now-50)
		tpl := template.New(params, state, entries(n), 4000, time.Unix(now, 0))
		for _, data := range [][]byte{{0}, {1, 2}, make([]byte, template.MaxScriptSig-2)} {
			coinbase := tpl.Coinbase(script, data)
			header := tpl.Header
			header.MerkleRoot = tpl.Root(coinbase.TxID())
			block := consensus.HashBlock(tpl.Block(header, coinbase))
			for block.Block.Header.Nonce = 0; ; block.Block.Header.Nonce++ {
				target, _, _ := consensus.ExpandBits(header.Bits)
				if consensus.Uint256FromHash(block.Block.Hash()).Cmp(target) <= 0 {
					break
				}
			}
			block = consensus.HashBlock(block.Block)
			if err := consensus.CheckBlock(params, block); err != nil && n < 2 { // more spend the same output
				t.Fatalf("%d transactions: %v", n, err)
			}
			if root, _ := types.MerkleRoot(block.TxIDs); root != header.MerkleRoot {
				t.Fatalf("%d transactions: root %s, want %s", n, header.MerkleRoot, root)
			}
			if err := consensus.ValidateBlock(params, state, block); err != nil {
				t.Fatalf("%d transactions: %v", n, err)
			}
			if err := consensus.ValidateHeader(params, state, &block.Block.Header, now); err != nil {
				t.Fatalf("%d transactions: %v", n, err)
			}
			if block.Weight > tpl.Weight || block.Weight < tpl.Weight-4000 {
				t.Fatalf("%d transactions: weight %d of %d", n, block.Weight, tpl.Weight)
			}
		}
		if want := types.Amount(5 * n * (n - 1)); tpl.Fees != want || tpl.CoinbaseValue != 50*types.GrainsPerCoin+want {
			t.Fatalf("%d transactions: fees %d, value %d", n, tpl.Fees, tpl.CoinbaseValue)
		}
	}
}

// TestCommitment is BIP141's, worked out by hand for one transaction.
func TestCommitment(t *testing.T) {
	list := entries(1)
	params := testParams(t)
	tpl := template.New(params, tip(params, 5, now), list, 0, time.Unix(now, 0))
	root := types.DoubleSHA256(append(make([]byte, 32), list[0].WTxID[:]...))
	want := types.DoubleSHA256(append(root[:], make([]byte, 32)...))
	if !bytes.Equal(tpl.Commitment, append([]byte{0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed}, want[:]...)) {
		t.Errorf("commitment %x, want %s", tpl.Commitment, want)
	}
	coinbase := tpl.Coinbase(script, []byte{1, 0xff})
	if out := coinbase.Outputs[1]; out.Value != 0 || !bytes.Equal(out.ScriptPubKey, tpl.Commitment) {
		t.Errorf("output %+v", out)
	}
	if w := coinbase.Inputs[0].Witness; len(w) != 1 || !bytes.Equal(w[0], make([]byte, 32)) {
		t.Errorf("witness %x", w)
	}
	if got := coinbase.Inputs[0].ScriptSig; !bytes.Equal(got, []byte{0x56, 1, 0xff}) { // OP_6
		t.Errorf("script %x", got)
	}
}

// TestTime: the clock's, but above the median time past.
func TestTime(t *testing.T) {
	params := testParams(t)
	for _, c := range []struct{ clock, want int64 }{{now + 500, now + 500}, {now + 1, now + 1}, {now, now + 1}, {now - 9999, now + 1}} {
		tpl := template.New(params, tip(params, 5, now), nil, 0, time.Unix(c.clock, 999_999_999))
		if got := int64(tpl.Header.Timestamp); got != c.want || tpl.MinTime != now+1 {
			t.Errorf("clock %d: time %d, at least %d", c.clock-now, got-now, tpl.MinTime)
		}
		if later := tpl.HeaderAt(time.Unix(now+1000, 0)); later.Timestamp != now+1000 || tpl.HeaderAt(time.Unix(0, 0)).Timestamp != now+1 {
			t.Errorf("later the time is %d", later.Timestamp)
		}
	}
}

// TestStaysAsItIs: what is made of a template changes nothing in it.
func TestStaysAsItIs(t *testing.T) {
	params := testParams(t)
	list := entries(3)
	tpl := template.New(params, tip(params, 5, now), list, 0, time.Unix(now, 0))
	before := *tpl
	a := tpl.Coinbase(script, []byte{1})
	b := tpl.Coinbase(script, []byte{2})
	block := tpl.Block(tpl.Header, a)
	block.Txs[1].LockTime = 77 // its own copy
	if a.TxID() == b.TxID() || tpl.Header != before.Header || list[0].Tx.LockTime != 0 || len(tpl.Branch) != 2 {
		t.Error("the template has changed, or two coinbases are the same")
	}
}

// BenchmarkNew makes a template of as many small transactions as a block holds.
func BenchmarkNew(b *testing.B) {
	params, err := karat.LoadNetwork("../../testdata/bitcoin-regtest.json")
	if err != nil {
		b.Fatal(err)
	}
	list, state := entries(9000), tip(params, 99, now-50)
	for b.Loop() {
		template.New(params, state, list, 8000, time.Unix(now, 0))
	}
}
