package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
)

// echo is a method with a parameter of each kind, that answers with what it read.
var echo = &method{
	name: "echo", category: "Test", about: "Answers with its parameters.",
	params: []param{
		{name: "text", kind: kindString},
		{name: "number|num", kind: kindNumber, optional: "5"},
		{name: "flag", kind: kindBool, optional: "true"},
		{name: "list", kind: kindArray, optional: "none"},
		{name: "level", kind: kindNumber, loose: true, optional: "1"},
	},
	read: func(_ *Server, a *args) work {
		text := a.text(0, "")
		number := a.bounded(1, 5, -1000, 1000)
		flag := a.flag(2, true)
		list := a.texts(3, 3)
		level := a.verbosity(4, 1, 3)
		return func(context.Context) (any, error) {
			return fmt.Sprint(text, " ", number, " ", flag, " ", list, " ", level), nil
		}
	},
}

// TestParameters: what clients send, by position or by name.
func TestParameters(t *testing.T) {
	s := newFake().server(t)
	s.table["echo"] = echo
	for params, want := range map[string]string{
		`["a"]`:                                "a 5 true [] 1",
		`["a", 7, false, ["x","y"], 2]`:        "a 7 false [x y] 2",
		`["a",-7,true,[],false]`:               "a -7 true [] 0",
		`["a",-0,false,null,99]`:               "a 0 false [] 3",
		`["a",null,null,null,null]`:            "a 5 true [] 1",
		`{"text":"a"}`:                         "a 5 true [] 1",
		`{"text":"a","num":7,"list":["x"]}`:    "a 7 true [x] 1",
		`{"number":8,"text":"a","flag":false}`: "a 8 false [] 1",
		`{"args":["a"],"number":8}`:            "a 8 true [] 1",
		`{"args":["a",8],"level":3}`:           "a 8 true [] 3",
		`{"text":"a","number":null}`:           "a 5 true [] 1",
	} {
		_, answer := post(s, `{"method":"echo","id":1,"params":`+params+`}`)
		var r struct{ Result any }
		if err := json.Unmarshal([]byte(answer), &r); err != nil || r.Result != want {
			t.Errorf("%s: %s, want %s", params, answer, want)
		}
	}
}

// TestTexts: bitcoin-cli knows which parameters of Core's methods are no texts. Of
// those of all other methods it makes texts, which are then what they hold.
func TestTexts(t *testing.T) {
	s := newFake().server(t)
	own := *echo
	own.own = true
	s.table["echo"] = &own
	for params, want := range map[string]string{
		`["a","7","false","[\"x\",\"y\"]","2"]`: "a 7 false [x y] 2",
		`["5"," 7 ","true","[]",true]`:          "5 7 true [] 1",
		`["a","null"]`:                          "-3",
		`["a","7.0"]`:                           "-1",
		`["a","[]"]`:                            "-3",
		`["a","0x7"]`:                           "-3",
		`["a","7}"]`:                            "-3",
		`["a",""]`:                              "-3",
		`["a",1,"1"]`:                           "-3",
		`["a",1,true,"[\"\\ud800\"]"]`:          "-3",
	} {
		if got := strings.Trim(result(t, s, "echo", params), `"`); got != want {
			t.Errorf("%s: %s, want %s", params, got, want)
		}
	}
}

