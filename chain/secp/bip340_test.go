package secp

import (
	"bytes"
	"encoding/csv"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/karatcoin/karat/internal/vectors"
)

// checkVector runs one vector through Verify and, when its message allows, through
// a batch of its own and one among valid signatures.
func checkVector(t *testing.T, keyHex, msgHex, sigHex string, want bool, comment string) {
	t.Helper()
	var s signature
	msg := vectors.Hex(t, msgHex)
	if copy(s.key[:], vectors.Hex(t, keyHex)) != 32 || copy(s.sig[:], vectors.Hex(t, sigHex)) != 64 {
		t.Fatalf("a key or a signature of the wrong length: %s", comment)
	}
	if got := Verify(&s.key, msg, &s.sig); got != want {
		t.Errorf("Verify = %v, want %v: %s %s", got, want, sigHex, comment)
	}
	if copy(s.msg[:], msg) != 32 || len(msg) != 32 {
		return
	}
	for _, others := range [][]signature{nil, signed(5, 5)} {
		var b Batch
		for i := range others {
			b.AddSignature(&others[i].key, &others[i].msg, &others[i].sig)
		}
		b.AddSignature(&s.key, &s.msg, &s.sig)
		if together := b.sumsUp(b.claims); together != want {
			t.Errorf("sumsUp = %v, want %v: %s %s", together, want, sigHex, comment)
		}
		if got := b.Verify(); got != want {
			t.Errorf("batch: %v, want %v: %s %s", got, want, sigHex, comment)
		}
	}
}

func TestOfficialVectors(t *testing.T) {
	switchPaths(t, func(t *testing.T) {
		for _, v := range officialVectors {
			checkVector(t, v.key, v.msg, v.sig, v.valid, v.comment)
		}
		t.Logf("%d vectors of BIP340", len(officialVectors))
	})
}

func TestSharedVectors(t *testing.T) {
	rows, err := csv.NewReader(bytes.NewReader(vectors.ReadFile(t, "bip340/test-vectors.csv"))).ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, r := range rows[1:] {
		checkVector(t, r[2], r[4], r[5], strings.EqualFold(r[6], "TRUE"), r[7])
	}
	var cases []struct {
		Pubkey, Msg, Sig, Mutation string
		Valid                      bool
	}
	vectors.ReadJSON(t, "bip340/generated-core-key-py.json", &cases)
	for _, c := range cases {
		checkVector(t, c.Pubkey, c.Msg, c.Sig, c.Valid, c.Mutation)
	}
	vectors.Ran(t, len(rows)-1, "official vectors")
	vectors.Ran(t, len(cases), "generated vectors")
}

// spoil returns s changed in one of several ways.
func spoil(s signature, r *rand.Rand) signature {
	bit := byte(1) << r.IntN(8)
	switch r.IntN(9) {
	case 0:
		s.msg[r.IntN(32)] ^= bit
	case 1:
		s.sig[r.IntN(32)] ^= bit
	case 2:
		s.sig[32+r.IntN(32)] ^= bit
	case 3:
		s.key[r.IntN(32)] ^= bit
	case 4: // s + n, where it fits, else s = n
		bigN.FillBytes(s.sig[32:])
	case 5: // r = p
		bigP.FillBytes(s.sig[:32])
	case 6: // key = p
		bigP.FillBytes(s.key[:])
	case 7: // -s
		var k scalar
		k.setBytes((*[32]byte)(s.sig[32:]))
		k.neg(&k)
		bigOf(k).FillBytes(s.sig[32:])
	case 8: // another nonce
		copy(s.sig[:32], s.key[:])
	}
	return s
}

func TestVerifyAgainstOracle(t *testing.T) {
	r := newRand(12)
	valid := 0
	for i, s := range signed(600, 600) {
		if i%3 != 0 {
			s = spoil(s, r)
		}
		want := oracleVerify(&s.key, s.msg[:], &s.sig)
		if got := Verify(&s.key, s.msg[:], &s.sig); got != want {
			t.Fatalf("Verify = %v, btcec %v: %x", got, want, s)
		}
		if want {
			valid++
		}
	}
	if valid != 200 {
		t.Fatalf("%d valid of 600", valid)
	}
}

