package stratum

import (
	"bufio"
	"net"
	"sync"
	"testing"
)

// lines are what came over a connection.
type lines struct {
	mu    sync.Mutex
	list  []string
	ended chan struct{}
}

// readLines reads a connection until it ends.
func readLines(conn net.Conn) *lines {
	l := &lines{ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		for s := bufio.NewScanner(conn); s.Scan(); {
			l.mu.Lock()
			l.list = append(l.list, s.Text())
			l.mu.Unlock()
		}
	}()
	return l
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.list...)
}

// say writes lines.
func say(t testing.TB, conn net.Conn, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if _, err := conn.Write([]byte(line + "\n")); err != nil {
			t.Fatal(err)
		}
	}
}
