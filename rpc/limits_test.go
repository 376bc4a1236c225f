package rpc

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

// TestPlacesAreShared: of few places a user has not all while there are others, and a
// place that becomes free goes to who has fewest.
func TestPlacesAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(3, 2)
		var mu sync.Mutex
		var order []string // guarded by mu
		inOrder := func() string {
			mu.Lock()
			defer mu.Unlock()
			return strings.Join(order, " ")
		}
		enter := func(ctx context.Context, user string, stay time.Duration) {
			go func() {
				leave, err := p.wait(ctx, user)
				if err != nil {
					return
				}
				mu.Lock()
				order = append(order, user)
				mu.Unlock()
				time.Sleep(stay)
				leave()
			}()
			synctest.Wait()
		}
		gone, cancel := context.WithCancel(t.Context())
		for range 4 {
			enter(t.Context(), "heavy", time.Minute)
		}
		enter(gone, "heavy", time.Minute)
		enter(t.Context(), "light", time.Second)
		if got := inOrder(); got != "heavy heavy light" {
			t.Errorf("at first: %s", got)
		}
		if _, ok := p.try("other"); ok {
			t.Error("more places are taken than there are")
		}
		time.Sleep(2 * time.Second)
		if _, ok := p.try("heavy"); ok {
			t.Error("the heavy user has the last place")
		}
		cancel()
		leave, ok := p.try("other")
		if !ok {
			t.Fatal("there is no place for another user")
		}
		leave()
		time.Sleep(3 * time.Minute)
		if got := inOrder(); got != "heavy heavy light heavy heavy" || p.inUse() != 0 || len(p.queue) != 0 || len(p.taken) != 0 {
			t.Errorf("in the end: %s, %d places, %v", got, p.inUse(), p.taken)
		}
	})
}

// TestOneUserHoldsAll: without others a user has all places.
func TestOneUserHoldsAll(t *testing.T) {
	p := newPlaces(2, 2)
	for range 2 {
		if _, ok := p.try("only"); !ok {
			t.Error("no place")
		}
	}
	if _, ok := p.try("only"); ok {
		t.Error("a place too many")
	}
}

// TestRate: calls beyond the rate wait, then are refused with what to do, each call of a
// batch counts, and the cookie's user is not limited.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := f.limited(t, Limits{Rate: 2})
		began := time.Now()
		for range 5 {
			if status, answer := post(s, count); status != 200 {
				t.Fatalf("status %d: %s", status, answer)
			}
		}
		if took := time.Since(began); took < time.Second || took > 2*time.Second {
			t.Errorf("5 calls at 2 a second, of which 2 may come at once, take %v", took)
		}
		batch := "[" + strings.Repeat(count+",", 30) + count + "]"
		for range 100 {
			go post(s, batch)
		}
		synctest.Wait()
		if status, answer := post(s, count); status != 500 || !strings.Contains(answer, "--rpc-rate") {
			t.Errorf("behind 100 others: status %d: %s", status, answer)
		}
		if a := s.accounts.of(CookieUser); a.rate != nil {
			t.Error("the operator is limited")
		}
		time.Sleep(time.Hour)
	})
}

// limited returns a server with limits, and a second user.
func (f *fake) limited(t testing.TB, l Limits) *Server {
	t.Helper()
	o := f.server(t).Options
	o.Limits = l
	if err := o.Auth.AddPassword("other", password); err != nil {
		t.Fatal(err)
	}
	s := NewServer(o)
	s.Ready()
	return s
}

