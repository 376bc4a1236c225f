package types

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/vectors"
)

func TestCompactSize(t *testing.T) {
	for _, tc := range []struct {
		n    uint64
		want string
	}{
		{0, "00"}, {1, "01"}, {0xfc, "fc"},
		{0xfd, "fdfd00"}, {0xfe, "fdfe00"}, {0xff, "fdff00"}, {0x100, "fd0001"}, {0xffff, "fdffff"},
		{0x10000, "fe00000100"}, {0x02000000, "fe00000002"}, {0xffffffff, "feffffffff"},
		{0x100000000, "ff0000000001000000"}, {math.MaxUint64, "ffffffffffffffffff"},
	} {
		got := AppendCompactSize([]byte{0xaa}, tc.n)
		if hex.EncodeToString(got) != "aa"+tc.want || CompactSizeLen(tc.n) != len(tc.want)/2 {
			t.Errorf("%d: %x of %d bytes, want %s", tc.n, got[1:], CompactSizeLen(tc.n), tc.want)
		}
		d := NewDecoder(got[1:])
		if n := d.CompactSize(); n != tc.n || d.Finish() != nil {
			t.Errorf("%s: %d (%v), want %d", tc.want, n, d.Err(), tc.n)
		}
		for cut := 1; cut < len(got)-1; cut++ {
			d := NewDecoder(got[1 : len(got)-cut])
			if n := d.CompactSize(); n != 0 || !errors.Is(d.Err(), ErrEncoding) {
				t.Errorf("%s less %d bytes: %d (%v)", tc.want, cut, n, d.Err())
			}
		}
	}
}

func TestCompactSizeNotCanonical(t *testing.T) {
	for _, encoded := range []string{
		"fd0000", "fd0100", "fdfc00",
		"fe00000000", "fefc000000", "fefd000000", "feffff0000",
		"ff0000000000000000", "fffd00000000000000", "ffffff000000000000", "ffffffffff00000000",
	} {
		d := NewDecoder(vectors.Hex(t, encoded))
		if n := d.CompactSize(); n != 0 || !errors.Is(d.Finish(), ErrEncoding) || !strings.Contains(d.Err().Error(), "canonical") {
			t.Errorf("%s: %d (%v)", encoded, n, d.Err())
		}
	}
}

func TestDecoderReads(t *testing.T) {
	raw := vectors.Hex(t, "01"+"02030405"+"060708090a0b0c0d"+strings.Repeat("0e", 31)+"0f"+"03101112"+"00"+"1314")
	d := NewDecoder(raw)
	if got := fmt.Sprintf("%x %x %x", d.Uint8(), d.Uint32(), d.Uint64()); got != "1 5040302 d0c0b0a09080706" {
		t.Errorf("integers: %s", got)
	}
	if h := d.Hash(); !strings.HasPrefix(h.String(), "0f0e0e") {
		t.Errorf("hash %s", h)
	}
	if got := d.VarBytes(); !bytes.Equal(got, []byte{0x10, 0x11, 0x12}) || cap(got) != 3 {
		t.Errorf("bytes %x, capacity %d: appending would overwrite the input", got, cap(got))
	}
	if got := d.VarBytes(); got == nil || len(got) != 0 {
		t.Errorf("no bytes: %v", got)
	}
	if d.Remaining() != 2 {
		t.Errorf("%d bytes remain", d.Remaining())
	}
	if !bytes.Equal(d.Bytes(2), raw[len(raw)-2:]) || d.Finish() != nil {
		t.Errorf("the end: %v", d.Err())
	}
}

// TestDecoderSticks: after a failure everything reads as zero, and the first
// error stays.
func TestDecoderSticks(t *testing.T) {
	d := NewDecoder(bytes.Repeat([]byte{1}, 100))
	d.Bytes(7)
	d.Fail("my %s", "reason")
	d.Fail("another")
	const want = "bad encoding at byte 7: my reason"
	if d.Err().Error() != want || !errors.Is(d.Err(), ErrEncoding) || d.Finish() != d.Err() {
		t.Errorf("%v, want %s", d.Err(), want)
	}
	if d.Uint8() != 0 || d.Uint32() != 0 || d.Uint64() != 0 || !d.Hash().IsZero() || d.CompactSize() != 0 ||
		d.Count(1) != 0 || d.VarBytes() != nil || d.Bytes(0) != nil || d.Remaining() != 0 {
		t.Error("a read after the failure gave something")
	}
	if d.Err().Error() != want {
		t.Errorf("the error became %v", d.Err())
	}
}

func TestDecoderTooShort(t *testing.T) {
	for name, read := range map[string]func(*Decoder){
		"uint8":     func(d *Decoder) { d.Bytes(3); d.Uint8() },
		"uint32":    func(d *Decoder) { d.Uint32() },
		"uint64":    func(d *Decoder) { d.Uint64() },
		"hash":      func(d *Decoder) { d.Hash() },
		"bytes":     func(d *Decoder) { d.Bytes(4) },
		"negative":  func(d *Decoder) { d.Bytes(-1) },
		"most":      func(d *Decoder) { d.Bytes(math.MaxInt) },
		"var bytes": func(d *Decoder) { d.VarBytes() },
		"left over": func(d *Decoder) { d.Bytes(2) },
	} {
		d := NewDecoder([]byte{3, 3, 3})
		read(d)
		if err := d.Finish(); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCount(t *testing.T) {
	for _, tc := range []struct {
		encoded string
		minSize int
		want    int
		ok      bool
	}{
		{"00", 10, 0, true},
		{"02" + "00000000", 2, 2, true},
		{"02" + "000000", 2, 0, false},
		{"03" + "00000000", 2, 0, false},
		{"01", 1, 0, false},
		{"feffffffff" + "00", 1, 0, false},
		{"ffffffffffffffffff" + "00", 1, 0, false},
		{"ff0000000000000080" + "00", 1, 0, false}, // negative as an int
	} {
		d := NewDecoder(vectors.Hex(t, tc.encoded))
		if n := d.Count(tc.minSize); n != tc.want || (d.Err() == nil) != tc.ok {
			t.Errorf("%s in elements of %d: %d (%v)", tc.encoded, tc.minSize, n, d.Err())
		}
	}
}

func TestVarBytes(t *testing.T) {
	for _, n := range []int{0, 1, 0xfc, 0xfd, 0xffff, 0x10000} {
		v := bytes.Repeat([]byte{7}, n)
		encoded := AppendVarBytes(nil, v)
		if len(encoded) != varBytesLen(v) {
			t.Errorf("%d bytes take %d, not %d", n, len(encoded), varBytesLen(v))
		}
		d := NewDecoder(encoded)
		if got := d.VarBytes(); !bytes.Equal(got, v) || d.Finish() != nil {
			t.Errorf("%d bytes come back as %d (%v)", n, len(got), d.Err())
		}
	}
}
