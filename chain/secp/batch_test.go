package secp

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// mixed is one claim of either kind.
type mixed struct {
	sig   *signature
	tweak *tweak
}

func (m mixed) add(b *Batch) {
	if m.sig != nil {
		b.AddSignature(&m.sig.key, &m.sig.msg, &m.sig.sig)
	} else {
		b.AddTweak(&m.tweak.output, m.tweak.parity, &m.tweak.internal, &m.tweak.tweak)
	}
}

// verdicts keeps btcec's answers: the tests ask for the same true claims again and
// again, and it takes its time.
var verdicts = map[any]bool{}

func (m mixed) oracle() bool {
	var claim any
	if m.sig != nil {
		claim = *m.sig
	} else {
		claim = *m.tweak
	}
	verdict, ok := verdicts[claim]
	if ok {
		return verdict
	}
	if m.sig != nil {
		verdict = oracleVerify(&m.sig.key, m.sig.msg[:], &m.sig.sig)
	} else {
		verdict = oracleVerifyTweak(m.tweak)
	}
	verdicts[claim] = verdict
	return verdict
}

// mix returns n true claims of both kinds; with repeat, many are the same, and
// signature keys are also keys of tweaks.
func mix(r *rand.Rand, n int, repeat bool) []mixed {
	sigs, tweaks := signed(300, 300), tweaked(300)
	claims := make([]mixed, n)
	for i := range claims {
		at := r.IntN(300)
		if repeat {
			at = r.IntN(1 + n/8)
		}
		if r.IntN(3) == 0 {
			claims[i].tweak = &tweaks[at]
		} else {
			claims[i].sig = &sigs[at]
		}
	}
	return claims
}

// checkBatch holds a batch against the verdicts of btcec.
func checkBatch(t *testing.T, b *Batch, claims []mixed) {
	t.Helper()
	b.Reset()
	want := -1
	for i, m := range claims {
		m.add(b)
		if want < 0 && !m.oracle() {
			want = i
		}
	}
	if b.Len() != len(claims) {
		t.Fatalf("Len = %d of %d", b.Len(), len(claims))
	}
	if got := b.sumsUp(b.claims); got != (want < 0) {
		t.Fatalf("sumsUp = %v, want %v (%d claims, offender %d)", got, want < 0, len(claims), want)
	}
	if got := b.Verify(); got != (want < 0) {
		t.Fatalf("Verify = %v, want %v", got, want < 0)
	}
	if got := b.Offender(); got != want {
		t.Fatalf("Offender = %d, want %d", got, want)
	}
}

func TestBatch(t *testing.T) {
	switchPaths(t, func(t *testing.T) {
		r := newRand(15)
		var b Batch
		good, bad := 0, 0
		for _, n := range []int{0, 1, 2, 3, 4, 7, 16, 33, 64, rounds(250)} {
			if testing.Short() && n > 16 {
				continue
			}
			for _, repeat := range []bool{false, true} {
				claims := mix(r, n, repeat)
				checkBatch(t, &b, claims)
				good++
				for _, at := range []int{0, 1, 2, 3, n / 2, n - 2, n - 1} {
					if at < 0 || at >= n {
						continue
					}
					spoilt := append([]mixed(nil), claims...)
					if m := &spoilt[at]; m.sig != nil {
						s := spoil(*m.sig, r)
						m.sig = &s
					} else {
						c := spoilTweak(*m.tweak, r)
						m.tweak = &c
					}
					checkBatch(t, &b, spoilt)
					bad++
				}
			}
		}
		t.Logf("%d valid batches and %d with a false claim agree with btcec", good, bad)
	})
}

// addTo adds d to the s of a signature.
func addTo(s signature, d *scalar) *signature {
	var k scalar
	k.setBytes((*[32]byte)(s.sig[32:]))
	k.add(&k, d)
	bigOf(k).FillBytes(s.sig[32:])
	return &s
}

