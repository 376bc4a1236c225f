package index

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

// tape is a chain of blocks that are all in memory.
type tape struct {
	Chain
	params  *consensus.Params
	updates []consensus.BlockUpdate // from the genesis block on
}

// Params implements Chain.
func (c *tape) Params() *consensus.Params { return c.params }

// Tip implements Chain.
func (c *tape) Tip() types.Index { return c.updates[len(c.updates)-1].Update.Block }

// HashAt implements Chain.
func (c *tape) HashAt(height uint32) (types.Hash, bool) {
	return c.updates[height].Block.Hash, true
}

// BlockUpdate implements Chain.
func (c *tape) BlockUpdate(types.Hash) (consensus.BlockUpdate, error) { return c.updates[0], nil }

// UpdatesSince implements Chain.
func (c *tape) UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error) {
	next := int(since.Height) + 1
	return nil, c.updates[next:min(next+limit, len(c.updates))], nil
}

// newTape has blocks of payments with one input and two outputs, all of them of scripts
// that are nobody else's.
func newTape(b *testing.B, blocks, payments int) *tape {
	params, err := karat.LoadNetwork("../../testdata/bitcoin-regtest.json")
	if err != nil {
		b.Fatal(err)
	}
	c := &tape{params: params}
	genesis := params.GenesisBlock()
	c.updates = append(c.updates, consensus.BlockUpdate{Block: genesis, Update: &consensus.Update{Block: types.Index{Hash: genesis.Hash}}})
	random := rand.New(rand.NewPCG(1, 2))
	bytesOf := func(n int) []byte {
		bytes := make([]byte, n)
		for i := range bytes {
			bytes[i] = byte(random.Uint32())
		}
		return bytes
	}
	script := func() []byte { return append([]byte{0x51, 32}, bytesOf(32)...) }
	for height := uint32(1); height <= uint32(blocks); height++ {
		parent := c.Tip()
		coinbase := types.Tx{Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{Index: types.NullIndex}, ScriptSig: binary.LittleEndian.AppendUint32([]byte{4}, height)}}, Outputs: []types.TxOut{{Value: 1, ScriptPubKey: script()}}}
		block := &types.Block{Header: types.Header{PrevBlock: parent.Hash, Nonce: height}, Txs: []types.Tx{coinbase}}
		var undo []types.Coin
		for range payments {
			coin, _ := types.NewCoin(&types.TxOut{Value: 2000, ScriptPubKey: script()}, height/2, false)
			undo = append(undo, coin)
			block.Txs = append(block.Txs, types.Tx{
				Version: 2,
				Inputs:  []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash(bytesOf(32))}, Witness: [][]byte{bytesOf(64)}}},
				Outputs: []types.TxOut{{Value: 1000, ScriptPubKey: script()}, {Value: 900, ScriptPubKey: script()}},
			})
		}
		hashed := consensus.HashBlock(block)
		update, err := consensus.RevertUpdate(hashed, parent, height, undo)
		if err != nil {
			b.Fatal(err)
		}
		c.updates = append(c.updates, consensus.BlockUpdate{Block: hashed, Update: update})
	}
	return c
}

// processorTime is what this process has used. A machine that is shared by many makes
// clocks run fast.
func processorTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkFollow is the cost of a payment in an index, and the bytes that it takes in a
// folder after all.
func BenchmarkFollow(b *testing.B) {
	const blocks, payments = 40, 2_000
	c := newTape(b, blocks, payments)
	for name, names := range map[string][]string{
		"default": {indexed.Txs, indexed.Filters}, "txs": {indexed.Txs}, "filters": {indexed.Filters},
		"spenders": {indexed.Spenders}, "scripts": {indexed.Scripts}, "coins": {indexed.CoinStats},
	} {
		b.Run(name, func(b *testing.B) {
			var size int64
			began := processorTime(b)
			for range b.N {
				dir := filepath.Join(b.TempDir(), "indexes")
				x := Open(dir, c, keep(names...))
				if err := catchUp(b.Context(), x); err != nil {
					b.Fatal(err)
				}
				if err := x.Close(); err != nil {
					b.Fatal(err)
				}
				for _, file := range files(b, dir) {
					if info, err := os.Stat(file); err == nil {
						size += info.Size()
					}
				}
			}
			n := float64(b.N * blocks * payments)
			b.ReportMetric(float64((processorTime(b)-began).Nanoseconds())/n, "cpu-ns/tx")
			b.ReportMetric(float64(size)/n, "B/tx")
		})
	}
}
