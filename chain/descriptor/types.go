package descriptor

import "strings"

// property is a set of what is known of an expression (BIP379). B, V, K and W are its
// type; z, o, n, d and u tell how it behaves; e, f, s, m and x tell whether others can change
// a witness; g, h, i, j and k tell which kinds of time locks are in it, and that none
// of them stand in each other's way.
type property uint32

const letters = "BVKWzondufesmxghijk"

// set returns the properties of some letters.
func set(names string) (p property) {
	for i := range len(names) {
		p |= 1 << strings.IndexByte(letters, names[i])
	}
	return p
}

func (p property) has(names string) bool      { return p&set(names) == set(names) }
func (p property) only(names string) property { return p & set(names) }
func (p property) when(condition bool) property {
	if condition {
		return p
	}
	return 0
}

func always(names string) func(*node) property {
	p := set(names)
	return func(*node) property { return p }
}

// typesOf returns the types of the first three expressions of a node.
func (n *node) typesOf() (x, y, z property) {
	list := [3]property{}
	for i, sub := range n.subs[:min(3, len(n.subs))] {
		list[i] = sub.is
	}
	return list[0], list[1], list[2]
}

const (
	timeLockFlag      = 1 << 22     // of a sequence number: in units of 512 seconds (BIP68)
	lockTimeThreshold = 500_000_000 // from there on a lock time is a time
)

func olderTypes(n *node) property {
	return set("Bzfmxk") | set("g").when(n.k&timeLockFlag != 0) | set("h").when(n.k&timeLockFlag == 0)
}

func afterTypes(n *node) property {
	return set("Bzfmxk") | set("i").when(n.k >= lockTimeThreshold) | set("j").when(n.k < lockTimeThreshold)
}

func aTypes(n *node) property {
	x, _, _ := n.typesOf()
	return set("W").when(x.has("B")) | x.only("ghijkudfems") | set("x")
}

func sTypes(n *node) property {
	x, _, _ := n.typesOf()
	return set("W").when(x.has("Bo")) | x.only("ghijkudfemsx")
}

func cTypes(n *node) property {
	x, _, _ := n.typesOf()
	return set("B").when(x.has("K")) | x.only("ghijkondfem") | set("us")
}

func dTypes(n *node) property {
	x, _, _ := n.typesOf()
	return set("B").when(x.has("Vz")) | set("o").when(x.has("z")) | set("e").when(x.has("f")) | x.only("ghijkms") | set("undx")
}

func vTypes(n *node) property {
	x, _, _ := n.typesOf()
	return set("V").when(x.has("B")) | x.only("ghijkzonms") | set("fx")
}

func jTypes(n *node) property {
	x, _, _ := n.typesOf()
	return set("B").when(x.has("Bn")) | set("e").when(x.has("f")) | x.only("ghijkoums") | set("ndx")
}

func nTypes(n *node) property {
	x, _, _ := n.typesOf()
	return x.only("ghijkBzondfems") | set("ux")
}

// locksMix reports whether two expressions that are needed together have time locks that
// no transaction can satisfy both.
func locksMix(x, y property) bool {
	return x.has("g") && y.has("h") || x.has("h") && y.has("g") || x.has("i") && y.has("j") || x.has("j") && y.has("i")
}

// together returns the properties of time locks of two expressions that are both needed.
func together(x, y property) property {
	return (x | y).only("ghij") | set("k").when((x&y).has("k") && !locksMix(x, y))
}

// apart returns those of expressions of which one is enough.
func apart(x, y property) property { return (x | y).only("ghij") | (x & y).only("k") }

func andVTypes(n *node) property {
	x, y, _ := n.typesOf()
	return y.only("KVB").when(x.has("V")) | x.only("n") | y.only("n").when(x.has("z")) |
		(x | y).only("o").when((x | y).has("z")) | (x & y).only("mz") | (x | y).only("s") |
		set("f").when(y.has("f") || x.has("s")) | y.only("ux") | together(x, y)
}

func andBTypes(n *node) property {
	x, y, _ := n.typesOf()
	return x.only("B").when(y.has("W")) | (x | y).only("o").when((x | y).has("z")) | x.only("n") | y.only("n").when(x.has("z")) |
		(x & y).only("e").when((x & y).has("s")) | (x & y).only("dzm") |
		set("f").when((x&y).has("f") || x.has("sf") || y.has("sf")) | (x | y).only("s") | set("ux") | together(x, y)
}