// TestBadParameters: each kind of mistake has Bitcoin Core's code.
func TestBadParameters(t *testing.T) {
	s := newFake().server(t)
	s.table["echo"] = echo
	for params, want := range map[string]int{
		`["a",1.5]`:                       CodeMisc,
		`["a",1e99]`:                      CodeMisc,
		`["a",1e400]`:                     CodeMisc,
		`["a",1.0]`:                       CodeMisc,
		`["a",1e2]`:                       CodeMisc,
		`["a",1001]`:                      CodeMisc,
		`["a",-1001]`:                     CodeMisc,
		`["a",9223372036854775808]`:       CodeMisc,
		`["a","7"]`:                       CodeType,
		`["a","1_0"]`:                     CodeType,
		`["a","0x1p4"]`:                   CodeType,
		`["a",""]`:                        CodeType,
		`["a",true]`:                      CodeType,
		`["a",[]]`:                        CodeType,
		`["a",1,"yes"]`:                   CodeType,
		`["a",1,2]`:                       CodeType,
		`["a",1,{}]`:                      CodeType,
		`["a",1,true,"x"]`:                CodeType,
		`["a",1,true,{}]`:                 CodeType,
		`["a",1,true,[1]]`:                CodeType,
		`["a",1,true,["1","2","3","4"]]`:  CodeInvalidParam,
		`["a",1,true,"[]"]`:               CodeType,
		`["a",1,"true"]`:                  CodeType,
		`["a",1,true,[],"x"]`:             CodeType,
		`["a",1,true,[],"1"]`:             CodeType,
		`[5]`:                             CodeType,
		`[true]`:                          CodeType,
		`[{"a":1}]`:                       CodeType,
		`[]`:                              CodeMisc,
		`[null]`:                          CodeType,
		`{"text":null}`:                   CodeType,
		`{"number":1}`:                    CodeType,
		`null`:                            CodeMisc,
		`{}`:                              CodeMisc,
		`["a",1,true,[],1,1]`:             CodeMisc,
		`{"text":"a","nothing":1}`:        CodeInvalidParam,
		`{"text":"a","number|num":1}`:     CodeInvalidParam,
		`{"text":"a","Number":1}`:         CodeInvalidParam,
		`{"args":["a"],"text":"b"}`:       CodeInvalidParam,
		`{"text":"a","args":5}`:           CodeInvalidParam,
		`{"args":["a",1,true,[],1,1]}`:    CodeMisc, // the help, as for so many by position
		`{"text":"a","number":1,"num":1}`: CodeInvalidParam,
		`5`:                               CodeInvalidRequest,
		`"a"`:                             CodeInvalidRequest,
		`true`:                            CodeInvalidRequest,
	} {
		if _, answer := post(s, `{"method":"echo","id":1,"params":`+params+`}`); code(t, answer) != want {
			t.Errorf("%s: %s, want %d", params, answer, want)
		}
	}
}

// TestErrorsArePlain: an error has the characters that Core's has: nobody shows it as HTML.
func TestErrorsArePlain(t *testing.T) {
	s := newFake().server(t)
	s.table["echo"] = echo
	if _, answer := post(s, `{"method":"echo","id":1,"params":{"text":"a","<&>é":1}}`); !strings.Contains(answer, `"message":"Unknown named parameter <&>é"`) {
		t.Error(answer)
	}
}

// TestNoWorkOnBadParameters: a method cannot act on a parameter that is wrong, nor on
// one that it did not read in time.
func TestNoWorkOnBadParameters(t *testing.T) {
	s := newFake().server(t)
	acted := false
	late := &method{name: "late", params: []param{{name: "number", kind: kindNumber}, {name: "flag", kind: kindBool}}}
	late.read = func(_ *Server, a *args) work {
		number := a.integer(0, 0)
		return func(context.Context) (any, error) {
			acted = true
			return number, nil
		}
	}
	s.table["late"] = late
	if _, answer := post(s, `{"method":"late","id":1,"params":["many",true]}`); code(t, answer) != CodeType || acted {
		t.Errorf("%s; it acted: %t", answer, acted)
	}
	late.read = func(_ *Server, a *args) work {
		return func(context.Context) (any, error) {
			acted = a.flag(1, true)
			return nil, nil
		}
	}
	if _, answer := post(s, `{"method":"late","id":1,"params":[1,true]}`); code(t, answer) != CodeInternal || acted {
		t.Errorf("%s; it acted: %t", answer, acted)
	}
}

// TestWrongTypeIsNamed: the message is Bitcoin Core's.
func TestWrongTypeIsNamed(t *testing.T) {
	s := newFake().server(t)
	s.table["echo"] = echo
	for params, want := range map[string]string{
		`[5]`:               "Wrong type passed:\n{\n    \"Position 1 (text)\": \"JSON value of type number is not of expected type string\"\n}",
		`["a","x"]`:         "Wrong type passed:\n{\n    \"Position 2 (number|num)\": \"JSON value of type string is not of expected type number\"\n}",
		`["a",1,[]]`:        "Wrong type passed:\n{\n    \"Position 3 (flag)\": \"JSON value of type array is not of expected type bool\"\n}",
		`["a",1,true,true]`: "Wrong type passed:\n{\n    \"Position 4 (list)\": \"JSON value of type bool is not of expected type array\"\n}",
		`[5,"x",true,[],{}]`: "Wrong type passed:\n{\n    \"Position 1 (text)\": \"JSON value of type number is not of expected type string\",\n" +
			"    \"Position 2 (number|num)\": \"JSON value of type string is not of expected type number\"\n}",
		`["a",1,true,[],{}]`: "JSON value of type object is not of expected type number",
		`["a",{}]`:           "Wrong type passed:\n{\n    \"Position 2 (number|num)\": \"JSON value of type object is not of expected type number\"\n}",
	} {
		_, answer := post(s, `{"method":"echo","id":1,"params":`+params+`}`)
		var r struct{ Error *Error }
		if err := json.Unmarshal([]byte(answer), &r); err != nil || r.Error == nil || r.Error.Message != want {
			t.Errorf("%s: %s, want %q", params, answer, want)
		}
	}
}

