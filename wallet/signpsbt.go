package wallet

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcec/v2/schnorr/musig2"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/keypath"
)

// SignOptions are what SignPSBT does only if it is asked to.
type SignOptions struct {
	// AnyHashType signs by hash types that leave parts of the transaction open (BIP341).
	AnyHashType bool
	// Foreign signs for outputs of no account, if the PSBT says that a key of the wallet
	// is in them.
	Foreign bool
	// Restart begins signatures of MuSig2 anew: all nonces, and what was made with them,
	// are dropped from the PSBT first.
	Restart bool
}

// Signed says what SignPSBT did.
type Signed struct {
	Signatures int `json:"signatures"` // that were added
	Nonces     int `json:"nonces"`     // for signatures of MuSig2 that others have to join
	Partial    int `json:"partial"`    // signatures of MuSig2, our part
	Waiting    int `json:"waiting"`    // such for which nonces of others are missing
}

// Any reports whether anything was added.
func (s Signed) Any() bool { return s.Signatures+s.Nonces+s.Partial > 0 }

// ErrRefused is wrapped by the errors about what a signer does not sign.
var ErrRefused = errors.New("this is not signed")

// SignPSBT signs each input by every key of ours that its fields name by fingerprint and
// path: on the key path, in leaves, and our part of MuSig2's. All that is signed is checked
// before: the outputs that are spent, that keys and leaves are in them, that the keys are those
// of the words, and that the outputs are those of an account. A packet that fails stays as it
// was. Errors: ErrRefused, ErrNonce, psbt.ErrContradiction.
func (w *Wallet) SignPSBT(s *Signer, p *psbt.Packet, o SignOptions) (done Signed, err error) {
	if s.master == nil {
		return done, errWiped
	}
	raw, err := p.AppendTo(nil)
	if err != nil {
		return done, err
	}
	work, err := psbt.Decode(raw)
	if err != nil {
		return done, err
	}
	if o.Restart {
		for i := range work.Inputs {
			work.Inputs[i].MuSigNonces, work.Inputs[i].MuSigPartialSigs = nil, nil
		}
	}
	signing, err := psbt.NewSigning(work)
	if err != nil {
		return done, err
	}
	if a := work.Analyze(w.params.MaxMoney); a.Error != "" {
		return done, fmt.Errorf("%w: %s", ErrRefused, a.Error)
	} else if a.Fee == nil || *a.Fee < 0 {
		return done, fmt.Errorf("%w: it pays more than it spends", ErrRefused)
	}
	store, err := w.nonces(s)
	if err != nil {
		return done, err
	}
	defer store.wipe()
	ps := &packetSigner{s, w.places(), work, signing, store, o, &done}
	for i := range work.Inputs {
		if err := ps.input(i); err != nil {
			return Signed{}, err
		}
	}
	if done.Any() || o.Restart {
		*p = *work
	}
	return done, nil
}

// packetSigner signs one packet.
type packetSigner struct {
	*Signer
	at      *places
	p       *psbt.Packet
	signing *psbt.Signing
	nonces  *nonceStore
	o       SignOptions
	done    *Signed
}

func (s *packetSigner) input(i int) error {
	wanted, err := s.signing.Wanted(i)
	if err != nil {
		return err
	}
	for j := range wanted {
		key, err := s.key(wanted[j].Origin, func(key *btcec.PrivateKey) bool {
			return bytes.Equal(schnorr.SerializePubKey(key.PubKey()), wanted[j].Key[:])
		})
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		if key == nil {
			continue
		}
		err = s.single(&wanted[j], key)
		key.Zero()
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
	}
	together, err := s.signing.WantedMuSig(i)
	if err != nil {
		return err
	}
	for j := range together {
		for _, participant := range together[j].Participants {
			if err := s.together(&together[j], participant); err != nil {
				return fmt.Errorf("input %d: %w", i, err)
			}
		}
	}
	return nil
}

// key returns the private key of an origin, nil if it is another's. One that says to be ours
// must be the key that it stands beside.
func (s *packetSigner) key(origin psbt.KeyOrigin, is func(*btcec.PrivateKey) bool) (*btcec.PrivateKey, error) {
	if origin.Fingerprint != s.fingerprint {
		return nil, nil
	}
	key, err := s.privateKey(origin.Fingerprint, origin.Path)
	if err != nil || key == nil {
		return nil, err
	}
	if !is(key) {
		key.Zero()
		return nil, fmt.Errorf("%w: a key that it names as ours is not what our words have at %s", ErrRefused, pathText(origin.Path))
	}
	return key, nil
}

