package descriptor

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// node is a miniscript expression (BIP379): a fragment with its arguments. Wrappers are
// fragments whose name is a letter.
type node struct {
	fragment *fragment
	subs     []*node
	keys     []*key
	k        uint32 // the threshold, or the lock time
	data     []byte // the hash

	// What follows from them.
	is        property
	stack     stackUse
	duplicate bool // a key occurs twice, at its first index
}

// newNode makes a node of a fragment that exists.
func newNode(name string, subs ...*node) *node {
	n := &node{fragment: fragments[name], subs: subs}
	return n
}

func (n *node) withKeys(keys ...*key) *node {
	n.keys = keys
	return n
}

// miniscript reads an expression that is a whole script, and refuses what would not be a
// safe one.
func (p *parser) miniscript(text string) (leaf, int, error) {
	r := miniscriptReader{p: p}
	n := r.expression(text, 0)
	switch {
	case r.err != nil:
		return nil, 0, r.err
	case n == nil:
		return nil, 0, errorf("'%s' is not a valid descriptor function", shown(text))
	}
	n.complete()
	if err := n.sane(); err != nil {
		return nil, 0, err
	}
	var lengths []int
	for _, k := range n.allKeys() {
		lengths = append(lengths, k.branches())
	}
	branches, ok := commonBranches(lengths...)
	if !ok {
		return nil, 0, errorf("Miniscript: Multipath derivation paths have mismatched lengths")
	}
	return n, branches, nil
}

// miniscriptReader reads an expression. What it cannot read is nil; an error is one of
// a key, which has words of its own.
type miniscriptReader struct {
	p   *parser
	err error
}

// expression reads wrappers and the fragment behind them.
func (r *miniscriptReader) expression(text string, depth int) *node {
	if r.p.expressions++; r.p.expressions > maxExpressions {
		if r.err == nil {
			r.err = errorf("Descriptor has more than %d expressions", maxExpressions)
		}
		return nil
	}
	end := strings.IndexAny(text, ":(")
	if end < 0 || text[end] == '(' {
		return r.fragment(text, depth)
	}
	wrappers := text[:end]
	if depth += len(wrappers); depth > maxNesting || wrappers == "" {
		return nil
	}
	n := r.fragment(text[end+1:], depth)
	for i := len(wrappers) - 1; i >= 0 && n != nil; i-- {
		n = wrap(wrappers[i], n)
	}
	return n
}

// wrap puts a wrapper around an expression. t, l and u are short for fragments.
func wrap(letter byte, n *node) *node {
	switch letter {
	case 'a', 's', 'c', 'd', 'v', 'j', 'n':
		return newNode(string(letter), n)
	case 't':
		return newNode("and_v", n, newNode("1"))
	case 'u':
		return newNode("or_i", n, newNode("0"))
	case 'l':
		return newNode("or_i", newNode("0"), n)
	}
	return nil
}

// fragment reads a fragment with its arguments.
func (r *miniscriptReader) fragment(text string, depth int) *node {
	if text == "0" || text == "1" {
		return newNode(text)
	}
	name, arguments := function(text)
	if depth++; name == "" || depth > maxNesting {
		return nil
	}
	switch name {
	case "pk":
		return r.wrapped("c", "pk_k", arguments, depth)
	case "pkh":
		return r.wrapped("c", "pk_h", arguments, depth)
	case "and_n":
		n := r.arguments(newNode("and_b"), arguments, depth) // two expressions
		if n == nil {
			return nil
		}
		return newNode("andor", n.subs[0], n.subs[1], newNode("0"))
	}
	f := fragments[name]
	if f == nil || f.takes == "" || f.wrapper {
		return nil
	}
	return r.arguments(newNode(name), arguments, depth)
}

func (r *miniscriptReader) wrapped(wrapper, name, arguments string, depth int) *node {
	n := r.arguments(newNode(name), arguments, depth)
	if n == nil {
		return nil
	}
	return newNode(wrapper, n)
}

