package cmdline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// app is a program whose only command does what a test says.
func app(out, errs io.Writer, action cli.ActionFunc) *cli.App {
	return &cli.App{Name: "prog", Writer: out, ErrWriter: errs, Action: action}
}

func TestExitCodes(t *testing.T) {
	full := errors.New("disk full")
	for _, c := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"done", nil, ExitOK, ""},
		{"failed", full, ExitFailure, "prog: disk full\n"},
		{"two parts report one fault", errors.Join(full, errors.Join(errors.New("no sync"), full)), ExitFailure, "prog: disk full; no sync\n"},
		{"usage", Usagef("--speed %d: want 1 to 9", 10), ExitUsage, "prog: --speed 10: want 1 to 9\n"},
		{"usage, told by somebody else", fmt.Errorf("file x: %w", Usagef("no speed")), ExitUsage, "prog: file x: no speed\n"},
		{"interrupted", fmt.Errorf("read: %w", context.Canceled), ExitFailure, "prog: interrupted\n"},
		{"explained", io.ErrUnexpectedEOF, ExitFailure, "it broke off\n"},
	} {
		var errs bytes.Buffer
		code := Program{
			App:     app(io.Discard, &errs, func(*cli.Context) error { return c.err }),
			Explain: func(err error) (string, bool) { return "it broke off", errors.Is(err, io.ErrUnexpectedEOF) },
		}.Run(t.Context(), []string{"prog"})
		if code != c.code || errs.String() != c.want {
			t.Errorf("%s: exit code %d (want %d), %q (want %q)", c.name, code, c.code, errs.String(), c.want)
		}
	}
}

func TestUsageErrorsKeepTheirCause(t *testing.T) {
	if err := Usagef("--file: %w", os.ErrNotExist); !errors.Is(err, os.ErrNotExist) || !errors.Is(err, ErrUsage) {
		t.Errorf("%v", err)
	}
}

// TestOutputThatFails: what a command could not print is a failure, even if the
// command did not look.
func TestOutputThatFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		action cli.ActionFunc
		want   string
	}{
		{"not looked at", func(c *cli.Context) error { fmt.Fprintln(c.App.Writer, "x"); return nil }, "prog: it is done, but the output could not be written: no room\n"},
		{"looked at", func(c *cli.Context) error { _, err := fmt.Fprintln(c.App.Writer, "x"); return err }, "prog: the output could not be written: no room\n"},
		{"looked at, and told", func(c *cli.Context) error {
			_, err := fmt.Fprintln(c.App.Writer, "x")
			return fmt.Errorf("nothing was made: %w", err)
		}, "prog: nothing was made: no room\n"},
		{"another failure", func(c *cli.Context) error { fmt.Fprintln(c.App.Writer, "x"); return io.EOF }, "prog: EOF\n"},
		{"help", cli.ShowAppHelp, "prog: it is done, but the output could not be written: no room\n"},
	} {
		var errs bytes.Buffer
		if code := (Program{App: app(full{}, &errs, c.action)}).Run(t.Context(), []string{"prog"}); code != ExitFailure || errs.String() != c.want {
			t.Errorf("%s: exit code %d, %q, want %q", c.name, code, errs.String(), c.want)
		}
	}
	for _, word := range []string{"--help", "--version"} {
		var errs bytes.Buffer
		if code := wallet(full{}, &errs).Run(t.Context(), []string{"prog", word}); code != ExitFailure || errs.String() != "prog: the output could not be written: no room\n" {
			t.Errorf("%s: exit code %d, %q", word, code, errs.String())
		}
	}
}

// TestReaderHasEnough: who reads the beginning alone of help, or of what a command only shows,
// hears of no failure. What a command that changes something printed is missed.
func TestReaderHasEnough(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		reads  []string
		action cli.ActionFunc
		words  string
		code   int
		want   string
	}{
		{nil, show, "--help", ExitOK, ""},
		{[]string{"prog"}, show, "", ExitOK, ""},
		{[]string{"prog"}, func(c *cli.Context) error { _, err := fmt.Fprintln(c.App.Writer, "x"); return err }, "", ExitOK, ""},
		{[]string{"prog"}, func(c *cli.Context) error { _ = show(c); return io.EOF }, "", ExitFailure, "prog: EOF\n"},
		{[]string{"prog"}, func(c *cli.Context) error { _ = show(c); return Oldf("as of block 5") }, "", ExitOld, "prog: as of block 5\n"},
		{[]string{"other"}, show, "", ExitFailure, "prog: it is done, but the output could not be written: write |1: broken pipe\n"},
	} {
		var errs bytes.Buffer
		code := Program{App: app(w, &errs, c.action), Reads: c.reads}.Run(t.Context(), append([]string{"prog"}, strings.Fields(c.words)...))
		if code != c.code || errs.String() != c.want {
			t.Errorf("%v %q: exit code %d, %q, want %q", c.reads, c.words, code, errs.String(), c.want)
		}
	}
}

// show is a command that does not look whether anybody sees what it prints.
func show(c *cli.Context) error {
	fmt.Fprintln(c.App.Writer, "x")
	return nil
}

// full is a device without room.
type full struct{}

// Write implements io.Writer.
func (full) Write([]byte) (int, error) { return 0, errors.New("no room") }

// TestMeterElsewhere: where no bar can be drawn, long work is told in lines, and
// short work not at all.
func TestMeterElsewhere(t *testing.T) {
	var out strings.Builder
	m := NewMeter(&out)
	text := func() string { return "5 blocks" }
	m.Update(5, 10, text)
	m.Finish()
	if out.Len() > 0 {
		t.Errorf("work of a moment shows %q", out.String())
	}
	m.every = 0
	m.start = m.start.Add(-1e9)
	m.Update(5, 10, text)
	m.Update(5, 0, text)
	m.Update(0, 10, text)
	if got, want := out.String(), "5 blocks, 50 % done, about 1s left\n5 blocks\n5 blocks\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if m.Elapsed() < 1e9 || m.Rate(1000) > 1000 {
		t.Errorf("%s, %f", m.Elapsed(), m.Rate(1000))
	}
}
