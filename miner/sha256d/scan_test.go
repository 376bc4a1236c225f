package sha256d

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/threadtime"
	"github.com/karatcoin/karat/internal/vectors"
)

// everyWay runs a test for each instruction set that there is assembly for, and says
// which of them this processor lacks.
func everyWay(t *testing.T, test func(t *testing.T, w way)) {
	for _, name := range []string{"portable", "crypto/sha256", "AVX2", "SHA extensions", "AVX-512"} {
		t.Run(name, func(t *testing.T) {
			i := slices.IndexFunc(ways(), func(w way) bool { return w.name == name })
			if i < 0 {
				vectors.NotRun(t, "the scan with "+name+", which this processor (or the tag purego) lacks; only the interpreter in internal/genscan has run its instructions")
			}
			test(t, ways()[i])
		})
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 80)) }

func randomHeader(r *rand.Rand) (raw [types.HeaderSize]byte) {
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	return raw
}

func decodeHeader(t testing.TB, raw []byte) types.Header {
	t.Helper()
	h, err := types.DecodeHeader(raw)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// hashOf is what all else is compared with.
func hashOf(raw [types.HeaderSize]byte, nonce uint32) types.Hash {
	binary.LittleEndian.PutUint32(raw[76:], nonce)
	first := sha256.Sum256(raw[:])
	return sha256.Sum256(first[:])
}

func valueOf(raw [types.HeaderSize]byte, nonce uint32) consensus.Uint256 {
	return consensus.Uint256FromHash(hashOf(raw, nonce))
}

// topOf is the word that a scan compares.
func topOf(raw [types.HeaderSize]byte, nonce uint32) uint32 {
	hash := hashOf(raw, nonce)
	return binary.LittleEndian.Uint32(hash[28:])
}

// scannerFor is New for one way, however easy the target is.
func scannerFor(t testing.TB, w way, raw [types.HeaderSize]byte, target consensus.Uint256) *Scanner {
	h := decodeHeader(t, raw[:])
	s := New(&h, target)
	s.way = w
	return s
}

// TestVectorsMined: the nonces of blocks that were mined are found, and none before
// them within the range.
func TestVectorsMined(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		r := newRand(1)
		n := 0
		for _, file := range vectors.Files(t, "real/headers/*.txt") {
			for line := range strings.Lines(string(vectors.ReadFile(t, file))) {
				fields := strings.Fields(strings.TrimPrefix(line, "fork:"))
				if len(fields) < 2 || len(fields[1]) != 2*types.HeaderSize {
					continue
				}
				raw, err := hex.DecodeString(fields[1])
				if err != nil {
					t.Fatal(err)
				}
				h := decodeHeader(t, raw)
				target, _, _ := consensus.ExpandBits(h.Bits)
				s := scannerFor(t, w, [types.HeaderSize]byte(raw), target)
				from := uint64(h.Nonce) - min(uint64(h.Nonce), r.Uint64N(300))
				if got, ok := s.Scan(from, min(words, uint64(h.Nonce)+50)); !ok || got != h.Nonce {
					t.Fatalf("%s: from %d, found %d (%t), want %d", line, from, got, ok, h.Nonce)
				}
				if got, ok := s.Scan(from, uint64(h.Nonce)); ok {
					t.Fatalf("%s: found %d before %d", line, got, h.Nonce)
				}
				n++
			}
		}
		vectors.Ran(t, n, "mined headers")
	})
}

// TestAllHits: of any range, all good nonces are found, in order and no others.
func TestAllHits(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		r := newRand(2)
		for i := range 300 {
			raw := randomHeader(r)
			from := uint64(r.Uint32())
			if i%4 == 0 {
				from = words - r.Uint64N(700) // the last ones
			}
			to := min(words, from+r.Uint64N(600))
			target := consensus.Uint256{r.Uint64(), r.Uint64(), r.Uint64(), math.MaxUint64 >> r.IntN(12)}
			var want, got []uint32
			for n := from; n < to; n++ {
				if valueOf(raw, uint32(n)).Cmp(target) <= 0 {
					want = append(want, uint32(n))
				}
			}
			s := scannerFor(t, w, raw, target)
			for next := from; ; {
				n, ok := s.Scan(next, to)
				if !ok {
					break
				}
				got = append(got, n)
				next = uint64(n) + 1
			}
			if !slices.Equal(got, want) {
				t.Fatalf("from %d to %d with target %s: %v, want %v", from, to, target, got, want)
			}
		}
	})
}

