// Package postgres runs PostgreSQL servers for tests: those of Debian's package, or whose initdb
// and postgres are on PATH.
package postgres

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a server of a test. It listens at a socket in a folder of its own, and nowhere else.
type Server struct {
	t      testing.TB
	bin    string // the folder of the programs
	folder string
	as     *syscall.Credential // who runs it; nil: who runs the test
	config []string
	cmd    *exec.Cmd
}

// New makes a server's folder, with settings such as "fsync=off", and starts the server. Without
// programs it skips the test.
func New(t testing.TB, config ...string) *Server {
	t.Helper()
	s := &Server{t: t, config: config}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		t.Skip("NOT RUN: there is no PostgreSQL here (apt-get install postgresql), so nothing was written to one")
	}
	s.bin = filepath.Dir(slices.Max(found))
	var err error
	// t.TempDir is nobody's but this user's, and the path of a socket must be short.
	if s.folder, err = os.MkdirTemp("", "pg"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(s.folder) })
	s.leaveRoot()
	if out, err := s.program("initdb", "--pgdata", s.data(), "--username", "karat", "--auth", "trust", "--encoding", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	t.Cleanup(s.Kill)
	s.Start()
	return s
}

// leaveRoot has the server run by somebody who is not root, which it refuses to be run by.
func (s *Server) leaveRoot() {
	if os.Getuid() != 0 {
		return
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			s.t.Fatal(err)
		}
	}
	uid, _ := strconv.Atoi(who.Uid)
	gid, _ := strconv.Atoi(who.Gid)
	if err := os.Chown(s.folder, uid, gid); err != nil {
		s.t.Fatal(err)
	}
	s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

func (s *Server) program(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, name), args...)
	c.Dir, c.SysProcAttr = s.folder, &syscall.SysProcAttr{Credential: s.as, Pdeathsig: syscall.SIGQUIT}
	return c
}

// Start starts the server and waits until it answers.
func (s *Server) Start() {
	s.t.Helper()
	args := []string{"-D", s.data(), "-k", s.folder, "-c", "listen_addresses="}
	for _, c := range s.config {
		args = append(args, "-c", c)
	}
	log, err := os.Create(filepath.Join(s.folder, "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd = s.program("postgres", args...)
	s.cmd.Stderr = log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := pgx.Connect(context.Background(), s.URL())
		if err == nil {
			conn.Close(context.Background())
			return
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			s.t.Fatalf("PostgreSQL does not answer: %v\n%s", err, text)
		}
	}
}

// Kill ends the server as a power cut would: it recovers from its log when it starts again.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	_ = s.cmd.Wait()
	s.cmd = nil
}

// URL is where clients find it.
func (s *Server) URL() string {
	return fmt.Sprintf("postgres://karat@/postgres?host=%s", url.QueryEscape(s.folder))
}

// Processor is the processor time that the server's processes have taken so far.
func (s *Server) Processor() time.Duration {
	// A process that has ended is counted with its parent's children.
	ticks := 0
	for _, pid := range append(children(s.cmd.Process.Pid), s.cmd.Process.Pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+2:]))
		for _, f := range fields[11:15] {
			n, _ := strconv.Atoi(f)
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func children(pid int) (list []int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, word := range strings.Fields(string(text)) {
		n, _ := strconv.Atoi(word)
		list = append(list, n)
	}
	return list
}
