package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/pty"
)

// person is somebody at a terminal.
type person struct {
	pty.Person
	t *testing.T
}

func newPerson(t *testing.T) *person {
	t.Helper()
	return &person{pty.New(t), t}
}

// answer is what a person does at a question: type a line, or give up.
type answer struct {
	question, line string
	secret         bool
	interrupt      bool
}

// run executes a command line and answers its questions.
func (p *person) run(args []string, answers []answer) (code int, stdout, stderr string) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	var out, errs lockedBuffer
	done := make(chan int, 1)
	go func() { done <- run(ctx, args, cmdline.Streams{In: p.Terminal, Out: &out, Err: &errs}) }()
	seen := 0
	for _, a := range answers {
		p.until(a.question, func() bool {
			text := errs.String()
			return strings.HasSuffix(text, a.question) && len(text) > seen && p.SeesWhatIsTyped(p.t) != a.secret
		})
		seen = len(errs.String())
		if a.interrupt {
			cancel()
			defer p.Type(p.t, "") // ends what was left reading
			break
		}
		p.Type(p.t, a.line)
	}
	select {
	case code = <-done:
	case <-time.After(time.Minute):
		p.t.Fatalf("karat %v does not end: %s%s", args, out.String(), errs.String())
	}
	if !p.SeesWhatIsTyped(p.t) {
		p.t.Errorf("karat %v leaves a terminal that does not show what is typed", args)
	}
	return code, out.String(), errs.String()
}

func (p *person) until(what string, reached func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); !reached(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("no %q", what)
		}
	}
}

func passphraseAt(question, line string) answer {
	return answer{question: question, line: line, secret: true}
}

func giveUp(a answer) answer {
	a.interrupt = true
	return a
}

const (
	first  = "Passphrase: "
	second = "Once more:  "
	words  = "Words: "
	finish = "12 words; Enter to finish, or go on: "

	wordAgain = "Word 12 again, or Enter to give up: "

	sendIt = "Send it? [y/N] "
)

