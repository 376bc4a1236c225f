package main

import (
	"math/big"
	"math/bits"
	"math/rand/v2"
	"os"
	"testing"
)

// machine is the part of a processor with AVX-512 that the programs use.
type machine struct {
	z      [32][8]uint64
	memory map[arg]*[limbs][8]uint64
}

// run executes instructions as Intel's manual defines them, lane by lane.
func (m *machine) run(lists ...[]instruction) {
	const low52 = 1<<52 - 1
	for _, list := range lists {
		for _, i := range list {
			for l := range 8 {
				a, b := m.z[i.a][l], m.z[i.b][l]
				dst := &m.z[i.dst][l]
				switch i.op {
				case opBroadcast:
					*dst = i.imm
				case opLoad:
					*dst = m.memory[i.arg][i.imm][l]
				case opStore:
					m.memory[i.arg][i.imm][l] = a
				case opXor:
					*dst = a ^ b
				case opAnd:
					*dst = a & b
				case opAdd:
					*dst = a + b
				case opShiftRight:
					*dst = a >> i.imm
				case opShiftLeft:
					*dst = a << i.imm
				case opMulLow:
					_, lo := bits.Mul64(a&low52, b&low52)
					*dst += lo & low52
				case opMulHigh:
					hi, lo := bits.Mul64(a&low52, b&low52)
					*dst += hi<<12 | lo>>52
				default:
					panic("unknown instruction " + i.op)
				}
			}
		}
	}
}

// mul and sqrN run the programs as assembly() strings them together. The registers
// start full of rubbish, as they do in life.
func mul(r *rand.Rand, x, y *[limbs][8]uint64) *[limbs][8]uint64 {
	m := rubbish(r)
	m.memory = map[arg]*[limbs][8]uint64{argZ: {}, argX: x, argY: y}
	m.run(constants(), load(argX, regA), load(argY, regB), multiply(), reduce(), store())
	return m.memory[argZ]
}

func sqrN(r *rand.Rand, x *[limbs][8]uint64, n int) *[limbs][8]uint64 {
	m := rubbish(r)
	m.memory = map[arg]*[limbs][8]uint64{argZ: {}, argX: x}
	m.run(constants(), load(argX, regA))
	for range n {
		m.run(square(), reduce())
	}
	m.run(store())
	return m.memory[argZ]
}

func rubbish(r *rand.Rand) (m machine) {
	for i := range m.z {
		for l := range m.z[i] {
			m.z[i][l] = r.Uint64()
		}
	}
	return m
}

var (
	one  = big.NewInt(1)
	p, _ = new(big.Int).SetString("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", 16)
	top  = new(big.Int).Sub(new(big.Int).Lsh(one, 256), one)
)

// edges are the numbers around which the reduction could slip. The last has every
// limb as full as the programs allow: 257 bits.
var edges = []*big.Int{
	big.NewInt(0), one, big.NewInt(2), big.NewInt(fold - 1), big.NewInt(fold),
	new(big.Int).Sub(p, one), p, new(big.Int).Add(p, one), top,
	new(big.Int).Lsh(one, 255), new(big.Int).Lsh(one, 256), new(big.Int).Lsh(one, 208),
	new(big.Int).Sub(new(big.Int).Lsh(one, 208), one), new(big.Int).Sub(new(big.Int).Lsh(one, 52), one),
	new(big.Int).Sub(new(big.Int).Lsh(one, 257), one),
}

// number returns an edge or a random number, every so often with long runs of bits.
func number(r *rand.Rand) *big.Int {
	if r.IntN(4) == 0 {
		return edges[r.IntN(len(edges))]
	}
	b := new(big.Int)
	for range 5 {
		w := r.Uint64() >> 12
		switch r.IntN(6) {
		case 0:
			w = 0
		case 1:
			w = 1<<52 - 1
		}
		b.Or(b.Lsh(b, 52), new(big.Int).SetUint64(w))
	}
	return b.And(b, edges[len(edges)-1])
}

// lanesOf writes numbers in limbs of 52 bits, and value reads a lane back. value
// fails when a limb is larger than the next operation allows.
func lanesOf(numbers *[8]*big.Int) *[limbs][8]uint64 {
	var z [limbs][8]uint64
	mask := new(big.Int).Sub(new(big.Int).Lsh(one, 52), one)
	for l, b := range numbers {
		for i := range limbs {
			w := new(big.Int).Rsh(b, uint(52*i))
			z[i][l] = w.And(w, mask).Uint64()
		}
	}
	return &z
}

func value(t *testing.T, z *[limbs][8]uint64, lane int) *big.Int {
	t.Helper()
	b := new(big.Int)
	for i := limbs - 1; i >= 0; i-- {
		w := z[i][lane]
		if i < limbs-1 && w>>52 != 0 || i == limbs-1 && w>>49 != 0 {
			t.Fatalf("limb %d is %#x", i, w)
		}
		b.Or(b.Lsh(b, 52), new(big.Int).SetUint64(w))
	}
	return b.Mod(b, p)
}

func eight(f func(l int) *big.Int) (n [8]*big.Int) {
	for l := range n {
		n[l] = f(l)
	}
	return n
}

func TestMultiply(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 52))
	check := func(x, y [8]*big.Int) {
		t.Helper()
		z := mul(r, lanesOf(&x), lanesOf(&y))
		for l := range 8 {
			want := new(big.Int).Mul(x[l], y[l])
			if got := value(t, z, l); got.Cmp(want.Mod(want, p)) != 0 {
				t.Fatalf("%x * %x = %x", x[l], y[l], got)
			}
		}
	}
	for _, a := range edges { // every edge with every edge
		for i := 0; i < len(edges); i += 8 {
			check(eight(func(int) *big.Int { return a }), eight(func(l int) *big.Int { return edges[(i+l)%len(edges)] }))
		}
	}
	random := func(int) *big.Int { return number(r) }
	for range 3000 {
		check(eight(random), eight(random))
	}
}

func TestSquare(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 52))
	check := func(x [8]*big.Int, n int) {
		t.Helper()
		z := sqrN(r, lanesOf(&x), n)
		power := new(big.Int).Lsh(one, uint(n))
		for l := range 8 {
			if got := value(t, z, l); got.Cmp(new(big.Int).Exp(x[l], power, p)) != 0 {
				t.Fatalf("%x squared %d times is %x", x[l], n, got)
			}
		}
	}
	for i := range edges {
		for n := 1; n < 5; n++ {
			check(eight(func(l int) *big.Int { return edges[(i+l)%len(edges)] }), n)
		}
	}
	random := func(int) *big.Int { return number(r) }
	for range 3000 {
		check(eight(random), 1+r.IntN(4))
	}
	for range 50 {
		check(eight(random), 88) // the longest run of a square root
	}
}

// TestCommittedAssembly checks that what the package assembles is what these programs say.
func TestCommittedAssembly(t *testing.T) {
	b, err := os.ReadFile("../../lift8_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != assembly() {
		t.Fatal("lift8_amd64.s is not what genifma writes; run go generate")
	}
}
