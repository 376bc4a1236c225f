package oracle

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/karatcoin/karat/chain/taproot"
)

// kind is what the generator knows of a stack element.
type kind byte

const (
	anyKind    kind = iota // up to 520 bytes
	numberKind             // a number that is an operand
	boolKind               // empty or 01: an operand and an argument of OP_IF
)

// generator writes a tapscript and follows what it does to the stack, closely
// enough that most opcodes find what they need.
type generator struct {
	r       *rand.Rand
	keys    *keyring
	script  []byte
	stack   []kind
	alt     int
	depth   int
	wild    int // once in so many steps the needs are ignored; 0 never
	initial [][]byte
	opcodes uint32
	wanted  []signature
}

func (g *generator) op(code byte) {
	g.script = append(g.script, code)
	g.opcodes++
}

func (g *generator) pop(n int)   { g.stack = g.stack[:max(0, len(g.stack)-n)] }
func (g *generator) push(k kind) { g.stack = append(g.stack, k) }
func (g *generator) top() kind {
	if len(g.stack) == 0 {
		return anyKind
	}
	return g.stack[len(g.stack)-1]
}

// data writes a push, seldom in a longer form than needed.
func (g *generator) data(b []byte) {
	n := len(b)
	form := 0
	switch {
	case n > 0xff:
		form = 2
	case n > 75:
		form = 1
	}
	if chance(g.r, 40) {
		form = min(3, form+1+g.r.IntN(2))
	}
	switch form {
	case 0:
		g.script = append(g.script, byte(n))
	case 1:
		g.script = append(g.script, 0x4c, byte(n))
	case 2:
		g.script = binary.LittleEndian.AppendUint16(append(g.script, 0x4d), uint16(n))
	default:
		g.script = binary.LittleEndian.AppendUint32(append(g.script, 0x4e), uint32(n))
	}
	g.script = append(g.script, b...)
	g.opcodes++
}

// number writes a number that is an operand, seldom in a longer form.
func (g *generator) number() {
	g.push(numberKind)
	switch g.r.IntN(4) {
	case 0:
		g.op(pick(g.r, byte(0x00), 0x4f, 0x51, 0x52, 0x53, 0x60))
	case 1:
		g.op(0x51 + byte(g.r.IntN(16)))
	case 2:
		b := randomBytes(g.r, 1+g.r.IntN(4))
		if !chance(g.r, 8) && b[len(b)-1]&0x7f == 0 {
			b[len(b)-1] = 1
		}
		g.data(b)
	default:
		g.data(pick(g.r, []byte{0xff, 0xff, 0xff, 0x7f}, []byte{0xff, 0xff, 0xff, 0xff}, []byte{0x80}, []byte{0x00, 0x80},
			[]byte{0x00, 0x80, 0x00}, []byte{0xff, 0x00}, []byte{0x81}, []byte{0x7f}, []byte{0x00, 0x00, 0x00, 0x80}))
	}
}

func (g *generator) value() {
	g.push(anyKind)
	n := pick(g.r, 0, 1, 2, 4, 5, 8, 20, 32, 33, 75, 76, 80)
	if chance(g.r, 30) {
		n = pick(g.r, 255, 256, 519, 520, 521)
	}
	g.data(randomBytes(g.r, n))
}

func (g *generator) boolean() {
	g.push(boolKind)
	g.op(pick(g.r, byte(0x00), 0x51))
}

// need pushes until the stack has n elements.
func (g *generator) need(n int) {
	for len(g.stack) < n {
		if chance(g.r, 2) {
			g.number()
		} else {
			g.value()
		}
	}
}

// needNumbers makes the top n elements operands, by pushing all if one is not.
func (g *generator) needNumbers(n int) {
	known := len(g.stack) >= n
	for i := 1; known && i <= n; i++ {
		known = g.stack[len(g.stack)-i] != anyKind
	}
	for i := 0; !known && i < n; i++ {
		g.number()
	}
}

// steps writes n random steps.
func (g *generator) steps(n int) {
	for range n {
		if g.wild > 0 && chance(g.r, g.wild) {
			g.op(g.anyOpcode())
			continue
		}
		g.step()
	}
}