// TestPrompts: what a person types makes a wallet, and an interrupt at any question
// ends the command at once, with nothing made and the terminal as it was.
func TestPrompts(t *testing.T) {
	slow(t)
	dir := t.TempDir()
	many := strings.Repeat("abandon ", 12)
	for i, c := range []struct {
		command string
		answers []answer
		code    int
		want    string // in the errors
	}{
		{"create", []answer{passphraseAt(first, "S3cret"), passphraseAt(second, "S3cret")}, 0, ""},
		{"create", []answer{passphraseAt(first, "S3cret"), passphraseAt(second, "S3crte")}, 1, "differ"},
		{"create", []answer{passphraseAt(first, "")}, 2, "empty"},
		{"create", []answer{giveUp(passphraseAt(first, ""))}, 1, "interrupted"},
		{"create", []answer{passphraseAt(first, "S3cret"), giveUp(passphraseAt(second, ""))}, 1, "interrupted"},
		{"create", []answer{passphraseAt(first, "\x04")}, 1, "no passphrase was typed: nothing was done"},
		{"create", []answer{passphraseAt(first, "S3cret"), passphraseAt(second, "\x04")}, 1, "no passphrase was typed"},
		{"create", []answer{passphraseAt(first, "\x03")}, 1, "interrupted"},
		{"create", []answer{passphraseAt(first, "wrong\x15S3creü\x7ft"), passphraseAt(second, "S3cret")}, 0, ""},
		{"restore", []answer{passphraseAt(words, richWords), passphraseAt(finish, ""), passphraseAt(first, "S3cret"), passphraseAt(second, "S3cret")}, 0, ""},
		{"restore", []answer{
			passphraseAt(words, "   1. test 2. TEST   3. test\n 4. test  5. test test\ntest test test test test junk\n"),
			passphraseAt(first, "S3cret"), passphraseAt(second, "S3cret"),
		}, 0, ""},
		// Twelve words and twelve numbers are not 24 words, and 24 words on two lines are not 12.
		{"restore", []answer{
			passphraseAt(words, "1 test 2 test 3 test 4 test 5 test 6 test\n7 test 8 test 9 test 10 test 11 test 12 junk"), passphraseAt(finish, ""),
			passphraseAt(first, "S3cret"), passphraseAt(second, "S3cret"),
		}, 0, ""},
		{"restore", []answer{
			passphraseAt(words, many), passphraseAt(finish, strings.Repeat("abandon ", 11)+"art"),
			passphraseAt(first, "S3cret"), passphraseAt(second, "S3cret"),
		}, 0, ""},
		{"restore", []answer{
			passphraseAt(words, strings.Repeat("abandon ", 5)+"\n"+strings.Repeat("abandon ", 7)+"\n"+strings.Repeat("abandon ", 11)+"art"),
			passphraseAt(first, "S3cret"), passphraseAt(second, "S3cret"),
		}, 0, ""},
		{"restore", []answer{passphraseAt(words, strings.Replace(richWords, "junk", "sadle", 1)), passphraseAt(finish, ""), passphraseAt(wordAgain, "")}, 1, "word 12 is not one of BIP39's english words: is it saddle?"},
		{"restore", []answer{
			passphraseAt(words, strings.Replace(richWords, "junk", "sadle", 1)), passphraseAt(finish, ""), passphraseAt(wordAgain, "junkk"), passphraseAt(wordAgain, "junk"),
			passphraseAt(first, "S3cret"), passphraseAt(second, "S3cret"),
		}, 0, ""},
		{"restore", []answer{passphraseAt(words, strings.Replace(richWords, "junk", "sadle", 1)), passphraseAt(finish, ""), giveUp(passphraseAt(wordAgain, ""))}, 1, "interrupted"},
		{"restore", []answer{passphraseAt(words, "S3cret"), passphraseAt("1 words; go on: ", "")}, 1, "word 1 is not"},
		{"restore", []answer{passphraseAt(words, many), passphraseAt(finish, "")}, 1, "checksum"},
		{"restore", []answer{passphraseAt(words, "")}, 1, "no words"},
		{"restore", []answer{passphraseAt(words, "\x04")}, 1, "no words"},
		{"restore", []answer{passphraseAt(words, "test test\n")}, 1, "2 words"},
		{"restore", []answer{giveUp(passphraseAt(words, ""))}, 1, "interrupted"},
		{"restore", []answer{passphraseAt(words, richWords), giveUp(passphraseAt(finish, ""))}, 1, "interrupted"},
		{"restore", []answer{passphraseAt(words, richWords+"\n"), giveUp(passphraseAt(first, ""))}, 1, "interrupted"},
		{"restore --bip39-passphrase", []answer{
			passphraseAt(words, richWords+"\n"), passphraseAt("BIP39 passphrase: ", "S3cret"), passphraseAt("Once more:        ", "S3cret"),
			passphraseAt(first, "S3cret"), passphraseAt(second, "S3cret"),
		}, 0, ""},
		{"restore --bip39-passphrase", []answer{
			passphraseAt(words, richWords+"\n"), passphraseAt("BIP39 passphrase: ", "S3cret"), passphraseAt("Once more:        ", "S3crte"),
		}, 1, "differ"},
		{"restore --bip39-passphrase", []answer{passphraseAt(words, richWords+"\n"), passphraseAt("BIP39 passphrase: ", "")}, 2, "leave --bip39-passphrase out"},
	} {
		name := fmt.Sprint("w", i)
		args := []string{"karat", "--network", "dev", "--datadir", dir, "--wallet", name}
		code, stdout, stderr := newPerson(t).run(append(args, strings.Fields(c.command)...), c.answers)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Contains(stdout+stderr, "S3cr") || strings.Contains(stderr, "sadle") {
			t.Errorf("%d, %s: exit code %d (want %d), want %q:\n%s%s", i, c.command, code, c.code, c.want, stdout, stderr)
		}
		_, err := os.Stat(filepath.Join(dir, "dev", "wallets", name, "wallet.json"))
		if (err == nil) != (c.code == 0) {
			t.Errorf("%d, %s: exit code %d, file: %v", i, c.command, code, err)
		}
	}
}

