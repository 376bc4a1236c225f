package psbt

import (
	"slices"

	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/taproot"
)

// satisfy returns the stack that satisfies a leaf of an input, bottom first, of what the
// input knows. The leaf has to be miniscript (BIP379).
func (s *spender) satisfy(i int, leaf *TapScript) (stack [][]byte, ok bool) {
	script, err := descriptor.DecodeScript(leaf.Script, &s.leafSteps)
	if err != nil {
		return nil, false
	}
	return script.Satisfy(&satisfier{s, i, &s.packet.Inputs[i], taproot.LeafHash(leaf.LeafVersion, leaf.Script)})
}

// satisfier has what an input knows for one leaf.
type satisfier struct {
	*spender
	index    int
	in       *Input
	leafHash [32]byte
}

// Signature is of descriptor.Satisfier, as are the others. The list is sorted.
func (s *satisfier) Signature(key [32]byte) []byte {
	at, ok := slices.BinarySearchFunc(s.in.TapScriptSigs, TapScriptSig{Key: key, LeafHash: s.leafHash}, compareTapScriptSig)
	if !ok {
		return nil
	}
	return s.in.TapScriptSigs[at].Signature
}

// KeyOf looks among the keys that the input names anywhere.
func (s *satisfier) KeyOf(hash [20]byte) (key [32]byte, ok bool) {
	known := s.hashedKeys[s.index]
	if known == nil {
		known = map[[20]byte][32]byte{}
		for i := range s.in.TapScriptSigs {
			known[KeyID(s.in.TapScriptSigs[i].Key[:])] = s.in.TapScriptSigs[i].Key
		}
		for i := range s.in.TapDerivations {
			known[KeyID(s.in.TapDerivations[i].Key[:])] = s.in.TapDerivations[i].Key
		}
		if s.hashedKeys == nil {
			s.hashedKeys = map[int]map[[20]byte][32]byte{}
		}
		s.hashedKeys[s.index] = known
	}
	key, ok = known[hash]
	return key, ok
}

// kindOf has the kinds by the opcode of their function.
var kindOf = map[byte]PreimageKind{
	taproot.OpRipeMD160: RIPEMD160, taproot.OpSHA256: SHA256, taproot.OpHash160: Hash160, taproot.OpHash256: Hash256,
}

// Preimage finds a preimage of the 32 bytes that miniscript asks for.
func (s *satisfier) Preimage(function byte, hash []byte) []byte {
	kind, ok := kindOf[function]
	if !ok {
		return nil
	}
	at, ok := slices.BinarySearchFunc(s.in.Preimages[kind], Preimage{Hash: hash}, comparePreimage)
	if !ok || len(s.in.Preimages[kind][at].Preimage) != 32 {
		return nil
	}
	return s.in.Preimages[kind][at].Preimage
}

// Older is BIP112's comparison with the input's sequence.
func (s *satisfier) Older(n uint32) bool {
	const disabled, inTime, mask = 1 << 31, 1 << 22, 0xffff
	sequence := s.tx.Inputs[s.index].Sequence
	return s.tx.Version >= 2 && sequence&disabled == 0 && sequence&inTime == n&inTime && sequence&mask >= n&mask
}

// After is BIP65's comparison with the lock time.
func (s *satisfier) After(n uint32) bool {
	const timeFrom, final = 500_000_000, 0xffffffff
	lockTime := s.tx.LockTime
	return (n < timeFrom) == (lockTime < timeFrom) && n <= lockTime && s.tx.Inputs[s.index].Sequence != final
}
