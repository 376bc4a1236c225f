package rpc

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// socket opens a WebSocket of the user, or of nobody yet.
func (r *running) socket(t testing.TB, user bool) *websocket.Conn {
	t.Helper()
	header := http.Header{}
	if user {
		(&http.Request{Header: header}).SetBasicAuth(name, password)
	}
	d := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return r.dial() }}
	c, _, err := d.Dial("ws://node/ws", header)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// exchange sends a message, and returns the next that comes.
func exchange(t testing.TB, c *websocket.Conn, message string) string {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		t.Fatal(err)
	}
	return receive(t, c)
}

func receive(t testing.TB, c *websocket.Conn) string {
	t.Helper()
	_, answer, err := c.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// silent reads without answering pings until the server hangs up, and returns how
// long that took.
func silent(t testing.TB, c *websocket.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	_, _ = io.Copy(io.Discard, c.NetConn())
	return time.Since(began)
}

// TestSocketLogin: who does not say who it is gets little time and memory, and
// keeping the connection alive does not help.
func TestSocketLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, newFake().server(t))
		if took := silent(t, r.socket(t, false)); took > socketLogin+time.Second {
			t.Errorf("a client that says nothing stays for %v", took)
		}
		alive := r.socket(t, false)
		began := time.Now()
		go func() {
			for alive.WriteControl(websocket.PongMessage, nil, time.Now().Add(time.Second)) == nil {
				time.Sleep(time.Second)
			}
		}()
		if _, _, err := alive.ReadMessage(); err == nil || time.Since(began) > socketLogin+time.Second {
			t.Errorf("a client that sends pongs stays for %v", time.Since(began))
		}
		c := r.socket(t, false)
		_ = c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"method":"authenticate","params":[%q,%q],"id":"%s"}`, name, password, strings.Repeat("a", loginBytes)))
		if _, answer, err := c.ReadMessage(); err == nil {
			t.Errorf("a first message of more than %d bytes: %.60s", loginBytes, answer)
		}
		c = r.socket(t, false)
		if got := exchange(t, c, fmt.Sprintf(`{"method":"authenticate","params":[%q,%q],"id":1}`, name, password)); got != `{"result":null,"error":null,"id":1}` {
			t.Errorf("authenticate: %s", got)
		}
		// After that, the limits are others.
		if got := exchange(t, c, `{"method":"uptime`+strings.Repeat(" ", 2*loginBytes)+`","id":1}`); code(t, got) != CodeMethodNotFound {
			t.Errorf("a long message after it: %s", got)
		}
		if took := silent(t, c); took < socketLogin+time.Second {
			t.Errorf("a known client stays for %v", took)
		}
	})
}

// TestSocketSilence: clients that answer no pings are gone, those that do stay.
func TestSocketSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, newFake().server(t))
		if took := silent(t, r.socket(t, true)); took < socketSilence || took > socketSilence+time.Second {
			t.Errorf("a silent client stays for %v, want %v", took, socketSilence)
		}
		c := r.socket(t, true)
		_ = c.SetReadDeadline(time.Now().Add(time.Hour))
		_, _, err := c.ReadMessage() // answers pings
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("a client that answers pings is hung up on: %v", err)
		}
	})
}

// feed is a chain of blocks that a test makes longer.
func (f *fake) feed(connected *atomic.Uint32) {
	f.updates = func(since types.Index) (_, applied []consensus.BlockUpdate, _ error) {
		for height := since.Height + 1; height <= connected.Load(); height++ {
			applied = append(applied, consensus.BlockUpdate{
				Block:  &consensus.HashedBlock{Block: &types.Block{Header: types.Header{Timestamp: height}}},
				Update: &consensus.Update{Block: types.Index{Height: height}, Parent: types.Index{Height: height - 1}},
			})
		}
		return nil, applied, nil
	}
}

// TestSlowSocketIsDropped: a client that subscribes and reads nothing is hung up
// on; others are told of every block without waiting for it.
func TestSlowSocketIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		var height atomic.Uint32
		f.feed(&height)
		poke := make(chan chan struct{}, 2)
		s := f.server(t)
		s.Blocks = pokes{blockFeed{f}, poke}
		slowPoke, quickPoke := make(chan struct{}, 1), make(chan struct{}, 1)
		r := run(t, s)
		slow, quick := r.socket(t, true), r.socket(t, true)
		poke <- slowPoke
		exchange(t, slow, `{"method":"notifyblocks","id":1}`)
		synctest.Wait()
		poke <- quickPoke
		exchange(t, quick, `{"method":"notifyblocks","id":1}`)
		began := time.Now()
		for range 20 {
			height.Add(1)
			for _, c := range []chan struct{}{slowPoke, quickPoke} {
				select {
				case c <- struct{}{}:
				default: // it has not looked since the last
				}
			}
			if got, want := receive(t, quick), fmt.Sprintf(`"blockconnected","params":["%064d",%d,`, 0, height.Load()); !strings.Contains(got, want) {
				t.Errorf("told %s, want %s", got, want)
			}
			receive(t, quick) // the filtered one
		}
		if time.Since(began) != 0 {
			t.Errorf("the slow client held the quick one up for %v", time.Since(began))
		}
		time.Sleep(socketWrite + time.Second)
		wantClosed(t, slow, websocket.ClosePolicyViolation, "too slow")
	})
}

// wantClosed reads what is on its way, and then the reason for the end.
func wantClosed(t *testing.T, c *websocket.Conn, code int, reason string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	for {
		_, _, err := c.ReadMessage()
		var closed *websocket.CloseError
		if errors.As(err, &closed) && closed.Code == code && strings.Contains(closed.Text, reason) {
			return
		}
		if err != nil {
			t.Errorf("it ends with %v, want %d %s", err, code, reason)
			return
		}
	}
}

// TestDeafSocket: a client that takes nothing at all is gone soon after, without having
// heard why.
func TestDeafSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, newFake().server(t))
		c := r.socket(t, true)
		_ = c.WriteMessage(websocket.TextMessage, []byte(`{"method":"getblockcount","id":1}`))
		time.Sleep(socketWrite + 2*socketFarewell)
		_ = c.NetConn().SetReadDeadline(time.Now())
		if !ended(c.NetConn()) {
			t.Error("it is still connected")
		}
	})
}

// TestUntakenMemory: when what waits for all clients is too much, the client that most of
// it is for is cut off. The others stay.
func TestUntakenMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := f.server(t)
		s.sockets.untaken.most = 1 << 20
		s.Blocks = slowBlocks{blockFeed{f}, func() {}, 150_000}
		s.Headers = known{f}
		r := run(t, s)
		ask := func(c *websocket.Conn) {
			_ = c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"method":"getblock","params":["%064d",0],"id":1}`, 0))
			synctest.Wait()
		}
		greedy, modest := r.socket(t, true), r.socket(t, true)
		ask(modest)
		for range 3 {
			ask(greedy) // of each the answer has 300,000 bytes
		}
		wantClosed(t, greedy, websocket.CloseTryAgainLater, "memory")
		if got := receive(t, modest); !strings.Contains(got, `"error":null`) {
			t.Errorf("the other gets %.60s", got)
		}
		ask(modest)
		receive(t, modest)
		synctest.Wait()
		if s.sockets.untaken.total != 0 || len(s.sockets.untaken.by) != 0 {
			t.Errorf("%d bytes of %d clients are counted when all is over", s.sockets.untaken.total, len(s.sockets.untaken.by))
		}
	})
}

