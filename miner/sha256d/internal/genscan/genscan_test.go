package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"testing"
)

// vector is a register: as many lanes as the widest has.
type vector [16]uint32

// machine is the part of a processor that the programs use.
type machine struct {
	kind      kind
	registers []vector
	table     []uint32
	constants []uint32
	nonce     uint32
	stack     map[base]map[int]vector
}

// newMachine is full of rubbish, as processors are.
func newMachine(r *rand.Rand, k kind, table, constants []uint32, nonce uint32) *machine {
	m := &machine{kind: k, registers: make([]vector, k.registers), table: table, constants: constants, nonce: nonce}
	m.stack = map[base]map[int]vector{scratch: {}, hashes: {}}
	for i := range m.registers {
		for l := range m.registers[i] {
			m.registers[i][l] = r.Uint32()
		}
	}
	return m
}

// read returns what an operand is. A vector of the stack must have been stored, as a
// whole; nothing else has more than one word.
func (m *machine) read(o operand) (v vector) {
	word := func(memory []uint32) {
		for l := range v {
			v[l] = memory[o.n/4]
		}
		if m.kind.function == shani.function {
			copy(v[:4], memory[o.n/4:])
		}
	}
	switch o.base {
	case inRegister:
		return m.registers[o.n]
	case table:
		word(m.table)
	case constants:
		word(m.constants)
	case nonce:
		word([]uint32{m.nonce})
	case counting:
		for l := range v {
			v[l] = count()[o.n/4+l]
		}
	case reversing:
		copy(v[:], reverse())
	case scratch, hashes:
		var ok bool
		if v, ok = m.stack[o.base][o.n]; !ok {
			panic("read before it was written")
		}
	default:
		panic(fmt.Sprintf("no data is at %v", o))
	}
	return v
}

func (m *machine) write(o operand, v vector) {
	switch o.base {
	case inRegister:
		m.registers[o.n] = v
	case scratch, hashes:
		m.stack[o.base][o.n] = v
	default:
		panic(fmt.Sprintf("%v cannot be written", o))
	}
}

// check refuses what the assembler, or the processor, would not take.
func (m *machine) check(i instruction) {
	memory, words := 0, 0
	for n, o := range i.args {
		if o.base == inRegister {
			continue
		}
		memory++
		if o.base == table || o.base == constants || o.base == nonce {
			words++
		}
		switch i.op {
		case opMove, opMove512: // either way
		case opShiftL, opShiftR, opRotate:
			if !m.kind.modern {
				panic("a shift of memory")
			}
		default:
			if n != 0 {
				panic(fmt.Sprintf("%s reads memory as argument %d", i.op, n))
			}
		}
		if o.one && !m.kind.modern || o.n%4 != 0 || (o.base == scratch || o.base == hashes) && o.n%m.kind.size() != 0 {
			panic(fmt.Sprintf("%s cannot read %v", i.op, o))
		}
		if m.kind.function == shani.function && (n != 0 || o.one || i.op != opMove128 && i.op != opMove32) {
			panic(fmt.Sprintf("%s reads %v", i.op, o))
		}
		if m.kind.modern && o.one != (o.base == table || o.base == constants || o.base == nonce) && i.op != opBroadcast {
			panic(fmt.Sprintf("%s reads %v", i.op, o))
		}
	}
	if memory > 1 || words > 0 && m.kind.function == avx2.function && i.op != opBroadcast {
		panic(fmt.Sprintf("%s with %v", i.op, i.args))
	}
}

// run executes instructions as the manuals define them, lane by lane.
func (m *machine) run(list []instruction) {
	for _, i := range list {
		m.check(i)
		var in []vector
		for _, o := range i.args[:len(i.args)-1] {
			in = append(in, m.read(o))
		}
		to := i.args[len(i.args)-1]
		var out vector
		if i.op == opTernary {
			out = m.read(to)
		}
		if whole, ok := wholes[i.op]; ok {
			out = whole(i.imm, m.read(to), in, m.registers[0])
		} else {
			for l := range out {
				out[l] = lane(i, in, l, out[l])
			}
		}
		m.write(to, out)
	}
}

