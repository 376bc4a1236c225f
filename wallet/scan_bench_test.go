package wallet_test

import (
	"encoding/binary"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/wallet"
)

const (
	scanAddresses = 1000 // of the wallet, all of them paid
	scanOutputs   = 20   // of each block, to scripts of others
)

// paidBlocks makes blocks on the genesis block. Each pays others, and one in thirty the wallet,
// its addresses about in order.
func paidBlocks(p *consensus.Params, count int, scripts [][]byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		r := rand.New(rand.NewPCG(1, 2))
		tip := p.GenesisBlock().Block.Header
		for height := uint32(1); height <= uint32(count); height++ {
			outputs := make([]types.TxOut, scanOutputs)
			for i := range outputs {
				script := []byte{0x51, 32}
				for range 4 {
					script = binary.LittleEndian.AppendUint64(script, r.Uint64())
				}
				outputs[i] = types.TxOut{Value: 1000, ScriptPubKey: script}
			}
			if height%30 == 0 {
				at := int(height) * (len(scripts) - 10) / count
				outputs[3].ScriptPubKey = scripts[at+r.IntN(10)]
			}
			block := chaintest.NewBlock(&tip, chaintest.Coinbase(height, []byte{1}, outputs...))
			block.Header.Timestamp = tip.Timestamp + 1
			chaintest.Mine(block)
			tip = block.Header
			if !yield(block.AppendTo(nil)) {
				return
			}
		}
	}
}

// BenchmarkScan restores a wallet with 1,000 addresses from a node on a chain of
// KARAT_SCAN_BLOCKS blocks. Node and wallet are in one process; cpu-s is the processor time of
// both.
func BenchmarkScan(b *testing.B) {
	blocks := 1000
	if text := os.Getenv("KARAT_SCAN_BLOCKS"); text != "" {
		var err error
		if blocks, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	n := startNode(b)
	w := n.wallet(someWords)
	scripts := make([][]byte, scanAddresses)
	for i := range scripts {
		var err error
		if scripts[i], err = taproot.DecodeAddress(n.params.HRP, w.address()); err != nil {
			b.Fatal(err)
		}
	}
	if err := n.node.Chain().AddBlocks(b.Context(), paidBlocks(n.params, blocks, scripts), func(r header.Result) {
		if r.Err != nil {
			b.Fatal(r.Err)
		}
	}); err != nil {
		b.Fatal(err)
	}
	for tip := call[string](n, "getbestblockhash"); n.client.Call(b.Context(), "getblockfilter", nil, tip) != nil; {
		time.Sleep(100 * time.Millisecond) // until it is indexed
	}
	b.ResetTimer()
	for b.Loop() {
		before := processorTime(b)
		w := n.wallet(someWords)
		if err := w.Sync(b.Context(), n.client, func(wallet.Progress) {}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric((processorTime(b) - before).Seconds(), "cpu-s")
		if got := w.History(); len(got) != blocks/30 {
			b.Fatalf("%d payments were found", len(got))
		}
	}
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
