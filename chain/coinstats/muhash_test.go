package coinstats

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// smallElement is what Bitcoin Core's unit tests call FromInt.
func smallElement(i byte) []byte {
	element := make([]byte, 32)
	element[0] = i
	return element
}

// Values of Bitcoin Core's unit test crypto_tests.cpp, muhash_tests.
const (
	coreDigest    = "10d312b100cbd32ada024a6646e40d3482fcff103668d2625f10002a607d5863"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                 // 0 and 1 inserted, 2 removed
	coreNumerator = "1fa093295ea30a6a3acdc7b3f770fa538eff537528e990e2910e40bbcfd7f6696b1256901929094694b56316de342f593303dd12ac43e06dce1be1ff8301c845beb15468fff0ef002dbf80c29f26e6452bccc91b5cb9437ad410d2a67ea847887fa3c6a6553309946880fe20db2c73fe0641adbd4e86edfee0d9f8cd0ee1230898873dc13ed8ddcaf045c80faa082774279007a2253f8922ee3ef361d378a6af3ddaf180b190ac97e556888c36b3d1fb1c85aab9ccd46e3deaeb7b7cf5db067a7e9ff86b658cf3acd6662bbcce37232daa753c48b794356c020090c831a8304416e2aa7ad633c0ddb2f11be1be316a81be7f7e472071c042cb68faef549c221ebff209273638b741aba5a81675c45a5fa92fea4ca821d7a324cb1e1a2ccd3b76c4228ec8066dad2a5df6e1bd0de45c7dd5de8070bdb46db6c554cf9aefc9b7b2bbf9f75b1864d9f95005314593905c0109b71f703d49944ae94477b51dac10a816bb6d1c700bafabc8bd86fac8df24be519a2f2836b16392e18036cb13e48c5c" // 1 and 2 inserted
	coreMaxDigest = "3a31e6903aff0de9f62f9a9f7f8b861de76ce2cda09822b90014319ae5dc2271"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                 // numerator 2^3072-1, as plain hexadecimal
)

func TestCoreUnitTest(t *testing.T) {
	var s MuHash
	s.Insert(smallElement(0))
	s.Insert(smallElement(1))
	s.Remove(smallElement(2))
	if got := s.Digest().String(); got != coreDigest {
		t.Errorf("digest %s, want %s", got, coreDigest)
	}

	var m MuHash
	m.Insert(smallElement(1))
	m.Insert(smallElement(2))
	if got := hex.EncodeToString(m.product.appendTo(nil)); got != coreNumerator {
		t.Errorf("product %s, want %s", got, coreNumerator)
	}

	var overflow MuHash
	overflow.product.setBytes((*[numberSize]byte)(bytes.Repeat([]byte{0xff}, numberSize)))
	if got := overflow.Digest(); hex.EncodeToString(got[:]) != coreMaxDigest {
		t.Errorf("digest %x, want %s", got[:], coreMaxDigest)
	}
}

// TestSetProperties: any order, any split and any detour through removed
// elements give one digest.
func TestSetProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		elements := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 100), 0, 12).Draw(t, "elements")
		detour := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "detour")
		var inOrder MuHash
		for _, e := range elements {
			inOrder.Insert(e)
		}
		want := inOrder.Digest()

		var left, right MuHash
		removedFirst := []byte("removed before it is inserted")
		left.Remove(removedFirst)
		right.Remove(detour)
		right.Insert(removedFirst)
		for i, k := range rapid.Permutation(elements).Draw(t, "shuffled") {
			if i%2 == 0 {
				left.Insert(k)
			} else {
				right.Insert(k)
			}
		}
		left.Insert(detour)
		left.Combine(&right)
		if got := left.Digest(); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		left.Insert([]byte("one more"))
		if left.Digest() == want {
			t.Fatal("a different set has the same digest")
		}
	})
}

func TestZeroValueIsEmptySet(t *testing.T) {
	var empty MuHash
	var emptied MuHash
	emptied.Insert([]byte("a"))
	emptied.Remove([]byte("a"))
	if empty.Digest() != emptied.Digest() {
		t.Error("a set that became empty differs from the empty set")
	}
	alone := empty
	emptied.Insert([]byte("b"))
	empty.Combine(&emptied)
	if alone != (MuHash{}) || empty != emptied {
		t.Error("a copy is not independent")
	}
}