// anyOpcode is mostly one that is no OP_SUCCESSx, which would end all interest.
func (g *generator) anyOpcode() byte {
	if chance(g.r, 12) {
		return byte(g.r.Uint32())
	}
	return pick(g.r, byte(0x61), 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0x73,
		0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x7b, 0x7c, 0x7d, 0x82, 0x87, 0x88, 0x8b, 0x8c, 0x8f, 0x90, 0x91, 0x92, 0x93,
		0x94, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac,
		0xad, 0xae, 0xaf, 0xb0, 0xb1, 0xb2, 0xb3, 0xb9, 0xba, 0xff)
}

func (g *generator) step() {
	switch g.r.IntN(12) {
	case 0:
		g.value()
	case 1:
		g.number()
	case 2, 3, 4:
		g.moveStep()
	case 5, 6:
		g.arithmeticStep()
	case 7:
		g.need(1)
		g.op(0xa6 + byte(g.r.IntN(5)))
		g.pop(1)
		g.push(anyKind)
	case 8:
		g.compareStep()
	case 9:
		g.branchStep()
	case 10:
		g.unknownKeyStep()
	default:
		g.otherStep()
	}
}

func (g *generator) arithmeticStep() {
	switch g.r.IntN(4) {
	case 0:
		g.needNumbers(1)
		code := pick(g.r, byte(0x8b), 0x8c, 0x8f, 0x90, 0x91, 0x92)
		g.op(code)
		g.pop(1)
		g.result(code == 0x91 || code == 0x92)
	case 1:
		g.needNumbers(3)
		g.op(0xa5)
		g.pop(3)
		g.push(boolKind)
	default:
		g.needNumbers(2)
		code := pick(g.r, byte(0x93), 0x94, 0x9a, 0x9b, 0x9c, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4)
		g.op(code)
		g.pop(2)
		g.result(code >= 0x9a && code <= 0xa2)
	}
}

// result is that of arithmetic. A sum may be too long to be an operand again,
// but seldom is.
func (g *generator) result(isBool bool) {
	if isBool {
		g.push(boolKind)
	} else {
		g.push(numberKind)
	}
}

func (g *generator) moveStep() {
	switch code := 0x6b + byte(g.r.IntN(0x7e-0x6b)); code {
	case 0x6b:
		g.need(1)
		g.op(code)
		g.pop(1)
		g.alt++
	case 0x6c:
		if g.alt == 0 {
			g.need(1)
			g.op(0x6b)
			g.pop(1)
			g.alt++
		}
		g.op(code)
		g.alt--
		g.push(anyKind)
	case 0x6d:
		g.need(2)
		g.op(code)
		g.pop(2)
	case 0x71, 0x72, 0x7a, 0x7b, 0x7c, 0x7d: // orders that are not followed
		g.need(6)
		if code == 0x7a {
			g.op(0x51 + byte(g.r.IntN(5)))
		}
		g.op(code)
		if code == 0x7d {
			g.push(anyKind)
		}
		for i := 1; i <= min(7, len(g.stack)); i++ {
			g.stack[len(g.stack)-i] = anyKind
		}
	default:
		g.copyStep(code)
	}
}

// copyStep writes one of the opcodes that copy, drop or count elements.
func (g *generator) copyStep(code byte) {
	at := func(n int) kind { return g.stack[len(g.stack)-n] }
	switch code {
	case 0x6e:
		g.need(2)
		g.op(code)
		g.stack = append(g.stack, at(2), at(1))
	case 0x6f:
		g.need(3)
		g.op(code)
		g.stack = append(g.stack, at(3), at(2), at(1))
	case 0x70:
		g.need(4)
		g.op(code)
		g.stack = append(g.stack, at(4), at(3))
	case 0x73: // its effect depends on the value, so give it a known one
		g.boolean()
		last := g.script[len(g.script)-1]
		g.op(code)
		if last == 0x51 {
			g.push(boolKind)
		}
	case 0x74:
		g.op(code)
		g.push(numberKind)
	case 0x75:
		g.need(1)
		g.op(code)
		g.pop(1)
	case 0x76:
		g.need(1)
		g.op(code)
		g.push(g.top())
	case 0x77:
		g.need(2)
		top := g.top()
		g.op(code)
		g.pop(2)
		g.push(top)
	case 0x78:
		g.need(2)
		g.op(code)
		g.push(at(2))
	case 0x79:
		g.need(3)
		g.op(pick(g.r, byte(0x00), 0x51, 0x52))
		g.op(code)
		g.push(anyKind)
	}
}

