package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// encoded is a request of the user in HTTP, as it is on the wire.
func encoded(body string) string {
	r, _ := http.NewRequest(http.MethodPost, "/", nil)
	r.SetBasicAuth(name, password)
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: node\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s", r.Header.Get("Authorization"), len(body), body)
}

// ask sends a request over a new connection, and returns what comes back.
func (r *running) ask(t testing.TB, body string) string {
	t.Helper()
	c, err := r.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		_, _ = io.WriteString(c, strings.Replace(encoded(body), "Host", "Connection: close\r\nHost", 1))
	}()
	answer, _ := io.ReadAll(c)
	return string(answer)
}

// TestSlowClients: clients that do not send, or do not take what is sent, are
// hung up on.
func TestSlowClients(t *testing.T) {
	for _, c := range []struct {
		name, sent string
		after      time.Duration
	}{
		{"no headers", "POST / HTTP/1.1\r\nHost: no", readTimeout},
		{"no body", strings.TrimSuffix(encoded(`{"method":"help"}`), `elp"}`), 5 * time.Minute},
		{"reads nothing", encoded(`{"method":"help"}`), writeTimeout},
		{"reads no refusal", "GET / HTTP/1.1\r\nHost: node\r\n\r\n", writeTimeout},
		{"reads no 401", strings.Replace(encoded(""), "Authorization", "No", 1), writeTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, newFake().server(t))
				conn, err := r.dial()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := io.WriteString(conn, c.sent); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.after + 10*time.Second)
				_ = conn.SetReadDeadline(time.Now().Add(time.Second))
				if !ended(conn) {
					t.Errorf("it is still connected after %v", c.after)
				}
			})
		})
	}
}

// TestSlowAnswer: a client that takes a long answer slowly gets it all, one that
// stops is hung up on.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := f.server(t)
		s.Headers, s.Blocks = known{f}, slowBlocks{blockFeed{f}, func() {}, 1 << 20}
		r := run(t, s)
		request := encoded(fmt.Sprintf(`{"method":"getblock","params":["%064d",0],"id":1}`, 0))
		var conns [2]net.Conn
		for i := range conns {
			conns[i], _ = r.dial()
			defer conns[i].Close()
			_, _ = io.WriteString(conns[i], request)
		}
		for read := 0; read < 2<<20; {
			n, err := io.ReadFull(conns[0], make([]byte, writePiece/2))
			if err != nil {
				t.Fatalf("after %d bytes: %v", read, err)
			}
			read += n
			time.Sleep(writeTimeout / 3)
		}
		_ = conns[1].SetReadDeadline(time.Now().Add(time.Second))
		if !ended(conns[1]) {
			t.Error("one that takes nothing is still connected")
		}
	})
}

// TestSlowCalls: slow calls have few places, wait for one, and hold up no others.
func TestSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		var running, begun atomic.Int32
		release := make(chan struct{})
		f.coinSet = func(ctx context.Context) {
			begun.Add(1)
			running.Add(1)
			defer running.Add(-1)
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		s := f.server(t)
		r := run(t, s)
		places := int32(s.slow.most)
		conns := make([]net.Conn, places+3)
		for i := range conns {
			conns[i], _ = r.dial()
			defer conns[i].Close()
			_, _ = io.WriteString(conns[i], encoded(`{"method":"gettxoutsetinfo","params":["none"],"id":1}`))
			synctest.Wait()
		}
		if running.Load() != places {
			t.Errorf("%d slow calls run, want %d", running.Load(), places)
		}
		if got := r.ask(t, `{"method":"getblockcount","id":1}`); !strings.Contains(got, `{"result":0,"error":null,"id":1}`) {
			t.Errorf("a quick call meanwhile: %s", got)
		}
		conns[places+2].Close() // waits, and gives up
		conns[0].Close()        // runs, and gives up
		time.Sleep(2 * watchAfter)
		synctest.Wait()
		if running.Load() != places || begun.Load() != places+1 {
			t.Errorf("%d slow calls run of %d begun, want %d of %d", running.Load(), begun.Load(), places, places+1)
		}
		close(release)
		synctest.Wait()
		if running.Load() != 0 || begun.Load() != places+2 {
			t.Errorf("%d slow calls still run, %d were begun", running.Load(), begun.Load())
		}
	})
}

