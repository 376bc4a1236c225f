package cmdline

import (
	"strings"
	"testing"
)

// TestFold: a row that is wider than the terminal is broken between words, and no word in its
// middle as long as it has a place in any line.
func TestFold(t *testing.T) {
	address := strings.Repeat("a", 64)
	for _, c := range []struct{ line, want string }{
		{"fee     0.00000016   0.103 grains", "fee     0.00000016   0.103 grains"},
		{"pay     5.00000000   to " + address, "pay     5.00000000   to\n    " + address},
		{"    pay     5.00000000   to " + address, "    pay     5.00000000   to\n        " + address},
		{"  pay   " + address + "  rent of May and June", "  pay   " + address + "\n      rent of May and June"},
		{"time     " + strings.Repeat("word ", 16) + "end", "time     " + strings.TrimSpace(strings.Repeat("word ", 14)) + "\n         word word end"},
		{address + address, address + address},
		{"hash_of_all_coins  " + address, "hash_of_all_coins\n    " + address},
	} {
		if got := fold(c.line, 80); got != c.want {
			t.Errorf("%q is folded into\n%s\nwant\n%s", c.line, got, c.want)
		}
	}
	// What comes in pieces is folded by lines.
	var out strings.Builder
	f := &folder{w: &out, columns: 10}
	for _, piece := range []string{"one t", "wo three\nfo", "ur\n"} {
		if n, err := f.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if want := "one two\n    three\nfour\n"; out.String() != want {
		t.Errorf("pieces are folded into %q, want %q", out.String(), want)
	}
}
