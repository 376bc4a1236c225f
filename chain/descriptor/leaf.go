package descriptor

import (
	"bytes"
	"slices"

	"github.com/karatcoin/karat/chain/taproot"
)

const maxMultiAKeys = 999 // of multi_a (BIP387): as many elements as a stack has, less one

// leaf reads a script of a tree, and tells how many alternatives it has.
func (p *parser) leaf(text string) (leaf, int, error) {
	switch name, arguments := function(text); name {
	case "pk":
		k, err := p.key(arguments, contextTaproot)
		if err != nil {
			return nil, 0, errorf("pk(): %v", err)
		}
		return newNode("c", newNode("pk_k").withKeys(k)), k.branches(), nil
	case "multi_a", "sortedmulti_a":
		threshold, keys, branches, err := p.multi(arguments, "multi_a", maxMultiAKeys, contextTaproot)
		if err != nil {
			return nil, 0, err
		}
		multi := newNode("multi_a").withKeys(keys...)
		if multi.k = threshold; name == "sortedmulti_a" {
			return sortedLeaf{multi}, branches, nil
		}
		return multi, branches, nil
	case "pkh": // miniscript has it, too
	default:
		if misplaced[name] != "" {
			return nil, 0, errorf("%s", misplaced[name])
		}
	}
	return p.miniscript(text)
}

// multi reads a threshold and keys.
func (p *parser) multi(text, what string, most int, c context) (threshold uint32, keys []*key, branches int, err error) {
	digits, rest := cutExpression(text)
	threshold, ok := number(digits)
	if !ok {
		return 0, nil, 0, errorf("Multi threshold '%s' is not valid", shown(digits))
	}
	var lengths []int
	for rest != "" {
		if rest[0] != ',' {
			return 0, nil, 0, errorf("Multi: expected ',', got '%c'", rest[0])
		}
		text, rest = cutExpression(rest[1:])
		k, err := p.key(text, c)
		if err != nil {
			return 0, nil, 0, errorf("Multi: %v", err)
		}
		keys, lengths = append(keys, k), append(lengths, k.branches())
	}
	switch {
	case len(keys) == 0 || len(keys) > most:
		return 0, nil, 0, errorf("Cannot have %d keys in %s; must have between 1 and %d keys, inclusive", len(keys), what, most)
	case threshold < 1:
		return 0, nil, 0, errorf("Multisig threshold cannot be %d, must be at least 1", threshold)
	case int(threshold) > len(keys):
		return 0, nil, 0, errorf("Multisig threshold cannot be larger than the number of keys; threshold is %d but only %d keys specified", threshold, len(keys))
	}
	if branches, ok = commonBranches(lengths...); !ok {
		return 0, nil, 0, errorf("multi(): Multipath derivation paths have mismatched lengths")
	}
	return threshold, keys, branches, nil
}

// sortedLeaf is sortedmulti_a (BIP387): a multi_a whose keys are sorted at each place, so
// that those who share it need not agree on an order.
type sortedLeaf struct{ multi *node }

func (l sortedLeaf) script(at place) ([]byte, error) {
	keys := make([][]byte, len(l.multi.keys))
	for i, k := range l.multi.keys {
		x, err := k.xAt(at)
		if err != nil {
			return nil, err
		}
		keys[i] = x[:]
	}
	slices.SortFunc(keys, bytes.Compare)
	return multiScript(nil, l.multi.k, keys), nil
}

func (l sortedLeaf) allKeys() []*key { return l.multi.keys }

func (l sortedLeaf) print(p *printer) {
	if p.derived { // the keys of a place have an order
		sorted := newNode("multi_a").withKeys(l.multi.keys...)
		sorted.k = l.multi.k
		at := place{max(p.branch, 0), p.index}
		sorted.keys = slices.SortedFunc(slices.Values(sorted.keys), func(a, b *key) int {
			x, _ := a.xAt(at) // the error comes again when they are written
			y, _ := b.xAt(at)
			return bytes.Compare(x[:], y[:])
		})
		sorted.print(p)
		return
	}
	p.WriteString("sorted")
	l.multi.print(p)
}

// multiScript appends the script of multi_a but for its last instruction, which compares
// the number of good signatures with the threshold.
func multiScript(b []byte, threshold uint32, keys [][]byte) []byte {
	for i, x := range keys {
		b = appendPush(b, x)
		if i == 0 {
			b = append(b, taproot.OpCheckSig)
		} else {
			b = append(b, taproot.OpCheckSigAdd)
		}
	}
	return append(appendNumber(b, threshold), taproot.OpNumEqual)
}

// appendPush appends an instruction that pushes up to 75 bytes.
func appendPush(b, data []byte) []byte { return append(append(b, byte(len(data))), data...) }

// appendNumber appends the shortest instruction that pushes a number.
func appendNumber(b []byte, n uint32) []byte {
	switch {
	case n == 0:
		return append(b, 0)
	case n <= 16:
		return append(b, taproot.Op1-1+byte(n))
	}
	return appendPush(b, taproot.AppendNumber(nil, int64(n)))
}
