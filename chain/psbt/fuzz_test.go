package psbt

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

func addVectors(f *testing.F, add func(raw []byte)) {
	for _, v := range readVectors(f) {
		if raw, err := base64.StdEncoding.DecodeString(v.Base64); err == nil {
			add(raw)
		}
	}
}

// FuzzDecode: nothing panics, an error is ErrFormat, and what is read is written and read
// as the same.
func FuzzDecode(f *testing.F) {
	addVectors(f, func(raw []byte) { f.Add(raw) })
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		p, err := Decode(raw)
		if err != nil {
			if !errors.Is(err, ErrFormat) || p != nil {
				t.Fatalf("error %v, packet %v", err, p)
			}
			return
		}
		checkPacket(t, p)
		p.Analyze(types.Amount(21_000_000 * types.GrainsPerCoin))
		if p.TakeUTXOs() == nil {
			p.DropTransactions()
		}
		if p.Finalize() {
			if _, err := p.Extract(); err != nil {
				t.Fatalf("complete, but not extracted: %v", err)
			}
		}
		if !bytes.Equal(raw, before) {
			t.Fatal("the input was changed")
		}
	})
}

// keysOf returns the keys of all fields in their order, with a count of the maps.
func keysOf(t *testing.T, raw []byte) (keys []string) {
	t.Helper()
	r := reader{data: raw[len(magic):]}
	for r.rest() > 0 {
		key := string(r.varBytes())
		if keys = append(keys, key); key != "" {
			r.varBytes()
		}
	}
	if r.err != nil {
		t.Fatal(r.err)
	}
	return keys
}

// FuzzCombine: whoever comes first, the same fields are there, and combining once more
// changes nothing.
func FuzzCombine(f *testing.F) {
	addVectors(f, func(raw []byte) { f.Add(raw, raw) })
	f.Fuzz(func(t *testing.T, first, second []byte) {
		a, err := Decode(first)
		if err != nil {
			return
		}
		b, err := Decode(second)
		if err != nil {
			return
		}
		ab, err := Combine([]*Packet{a, b})
		ba, otherErr := Combine([]*Packet{b, a})
		if (err == nil) != (otherErr == nil) {
			t.Fatalf("%v in one order, %v in the other", err, otherErr)
		}
		if err != nil {
			return
		}
		one, other := encode(t, ab), encode(t, ba)
		if isFinal(ab) == isFinal(ba) && len(keysOf(t, one)) != len(keysOf(t, other)) {
			t.Fatalf("fields %q, in the other order %q", keysOf(t, one), keysOf(t, other))
		}
		twice, err := Combine([]*Packet{ab, ba, a, b})
		if err != nil || !bytes.Equal(encode(t, twice), one) {
			t.Fatalf("combined once more it is another: %v", err)
		}
		checkPacket(t, ab)
	})
}

func isFinal(p *Packet) (final string) {
	for i := range p.Inputs {
		if p.Inputs[i].IsFinal() {
			final += "f"
		} else {
			final += "."
		}
	}
	return final
}
