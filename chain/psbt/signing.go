package psbt

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr/musig2"

	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
)

// ErrContradiction is wrapped by the error about an input whose fields do not belong to the
// output that it spends, or to each other.
var ErrContradiction = errors.New("the PSBT contradicts itself")

// Signing is a packet before somebody who signs it. It holds no secret: it says which
// signatures inputs can take, of what, and takes them in.
type Signing struct{ s *spender }

// NewSigning checks what a signer would rely on: that each output that is spent is known
// and the same wherever it is said. Signatures then commit to all of them (BIP341), so that
// nobody who lies about one gets a signature that is worth anything. It fails with
// ErrContradiction and ErrLockTimes.
func NewSigning(p *Packet) (*Signing, error) {
	s, err := newSpender(p)
	if err != nil {
		return nil, err
	}
	for i := range p.Inputs {
		in := &p.Inputs[i]
		if !s.known[i] {
			return nil, fmt.Errorf("%w: what input %d spends is not in it", ErrContradiction, i)
		}
		if in.NonWitnessUTXO != nil && in.WitnessUTXO != nil && (in.WitnessUTXO.Value != s.utxos[i].Value || !bytes.Equal(in.WitnessUTXO.ScriptPubKey, s.utxos[i].ScriptPubKey)) {
			return nil, fmt.Errorf("%w: what input %d spends is said in two ways", ErrContradiction, i)
		}
	}
	return &Signing{s}, nil
}

// Wanted is a signature that an input can take.
type Wanted struct {
	Input    int
	Key      [32]byte  // that is derived; on the key path the signing key is its tweak
	Origin   KeyOrigin // of the key
	LeafHash *[32]byte // nil on the key path
	// Tweaked says that the key signs with the tweak of the root, which may be empty (BIP341).
	Tweaked    bool
	MerkleRoot []byte
	HashType   byte
	Message    [32]byte
}

// HashType returns the hash type that the input asks for (BIP341). It fails with
// ErrContradiction if there is none of that number.
func (in *Input) HashType() (byte, error) {
	t := valueOr(in.SighashType, taproot.SigHashDefault)
	if t > 0xff {
		return 0, fmt.Errorf("%w: hash type %#x", ErrContradiction, t)
	}
	return byte(t), nil
}

// Wanted returns the signatures of single keys that an input can take and does not have. The
// fields have to prove that the keys are in the output. It fails with ErrContradiction.
func (s *Signing) Wanted(i int) (list []Wanted, err error) {
	in := &s.s.packet.Inputs[i]
	output, ok := s.s.outputKey(i)
	if !ok || in.IsFinal() {
		return nil, nil
	}
	internal, root, err := in.committed(output)
	if err != nil {
		return nil, fmt.Errorf("input %d: %w", i, err)
	}
	leaves := s.leavesOf(in)
	for j := range in.TapDerivations {
		d := &in.TapDerivations[j]
		w := Wanted{Input: i, Key: d.Key, Origin: d.Origin}
		if len(in.TapKeySig) == 0 && (internal != nil && d.Key == *internal || d.Key == *output) {
			w.Tweaked, w.MerkleRoot = d.Key != *output, root
			list = append(list, w)
			w.Tweaked, w.MerkleRoot = false, nil
		}
		for _, hash := range d.LeafHashes {
			wanted, err := leaves.want(hash, d.Key, output)
			if err != nil {
				return nil, fmt.Errorf("input %d: %w", i, err)
			}
			if wanted {
				w.LeafHash = &hash
				list = append(list, w)
			}
		}
	}
	for j := range list {
		if list[j].HashType, list[j].Message, err = s.message(i, list[j].LeafHash); err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
	}
	return list, nil
}

// committed returns the internal key and the root, if the input has them. They must make the
// output key.
func (in *Input) committed(output *[32]byte) (internal *[32]byte, root []byte, err error) {
	if in.TapInternalKey == nil {
		return nil, nil, nil
	}
	if in.TapMerkleRoot != nil {
		root = in.TapMerkleRoot[:]
	}
	key, _, err := taproot.OutputKey(*in.TapInternalKey, root)
	if err != nil || key != *output {
		return nil, nil, fmt.Errorf("%w: its internal key is not that of the output that it spends", ErrContradiction)
	}
	return in.TapInternalKey, root, nil
}

