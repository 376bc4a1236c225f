package main

import (
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestSystemd: a service manager hears that the node has started, that it lives, and that it
// stops.
func TestSystemd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "20000")
	d := startDaemon(t, t.TempDir(), "127.0.0.1:0")
	var heard []string
	hear := func(want string) {
		t.Helper()
		if err := l.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		for buf := make([]byte, 1024); ; {
			n, err := l.Read(buf)
			if err != nil {
				t.Fatalf("no %s after %q: %v", want, heard, err)
			}
			if heard = append(heard, string(buf[:n])); heard[len(heard)-1] == want {
				return
			}
		}
	}
	hear("READY=1")
	hear("WATCHDOG=1")
	d.stop()
	hear("STOPPING=1")
	if i := slices.Index(heard, "READY=1"); i != 0 {
		t.Errorf("heard %q before it was ready", heard[:i])
	}
}
