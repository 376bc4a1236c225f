package descriptor

import (
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// Satisfier is what somebody has who wants to spend by a script.
type Satisfier interface {
	// Signature returns the signature by a key, with its hash type, or nil.
	Signature(key [32]byte) []byte
	// KeyOf returns the key with a hash (HASH160 of its 32 bytes), if it is known.
	KeyOf(hash [20]byte) (key [32]byte, ok bool)
	// Preimage returns what has a hash, or nil. The function is its opcode.
	Preimage(function byte, hash []byte) []byte
	// Older and After report whether the transaction meets a lock (BIP112, BIP65).
	Older(n uint32) bool
	After(n uint32) bool
}

// Satisfy returns the smallest stack that satisfies the script, bottom first, of those
// that nobody else can change into another one: in each choice that others have too, it
// takes what they could take. It reports false if there is none, also if no signature
// would be in it. What the script says is believed: verify the input before it is used.
func (m *Miniscript) Satisfy(s Satisfier) (stack [][]byte, ok bool) {
	way := m.root.ways(&satisfaction{Satisfier: s}).sat
	if !way.possible || way.malleable || !way.signed {
		return nil, false
	}
	return way.last.list(), true
}

// Largest returns a stack as large as any that satisfies the script, with signatures of
// 64 bytes, which may be empty. It reports false if there is none at all.
func (m *Miniscript) Largest() (stack [][]byte, ok bool) {
	way := m.root.ways(&satisfaction{Satisfier: everything{}, largest: true}).sat
	if !way.possible {
		return nil, false
	}
	return way.last.list(), true
}

// WitnessWeight returns the weight of the witness that spends an output by the leaf, in
// weight units (BIP141), at most. It fails with ErrNoMiniscript.
func (l *Leaf) WitnessWeight() (int, error) {
	steps := DecodeSteps
	m, err := DecodeScript(l.Script, &steps)
	if err != nil {
		return 0, err
	}
	stack, _ := m.Largest()
	in := types.TxIn{Witness: append(stack, l.Script, l.ControlBlock)}
	return in.WitnessSize(), nil
}

// everything is a Satisfier who has all that anybody can ask for.
type everything struct{}

func (everything) Signature([32]byte) []byte       { return make([]byte, 64) }
func (everything) KeyOf([20]byte) ([32]byte, bool) { return [32]byte{}, true }
func (everything) Preimage(byte, []byte) []byte    { return make([]byte, 32) }
func (everything) Older(uint32) bool               { return true }
func (everything) After(uint32) bool               { return true }

// part is the end of a stack. Stacks share their parts, so that choosing among many copies
// none.
type part struct {
	below, above *part // nil in a single element
	element      []byte
}

// list returns the elements, bottom first.
func (p *part) list() (stack [][]byte) {
	todo := []*part{p}
	for len(todo) > 0 {
		p, todo = todo[len(todo)-1], todo[:len(todo)-1]
		switch {
		case p == nil:
		case p.element != nil:
			stack = append(stack, p.element)
		default:
			todo = append(todo, p.below, p.above)
		}
	}
	slices.Reverse(stack)
	return stack
}

// way is a way to satisfy an expression, or to dissatisfy it.
type way struct {
	possible  bool
	signed    bool // nobody without a key can make it
	malleable bool // others can make another one of it
	size      int  // of all elements, each with its length
	last      *part
}

// ways are the best ones of an expression.
type ways struct{ dsat, sat way }

// What is not taken from the Satisfier.
var (
	never = way{}
	empty = way{possible: true}
	zero  = element([]byte{})
	one   = element([]byte{1})
	// Anything but the preimage will do, so others can put anything there.
	noPreimage = element(make([]byte, 32)).malleably()
)

// element is a stack of one element, which is not nil.
func element(data []byte) way {
	return way{possible: true, size: types.CompactSizeLen(uint64(len(data))) + len(data), last: &part{element: data}}
}

func (w way) malleably() way {
	w.malleable = true
	return w
}

// then puts another stack on top.
func (w way) then(top way) way {
	if !w.possible || !top.possible {
		return never
	}
	last := top.last
	switch {
	case top.last == nil:
		last = w.last
	case w.last != nil:
		last = &part{below: w.last, above: top.last}
	}
	return way{true, w.signed || top.signed, w.malleable || top.malleable, w.size + top.size, last}
}

// satisfaction looks for ways.
type satisfaction struct {
	Satisfier
	largest bool // of all ways, also of those that Satisfy would not take
}

// or chooses between two ways. Where only one takes a signature, others can always go the
// other one, so the choice is theirs.
func (s *satisfaction) or(a, b way) way {
	switch {
	case !a.possible:
		return b
	case !b.possible:
		return a
	case s.largest:
		if a.size >= b.size {
			return a
		}
		return b
	case a.signed != b.signed:
		if a.signed {
			return b
		}
		return a
	case !a.signed:
		a, b = a.malleably(), b.malleably()
	case a.malleable != b.malleable:
		if a.malleable {
			return b
		}
		return a
	}
	if a.size <= b.size {
		return a
	}
	return b
}

func (n *node) ways(s *satisfaction) ways { return n.fragment.ways(n, s) }

// signature is the stack of a signature by a key.
func (s *satisfaction) signature(key [32]byte) way {
	sig := s.Signature(key)
	if sig == nil {
		return never
	}
	w := element(sig)
	w.signed = true
	return w
}

// keyWays, and those below, are BIP379's table of satisfactions.
func keyWays(n *node, s *satisfaction) ways {
	return ways{zero, s.signature([32]byte(n.keys[0].point[1:]))}
}

func keyHashWays(n *node, s *satisfaction) ways {
	key, ok := s.KeyOf([20]byte(n.data))
	if !ok {
		return ways{}
	}
	x := element(key[:])
	return ways{zero.then(x), s.signature(key).then(x)}
}

func lockWays(n *node, s *satisfaction) ways {
	if n.fragment.name == "older" && s.Older(n.k) || n.fragment.name == "after" && s.After(n.k) {
		return ways{sat: empty}
	}
	return ways{}
}

func hashWays(n *node, s *satisfaction) ways {
	w := ways{dsat: noPreimage}
	if preimage := s.Preimage(hashFunctions[n.fragment.name], n.data); preimage != nil {
		w.sat = element(preimage)
	}
	return w
}

// multiWays: of more signatures than are wanted it takes those of the last keys, as Bitcoin
// Core does. The first key takes its signature from the top.
func multiWays(n *node, s *satisfaction) ways {
	dsat, sat, wanted := empty, empty, n.k
	for i := len(n.keys) - 1; i >= 0; i-- {
		dsat = dsat.then(zero)
		signature := zero
		if wanted > 0 {
			if given := s.signature([32]byte(n.keys[i].point[1:])); given.possible {
				signature = given
				wanted--
			}
		}
		sat = sat.then(signature)
	}
	if wanted > 0 {
		sat = never
	}
	return ways{dsat, sat}
}

func sameWays(n *node, s *satisfaction) ways { return n.subs[0].ways(s) }

func dupWays(n *node, s *satisfaction) ways { return ways{zero, n.subs[0].ways(s).sat.then(one)} }

func verifyWays(n *node, s *satisfaction) ways { return ways{sat: n.subs[0].ways(s).sat} }

// sizeWays: where the expression has a dissatisfaction without a signature, others may put
// that in place of the empty element.
func sizeWays(n *node, s *satisfaction) ways {
	x := n.subs[0].ways(s)
	dsat := zero
	dsat.malleable = x.dsat.possible && !x.dsat.signed
	return ways{dsat, x.sat}
}

func (n *node) waysOf(s *satisfaction) (x, y ways) { return n.subs[0].ways(s), n.subs[1].ways(s) }

func andVWays(n *node, s *satisfaction) ways {
	x, y := n.waysOf(s)
	return ways{y.dsat.then(x.sat), y.sat.then(x.sat)}
}

func andBWays(n *node, s *satisfaction) ways {
	x, y := n.waysOf(s)
	either := s.or(y.sat.then(x.dsat).malleably(), y.dsat.then(x.sat).malleably())
	return ways{s.or(y.dsat.then(x.dsat), either), y.sat.then(x.sat)}
}

func orBWays(n *node, s *satisfaction) ways {
	x, y := n.waysOf(s)
	either := s.or(y.dsat.then(x.sat), y.sat.then(x.dsat))
	return ways{y.dsat.then(x.dsat), s.or(either, y.sat.then(x.sat).malleably())}
}

func orCWays(n *node, s *satisfaction) ways {
	x, y := n.waysOf(s)
	return ways{sat: s.or(x.sat, y.sat.then(x.dsat))}
}

func orDWays(n *node, s *satisfaction) ways {
	x, y := n.waysOf(s)
	return ways{y.dsat.then(x.dsat), s.or(x.sat, y.sat.then(x.dsat))}
}

func orIWays(n *node, s *satisfaction) ways {
	x, y := n.waysOf(s)
	return ways{s.or(x.dsat.then(one), y.dsat.then(zero)), s.or(x.sat.then(one), y.sat.then(zero))}
}

func andOrWays(n *node, s *satisfaction) ways {
	x, y := n.waysOf(s)
	z := n.subs[2].ways(s)
	return ways{s.or(y.dsat.then(x.sat), z.dsat.then(x.dsat)), s.or(y.sat.then(x.sat), z.sat.then(x.dsat))}
}

// threshWays keeps the best way for each number of expressions that are satisfied. The last
// expression takes its elements from the bottom.
func threshWays(n *node, s *satisfaction) ways {
	best := []way{empty}
	for i := len(n.subs) - 1; i >= 0; i-- {
		sub := n.subs[i].ways(s)
		next := make([]way, len(best)+1)
		for j := range next {
			if j < len(best) {
				next[j] = best[j].then(sub.dsat)
			}
			if j > 0 {
				next[j] = s.or(next[j], best[j-1].then(sub.sat))
			}
		}
		best = next
	}
	w := ways{sat: best[n.k]}
	for j := range best {
		if j > 0 { // too many of them, which others can change to none
			best[j].malleable = true
		}
		if j != int(n.k) {
			w.dsat = s.or(w.dsat, best[j])
		}
	}
	return w
}