// arguments reads what a fragment takes, a letter each. The last may be repeated if a +
// follows.
func (r *miniscriptReader) arguments(n *node, text string, depth int) *node {
	takes := n.fragment.takes
	for i := 0; ; i++ {
		argument, rest := cutExpression(text)
		at := i
		if repeated := strings.HasSuffix(takes, "+"); repeated {
			at = min(at, len(takes)-2)
		}
		if at >= len(takes) || !r.argument(n, takes[at], argument, depth) {
			return nil
		}
		if rest == "" {
			if i+1 < len(strings.TrimSuffix(takes, "+")) {
				return nil
			}
			break
		}
		if rest[0] != ',' {
			return nil
		}
		text = rest[1:]
	}
	if n.fragment.bounds != nil && !n.fragment.bounds(n) {
		return nil
	}
	return n
}

// argument reads one argument: x is an expression, K a key, n a number, h and H a hash of
// 20 and 32 bytes.
func (r *miniscriptReader) argument(n *node, kind byte, text string, depth int) (ok bool) {
	switch kind {
	case 'x':
		sub := r.expression(text, depth)
		n.subs = append(n.subs, sub)
		return sub != nil
	case 'K':
		k, err := r.p.key(text, contextTaproot)
		n.keys = append(n.keys, k)
		if err != nil && r.err == nil {
			r.err = err
		}
		return err == nil
	case 'n':
		n.k, ok = number(text)
		return ok
	}
	size := 32
	if kind == 'h' {
		size = 20
	}
	var err error
	n.data, err = hex.DecodeString(text)
	return err == nil && len(n.data) == size
}

// allKeys returns the keys of the expression and of all in it.
func (n *node) allKeys() []*key {
	keys := n.keys
	for _, sub := range n.subs {
		keys = append(keys[:len(keys):len(keys)], sub.allKeys()...)
	}
	return keys
}

// print writes the expression, with the short forms that BIP379 has.
func (n *node) print(p *printer) { n.printIn(p, false) }

// printIn writes it behind wrappers, which a colon ends.
func (n *node) printIn(p *printer, wrapped bool) {
	if letter, inner := n.asWrapper(); letter != "" {
		p.WriteString(letter)
		inner.printIn(p, true)
		return
	}
	if wrapped {
		p.WriteByte(':')
	}
	name, subs := n.fragment.name, n.subs
	switch {
	case name == "c" && subs[0].fragment.name == "pk_k":
		name, n, subs = "pk", subs[0], nil
	case name == "c" && subs[0].fragment.name == "pk_h":
		name, n, subs = "pkh", subs[0], nil
	case name == "andor" && subs[2].fragment.name == "0":
		name, subs = "and_n", subs[:2]
	}
	p.WriteString(name)
	if n.fragment.takes == "" {
		return
	}
	p.WriteByte('(')
	if n.fragment.takes[0] == 'n' {
		fmt.Fprint(p, n.k)
		if len(n.keys)+len(subs) > 0 {
			p.WriteByte(',')
		}
	}
	p.WriteString(hex.EncodeToString(n.data))
	p.whole = n.fragment.name == "pk_h" // as Core, who finds the key by its hash
	p.list(len(n.keys), func(i int) { n.keys[i].print(p) })
	p.whole = false
	p.list(len(subs), func(i int) { subs[i].print(p) })
	p.WriteByte(')')
}

// asWrapper returns the letter with which the expression is written, and what is in it.
func (n *node) asWrapper() (letter string, inner *node) {
	switch name := n.fragment.name; {
	case name == "c" && (n.subs[0].fragment.name == "pk_k" || n.subs[0].fragment.name == "pk_h"):
		return "", nil
	case n.fragment.wrapper:
		return name, n.subs[0]
	case name == "and_v" && n.subs[1].fragment.name == "1":
		return "t", n.subs[0]
	case name == "or_i" && n.subs[0].fragment.name == "0":
		return "l", n.subs[1]
	case name == "or_i" && n.subs[1].fragment.name == "0":
		return "u", n.subs[0]
	}
	return "", nil
}
