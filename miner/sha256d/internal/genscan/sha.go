package main

// The SHA extensions do two rounds in one instruction, on a state that lies in two
// registers: a, b, e, f and c, d, g, h, the first of them highest. Both change roles:
// what was a, b, e, f is c, d, g, h two rounds later. Constants and words of the
// rounds are taken from register 0, whatever the instruction.

const (
	opRounds  opcode = "SHA256RNDS2" // two rounds with the words of register 0
	opWords1  opcode = "SHA256MSG1"  // four words, with the first of the next four: each + smallSigma0 of the one behind it
	opWords2  opcode = "SHA256MSG2"  // and smallSigma1 of the words two before, which are the last two or its own first two
	opAlign   opcode = "PALIGNR"     // both registers in a row, moved by imm bytes
	opPermute opcode = "PSHUFD"
	opBlend   opcode = "PBLENDW" // half words of either
	opPadd    opcode = "PADDD"
	opBytes   opcode = "PSHUFB"
	opMove128 opcode = "MOVOU"
	opMove32  opcode = "MOVL" // into the lowest lane, the others become zero
)

var shani = kind{function: "scanSHA", lanes: 4, streams: 2, registers: 16, prefix: "X"}

// shaHasher writes the programs of the SHA extensions, whose registers are few and
// fixed.
type shaHasher struct {
	pool *pool
	out  []instruction
	// The registers of a header: two of the state, four of sixteen words, and one that
	// is free.
	abef, cdgh int
	words      [4]int
	spare      int
}

// newSHA returns the hasher of one of two headers that are worked on side by side.
func newSHA(consts *pool, stream int) *shaHasher {
	first := 1 + 7*stream
	return &shaHasher{pool: consts, abef: first, cdgh: first + 1, words: [4]int{first + 2, first + 3, first + 4, first + 5}, spare: first + 6}
}

func (h *shaHasher) emit(op opcode, imm int, args ...operand) {
	h.out = append(h.out, instruction{op, imm, args})
}

func (h *shaHasher) move(from operand, to int) { h.emit(opMove128, 0, from, register(to)) }

func (h *shaHasher) add(from, to int) { h.emit(opPadd, 0, register(from), register(to)) }

// twoRounds takes the lower two words of register 0.
func (h *shaHasher) twoRounds() {
	h.emit(opRounds, 0, register(0), register(h.abef), register(h.cdgh))
	h.abef, h.cdgh = h.cdgh, h.abef
}

// rounds does the four rounds for which register 0 has constants and words.
func (h *shaHasher) rounds() {
	h.twoRounds()
	h.emit(opPermute, 0x0e, register(0), register(0))
	h.twoRounds()
}

// known does four rounds whose constants and words are in memory.
func (h *shaHasher) known(m operand) {
	h.move(m, 0)
	h.rounds()
}

// varying sets register 0 for four rounds whose words are in a register.
func (h *shaHasher) varying(group int) {
	h.move(h.pool.four(k256[4*group:]), 0)
	h.add(h.words[group%4], 0)
}

// schedule makes a group of four words out of the four groups before, the first of
// which it replaces: sum has what is left of that, and perhaps more.
func (h *shaHasher) schedule(group int) {
	sum, next := h.words[group%4], h.words[(group+1)%4]
	h.emit(opWords1, 0, register(next), register(sum))
	h.shifted(group)
	h.finish(group)
}

// shifted adds the words seven before.
func (h *shaHasher) shifted(group int) {
	h.move(register(h.words[(group+3)%4]), h.spare)
	h.emit(opAlign, 4, register(h.words[(group+2)%4]), register(h.spare))
	h.add(h.spare, h.words[group%4])
}

// finish adds what depends on the words two before.
func (h *shaHasher) finish(group int) {
	h.emit(opWords2, 0, register(h.words[(group+3)%4]), register(h.words[group%4]))
}

// scan hashes a header whose nonce is the given number above the first one. It leaves
// the last word of the hash, as a number, in the lowest lane of the register that it
// returns. Between its parts the other header may use register 0.
func (h *shaHasher) scan(number int) (parts [][]instruction, result int) {
	part := func() {
		parts = append(parts, h.out)
		h.out = nil
	}
	h.begin(number)
	for group := 1; group < 16; group++ {
		h.firstWords(group)
		if group < 4 {
			h.known(wordAt(4 * group))
		} else {
			h.varying(group)
			h.rounds()
		}
		part()
	}
	h.between()
	for group := range 15 {
		h.secondWords(group)
		if group == 2 || group == 3 {
			h.known(h.pool.four(h.padded(group)))
		} else {
			h.varying(group)
			h.rounds()
		}
		part()
	}
	// The e of the 61st round, which is the f of the next, is the h of the last.
	h.schedule(15)
	h.varying(15)
	h.twoRounds()
	h.move(h.pool.four([]uint32{iv[7], 0, 0, 0}), h.spare)
	h.add(h.abef, h.spare)
	h.move(h.pool.four(reverse()), 0)
	h.emit(opBytes, 0, register(0), register(h.spare))
	part()
	return parts, h.spare
}

