package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/pty"
)

// go test ./cmd/karat -run Flow -golden writes what people read anew. Look at what changed
// before it is committed.
var writeGolden = flag.Bool("golden", false, "write testdata/flows anew")

// screen is a terminal of some width. It keeps all that a person at it has read.
type screen struct {
	t       *testing.T
	person  pty.Person
	columns int
	home    string // the folder of the test

	mu    sync.Mutex
	lines [][]rune
	at    int    // column of the cursor, in the last line
	half  []byte // of an escape sequence or a rune
	bells int    // which nobody hears: they mark the end of what a command wrote
}

func newScreen(t *testing.T, columns int) *screen {
	t.Helper()
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, person: pty.New(t), columns: columns, home: home, lines: [][]rune{nil}}
	s.person.Resize(t, uint16(columns), 24)
	go func() {
		for part := make([]byte, 4096); ; {
			n, err := s.person.Keyboard.Read(part)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.show(part[:n])
			s.mu.Unlock()
		}
	}()
	return s
}

// escapes are the sequences that karat's bars and colours have: they clear a line, or only
// colour it.
var escapes = regexp.MustCompile(`^\x1b\[[0-9;]*([A-Za-z])`)

// show does what a terminal does with what is written to it.
func (s *screen) show(part []byte) {
	text := append(s.half, part...)
	s.half = nil
	for len(text) > 0 {
		if text[0] == '\x1b' {
			m := escapes.FindSubmatch(text)
			if m == nil { // the rest is still to come
				break
			}
			if last := len(s.lines) - 1; m[1][0] == 'K' {
				s.lines[last] = s.lines[last][:min(s.at, len(s.lines[last]))]
				if string(m[0]) == "\x1b[2K" {
					s.lines[last] = nil
				}
			}
			text = text[len(m[0]):]
			continue
		}
		if !utf8.FullRune(text) {
			break
		}
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		s.put(r)
	}
	s.half = append([]byte{}, text...)
}

func (s *screen) put(r rune) {
	last := len(s.lines) - 1
	switch r {
	case '\r':
		s.at = 0
	case '\n':
		s.lines, s.at = append(s.lines, nil), 0
	case '\b':
		s.at = max(s.at-1, 0)
	case '\a':
		s.bells++
	default:
		for len(s.lines[last]) <= s.at {
			s.lines[last] = append(s.lines[last], ' ')
		}
		s.lines[last][s.at] = r
		s.at++
	}
}

// text returns all that was shown, in lines as they were written: where the terminal breaks
// them is not seen.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out strings.Builder
	for i, line := range s.lines {
		if i > 0 {
			out.WriteByte('\n')
		}
		out.WriteString(strings.TrimRight(string(line), " "))
	}
	return out.String()
}

// run runs a command line at the terminal, and types an answer when its question stands at
// the end of what is shown.
func (s *screen) run(b *bench, code int, line string, answers ...string) {
	s.t.Helper()
	s.mu.Lock()
	s.show([]byte("$ karat " + line + "\r\n")) // as a shell would
	bells := s.bells
	s.mu.Unlock()
	args := []string{"karat", "--datadir", b.dir, "--network", "dev", "--utc", "--rpc", b.rpc, "--rpc-cookie", b.cookie}
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		args = append(args, m[1]+m[2])
	}
	done := make(chan int, 1)
	go func() {
		done <- run(context.Background(), args, cmdline.Streams{In: s.person.Terminal, Out: s.person.Terminal, Err: s.person.Terminal})
	}()
	for i := 0; i+1 < len(answers); i += 2 {
		question := strings.TrimSpace(answers[i])
		isSecret := strings.Contains(question, "assphrase") || strings.Contains(question, "Once more") || strings.HasPrefix(question, "Word") || strings.Contains(question, "go on")
		s.until(question, func() bool {
			return strings.HasSuffix(strings.ReplaceAll(s.text(), "\n", " "), question) && s.person.SeesWhatIsTyped(s.t) != isSecret
		})
		s.person.Type(s.t, answers[i+1])
	}
	select {
	case got := <-done:
		if got != code {
			s.t.Fatalf("karat %s: exit code %d, want %d:\n%s", line, got, code, s.text())
		}
	case <-time.After(time.Minute):
		s.t.Fatalf("karat %s does not end:\n%s", line, s.text())
	}
	// What it wrote last may still be on its way. A bell behind it is not.
	if _, err := s.person.Terminal.WriteString("\a"); err != nil {
		s.t.Fatal(err)
	}
	s.until("a bell", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.bells > bells
	})
}