// TestWatchLimits: what clients may watch is bounded, for each and for all, and what a
// client has watched is free when it ends.
func TestWatchLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFake().server(t)
		const maxWatched, maxWatchedAll = 100, 300
		s.sockets.limits = watchLimits{maxWatched, maxWatchedAll}
		r := run(t, s)
		watch := func(c *websocket.Conn, method, first string, from, n int) int {
			list := make([]string, n)
			for i := range list {
				list[i] = fmt.Sprintf(`{"hash":"%064x","index":1}`, from+i)
			}
			return code(t, exchange(t, c, fmt.Sprintf(`{"method":%q,"params":[%s[%s]],"id":1}`, method, first, strings.Join(list, ","))))
		}
		var clients []*websocket.Conn
		for range maxWatchedAll / maxWatched {
			c := r.socket(t, true)
			clients = append(clients, c)
			if got := watch(c, "loadtxfilter", "true,[],", 0, maxWatched/2); got != 0 {
				t.Errorf("half as many as may be watched: %d", got)
			}
			if got := watch(c, "loadtxfilter", "false,[],", 0, maxWatched/2); got != 0 {
				t.Errorf("the same again: %d", got)
			}
			if got := watch(c, "notifyspent", "", 0, maxWatched/2+1); got != CodeOutOfMemory {
				t.Errorf("one too many: %d", got)
			}
			if got := watch(c, "notifyspent", "", 0, maxWatched/2); got != 0 {
				t.Errorf("as many as may be: %d", got)
			}
		}
		c := r.socket(t, true)
		if got := watch(c, "notifyspent", "", 0, 1); got != CodeOutOfMemory {
			t.Errorf("one too many for all: %d", got)
		}
		if got := watch(clients[0], "stopnotifyspent", "", 0, 1); got != 0 {
			t.Errorf("one less: %d", got)
		}
		if got := watch(c, "notifyspent", "", 0, 1); got != 0 {
			t.Errorf("one that was given up by another: %d", got)
		}
		for _, c := range append(clients, c) {
			c.Close()
		}
		synctest.Wait()
		if left := s.sockets.watched.Load(); left != 0 {
			t.Errorf("%d are watched when all clients are gone", left)
		}
	})
}

