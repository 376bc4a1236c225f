package oracle

import (
	"math/rand/v2"

	"github.com/karatcoin/karat/chain/types"
)

// mutateSpend changes one thing in a spend, or, once in eight, none.
func mutateSpend(r *rand.Rand, s *spend) {
	in := &s.tx.Inputs[s.index]
	switch r.IntN(16) {
	case 0, 1:
	case 2:
		s.tx.Version ^= 1 << r.IntN(32)
	case 3:
		s.tx.LockTime ^= 1 << r.IntN(32)
	case 4:
		s.tx.Inputs[r.IntN(len(s.tx.Inputs))].Sequence ^= 1 << r.IntN(32)
	case 5:
		i := r.IntN(len(s.tx.Inputs))
		s.tx.Inputs[i].PreviousOutPoint.Index ^= 1 << r.IntN(32)
	case 6:
		s.prevouts[r.IntN(len(s.prevouts))].Value ^= 1 << r.IntN(50)
	case 7:
		mutateOutputs(r, s)
	case 8:
		i := r.IntN(len(s.prevouts))
		s.prevouts[i].ScriptPubKey = mutateBytes(r, s.prevouts[i].ScriptPubKey)
		if i == s.index && !isProgram(s.prevouts[i].ScriptPubKey) {
			s.prevouts[i].ScriptPubKey = witnessScript(1+r.IntN(16), randomBytes(r, pick(r, 2, 3, 20, 32, 33, 40)))
		}
	case 9:
		in.ScriptSig = randomBytes(r, 1+r.IntN(3))
	case 10:
		mutateWitnessList(r, in)
	default:
		if len(in.Witness) > 0 {
			i := r.IntN(len(in.Witness))
			in.Witness[i] = mutateElement(r, in.Witness[i])
		}
	}
}

func isProgram(script []byte) bool {
	version, _, ok := types.WitnessProgram(script)
	return ok && version > 0
}

func mutateOutputs(r *rand.Rand, s *spend) {
	outs := s.tx.Outputs
	switch {
	case len(outs) == 0 || chance(r, 3):
		s.tx.Outputs = append(outs, types.TxOut{Value: 1, ScriptPubKey: randomScriptPubKey(r)})
	case chance(r, 2):
		s.tx.Outputs = outs[:len(outs)-1]
	default:
		outs[r.IntN(len(outs))].Value ^= 1 << r.IntN(50)
	}
}

func mutateWitnessList(r *rand.Rand, in *types.TxIn) {
	w := in.Witness
	switch r.IntN(5) {
	case 0:
		in.Witness = append(w, append([]byte{0x50}, randomBytes(r, r.IntN(20))...))
	case 1:
		in.Witness = append(w, randomBytes(r, r.IntN(70)))
	case 2:
		in.Witness = append([][]byte{randomBytes(r, r.IntN(3))}, w...)
	case 3:
		if len(w) > 0 {
			in.Witness = w[:len(w)-1]
		}
	default:
		in.Witness = nil
	}
}

// mutateElement changes a witness element in a way that suits a signature as
// often as any other.
func mutateElement(r *rand.Rand, b []byte) []byte {
	switch {
	case chance(r, 6):
		return nil
	case chance(r, 4) && len(b) >= 64: // another hash type
		return append(append([]byte(nil), b[:64]...), pick(r, 0, 1, 2, 3, 4, 0x80, 0x81, 0x82, 0x83, 0x84, byte(r.Uint32())))
	case chance(r, 6) && len(b) >= 64:
		return append([]byte(nil), b[:64]...)
	}
	return mutateBytes(r, b)
}

// mutateBytes flips a bit, sets, inserts, deletes, doubles or cuts.
func mutateBytes(r *rand.Rand, b []byte) []byte {
	out := append([]byte(nil), b...)
	if len(out) == 0 {
		return randomBytes(r, 1+r.IntN(4))
	}
	at := r.IntN(len(out))
	switch r.IntN(7) {
	case 0:
		out[at] = pick(r, 0, 1, 0x7f, 0x80, 0xfd, 0xfe, 0xff, byte(r.Uint32()))
	case 1:
		return append(out[:at], append([]byte{byte(r.Uint32())}, out[at:]...)...)
	case 2:
		return append(out[:at], out[at+1:]...)
	case 3:
		return out[:at]
	case 4:
		n := min(len(out)-at, 1+r.IntN(40))
		return append(out[:at+n], append(append([]byte(nil), out[at:at+n]...), out[at+n:]...)...)
	default:
		out[at] ^= 1 << r.IntN(8)
	}
	return out
}
