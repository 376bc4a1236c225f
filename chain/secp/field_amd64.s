//go:build !purego

#include "textflag.h"

// Products modulo p = 2^256 - 0x1000003d1. field.go says what is computed; here
// the 512-bit product stands in R8..R15, least significant limb first.
//
// MULX leaves the flags alone, so a carry can wait in them while the next product
// is made. ADCX and ADOX, which keep two carries waiting, need more additions with
// carry in all, and those limit the throughput: on Zen 3 four products took a fifth
// longer with them.

// FIRSTROW sets R12:R8 = x * y[0], x at SI and y at DI.
#define FIRSTROW \
	MOVQ  0(DI), DX \
	MULXQ 0(SI), R8, R9 \
	MULXQ 8(SI), AX, R10 \
	ADDQ  AX, R9 \
	MULXQ 16(SI), AX, R11 \
	ADCQ  AX, R10 \
	MULXQ 24(SI), AX, R12 \
	ADCQ  AX, R11 \
	ADCQ  $0, R12

// ROW adds x * y[off] to e:a, where e is new: first the lower halves of the four
// products, then the upper ones. Uses AX, BX, CX, DX and t, which may be DI.
#define ROW(off, a, b, c, d, e, t) \
	MOVQ  off(DI), DX \
	MULXQ 0(SI), AX, BX \
	ADDQ  AX, a \
	MULXQ 8(SI), AX, CX \
	ADCQ  AX, b \
	MULXQ 16(SI), AX, t \
	ADCQ  AX, c \
	MULXQ 24(SI), AX, e \
	ADCQ  AX, d \
	ADCQ  $0, e \
	ADDQ  BX, b \
	ADCQ  CX, c \
	ADCQ  t, d \
	ADCQ  $0, e

// PRODUCT sets R15:R8 = x * y, x at SI and y at DI. Uses AX, BX, CX, DX, DI.
#define PRODUCT \
	FIRSTROW \
	ROW(8, R9, R10, R11, R12, R13, R15) \
	ROW(16, R10, R11, R12, R13, R14, R15) \
	ROW(24, R11, R12, R13, R14, R15, DI)

// SQUARE sets R15:R8 = x * x, x at SI: the six mixed products, doubled, plus the
// four squares. Uses AX, BX, CX, DX.
#define SQUARE \
	MOVQ  0(SI), DX \
	MULXQ 8(SI), R9, R10 \
	MULXQ 16(SI), AX, R11 \
	ADDQ  AX, R10 \
	MULXQ 24(SI), AX, R12 \
	ADCQ  AX, R11 \
	MOVQ  24(SI), DX \
	MULXQ 8(SI), AX, R13 \
	ADCQ  AX, R12 \
	MULXQ 16(SI), AX, R14 \
	ADCQ  AX, R13 \
	ADCQ  $0, R14 \
	MOVQ  8(SI), DX \
	MULXQ 16(SI), AX, BX \
	ADDQ  AX, R11 \
	ADCQ  BX, R12 \
	ADCQ  $0, R13 \
	ADCQ  $0, R14 \
	XORL  R15, R15 \
	ADDQ  R9, R9 \
	ADCQ  R10, R10 \
	ADCQ  R11, R11 \
	ADCQ  R12, R12 \
	ADCQ  R13, R13 \
	ADCQ  R14, R14 \
	ADCQ  R15, R15 \
	MOVQ  0(SI), DX \
	MULXQ DX, R8, AX \
	ADDQ  AX, R9 \
	MOVQ  8(SI), DX \
	MULXQ DX, AX, BX \
	ADCQ  AX, R10 \
	ADCQ  BX, R11 \
	MOVQ  16(SI), DX \
	MULXQ DX, AX, BX \
	ADCQ  AX, R12 \
	ADCQ  BX, R13 \
	MOVQ  24(SI), DX \
	MULXQ DX, AX, BX \
	ADCQ  AX, R14 \
	ADCQ  BX, R15

// REDUCE sets R11:R8 = R15:R8 modulo p, below 2^256: the upper half is folded
// into the lower one, then what stands above 2^256. The carry out of R9 is left
// to a branch, since it is next to never there (but for those who make it so on
// purpose, and then it is right too). Uses AX, BX, CX, DX, R12..R15.
#define REDUCE \
	MOVQ  $0x1000003d1, DX \
	MULXQ R12, AX, BX \
	ADDQ  AX, R8 \
	MULXQ R13, AX, CX \
	ADCQ  AX, R9 \
	MULXQ R14, AX, R13 \
	ADCQ  AX, R10 \
	MULXQ R15, AX, R12 \
	ADCQ  AX, R11 \
	ADCQ  $0, R12 \
	ADDQ  BX, R9 \
	ADCQ  CX, R10 \
	ADCQ  R13, R11 \
	ADCQ  $0, R12 \
	MULXQ R12, AX, BX \
	ADDQ  AX, R8 \
	ADCQ  BX, R9 \
	JCC   reduced \
	ADDQ  $1, R10 \
	ADCQ  $0, R11 \
	JCC   reduced \
	ADDQ  DX, R8 \
	ADCQ  $0, R9 \
reduced:

#define STORE(ptr) \
	MOVQ R8, 0(ptr) \
	MOVQ R9, 8(ptr) \
	MOVQ R10, 16(ptr) \
	MOVQ R11, 24(ptr)

// func mulBMI2(z, x, y *field)
TEXT ·mulBMI2(SB), NOSPLIT, $0-24
	MOVQ x+8(FP), SI
	MOVQ y+16(FP), DI
	PRODUCT
	REDUCE
	MOVQ z+0(FP), DI
	STORE(DI)
	RET

// func sqrNBMI2(z, x *field, n int)
TEXT ·sqrNBMI2(SB), NOSPLIT, $0-24
	MOVQ z+0(FP), DI
	MOVQ x+8(FP), SI

square:
	SQUARE
	REDUCE
	STORE(DI)
	MOVQ DI, SI
	DECQ n+16(FP)
	JNZ  square
	RET

// The two below go lane by lane. Nothing in a lane waits for the lane before, so
// the processor runs the end of one beside the beginning of the next.

// func mul4BMI2(z, x, y *field4)
TEXT ·mul4BMI2(SB), NOSPLIT, $8-24
	MOVQ x+8(FP), SI
	MOVQ y+16(FP), DI
	MOVQ $4, left-8(SP)

lane:
	PRODUCT
	REDUCE
	MOVQ z+0(FP), CX
	STORE(CX)
	ADDQ $32, CX
	MOVQ CX, z+0(FP)
	ADDQ $32, SI
	MOVQ y+16(FP), DI
	ADDQ $32, DI
	MOVQ DI, y+16(FP)
	DECQ left-8(SP)
	JNZ  lane
	RET

// func sqrN4BMI2(z, x *field4, n, lanes int)
TEXT ·sqrN4BMI2(SB), NOSPLIT, $8-32
	MOVQ x+8(FP), SI

round:
	MOVQ z+0(FP), DI
	MOVQ lanes+24(FP), AX
	MOVQ AX, left-8(SP)

lane:
	SQUARE
	REDUCE
	STORE(DI)
	ADDQ $32, SI
	ADDQ $32, DI
	DECQ left-8(SP)
	JNZ  lane
	MOVQ z+0(FP), SI
	DECQ n+16(FP)
	JNZ  round
	RET
