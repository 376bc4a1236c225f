package wallet

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/keypath"
)

var (
	// ErrNotOurs is a coin whose script is not that of the wallet's key which it
	// names.
	ErrNotOurs = errors.New("the coin is not of this wallet")
	// ErrDraft is a draft that does not agree with itself: its inputs are not its
	// coins, or its fee is not the difference of what goes in and out.
	ErrDraft = errors.New("the draft contradicts itself")
)

var errWiped = errors.New("the signer was wiped")

// Signer holds the private keys of a wallet. One goroutine at a time may use it.
type Signer struct {
	master      *hdkeychain.ExtendedKey // nil after Wipe
	fingerprint [4]byte                 // of the master key
	accounts    []*Account              // by number
	// parents are keys from which single ones were derived, by their path. Most coins of a
	// payment are of one or two branches.
	parents map[string]*hdkeychain.ExtendedKey
}

// Wipe overwrites the keys. The Signer cannot be used any more.
func (s *Signer) Wipe() {
	if s.master == nil {
		return
	}
	s.master.Zero()
	s.master = nil
	for _, key := range s.parents {
		key.Zero()
	}
	s.parents = nil
}

// privateKey returns the key at the end of a path from the master key; nil if the fingerprint
// is that of another's.
func (s *Signer) privateKey(fingerprint [4]byte, path []uint32) (*btcec.PrivateKey, error) {
	if fingerprint != s.fingerprint || len(path) == 0 {
		return nil, nil
	}
	above := fmt.Sprint(path[:len(path)-1])
	parent := s.parents[above]
	if len(path) == 1 {
		parent = s.master
	} else if parent == nil {
		var err error
		if parent, err = derivePath(s.master, path[:len(path)-1]...); err != nil {
			return nil, err
		}
		if s.parents == nil {
			s.parents = map[string]*hdkeychain.ExtendedKey{}
		}
		s.parents[above] = parent
	}
	child, err := parent.Derive(path[len(path)-1])
	if err != nil {
		return nil, err
	}
	defer child.Zero()
	return child.ECPrivKey()
}

// Sign signs every input of a draft by its key path (BIP341, hash type default)
// and verifies each signature as a node does. A draft that fails stays unsigned.
// Errors: ErrNotOurs, ErrDraft.
//
// The message of each signature holds the amounts and scripts of all coins, so a
// node that lied about a coin gets a transaction that is worth nothing.
func (s *Signer) Sign(d *Draft) error {
	if s.master == nil {
		return errWiped
	}
	if err := checkDraft(d); err != nil {
		return err
	}
	return s.signInputs(d)
}

// spent returns the outputs that the inputs spend.
func (d *Draft) spent() []types.TxOut {
	outputs := make([]types.TxOut, len(d.Inputs))
	for i := range d.Inputs {
		outputs[i] = types.TxOut{Value: d.Inputs[i].Value, ScriptPubKey: d.Inputs[i].ScriptPubKey}
	}
	return outputs
}

// signInputs signs every input, or none.
func (s *Signer) signInputs(d *Draft) error {
	ctx := taproot.NewContext(d.Tx, d.spent())
	for i := range d.Inputs {
		if err := s.signInput(ctx, d, i); err != nil {
			for j := range d.Tx.Inputs {
				d.Tx.Inputs[j].Witness = nil
			}
			return fmt.Errorf("input %d: %w", i, err)
		}
	}
	return nil
}

func (s *Signer) signInput(ctx *taproot.Context, d *Draft, i int) error {
	key, err := s.outputKey(&d.Inputs[i])
	if err != nil {
		return err
	}
	defer key.Zero()
	message, err := ctx.SignatureHash(i, taproot.SigHashDefault, nil, nil)
	if err != nil {
		return err
	}
	signature, err := keypath.Sign(key, message)
	if err != nil {
		return err
	}
	// A signature that a fault has spoilt can give away the key, so none leaves unverified.
	// It is verified by the code of the nodes too, and not only by the library that made it.
	d.Tx.Inputs[i].Witness = [][]byte{signature}
	return ctx.VerifyInput(i, taproot.Standard, nil)
}

// outputKey returns the private key that a coin's script asks a signature of, by its key path
// (BIP341).
func (s *Signer) outputKey(c *Coin) (*btcec.PrivateKey, error) {
	if int64(c.Key.Account) >= int64(len(s.accounts)) {
		return nil, fmt.Errorf("%w: account %d", ErrNotOurs, c.Key.Account)
	}
	out, err := s.accounts[c.Key.Account].Expand(c.Key.Branch, c.Key.Index)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	// The coin comes from what a node sent. Only a script of this very key is signed for.
	if !bytes.Equal(c.ScriptPubKey, out.ScriptPubKey) {
		return nil, fmt.Errorf("%w: %s pays to another key than %d/%d", ErrNotOurs, c.OutPoint, c.Key.Branch, c.Key.Index)
	}
	if len(out.Keys) == 0 {
		return nil, fmt.Errorf("%w: nothing is known of it but its address", ErrNotOurs)
	}
	internal, err := s.privateKey(out.Keys[0].Fingerprint, out.Keys[0].Path)
	if err != nil {
		return nil, err
	}
	if internal == nil {
		return nil, fmt.Errorf("%w: its key is of another wallet", ErrNotOurs)
	}
	defer internal.Zero()
	key, err := tweaked(internal, out.MerkleRoot)
	if err != nil {
		return nil, fmt.Errorf("key %d/%d: %w", c.Key.Branch, c.Key.Index, err)
	}
	if output := schnorr.SerializePubKey(key.PubKey()); !bytes.Equal(c.ScriptPubKey, taproot.OutputScript([32]byte(output))) {
		key.Zero()
		return nil, fmt.Errorf("%w: %s is not spent by its key alone", ErrNotOurs, c.OutPoint)
	}
	return key, nil
}

// tweaked returns the private key of the output key that an internal key has with a script
// tree, or none (BIP341): the key, negated if its point is odd, plus the tweak.
func tweaked(internal *btcec.PrivateKey, merkleRoot []byte) (*btcec.PrivateKey, error) {
	public := internal.PubKey().SerializeCompressed()
	secret := internal.Key
	defer secret.Zero()
	if public[0] == 3 { // the y coordinate is odd
		secret.Negate()
	}
	hash := taproot.TweakHash([32]byte(public[1:]), merkleRoot)
	var tweak btcec.ModNScalar
	if overflow := tweak.SetBytes(&hash); overflow != 0 || secret.Add(&tweak).IsZero() {
		return nil, errors.New("the key has no output key") // one in 2^127
	}
	return btcec.PrivKeyFromScalar(&secret), nil
}

// checkDraft refuses what Build does not make, before a signature can be of it:
// above all a fee that is not the one that was shown.
func checkDraft(d *Draft) error {
	if len(d.Inputs) == 0 || len(d.Inputs) != len(d.Tx.Inputs) {
		return fmt.Errorf("%w: %d inputs for %d coins", ErrDraft, len(d.Tx.Inputs), len(d.Inputs))
	}
	for i := range d.Inputs {
		if d.Tx.Inputs[i].PreviousOutPoint != d.Inputs[i].OutPoint {
			return fmt.Errorf("%w: input %d spends another coin", ErrDraft, i)
		}
	}
	in, err := sumCoins(d.Inputs)
	if err != nil {
		return err
	}
	out, err := sumOutputs(d.Tx.Outputs)
	if err != nil {
		return err
	}
	if d.Fee < 0 || in-out != d.Fee {
		return fmt.Errorf("%w: the fee is %s, and not %s", ErrDraft, in-out, d.Fee)
	}
	return nil
}
