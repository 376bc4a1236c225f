package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/pty"
)

// askedBuffer is what a command shows of its questions; it says when it was asked.
type askedBuffer struct {
	bytes.Buffer
	asked func()
}

// Write implements io.Writer.
func (b *askedBuffer) Write(p []byte) (int, error) {
	if strings.HasSuffix(string(p), ": ") {
		defer b.asked()
	}
	return b.Buffer.Write(p)
}

// TestQuestionsCanBeInterrupted: Ctrl-C at a question ends the program.
func TestQuestionsCanBeInterrupted(t *testing.T) {
	person := pty.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	shown := &askedBuffer{asked: func() { time.AfterFunc(10*time.Millisecond, cancel) }}
	code := run(ctx, []string{"karatd", "network", "new"}, cmdline.Streams{In: person.Terminal, Out: io.Discard, Err: shown})
	if want := "Name of the network: \nkaratd: interrupted\n"; code != cmdline.ExitFailure || shown.String() != want {
		t.Errorf("exit code %d: %q, want %q", code, shown.String(), want)
	}
	person.Type(t, "") // ends what was left reading
}

// TestQuestions: a person is asked for what the flags do not say, and may leave
// defaults as they are.
func TestQuestions(t *testing.T) {
	person := pty.New(t)
	answers := []string{"", "mycoin", "", " hello ", ""} // the name has no default, so it is asked for again
	shown := &askedBuffer{asked: func() {
		person.Type(t, answers[0])
		answers = answers[1:]
	}}
	file := filepath.Join(t.TempDir(), "mycoin.json")
	args := []string{"karatd", "network", "new", "--bits", "207fffff", "--output", file}
	code := run(t.Context(), args, cmdline.Streams{In: person.Terminal, Out: io.Discard, Err: shown})
	data, err := os.ReadFile(file)
	if code != 0 || err != nil || len(answers) > 0 {
		t.Fatalf("exit code %d, %v, %d answers left: %s", code, err, len(answers), shown)
	}
	for _, want := range []string{`"mycoin"`, `"myco"`, `"hello"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s is not in %s", want, data)
		}
	}
}

// TestBadName: a name that no network can have is refused before more is asked.
func TestBadName(t *testing.T) {
	person := pty.New(t)
	shown := &askedBuffer{asked: func() { person.Type(t, "My Coin") }}
	code := run(t.Context(), []string{"karatd", "network", "new"}, cmdline.Streams{In: person.Terminal, Out: io.Discard, Err: shown})
	if code != cmdline.ExitFailure || !strings.Contains(shown.String(), `name: "My Coin"`) || strings.Contains(shown.String(), "Prefix") {
		t.Errorf("exit code %d: %s", code, shown.String())
	}
}
