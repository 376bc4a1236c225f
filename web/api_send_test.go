package web_test

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/node"
)

// call makes a request of the API as a page of another site would.
func (s *apiSite) call(method, path, body string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+"/api"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Origin", "https://wallet.example")
	r.Header.Set("Content-Type", "application/json")
	a, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return a, string(text)
}

func packed(t *testing.T, txs ...*types.Tx) string {
	t.Helper()
	list := []string{}
	for _, tx := range txs {
		list = append(list, hex.EncodeToString(tx.AppendTo(nil)))
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAPIPackage: a parent that pays nothing comes in with a child that pays for it. The answers
// are those of submitpackage, and refusals have the codes that clients of Esplora look for.
func TestAPIPackage(t *testing.T) {
	s := newAPISite(t)
	from, value := s.coinbaseOf(s.mineAnchors(3)[0])
	person := taproot.OutputScript([32]byte(slices.Repeat([]byte{7}, 32)))
	parent := s.pay(from, value+apiFee, person) // for nothing
	child := s.pay(types.OutPoint{TxID: parent.TxID(), Index: 1}, value-types.GrainsPerCoin, person)
	both := packed(t, parent, child)
	if code, text := s.post(hex.EncodeToString(parent.AppendTo(nil))); code != 400 || !strings.HasPrefix(text, `sendrawtransaction RPC error: {"code":-26,"message":"min relay fee not met, 0 < `) {
		t.Errorf("%d %s", code, text)
	}
	if code, text := s.post(hex.EncodeToString(child.AppendTo(nil))); code != 400 || text != `sendrawtransaction RPC error: {"code":-25,"message":"bad-txns-inputs-missingorspent"}`+"\n" {
		t.Errorf("%d %s", code, text)
	}
	long := `["` + strings.Repeat("00", 100) + `"` + strings.Repeat(`,""`, 25) + `]`
	for _, c := range []struct{ query, body, want string }{
		{"", "x", "The package is not a JSON array of transactions in hexadecimal"},
		{"", `{"a":1}`, "The package is not a JSON array of transactions in hexadecimal"},
		{"", `[]`, `submitpackage RPC error: {"code":-8,"message":"Array must contain between 1 and 25 transactions."}`},
		{"", long, "Exceeded maximum of 25 transactions"},
		{"", `["00"]`, "Invalid transaction size for item 0"},
		{"", `["` + strings.Repeat("zz", 100) + `"]`, "Invalid transaction hex for item 0"},
		{"", packed(t, child, parent), `submitpackage RPC error: {"code":-25,"message":"package topology disallowed. not child-with-parents or parents depend on each other."}`},
		{"?maxfeerate=x", both, "Invalid maxfeerate"},
		{"?maxburnamount=-1", both, "Invalid maxburnamount"},
		{"", "[" + strings.Repeat(" ", 2<<20) + "]", "What was sent is too large, or was cut off"},
	} {
		if a, text := s.call("POST", "/txs/package"+c.query, c.body); a.StatusCode != 400 || text != c.want+"\n" {
			t.Errorf("%s %.60s: %s %s", c.query, c.body, a.Status, text)
		}
	}
	type result struct {
		Message string `json:"package_msg"`
		Results map[types.Hash]struct {
			TxID  types.Hash
			Error string
		} `json:"tx-results"`
	}
	submit := func(query string) (r result) {
		t.Helper()
		a, text := s.call("POST", "/txs/package"+query, both)
		if err := json.Unmarshal([]byte(text), &r); err != nil || a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("%s %v: %s", a.Status, a.Header, text)
		}
		return r
	}
	if r := submit("?maxfeerate=0.2"); r.Message != "transaction failed" {
		t.Errorf("too dear: %+v", r)
	}
	if r := submit(""); r.Message != "success" || len(r.Results) != 2 || r.Results[child.WTxID()].TxID != child.TxID() || r.Results[parent.WTxID()].Error != "" {
		t.Errorf("%+v", r)
	}
	if ids := read[[]string](s, "/mempool/txids"); len(ids) != 2 {
		t.Errorf("%q wait", ids)
	}
	var again json.RawMessage // it is there already
	s.rpc(&again, "submitpackage", json.RawMessage(both))
	if _, text := s.call("POST", "/txs/package", both); strings.TrimSpace(text) != string(again) {
		t.Errorf("%s, by RPC %s", text, again)
	}
}

// TestAPIOtherSites: pages of other sites may ask and send, and read what is wrong; but not make
// their visitors ask the faucet.
func TestAPIOtherSites(t *testing.T) {
	s := &apiSite{newSite(t, func(c *node.Config) { c.Faucet, c.FaucetAmount, c.FaucetPerHour = true, 1, 1 })}
	for _, c := range []struct {
		method, path string
		status       int
		open         bool
	}{
		{"GET", "/blocks/tip/hash", 200, true}, {"HEAD", "/blocks/tip/hash", 200, true}, {"GET", "/tx/zz", 400, true}, {"GET", "/nothing", 404, true}, {"GET", "/block-height/99", 404, true},
		{"POST", "/tx", 400, true}, {"POST", "/txs/package", 400, true}, {"OPTIONS", "/txs/package", 204, true}, {"OPTIONS", "/tx", 204, true},
		{"PUT", "/tx", 405, true}, {"GET", "/faucet", 200, false},
	} {
		a, text := s.call(c.method, c.path, "")
		if open := a.Header.Get("Access-Control-Allow-Origin") == "*"; a.StatusCode != c.status || open != c.open {
			t.Errorf("%s %s: %s, open %v: %.80s", c.method, c.path, a.Status, open, text)
		}
		if c.method == "OPTIONS" && (!strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), "POST") || a.Header.Get("Access-Control-Allow-Headers") != "Content-Type") {
			t.Errorf("%s %s: %v", c.method, c.path, a.Header)
		}
	}
	if a := s.ask("/"); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("pages are open to other sites")
	}
}

// TestAPIUnknown: what nobody knows is in no block and not on the best chain, as Esplora says.
// A node without the index of transactions says nothing of the kind.
func TestAPIUnknown(t *testing.T) {
	s := newAPISite(t)
	nothing := strings.Repeat("1", 64)
	if got := s.get("/tx/"+nothing+"/status", 200); got != `{"confirmed":false}` {
		t.Error(got)
	}
	if got := s.get("/block/"+nothing+"/status", 200); got != `{"in_best_chain":false}` {
		t.Error(got)
	}
	from, value := s.coinbaseOf(s.mineAnchors(3)[0])
	tx := s.pay(from, value)
	s.block(tx) // the answer of before is not kept
	if got := read[apiStatus](s, "/tx/"+tx.TxID().String()+"/status"); !got.Confirmed {
		t.Errorf("%+v", got)
	}
	s = &apiSite{newSite(t, func(c *node.Config) { c.Indexes = nil })}
	s.get("/tx/"+nothing+"/status", 404)
}
