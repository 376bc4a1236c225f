package descriptor

import "github.com/karatcoin/karat/chain/taproot"

// fragment is a kind of miniscript expression. A new one is a row of the table.
type fragment struct {
	name    string
	wrapper bool
	takes   string             // its arguments, see miniscriptReader.argument
	bounds  func(n *node) bool // what a number may be
	types   func(n *node) property
	stack   func(n *node) stackUse
	ways    func(n *node, s *satisfaction) ways
	// script appends the script. verified tells that OP_VERIFY follows, which goes into
	// the last instruction where that has such a form.
	script func(b []byte, n *node, at place, verified bool) ([]byte, error)
}

// fragments has them by name.
var fragments = func() map[string]*fragment {
	table := map[string]*fragment{}
	for _, f := range append(leaves(), append(wrappers(), combinations()...)...) {
		table[f.name] = &f
	}
	return table
}()

func lockBounds(n *node) bool { return n.k >= 1 && n.k < hardenedBit }

// leaves are the fragments that hold no other.
func leaves() []fragment {
	hash := func(name, takes string) fragment {
		op := hashFunctions[name]
		return fragment{name: name, takes: takes, types: always("Bonudmk"), stack: hashStack, ways: hashWays, script: func(b []byte, n *node, _ place, verified bool) ([]byte, error) {
			b = append(b, taproot.OpSize, 1, 32, taproot.OpEqualVerify, op)
			return append(appendPush(b, n.data), either(verified, taproot.OpEqualVerify, taproot.OpEqual)), nil
		}}
	}
	lock := func(name string, op byte, types func(*node) property) fragment {
		return fragment{name: name, takes: "n", bounds: lockBounds, types: types, stack: always2(stackUse{sat: push}), ways: lockWays, script: func(b []byte, n *node, _ place, _ bool) ([]byte, error) {
			return append(appendNumber(b, n.k), op), nil
		}}
	}
	constant := func(name string, op byte, types string, stack stackUse, is ways) fragment {
		return fragment{name: name, types: always(types), stack: always2(stack), ways: func(*node, *satisfaction) ways { return is }, script: func(b []byte, _ *node, _ place, _ bool) ([]byte, error) {
			return append(b, op), nil
		}}
	}
	return []fragment{
		constant("0", 0, "Bzudemsxk", stackUse{dsat: push}, ways{dsat: empty}),
		constant("1", taproot.Op1, "Bzufmxk", stackUse{sat: push}, ways{sat: empty}),
		{name: "pk_k", takes: "K", types: always("Konudemsxk"), stack: always2(stackUse{push, push}), ways: keyWays, script: func(b []byte, n *node, at place, _ bool) ([]byte, error) {
			x, err := n.keys[0].xAt(at)
			return appendPush(b, x[:]), err
		}},
		{name: "pk_h", takes: "K", types: always("Knudemsxk"), stack: always2(stackUse{keyHashStack, keyHashStack}), ways: keyHashWays, script: func(b []byte, n *node, at place, _ bool) ([]byte, error) {
			hash, err := n.data, error(nil)
			if len(n.keys) > 0 { // in a script there is the hash alone
				var x [32]byte
				x, err = n.keys[0].xAt(at)
				hash = hash160(x[:])
			}
			b = append(b, taproot.OpDup, taproot.OpHash160)
			return append(appendPush(b, hash), taproot.OpEqualVerify), err
		}},
		lock("older", taproot.OpCheckSequenceVerify, olderTypes),
		lock("after", taproot.OpCheckLockTimeVerify, afterTypes),
		hash("sha256", "H"), hash("hash256", "H"), hash("ripemd160", "h"), hash("hash160", "h"),
		{name: "multi_a", takes: "nK+", bounds: multiBounds, types: always("Budemsk"), stack: multiStack, ways: multiWays, script: func(b []byte, n *node, at place, verified bool) ([]byte, error) {
			keys := make([][]byte, len(n.keys))
			for i, k := range n.keys {
				x, err := k.xAt(at)
				if err != nil {
					return nil, err
				}
				keys[i] = x[:]
			}
			b = multiScript(b, n.k, keys)
			if verified {
				b[len(b)-1] = taproot.OpNumEqualVerify
			}
			return b, nil
		}},
	}
}

func multiBounds(n *node) bool {
	return n.k >= 1 && int(n.k) <= len(n.keys) && len(n.keys) <= maxMultiAKeys
}

func either(first bool, a, b byte) byte {
	if first {
		return a
	}
	return b
}

// hashFunctions has the opcodes of the fragments that ask for a preimage, and hashSizes
// the sizes of what they make.
var (
	hashFunctions = map[string]byte{"sha256": taproot.OpSHA256, "hash256": taproot.OpHash256, "ripemd160": taproot.OpRipeMD160, "hash160": taproot.OpHash160}
	hashSizes     = map[byte]int{taproot.OpSHA256: 32, taproot.OpHash256: 32, taproot.OpRipeMD160: 20, taproot.OpHash160: 20}
)

