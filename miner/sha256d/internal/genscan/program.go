package main

// A value is what a step of a program computes, in every lane. It is the number of
// the step, and never changes. In which register it is, is decided later.
type value int

// step computes a value from others. A memory operand is one more argument, or for
// opMove and opBroadcast the only one.
type step struct {
	op     opcode
	imm    int
	args   []value
	memory *operand
	store  bool // into memory, which is all that it does
}

// program is what is to be done to one batch.
type program struct {
	kind  kind
	steps []step
	xors  map[[2]value]value // that were computed already
}

func newProgram(k kind) *program { return &program{kind: k, xors: map[[2]value]value{}} }

func (p *program) append(s step) value {
	p.steps = append(p.steps, s)
	return value(len(p.steps) - 1)
}

func (p *program) do(op opcode, imm int, args ...value) value {
	return p.append(step{op: op, imm: imm, args: args})
}

// load reads a vector. It costs nothing where an instruction can read memory itself.
func (p *program) load(m operand) value { return p.append(step{op: p.kind.move(), memory: &m}) }

// broadcast reads a word into all lanes, as load.
func (p *program) broadcast(m operand) value {
	m.one = true
	return p.append(step{op: opBroadcast, memory: &m})
}

func (p *program) store(v value, m operand) {
	p.append(step{op: p.kind.move(), args: []value{v}, memory: &m, store: true})
}

// reverse turns the bytes of each word round.
func (p *program) reverse(v value) value {
	return p.append(step{op: opShuffle, args: []value{v}, memory: &operand{base: reversing}})
}

func (p *program) add(sum value, more ...value) value {
	for _, v := range more {
		sum = p.do(opAdd, 0, sum, v)
	}
	return sum
}

func (p *program) xor(a, b value) value {
	key := [2]value{min(a, b), max(a, b)}
	v, ok := p.xors[key]
	if !ok {
		v = p.do(opXor, 0, a, b)
		p.xors[key] = v
	}
	return v
}

// choose takes each bit from f where e has a one, and from g elsewhere.
func (p *program) choose(e, f, g value) value {
	if p.kind.modern {
		return p.do(opTernary, 0xca, e, f, g)
	}
	return p.xor(g, p.do(opAnd, 0, e, p.xor(f, g)))
}

// majority takes each bit as two of three have it. The xor of a and b is that of b
// and c in the next round.
func (p *program) majority(a, b, c value) value {
	if p.kind.modern {
		return p.do(opTernary, 0xe8, a, b, c)
	}
	return p.xor(b, p.do(opAnd, 0, p.xor(a, b), p.xor(b, c)))
}

func (p *program) bigSigma0(x value) value   { return p.rotations(x, 2, 13, 22, false) }
func (p *program) bigSigma1(x value) value   { return p.rotations(x, 6, 11, 25, false) }
func (p *program) smallSigma0(x value) value { return p.rotations(x, 7, 18, 3, true) }
func (p *program) smallSigma1(x value) value { return p.rotations(x, 17, 19, 10, true) }

// rotations is the xor of x rotated to the right by i, j and k bits, or shifted by k.
func (p *program) rotations(x value, i, j, k int, shift bool) value {
	if p.kind.modern {
		last := opRotate
		if shift {
			last = opShiftR
		}
		return p.do(opTernary, 0x96, p.do(opRotate, i, x), p.do(opRotate, j, x), p.do(last, k, x))
	}
	// Two halves of a rotation are two shifts.
	half := func(n int) value { return p.xor(p.do(opShiftR, n, x), p.do(opShiftL, 32-n, x)) }
	sum := p.xor(half(i), half(j))
	if shift {
		return p.xor(sum, p.do(opShiftR, k, x))
	}
	return p.xor(sum, half(k))
}

// beside returns programs that are worked on in turn, a step of each: one goes on
// where the other would wait for a result. at is where the values of each are.
func beside(programs []*program) (steps []step, at [][]value) {
	at = make([][]value, len(programs))
	for i := range programs[0].steps {
		for n, p := range programs {
			s := p.steps[i]
			args := s.args
			s.args = nil
			for _, v := range args {
				s.args = append(s.args, at[n][v])
			}
			at[n] = append(at[n], value(len(steps)))
			steps = append(steps, s)
		}
	}
	return steps, at
}
