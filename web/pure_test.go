package web

import (
	"context"
	"encoding/hex"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// TestPrintable: no text of a stranger reaches out of its place.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "plain", "a\x00b\x1b[31mc": "a\ufffdb\ufffd[31mc", "a\u202eb": "a\ufffdb", "a\u2066b\u2069": "a\ufffdb\ufffd", "\xff\xfe": "\ufffd\ufffd",
		"zero\u200bwidth": "zero\ufffdwidth", "line\nbreak\ttab": "line break tab", "é ü 日本 👍": "é ü 日本 👍", "0123456789abc": "0123456789…",
		"z\u0300\u0301\u0302\u0303\u0304": "z\u0300\u0301", "\u3164\u115f": "\ufffd\ufffd", "a\ufe0f": "a\ufffd", "<b>&": "<b>&",
	} {
		most := 60
		if strings.HasPrefix(text, "0123") {
			most = 10
		}
		if got := Printable(text, most); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.C, r) && r > ' ' {
			if got := Printable("a"+string(r)+"b", 9); strings.ContainsRune(got, r) && r != utfError {
				t.Fatalf("%U is shown", r)
			}
		}
	}
}

const utfError = '\ufffd'

// TestMessage: what can be read is found among bytes, and no more.
func TestMessage(t *testing.T) {
	for hexed, want := range map[string]string{
		hex.EncodeToString([]byte("hello world")): "hello world", "0102" + hex.EncodeToString([]byte("inside")) + "ff00": "inside", "0102030405": "", "": "",
		hex.EncodeToString([]byte("日本語です")): "日本語です",
	} {
		b, _ := hex.DecodeString(hexed)
		if got := message(b, 4, 100); got != want {
			t.Errorf("%s: %q, want %q", hexed, got, want)
		}
	}
}

// TestLeafWords: leaves as wallets make them, and others.
func TestLeafWords(t *testing.T) {
	key := "20" + strings.Repeat("11", 32)
	for script, want := range map[string][]string{
		key + "ac":                                               {"a signature by one key"},
		key + "ad" + key + "ac":                                  {"a signature by one key", "a signature by one key"},
		key + "ac" + key + "ba" + key + "ba529c":                 {"signatures by 2 of 3 keys"},
		key + "ad029000b2":                                       {"a signature by one key", "at least 144 blocks after the coin's"},
		"03a08601b175" + key + "ac":                              {"not before block 100000", "a signature by one key"},
		"040065cd1db175" + key + "ac":                            {"not before 1985-11-05 00:53:20 UTC", "a signature by one key"},
		"a8" + key + "88" + key + "ac":                           {"the secret whose SHA256 the script has", "a signature by one key"},
		"63" + key + "ac67" + "0390004" + "0b275" + key + "ac68": {"either", "· a signature by one key", "or", "· at least 20 h 28 min after the coin's block", "· a signature by one key"},
		"51": {"what the script says"},
		"4c": {"and more, as the script says"},
		"":   {"what the script says"},
	} {
		b, err := hex.DecodeString(script)
		if err != nil {
			t.Fatal(script, err)
		}
		if got := leafWords(b); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
	}
	long := strings.Repeat(key+"ad", 5000)
	b, _ := hex.DecodeString(long)
	if got := leafWords(b); len(got) > 22 || got[20] != "and more, as the script says" {
		t.Errorf("a long leaf: %q", got)
	}
	if text := disassemble(b); len(text) > 20_000 {
		t.Errorf("a long leaf has %d characters", len(text))
	}
}

// TestReversal: the table of Nakamoto's paper.
func TestReversal(t *testing.T) {
	for _, c := range []struct {
		share float64
		n     int
		want  float64
	}{{0.1, 0, 1}, {0.1, 1, 0.2045873}, {0.1, 5, 0.0009137}, {0.1, 10, 0.0000012}, {0.3, 5, 0.1773523}, {0.3, 50, 0.0000006}, {0.5, 9, 1}} {
		if got := reversal(c.share, c.n); math.Abs(got-c.want) > 1e-7 {
			t.Errorf("%v, %d: %v, want %v", c.share, c.n, got, c.want)
		}
	}
}

// TestSupply: the sum by eras is that of all blocks, one by one.
func TestSupply(t *testing.T) {
	for _, interval := range []uint32{1, 7, 150} {
		p := &consensus.Params{InitialSubsidy: 5_000_000_001, HalvingInterval: interval, MaxMoney: math.MaxInt64 / 2}
		sum := types.Amount(0)
		for height := uint32(1); height < 600; height++ {
			sum += consensus.Subsidy(p, height)
			s := supplyAt(p, height)
			if s.Mined != sum || s.Subsidy != consensus.Subsidy(p, height+1) {
				t.Fatalf("interval %d, height %d: %+v, want %d", interval, height, s, sum)
			}
			if s.Halving > 0 && (consensus.Subsidy(p, s.Halving) == s.Subsidy || consensus.Subsidy(p, s.Halving-1) != s.Subsidy) {
				t.Fatalf("interval %d, height %d: the halving is not at %d", interval, height, s.Halving)
			}
		}
	}
	if got := minedUpTo(&consensus.Params{InitialSubsidy: math.MaxInt64 / 2, HalvingInterval: math.MaxUint32, MaxMoney: 99}, math.MaxUint32); got != 99 {
		t.Errorf("a sum that does not fit is %d", got)
	}
}