// wrappers are the fragments of a letter, around one other.
func wrappers() []fragment {
	wrapper := func(name string, types func(*node) property, stack func(*node) stackUse, ways func(*node, *satisfaction) ways, before, after []byte) fragment {
		return fragment{name: name, wrapper: true, takes: "x", types: types, stack: stack, ways: ways, script: func(b []byte, n *node, at place, verified bool) ([]byte, error) {
			b, err := n.subs[0].append(append(b, before...), at, name == "v" || name == "s" && verified)
			switch {
			case name == "c" && verified:
				return append(b, taproot.OpCheckSigVerify), err
			case name == "v" && !n.subs[0].is.has("x"):
				return b, err // the last instruction does it
			}
			return append(b, after...), err
		}}
	}
	same := func(n *node) stackUse { return n.subs[0].stack }
	return []fragment{
		wrapper("a", aTypes, same, sameWays, []byte{taproot.OpToAltStack}, []byte{taproot.OpFromAltStack}),
		wrapper("s", sTypes, same, sameWays, []byte{taproot.OpSwap}, nil),
		wrapper("c", cTypes, checkStack, sameWays, nil, []byte{taproot.OpCheckSig}),
		wrapper("d", dTypes, dupStack, dupWays, []byte{taproot.OpDup, taproot.OpIf}, []byte{taproot.OpEndIf}),
		wrapper("v", vTypes, verifyStack, verifyWays, nil, []byte{taproot.OpVerify}),
		wrapper("j", jTypes, sizeStack, sizeWays, []byte{taproot.OpSize, taproot.Op0NotEqual, taproot.OpIf}, []byte{taproot.OpEndIf}),
		wrapper("n", nTypes, same, sameWays, nil, []byte{taproot.Op0NotEqual}),
		// A lock that is dropped is no miniscript, but many scripts have it. No text makes one.
		wrapper("drop", vTypes, verifyStack, verifyWays, nil, []byte{taproot.OpDrop}),
	}
}

// combinations are the fragments that hold several.
func combinations() []fragment {
	// parts are instructions and the numbers of expressions: -1 is the first.
	combination := func(name, takes string, types func(*node) property, stack func(*node) stackUse, ways func(*node, *satisfaction) ways, parts ...int) fragment {
		return fragment{name: name, takes: takes, types: types, stack: stack, ways: ways, script: func(b []byte, n *node, at place, verified bool) (_ []byte, err error) {
			for _, part := range parts {
				if part >= 0 {
					b = append(b, byte(part))
					continue
				}
				if b, err = n.subs[-part-1].append(b, at, name == "and_v" && part == -2 && verified); err != nil {
					return nil, err
				}
			}
			return b, nil
		}}
	}
	return []fragment{
		combination("and_v", "xx", andVTypes, andVStack, andVWays, -1, -2),
		combination("and_b", "xx", andBTypes, andBStack, andBWays, -1, -2, taproot.OpBoolAnd),
		combination("or_b", "xx", orBTypes, orBStack, orBWays, -1, -2, taproot.OpBoolOr),
		combination("or_c", "xx", orCTypes, orCStack, orCWays, -1, taproot.OpNotIf, -2, taproot.OpEndIf),
		combination("or_d", "xx", orDTypes, orDStack, orDWays, -1, taproot.OpIfDup, taproot.OpNotIf, -2, taproot.OpEndIf),
		combination("or_i", "xx", orITypes, orIStack, orIWays, taproot.OpIf, -1, taproot.OpElse, -2, taproot.OpEndIf),
		combination("andor", "xxx", andOrTypes, andOrStack, andOrWays, -1, taproot.OpNotIf, -3, taproot.OpElse, -2, taproot.OpEndIf),
		{name: "thresh", takes: "nx+", types: threshTypes, stack: threshStack, ways: threshWays,
			bounds: func(n *node) bool { return n.k >= 1 && int(n.k) <= len(n.subs) },
			script: func(b []byte, n *node, at place, verified bool) (_ []byte, err error) {
				for i, sub := range n.subs {
					if b, err = sub.append(b, at, false); err != nil {
						return nil, err
					}
					if i > 0 {
						b = append(b, taproot.OpAdd)
					}
				}
				return append(appendNumber(b, n.k), either(verified, taproot.OpEqualVerify, taproot.OpEqual)), nil
			}},
	}
}

// script returns the script of the whole expression.
func (n *node) script(at place) ([]byte, error) { return n.append(nil, at, false) }

func (n *node) append(b []byte, at place, verified bool) ([]byte, error) {
	return n.fragment.script(b, n, at, verified)
}
