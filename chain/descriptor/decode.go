package descriptor

import (
	"bytes"
	"errors"
	"slices"

	"github.com/karatcoin/karat/chain/taproot"
)

// ErrNoMiniscript says that a script is none that miniscript writes.
var ErrNoMiniscript = errors.New("the script is not miniscript")

// Miniscript is the expression that a script of a tree is (BIP379). It does not change.
type Miniscript struct{ root *node }

// DecodeSteps are the steps in which DecodeScript and Satisfy deal with any script that a
// person writes. A step takes less than a tenth of a microsecond.
const DecodeSteps = 1_000_000

// DecodeScript reads the expression from a tapscript. It takes what is written as this
// package writes it, and nothing else but OP_DROP behind a lock, where people who write
// scripts by hand put it. The only error is ErrNoMiniscript.
//
// steps is what reading it and satisfying it may take, and goes down. So whoever has many
// scripts that others wrote bounds all of them together.
//
// An expression need not be sane: keys that occur twice are no obstacle to spending.
func DecodeScript(script []byte, steps *int) (*Miniscript, error) {
	if *steps -= len(script); *steps < 0 {
		return nil, ErrNoMiniscript
	}
	r := scriptReader{}
	if !r.tokenize(script) {
		return nil, ErrNoMiniscript
	}
	n := r.sequence(0)
	*steps -= r.steps
	if n == nil || len(r.tokens) > 0 || *steps < 0 {
		return nil, ErrNoMiniscript
	}
	n.complete()
	again, err := n.script(place{})
	if err != nil || !n.is.has("B") || !bytes.Equal(again, script) {
		return nil, ErrNoMiniscript
	}
	return &Miniscript{n}, nil
}

// token is an instruction. Those that verify are two.
type token struct {
	op   byte
	data []byte
}

// scriptReader reads a script from its end, where an instruction tells what the
// expression is that ends there. What it cannot read is nil.
type scriptReader struct {
	tokens []token
	nodes  int
	steps  int
}

// plainForm has the instructions that verify what another one leaves.
var plainForm = map[byte]byte{
	taproot.OpCheckSigVerify: taproot.OpCheckSig, taproot.OpEqualVerify: taproot.OpEqual, taproot.OpNumEqualVerify: taproot.OpNumEqual,
}

func (r *scriptReader) tokenize(script []byte) bool {
	for at := 0; at < len(script); {
		op, data, next, ok := taproot.NextOp(script, at)
		if !ok || op >= taproot.OpPushData1 && op <= taproot.OpPushData4 {
			return false // nothing longer than a key is pushed
		}
		at = next
		if plain, verifies := plainForm[op]; verifies {
			r.tokens = append(r.tokens, token{op: plain})
			op = taproot.OpVerify
		}
		r.tokens = append(r.tokens, token{op, data})
	}
	return true
}

// peek returns the i-th token from the end.
func (r *scriptReader) peek(i int) token {
	if i >= len(r.tokens) {
		return token{op: taproot.OpReturn} // which is nowhere in miniscript
	}
	return r.tokens[len(r.tokens)-1-i]
}

func (r *scriptReader) pop(n int) { r.tokens = r.tokens[:len(r.tokens)-n] }

// ends reports whether the script ends with instructions, the last one first, and takes
// them away.
func (r *scriptReader) ends(ops ...byte) bool {
	for i, op := range ops {
		if r.peek(i).op != op {
			return false
		}
	}
	r.pop(len(ops))
	return true
}

// around makes an expression of another, or nil of nil.
func around(name string, subs ...*node) *node {
	if slices.Contains(subs, nil) {
		return nil
	}
	return newNode(name, subs...)
}

// sequence reads expressions that follow on each other, which and_v is.
func (r *scriptReader) sequence(depth int) *node {
	var terms []*node // the last first
	for {
		n := r.single(depth + 1)
		if n == nil {
			return nil
		}
		terms = append(terms, n)
		if len(r.tokens) == 0 {
			break
		}
		if op := r.peek(0).op; op == taproot.OpIf || op == taproot.OpNotIf || op == taproot.OpElse || op == taproot.OpToAltStack || op == taproot.OpSwap {
			break
		}
	}
	n := terms[len(terms)-1]
	for i := len(terms) - 2; i >= 0; i-- {
		n = newNode("and_v", n, terms[i])
	}
	return n
}

// single reads one expression that is no and_v.
func (r *scriptReader) single(depth int) *node {
	if r.nodes++; depth > maxNesting || r.nodes > maxExpressions {
		return nil
	}
	r.steps += 10
	switch last := r.peek(0); last.op {
	case 0, taproot.Op1:
		r.pop(1)
		return newNode(string('0' + last.op&1))
	case 32:
		r.pop(1)
		return newNode("pk_k").withKeys(constantKey(last.data))
	case taproot.OpCheckSequenceVerify:
		return r.lock("older")
	case taproot.OpCheckLockTimeVerify:
		return r.lock("after")
	case taproot.OpDrop:
		if next := r.peek(1).op; next != taproot.OpCheckSequenceVerify && next != taproot.OpCheckLockTimeVerify {
			return nil
		}
		r.pop(1)
		return around("drop", r.single(depth+1))
	case taproot.OpVerify:
		if n := r.keyHash(); n != nil {
			return n
		}
		return r.wrapped("v", depth)
	case taproot.OpCheckSig:
		return r.wrapped("c", depth)
	case taproot.Op0NotEqual:
		return r.wrapped("n", depth)
	case taproot.OpNumEqual:
		return r.multi()
	case taproot.OpEqual:
		if n := r.hash(); n != nil {
			return n
		}
		return r.threshold(depth)
	case taproot.OpBoolAnd:
		return r.both("and_b", depth)
	case taproot.OpBoolOr:
		return r.both("or_b", depth)
	case taproot.OpEndIf:
		return r.conditional(depth)
	}
	return nil
}

