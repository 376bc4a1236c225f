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

	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/pty"
	"github.com/karatcoin/karat/node"
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
	if want := "Name of the network: \nnothing was written\nkaratd: interrupted\n"; code != cmdline.ExitFailure || shown.String() != want {
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

// TestWrongAnswers: a wrong answer is told when it is given, and asked for again. What a flag says
// is checked before anything is asked, and not asked for.
func TestWrongAnswers(t *testing.T) {
	person := pty.New(t)
	answers := []string{"My Coin", "dev", "mycoin", "krt", "X", "my", strings.Repeat("x", 100), "", "1000000", "-1", "50"}
	shown := &askedBuffer{asked: func() {
		person.Type(t, answers[0])
		answers = answers[1:]
	}}
	file := filepath.Join(t.TempDir(), "mycoin.json")
	ask := func(args ...string) int {
		shown.Reset()
		return run(t.Context(), append([]string{"karatd", "network", "new", "--bits", "207fffff", "--output", file}, args...), cmdline.Streams{In: person.Terminal, Out: io.Discard, Err: shown})
	}
	if code := ask("--spacing", "1500ms"); code != cmdline.ExitUsage || strings.Contains(shown.String(), "Name") {
		t.Errorf("exit code %d: %s", code, shown)
	}
	if code := ask(); code != 0 || len(answers) > 0 {
		t.Fatalf("exit code %d, %d answers left: %s", code, len(answers), shown)
	}
	for _, want := range []string{
		`"My Coin": want up to 32 lower-case`, "dev is a network that is built in", "are those of karat's main network", "\"X\": ", "has 100 bytes", "are more than can be counted", "-1",
	} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if code := ask("--name", "other", "--hrp", "o", "--message", "m", "--subsidy", "5"); code != 0 || strings.Contains(shown.String(), ": \n") || strings.Contains(shown.String(), "[") {
		t.Errorf("exit code %d: %s", code, shown)
	}
}

// TestNamedNetworkAsksNothing: a command line that names the network is whole.
func TestNamedNetworkAsksNothing(t *testing.T) {
	person := pty.New(t)
	file := filepath.Join(t.TempDir(), "mycoin.json")
	shown := &askedBuffer{asked: func() { person.Type(t, "swallowed") }}
	code := run(t.Context(), []string{"karatd", "network", "new", "--name", "mycoin", "--bits", "207fffff", "--output", file}, cmdline.Streams{In: person.Terminal, Out: io.Discard, Err: shown})
	data, err := os.ReadFile(file)
	if code != 0 || err != nil || !strings.Contains(string(data), "mycoin begins") || strings.Contains(shown.String(), "swallowed") || strings.Contains(shown.String(), "[") {
		t.Errorf("exit code %d, %v: %s", code, err, shown)
	}
}

// TestInterruptSaysWhatIsStored: the key of a faucet is there before the network is.
func TestInterruptSaysWhatIsStored(t *testing.T) {
	for _, faucet := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "data")
		file, args := dir+".json", []string{"karatd", "--datadir", dir, "network", "new", "--name", "mycoin", "--hashrate", "1EH/s", "--output", dir + ".json"}
		want := "\nnothing was written\nkaratd: interrupted\n"
		if faucet {
			args = append(args, "--allocate", "faucet=5")
			want = "nothing was written but the faucet's key, in " + dir + "/mycoin\nkaratd: interrupted\n"
		}
		ctx, cancel := context.WithCancel(t.Context())
		var shown said
		code := run(ctx, args, cmdline.Streams{In: strings.NewReader(""), Out: io.Discard, Err: writerFunc(func(p []byte) (int, error) {
			if strings.HasPrefix(string(p), "finding the nonce") {
				cancel()
			}
			return shown.Write(p)
		})})
		cancel()
		if code != cmdline.ExitFailure || !strings.HasSuffix(shown.String(), want) {
			t.Errorf("exit code %d: %s", code, shown.String())
		}
		if _, err := os.Lstat(file); !os.IsNotExist(err) {
			t.Errorf("%v", err)
		}
		if _, err := os.Lstat(filepath.Join(dir, "mycoin", "faucet.key")); (err == nil) != faucet {
			t.Errorf("%v", err)
		}
	}
}

// writerFunc is a writer that is a function.
type writerFunc func([]byte) (int, error)

// Write implements io.Writer.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestTerminalIsNotTooNarrow: what a node says at its start, and who packs a network is told,
// goes on between words where a terminal ends.
func TestTerminalIsNotTooNarrow(t *testing.T) {
	p := aNetwork(t, nil)
	config := node.Config{Params: p, DataDir: "/srv/club/karat/of-all-its-members/coin", Mine: true}
	started := node.Started{
		RPC: "127.0.0.1:19654", Web: "http://127.0.0.1:19580/", CookieFile: config.DataDir + "/.cookie",
		Faucet: append([]byte{0x51, 0x20}, make([]byte, 32)...), Stratum: "127.0.0.1:3333",
	}
	file := writeFile(t, filepath.Join(t.TempDir(), "coin.json"), string(network.Pack(p)))
	for name, show := range map[string]func(*os.File){
		"start": func(w *os.File) { announce(w, &options{network: "main"}, config, started, true) },
		"pack": func(w *os.File) {
			if code := run(t.Context(), []string{"karatd", "--network", file, "network", "pack"}, cmdline.Streams{In: strings.NewReader(""), Out: io.Discard, Err: w}); code != 0 {
				t.Errorf("network pack: exit code %d", code)
			}
		},
	} {
		person := pty.New(t)
		person.Resize(t, 80, 24)
		show(person.Terminal)
		if err := person.Terminal.Close(); err != nil {
			t.Fatal(err)
		}
		shown, _ := io.ReadAll(person.Keyboard) // it ends with an error, as nobody is left
		if !strings.Contains(string(shown), "coin") {
			t.Errorf("%s: %q", name, shown)
		}
		for line := range strings.Lines(string(shown)) {
			if line = strings.TrimRight(line, "\r\n"); cmdline.Width(line) > screen {
				t.Errorf("%s: %d columns: %s", name, cmdline.Width(line), line)
			}
		}
	}
}
