package rpc

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// matches reports what in an answer is not as the shape says, or nothing.
func (s *shape) matches(raw json.RawMessage) error {
	want := map[string]string{
		"str": "string", "hex": "string", "num": "number", "amount": "number", "time": "number", "bool": "bool", "null": "null",
		"object": "object", "dynamic": "object", "array": "array", "fixed": "array",
	}[s.kind]
	if got := jsonType(raw); want != "" && got != want {
		return fmt.Errorf("%s: %s, not %s", s.name, got, s.kind)
	}
	switch s.kind {
	case "hex":
		if text := textOf(raw); strings.Trim(text, "0123456789abcdef") != "" {
			return fmt.Errorf("%s: %.100s is not hexadecimal", s.name, text)
		}
	case "array", "fixed":
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		if s.kind == "fixed" && len(list) != len(s.inner) {
			return fmt.Errorf("%s: %d elements, not %d", s.name, len(list), len(s.inner))
		}
		for _, element := range list {
			if err := matchesAny(s.inner, element); err != nil {
				return fmt.Errorf("%s[]: %w", s.name, err)
			}
		}
	case "dynamic", "object":
		return s.matchesMembers(raw)
	}
	return nil
}

func (s *shape) matchesMembers(raw json.RawMessage) (err error) {
	seen := map[string]bool{}
	eachMember(raw, func(name string, value json.RawMessage) bool {
		seen[name] = true
		member := s.inner[0:]
		at := 0
		if s.kind == "object" {
			if at = slices.IndexFunc(s.inner, func(m *shape) bool { return m.name == name }); at < 0 {
				err = fmt.Errorf("%s.%s is not told of", s.name, name)
				return false
			}
		}
		if err = member[at].matches(value); err != nil {
			err = fmt.Errorf("%s.%w", s.name, err)
		}
		return err == nil
	})
	for _, member := range s.inner {
		if err == nil && s.kind == "object" && !member.optional && !seen[member.name] {
			err = fmt.Errorf("%s.%s is missing", s.name, member.name)
		}
	}
	return err
}

// matchesAny reports why an answer is of none of the shapes.
func matchesAny(list []*shape, raw json.RawMessage) (err error) {
	for _, s := range list {
		if err = s.matches(raw); err == nil {
			return nil
		}
	}
	return err
}

// TestShapes: how answers are described can be read, and is written as Core writes it.
func TestShapes(t *testing.T) {
	table := methods()
	for name, text := range results {
		if table[name] == nil {
			t.Errorf("%s is no method", name)
		}
		for _, s := range parseShapes(text) {
			if raw, err := json.Marshal(s.schema()); err != nil || !json.Valid(raw) {
				t.Errorf("%s: %s, %v", name, raw, err)
			}
		}
	}
	shapes := parseShapes("(for a) {x:hex y?:[{*:num}] z:[num*2]} | [str bool]")
	var b strings.Builder
	for _, s := range shapes {
		s.help(&b, "", true)
	}
	schemas, _ := json.Marshal(schemas(shapes))
	const help = `{                                       (json object)
  "x" : "hex",                          (string)
  "y" : [                               (json array, optional)
    {                                   (json object)
      "key" : n,                        (numeric)
      ...
    },
    ...
  ],
  "z" : [                               (json array)
    n,                                  (numeric)
    n,                                  (numeric)
  ]
}
[                                       (json array)
  "str",                                (string)
  true|false,                           (boolean)
  ...
]
`
	const want = `[{"type":"object","properties":{"x":{"type":"string","pattern":"^[0-9a-fA-F]+$"},"y":{"type":"array","items":{"type":"object","additionalProperties":{"type":"number"}}},` +
		`"z":{"type":"array","items":[{"type":"number"},{"type":"number"}],"additionalItems":false,"minItems":2,"maxItems":2}},"additionalProperties":false,"required":["x","z"],"description":"for a"},` +
		`{"type":"array","items":{"oneOf":[{"type":"string"},{"type":"boolean"}]}}]`
	if b.String() != help || string(schemas) != want {
		t.Errorf("%s\n%s", b.String(), schemas)
	}
	for raw, want := range map[string]string{
		`{"x":"00","z":[1,2]}`:               "",
		`{"x":"00","y":[{"a":1}],"z":[1,2]}`: "",
		`["a",true]`:                         "",
		`{"x":"0g","z":[1,2]}`:               "hexadecimal",
		`{"x":"00","z":[1]}`:                 "1 elements",
		`{"z":[1,2]}`:                        "missing",
		`{"x":"","z":[1,2],"w":1}`:           "not told of",
		`{"x":"","y":[{"a":""}],"z":[1,2]}`:  "string, not num",
	} {
		list := shapes[:1]
		if raw[0] == '[' {
			list = shapes
		}
		if err := matchesAny(list, json.RawMessage(raw)); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", raw, err, want)
		}
	}
}

// TestOpenRPC: the document tells of every method that help lists, in Core's form.
func TestOpenRPC(t *testing.T) {
	s := newFake().server(t)
	s.UserAgent = "/karat:0.1.0/"
	whole := result(t, s, "getopenrpcinfo", "[true]")
	listed := result(t, s, "rpc.discover", "[]")
	if listed != result(t, s, "getopenrpcinfo", "[]") || !strings.HasPrefix(listed, `{"openrpc":"1.4.1","info":{"title":"karat JSON-RPC","version":"v0.1.0",`) {
		t.Errorf("%.300s", listed)
	}
	for name, m := range s.table {
		entry := fmt.Sprintf(`{"name":%q,"description":`, name)
		if strings.Contains(listed, entry) == (m.category == hidden) || !strings.Contains(whole, entry) {
			t.Errorf("%s is there: %t", name, strings.Contains(listed, entry))
		}
	}
	for _, want := range []string{
		`{"name":"verbosity","required":false,"schema":{"default":1},"x-bitcoin-aliases":["verbose"],"description":"0 to 3"}`,
		`{"name":"hash_or_height","required":true,"schema":{"oneOf":[{"type":"integer"},{"type":"string"}]},`,
		`{"name":"stats","required":false,"schema":{"type":"array","items":{},"x-bitcoin-default-hint":"all values"},`,
		`{"name":"blockhash","required":true,"schema":{"type":"string","pattern":"^[0-9a-fA-F]+$"},`,
		`"mempool_only":{"type":"boolean","x-bitcoin-default-hint":`,
		`"result":{"name":"result","schema":{"type":"number"}},"x-bitcoin-category":"blockchain"}`,
	} {
		if !strings.Contains(listed, want) {
			t.Errorf("it lacks %s", want)
		}
	}
	if strings.Contains(listed, `"wait"`) || !strings.Contains(whole, `{"name":"wait","required":false,"schema":{"type":"number","default":0}`) {
		t.Error("a hidden parameter")
	}
}
