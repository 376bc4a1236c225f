package stratum

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/internal/stratumtest"
	"github.com/karatcoin/karat/miner/stratuminfo"
)

// raw connects somebody who says what it likes.
func (w *world) raw(host string) (net.Conn, *lines) {
	w.t.Helper()
	conn := w.deaf(host)
	return conn, readLines(conn)
}

// deaf is a connection from which nobody reads.
func (w *world) deaf(host string) net.Conn {
	w.t.Helper()
	conn, err := w.network.Dial(host, serverAddress)
	if err != nil {
		w.t.Fatal(err)
	}
	return conn
}

// login is what a miner says who wants work for the address of a number.
func (w *world) login(n byte) string {
	return `{"id":1,"method":"mining.subscribe","params":["x"]}` + "\n" + `{"id":2,"method":"mining.authorize","params":["` + w.address(n) + `","x"]}` + "\n"
}

// endsWithin reports whether the server hangs up within a time.
func endsWithin(l *lines, d time.Duration) bool {
	select {
	case <-l.ended:
		return true
	case <-time.After(d):
		return false
	}
}

// TestHostile: whatever a stranger sends, it is hung up on or answered, nothing of it
// stays, and an honest miner has its jobs.
func TestHostile(t *testing.T) {
	deep := strings.Repeat("[", 8000) + strings.Repeat("]", 8000)
	subscribe := `{"id":1,"method":"mining.subscribe","params":["x"]}`
	for _, test := range []struct {
		name  string
		lines []string
		ends  time.Duration // within which it is hung up on; 0: it is not
	}{
		{"silence", nil, handshakeTimeout + time.Second},
		{"a subscription and no more", []string{subscribe}, handshakeTimeout + time.Second},
		{"no JSON", []string{"GET / HTTP/1.1"}, time.Second},
		{"empty lines", repeat("\r", 1000), handshakeTimeout + time.Second},
		{"an array", []string{"[]"}, time.Second},
		{"a number for the method", []string{`{"id":1,"method":5}`}, time.Second},
		{"an object of parameters", []string{`{"id":1,"method":"mining.subscribe","params":{"a":1}}`}, time.Second},
		{"too many parameters", []string{`{"id":1,"method":"mining.subscribe","params":[` + strings.Repeat("1,", 20) + `1]}`}, time.Second},
		{"deep JSON", []string{`{"id":1,"method":"mining.subscribe","params":[` + deep + `]}`}, handshakeTimeout + time.Second},
		{"deep JSON as an extension", []string{`{"id":1,"method":"mining.configure","params":[["info"],{"x":` + deep[:6000] + `}]}`}, time.Second},
		{"a long id", []string{`{"id":"` + strings.Repeat("x", 100) + `","method":"mining.ping"}`}, time.Second},
		{"an id that is an object", []string{`{"id":{"a":1},"method":"mining.ping"}`}, handshakeTimeout + time.Second},
		{"a long method", []string{`{"id":1,"method":"` + strings.Repeat("x", 300) + `"}`}, time.Second},
		{"unknown methods", repeat(`{"id":1,"method":"mining.teleport","params":[]}`, 60), time.Second},
		{"subscriptions", repeat(subscribe, 2000), handshakeTimeout + time.Second},
		{"names that cannot be", repeat(`{"id":1,"method":"mining.authorize","params":["nobody","x"]}`, 20), time.Second},
		{"shares before anything", repeat(`{"id":1,"method":"mining.submit","params":["a","b","0000000000000000","00000000","00000000"]}`, 60), time.Second},
		{"answers that nobody asked for", repeat(`{"id":7,"result":"x","error":null}`, 100), handshakeTimeout + time.Second},
		{"difficulties", repeat(`{"id":1,"method":"mining.suggest_difficulty","params":[1e308]}`, 100), handshakeTimeout + time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, 1, nil, func(t *testing.T, w *world) {
				honest := w.miner("honest", 1)
				defer honest.Close()
				conn, l := w.raw("mallory")
				defer conn.Close()
				began := time.Now()
				for _, line := range test.lines {
					if _, err := io.WriteString(conn, line+"\n"); err != nil {
						break
					}
				}
				if !endsWithin(l, test.ends) {
					t.Fatalf("not hung up on after %s; the server said %.300q", time.Since(began), l.all())
				}
				synctest.Wait()
				w.checkClean(t, 1)
				w.chain.advance()
				time.Sleep(50 * time.Millisecond)
				if job := w.job(honest); job.PrevHash != w.chain.TipState().Index.Hash {
					t.Error("the honest miner has no job")
				}
			})
		})
	}
}

