package store

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// coinAt is the n-th coin of an endless supply.
func coinAt(n uint64) consensus.CoinEntry {
	rng := rand.New(rand.NewPCG(n, 7))
	e := consensus.CoinEntry{OutPoint: types.OutPoint{TxID: randomHash(rng), Index: uint32(n % 3)}}
	script := append([]byte{0x51, 32}, e.OutPoint.TxID[:]...)
	e.Coin, _ = types.NewCoin(&types.TxOut{Value: types.Amount(n * 1000), ScriptPubKey: script}, uint32(n/1000), n%100 == 0)
	return e
}

func benchStore(b testing.TB, o Options) *Store {
	b.Helper()
	s, err := Open(b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// makeCoins adds coins in blocks of 1000.
func makeCoins(b testing.TB, s *Store, from, to uint64) {
	b.Helper()
	for n := from; n < to; {
		u := consensus.Update{}
		for range 1000 {
			u.Created = append(u.Created, coinAt(n))
			n++
		}
		if err := s.ApplyUpdate(&u); err != nil {
			b.Fatal(err)
		}
	}
}

func tipAt(height uint32) types.Index {
	at := types.Index{Height: height}
	binary.LittleEndian.PutUint32(at.Hash[:], height)
	return at
}

func BenchmarkFlush100k(b *testing.B) {
	s := benchStore(b, Options{})
	n := uint64(0)
	for b.Loop() {
		b.StopTimer()
		makeCoins(b, s, n, n+100_000)
		n += 100_000
		b.StartTimer()
		if err := s.Flush(nil, tipAt(uint32(n))); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(100_000*b.N)/b.Elapsed().Seconds(), "coins/s")
}

// BenchmarkFetch looks up 2000 coins at a time: in the cache, in the database,
// and where there are none.
func BenchmarkFetch(b *testing.B) {
	const coins = 1_000_000
	s := benchStore(b, Options{CacheBytes: 64 << 20})
	for n := uint64(0); n < coins; n += 100_000 {
		makeCoins(b, s, n, n+100_000)
		if err := s.Flush(nil, tipAt(uint32(n))); err != nil {
			b.Fatal(err)
		}
	}
	into := make([]consensus.FetchedCoin, 2000)
	names := make([]types.OutPoint, len(into))
	run := func(name string, from, span uint64, found, cached bool) {
		b.Run(name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 1))
			for b.Loop() {
				b.StopTimer()
				for i := range names {
					names[i] = coinAt(from + rng.Uint64N(span)).OutPoint
				}
				if !cached {
					s.coins = newCoinTable(1 << 20)
				}
				b.StartTimer()
				if err := s.FetchCoins(names, into); err != nil || into[0].Found != found {
					b.Fatal(err, into[0].Found)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(names)), "ns/coin")
		})
	}
	run("database", 0, coins, true, false)
	run("absent", coins, coins, false, false)
	run("cached", 0, 1000, true, true)
}

func BenchmarkWriteBlock(b *testing.B) {
	for _, size := range []int{300, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := benchStore(b, Options{})
			raw := make([]byte, size)
			b.SetBytes(int64(size))
			n := uint32(0)
			for b.Loop() {
				n++
				if err := s.WriteBlock(tipAt(n), raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// memory returns a line of /proc/self/status in KiB.
func memory(field string) int {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}

// BenchmarkImport is the store's part of an import that ends with 450,000 live
// coins: its peak memory is that of the process, so run it alone.
func BenchmarkImport(b *testing.B) {
	for b.Loop() {
		s := benchStore(b, Options{})
		start := time.Now()
		var live []uint64
		rng := rand.New(rand.NewPCG(1, 1))
		raw := make([]byte, 250_000)
		n, flushes := uint64(0), 0
		for height := uint32(1); height <= 1000; height++ {
			u := consensus.Update{}
			for len(live) > 449_000 {
				i := rng.IntN(len(live))
				u.Spent = append(u.Spent, coinAt(live[i]))
				live[i] = live[len(live)-1]
				live = live[:len(live)-1]
			}
			for range 1000 {
				u.Created = append(u.Created, coinAt(n))
				live = append(live, n)
				n++
			}
			if err := s.WriteBlock(tipAt(height), raw); err != nil {
				b.Fatal(err)
			}
			if err := s.ApplyUpdate(&u); err != nil {
				b.Fatal(err)
			}
			if err := s.WriteUndo(tipAt(height), u.SpentCoins()); err != nil {
				b.Fatal(err)
			}
			if s.NeedsFlush() {
				flushes++
				if err := s.Flush(nil, tipAt(height)); err != nil {
					b.Fatal(err)
				}
			}
		}
		before := memory("VmHWM")
		flush := time.Now()
		dirty := s.coins.dirty
		if err := s.Flush(nil, tipAt(1001)); err != nil {
			b.Fatal(err)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.Logf("%v in all, %d flushes before the last, of %d coins in %v; %d entries in %d bytes; VmHWM %d MiB before, %d MiB after; heap in use %d MiB",
			time.Since(start), flushes, dirty, time.Since(flush), s.coins.entries(), s.coins.bytes(), before>>10, memory("VmHWM")>>10, m.HeapInuse>>20)
		s.Close()
	}
}
