package web_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
)

// site is a node whose pages a test reads.
type site struct {
	t *testing.T
	*nodetest.Running
	url    string // without a slash at its end
	params *consensus.Params
}

func newSite(t *testing.T, change func(*node.Config)) *site {
	t.Helper()
	s := &site{t: t}
	s.Running = nodetest.Dev(t, func(c *node.Config) {
		s.params = c.Params
		c.Web = "127.0.0.1:0"
		c.Indexes = []string{indexed.Txs, indexed.Filters, indexed.Scripts, indexed.Spenders}
		c.RPCUser, c.RPCPassword = "test", "test"
		if change != nil {
			change(c)
		}
	})
	s.url = strings.TrimSuffix(s.Web, "/")
	return s
}

// answer is what came back.
type answer struct {
	*http.Response
	body string
}

var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (s *site) ask(path string, header ...string) answer {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{response, string(body)}
}

// page reads a page, and checks what must be true of every one.
func (s *site) page(path string, status int) string {
	s.t.Helper()
	a := s.ask(path)
	if a.StatusCode != status {
		s.t.Fatalf("%s: %s, want %d\n%s", path, a.Status, status, a.body)
	}
	s.checkPage(path, a)
	return a.body
}

var controls = regexp.MustCompile("[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")

// checkPage: nothing in it runs, comes from elsewhere, or turns text around, and it is no more
// than a browser takes.
func (s *site) checkPage(path string, a answer) {
	s.t.Helper()
	policy := a.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		s.t.Errorf("%s: policy %q", path, policy)
	}
	if a.Header.Get("Set-Cookie") != "" {
		s.t.Errorf("%s sets a cookie", path)
	}
	if len(a.body) > 1<<20 {
		s.t.Errorf("%s has %d bytes", path, len(a.body))
	}
	if bad := controls.FindString(a.body); bad != "" {
		s.t.Errorf("%s has the character %q", path, bad)
	}
	root, err := html.Parse(strings.NewReader(a.body))
	if err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "iframe", "object", "embed", "base", "img", "style":
			s.t.Errorf("%s has <%s>", path, n.Data)
		case "script":
			if n.FirstChild != nil {
				s.t.Errorf("%s has a script of its own: %s", path, n.FirstChild.Data)
			}
		}
		for _, attribute := range n.Attr {
			switch attribute.Key {
			case "href", "src", "action":
				if !strings.HasPrefix(attribute.Val, "/") && !strings.HasPrefix(attribute.Val, "#") || strings.HasPrefix(attribute.Val, "//") {
					s.t.Errorf("%s leads to %q", path, attribute.Val)
				}
			case "style":
				s.t.Errorf("%s has a style of its own: %q", path, attribute.Val)
			default:
				if strings.HasPrefix(attribute.Key, "on") {
					s.t.Errorf("%s has %s=%q", path, attribute.Key, attribute.Val)
				}
			}
		}
	}
}

// rpc calls a method of the node.
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
	answer := struct {
		Result any
		Error  any
	}{Result: result}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Error != nil {
		s.t.Fatalf("%s: %v %v", method, answer.Error, err)
	}
}

// mine makes blocks that pay to a script that anyone can spend, and returns their hashes.
func (s *site) mine(n int) (hashes []string) {
	s.t.Helper()
	s.rpc(&hashes, "generatetodescriptor", n, "raw("+anyone+")")
	return hashes
}

// anyone is a witness program of a version without rules.
const anyone = "5202abcd"

func want(t *testing.T, page string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(page, word) {
			t.Errorf("the page lacks %q", word)
		}
	}
}