// TestUserMemory: what a user sends and does not finish is bounded, others do not notice,
// and a request that is larger than all goes alone.
func TestUserMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFake().limited(t, Limits{Memory: 8 << 20})
		r := run(t, s)
		half := strings.Replace(encoded(""), "Content-Length: 0", "Content-Length: 3000000", 1) + `{"method":`
		for range 2 {
			conn, err := r.dial()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, half)
		}
		synctest.Wait()
		if held := s.accounts.of(name).held; held != 2*(3_000_000+answerHold) {
			t.Errorf("%d bytes are held", held)
		}
		began := time.Now()
		if answer := r.ask(t, count); !strings.Contains(answer, "503") || !strings.Contains(answer, "--rpc-memory") || time.Since(began) != limitWait {
			t.Errorf("one more, after %v: %s", time.Since(began), answer)
		}
		began = time.Now()
		other, _ := http.NewRequest(http.MethodPost, "/", strings.NewReader(count))
		other.SetBasicAuth("other", password)
		conn, _ := r.dial()
		defer conn.Close()
		go fmt.Fprintf(conn, "POST / HTTP/1.1\r\nConnection: close\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s", other.Header.Get("Authorization"), len(count), count)
		if answer, _ := io.ReadAll(conn); !strings.Contains(string(answer), counted) || time.Since(began) != 0 {
			t.Errorf("another user, after %v: %s", time.Since(began), answer)
		}
		time.Sleep(bodyTimeout)
		if answer := r.ask(t, count+strings.Repeat(" ", 9<<20)); !strings.Contains(answer, `"result":0`) {
			t.Errorf("a large request: %s", answer)
		}
		if held := s.accounts.of(name).held; held != 0 {
			t.Errorf("in the end %d bytes are held", held)
		}
	})
}

// TestCallTime: all calls of a batch together have the time of one request.
func TestCallTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.coinSet = func(ctx context.Context) { <-ctx.Done() }
		s := f.limited(t, Limits{CallTime: time.Minute})
		began := time.Now()
		const call = `{"method":"gettxoutsetinfo","params":["none"],"id":1}`
		if _, answer := post(s, "["+call+","+call+","+call+"]"); strings.Count(answer, "--rpc-call-time") != 3 || time.Since(began) != time.Minute {
			t.Errorf("after %v: %s", time.Since(began), answer)
		}
	})
}

// TestSlowPlacesOfAUser: slow calls of one user leave a place to others.
func TestSlowPlacesOfAUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		release := make(chan struct{})
		f.coinSet = func(context.Context) { <-release }
		s := f.limited(t, Limits{})
		const call = `{"method":"gettxoutsetinfo","params":["none"],"id":1}`
		for range 10 {
			go post(s, call)
		}
		synctest.Wait()
		if got := s.slow.inUse(); got != s.slow.most-1 {
			t.Errorf("one user has %d of %d places", got, s.slow.most)
		}
		close(release)
		synctest.Wait()
	})
}

// inUse is how many are taken.
func (p *places) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// TestBatchMemory: what a batch holds back counts among its user's memory. Where there is
// none a response goes in chunks, and a WebSocket waits for some in vain.
func TestBatchMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFake().limited(t, Limits{Memory: 8 << 20})
		wait := make(chan struct{})
		for name, work := range map[string]func() any{"long": func() any { return longText{n: 1 << 20} }, "wait": func() any { <-wait; return 1 }} {
			s.table[name] = &method{name: name, read: noParams(func(context.Context, *Server) (any, error) { return work(), nil })}
		}
		r := run(t, s)
		const long = `{"method":"long","id":1}`
		if answer := r.ask(t, "["+long+","+long+"]"); !strings.Contains(answer, "Content-Length: 10") {
			t.Errorf("one alone: %.200s", answer)
		}
		first := make(chan string)
		go func() { first <- r.ask(t, "["+long+`,{"method":"wait","id":2}]`) }()
		synctest.Wait()
		if held := s.accounts.of(name).held; held < 5<<20 {
			t.Errorf("%d bytes are held", held)
		}
		if answer := r.ask(t, "["+long+"]"); !strings.Contains(answer, "Transfer-Encoding: chunked") || len(answer) < 5<<20 {
			t.Errorf("beside it: %.200s", answer)
		}
		c := r.socket(t, true)
		_ = c.WriteMessage(websocket.TextMessage, []byte("["+long+"]"))
		if _, message, err := c.ReadMessage(); err == nil {
			t.Errorf("a message came without memory for it: %.100s", message)
		}
		close(wait)
		if answer := <-first; !strings.Contains(answer, "Content-Length: 5") {
			t.Errorf("the first: %.200s", answer)
		}
		if held := s.accounts.of(name).held; held != 0 {
			t.Errorf("in the end %d bytes are held", held)
		}
	})
}
