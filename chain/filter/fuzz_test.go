package filter

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// naiveMatch decodes a filter bit by bit from text. It reads all elements before it answers, up
// to one that no script can have: a filter that is cut short is none, whatever stands in it.
func naiveMatch(filter []byte, block types.Hash, scripts [][]byte) (bool, error) {
	d := types.NewDecoder(filter)
	n := d.CompactSize()
	if d.Err() != nil || n > 1<<20 || 20*n > 8*uint64(d.Remaining()) {
		return false, ErrFilter
	}
	var present [][]byte
	for _, script := range scripts {
		if len(script) > 0 {
			present = append(present, script)
		}
	}
	if n == 0 || len(scripts) == 0 {
		return false, nil
	}
	wanted := naiveValues(block, int(n), present)
	text := naiveBits(filter[len(filter)-d.Remaining():])
	value, found := uint64(0), false
	for range n {
		end := bytes.IndexByte(text, '0')
		if end < 0 || len(text) < end+1+bip158P {
			return false, ErrFilter
		}
		low := uint64(0)
		fmt.Sscanf(string(text[end+1:end+1+bip158P]), "%b", &low)
		if value += uint64(end)<<bip158P | low; value >= n*falsePositiveRate {
			break
		}
		found = found || slices.Contains(wanted, value)
		text = text[end+1+bip158P:]
	}
	return found, nil
}

// FuzzMatch compares Match with its naive twin. The scripts are parts of the
// second argument, so that a fuzzer finds some that match.
func FuzzMatch(f *testing.F) {
	r := rand.New(rand.NewPCG(13, 14))
	for _, n := range []int{0, 1, 2, 20, 80} {
		scripts := randomScripts(r, n)
		list := []byte{}
		for _, script := range scripts {
			list = append(append(list, byte(len(script))), script...)
		}
		f.Add(encode(types.Hash{1, 2, 3}, setOf(scripts)), list)
	}
	for _, s := range []string{"", "00", "01", "01ffffffffff", "0200000000000000", "fd0001", "feffffffff", "ff0000000000000080"} {
		b, _ := hex.DecodeString(s)
		f.Add(b, []byte{1, 0x51})
	}
	f.Fuzz(func(t *testing.T, filter, list []byte) {
		if len(filter) > 4096 || len(list) > 4096 {
			t.Skip()
		}
		block := types.Hash{1, 2, 3}
		var scripts [][]byte
		for len(list) > 0 {
			n := min(int(list[0]), len(list)-1)
			scripts = append(scripts, list[1:1+n])
			list = list[1+n:]
		}
		got, err := Match(filter, block, scripts)
		want, wantErr := naiveMatch(filter, block, scripts)
		if got != want || (err == nil) != (wantErr == nil) || err != nil && !errors.Is(err, ErrFilter) {
			t.Fatalf("Match gave %t, %v; want %t, %v", got, err, want, wantErr)
		}
		set := setOf(scripts)
		delete(set, "")
		built := encode(block, set)
		for script := range set {
			if hit, err := Match(built, block, [][]byte{[]byte(script)}); err != nil || !hit {
				t.Fatalf("script %x is not found in its own filter: %v", script, err)
			}
		}
	})
}

// benchmarkBlock is about a full block: 2,000 scripts are spent, 4,000 made.
const benchmarkBlock = 6000

func BenchmarkEncode(b *testing.B) {
	r := rand.New(rand.NewPCG(15, 16))
	block, set := randomHash(r), setOf(randomScripts(r, benchmarkBlock))
	b.ReportAllocs()
	for b.Loop() {
		encode(block, set)
	}
}

// BenchmarkMatch is a wallet of 100 scripts that a full block does not concern.
func BenchmarkMatch(b *testing.B) {
	r := rand.New(rand.NewPCG(17, 18))
	block := randomHash(r)
	filter := encode(block, setOf(randomScripts(r, benchmarkBlock)))
	scripts := randomScripts(r, 100)
	b.SetBytes(int64(len(filter)))
	b.ReportAllocs()
	for b.Loop() {
		if hit, err := Match(filter, block, scripts); err != nil || hit {
			b.Fatal(hit, err)
		}
	}
}
