package psbt

import (
	"slices"

	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
)

// maxChecked bounds the signatures that DropWrong verifies: a packet may have as many as it
// likes, and a payment has one for each input and key.
const maxChecked = 20_000

// Dropped is a signature that was worth nothing.
type Dropped struct {
	Input int
	Key   [32]byte  // that has not signed
	Leaf  *[32]byte // the hash of the leaf, nil on the key path
	Final bool      // the whole witness was wrong, whoever's it is; there is no key
}

// DropWrong takes out of the packet what pretends to be signed: signatures of taproot keys that are
// wrong, or of another hash type than the input asks for, and final witnesses that are wrong. One
// of these would stand in the place of the right one, or be taken for one of those that suffice.
// It drops nothing while an output that is spent is unknown, since all signatures commit to it.
func (p *Packet) DropWrong() (dropped []Dropped) {
	spender, err := newSpender(p)
	if err != nil || spender.ctx == nil {
		return nil
	}
	s, checked := &Signing{spender}, 0
	wrong := func(i int, key *[32]byte, leaf *[32]byte, signature []byte) bool {
		if checked++; checked > maxChecked {
			return false
		}
		hashType, message, err := s.message(i, leaf)
		if err != nil || !agrees(signature, uint32(hashType)) || !secp.Verify(key, message[:], (*[64]byte)(signature)) {
			dropped = append(dropped, Dropped{Input: i, Key: *key, Leaf: leaf})
			return true
		}
		return false
	}
	for i := range p.Inputs {
		in := &p.Inputs[i]
		output, ok := spender.outputKey(i)
		if !ok {
			continue
		}
		if in.IsFinal() && spender.verifyFinal(i) != nil {
			in.FinalScriptSig, in.FinalWitness = nil, nil
			spender.tx.Inputs[i].ScriptSig, spender.tx.Inputs[i].Witness = nil, nil
			dropped = append(dropped, Dropped{Input: i, Final: true})
		}
		if len(in.TapKeySig) > 0 && wrong(i, output, nil, in.TapKeySig) {
			in.TapKeySig = nil
			if in.TapInternalKey != nil { // by which the signer is known
				dropped[len(dropped)-1].Key = *in.TapInternalKey
			}
		}
		in.TapScriptSigs = slices.DeleteFunc(in.TapScriptSigs, func(sig TapScriptSig) bool {
			return wrong(i, &sig.Key, &sig.LeafHash, sig.Signature)
		})
	}
	return dropped
}

// agrees reports whether a signature has a hash type, which 64 bytes have if it is the default.
func agrees(signature []byte, hashType uint32) bool {
	if hashType == taproot.SigHashDefault {
		return len(signature) == 64
	}
	return len(signature) == 65 && uint32(signature[64]) == hashType
}

// noteSigned says in the flags of the packet what a signature by a hash type forbids to change
// (BIP370).
func (p *Packet) noteSigned(hashType byte) {
	if p.Modifiable == nil {
		return
	}
	flags := *p.Modifiable
	if hashType&taproot.SigHashAnyoneCanPay == 0 {
		flags &^= InputsModifiable
	}
	switch hashType &^ taproot.SigHashAnyoneCanPay {
	case taproot.SigHashNone:
	case taproot.SigHashSingle:
		flags |= HasSighashSingle
		fallthrough
	default:
		flags &^= OutputsModifiable
	}
	p.Modifiable = &flags
}
