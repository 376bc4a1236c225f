package descriptor

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	//lint:ignore SA1019 Bitcoin hashes with it, however old it is
	"golang.org/x/crypto/ripemd160"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

func decodeScript(script []byte) (*Miniscript, error) {
	steps := DecodeSteps
	return DecodeScript(script, &steps)
}

// String returns the expression as text.
func (m *Miniscript) String() string {
	p := &printer{branch: -1}
	m.root.print(p)
	return p.String()
}

// lucky is somebody who has some keys, preimages and locks. His signatures are no real
// ones: the claims of the interpreter are checked against them.
type lucky struct {
	keys     map[[32]byte]bool
	all      [][32]byte
	secrets  map[string][]byte // by hash
	known    map[string]bool   // of these hashes
	sequence uint32
	lockTime uint32
}

func fakeSignature(key [32]byte) []byte {
	a, b := sha256.Sum256(key[:]), sha256.Sum256(append(key[:], 1))
	return append(a[:], b[:]...)
}

func (l *lucky) Signature(key [32]byte) []byte {
	if !l.keys[key] {
		return nil
	}
	return fakeSignature(key)
}

func (l *lucky) KeyOf(hash [20]byte) (key [32]byte, ok bool) {
	for _, key := range l.all {
		if bytes.Equal(hash160(key[:]), hash[:]) {
			return key, true
		}
	}
	return key, false
}

func (l *lucky) Preimage(_ byte, hash []byte) []byte {
	if !l.known[string(hash)] {
		return nil
	}
	return l.secrets[string(hash)]
}

func (l *lucky) Older(n uint32) bool { return n <= l.sequence }
func (l *lucky) After(n uint32) bool { return n <= l.lockTime }

// AddSignature and AddTweak are of taproot.Claims.
func (c *fakeClaims) AddSignature(key, _ *[32]byte, sig *[64]byte) {
	c.wrong = c.wrong || !bytes.Equal(sig[:], fakeSignature(*key))
}
func (c *fakeClaims) AddTweak(*[32]byte, byte, *[32]byte, *[32]byte) {}

type fakeClaims struct{ wrong bool }

// accepts runs a script.
func (l *lucky) accepts(script []byte, stack [][]byte) bool {
	control := append([]byte{taproot.LeafVersionTapscript}, make([]byte, 32)...)
	out := types.TxOut{Value: 1, ScriptPubKey: taproot.OutputScript([32]byte{1})}
	tx := &types.Tx{Version: 2, LockTime: l.lockTime, Inputs: []types.TxIn{{Sequence: l.sequence, Witness: append(slices.Clone(stack), script, control)}}, Outputs: []types.TxOut{out}}
	claims := &fakeClaims{}
	return taproot.NewContext(tx, []types.TxOut{out}).VerifyInput(0, taproot.Standard, claims) == nil && !claims.wrong
}

// generator makes random expressions, of which many are wrong.
type generator struct {
	*rand.Rand
	lucky
	left int
}

func newGenerator(seed uint64) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 7))}
	g.lucky = lucky{keys: map[[32]byte]bool{}, secrets: map[string][]byte{}, known: map[string]bool{}, sequence: uint32(g.IntN(12)), lockTime: uint32(g.IntN(12))}
	g.left = 2 + g.IntN(14)
	return g
}

func (g *generator) key() *key {
	x := [32]byte{1}
	binary.BigEndian.PutUint64(x[24:], g.Uint64())
	g.all = append(g.all, x)
	g.keys[x] = g.IntN(2) == 0
	return constantKey(x[:])
}

func (g *generator) one(names ...string) string { return names[g.IntN(len(names))] }

// of makes an expression of a basic type.
func (g *generator) of(kind byte) *node {
	g.left--
	small := g.left < 1
	switch {
	case kind == 'K' && (small || g.IntN(8) > 0):
		return newNode(g.one("pk_k", "pk_k", "pk_h")).withKeys(g.key())
	case kind == 'W':
		return newNode(g.one("a", "s"), g.of('B'))
	case kind == 'V' && (small || g.IntN(2) == 0):
		return newNode("v", g.of('B'))
	case kind == 'B' && (small || g.IntN(4) == 0):
		return g.leaf()
	}
	name := g.one("and_v", "or_i", "andor")
	if kind == 'B' {
		name = g.one("and_v", "and_b", "or_b", "or_d", "or_i", "andor", "thresh", "wrap")
	} else if kind == 'V' {
		name = g.one("and_v", "or_c", "or_i", "andor")
	}
	switch name {
	case "and_v":
		return newNode(name, g.of('V'), g.of(kind))
	case "and_b", "or_b":
		return newNode(name, g.of('B'), g.of('W'))
	case "or_c", "or_d":
		return newNode(name, g.of('B'), g.of(kind))
	case "or_i":
		return newNode(name, g.of(kind), g.of(kind))
	case "andor":
		return newNode(name, g.of('B'), g.of(kind), g.of(kind))
	case "thresh":
		n := newNode(name, g.of('B'))
		for range g.IntN(4) {
			n.subs = append(n.subs, g.of('W'))
		}
		n.k = 1 + uint32(g.IntN(len(n.subs)))
		return n
	}
	switch name = g.one("d", "j", "n", "l", "u"); name {
	case "d":
		return newNode(name, newNode("v", g.of('B')))
	case "l", "u":
		return wrap(name[0], g.of('B'))
	default:
		return newNode(name, g.of('B'))
	}
}