func orBTypes(n *node) property {
	x, y, _ := n.typesOf()
	return set("B").when(x.has("Bd") && y.has("Wd")) | (x | y).only("o").when((x | y).has("z")) |
		(x & y).only("m").when((x|y).has("s") && (x&y).has("e")) | (x & y).only("zse") | set("dux") | apart(x, y)
}

func orDTypes(n *node) property {
	x, y, _ := n.typesOf()
	return y.only("B").when(x.has("Bdu")) | x.only("o").when(y.has("z")) |
		(x & y).only("m").when(x.has("e") && (x|y).has("s")) | (x & y).only("zs") | y.only("ufde") | set("x") | apart(x, y)
}

func orCTypes(n *node) property {
	x, y, _ := n.typesOf()
	return y.only("V").when(x.has("Bdu")) | x.only("o").when(y.has("z")) |
		(x & y).only("m").when(x.has("e") && (x|y).has("s")) | (x & y).only("zs") | set("fx") | apart(x, y)
}

func orITypes(n *node) property {
	x, y, _ := n.typesOf()
	return (x & y).only("VBKufs") | set("o").when((x & y).has("z")) | (x | y).only("e").when((x | y).has("f")) |
		(x & y).only("m").when((x | y).has("s")) | (x | y).only("d") | set("x") | apart(x, y)
}

func andOrTypes(n *node) property {
	x, y, z := n.typesOf()
	return (y & z).only("BKV").when(x.has("Bdu")) | (x & y & z).only("z") | (x | y&z).only("o").when((x | y&z).has("z")) |
		(y & z).only("u") | z.only("f").when(x.has("s") || y.has("f")) | z.only("d") | z.only("e").when(x.has("s") || y.has("f")) |
		(x & y & z).only("m").when(x.has("e") && (x|y|z).has("s")) | (z & (x | y)).only("s") | set("x") |
		(x | y | z).only("ghij") | set("k").when((x&y&z).has("k") && !locksMix(x, y))
}

func threshTypes(n *node) property {
	allE, allM, arguments, safe, locks := true, true, 0, 0, set("k")
	for i, sub := range n.subs {
		t := sub.is
		if i == 0 && !t.has("Bdu") || i > 0 && !t.has("Wdu") {
			return 0
		}
		allE, allM = allE && t.has("e"), allM && t.has("m")
		if t.has("s") {
			safe++
		}
		switch {
		case t.has("z"):
		case t.has("o"):
			arguments++
		default:
			arguments += 2
		}
		if n.k > 1 {
			locks = together(locks, t)
		} else {
			locks = apart(locks, t)
		}
	}
	count, k := len(n.subs), int(n.k)
	return set("Bdu") | set("z").when(arguments == 0) | set("o").when(arguments == 1) |
		set("e").when(allE && safe == count) | set("m").when(allE && allM && safe >= count-k) | set("s").when(safe >= count-k+1) | locks
}

// complete fills in what follows from the arguments, from the inside out.
func (n *node) complete() {
	seen := map[string]bool{}
	n.completeWith(seen)
}

// completeWith adds the expression's keys to those seen in it.
func (n *node) completeWith(seen map[string]bool) {
	own := map[string]bool{}
	for i, sub := range n.subs {
		below := map[string]bool{}
		if i == 0 {
			below = own // the first may as well fill the map of all
		}
		sub.completeWith(below)
		n.duplicate = n.duplicate || sub.duplicate
		if i == 0 {
			continue
		}
		for k := range below {
			n.duplicate = n.duplicate || own[k]
			own[k] = true
		}
	}
	for _, k := range n.keys {
		name, err := k.at(place{})
		if err != nil { // nobody but the owner can derive it
			text := &printer{}
			k.print(text)
			name = []byte(text.String())
		}
		n.duplicate = n.duplicate || own[string(name)]
		own[string(name)] = true
	}
	for k := range own {
		seen[k] = true
	}
	n.is, n.stack = n.fragment.types(n), n.fragment.stack(n)
	if n.is&set("BVKW") == 0 {
		n.is = 0
	}
}
