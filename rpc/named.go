package rpc

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// elements counts the elements of a JSON array, or the members of an object, without
// decoding it, so that what is too much is refused before it takes many times its
// size. It skips texts, keeps count of brackets, and counts the commas that are in
// the outermost ones alone. What it is given must be valid.
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

// named sorts parameters that came by name, as Bitcoin Core does
// (transformNamedArguments in src/rpc/server.cpp), and with its errors. Two things
// are more than a look-up of names, and bitcoin-cli -named sends both. args holds the
// first parameters by position, which only later ones may follow by name. And the
// options of a parameter may stand beside the others in place of it. Core passes
// over an args that is no list; here it is an error, as are too many members.
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

// readMembers reads an object, of which encoding/json has no form that keeps the
// order. It refuses a name that is there twice, of which a map would have the last
// without a word.
func readMembers(raw json.RawMessage) (members, error) {
	list, err := readPairs(raw)
	if err != nil {
		return nil, failf(CodeInvalidRequest, "Params must be an array or object")
	}
	for i, m := range list {
		if list[:i].at(m.name) >= 0 {
			return nil, failf(CodeInvalidParam, "Parameter %s specified multiple times", m.name)
		}
	}
	return list, nil
}

// readPairs reads an object in its order, in which a name may be twice.
func readPairs(raw json.RawMessage) (list members, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	_, err = d.Token() // the brace
	for err == nil && d.More() {
		var name json.Token
		if name, err = d.Token(); err != nil {
			break
		}
		m := member{name: name.(string)}
		err = d.Decode(&m.value)
		list = append(list, m)
	}
	return list, err
}

func (l members) at(name string) int {
	return slices.IndexFunc(l, func(m member) bool { return m.name == name })
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
