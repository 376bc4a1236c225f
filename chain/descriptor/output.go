package descriptor

import (
	"encoding/hex"
	"slices"

	"github.com/karatcoin/karat/chain/taproot"
)

// output reads the function at the top, and tells how many alternatives it has.
func (p *parser) output(text string, c context) (o output, branches int, err error) {
	switch name, arguments := function(text); name {
	case "addr":
		o, err = p.address(arguments)
		return o, 1, err
	case "raw":
		o, err = rawScript(arguments)
		return o, 1, err
	case "tr":
		return p.taproot(arguments)
	case "rawtr":
		return p.rawTaproot(arguments)
	case "multi_a", "sortedmulti_a":
		return nil, 0, errorf("Can only have multi_a/sortedmulti_a inside tr()")
	}
	return p.legacy(text, c)
}

// function returns the name of the function that a text is, and what stands in its
// brackets. A text that is none has no name.
func function(text string) (name, arguments string) {
	for i := range len(text) {
		if text[i] == '(' {
			if arguments, ok := inside(text[:i], text); ok {
				return text[:i], arguments
			}
			break
		}
	}
	return "", ""
}

// commonBranches returns the number of alternatives of parts that belong together: each
// has as many, or one that counts for all.
func commonBranches(lengths ...int) (n int, ok bool) {
	n = 1
	for _, l := range lengths {
		n = max(n, l)
	}
	return n, !slices.ContainsFunc(lengths, func(l int) bool { return l != 1 && l != n })
}

// scriptOutput is addr() or raw(): a script that is known as it is.
type scriptOutput struct {
	script []byte
	text   string
}

func (p *parser) address(text string) (output, error) {
	script, err := taproot.DecodeAddress(p.k.HRP, text)
	if err != nil {
		return nil, errorf("Address is not valid")
	}
	address, err := taproot.EncodeAddress(p.k.HRP, script)
	if err != nil {
		return nil, errorf("Address is not valid")
	}
	return scriptOutput{script, "addr(" + address + ")"}, nil
}

func rawScript(text string) (output, error) {
	script, err := hex.DecodeString(text)
	if err != nil || text == "" {
		return nil, errorf("Raw script is not hex")
	}
	return scriptOutput{script, "raw(" + hex.EncodeToString(script) + ")"}, nil
}

func (o scriptOutput) outputs(place, bool) ([]Output, error) {
	return []Output{{ScriptPubKey: slices.Clone(o.script)}}, nil
}

func (o scriptOutput) print(p *printer) { p.WriteString(o.text) }

// rawTaprootOutput is rawtr(KEY): the key is the output's.
type rawTaprootOutput struct{ key *key }

func (p *parser) rawTaproot(text string) (output, int, error) {
	text, rest := cutExpression(text)
	if rest != "" {
		return nil, 0, errorf("rawtr(): only one key expected.")
	}
	k, err := p.key(text, contextTaproot)
	if err != nil {
		return nil, 0, errorf("rawtr(): %v", err)
	}
	return rawTaprootOutput{k}, k.branches(), nil
}

func (o rawTaprootOutput) outputs(at place, spending bool) ([]Output, error) {
	x, err := o.key.xAt(at)
	if err != nil {
		return nil, err
	}
	out := Output{ScriptPubKey: taproot.OutputScript(x)}
	if spending {
		d, err := o.key.derived(at)
		if err != nil {
			return nil, err
		}
		out.Keys = []Derived{d}
		if out.Aggregates, err = aggregates([]*key{o.key}, at); err != nil {
			return nil, err
		}
	}
	return []Output{out}, nil
}

func (o rawTaprootOutput) print(p *printer) {
	p.WriteString("rawtr(")
	o.key.print(p)
	p.WriteByte(')')
}

// taprootOutput is tr(KEY) or tr(KEY,TREE).
type taprootOutput struct {
	internal *key
	tree     *tree // nil if there is none
}

func (p *parser) taproot(text string) (output, int, error) {
	text, rest := cutExpression(text)
	internal, err := p.key(text, contextTaproot)
	if err != nil {
		return nil, 0, errorf("tr(): %v", err)
	}
	o := taprootOutput{internal: internal}
	if rest == "" {
		return o, internal.branches(), nil
	}
	if rest[0] != ',' {
		return nil, 0, errorf("tr: expected ',', got '%c'", rest[0])
	}
	var lengths []int
	if o.tree, rest, err = p.tree(rest[1:], 0, &lengths); err != nil {
		return nil, 0, err
	}
	if rest != "" {
		return nil, 0, errorf("tr(): expected ')' after script expression")
	}
	branches, ok := commonBranches(append(lengths, internal.branches())...)
	switch {
	case ok:
	case slices.ContainsFunc(lengths, func(l int) bool { return l != 1 && l != branches }):
		return nil, 0, errorf("tr(): Multipath subscripts have mismatched lengths")
	default:
		return nil, 0, errorf("tr(): Multipath internal key mismatches multipath subscripts lengths")
	}
	return o, branches, nil
}

func (o taprootOutput) print(p *printer) {
	p.WriteString("tr(")
	o.internal.print(p)
	if o.tree != nil {
		p.WriteByte(',')
		o.tree.print(p)
	}
	p.WriteByte(')')
}

func (o taprootOutput) outputs(at place, spending bool) ([]Output, error) {
	internal, err := o.internal.xAt(at)
	if err != nil {
		return nil, err
	}
	out := Output{Internal: internal}
	if o.tree != nil {
		s := spender{at: at}
		root, err := s.hash(o.tree, 0)
		if err != nil {
			return nil, err
		}
		out.MerkleRoot, out.Leaves = root[:], s.leaves
	}
	key, parity, err := taproot.OutputKey(internal, out.MerkleRoot)
	if err != nil {
		return nil, ErrNoPrivateKey // one in 2^127
	}
	out.ScriptPubKey = taproot.OutputScript(key)
	if !spending {
		return []Output{{ScriptPubKey: out.ScriptPubKey}}, nil
	}
	if out.Keys, err = o.derivedKeys(at, out.Leaves); err != nil {
		return nil, err
	}
	all := o.internal.withLeaves(o.tree)
	if out.Aggregates, err = aggregates(all, at); err != nil {
		return nil, err
	}
	for i := range out.Leaves {
		path := out.Leaves[i].ControlBlock
		head := append([]byte{taproot.LeafVersionTapscript | parity}, internal[:]...)
		out.Leaves[i].ControlBlock = append(head, path...)
	}
	return []Output{out}, nil
}

// derivedKeys returns the internal key and those of the leaves, each once.
func (o taprootOutput) derivedKeys(at place, leaves []Leaf) ([]Derived, error) {
	internal, err := o.internal.derived(at)
	if err != nil {
		return nil, err
	}
	list := []Derived{internal}
	places := map[[32]byte]int{[32]byte(internal.Public[1:]): 0}
	i := 0
	for leaf := range o.tree.each() {
		hash := leaves[i].Hash
		i++
		for _, k := range leaf.allKeys() {
			d, err := k.derived(at)
			if err != nil {
				return nil, err
			}
			x := [32]byte(d.Public[1:])
			if _, known := places[x]; !known {
				places[x] = len(list)
				list = append(list, d)
			}
			if known := &list[places[x]]; !slices.Contains(known.Leaves, hash) {
				known.Leaves = append(known.Leaves, hash)
			}
		}
	}
	return list, nil
}

// withLeaves returns the key and those of a tree's leaves.
func (k *key) withLeaves(t *tree) []*key {
	keys := []*key{k}
	for leaf := range t.each() {
		keys = append(keys, leaf.allKeys()...)
	}
	return keys
}
