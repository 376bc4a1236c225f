package rpc

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestEachMember: names and values are what encoding/json reads, in their order.
func TestEachMember(t *testing.T) {
	for object, want := range map[string]string{
		`{}`: ``, ` { } `: ``,
		`{"a":1}`: `a=1;`,
		` { "a" : -1.5e3 , "b":"x,\"}" ,"c" : [1,{"d":[]}] , "a":null,"A":true } `: `a=-1.5e3;b="x,\"}";c=[1,{"d":[]}];a=null;A=true;`,
		`{"\u0061\\":{},"":[]}`:        `a\={};=[];`,
		"{\"a\"\t:\n{ \"b\" : 1 }\r}":  `a={ "b" : 1 };`,
		`{"\\\"":"\\\\","e":"\\\"}"}`:  `\"="\\\\";e="\\\"}";`,
		`{"é":"\ud83d\ude00","f":"😀"}`: `é="\ud83d\ude00";f="😀";`,
	} {
		var b strings.Builder
		eachMember([]byte(object), func(name string, value json.RawMessage) bool {
			b.WriteString(name + "=" + string(value) + ";")
			return true
		})
		if b.String() != want {
			t.Errorf("%s: %s, want %s", object, b.String(), want)
		}
	}
	count := 0
	eachMember([]byte(`{"a":1,"b":2}`), func(string, json.RawMessage) bool { count++; return false })
	if count != 1 {
		t.Errorf("it went on after %d", count)
	}
}

// TestWellFormed: bodies that Bitcoin Core's parser refuses.
func TestWellFormed(t *testing.T) {
	for body, want := range map[string]bool{
		`{"a":[1,"\ud83d\ude00"]}`: true, `"\\ud800"`: true, `"\u00e9é😀"`: true, `null`: true,
		``: false, `{`: false, `{}{}`: false, `[1,]`: false, `01`: false, "\"\n\"": false, `'a'`: false,
		"\"\xff\"": false, "\"\xc0\xaf\"": false, "\"\xed\xa0\x80\"": false,
		`"\ud800"`: false, `"\udc00"`: false, `"\ud800x"`: false, `"\ud800\n"`: false, `"\ud800\ud800\udc00"`: false, `{"\udfff":1}`: false,
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth): true, strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1): false,
		`{"a":"[[[[","b":` + strings.Repeat(`{"[":`, maxDepth-1) + `1` + strings.Repeat("}", maxDepth): true,
	} {
		if got := wellFormed([]byte(body)); got != want {
			t.Errorf("%.60q: %t, want %t", body, got, want)
		}
	}
}

// FuzzMembers: whatever is JSON is walked through as encoding/json does.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{"a":1,"b":[2,{"c":"}"}]}`, `{"\ud800":"\\"}`, `{ "x" : "\"" , "y" : {} }`, `[1,[2],"]"]`, `{"method":"getblockcount","METHOD":"stop"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !wellFormed(body) {
			return
		}
		if body = []byte(strings.Trim(string(body), " \t\r\n")); body[0] != '{' {
			return
		}
		var last map[string]json.RawMessage
		if err := json.Unmarshal(body, &last); err != nil {
			t.Fatal(err)
		}
		seen := map[string]string{}
		count := 0
		eachMember(body, func(name string, value json.RawMessage) bool {
			seen[name] = string(value)
			count++
			return true
		})
		if count != elements(body) || len(seen) != len(last) {
			t.Fatalf("%d members, of %d names; %d and %d are there", count, len(seen), elements(body), len(last))
		}
		for name, value := range last {
			if seen[name] != string(value) {
				t.Errorf("%q: %s, want %s", name, seen[name], value)
			}
		}
	})
}

// TestExactly: names are exact, and the first of a name counts.
func TestExactly(t *testing.T) {
	for object, want := range map[string]string{
		`{"hash":1,"HASH":2,"index":3,"x":4,"hash":5}`: `{"hash":1,"index":3}`,
		`{"Index":3}`: `{}`,
		`[]`:          ``,
		`{`:           ``,
	} {
		if got, err := exactly(json.RawMessage(object), "hash", "index"); string(got) != want || (err != nil) != (want == "") {
			t.Errorf("%s: %s, %v", object, got, err)
		}
	}
}
