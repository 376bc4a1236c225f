package taproot

import "encoding/binary"

// The opcodes of tapscript by their names in Bitcoin Core. Values that are
// absent are pushes of their own number of bytes (1 to 75), OP_SUCCESSx, or
// without meaning.
const (
	op0                   = 0x00
	opPushData1           = 0x4c
	opPushData2           = 0x4d
	opPushData4           = 0x4e
	op1Negate             = 0x4f
	op1                   = 0x51
	op16                  = 0x60
	opNop                 = 0x61
	opIf                  = 0x63
	opNotIf               = 0x64
	opVerIf               = 0x65
	opVerNotIf            = 0x66
	opElse                = 0x67
	opEndIf               = 0x68
	opVerify              = 0x69
	opReturn              = 0x6a
	opToAltStack          = 0x6b
	opFromAltStack        = 0x6c
	op2Drop               = 0x6d
	op2Dup                = 0x6e
	op3Dup                = 0x6f
	op2Over               = 0x70
	op2Rot                = 0x71
	op2Swap               = 0x72
	opIfDup               = 0x73
	opDepth               = 0x74
	opDrop                = 0x75
	opDup                 = 0x76
	opNip                 = 0x77
	opOver                = 0x78
	opPick                = 0x79
	opRoll                = 0x7a
	opRot                 = 0x7b
	opSwap                = 0x7c
	opTuck                = 0x7d
	opSize                = 0x82
	opEqual               = 0x87
	opEqualVerify         = 0x88
	op1Add                = 0x8b
	op1Sub                = 0x8c
	opNegate              = 0x8f
	opAbs                 = 0x90
	opNot                 = 0x91
	op0NotEqual           = 0x92
	opAdd                 = 0x93
	opSub                 = 0x94
	opBoolAnd             = 0x9a
	opBoolOr              = 0x9b
	opNumEqual            = 0x9c
	opNumEqualVerify      = 0x9d
	opNumNotEqual         = 0x9e
	opLessThan            = 0x9f
	opGreaterThan         = 0xa0
	opLessThanOrEqual     = 0xa1
	opGreaterThanOrEqual  = 0xa2
	opMin                 = 0xa3
	opMax                 = 0xa4
	opWithin              = 0xa5
	opRipeMD160           = 0xa6
	opSHA1                = 0xa7
	opSHA256              = 0xa8
	opHash160             = 0xa9
	opHash256             = 0xaa
	opCodeSeparator       = 0xab
	opCheckSig            = 0xac
	opCheckSigVerify      = 0xad
	opCheckMultiSig       = 0xae
	opCheckMultiSigVerify = 0xaf
	opNop1                = 0xb0
	opCheckLockTimeVerify = 0xb1
	opCheckSequenceVerify = 0xb2
	opNop4                = 0xb3
	opNop10               = 0xb9
	opCheckSigAdd         = 0xba
)

// isOpSuccess reports whether the opcode is one of BIP342's OP_SUCCESSx, which
// make a script succeed by being in it.
func isOpSuccess(op byte) bool {
	switch {
	case op == 80, op == 98, op >= 126 && op <= 129, op >= 131 && op <= 134,
		op == 137, op == 138, op == 141, op == 142, op >= 149 && op <= 153,
		op >= 187 && op <= 254:
		return true
	}
	return false
}

// nextOp reads the instruction of a script at an offset: its opcode, what it
// pushes (nil for all but op0 to opPushData4) and the offset after it. It
// reports false if the script ends within the instruction.
func nextOp(script []byte, at int) (op byte, data []byte, next int, ok bool) {
	op = script[at]
	at++
	if op > opPushData4 {
		return op, nil, at, true
	}
	rest, size := script[at:], uint64(op)
	width := 0
	switch op {
	case opPushData1:
		width = 1
	case opPushData2:
		width = 2
	case opPushData4:
		width = 4
	}
	if width > 0 {
		if len(rest) < width {
			return op, nil, at, false
		}
		var length [8]byte
		copy(length[:], rest[:width])
		size = binary.LittleEndian.Uint64(length[:])
		rest, at = rest[width:], at+width
	}
	if size > uint64(len(rest)) {
		return op, nil, at, false
	}
	return op, rest[:size:size], at + int(size), true
}

// isMinimalPush reports whether no shorter instruction pushes the same value.
func isMinimalPush(op byte, data []byte) bool {
	switch n := len(data); {
	case n == 0:
		return op == op0
	case n == 1 && (data[0] >= 1 && data[0] <= 16 || data[0] == 0x81):
		return false // op1 to op16 and op1Negate
	case n < opPushData1:
		return int(op) == n
	case n <= 0xff:
		return op == opPushData1
	case n <= 0xffff:
		return op == opPushData2
	}
	return true
}