func (g *generator) compareStep() {
	switch g.r.IntN(4) {
	case 0:
		g.need(1)
		g.op(0x82)
		g.push(numberKind)
	case 1:
		g.need(2)
		g.op(0x87)
		g.pop(2)
		g.push(boolKind)
	case 2: // <x> DUP EQUALVERIFY
		g.need(1)
		g.op(0x76)
		g.op(pick(g.r, byte(0x88), 0x87))
		if g.script[len(g.script)-1] == 0x88 {
			g.pop(1)
		} else {
			g.pop(1)
			g.push(boolKind)
		}
	default:
		g.needNumbers(1)
		g.op(0x76)
		g.op(0x9d)
		g.pop(1)
	}
}

// branchStep writes a conditional whose branches leave the same number of
// elements.
func (g *generator) branchStep() {
	if g.depth > 4 {
		return
	}
	g.depth++
	if g.top() != boolKind || chance(g.r, 2) {
		g.boolean()
	}
	if chance(g.r, 60) {
		g.value() // as often as not no legal argument
	}
	g.pop(1)
	g.op(pick(g.r, byte(0x63), 0x64))
	before, alt := append([]kind(nil), g.stack...), g.alt
	g.arm(len(before), alt)
	for range pick(g.r, 0, 1, 1, 2) {
		g.op(0x67)
		g.stack, g.alt = append(g.stack[:0], before...), alt
		g.arm(len(before), alt)
	}
	g.op(0x68)
	for i := range g.stack {
		g.stack[i] = anyKind
	}
	g.depth--
}

// arm writes one branch and levels the stacks to what they were.
func (g *generator) arm(size, alt int) {
	g.steps(g.r.IntN(4))
	for g.alt > alt {
		g.op(0x6c)
		g.push(anyKind)
		g.alt--
	}
	for g.alt < alt {
		g.need(1)
		g.op(0x6b)
		g.pop(1)
		g.alt++
	}
	for len(g.stack) > size {
		g.op(0x75)
		g.pop(1)
	}
	for len(g.stack) < size {
		g.number()
	}
}

// unknownKeyStep checks signatures with keys of unknown type, which cost the
// budget but no curve arithmetic, or empty signatures.
func (g *generator) unknownKeyStep() {
	sig := pick(g.r, []byte{}, []byte{7}, randomBytes(g.r, 2))
	keySize := pick(g.r, 1, 1, 2, 31, 33)
	if len(sig) == 0 && chance(g.r, 2) {
		keySize = 32 // nothing to verify
	}
	if chance(g.r, 50) {
		keySize = 0
	}
	key := randomBytes(g.r, keySize)
	if keySize == 1 {
		key[0] |= 0x20 // not a small number in disguise
	}
	if chance(g.r, 30) { // towards the end of the budget: 50 are charged for 5 bytes
		for range 1 + g.r.IntN(12) {
			g.data([]byte{0x33})
			g.data([]byte{0x44})
			g.op(0xad)
		}
		return
	}
	switch g.r.IntN(3) {
	case 0:
		g.data(sig)
		g.data(key)
		g.op(0xac)
		g.push(boolKind)
	case 1:
		if len(sig) == 0 {
			sig = []byte{9}
		}
		g.data(sig)
		g.data(key)
		g.op(0xad)
	default:
		g.data(sig)
		g.number()
		g.pop(1)
		g.data(key)
		g.op(0xba)
		g.push(numberKind)
	}
}

func (g *generator) otherStep() {
	switch g.r.IntN(6) {
	case 0:
		g.op(0x61)
	case 1:
		g.op(pick(g.r, byte(0xb0), 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9))
	case 2:
		g.op(0xab)
	case 3: // lock times, mostly of the size of those of the transaction
		if !chance(g.r, 3) {
			return
		}
		g.push(numberKind)
		switch g.r.IntN(4) {
		case 0:
			g.op(pick(g.r, byte(0), 0x51, 0x52, 0x4f))
		case 1:
			g.data([]byte{byte(g.r.Uint32()) | 1, byte(g.r.IntN(2)), 0x40 & byte(g.r.Uint32()), 0})
		case 2:
			g.data(pick(g.r, []byte{0, 0, 0, 0x80, 0}, []byte{0, 0x65, 0xcd, 0x1d}, []byte{0xff, 0x64, 0xcd, 0x1d}, []byte{0xff, 0xff, 0xff, 0xff, 0}))
		default:
			g.data(randomBytes(g.r, 1+g.r.IntN(6)))
		}
		g.op(pick(g.r, byte(0xb1), 0xb2))
		g.op(0x75)
		g.pop(1)
	case 4:
		g.op(0x51)
		g.op(0x69)
	default:
		if chance(g.r, 4) {
			g.boolean()
			g.op(0x69)
			g.pop(1)
		}
	}
}