// TestVerifyMeetsInfinity builds signatures whose s*G - e*P is infinity, so that no
// R can fit.
func TestVerifyMeetsInfinity(t *testing.T) {
	for i := range 20 {
		s := signed(20, 20)[i]
		var e, d scalar
		e = challenge(&s.sig, &s.key, s.msg[:])
		key := privateKey(i).Serialize()
		d.setBytes((*[32]byte)(key))
		if privateKey(i).PubKey().Y().Bit(0) == 1 {
			d.neg(&d) // BIP340 signs with the key of the even point
		}
		e.mul(&e, &d)
		bigOf(e).FillBytes(s.sig[32:])
		if Verify(&s.key, s.msg[:], &s.sig) {
			t.Fatal("a signature without a nonce was taken")
		}
		var b Batch
		for range 4 {
			b.AddSignature(&s.key, &s.msg, &s.sig)
		}
		if b.sumsUp(b.claims) || b.Verify() || b.Offender() != 0 {
			t.Fatal("a batch of signatures without a nonce was taken")
		}
	}
}

func TestIsPublicKey(t *testing.T) {
	r := newRand(13)
	good := 0
	var xs []*[32]byte
	var wants []bool
	for i := range 400 {
		x := random32(r)
		switch i {
		case 0:
			bigP.FillBytes(x[:])
		case 1:
			x = [32]byte{31: 1} // on the curve, and so would be the next
		case 2:
			new(big.Int).Add(bigP, big.NewInt(1)).FillBytes(x[:])
		}
		_, _, want := oracleTweak(&x, &[32]byte{31: 1})
		if got := IsPublicKey(&x); got != want {
			t.Fatalf("IsPublicKey(%x) = %v", x, got)
		}
		if want {
			good++
		}
		xs, wants = append(xs, &x), append(wants, want)
	}
	if good < 100 {
		t.Fatalf("only %d keys of 400", good)
	}
	if got := ArePublicKeys(xs); !slices.Equal(got, wants) {
		t.Errorf("together they are %v, want %v", got, wants)
	}
	var keys []*[32]byte // whole groups of them, and a part of one
	for i := range xs {
		if wants[i] {
			keys = append(keys, xs[i])
		}
	}
	if slices.Contains(ArePublicKeys(keys), false) || len(ArePublicKeys(nil)) != 0 {
		t.Error("keys together are none")
	}
}

// spoilTweak returns c changed in one of several ways.
func spoilTweak(c tweak, r *rand.Rand) tweak {
	bit := byte(1) << r.IntN(8)
	switch r.IntN(7) {
	case 0:
		c.output[r.IntN(32)] ^= bit
	case 1:
		c.internal[r.IntN(32)] ^= bit
	case 2:
		c.tweak[r.IntN(32)] ^= bit
	case 3:
		c.parity ^= 1
	case 4:
		c.parity = 2 | byte(r.Uint32())
	case 5:
		bigN.FillBytes(c.tweak[:])
	case 6:
		bigP.FillBytes(c.output[:])
	}
	return c
}

// oracleVerifyTweak is VerifyTweak by btcec.
func oracleVerifyTweak(c *tweak) bool {
	output, parity, ok := oracleTweak(&c.internal, &c.tweak)
	return ok && output == c.output && parity == c.parity
}

func TestVerifyTweakAgainstOracle(t *testing.T) {
	switchPaths(t, func(t *testing.T) {
		r := newRand(14)
		valid := [2]int{}
		for i, c := range tweaked(400) {
			if i%2 == 1 {
				c = spoilTweak(c, r)
			}
			want := oracleVerifyTweak(&c)
			if got := VerifyTweak(&c.output, c.parity, &c.internal, &c.tweak); got != want {
				t.Fatalf("VerifyTweak = %v, btcec %v: %x", got, want, c)
			}
			if want {
				valid[c.parity]++
			}
		}
		if valid[0] < 50 || valid[1] < 50 {
			t.Fatalf("%v valid of each parity", valid)
		}
	})
}