// TestFewBlocksAreHeld: for each client that is told of blocks, few are in memory.
func TestFewBlocksAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		var height atomic.Uint32
		f.feed(&height)
		height.Store(100)
		c := run(t, f.server(t)).socket(t, true)
		exchange(t, c, `{"method":"notifyblocks","id":1}`)
		for range 100 {
			receive(t, c)
			receive(t, c) // the filtered one
		}
		if most := f.most.Load(); most == 0 || most > 8 {
			t.Errorf("%d blocks at once", most)
		}
	})
}

// pokes hands each subscriber a channel of its own.
type pokes struct {
	Blocks
	channels chan chan struct{}
}

// Subscribe implements Blocks.
func (p pokes) Subscribe() (<-chan struct{}, func()) { return <-p.channels, func() {} }

// TestNotificationsBreak: a client that cannot be told of everything any more is
// hung up on, so that it knows.
func TestNotificationsBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.updates = func(types.Index) (_, _ []consensus.BlockUpdate, _ error) { return nil, nil, consensus.ErrNotFound }
		c := run(t, f.server(t)).socket(t, true)
		began := time.Now()
		_ = c.WriteMessage(websocket.TextMessage, []byte(`{"method":"notifyblocks","id":1}`))
		_, _ = io.Copy(io.Discard, c.NetConn())
		if time.Since(began) > 2*time.Second {
			t.Errorf("it stays for %v", time.Since(began))
		}
	})
}

// TestSubscribeTwice: a second request for the same notifications doubles none.
func TestSubscribeTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := run(t, f.server(t)).socket(t, true)
		for _, method := range []string{"notifyblocks", "notifyblocks", "notifynewtransactions", "notifynewtransactions"} {
			exchange(t, c, `{"method":"`+method+`","id":1}`)
		}
		synctest.Wait()
		if f.blockFeeds.Load() != 1 || f.txFeeds.Load() != 1 {
			t.Errorf("it is told %d times of blocks and %d of transactions", f.blockFeeds.Load(), f.txFeeds.Load())
		}
		f.mu.Lock()
		f.entries = append(f.entries, &pending.Entry{Tx: &types.Tx{Outputs: []types.TxOut{{Value: 1}, {Value: 2}}}})
		f.mu.Unlock()
		f.txs <- struct{}{}
		if got := receive(t, c); !strings.Contains(got, `"txaccepted","params":["`+strings.Repeat("0", 64)+`",0.00000003]`) {
			t.Errorf("told %s", got)
		}
		for _, method := range []string{"stopnotifynewtransactions", "stopnotifyblocks", "stopnotifyblocks"} {
			if got := exchange(t, c, `{"method":"`+method+`","id":7}`); got != `{"result":null,"error":null,"id":7}` {
				t.Errorf("%s: %s", method, got)
			}
		}
		synctest.Wait()
		if f.blockFeeds.Load() != 0 || f.txFeeds.Load() != 0 {
			t.Errorf("after it has stopped them it is told %d times of blocks and %d of transactions", f.blockFeeds.Load(), f.txFeeds.Load())
		}
	})
}