// TestEmpty: on an empty chain every page says something, and home what to do next.
func TestEmpty(t *testing.T) {
	s := newSite(t, nil)
	want(t, s.page("/", 200), "The chain is empty", "generatetoaddress", "nothing waits")
	want(t, s.page("/block/0", 200), "this is the genesis block", "karat dev network")
	want(t, s.page("/block/latest", 200), "Block 0")
	want(t, s.page("/blocks", 200), "karat dev network", "no other branch")
	want(t, s.page("/block/1", 404), "The best chain ends at block 0")
	var block struct{ Tx []string }
	s.rpc(&block, "getblock", s.hash(0))
	want(t, s.page("/tx/"+block.Tx[0], 200), "New coins of a block", "krtd1pfewlxm8m", "100"+"\u202f"+"000.00")
	for _, path := range []string{"/nothing", "/tx/1", "/tx/" + strings.Repeat("0", 64), "/block/x", "/block/" + strings.Repeat("1", 64), "/block/99999999999"} {
		s.page(path, 404)
	}
}

func (s *site) hash(height int) (hash string) {
	s.rpc(&hash, "getblockhash", height)
	return hash
}

// TestCaching: who has a page is told so for nothing, and a page of an old block may be
// kept.
func TestCaching(t *testing.T) {
	s := newSite(t, nil)
	s.mine(103)
	old := "/block/" + s.hash(1)
	for path, kept := range map[string]bool{old: true, "/block/1": false, "/block/latest": false, "/": false, "/blocks": false} {
		a := s.ask(path)
		again := s.ask(path, "If-None-Match", a.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified || again.body != "" {
			t.Errorf("%s: %s", path, again.Status)
		}
		if got := strings.Contains(a.Header.Get("Cache-Control"), "immutable"); got != kept {
			t.Errorf("%s: %q", path, a.Header.Get("Cache-Control"))
		}
	}
	tag, newest := s.ask(old).Header.Get("ETag"), s.ask("/").Header.Get("ETag")
	s.mine(1)
	if s.ask(old).Header.Get("ETag") != tag || s.ask("/").Header.Get("ETag") == newest {
		t.Error("a block changes the pages of old ones, or does not change home")
	}
	if a := s.ask("/", "Accept-Encoding", "gzip"); a.Header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(a.body, "\x1f\x8b") {
		t.Error("home is not packed")
	}
	page := s.page("/", 200)
	style := regexp.MustCompile(`href="(/static/style\.css\?[0-9a-f]+)"`).FindStringSubmatch(page)
	if a := s.ask(style[1]); !strings.Contains(a.Header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/css") {
		t.Errorf("%v", a.Header)
	}
}

// TestBase: behind a proxy all links begin with its path.
func TestBase(t *testing.T) {
	s := newSite(t, func(c *node.Config) { c.WebBase = "/the/chain" })
	s.url = strings.TrimSuffix(s.url, "/the/chain")
	page := s.page("/the/chain/", 200)
	for _, link := range regexp.MustCompile(`(?:href|src|action|data-events)="([^"#]+)"`).FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(link[1], "/the/chain/") {
			t.Errorf("a link to %q", link[1])
		}
	}
	if a := s.ask("/the/chain"); a.StatusCode != http.StatusMovedPermanently {
		t.Errorf("without the last slash: %s", a.Status)
	}
	s.page("/", 404)
}

