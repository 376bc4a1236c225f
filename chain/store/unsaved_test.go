package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// killed returns a copy of a directory that is in use: what another process
// finds after this one was killed.
func killed(t *testing.T, dir string) string {
	t.Helper()
	left := filepath.Join(t.TempDir(), "left")
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return left
}

func testBody(n byte) (types.Index, []byte) {
	return types.Index{Height: uint32(n), Hash: types.Hash{n}}, bytes.Repeat([]byte{n}, 300)
}

// unsavedDir returns a directory with two bodies that a step has made durable,
// and six in two files behind them.
func unsavedDir(t *testing.T) (dir string, o Options) {
	t.Helper()
	dir = t.TempDir()
	o = smallOptions()
	o.SegmentSize = 2000
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := byte(1); n <= 8; n++ {
		at, raw := testBody(n)
		if err := s.WriteBlock(at, raw); err != nil {
			t.Fatal(err)
		}
		if n == 2 {
			if err := s.SaveHeaders(nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	return killed(t, dir), o
}

func takeUnsaved(t *testing.T, dir string, o Options) string {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	found := ""
	for _, raw := range s.TakeUnsaved() {
		if _, want := testBody(raw[0]); !bytes.Equal(raw, want) {
			t.Errorf("a body that was never written: %x", raw)
		}
		found += fmt.Sprint(raw[0])
	}
	if again := s.TakeUnsaved(); again != nil {
		t.Errorf("%d bodies a second time", len(again))
	}
	for n := byte(1); n <= 2; n++ {
		at, want := testBody(n)
		if raw, err := s.ReadBlock(at.Hash); err != nil || !bytes.Equal(raw, want) {
			t.Errorf("a durable body: %x, %v", raw, err)
		}
	}
	at, raw := testBody(9) // life goes on
	if err := s.WriteBlock(at, raw); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveHeaders(nil); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestUnsavedBodiesAreFound(t *testing.T) {
	dir, o := unsavedDir(t)
	if got := takeUnsaved(t, dir, o); got != "345678" {
		t.Errorf("found %s", got)
	}
	if got := takeUnsaved(t, dir, o); got != "" {
		t.Errorf("found %s after a clean end", got)
	}
}

// TestDamagedTails: the first byte that is no record ends what is found.
func TestDamagedTails(t *testing.T) {
	const record = frameSize + 300
	for _, c := range []struct {
		name, file string
		change     func([]byte) []byte
		want       string
	}{
		{"cut off", "blocks-00000.seg", func(b []byte) []byte { return b[:4*record+100] }, "34"},
		{"cut off within a head", "blocks-00000.seg", func(b []byte) []byte { return b[:4*record+20] }, "34"},
		{"a changed byte", "blocks-00000.seg", func(b []byte) []byte { b[3*record+50] ^= 1; return b }, "3"},
		{"zeros", "blocks-00000.seg", func(b []byte) []byte { clear(b[2*record:]); return b }, ""},
		{"a length beyond the end", "blocks-00000.seg", func(b []byte) []byte { b[2*record+7] = 0xff; return b }, ""},
		{"another kind", "blocks-00000.seg", func(b []byte) []byte { b[2*record+3] = '2'; return b }, ""},
		{"the next file", "blocks-00001.seg", func(b []byte) []byte { return b[:record+1] }, "3456"},
		{"an empty next file", "blocks-00001.seg", func(b []byte) []byte { return nil }, "345"},
	} {
		dir, o := unsavedDir(t)
		name := filepath.Join(dir, blocksDir, c.file)
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, c.change(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := takeUnsaved(t, dir, o); got != c.want {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
	}
}
