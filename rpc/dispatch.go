package rpc

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/karatcoin/karat/chain/types"
)

// kind is the type of a parameter as help names it.
type kind string

const (
	kindNumber kind = "numeric"
	kindString kind = "string"
	kindBool   kind = "boolean"
	kindArray  kind = "json array"
	kindObject kind = "json object"
	kindAny    kind = "any"
)

// param is a parameter of a method.
type param struct {
	name     string
	kind     kind
	optional string // the default in words; empty: the parameter is required
	about    string
}

// method is one method that clients can call.
type method struct {
	name     string
	category string
	about    string
	params   []param
	result   string
	// slow methods share a few places, so that they do not hold up the others.
	slow   bool
	handle func(ctx context.Context, s *Server, a *args) (any, error)
}

// methods returns the table of all methods, by name.
func methods() map[string]*method {
	table := map[string]*method{}
	for _, list := range [][]method{
		blockchainMethods(), rawTransactionMethods(), poolMethods(), utilMethods(),
		controlMethods(), networkMethods(), miningMethods(), extraMethods(),
	} {
		for i := range list {
			table[list[i].name] = &list[i]
		}
	}
	return table
}

// args are the parameters of one call, in the order of the method's.
type args struct {
	method *method
	values []json.RawMessage // nil: not given
}

// parseArgs reads positional or named parameters.
func parseArgs(m *method, raw json.RawMessage) (*args, error) {
	a := &args{method: m, values: make([]json.RawMessage, len(m.params))}
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0 || string(raw) == "null":
	case raw[0] == '[':
		if elements(raw) > len(m.params) {
			return nil, failf(CodeMisc, "%s", m.help())
		}
		if err := json.Unmarshal(raw, &a.values); err != nil {
			return nil, failf(CodeInvalidRequest, "Params must be an array or object")
		}
		a.values = append(a.values, make([]json.RawMessage, len(m.params)-len(a.values))...)
	case raw[0] == '{':
		if err := a.named(raw); err != nil {
			return nil, err
		}
	default:
		return nil, failf(CodeInvalidRequest, "Params must be an array or object")
	}
	for i, p := range m.params {
		if string(a.values[i]) == "null" {
			a.values[i] = nil
		}
		if a.values[i] == nil && p.optional == "" {
			return nil, failf(CodeMisc, "%s", m.help())
		}
	}
	return a, nil
}

// elements counts the elements of a JSON array, or the members of an object, so
// that what is too much is refused before it takes many times its size as a list.
func elements(valid []byte) int {
	count, depth, empty := 0, 0, true
	for i := 0; i < len(valid); i++ {
		switch c := valid[i]; c {
		case ' ', '\t', '\r', '\n':
			continue
		case '"':
			for i++; i < len(valid) && valid[i] != '"'; i++ {
				if valid[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			if depth++; depth == 1 {
				continue
			}
		case ']', '}':
			if depth--; depth == 0 {
				continue
			}
		case ',':
			if depth == 1 {
				count++
			}
		}
		empty = false
	}
	if empty {
		return 0
	}
	return count + 1
}

func (a *args) named(raw json.RawMessage) error {
	if most := len(a.values) + 1; elements(raw) > most { // with args
		return failf(CodeInvalidParam, "%s has at most %d parameters", a.method.name, len(a.values))
	}
	var byName map[string]json.RawMessage
	if err := json.Unmarshal(raw, &byName); err != nil {
		return failf(CodeInvalidRequest, "Params must be an array or object")
	}
	if list, ok := byName["args"]; ok { // positional ones among named, as bitcoin-cli sends them
		var positional []json.RawMessage
		if elements(list) > len(a.values) || json.Unmarshal(list, &positional) != nil {
			return failf(CodeInvalidParam, "Parameter args is not a list of at most %d", len(a.values))
		}
		copy(a.values, positional)
		delete(byName, "args")
	}
	for name, value := range byName {
		at := a.index(name)
		if at < 0 {
			return failf(CodeInvalidParam, "Unknown named parameter %s", name)
		}
		if a.values[at] != nil {
			return failf(CodeInvalidParam, "Parameter %s specified twice both as positional and named argument", name)
		}
		a.values[at] = value
	}
	return nil
}

func (a *args) index(name string) int {
	for i, p := range a.method.params {
		for alias := range strings.SplitSeq(p.name, "|") {
			if alias == name {
				return i
			}
		}
	}
	return -1
}

// given reports whether parameter i was given.
func (a *args) given(i int) bool { return a.values[i] != nil }

func (a *args) wrongType(i int, want kind) error {
	return failf(CodeType, "Wrong type passed:\n{\n    \"Position %d (%s)\": \"JSON value of type %s is not of expected type %s\"\n}",
		i+1, strings.SplitN(a.method.params[i].name, "|", 2)[0], typeName(a.values[i]), typeWord(want))
}

func typeName(raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		return "string"
	case '[':
		return "array"
	case '{':
		return "object"
	case 't', 'f':
		return "bool"
	}
	return "number"
}

func typeWord(k kind) string {
	switch k {
	case kindNumber:
		return "number"
	case kindBool:
		return "bool"
	case kindArray:
		return "array"
	case kindObject:
		return "object"
	}
	return "string"
}

// text returns a string parameter.
func (a *args) text(i int, otherwise string) (string, error) {
	if !a.given(i) {
		return otherwise, nil
	}
	var s string
	if err := json.Unmarshal(a.values[i], &s); err != nil {
		return "", a.wrongType(i, kindString)
	}
	return s, nil
}

// unquoted returns a value that is no string, or what a string holds: clients that
// do not know a method send everything as strings.
func (a *args) unquoted(i int) string {
	var s string
	if json.Unmarshal(a.values[i], &s) == nil {
		return strings.TrimSpace(s)
	}
	return string(a.values[i])
}

// number returns an integer parameter within bounds.
func (a *args) number(i int, otherwise, least, most int64) (int64, error) {
	if !a.given(i) {
		return otherwise, nil
	}
	text := a.unquoted(i)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, a.wrongType(i, kindNumber)
		}
		if f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return 0, failf(CodeMisc, "JSON integer out of range")
		}
		n = int64(f)
	}
	if n < least || n > most {
		return 0, failf(CodeInvalidParam, "%s is %d, want %d to %d", a.method.params[i].name, n, least, most)
	}
	return n, nil
}

