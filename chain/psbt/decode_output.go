package psbt

import (
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// maxTreeDepth is the greatest depth of a leaf (BIP341).
const maxTreeDepth = 128

// read reads the map of an output. In version 0 the output itself is there.
func (out *Output) read(r *reader, version uint32) {
	hasAmount, hasScript := false, false
	r.fieldMap("output", "an output map", func(kind uint64, key []byte) {
		hasAmount, hasScript = hasAmount || kind == outAmount, hasScript || kind == outScript
		out.field(r, kind, key, version)
	})
	switch {
	case r.err != nil || version < 2:
	case !hasAmount:
		r.fail("Output amount is required in PSBTv2")
	case !hasScript:
		r.fail("Output script is required in PSBTv2")
	}
}

func (out *Output) field(r *reader, kind uint64, key []byte, version uint32) {
	switch kind {
	case outRedeemScript:
		if r.keySize(key, 1, "Output redeemScript") {
			out.RedeemScript = r.varBytes()
		}
	case outWitnessScript:
		if r.keySize(key, 1, "Output witnessScript") {
			out.WitnessScript = r.varBytes()
		}
	case outDerivation:
		out.Derivations = append(out.Derivations, r.derivation(key))
	case outAmount:
		if !r.keySize(key, 1, "Output Amount") {
			return
		}
		if version < 2 {
			r.fail("Output amount is not allowed in PSBTv0")
			return
		}
		amount := reader{data: r.sized(8)}
		out.Value = types.Amount(amount.little(8))
	case outScript:
		if !r.keySize(key, 1, "Output Script") {
			return
		}
		if version < 2 {
			r.fail("Output script is not allowed in PSBTv0")
			return
		}
		out.ScriptPubKey = r.varBytes()
	case outTapInternalKey:
		if r.keySize(key, 1, "Output Taproot Internal Key") {
			out.TapInternalKey = r.keyValue()
		}
	case outTapTree:
		if r.keySize(key, 1, "Output Taproot Tree Key") {
			out.TapTree = r.treeValue()
		}
	case outTapDerivation:
		out.TapDerivations = append(out.TapDerivations, r.tapDerivation(key, "Output"))
	case outMuSigParticipants:
		out.MuSigParticipants = append(out.MuSigParticipants, r.participants(key, "Output"))
	case typeProprietary:
		out.Proprietary = append(out.Proprietary, r.proprietary(key))
	default:
		out.Unknown = append(out.Unknown, r.carried(key))
	}
}

// treeValue reads the leaves of a tree, which must be a whole one. Leaves count as fields.
func (r *reader) treeValue() (tree []TapTreeLeaf) {
	value := r.varBytes()
	if r.err == nil && len(value) == 0 {
		r.fail("Output Taproot tree must not be empty")
	}
	t := reader{data: value}
	for t.rest() > 0 && r.err == nil {
		var leaf TapTreeLeaf
		head := t.bytes(2)
		leaf.Script = t.varBytes()
		if r.fields++; r.fields > MaxFields {
			r.fail("more than %d fields", MaxFields)
		}
		if t.err != nil {
			r.fail("%v", t.err)
		}
		if r.err != nil {
			return nil
		}
		leaf.Depth, leaf.LeafVersion = head[0], head[1]
		switch {
		case leaf.Depth > maxTreeDepth:
			r.fail("Output Taproot tree has as leaf greater than Taproot maximum depth")
		case leaf.LeafVersion&^taproot.LeafVersionMask != 0:
			r.fail("Output Taproot tree has a leaf with an invalid leaf version")
		}
		tree = append(tree, leaf)
	}
	if r.err == nil && !isWholeTree(tree) {
		r.fail("Output Taproot tree is malformed")
	}
	return tree
}

// isWholeTree reports whether leaves in the order of a depth first walk make a binary
// tree. open[d] says whether a left half at depth d waits for its right half.
func isWholeTree(tree []TapTreeLeaf) bool {
	var open []bool
	for _, leaf := range tree {
		depth := int(leaf.Depth)
		if depth+1 < len(open) {
			return false
		}
		for len(open) > depth && open[depth] {
			if depth == 0 {
				return false
			}
			open = open[:depth]
			depth--
		}
		for len(open) <= depth {
			open = append(open, false)
		}
		open[depth] = true
	}
	return len(open) == 1 && open[0]
}
