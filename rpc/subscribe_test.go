package rpc_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// subscription subscribes, and returns the answer's cursor.
func subscribed(t *testing.T, c *websocket.Conn, params string) json.RawMessage {
	t.Helper()
	send(t, c, "subscribe", params)
	var reply struct {
		Result struct{ Cursor json.RawMessage }
		Error  any
	}
	if err := json.Unmarshal([]byte(read(t, c)), &reply); err != nil || reply.Error != nil {
		t.Fatalf("subscribe %s: %v, %v", params, reply.Error, err)
	}
	return reply.Result.Cursor
}

// next reads an event, and returns it in short.
func next(t *testing.T, c *websocket.Conn) (text string, cursor json.RawMessage) {
	t.Helper()
	message := read(t, c)
	var n struct {
		Method string
		Params []struct {
			Event        string
			Sequence     uint64
			Cursor       json.RawMessage
			Block        struct{ Hash string }
			TxID, Reason string
			Transactions []struct{ TxID string }
		}
	}
	if err := json.Unmarshal([]byte(message), &n); err != nil || n.Method != "event" || len(n.Params) != 1 {
		t.Fatalf("told %s", message)
	}
	e := n.Params[0]
	text = strings.TrimSpace(fmt.Sprint(e.Sequence, " ", e.Event, " ", e.Block.Hash+e.TxID, " ", e.Reason))
	for _, tx := range e.Transactions {
		text += " " + tx.TxID
	}
	return text, e.Cursor
}

func wantNext(t *testing.T, c *websocket.Conn, format string, args ...any) json.RawMessage {
	t.Helper()
	got, cursor := next(t, c)
	if want := fmt.Sprintf(format, args...); got != want {
		t.Fatalf("told %q, want %q", got, want)
	}
	return cursor
}

// TestSubscribe: events come in order, from where the client was, and only those that
// its filter lets pass.
func TestSubscribe(t *testing.T) {
	s := start(t, nil)
	hashes := call[[]string](s, "generatetoaddress", 5, s.anchor)
	coinbase := func(height int) string { // its txid
		return call[struct{ Tx []string }](s, "getblock", call[string](s, "getblockhash", height)).Tx[0]
	}
	all, some := s.mustDial(s.cookie), s.mustDial(s.cookie)
	subscribed(t, all, fmt.Sprintf(`[["transactions","mempool"],{"height":4,"hash":%q,"sequence":17}]`, hashes[3]))
	wantNext(t, all, "18 blockapplied %s %s", hashes[4], coinbase(5))
	wantNext(t, all, "19 mempoolreset")
	subscribed(t, some, fmt.Sprintf(`{"events":["transactions","mempool"],"filter":{"outpoints":[{"txid":%q,"vout":0}]}}`, coinbase(2)))
	wantNext(t, some, "1 mempoolreset")
	one := s.spend(1)
	wantNext(t, all, "20 txadded %s", one)
	two := s.spend(2)
	wantNext(t, all, "21 txadded %s", two)
	wantNext(t, some, "2 txadded %s", two)
	mined := call[[]string](s, "generatetoaddress", 1, s.anchor)[0]
	var last json.RawMessage
	for range 3 { // the block, and what leaves the pool with it, in an order of their own
		text, _ := next(t, all)
		if !strings.Contains(text, " blockapplied "+mined) && !strings.Contains(text, " block") {
			t.Errorf("told %s", text)
		}
	}
	seen := ""
	for range 2 {
		var text string
		text, last = next(t, some)
		_, text, _ = strings.Cut(text, " ")
		seen += text + "; "
	}
	if a, b := fmt.Sprintf("blockapplied %s %s; ", mined, two), fmt.Sprintf("txremoved %s block; ", two); seen != a+b && seen != b+a {
		t.Errorf("told %s", seen)
	}
	some.Close()

	// What happened while it was away: a block leaves, and others come.
	call[any](s, "invalidateblock", mined)
	other := call[[]string](s, "generatetoaddress", 2, s.anchor)
	again := s.mustDial(s.cookie)
	if got := subscribed(t, again, fmt.Sprintf(`[["blocks"],[{"height":9,"hash":"%064d"},%s]]`, 9, last)); string(got) != string(last) {
		t.Errorf("it goes on at %s, want %s", got, last)
	}
	wantNext(t, again, "5 blockreverted %s", mined)
	wantNext(t, again, "6 blockapplied %s", other[0])
	wantNext(t, again, "7 blockapplied %s", other[1])
	send(t, again, "unsubscribe", "[1]")
	read(t, again)
	call[[]string](s, "generatetoaddress", 1, s.anchor)
	send(t, again, "unsubscribe", "[1]")
	if got := read(t, again); !strings.Contains(got, "there is no subscription 1") {
		t.Errorf("told %s", got)
	}
}

// TestSubscribeRefuses: each mistake has a precise error, and costs nothing.
func TestSubscribeRefuses(t *testing.T) {
	s := start(t, nil)
	hashes := call[[]string](s, "generatetoaddress", 3, s.anchor)
	c := s.mustDial(s.cookie)
	for params, want := range map[string]string{
		`[["news"]]`:        "events are blocks, transactions and mempool",
		`[[1]]`:             "not of expected type string",
		`["blocks"]`:        "not of expected type array",
		`[[],{}]`:           "a cursor is",
		`[[],[]]`:           "from has no cursor",
		`[[],5]`:            "a cursor is",
		`[[],{"height":1}]`: "a cursor is",
		`[[],{"height":-1,"hash":"` + hashes[0] + `"}]`:                     "a cursor is",
		`[[],{"height":2,"hash":"` + hashes[0] + `"}]`:                      "is not known here; the tip is " + hashes[2] + " at height 3",
		`[[],{"height":1,"hash":"ab"}]`:                                     "a cursor is",
		`[[],[` + strings.Repeat(`{},`, 1000) + `{}]]`:                      "at most 1000",
		`{"filter":{"addresses":["x"]}}`:                                    "Invalid address",
		`{"filter":{"addresses":5}}`:                                        "field addresses is not of expected type array",
		`{"filter":{"scripts":["zz"]}}`:                                     "a script is not hexadecimal",
		`{"filter":{"outpoints":[{"txid":"` + hashes[0] + `"}]}}`:           "an outpoint has no vout",
		`{"filter":{"outpoints":[{"txid":"ab","vout":1}]}}`:                 "must be of length 64",
		`{"filter":{"amounts":[]}}`:                                         "Unexpected key amounts",
		`{"filter":{"scripts":["` + strings.Repeat("6a", 129) + `"]}}`:      "a script has at most 128 bytes",
		`{"filter":{"scripts":[` + strings.Repeat(`"",`, 200_000) + `""]}}`: "at most",
		`{"until":5}`: "Unknown named parameter until",
	} {
		send(t, c, "subscribe", params)
		if got := read(t, c); !strings.Contains(got, want) || !strings.HasPrefix(got, `{"result":null`) {
			t.Errorf("%.100s: %.300s, want %s", params, got, want)
		}
	}
	for range 16 {
		subscribed(t, c, `[]`)
	}
	send(t, c, "subscribe", `[]`)
	if got := read(t, c); !strings.Contains(got, "a client may have 16 subscriptions") {
		t.Errorf("one too many: %s", got)
	}
	if status, got := s.post(s.cookie, `{"method":"subscribe","params":[],"id":1}`); status != 404 {
		t.Errorf("over HTTP: %d %s", status, got)
	}
}
