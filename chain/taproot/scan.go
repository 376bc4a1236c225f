package taproot

// ScanWitness looks for what makes the witness of a taproot output fail under Standard,
// whatever the output and the transaction are, and runs nothing: it takes time in
// proportion to the bytes. So whoever asks for all inputs first need not run the dear
// script of one for a transaction that another one's ends anyway.
//
// Nil says nothing. An error is a *ScriptError, with which VerifyInput would fail too,
// unless it found something else before. If it is not one of policy, the rules of blocks
// refuse the input.
func ScanWitness(stack [][]byte) error {
	if n := len(stack); n >= 2 && len(stack[n-1]) > 0 && stack[n-1][0] == AnnexTag {
		stack = stack[:n-1]
	}
	n := len(stack)
	if n < 2 {
		return nil // a key path, or nothing
	}
	control := stack[n-1]
	if !isControlSize(len(control)) {
		return errControlSize
	}
	if control[0]&LeafVersionMask != LeafVersionTapscript {
		return errUpgradableLeaf
	}
	var s scan
	if verdict := s.script(stack[n-2]); verdict != nil {
		return verdict
	}
	if n-2 > maxStackSize {
		return errStackSize
	}
	return nil
}

// scan is how far a script was read. Outside of conditionals every instruction is
// executed, or the script has failed before. Within them nobody knows, so only what
// holds in branches that do not run counts there.
type scan struct {
	depth   int
	pushed  bool // the instruction before was a push, and it is executed
	pushLen int  // of its element
	fault   *ScriptError
}

// script reads a script to its end, as an OP_SUCCESSx anywhere in it overrides what
// stands before.
func (s *scan) script(script []byte) *ScriptError {
	for at := 0; at < len(script); {
		op, data, next, ok := NextOp(script, at)
		if !ok {
			return errBadOpcode
		}
		if isOpSuccess(op) {
			return errOpSuccess
		}
		at = next
		if s.fault == nil {
			s.fault = s.instruction(op, data)
		}
	}
	if s.fault == nil && s.depth != 0 {
		s.fault = errConditional
	}
	return s.fault
}

func (s *scan) instruction(op byte, data []byte) *ScriptError {
	key := s.pushed
	s.pushed = false
	switch {
	case len(data) > maxElementSize:
		return errPushSize
	case op >= OpIf && op <= OpEndIf:
		return s.conditional(op)
	case s.depth > 0:
	case op <= OpPushData4:
		if !isMinimalPush(op, data) {
			return errMinimalData
		}
		s.pushed, s.pushLen = true, len(data)
	case op <= Op16: // and Op1Negate
		s.pushed, s.pushLen = true, 1
	case op == OpCheckSig, op == OpCheckSigVerify, op == OpCheckSigAdd:
		if key {
			return keyFault(s.pushLen)
		}
	default:
		return alwaysFails(op)
	}
	return nil
}

// conditional follows the nesting, as the machine does.
func (s *scan) conditional(op byte) *ScriptError {
	switch op {
	case OpIf, OpNotIf:
		s.depth++
		return nil
	case OpElse, OpEndIf:
		if s.depth == 0 {
			return errConditional
		}
		if op == OpEndIf {
			s.depth--
		}
		return nil
	}
	return errBadOpcode // OP_VERIF and OP_VERNOTIF
}

// keyFault is the verdict on a key of a length in bytes, whatever the signature is.
func keyFault(length int) *ScriptError {
	switch length {
	case 0:
		return errEmptyKey
	case 32:
		return nil
	}
	return errUpgradableKey
}

// alwaysFails is the verdict on the opcodes that fail wherever they are executed.
func alwaysFails(op byte) *ScriptError {
	switch {
	case op == OpReturn:
		return errOpReturn
	case op == OpCheckMultiSig, op == OpCheckMultiSigVerify:
		return errCheckMultiSig
	case op == OpNop1, op >= OpNop4 && op <= OpNop10:
		return errUpgradableNops
	case op > OpCheckSigAdd: // the others there are OP_SUCCESSx
		return errBadOpcode
	}
	return nil
}
