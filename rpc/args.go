package rpc

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	method  *method
	values  []json.RawMessage // nil: not given
	count   int               // how many were given, with those that are null
	err     error             // the first
	socket  *socket           // by which the call came; nil: over HTTP
	session *session          // who calls
}

// parseArgs sorts positional or named parameters, and looks at their types before the
// method reads any, as Core does. Too many, or too few, get the method's help for an
// answer, as Core gives it to people who call by hand. null is an optional parameter
// that is not given: clients fill the place before a later one with it.
func parseArgs(m *method, raw json.RawMessage) (*args, error) {
	a := &args{method: m, values: make([]json.RawMessage, len(m.params))}
	switch {
	case len(raw) == 0 || string(raw) == "null":
	case raw[0] == '[':
		if a.count = elements(raw); a.count > len(m.params) {
			return nil, failf(CodeMisc, "%s", m.help())
		}
		if err := json.Unmarshal(raw, &a.values); err != nil {
			return nil, failf(CodeInvalidRequest, "Params must be an array or object")
		}
		a.values = append(a.values, make([]json.RawMessage, len(m.params)-len(a.values))...)
	default:
		if err := a.named(raw); err != nil {
			return nil, err
		}
	}
	if a.count < m.required() {
		return nil, failf(CodeMisc, "%s", m.help())
	}
	if err := a.checkTypes(); err != nil {
		return nil, err
	}
	return a, nil
}

// checkTypes compares the values with what the parameters are for, and tells of all that
// are wrong at once, in Core's words, line breaks included.
func (a *args) checkTypes() error {
	var wrong []string
	for i := range a.method.params {
		p := &a.method.params[i]
		if a.method.own {
			a.values[i] = unquoted(p.kind, a.values[i])
		}
		got, want := jsonType(a.values[i]), p.kind.word()
		if got == "null" {
			a.values[i] = nil
		}
		if got == want || got == "null" && p.optional != "" || got != "null" && (p.loose || p.kind.several()) {
			continue
		}
		if got == "null" && p.kind == kindPlace { // Core looks at it as at a hash
			a.fail(failf(CodeType, "JSON value of type null is not of expected type string"))
			continue
		}
		wrong = append(wrong, fmt.Sprintf("    \"Position %d (%s)\": \"JSON value of type %s is not of expected type %s\"", i+1, p.name, got, want))
	}
	if len(wrong) > 0 {
		return failf(CodeType, "Wrong type passed:\n{\n%s\n}", strings.Join(wrong, ",\n"))
	}
	return nil
}

// unquoted returns what a text holds, if that is of the kind. bitcoin-cli knows by a
// list which parameters of Core's methods are no texts; of all others it makes texts.
func unquoted(want kind, raw json.RawMessage) json.RawMessage {
	if jsonType(raw) != "string" || want == kindString || want.several() {
		return raw
	}
	text := bytes.Trim([]byte(textOf(raw)), " \t\r\n")
	if len(text) > 0 && wellFormed(text) && jsonType(text) == want.word() {
		return text
	}
	return raw
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

// wrongType is how Core tells of a value whose type only the method looks at.
func (a *args) wrongType(i int, want kind) {
	a.fail(failf(CodeType, "JSON value of type %s is not of expected type %s", jsonType(a.values[i]), want.word()))
}

// text returns a string.
func (a *args) text(i int, otherwise string) string {
	if !a.given(i) {
		return otherwise
	}
	if a.values[i][0] != '"' {
		a.wrongType(i, kindString)
		return ""
	}
	return textOf(a.values[i])
}

// errRange is Core's error for a number that is no integer, or does not fit.
var errRange = failf(CodeMisc, "JSON integer out of range")

// integer returns a whole number. It is written with digits alone, as Core wants it:
// 1.0 and 1e2 are none.
func (a *args) integer(i int, otherwise int64) int64 {
	return a.bounded(i, otherwise, math.MinInt64, math.MaxInt64)
}

// int32 returns a whole number of as many bits as most of Core's have.
func (a *args) int32(i int, otherwise int64) int64 {
	return a.bounded(i, otherwise, math.MinInt32, math.MaxInt32)
}

// bounded returns an integer that Core reads into a type with these bounds.
func (a *args) bounded(i int, otherwise, least, most int64) int64 {
	if !a.given(i) {
		return otherwise
	}
	if jsonType(a.values[i]) != "number" {
		a.wrongType(i, kindNumber)
		return 0
	}
	n, err := strconv.ParseInt(string(a.values[i]), 10, 64) // what JSON takes for a number has no other digits, and no sign before it but -
	if err != nil || n < least || n > most {
		a.fail(errRange)
		return 0
	}
	return n
}

// flag returns a boolean.
func (a *args) flag(i int, otherwise bool) bool {
	if !a.given(i) {
		return otherwise
	}
	switch string(a.values[i]) {
	case "true":
		return true
	case "false":
		return false
	}
	a.wrongType(i, kindBool)
	return false
}

// verbosity returns a number that was once a boolean, and that older clients still
// give as one. There is nothing above most, so more than that is taken for it.
func (a *args) verbosity(i int, otherwise, most int64) int64 {
	if a.given(i) {
		switch string(a.values[i]) {
		case "true":
			return 1
		case "false":
			return 0
		}
	}
	return min(a.int32(i, otherwise), most)
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

// composite returns the encoding of an array or object. It has at most so many
// elements: decoded, each takes many times the two bytes that it may have here, and a
// request may have 32 MiB.
func (a *args) composite(i int, want kind, most int) json.RawMessage {
	raw := a.values[i]
	if jsonType(raw) != want.word() {
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
