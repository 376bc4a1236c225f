package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// kind is the type of a parameter as help names it. Help and errors show it; what a
// method takes is decided by how it reads the parameter.
type kind string

const (
	kindNumber kind = "numeric"
	kindString kind = "string"
	kindBool   kind = "boolean"
	kindArray  kind = "json array"
	kindObject kind = "json object"
	kindAny    kind = "any"
	kindAmount kind = "numeric or string" // coins
	kindPlace  kind = "string or numeric" // a block's hash or height
	kindRange  kind = "numeric or array"  // the end of a range, or both
)

// word is the kind as Bitcoin Core's errors name it.
func (k kind) word() string {
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

// several reports whether there are several types, at which the method looks itself.
func (k kind) several() bool {
	return k == kindAny || k == kindAmount || k == kindPlace || k == kindRange
}

// param is a parameter of a method.
type param struct {
	name     string // Core's, by which clients give it; older names follow after |
	kind     kind
	optional string // the default in words; empty: the parameter is required
	about    string
	sample   string  // of a value, for the example of help; empty: the name in capitals
	options  []param // the members of an object, which may also be parameters by name
	loose    bool    // the method looks at the type itself, as there are several
	hidden   bool    // help does not show it
}

// method is one method that clients can call.
type method struct {
	name     string
	category string // under which help lists it
	roles    []role // that have it, from the list of roles; empty: @all alone
	about    string
	params   []param
	gone     bool    // it does nothing but tell so: of it there are no examples
	forTests bool    // help does not list it
	server   *Server // for the examples of help
	own      bool    // not Core's: bitcoin-cli makes texts of all its parameters
	socket   bool    // only a WebSocket has it: it is about what the client is told of
	slow     bool    // it waits for one of a few places, so as not to hold up the others
	// read reads the parameters and returns the work, which is done only if all of
	// them are right. It changes nothing and waits for nothing. It may look at the
	// header tree, so that a block that does not exist is a wrong parameter.
	read func(s *Server, a *args) work
}

// work is what a method does when its parameters are read: it returns the result,
// or an error that asError understands.
type work func(ctx context.Context) (any, error)

// noParams makes a method of a function that has no parameters to read.
func noParams(do func(ctx context.Context, s *Server) (any, error)) func(*Server, *args) work {
	return func(s *Server, _ *args) work {
		return func(ctx context.Context) (any, error) { return do(ctx, s) }
	}
}

// run reads the parameters, and does the work if they are right. This is the one
// place where they are checked.
func (m *method) run(ctx context.Context, s *Server, a *args) (any, error) {
	do := m.read(s, a)
	if a.err != nil {
		return nil, a.err
	}
	a.values = nil // work that read on would do so unchecked; now it panics
	return do(ctx)
}

// hidden is the category of methods that help explains and does not list, as in Core.
const hidden = "Hidden"

// btcd is the category of btcd's methods.
const btcd = "Btcd"

// methods returns the table of all methods, by name.
func methods() map[string]*method {
	table := map[string]*method{}
	for _, group := range []struct {
		category string
		methods  []method
	}{
		{"Blockchain", chainMethods()}, {"Blockchain", blockMethods()}, {"Blockchain", coinMethods()}, {"Blockchain", pruneMethods()}, {"Blockchain", poolMethods()},
		{"Blockchain", clusterMethods()}, {"Blockchain", poolFileMethods()}, {"Blockchain", waitMethods()}, {"Blockchain", deploymentMethods()}, {hidden, hiddenMethods()},
		{"Rawtransactions", transactionMethods()}, {"Rawtransactions", submitMethods()}, {"Rawtransactions", createMethods()}, {"Util", utilMethods()}, {"Util", indexMethods()},
		{"Util", descriptorMethods()}, {"Util", messageMethods()}, {"Blockchain", scanMethods()}, {"Blockchain", activityMethods()}, {"Blockchain", proofMethods()},
		{"Rawtransactions", packageMethods()}, {"Rawtransactions", psbtMethods()},
		{"Blockchain", lookupMethods()}, {"Index", scriptMethods()},
		{"Control", controlMethods()}, {"Control", doctorMethods()}, {"Control", loggingMethods()}, {hidden, echoMethods()}, {"Network", networkMethods()}, {"Network", peerMethods()}, {"Network", banMethods()}, {"Network", addressMethods()},
		{"Control", openRPCMethods()},
		{"Mining", miningMethods()}, {"Mining", priorityMethods()}, {"Mining", stratumMethods()}, {"Mining", templateMethods()}, {"Mining", submitBlockMethods()}, {hidden, generateMethods()},
		{"Zmq", zmqMethods()}, {hidden, labMethods()}, {btcd, btcdMethods()}, {btcd, searchMethods()}, {"WebSocket", socketMethods()}, {"WebSocket", subscribeMethods()},
		{devCategory, devMethods()},
	} {
		for _, m := range group.methods {
			m.category, m.roles = group.category, rolesOf(m.name)
			m.own = m.own || m.socket || group.category == btcd || group.category == devCategory
			if m.forTests {
				m.category = hidden
			}
			table[m.name] = &m
		}
	}
	return table
}

// required is how many parameters there must be at least: up to the last that is not
// optional.
func (m *method) required() int {
	for n := len(m.params); n > 0; n-- {
		if m.params[n-1].optional == "" {
			return n
		}
	}
	return 0
}

// TakesText reports whether a parameter of a method is a text: the one with the name, or
// without a name the nth, counted from 0. Of methods that this program does not know it says
// no. Who types parameters needs it: the digits of a script are no number.
func TakesText(method, name string, n int) bool {
	m := methods()[method]
	if m == nil {
		return false
	}
	for i, p := range m.params {
		if name == "" && i == n || name != "" && slices.Contains(strings.Split(p.name, "|"), name) {
			return p.kind == kindString
		}
		for _, option := range p.options {
			if name != "" && option.name == name {
				return option.kind == kindString
			}
		}
	}
	return false
}

// help returns what a client is told of a method, in Core's layout, because explorers
// read it.
func (m *method) help() string {
	port := uint16(8332)
	if m.server != nil && m.server.Params != nil {
		port = m.server.Params.Ports.RPC
	}
	var b strings.Builder
	b.WriteString(m.name)
	optional := false
	params := slices.DeleteFunc(slices.Clone(m.params), func(p param) bool { return p.hidden })
	for _, p := range params {
		switch {
		case p.optional != "" && !optional:
			b.WriteString(" (")
		case p.optional == "" && optional:
			b.WriteString(" )")
		}
		optional = p.optional != ""
		b.WriteString(" " + p.display())
	}
	if optional {
		b.WriteString(" )")
	}
	fmt.Fprintf(&b, "\n\n%s\n", m.about)
	if m.gone {
		return b.String()
	}
	if len(params) > 0 {
		b.WriteString("\nArguments:\n")
		var options []param
		for i, p := range params {
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
	for _, s := range parseShapes(results[m.name]) {
		b.WriteString("\nResult")
		if s.when != "" {
			b.WriteString(" (" + s.when + ")")
		}
		b.WriteString(":\n")
		s.help(&b, "", true)
	}
	fmt.Fprintf(&b, "\nExamples:\n> karat rpc %s%s\n", m.name, m.example())
	fmt.Fprintf(&b, "> curl --user myusername --data-binary '{\"jsonrpc\": \"2.0\", \"id\": \"curltest\", \"method\": %q, \"params\": [%s]}' -H 'content-type: application/json' http://127.0.0.1:%d/\n",
		m.name, m.exampleJSON(), port)
	return b.String()
}

// first is the name of a parameter that help and errors show.
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

// exampleJSON is the example as JSON.
func (m *method) exampleJSON() string {
	n := m.required()
	values := make([]string, n)
	for i := range values {
		switch p := &m.params[i]; {
		case p.optional != "" && json.Valid([]byte(p.optional)):
			values[i] = p.optional
		case p.optional != "":
			values[i] = "null"
		case p.sample != "":
			values[i] = strings.Trim(p.sample, "'")
		case p.kind == kindNumber || p.kind == kindRange:
			values[i] = "1"
		case p.kind == kindBool:
			values[i] = "true"
		default:
			values[i] = strconv.Quote(strings.ToUpper(p.first()))
		}
		if !json.Valid([]byte(values[i])) { // a text without its quotes
			values[i] = strconv.Quote(values[i])
		}
	}
	return strings.Join(values, ", ")
}

// example returns what is given at least. What stands before it has its default, so that
// each value is in its place.
func (m *method) example() string {
	text, defaults := "", ""
	for _, p := range m.params {
		switch {
		case p.optional != "":
			defaults += " " + p.optional
		case p.sample != "":
			text, defaults = text+defaults+" "+p.sample, ""
		default:
			text, defaults = text+defaults+" "+strings.ToUpper(p.first()), ""
		}
	}
	return text
}