// begin sets the state after the fourth round, and words 16 to 19 but for what the
// table has of them.
func (h *shaHasher) begin(number int) {
	n, w := h.spare, h.words[0]
	h.emit(opMove32, 0, operand{base: nonce}, register(n))
	h.move(h.pool.four([]uint32{uint32(number), 0, 0, 0}), w)
	h.add(w, n)
	const zero = 0x80808080 // makes four bytes zero
	// A header has the nonce the other way round than SHA-256 reads it.
	h.move(h.pool.four([]uint32{zero, 0x00010203, zero, 0x00010203}), 0)
	h.move(register(n), w)
	h.emit(opBytes, 0, register(0), register(w))
	h.move(shaAt(stateABEF), h.abef)
	h.add(w, h.abef)
	h.move(shaAt(stateCDGH), h.cdgh)
	// Of the nonce, words 18 and 19 are its smallSigma0 and itself.
	h.move(h.pool.four([]uint32{zero, zero, zero, 0x00010203}), 0)
	h.emit(opBytes, 0, register(0), register(n))
	h.move(h.pool.four(make([]uint32, 4)), w)
	h.emit(opWords1, 0, register(w), register(n))
	h.move(shaAt(words16), w)
	h.add(n, w)
}

// firstWords makes the words of a group of the first hash. Those of groups 1 to 3 are
// the padding: what the groups 5 and 7 have of it is in the table, and group 6 has
// nothing.
func (h *shaHasher) firstWords(group int) {
	switch {
	case group < 5:
	case group == 5:
		h.move(wordAt(20), h.words[1])
		h.finish(5)
	case group == 6:
		h.move(register(h.words[1]), h.words[2])
		h.emit(opAlign, 4, register(h.words[0]), register(h.words[2]))
		h.finish(6)
	case group == 7:
		h.move(wordAt(28), h.words[3])
		h.shifted(7)
		h.finish(7)
	default:
		h.schedule(group)
	}
}

const padding = 1 << 31

// between makes the first hash the message of the second, and sets the state with
// which that begins.
func (h *shaHasher) between() {
	h.move(shaAt(midABEF), h.spare)
	h.add(h.spare, h.abef)
	h.move(shaAt(midCDGH), h.spare)
	h.add(h.spare, h.cdgh)
	// From f, e, b, a and h, g, d, c, the lowest first, to a to d and e to h.
	h.emit(opPermute, 0x1b, register(h.abef), register(h.spare))    // a, b, e, f
	h.emit(opPermute, 0xb1, register(h.cdgh), register(h.words[1])) // g, h, c, d
	h.move(register(h.spare), h.words[0])
	h.emit(opBlend, 0xf0, register(h.words[1]), register(h.words[0])) // a, b, c, d
	h.emit(opAlign, 8, register(h.spare), register(h.words[1]))       // e, f, g, h
	h.move(h.pool.four(h.message(2)), h.words[2])
	h.move(h.pool.four(h.message(3)), h.words[3])
	h.move(h.pool.four([]uint32{iv[5], iv[4], iv[1], iv[0]}), h.abef)
	h.move(h.pool.four([]uint32{iv[7], iv[6], iv[3], iv[2]}), h.cdgh)
}

// message is the padding of the second hash.
func (h *shaHasher) message(group int) []uint32 {
	return [][]uint32{2: {padding, 0, 0, 0}, 3: {0, 0, 0, 8 * 32}}[group]
}

// padded is message with the constants of the rounds.
func (h *shaHasher) padded(group int) (sums []uint32) {
	for i, w := range h.message(group) {
		sums = append(sums, k256[4*group+i]+w)
	}
	return sums
}

// secondWords makes the words of a group of the second hash.
func (h *shaHasher) secondWords(group int) {
	switch {
	case group < 4:
	case group == 4: // the words seven before are zero
		h.emit(opWords1, 0, register(h.words[1]), register(h.words[0]))
		h.finish(4)
	case group == 6: // and here smallSigma0 adds nothing
		h.shifted(6)
		h.finish(6)
	default:
		h.schedule(group)
	}
}

// compileSHA returns the instructions of a batch, and the registers with the results.
func compileSHA(consts *pool) (list []instruction, results []int) {
	first, a := newSHA(consts, 0).scan(0)
	second, b := newSHA(consts, 1).scan(1)
	for i := range first {
		list = append(append(list, first[i]...), second[i]...)
	}
	return list, []int{a, b}
}

// What the table has in the order of the SHA extensions.
const (
	midABEF = iota
	midCDGH
	stateABEF
	stateCDGH
	words16
)

func shaAt(i int) operand { return operand{base: table, n: 4*(8+8+64) + 16*i} }
