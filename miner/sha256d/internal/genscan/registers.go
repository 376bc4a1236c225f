package main

// allocator gives the values of a program registers, and places on the stack to those
// for which there is none. A program has no branches, so that the future is known:
// the register whose value is needed last gives way.
type allocator struct {
	kind   kind
	now    int        // the step that is worked on
	uses   [][]int    // of each value: the steps that need it, from now on
	where  []int      // of each value: its register, or none
	home   []*operand // of each value: where it is in memory, or nil
	in     []value    // of each register: the value, or none
	held   []bool     // of each register: the step that is worked on needs it
	free   []int      // places on the stack that were used and are free
	left   []int      // places that are free after the step, which may yet read them
	places int        // on the stack, in all
	out    []instruction
}

const none = -1

// soon is the number of steps within which a value that is needed again is loaded and
// not only read.
const soon = 40

// allocate returns the instructions of a program, the registers in which it leaves
// its results, and how many vectors it keeps on the stack.
func allocate(k kind, steps []step, results []value) (out []instruction, at []int, places int) {
	a := &allocator{
		kind: k, uses: make([][]int, len(steps)), where: make([]int, len(steps)), home: make([]*operand, len(steps)),
		in: make([]value, k.registers), held: make([]bool, k.registers),
	}
	for r := range a.in {
		a.in[r] = none
	}
	for i, s := range steps {
		a.where[i] = none
		for _, v := range s.args {
			a.uses[v] = append(a.uses[v], i)
		}
	}
	for _, v := range results {
		a.uses[v] = append(a.uses[v], len(steps))
	}
	for i, s := range steps {
		a.now = i
		a.step(s)
		clear(a.held)
		a.free, a.left = append(a.free, a.left...), a.left[:0]
	}
	for _, v := range results {
		at = append(at, a.load(v))
	}
	return a.out, at, a.places
}

func (a *allocator) emit(op opcode, imm int, args ...operand) {
	a.out = append(a.out, instruction{op, imm, args})
}

// step turns one step into instructions.
func (a *allocator) step(s step) {
	for _, v := range s.args {
		a.uses[v] = a.uses[v][1:]
		if r := a.where[v]; r != none {
			a.held[r] = true
		}
	}
	switch {
	case s.store:
		from := register(a.load(s.args[0]))
		a.drop(s.args)
		a.emit(s.op, 0, from, *s.memory)
	case len(s.args) == 0:
		a.home[a.now] = s.memory // and is read from there when it is needed
	case s.op == opTernary:
		a.ternary(s)
	default:
		a.plain(s)
	}
}

// plain is for instructions that leave their arguments as they are. Of two arguments
// the first in the assembler's order may be in memory; none of them minds their order.
func (a *allocator) plain(s step) {
	var first []operand
	if s.memory != nil {
		first = append(first, *s.memory)
	}
	var rest []operand
	for _, v := range s.args {
		may := len(first) == 0 && (len(s.args) == 2 || a.kind.modern)
		if may && a.mayRead(v) {
			first = append(first, *a.home[v])
		} else {
			rest = append(rest, register(a.load(v)))
		}
	}
	a.drop(s.args)
	a.emit(s.op, s.imm, append(append(first, rest...), register(a.take(value(a.now))))...)
}

// mayRead reports whether an instruction had better read a value from memory.
func (a *allocator) mayRead(v value) bool {
	if a.where[v] != none || a.home[v].one && !a.kind.modern {
		return false
	}
	return len(a.uses[v]) == 0 || a.uses[v][0] > a.now+soon
}

// ternary is for the instruction that overwrites its last argument. Best is one that
// is not needed any more, then one that has to be loaded anyway; else one is copied.
func (a *allocator) ternary(s step) {
	target := 0
	for n, v := range s.args {
		switch r := a.where[v]; {
		case r != none && len(a.uses[v]) == 0:
			target = n
		case r == none && a.where[s.args[target]] != none && len(a.uses[s.args[target]]) > 0:
			target = n
		}
	}
	order := [3]int{target, (target + 1) % 3, (target + 2) % 3}
	var memory *operand
	for _, n := range order[1:] {
		if v := s.args[n]; memory == nil && a.mayRead(v) {
			memory = a.home[v]
			if n == order[1] {
				order[1], order[2] = order[2], order[1]
			}
		}
	}
	second := register(a.load(s.args[order[1]]))
	var third operand
	if memory != nil {
		third = *memory
	} else {
		third = register(a.load(s.args[order[2]]))
	}
	v := s.args[target]
	from, home := a.where[v], a.home[v]
	if from != none && len(a.uses[v]) > 0 {
		r := a.take(value(a.now))
		a.emit(a.kind.move(), 0, register(from), register(r))
	} else if from == none {
		r := a.take(value(a.now))
		a.fetch(*home, r)
	} else {
		a.drop(s.args[target : target+1])
		a.in[from], a.where[a.now] = value(a.now), from
	}
	a.drop(s.args)
	a.emit(opTernary, permute(s.imm, order), third, second, register(a.where[a.now]))
}

// permute returns the table of a function of three bits whose arguments come in
// another order.
func permute(imm int, order [3]int) (permuted int) {
	for bits := range 8 {
		in := 0
		for place, n := range order {
			in |= bits >> (2 - place) & 1 << (2 - n)
		}
		permuted |= imm >> in & 1 << bits
	}
	return permuted
}

// load brings a value into a register, which the step keeps.
func (a *allocator) load(v value) int {
	r := a.where[v]
	if r == none {
		r = a.take(v)
		a.fetch(*a.home[v], r)
	}
	a.held[r] = true
	return r
}

func (a *allocator) fetch(from operand, r int) {
	op := a.kind.move()
	if from.one {
		op, from.one = opBroadcast, false
	}
	a.emit(op, 0, from, register(r))
}

// take finds a register for a value.
func (a *allocator) take(v value) int {
	best, latest := none, none
	for r, old := range a.in {
		if old == none {
			best = r
			break
		}
		if next := a.uses[old]; !a.held[r] && (best == none || next[0] > latest) {
			best, latest = r, next[0]
		}
	}
	if old := a.in[best]; old != none {
		a.where[old] = none
		if a.home[old] == nil {
			a.home[old] = a.place()
			a.emit(a.kind.move(), 0, register(best), *a.home[old])
		}
	}
	a.in[best], a.where[v] = v, best
	return best
}

// place finds a vector's place on the stack.
func (a *allocator) place() *operand {
	n := a.places
	if last := len(a.free) - 1; last >= 0 {
		n, a.free = a.free[last], a.free[:last]
	} else {
		a.places++
	}
	return &operand{base: scratch, n: n * a.kind.size()}
}

// drop forgets values that are not needed any more.
func (a *allocator) drop(values []value) {
	for _, v := range values {
		if len(a.uses[v]) > 0 {
			continue
		}
		if r := a.where[v]; r != none {
			a.in[r], a.where[v] = none, none
		}
		if m := a.home[v]; m != nil && m.base == scratch {
			a.left = append(a.left, m.n/a.kind.size())
			a.home[v] = nil
		}
	}
}