func (g *generator) leaf() *node {
	switch name := g.one("c", "c", "c", "multi_a", "older", "after", "sha256", "hash256", "ripemd160", "hash160", "0", "1"); name {
	case "c":
		return newNode("c", g.of('K'))
	case "multi_a":
		n := newNode(name)
		for range 1 + g.IntN(4) {
			n.keys = append(n.keys, g.key())
		}
		n.k = 1 + uint32(g.IntN(len(n.keys)))
		return n
	case "older", "after":
		n := newNode(name)
		n.k = 1 + uint32(g.IntN(20))
		return n
	case "0", "1":
		return newNode(name)
	default:
		secret := make([]byte, 32)
		binary.BigEndian.PutUint64(secret, g.Uint64()|1)
		n := newNode(name)
		n.data = hashed(name, secret)
		g.secrets[string(n.data)], g.known[string(n.data)] = secret, g.IntN(2) == 0
		return n
	}
}

func hashed(name string, b []byte) []byte {
	sum := sha256.Sum256(b)
	switch name {
	case "sha256":
		return sum[:]
	case "hash256":
		sum = sha256.Sum256(sum[:])
		return sum[:]
	case "hash160":
		return hash160(b)
	}
	h := ripemd160.New()
	h.Write(b)
	return h.Sum(nil)
}

// holds tells what an expression means, whatever its script is: the oracle.
func (l *lucky) holds(n *node) bool {
	count := func(subs ...*node) (c int) {
		for _, sub := range subs {
			if l.holds(sub) {
				c++
			}
		}
		return c
	}
	switch n.fragment.name {
	case "0":
		return false
	case "1":
		return true
	case "pk_k", "pk_h":
		return l.keys[[32]byte(n.keys[0].point[1:])]
	case "multi_a":
		signers := uint32(0)
		for _, k := range n.keys {
			if l.keys[[32]byte(k.point[1:])] {
				signers++
			}
		}
		return signers >= n.k
	case "older":
		return n.k <= l.sequence
	case "after":
		return n.k <= l.lockTime
	case "sha256", "hash256", "ripemd160", "hash160":
		return l.known[string(n.data)]
	case "or_b", "or_c", "or_d", "or_i":
		return count(n.subs...) > 0
	case "andor":
		return count(n.subs[:2]...) == 2 || l.holds(n.subs[2])
	case "thresh":
		return count(n.subs...) >= int(n.k)
	}
	return count(n.subs...) == len(n.subs)
}

