package web

import (
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// TestBlockCacheMemory: very many small blocks take about as much memory as the cache counts.
func TestBlockCacheMemory(t *testing.T) {
	load := func(hash types.Hash) (*body, error) {
		coinbase := types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{Index: 0xffffffff}, ScriptSig: hash[:8], Witness: [][]byte{make([]byte, 32)}}}}
		block := types.Block{Txs: []types.Tx{coinbase}}
		for range 2 {
			block.Txs[0].Outputs = append(block.Txs[0].Outputs, types.TxOut{ScriptPubKey: make([]byte, 34)})
			block.Txs = append(block.Txs, types.Tx{Version: 2, Inputs: []types.TxIn{{Witness: [][]byte{make([]byte, 64)}}}, Outputs: block.Txs[0].Outputs})
		}
		hashed, err := consensus.DecodeBlock(block.AppendTo(nil))
		if err != nil {
			return nil, err
		}
		return &body{hashed, make([][]types.Coin, 3)}, nil
	}
	c := newBlockCache(load, func(types.Hash) bool { return true })
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range uint32(10_000) {
		var hash types.Hash
		binary.BigEndian.PutUint32(hash[:], n)
		if _, err := c.get(t.Context(), hash); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if took := int64(after.HeapAlloc) - int64(before.HeapAlloc); took > blockBudget {
		t.Errorf("%d blocks take %d KiB, and the cache counts %d", c.recent.Len(), took>>10, c.bytes>>10)
	} else {
		t.Logf("%d blocks take %d KiB, and the cache counts %d", c.recent.Len(), took>>10, c.bytes>>10)
	}
	runtime.KeepAlive(c)
}
