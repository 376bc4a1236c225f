package types

import (
	"testing"

	"github.com/karatcoin/karat/internal/vectors"
)

// realBlocks returns the raw blocks of the oracle's folder, and their length
// together.
func realBlocks(b *testing.B) (raws [][]byte, size int64) {
	for _, file := range vectors.Files(b, "real/blocks/*.raw") {
		raw := vectors.ReadFile(b, file)
		raws = append(raws, raw)
		size += int64(len(raw))
	}
	return raws, size
}

func BenchmarkDecodeBlock(b *testing.B) {
	raws, size := realBlocks(b)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, raw := range raws {
			if _, err := DecodeBlock(raw); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkEncodeBlock(b *testing.B) {
	raws, size := realBlocks(b)
	var blocks []*Block
	for _, raw := range raws {
		block, err := DecodeBlock(raw)
		if err != nil {
			b.Fatal(err)
		}
		blocks = append(blocks, block)
	}
	var buf []byte
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, block := range blocks {
			buf = block.AppendTo(buf[:0])
		}
	}
}

func BenchmarkTxID(b *testing.B) {
	raws, _ := realBlocks(b)
	block, err := DecodeBlock(raws[0])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() { // one transaction
		block.Txs[i%len(block.Txs)].TxID()
		i++
	}
}

// BenchmarkHashBlocks hashes all that names the transactions of a block: both
// identities of each, and both merkle roots.
func BenchmarkHashBlocks(b *testing.B) {
	raws, size := realBlocks(b)
	var blocks []*Block
	for _, raw := range raws {
		block, err := DecodeBlock(raw)
		if err != nil {
			b.Fatal(err)
		}
		blocks = append(blocks, block)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, block := range blocks {
			txids, wtxids := make([]Hash, len(block.Txs)), make([]Hash, len(block.Txs))
			for i := range block.Txs {
				txids[i], wtxids[i] = block.Txs[i].TxID(), block.Txs[i].WTxID()
			}
			wtxids[0] = Hash{}
			MerkleRoot(txids)
			MerkleRoot(wtxids)
		}
	}
}

func BenchmarkMerkleRoot(b *testing.B) {
	leaves := make([]Hash, 4096)
	for i := range leaves {
		leaves[i] = Hash{byte(i), byte(i >> 8)}
	}
	b.ReportAllocs()
	for b.Loop() {
		MerkleRoot(leaves)
	}
}
