package taproot

import (
	"bytes"
	"hash"
)

const (
	maxElementSize = 520  // bytes of a stack element
	maxStackSize   = 1000 // elements of both stacks together
	numberSize     = 4    // bytes of an operand
	lockTimeSize   = 5    // bytes of the operand of a lock time
	arenaSize      = 4096 // bytes
)

// machine is BIP342's interpreter. It keeps its memory from script to script, and with
// it references to the last witness, of which the stack's limit bounds the number.
//
// An element is a part of the witness, of the script or of the arena, and is never
// written to. So OP_DUP and the like copy a slice header and no bytes.
type machine struct {
	ctx    *Context
	spend  *spend
	path   ScriptPath
	script []byte
	stack  [][]byte
	alt    [][]byte
	branch branches
	budget int    // BIP342's validation weight that is left
	arena  []byte // where new elements are made
	ripemd hash.Hash
	hashes map[hashed][]byte // of long elements
	work   Work
}

// Work is what scripts cost besides the signatures in them.
type Work struct {
	Opcodes int // executed or passed over; OP_ROLL counts for more, as it is deep
	Hashed  int // bytes that opcodes hashed
}

// rollShare is how many elements OP_ROLL moves in the time of an opcode.
const rollShare = 16

// run executes a tapscript on the elements of the witness before the script. The order
// of the checks is Bitcoin Core's, so that the verdict is the same where there are
// several faults.
func (m *machine) run(c *Context, s *spend, script []byte, leaf [32]byte, initial [][]byte, budget int) *ScriptError {
	// An OP_SUCCESSx overrides everything else: the limits below, and whatever stands
	// behind it, even if that cannot be decoded.
	success, verdict := scanForSuccess(script)
	if verdict != nil {
		return verdict
	}
	if success {
		if s.flags&DiscourageOpSuccess != 0 {
			return errOpSuccess
		}
		return nil
	}
	if len(initial) > maxStackSize {
		return errStackSize
	}
	for _, element := range initial {
		if len(element) > maxElementSize {
			return errPushSize
		}
	}
	m.ctx, m.spend, m.script, m.budget = c, s, script, budget
	m.path = ScriptPath{LeafHash: leaf, CodeSeparator: NoCodeSeparator}
	m.stack, m.alt = append(m.stack[:0], initial...), m.alt[:0]
	m.branch = branches{}
	m.arena = m.arena[:0]
	verdict = m.execute()
	m.ctx, m.spend, m.script = nil, nil, nil
	clear(m.hashes)
	if verdict != nil {
		return verdict
	}
	if len(m.stack) != 1 {
		return errCleanStack
	}
	if !isTrue(m.stack[0]) {
		return errEvalFalse
	}
	return nil
}

// scanForSuccess looks for an OP_SUCCESSx before anything is executed, as one makes the
// script succeed even in a branch that would not run. It also sees to it that all
// instructions can be decoded.
func scanForSuccess(script []byte) (bool, *ScriptError) {
	for at := 0; at < len(script); {
		op, _, next, ok := NextOp(script, at)
		if !ok {
			return false, errBadOpcode
		}
		if isOpSuccess(op) {
			return true, nil
		}
		at = next
	}
	return false, nil
}

// execute runs the script. Its instructions can all be decoded, since scanForSuccess
// went through them.
func (m *machine) execute() *ScriptError {
	position := uint32(0) // in opcodes, for OP_CODESEPARATOR
	for at := 0; at < len(m.script); position++ {
		op, data, next, _ := NextOp(m.script, at)
		at = next
		m.work.Opcodes++
		// The limit holds in branches that are not executed too.
		if len(data) > maxElementSize {
			return errPushSize
		}
		executed := m.branch.allTrue()
		switch {
		case op >= OpIf && op <= OpEndIf:
			if verdict := m.conditional(op, executed); verdict != nil {
				return verdict
			}
		case !executed:
			continue // the stacks are as they were
		case op <= OpPushData4:
			if m.spend.flags&MinimalData != 0 && !isMinimalPush(op, data) {
				return errMinimalData
			}
			m.push(data)
		case op == OpCodeSeparator:
			m.path.CodeSeparator = position
		default:
			if verdict := m.step(op); verdict != nil {
				return verdict
			}
		}
		if len(m.stack)+len(m.alt) > maxStackSize {
			return errStackSize
		}
	}
	if m.branch.depth != 0 {
		return errConditional
	}
	return nil
}