// TestEdgesOfTargets: a hash may be as large as the target and not larger, wherever
// in it the difference is.
func TestEdgesOfTargets(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		r := newRand(3)
		for range 60 {
			raw, from := randomHeader(r), r.Uint64N(words-100)
			best := uint32(from)
			for n := from; n < from+100; n++ {
				if valueOf(raw, uint32(n)).Cmp(valueOf(raw, best)) < 0 {
					best = uint32(n)
				}
			}
			value := valueOf(raw, best)
			find := func(target consensus.Uint256) bool {
				n, ok := scannerFor(t, w, raw, target).Scan(from, from+100)
				if ok && n != best {
					t.Fatalf("found %d, want %d", n, best)
				}
				return ok
			}
			if !find(value) {
				t.Fatal("a hash as large as the target was not found")
			}
			for limb := range value {
				if value[limb] == 0 {
					continue
				}
				lower := value // the largest number below it that differs in this limb
				lower[limb]--
				for i := range limb {
					lower[i] = math.MaxUint64
				}
				if find(lower) {
					t.Fatalf("hash %s was found for target %s", value, lower)
				}
			}
			lowest := consensus.Uint256{3: value[3] &^ (1<<32 - 1)} // passes by its last word alone
			if find(lowest) {
				t.Fatalf("hash %s was found for target %s", value, lowest)
			}
		}
		raw := randomHeader(r)
		if n, ok := scannerFor(t, w, raw, consensus.Uint256{}).Scan(0, 5000); ok {
			t.Fatalf("nonce %d has a hash of zero", n)
		}
		all := consensus.Uint256{math.MaxUint64, math.MaxUint64, math.MaxUint64, math.MaxUint64}
		for _, from := range []uint64{0, 1, 17, 31, 33, words - 33, words - 1} {
			if n, ok := scannerFor(t, w, raw, all).Scan(from, min(words, from+100)); !ok || uint64(n) != from {
				t.Fatalf("from %d, found %d (%t)", from, n, ok)
			}
			if n, ok := scannerFor(t, w, raw, all).Scan(from, from); ok {
				t.Fatalf("found %d in no range", n)
			}
		}
		if n, ok := scannerFor(t, w, raw, all).Scan(words, words); ok {
			t.Fatalf("found %d in no range", n)
		}
	})
}

// TestCandidates: what passes by its last word and is not good hides nothing that
// comes behind it in its batch.
func TestCandidates(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		r := newRand(11)
		for range 60 {
			raw, from := randomHeader(r), r.Uint64N(words-5000)
			target := valueOf(raw, uint32(from)) // by which from is good, and no more after this:
			for i := range target {
				target[i]--
				if target[i] != math.MaxUint64 {
					break
				}
			}
			want := from + 1
			for valueOf(raw, uint32(want)).Cmp(target) > 0 {
				want++
			}
			if n, ok := scannerFor(t, w, raw, target).Scan(from, min(words, want+100)); !ok || uint64(n) != want {
				t.Fatalf("from %d, found %d (%t), want %d", from, n, ok, want)
			}
		}
	})
}

// TestLikePortable compares what an instruction set reports with the portable code,
// candidates and all.
func TestLikePortable(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		r := newRand(4)
		for range 200 {
			raw := randomHeader(r)
			checkLikePortable(t, w, raw, r.Uint32(), math.MaxUint32>>r.IntN(14), 1+r.IntN(40))
		}
		raw := randomHeader(r)
		for _, nonce := range []uint32{0, math.MaxUint32, math.MaxUint32 - 40} { // and it wraps
			for _, target := range []uint32{0, math.MaxUint32} {
				checkLikePortable(t, w, raw, nonce, target, 17)
			}
			word := topOf(raw, nonce)
			checkLikePortable(t, w, raw, nonce, word, 9)
			checkLikePortable(t, w, raw, nonce, word-1, 9)
		}
	})
}

