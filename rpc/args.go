package rpc

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/karatcoin/karat/chain/types"
)

// args are the parameters of one call, in the method's order. Each of its methods
// reads one, by its place, and has a value for one that is not given. If a parameter
// is not what it should be, the read returns a zero value and the error is
// remembered. Of several errors the first counts: the order of a method's reads is
// the order in which mistakes are told, and is Core's.
type args struct {
	method *method
	values []json.RawMessage // nil: not given
	err    error             // the first
}

// parseArgs sorts positional or named parameters. Too many, or too few, get the
// method's help for an answer, as Core gives it to people who call by hand. null is
// a parameter that is not given: clients fill the place before a later one with it.
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

// fail remembers an error, unless there is one already or it is nil. Methods use it
// for what is wrong with a value that could be read.
func (a *args) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// given reports whether parameter i was given.
func (a *args) given(i int) bool { return a.values[i] != nil }

// wrongType has Core's words, line breaks included.
func (a *args) wrongType(i int, want kind) {
	a.fail(failf(CodeType, "Wrong type passed:\n{\n    \"Position %d (%s)\": \"JSON value of type %s is not of expected type %s\"\n}",
		i+1, a.method.params[i].first(), jsonType(a.values[i]), want.word()))
}

// text returns a string.
func (a *args) text(i int, otherwise string) string {
	if !a.given(i) {
		return otherwise
	}
	var s string
	if json.Unmarshal(a.values[i], &s) != nil {
		a.wrongType(i, kindString)
	}
	return s
}

// unquoted returns a value that is no string, or what a string holds. bitcoin-cli
// knows by a list which parameters of Core's are no strings; of what is not on its
// list, and in older clients of more, it makes strings.
func (a *args) unquoted(i int) string {
	var s string
	if json.Unmarshal(a.values[i], &s) == nil {
		return strings.TrimSpace(s)
	}
	return string(a.values[i])
}

// integer returns a whole number. It may be written as 1.0 or 1e2, as clients do
// whose only numbers are floating.
func (a *args) integer(i int, otherwise int64) int64 {
	if !a.given(i) {
		return otherwise
	}
	text := a.unquoted(i)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		a.wrongType(i, kindNumber)
	case f != math.Trunc(f) || math.Abs(f) > 1<<53: // NaN, a fraction, or so large that a float is not exact
		a.fail(failf(CodeMisc, "JSON integer out of range"))
	default:
		return int64(f)
	}
	return 0
}

// number returns an integer within bounds. Where Core has words of its own for what
// is out of bounds, methods use integer and compare themselves.
func (a *args) number(i int, otherwise, least, most int64) int64 {
	n := a.integer(i, otherwise)
	if a.given(i) && (n < least || n > most) {
		a.fail(failf(CodeInvalidParam, "%s is %d, want %d to %d", a.method.params[i].name, n, least, most))
	}
	return n
}

// flag returns a boolean, for which old clients send 1 and 0.
func (a *args) flag(i int, otherwise bool) bool {
	if !a.given(i) {
		return otherwise
	}
	switch a.unquoted(i) {
	case "true", "1":
		return true
	case "false", "0":
		return false
	}
	a.wrongType(i, kindBool)
	return false
}

// verbosity returns a number that was once a boolean, and that older clients still
// give as one. There is nothing above most, so more than that is taken for it.
func (a *args) verbosity(i int, otherwise, most int64) int64 {
	if a.given(i) {
		switch a.unquoted(i) {
		case "true":
			return 1
		case "false":
			return 0
		}
	}
	return min(a.integer(i, otherwise), most)
}

// hash returns 64 hexadecimal digits. Core's errors give some parameters another
// name than its help does.
func (a *args) hash(i int, name string) types.Hash {
	return a.parseHash(name, a.text(i, ""))
}

func (a *args) parseHash(name, s string) types.Hash {
	h, err := types.ParseHash(s)
	switch {
	case len(s) != 2*types.HashSize:
		a.fail(failf(CodeInvalidParam, "%s must be of length 64 (not %d, for '%.100s')", name, len(s), s))
	case err != nil:
		a.fail(failf(CodeInvalidParam, "%s must be hexadecimal string (not '%s')", name, s))
	}
	return h
}

// composite returns the encoding of an array or object, or of what a text holds of
// one. It has at most so many elements: decoded, each takes many times the two bytes
// that it may have here, and a request may have 32 MiB.
func (a *args) composite(i int, want kind, most int) json.RawMessage {
	raw := json.RawMessage(a.unquoted(i))
	opening := byte('[')
	if want == kindObject {
		opening = '{'
	}
	if len(raw) == 0 || raw[0] != opening || !json.Valid(raw) { // the request is valid, but not what its texts hold
		a.wrongType(i, want)
		return nil
	}
	if n := elements(raw); n > most {
		a.fail(failf(CodeInvalidParam, "%s has %d elements, at most %d are allowed", a.method.params[i].name, n, most))
		return nil
	}
	return raw
}

// list returns the elements of an array, undecoded.
func (a *args) list(i int, most int) (list []json.RawMessage) {
	if !a.given(i) {
		return nil
	}
	if raw := a.composite(i, kindArray, most); raw != nil {
		a.fail(json.Unmarshal(raw, &list))
	}
	return list
}

// texts returns an array of strings.
func (a *args) texts(i int, most int) []string {
	list := a.list(i, most)
	texts := make([]string, len(list))
	for j := range list {
		texts[j] = a.element(list[j])
	}
	return texts
}

// element returns the string that an element of a list is.
func (a *args) element(raw json.RawMessage) (s string) {
	if got := jsonType(raw); got != "string" {
		a.fail(failf(CodeType, "JSON value of type %s is not of expected type string", got))
		return ""
	}
	a.fail(json.Unmarshal(raw, &s))
	return s
}

// options reads an object into a struct. As in Bitcoin Core, a member that is none
// of the parameter's options is an error: a misspelt wish should not be passed over.
func (a *args) options(i int, into any) {
	if !a.given(i) {
		return
	}
	p := &a.method.params[i]
	raw := a.composite(i, kindObject, len(p.options))
	if raw == nil {
		return
	}
	given, err := readMembers(raw)
	a.fail(err)
	for _, m := range given {
		at := slices.IndexFunc(p.options, func(option param) bool { return option.name == m.name })
		if at < 0 {
			a.fail(failf(CodeType, "Unexpected key %.100s", m.name))
			return
		}
		got, want := jsonType(m.value), p.options[at].kind.word()
		if got != "null" && got != want {
			a.fail(failf(CodeType, "JSON value of type %s for field %s is not of expected type %s", got, m.name, want))
			return
		}
	}
	if err := json.Unmarshal(raw, into); err != nil {
		a.fail(failf(CodeType, "%s: %v", p.name, err))
	}
}

// bytes decodes hexadecimal. Core has other words in each method for a text that is
// none, so the method brings them.
func (a *args) bytes(text string, undecodable *Error) []byte {
	raw, err := hex.DecodeString(text)
	if err != nil {
		a.fail(undecodable)
	}
	return raw
}

// transaction decodes a transaction in hexadecimal. Nothing may be left over.
func (a *args) transaction(text string, undecodable *Error) *types.Tx {
	tx, err := types.DecodeTx(a.bytes(text, undecodable))
	if err != nil {
		a.fail(undecodable)
	}
	return tx
}
