package taproot

import "encoding/binary"

// The opcodes of tapscript, by their names in Bitcoin Core. A value that is absent
// pushes as many bytes as it says (1 to 75), is an OP_SUCCESSx (BIP342), or has no
// meaning.
const (
	Op0                   = 0x00
	OpPushData1           = 0x4c
	OpPushData2           = 0x4d
	OpPushData4           = 0x4e
	Op1Negate             = 0x4f
	Op1                   = 0x51
	Op16                  = 0x60
	OpNop                 = 0x61
	OpIf                  = 0x63
	OpNotIf               = 0x64
	OpVerIf               = 0x65
	OpVerNotIf            = 0x66
	OpElse                = 0x67
	OpEndIf               = 0x68
	OpVerify              = 0x69
	OpReturn              = 0x6a
	OpToAltStack          = 0x6b
	OpFromAltStack        = 0x6c
	Op2Drop               = 0x6d
	Op2Dup                = 0x6e
	Op3Dup                = 0x6f
	Op2Over               = 0x70
	Op2Rot                = 0x71
	Op2Swap               = 0x72
	OpIfDup               = 0x73
	OpDepth               = 0x74
	OpDrop                = 0x75
	OpDup                 = 0x76
	OpNip                 = 0x77
	OpOver                = 0x78
	OpPick                = 0x79
	OpRoll                = 0x7a
	OpRot                 = 0x7b
	OpSwap                = 0x7c
	OpTuck                = 0x7d
	OpSize                = 0x82
	OpEqual               = 0x87
	OpEqualVerify         = 0x88
	Op1Add                = 0x8b
	Op1Sub                = 0x8c
	OpNegate              = 0x8f
	OpAbs                 = 0x90
	OpNot                 = 0x91
	Op0NotEqual           = 0x92
	OpAdd                 = 0x93
	OpSub                 = 0x94
	OpBoolAnd             = 0x9a
	OpBoolOr              = 0x9b
	OpNumEqual            = 0x9c
	OpNumEqualVerify      = 0x9d
	OpNumNotEqual         = 0x9e
	OpLessThan            = 0x9f
	OpGreaterThan         = 0xa0
	OpLessThanOrEqual     = 0xa1
	OpGreaterThanOrEqual  = 0xa2
	OpMin                 = 0xa3
	OpMax                 = 0xa4
	OpWithin              = 0xa5
	OpRipeMD160           = 0xa6
	OpSHA1                = 0xa7
	OpSHA256              = 0xa8
	OpHash160             = 0xa9
	OpHash256             = 0xaa
	OpCodeSeparator       = 0xab
	OpCheckSig            = 0xac
	OpCheckSigVerify      = 0xad
	OpCheckMultiSig       = 0xae
	OpCheckMultiSigVerify = 0xaf
	OpNop1                = 0xb0
	OpCheckLockTimeVerify = 0xb1
	OpCheckSequenceVerify = 0xb2
	OpNop4                = 0xb3
	OpNop10               = 0xb9
	OpCheckSigAdd         = 0xba
)

// isOpSuccess reports whether the opcode is one of BIP342's OP_SUCCESSx. A script with
// one in it succeeds, whatever else it holds. So a soft fork can later give the opcode
// any meaning at all. The numbers are written as in the BIP.
func isOpSuccess(op byte) bool {
	switch {
	case op == 80, op == 98, op >= 126 && op <= 129, op >= 131 && op <= 134,
		op == 137, op == 138, op == 141, op == 142, op >= 149 && op <= 153,
		op >= 187 && op <= 254:
		return true
	}
	return false
}

// NextOp reads the instruction of a script at an offset, which lies within the script.
// It returns the opcode, the data that is pushed, and the offset of the next
// instruction. Opcodes above OpPushData4 push no data of the script, and data is nil.
// It reports false if the script ends within the instruction.
func NextOp(script []byte, at int) (op byte, data []byte, next int, ok bool) {
	op = script[at]
	at++
	if op > OpPushData4 {
		return op, nil, at, true
	}
	rest, size := script[at:], uint64(op)
	width := 0
	switch op {
	case OpPushData1:
		width = 1
	case OpPushData2:
		width = 2
	case OpPushData4:
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

// isMinimalPush reports whether no shorter instruction pushes the same value (BIP62).
func isMinimalPush(op byte, data []byte) bool {
	switch n := len(data); {
	case n == 0:
		return op == Op0
	case n == 1 && (data[0] >= 1 && data[0] <= 16 || data[0] == 0x81):
		return false // Op1 to Op16 and Op1Negate
	case n < OpPushData1:
		return int(op) == n
	case n <= 0xff:
		return op == OpPushData1
	case n <= 0xffff:
		return op == OpPushData2
	}
	return true
}
