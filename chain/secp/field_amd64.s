//go:build !purego

#include "textflag.h"

// Products modulo p = 2^256 - 0x1000003d1. field.go says what is computed; here
// the 512-bit product stands in R8..R15, least significant limb first, and CF
// (ADCX) and OF (ADOX) carry two chains at once.

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

// ROW adds x * y[off] to e:a, where e is new. XORQ clears both carries.
#define ROW(off, a, b, c, d, e) \
	MOVQ  off(DI), DX \
	XORQ  e, e \
	MULXQ 0(SI), AX, BX \
	ADCXQ AX, a \
	ADOXQ BX, b \
	MULXQ 8(SI), AX, BX \
	ADCXQ AX, b \
	ADOXQ BX, c \
	MULXQ 16(SI), AX, BX \
	ADCXQ AX, c \
	ADOXQ BX, d \
	MULXQ 24(SI), AX, BX \
	ADCXQ AX, d \
	ADOXQ BX, e \
	MOVQ  $0, AX \
	ADCXQ AX, e

// PRODUCT sets R15:R8 = x * y, x at SI and y at DI. Uses AX, BX, DX.
#define PRODUCT \
	FIRSTROW \
	ROW(8, R9, R10, R11, R12, R13) \
	ROW(16, R10, R11, R12, R13, R14) \
	ROW(24, R11, R12, R13, R14, R15)

// SQUARE sets R15:R8 = x * x, x at SI: the six mixed products, doubled, plus the
// four squares. Uses AX, BX, CX, DX.
#define SQUARE \
	MOVQ  0(SI), DX \
	MULXQ 8(SI), R9, R10 \
	MULXQ 16(SI), AX, R11 \
	ADDQ  AX, R10 \
	MULXQ 24(SI), AX, R12 \
	ADCQ  AX, R11 \
	ADCQ  $0, R12 \
	MOVQ  8(SI), DX \
	MULXQ 16(SI), AX, BX \
	MULXQ 24(SI), CX, R13 \
	ADDQ  AX, R11 \
	ADCQ  BX, R12 \
	ADCQ  $0, R13 \
	ADDQ  CX, R12 \
	ADCQ  $0, R13 \
	MOVQ  16(SI), DX \
	MULXQ 24(SI), AX, R14 \
	ADDQ  AX, R13 \
	ADCQ  $0, R14 \
	XORQ  R15, R15 \
	MOVQ  0(SI), DX \
	MULXQ DX, R8, AX \
	ADCXQ R9, R9 \
	ADOXQ AX, R9 \
	MOVQ  8(SI), DX \
	MULXQ DX, AX, BX \
	ADCXQ R10, R10 \
	ADOXQ AX, R10 \
	ADCXQ R11, R11 \
	ADOXQ BX, R11 \
	MOVQ  16(SI), DX \
	MULXQ DX, AX, BX \
	ADCXQ R12, R12 \
	ADOXQ AX, R12 \
	ADCXQ R13, R13 \
	ADOXQ BX, R13 \
	MOVQ  24(SI), DX \
	MULXQ DX, AX, BX \
	ADCXQ R14, R14 \
	ADOXQ AX, R14 \
	ADCXQ R15, R15 \
	ADOXQ BX, R15

// REDUCE sets R11:R8 = R15:R8 modulo p, below 2^256: the upper half is folded
// into the lower one, then what stands above 2^256, then the last carry.
// Uses AX, BX, CX, DX, R12.
#define REDUCE \
	MOVQ  $0x1000003d1, DX \
	XORQ  CX, CX \
	MULXQ R12, AX, BX \
	ADCXQ AX, R8 \
	ADOXQ BX, R9 \
	MULXQ R13, AX, BX \
	ADCXQ AX, R9 \
	ADOXQ BX, R10 \
	MULXQ R14, AX, BX \
	ADCXQ AX, R10 \
	ADOXQ BX, R11 \
	MULXQ R15, AX, R12 \
	ADCXQ AX, R11 \
	ADOXQ CX, R12 \
	ADCXQ CX, R12 \
	MULXQ R12, AX, BX \
	ADDQ  AX, R8 \
	ADCQ  BX, R9 \
	ADCQ  CX, R10 \
	ADCQ  CX, R11 \
	SBBQ  AX, AX \
	ANDQ  DX, AX \
	ADDQ  AX, R8 \
	ADCQ  CX, R9

#define STORE(ptr) \
	MOVQ R8, 0(ptr) \
	MOVQ R9, 8(ptr) \
	MOVQ R10, 16(ptr) \
	MOVQ R11, 24(ptr)

// func mulADX(z, x, y *field)
TEXT ·mulADX(SB), NOSPLIT, $0-24
	MOVQ x+8(FP), SI
	MOVQ y+16(FP), DI
	PRODUCT
	REDUCE
	MOVQ z+0(FP), DI
	STORE(DI)
	RET

// func sqrNADX(z, x *field, n int)
TEXT ·sqrNADX(SB), NOSPLIT, $0-24
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

// func mul4ADX(z, x, y *field4)
TEXT ·mul4ADX(SB), NOSPLIT, $8-24
	MOVQ x+8(FP), SI
	MOVQ y+16(FP), DI
	MOVQ $4, lanes-8(SP)

lane:
	PRODUCT
	REDUCE
	MOVQ z+0(FP), CX
	STORE(CX)
	ADDQ $32, CX
	MOVQ CX, z+0(FP)
	ADDQ $32, SI
	ADDQ $32, DI
	DECQ lanes-8(SP)
	JNZ  lane
	RET

// func sqrN4ADX(z, x *field4, n int)
TEXT ·sqrN4ADX(SB), NOSPLIT, $8-24
	MOVQ x+8(FP), SI

round:
	MOVQ z+0(FP), DI
	MOVQ $4, lanes-8(SP)

lane:
	SQUARE
	REDUCE
	STORE(DI)
	ADDQ $32, SI
	ADDQ $32, DI
	DECQ lanes-8(SP)
	JNZ  lane
	MOVQ z+0(FP), SI
	DECQ n+16(FP)
	JNZ  round
	RET
