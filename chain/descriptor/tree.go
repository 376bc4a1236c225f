package descriptor

import (
	"bytes"
	"iter"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

const maxTreeDepth = 128 // of a leaf (BIP341)

// tree is a tree of leaves: one leaf, or two trees.
type tree struct {
	leaf        leaf // nil above the leaves
	left, right *tree
}

// leaf is a script of a tree.
type leaf interface {
	script(at place) ([]byte, error)
	print(p *printer)
	allKeys() []*key
}

// tree reads {TREE,TREE} or a leaf from the beginning of a text. It collects the numbers
// of alternatives of all leaves.
func (p *parser) tree(text string, depth int, lengths *[]int) (t *tree, rest string, err error) {
	if text == "" || text[0] != '{' {
		text, rest = cutExpression(text)
		l, branches, err := p.leaf(text)
		*lengths = append(*lengths, branches)
		return &tree{leaf: l}, rest, err
	}
	if depth == maxTreeDepth {
		return nil, "", errorf("tr() supports at most %d nesting levels", maxTreeDepth)
	}
	t = &tree{}
	if t.left, rest, err = p.tree(text[1:], depth+1, lengths); err != nil {
		return nil, "", err
	}
	if rest == "" || rest[0] != ',' {
		return nil, "", errorf("tr(): expected ',' after script expression")
	}
	if t.right, rest, err = p.tree(rest[1:], depth+1, lengths); err != nil {
		return nil, "", err
	}
	if rest == "" || rest[0] != '}' {
		return nil, "", errorf("tr(): expected '}' after script expression")
	}
	return t, rest[1:], nil
}

func (t *tree) print(p *printer) {
	if t.leaf != nil {
		t.leaf.print(p)
		return
	}
	left, right := t.left, t.right
	if p.derived { // Core, who sees only scripts there, begins with the least of them
		at := place{max(p.branch, 0), p.index}
		if bytes.Compare(right.least(at), left.least(at)) < 0 {
			left, right = right, left
		}
	}
	p.WriteByte('{')
	left.print(p)
	p.WriteByte(',')
	right.print(p)
	p.WriteByte('}')
}

// least returns the script that comes first by its bytes.
func (t *tree) least(at place) (least []byte) {
	for l := range t.each() {
		script, err := l.script(at) // an error comes again when the keys are written
		if err == nil && (least == nil || bytes.Compare(script, least) < 0) {
			least = script
		}
	}
	return least
}

// each returns the leaves from left to right. A nil tree has none.
func (t *tree) each() iter.Seq[leaf] {
	return func(yield func(leaf) bool) { t.walk(yield) }
}

func (t *tree) walk(yield func(leaf) bool) bool {
	switch {
	case t == nil:
		return true
	case t.leaf != nil:
		return yield(t.leaf)
	}
	return t.left.walk(yield) && t.right.walk(yield)
}

// spender hashes a tree at a place, and collects its leaves.
type spender struct {
	at     place
	leaves []Leaf
}

// hash returns the root of a tree. The control blocks of its leaves get the hashes of the
// siblings on the way, the lowest first.
func (s *spender) hash(t *tree, depth int) (root [32]byte, err error) {
	if t.leaf != nil {
		script, err := t.leaf.script(s.at)
		if err != nil {
			return root, err
		}
		root = taproot.TaggedHash("TapLeaf", []byte{taproot.LeafVersionTapscript}, types.AppendVarBytes(nil, script))
		s.leaves = append(s.leaves, Leaf{Script: script, Hash: root, Depth: depth})
		return root, nil
	}
	first := len(s.leaves)
	left, err := s.hash(t.left, depth+1)
	if err != nil {
		return root, err
	}
	middle := len(s.leaves)
	right, err := s.hash(t.right, depth+1)
	if err != nil {
		return root, err
	}
	for i := first; i < len(s.leaves); i++ {
		sibling := left
		if i < middle {
			sibling = right
		}
		s.leaves[i].ControlBlock = append(s.leaves[i].ControlBlock, sibling[:]...)
	}
	return taproot.BranchHash(left, right), nil
}