func repeat(line string, n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = line
	}
	return lines
}

// checkClean holds that the server has no more than some connections need.
func (w *world) checkClean(t *testing.T, connections int) {
	t.Helper()
	s := w.server
	total, _ := s.limits.counts(time.Now())
	s.sessions.mu.Lock()
	used := len(s.sessions.used)
	s.sessions.mu.Unlock()
	if total != connections || len(s.atWork()) != connections || used != connections || len(s.workers.all()) > connections {
		t.Errorf("%d connections, %d at work, %d extra nonces, %d workers; want %d", total, len(s.atWork()), used, len(s.workers.all()), connections)
	}
}

// TestLongLines: a line is given up when it is too long, and one that never ends when
// it takes too long.
func TestLongLines(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		conn, l := w.raw("mallory")
		n, err := conn.Write(make([]byte, 1<<20))
		if err == nil || n > 2*maxLine || !endsWithin(l, time.Second) {
			t.Errorf("the server took %d bytes of one line (%v)", n, err)
		}
		conn, l = w.raw("mallory")
		began := time.Now()
		for range 1000 {
			if _, err := conn.Write([]byte("{")); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if !endsWithin(l, time.Second) || time.Since(began) > handshakeTimeout+2*time.Second {
			t.Errorf("half a line lasted %s", time.Since(began))
		}
	})
}

// TestIdle: a miner from which nothing comes is hung up on after a while.
func TestIdle(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		c := w.miner("alice", 1)
		began := time.Now()
		<-c.Ended()
		if d := time.Since(began); d < idleTimeout || d > idleTimeout+time.Second {
			t.Errorf("it lasted %s", d)
		}
	})
}

// TestSlowReader: who does not read is hung up on, and holds nobody up.
func TestSlowReader(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		honest := w.miner("honest", 1)
		defer honest.Close()
		conn := w.deaf("mallory")
		defer conn.Close()
		said := make(chan error, 1)
		go func() {
			_, err := io.WriteString(conn, w.login(2)+strings.Repeat(`{"id":3,"method":"mining.ping"}`+"\n", 1000))
			said <- err
		}()
		for range 20 {
			w.chain.advance()
			time.Sleep(50 * time.Millisecond)
			if job := w.job(honest); job.PrevHash != w.chain.TipState().Index.Hash {
				t.Fatal("the honest miner waits for the other")
			}
		}
		time.Sleep(writeTimeout)
		if err := <-said; err == nil {
			t.Error("the server has read 1000 requests whose answers nobody reads")
		}
		w.checkWorking(t, 1)
	})
}

func (w *world) checkWorking(t *testing.T, want int) {
	t.Helper()
	synctest.Wait()
	if n := len(w.server.atWork()); n != want {
		t.Errorf("%d connections at work, want %d", n, want)
	}
}

// TestTooManyJobs: a miner that reads too slowly for the jobs that come is given up, and
// what waits for it stays little.
func TestTooManyJobs(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		honest := w.miner("honest", 1)
		defer honest.Close()
		conn := w.deaf("mallory")
		defer conn.Close()
		go io.WriteString(conn, w.login(2))
		w.checkWorking(t, 2)
		for range maxWaiting + 2 {
			w.chain.advance()
			time.Sleep(25 * time.Millisecond)
		}
		w.checkWorking(t, 1)
	})
}

