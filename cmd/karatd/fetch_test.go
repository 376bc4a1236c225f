package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestFetchTime: all that is fetched for a file takes a minute together, however often the server
// sends on to something else.
func TestFetchTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := fetcher{proxy: true, dial: func(context.Context, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				if _, err := http.ReadRequest(bufio.NewReader(far)); err != nil {
					return
				}
				time.Sleep(fetchTime / 3)
				_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1\r\n\r\n")
				time.Sleep(fetchTime / 3)
				_, _ = io.WriteString(far, "x")
			}()
			return near, nil
		}}
		_, err := f.read(t.Context(), "http://explorer.example/")
		if took := time.Since(began); err == nil || took > fetchTime {
			t.Errorf("after %v: %v", took, err)
		}
		time.Sleep(fetchTime) // the server has ended
	})
}
