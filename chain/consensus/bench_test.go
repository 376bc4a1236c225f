package consensus

import (
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// benchBlock is a valid block of a thousand payments with two inputs and two
// outputs each, with the coins that it spends.
func benchBlock(b *testing.B) (*chainTest, *HashedBlock, []FetchedCoin) {
	c := newChainTest(b)
	var txs []types.Tx
	for i := range 1000 {
		tx := types.Tx{Version: 2}
		for j := range 2 {
			outPoint := types.OutPoint{TxID: types.DoubleSHA256([]byte{byte(i), byte(i >> 8), byte(j)}), Index: uint32(j)}
			entry, _ := types.NewCoin(&types.TxOut{Value: coin, ScriptPubKey: chaintest.KeyScript()}, 0, false)
			c.coins[outPoint] = entry
			tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: outPoint, Sequence: final, Witness: [][]byte{make([]byte, 64)}})
			tx.Outputs = append(tx.Outputs, types.TxOut{Value: coin / 2, ScriptPubKey: chaintest.KeyScript()})
		}
		txs = append(txs, tx)
	}
	block := HashBlock(chaintest.Mine(c.template(txs...)))
	return c, block, c.fetch(block)
}

func perInput(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2000, "ns/input")
}

// BenchmarkConnectBlock connects a block of 2000 inputs: the part of an import
// that cannot be spread over cores.
func BenchmarkConnectBlock(b *testing.B) {
	c, block, coins := benchBlock(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ConnectBlock(c.params, &c.state, block, coins, c); err != nil {
			b.Fatal(err)
		}
	}
	perInput(b)
}

// BenchmarkHashBlock encodes and hashes a block of 2000 inputs.
func BenchmarkHashBlock(b *testing.B) {
	_, block, _ := benchBlock(b)
	b.ReportAllocs()
	for b.Loop() {
		hashBlock(block.Block, block.Raw).findSources()
	}
	perInput(b)
}

// BenchmarkFindSources is the part of BenchmarkHashBlock that is no hashing.
func BenchmarkFindSources(b *testing.B) {
	_, block, _ := benchBlock(b)
	b.ReportAllocs()
	for b.Loop() {
		block.findSources()
	}
	perInput(b)
}

// BenchmarkCheckBlock checks the context-free rules of a block of 2000 inputs.
func BenchmarkCheckBlock(b *testing.B) {
	c, block, _ := benchBlock(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := CheckBlock(c.params, block); err != nil {
			b.Fatal(err)
		}
	}
	perInput(b)
}

// BenchmarkValidateBlock checks finality, commitment and weight.
func BenchmarkValidateBlock(b *testing.B) {
	c, block, _ := benchBlock(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := ValidateBlock(c.params, &c.state, block); err != nil {
			b.Fatal(err)
		}
	}
	perInput(b)
}

// BenchmarkNextBits finds the difficulty of one block.
func BenchmarkNextBits(b *testing.B) {
	params := regtest(b)
	params.Difficulty = Difficulty{Algorithm: DifficultyASERT, HalfLife: 43200}
	state := State{Index: types.Index{Height: 99_000}, Header: types.Header{Timestamp: params.Genesis.Timestamp + 59_000_123}}
	for b.Loop() {
		NextBits(params, &state)
	}
}
