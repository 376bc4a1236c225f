package cmdline

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/pty"
)

func TestTerminal(t *testing.T) {
	person := pty.New(t)
	if in, ok := Terminal(person.Terminal); !ok || in != person.Terminal {
		t.Error("a terminal is none")
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, stream := range []any{strings.NewReader(""), file, nil} {
		if _, ok := Terminal(stream); ok {
			t.Errorf("%T is a terminal", stream)
		}
	}
}

func TestAsk(t *testing.T) {
	person := pty.New(t)
	for _, c := range []struct {
		what, typed, want string
		ask               func(context.Context, *os.File, io.Writer, string) (string, error)
		err               error
		shown             string // to the person, without the echo
	}{
		{"a line", " yes \n", "yes", AskLine, nil, "Well? "},
		{"an empty line", "\n", "", AskLine, nil, "Well? "},
		{"the end of a line", "\x04", "", AskLine, io.EOF, "Well? \n"},
		{"a secret", " s e \n", " s e ", AskSecret, nil, "Well? \n"},
	} {
		var shown strings.Builder
		asked := writerFunc(func(p []byte) (int, error) {
			if string(p) == "Well? " {
				go func() {
					time.Sleep(20 * time.Millisecond) // the terminal may be about to hide what is typed
					_, _ = person.Keyboard.WriteString(c.typed)
				}()
			}
			return shown.Write(p)
		})
		got, err := c.ask(t.Context(), person.Terminal, asked, "Well? ")
		if got != c.want || !errors.Is(err, c.err) || shown.String() != c.shown || !person.SeesWhatIsTyped(t) {
			t.Errorf("%s: %q, %v, shown %q", c.what, got, err, shown.String())
		}
	}
}

type writerFunc func([]byte) (int, error)

// Write implements io.Writer.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestAskInterrupted: the question ends at once, and what is typed can be seen
// again.
func TestAskInterrupted(t *testing.T) {
	person := pty.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := AskSecret(ctx, person.Terminal, io.Discard, "Secret: "); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if !person.SeesWhatIsTyped(t) {
		t.Error("the terminal does not show what is typed any more")
	}
	person.Type(t, "") // ends what was left reading
	if _, err := AskLine(t.Context(), person.Terminal, full{}, "Well? "); err == nil {
		t.Error("nobody saw the question, and an answer is waited for")
	}
}

// TestMeterOnATerminal: a bar is drawn, drawn anew when the work changes, and gone
// at the end.
func TestMeterOnATerminal(t *testing.T) {
	person := pty.New(t)
	m := NewMeter(person.Terminal)
	m.every = 0
	for _, at := range []struct{ done, total int64 }{{1, 4}, {4, 4}, {2, 4}, {3, 8}, {9, 0}} {
		m.Update(at.done, at.total, func() string { return "some blocks" })
	}
	m.Finish()
	if _, err := person.Terminal.WriteString("\nresult\n"); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(person.Keyboard)
	bars := ""
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "result") {
		bars += lines.Text()
	}
	for _, want := range []string{"some blocks  25%", "some blocks 100%", "some blocks  50%", "some blocks  37%"} {
		if !strings.Contains(bars, want) {
			t.Errorf("%q was not drawn: %q", want, bars)
		}
	}
	if end := bars[strings.LastIndex(strings.TrimRight(bars, "\r"), "\r"):]; strings.TrimSpace(end) != "" {
		t.Errorf("the bar stays: %q", end)
	}
}

// TestSecretLine: the keys that a terminal knows are known where it hands over every key, and
// what stands behind the line is left for the next question.
func TestSecretLine(t *testing.T) {
	for typed, want := range map[string]string{
		"abc\n": "abc", "abc\r": "abc", "abx\x7fc\n": "abc", "abü\x08c\n": "abc", "\x7f\x7fabc\n": "abc", "xyz\x15abc\n": "abc", "a\x04bc\n": "abc", " a\tb \n": " a\tb ", "é\n": "é",
	} {
		r := strings.NewReader(typed + "next")
		if got, err := secretLine(r); err != nil || got != want || r.Len() != len("next") {
			t.Errorf("%q: %q, %v, %d left", typed, got, err, r.Len())
		}
	}
	for typed, want := range map[string]error{"\x04": io.EOF, "abc\x15\x04": io.EOF, "abc\x03": context.Canceled, "abc": io.EOF} {
		if got, err := secretLine(strings.NewReader(typed)); !errors.Is(err, want) || got != "" {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
}
