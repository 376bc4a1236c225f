package web_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/node"
)

// schema is the part of JSON Schema that the document of the API uses.
type schema struct {
	Type       string
	Pattern    string
	Properties map[string]*schema
	Required   []string
	More       json.RawMessage `json:"additionalProperties"`
	Items      *schema
	Min        *int `json:"minItems"`
	Max        *int `json:"maxItems"`
	AnyOf      []*schema
}

// check says where a value is not what a schema says; empty: it is.
func (s *schema) check(at string, v any) string {
	if len(s.AnyOf) > 0 {
		faults := ""
		for _, one := range s.AnyOf {
			fault := one.check(at, v)
			if fault == "" {
				return ""
			}
			faults += fault + "; "
		}
		return faults
	}
	kind := "null"
	switch v := v.(type) {
	case bool:
		kind = "boolean"
	case string:
		kind = "string"
		if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v) {
			return at + " is not " + s.Pattern
		}
	case float64:
		if kind = "number"; s.Type == "integer" && v == math.Trunc(v) {
			kind = "integer"
		}
	case []any:
		kind = "array"
		if s.Min != nil && len(v) < *s.Min || s.Max != nil && len(v) > *s.Max {
			return fmt.Sprintf("%s has %d elements", at, len(v))
		}
		for i, one := range v {
			if fault := s.Items.check(fmt.Sprintf("%s[%d]", at, i), one); fault != "" {
				return fault
			}
		}
	case map[string]any:
		kind = "object"
		if fault := s.checkObject(at, v); fault != "" {
			return fault
		}
	}
	if s.Type != kind {
		return fmt.Sprintf("%s is %s, want %s", at, kind, s.Type)
	}
	return ""
}

func (s *schema) checkObject(at string, v map[string]any) string {
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			return at + "." + name + " is missing"
		}
	}
	for name, one := range v {
		of := s.Properties[name]
		if of == nil && string(s.More) != "false" && len(s.More) > 0 {
			if err := json.Unmarshal(s.More, &of); err != nil {
				return at + ": " + err.Error()
			}
		}
		if of == nil {
			return at + "." + name + " is not documented"
		}
		if fault := of.check(at+"."+name, one); fault != "" {
			return fault
		}
	}
	return ""
}

// operation is what the document says of a method of a path.
type operation struct {
	Summary    string
	Parameters []struct{ Name, In string }
	Responses  map[string]struct {
		Content map[string]struct{ Schema *schema }
	}
}

// conforms checks an answer against what is documented.
func (o *operation) conforms(t *testing.T, path string, a *http.Response, body string) {
	t.Helper()
	kind := a.Header.Get("Content-Type")
	told, ok := o.Responses[fmt.Sprint(a.StatusCode)]
	content, known := told.Content[kind]
	if !ok || !known {
		t.Errorf("%s: %s of %s is not documented: %.200s", path, a.Status, kind, body)
		return
	}
	if kind != "application/json" {
		return
	}
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	if fault := content.Schema.check("", v); fault != "" {
		t.Errorf("%s: %s", path, fault)
	}
}

// TestAPIDocument: each path is described with its parameters, and answers as it is described.
func TestAPIDocument(t *testing.T) {
	s := &apiSite{newSite(t, func(c *node.Config) { c.Faucet, c.FaucetAmount, c.FaucetPerHour = true, 1, 1 })}
	document := read[struct {
		OpenAPI string
		Paths   map[string]map[string]*operation
	}](s, "/openapi.json")
	if a := s.ask("/api"); a.StatusCode != http.StatusFound || a.Header.Get("Location") != "/api/openapi.json" {
		t.Errorf("/api: %s", a.Status)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.") || len(document.Paths) < 40 {
		t.Errorf("version %q, %d paths", document.OpenAPI, len(document.Paths))
	}
	// A script that was paid in a block and from the pool, which spends what it has.
	blocks := s.mineAnchors(130)
	address, person := s.person(t)
	var ids []types.Hash
	for i := range 4 {
		from, value := s.coinbaseOf(blocks[i])
		tx := s.pay(from, value, person, person)
		if code, text := s.post(hex.EncodeToString(tx.AppendTo(nil))); code != 200 {
			t.Fatal(text)
		}
		if ids = append(ids, tx.TxID()); i == 1 {
			s.mineAnchors(1)
		}
	}
	sum := sha256.Sum256(person)
	scripthash, nothing := hex.EncodeToString(sum[:]), strings.Repeat("1", 64)
	tip := s.get("/blocks/tip/hash", 200)
	for pattern, methods := range document.Paths {
		for method, o := range methods {
			inPath := 0
			for _, p := range o.Parameters {
				if p.In == "path" {
					inPath++
				}
			}
			if o.Summary == "" || inPath != strings.Count(pattern, "{") {
				t.Errorf("%s %s: %+v", method, pattern, o)
			}
			if method != "get" {
				continue
			}
			of := strings.ReplaceAll(strings.ReplaceAll(pattern, "/block/{hash}", "/block/{block}"), "/scripthash/{hash}", "/scripthash/{script}")
			for _, txid := range []string{ids[0].String(), ids[3].String(), s.coinbase(blocks[9]), s.coinbase(s.hash(0)), nothing, "x"} {
				for _, block := range []string{tip, s.hash(0), nothing, "x"} {
					path := strings.NewReplacer("{txid}", txid, "{block}", block, "{script}", scripthash, "{address}", address, "{after}", txid, "{vout}", "0", "{n}", "1", "{start}", "0", "{height}", "3").Replace(of)
					a := s.ask("/api" + path)
					o.conforms(t, path, a.Response, a.body)
					if !strings.Contains(of, "{block}") {
						break
					}
				}
				if !strings.Contains(of, "{txid}") && !strings.Contains(of, "{after}") {
					break
				}
			}
		}
	}
	parent := s.pay(types.OutPoint{TxID: ids[3], Index: 2}, 1<<40, person)
	for path, bodies := range map[string][]string{"/tx": {"00", hex.EncodeToString(parent.AppendTo(nil))}, "/txs/package": {"[]", packed(t, parent)}, "/faucet": {"address=x"}} {
		for _, body := range bodies {
			a, text := s.call("POST", path, body)
			document.Paths[path]["post"].conforms(t, "POST "+path, a, text)
		}
	}
}

// person is somebody's script, with its address.
func (s *apiSite) person(t *testing.T) (address string, script []byte) {
	t.Helper()
	script = taproot.OutputScript([32]byte(slices.Repeat([]byte{7}, 32)))
	address, err := taproot.EncodeAddress("krtd", script)
	if err != nil {
		t.Fatal(err)
	}
	return address, script
}

func (s *apiSite) coinbase(block string) string {
	s.t.Helper()
	return read[[]string](s, "/block/"+block+"/txids")[0]
}