// TestBan: who sends bad shares again and again is kept out for a while; others of other
// addresses are not, and neither is one of the operator's own.
func TestBan(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		flood := func(host string) {
			conn, l := w.raw(host)
			defer conn.Close()
			io.WriteString(conn, w.login(2))
			for range 100 {
				if _, err := io.WriteString(conn, `{"id":1,"method":"mining.submit","params":["`+w.address(2)+`","10000","0000000000000000","ffffffff","00000000"]}`+"\n"); err != nil {
					break
				}
			}
			if !endsWithin(l, time.Second) {
				t.Error("not hung up on")
			}
		}
		letIn := func(host string) bool {
			conn, l := w.raw(host)
			defer conn.Close()
			return !endsWithin(l, time.Second)
		}
		for range banAfter {
			if !letIn("mallory") {
				t.Fatal("kept out too early")
			}
			flood("mallory")
			flood("127.0.0.1")
			flood("172.17.0.1")
		}
		if letIn("mallory") {
			t.Error("still let in")
		}
		if !letIn("alice") || !letIn("127.0.0.1") || !letIn("172.17.0.1") {
			t.Error("others are kept out, too")
		}
		if info := w.server.Info(); info.Banned != 1 || info.Shares.Rejected[stratuminfo.Malformed] == 0 {
			t.Errorf("%d addresses are kept out", info.Banned)
		}
		time.Sleep(banFor)
		if !letIn("mallory") || w.server.Info().Banned != 0 {
			t.Error("kept out for ever")
		}
	})
}

// TestHonestErrors: a miner some of whose shares are bad stays.
func TestHonestErrors(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		c := w.miner("alice", 1)
		defer c.Close()
		if _, err := c.Call("mining.suggest_difficulty", minDifficulty); err != nil {
			t.Fatal(err)
		}
		for i := range uint32(200) {
			job := w.job(c)
			share := search(t, job, i)
			if err := c.Submit(share); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				if err := c.Submit(share); refusal(t, err).Code != 22 {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
		}
	})
}

// TestConnectionLimits: one address of the internet has so many connections, a private
// one any number, and all together no more than there may be.
func TestConnectionLimits(t *testing.T) {
	inBubble(t, 1, func(o *Options) { o.MaxConnections, o.MaxPerAddress = 30, 5 }, func(t *testing.T, w *world) {
		count := func(host string, tries int) (open int) {
			for range tries {
				_, l := w.raw(host)
				if !endsWithin(l, 10*time.Millisecond) {
					open++
				}
			}
			return open
		}
		if n := count("203.0.113.5", 10); n != 5 {
			t.Errorf("%d from one address", n)
		}
		if n := count("10.0.0.5", 20); n != 20 {
			t.Errorf("%d from a private one", n)
		}
		if n := count("127.0.0.1", 20); n != 12 {
			t.Errorf("%d from this machine, when 20 of 30 places were one address's", n)
		}
		time.Sleep(handshakeTimeout)
		if n := count("127.0.0.1", 1); n != 1 {
			t.Error("the places were not given back")
		}
	})
}

// TestUselessGiveWay: when all places are taken, who has found nothing for a while gives
// way to who comes; who finds shares does not.
func TestUselessGiveWay(t *testing.T) {
	inBubble(t, 1, func(o *Options) { o.MaxConnections = 4 }, func(t *testing.T, w *world) {
		honest := w.miner("honest", 1)
		defer honest.Close()
		if _, err := honest.Call("mining.suggest_difficulty", minDifficulty); err != nil {
			t.Fatal(err)
		}
		var silent []*stratumtest.Client
		for _, host := range []string{"mallory", "trudy", "eve"} {
			c := w.miner(host, 2)
			defer c.Close()
			silent = append(silent, c)
			time.Sleep(time.Second)
		}
		conn, l := w.raw("alice")
		if !endsWithin(l, time.Second) {
			t.Error("let in although all are new")
		}
		conn.Close()
		time.Sleep(usefulFor)
		if err := honest.Submit(search(t, w.job(honest), 1)); err != nil {
			t.Fatal(err)
		}
		alice := w.miner("alice", 3)
		defer alice.Close()
		synctest.Wait()
		for i, c := range append(silent, honest) {
			select {
			case <-c.Ended():
				if i != 0 {
					t.Errorf("connection %d was ended", i)
				}
			default:
				if i == 0 {
					t.Error("the one that was silent for longest is still there")
				}
			}
		}
	})
}