func lane(i instruction, in []vector, l int, old uint32) uint32 {
	switch a := in[0][l]; i.op {
	case opAdd:
		return a + in[1][l]
	case opXor:
		return a ^ in[1][l]
	case opAnd:
		return a & in[1][l]
	case opShiftL:
		return a << i.imm
	case opShiftR:
		return a >> i.imm
	case opRotate:
		return bits.RotateLeft32(a, -i.imm)
	case opTernary:
		var out uint32
		for bit := range 32 {
			index := old>>bit&1<<2 | in[1][l]>>bit&1<<1 | a>>bit&1
			out |= uint32(i.imm) >> index & 1 << bit
		}
		return out
	case opShuffle:
		var out uint32
		for b := range 4 {
			from := int(a >> (8 * b) & 15)
			out |= in[1][l&^3+from/4] >> (8 * (from % 4)) & 0xff << (8 * b)
		}
		return out
	case opBroadcast, opMove, opMove512:
		return a
	}
	panic("unknown instruction " + i.op)
}

// wholes are the instructions whose lanes have to do with each other. Those of the SHA
// extensions overwrite one of their arguments.
var wholes = map[opcode]func(imm int, old vector, in []vector, zero vector) vector{
	opRounds: func(_ int, old vector, in []vector, zero vector) vector {
		abef, cdgh := in[1], old
		s := [8]uint32{abef[3], abef[2], cdgh[3], cdgh[2], abef[1], abef[0], cdgh[1], cdgh[0]}
		for i := range 2 {
			x := s[7] + bigSigma1(s[4]) + (s[4]&s[5] ^ ^s[4]&s[6]) + zero[i]
			y := bigSigma0(s[0]) + (s[0]&s[1] ^ s[0]&s[2] ^ s[1]&s[2])
			s = [8]uint32{x + y, s[0], s[1], s[2], s[3] + x, s[4], s[5], s[6]}
		}
		return vector{s[5], s[4], s[1], s[0]}
	},
	opWords1: func(_ int, old vector, in []vector, _ vector) vector {
		return vector{old[0] + smallSigma0(old[1]), old[1] + smallSigma0(old[2]), old[2] + smallSigma0(old[3]), old[3] + smallSigma0(in[0][0])}
	},
	opWords2: func(_ int, old vector, in []vector, _ vector) vector {
		a, b := old[0]+smallSigma1(in[0][2]), old[1]+smallSigma1(in[0][3])
		return vector{a, b, old[2] + smallSigma1(a), old[3] + smallSigma1(b)}
	},
	opAlign: func(imm int, old vector, in []vector, _ vector) (v vector) {
		both := append(in[0][:4:4], old[:4]...)
		copy(v[:4], both[imm/4:])
		return v
	},
	opPermute: func(imm int, _ vector, in []vector, _ vector) (v vector) {
		for l := range 4 {
			v[l] = in[0][imm>>(2*l)&3]
		}
		return v
	},
	opBlend: func(imm int, old vector, in []vector, _ vector) vector {
		for half := range 8 {
			if imm>>half&1 != 0 {
				mask := uint32(0xffff) << (16 * (half % 2))
				old[half/2] = old[half/2]&^mask | in[0][half/2]&mask
			}
		}
		return old
	},
	opPadd: func(_ int, old vector, in []vector, _ vector) vector {
		for l := range 4 {
			old[l] += in[0][l]
		}
		return old
	},
	opBytes: func(_ int, old vector, in []vector, _ vector) (v vector) {
		for b := range 16 {
			if from := in[0][b/4] >> (8 * (b % 4)); from&0x80 == 0 {
				v[b/4] |= old[from&15/4] >> (8 * (from & 3)) & 0xff << (8 * (b % 4))
			}
		}
		return v
	},
	opMove128: func(_ int, _ vector, in []vector, _ vector) vector { return in[0] },
	opMove32:  func(_ int, _ vector, in []vector, _ vector) vector { return vector{in[0][0]} },
}

