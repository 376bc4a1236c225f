package store

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// coinEntry makes the nth coin of an endless supply.
func coinEntry(n uint64) consensus.CoinEntry {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], n)
	r := rand.NewChaCha8(seed)
	var e consensus.CoinEntry
	script := append([]byte{0x51, 32}, make([]byte, 32)...)
	r.Read(e.OutPoint.TxID[:])
	r.Read(script[2:])
	e.Coin, _ = types.NewCoin(&types.TxOut{Value: types.Amount(n), ScriptPubKey: script}, uint32(n/4000), false)
	return e
}

// BenchmarkBlockByCoinSetSize measures what a block costs that spends 2,000 coins
// chosen at random and makes 2,000, flushes included, as the coin set grows. The
// largest sets, up to 20 million coins and 2 GB on disk, are for KARAT_LONG=1.
func BenchmarkBlockByCoinSetSize(b *testing.B) {
	sizes := []uint64{100_000, 1_000_000}
	if os.Getenv("KARAT_LONG") != "" {
		sizes = append(sizes, 5_000_000, 10_000_000, 20_000_000)
	}
	// As karatd does, with the memory that it leaves for blocks on their way.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(DefaultCacheBytes + 112<<20))
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	made := uint64(0)
	height := uint32(0)
	grow := func(n int, spent []consensus.CoinEntry) {
		u := consensus.Update{Spent: spent}
		for range n {
			u.Created = append(u.Created, coinEntry(made))
			made++
		}
		if err := s.ApplyUpdate(&u); err != nil {
			b.Fatal(err)
		}
		height++
		if s.NeedsFlush() {
			if err := s.Flush(nil, types.Index{Height: height}); err != nil {
				b.Fatal(err)
			}
		}
	}
	gone := make([]bool, sizes[len(sizes)-1]*2)
	for _, size := range sizes {
		for made < size {
			grow(10_000, nil)
		}
		b.Run(fmt.Sprintf("coins=%d", size), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				var outPoints []types.OutPoint
				var spent []consensus.CoinEntry
				for len(spent) < 2000 {
					n := rand.Uint64N(made)
					if !gone[n] {
						gone[n] = true
						spent = append(spent, coinEntry(n))
						outPoints = append(outPoints, spent[len(spent)-1].OutPoint)
					}
				}
				b.StartTimer()
				coins := make([]consensus.FetchedCoin, len(outPoints))
				if err := s.FetchCoins(outPoints, coins); err != nil {
					b.Fatal(err)
				}
				for i := range coins {
					if coins[i].Coin != spent[i].Coin {
						b.Fatalf("coin %d is wrong", i)
					}
				}
				grow(2000, spent)
			}
			b.ReportMetric(float64(s.coins.bytes())/(1<<20), "cache-MiB")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/2000, "µs/input")
		})
	}
}