func (s *screen) until(what string, reached func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); !reached(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("no %q in:\n%s", what, s.text())
		}
	}
}

// What differs from run to run, and what stands for it.
var (
	times    = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d`)
	seconds  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	ages     = regexp.MustCompile(`\d+ (seconds?|minutes) (ago|old)`)
	hashes   = regexp.MustCompile(`\b[0-9a-f]{64}\b| [0-9a-f]{8}\b|\b[0-9a-f]{4,}…[0-9a-f]{4,}`)
	outputs  = regexp.MustCompile(`\b([0-9a-f]{64}):\d+`) // whose order is by chance
	packets  = regexp.MustCompile(`cHNidP8[A-Za-z0-9+/=]+`)
	trailing = regexp.MustCompile(`(?m) +$`)
	words12  = regexp.MustCompile(`(\d+\. )[a-z]{3,8}\b *`)
)

// fixed returns a text without what differs from run to run. Hashes become their number in
// the order of their appearance, so that one that is shown twice is seen to be one.
func fixed(text string, b *bench) string {
	text = strings.NewReplacer(b.dir, "/home/you/.karat", b.rpc, "127.0.0.1:19554").Replace(text)
	text = times.ReplaceAllString(text, "2026-01-02 03:04")
	text = seconds.ReplaceAllString(text, "2026-01-02T03:04:05Z")
	text = ages.ReplaceAllString(text, "5 seconds $2")
	text = words12.ReplaceAllString(text, "${1}word       ")
	text = outputs.ReplaceAllString(text, "$1:0")
	text = packets.ReplaceAllString(text, "cHNidP8BA…")
	var seen []string
	return hashes.ReplaceAllStringFunc(text, func(hash string) string {
		space := strings.Repeat(" ", strings.Count(hash, " "))
		hash = strings.TrimSpace(hash)
		n := -1
		for i := range seen {
			if sameHash(seen[i], hash) {
				n = i
			}
		}
		if n < 0 {
			n, seen = len(seen), append(seen, hash)
		}
		mask := func(size int) string { return strings.Repeat(fmt.Sprintf("%02x", 0xa0+n), size)[:size] }
		first, last, cut := strings.Cut(hash, "…")
		if cut {
			return mask(len(first)) + "…" + mask(len(last))
		}
		return space + mask(len(hash))
	})
}

// sameHash reports whether two hashes are one, of which all, the beginning, or both ends are
// shown.
func sameHash(a, b string) bool {
	ends := func(hash string) (first, last string) {
		if first, last, _ = strings.Cut(hash, "…"); len(first) == 64 {
			last = first
		}
		return first, last
	}
	a, aEnd := ends(a)
	b, bEnd := ends(b)
	first, last := min(len(a), len(b)), min(len(aEnd), len(bEnd))
	return a[:first] == b[:first] && aEnd[len(aEnd)-last:] == bEnd[len(bEnd)-last:]
}

// wrapped breaks lines where the terminal does.
func wrapped(text string, columns int) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		for cmdline.Width(strings.TrimSuffix(line, "\n")) > columns {
			letters := []rune(line)
			out.WriteString(string(letters[:columns]) + "\n")
			line = string(letters[columns:])
		}
		out.WriteString(line)
	}
	return out.String()
}

// golden compares what was read with what is kept under a name.
func (s *screen) golden(name string, b *bench) {
	s.t.Helper()
	path := filepath.Join(s.home, "testdata", "flows", fmt.Sprintf("%s-%d.txt", name, s.columns))
	got := strings.TrimRight(trailing.ReplaceAllString(wrapped(fixed(s.text(), b), s.columns), ""), "\n") + "\n"
	if *writeGolden {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if got != string(want) {
		s.t.Errorf("at %d columns people read\n%s\nand not what %s says", s.columns, got, path)
	}
}
