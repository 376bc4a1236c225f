package rpc_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// dial opens a WebSocket as a user, NAME:PASSWORD, or as nobody yet.
func (s *server) dial(user string) (*websocket.Conn, *http.Response, error) {
	header := http.Header{}
	if name, password, ok := strings.Cut(user, ":"); ok {
		r := &http.Request{Header: header}
		r.SetBasicAuth(name, password)
	}
	return websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http")+"/ws", header)
}

func (s *server) mustDial(user string) *websocket.Conn {
	s.t.Helper()
	c, _, err := s.dial(user)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(patience))
	return c
}

// patience is how long a message may take to come, on a machine that has other
// things to do.
const patience = 2 * time.Minute

// send sends a call, and read reads a message.
func send(t testing.TB, c *websocket.Conn, method, params string) {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"jsonrpc":"1.0","method":%q,"params":%s,"id":1}`, method, params)); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, c *websocket.Conn) string {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	_, message, err := c.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return string(message)
}

// notified is a notification that stands for a block.
type notified struct {
	Method string
	Params []json.RawMessage
}

// blocks reads notifications of blocks, the filtered ones apart, until so many
// came, and returns them as +hash and -hash.
func blocks(t *testing.T, c *websocket.Conn, n int) (list []string) {
	t.Helper()
	for len(list) < n {
		var m notified
		if err := json.Unmarshal([]byte(read(t, c)), &m); err != nil {
			t.Fatal(err)
		}
		var hash string
		if len(m.Params) > 0 {
			_ = json.Unmarshal(m.Params[0], &hash)
		}
		switch m.Method {
		case "blockconnected":
			list = append(list, "+"+hash)
		case "blockdisconnected":
			list = append(list, "-"+hash)
		}
	}
	return list
}

func TestSocketUsers(t *testing.T) {
	s := start(t, nil)
	name, password, _ := strings.Cut(s.cookie, ":")
	c := s.mustDial(s.cookie)
	send(t, c, "getblockcount", "[]")
	if got := read(t, c); got != `{"result":0,"error":null,"id":1}` {
		t.Errorf("with a header: %s", got)
	}
	c = s.mustDial("")
	send(t, c, "authenticate", fmt.Sprintf("[%q,%q]", name, password))
	if got := read(t, c); got != `{"result":null,"error":null,"id":1}` {
		t.Errorf("authenticate: %s", got)
	}
	send(t, c, "getblockcount", "[]")
	if got := read(t, c); !strings.Contains(got, `"result":0`) {
		t.Errorf("after authenticate: %s", got)
	}
	if _, answer, err := s.dial(name + ":wrong"); err == nil || answer == nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong password: %v, %v", answer, err)
	}
	for _, message := range []string{
		`{"method":"getblockcount","params":[],"id":1}`, `{"method":"authenticate","params":["` + name + `","wrong"],"id":1}`,
		`{"method":"authenticate","params":[],"id":1}`, `nonsense`, ``,
	} {
		c := s.mustDial("")
		if err := c.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.ReadMessage(); err == nil {
			t.Errorf("%s before authenticate: %s", message, got)
		}
	}
}

func TestSocketCalls(t *testing.T) {
	s := start(t, nil)
	c := s.mustDial(s.cookie)
	send(t, c, "nosuch", "[]")
	if got := read(t, c); !strings.Contains(got, "-32601") {
		t.Errorf("an unknown method: %s", got)
	}
	for _, message := range []string{"nonsense", "", "[", "5"} {
		if err := c.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if got := read(t, c); !strings.Contains(got, "-32700") {
			t.Errorf("%q: %s", message, got)
		}
	}
	if err := c.WriteMessage(websocket.TextMessage, []byte(`[{"method":"getblockcount","id":1},{"method":"uptime","id":2}]`)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, c); !strings.HasPrefix(got, `[{"result":0,`) {
		t.Errorf("a batch: %s", got)
	}
	send(t, c, "session", "[]")
	if got := read(t, c); !strings.Contains(got, `"sessionid":`) {
		t.Errorf("session: %s", got)
	}
	if status, answer := s.post(s.cookie, `{"method":"notifyblocks","id":1}`); status != 404 {
		t.Errorf("notifyblocks over HTTP: %d %s", status, answer)
	}
	for range 100 {
		send(t, c, "getblockcount", "[]")
	}
	for range 100 {
		if got := read(t, c); !strings.Contains(got, `"result":0`) {
			t.Errorf("one of many: %s", got)
		}
	}
}

// TestBlockNotifications: every block that comes and goes is told, in order.
func TestBlockNotifications(t *testing.T) {
	s := start(t, nil)
	call[[]string](s, "generatetoaddress", 3, s.anchor) // of which nobody is told
	c := s.mustDial(s.cookie)
	send(t, c, "notifyblocks", "[]")
	read(t, c)
	var want []string
	told := func(from int) { // at each step: of what comes and goes between two looks nobody is told
		t.Helper()
		if got := blocks(t, c, len(want)-from); fmt.Sprint(got) != fmt.Sprint(want[from:]) {
			t.Errorf("told of %v, want %v", got, want[from:])
		}
	}
	for _, hash := range call[[]string](s, "generatetoaddress", 4, s.anchor) {
		want = append(want, "+"+hash)
	}
	told(0)
	base := call[string](s, "getblockhash", 5)
	call[any](s, "invalidateblock", base)
	for i := 3; i > 0; i-- { // from the top down
		want = append(want, "-"+want[i][1:])
	}
	told(4)
	for _, hash := range call[[]string](s, "generatetoaddress", 2, s.anchor) {
		want = append(want, "+"+hash)
	}
	told(7)
	send(t, c, "stopnotifyblocks", "[]")
	for !strings.Contains(read(t, c), `"id":1`) { // what was on its way
	}
	call[[]string](s, "generatetoaddress", 1, s.anchor)
	send(t, c, "getblockcount", "[]")
	if got := read(t, c); !strings.Contains(got, `"id":1`) {
		t.Errorf("told after stopnotifyblocks: %s", got)
	}
}

// TestNewTransactions: what the pool takes is told, in the form that was asked
// for last.
func TestNewTransactions(t *testing.T) {
	s := start(t, nil)
	call[[]string](s, "generatetoaddress", 5, s.anchor)
	c := s.mustDial(s.cookie)
	send(t, c, "notifynewtransactions", "[]")
	read(t, c)
	txid := s.spend(1)
	if got, want := read(t, c), fmt.Sprintf(`{"jsonrpc":"1.0","method":"txaccepted","params":[%q,9.99900000],"id":null}`, txid); got != want {
		t.Errorf("told %s, want %s", got, want)
	}
	send(t, c, "notifynewtransactions", "[true]")
	read(t, c)
	txid = s.spend(2)
	if got := read(t, c); !strings.Contains(got, `"method":"txacceptedverbose"`) || !strings.Contains(got, txid) || !strings.Contains(got, `"vout":[`) {
		t.Errorf("told %s", got)
	}
}

// spend sends a payment of the coin that a block has made.
func (s *server) spend(height int) (txid string) {
	s.t.Helper()
	block := call[struct{ Tx []string }](s, "getblock", call[string](s, "getblockhash", height))
	id := []byte(block.Tx[0])
	var reversed strings.Builder
	for i := len(id) - 2; i >= 0; i -= 2 {
		reversed.Write(id[i : i+2])
	}
	// Version 2, one input, 9.999 coins to an anchor, and an empty data output.
	return call[string](s, "sendrawtransaction", "02000000"+"01"+reversed.String()+"00000000"+"00"+"fdffffff"+"02"+"6043993b00000000"+"0451024e73"+"0000000000000000"+"016a"+"00000000")
}

// TestSlowSocket: a client that does not read holds nobody up.
func TestSlowSocket(t *testing.T) {
	s := start(t, nil)
	slow, quick := s.mustDial(s.cookie), s.mustDial(s.cookie)
	for _, c := range []*websocket.Conn{slow, quick} {
		send(t, c, "notifyblocks", "[]")
	}
	read(t, quick)
	for range 200 { // answers that nobody takes
		send(t, slow, "help", "[]")
	}
	for range 5 {
		hashes := call[[]string](s, "generatetoaddress", 100, s.anchor)
		if got := blocks(t, quick, 100); got[99] != "+"+hashes[99] {
			t.Fatalf("the quick client was told of %s", got[99])
		}
	}
}

// TestSocketsEnd: the end of the node ends all connections.
func TestSocketsEnd(t *testing.T) {
	s := start(t, nil)
	c := s.mustDial(s.cookie)
	send(t, c, "notifyblocks", "[]")
	read(t, c)
	s.stop() // which waits for them
	if _, message, err := c.ReadMessage(); err == nil {
		t.Errorf("after the end: %s", message)
	}
}

// FuzzWebSocket sends any message.
func FuzzWebSocket(f *testing.F) {
	s, _ := fuzzServer(f)
	for _, seed := range []string{`{"method":"session","id":1}`, `{"method":"notifyblocks","params":5}`, `{"method":"notifynewtransactions","params":[1,2]}`, "[{}]", "\x00",
		`{"method":"subscribe","params":[["transactions","mempool"],{"height":0,"hash":""},{"addresses":[""],"scripts":["51"],"outpoints":[{"txid":"","vout":0}]}]}`,
		`{"method":"loadtxfilter","params":[true,[""],[{"hash":"","index":0}]]}`, `{"method":"rescan","params":["",[""],[],""]}`, `{"method":"rescanblocks","params":[[""]]}`,
		`{"method":"notifyspent","params":[[{"hash":"","index":0}]]}`, `{"method":"unsubscribe","params":[1]}`} {
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, message []byte, text bool) {
		if strings.Contains(string(message), "sto") || strings.Contains(string(message), "gen") || strings.Contains(string(message), "wait") || strings.Contains(string(message), `\u`) {
			t.Skip()
		}
		here := *s
		here.t = t
		c := here.mustDial(s.cookie)
		kind := websocket.BinaryMessage
		if text {
			kind = websocket.TextMessage
		}
		// A message may end the connection, at any moment.
		err := c.WriteMessage(kind, message)
		if err == nil {
			err = c.WriteMessage(websocket.TextMessage, []byte(`{"jsonrpc":"1.0","method":"getblockcount","params":[],"id":1}`))
		}
		for err == nil {
			var answer []byte
			if _, answer, err = c.ReadMessage(); strings.Contains(string(answer), `"result":5,"error":null,"id":1`) {
				break
			}
		}
		c.Close()
		if got := call[int](&here, "getblockcount"); got != 5 {
			t.Errorf("height %d", got)
		}
	})
}