// TestSatisfy: of random expressions that are sane, a script is satisfied if and only if
// what it means holds. What satisfies it the interpreter accepts, it is no larger than
// Largest says, and nobody without the keys can make another one of it.
func TestSatisfy(t *testing.T) {
	sane, satisfied, searched := 0, 0, 0
	for seed := uint64(0); sane < 1000 && seed < 3_000_000; seed++ {
		g := newGenerator(seed)
		n := g.of('B')
		n.complete()
		if n.sane() != nil {
			continue
		}
		sane++
		p := &printer{}
		n.print(p)
		text := fmt.Sprintf("seed %d: %s", seed, p)
		script, err := n.script(place{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := decodeScript(script)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		stack, ok := m.Satisfy(&g.lucky)
		if ok != g.holds(n) {
			t.Fatalf("%s: satisfied %v", text, ok)
		}
		if !ok {
			if g.search(script, g.knownElements(), nil) != nil {
				t.Fatalf("%s: it can be satisfied", text)
			}
			continue
		}
		satisfied++
		if !g.accepts(script, stack) {
			t.Fatalf("%s: refused: %x", text, stack)
		}
		size := func(stack [][]byte) int { in := types.TxIn{Witness: stack}; return in.WitnessSize() }
		if largest, ok := m.Largest(); !ok || size(stack) > size(largest) {
			t.Fatalf("%s: %x is larger than %x", text, stack, largest)
		}
		if other := g.search(script, g.publicElements(stack), stack); other != nil {
			t.Fatalf("%s: %x becomes %x", text, stack, other)
		}
		searched++
	}
	if sane < 1000 || satisfied < 300 {
		t.Errorf("only %d of %d expressions were satisfied", satisfied, sane)
	}
	t.Logf("%d expressions, %d satisfied, %d searched for another witness", sane, satisfied, searched)
}

// constants are elements that anybody can put into a witness.
func constants() [][]byte { return [][]byte{{}, {1}, make([]byte, 32)} }

// knownElements are what the one who signs can put into a witness.
func (l *lucky) knownElements() (list [][]byte) {
	list = constants()
	for _, key := range l.all {
		if list = append(list, key[:]); l.keys[key] {
			list = append(list, fakeSignature(key))
		}
	}
	for hash, secret := range l.secrets {
		if l.known[hash] {
			list = append(list, secret)
		}
	}
	return list
}

// publicElements are what others can put into a witness when they have seen one, if they
// know all preimages.
func (l *lucky) publicElements(seen [][]byte) (list [][]byte) {
	list = constants()
	for _, key := range l.all {
		list = append(list, key[:])
	}
	for _, secret := range l.secrets {
		list = append(list, secret)
	}
	for _, element := range seen {
		if len(element) == 64 {
			list = append(list, element)
		}
	}
	return list
}

// search tries small stacks of some elements, and returns one that the script accepts and
// that is another than a given one.
func (l *lucky) search(script []byte, elements [][]byte, not [][]byte) [][]byte {
	const most = 400 // stacks of a length
	for length, count := 0, 1; count <= most; length, count = length+1, count*len(elements) {
		for number := range count {
			stack := make([][]byte, length)
			for i := range stack {
				stack[i], number = elements[number%len(elements)], number/len(elements)
			}
			if !slices.EqualFunc(stack, not, bytes.Equal) && l.accepts(script, stack) {
				return stack
			}
		}
	}
	return nil
}

// TestDecodeScript: scripts that are not miniscript, or not written as it writes them, are
// refused, and those that are hostile take no time.
func TestDecodeScript(t *testing.T) {
	key := append([]byte{32}, bytes.Repeat([]byte{9}, 32)...)
	with := func(parts ...any) (s []byte) {
		for _, part := range parts {
			switch part := part.(type) {
			case int:
				s = append(s, byte(part))
			case []byte:
				s = append(s, part...)
			}
		}
		return s
	}
	for _, c := range []struct {
		name   string
		script []byte
		want   string
	}{
		{"a key", with(key, taproot.OpCheckSig), "pk(" + "0909090909090909090909090909090909090909090909090909090909090909" + ")"},
		{"a lock that is dropped", with(0x55, taproot.OpCheckSequenceVerify, taproot.OpDrop, key, taproot.OpCheckSig), "and_v(drop:older(5),pk(0909090909090909090909090909090909090909090909090909090909090909))"},
		{"a hash of a key", with(taproot.OpDup, taproot.OpHash160, 20, key[1:21], taproot.OpEqualVerify, taproot.OpCheckSig), "pkh(0909090909090909090909090909090909090909)"},
		{"nothing", nil, ""},
		{"a push that is cut off", key[:20], ""},
		{"a long push", with(taproot.OpPushData1, key, taproot.OpCheckSig), ""},
		{"a number that is too long", with(2, 5, 0, taproot.OpCheckSequenceVerify, taproot.OpVerify, key, taproot.OpCheckSig), ""},
		{"a key that is dropped", with(key, taproot.OpDrop, key, taproot.OpCheckSig), ""},
		{"verifying in two instructions", with(key, taproot.OpCheckSig, taproot.OpVerify, key, taproot.OpCheckSig), ""},
		{"of no type", with(key, taproot.OpCheckSigVerify), ""},
		{"too many for its keys", with(key, taproot.OpCheckSig, 0x52, taproot.OpNumEqual), ""},
		{"none is enough", with(key, taproot.OpCheckSig, 0, taproot.OpEqual), ""},
		{"deep", append(with(key, taproot.OpCheckSig), bytes.Repeat([]byte{taproot.Op0NotEqual}, 100_000)...), ""},
		{"long", bytes.Repeat(with(key, taproot.OpCheckSigVerify), 10_000), ""},
		{"open brackets", bytes.Repeat([]byte{taproot.OpEndIf}, 100_000), ""},
	} {
		m, err := decodeScript(c.script)
		if (err == nil) != (c.want != "") || err == nil && m.String() != c.want {
			t.Errorf("%s: %v, %v", c.name, m, err)
		}
	}
}

// FuzzDecodeScript: nothing panics, and a script that is read is the script of its
// expression; if that is sane as well, its text is read as the same.
func FuzzDecodeScript(f *testing.F) {
	for seed := range uint64(200) {
		n := newGenerator(seed).of('B')
		if n.complete(); n.sane() == nil {
			script, _ := n.script(place{})
			f.Add(script)
		}
	}
	f.Add([]byte{taproot.Op1}) // whose witness is empty
	f.Fuzz(func(t *testing.T, script []byte) {
		m, err := decodeScript(script)
		if err != nil {
			return
		}
		m.Satisfy(everything{})
		if _, ok := m.Largest(); !ok && m.root.stack.sat.possible {
			t.Fatalf("%s has no largest witness", m)
		}
	})
}
