package rpc

import (
	"testing"
)

// fakeLogs is a log whose file is known.
type fakeLogs map[string]bool

func (l fakeLogs) Path() string                { return "/var/log/karatd" }
func (l fakeLogs) Categories() map[string]bool { return l }
func (l fakeLogs) SetCategory(name string, on bool) bool {
	l[name] = on
	return true
}

// TestLogging: what is switched, and that a name which is not known switches nothing.
func TestLogging(t *testing.T) {
	s := newFake().server(t)
	if got := result(t, s, "logging", "[]"); got != `{}` {
		t.Errorf("without a log: %s", got)
	}
	s.Logs = fakeLogs{"mempool": false, "net": true, "rpc": false, "stratum": false}
	for _, c := range []struct{ params, want string }{
		{`[]`, `{"mempool":false,"net":true,"rpc":false,"stratum":false}`},
		{`[["rpc"],["net"]]`, `{"mempool":false,"net":false,"rpc":true,"stratum":false}`},
		{`[["stratum","qt"],["rpc"]]`, `-8`},
		{`[[5]]`, `-3`},
		{`["net"]`, `-3`},
		{`[["all"],["net"]]`, `{"mempool":true,"net":false,"rpc":true,"stratum":true}`},
		{`{"exclude":["1"]}`, `{"mempool":false,"net":false,"rpc":false,"stratum":false}`},
		{`[null,null]`, `{"mempool":false,"net":false,"rpc":false,"stratum":false}`},
	} {
		if got := result(t, s, "logging", c.params); got != c.want {
			t.Errorf("%s: %s, want %s", c.params, got, c.want)
		}
	}
}

// TestEcho: what comes back is what was given, and as many.
func TestEcho(t *testing.T) {
	s := newFake().server(t)
	for params, want := range map[string]string{
		`[]`:                              `[]`,
		`[1,"a",null,{"b":[]}]`:           `[1,"a",null,{"b":[]}]`,
		`{"arg9":null}`:                   `[null,null,null,null,null,null,null,null,null,null]`,
		`{"args":[0,1],"arg3":3}`:         `[0,1,null,3]`,
		`{"args":[0,1],"arg1":1}`:         `-8`,
		`{"arg9":"trigger_internal_bug"}`: `-1`,
		`[0,1,2,3,4,5,6,7,8,9,10]`:        `-1`,
		`[0,1,2,3,4,5,6,7,8,"trigger\u005finternal_bug"]`: `-1`,
	} {
		for _, method := range []string{"echo", "echojson"} {
			if got := result(t, s, method, params); got != want {
				t.Errorf("%s %s: %s, want %s", method, params, got, want)
			}
		}
	}
	if got := result(t, s, "echoipc", `["a"]`); got != `"a"` {
		t.Error(got)
	}
}
