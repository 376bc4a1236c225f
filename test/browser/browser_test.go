// Package browser looks at the pages in a real browser: that they are drawn, fit a phone,
// run nothing of others, ask nobody else, can be read by everybody, and stay true while
// they are open. It is a module of its own, so that what drives the browser never enters
// karat's dependencies. Pictures of all pages go to the folder that KARAT_SHOTS names.
package browser

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
)

// site is a node with a chain.
type site struct {
	t *testing.T
	*nodetest.Running
	url, address string
	paid, waits  string // ids of transactions
}

func newSite(t *testing.T) *site { return newSiteWith(t, func(*node.Config) {}) }

func newSiteWith(t *testing.T, change func(*node.Config)) *site {
	n := nodetest.Dev(t, func(c *node.Config) {
		nodetest.Matures(c)
		c.Web, c.WebOperator, c.Stratum = "127.0.0.1:0", true, "127.0.0.1:0"
		c.Indexes = []string{indexed.Txs, indexed.Filters, indexed.Scripts, indexed.Spenders}
		c.RPCUser, c.RPCPassword = "test", "test"
		change(c)
	})
	return &site{t: t, Running: n, url: strings.TrimSuffix(n.Web, "/")}
}

func (s *site) rpc(result any, method string, params ...any) {
	s.t.Helper()
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"method": method, "params": params, "id": 1})
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, "http://"+s.RPC, strings.NewReader(string(body)))
	if err != nil {
		s.t.Fatal(err)
	}
	r.SetBasicAuth("test", "test")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	answer := struct{ Result, Error any }{Result: result}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Error != nil {
		s.t.Fatalf("%s: %v %v", method, answer.Error, err)
	}
}

func (s *site) mine(n int) (hashes []string) {
	s.t.Helper()
	s.rpc(&hashes, "generatetodescriptor", n, "raw("+hex.EncodeToString(chaintest.KeyScript())+")")
	return hashes
}

// fill makes a chain with payments, in blocks and waiting.
func (s *site) fill() {
	s.t.Helper()
	coins := chaintest.Outputs{}
	var from []types.OutPoint
	for _, hash := range s.mine(60)[:50] {
		var raw string
		s.rpc(&raw, "getblock", hash, 0)
		b, err := hex.DecodeString(raw)
		if err != nil {
			s.t.Fatal(err)
		}
		block, err := types.DecodeBlock(b)
		if err != nil {
			s.t.Fatal(err)
		}
		coins.Note(&block.Txs[0])
		from = append(from, chaintest.Output(&block.Txs[0], 0))
	}
	send := func(i int) (txid string) {
		tx := coins.Spend(types.Amount(200+i*i*40), chaintest.KeyScript(), from[i])
		for n := range i % 4 {
			tx.Outputs[0].Value -= types.Amount(1_000_000 * (n + 1))
			tx.Outputs = append(tx.Outputs, types.TxOut{Value: types.Amount(1_000_000 * (n + 1)), ScriptPubKey: chaintest.KeyScript()})
		}
		if i%5 == 0 {
			tx.Outputs = append(tx.Outputs, types.TxOut{ScriptPubKey: append([]byte{taproot.OpReturn, 22}, "<b>a message</b> \xe2\x80\xae!!"...)})
		}
		coins.Sign(tx)
		s.rpc(&txid, "sendrawtransaction", hex.EncodeToString(tx.AppendTo(nil)), 0)
		return txid
	}
	for i := range 25 {
		s.paid = send(i)
		if i%5 == 2 {
			s.mine(1)
		}
	}
	s.mine(1)
	for i := 25; i < 48; i++ {
		s.waits = send(i)
	}
	s.address, _ = taproot.EncodeAddress("krtd", chaintest.KeyScript())
}

// paths are all pages, with the name of each one's picture.
func (s *site) paths() map[string]string {
	return map[string]string{
		"home": "/", "blocks": "/blocks", "block": "/block/62", "genesis": "/block/0", "tx": "/tx/" + s.paid, "waiting": "/tx/" + s.waits,
		"address": "/address/" + s.address, "descriptor": "/descriptor?d=addr(" + s.address + ")", "mempool": "/mempool", "mining": "/mining",
		"supply": "/supply", "about": "/about", "network": "/network", "missing": "/nothing", "search": "/search?q=nobody",
	}
}

// browser is a tab.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	asked  []string // addresses
	faults []string // of the console
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if path, err = exec.LookPath("google-chrome"); err != nil {
			t.Skip("NOTHING WAS LOOKED AT: there is no chromium")
		}
	}
	allocated, end := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WSURLReadTimeout(2*time.Minute))...)
	t.Cleanup(end)
	ctx, end := chromedp.NewContext(allocated)
	t.Cleanup(end)
	ctx, end = context.WithTimeout(ctx, 15*time.Minute)
	t.Cleanup(end)
	b := &browser{t: t, ctx: ctx}
	b.do(chromedp.Navigate("about:blank"))
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			// The status of a page that is meant to be missing is no fault of a page.
			if m.Type == "error" && m.Source != "network" || m.IsException() || m.Source == "security" {
				b.mu.Lock()
				b.faults = append(b.faults, m.String())
				b.mu.Unlock()
			}
		}
	}()
	if err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*network.EventRequestWillBeSent); ok {
			b.mu.Lock()
			b.asked = append(b.asked, e.Request.URL)
			b.mu.Unlock()
		}
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func run[T any](b *browser, a chromedp.Action[T]) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, a)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// media is how the browser's owner likes pages.
func (b *browser) media(name, value string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: name, Value: value}}}); err != nil {
		b.t.Fatal(err)
	}
}