// tableOf is the table of a header, which the package makes in another way.
func tableOf(header []byte) []uint32 {
	var w [18]uint32
	compress := func(s [8]uint32, from, to int) [8]uint32 {
		for t := from; t < to; t++ {
			x := s[7] + bigSigma1(s[4]) + (s[4]&s[5] ^ ^s[4]&s[6]) + k256[t] + w[t%16]
			y := bigSigma0(s[0]) + (s[0]&s[1] ^ s[0]&s[2] ^ s[1]&s[2])
			s = [8]uint32{x + y, s[0], s[1], s[2], s[3] + x, s[4], s[5], s[6]}
			w[t%16] += smallSigma0(w[(t+1)%16]) + w[(t+9)%16] + smallSigma1(w[(t+14)%16])
		}
		return s
	}
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(header[4*i:])
	}
	mid := compress(iv, 0, 64)
	for i := range mid {
		mid[i] += iv[i]
	}
	second := func() {
		w = [18]uint32{0: binary.BigEndian.Uint32(header[64:]), binary.BigEndian.Uint32(header[68:]), binary.BigEndian.Uint32(header[72:]), 0, 1 << 31, 15: 640}
	}
	second()
	state := compress(mid, 0, 4)
	second()
	table := append(mid[:], state[:]...)
	w[16] = w[0] + smallSigma0(w[1])
	w[17] = w[1] + smallSigma0(w[2]) + smallSigma1(w[15])
	at := func(i int) uint32 {
		if i < len(w) {
			return w[i]
		}
		return 0
	}
	for t := range 64 {
		switch {
		case t < 18:
			table = append(table, k256[t]+w[t])
		default:
			table = append(table, at(t-16)+smallSigma0(at(t-15))+at(t-7)+smallSigma1(at(t-2)))
		}
	}
	reorder := func(s []uint32) []uint32 { return []uint32{s[5], s[4], s[1], s[0], s[7], s[6], s[3], s[2]} }
	table = append(table, reorder(table[:8])...)
	table = append(table, reorder(table[8:16])...)
	return append(table, w[16], w[17], table[16+18], table[16+19])
}

func randomHeader(r *rand.Rand) []byte {
	header := make([]byte, 80)
	for i := range header {
		header[i] = byte(r.Uint32())
	}
	return header
}

// checkLane compares a last word with crypto/sha256.
func checkLane(t *testing.T, header []byte, nonce, got uint32) {
	t.Helper()
	binary.LittleEndian.PutUint32(header[76:], nonce)
	sum := sha256.Sum256(header)
	sum = sha256.Sum256(sum[:])
	if want := binary.LittleEndian.Uint32(sum[28:]); got != want {
		t.Fatalf("%#x, want %#x", got, want)
	}
}

// TestLanes runs what is written for the vector sets on headers.
func TestLanes(t *testing.T) {
	for _, k := range []kind{avx512, avx2} {
		t.Run(k.function, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 80))
			consts := &pool{place: map[uint32]int{}}
			c := compile(k, consts)
			for range 30 {
				header := randomHeader(r)
				m := newMachine(r, k, tableOf(header), consts.words, r.Uint32())
				m.run(c.first)
				clear(m.stack[scratch])
				m.run(c.second)
				if n := len(m.stack[hashes]); n != 8*k.streams || len(m.stack[scratch]) > c.places {
					t.Fatalf("%d vectors of hashes and %d others", n, len(m.stack[scratch]))
				}
				for lane := range k.batch() {
					checkLane(t, header, m.nonce+uint32(lane), m.registers[c.results[lane/k.lanes]][lane%k.lanes])
				}
			}
		})
	}
}

// TestSHA does so for the SHA extensions.
func TestSHA(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 80))
	consts := &pool{place: map[uint32]int{}}
	list, results := compileSHA(consts)
	for range 200 {
		header := randomHeader(r)
		m := newMachine(r, shani, tableOf(header), consts.words, r.Uint32())
		m.run(list)
		for n, register := range results {
			checkLane(t, header, m.nonce+uint32(n), m.registers[register][0])
		}
	}
}

// TestCommittedAssembly checks that what the package assembles is what these programs say.
func TestCommittedAssembly(t *testing.T) {
	b, err := os.ReadFile("../../scan_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != assembly() {
		t.Fatal("scan_amd64.s is not what genscan writes; run go generate")
	}
}