// TestGuard: an address that asks for too much is told to wait, and others are not.
func TestGuard(t *testing.T) {
	g := newGuard(Limits{Connections: 10, ConnectionsPerAddress: 2, Streams: 3, StreamsPerAddress: 2, Requests: 1, Bytes: 100, TotalBytes: 1000, Work: 0.01}, false)
	one, other := visitor{at: addressOf(netip.MustParseAddr("192.0.2.1"))}, visitor{at: addressOf(netip.MustParseAddr("2001:db8::1"))}
	if same := addressOf(netip.MustParseAddr("2001:db8::ffff")); same != other.at || addressOf(netip.MustParseAddr("::ffff:192.0.2.1")) != one.at {
		t.Error("addresses of one host count apart")
	}
	admitted := 0
	for range 50 {
		if g.admit(one) {
			admitted++
		}
	}
	if admitted < 10 || admitted > 12 || !g.admit(other) {
		t.Errorf("%d requests at once were admitted", admitted)
	}
	g.charge(other, 3200, 0) // more than the burst of 3000 bytes
	g.charge(other, 100, 0)
	if g.admit(other) {
		t.Error("who has had too many bytes is admitted")
	}
	third := visitor{at: addressOf(netip.MustParseAddr("192.0.2.3"))}
	g.charge(third, 0, time.Second)
	g.charge(third, 0, time.Second)
	if g.admit(third) {
		t.Error("who has had too much work is admitted")
	}
	local := visitor{at: addressOf(netip.MustParseAddr("127.0.0.1")), local: true}
	if !g.admit(local) {
		t.Error("this machine is not admitted")
	}
	g.charge(third, 30_000, 0)
	g.charge(third, 30_000, 0)
	if g.admit(local) {
		t.Error("all together have had too many bytes, and one is admitted")
	}
	end, ok := g.stream(one)
	_, second := g.stream(one)
	if _, more := g.stream(one); !ok || !second || more {
		t.Error("streams of an address are not counted")
	}
	end()
	if _, ok := g.stream(one); !ok {
		t.Error("a stream that has ended counts")
	}
}

// TestSlowReaders: what is on its way to an address, and to all, is bounded, but for one
// answer; and for one address one page at a time is made.
func TestSlowReaders(t *testing.T) {
	l := DefaultLimits()
	l.Sending, l.SendingPerAddress, l.Work = 5<<20, 3<<20, 0.001
	g := newGuard(l, false)
	visitorAt := func(ip string) visitor { return visitor{at: addressOf(netip.MustParseAddr(ip))} }
	one, other := visitorAt("192.0.2.1"), visitorAt("192.0.2.2")
	end, ok := g.send(one, 4<<20)
	if !ok {
		t.Fatal("a large answer is never sent")
	}
	if _, ok := g.send(one, 1<<20); ok {
		t.Error("one address is sent more than it may be")
	}
	if _, ok := g.send(one, smallAnswer); !ok {
		t.Error("no small page is sent beside a large one")
	}
	if _, ok := g.send(other, 2<<20); ok {
		t.Error("all together are sent more than they may be")
	}
	end()
	if _, ok := g.send(other, 2<<20); !ok || g.account(one.at).sending != 0 {
		t.Error("what was sent still counts")
	}
	leave, err := g.turn(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.turn(late, one); !errors.Is(err, context.Canceled) {
		t.Errorf("a second page of an address: %v", err)
	}
	if _, err := g.turn(t.Context(), other); err != nil {
		t.Errorf("another address waits: %v", err)
	}
	g.charge(one, 0, time.Second)
	g.charge(one, 0, time.Second)
	leave()
	var refused *failure
	if _, err := g.turn(t.Context(), one); !errors.As(err, &refused) || refused.status != http.StatusTooManyRequests {
		t.Errorf("who waited behind costly pages: %v", err)
	}
}

// TestHeadOfEvents: who asks for the head of the stream of events gets it, and keeps no place.
func TestHeadOfEvents(t *testing.T) {
	s := &Server{guard: newGuard(DefaultLimits(), false), feed: newFeed(nil)}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := httptest.NewRecorder()
	s.events(w, httptest.NewRequestWithContext(ctx, http.MethodHead, "/events", nil))
	if ctx.Err() != nil || w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("%v: %v", ctx.Err(), w.Header())
	}
}

// TestHalfMade: a page is not shown to others whose visitor has gone while it was made: what
// it waited for may lack in it.
func TestHalfMade(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := &page{make: func(context.Context) (any, error) { cancel(); return []byte("half"), nil }}
	if m, err := new(Server).make(ctx, p); !errors.Is(err, context.Canceled) {
		t.Errorf("%q, %v", m.plain, err)
	}
}

