package psbt

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"

	//lint:ignore SA1019 Bitcoin hashes keys with it, however old it is
	"golang.org/x/crypto/ripemd160"
)

// The fields of a kind stand in Bitcoin Core's order, and of two with the same key the
// first stays. The functions here compare the keys.

func compareField(a, b Field) int { return bytes.Compare(a.Key, b.Key) }

func compareOrigin(a, b KeyOrigin) int {
	return cmp.Or(bytes.Compare(a.Fingerprint[:], b.Fingerprint[:]), cmp.Compare(len(a.Path), len(b.Path)), slices.Compare(a.Path, b.Path))
}

// compareXPub orders by origin, then by the point, then by the chain code.
func compareXPub(a, b XPub) int {
	const point, chainCode = 45, 13
	return cmp.Or(compareOrigin(a.Origin, b.Origin), bytes.Compare(a.Key[point:], b.Key[point:]),
		bytes.Compare(a.Key[chainCode:point], b.Key[chainCode:point]), bytes.Compare(a.Key[:chainCode], b.Key[:chainCode]))
}

// sortedPartialSigs orders by the hash of the key, which is computed once for each.
func sortedPartialSigs(list []PartialSig) []PartialSig {
	type named struct {
		id [20]byte
		PartialSig
	}
	names := make([]named, len(list))
	for i := range list {
		names[i] = named{KeyID(list[i].PubKey), list[i]}
	}
	names = sorted(names, func(a, b named) int { return bytes.Compare(a.id[:], b.id[:]) })
	list = list[:0]
	for i := range names {
		list = append(list, names[i].PartialSig)
	}
	return list
}

func compareDerivation(a, b Derivation) int       { return bytes.Compare(a.PubKey, b.PubKey) }
func comparePreimage(a, b Preimage) int           { return bytes.Compare(a.Hash, b.Hash) }
func compareTapDerivation(a, b TapDerivation) int { return bytes.Compare(a.Key[:], b.Key[:]) }

func compareTapScriptSig(a, b TapScriptSig) int {
	return cmp.Or(bytes.Compare(a.Key[:], b.Key[:]), bytes.Compare(a.LeafHash[:], b.LeafHash[:]))
}

func compareTapScript(a, b TapScript) int {
	return cmp.Or(bytes.Compare(a.Script, b.Script), cmp.Compare(a.LeafVersion, b.LeafVersion))
}

func compareControlBlock(a, b []byte) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), bytes.Compare(a, b))
}

func compareParticipants(a, b MuSigParticipants) int {
	return bytes.Compare(a.Aggregate[:], b.Aggregate[:])
}

func compareMuSigID(a, b MuSigID) int {
	return cmp.Or(bytes.Compare(a.Aggregate[:], b.Aggregate[:]), bytes.Compare(a.LeafHash[:], b.LeafHash[:]), bytes.Compare(a.Participant[:], b.Participant[:]))
}

func compareNonce(a, b MuSigNonce) int          { return compareMuSigID(a.MuSigID, b.MuSigID) }
func comparePartial(a, b MuSigPartialSig) int   { return compareMuSigID(a.MuSigID, b.MuSigID) }
func compareHash(a, b [32]byte) int             { return bytes.Compare(a[:], b[:]) }
func sortedHashes(hashes [][32]byte) [][32]byte { return sorted(hashes, compareHash) }

// KeyID returns the hash of a public key, by which Bitcoin Core names it: RIPEMD-160 of
// its SHA-256.
func KeyID(pubKey []byte) (id [20]byte) {
	first := sha256.Sum256(pubKey)
	h := ripemd160.New()
	h.Write(first[:])
	h.Sum(id[:0])
	return id
}

// sorted sorts a list, and leaves the first of those that are equal.
func sorted[T any](list []T, compare func(a, b T) int) []T {
	slices.SortStableFunc(list, compare)
	return slices.CompactFunc(list, func(a, b T) bool { return compare(a, b) == 0 })
}