// TestDecodeMuHash: what is written is read back, and only that.
func TestDecodeMuHash(t *testing.T) {
	var m MuHash
	m.Insert([]byte("a"))
	m.Remove([]byte("b"))
	encoded := m.AppendTo(nil)
	again, err := DecodeMuHash(encoded)
	if err != nil || again.Digest() != m.Digest() {
		t.Fatalf("read back as %s, want %s: %v", again.Digest(), m.Digest(), err)
	}
	var p [numberSize]byte
	prime.FillBytes(p[:])
	slices.Reverse(p[:])
	more := p
	more[0]++
	for name, b := range map[string][]byte{
		"nothing": {}, "less": encoded[1:], "more": append(encoded[:MuHashSize:MuHashSize], 0),
		"zero": make([]byte, MuHashSize), "the prime": p[:], "above the prime": more[:],
	} {
		if _, err := DecodeMuHash(b); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	less := p
	less[0]--
	if _, err := DecodeMuHash(less[:]); err != nil {
		t.Errorf("the number below the prime: %v", err)
	}
}

// checkMul compares a product with math/big's.
func checkMul(t *testing.T, a, b []byte) {
	t.Helper()
	toNumber := func(b []byte) (n number) {
		var buf [numberSize]byte
		copy(buf[:], b)
		n.setBytes(&buf)
		if n == (number{}) { // stands for one
			n[0] = 1
		}
		return n
	}
	x, y := toNumber(a), toNumber(b)
	want := new(big.Int).Mul(x.big(), y.big())
	want.Mod(want, prime)
	got := x
	got.mul(&y)
	if reduced := new(big.Int).Mod(got.big(), prime); got != (number{}) && reduced.Cmp(want) != 0 {
		t.Errorf("%x * %x = %x, want %x", x.big(), y.big(), reduced, want)
	}
	if got == (number{}) && want.Sign() != 0 {
		t.Errorf("%x * %x = 0", x.big(), y.big())
	}
	if r := got.reduced(); want.Sign() != 0 && r.big().Cmp(want) != 0 {
		t.Errorf("%x is %x, wholly reduced, want %x", got.big(), r.big(), want)
	}
	if want.Sign() != 0 && got.divided(&y) != x.reduced() {
		t.Errorf("%x * %x / %x is something else", x.big(), y.big(), y.big())
	}
}

// edges are numbers at which carries run through.
func edges() [][]byte {
	ones := bytes.Repeat([]byte{0xff}, numberSize)
	p := prime.FillBytes(make([]byte, numberSize))
	for i, j := 0, numberSize-1; i < j; i, j = i+1, j-1 {
		p[i], p[j] = p[j], p[i]
	}
	below, above := bytes.Clone(p), bytes.Clone(p)
	below[0]--
	above[0]++
	return [][]byte{
		{1}, {2}, ones, ones[1:], ones[:numberSize/2], ones[:8], p, below, above,
		append(make([]byte, numberSize-1), 0x80), append(make([]byte, numberSize/2), 1),
		append(make([]byte, 8), ones[8:]...),
	}
}

func TestMulEdges(t *testing.T) {
	for _, a := range edges() {
		for _, b := range edges() {
			checkMul(t, a, b)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		a, b := make([]byte, numberSize), make([]byte, numberSize)
		for i := range a {
			a[i], b[i] = byte(random.Uint32()), byte(random.Uint32())
		}
		checkMul(t, a, b)
	}
}

// TestReduceEdges gives reduce what the product of two numbers cannot easily
// reach: every carry that can come back does.
func TestReduceEdges(t *testing.T) {
	var all [2 * limbs]uint64
	for i := range all {
		all[i] = ^uint64(0)
	}
	lowFull := all
	clear(lowFull[limbs+1:])
	lowFull[limbs] = 1
	for _, product := range [][2 * limbs]uint64{all, lowFull, {}} {
		want := new(big.Int)
		for i := len(product) - 1; i >= 0; i-- {
			want.Or(want.Lsh(want, 64), new(big.Int).SetUint64(product[i]))
		}
		var n number
		n.reduce(&product)
		got := new(big.Int)
		if n != (number{}) {
			got = n.big()
		}
		if got.Mod(got, prime).Cmp(want.Mod(want, prime)) != 0 {
			t.Errorf("%x reduces to %x, want %x", product, got, want)
		}
	}
}

func FuzzMul(f *testing.F) {
	for _, a := range edges() {
		f.Add(a, edges()[0])
		f.Add(a, edges()[2])
	}
	f.Fuzz(func(t *testing.T, a, b []byte) { checkMul(t, a, b) })
}

func BenchmarkMul(b *testing.B) {
	x, y := elementNumber([]byte{1}), elementNumber([]byte{2})
	for b.Loop() {
		x.mul(&y)
	}
}

func BenchmarkInsert(b *testing.B) {
	var m MuHash
	element := make([]byte, 83)
	b.ReportAllocs()
	for b.Loop() {
		m.Insert(element)
	}
}

func BenchmarkDigest(b *testing.B) {
	var m MuHash
	m.Insert([]byte{1})
	for b.Loop() {
		m.Digest()
	}
}