// TestSlowCallEnds: a call that takes too long is ended, and its client told.
func TestSlowCallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.coinSet = func(ctx context.Context) { <-ctx.Done() }
		r := run(t, f.server(t))
		began := time.Now()
		answer := r.ask(t, `{"method":"gettxoutsetinfo","params":["none"],"id":1}`)
		if !strings.Contains(answer, "took too long") || time.Since(began) < DefaultCallTime {
			t.Errorf("after %v: %s", time.Since(began), answer)
		}
	})
}

// TestEndDuringBatch: Run returns after the call that is under way, of which the
// client is told, and nothing of the rest of the batch is called.
func TestEndDuringBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		var calls atomic.Int32
		stubborn := make(chan struct{})
		f.coinSet = func(context.Context) { calls.Add(1); <-stubborn }
		r := run(t, f.server(t))
		conn, _ := r.dial()
		defer conn.Close()
		const call = `{"method":"gettxoutsetinfo","params":["none"],"id":1}`
		_, _ = io.WriteString(conn, encoded("["+call+","+call+"]"))
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- r.end() }()
		time.Sleep(time.Minute)
		select {
		case err := <-done:
			t.Fatalf("Run returned (%v) before a call", err)
		default:
		}
		close(stubborn)
		if err := <-done; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if calls.Load() != 1 {
			t.Errorf("%d calls were made, want 1", calls.Load())
		}
	})
}

// TestEndIsTold: a call that ends with the server gets its answer out, and one that
// is nearly done may end.
func TestEndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.coinSet = func(ctx context.Context) { <-ctx.Done() }
		r := run(t, f.server(t))
		answer := make(chan string, 1)
		go func() {
			answer <- r.ask(t, `[{"method":"gettxoutsetinfo","params":["none"],"id":1},{"method":"uptime","id":2}]`)
		}()
		synctest.Wait()
		if err := r.end(); err != nil {
			t.Error(err)
		}
		if got := <-answer; strings.Count(got, "the node is shutting down") != 2 {
			t.Errorf("told %s", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.coinSet = func(ctx context.Context) {
			select {
			case <-ctx.Done():
			case <-time.After(shutdownWait / 10):
			}
		}
		r := run(t, f.server(t))
		answer := make(chan string, 1)
		go func() { answer <- r.ask(t, `{"method":"gettxoutsetinfo","params":["none"],"id":1}`) }()
		synctest.Wait()
		if err := r.end(); err != nil {
			t.Error(err)
		}
		if got := <-answer; !strings.Contains(got, `"error":null`) {
			t.Errorf("one that was nearly done: %s", got)
		}
		if _, err := r.dial(); err == nil {
			t.Error("it still listens")
		}
	})
}

// TestNoCallAfterEnd: who comes when Run is about to return is not answered from a
// node that is closed.
func TestNoCallAfterEnd(t *testing.T) {
	s := newFake().server(t)
	s.active.end()
	if status, answer := post(s, `{"method":"getblockcount","id":1}`); status != 500 || !strings.Contains(answer, "shutting down") {
		t.Errorf("status %d: %s", status, answer)
	}
}

// TestListenerFails: that is told.
func TestListenerFails(t *testing.T) {
	l := newPipes()
	l.Close()
	if err := newFake().server(t).Run(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed listener: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		l, done := newPipes(), make(chan error, 1)
		s := newFake().server(t)
		go func() { done <- s.Run(t.Context(), l) }()
		idle, err := l.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer idle.Close()
		synctest.Wait()
		l.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a listener that is closed later: %v", err)
		}
		_ = idle.SetReadDeadline(time.Now().Add(time.Second))
		if !ended(idle) {
			t.Error("a client is still connected to a server that has ended")
		}
	})
}

// TestPanic: a bug in a method costs one answer.
func TestPanic(t *testing.T) {
	s := newFake().server(t)
	if status, answer := post(s, `{"method":"getpeerinfo","id":1}`); status != 500 || code(t, answer) != CodeInternal {
		t.Errorf("status %d: %s", status, answer)
	}
	if len(s.active.list()) != 0 {
		t.Error("the call counts as under way")
	}
}
