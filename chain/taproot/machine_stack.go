package taproot

// top returns the nth element from the top, from 1.
func (m *machine) top(n int) []byte { return m.stack[len(m.stack)-n] }

func (m *machine) push(v []byte) { m.stack = append(m.stack, v) }

func (m *machine) drop(n int) { m.stack = m.stack[:len(m.stack)-n] }

// alloc returns room for a new element. The elements of a script share an arena, which
// the next script uses again. A full arena is left to the elements that lie in it, and
// a new one is begun: if it grew, those elements would have to move.
func (m *machine) alloc(n int) []byte {
	if cap(m.arena)-len(m.arena) < n {
		m.arena = make([]byte, 0, arenaSize)
	}
	at := len(m.arena)
	m.arena = m.arena[:at+n]
	return m.arena[at : at : at+n]
}

// pushNumber pushes a result. Most are small and need no memory.
func (m *machine) pushNumber(n int64) {
	if n >= -1 && n <= 16 {
		m.push(smallNumber(int(n)))
		return
	}
	m.push(AppendNumber(m.alloc(9), n))
}

// stackNeeds returns how many elements an opcode of stepStack needs.
func stackNeeds(op byte) int {
	switch op {
	case OpToAltStack, OpIfDup, OpDrop, OpDup:
		return 1
	case Op2Drop, Op2Dup, OpNip, OpOver, OpPick, OpRoll, OpSwap, OpTuck:
		return 2
	case Op3Dup, OpRot:
		return 3
	case Op2Over, Op2Swap:
		return 4
	case Op2Rot:
		return 6
	}
	return 0
}

// stepStack executes the opcodes that move elements.
func (m *machine) stepStack(op byte) *ScriptError {
	if len(m.stack) < stackNeeds(op) {
		return errStack
	}
	s := m.stack
	n := len(s)
	switch op {
	case OpToAltStack:
		m.alt = append(m.alt, s[n-1])
		m.drop(1)
	case OpFromAltStack:
		if len(m.alt) == 0 {
			return errAltStack
		}
		m.push(m.alt[len(m.alt)-1])
		m.alt = m.alt[:len(m.alt)-1]
	case Op2Drop:
		m.drop(2)
	case Op2Dup:
		m.stack = append(s, s[n-2], s[n-1])
	case Op3Dup:
		m.stack = append(s, s[n-3], s[n-2], s[n-1])
	case Op2Over:
		m.stack = append(s, s[n-4], s[n-3])
	case Op2Rot:
		s[n-6], s[n-5], s[n-4], s[n-3], s[n-2], s[n-1] = s[n-4], s[n-3], s[n-2], s[n-1], s[n-6], s[n-5]
	case Op2Swap:
		s[n-4], s[n-3], s[n-2], s[n-1] = s[n-2], s[n-1], s[n-4], s[n-3]
	case OpIfDup:
		if isTrue(s[n-1]) {
			m.push(s[n-1])
		}
	case OpDepth:
		m.pushNumber(int64(n))
	case OpDrop:
		m.drop(1)
	case OpDup:
		m.push(s[n-1])
	case OpNip:
		s[n-2] = s[n-1]
		m.drop(1)
	case OpOver:
		m.push(s[n-2])
	case OpPick, OpRoll:
		return m.pickOrRoll(op)
	case OpRot:
		s[n-3], s[n-2], s[n-1] = s[n-2], s[n-1], s[n-3]
	case OpSwap:
		s[n-2], s[n-1] = s[n-1], s[n-2]
	case OpTuck:
		top := s[n-1]
		m.push(top)
		m.stack[n-2], m.stack[n-1] = top, s[n-2]
	}
	return nil
}

// pickOrRoll copies or moves an element to the top, from the depth that the top says. A
// roll takes time in proportion to the depth, which the stack's limit bounds.
func (m *machine) pickOrRoll(op byte) *ScriptError {
	depth, ok := m.number(1)
	if !ok {
		return badNumber(numberSize, m.top(1))
	}
	m.drop(1)
	if depth < 0 || depth >= int64(len(m.stack)) {
		return errStack
	}
	at := len(m.stack) - 1 - int(depth)
	element := m.stack[at]
	if op == OpPick {
		m.push(element)
		return nil
	}
	m.work.Opcodes += int(depth) / rollShare
	copy(m.stack[at:], m.stack[at+1:])
	m.stack[len(m.stack)-1] = element
	return nil
}
