package stratum

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/poke"
)

// FuzzMessage: whatever a line is, parsing it ends without a panic, what is taken is
// within its bounds, and the answer is a line of JSON that has the request's id.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"method":"mining.subscribe","params":["cpuminer/2.5.1","08000002"]}`,
		`{"id":null,"method":"mining.authorize","params":["bcrt1p.rig","x"]}`,
		`{"params":["a","1f0000","0000000000000001","65000000","deadbeef","00002000"],"id":"x","method":"mining.submit"}`,
		`{"id":3,"method":"mining.configure","params":[["version-rolling","minimum-difficulty"],{"version-rolling.mask":"1fffe000","minimum-difficulty.value":2048}]}`,
		`{"id":4,"method":"mining.suggest_difficulty","params":["1e300"]}`,
		`{"id":5,"method":"mining.suggest_target","params":["00000000ffff0000"]}`,
		`{"id":{},"result":[[[["x"]]]],"error":[20,"x",null]}`,
		`{"id":1e999,"method":"","params":null}`,
	} {
		f.Add([]byte(seed))
	}
	chain := newTestChain(f, 1, func() time.Time { return time.Unix(1_800_000_000, 0) })
	server := New(Options{Params: chain.params, Templates: chain, Chain: chain, Pool: &poke.Bell{}})
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseMessage(data)
		if err != nil {
			return
		}
		if len(m.Params) > maxParams || len(m.ID) > maxID || len(m.Method) > maxText {
			t.Fatalf("%+v is too much", m)
		}
		c := newConnection(server, nil, place{name: "fuzz"})
		result, fault := c.request(m)
		if m.Method == "mining.submit" {
			_, fault = parseSubmission(m)
		}
		line := answer(m.ID, result, fault)
		var reply struct {
			ID     json.RawMessage
			Result any
			Error  []any
		}
		if err := json.Unmarshal(line, &reply); err != nil || bytes.Count(line, []byte("\n")) != 1 {
			t.Fatalf("the answer is %q (%v)", line, err)
		}
		var asked, answered any
		if json.Unmarshal(m.ID, &asked) == nil && json.Unmarshal(reply.ID, &answered) == nil && asked != answered {
			t.Fatalf("the id %s is answered as %s", m.ID, reply.ID)
		}
		if (fault != nil) != (len(reply.Error) == 3) {
			t.Fatalf("fault %v, error %v", fault, reply.Error)
		}
		if printable(c.agent, maxAgentSize) != c.agent {
			t.Fatalf("the agent is %q", c.agent)
		}
		if c.session != nil {
			server.sessions.discard(c.session)
		}
	})
}

// FuzzNames: a name is refused, or pays the address that it begins with, or the node.
func FuzzNames(f *testing.F) {
	chain := newTestChain(f, 1, func() time.Time { return time.Unix(1_800_000_000, 0) })
	server := New(Options{Params: chain.params, PayTo: scriptOf(9)})
	valid := encodeAddress(f, chain.params.HRP, scriptOf(1))
	for _, seed := range []string{valid, valid + ".rig", strings.ToUpper(valid), "rig", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "a.b.c", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		script, address, shown, fault := server.payee(name)
		switch {
		case fault != nil:
			if fault.code != codeUnauthorized || fault.text == "" {
				t.Fatalf("%+v", fault)
			}
		case address == "":
			if !bytes.Equal(script, scriptOf(9)) || shown != name {
				t.Fatalf("%q pays %x", name, script)
			}
		case !strings.HasPrefix(shown, address) || encodeAddress(t, chain.params.HRP, script) != address || !strings.EqualFold(name, shown):
			t.Fatalf("%q is shown as %q and pays %s", name, shown, address)
		}
		if fault == nil && printable(shown, maxNameSize) != shown {
			t.Fatalf("%q is shown", shown)
		}
	})
}

// TestDifficulties: a difficulty and its target are of each other.
func TestDifficulties(t *testing.T) {
	for _, d := range []float64{1e-9, 4.656542373906925e-10 * 3, 1e-4, 0.5, 1, 1.5, 65536, 1e12, 1e18} {
		target := targetOf(d)
		if back := difficultyOf(target); back < d*(1-1e-12) || back > d*(1+1e-9) {
			t.Errorf("%g: %s is %g", d, target, back)
		}
		if r := round(d); r > d*(1+1e-12) || r < 0.99*d {
			t.Errorf("%g is rounded to %g", d, r)
		}
	}
	if got := targetOf(1).String(); got != "00000000ffff0000000000000000000000000000000000000000000000000000" {
		t.Errorf("difficulty 1 is %s", got)
	}
	if got := targetOf(1e-12).String(); got != strings.Repeat("f", 64) {
		t.Errorf("next to no difficulty is %s", got)
	}
}
