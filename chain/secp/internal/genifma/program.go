package main

// An instruction works on the 32 registers Z0..Z31 of eight 64-bit lanes each.
type instruction struct {
	op        opcode
	dst, a, b int    // registers
	imm       uint64 // shift, constant, or limb in memory
	arg       arg    // which argument a load or store means
}

// opcode is the mnemonic.
type opcode string

const (
	opBroadcast  opcode = "VPBROADCASTQ" // dst = imm in every lane
	opLoad       opcode = "LOAD"         // dst = limb imm of arg
	opStore      opcode = "STORE"        // limb imm of arg = a
	opXor        opcode = "VPXORQ"       // dst = a ^ b
	opAnd        opcode = "VPANDQ"       // dst = a & b
	opAdd        opcode = "VPADDQ"       // dst = a + b
	opShiftRight opcode = "VPSRLQ"       // dst = a >> imm
	opShiftLeft  opcode = "VPSLLQ"       // dst = a << imm
	// With the lower 52 bits of a and b: dst += the lower or upper 52 bits of a*b.
	opMulLow  opcode = "VPMADD52LUQ"
	opMulHigh opcode = "VPMADD52HUQ"
)

// arg is a pointer argument to five limbs of eight lanes.
type arg int

const (
	argZ arg = iota
	argX
	argY
)

const (
	limbs = 5 // limbs of 52 bits
	// fold is 2^256 modulo p, and what 2^260, the place above the top limb, is
	// worth is 16 times that.
	fold = 1<<32 + 977
)

// The registers.
const (
	regA      = 0  // five limbs of x, and of the result
	regC      = 5  // ten columns of the product
	regB      = 21 // five limbs of y
	regMask52 = 15
	regFold16 = 16
	regFold   = 17
	regMask48 = 18
	regT      = 19
	regU      = 20
)

// constants sets the registers that stay.
func constants() []instruction {
	return []instruction{
		{op: opBroadcast, dst: regMask52, imm: 1<<52 - 1},
		{op: opBroadcast, dst: regFold16, imm: fold << 4},
		{op: opBroadcast, dst: regFold, imm: fold},
		{op: opBroadcast, dst: regMask48, imm: 1<<48 - 1},
	}
}

func load(from arg, to int) (list []instruction) {
	for i := range limbs {
		list = append(list, instruction{op: opLoad, dst: to + i, imm: uint64(i), arg: from})
	}
	return list
}

func store() (list []instruction) {
	for i := range limbs {
		list = append(list, instruction{op: opStore, a: regA + i, imm: uint64(i), arg: argZ})
	}
	return list
}

func clear(r int) instruction { return instruction{op: opXor, dst: r, a: r, b: r} }

// multiply sets the ten columns of A*B. The lower half of a product of limbs i and
// j belongs to column i+j, the upper half to the next. A column has at most ten
// halves of 52 bits: below 2^56.
func multiply() (list []instruction) {
	var columns [2 * limbs][]instruction
	for i := range limbs {
		for j := range limbs {
			low, high := regC+i+j, regC+i+j+1
			columns[i+j] = append(columns[i+j], instruction{op: opMulLow, dst: low, a: regA + i, b: regB + j})
			columns[i+j+1] = append(columns[i+j+1], instruction{op: opMulHigh, dst: high, a: regA + i, b: regB + j})
		}
	}
	return append(clearColumns(), interleave(columns[:])...)
}

// square sets the ten columns of A*A: the mixed products once, doubled, then the
// squares of the limbs.
func square() []instruction {
	var columns [2 * limbs][]instruction
	for i := range limbs {
		for j := i + 1; j < limbs; j++ {
			low, high := regC+i+j, regC+i+j+1
			columns[i+j] = append(columns[i+j], instruction{op: opMulLow, dst: low, a: regA + i, b: regA + j})
			columns[i+j+1] = append(columns[i+j+1], instruction{op: opMulHigh, dst: high, a: regA + i, b: regA + j})
		}
	}
	list := append(clearColumns(), interleave(columns[:])...)
	for c := regC + 1; c < regC+2*limbs-1; c++ {
		list = append(list, instruction{op: opAdd, dst: c, a: c, b: c})
	}
	for i := range limbs {
		list = append(list, instruction{op: opMulLow, dst: regC + 2*i, a: regA + i, b: regA + i})
	}
	for i := range limbs {
		list = append(list, instruction{op: opMulHigh, dst: regC + 2*i + 1, a: regA + i, b: regA + i})
	}
	return list
}

func clearColumns() (list []instruction) {
	for c := range 2 * limbs {
		list = append(list, clear(regC+c))
	}
	return list
}

// interleave takes one instruction of each column in turn: two in a row into one
// column would wait for each other.
func interleave(columns [][]instruction) (list []instruction) {
	for left := true; left; {
		left = false
		for c := range columns {
			if len(columns[c]) > 0 {
				list = append(list, columns[c][0])
				columns[c] = columns[c][1:]
				left = true
			}
		}
	}
	return list
}

// reduce brings the columns C, modulo p, into the limbs A.
//
// Operands have limbs below 2^52 and a top limb below 2^49, and the result does
// again: the product is then below 2^514, so that the last column, after the
// carries, is below 2^46. Folding the upper five columns by fold16 makes the lower ones less than
// 2^57. What then stands above 2^256, the upper bits of column 4 and what the last
// column left above 2^260, is below 2^36 and is folded again; the carries
// that this makes reach the top limb as a number below 2^6.
func reduce() (list []instruction) {
	add := func(i instruction) { list = append(list, i) }
	// carry moves what column c has above 52 bits to register up, and the rest to dst.
	carry := func(c, dst, up int) {
		add(instruction{op: opShiftRight, dst: regT, a: c, imm: 52})
		add(instruction{op: opAnd, dst: dst, a: c, b: regMask52})
		add(instruction{op: opAdd, dst: up, a: up, b: regT})
	}
	for c := regC + limbs; c < regC+2*limbs-1; c++ {
		carry(c, c, c+1)
	}
	for i := range limbs {
		add(instruction{op: opMulLow, dst: regC + i, a: regFold16, b: regC + limbs + i})
	}
	add(clear(regU))
	add(instruction{op: opMulHigh, dst: regU, a: regFold16, b: regC + 2*limbs - 1})
	for i := range limbs - 1 {
		add(instruction{op: opMulHigh, dst: regC + i + 1, a: regFold16, b: regC + limbs + i})
	}
	// Above 2^256: U has 2^260, and the top column has 2^(4*52+48).
	add(instruction{op: opShiftLeft, dst: regU, a: regU, imm: 4})
	add(instruction{op: opShiftRight, dst: regT, a: regC + limbs - 1, imm: 48})
	add(instruction{op: opAdd, dst: regU, a: regU, b: regT})
	add(instruction{op: opAnd, dst: regA + limbs - 1, a: regC + limbs - 1, b: regMask48})
	add(instruction{op: opMulLow, dst: regC, a: regFold, b: regU})
	add(instruction{op: opMulHigh, dst: regC + 1, a: regFold, b: regU})
	for i := range limbs - 1 {
		up := regC + i + 1
		if i == limbs-2 {
			up = regA + limbs - 1
		}
		carry(regC+i, regA+i, up)
	}
	return list
}