// TestManyCalls: one address may connect so often a minute, which keeps handshakes cheap.
func TestManyCalls(t *testing.T) {
	l := limits{most: 10, perPlace: 10, connected: map[string]int{}, offenders: map[string]*offender{}}
	now, in := time.Unix(1_800_000_000, 0), 0
	call := func(p place) bool {
		ok := l.enter(p, now, func() bool { return false })
		if ok {
			l.leave(p)
		}
		return ok
	}
	for range 2 * maxCalls {
		if call(place{name: "192.0.2.1"}) {
			in++
		}
	}
	if in != maxCalls || !call(place{name: "192.0.2.2"}) {
		t.Errorf("%d calls from one address were taken", in)
	}
	for range 2 * maxCalls {
		if !call(place{name: "10.0.0.1", local: true}) {
			t.Fatal("a private address was kept out")
		}
	}
	if now = now.Add(61 * time.Second); !call(place{name: "192.0.2.1"}) {
		t.Error("kept out for more than a minute")
	}
	for i := range 3 * maxOffenders {
		call(place{name: fmt.Sprint(i)})
	}
	if len(l.calls) > maxOffenders {
		t.Errorf("%d addresses are remembered", len(l.calls))
	}
}

// TestPace: long lines count for many, and a connection's own lines are its own.
func TestPace(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		w.server.all.perSecond, w.server.all.room = 0, 0
		for _, test := range []struct {
			size, lines int
			want        time.Duration
		}{
			{30, ownAtOnce, 0},
			{30, ownAtOnce + 100, 5 * time.Second},
			{8000, 20, 12 * time.Second},
		} {
			c := newConnection(w.server, nil, place{})
			began := time.Now()
			for range test.lines {
				c.pace(test.size)
			}
			if d := time.Since(began); d < test.want-50*time.Millisecond || d > test.want+100*time.Millisecond {
				t.Errorf("%d lines of %d bytes took %s, want %s", test.lines, test.size, d, test.want)
			}
		}
	})
}

// TestPlaces: which addresses are one.
func TestPlaces(t *testing.T) {
	for remote, want := range map[string]place{
		"192.0.2.1:7":               {name: "192.0.2.1"},
		"[2001:db8:1:2:3:4:5:6]:7":  {name: "2001:db8:1:2::/64"},
		"[::ffff:192.0.2.1]:7":      {name: "192.0.2.1"},
		"192.168.1.9:7":             {name: "192.168.1.9", local: true},
		"[fe80::1%eth0]:7":          {name: "fe80::1", local: true},
		"127.0.0.2:7":               {name: "127.0.0.2", local: true},
		"[::1]:7":                   {name: "::1", local: true},
		"[fd00::5]:7":               {name: "fd00::5", local: true},
		"somebody:7":                {name: "somebody"},
		"[2001:db8:1:2::ffff]:4444": {name: "2001:db8:1:2::/64"},
	} {
		if got := placeOf(textAddr(remote)); got != want {
			t.Errorf("%s: %+v, want %+v", remote, got, want)
		}
	}
}

type textAddr string

func (textAddr) Network() string  { return "tcp" }
func (a textAddr) String() string { return string(a) }

