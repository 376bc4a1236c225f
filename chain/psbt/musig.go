package psbt

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr/musig2"

	"github.com/karatcoin/karat/chain/taproot"
)

// The bounds of what is aggregated and proven for one packet.
const (
	// maxAggregated counts keys and steps of paths, each of which takes as long as a
	// signature.
	maxAggregated = 10_000
	// maxMatched counts how often a signature and a list of participants are matched.
	maxMatched = 1_000_000
	// maxProofs counts control blocks, each of which takes as long as a signature.
	maxProofs = 100_000
)

// muSigChainCode is the chain code of all aggregate keys (BIP328).
var muSigChainCode = [32]byte{
	0x86, 0x80, 0x87, 0xca, 0x02, 0xa6, 0xf9, 0x74, 0xc4, 0x59, 0x89, 0x24, 0xc3, 0x6b, 0x57, 0x76,
	0x2d, 0x32, 0xcb, 0x45, 0x71, 0x71, 0x67, 0xe3, 0x00, 0x62, 0x2c, 0x71, 0x67, 0xe3, 0x89, 0x65,
}

// aggregate makes signatures of partial signatures (BIP327), where all participants have
// given theirs. A wrong one makes a wrong signature, which is found out where it is used.
func (s *spender) aggregate(i int) {
	in := &s.packet.Inputs[i]
	output, ok := s.outputKey(i)
	if s.ctx == nil || !ok || in.IsFinal() {
		return
	}
	for from := 0; from < len(in.MuSigPartialSigs); {
		id, to := in.MuSigPartialSigs[from].MuSigID, from
		for to < len(in.MuSigPartialSigs) && sameSignature(in.MuSigPartialSigs[to].MuSigID, id) {
			to++
		}
		s.aggregateOne(i, output, in.MuSigPartialSigs[from:to])
		from = to
	}
	in.TapScriptSigs = sorted(in.TapScriptSigs, compareTapScriptSig)
}

func sameSignature(a, b MuSigID) bool { return a.Aggregate == b.Aggregate && a.LeafHash == b.LeafHash }

// aggregateOne makes one signature: of the key path, or of a key in a leaf.
func (s *spender) aggregateOne(i int, output *[32]byte, parts []MuSigPartialSig) {
	in, id := &s.packet.Inputs[i], parts[0].MuSigID
	keyPath := id.LeafHash == [32]byte{}
	var path *taproot.ScriptPath
	if !keyPath {
		path = &taproot.ScriptPath{LeafHash: id.LeafHash, CodeSeparator: taproot.NoCodeSeparator}
	} else if len(in.TapKeySig) > 0 {
		return
	}
	hashType := valueOr(in.SighashType, taproot.SigHashDefault)
	message, err := s.ctx.SignatureHash(i, byte(hashType), nil, path)
	if err != nil || hashType > 0xff {
		return
	}
	nonces := in.noncesOf(id)
	for j := range in.MuSigParticipants {
		m := &in.MuSigParticipants[j]
		if s.matched++; s.matched > maxMatched {
			return
		}
		if len(m.Participants) != len(parts) || len(nonces) != len(parts) {
			continue
		}
		for _, tweaks := range s.muSigTweaks(in, m, &id, output) {
			if s.aggregated += len(parts); s.aggregated > maxAggregated {
				return
			}
			sig := aggregateSignature(m.Participants, tweaks, &id.Aggregate, nonces, parts, &message)
			if sig == nil {
				continue
			}
			if hashType != taproot.SigHashDefault {
				sig = append(sig, byte(hashType))
			}
			if keyPath {
				in.TapKeySig = sig
			} else {
				in.TapScriptSigs = append(in.TapScriptSigs, TapScriptSig{Key: [32]byte(id.Aggregate[1:]), LeafHash: id.LeafHash, Signature: sig})
			}
			return
		}
	}
}

// noncesOf returns the nonces of a signature. The list is sorted.
func (in *Input) noncesOf(id MuSigID) (nonces [][66]byte) {
	id.Participant = [33]byte{}
	at, _ := slices.BinarySearchFunc(in.MuSigNonces, MuSigNonce{MuSigID: id}, compareNonce)
	for ; at < len(in.MuSigNonces) && sameSignature(in.MuSigNonces[at].MuSigID, id); at++ {
		nonces = append(nonces, in.MuSigNonces[at].Nonce)
	}
	return nonces
}

// muSigTweaks returns by what the key that signs may differ from the participants'
// aggregate: a path (BIP328), and on the key path the tweak of the tree.
func (s *spender) muSigTweaks(in *Input, m *MuSigParticipants, id *MuSigID, output *[32]byte) (all [][]musig2.KeyTweakDesc) {
	if id.LeafHash != [32]byte{} {
		if tweaks, ok := s.pathTweaks(in, m, [32]byte(id.Aggregate[1:])); ok {
			all = append(all, tweaks)
		}
		return all
	}
	if internal := in.TapInternalKey; internal != nil {
		if tweaks, ok := s.pathTweaks(in, m, *internal); ok {
			var root []byte
			if in.TapMerkleRoot != nil {
				root = in.TapMerkleRoot[:]
			}
			all = append(all, append(tweaks, musig2.KeyTweakDesc{Tweak: taproot.TweakHash(*internal, root), IsXOnly: true}))
		}
	}
	if tweaks, ok := s.pathTweaks(in, m, *output); ok {
		all = append(all, tweaks)
	}
	return all
}

