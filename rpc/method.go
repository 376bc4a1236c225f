package rpc

import (
	"context"
	"fmt"
	"strings"
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
	options  []param // of an object, which may also be given as named parameters
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
		var options []param
		for i, p := range m.params {
			fmt.Fprintf(&b, "%d. %s", i+1, p.line())
			options = append(options, p.options...)
		}
		if len(options) > 0 {
			b.WriteString("\nNamed Arguments:\n")
		}
		for _, p := range options {
			b.WriteString(p.line())
		}
	}
	if m.result != "" {
		fmt.Fprintf(&b, "\nResult:\n%s\n", m.result)
	}
	fmt.Fprintf(&b, "\nExamples:\n> karat rpc %s%s\n", m.name, m.example())
	return b.String()
}

// first is the name of a parameter that help shows; others are older ones.
func (p *param) first() string {
	name, _, _ := strings.Cut(p.name, "|")
	return name
}

func (p *param) line() string {
	need := "required"
	if p.optional != "" {
		need = "optional, default=" + p.optional
	}
	return fmt.Sprintf("%s    (%s, %s) %s\n", p.first(), p.kind, need, p.about)
}

func (p *param) display() string {
	name := p.first()
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
			b.WriteString(" " + strings.ToUpper(p.first()))
		}
	}
	return b.String()
}
