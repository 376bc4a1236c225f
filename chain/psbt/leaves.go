package psbt

import (
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/taproot"
)

// leaves are the tapscripts of an input by their hashes. Fields may name each of them as often
// as they like, so each is read once.
type leaves struct {
	s      *Signing
	in     *Input
	byHash map[[32]byte]*leafKeys
}

type leafKeys struct {
	leaf    *TapScript
	checked bool            // its control blocks
	pushed  map[string]bool // what it pushes that may be a key, or the hash of one; nil before it is read
}

func (s *Signing) leavesOf(in *Input) *leaves {
	l := &leaves{s: s, in: in, byHash: make(map[[32]byte]*leafKeys, len(in.TapScripts))}
	for i := range in.TapScripts {
		if leaf := &in.TapScripts[i]; leaf.LeafVersion == taproot.LeafVersionTapscript {
			l.byHash[taproot.LeafHash(leaf.LeafVersion, leaf.Script)] = &leafKeys{leaf: leaf}
		}
	}
	return l
}

// want reports whether a leaf that the input has asks for a signature of a key, and has none.
// Its control blocks must lead to the output key.
func (l *leaves) want(hash, key [32]byte, output *[32]byte) (bool, error) {
	leaf := l.byHash[hash]
	if leaf == nil {
		return false, nil
	}
	if err := l.check(leaf, hash, output); err != nil {
		return false, err
	}
	if _, signed := slices.BinarySearchFunc(l.in.TapScriptSigs, TapScriptSig{Key: key, LeafHash: hash}, compareTapScriptSig); signed {
		return false, nil
	}
	return leaf.hasKey(key), nil
}

func (l *leaves) check(leaf *leafKeys, hash [32]byte, output *[32]byte) error {
	if leaf.checked {
		return nil
	}
	for _, control := range leaf.leaf.ControlBlocks {
		if l.s.s.proofs++; l.s.s.proofs > maxProofs {
			return fmt.Errorf("%w: too many leaves", ErrContradiction)
		}
		if !commits(control, hash, output) {
			return fmt.Errorf("%w: a leaf is not in the output that it spends", ErrContradiction)
		}
	}
	leaf.checked = true
	return nil
}

// hasKey reports whether the script pushes a key, or its hash.
func (l *leafKeys) hasKey(key [32]byte) bool {
	if l.pushed == nil {
		l.pushed = map[string]bool{}
		for at := 0; at < len(l.leaf.Script); {
			_, data, next, ok := taproot.NextOp(l.leaf.Script, at)
			if !ok {
				break
			}
			if at = next; len(data) == len(key) || len(data) == len(KeyID(nil)) {
				l.pushed[string(data)] = true
			}
		}
	}
	if l.pushed[string(key[:])] {
		return true
	}
	id := KeyID(key[:])
	return l.pushed[string(id[:])]
}