// union returns what is in either list. Of what is in both it has the first's.
func union[T any](a, b []T, compare func(a, b T) int) []T {
	if len(b) == 0 {
		return a
	}
	return sorted(slices.Concat(a, b), compare)
}

// unionXPubs returns the extended keys of both lists. They are ordered by their origins first,
// but a key is there once, whatever is said of where it comes from: of two the first's stays.
func unionXPubs(a, b []XPub) []XPub {
	known := make(map[[78]byte]bool, len(a))
	for i := range a {
		known[a[i].Key] = true
	}
	list := slices.Clone(a)
	for i := range b {
		if !known[b[i].Key] {
			list = append(list, b[i])
		}
	}
	slices.SortStableFunc(list, compareXPub)
	return list
}

// unionTapScripts returns the leaves of both lists. A control block proves one leaf: if each
// list has another for it, the first's stays.
func unionTapScripts(a, b []TapScript) []TapScript {
	known := map[string]bool{}
	for i := range a {
		for _, block := range a[i].ControlBlocks {
			known[string(block)] = true
		}
	}
	list := slices.Clone(a)
	for _, leaf := range b {
		leaf.ControlBlocks = slices.DeleteFunc(slices.Clone(leaf.ControlBlocks), func(block []byte) bool { return known[string(block)] })
		if len(leaf.ControlBlocks) > 0 {
			list = append(list, leaf)
		}
	}
	return sortedTapScripts(list)
}

// sortedTapScripts brings the control blocks of each leaf together.
func sortedTapScripts(list []TapScript) []TapScript {
	slices.SortStableFunc(list, compareTapScript)
	var merged []TapScript
	for from := 0; from < len(list); {
		to := from + 1
		for to < len(list) && compareTapScript(list[from], list[to]) == 0 {
			to++
		}
		leaf := list[from]
		if to > from+1 {
			leaf.ControlBlocks = nil
			for _, same := range list[from:to] {
				leaf.ControlBlocks = append(leaf.ControlBlocks, same.ControlBlocks...)
			}
		}
		leaf.ControlBlocks = sorted(leaf.ControlBlocks, compareControlBlock)
		merged, from = append(merged, leaf), to
	}
	return merged
}

// sort brings the fields of the whole PSBT into their order.
func (p *Packet) sort() {
	p.XPubs = sorted(p.XPubs, compareXPub)
	p.Proprietary, p.Unknown = sorted(p.Proprietary, compareField), sorted(p.Unknown, compareField)
	for i := range p.Inputs {
		p.Inputs[i].sort()
	}
	for i := range p.Outputs {
		p.Outputs[i].sort()
	}
}

func (in *Input) sort() {
	in.PartialSigs = sortedPartialSigs(in.PartialSigs)
	in.Derivations = sorted(in.Derivations, compareDerivation)
	for kind := range in.Preimages {
		in.Preimages[kind] = sorted(in.Preimages[kind], comparePreimage)
	}
	in.TapScriptSigs = sorted(in.TapScriptSigs, compareTapScriptSig)
	in.TapScripts = sortedTapScripts(in.TapScripts)
	in.TapDerivations = sorted(in.TapDerivations, compareTapDerivation)
	in.MuSigParticipants = sorted(in.MuSigParticipants, compareParticipants)
	in.MuSigNonces = sorted(in.MuSigNonces, compareNonce)
	in.MuSigPartialSigs = sorted(in.MuSigPartialSigs, comparePartial)
	in.Proprietary, in.Unknown = sorted(in.Proprietary, compareField), sorted(in.Unknown, compareField)
}

func (out *Output) sort() {
	out.Derivations = sorted(out.Derivations, compareDerivation)
	out.TapDerivations = sorted(out.TapDerivations, compareTapDerivation)
	out.MuSigParticipants = sorted(out.MuSigParticipants, compareParticipants)
	out.Proprietary, out.Unknown = sorted(out.Proprietary, compareField), sorted(out.Unknown, compareField)
}
