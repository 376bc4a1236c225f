package taproot

import (
	"crypto/sha1"
	"crypto/sha256"

	//lint:ignore SA1019 an opcode of the script language needs this hash, however old
	"golang.org/x/crypto/ripemd160"

	"github.com/karatcoin/karat/chain/types"
)

// number reads the nth element from the top as an operand of arithmetic.
func (m *machine) number(n int) (int64, bool) {
	return parseNumber(m.top(n), m.spend.flags&MinimalData != 0, numberSize)
}

// badNumber is the verdict on operands of at most maxSize bytes, one of which is no
// number. If none is too long, only policy minds.
func badNumber(maxSize int, operands ...[]byte) *ScriptError {
	for _, v := range operands {
		if len(v) > maxSize {
			return errScriptNum
		}
	}
	return errMinimalNumber
}

func fromBool(v bool) int64 {
	if v {
		return 1
	}
	return 0
}

// stepUnary executes arithmetic on one operand. Operands have at most four bytes, so no
// result overflows.
func (m *machine) stepUnary(op byte) *ScriptError {
	if len(m.stack) < 1 {
		return errStack
	}
	n, ok := m.number(1)
	if !ok {
		return badNumber(numberSize, m.top(1))
	}
	switch op {
	case Op1Add:
		n++
	case Op1Sub:
		n--
	case OpNegate:
		n = -n
	case OpAbs:
		n = max(n, -n)
	case OpNot:
		n = fromBool(n == 0)
	case Op0NotEqual:
		n = fromBool(n != 0)
	}
	m.drop(1)
	m.pushNumber(n)
	return nil
}

// stepBinary executes arithmetic on two operands, and OP_WITHIN on three. A result may
// have five bytes. It is an element like any other then, but no operand.
func (m *machine) stepBinary(op byte) *ScriptError {
	if op == OpWithin {
		return m.within()
	}
	if len(m.stack) < 2 {
		return errStack
	}
	a, okA := m.number(2)
	b, okB := m.number(1)
	if !okA || !okB {
		return badNumber(numberSize, m.top(1), m.top(2))
	}
	m.drop(2)
	if op == OpNumEqualVerify {
		if a != b {
			return errNumVerify
		}
		return nil
	}
	m.pushNumber(arithmetic(op, a, b))
	return nil
}

func arithmetic(op byte, a, b int64) int64 {
	switch op {
	case OpAdd:
		return a + b
	case OpSub:
		return a - b
	case OpBoolAnd:
		return fromBool(a != 0 && b != 0)
	case OpBoolOr:
		return fromBool(a != 0 || b != 0)
	case OpNumEqual:
		return fromBool(a == b)
	case OpNumNotEqual:
		return fromBool(a != b)
	case OpLessThan:
		return fromBool(a < b)
	case OpGreaterThan:
		return fromBool(a > b)
	case OpLessThanOrEqual:
		return fromBool(a <= b)
	case OpGreaterThanOrEqual:
		return fromBool(a >= b)
	case OpMin:
		return min(a, b)
	default: // OpMax
		return max(a, b)
	}
}

// within executes OP_WITHIN: the upper bound is not part of the range.
func (m *machine) within() *ScriptError {
	if len(m.stack) < 3 {
		return errStack
	}
	n, okN := m.number(3)
	low, okLow := m.number(2)
	high, okHigh := m.number(1)
	if !okN || !okLow || !okHigh {
		return badNumber(numberSize, m.top(1), m.top(2), m.top(3))
	}
	m.drop(3)
	m.push(boolean(low <= n && n < high))
	return nil
}

// longElement is the length in bytes from which on an element takes more than one round
// of any hash function.
const longElement = 56

// hashed is an element that an opcode has hashed. Long elements lie in the script or in
// the witness, and are never written to, so where one begins and its length tell it.
type hashed struct {
	op     byte
	start  *byte
	length int
}

// stepHash replaces the top element by its hash. BIP342 has no budget for hashes: an
// element has at most 520 bytes, and each opcode takes a byte of the block's weight. But
// one long element could be hashed a hundred thousand times, which takes longer than all
// the signatures for which a transaction has room. So its hash is kept. Then the bytes
// that are hashed are bounded by those of the script and its witness, a few times over.
func (m *machine) stepHash(op byte) *ScriptError {
	if len(m.stack) < 1 {
		return errStack
	}
	in := m.top(1)
	m.drop(1)
	if len(in) < longElement {
		m.push(m.hash(op, in))
		return nil
	}
	key := hashed{op, &in[0], len(in)}
	out, known := m.hashes[key]
	if !known {
		if m.hashes == nil {
			m.hashes = map[hashed][]byte{}
		}
		out = m.hash(op, in)
		m.hashes[key] = out
	}
	m.push(out)
	return nil
}