// TestStopIsTheEnd: behind the answer to stopnotifyblocks no notification comes,
// even if one is being made.
func TestStopIsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		var height atomic.Uint32
		f.feed(&height)
		look, busy, release := f.updates, make(chan struct{}), make(chan struct{})
		f.updates = func(since types.Index) (reverted, applied []consensus.BlockUpdate, err error) {
			reverted, applied, err = look(since)
			if len(applied) > 0 {
				close(busy)
				<-release
			}
			return reverted, applied, err
		}
		c := run(t, f.server(t)).socket(t, true)
		exchange(t, c, `{"method":"notifyblocks","id":1}`)
		height.Store(3)
		f.blocks <- struct{}{}
		<-busy
		answer := make(chan string, 2)
		go func() { answer <- exchange(t, c, `{"method":"stopnotifyblocks","id":7}`) }()
		synctest.Wait()
		if len(answer) > 0 {
			t.Errorf("answered while one was being made: %s", <-answer)
		}
		close(release)
		if got := <-answer; got != `{"result":null,"error":null,"id":7}` {
			t.Errorf("answered %s", got)
		}
		if got := exchange(t, c, `{"method":"getblockcount","id":8}`); !strings.HasSuffix(got, `"id":8}`) {
			t.Errorf("told %s", got)
		}
	})
}