// flag returns a boolean parameter.
func (a *args) flag(i int, otherwise bool) (bool, error) {
	if !a.given(i) {
		return otherwise, nil
	}
	switch a.unquoted(i) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, a.wrongType(i, kindBool)
}

// verbosity returns a number that older clients give as a boolean.
func (a *args) verbosity(i int, otherwise, most int64) (int64, error) {
	if !a.given(i) {
		return otherwise, nil
	}
	switch a.unquoted(i) {
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	}
	n, err := a.number(i, otherwise, math.MinInt64, math.MaxInt64)
	return min(n, most), err
}

// parseHash reads a parameter of 64 hexadecimal digits.
func parseHash(name, s string) (types.Hash, error) {
	if len(s) != 2*types.HashSize {
		return types.Hash{}, failf(CodeInvalidParam, "%s must be of length 64 (not %d, for '%.100s')", name, len(s), s)
	}
	h, err := types.ParseHash(s)
	if err != nil {
		return types.Hash{}, failf(CodeInvalidParam, "%s must be hexadecimal string (not '%s')", name, s)
	}
	return h, nil
}

// list returns an array parameter.
func (a *args) list(i int, most int) ([]json.RawMessage, error) {
	if !a.given(i) {
		return nil, nil
	}
	raw := a.values[i]
	var s string
	if json.Unmarshal(raw, &s) == nil {
		raw = json.RawMessage(s)
	}
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '[' || !json.Valid(raw) { // the text may hold anything
		return nil, a.wrongType(i, kindArray)
	}
	if n := elements(raw); n > most {
		return nil, failf(CodeInvalidParam, "%s has %d elements, at most %d are allowed", a.method.params[i].name, n, most)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, a.wrongType(i, kindArray)
	}
	return list, nil
}

// texts returns an array of strings.
func (a *args) texts(i int, most int) ([]string, error) {
	list, err := a.list(i, most)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(list))
	for j := range list {
		if json.Unmarshal(list[j], &texts[j]) != nil {
			return nil, failf(CodeType, "%s holds something that is no string", a.method.params[i].name)
		}
	}
	return texts, nil
}

// transaction decodes a transaction in hexadecimal.
func transaction(text string) (*types.Tx, error) {
	raw, err := hex.DecodeString(text)
	if err == nil {
		var tx *types.Tx
		if tx, err = types.DecodeTx(raw); err == nil && len(tx.Inputs) > 0 {
			return tx, nil
		}
	}
	return nil, failf(CodeDeserialization, "TX decode failed. Make sure the tx has at least one input.")
}

// help returns what a client is told of a method, in the layout of Bitcoin Core's.
func (m *method) help() string {
	var b strings.Builder
	b.WriteString(m.name)
	optional := false // the rest is, once one is
	for _, p := range m.params {
		if p.optional != "" && !optional {
			b.WriteString(" (")
			optional = true
		}
		b.WriteString(" " + p.display())
	}
	if optional {
		b.WriteString(" )")
	}
	fmt.Fprintf(&b, "\n\n%s\n", m.about)
	if len(m.params) > 0 {
		b.WriteString("\nArguments:\n")
		for i, p := range m.params {
			need := "required"
			if p.optional != "" {
				need = "optional, default=" + p.optional
			}
			fmt.Fprintf(&b, "%d. %s    (%s, %s) %s\n", i+1, strings.SplitN(p.name, "|", 2)[0], p.kind, need, p.about)
		}
	}
	if m.result != "" {
		fmt.Fprintf(&b, "\nResult:\n%s\n", m.result)
	}
	fmt.Fprintf(&b, "\nExamples:\n> karat rpc %s%s\n", m.name, m.example())
	return b.String()
}

func (p *param) display() string {
	name := strings.SplitN(p.name, "|", 2)[0]
	switch p.kind {
	case kindString:
		return `"` + name + `"`
	case kindArray:
		return "[" + name + ",...]"
	case kindObject:
		return "{" + name + "}"
	}
	return name
}

func (m *method) example() string {
	var b strings.Builder
	for _, p := range m.params {
		if p.optional == "" {
			b.WriteString(" " + strings.ToUpper(strings.SplitN(p.name, "|", 2)[0]))
		}
	}
	return b.String()
}
