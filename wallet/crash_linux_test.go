package wallet

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/karatcoin/karat/chain/consensus"
)

// crashVariable tells a child of the tests below what to do, and where.
const crashVariable = "KARAT_WALLET_CRASH"

// child runs this test program with a task, in another process.
func child(t *testing.T, task, dir string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestCrashChild$", "-test.v=false")
	c.Env = append(os.Environ(), "TMPDIR="+t.TempDir(), crashVariable+"="+task+" "+dir)
	return c
}

// TestCrashChild is what such a process does. It does nothing in a test run.
func TestCrashChild(t *testing.T) {
	task, dir, ok := strings.Cut(os.Getenv(crashVariable), " ")
	if !ok {
		t.Skip("only for other tests, as a process of its own")
	}
	p := networkFile(t, "dev.json")
	path := filepath.Join(dir, FileName)
	switch task {
	case "addresses":
		f, err := OpenFile(path, p)
		must(t, err)
		w, err := Open(dir, f, p, nil)
		must(t, err)
		for {
			address, err := w.NextAddress(0)
			must(t, err)
			fmt.Println("did", address)
		}
	case "passphrases":
		for i := 0; ; i++ {
			must(t, changePassphrase(path, p, fmt.Sprint(i), fmt.Sprint(i+1), lightKDF()))
			fmt.Println("did", i+1)
		}
	case "full":
		signal.Ignore(syscall.SIGXFSZ)
		_, err := createFile(path, p, contentsOf(abandon), "", lightKDF())
		if err == nil {
			err = changePassphrase(path, p, "", "new", lightKDF())
		}
		if err == nil {
			err = firstAddress(path, p)
		}
		fmt.Println("did", err)
	}
}

// firstAddress opens a wallet and gives out an address.
func firstAddress(path string, p *consensus.Params) error {
	f, err := OpenFile(path, p)
	if err != nil {
		return err
	}
	w, err := Open(filepath.Dir(path), f, p, nil)
	if err != nil {
		return err
	}
	_, err = w.NextAddress(0)
	return err
}

// killed runs a task until it has done something so many times, kills it there, and returns what
// it said to have done.
func killed(t *testing.T, task, dir string, times int) (done []string) {
	t.Helper()
	c := child(t, task, dir)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if what, ok := strings.CutPrefix(lines.Text(), "did "); ok {
			done = append(done, what)
		}
		if len(done) == times {
			must(t, c.Process.Kill())
			times = -1 // and what was said until it died
		}
	}
	var died *exec.ExitError
	if err := c.Wait(); !errors.As(err, &died) || died.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("%s ended by itself: %v, %v", task, err, done)
	}
	return done
}

// TestKilled: a process that is killed at any time has lost no address that it gave out, and its
// file opens by the passphrase that was last said to be set, or the one after it.
func TestKilled(t *testing.T) {
	path, _, _ := testFile(t, "0")
	dir := filepath.Dir(path)
	given := map[string]bool{}
	for round := range 5 {
		for _, address := range killed(t, "addresses", dir, 1+5*round) {
			if given[address] {
				t.Fatalf("%s is given out twice", address)
			}
			given[address] = true
		}
	}
	for round := range 5 {
		path, p, _ := testFile(t, "0")
		done := killed(t, "passphrases", filepath.Dir(path), 1+3*round)
		f, err := OpenFile(path, p)
		must(t, err)
		_, last := f.Words(fmt.Sprint(len(done)))
		_, next := f.Words(fmt.Sprint(len(done) + 1))
		if last != nil && next != nil {
			t.Errorf("after %d changes: %v, %v", len(done), last, next)
		}
	}
}

// TestFullDisk: wherever a disk is full, the wallet's file is whole or is not there.
func TestFullDisk(t *testing.T) {
	p := networkFile(t, "dev.json")
	succeeded := 0
	for _, room := range []uint64{0, 100, 700, 1000, 1400, 1 << 20} {
		dir := filepath.Join(t.TempDir(), "w")
		c := child(t, "full", dir)
		var out strings.Builder
		c.Stdout, c.Stderr = &out, &out
		must(t, c.Start())
		// The limit may come late, when all is written; then the run tells nothing.
		must(t, unix.Prlimit(c.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: room, Max: room}, nil))
		err := c.Wait()
		if err != nil || !strings.Contains(out.String(), "did ") {
			t.Fatalf("with %d bytes: %v: %s", room, err, out.String())
		}
		f, err := OpenFile(filepath.Join(dir, FileName), p)
		if errors.Is(err, os.ErrNotExist) && !strings.Contains(out.String(), "did <nil>") {
			continue
		}
		must(t, err)
		_, before := f.Words("")
		_, after := f.Words("new")
		if before != nil && after != nil {
			t.Errorf("with %d bytes the file opens no more: %v, %v", room, before, after)
		}
		succeeded++
	}
	if succeeded == 0 {
		t.Error("nothing was ever written")
	}
}
