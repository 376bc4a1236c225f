package monitor

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// sound is a chain without a fault.
type sound struct{ Chain }

func (sound) Failed() <-chan struct{} { return nil }

// counted counts the connections that were taken.
type counted struct {
	net.Listener
	taken atomic.Int32
}

func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.taken.Add(1)
	}
	return conn, err
}

// TestConnections: whoever opens connections and says nothing takes only so many files of the
// node, and who asks is answered when one of them ends.
func TestConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{Listener: l}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- New(Options{Chain: sound{}, Now: time.Now}).Run(ctx, c) }()
	var silent []net.Conn
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, conn)
		return conn
	}
	for range maxConnections + 40 {
		dial()
	}
	asks := dial()
	if _, err := io.WriteString(asks, "GET /health/live HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answered := make(chan string)
	go func() {
		b, _ := io.ReadAll(asks)
		answered <- string(b)
	}()
	for c.taken.Load() < maxConnections {
		time.Sleep(time.Millisecond)
	}
	if n := c.taken.Load(); n > maxConnections {
		t.Errorf("%d connections are open", n)
	}
	for _, conn := range silent[:maxConnections+40] {
		conn.Close()
	}
	if text := <-answered; len(text) == 0 || text[len(text)-5:] != "live\n" {
		t.Errorf("%q", text)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
