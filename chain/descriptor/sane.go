package descriptor

import "strings"

const maxStackElements = 1000 // while a script runs (BIP342 keeps that limit)

// use says what all ways through an expression do to the stack. Empty means that there is
// no way.
type use struct {
	possible bool
	net      int // elements at the beginning, less those at the end
	most     int // elements while it runs, less those at the end
}

// stackUse is that of satisfying an expression, and of dissatisfying it.
type stackUse struct{ sat, dsat use }

// What single instructions do.
var (
	nothing      = use{true, 0, 0}
	push         = use{true, -1, 0}
	consume      = use{true, 1, 1} // OP_IF, OP_VERIFY, OP_CHECKSIG, OP_EQUAL, and those of two numbers
	equalVerify  = use{true, 2, 2}
	keyHashStack = push.then(push).then(equalVerify) // OP_DUP, hash, push, OP_EQUALVERIFY
)

// then is one after the other.
func (a use) then(b use) use {
	if !a.possible || !b.possible {
		return use{}
	}
	return use{true, a.net + b.net, max(b.most, b.net+a.most)}
}

// or is either.
func (a use) or(b use) use {
	switch {
	case !a.possible:
		return b
	case !b.possible:
		return a
	}
	return use{true, max(a.net, b.net), max(a.most, b.most)}
}

func always2(s stackUse) func(*node) stackUse { return func(*node) stackUse { return s } }

func hashStack(*node) stackUse {
	return stackUse{sat: push.then(push).then(equalVerify).then(push).then(consume)}
}

// multiStack: all signatures are there at first, and one key comes on top.
func multiStack(n *node) stackUse {
	u := use{true, len(n.keys) - 1, len(n.keys)}
	return stackUse{u, u}
}

func checkStack(n *node) stackUse {
	x := n.subs[0].stack
	return stackUse{x.sat.then(consume), x.dsat.then(consume)}
}

func dupStack(n *node) stackUse {
	return stackUse{push.then(consume).then(n.subs[0].stack.sat), push.then(consume)}
}

func verifyStack(n *node) stackUse { return stackUse{sat: n.subs[0].stack.sat.then(consume)} }

func sizeStack(n *node) stackUse { return dupStack(n) } // the size in place of the copy

func andVStack(n *node) stackUse {
	return stackUse{sat: n.subs[0].stack.sat.then(n.subs[1].stack.sat)}
}

func andBStack(n *node) stackUse {
	x, y := n.subs[0].stack, n.subs[1].stack
	return stackUse{x.sat.then(y.sat).then(consume), x.dsat.then(y.dsat).then(consume)}
}

func orBStack(n *node) stackUse {
	x, y := n.subs[0].stack, n.subs[1].stack
	return stackUse{x.sat.then(y.dsat).or(x.dsat.then(y.sat)).then(consume), x.dsat.then(y.dsat).then(consume)}
}

func orCStack(n *node) stackUse {
	x, y := n.subs[0].stack, n.subs[1].stack
	return stackUse{sat: x.sat.then(consume).or(x.dsat.then(consume).then(y.sat))}
}

// orDStack: OP_IFDUP copies what is true, and then OP_NOTIF takes it.
func orDStack(n *node) stackUse {
	x, y := n.subs[0].stack, n.subs[1].stack
	return stackUse{x.sat.then(push).then(consume).or(x.dsat.then(consume).then(y.sat)), x.dsat.then(consume).then(y.dsat)}
}

func orIStack(n *node) stackUse {
	x, y := n.subs[0].stack, n.subs[1].stack
	return stackUse{consume.then(x.sat.or(y.sat)), consume.then(x.dsat.or(y.dsat))}
}

func andOrStack(n *node) stackUse {
	x, y, z := n.subs[0].stack, n.subs[1].stack, n.subs[2].stack
	return stackUse{x.sat.then(consume).then(y.sat).or(x.dsat.then(consume).then(z.sat)), x.dsat.then(consume).then(z.dsat)}
}

// threshStack keeps, for each number of expressions that are satisfied, what that does.
func threshStack(n *node) stackUse {
	ways := []use{nothing}
	for i, sub := range n.subs {
		add := consume
		if i == 0 {
			add = nothing
		}
		next := make([]use, len(ways)+1)
		for j := range next {
			if j < len(ways) {
				next[j] = ways[j].then(sub.stack.dsat)
			}
			if j > 0 {
				next[j] = next[j].or(ways[j-1].then(sub.stack.sat))
			}
			next[j] = next[j].then(add)
		}
		ways = next
	}
	end := push.then(consume)
	return stackUse{ways[n.k].then(end), ways[0].then(end)}
}

// fits reports whether no way to satisfy it fills the stack.
func (n *node) fits() bool { return !n.stack.sat.possible || n.stack.sat.most+1 <= maxStackElements }

// harmless reports whether the expression may be part of a script: nobody can change
// its witness, its locks can be met, and no key is in it twice.
func (n *node) harmless() bool {
	return n.is != 0 && n.fits() && n.is.has("mk") && !n.duplicate
}

// findHarm returns the innermost expression that is not harmless, or nil.
func (n *node) findHarm() *node {
	for _, sub := range n.subs {
		if bad := sub.findHarm(); bad != nil {
			return bad
		}
	}
	if !n.harmless() {
		return n
	}
	return nil
}

// sane refuses a script that is not safe: its money could be stolen or lost, or
// its conditions do not say what they seem to.
func (n *node) sane() error {
	sane := n.harmless() && n.is.has("Bs")
	if sane && n.stack.sat.possible {
		return nil
	}
	bad := n
	if sub := n.findHarm(); sub != nil {
		bad = sub
	}
	why := " is not sane"
	switch {
	case bad.is == 0:
		why = " is invalid"
	case sane:
		why = " is not satisfiable"
	case !bad.is.has("m"):
		why += ": malleable witnesses exist"
	case bad == n && !n.is.has("s"):
		why += ": witnesses without signature exist"
	case !bad.is.has("k"):
		why += ": contains mixes of timelocks expressed in blocks and seconds"
	case bad.duplicate:
		why += ": contains duplicate public keys"
	case !bad.fits():
		why += ": needs witnesses that may exceed resource limits"
	}
	p := &printer{branch: -1}
	bad.print(p)
	return errorf("%s%s", strings.TrimSpace(shown(p.String())), why)
}