// edgeTweaks are claims at the edges, with the verdict.
func edgeTweaks() (claims []tweak, want []bool) {
	add := func(c tweak, ok bool) { claims, want = append(claims, c), append(want, ok) }
	var g [32]byte
	bigOf(generator.x).FillBytes(g[:])
	one := [32]byte{31: 1}
	var minusOne [32]byte
	bigOf(scalar{n0 - 1, n1, n2, n3}).FillBytes(minusOne[:])
	for i := range 8 {
		var c tweak
		copy(c.internal[:], privateKey(i).PubKey().SerializeCompressed()[1:])
		c.output = c.internal
		add(c, true) // tweak 0
		c.parity = 1
		add(c, false)
	}
	two, parity, _ := oracleTweak(&g, &one)
	add(tweak{two, parity, g, one}, true) // G + G: a doubling
	add(tweak{two, parity ^ 1, g, one}, false)
	add(tweak{g, 0, g, minusOne}, false) // G - G: infinity
	add(tweak{g, 1, g, minusOne}, false)
	add(tweak{[32]byte{}, 0, g, minusOne}, false)
	// Internal 2G if that is even, else -2G; minus one or plus one of that is ±G.
	lift := tweak{g, 0, two, minusOne}
	if parity == 1 {
		lift = tweak{g, 1, two, one}
	}
	add(lift, true)
	lift.parity ^= 1
	add(lift, false)
	// Points with so small an x that x + p has 256 bits too: another name for the
	// same point, which BIP340 does not allow.
	small, alias := [32]byte{31: 1}, [32]byte{}
	new(big.Int).Add(bigP, big.NewInt(1)).FillBytes(alias[:])
	output, parity, _ := oracleTweak(&small, &one)
	add(tweak{output, parity, small, one}, true)
	add(tweak{output, parity, alias, one}, false)
	add(tweak{small, 0, small, [32]byte{}}, true)
	add(tweak{alias, 0, small, [32]byte{}}, false)
	add(tweak{alias, 0, alias, [32]byte{}}, false)
	return claims, want
}

func TestVerifyTweakEdges(t *testing.T) {
	claims, want := edgeTweaks()
	for i := range claims {
		c := &claims[i]
		if got := VerifyTweak(&c.output, c.parity, &c.internal, &c.tweak); got != want[i] || got != oracleVerifyTweak(c) {
			t.Errorf("claim %d: %v, want %v", i, got, want[i])
		}
		var b Batch
		for range 3 {
			b.AddTweak(&c.output, c.parity, &c.internal, &c.tweak)
		}
		if got := b.sumsUp(b.claims); got != want[i] {
			t.Errorf("claim %d in a batch: %v, want %v", i, got, want[i])
		}
	}
}

func FuzzVerify(f *testing.F) {
	for _, s := range signed(4, 4) {
		f.Add(s.key[:], s.msg[:], s.sig[:])
	}
	f.Add(make([]byte, 32), []byte{}, make([]byte, 64))
	f.Fuzz(func(t *testing.T, key, msg, sig []byte) {
		if len(key) != 32 || len(sig) != 64 {
			return
		}
		k, s := (*[32]byte)(key), (*[64]byte)(sig)
		// btcec takes only messages of 32 bytes.
		if len(msg) == 32 && Verify(k, msg, s) != oracleVerify(k, msg, s) {
			t.Fatal("disagrees with btcec")
		}
		// A true signature, made of the fuzzer's bytes and spoilt by them.
		private, _ := btcec.PrivKeyFromBytes(key)
		if private.Key.IsZero() {
			return
		}
		var m [32]byte
		copy(m[:], msg)
		made := sign(private, m)
		if !Verify(&made.key, made.msg[:], &made.sig) {
			t.Fatal("refused a valid signature")
		}
		made.sig[sig[0]&63] ^= sig[1]
		if Verify(&made.key, made.msg[:], &made.sig) != oracleVerify(&made.key, made.msg[:], &made.sig) {
			t.Fatal("disagrees with btcec on a spoilt signature")
		}
	})
}

func FuzzTweak(f *testing.F) {
	for _, c := range tweaked(4) {
		f.Add(c.output[:], c.parity, c.internal[:], c.tweak[:])
	}
	f.Fuzz(func(t *testing.T, output []byte, parity byte, internal, tw []byte) {
		if len(output) != 32 || len(internal) != 32 || len(tw) != 32 {
			return
		}
		c := tweak{[32]byte(output), parity, [32]byte(internal), [32]byte(tw)}
		if VerifyTweak(&c.output, c.parity, &c.internal, &c.tweak) != oracleVerifyTweak(&c) {
			t.Fatal("disagrees with btcec")
		}
		var ok bool
		if c.output, c.parity, ok = oracleTweak(&c.internal, &c.tweak); ok {
			if !VerifyTweak(&c.output, c.parity, &c.internal, &c.tweak) {
				t.Fatal("refused a true claim")
			}
			if VerifyTweak(&c.output, c.parity^1, &c.internal, &c.tweak) {
				t.Fatal("took the wrong parity")
			}
		}
	})
}