// picture keeps what is seen without scrolling, for the README, if it is told where.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("KARAT_PICTURES")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), run(b, chromedp.CaptureScreenshot()), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// shot keeps a picture of the whole page.
func (b *browser) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("KARAT_SHOTS")
	if dir == "" {
		return
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), run(b, chromedp.FullScreenshot(100)), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// clean checks that nothing was asked of others, and that nothing went wrong.
func (b *browser) clean(url, where string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, asked := range b.asked {
		if !strings.HasPrefix(asked, url) && asked != "about:blank" {
			b.t.Errorf("%s asks for %s", where, asked)
		}
	}
	for _, fault := range b.faults {
		b.t.Errorf("%s: %s", where, fault)
	}
	b.asked, b.faults = nil, nil
}

// axe is the script of axe-core; empty if npm has not brought it.
func axe(t *testing.T) string {
	script, err := os.ReadFile("npm/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Log("NOT LOOKED AT FOR PEOPLE WHO CANNOT SEE: there is no axe-core; make browser fetches it")
	}
	return string(script)
}

// violations are what axe-core finds wrong in earnest.
const violations = `axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.filter((v) => v.impact === "serious" || v.impact === "critical")
	.map((v) => v.id + ": " + v.help + " " + v.nodes.slice(0, 3).map((n) => n.html + " " + (n.any[0] ? n.any[0].message : "")).join(" | ")))`

// TestPages looks at every page: on a screen and on a phone, light and dark.
func TestPages(t *testing.T) {
	b, s := newBrowser(t), newSite(t)
	s.fill()
	b.pages(s, s.paths(), "")
}

// TestEmpty looks at the pages of a chain that has only begun.
func TestEmpty(t *testing.T) {
	b, s := newBrowser(t), newSite(t)
	b.pages(s, map[string]string{"home": "/", "blocks": "/blocks", "mempool": "/mempool", "mining": "/mining", "supply": "/supply"}, "empty-")
}

func (b *browser) pages(s *site, paths map[string]string, prefix string) {
	script := axe(b.t)
	for name, path := range paths {
		for _, width := range []int64{1280, 360} {
			for _, scheme := range []string{"light", "dark"} {
				where := fmt.Sprintf("%s%s-%d-%s", prefix, name, width, scheme)
				b.do(chromedp.EmulateViewport(width, 900))
				b.media("prefers-color-scheme", scheme)
				b.do(chromedp.Navigate(s.url+path), chromedp.WaitReady("main"))
				if wide := run(b, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); wide > int(width) {
					b.t.Errorf("%s is %d pixels wide", where, wide)
				}
				b.shot(where)
				if name == "home" && width == 1280 && prefix == "" {
					b.picture("home-" + scheme)
				}
				b.clean(s.url, where)
				if script == "" {
					continue
				}
				b.do(chromedp.Evaluate[chromedp.Void](script + ";undefined"))
				for _, fault := range run(b, chromedp.Evaluate[[]string](violations, chromedp.EvalAwaitPromise)) {
					b.t.Errorf("%s: %s", where, fault)
				}
			}
		}
	}
}

// TestLive: a block is on a page that is open, and so is a reorganisation.
func TestLive(t *testing.T) {
	b, s := newBrowser(t), newSite(t)
	hashes := s.mine(5)
	b.do(chromedp.Navigate(s.url+"/"), chromedp.WaitReady(".strip"))
	time.Sleep(time.Second) // until the stream is open
	start := time.Now()
	last := s.mine(1)[0]
	b.do(chromedp.WaitReady(`a[href="/block/` + last + `"]`))
	t.Logf("a block is on the page %s after it was asked for", time.Since(start).Round(time.Millisecond))
	b.shot("live")
	b.do(chromedp.Navigate(s.url+"/block/"+hashes[4]), chromedp.WaitReady("main"))
	time.Sleep(time.Second)
	s.rpc(new(any), "invalidateblock", hashes[4])
	s.mine(4)
	b.do(chromedp.WaitReady(".note"))
	if text := run(b, chromedp.TextContent(".note")); !strings.Contains(text, "breaks a rule") {
		t.Errorf("the page of the block says %q", text)
	}
	b.shot("reorganised")
	b.clean(s.url, "live")
}

// TestSearch: what is typed leads to its page.
func TestSearch(t *testing.T) {
	b, s := newBrowser(t), newSite(t)
	hash := s.mine(3)[1]
	b.do(chromedp.Navigate(s.url+"/"), chromedp.SendKeys("input[name=q]", hash[:16]+"\n"), chromedp.WaitReady("h1 .mono"))
	if at := run(b, chromedp.Location()); at != s.url+"/block/"+hash {
		t.Errorf("the search leads to %s", at)
	}
	b.clean(s.url, "search")
}

// TestNoScript: all that a page says is there without scripts.
func TestNoScript(t *testing.T) {
	b, s := newBrowser(t), newSite(t)
	s.fill()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	for path, word := range map[string]string{"/": "UTC", "/block/62": "UTC", "/tx/" + s.paid: "UTC", "/mempool": "What the next block would hold"} {
		b.do(chromedp.Navigate(s.url + path))
		if page := run(b, chromedp.OuterHTML("main")); !strings.Contains(page, word) {
			t.Errorf("%s lacks %q", path, word)
		}
	}
	b.shot("noscript")
	b.clean(s.url, "noscript")
}
