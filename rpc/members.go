package rpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encoding/json finds the members of a struct by names without case, and takes the
// last of two that have the same name. Who calls METHOD would call what method names.
// So whatever a client sends is read here: names are exact, and the order is kept.

// maxDepth is how deep brackets may lie in each other, Bitcoin Core's.
const maxDepth = 512

// wellFormed reports whether a body is JSON as Bitcoin Core reads it: UTF-8 throughout,
// no half of a surrogate pair, and not too deep. encoding/json would put other letters
// in place of the first two.
func wellFormed(body []byte) bool {
	return utf8.Valid(body) && json.Valid(body) && wholeLetters(body)
}

// wholeLetters looks at the escapes and the depth of valid JSON.
func wholeLetters(valid []byte) bool {
	depth := 0
	for i := 0; i < len(valid); i++ {
		switch valid[i] {
		case '[', '{':
			if depth++; depth > maxDepth {
				return false
			}
		case ']', '}':
			depth--
		case '"':
			end := textEnd(valid, i)
			if !wholePairs(valid[i:end]) {
				return false
			}
			i = end - 1
		}
	}
	return true
}

// wholePairs reports whether each half of a surrogate pair that a text escapes has its
// other half beside it.
func wholePairs(text []byte) bool {
	high := false // the letter before is the first half of a pair
	for len(text) > 0 {
		first, low := false, false
		switch {
		case text[0] != '\\':
			text = text[1:]
		case text[1] != 'u':
			text = text[2:]
		default:
			code, _ := strconv.ParseUint(string(text[2:6]), 16, 16)
			text = text[6:]
			low = utf16.IsSurrogate(rune(code)) && code >= 0xdc00
			first = utf16.IsSurrogate(rune(code)) && !low
		}
		if high != low {
			return false
		}
		high = first
	}
	return !high
}

// textEnd returns where the text ends that begins at i.
func textEnd(valid []byte, i int) int {
	for i++; valid[i] != '"'; i++ {
		if valid[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd returns where the value ends that begins at i.
func valueEnd(valid []byte, i int) int {
	for depth := 0; i < len(valid); {
		switch valid[i] {
		case '"':
			i = textEnd(valid, i)
		case '[', '{':
			depth++
			i++
		case ']', '}':
			if depth == 0 {
				return i
			}
			depth--
			i++
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
			i++
			continue
		default:
			i++
			continue // within a number or a word
		}
		if depth == 0 {
			return i
		}
	}
	return len(valid)
}

// skipSpace returns where something stands from i on.
func skipSpace(valid []byte, i int) int {
	for i < len(valid) && strings.IndexByte(" \t\r\n", valid[i]) >= 0 {
		i++
	}
	return i
}

// eachMember calls f with the members of an object, in its order, until it is told to
// stop. What it is given must be valid. It makes nothing: an object may have as many
// members as fit in a request.
func eachMember(object []byte, f func(name string, value json.RawMessage) bool) {
	i := skipSpace(object, skipSpace(object, 0)+1)
	for object[i] != '}' {
		end := textEnd(object, i)
		name := textOf(object[i:end])
		i = skipSpace(object, skipSpace(object, end)+1) // past the colon
		end = valueEnd(object, i)
		if !f(name, object[i:end:end]) {
			return
		}
		if i = skipSpace(object, end); object[i] == ',' {
			i = skipSpace(object, i+1)
		}
	}
}

// textOf decodes a text. Most have no escapes.
func textOf(raw []byte) (s string) {
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	_ = json.Unmarshal(raw, &s) // it is valid
	return s
}

// isText reports whether a value is the text s, in whatever way it is written.
func isText(raw json.RawMessage, s string) bool {
	return len(raw) > 0 && raw[0] == '"' && textOf(raw) == s
}

// members are the members of an object, in its order.
type members []member

type member struct {
	name  string
	value json.RawMessage
}

// readMembers reads an object. It refuses a name that is there twice.
func readMembers(raw json.RawMessage) (members, error) {
	list, err := readPairs(raw)
	if err != nil {
		return nil, failf(CodeInvalidRequest, "Params must be an array or object")
	}
	for i, m := range list {
		if list[:i].at(m.name) >= 0 {
			return nil, failf(CodeInvalidParam, "Parameter %.100s specified multiple times", m.name)
		}
	}
	return list, nil
}

// readPairs reads an object, in which a name may be twice.
func readPairs(raw json.RawMessage) (list members, err error) {
	if at := skipSpace(raw, 0); at == len(raw) || raw[at] != '{' || !json.Valid(raw) {
		return nil, errors.New("not an object")
	}
	eachMember(raw, func(name string, value json.RawMessage) bool {
		list = append(list, member{name, value})
		return true
	})
	return list, nil
}

// exactly keeps the members of an object that have one of the names, each the first of
// its name. encoding/json would take NAME for name, and the last.
func exactly(object json.RawMessage, names ...string) (json.RawMessage, error) {
	list, err := readPairs(object)
	kept := ordered{}
	for _, name := range names {
		if at := list.at(name); at >= 0 {
			kept = append(kept, entry{name, list[at].value})
		}
	}
	if err != nil {
		return nil, err
	}
	return kept.MarshalJSON()
}

// at returns where the first member with a name is, or -1.
func (l members) at(name string) int {
	return slices.IndexFunc(l, func(m member) bool { return m.name == name })
}

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
			i = textEnd(valid, i) - 1
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
