package secp

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
)

// signature and tweak are claims as the tests handle them.
type signature struct {
	key, msg [32]byte
	sig      [64]byte
}

type tweak struct {
	output          [32]byte
	parity          byte
	internal, tweak [32]byte
}

// newRand returns a source that repeats from run to run, so that a failure does.
func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 340)) }

// random32 returns 32 bytes, often with long runs of zeros or ones, the shapes
// that find lost carries.
func random32(r *rand.Rand) (b [32]byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	switch r.IntN(4) {
	case 0:
		for i := r.IntN(32); i < 32 && r.IntN(20) != 0; i++ {
			b[i] = 0xff
		}
	case 1:
		for i := r.IntN(32); i < 32 && r.IntN(20) != 0; i++ {
			b[i] = 0
		}
	}
	return b
}

// sign makes one signature with btcec.
func sign(key *btcec.PrivateKey, msg [32]byte) (s signature) {
	s.msg = msg
	sig, err := schnorr.Sign(key, msg[:], schnorr.FastSign())
	if err != nil {
		panic(err)
	}
	copy(s.sig[:], sig.Serialize())
	copy(s.key[:], schnorr.SerializePubKey(key.PubKey()))
	return s
}

func privateKey(i int) *btcec.PrivateKey {
	var b [32]byte
	binary.BigEndian.PutUint64(b[8:], uint64(i)*0x9e3779b97f4a7c15+1)
	binary.BigEndian.PutUint64(b[24:], uint64(i)+1)
	k, _ := btcec.PrivKeyFromBytes(b[:])
	return k
}

var (
	corpusLock sync.Mutex
	corpus     = map[[2]int][]signature{}
)

// signed returns n signatures by the given number of keys, made once.
func signed(n, keys int) []signature {
	corpusLock.Lock()
	defer corpusLock.Unlock()
	at := [2]int{n, keys}
	if corpus[at] == nil {
		sigs := make([]signature, n)
		for i := range sigs {
			var msg [32]byte
			binary.BigEndian.PutUint64(msg[:], uint64(i))
			sigs[i] = sign(privateKey(i%keys), msg)
		}
		corpus[at] = sigs
	}
	return append([]signature(nil), corpus[at]...)
}

// tweaked returns n true tweak claims, made with btcec's arithmetic.
func tweaked(n int) []tweak {
	claims := make([]tweak, n)
	for i := range claims {
		c := &claims[i]
		copy(c.internal[:], schnorr.SerializePubKey(privateKey(i).PubKey()))
		binary.BigEndian.PutUint64(c.tweak[3:], uint64(i)*0xd1342543de82ef95)
		c.output, c.parity, _ = oracleTweak(&c.internal, &c.tweak)
	}
	return claims
}

// oracleVerify is BIP340 verification by btcec.
func oracleVerify(key *[32]byte, msg []byte, sig *[64]byte) bool {
	k, err := schnorr.ParsePubKey(key[:])
	if err != nil {
		return false
	}
	s, err := schnorr.ParseSignature(sig[:])
	return err == nil && s.Verify(msg, k)
}

// oracleTweak returns lift_x(internal) + tweak*G by btcec's arithmetic, if BIP341
// allows the tweak.
func oracleTweak(internal, tweak *[32]byte) (output [32]byte, parity byte, ok bool) {
	p, err := schnorr.ParsePubKey(internal[:])
	if err != nil {
		return output, 0, false
	}
	var t btcec.ModNScalar
	if t.SetBytes(tweak) != 0 {
		return output, 0, false
	}
	var tG, pj, q btcec.JacobianPoint
	btcec.ScalarBaseMultNonConst(&t, &tG)
	p.AsJacobian(&pj)
	btcec.AddNonConst(&tG, &pj, &q)
	if q.Z.IsZero() || q.X.IsZero() && q.Y.IsZero() {
		return output, 0, false
	}
	q.ToAffine()
	if q.Y.IsOdd() {
		parity = 1
	}
	return *q.X.Bytes(), parity, true
}

// rounds is how often a test goes round: n times, or a tenth of it with -short, as
// the race detector makes arithmetic slow.
func rounds(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// switchPaths runs f with the assembly, if there is any, and without.
func switchPaths(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if useBMI2 {
		t.Run("bmi2", f)
	}
	t.Run("portable", func(t *testing.T) {
		defer func(old bool) { useBMI2 = old }(useBMI2)
		useBMI2 = false
		f(t)
	})
}