// commits reports whether a control block leads from a leaf to an output key (BIP341).
func commits(control []byte, leaf [32]byte, output *[32]byte) bool {
	const head, node = 33, 32
	if len(control) < head || (len(control)-head)%node != 0 {
		return false
	}
	root := leaf
	for rest := control[head:]; len(rest) > 0; rest = rest[node:] {
		root = taproot.BranchHash(root, [32]byte(rest))
	}
	key, parity, err := taproot.OutputKey([32]byte(control[1:]), root[:])
	return err == nil && key == *output && parity == control[0]&1
}

// message returns what a signature of an input signs, in a leaf or on the key path.
func (s *Signing) message(i int, leaf *[32]byte) (hashType byte, message [32]byte, err error) {
	if hashType, err = s.s.packet.Inputs[i].HashType(); err != nil {
		return 0, message, err
	}
	var path *taproot.ScriptPath
	if leaf != nil {
		path = &taproot.ScriptPath{LeafHash: *leaf, CodeSeparator: taproot.NoCodeSeparator}
	}
	message, err = s.s.ctx.SignatureHash(i, hashType, nil, path)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrContradiction, err)
	}
	return hashType, message, err
}

// Add takes in a signature of 64 bytes, if it is right: one that a fault has spoilt can give
// away the key.
func (s *Signing) Add(w *Wanted, signature *[64]byte) error {
	in := &s.s.packet.Inputs[w.Input]
	key := w.Key
	if w.LeafHash == nil {
		output, ok := s.s.outputKey(w.Input)
		if !ok {
			return ErrContradiction
		}
		key = *output
	}
	if !secp.Verify(&key, w.Message[:], signature) {
		return errors.New("the signature that was made is wrong")
	}
	s.s.packet.noteSigned(w.HashType)
	sig := slices.Clone(signature[:])
	if w.HashType != taproot.SigHashDefault {
		sig = append(sig, w.HashType)
	}
	if w.LeafHash == nil {
		in.TapKeySig = sig
	} else {
		in.TapScriptSigs = sorted(append(in.TapScriptSigs, TapScriptSig{Key: w.Key, LeafHash: *w.LeafHash, Signature: sig}), compareTapScriptSig)
	}
	return nil
}

// WantedMuSig is a signature that the participants of an aggregate key make together
// (BIP327). A LeafHash of zeros is the key path.
type WantedMuSig struct {
	Input        int
	Aggregate    [33]byte // with all tweaks: the key that signs
	LeafHash     [32]byte
	Participants [][33]byte
	Tweaks       []musig2.KeyTweakDesc
	HashType     byte
	Message      [32]byte

	key [32]byte // that must come out
}

// WantedMuSig returns the signatures of aggregate keys that an input can take and does not
// have. It fails with ErrContradiction.
func (s *Signing) WantedMuSig(i int) (list []WantedMuSig, err error) {
	in := &s.s.packet.Inputs[i]
	output, ok := s.s.outputKey(i)
	if !ok || in.IsFinal() || len(in.MuSigParticipants) == 0 {
		return nil, nil
	}
	internal, root, err := in.committed(output)
	if err != nil {
		return nil, fmt.Errorf("input %d: %w", i, err)
	}
	leaves := s.leavesOf(in)
	for j := range in.MuSigParticipants {
		m := &in.MuSigParticipants[j]
		if s.s.matched += len(in.TapDerivations); s.s.matched > maxMatched {
			return nil, fmt.Errorf("input %d: %w: too many keys are aggregated", i, ErrContradiction)
		}
		for _, k := range in.muSigKeys(m) {
			key := k.Key
			tweaks, ok := s.s.pathTweaks(in, m, key)
			if !ok {
				continue
			}
			w := WantedMuSig{Input: i, Participants: m.Participants, Tweaks: tweaks, key: key}
			if len(in.TapKeySig) == 0 && (internal != nil && key == *internal || key == *output) {
				whole := w
				whole.key = *output
				if key != *output {
					whole.Tweaks = append(slices.Clone(tweaks), musig2.KeyTweakDesc{Tweak: taproot.TweakHash(key, root), IsXOnly: true})
				}
				list = append(list, whole)
			}
			for _, hash := range k.LeafHashes {
				wanted, err := leaves.want(hash, key, output)
				if err != nil {
					return nil, fmt.Errorf("input %d: %w", i, err)
				}
				if wanted {
					w.LeafHash = hash
					list = append(list, w)
				}
			}
		}
	}
	for j := range list {
		if err := s.complete(&list[j]); err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
	}
	return list, nil
}

