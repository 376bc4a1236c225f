package web_test

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
)

// keyed is a site whose coins belong to chaintest's key.
func keyed(t *testing.T, change func(*node.Config)) (s *site, coins chaintest.Outputs, from []types.OutPoint) {
	t.Helper()
	s = newSite(t, func(c *node.Config) {
		nodetest.Matures(c)
		c.Policy.MaxDataCarrier = 100_000
		if change != nil {
			change(c)
		}
	})
	var hashes []string
	s.rpc(&hashes, "generatetodescriptor", 8, "raw("+hex.EncodeToString(chaintest.KeyScript())+")")
	coins = chaintest.Outputs{}
	for _, hash := range hashes[:6] {
		var raw string
		s.rpc(&raw, "getblock", hash, 0)
		b, err := hex.DecodeString(raw)
		if err != nil {
			t.Fatal(err)
		}
		block, err := types.DecodeBlock(b)
		if err != nil {
			t.Fatal(err)
		}
		coins.Note(&block.Txs[0])
		from = append(from, chaintest.Output(&block.Txs[0], 0))
	}
	return s, coins, from
}

func (s *site) send(tx *types.Tx) (txid string) {
	s.t.Helper()
	s.rpc(&txid, "sendrawtransaction", hex.EncodeToString(tx.AppendTo(nil)), 0, "21000000")
	return txid
}

// block mines a block with transactions that the pool may not want.
func (s *site) block(txs ...*types.Tx) (hash string) {
	s.t.Helper()
	list := []string{}
	for _, tx := range txs {
		list = append(list, hex.EncodeToString(tx.AppendTo(nil)))
	}
	var result struct{ Hash string }
	s.rpc(&result, "generateblock", "raw("+anyone+")", list)
	return result.Hash
}

// TestPayment: a payment is followed from the pool into a block, with what it spends, what
// spends it, and what it replaces.
func TestPayment(t *testing.T) {
	s, coins, from := keyed(t, nil)
	first := coins.Spend(500, chaintest.KeyScript(), from[0])
	cheap := coins.Spend(300, chaintest.KeyScript(), chaintest.Output(first, 0))
	a, b := s.send(first), s.send(cheap)
	want(t, s.page("/tx/"+a, 200), "waits for a block", "in the next block", b[:10], "which waits for a block", "key path: one signature")
	dear := coins.Spend(90_000, chaintest.KeyScript(), chaintest.Output(first, 0))
	c := s.send(dear)
	address, _ := taproot.EncodeAddress(s.params.HRP, chaintest.KeyScript())
	wait(t, func() bool {
		return strings.Contains(s.ask("/tx/"+b).body, "Replaced transaction") && strings.Contains(s.page("/mempool", 200), c[:10])
	})
	want(t, s.page("/mempool", 200), ">2</data> transactions in all", b[:10], "Replacements")
	want(t, s.page("/", 200), c[:10], "next", "full")
	want(t, s.page("/address/"+address, 200), "Waits for a block", c[:10], "is being spent")
	block := s.mine(1)[0]
	page := s.page("/tx/"+a, 200)
	want(t, page, "in block", "Chance of reversal", "spent by", c[:10])
	want(t, s.page("/block/"+block, 200), "Transactions 1 to 3 of", a[:10], c[:10], "What fills it")
	page = s.page("/address/"+address, 200)
	want(t, page, "Balance, received and sent over time", c[:10], "Unspent outputs")
	var d struct{ Descriptor string }
	s.rpc(&d, "getdescriptorinfo", "addr("+address+")")
	want(t, s.page("/descriptor?d="+url.QueryEscape(d.Descriptor), 200), c[:10], address)
	want(t, s.page("/descriptor?d=nonsense(", 404), "Not a descriptor")
	want(t, s.page("/mining", 200), "Miners of the last", "Time between blocks")
	want(t, s.page("/supply", 200), "From halving to halving")
}

func wait(t *testing.T, ok func() bool) {
	t.Helper()
	for range 6000 {
		if ok() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("it does not come about")
}

// TestAbout: the file that the page gives is the network's.
func TestAbout(t *testing.T) {
	s := newSite(t, nil)
	want(t, s.page("/about", 200), "karatd --network dev", s.params.Identity().String(), "target_spacing")
	p, err := network.Parse([]byte(s.ask("/genesis.json").body))
	if err != nil || p.Identity() != s.params.Identity() {
		t.Error(err)
	}
	// Every field of the file is explained.
	var fields map[string]any
	if err := json.Unmarshal([]byte(s.ask("/genesis.json").body), &fields); err != nil {
		t.Fatal(err)
	}
	page := s.page("/about", 200)
	for name := range fields {
		want(t, page, ">"+name)
	}
	for name := range fields["genesis"].(map[string]any) {
		want(t, page, ">genesis."+name+"<")
	}
}

// TestOperator: peers are shown to who sits at the machine, if that was said.
func TestOperator(t *testing.T) {
	if s := newSite(t, nil); s.ask("/network").StatusCode != http.StatusForbidden {
		t.Error("strangers see peers")
	}
	s := newSite(t, func(c *node.Config) { c.WebOperator, c.Stratum = true, "127.0.0.1:0" })
	want(t, s.page("/network", 200), "Around this node")
	want(t, s.page("/mining", 200), "Workers of this node")
	for _, header := range [][2]string{{"X-Forwarded-For", "127.0.0.1"}, {"Forwarded", "for=127.0.0.1"}} {
		if a := s.ask("/network", header[0], header[1]); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", header[0], a.Status)
		}
		if a := s.ask("/mining", header[0], header[1]); strings.Contains(a.body, "Workers of this node") {
			t.Errorf("%s shows workers", header[0])
		}
	}
	r, err := http.NewRequest(http.MethodGet, s.url+"/network", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example" // a name that was made to lead to this machine
	if response, err := client.Do(r); err != nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign host: %v %v", response, err)
	}
}

