package types

import (
	"bytes"
	"encoding/hex"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/vectors"
)

// addHex adds seeds that are written as hexadecimal.
func addHex(f *testing.F, seeds ...string) {
	for _, s := range seeds {
		f.Add(vectors.Hex(f, s))
	}
}

// checkFailure holds what every decoder promises of its failures.
func checkFailure(t *testing.T, err error, gaveNothing bool) {
	t.Helper()
	if !errors.Is(err, ErrEncoding) || !gaveNothing {
		t.Fatalf("error %v, gave nothing: %t", err, gaveNothing)
	}
}

// checkTx holds what is true of every transaction that was decoded from raw.
func checkTx(t *testing.T, tx *Tx, raw []byte) {
	t.Helper()
	if again := tx.AppendTo(nil); !bytes.Equal(again, raw) {
		t.Fatalf("encodes as %x", again)
	}
	stripped := tx.AppendStripped(nil)
	if tx.Size() != len(raw) || tx.StrippedSize() != len(stripped) || tx.Weight() != 3*len(stripped)+len(raw) {
		t.Fatalf("size %d, stripped %d of %d, weight %d", tx.Size(), tx.StrippedSize(), len(stripped), tx.Weight())
	}
	if tx.TxID() != DoubleSHA256(stripped) || tx.WTxID() != DoubleSHA256(raw) {
		t.Fatal("identities are not the hashes of the encodings")
	}
	without, err := DecodeTx(stripped)
	if err != nil || without.HasWitness() || without.TxID() != tx.TxID() {
		t.Fatalf("stripped encoding %x: %v", stripped, err)
	}
}

func FuzzDecodeTx(f *testing.F) {
	addHex(f, "", hexVersion+"0000"+hexLock,
		hexVersion+"01"+hexInput+"01"+hexOutput+hexLock,
		hexVersion+"0001"+"01"+hexInput+"01"+hexOutput+"02"+"02aabb"+"00"+hexLock,
		hexVersion+"0001"+"02"+hexInput+hexInput+"00"+"00"+"01"+"fdfd00"+strings.Repeat("cc", 253)+hexLock)
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		tx, err := DecodeTx(raw)
		if err != nil {
			checkFailure(t, err, tx == nil)
		} else {
			checkTx(t, tx, raw)
		}
		if !bytes.Equal(raw, before) {
			t.Fatal("the input was written to")
		}
	})
}

func FuzzDecodeBlock(f *testing.F) {
	tx := hexVersion + "01" + hexInput + "01" + hexOutput + hexLock
	addHex(f, genesisHeader, genesisHeader+"00", genesisHeader+"02"+tx+tx, genesisHeader+"01"+tx+"00ff",
		genesisHeader+"02"+tx+hexVersion+"0001"+"01"+hexInput+"01"+hexOutput+"02"+"02aabb"+"00"+hexLock)
	f.Fuzz(func(t *testing.T, raw []byte) {
		block, err := DecodeBlock(raw)
		first, size, firstErr := ReadBlock(raw)
		if (err == nil) != (firstErr == nil && size == len(raw)) || firstErr == nil && !bytes.Equal(first.AppendTo(nil), raw[:size]) {
			t.Fatalf("the first block has %d of %d bytes (%v), all of them: %v", size, len(raw), firstErr, err)
		}
		if err != nil {
			checkFailure(t, err, block == nil)
			return
		}
		if again := block.AppendTo(nil); !bytes.Equal(again, raw) {
			t.Fatalf("encodes as %x", again)
		}
		if block.Size() != len(raw) || block.Weight() != 3*block.StrippedSize()+len(raw) {
			t.Fatalf("size %d, weight %d", block.Size(), block.Weight())
		}
		for i := range block.Txs {
			encoded := block.Txs[i].AppendTo(nil)
			alone, err := DecodeTx(encoded)
			if err != nil {
				t.Fatalf("transaction %d alone: %v", i, err)
			}
			checkTx(t, alone, encoded)
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	addHex(f, "", genesisHeader, genesisHeader+"00")
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := DecodeHeader(raw)
		if (err == nil) != (len(raw) == HeaderSize) {
			t.Fatalf("%d bytes: %v", len(raw), err)
		}
		if err == nil && (!bytes.Equal(h.AppendTo(nil), raw) || h.Hash() != DoubleSHA256(raw)) {
			t.Fatalf("%+v encodes as %x", h, h.AppendTo(nil))
		}
	})
}

func FuzzCompactSize(f *testing.F) {
	addHex(f, "", "00", "fc", "fdfd00", "fdfc00", "fe00000100", "ff0000000001000000", "ffffffffffffffffff")
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := NewDecoder(raw)
		n := d.CompactSize()
		if d.Err() != nil {
			checkFailure(t, d.Err(), n == 0)
			return
		}
		used := raw[:len(raw)-d.Remaining()]
		if encoded := AppendCompactSize(nil, n); !bytes.Equal(encoded, used) || CompactSizeLen(n) != len(used) {
			t.Fatalf("%x is %d, which encodes as %x", used, n, encoded)
		}
	})
}

