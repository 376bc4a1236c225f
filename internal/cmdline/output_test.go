package cmdline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/urfave/cli/v2"
)

// hostile has what can command a terminal, and what is no text at all.
const hostile = "a\x1b[2Jb\x07\r\x7f\u009b31m\u202ec\u2066\u200f\u2028\ufeff\U000e0041\xff\xc2"

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		"plain, größer, 日本語, 🙂":     "plain, größer, 日本語, 🙂",
		"two\nlines\r\nand\ttabs":   "two lines  and tabs",
		"\x1b[2J":                   `\u001b[2J`,
		"\u009b2J":                  `\u009b2J`, // the same, in one rune
		"abc\u202ecba":              `abc\u202ecba`,
		"\U000e0041":                `\udb40\udc41`,
		"\xff":                      "\ufffd",
		"zero\u200bwidth \u0000 \b": `zero\u200bwidth \u0000 \u0008`,
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if unicode.Is(unicode.C, r) || unicode.In(r, unicode.Zl, unicode.Zp) {
			if got := Printable(string(r)); strings.ContainsRune(got, r) {
				t.Fatalf("%U is shown", r)
			}
		}
	}
}

// TestAllOutputIsPrintable: whatever a command writes, and to whatever stream, and
// however it comes apart. Only a line's end stays what it is.
func TestAllOutputIsPrintable(t *testing.T) {
	for pieces := 1; pieces < 5; pieces++ {
		var out, errs bytes.Buffer
		code := Program{App: app(&out, &errs, func(c *cli.Context) error {
			if err := PrintJSON(c.App.Writer, hostile); err != nil {
				return err
			}
			for text := []byte(hostile + "\nü"); len(text) > 0; {
				n := min(pieces, len(text))
				if got, err := c.App.Writer.Write(text[:n]); got != n || err != nil {
					t.Errorf("%d, %v", got, err)
				}
				_, _ = c.App.ErrWriter.Write(text[:n])
				text = text[n:]
			}
			return errors.New("refused: " + hostile + "\nmore")
		})}.Run(t.Context(), []string{"prog"})
		if text := out.String(); code != ExitFailure || !strings.HasSuffix(text, "\na\\u001b[2Jb\\u0007\\u000d\\u007f\\u009b31m\\u202ec\\u2066\\u200f\\u2028\\ufeff\\udb40\\udc41\ufffd\ufffd\nü") {
			t.Errorf("exit code %d, %q", code, text)
		}
		for _, r := range out.String() + errs.String() {
			if r != '\n' && !unicode.IsGraphic(r) {
				t.Errorf("%U is shown", r)
			}
		}
		if _, last, _ := strings.Cut(errs.String(), "prog: "); strings.Count(last, "\n") != 1 || !strings.HasSuffix(last, "; more\n") {
			t.Errorf("no one line: %q", last)
		}
		var back string
		if err := json.NewDecoder(&out).Decode(&back); err != nil || back != strings.ToValidUTF8(hostile[:len(hostile)-2], "")+"\ufffd\ufffd" {
			t.Errorf("JSON is another: %q, %v", back, err)
		}
	}
}

// TestEndOfAnError: a node may send as much as it likes.
func TestEndOfAnError(t *testing.T) {
	var errs bytes.Buffer
	Program{App: app(&errs, &errs, func(*cli.Context) error { return errors.New(strings.Repeat("ü", 1e6)) })}.Run(t.Context(), []string{"prog"})
	if errs.Len() > maxError+20 || !strings.HasSuffix(errs.String(), "ü …\n") {
		t.Errorf("%d bytes, %q", errs.Len(), errs.String()[errs.Len()-10:])
	}
}

// TestRaw: what is no text stays what it is, and its failures are noticed.
func TestRaw(t *testing.T) {
	var out bytes.Buffer
	if code := (Program{App: app(&out, &out, func(c *cli.Context) error {
		_, err := Raw(c.App.Writer).Write([]byte(hostile))
		return err
	})}).Run(t.Context(), []string{"prog"}); code != 0 || out.String() != hostile {
		t.Errorf("exit code %d, %q", code, out.String())
	}
	out.Reset()
	if code := (Program{App: app(full{}, &out, func(c *cli.Context) error {
		fmt.Fprint(Raw(c.App.Writer), "x")
		return nil
	})}).Run(t.Context(), []string{"prog"}); code != ExitFailure || !strings.Contains(out.String(), "no room") {
		t.Errorf("exit code %d, %q", code, out.String())
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"one two three", 0, "one two three"},
		{"one two three", 13, "one two three"},
		{"one two three", 12, "one two\nthree"},
		{"  one  two\n", 10, "  one  two\n"},
		{"one two three", 7, "one two\nthree"},
		{"a\none twothree four", 8, "a\none\ntwothree\nfour"},
		{"one 0123456789 two", 5, "one\n0123456789\ntwo"},
		{"größer größer", 6, "größer\ngrößer"},
	} {
		if got := wrap(c.text, c.columns); got != c.want {
			t.Errorf("%q at %d: %q, want %q", c.text, c.columns, got, c.want)
		}
	}
}

// TestLinesOfCSV: the end of a line that CSV has stays one, in one piece or two.
func TestLinesOfCSV(t *testing.T) {
	for _, pieces := range [][]string{{"a,b\r\nc\x1b\r\n"}, {"a,b\r", "\nc\x1b\r", "\n"}, {"a,", "b", "\r\nc", "\x1b", "\r\n"}} {
		var out bytes.Buffer
		Program{App: app(&out, &out, func(c *cli.Context) error {
			for _, piece := range pieces {
				fmt.Fprint(c.App.Writer, piece)
			}
			fmt.Fprint(c.App.Writer, "x\ry\r")
			return nil
		})}.Run(t.Context(), []string{"prog"})
		if want := "a,b\r\nc\\u001b\r\nx\\u000dy\\u000d"; out.String() != want {
			t.Errorf("%q: %q, want %q", pieces, out.String(), want)
		}
	}
}
