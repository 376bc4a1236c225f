package rpc_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/node"
)

func withREST(c *node.Config) { c.REST = true }

// rest asks without a password, and returns status, answer and how long it may be kept.
func (s *server) rest(path string, body []byte) (int, string, string) {
	s.t.Helper()
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequest(method, s.url+"/rest/"+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if answer.ContentLength != int64(len(text)) {
		s.t.Errorf("%s: %d bytes are promised, %d came", path, answer.ContentLength, len(text))
	}
	return answer.StatusCode, string(text), answer.Header.Get("Cache-Control")
}

// TestRESTIsOff: who has not asked for it serves nothing without a password.
func TestRESTIsOff(t *testing.T) {
	s := start(t, nil)
	if status, text, _ := s.rest("chaininfo.json", nil); status != http.StatusNotFound {
		t.Errorf("%d %s", status, text)
	}
}

// TestREST: the three formats tell the same, which is what RPC tells.
func TestREST(t *testing.T) {
	s := start(t, withREST)
	call[[]string](s, "generatetoaddress", 5, s.anchor)
	spent := s.spend(1)
	block := call[[]string](s, "generatetoaddress", 1, s.anchor)[0]
	waiting := s.spend(2)
	call[any](s, "getblockfilter", block) // waits until it is indexed

	ask := func(path, format string, immutable bool) string {
		t.Helper()
		status, text, keep := s.rest(path+"."+format, nil)
		if status != http.StatusOK || strings.Contains(keep, "immutable") != immutable || !immutable && keep != "no-store" {
			t.Fatalf("%s.%s: %d, %q, %.300s", path, format, status, keep, text)
		}
		return text
	}
	same := func(path string, immutable bool) string {
		t.Helper()
		binary, hexadecimal := ask(path, "bin", immutable), ask(path, "hex", immutable)
		if hexadecimal != hex.EncodeToString([]byte(binary))+"\n" {
			t.Errorf("%s: %.100q, in hexadecimal %.100q", path, binary, hexadecimal)
		}
		return hex.EncodeToString([]byte(binary))
	}
	equal := func(path string, immutable bool, method string, params ...any) {
		t.Helper()
		got, want := strings.TrimSpace(ask(path, "json", immutable)), string(call[json.RawMessage](s, method, params...))
		if got != want {
			t.Errorf("%s:\n%.500s\n%s tells\n%.500s", path, got, method, want)
		}
	}

	equal("block/"+block, false, "getblock", block, 3)
	equal("block/notxdetails/"+block, false, "getblock", block, 1)
	equal("chaininfo", false, "getblockchaininfo")
	equal("mempool/info", false, "getmempoolinfo")
	equal("mempool/contents", false, "getrawmempool", true)
	equal("deploymentinfo", false, "getdeploymentinfo")
	equal("deploymentinfo/"+block, true, "getdeploymentinfo", block)
	raw := call[string](s, "getblock", block, 0)
	if got := same("block/"+block, true); got != raw {
		t.Error("another block")
	}
	for _, txid := range []string{spent, waiting} {
		if got := same("tx/"+txid, false); got != call[string](s, "getrawtransaction", txid) {
			t.Errorf("another transaction: %s", got)
		}
	}
	if tx := ask("tx/"+spent, "json", false); !strings.Contains(tx, `"blockhash":"`+block+`"`) || strings.Contains(tx, "confirmations") {
		t.Errorf("a transaction in a block: %s", tx)
	}
	header := call[string](s, "getblockheader", block, false)
	if got := same("headers/"+block, false); got != header {
		t.Errorf("header %s, want %s", got, header)
	}
	if got := strings.TrimSpace(ask("blockhashbyheight/6", "hex", false)); got != block {
		t.Errorf("block 6 is %s", got)
	}
	filter := call[struct{ Filter, Header string }](s, "getblockfilter", block)
	reversed := func(hash string) string {
		h, err := types.ParseHash(hash)
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(h[:])
	}
	if got := same("blockfilterheaders/basic/"+block, false); got != reversed(filter.Header) {
		t.Errorf("filter header %s", got)
	}
	if got := same("blockfilter/basic/"+block, true); !strings.HasPrefix(got, "00"+reversed(block)) || !strings.HasSuffix(got, filter.Filter) {
		t.Errorf("filter %s", got)
	}
	if got := ask("blockfilter/basic/"+block, "json", true); got != `{"filter":"`+filter.Filter+"\"}\n" {
		t.Errorf("filter %s", got)
	}
	same("spenttxouts/"+block, true)
	var outputs [][]struct{ Value json.Number }
	if err := json.Unmarshal([]byte(ask("spenttxouts/"+block, "json", true)), &outputs); err != nil || len(outputs) != 2 || len(outputs[0]) != 0 || len(outputs[1]) != 1 {
		t.Errorf("spent: %v, %v", outputs, err)
	}
	if status, part, _ := s.rest("blockpart/"+block+".hex?offset=4&size=32", nil); status != 200 || strings.TrimSpace(part) != raw[8:72] {
		t.Errorf("%d, part %s of %s", status, part, raw[:80])
	}
	var list []struct{ Hash string }
	if err := json.Unmarshal([]byte(ask("headers/3/"+call[string](s, "getblockhash", 5), "json", false)), &list); err != nil || len(list) != 2 || list[1].Hash != block {
		t.Errorf("two headers are left up to the tip: %v, %v", list, err)
	}
}

// TestRESTCoins: outputs are asked for in the path and in the body, and the pool counts
// if it is to.
func TestRESTCoins(t *testing.T) {
	s := start(t, withREST)
	call[[]string](s, "generatetoaddress", 5, s.anchor)
	coinbase := call[struct{ Tx []string }](s, "getblock", call[string](s, "getblockhash", 1)).Tx[0]
	waiting := s.spend(1)
	chain, pool := coinbase+"-0", waiting+"-0"
	for _, c := range []struct{ path, bitmap string }{
		{"getutxos/" + chain + "/" + pool, "10"},
		{"getutxos/checkmempool/" + chain + "/" + pool + "/" + waiting + "-9", "010"},
	} {
		status, text, _ := s.rest(c.path+".json", nil)
		var got struct {
			Height uint32 `json:"chainHeight"`
			Bitmap string `json:"bitmap"`
			Coins  []struct{ Height uint32 }
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil || status != 200 || got.Height != 5 || got.Bitmap != c.bitmap {
			t.Errorf("%s: %d, %v, %s", c.path, status, err, text)
		}
	}
	txid, err := types.ParseHash(waiting)
	if err != nil {
		t.Fatal(err)
	}
	body := append(append([]byte{1, 1}, txid[:]...), 0, 0, 0, 0)
	status, text, _ := s.rest("getutxos.bin", body)
	if status != 200 || len(text) < 4+32+2+1+8 || text[:4] != "\x05\x00\x00\x00" || text[36:38] != "\x01\x01" || text[39:47] != "\x00\x00\x00\x00\xff\xff\xff\x7f" {
		t.Errorf("%d, %x", status, text)
	}
	if status, inHex, _ := s.rest("getutxos.hex", []byte(hex.EncodeToString(body))); status != 200 || inHex != hex.EncodeToString([]byte(text))+"\n" {
		t.Errorf("%d, %s", status, inHex)
	}
}

// TestRESTRefuses: what is wrong is told in Core's words.
func TestRESTRefuses(t *testing.T) {
	s := start(t, withREST)
	best, none := call[string](s, "getbestblockhash"), strings.Repeat("00", 32)
	many := strings.Repeat("/"+none+"-0", 16)
	for _, c := range []struct {
		path   string
		body   []byte
		status int
		text   string
	}{
		{"nothing", nil, 404, "there is nothing here"},
		{"chaininfo.bin", nil, 404, "output format not found (available: json)"},
		{"tx/abc.json", nil, 400, "Invalid hash: abc"},
		{"tx/" + none + ".json", nil, 404, none + " not found"},
		{"tx/" + none, nil, 404, "output format not found (available: .bin, .hex, .json)"},
		{"block/" + none + ".bin", nil, 404, none + " not found"},
		{"block/" + best + ".xml", nil, 400, "Invalid hash: " + best + ".xml"},
		{"blockpart/" + best + ".bin", nil, 400, "Block part offset missing or invalid"},
		{"blockpart/" + best + ".bin?offset=1", nil, 400, "Block part size missing or invalid"},
		{"blockpart/" + best + ".bin?offset=0&size=0", nil, 400, "Bad block part offset/size 0/0 for " + best},
		{"blockpart/" + best + ".bin?offset=18446744073709551615&size=18446744073709551615", nil, 400, "Bad block part offset/size 18446744073709551615/18446744073709551615 for " + best},
		{"headers/" + best + ".json?count=0", nil, 400, "Header count is invalid or out of acceptable range (1-2000): 0"},
		{"headers/" + best + ".json?count=2001", nil, 400, "Header count is invalid or out of acceptable range (1-2000): 2001"},
		{"blockfilter/abc/" + best + ".json", nil, 400, "Unknown filtertype abc"},
		{"blockhashbyheight/+1.json", nil, 400, "Invalid height: +1"},
		{"blockhashbyheight/1000.json", nil, 404, "Block height out of range"},
		{"mempool/contents.json?verbose=TRUE", nil, 400, `The "verbose" query parameter must be either "true" or "false".`},
		{"mempool/contents.json?verbose=true&mempool_sequence=true", nil, 400, `Verbose results cannot contain mempool sequence values. (hint: set "verbose=false")`},
		{"mempool/other.json", nil, 400, "Invalid URI format. Expected /rest/mempool/<info|contents>.json"},
		{"getutxos.json", nil, 400, "Error: empty request"},
		{"getutxos/checkmempool.json", nil, 400, "Error: empty request"},
		{"getutxos/" + none + "-+1.json", nil, 400, "Parse error"},
		{"getutxos.bin", []byte(`{"checkmempool`), 400, "Parse error"},
		{"getutxos" + many + ".json", nil, 400, "Error: max outpoints exceeded (max: 15, tried: 16)"},
		{"getutxos/" + none + "-0.bin", []byte{1, 0}, 400, "Combination of URI scheme inputs and raw post data is not allowed"},
		{"getutxos.bin", make([]byte, 4<<10+1), 413, "the body is longer than 4096 bytes"},
	} {
		status, text, keep := s.rest(c.path, c.body)
		if status != c.status || strings.TrimSpace(text) != c.text || keep != "no-store" {
			t.Errorf("%s: %d %q (%s), want %d %q", c.path, status, text, keep, c.status, c.text)
		}
	}
}

// FuzzREST asks for any path with any body.
func FuzzREST(f *testing.F) {
	s := start(f, withREST)
	call[[]string](s, "generatetoaddress", 3, s.anchor)
	best := call[string](s, "getbestblockhash")
	for _, path := range []string{"tx/", "block/", "block/notxdetails/", "blockpart/", "blockfilter/basic/", "blockfilterheaders/basic/2/", "headers/3/", "spenttxouts/", "deploymentinfo/"} {
		for _, format := range []string{"bin", "hex", "json"} {
			f.Add(path+best+"."+format+"?offset=1&size=80&count=2", []byte(nil))
		}
	}
	for _, path := range []string{"chaininfo.json", "mempool/info.json", "mempool/contents.json?verbose=false", "blockhashbyheight/1.hex", "getutxos/checkmempool/" + best + "-0.json", "getutxos.bin"} {
		f.Add(path, []byte{1, 1})
	}
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		r, err := http.NewRequest(http.MethodPost, s.url+"/rest/"+path, bytes.NewReader(body))
		if err != nil {
			t.Skip()
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil { // as of a connection that ends without an answer, because of a panic
			if len(path) < 2000 && len(body) < 4000 { // else the server may end it while it is still written
				t.Errorf("%q: %v", path, err)
			}
			return
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode >= 500 {
			t.Errorf("%q: %d, %v, %s", path, answer.StatusCode, err, fmt.Sprintf("%.300q", text))
		}
	})
}