// TestSendAsks: a payment is sent if a person says yes, and not otherwise.
func TestSendAsks(t *testing.T) {
	b := newBench(t)
	b.rich()
	to := b.karat("rich", "address")
	for _, c := range []struct {
		what string
		answer
		sent bool
	}{
		{"y", answer{question: sendIt, line: "y"}, true},
		{"YES", answer{question: sendIt, line: " YES "}, true},
		{"n", answer{question: sendIt, line: "n"}, false},
		{"nothing", answer{question: sendIt}, false},
		{"yess", answer{question: sendIt, line: "yess"}, false},
		{"the end of input", answer{question: sendIt, line: "\x04"}, false},
		{"an interrupt", answer{question: sendIt, interrupt: true}, false},
	} {
		before := len(call[[]string](b, "getrawmempool"))
		args := []string{"karat", "--network", "dev", "--datadir", b.dir, "--rpc", b.rpc, "--rpc-cookie", b.cookie, "--wallet", "rich", "send", to, "1"}
		code, stdout, stderr := newPerson(t).run(args, []answer{c.answer})
		sent := len(call[[]string](b, "getrawmempool")) > before
		if sent != c.sent || (code == 0) != c.sent || (stdout != "") != c.sent || !strings.Contains(stderr, to) {
			t.Errorf("%s: exit code %d, sent %v:\n%s%s", c.what, code, sent, stdout, stderr)
		}
	}
}

// TestSignAsks: who signs sees the address and the message, each line of which is set off.
func TestSignAsks(t *testing.T) {
	b := newBench(t)
	b.karat("alice", "create", "--no-passphrase")
	alice := b.karat("alice", "address")
	for _, c := range []struct {
		answer
		signed bool
	}{
		{answer{question: "Sign it? [y/N] ", line: "y"}, true},
		{answer{question: "Sign it? [y/N] "}, false},
		{answer{question: "Sign it? [y/N] ", line: "\x04"}, false},
		{answer{question: "Sign it? [y/N] ", interrupt: true}, false},
	} {
		args := []string{"karat", "--network", "dev", "--datadir", b.dir, "--wallet", "alice", "sign-message", alice, "hello\nSign it? [y/N] y" + strings.Repeat("!", 2000)}
		code, stdout, stderr := newPerson(t).run(args, []answer{c.answer})
		if (code == 0) != c.signed || strings.HasPrefix(stdout, "smp") != c.signed {
			t.Errorf("%+v: exit code %d: %s", c.answer, code, stdout)
		}
		for _, want := range []string{"The key of " + alice + " signs this message of 2022 bytes:\n\n   hello\n   Sign it? [y/N] y!!", "!\n   … and 22 bytes more\n\n"} {
			if !strings.Contains(stderr, want) {
				t.Errorf("no %q in %s", want, stderr)
			}
		}
	}
}

// TestWrongPassphrase: who mistypes a passphrase may type it again, twice, and need not
// order the payment anew. A file that has a wrong one is not read again.
func TestWrongPassphrase(t *testing.T) {
	slow(t)
	b := newBench(t)
	b.rich()
	passphrase := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(passphrase, []byte("\ufeffS3cret\r\n"), 0o600); err != nil { // as an editor of Windows has it
		t.Fatal(err)
	}
	b.karat("safe", "create", "--passphrase-file", passphrase)
	b.karat("rich", "send", "--yes", b.karat("safe", "address"), "10")
	b.mine(1)
	args := []string{"karat", "--network", "dev", "--datadir", b.dir, "--rpc", b.rpc, "--rpc-cookie", b.cookie, "--wallet", "safe", "send", b.karat("rich", "address"), "1"}
	for _, c := range []struct {
		typed []string
		code  int
		want  string
	}{
		{[]string{"wrong", "S3crte", "S3cret"}, 0, "Try again"},
		{[]string{"wrong", "wrong", "wrong"}, 1, "wrong passphrase"},
		{[]string{"wrong", "\x04"}, 1, "no passphrase was typed: nothing was done"},
	} {
		answers := []answer{{question: sendIt, line: "y"}}
		for _, line := range c.typed {
			answers = append(answers, passphraseAt(first, line))
		}
		code, stdout, stderr := newPerson(t).run(args, answers)
		if code != c.code || (stdout != "") != (code == 0) || !strings.Contains(stderr, c.want) || strings.Count(stderr, sendIt) != 1 {
			t.Errorf("%q: exit code %d: %s%s", c.typed, code, stdout, stderr)
		}
	}
	if code, _, stderr := newPerson(t).run(append(args, "--yes", "--passphrase-file", b.cookie), nil); code != 1 || strings.Contains(stderr, "again") {
		t.Errorf("a file: exit code %d: %s", code, stderr)
	}
}