// TestWithoutIndexes: pages say what is missing, and how it is switched on.
func TestWithoutIndexes(t *testing.T) {
	s := newSite(t, func(c *node.Config) { c.Indexes = nil })
	s.mine(2)
	var block struct{ Tx []string }
	s.rpc(&block, "getblock", s.hash(1))
	want(t, s.page("/tx/"+block.Tx[0], 404), "--txindex")
	want(t, s.page("/tx/"+block.Tx[0]+"?block=1", 200), "not spent")
	want(t, s.page("/address/krtd1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzs5euz4j", 200), "--scriptindex")
}

// hostile are texts that want to run, to turn a page around, or to reach out of it.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'-alert(1)-'`, "</title></bdi><svg onload=alert(1)>", "javascript:alert(1)",
	"\u202egnp.exe\u2066\u200f", "\x1b[2J\x00\x07\x7f", "\ufeff\u200b\u2060", strings.Repeat("Z\u0300\u0301\u0302\u0303", 20), "{{.}}", "\xff\xfe\xfd",
}

// TestHostile: nothing of a chain that was made to hurt runs on a page, and no page grows beyond
// its bounds.
func TestHostile(t *testing.T) {
	s, coins, from := keyed(t, nil)
	data := coins.Spend(1000, chaintest.KeyScript(), from[0])
	for _, text := range hostile {
		data.Outputs = append(data.Outputs, types.TxOut{ScriptPubKey: push([]byte{taproot.OpReturn}, []byte(text))})
	}
	many := coins.Pay(1000, 10_000, from[1])
	long := coins.Spend(1000, chaintest.KeyScript(), from[2])
	coins.Sign(data)
	coins.Sign(many)
	coins.Sign(long)
	// What anyone can spend takes any witness: one of three megabytes, in many elements.
	coin := types.TxOut{Value: 1000, ScriptPubKey: chaintest.Anyone(7)}
	long.Outputs[0].Value -= coin.Value
	long.Outputs = append(long.Outputs, coin)
	coins.Sign(long)
	heavy := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: chaintest.Output(long, 1), Sequence: types.SequenceFinal}}, Outputs: []types.TxOut{{Value: 500, ScriptPubKey: chaintest.Anyone(8)}}}
	for range 3000 {
		heavy.Inputs[0].Witness = append(heavy.Inputs[0].Witness, make([]byte, 1000))
	}
	block := s.block(data, many, long, heavy)
	pages := []string{"/block/" + block, "/", "/blocks", "/mempool", "/mining"}
	for _, tx := range []*types.Tx{data, many, long, heavy} {
		path := "/tx/" + tx.TxID().String()
		pages = append(pages, path, path+"?out=30", path+"?in=0&out=0")
	}
	pages = append(pages, "/tx/"+many.TxID().String()+"?out=9990")
	for _, path := range pages {
		status := 200
		if strings.HasSuffix(path, "?out=30") && !strings.Contains(path, many.TxID().String()) {
			status = 404
		}
		if page := s.page(path, status); len(page) > 200_000 {
			t.Errorf("%s has %d bytes", path, len(page))
		}
	}
	want(t, s.page("/tx/"+data.TxID().String(), 200), "&lt;script&gt;alert(1)&lt;/script&gt;", "never a coin")
	want(t, s.page("/tx/"+heavy.TxID().String(), 200), "2\u202f988</data> more")
	want(t, s.page("/tx/"+many.TxID().String(), 200), "10\u202f001</data> outputs")
	for _, text := range hostile {
		s.checkPage("search", s.ask("/search?q="+url.QueryEscape(text)))
		s.checkPage("address", s.ask("/address/"+url.PathEscape(text)))
		s.checkPage("descriptor", s.ask("/descriptor?d="+url.QueryEscape(text)))
		s.checkPage("block", s.ask("/block/"+url.PathEscape(text)))
	}
}

func push(b, data []byte) []byte {
	b = append(b, taproot.OpPushData1, byte(len(data)))
	return append(b, data...)
}

// TestPortTaken: two nodes of the dev network on one machine both have their pages, and a
// port that was asked for is not changed.
func TestPortTaken(t *testing.T) {
	first := newSite(t, nil)
	taken := strings.TrimPrefix(first.url, "http://")
	second := newSite(t, func(c *node.Config) { c.Web, c.WebAnyPort = taken, true })
	if second.url == first.url {
		t.Error("both are at one port")
	}
	second.page("/", 200)
	n, err := node.Open(t.Context(), node.Config{DataDir: t.TempDir(), Params: first.params, CacheBytes: 8 << 20, Policy: node.DefaultPolicy(), Web: taken, NoDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.Run(t.Context(), func(node.Started) {}); err == nil || !strings.Contains(err.Error(), "--web") {
		t.Errorf("a port that is taken: %v", err)
	}
}

// TestHeadersAlone: a node that has headers alone says so.
func TestHeadersAlone(t *testing.T) {
	from := newSite(t, nil)
	hashes := from.mine(3)
	to := newSite(t, nil)
	for _, hash := range hashes {
		var header string
		from.rpc(&header, "getblockheader", hash, false)
		to.rpc(new(any), "submitheader", header)
	}
	want(t, to.page("/block/"+hashes[2], 200), "has the header alone")
	want(t, to.page("/blocks", 200), "its blocks are not here")
}