func (m *machine) hash(op byte, in []byte) []byte {
	m.work.Hashed += len(in)
	out := m.alloc(32)
	switch op {
	case OpRipeMD160:
		out = m.ripeMD160(out, in)
	case OpSHA1:
		digest := sha1.Sum(in)
		out = append(out, digest[:]...)
	case OpSHA256:
		digest := sha256.Sum256(in)
		out = append(out, digest[:]...)
	case OpHash160:
		digest := sha256.Sum256(in)
		out = m.ripeMD160(out, digest[:])
	case OpHash256:
		digest := types.DoubleSHA256(in)
		out = append(out, digest[:]...)
	}
	return out
}

func (m *machine) ripeMD160(out, in []byte) []byte {
	if m.ripemd == nil {
		m.ripemd = ripemd160.New()
	}
	m.ripemd.Reset()
	m.ripemd.Write(in)
	return m.ripemd.Sum(out)
}

// stepSignature executes BIP342's signature opcodes. OP_CHECKSIGADD counts valid
// signatures in a number on the stack. It stands for OP_CHECKMULTISIG, which tried
// keys one after the other and so could not be checked in a batch.
func (m *machine) stepSignature(op byte) *ScriptError {
	needs := 2 // signature, key
	if op == OpCheckSigAdd {
		needs = 3 // signature, number, key
	}
	if len(m.stack) < needs {
		return errStack
	}
	n := int64(0)
	if op == OpCheckSigAdd {
		var ok bool
		if n, ok = m.number(2); !ok {
			return badNumber(numberSize, m.top(2))
		}
	}
	key, signature := m.top(1), m.top(needs)
	if verdict := m.checkSignature(key, signature); verdict != nil {
		return verdict
	}
	m.drop(needs)
	// A signature that is not empty is valid, or the script has failed already.
	signed := len(signature) > 0
	switch {
	case op == OpCheckSigAdd:
		m.pushNumber(n + fromBool(signed))
	case op == OpCheckSig:
		m.push(boolean(signed))
	case !signed:
		return errSigVerify
	}
	return nil
}

// checkSignature applies BIP342's rules in their order. Any signature that is not empty
// is charged to the budget. An empty key fails, even without a signature. A key of a
// type that has no meaning yet accepts everything.
func (m *machine) checkSignature(key, signature []byte) *ScriptError {
	if len(signature) > 0 {
		if m.budget -= budgetPerCheck; m.budget < 0 {
			return errBudget
		}
	}
	switch len(key) {
	case 0:
		return errEmptyKey
	case 32:
		if len(signature) == 0 {
			return nil
		}
		return m.ctx.checkSignature(m.spend, &m.path, (*[32]byte)(key), signature)
	}
	if m.spend.flags&DiscourageUpgradablePubKey != 0 {
		return errUpgradableKey
	}
	return nil
}

// stepLockTime executes OP_CHECKLOCKTIMEVERIFY (BIP65) and OP_CHECKSEQUENCEVERIFY
// (BIP112). They were no-operations once, so their operand stays on the stack. They
// compare it with the transaction's own lock, and not with the chain: whether that
// lock has ended is another rule. So a script's verdict never depends on the time at
// which it is run.
func (m *machine) stepLockTime(op byte) *ScriptError {
	if len(m.stack) < 1 {
		return errStack
	}
	operand, ok := parseNumber(m.top(1), m.spend.flags&MinimalData != 0, lockTimeSize)
	if !ok {
		return badNumber(lockTimeSize, m.top(1))
	}
	if operand < 0 {
		return errNegativeLock
	}
	tx, sequence := m.ctx.tx, m.ctx.tx.Inputs[m.spend.index].Sequence
	if op == OpCheckLockTimeVerify {
		sameKind := (operand < types.LockTimeThreshold) == (tx.LockTime < types.LockTimeThreshold)
		if !sameKind || operand > int64(tx.LockTime) || sequence == types.SequenceFinal {
			return errLockTime
		}
		return nil
	}
	if operand&types.SequenceLockDisabled != 0 {
		return nil // left free for a later soft fork
	}
	if tx.Version < 2 || sequence&types.SequenceLockDisabled != 0 {
		return errLockTime
	}
	wanted, have := uint32(operand)&(types.SequenceLockIsTime|types.SequenceLockMask), sequence&(types.SequenceLockIsTime|types.SequenceLockMask)
	if wanted&types.SequenceLockIsTime != have&types.SequenceLockIsTime || wanted > have {
		return errLockTime
	}
	return nil
}