// TestSearch: what is sure is gone to; near misses are told what is wrong with them.
func TestSearch(t *testing.T) {
	s := newSite(t, nil)
	s.mine(12)
	hash := s.hash(5)
	var block struct{ Tx []string }
	s.rpc(&block, "getblock", hash)
	turned := []byte(hash)
	for i, j := 0, len(turned)-2; i < j; i, j = i+2, j-2 {
		turned[i], turned[i+1], turned[j], turned[j+1] = turned[j], turned[j+1], turned[i], turned[i+1]
	}
	for query, path := range map[string]string{
		"5": "/block/5", " 5 ": "/block/5", "latest": "/block/latest", "tip": "/block/latest", "genesis": "/block/0",
		hash: "/block/" + hash, strings.ToUpper(hash): "/block/" + hash, hash[:20]: "/block/" + hash, hash[50:]: "/block/" + hash,
		block.Tx[0]: "/tx/" + block.Tx[0], block.Tx[0] + ":0": "/tx/" + block.Tx[0],
		"krtd1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzs5euz4j": "/address/krtd1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzs5euz4j",
	} {
		a := s.ask("/search?q=" + strings.ReplaceAll(query, " ", "+"))
		if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != path {
			t.Errorf("%q: %s, %s", query, a.Status, a.Header.Get("Location"))
		}
	}
	for query, words := range map[string]string{
		"": "Type a block", "13": "ends at block 12", "abc": "at least 4 digits", "fedcba9876543210": "Nothing found", strings.Repeat("a", 65): "A hash has 64 digits",
		"krtd1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzs5euz4q": "begins as an address of this network",
		"bc1p5d7rjq7g6rdk2yhzks9smlaqtedr4dekq08ge8ztwac72sfr9rusxg3297":   "of another network", "hello": "no height, no hash", string(turned): "other order",
		"%3Cscript%3Ealert(1)%3C/script%3E%E2%80%AE": "",
	} {
		a := s.ask("/search?q=" + query)
		if words == "" { // it may be a descriptor
			continue
		}
		if a.StatusCode != http.StatusNotFound || !strings.Contains(a.body, words) {
			t.Errorf("%q: %s\n%s", query, a.Status, a.body)
		}
		s.checkPage("/search?q="+query, a)
	}
}

// TestEvents: an open page hears of a block and of a payment, and a page of a block that
// was left says so.
func TestEvents(t *testing.T) {
	s := newSite(t, nil)
	hashes := s.mine(3)
	response, err := http.Get(s.url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	heard := make(chan string)
	go func() {
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "data: ") {
				heard <- lines.Text()
			}
		}
		close(heard)
	}()
	hear := func(word string) {
		t.Helper()
		late := time.After(2 * time.Minute)
		for {
			select {
			case line := <-heard:
				if strings.Contains(line, word) {
					return
				}
			case <-late:
				t.Fatalf("no event tells of %s", word)
			}
		}
	}
	hear(hashes[2])
	last := s.mine(1)[0]
	hear(last)
	s.rpc(new(any), "invalidateblock", hashes[1])
	hear(`"height":1`)
	fork := s.mine(4)
	hear(fork[3])
	s.rpc(new(any), "reconsiderblock", hashes[1])
	want(t, s.page("/block/"+hashes[1], 200), "not on the best chain")
	want(t, s.page("/block/2", 200), "Other blocks of this height", hashes[1][:10])
	want(t, s.page("/blocks", 200), "Reorganisations since the node has started", last[:10])
	var block struct{ Tx []string }
	s.rpc(&block, "getblock", hashes[1])
	want(t, s.page("/tx/"+block.Tx[0]+"?block="+hashes[1], 200), "not on the best chain")
}

// TestReadOnly: nothing else than reading is possible.
func TestReadOnly(t *testing.T) {
	s := newSite(t, nil)
	for _, path := range []string{"/", "/block/0", "/search", "/events"} {
		response, err := http.Post(s.url+path, "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %s", path, response.Status)
		}
	}
}

// TestPages: blocks and their transactions as RPC tells them.
func TestPages(t *testing.T) {
	s := newSite(t, nil)
	s.mine(30)
	want(t, s.page("/blocks", 200), ">30<", ">6<", "from=5")
	want(t, s.page("/blocks?from=5", 200), ">5<", ">0<", "from=30")
	for height := range 31 {
		var block struct {
			Hash string
			Tx   []struct {
				TxID, Hash string
				VSize      int
				Hex        string
			}
		}
		s.rpc(&block, "getblock", s.hash(height), 2)
		tx := block.Tx[0]
		want(t, s.page(fmt.Sprint("/block/", height), 200), block.Hash, tx.TxID[:10])
		want(t, s.page("/tx/"+tx.TxID, 200), tx.TxID, tx.Hash, fmt.Sprint(tx.VSize, "</data> vB"), tx.Hex)
		if raw := s.ask("/tx/" + tx.TxID + "/raw"); raw.body != tx.Hex+"\n" {
			t.Errorf("raw: %s", raw.body)
		}
	}
}