func checkLikePortable(t *testing.T, w way, raw [types.HeaderSize]byte, nonce, target uint32, batches int) {
	t.Helper()
	table := prepare(&raw)
	done, hits := w.scan(&table, nonce, target, batches)
	wantDone, wantHits := batches, uint32(0)
search:
	for b := range batches {
		for i := range w.batch {
			if _, hit := scanPortable(&table, nonce+uint32(b*w.batch+i), target, 1); hit != 0 {
				wantHits |= 1 << i
			}
		}
		if wantHits != 0 {
			wantDone = b + 1
			break search
		}
	}
	if done != wantDone || hits != wantHits {
		t.Fatalf("%d batches from %d with target %#x: %d and %#b, want %d and %#b", batches, nonce, target, done, hits, wantDone, wantHits)
	}
}

// TestPortable compares the portable code with the standard library.
func TestPortable(t *testing.T) {
	r := newRand(5)
	for range 300 {
		raw, nonce := randomHeader(r), r.Uint32()
		table := prepare(&raw)
		word := topOf(raw, nonce)
		if done, hits := scanPortable(&table, nonce, word, 1); done != 1 || hits != 1 {
			t.Fatalf("a hash that begins with %#x is not found", word)
		}
		if done, hits := scanPortable(&table, nonce, word-1, 1); word > 0 && (done != 1 || hits != 0) {
			t.Fatalf("a hash that begins with %#x is found for %#x", word, word-1)
		}
	}
}

// TestNonceOfHeader: what the header's own nonce is does not matter.
func TestNonceOfHeader(t *testing.T) {
	r := newRand(6)
	raw := randomHeader(r)
	other := raw
	copy(other[76:], []byte{1, 2, 3, 4})
	if prepare(&raw) != prepare(&other) || bytes.Equal(raw[:], other[:]) {
		t.Fatal("the table depends on the nonce")
	}
}

// TestEasyTarget: where nearly every nonce is good, no batch is begun.
func TestEasyTarget(t *testing.T) {
	raw := randomHeader(newRand(7))
	h := decodeHeader(t, raw[:])
	if s := New(&h, consensus.Uint256{3: math.MaxUint64 >> 1}); s.way.name != portable.name {
		t.Fatalf("the regtest target is searched with %s", s.way.name)
	}
	if s := New(&h, consensus.Uint256{3: math.MaxUint64 >> 32}); s.way.name != fastest.name {
		t.Fatalf("a hard target is searched with %s", s.way.name)
	}
}

// FuzzScan compares every instruction set with crypto/sha256.
func FuzzScan(f *testing.F) {
	f.Add(make([]byte, types.HeaderSize), uint32(0), uint16(40), uint64(math.MaxUint64>>4), uint64(0))
	f.Add(bytes.Repeat([]byte{0xff}, types.HeaderSize), uint32(math.MaxUint32-3), uint16(4), uint64(math.MaxUint64), uint64(1))
	f.Fuzz(func(t *testing.T, header []byte, from uint32, n uint16, top, rest uint64) {
		if len(header) != types.HeaderSize {
			return
		}
		raw := [types.HeaderSize]byte(header)
		target := consensus.Uint256{rest, rest, rest, top}
		to := min(words, uint64(from)+uint64(n%300))
		want := to
		for i := uint64(from); i < to && want == to; i++ {
			if valueOf(raw, uint32(i)).Cmp(target) <= 0 {
				want = i
			}
		}
		for _, w := range ways() {
			got, ok := scannerFor(t, w, raw, target).Scan(uint64(from), to)
			if ok != (want < to) || ok && uint64(got) != want {
				t.Fatalf("%s: %d (%t), want %d of %d to %d", w.name, got, ok, want, from, to)
			}
		}
	})
}

// BenchmarkScan reports hashes by the second of the processor.
func BenchmarkScan(b *testing.B) {
	for _, w := range ways() {
		b.Run(w.name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			s := scannerFor(b, w, randomHeader(newRand(8)), consensus.Uint256{})
			began := threadtime.Now()
			for b.Loop() {
				s.Scan(0, atOnce)
			}
			b.ReportMetric(float64(b.N)*atOnce/(threadtime.Now()-began).Seconds()/1e6, "MH/s")
		})
	}
}

// BenchmarkNew is what a new coinbase costs besides itself.
func BenchmarkNew(b *testing.B) {
	raw := randomHeader(newRand(9))
	h := decodeHeader(b, raw[:])
	for b.Loop() {
		New(&h, consensus.Uint256{})
	}
}