// pathTweaks returns the tweaks by which a key is derived from an aggregate, none if it is
// the aggregate. It reports false if there is no such path.
func (s *spender) pathTweaks(in *Input, m *MuSigParticipants, key [32]byte) (tweaks []musig2.KeyTweakDesc, ok bool) {
	if bytes.Equal(m.Aggregate[1:], key[:]) {
		return nil, true
	}
	at, ok := slices.BinarySearchFunc(in.TapDerivations, TapDerivation{Key: key}, compareTapDerivation)
	if !ok {
		return nil, false
	}
	origin := &in.TapDerivations[at].Origin
	if id := KeyID(m.Aggregate[:]); len(origin.Path) == 0 || !bytes.Equal(origin.Fingerprint[:], id[:4]) {
		return nil, false
	}
	if s.aggregated += len(origin.Path); s.aggregated > maxAggregated {
		return nil, false
	}
	return derivationTweaks(m.Aggregate[:], origin.Path, key)
}

// derivationTweaks derives a public key along a path (BIP32), and returns the tweak of each
// step. The key at the end must be the one that is wanted.
func derivationTweaks(pubKey []byte, path []uint32, want [32]byte) (tweaks []musig2.KeyTweakDesc, ok bool) {
	const hardened = 1 << 31
	chainCode := muSigChainCode[:]
	for _, step := range path {
		h := hmac.New(sha512.New, chainCode)
		h.Write(pubKey)
		h.Write(binary.BigEndian.AppendUint32(nil, step))
		sum := h.Sum(nil)
		var t btcec.ModNScalar
		parent, err := btcec.ParsePubKey(pubKey)
		if step >= hardened || t.SetByteSlice(sum[:32]) || err != nil {
			return nil, false
		}
		var point, tG, child btcec.JacobianPoint
		parent.AsJacobian(&point)
		btcec.ScalarBaseMultNonConst(&t, &tG)
		btcec.AddNonConst(&point, &tG, &child)
		child.ToAffine()
		pubKey, chainCode = btcec.NewPublicKey(&child.X, &child.Y).SerializeCompressed(), sum[32:]
		tweaks = append(tweaks, musig2.KeyTweakDesc{Tweak: [32]byte(sum[:32])})
	}
	return tweaks, bytes.Equal(pubKey[1:], want[:])
}

// aggregateSignature is BIP327's PartialSigAgg: s is the sum of all partial signatures and
// of what the tweaks add. It returns nil if the key of the participants is another one.
func aggregateSignature(participants [][33]byte, tweaks []musig2.KeyTweakDesc, want *[33]byte, nonces [][66]byte, parts []MuSigPartialSig, message *[32]byte) []byte {
	keys := make([]*btcec.PublicKey, len(participants))
	for i := range participants {
		key, err := btcec.ParsePubKey(participants[i][:])
		if err != nil {
			return nil
		}
		keys[i] = key
	}
	key, _, tweakAcc, err := musig2.AggregateKeys(keys, false, musig2.WithKeyTweaks(tweaks...))
	if err != nil || !bytes.Equal(key.FinalKey.SerializeCompressed(), want[:]) {
		return nil
	}
	nonce, err := musig2.AggregateNonces(nonces)
	if err != nil {
		return nil
	}
	r := finalNonce(&nonce, (*[32]byte)(want[1:]), message)
	if r == nil {
		return nil
	}
	challenge := taproot.TaggedHash("BIP0340/challenge", r[:], want[1:], message[:])
	var e, sum, part btcec.ModNScalar
	e.SetBytes(&challenge)
	if tweakAcc != nil {
		e.Mul(tweakAcc)
		if want[0] == 3 { // an odd key signs negated
			e.Negate()
		}
		sum.Add(&e)
	}
	for i := range parts {
		if part.SetBytes(&parts[i].Signature) != 0 {
			return nil
		}
		sum.Add(&part)
	}
	s := sum.Bytes()
	return append(r[:], s[:]...)
}

// finalNonce returns the x coordinate of the signature's nonce: R1 + b·R2, or G if that is
// the point at infinity.
func finalNonce(nonce *[66]byte, key, message *[32]byte) *[32]byte {
	coefficient := taproot.TaggedHash("MuSig/noncecoef", nonce[:], key[:], message[:])
	var b btcec.ModNScalar
	b.SetBytes(&coefficient)
	var halves [2]btcec.JacobianPoint
	for i := range halves {
		half := nonce[33*i : 33*i+33]
		if bytes.Equal(half, make([]byte, 33)) {
			continue // the point at infinity, which Jacobian zeros are
		}
		point, err := btcec.ParsePubKey(half)
		if err != nil {
			return nil
		}
		point.AsJacobian(&halves[i])
	}
	var second, sum btcec.JacobianPoint
	btcec.ScalarMultNonConst(&b, &halves[1], &second)
	btcec.AddNonConst(&halves[0], &second, &sum)
	if sum.Z.IsZero() || sum.X.IsZero() && sum.Y.IsZero() {
		btcec.GeneratorJacobian(&sum)
	}
	sum.ToAffine()
	return sum.X.Bytes()
}
