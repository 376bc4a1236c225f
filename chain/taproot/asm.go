package taproot

import (
	"encoding/hex"
	"strconv"
)

// AppendWord appends one opcode with its data, as NextOp returns them, in words, as
// Bitcoin Core's asm: pushes of up to four bytes as numbers, since most are, longer ones in
// hexadecimal, opcodes by name. It is for people to read and cannot be turned back: a
// number does not show how it was pushed.
func AppendWord(b []byte, op byte, data []byte) []byte {
	switch {
	case op <= OpPushData4 && len(data) <= 4:
		n, _ := parseNumber(data, false, 4)
		return strconv.AppendInt(b, n, 10)
	case op <= OpPushData4:
		return hex.AppendEncode(b, data)
	case op == Op1Negate:
		return append(b, "-1"...)
	case op >= Op1 && op <= Op16:
		return strconv.AppendInt(b, int64(op)-Op1+1, 10)
	}
	return append(b, opName(op)...)
}

func opName(op byte) string {
	if name, ok := opNames[op]; ok {
		return "OP_" + name
	}
	return "OP_UNKNOWN"
}

// opNames are Bitcoin Core's names of opcodes, without the OP_ before them. Those that
// tapscript gave up keep theirs.
var opNames = map[byte]string{
	0x50: "RESERVED", OpNop: "NOP", 0x62: "VER", OpIf: "IF", OpNotIf: "NOTIF", OpVerIf: "VERIF", OpVerNotIf: "VERNOTIF",
	OpElse: "ELSE", OpEndIf: "ENDIF", OpVerify: "VERIFY", OpReturn: "RETURN", OpToAltStack: "TOALTSTACK",
	OpFromAltStack: "FROMALTSTACK", Op2Drop: "2DROP", Op2Dup: "2DUP", Op3Dup: "3DUP", Op2Over: "2OVER", Op2Rot: "2ROT",
	Op2Swap: "2SWAP", OpIfDup: "IFDUP", OpDepth: "DEPTH", OpDrop: "DROP", OpDup: "DUP", OpNip: "NIP", OpOver: "OVER",
	OpPick: "PICK", OpRoll: "ROLL", OpRot: "ROT", OpSwap: "SWAP", OpTuck: "TUCK", 0x7e: "CAT", 0x7f: "SUBSTR", 0x80: "LEFT",
	0x81: "RIGHT", OpSize: "SIZE", 0x83: "INVERT", 0x84: "AND", 0x85: "OR", 0x86: "XOR", OpEqual: "EQUAL",
	OpEqualVerify: "EQUALVERIFY", 0x89: "RESERVED1", 0x8a: "RESERVED2", Op1Add: "1ADD", Op1Sub: "1SUB", 0x8d: "2MUL",
	0x8e: "2DIV", OpNegate: "NEGATE", OpAbs: "ABS", OpNot: "NOT", Op0NotEqual: "0NOTEQUAL", OpAdd: "ADD", OpSub: "SUB",
	0x95: "MUL", 0x96: "DIV", 0x97: "MOD", 0x98: "LSHIFT", 0x99: "RSHIFT", OpBoolAnd: "BOOLAND", OpBoolOr: "BOOLOR",
	OpNumEqual: "NUMEQUAL", OpNumEqualVerify: "NUMEQUALVERIFY", OpNumNotEqual: "NUMNOTEQUAL", OpLessThan: "LESSTHAN",
	OpGreaterThan: "GREATERTHAN", OpLessThanOrEqual: "LESSTHANOREQUAL", OpGreaterThanOrEqual: "GREATERTHANOREQUAL",
	OpMin: "MIN", OpMax: "MAX", OpWithin: "WITHIN", OpRipeMD160: "RIPEMD160", OpSHA1: "SHA1", OpSHA256: "SHA256",
	OpHash160: "HASH160", OpHash256: "HASH256", OpCodeSeparator: "CODESEPARATOR", OpCheckSig: "CHECKSIG",
	OpCheckSigVerify: "CHECKSIGVERIFY", OpCheckMultiSig: "CHECKMULTISIG", OpCheckMultiSigVerify: "CHECKMULTISIGVERIFY",
	OpNop1: "NOP1", OpCheckLockTimeVerify: "CHECKLOCKTIMEVERIFY", OpCheckSequenceVerify: "CHECKSEQUENCEVERIFY",
	OpNop4: "NOP4", 0xb4: "NOP5", 0xb5: "NOP6", 0xb6: "NOP7", 0xb7: "NOP8", 0xb8: "NOP9", OpNop10: "NOP10",
	OpCheckSigAdd: "CHECKSIGADD", 0xff: "INVALIDOPCODE",
}