// TestNamedParameters: by position and by name at once, with options as parameters
// of their own, as Bitcoin Core takes them.
func TestNamedParameters(t *testing.T) {
	s := newFake().server(t)
	s.table["show"] = &method{
		name: "show", category: "Test", about: "Answers with its parameters.",
		params: []param{
			{name: "first", kind: kindAny, optional: "none"},
			{name: "second|2nd", kind: kindAny, optional: "none"},
			{name: "options", kind: kindObject, optional: "none", options: []param{{name: "big", kind: kindBool}, {name: "red", kind: kindAny}}},
			{name: "last", kind: kindAny, optional: "none"},
		},
		read: func(_ *Server, a *args) work {
			values := a.values
			return func(context.Context) (any, error) { return values, nil }
		},
	}
	for params, want := range map[string]string{
		`{}`:                                      `[null,null,null,null]`,
		`{"2nd":1}`:                               `[null,1,null,null]`,
		`{"args":[1]}`:                            `[1,null,null,null]`,
		`{"args":null,"last":4}`:                  `[null,null,null,4]`,
		`{"last":4,"args":[1,2]}`:                 `[1,2,null,4]`,
		`{"args":[1,2,{"red":3},4]}`:              `[1,2,{"red":3},4]`,
		`{"red":5,"big":true}`:                    `[null,null,{"big":true,"red":5},null]`,
		`{"args":[1,2],"red":"r","last":4}`:       `[1,2,{"red":"r"},4]`,
		`{"options":{"red":1}}`:                   `[null,null,{"red":1},null]`,
		`{"args":[1],"first":1}`:                  "Parameter first specified twice both as positional and named argument",
		`{"args":[1,null],"2nd":2}`:               "Parameter second|2nd specified twice both as positional and named argument",
		`{"args":[1,2,{}],"big":true}`:            "Parameter options specified twice both as positional and named argument",
		`{"args":[1,2,{},4],"second":2,"last":4}`: "Parameter second|2nd specified twice both as positional and named argument",
		`{"options":{},"red":1,"big":true}`:       "Parameter options conflicts with parameter big",
		`{"first":1,"first":2}`:                   "Parameter first specified multiple times",
		`{"args":[],"args":[1]}`:                  "Parameter args specified multiple times",
		`{"second":1,"2nd":2}`:                    "Unknown named parameter 2nd",
		`{"blue":1,"first":1,"green":2}`:          "Unknown named parameter blue",
		`{"args":[1],"first":1,"blue":1}`:         "Parameter first specified twice both as positional and named argument",
	} {
		_, answer := post(s, `{"method":"show","id":1,"params":`+params+`}`)
		var r struct {
			Result json.RawMessage
			Error  *Error
		}
		if err := json.Unmarshal([]byte(answer), &r); err != nil {
			t.Fatal(answer, err)
		}
		got := string(r.Result)
		if r.Error != nil {
			got = r.Error.Message
		}
		if got != want || r.Error != nil && r.Error.Code != CodeInvalidParam {
			t.Errorf("%s: %s, want %s", params, answer, want)
		}
	}
}

