package browser

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/karatcoin/karat/node"
)

func listening(c *node.Config) { c.Listen, c.MaxPeers = "127.0.0.1:0", 8 }

// calling lets a node stay connected to another one at an address.
func calling(to *site, at string) func(*node.Config) {
	return func(c *node.Config) { c.Connect = []string{to.NodeID + "@" + at} }
}

// narrow is a line between two nodes whose width is set while it is used.
type narrow struct {
	at    string
	width atomic.Int64 // bytes that come back in a second
}

// wide is a width that does not hold a sync up.
const wide = 1 << 30

// newNarrow makes a line to an address.
func newNarrow(t *testing.T, to string, width int64) *narrow {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	n := &narrow{at: l.Addr().String()}
	n.width.Store(width)
	go func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("tcp", to)
			if err != nil {
				here.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(there, here)
				there.Close()
			}()
			go func() {
				defer here.Close()
				const pause = 20 * time.Millisecond
				part := make([]byte, 1<<16)
				for {
					width := n.width.Load()
					got, err := there.Read(part[:min(int64(len(part)), width/int64(time.Second/pause))])
					if _, failed := here.Write(part[:got]); err != nil || failed != nil {
						return
					}
					if width < wide {
						time.Sleep(pause)
					}
				}
			}()
		}
	}()
	return n
}

// TestSync: while a node catches up, its pages say so, count on without being asked again, and
// are right when it is done.
func TestSync(t *testing.T) {
	const blocks = 3000
	b, from := newBrowser(t), newSiteWith(t, listening)
	from.fill()
	from.mine(blocks)
	line := newNarrow(t, from.Listen, 60_000)
	to := newSiteWith(t, calling(from, line.at))
	height := func() (n int) {
		to.rpc(&n, "getblockcount")
		return n
	}
	for height() < 10 {
		time.Sleep(50 * time.Millisecond)
	}
	line.width.Store(3000) // ten blocks a second, so that there is time to look
	paths := map[string]string{"home": "/", "mining": "/mining", "address": "/address/" + from.address, "missing": "/tx/" + from.paid}
	b.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(to.url+"/"), chromedp.WaitReady(".note"))
	said := run(b, chromedp.TextContent(".note"))
	if !strings.Contains(said, "still catching up") {
		t.Fatalf("home says %q", said)
	}
	b.pages(to, paths, "sync-")
	// The page that is open counts on by itself.
	b.do(chromedp.Navigate(to.url+"/"), chromedp.WaitReady(".note"))
	said = run(b, chromedp.TextContent(".note"))
	b.do(chromedp.Poll[chromedp.Void](fmt.Sprintf(`document.querySelector(".note") && document.querySelector(".note").textContent !== %q`, said)))
	if at := height(); at >= blocks {
		t.Errorf("the sync was over at block %d, before all was seen", at)
	}
	line.width.Store(wide)
	var tip string
	from.rpc(&tip, "getbestblockhash")
	b.do(chromedp.WaitReady(`a[href="/block/` + tip + `"]`))
	if text := run(b, chromedp.TextContent("main")); strings.Contains(text, "catching up") {
		t.Error("home says that it is catching up when it is not")
	}
	b.clean(to.url, "sync")
}

// TestNetwork looks at the page of connections, of a node that called another and was called by
// two.
func TestNetwork(t *testing.T) {
	b, other := newBrowser(t), newSiteWith(t, listening)
	s := newSiteWith(t, func(c *node.Config) {
		listening(c)
		calling(other, other.Listen)(c)
	})
	for range 2 {
		newSiteWith(t, calling(s, s.Listen))
	}
	s.mine(3)
	s.rpc(new(any), "setban", "192.0.2.7", "add")
	for n := 0; n < 3; {
		s.rpc(&n, "getconnectioncount")
		time.Sleep(20 * time.Millisecond)
	}
	b.pages(s, map[string]string{"network": "/network", "home": "/"}, "peers-")
	b.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(s.url+"/network"), chromedp.WaitReady("svg"))
	page := run(b, chromedp.TextContent("main"))
	for _, word := range []string{"called us", "called by us", "Around this node", "127.0.0.1", "karat", "192.0.2.7"} {
		if !strings.Contains(page, word) {
			t.Errorf("the page lacks %q", word)
		}
	}
	if rows := run(b, chromedp.Evaluate[int](`document.querySelectorAll("section[aria-labelledby=peers] tbody tr").length`)); rows != 3 {
		t.Errorf("%d connections", rows)
	}
	b.clean(s.url, "network")
}