// randomScriptSpend makes a spend of a random tapscript, with few signatures,
// as those are what takes time.
func (k *keyring) randomScriptSpend(r *rand.Rand) *spend {
	s := randomSpend(r)
	g := &generator{r: r, keys: k, wild: pick(r, 0, 0, 0, 40, 10)}
	signed := chance(r, 40)
	for range r.IntN(4) {
		g.initial = append(g.initial, randomBytes(r, pick(r, 0, 1, 1, 4, 20)))
		g.push(anyKind)
	}
	if chance(r, 200) {
		g.initial = append(g.initial, randomBytes(r, pick(r, 520, 521)))
		g.push(anyKind)
	}
	if signed {
		g.signatures()
	}
	g.steps(r.IntN(25))
	if chance(r, 100) {
		g.fillStack()
	}
	g.finish()
	k.lockScript(r, s, g, signed)
	return s
}

// signatures writes checks of signatures that come from the witness.
func (g *generator) signatures() {
	separator := uint32(taproot.NoCodeSeparator)
	for range 1 + g.r.IntN(2) {
		if chance(g.r, 3) {
			separator = g.opcodes
			g.op(0xab)
		}
		key := g.r.IntN(len(g.keys.public))
		g.wanted = append(g.wanted, signature{key, pick(g.r, hashTypes...), separator, 0})
		g.script = append(append(g.script, 32), g.keys.public[key]...)
		g.opcodes++
		g.op(0xad)
	}
}

// fillStack goes to the limit of both stacks.
func (g *generator) fillStack() {
	target := pick(g.r, 999, 1000, 1001)
	for len(g.stack)+g.alt < target {
		g.op(0x51)
		g.push(numberKind)
	}
	for len(g.stack) > 1 {
		g.op(0x75)
		g.pop(1)
	}
}

func (g *generator) finish() {
	for len(g.stack) > 0 && !chance(g.r, 60) {
		g.op(0x75)
		g.pop(1)
	}
	switch g.r.IntN(30) {
	case 0:
		g.op(0x00)
	case 1:
		g.number()
	case 2:
	default:
		g.op(0x51)
	}
}

func (k *keyring) lockScript(r *rand.Rand, s *spend, g *generator, signed bool) {
	in := &s.tx.Inputs[s.index]
	control := controlBlock{LeafVersion: taproot.LeafVersionTapscript, InternalKey: [32]byte(k.public[0])}
	if chance(r, 40) {
		control.LeafVersion = byte(r.Uint32()) & 0xfe
	}
	if chance(r, 8) {
		control.Path = append(control.Path, [32]byte(randomBytes(r, 32)))
	}
	if chance(r, 25) && len(g.script) > 0 {
		g.script = mutateBytes(r, g.script)
	}
	root := control.merkleRoot(g.script)
	s.prevouts[s.index].ScriptPubKey, control.Parity = outputScript(k.public[0], root[:])
	var annex []byte
	if chance(r, 10) {
		annex = append([]byte{0x50}, randomBytes(r, r.IntN(30))...)
	}
	in.Witness = append([][]byte(nil), g.initial...)
	if signed {
		leaf := leafHash(control.LeafVersion, g.script)
		for i := range g.wanted {
			g.wanted[i].element = len(g.initial) + len(g.wanted) - 1 - i
		}
		in.Witness = append(in.Witness, make([][]byte, len(g.wanted))...)
		k.fill(s, annex, &leaf, nil, g.wanted)
	}
	in.Witness = appendAnnex(append(in.Witness, g.script, control.encode()), annex)
	if chance(r, 200) {
		mutateSpend(r, s)
	}
}
