package rpc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// socketCalls are calls of what only WebSockets have, each with parameters that are right.
var socketCalls = map[string][]string{
	"notifyblocks":              nil,
	"stopnotifyblocks":          nil,
	"notifynewtransactions":     {"true"},
	"stopnotifynewtransactions": nil,
	"loadtxfilter":              {"false", `["ADDRESS"]`, `[{"hash":"TXID","index":0}]`},
	"notifyreceived":            {`["ADDRESS"]`},
	"stopnotifyreceived":        {`["ADDRESS"]`},
	"notifyspent":               {`[{"hash":"TXID","index":0}]`},
	"stopnotifyspent":           {`[{"hash":"TXID","index":0}]`},
	"rescan":                    {`"BLOCK"`, `["ADDRESS"]`, `[{"hash":"TXID","index":0}]`, `"BLOCK"`},
	"rescanblocks":              {`["BLOCK"]`},
	"session":                   nil,
	"subscribe":                 {`["transactions","mempool"]`, `{"height":1,"hash":"BLOCK"}`, `{"addresses":["ADDRESS"],"scripts":["51024e73"],"outpoints":[{"txid":"TXID","vout":0}]}`},
	"unsubscribe":               {"1"},
}

// TestHostileParameters: whatever stands in the place of a parameter, the answer is a
// result or an error of the client's, and the connection goes on.
func TestHostileParameters(t *testing.T) {
	s := start(t, nil)
	block := call[[]string](s, "generatetoaddress", 1, s.anchor)[0]
	right := strings.NewReplacer("ADDRESS", s.anchor, "TXID", strings.Repeat("ab", 32), "BLOCK", block)
	hostile := []string{
		`null`, `true`, `0`, `-1`, `1.5`, `1e400`, `18446744073709551616`, `""`, `"x"`, `"\ud800"`, `"\u0000"`, `[]`, `{}`, `[null]`, `[[]]`, `[{}]`, `[5]`, `["x"]`,
		`[{"hash":5,"index":0}]`, `[{"hash":"` + strings.Repeat("ab", 32) + `"}]`, `[{"hash":"` + strings.Repeat("ab", 32) + `","index":-1}]`,
		`[{"hash":"` + strings.Repeat("ab", 32) + `","index":4294967296}]`, `{"height":0,"hash":null}`, `{"height":4294967295,"hash":"` + block + `"}`,
		`{"addresses":null}`, `{"addresses":[null]}`, `{"outpoints":[{}]}`, `{"outpoints":[{"txid":"` + block + `","vout":4294967296}]}`, `{"scripts":["0"]}`,
		strings.Repeat("[", 5000) + strings.Repeat("]", 5000), `"` + strings.Repeat("a", 1<<16) + `"`,
	}
	_, section, _ := strings.Cut(call[string](s, "help"), "== WebSocket ==\n")
	section, _, _ = strings.Cut(section, "\n\n")
	for line := range strings.Lines(section) {
		if name := strings.Fields(line)[0]; socketCalls[name] == nil && strings.Contains(line, " ") {
			t.Errorf("nothing is tried with %s", name)
		}
	}
	c := s.mustDial(s.cookie)
	for name, params := range socketCalls {
		calls := []string{fmt.Sprintf("[%s]", strings.Join(params, ",")), "[]", "{}", "null", `{"nothing":1}`, `{"args":[[]]}`, "[" + strings.Repeat("1,", 20) + "1]"}
		for i := range params {
			for _, value := range hostile {
				changed := append(append(append([]string{}, params[:i]...), value), params[i+1:]...)
				calls = append(calls, fmt.Sprintf("[%s]", strings.Join(changed, ",")))
			}
		}
		for _, call := range calls {
			message := fmt.Sprintf(`{"method":%q,"params":%s,"id":"mine"}`, name, right.Replace(call))
			if err := c.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
				t.Fatalf("%.200s: %v", message, err)
			}
			for {
				answer := read(t, c)
				if strings.Contains(answer, "-32603") || strings.Contains(answer, "-20,") {
					t.Errorf("%.300s: %s", message, answer)
				}
				if strings.HasSuffix(answer, `"id":"mine"}`) || strings.HasSuffix(answer, `"id":null}`) && strings.Contains(answer, "-32700") {
					break // else it is a notification
				}
			}
		}
		for id := range 200 { // so that there is room for others
			send(t, c, "unsubscribe", fmt.Sprintf("[%d]", id))
		}
		send(t, c, "getblockcount", "[]")
		for !strings.Contains(read(t, c), `"result":1,`) {
		}
	}
}

// TestHostileFrames: what is no message of a WebSocket ends its connection, and no other.
func TestHostileFrames(t *testing.T) {
	s := start(t, nil)
	other := s.mustDial(s.cookie)
	for name, frame := range map[string][]byte{
		"without a mask":             {0x81, 0x02, '{', '}'},
		"reserved bits":              {0xf1, 0x80, 0, 0, 0, 0},
		"an unknown opcode":          {0x83, 0x80, 0, 0, 0, 0},
		"a long ping":                append([]byte{0x89, 0xfe, 0, 126, 0, 0, 0, 0}, make([]byte, 126)...),
		"a ping in pieces":           {0x09, 0x80, 0, 0, 0, 0},
		"a continuation of nothing":  {0x80, 0x80, 0, 0, 0, 0},
		"a length of 2^63":           {0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"more than a request may":    {0x81, 0xff, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0},
		"a text that is not UTF-8":   {0x81, 0x81, 0, 0, 0, 0, 0xff},
		"a close of one byte":        {0x88, 0x81, 0, 0, 0, 0, 3},
		"a close of an unknown code": {0x88, 0x82, 0, 0, 0, 0, 0, 0},
	} {
		c := s.mustDial(s.cookie)
		if _, err := c.NetConn().Write(frame); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, answer, err := c.ReadMessage(); err == nil && !strings.Contains(string(answer), "-32700") {
			t.Errorf("%s: %s", name, answer)
		}
		send(t, other, "getblockcount", "[]")
		if got := read(t, other); !strings.Contains(got, `"result":0,`) {
			t.Errorf("after %s another client gets %s", name, got)
		}
	}
}