// TestBatchErrorsThatCancel spoils two or three claims so that their plain sum is
// right; only coefficients that nobody can foresee show it.
func TestBatchErrorsThatCancel(t *testing.T) {
	r := newRand(16)
	var b Batch
	for i := range rounds(40) {
		claims := mix(r, 6, false)
		sigs := signed(300, 300)
		d := randomScalar(r)
		if d.isZero() {
			continue
		}
		var minus scalar
		minus.neg(&d)
		at := r.IntN(5)
		claims[at].tweak, claims[at].sig = nil, addTo(sigs[i], &d)
		if i%2 == 0 {
			claims[at+1].tweak, claims[at+1].sig = nil, addTo(sigs[i+1], &minus)
		} else {
			// A tweak claim whose tweak is off by as much.
			c := tweaked(300)[i]
			var k scalar
			k.setBytes(&c.tweak)
			k.add(&k, &d)
			bigOf(k).FillBytes(c.tweak[:])
			claims[at+1].sig, claims[at+1].tweak = nil, &c
		}
		checkBatch(t, &b, claims)
	}
}

// TestBatchSwappedNonces gives two signatures of one key the nonce of each other.
func TestBatchSwappedNonces(t *testing.T) {
	sigs := signed(4, 1)
	x, y := sigs[0], sigs[1]
	copy(x.sig[:32], sigs[1].sig[:32])
	copy(y.sig[:32], sigs[0].sig[:32])
	var b Batch
	checkBatch(t, &b, []mixed{{sig: &x}, {sig: &y}, {sig: &sigs[2]}})
	// The nonce of both is the key, so that P and R are one point.
	x, y = sigs[0], sigs[1]
	copy(x.sig[:32], x.key[:])
	copy(y.sig[:32], y.key[:])
	checkBatch(t, &b, []mixed{{sig: &x}, {sig: &y}, {sig: &x}, {sig: &sigs[2]}})
}

// TestBatchNonceIsKey makes true signatures with the private key as the nonce: R = P,
// again and again, the same point in two roles.
func TestBatchNonceIsKey(t *testing.T) {
	var claims []mixed
	for i := range 120 {
		var s signature
		key := privateKey(i % 3)
		copy(s.key[:], key.PubKey().SerializeCompressed()[1:])
		copy(s.sig[:32], s.key[:])
		binary.BigEndian.PutUint64(s.msg[:], uint64(i/6)) // each twice over
		var d, e scalar
		d.setBytes((*[32]byte)(key.Serialize()))
		if key.PubKey().Y().Bit(0) == 1 {
			d.neg(&d)
		}
		e = challenge(&s.sig, &s.key, s.msg[:])
		e.mul(&e, &d)
		e.add(&e, &d) // s = k + e*d with k = d
		bigOf(e).FillBytes(s.sig[32:])
		claims = append(claims, mixed{sig: &s})
	}
	var b Batch
	checkBatch(t, &b, claims)
	claims[70].sig.msg[9] ^= 1
	checkBatch(t, &b, claims)
}

func TestBatchEdgeTweaks(t *testing.T) {
	claims, want := edgeTweaks()
	var b Batch
	var all, good []mixed
	for i := range claims {
		all = append(all, mixed{tweak: &claims[i]})
		if want[i] {
			good = append(good, mixed{tweak: &claims[i]})
		}
	}
	checkBatch(t, &b, all)
	checkBatch(t, &b, good)
	checkBatch(t, &b, append(append(mix(newRand(17), 20, true), good...), good...))
}

// TestBatchCopies changes what was added after adding it.
func TestBatchCopies(t *testing.T) {
	var b Batch
	var s signature
	for _, s = range signed(8, 8) {
		b.AddSignature(&s.key, &s.msg, &s.sig)
	}
	c := tweaked(1)[0]
	b.AddTweak(&c.output, c.parity, &c.internal, &c.tweak)
	s, c = signature{}, tweak{}
	if !b.Verify() {
		t.Fatal("the batch looked at memory of its caller")
	}
}

// TestBatchAnswersAnew checks that an answer is not kept past the next claim.
func TestBatchAnswersAnew(t *testing.T) {
	sigs := signed(8, 8)
	var b Batch
	if !b.Verify() || b.Offender() != -1 || b.Len() != 0 {
		t.Fatal("an empty batch does not hold")
	}
	for i := range sigs {
		b.AddSignature(&sigs[i].key, &sigs[i].msg, &sigs[i].sig)
		if !b.Verify() {
			t.Fatal("refused")
		}
	}
	b.AddSignature(&sigs[0].key, &sigs[1].msg, &sigs[0].sig)
	if b.Verify() || b.Offender() != 8 || b.Verify() {
		t.Fatal("a false claim was taken")
	}
	b.Reset()
	if !b.Verify() || b.Len() != 0 {
		t.Fatal("Reset forgets nothing")
	}
}

