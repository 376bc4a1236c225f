package rpc

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// shape is what a method answers with, as help and OpenRPC tell it. It is written
// shortly: {hash:hex height:num tx:[hex] next?:hex} is an object, of which next may be
// missing; {*:bool} is one with any names, [num*5] an array of five. Several answers
// are divided by |, and each may have its condition before it, in parentheses.
type shape struct {
	kind     string // a word of shapeWords, array, fixed, object or dynamic
	when     string // the condition
	name     string // of a member
	optional bool
	inner    []*shape
}

// shapeWords are the kinds of single values: what help calls them, and their schemas.
var shapeWords = map[string]struct{ sample, help, schema string }{
	"str":    {`"str"`, "string", `{"type":"string"}`},
	"hex":    {`"hex"`, "string", `{"type":"string","pattern":"^[0-9a-fA-F]+$"}`},
	"num":    {"n", "numeric", `{"type":"number"}`},
	"amount": {"n", "numeric", `{"type":"number","x-bitcoin-unit":"amount"}`},
	"time":   {"xxx", "numeric", `{"type":"number","x-bitcoin-unit":"unix-time"}`},
	"bool":   {"true|false", "boolean", `{"type":"boolean"}`},
	"null":   {"null", "json null", `{"type":"null"}`},
	"any":    {"...", "any", `{}`},
}

// shapeParser reads shapes. They are constants of the program: a mistake in one panics,
// and a test reads all.
type shapeParser struct{ rest string }

func parseShapes(text string) (list []*shape) {
	if text == "" {
		return nil
	}
	p := &shapeParser{strings.Join(strings.Fields(text), " ")}
	for {
		when := ""
		if p.take("(") {
			when = p.upTo(")")
		}
		s := p.shape()
		s.when = when
		list = append(list, s)
		if !p.take("|") {
			break
		}
	}
	if p.rest != "" {
		panic("shape: what is " + p.rest)
	}
	return list
}

func (p *shapeParser) take(token string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(p.rest, " "), token)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *shapeParser) upTo(token string) string {
	word, rest, ok := strings.Cut(p.rest, token)
	if !ok {
		panic("shape: no " + token + " in " + p.rest)
	}
	p.rest = rest
	return strings.TrimSpace(word)
}

func (p *shapeParser) shape() *shape {
	switch {
	case p.take("["):
		s := &shape{kind: "array", inner: []*shape{p.shape()}}
		if p.take("*") {
			s.kind = "fixed"
			var n int
			if _, err := fmt.Sscan(p.upTo("]"), &n); err != nil {
				panic(err)
			}
			s.inner = slices.Repeat(s.inner, n)
			return s
		}
		for !p.take("]") {
			s.inner = append(s.inner, p.shape())
		}
		return s
	case p.take("{"):
		if p.take("*:") {
			s := &shape{kind: "dynamic", inner: []*shape{p.shape()}}
			p.upTo("}")
			return s
		}
		s := &shape{kind: "object"}
		for !p.take("}") {
			name := p.upTo(":")
			member := p.shape()
			member.name, member.optional = strings.TrimSuffix(name, "?"), strings.HasSuffix(name, "?")
			s.inner = append(s.inner, member)
		}
		return s
	}
	p.rest = strings.TrimLeft(p.rest, " ")
	end := strings.IndexAny(p.rest+" ", " ]}|*")
	word := p.rest[:end]
	p.rest = p.rest[end:]
	if _, ok := shapeWords[word]; !ok {
		panic(fmt.Sprintf("shape: no kind %q before %.20q", word, p.rest))
	}
	return &shape{kind: word}
}

// help writes a shape in Core's layout.
func (s *shape) help(b *strings.Builder, indent string, last bool) {
	const column = 40
	left := indent
	if s.name != "" {
		left += fmt.Sprintf("%q : ", s.name)
	}
	comma := ","
	if last {
		comma = ""
	}
	line := func(text, about string) {
		if s.optional {
			about += ", optional"
		}
		fmt.Fprintf(b, "%-*s(%s)\n", column, text+" ", about)
	}
	word, single := shapeWords[s.kind]
	switch {
	case single:
		line(left+word.sample+comma, word.help)
	case s.kind == "object":
		line(left+"{", "json object")
		for i, member := range s.inner {
			member.help(b, indent+"  ", i == len(s.inner)-1)
		}
		b.WriteString(indent + "}" + comma + "\n")
	case s.kind == "dynamic":
		line(left+"{", "json object")
		member := *s.inner[0]
		member.name = "key"
		member.help(b, indent+"  ", false)
		b.WriteString(indent + "  ...\n" + indent + "}" + comma + "\n")
	default:
		line(left+"[", "json array")
		for _, element := range s.inner {
			element.help(b, indent+"  ", false)
		}
		if s.kind == "array" {
			b.WriteString(indent + "  ...\n")
		}
		b.WriteString(indent + "]" + comma + "\n")
	}
}

// schema returns the JSON Schema of a shape, as Core writes it.
func (s *shape) schema() ordered {
	if word, ok := shapeWords[s.kind]; ok {
		return ordered{{"", json.RawMessage(word.schema)}}
	}
	switch s.kind {
	case "object":
		properties, required := ordered{}, []string{}
		for _, member := range s.inner {
			properties = append(properties, entry{member.name, member.schema()})
			if !member.optional {
				required = append(required, member.name)
			}
		}
		schema := ordered{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}}
		if len(required) > 0 {
			schema = append(schema, entry{"required", required})
		}
		return schema
	case "dynamic":
		return ordered{{"type", "object"}, {"additionalProperties", s.inner[0].schema()}}
	case "fixed":
		items := make([]ordered, len(s.inner))
		for i := range items {
			items[i] = s.inner[i].schema()
		}
		return ordered{{"type", "array"}, {"items", items}, {"additionalItems", false}, {"minItems", len(items)}, {"maxItems", len(items)}}
	}
	if len(s.inner) == 1 {
		return ordered{{"type", "array"}, {"items", s.inner[0].schema()}}
	}
	return ordered{{"type", "array"}, {"items", ordered{{"oneOf", schemas(s.inner)}}}}
}

func schemas(list []*shape) []ordered {
	var all []ordered
	for _, s := range list {
		schema := s.schema()
		if s.when != "" {
			schema = append(slices.Clone(schema), entry{"description", s.when})
		}
		all = append(all, schema)
	}
	return all
}

// ordered is an object whose members keep their order. A member without a name is the
// whole of another object, whose members come here.
type ordered []entry

type entry struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o ordered) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for _, e := range o {
		value, err := json.Marshal(e.value)
		if err != nil {
			return nil, err
		}
		if e.name == "" {
			value = value[1 : len(value)-1] // without its braces
		} else {
			name, _ := json.Marshal(e.name)
			value = append(append(name, ':'), value...)
		}
		if len(b) > 1 && len(value) > 0 {
			b = append(b, ',')
		}
		b = append(b, value...)
	}
	return append(b, '}'), nil
}
