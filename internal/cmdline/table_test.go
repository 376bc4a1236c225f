package cmdline

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
)

// contextOf runs an action with the flags for what is shown.
func contextOf(t *testing.T, args string, action func(c *cli.Context)) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	a := app(&out, &errs, func(c *cli.Context) error { action(c); return nil })
	a.Flags = []cli.Flag{WideFlag(), UTCFlag(), LimitFlag()}
	if code := (Program{App: a}).Run(t.Context(), append([]string{"prog"}, strings.Fields(args)...)); code != 0 {
		t.Fatal(errs.String())
	}
	return out.String(), errs.String()
}

// TestRowsFit: a table is never wider than its terminal as long as its columns give
// way, and nothing is cut without need.
func TestRowsFit(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const address = "krt1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzsycyxdu"
	for _, limit := range []int{0, 200, 130, 100, 80, 60} {
		var r *Rows
		out, errs := contextOf(t, "", func(c *cli.Context) {
			r = NewRows(c, Column{Title: "amount", Right: true}, Column{Title: "note", Fit: Drop}, Column{Title: "label", Fit: End},
				Column{Title: "address", Fit: Below}, Column{Title: "transaction", Fit: Middle})
			r.limit = limit
			r.Add("1.50000000", "confirmed", "rent of May, and of June as well", address, id)
			r.Add("1,000,000.25000000", "", "日本語の\x1b[2Jラベル", "", id)
			r.Add("0.1", "x", "y\nz", "short", "none")
			if err := r.Flush(); err != nil {
				t.Error(err)
			}
		})
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		for _, line := range lines {
			if limit > 0 && Width(line) > limit && !strings.HasPrefix(line, indent+address) {
				t.Errorf("%d columns of %d: %s", Width(line), limit, line)
			}
		}
		if !strings.Contains(out, address) || strings.Contains(out, "\x1b") {
			t.Errorf("at %d columns:\n%s", limit, out)
		}
		if isWhole := strings.Count(out, id) == 2; isWhole != (limit == 0 || limit >= 130) || (errs == "") != isWhole {
			t.Errorf("at %d columns %q:\n%s", limit, errs, out)
		}
	}
	out, _ := contextOf(t, "", func(c *cli.Context) {
		r := NewRows(c, Column{Title: "amount", Right: true}, Column{Title: "id", Fit: Middle})
		r.limit = 30
		r.Add("1.5", id)
		r.Add("10.25", "x")
		_ = r.Flush()
	})
	if want := "amount  id\n   1.5  0123456789a…6789abcdef\n 10.25  x\n"; out != want {
		t.Errorf("\n%swant\n%s", out, want)
	}
}

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		fit  Fit
		want string
	}{
		{"abcdef", 6, End, "abcdef"},
		{"abcdefg", 6, End, "abcde…"},
		{"abcdefg", 6, Middle, "abc…fg"},
		{"日本語日本語", 6, End, "日本…"},
		{"e\u0301e\u0301e\u0301e\u0301", 3, End, "e\u0301e\u0301…"},
		{"abc", 1, Middle, "…"},
	} {
		if got := Shorten(c.text, c.n, c.fit); got != c.want || Width(got) > c.n {
			t.Errorf("%q to %d: %q, want %q", c.text, c.n, got, c.want)
		}
	}
}

func TestLast(t *testing.T) {
	rows := make([]int, 120)
	for i := range rows {
		rows[i] = i
	}
	for args, want := range map[string]int{"": 120, "--limit 7": 7, "--limit 0": 120, "--limit 500": 120} {
		_, errs := contextOf(t, args, func(c *cli.Context) {
			if got := Last(c, rows); len(got) != want || got[want-1] != 119 {
				t.Errorf("%q: %d rows", args, len(got))
			}
		})
		if errs != "" {
			t.Errorf("%q: %s", args, errs)
		}
	}
}

func TestTimes(t *testing.T) {
	zone := time.Local
	defer func() { time.Local = zone }()
	time.Local = time.FixedZone("CET", 3600)
	for args, want := range map[string]string{"": "2026-11-30 09:36 CET", "--utc": "2026-11-30 08:36 UTC"} {
		contextOf(t, args, func(c *cli.Context) {
			if got := Time(c, 1796027760); got != want {
				t.Errorf("%q: %s, want %s", args, got, want)
			}
		})
	}
	for d, want := range map[time.Duration]string{
		-1: "0 seconds", time.Second: "1 second", 119 * time.Second: "119 seconds", 120 * time.Second: "2 minutes", 3 * time.Hour: "3 hours", 47 * time.Hour: "47 hours", 800 * 24 * time.Hour: "2 years",
	} {
		if got := Span(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

func TestAmountsWithUnits(t *testing.T) {
	for text, want := range map[string]types.Amount{
		"1.5": 150_000_000, "1.5krt": 150_000_000, "1.5KRT": 150_000_000, "1.5 krt": 150_000_000, "2coins": 200_000_000, "1coin": 100_000_000, "150000000grains": 150_000_000,
		"1grain": 1, "1500mkrt": 150_000_000, "1.00001mKRT": 100_001, "0.01ukrt": 1, "1µkrt": 100, "1μkrt": 100, "92233720368547758070000000ukrt": -1,
		"9223372036854775807grains": 9223372036854775807, "9223372036854775808grains": -1, "1MKRT": -1, "1.5grains": -1, "1.000001mkrt": -1, "1.001ukrt": -1, "-1krt": -1, "krt": -1,
		"1btc": -1, "1.": -1, "1.mkrt": -1, ".5mkrt": -1, "1,5": -1, "": -1, "1e3": -1, "1krtd": -1, "m1krt": -1, "1 000": -1,
	} {
		got, err := ParseAmount(text, "krt")
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
		if err != nil && !errors.Is(err, types.ErrAmount) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if got, err := ParseAmount("1krtd", "krtd"); err != nil || got != 100_000_000 {
		t.Errorf("%d, %v", got, err)
	}
}