// step executes an opcode that is no push and no conditional.
func (m *machine) step(op byte) *ScriptError {
	switch {
	case op <= Op16: // Op1Negate too: opcode 80 between them is an OP_SUCCESSx
		m.push(smallNumber(int(op) - Op1 + 1))
		return nil
	case op <= OpReturn:
		return m.stepFlow(op)
	case op <= OpTuck:
		return m.stepStack(op)
	case op <= OpEqualVerify:
		return m.stepCompare(op)
	case op <= Op0NotEqual:
		return m.stepUnary(op)
	case op <= OpWithin:
		return m.stepBinary(op)
	case op <= OpHash256:
		return m.stepHash(op)
	case op == OpCheckSig, op == OpCheckSigVerify, op == OpCheckSigAdd:
		return m.stepSignature(op)
	case op == OpCheckMultiSig, op == OpCheckMultiSigVerify:
		return errCheckMultiSig
	case op == OpCheckLockTimeVerify, op == OpCheckSequenceVerify:
		return m.stepLockTime(op)
	case op >= OpNop1 && op <= OpNop10:
		if m.spend.flags&DiscourageUpgradableNops != 0 {
			return errUpgradableNops
		}
		return nil
	}
	return errBadOpcode
}

// stepFlow executes the opcodes that end a script or do nothing.
func (m *machine) stepFlow(op byte) *ScriptError {
	switch op {
	case OpNop:
		return nil
	case OpVerify:
		if len(m.stack) < 1 {
			return errStack
		}
		if !isTrue(m.top(1)) {
			return errVerify
		}
		m.drop(1)
		return nil
	case OpReturn:
		return errOpReturn
	}
	return errBadOpcode
}

// conditional executes OP_IF and its kin, in branches that do not run as well, because
// nesting has to be followed there.
func (m *machine) conditional(op byte, executed bool) *ScriptError {
	switch op {
	case OpIf, OpNotIf:
		value := false
		if executed {
			if len(m.stack) < 1 {
				return errStack
			}
			// In tapscript the minimal argument is a rule of consensus (BIP342). With
			// any other true value allowed, anyone could change the witness in passing.
			top := m.top(1)
			if len(top) > 1 || len(top) == 1 && top[0] != 1 {
				return errMinimalIf
			}
			value = (len(top) == 1) == (op == OpIf)
			m.drop(1)
		}
		m.branch.push(value)
		return nil
	case OpElse:
		if m.branch.depth == 0 {
			return errConditional
		}
		m.branch.toggle()
		return nil
	case OpEndIf:
		if m.branch.depth == 0 {
			return errConditional
		}
		m.branch.pop()
		return nil
	}
	// OP_VERIF and OP_VERNOTIF fail even where they do not run.
	return errBadOpcode
}

// stepCompare executes OP_SIZE, OP_EQUAL and OP_EQUALVERIFY. Tapscript has no other
// opcodes about bytes.
func (m *machine) stepCompare(op byte) *ScriptError {
	switch op {
	case OpSize:
		if len(m.stack) < 1 {
			return errStack
		}
		m.pushNumber(int64(len(m.top(1))))
		return nil
	case OpEqual, OpEqualVerify:
		if len(m.stack) < 2 {
			return errStack
		}
		equal := bytes.Equal(m.top(1), m.top(2))
		m.drop(2)
		if op == OpEqual {
			m.push(boolean(equal))
		} else if !equal {
			return errEqualVerify
		}
		return nil
	}
	return errBadOpcode
}

// branches is the stack of conditions. Only two things about it matter: its depth, and
// where the first false value lies. Nothing but the script's size bounds the nesting,
// so every operation must take constant time; a real stack would be searched for each
// opcode.
type branches struct {
	depth      int
	firstFalse int // counted from 1; 0 if all are true
}

func (b *branches) allTrue() bool { return b.firstFalse == 0 }

func (b *branches) push(value bool) {
	b.depth++
	if !value && b.firstFalse == 0 {
		b.firstFalse = b.depth
	}
}

func (b *branches) pop() {
	if b.firstFalse == b.depth {
		b.firstFalse = 0
	}
	b.depth--
}

// toggle inverts the top value. Nothing runs above the first false value, so what the
// values above it are need not be known.
func (b *branches) toggle() {
	switch b.firstFalse {
	case 0:
		b.firstFalse = b.depth
	case b.depth:
		b.firstFalse = 0
	}
}