func (r *scriptReader) wrapped(name string, depth int) *node {
	r.pop(1)
	return around(name, r.single(depth+1))
}

// both reads two expressions, of which neither needs brackets.
func (r *scriptReader) both(name string, depth int) *node {
	r.pop(1)
	second := r.aside(depth)
	if second == nil {
		return nil
	}
	return around(name, r.single(depth+1), second)
}

// aside reads an expression that leaves its result below the top.
func (r *scriptReader) aside(depth int) *node {
	if r.ends(taproot.OpFromAltStack) {
		n := r.sequence(depth + 1)
		if n == nil || !r.ends(taproot.OpToAltStack) {
			return nil
		}
		return newNode("a", n)
	}
	n := r.sequence(depth + 1)
	if n == nil || !r.ends(taproot.OpSwap) {
		return nil
	}
	return newNode("s", n)
}

// conditional reads what ends with OP_ENDIF.
func (r *scriptReader) conditional(depth int) *node {
	r.pop(1)
	last := r.sequence(depth + 1)
	if last == nil {
		return nil
	}
	switch {
	case r.ends(taproot.OpIf, taproot.OpDup):
		return newNode("d", last)
	case r.ends(taproot.OpIf, taproot.Op0NotEqual, taproot.OpSize):
		return newNode("j", last)
	case r.ends(taproot.OpNotIf, taproot.OpIfDup):
		return around("or_d", r.single(depth+1), last)
	case r.ends(taproot.OpNotIf):
		return around("or_c", r.single(depth+1), last)
	case !r.ends(taproot.OpElse):
		return nil
	}
	first := r.sequence(depth + 1)
	switch {
	case first == nil:
		return nil
	case r.ends(taproot.OpIf):
		return newNode("or_i", first, last)
	case r.ends(taproot.OpNotIf):
		return around("andor", r.single(depth+1), last, first)
	}
	return nil
}

// lock reads a number and the instruction that compares it.
func (r *scriptReader) lock(name string) *node {
	n := newNode(name)
	var ok bool
	if n.k, ok = r.peek(1).number(); !ok || !n.fragment.bounds(n) {
		return nil
	}
	r.pop(2)
	return n
}

// keyHash reads OP_DUP OP_HASH160 hash OP_EQUALVERIFY.
func (r *scriptReader) keyHash() *node {
	hash := r.peek(2)
	if r.peek(1).op != taproot.OpEqual || hash.op != 20 || r.peek(3).op != taproot.OpHash160 || r.peek(4).op != taproot.OpDup {
		return nil
	}
	r.pop(5)
	n := newNode("pk_h")
	n.data = hash.data
	return n
}

// hash reads OP_SIZE 32 OP_EQUALVERIFY, a hash function, a hash and OP_EQUAL.
func (r *scriptReader) hash() *node {
	hash, function := r.peek(1), r.peek(2).op
	size, _ := r.peek(5).number()
	if size != 32 || r.peek(3).op != taproot.OpVerify || r.peek(4).op != taproot.OpEqual || r.peek(6).op != taproot.OpSize {
		return nil
	}
	for name, op := range hashFunctions {
		if op == function && len(hash.data) == hashSizes[op] {
			r.pop(7)
			n := newNode(name)
			n.data = hash.data
			return n
		}
	}
	return nil
}

// threshold reads expressions, OP_ADD behind all but the first, a number and OP_EQUAL.
func (r *scriptReader) threshold(depth int) *node {
	k, ok := r.peek(1).number()
	if !ok {
		return nil
	}
	r.pop(2)
	var subs []*node
	for r.ends(taproot.OpAdd) {
		if subs = append(subs, r.aside(depth)); subs[len(subs)-1] == nil {
			return nil
		}
	}
	subs = append(subs, r.single(depth+1))
	slices.Reverse(subs)
	n := around("thresh", subs...)
	if n == nil || k < 1 || int(k) > len(subs) {
		return nil
	}
	n.k = k
	r.steps += len(subs) * len(subs)
	return n
}

// multi reads keys with OP_CHECKSIG and OP_CHECKSIGADD, a number and OP_NUMEQUAL.
func (r *scriptReader) multi() *node {
	k, ok := r.peek(1).number()
	if !ok {
		return nil
	}
	r.pop(2)
	var keys []*key
	for done := false; !done; {
		check, x := r.peek(0).op, r.peek(1)
		if done = check == taproot.OpCheckSig; !done && check != taproot.OpCheckSigAdd || x.op != 32 {
			return nil
		}
		keys = append(keys, constantKey(x.data))
		r.pop(2)
	}
	slices.Reverse(keys)
	n := newNode("multi_a").withKeys(keys...)
	if n.k = k; !n.fragment.bounds(n) {
		return nil
	}
	r.steps += 10 * len(keys)
	return n
}

// number returns what the instruction pushes, if it is a number that a script of
// miniscript has. Whether it is written in the shortest form is for the comparison.
func (t token) number() (uint32, bool) {
	if t.op >= taproot.Op1 && t.op <= taproot.Op16 {
		return uint32(t.op) - taproot.Op1 + 1, true
	}
	if len(t.data) == 0 || len(t.data) > 4 || t.data[len(t.data)-1]&0x80 != 0 {
		return 0, false
	}
	n := uint32(0)
	for i, b := range t.data {
		n |= uint32(b) << (8 * i)
	}
	return n, true
}

// constantKey is a key of 32 bytes as a script has it.
func constantKey(x []byte) *key { return &key{point: append([]byte{2}, x...), xOnly: true} }