// TestVersions: what a request may say of its version, and that a fault in it is
// told with the request's id.
func TestVersions(t *testing.T) {
	s := newFake().server(t)
	for version, want := range map[string]struct {
		status int
		answer string
	}{
		`null`:  {200, `{"result":0,"error":null,"id":7}`},
		`"1.0"`: {200, `{"result":0,"error":null,"id":7}`},
		`"1.1"`: {200, `{"result":0,"error":null,"id":7}`},
		`"2.0"`: {200, `{"jsonrpc":"2.0","result":0,"id":7}`},
		`2.0`:   {400, `{"result":null,"error":{"code":-32600,"message":"jsonrpc field must be a string"},"id":7}`},
		`[]`:    {400, `{"result":null,"error":{"code":-32600,"message":"jsonrpc field must be a string"},"id":7}`},
		`"3.0"`: {400, `{"result":null,"error":{"code":-32600,"message":"JSON-RPC version not supported"},"id":7}`},
		`""`:    {400, `{"result":null,"error":{"code":-32600,"message":"JSON-RPC version not supported"},"id":7}`},
	} {
		if status, answer := post(s, `{"jsonrpc":`+version+`,"method":"getblockcount","id":7}`); status != want.status || answer != want.answer {
			t.Errorf("%s: status %d: %s", version, status, answer)
		}
	}
	for method, want := range map[string]string{`null`: "Missing method", `5`: "Method must be a string", `["a"]`: "Method must be a string"} {
		if status, answer := post(s, `{"method":`+method+`,"id":7}`); status != 400 || !strings.Contains(answer, want) {
			t.Errorf("%s: status %d: %s", method, status, answer)
		}
	}
}

// TestIDs: an id comes back as it was, whatever it is.
func TestIDs(t *testing.T) {
	s := newFake().server(t)
	for _, id := range []string{`0`, `-1.50`, `"a\u0000<b>"`, `null`, `{"a":[1]}`, `12345678901234567890`, `true`} {
		for _, version := range []string{"1.0", "2.0"} {
			if _, answer := post(s, `{"jsonrpc":"`+version+`","method":"getblockcount","id": `+id+` }`); !strings.HasSuffix(answer, `"id":`+id+`}`) {
				t.Errorf("%s: %s", id, answer)
			}
		}
	}
}

// TestRequests: verbs, paths and headers. The content type is not looked at, as in
// Bitcoin Core: curl and old clients send others.
func TestRequests(t *testing.T) {
	s := newFake().server(t)
	const body = `{"method":"getblockcount","id":1}`
	for _, verb := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"} {
		r := httptest.NewRequest(verb, "/", strings.NewReader(body))
		r.SetBasicAuth(name, password)
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed || strings.Contains(w.Body.String(), "result") || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: status %d, %v: %s", verb, w.Code, w.Header(), w.Body)
		}
	}
	for _, path := range []string{"/anything", "/wallet", "/walletx/", "//", "/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/ws/", "/rest"} {
		if w := httptest.NewRecorder(); true {
			s.handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
			if w.Code != http.StatusNotFound {
				t.Errorf("%s: status %d: %s", path, w.Code, w.Body)
			}
		}
	}
	for _, path := range []string{"/", "/wallet/x", "/wallet/", "http://node", "http://node/"} {
		for _, kind := range []string{"", "text/plain", "application/json", "application/x-www-form-urlencoded", "no type at all"} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
			r.SetBasicAuth(name, password)
			r.Header.Set("Content-Type", kind)
			w := httptest.NewRecorder()
			s.handler().ServeHTTP(w, r)
			const want = `{"result":0,"error":null,"id":1}` + "\n"
			if w.Code != 200 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Content-Length") != fmt.Sprint(len(want)) {
				t.Errorf("%s, %q: status %d, %v: %s", path, kind, w.Code, w.Header(), w.Body)
			}
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/ws", strings.NewReader(body))
	r.SetBasicAuth(name, password)
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest {
		t.Errorf("no WebSocket: status %d", w.Code)
	}
}

// TestBatchLimits: what a batch answers is bounded, and the rest of it is told.
func TestBatchLimits(t *testing.T) {
	s := newFake().server(t)
	long := json.RawMessage(`"` + strings.Repeat("x", 9<<20) + `"`)
	calls := 0
	s.table["long"] = &method{name: "long", read: noParams(func(context.Context, *Server) (any, error) { calls++; return long, nil })}
	const n = 10
	raw, status := s.answered(t.Context(), &session{user: &User{}}, []byte("["+strings.TrimSuffix(strings.Repeat(`{"method":"long","id":1},`, n), ",")+"]"))
	answer := string(raw)
	if status != 200 || !strings.HasPrefix(answer, `[{"result":"x`) || !strings.HasSuffix(answer, `},"id":1}]`) {
		t.Fatalf("status %d, %d bytes", status, len(answer))
	}
	good, bad := strings.Count(answer, `","error":null,"id":1}`), strings.Count(answer, `{"result":null,"error":{"code":-1,`)
	if want := maxAnswers/len(long) + 1; calls != want || good != want || bad != n-want {
		t.Errorf("%d calls were made, %d answered and %d refused, want %d of %d", calls, good, bad, want, n)
	}
}

