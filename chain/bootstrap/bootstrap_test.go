package bootstrap

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/karatcoin/karat/chain/types"
)

var magic = [4]byte{0xfa, 0xbf, 0xb5, 0xda}

const limit = 1000

// record is the payload of a block as far as the scanner cares.
func record(n, fill int) []byte { return bytes.Repeat([]byte{byte(fill)}, n) }

func frame(raws ...[]byte) []byte {
	var buf bytes.Buffer
	for _, raw := range raws {
		if err := Write(&buf, magic, raw); err != nil {
			panic(err) // a buffer takes everything
		}
	}
	return buf.Bytes()
}

func scan(t testing.TB, r io.Reader) (*Scanner, [][]byte, []int64) {
	t.Helper()
	s := NewScanner(r, magic, limit)
	var raws [][]byte
	var offsets []int64
	for {
		rec, err := s.Next()
		if errors.Is(err, io.EOF) {
			return s, raws, offsets
		}
		if err != nil {
			t.Fatal(err)
		}
		raws, offsets = append(raws, rec.Raw), append(offsets, rec.Offset)
	}
}

func TestScanner(t *testing.T) {
	a, b, c := record(80, 1), record(1000, 2), record(333, 3)
	falseFrame := append(magic[:], 0xff, 0xff, 0xff, 0x7f) // longer than any block
	tooShort := append(magic[:], 79, 0, 0, 0)
	cases := map[string]struct {
		input   []byte
		want    [][]byte
		skipped int64
		cut     bool
	}{
		"nothing":                     {nil, nil, 0, false},
		"three":                       {frame(a, b, c), [][]byte{a, b, c}, 0, false},
		"zeros between":               {slices.Concat(frame(a), make([]byte, 5000), frame(b)), [][]byte{a, b}, 5000, false},
		"zeros at the end":            {slices.Concat(frame(a), make([]byte, 3)), [][]byte{a}, 3, false},
		"garbage before":              {slices.Concat([]byte("\xfa\xbf\xb5what"), frame(a)), [][]byte{a}, 7, false},
		"a frame longer than allowed": {slices.Concat(falseFrame, frame(a)), [][]byte{a}, 8, false},
		"a frame too short":           {slices.Concat(tooShort, frame(c)), [][]byte{c}, 8, false},
		"cut in the last block":       {frame(a, b)[:1000], [][]byte{a}, 1000 - 88, true},
		"cut in a frame":              {append(frame(a), magic[0], magic[1]), [][]byte{a}, 2, false},
		"a block beyond the limit":    {frame(record(1001, 0), a), [][]byte{a}, 1009, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{bytes.NewReader(c.input), iotest.OneByteReader(bytes.NewReader(c.input))} {
				s, raws, offsets := scan(t, r)
				if !slices.EqualFunc(raws, c.want, bytes.Equal) {
					t.Fatalf("%d records, want %d", len(raws), len(c.want))
				}
				for i, at := range offsets {
					if !bytes.Equal(c.input[at:at+int64(len(raws[i]))], raws[i]) {
						t.Errorf("record %d is not at offset %d", i, at)
					}
				}
				if s.Skipped() != c.skipped || s.Cut() != c.cut || s.Offset() != int64(len(c.input)) {
					t.Errorf("skipped %d (want %d), cut %v (want %v), offset %d of %d", s.Skipped(), c.skipped, s.Cut(), c.cut, s.Offset(), len(c.input))
				}
			}
		})
	}
}

func TestScannerPassesReadErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	s := NewScanner(io.MultiReader(bytes.NewReader(frame(record(100, 1))[:50]), iotest.ErrReader(broken)), magic, limit)
	if _, err := s.Next(); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	if err := Write(&failing{}, magic, record(80, 0)); err == nil {
		t.Error("a failed write was not reported")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }

// FuzzScanner checks that whatever the input, records are what stands at their
// offsets, and that writing them again and scanning finds the same.
func FuzzScanner(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	f.Add(slices.Concat(frame(record(80, 1)), noise, frame(record(81, 2))))
	f.Add(slices.Concat(magic[:], frame(record(80, 1))))
	f.Fuzz(func(t *testing.T, input []byte) {
		s, raws, offsets := scan(t, bytes.NewReader(input))
		taken := s.Skipped()
		for i, at := range offsets {
			if len(raws[i]) < types.HeaderSize || len(raws[i]) > limit || !bytes.Equal(input[at:at+int64(len(raws[i]))], raws[i]) {
				t.Fatalf("record %d is wrong", i)
			}
			taken += frameSize + int64(len(raws[i]))
		}
		if taken != int64(len(input)) {
			t.Fatalf("%d bytes accounted for of %d", taken, len(input))
		}
		if _, again, _ := scan(t, bytes.NewReader(frame(raws...))); !slices.EqualFunc(again, raws, bytes.Equal) {
			t.Fatal("writing and scanning again gives other records")
		}
	})
}
