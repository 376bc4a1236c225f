package main

// An instruction of the processor. Arguments stand in the order of Go's assembler:
// the destination is the last.
type instruction struct {
	op   opcode
	imm  int // for those opcodes that take one
	args []operand
}

// opcode is the mnemonic, without what AVX-512 appends to some.
type opcode string

const (
	opAdd       opcode = "VPADDD"
	opXor       opcode = "VPXOR"
	opAnd       opcode = "VPAND"
	opShiftL    opcode = "VPSLLD"       // by imm
	opShiftR    opcode = "VPSRLD"       // by imm
	opRotate    opcode = "VPRORD"       // to the right by imm
	opTernary   opcode = "VPTERNLOGD"   // any function of three bits: imm is its table, the destination is its first argument
	opShuffle   opcode = "VPSHUFB"      // bytes, within each 16 of them
	opBroadcast opcode = "VPBROADCASTD" // one word to all lanes
	opMove      opcode = "VMOVDQU"      // 256 bits
	opMove512   opcode = "VMOVDQU32"    // 512 bits
)

// operand is a register or a place in memory.
type operand struct {
	base base // inRegister: n is its number
	n    int  // offset in bytes
	one  bool // memory: one word, for all lanes
}

// base is the memory that an operand lies in.
type base int

const (
	inRegister base = iota
	table           // what the package prepared of the header
	constants       // SHA-256's, in the file itself
	scratch         // on the stack: what does not fit into registers
	hashes          // on the stack: first hashes, of which the second ones are to be made
	nonce           // on the stack: that of the first lane
	counting        // 0, 1, 2, ...
	reversing       // the shuffle that turns the bytes of each word round
)

func register(n int) operand { return operand{n: n} }

// kind is what the generator must know of an instruction set.
type kind struct {
	function  string
	lanes     int
	streams   int    // batches that are worked on side by side
	registers int    // how many
	prefix    string // of their names
	modern    bool   // AVX-512: rotations, functions of three, broadcasts from memory
}

// size is the length of a register in bytes.
func (k kind) size() int { return 4 * k.lanes }

// batch is the number of nonces that one pass tries.
func (k kind) batch() int { return k.lanes * k.streams }

func (k kind) move() opcode {
	if k.modern {
		return opMove512
	}
	return opMove
}
