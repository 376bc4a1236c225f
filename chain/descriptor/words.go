package descriptor

import (
	"fmt"
	"strings"
	"time"
)

// Words says in English what a script asks for. name returns what a key is called.
func (m *Miniscript) Words(name func(key [32]byte) string) string {
	text, _ := m.root.words(name)
	return text
}

// words also reports whether the text has to stand in brackets beside others.
func (n *node) words(name func(key [32]byte) string) (text string, compound bool) {
	switch n.fragment.name {
	case "0":
		return "nothing", false
	case "1":
		return "", false
	case "pk_k":
		return name([32]byte(n.keys[0].point[1:])), false
	case "pk_h":
		return fmt.Sprintf("a key with the hash %x", n.data), false
	case "older":
		if n.k&timeLockFlag != 0 {
			return fmt.Sprintf("%s after the coin came", (time.Duration(n.k&0xffff) * 512 * time.Second).Round(time.Minute)), false
		}
		return fmt.Sprintf("%d blocks after the coin came", n.k&0xffff), false
	case "after":
		if n.k >= lockTimeThreshold {
			return "from " + time.Unix(int64(n.k), 0).UTC().Format("2006-01-02 15:04 UTC") + " on", false
		}
		return fmt.Sprintf("from block %d on", n.k), false
	case "sha256", "hash256", "ripemd160", "hash160":
		return fmt.Sprintf("what has the %s %x", n.fragment.name, n.data), false
	case "multi_a":
		names := make([]string, len(n.keys))
		for i, k := range n.keys {
			names[i] = name([32]byte(k.point[1:]))
		}
		return fmt.Sprintf("%d of %d: %s", n.k, len(names), strings.Join(names, ", ")), true
	case "and_v", "and_b":
		return joined(" and ", name, n.subs...)
	case "or_b", "or_c", "or_d", "or_i":
		return joined(" or ", name, n.subs...)
	case "andor":
		both, _ := joined(" and ", name, n.subs[:2]...)
		other, compound := joined(" or ", name, n.subs[2])
		if other == "" || n.subs[2].fragment.name == "0" {
			return both, true
		}
		if compound {
			other = "(" + other + ")"
		}
		return "(" + both + ") or " + other, true
	case "thresh":
		text, _ := joined(", ", name, n.subs...)
		return fmt.Sprintf("%d of %d: %s", n.k, len(n.subs), text), true
	}
	return n.subs[0].words(name) // a wrapper changes no meaning
}

// joined joins what several expressions ask for, without what is nothing. What is joined by
// the same word needs no brackets.
func joined(with string, name func(key [32]byte) string, subs ...*node) (text string, compound bool) {
	var parts []string
	var bracketed []bool
	for _, sub := range subs {
		part, isCompound := sub.words(name)
		if part == "" || with == " or " && sub.fragment.name == "0" {
			continue
		}
		same := with == " and " && strings.HasPrefix(sub.fragment.name, "and_") || with == " or " && strings.HasPrefix(sub.fragment.name, "or_")
		parts, bracketed, compound = append(parts, part), append(bracketed, isCompound && !same), isCompound
	}
	for i := range parts {
		if bracketed[i] && len(parts) > 1 {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, with), len(parts) > 1 || compound
}
