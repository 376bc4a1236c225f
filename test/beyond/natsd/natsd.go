// Package natsd runs NATS servers with JetStream for tests, each in a process of its own,
// so that it can be killed at any moment.
//
// A test's program is the server as well: its TestMain begins with Serve. Program names
// another, such as Debian's.
package natsd

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/karatcoin/karat/internal/freeport"
)

// arguments is the environment variable that makes a process a server: the file of its
// configuration.
const arguments = "KARAT_TEST_NATSD"

// Program is the environment variable that names a nats-server to run in the place of the
// one that is built in.
const Program = "KARAT_NATS_SERVER"

// Serve runs a server and never returns, if this process was started by Start.
func Serve() {
	file := os.Getenv(arguments)
	if file == "" {
		return
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	o.NoSigs, o.NoLog = true, true
	s, err := server.NewServer(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s.Start()
	go func() { // it ends with the test, however that ends: then its input is closed
		_, _ = os.Stdin.Read(make([]byte, 1))
		s.Shutdown()
		os.Exit(0)
	}()
	s.WaitForShutdown()
	os.Exit(0)
}

// Server is a server of a test.
type Server struct {
	Addr   string // host:port
	Folder string // where its streams are
	file   string
	t      testing.TB
	cmd    *exec.Cmd
	stop   func() error
}

// New prepares a server on a port of the loopback that keeps its streams in a folder.
// config is more of its configuration.
func New(t testing.TB, config ...string) *Server {
	t.Helper()
	addr := freeport.At(t, "127.0.0.1")
	folder := t.TempDir()
	s := &Server{Addr: addr, Folder: folder + "/streams", file: folder + "/nats.conf", t: t}
	text := fmt.Sprintf("listen: %q\njetstream { store_dir: %q }\n%s\n", addr, s.Folder, strings.Join(config, "\n"))
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// URL is where clients find it.
func (s *Server) URL() string { return "nats://" + s.Addr }

// Start starts the server and waits until it listens.
func (s *Server) Start() *Server {
	s.t.Helper()
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Stderr = os.Stderr
	if program := os.Getenv(Program); program != "" {
		s.cmd = exec.Command(program, "-c", s.file)
	}
	s.cmd.Env = append(os.Environ(), arguments+"="+s.file)
	in, err := s.cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.stop = in.Close
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for range 6000 {
		conn, err := net.Dial("tcp", s.Addr)
		if err == nil {
			conn.Close()
			return s
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatal("the server does not listen")
	return nil
}

// patience is how long a server may take for an answer, on a machine that has other things to
// do.
const patience = time.Minute

// Connect connects to a server, with more time than clients have for it by default, and closes the
// connection when the test ends.
func Connect(t testing.TB, url string, options ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(url, append(options, nats.Timeout(patience))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

// Kill kills the server, as kill -9 does.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		_ = s.stop()
		s.cmd = nil
	}
}

// PID is the number of the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }
