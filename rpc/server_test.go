package rpc_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/rpc"
)

// server is a node whose RPC is asked.
type server struct {
	t      testing.TB
	anchor string // an address whose coins anyone can spend
	url    string
	cookie string // NAME:PASSWORD
	client *rpc.Client
	stop   func()
}

// start runs a node of the dev network, whose coinbases can be spent after two
// blocks.
func start(t testing.TB, change func(*node.Config)) *server {
	t.Helper()
	n := nodetest.Dev(t, func(c *node.Config) {
		nodetest.Matures(c)
		if change != nil {
			change(c)
		}
	})
	cookie, err := os.ReadFile(n.CookieFile)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, url: "http://" + n.RPC, cookie: string(cookie), client: rpc.NewCookieClient("http://"+n.RPC, n.CookieFile), stop: n.Stop}
	s.anchor = call[struct{ Address string }](s, "decodescript", hex.EncodeToString(chaintest.Anchor)).Address
	return s
}

// post sends a body as a user, NAME:PASSWORD, and returns status and answer.
func (s *server) post(user, body string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if name, password, ok := strings.Cut(user, ":"); ok {
		r.SetBasicAuth(name, password)
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
	return answer.StatusCode, strings.TrimSpace(string(text))
}

// call calls a method that must succeed.
func call[T any](s *server, method string, params ...any) (result T) {
	s.t.Helper()
	var raw json.RawMessage
	if err := s.client.Call(context.Background(), method, &raw, params...); err != nil {
		s.t.Fatalf("%s: %v", method, err)
	}
	if err := rpc.CheckAnswer(method, raw); err != nil {
		s.t.Errorf("%s: the answer is not as it is described: %v: %.300s", method, err, raw)
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		s.t.Fatalf("%s: %v", method, err)
	}
	return result
}

// TestEnvelopes: what clients of each version send and read.
func TestEnvelopes(t *testing.T) {
	s := start(t, nil)
	for _, c := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"1.0", `{"method":"getblockcount","params":[],"id":7}`, 200, `{"result":0,"error":null,"id":7}`},
		{"1.1", `{"version":"1.1","jsonrpc":"1.1","method":"getblockcount","id":"a"}`, 200, `{"result":0,"error":null,"id":"a"}`},
		{"without an id", `{"method":"getblockcount"}`, 200, `{"result":0,"error":null}`},
		{"the same in capitals", `{"method":"getblockcount","METHOD":"stop","ID":8,"Params":[1],"id":7}`, 200, `{"result":0,"error":null,"id":7}`},
		{"the same again", `{"method":"getblockcount","method":"stop","id":7,"id":8,"params":[],"params":[1],"jsonrpc":"2.0","jsonrpc":"1.0"}`, 200, `{"jsonrpc":"2.0","result":0,"id":7}`},
		{"with escapes", `{"jsonrpc":"2\u002e0","m\u0065thod":"getblock\u0063ount","id":7}`, 200, `{"jsonrpc":"2.0","result":0,"id":7}`},
		{"2.0", `{"jsonrpc":"2.0","method":"getblockcount","id":7}`, 200, `{"jsonrpc":"2.0","result":0,"id":7}`},
		{"2.0 notification", `{"jsonrpc":"2.0","method":"getblockcount"}`, 204, ``},
		{"2.0 with a null id", `{"jsonrpc":"2.0","method":"getblockcount","id":null}`, 200, `{"jsonrpc":"2.0","result":0,"id":null}`},
		{"unknown method", `{"method":"getinfo","id":1}`, 404, `{"result":null,"error":{"code":-32601,"message":"Method not found"},"id":1}`},
		{"2.0 unknown method", `{"jsonrpc":"2.0","method":"getinfo","id":1}`, 200, `{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":1}`},
		{"an error of the method", `{"method":"getblockhash","params":[99],"id":1}`, 500, `{"result":null,"error":{"code":-8,"message":"Block height out of range"},"id":1}`},
		{"2.0 error of the method", `{"jsonrpc":"2.0","method":"getblockhash","params":[99],"id":1}`, 200, `{"jsonrpc":"2.0","error":{"code":-8,"message":"Block height out of range"},"id":1}`},
		{"no JSON", `{"method":`, 500, `-32700`},
		{"nothing", ``, 500, `-32700`},
		{"a number", `5`, 500, `{"result":null,"error":{"code":-32700,"message":"Top-level object parse error"},"id":null}`},
		{"a text", `"getblockcount"`, 500, `{"result":null,"error":{"code":-32700,"message":"Top-level object parse error"},"id":null}`},
		{"letters that are none", "{\"method\":\"getblockcount\",\"id\":\"\xff\"}", 500, `{"result":null,"error":{"code":-32700,"message":"Parse error"},"id":null}`},
		{"half a letter", `{"method":"getblockcount","id":"\ud800"}`, 500, `-32700`},
		{"too deep", `{"method":"getblockcount","id":` + strings.Repeat("[", 512) + strings.Repeat("]", 512) + `}`, 500, `-32700`},
		{"2.0 without a method", `{"jsonrpc":"2.0"}`, 400, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Missing method"}}`},
		{"unknown method with parameters that are none", `{"method":"getinfo","params":5,"id":1}`, 400, `-32600`},
		{"no method", `{"id":1}`, 400, `-32600`},
		{"a number as method", `{"method":5,"id":1}`, 400, `-32600`},
		{"parameters that are none", `{"method":"getblockcount","params":5,"id":1}`, 400, `-32600`},
		{"by name", `{"method":"getblockhash","params":{"height":0},"id":1}`, 200, `"result":"300ca4f9`},
		{"by a wrong name", `{"method":"getblockhash","params":{"hight":0},"id":1}`, 500, `-8,"message":"Unknown named parameter hight"`},
		{"by position and name", `{"method":"getblock","params":{"args":["300ca4f96a39cfba3ea85f7c7c9fb4ad61f9f651af11a71e4cfde23e56a308d7"],"verbosity":0},"id":1}`, 200, `"result":"0100`},
		{"a number as a text", `{"method":"getblockhash","params":["0"],"id":1}`, 500, `-3,"message":"Wrong type passed:`},
		{"a number with a point", `{"method":"getblockhash","params":[0.0],"id":1}`, 500, `-1,"message":"JSON integer out of range"`},
		{"null for what is required", `{"method":"getblock","params":[null],"id":1}`, 500, `Position 1 (blockhash)\": \"JSON value of type null is not of expected type string\"`},
		{"a text that is no number", `{"method":"getblockhash","params":["x"],"id":1}`, 500, `-3`},
		{"too many parameters", `{"method":"getblockcount","params":[1],"id":1}`, 500, `-1,"message":"getblockcount\n`},
		{"too few parameters", `{"method":"getblockhash","params":[],"id":1}`, 500, `-1,"message":"getblockhash height\n`},
		{"null is as if left out", `{"method":"getblockhash","params":[0,null],"id":1}`, 500, `-1`},
		{"batch", `[{"method":"getblockcount","id":1},{"jsonrpc":"2.0","method":"getblockcount","id":2},{"jsonrpc":"2.0","method":"getblockcount"},5]`, 200,
			`[{"result":0,"error":null,"id":1},{"jsonrpc":"2.0","result":0,"id":2},{"result":null,"error":{"code":-32600`},
		{"batch of notifications", `[{"jsonrpc":"2.0","method":"getblockcount"}]`, 204, ``},
		{"empty batch", `[]`, 200, `[]`},
		{"batch that is cut off", `[{"method":"getblockcount","id":1},`, 500, `-32700`},
	} {
		status, answer := s.post(s.cookie, c.body)
		if status != c.status || !strings.Contains(answer, c.want) || (c.want == "") != (answer == "") {
			t.Errorf("%s: status %d, want %d: %s, want %s", c.name, status, c.status, answer, c.want)
		}
	}
}

// TestUsers: who is let in.
func TestUsers(t *testing.T) {
	s := start(t, func(c *node.Config) {
		// The password is "correct horse": HMAC-SHA256 under the salt.
		c.RPCAuth = []string{"alice:f7efda5c189b999524f151318c0c86$" + rpc.HashedPassword("f7efda5c189b999524f151318c0c86", "correct horse")}
		c.RPCUser, c.RPCPassword = "bob", "pass:word"
		c.RPCAllow = []string{"bob:getblockcount+uptime", "bob:notifyblocks", "__cookie__:@all"}
	})
	const body = `{"method":"getblockcount","id":1}`
	for _, c := range []struct {
		user   string
		status int
	}{
		{s.cookie, 200}, {"alice:correct horse", 403} /* who has no list */, {"bob:pass:word", 200},
		{"", 401}, {"alice:", 401}, {"alice:pass:word", 401}, {"bob:correct horse", 401}, {":", 401}, {"__cookie__:", 401},
		{s.cookie[:len(s.cookie)-1], 401}, {s.cookie + "0", 401}, {"ALICE:correct horse", 401},
	} {
		if status, answer := s.post(c.user, body); status != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.user, status, c.status, answer)
		}
	}
	for method, status := range map[string]int{"getblockcount": 200, "uptime": 200, "stop": 403, "help": 403, "getinfo": 403} {
		if got, answer := s.post("bob:pass:word", `{"method":"`+method+`","id":1}`); got != status || status == 403 && !strings.Contains(answer, `"code":-2,`) {
			t.Errorf("%s of one who may not call all: status %d, want %d: %s", method, got, status, answer)
		}
	}
	if status, answer := s.post("bob:pass:word", `{"jsonrpc":"2.0","method":"stop","id":1}`); status != 403 || !strings.Contains(answer, `"code":-2,`) {
		t.Errorf("in version 2.0: status %d: %s", status, answer)
	}
	if status, answer := s.post("bob:pass:word", `[{"method":"getblockcount","id":1},{"method":"stop","id":2}]`); status != 200 || !strings.Contains(answer, `"code":-2,`) {
		t.Errorf("in a batch: status %d: %s", status, answer)
	}
	if !strings.HasPrefix(s.cookie, "__cookie__:") || len(s.cookie) != len("__cookie__:")+64 || strings.ContainsAny(s.cookie, "\n ") {
		t.Errorf("the cookie is %d bytes", len(s.cookie))
	}
	users := &rpc.Auth{}
	if err := users.AddPassword("carol", "secret"); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"", "carol", "carol:", "dave:uptime", "carol:nosuch", "carol:uptime,getblock"} {
		if err := users.Allow(line); err == nil {
			t.Errorf("%q was taken as what a user may", line)
		}
	}
	for _, line := range []string{"", "alice", "alice:salt", "alice:salt$", "alice:salt$xyz", ":salt$" + strings.Repeat("0", 64)} {
		if err := new(rpc.Auth).AddHashed(line); err == nil {
			t.Errorf("%q was taken as a user", line)
		}
	}
}

// TestHTTPLimits: what is no call is refused with the right status.
func TestHTTPLimits(t *testing.T) {
	s := start(t, nil)
	r, err := http.Get(s.url)
	if err != nil || r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %v, %v", r.StatusCode, err)
	}
	r.Body.Close()
	huge := `{"method":"getblockcount","params":["` + strings.Repeat("a", 32<<20) + `"]}`
	// The server answers before it has read all, which Go's client may take for a broken line.
	name, password, _ := strings.Cut(s.cookie, ":")
	request, _ := http.NewRequest(http.MethodPost, s.url, strings.NewReader(huge))
	request.SetBasicAuth(name, password)
	conn, err := net.Dial("tcp", request.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _ = request.Write(conn) }()
	if answer, err := http.ReadResponse(bufio.NewReader(conn), request); err != nil || answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("over 32 MiB: %v, %v", answer, err)
	}
	many := "[" + strings.Repeat(`{"method":"getblockcount","id":1},`, 10_000) + `{"method":"getblockcount","id":1}]`
	if status, answer := s.post(s.cookie, many); status != 400 || !strings.Contains(answer, "10000") {
		t.Errorf("a batch of 10,001: status %d, %d bytes", status, len(answer))
	}
	deep := `{"method":"testmempoolaccept","params":[` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `]}`
	if status, _ := s.post(s.cookie, deep); status == 200 {
		t.Error("100,000 brackets were taken")
	}
	if got := call[int](s, "getblockcount"); got != 0 {
		t.Error("the server is not well")
	}
}

// TestHelpOfAll: every method explains itself, and says so when it is used wrongly.
func TestHelpOfAll(t *testing.T) {
	s := start(t, nil)
	methods := 0
	for line := range strings.Lines(call[string](s, "help")) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" || name == "==" {
			continue
		}
		methods++
		help := call[string](s, "help", name)
		if !strings.HasPrefix(help, strings.TrimSpace(line)) || !strings.Contains(help, "Examples:") {
			t.Errorf("%s: %s", name, help)
		}
		_, answer := s.post(s.cookie, fmt.Sprintf(`{"method":%q,"params":[%s1],"id":1}`, name, strings.Repeat("1,", 30)))
		if !strings.Contains(answer, `"code":-1,`) || !strings.Contains(answer, name) {
			t.Errorf("%s with 31 parameters: %s", name, answer)
		}
	}
	if methods < 50 {
		t.Errorf("%d methods", methods)
	}
}

// TestManyClients: calls at once are all answered, and a slow one holds none up.
func TestManyClients(t *testing.T) {
	s := start(t, nil)
	call[[]string](s, "generatetoaddress", 5, s.anchor)
	var clients sync.WaitGroup
	for range 40 {
		clients.Go(func() {
			for range 20 {
				if got := call[int](s, "getblockcount"); got != 5 {
					t.Errorf("height %d", got)
				}
				call[json.RawMessage](s, "gettxoutsetinfo", "muhash")
			}
		})
	}
	clients.Wait()
}

// TestStop: the answer to stop arrives, and after it nobody is answered.
func TestStop(t *testing.T) {
	s := start(t, nil)
	if got := call[string](s, "stop"); got != "karat stopping" {
		t.Errorf("stop: %s", got)
	}
	s.stop()
	var n int
	if err := s.client.Call(t.Context(), "getblockcount", &n); !errors.Is(err, rpc.ErrUnreachable) {
		t.Errorf("after stop: %v", err)
	}
}

// fuzzServer is a node for all inputs of a fuzz target.
func fuzzServer(f *testing.F) (*server, []string) {
	f.Helper()
	s := start(f, nil)
	call[[]string](s, "generatetoaddress", 5, s.anchor)
	var methods []string
	for line := range strings.Lines(call[string](s, "help")) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "", "==", "stop", "generatetoaddress", // which ends the node, or takes as long as it is told
			"waitforblock", "waitforblockheight", "waitfornewblock": // as these do
		default:
			methods = append(methods, name)
		}
	}
	return s, methods
}

// panicked is what clients are told of a call that panicked.
const panicked = "internal error; the node's log has more"

// check checks an answer to anything.
func (s *server) check(body string) {
	s.t.Helper()
	status, answer := s.post(s.cookie, body)
	switch status {
	case 204:
		if answer != "" {
			s.t.Errorf("%s: no content, but %s", body, answer)
		}
	case 200, 400, 404, 500:
		if !json.Valid([]byte(answer)) || strings.Contains(answer, panicked) && !strings.Contains(body, panicked) { // an id comes back
			s.t.Errorf("%s: status %d: %s", body, status, answer)
		}
	default:
		s.t.Errorf("%s: status %d: %s", body, status, answer)
	}
}

// FuzzHandler sends any body.
func FuzzHandler(f *testing.F) {
	s, _ := fuzzServer(f)
	for _, seed := range []string{
		`{"method":"getblockcount","params":[],"id":1}`, `[{"jsonrpc":"2.0","method":"getblock","params":{"blockhash":"00"},"id":[1]}]`,
		`{"jsonrpc":"2.0","method":"help"}`, "[[[[", `{"method":"getblockhash","params":["1e999"]}`, "\xff\x00", `{"id":{},"method":"uptime"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if bytes.Contains(body, []byte("sto")) || bytes.Contains(body, []byte("gen")) || bytes.Contains(body, []byte("wait")) || bytes.Contains(body, []byte(`\u`)) {
			t.Skip()
		}
		here := *s
		here.t = t
		here.check(string(body))
	})
}

// FuzzParams calls every method with any parameters.
func FuzzParams(f *testing.F) {
	s, methods := fuzzServer(f)
	best := call[string](s, "getbestblockhash")
	for i := range methods {
		for _, seed := range []string{`[]`, `[1]`, `["` + best + `"]`, `["` + best + `",2]`, `[-1,"",null]`, `[[],{}]`, `[{"txid":"` + best + `","vout":0}]`, `[["00"]]`, `{"x":1}`} {
			f.Add(byte(i), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, method byte, params []byte) {
		if !json.Valid(params) {
			t.Skip()
		}
		here := *s
		here.t = t
		here.check(fmt.Sprintf(`{"method":%q,"params":%s,"id":1}`, methods[int(method)%len(methods)], params))
	})
}

// TestAnswersAreOfTheTip: who has mined a block sees no answer from before it.
func TestAnswersAreOfTheTip(t *testing.T) {
	s := start(t, nil)
	call[[]string](s, "generatetoaddress", 60, s.anchor)
	for height := 1; height <= 40; height++ {
		txid := s.spend(height)
		block := call[[]string](s, "generatetoaddress", 1, s.anchor)[0]
		if pool := call[[]string](s, "getrawmempool"); len(pool) != 0 {
			t.Fatalf("height %d: a mined transaction still waits: %v", height, pool)
		}
		tx := call[struct{ BlockHash string }](s, "getrawtransaction", txid, 1)
		if tx.BlockHash != block {
			t.Fatalf("height %d: the transaction is in block %q, want %s", height, tx.BlockHash, block)
		}
		call[any](s, "getblockfilter", block)
	}
}

// TestNoFilters: a node that keeps other indexes, but no filters, does not say that
// they are on their way.
func TestNoFilters(t *testing.T) {
	s := start(t, func(c *node.Config) { c.Indexes = []string{indexed.Txs} })
	err := s.client.Call(t.Context(), "getblockfilter", nil, call[string](s, "getbestblockhash"))
	if err == nil || !strings.Contains(err.Error(), "Index is not enabled for filtertype basic") {
		t.Errorf("%v", err)
	}
}
