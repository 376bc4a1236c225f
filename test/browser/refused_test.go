package browser

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestStreamRefused: a page whose stream of events a proxy has refused asks for it again, and is
// true after that.
func TestStreamRefused(t *testing.T) {
	b, s := newBrowser(t), newSite(t)
	s.mine(2)
	to, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.FlushInterval = -1
	var refused atomic.Bool
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") && !refused.Swap(true) {
			http.Error(w, "the node is away", http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { front.CloseClientConnections(); front.Close() }) // Close alone waits for the stream
	b.do(chromedp.Navigate(front.URL+"/"), chromedp.WaitReady(".strip"))
	for !refused.Load() {
		b.do(chromedp.WaitReady(".strip"))
	}
	last := s.mine(1)[0]
	b.do(chromedp.WaitReady(`a[href="/block/` + last + `"]`))
}