// allowed refuses what nobody has asked for.
func (s *packetSigner) allowed(i int, hashType byte) error {
	if hashType != taproot.SigHashDefault && hashType != taproot.SigHashAll && !s.o.AnyHashType {
		return fmt.Errorf("%w: hash type %#x leaves parts of the transaction open, for others to change", ErrRefused, hashType)
	}
	in := &s.p.Inputs[i]
	utxo, _ := in.UTXO()
	if _, ok := s.at.of(utxo.ScriptPubKey, in.TapDerivations); !ok && !s.o.Foreign {
		return fmt.Errorf("%w: what it spends is of no account of this wallet, although a key of the wallet may be in it", ErrRefused)
	}
	return nil
}

// single adds a signature of one key.
func (s *packetSigner) single(w *psbt.Wanted, key *btcec.PrivateKey) error {
	if err := s.allowed(w.Input, w.HashType); err != nil {
		return err
	}
	if w.Tweaked {
		output, err := tweaked(key, w.MerkleRoot)
		if err != nil {
			return err
		}
		defer output.Zero()
		key = output
	}
	signature, err := keypath.Sign(key, w.Message)
	if err != nil {
		return err
	}
	if err := s.signing.Add(w, (*[64]byte)(signature)); err != nil {
		return err
	}
	s.done.Signatures++
	return nil
}

// together does what a participant of ours can do now.
func (s *packetSigner) together(w *psbt.WantedMuSig, participant [33]byte) error {
	in := &s.p.Inputs[w.Input]
	id := w.ID(participant)
	if in.HasPartial(id) {
		return nil
	}
	key, err := s.participantKey(in, participant)
	if err != nil || key == nil {
		return err
	}
	defer key.Zero()
	if err := s.allowed(w.Input, w.HashType); err != nil {
		return err
	}
	nonces := in.Nonces(w)
	own, drawn := nonces[participant]
	missing := 0
	for _, other := range w.Participants {
		if _, ok := nonces[other]; !ok && other != participant {
			missing++
		}
	}
	if drawn && missing > 0 {
		s.done.Waiting++
		return nil
	}
	var secret [musig2.SecNonceSize]byte
	defer clear(secret[:])
	if drawn {
		if secret, err = s.nonces.take(&own, sessionOf(w, participant)); err != nil {
			return err
		}
	} else {
		made, err := draw(w, key)
		if err != nil {
			return err
		}
		defer clear(made.SecNonce[:])
		in.MuSigNonces = append(in.MuSigNonces, psbt.MuSigNonce{MuSigID: id, Nonce: made.PubNonce})
		if missing > 0 {
			s.done.Nonces++
			return s.nonces.put(made, sessionOf(w, participant))
		}
		secret, nonces[participant] = made.SecNonce, made.PubNonce // we are the last: there is no second round
	}
	return s.partial(w, participant, key, secret, nonces)
}

// participantKey returns the private key of a participant, nil if it is another's.
func (s *packetSigner) participantKey(in *psbt.Input, participant [33]byte) (*btcec.PrivateKey, error) {
	for i := range in.TapDerivations {
		if d := &in.TapDerivations[i]; bytes.Equal(d.Key[:], participant[1:]) {
			return s.key(d.Origin, func(key *btcec.PrivateKey) bool {
				return bytes.Equal(key.PubKey().SerializeCompressed(), participant[:])
			})
		}
	}
	return nil, nil
}

// partial adds our part of a signature. The secret nonce is nowhere else any more.
func (s *packetSigner) partial(w *psbt.WantedMuSig, participant [33]byte, key *btcec.PrivateKey, secret [musig2.SecNonceSize]byte, nonces map[[33]byte][66]byte) error {
	keys := make([]*btcec.PublicKey, len(w.Participants))
	list := make([][66]byte, len(w.Participants))
	for i, other := range w.Participants {
		var err error
		if keys[i], err = btcec.ParsePubKey(other[:]); err != nil {
			return err
		}
		list[i] = nonces[other]
	}
	nonce, err := musig2.AggregateNonces(list)
	if err != nil {
		return fmt.Errorf("%w: a nonce in it is none: %w", ErrRefused, err)
	}
	part, err := musig2.Sign(secret, key, nonce, keys, w.Message, musig2.WithTweaks(w.Tweaks...))
	if err != nil {
		return fmt.Errorf("sign together: %w", err)
	}
	var text bytes.Buffer
	if err := part.Encode(&text); err != nil {
		return err
	}
	s.signing.AddPartial(w, participant, [32]byte(text.Bytes()))
	s.done.Partial++
	return nil
}

// pathText writes a path from the master key.
func pathText(path []uint32) string {
	text := "m"
	for _, step := range path {
		if step >= hardened(0) {
			text += fmt.Sprintf("/%dh", step-hardened(0))
		} else {
			text += fmt.Sprintf("/%d", step)
		}
	}
	return text
}
