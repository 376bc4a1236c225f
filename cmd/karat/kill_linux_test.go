package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/vectors"
)

// beKarat has the test's program be karat itself, so that a process of its own can be killed.
const beKarat = "KARAT_TEST_IS_KARAT"

// TestMain runs the tests, or karat.
func TestMain(m *testing.M) {
	if os.Getenv(beKarat) == "" {
		os.Exit(m.Run())
	}
	os.Exit(run(context.Background(), os.Args, cmdline.Streams{In: strings.NewReader(""), Out: os.Stdout, Err: os.Stderr}))
}

// process is a karat of its own.
type process struct {
	code        int
	out, errs   string
	writes      int // how often it asked the system to change something
	interrupted bool
}

// command prepares a process.
func (b *bench) command(dir, wallet string, args ...string) *exec.Cmd {
	all := append([]string{"--network", "dev", "--datadir", dir, "--rpc", b.rpc, "--rpc-cookie", b.cookie, "--wallet", wallet}, args...)
	cmd := exec.Command(os.Args[0], all...)
	cmd.Env = append(os.Environ(), beKarat+"=1", "GOMAXPROCS=1")
	return cmd
}

// traced runs a process, and kills it when it asks for its n-th write; 0 kills nothing. It
// stops at every call of the system, as a debugger does.
func (b *bench) traced(n int, dir, wallet string, args ...string) (p process) {
	b.t.Helper()
	runtime.LockOSThread() // who traces is a thread
	defer runtime.UnlockOSThread()
	cmd := b.command(dir, wallet, args...)
	streams := b.t.TempDir()
	var files []*os.File
	for _, name := range []string{"out", "errs"} {
		f, err := os.Create(filepath.Join(streams, name))
		if err != nil {
			b.t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	cmd.Stdout, cmd.Stderr = files[0], files[1]
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		vectors.NotRun(b.t, fmt.Sprintf("killing karat at every write, because it cannot be traced here: %v", err))
	}
	pid := cmd.Process.Pid
	defer cmd.Process.Release()
	if err := b.trace(pid, n, &p); err != nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		b.t.Fatal(err)
	}
	for i, text := range []*string{&p.out, &p.errs} {
		raw, err := os.ReadFile(files[i].Name())
		if err != nil {
			b.t.Fatal(err)
		}
		*text = strings.TrimSuffix(string(raw), "\n")
	}
	return p
}

// trace follows a process and its threads to their end.
func (b *bench) trace(pid, n int, p *process) error {
	const (
		traceExitKill = 0x100000
		anyThread     = 0x40000000 // __WALL
	)
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, anyThread, nil); err != nil {
		return err
	}
	if err := syscall.PtraceSetOptions(pid, syscall.PTRACE_O_TRACESYSGOOD|syscall.PTRACE_O_TRACECLONE|traceExitKill); err != nil {
		return err
	}
	for thread := pid; ; {
		signal := 0
		if status.Stopped() {
			switch stop := status.StopSignal(); {
			case stop == syscall.SIGTRAP|0x80:
				if writes(thread) {
					p.writes++
					if p.writes == n {
						p.interrupted = true
						if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
							return err
						}
					}
				}
			case stop != syscall.SIGTRAP && stop != syscall.SIGSTOP:
				signal = int(stop)
			}
			_ = syscall.PtraceSyscall(thread, signal) // which a thread that was killed does not hear
		}
		var err error
		if thread, err = syscall.Wait4(-1, &status, anyThread, nil); err != nil {
			return err
		}
		if thread == pid && (status.Exited() || status.Signaled()) {
			p.code = status.ExitStatus()
			return nil
		}
	}
}