// TestForwarded: behind a proxy visitors are told apart by what it says last.
func TestForwarded(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "127.0.0.1:1000"
	r.Header.Set("X-Forwarded-For", "203.0.113.9, 192.0.2.7")
	if v := newGuard(DefaultLimits(), true).visitorOf(r); v.at.String() != "192.0.2.7/32" || v.local {
		t.Errorf("%+v", v)
	}
	if v := newGuard(DefaultLimits(), false).visitorOf(r); v.at.String() != "127.0.0.1/32" || v.local {
		t.Errorf("a proxy's visitor is %+v", v)
	}
	r.Header.Del("X-Forwarded-For")
	if v := newGuard(DefaultLimits(), false).visitorOf(r); v.at.String() != "127.0.0.1/32" || !v.local {
		t.Errorf("%+v", v)
	}
}

// TestPageCache: a page is made once, and errors and panics are not kept.
func TestPageCache(t *testing.T) {
	c := newPageCache(1000)
	calls := 0
	var all sync.WaitGroup
	start := make(chan struct{})
	for range 20 {
		all.Go(func() {
			<-start
			if m, err := c.get(t.Context(), "a", func() (made, error) { calls++; return made{plain: []byte("page")}, nil }); err != nil || string(m.plain) != "page" {
				t.Error(m, err)
			}
		})
	}
	close(start)
	all.Wait()
	if calls != 1 {
		t.Errorf("made %d times", calls)
	}
	fault := errors.New("fault")
	if _, err := c.get(t.Context(), "b", func() (made, error) { return made{}, fault }); err != fault {
		t.Error(err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = c.get(t.Context(), "b", func() (made, error) { panic("bug") })
	}()
	if m, err := c.get(t.Context(), "b", func() (made, error) { return made{plain: make([]byte, 200)}, nil }); err != nil || len(m.plain) != 200 {
		t.Error(m, err)
	}
	for _, key := range strings.Split("cdefghij", "") {
		_, _ = c.get(t.Context(), key, func() (made, error) { return made{plain: make([]byte, 200)}, nil })
	}
	if c.bytes > 1000 || len(c.entries) != c.recent.Len() {
		t.Errorf("%d bytes, %d entries, %d in the list", c.bytes, len(c.entries), c.recent.Len())
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan struct{})
	all.Go(func() {
		_, _ = c.get(context.Background(), "slow", func() (made, error) { <-waiting; return made{}, nil })
	})
	for {
		c.mu.Lock()
		begun := c.entries["slow"] != nil
		c.mu.Unlock()
		if begun {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if _, err := c.get(ctx, "slow", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(waiting)
	all.Wait()
}

// TestPlotMarks: marks of a plot are round, and stand where what they name is.
func TestPlotMarks(t *testing.T) {
	bars, line := series{Class: "s1"}, series{Class: "s2"}
	for i := range 24 {
		bars.Points = append(bars.Points, point{X: float64(i), Y: float64(53 - 2*i)})
		line.Points = append(line.Points, point{X: float64(i), Y: 1})
	}
	p := plot{Series: []series{bars, line}, Bars: true, Zero: true, X: func(f float64) string { return "x" + brief(f) }, Y: brief}
	svg := string(p.SVG())
	edges := regexp.MustCompile(`<rect class="bar s1" x="([0-9.]+)"`).FindAllStringSubmatch(svg, -1)
	if len(edges) != 24 {
		t.Fatal(svg)
	}
	marks := map[string]float64{}
	for _, m := range regexp.MustCompile(`<text class="mark" x="([0-9.]+)" y="[0-9.]+" text-anchor="[a-z]+">([^<]+)<`).FindAllStringSubmatch(svg, -1) {
		marks[m[2]], _ = strconv.ParseFloat(m[1], 64)
	}
	for _, want := range []string{"0", "20", "40", "60", "x0", "x6", "x12", "x18", "x24"} {
		at, ok := marks[want]
		if !ok {
			t.Errorf("there is no mark %s: %v", want, marks)
		}
		if n, err := strconv.Atoi(strings.TrimPrefix(want, "x")); want[0] == 'x' && err == nil && n < 24 {
			if edge, _ := strconv.ParseFloat(edges[n][1], 64); math.Abs(edge-at) > 1 {
				t.Errorf("mark %s is at %v, the bar at %v", want, at, edge)
			}
		}
	}
	if len(marks) != 9 {
		t.Errorf("%v", marks)
	}
	one := plot{Series: []series{{Points: []point{{X: 0, Y: 0}, {X: 1, Y: 1}}}}, Bars: true, Zero: true, X: brief, Y: brief}
	if strings.Contains(string(one.SVG()), ">0.") { // a count of one
		t.Error(one.SVG())
	}
	for _, ys := range [][2]float64{{0, 0}, {1e-12, 3e-12}, {1e18, 1e18}, {5, 5}, {0, 1e300}} {
		p := plot{Series: []series{{Points: []point{{X: 0, Y: ys[0]}, {X: 1, Y: ys[1]}}}}, Zero: true, X: brief, Y: brief}
		if svg := string(p.SVG()); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || strings.Count(svg, `class="grid"`) > 8 {
			t.Errorf("%v: %s", ys, svg)
		}
	}
}