// TestManyNames: rigs on one connection are many, but not without end; and what is
// remembered of workers that have gone gives way.
func TestManyNames(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		c := w.dial("alice")
		defer c.Close()
		for i := range maxNames {
			if err := c.Authorize(fmt.Sprintf("%s.%d", w.address(1), i), "x"); err != nil {
				t.Fatal(err)
			}
		}
		if r := refusal(t, c.Authorize(w.address(1)+".more", "x")); !strings.Contains(r.Text, "too many workers on one connection") {
			t.Error(r)
		}
		if err := c.Authorize(w.address(1)+".7", "x"); err != nil {
			t.Errorf("one that is there already: %v", err)
		}
	})
	ws := workers{byName: map[string]*worker{}}
	now := time.Unix(1_800_000_000, 0)
	for i := range maxWorkers {
		w, _ := ws.enter(fmt.Sprint(i), "", "", "")
		if i%2 == 0 {
			ws.leave(w, now.Add(time.Duration(i)*time.Second))
		}
	}
	for i := range maxWorkers / 2 {
		if w, _ := ws.enter(fmt.Sprint("new", i), "", "", ""); w.name == otherWorkers {
			t.Fatal("no room though many have gone")
		}
	}
	for i := range 100 {
		if w, _ := ws.enter(fmt.Sprint("one more", i), "", "", ""); w.name != otherWorkers {
			t.Fatal("a name of its own when there is no room")
		}
	}
	if len(ws.byName) > maxWorkers+1 {
		t.Errorf("%d workers", len(ws.byName))
	}
	// Not every name is worth a look at all the others.
	ws.leave(ws.byName["new7"], now)
	if w, _ := ws.enter("too early", "", "", ""); w.name != otherWorkers {
		t.Error("the others were looked at again")
	}
	ws.expire(now)
	if w, _ := ws.enter("later", "", "", ""); w.name == otherWorkers {
		t.Error("no room though somebody has gone")
	}
}

// TestManySessions: sessions that wait for their miner are bounded, in all and for each
// address, and the youngest stay.
func TestManySessions(t *testing.T) {
	ss := sessions{parked: map[string]parkedSession{}, from: map[string]int{}, used: map[[extraNonce1Size]byte]bool{}}
	now := time.Unix(1_800_000_000, 0)
	var last string
	for i := range 3 * perPlace {
		s, err := ss.create()
		if err != nil {
			t.Fatal(err)
		}
		last = s.id
		ss.park(s, place{name: "mallory"}, now.Add(time.Duration(i)))
	}
	if len(ss.parked) != perPlace || len(ss.used) != perPlace || ss.from["mallory"] != perPlace {
		t.Errorf("%d sessions of one address, %d extra nonces", len(ss.parked), len(ss.used))
	}
	if ss.resume(last, now) == nil || ss.resume(last, now) != nil {
		t.Error("the youngest can be resumed, and once")
	}
	for i := range maxParked + 10 {
		s, _ := ss.create()
		ss.park(s, place{name: "farm", local: true}, now.Add(time.Duration(1000+i)))
	}
	if len(ss.parked) != maxParked || len(ss.used) != maxParked+1 { // one was resumed
		t.Errorf("%d sessions, %d extra nonces", len(ss.parked), len(ss.used))
	}
	ss.expire(now.Add(keepSession + time.Hour))
	if len(ss.parked) != 0 || len(ss.used) != 1 || len(ss.from) != 0 {
		t.Errorf("%d sessions, %d extra nonces, %v after they have expired", len(ss.parked), len(ss.used), ss.from)
	}
}

// TestManyOffenders: what is remembered of offences is bounded.
func TestManyOffenders(t *testing.T) {
	l := limits{most: 10, perPlace: 10, connected: map[string]int{}, offenders: map[string]*offender{}}
	now := time.Unix(1_800_000_000, 0)
	for i := range 3 * maxOffenders {
		l.offend(place{name: fmt.Sprint(i)}, now)
	}
	if len(l.offenders) > maxOffenders {
		t.Errorf("%d offenders", len(l.offenders))
	}
	l.expire(now.Add(banFor))
	if len(l.offenders) != 0 {
		t.Errorf("%d offenders after all is over", len(l.offenders))
	}
}