// muSigKeys returns the keys that the participants can sign by, with the leaves in which
// they are: their aggregate, and what the packet says is derived from it.
func (in *Input) muSigKeys(m *MuSigParticipants) []TapDerivation {
	aggregate := TapDerivation{Key: [32]byte(m.Aggregate[1:])}
	id := KeyID(m.Aggregate[:])
	var derived []TapDerivation
	for i := range in.TapDerivations {
		d := &in.TapDerivations[i]
		if d.Key == aggregate.Key {
			aggregate.LeafHashes = d.LeafHashes
		} else if bytes.Equal(d.Origin.Fingerprint[:], id[:4]) && len(d.Origin.Path) > 0 {
			derived = append(derived, *d)
		}
	}
	return append(derived, aggregate)
}

// complete aggregates the keys and computes the message.
func (s *Signing) complete(w *WantedMuSig) (err error) {
	if s.s.aggregated += len(w.Participants); s.s.aggregated > maxAggregated {
		return fmt.Errorf("%w: too many keys are aggregated", ErrContradiction)
	}
	keys := make([]*btcec.PublicKey, len(w.Participants))
	for i := range keys {
		if keys[i], err = btcec.ParsePubKey(w.Participants[i][:]); err != nil {
			return fmt.Errorf("%w: %w", ErrContradiction, err)
		}
	}
	sum, _, _, err := musig2.AggregateKeys(keys, false, musig2.WithKeyTweaks(w.Tweaks...))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrContradiction, err)
	}
	w.Aggregate = [33]byte(sum.FinalKey.SerializeCompressed())
	if !bytes.Equal(w.Aggregate[1:], w.key[:]) {
		return fmt.Errorf("%w: the participants do not make the key that they sign by", ErrContradiction)
	}
	leaf := &w.LeafHash
	if w.LeafHash == [32]byte{} {
		leaf = nil
	}
	w.HashType, w.Message, err = s.message(w.Input, leaf)
	return err
}

// ID names a participant's part of the signature.
func (w *WantedMuSig) ID(participant [33]byte) MuSigID {
	return MuSigID{Participant: participant, Aggregate: w.Aggregate, LeafHash: w.LeafHash}
}

// Nonces returns the public nonces that are there, by participant.
func (in *Input) Nonces(w *WantedMuSig) map[[33]byte][66]byte {
	found := map[[33]byte][66]byte{}
	for i := range in.MuSigNonces {
		if n := &in.MuSigNonces[i]; n.Aggregate == w.Aggregate && n.LeafHash == w.LeafHash {
			found[n.Participant] = n.Nonce
		}
	}
	return found
}

// HasPartial reports whether a participant has signed.
func (in *Input) HasPartial(id MuSigID) bool {
	return slices.ContainsFunc(in.MuSigPartialSigs, func(s MuSigPartialSig) bool { return s.MuSigID == id })
}

// AddPartial takes in a participant's part of a signature.
func (s *Signing) AddPartial(w *WantedMuSig, participant [33]byte, signature [32]byte) {
	in := &s.s.packet.Inputs[w.Input]
	in.MuSigPartialSigs = append(in.MuSigPartialSigs, MuSigPartialSig{MuSigID: w.ID(participant), Signature: signature})
	s.s.packet.noteSigned(w.HashType)
}

// WrongPartials returns the participants whose partial signatures are wrong. It can tell only
// when all nonces are there.
func (s *Signing) WrongPartials(w *WantedMuSig) (wrong [][33]byte) {
	in := &s.s.packet.Inputs[w.Input]
	nonces := in.Nonces(w)
	list := make([][66]byte, len(w.Participants))
	keys := make([]*btcec.PublicKey, len(w.Participants))
	for i, participant := range w.Participants {
		nonce, ok := nonces[participant]
		key, err := btcec.ParsePubKey(participant[:])
		if !ok || err != nil {
			return nil
		}
		list[i], keys[i] = nonce, key
	}
	sum, err := musig2.AggregateNonces(list)
	if err != nil {
		return nil
	}
	for i := range in.MuSigPartialSigs {
		part := &in.MuSigPartialSigs[i]
		at := slices.Index(w.Participants, part.Participant)
		if part.Aggregate != w.Aggregate || part.LeafHash != w.LeafHash || at < 0 {
			continue
		}
		if s.s.aggregated += len(keys); s.s.aggregated > maxAggregated {
			return wrong
		}
		var signature musig2.PartialSignature
		if signature.Decode(bytes.NewReader(part.Signature[:])) != nil || !signature.Verify(list[at], sum, keys, keys[at], w.Message, musig2.WithTweaks(w.Tweaks...)) {
			wrong = append(wrong, part.Participant)
		}
	}
	return wrong
}