func FuzzParseAmount(f *testing.F) {
	for _, s := range []string{"", "0", "1.5", "0.00000001", "92233720368.54775807", "92233720368.54775808", "-1", "1.", ".1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAmount(s)
		if err != nil {
			if !errors.Is(err, ErrAmount) || a != 0 {
				t.Fatalf("%q: %d, %v", s, a, err)
			}
			return
		}
		if again, err := ParseAmount(a.String()); err != nil || again != a || a < 0 {
			t.Fatalf("%q is %d, printed as %s: %d, %v", s, int64(a), a, again, err)
		}
		// The text is the printed form but for zeros at its ends.
		whole, fraction, _ := strings.Cut(s, ".")
		whole = strings.TrimLeft(whole, "0")
		if whole == "" {
			whole = "0"
		}
		if canonical := whole + "." + fraction + strings.Repeat("0", 8-len(fraction)); canonical != a.String() {
			t.Fatalf("%q is %s", s, a)
		}
	})
}

func FuzzParseHash(f *testing.F) {
	for _, s := range []string{"", genesisHash, strings.ToUpper(genesisHash), genesisHash + "0", genesisHash + "00", genesisHash[:63] + "g"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHash(s)
		if err != nil {
			if h != (Hash{}) {
				t.Fatalf("%q: %s, %v", s, h, err)
			}
			return
		}
		var again Hash
		if h.String() != strings.ToLower(s) || again.UnmarshalText([]byte(s)) != nil || again != h {
			t.Fatalf("%q is %s", s, h)
		}
	})
}

// allocated returns the bytes that fn allocates.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestHostileLengths: what a decoder allocates, garbage included, is bounded
// by its input, whatever lengths the input claims. The dearest honest byte is
// an empty witness element, whose slice header takes 24.
func TestHostileLengths(t *testing.T) {
	const size = 1 << 20
	fill := func(prefix, unit string) []byte {
		b := vectors.Hex(t, prefix)
		return append(b, bytes.Repeat(vectors.Hex(t, unit), (size-len(b))/(len(unit)/2))...)
	}
	count := func(n int) string { return hex.EncodeToString(AppendCompactSize(nil, uint64(n))) }
	witnessForm := hexVersion + "0001" + "01" + hexInput + "00"
	input := strings.Repeat("00", 41)
	for _, tc := range []struct {
		name    string
		encoded []byte
		block   bool
		short   bool // the claim cannot be true, so nearly nothing is allocated
	}{
		{"2^32-1 inputs", vectors.Hex(t, hexVersion+"feffffffff"), false, true},
		{"2^63 inputs", vectors.Hex(t, hexVersion+"ff0000000000000080"), false, true},
		{"2^64-1 outputs", vectors.Hex(t, hexVersion+"01"+hexInput+"ffffffffffffffffff"), false, true},
		{"2^32-1 witness elements", vectors.Hex(t, witnessForm+"feffffffff"), false, true},
		{"script of 2^32-1 bytes", vectors.Hex(t, hexVersion+"01"+hexPrev+"feffffffff"), false, true},
		{"witness element of 2^64-1 bytes", vectors.Hex(t, witnessForm+"01"+"ffffffffffffffffff"), false, true},
		{"2^32-1 transactions", vectors.Hex(t, genesisHeader+"feffffffff"), true, true},
		{"more inputs than fit", fill(hexVersion+count(size/40), "ff"), false, true},
		{"more outputs than fit", fill(hexVersion+"01"+hexInput+count(size/8), "ff"), false, true},
		{"more transactions than fit", fill(genesisHeader+count(size/9), "ff"), true, true},
		{"inputs that fit but are none", fill(hexVersion+count(size/42), "ff"), false, false},
		{"outputs that fit but are none", fill(hexVersion+"01"+hexInput+count(size/10), "ff"), false, false},
		{"witness elements that fit but are none", fill(witnessForm+count(size-100), "ff"), false, true},
		{"transactions that fit but are none", fill(genesisHeader+count(size/11), "ff"), true, false},
		{"inputs", fill(hexVersion+count(size/41-1), "00"), false, false},
		{"outputs", fill(hexVersion+"01"+hexInput+count(size/9-9), "00"), false, false},
		{"empty witness elements", fill(witnessForm+count(size-100), "00"), false, false},
		{"empty transactions", fill(genesisHeader+count(size/10-9), "00000000"+"0000"+"00000000"), true, false},
		{"transactions that each claim all the rest", fill(genesisHeader+count(1000), "00000000"+"fe10270000"+"00"), true, false},
		{"inputs that each claim many elements", fill(hexVersion+"0001"+count(1000)+strings.Repeat(input, 1000)+"00", "fd0004"), false, false},
	} {
		decode := func() { DecodeTx(tc.encoded) }
		if tc.block {
			decode = func() { DecodeBlock(tc.encoded) }
		}
		limit := uint64(32*len(tc.encoded) + 4096)
		if tc.short {
			limit = 4096
		}
		// Goroutines of the runtime allocate too: the least of three counts.
		if got := min(allocated(decode), allocated(decode), allocated(decode)); got > limit {
			t.Errorf("%s: %d bytes allocated for %d of input", tc.name, got, len(tc.encoded))
		} else {
			t.Logf("%s: %d bytes allocated for %d of input", tc.name, got, len(tc.encoded))
		}
	}
}