// TestSocketCallLimit: one client has so many calls under way; the rest wait.
func TestSocketCallLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := f.server(t)
		var begun atomic.Int32
		release := make(chan struct{})
		s.Blocks = slowBlocks{blockFeed{f}, func() { begun.Add(1); <-release }, 100}
		s.Headers = known{f}
		c := run(t, s).socket(t, true)
		go func() {
			for range 2 * socketCalls {
				_ = c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"method":"getblock","params":["%064d",0],"id":1}`, 0))
			}
		}()
		synctest.Wait()
		if begun.Load() != socketCalls {
			t.Errorf("%d calls of one client run, want %d", begun.Load(), socketCalls)
		}
		close(release)
		for range 2 * socketCalls {
			receive(t, c)
		}
	})
}

// known is a header tree that knows every block.
type known struct{ *fake }

// Info implements Headers.
func (known) Info(hash types.Hash) (info header.Info, ok bool) {
	info.Hash = hash
	return info, true
}

// slowBlocks reads blocks only after something.
type slowBlocks struct {
	Blocks
	wait func()
	size int
}

// Block implements Blocks.
func (b slowBlocks) Block(types.Hash) ([]byte, error) { b.wait(); return make([]byte, b.size), nil }

// TestSocketStop: the answer to stop arrives, and then the end.
func TestSocketStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := run(t, f.server(t))
		stopped := make(chan error, 1)
		f.stop = func() {
			go func() { stopped <- r.end() }()
			time.Sleep(time.Millisecond) // the end is under way before stop has answered
		}
		c, other := r.socket(t, true), r.socket(t, true)
		if got := exchange(t, c, `{"method":"stop","id":1}`); !strings.Contains(got, "stopping") {
			t.Errorf("stop: %s", got)
		}
		for _, c := range []*websocket.Conn{c, other} {
			if _, message, err := c.ReadMessage(); err == nil {
				t.Errorf("after the end: %s", message)
			}
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// TestSocketsEndInTime: the end does not wait for idle clients, nor long for those
// that do not take what is sent.
func TestSocketsEndInTime(t *testing.T) {
	for _, slow := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := run(t, newFake().server(t))
			c := r.socket(t, true)
			most := time.Duration(0)
			if slow {
				_ = c.WriteMessage(websocket.TextMessage, []byte(`{"method":"getblockcount","id":1}`))
				most = shutdownWait
			}
			synctest.Wait()
			began := time.Now()
			if err := r.end(); err != nil || time.Since(began) > most {
				t.Errorf("slow %v: %v after %v", slow, err, time.Since(began))
			}
		})
	}
}

// TestSocketPanic: a bug in a method ends neither node nor connection.
func TestSocketPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := run(t, newFake().server(t)).socket(t, true)
		if got := exchange(t, c, `{"method":"getpeerinfo","id":1}`); code(t, got) != CodeInternal {
			t.Errorf("%s", got)
		}
		if got := exchange(t, c, `{"method":"getblockcount","id":1}`); code(t, got) != 0 {
			t.Errorf("after it: %s", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newFake().server(t)
		s.Headers = nil
		c := run(t, s).socket(t, true)
		if got := exchange(t, c, `{"method":"notifyblocks","id":1}`); code(t, got) != CodeInternal {
			t.Errorf("a method of WebSockets: %s", got)
		}
	})
}

// TestBadFrames: what is no WebSocket ends its connection alone.
func TestBadFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, newFake().server(t))
		good := r.socket(t, true)
		for what, frame := range map[string]string{
			"not masked":             "\x81\x01a",
			"an unknown opcode":      "\x83\x80\x00\x00\x00\x00",
			"reserved bits":          "\xf1\x80\x00\x00\x00\x00",
			"a continuation first":   "\x80\x80\x00\x00\x00\x00",
			"a fragmented ping":      "\x09\x80\x00\x00\x00\x00",
			"a long ping":            "\x89\xfe\x00\x7e\x00\x00\x00\x00",
			"a negative length":      "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
			"a message over 32 MiB":  "\x81\xff\x00\x00\x00\x00\x02\x00\x00\x01\x00\x00\x00\x00",
			"a close without a code": "\x88\x81\x00\x00\x00\x00\x01",
		} {
			c := r.socket(t, true)
			began := time.Now()
			go func() { _, _ = io.WriteString(c.NetConn(), frame) }()
			if took := silent(t, c); took > 2*time.Second || time.Since(began) > 2*time.Second {
				t.Errorf("%s: the connection lasts %v", what, took)
			}
		}
		if got := exchange(t, good, `{"method":"getblockcount","id":1}`); code(t, got) != 0 {
			t.Errorf("another connection: %s", got)
		}
	})
}

// TestOrigin: a page of another site, whose browser may know the password, opens
// no WebSocket.
func TestOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, newFake().server(t))
		for origin, want := range map[string]int{"http://evil.example": 403, "http://node.evil.example": 403, "http://node": 101, "": 101} {
			header := http.Header{}
			(&http.Request{Header: header}).SetBasicAuth(name, password)
			if origin != "" {
				header.Set("Origin", origin)
			}
			d := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return r.dial() }}
			c, answer, err := d.Dial((&url.URL{Scheme: "ws", Host: "node", Path: "/ws"}).String(), header)
			if answer == nil || answer.StatusCode != want {
				t.Errorf("%q: %v, %v, want %d", origin, answer, err, want)
			}
			if err == nil {
				c.Close()
			}
		}
	})
}

// TestSlowSocketAnswer: a client that takes a long answer slowly gets it all, and
// answers pings in between.
func TestSlowSocketAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := f.server(t)
		s.Headers, s.Blocks = known{f}, slowBlocks{blockFeed{f}, func() {}, 1 << 20}
		c := run(t, s).socket(t, true)
		_ = c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"method":"getblock","params":["%064d",0],"id":1}`, 0))
		_, message, err := c.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for piece := make([]byte, writePiece/2); err == nil; time.Sleep(writeTimeout / 3) {
			var n int
			n, err = io.ReadFull(message, piece)
			total += n
		}
		if want := len(`{"result":"","error":null,"id":1}`) + 2<<20; total != want {
			t.Errorf("%d bytes came, want %d: %v", total, want, err)
		}
		if got := exchange(t, c, `{"method":"getblockcount","id":2}`); code(t, got) != 0 {
			t.Errorf("after it: %s", got)
		}
	})
}

// TestSlowSocketBlocks: blocks are not held by answers that wait for another one of the
// same client, which may need room for its own.
func TestSlowSocketBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := f.server(t)
		s.Headers, s.Blocks = known{f}, slowBlocks{blockFeed{f}, func() {}, 1 << 20}
		s.blocks.limit = blockReserve + 4<<20
		r := run(t, s)
		c := r.socket(t, true)
		const calls = 8
		for i := range calls {
			_ = c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"method":"getblock","params":["%064d",0],"id":1}`, i))
		}
		time.Sleep(time.Second) // the answer that comes first lends its block
		other := r.socket(t, true)
		for i, c := range []*websocket.Conn{other, c, c, c, c, c, c, c, c} {
			if i == 0 {
				_ = c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"method":"getblock","params":["%064d",0],"id":1}`, calls))
			}
			_ = c.SetReadDeadline(time.Now().Add(socketWrite))
			if _, message, err := c.ReadMessage(); err != nil || len(message) < 2<<20 {
				t.Fatalf("answer %d: %d bytes, %v", i, len(message), err)
			}
		}
	})
}