// TestBatchMerges looks at how many points the sum really has.
func TestBatchMerges(t *testing.T) {
	var b Batch
	for _, s := range signed(100, 7) {
		b.AddSignature(&s.key, &s.msg, &s.sig)
	}
	c := tweaked(2)[1]
	for range 50 {
		b.AddTweak(&c.output, c.parity, &c.internal, &c.tweak)
	}
	if !b.Verify() {
		t.Fatal("refused")
	}
	// 100 nonces, 7 keys of which one is also the internal key, one output.
	if len(b.points) != 108 {
		t.Fatalf("%d points were lifted", len(b.points))
	}
}

// TestBatchAllocatesNothing checks that a used batch works in its own memory.
func TestBatchAllocatesNothing(t *testing.T) {
	var b Batch
	sigs := signed(64, 64)
	allocations := testing.AllocsPerRun(10, func() {
		b.Reset()
		for i := range sigs {
			b.AddSignature(&sigs[i].key, &sigs[i].msg, &sigs[i].sig)
		}
		if !b.Verify() {
			t.Fatal("refused")
		}
	})
	if allocations > 2 {
		t.Errorf("%v allocations for a batch", allocations)
	}
}

// FuzzBatch builds a batch as the bytes say: each takes a claim and may spoil it.
func FuzzBatch(f *testing.F) {
	f.Add(uint64(1), []byte{0, 1, 2, 3})
	f.Add(uint64(2), []byte{0x80, 1, 2, 0x83, 7, 7, 7})
	var b Batch
	f.Fuzz(func(t *testing.T, seed uint64, plan []byte) {
		r := newRand(seed)
		if len(plan) > 40 {
			plan = plan[:40]
		}
		pool := mix(r, 16, seed&1 == 0)
		var claims []mixed
		for _, step := range plan {
			m := pool[step&15]
			if step >= 0xe0 && m.sig != nil {
				s := spoil(*m.sig, r)
				m.sig = &s
			} else if step >= 0xe0 {
				c := spoilTweak(*m.tweak, r)
				m.tweak = &c
			}
			claims = append(claims, m)
		}
		checkBatch(t, &b, claims)
	})
}

// TestSearchIsShort: wherever a false claim stands, to find it costs little more than
// to check what comes before it together.
func TestSearchIsShort(t *testing.T) {
	sigs := signed(300, 300)
	wrong := sigs[7]
	wrong.msg[3] ^= 1
	const n = 3*partClaims - 7
	var b Batch
	for _, at := range []int{0, 1, partClaims - 1, partClaims, 2*partClaims + 500, n - 1} {
		b.Reset()
		for i := range n {
			s := &sigs[i%len(sigs)]
			if i == at {
				s = &wrong
			}
			b.AddSignature(&s.key, &s.msg, &s.sig)
		}
		if got := b.Offender(); got != at {
			t.Fatalf("Offender = %d, want %d", got, at)
		}
		together, alone := b.Work()
		if most := (at/partClaims + 2) * partClaims; together > most || alone > minTogether {
			t.Errorf("false claim %d: %d claims were summed up, want %d at most; %d were checked alone", at, together, most, alone)
		}
	}
}

// TestSearchAfterAWrongSum: a sum that says no of what is true refuses nothing.
func TestSearchAfterAWrongSum(t *testing.T) {
	var b Batch
	for _, s := range signed(40, 40) {
		b.AddSignature(&s.key, &s.msg, &s.sig)
	}
	never := func([]claim) bool { return false }
	if got := b.search(0, 40, never); got != -1 {
		t.Errorf("search = %d in a batch that holds", got)
	}
	b.claims[30].data[5] ^= 1
	if got := b.search(0, 40, never); got != 30 {
		t.Errorf("search = %d, want 30", got)
	}
}
