package rpc

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// named sorts parameters that came by name, as Bitcoin Core does
// (transformNamedArguments in src/rpc/server.cpp), and with its errors. Two things
// are more than a look-up of names, and bitcoin-cli -named sends both. args holds the
// first parameters by position, which only later ones may follow by name. And the
// options of a parameter may stand beside the others in place of it. Core passes
// over an args that is no list; here it is an error.
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
	first := len(a.values) // the place of the first that is named
	for i := range a.method.params {
		value, err := left.takeParam(&a.method.params[i])
		if err != nil {
			return err
		}
		if value != nil {
			a.values[i] = value
			a.count = i + 1
			first = min(first, i)
		}
	}
	list, positional := left.take("args"), []json.RawMessage(nil)
	if string(list) == "null" {
		list = nil
	}
	if list != nil && list[0] != '[' {
		return failf(CodeInvalidParam, "Parameter args is not a list")
	}
	count := elements(list)
	if count > first && first < len(a.values) {
		return failf(CodeInvalidParam, "Parameter %s specified twice both as positional and named argument", a.method.params[first].name)
	}
	if list != nil && count <= len(a.values) && json.Unmarshal(list, &positional) != nil {
		return failf(CodeInvalidParam, "Parameter args is not a list")
	}
	copy(a.values, positional)
	a.count = max(a.count, len(positional))
	if len(left) > 0 {
		return failf(CodeInvalidParam, "Unknown named parameter %.100s", left[0].name)
	}
	if count > len(a.values) { // as where all are by position
		return failf(CodeMisc, "%s", a.method.help())
	}
	return nil
}

// take removes the member that has one of the names, and returns its value, or nil.
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

// takeParam removes what was given for a parameter: itself or its options, of which
// it makes the object that it is for the method.
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