// TestErrors: what a client is told of an error of the node.
func TestErrors(t *testing.T) {
	s := newFake().server(t)
	for err, want := range map[error]int{
		failf(CodeVerify, "v"):                        CodeVerify,
		fmt.Errorf("x: %w", failf(CodeVerify, "v")):   CodeVerify,
		fmt.Errorf("x: %w", context.DeadlineExceeded): CodeMisc,
		fmt.Errorf("x: %w", os.ErrPermission):         CodeMisc,
	} {
		s.table["fail"] = &method{name: "fail", read: noParams(func(context.Context, *Server) (any, error) { return nil, err })}
		if _, answer := post(s, `{"method":"fail","id":1}`); code(t, answer) != want {
			t.Errorf("%v: %s, want %d", err, answer, want)
		}
	}
	s.table["odd"] = &method{name: "odd", read: noParams(func(context.Context, *Server) (any, error) { return math.NaN(), nil })}
	if status, answer := post(s, `{"method":"odd","id":1}`); status != 500 || code(t, answer) != CodeInternal {
		t.Errorf("a result that is no JSON: status %d: %s", status, answer)
	}
	s.table["html"] = &method{name: "html", read: noParams(func(context.Context, *Server) (any, error) { return "<&>", nil })}
	if _, answer := post(s, `{"method":"html","id":1}`); !strings.Contains(answer, `"result":"<&>"`) {
		t.Errorf("signs of HTML: %s", answer)
	}
}

// TestLongLists: a list that is too long is refused before it takes many times its
// size in memory, wherever it stands.
func TestLongLists(t *testing.T) {
	s := newFake().server(t)
	s.table["echo"] = echo
	zeros := strings.Repeat("0,", 1<<18) + "0"
	names := strings.Repeat(`"n":0,`, 1<<17) + `"n":0`
	for body, want := range map[string]int{
		"[" + zeros + "]": CodeInvalidRequest,
		`{"method":"echo","id":1,"params":[` + zeros + `]}`:                          CodeMisc,
		`{"method":"echo","id":1,"params":{` + names + `}}`:                          CodeInvalidParam,
		`{"method":"echo","id":1,"params":{"args":[` + zeros + `]}}`:                 CodeMisc,
		`{"method":"echo","id":1,"params":["a",1,true,[` + zeros + `]]}`:             CodeInvalidParam,
		`{"method":"echo","id":1,"params":["a",1,true,"[` + zeros + `]"]}`:           CodeType,
		`{"method":"echo","id":1,"params":["a",1,true,[[` + zeros + `],"y","z",4]]}`: CodeInvalidParam,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		answer, _ := s.answered(t.Context(), &session{user: &User{}}, []byte(body))
		runtime.ReadMemStats(&after)
		if got := code(t, string(answer)); got != want {
			t.Errorf("%.60s: %.100s, want %d", body, answer, want)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 8*uint64(len(body)) {
			t.Errorf("%.60s: %d bytes take %d in memory", body, len(body), used)
		}
	}
}

// TestElements: what is counted is what encoding/json reads.
func TestElements(t *testing.T) {
	for _, list := range []string{
		`[]`, ` [ ] `, `[[]]`, `[{}]`, `[0]`, `[ "" ]`, `["a,b","\",[","\\",","]`, `[[1,2],{"a":[3,4],"b":5},6]`, `[ 1 , 2 ,3]`, `[null,true]`,
	} {
		var want []json.RawMessage
		if err := json.Unmarshal([]byte(list), &want); err != nil {
			t.Fatal(err)
		}
		if got := elements([]byte(list)); got != len(want) {
			t.Errorf("%s: %d, want %d", list, got, len(want))
		}
	}
	for object, want := range map[string]int{`{}`: 0, `{"a":[1,2]}`: 1, `{"a,":{},"b":{"c":1,"d":2}}`: 2} {
		if got := elements([]byte(object)); got != want {
			t.Errorf("%s: %d, want %d", object, got, want)
		}
	}
}
