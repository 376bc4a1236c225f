package rpc

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/karatcoin/karat/chain/types"
)

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

// named orders parameters that came by name, as Bitcoin Core does
// (transformNamedArguments in src/rpc/server.cpp), with its errors. The options of
// a parameter may stand for it, each by its own name, and args holds parameters by
// position, which the named ones follow: bitcoin-cli -named sends both.
func (a *args) named(raw json.RawMessage) error {
	most := len(a.values) + 1 // with args
	for i := range a.method.params {
		most += len(a.method.params[i].options)
	}
	if elements(raw) > most {
		return failf(CodeInvalidParam, "%s has at most %d parameters", a.method.name, len(a.values))
	}
	left, err := readMembers(raw)
	if err != nil {
		return err
	}
	first := len(a.values) // of those that are named
	for i := range a.method.params {
		value, err := left.takeParam(&a.method.params[i])
		if err != nil {
			return err
		}
		if value != nil {
			a.values[i] = value
			first = min(first, i)
		}
	}
	var positional []json.RawMessage
	if list := left.take("args"); list != nil && (elements(list) > len(a.values) || json.Unmarshal(list, &positional) != nil) {
		return failf(CodeInvalidParam, "Parameter args is not a list of at most %d", len(a.values))
	}
	if len(positional) > first {
		return failf(CodeInvalidParam, "Parameter %s specified twice both as positional and named argument", a.method.params[first].name)
	}
	copy(a.values, positional)
	if len(left) > 0 {
		return failf(CodeInvalidParam, "Unknown named parameter %s", left[0].name)
	}
	return nil
}

// members are the members of an object, in its order.
type members []member

type member struct {
	name  string
	value json.RawMessage
}

// readMembers reads an object. It refuses a name that is there twice, of which
// encoding/json would take the last without a word.
func readMembers(raw json.RawMessage) (members, error) {
	var list members
	d := json.NewDecoder(bytes.NewReader(raw))
	_, err := d.Token() // the brace
	for err == nil && d.More() {
		var name json.Token
		if name, err = d.Token(); err != nil {
			break
		}
		m := member{name: name.(string)}
		if list.at(m.name) >= 0 {
			return nil, failf(CodeInvalidParam, "Parameter %s specified multiple times", m.name)
		}
		err = d.Decode(&m.value)
		list = append(list, m)
	}
	if err != nil {
		return nil, failf(CodeInvalidRequest, "Params must be an array or object")
	}
	return list, nil
}

func (l members) at(name string) int {
	return slices.IndexFunc(l, func(m member) bool { return m.name == name })
}

// take removes a member by one of its names, and returns its value, or nil.
func (l *members) take(names string) json.RawMessage {
	for name := range strings.SplitSeq(names, "|") {
		if at := l.at(name); at >= 0 {
			value := (*l)[at].value
			*l = slices.Delete(*l, at, at+1)
			return value
		}
	}
	return nil
}

// takeParam removes a parameter, or its options, which make an object.
func (l *members) takeParam(p *param) (json.RawMessage, error) {
	options := map[string]json.RawMessage{}
	first := ""
	for i := range p.options {
		name := p.options[i].name
		if value := l.take(name); value != nil {
			options[name] = value
			first = cmp.Or(first, name)
		}
	}
	value := l.take(p.name)
	switch {
	case len(options) == 0:
		return value, nil
	case value != nil:
		return nil, failf(CodeInvalidParam, "Parameter %s conflicts with parameter %s", p.name, first)
	}
	return json.Marshal(options)
}

// given reports whether parameter i was given.
func (a *args) given(i int) bool { return a.values[i] != nil }

func (a *args) wrongType(i int, want kind) error {
	return failf(CodeType, "Wrong type passed:\n{\n    \"Position %d (%s)\": \"JSON value of type %s is not of expected type %s\"\n}",
		i+1, a.method.params[i].first(), typeName(a.values[i]), typeWord(want))
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

// composite returns an array or object, or the text of one, with at most so many
// elements or members.
func (a *args) composite(i int, want kind, most int) (json.RawMessage, error) {
	raw := json.RawMessage(a.unquoted(i))
	opening := byte('[')
	if want == kindObject {
		opening = '{'
	}
	if len(raw) == 0 || raw[0] != opening || !json.Valid(raw) { // a text may hold anything
		return nil, a.wrongType(i, want)
	}
	if n := elements(raw); n > most {
		return nil, failf(CodeInvalidParam, "%s has %d elements, at most %d are allowed", a.method.params[i].name, n, most)
	}
	return raw, nil
}

// list returns an array parameter.
func (a *args) list(i int, most int) ([]json.RawMessage, error) {
	if !a.given(i) {
		return nil, nil
	}
	raw, err := a.composite(i, kindArray, most)
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	return list, json.Unmarshal(raw, &list)
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

// options reads an object parameter into a struct. As in Bitcoin Core, a member
// that is none of the parameter's options is an error: a misspelt wish should not
// be passed over.
func (a *args) options(i int, into any) error {
	if !a.given(i) {
		return nil
	}
	p := &a.method.params[i]
	raw, err := a.composite(i, kindObject, len(p.options))
	if err != nil {
		return err
	}
	given, err := readMembers(raw)
	if err != nil {
		return err
	}
	for _, m := range given {
		if !slices.ContainsFunc(p.options, func(option param) bool { return option.name == m.name }) {
			return failf(CodeType, "Unexpected key %.100s", m.name)
		}
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return failf(CodeType, "%s: %v", p.name, err)
	}
	return nil
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