// writes reports whether a thread is about to ask for a change of something: of a file, a
// name, or what a socket has been told.
func writes(thread int) bool {
	const getSyscallInfo = 0x420e
	var info struct {
		op      uint8
		_       [3]uint8
		arch    uint32
		pointer uint64
		stack   uint64
		number  uint64
		args    [6]uint64
		_       uint64
	}
	_, _, errno := syscall.Syscall6(syscall.SYS_PTRACE, getSyscallInfo, uintptr(thread), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 || info.op != 1 { // not at the entry of a call
		return false
	}
	switch info.number {
	case syscall.SYS_OPENAT:
		return info.args[2]&syscall.O_CREAT != 0
	case syscall.SYS_WRITE, syscall.SYS_PWRITE64, syscall.SYS_FSYNC, syscall.SYS_FDATASYNC, syscall.SYS_FTRUNCATE,
		syscall.SYS_RENAMEAT, syscall.SYS_LINKAT, syscall.SYS_UNLINKAT, syscall.SYS_MKDIRAT:
		return true
	}
	return false
}

var kills = flag.Int("kills", 5, "kill each command at so many of its writes")

// killPoints are the writes at which a command is killed, all of them if there is time. The
// first differs from run to run, so that all are met with the days.
func killPoints(writes int) (points []int) {
	most := min(*kills, writes)
	first := rand.IntN(writes/most + 1)
	for i := range most {
		points = append(points, min(1+first+i*writes/most, writes))
	}
	return points
}

// TestKilledAtEveryWrite: whenever a command is killed, the wallet opens again, and nothing
// that was said is taken back.
func TestKilledAtEveryWrite(t *testing.T) {
	slow(t)
	b := newBench(t)
	b.rich()
	known := b.karat("rich", "address")
	b.karat("other", "create", "--no-passphrase")
	keys := []string{b.karat("rich", "multisig", "key"), b.karat("other", "multisig", "key")}
	file := filepath.Join(t.TempDir(), "contract")
	if err := os.WriteFile(file, []byte("we agree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start := filepath.Join(b.dir, "dev", "wallets")
	fresh := func() string {
		dir := t.TempDir()
		if err := os.CopyFS(filepath.Join(dir, "dev", "wallets"), os.DirFS(start)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	// after runs a command that must succeed, in the folder of one that was killed.
	after := func(dir, wallet string, args ...string) string {
		t.Helper()
		out, err := b.command(dir, wallet, args...).Output()
		if err != nil {
			said := ""
			if exit, ok := err.(*exec.ExitError); ok {
				said = string(exit.Stderr)
			}
			t.Errorf("karat %v: %v: %s", args, err, said)
		}
		return strings.TrimSuffix(string(out), "\n")
	}
	for _, c := range []struct {
		name, wallet string
		args         []string
		check        func(dir string, p process)
	}{
		{"create", "new", []string{"create", "--no-passphrase"}, func(dir string, p process) {
			if _, err := os.Stat(filepath.Join(dir, "dev", "wallets", "new", "wallet.json")); err != nil {
				if strings.Contains(p.out, " 12. ") {
					t.Error("the words were shown, and no file has them")
				}
				after(dir, "new", "create", "--no-passphrase")
			}
			after(dir, "new", "mnemonic")
			after(dir, "new", "address")
		}},
		{"address", "rich", []string{"address"}, func(dir string, p process) {
			for range 2 {
				if next := after(dir, "rich", "address"); next == p.out || next == known || !strings.HasPrefix(next, "krtd1p") {
					t.Errorf("after %q there is %q", p.out, next)
				}
			}
		}},
		{"label", "rich", []string{"label", known, "mine"}, func(dir string, p process) {
			after(dir, "rich", "labels")
			if after(dir, "rich", "label", known, "ours"); !strings.Contains(after(dir, "rich", "labels"), "ours") {
				t.Error("no label can be set any more")
			}
		}},
		{"multisig", "rich", []string{"multisig", "new", "--threshold", "2", "shared", keys[0], keys[1]}, func(dir string, p process) {
			if !strings.Contains(after(dir, "rich", "descriptors"), "sortedmulti_a") {
				if strings.Contains(p.out, "sortedmulti_a") {
					t.Errorf("it was said to be made: %s", p.out)
				}
				after(dir, "rich", "multisig", "new", "--threshold", "2", "shared", keys[0], keys[1])
			}
			after(dir, "rich", "balance")
		}},
		{"notarize", "rich", []string{"notarize", "--yes", "--private", file}, func(dir string, p process) {
			waiting := len(call[[]string](b, "getrawmempool"))
			b.mine(1)
			after(dir, "rich", "balance")
			if waiting > 0 { // then the salt is in a file
				after(dir, "rich", "proof", file+proofSuffix)
				after(dir, "rich", "verify", file, file+proofSuffix)
			}
			_ = os.Remove(file + proofSuffix)
		}},
		{"send", "rich", []string{"send", "--yes", known, "1"}, func(dir string, p process) {
			waiting := call[[]string](b, "getrawmempool") // first: what was sent may still be on its way
			var list []entry
			if err := json.Unmarshal([]byte(after(dir, "rich", "history", "--json")), &list); err != nil {
				t.Error(err)
			}
			if len(waiting) == 0 && p.out != "" {
				t.Errorf("%s was said to be sent", p.out)
			}
			for _, txid := range waiting {
				if !slices.ContainsFunc(list, func(e entry) bool { return e.TxID == txid }) {
					t.Errorf("%s was sent, and the history does not have it", txid)
				}
			}
			after(dir, "rich", "send", "--yes", known, "2")
			b.mine(1)
		}},
	} {
		whole := b.traced(0, fresh(), c.wallet, c.args...)
		if whole.code != 0 || whole.writes < 5 {
			t.Fatalf("%s: exit code %d after %d writes: %s", c.name, whole.code, whole.writes, whole.errs)
		}
		b.mine(1) // what it has sent
		_ = os.Remove(file + proofSuffix)
		killed := 0
		for _, n := range killPoints(whole.writes) {
			dir := fresh()
			p := b.traced(n, dir, c.wallet, c.args...)
			if p.interrupted {
				killed++
			}
			if c.check(dir, p); t.Failed() {
				t.Fatalf("%s, killed at write %d of %d", c.name, n, whole.writes)
			}
		}
		t.Logf("%s: killed at %d of %d writes", c.name, killed, whole.writes)
		if killed == 0 {
			t.Errorf("%s was never killed", c.name)
		}
	}
}

// TestTwoProcesses: of karats that run at once each does its work, or says that another has
// the wallet; no address is given out twice.
func TestTwoProcesses(t *testing.T) {
	b := newBench(t)
	b.rich()
	const processes = 6
	outs, errs := make([]string, processes), make([]string, processes)
	var group sync.WaitGroup
	for i := range processes {
		group.Go(func() {
			cmd := b.command(b.dir, "rich", "address")
			var said strings.Builder
			cmd.Stderr = &said
			out, err := cmd.Output()
			if outs[i] = string(out); err != nil {
				errs[i] = said.String()
			}
		})
	}
	group.Wait()
	given := map[string]bool{}
	for i := range processes {
		switch {
		case errs[i] == "" && (given[outs[i]] || !strings.HasPrefix(outs[i], "krtd1p")):
			t.Errorf("%q was given out again, or is no address", outs[i])
		case errs[i] == "":
			given[outs[i]] = true
		case !strings.Contains(errs[i], "another karat") || outs[i] != "":
			t.Errorf("%q, %q", outs[i], errs[i])
		}
	}
	if len(given) == 0 {
		t.Error("no address was given out")
	}
}
