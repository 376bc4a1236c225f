package wallet

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr/musig2"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// MuSig2 takes two rounds (BIP327), and a secret nonce lives between them. Whoever signs
// twice with one gives away the key. So:
//
//   - A secret nonce is drawn with fresh randomness, the key, the aggregate key, the message
//     and the session mixed in. A bad random source alone makes no two sessions alike.
//   - It lies in the wallet's database, sealed by a key that only the words give, and is bound
//     to its session: the message, the keys, and the leaf. For anything else it does not open.
//   - It is deleted, in a synced write, before anything is made with it. If the signature is
//     lost after that, the session is lost, and is begun anew.
//   - It is bound to the folder of the database. In a copy of the folder it does not open, so
//     that two copies do not sign with the same nonce. It is no longer used after a month.
//   - Who signs last needs no second round. Such a nonce never leaves memory.
//
// A machine that is put back to an earlier state as a whole, with the wallet on it, within
// the month, cannot be told from one that was not. That is for its owner to know.

// ErrNonce is a MuSig2 signature that cannot be finished: the secret half of the nonce that
// stands in the PSBT is not here, or is not for what the PSBT is now.
var ErrNonce = errors.New("the secret nonce for this signature cannot be used")

const (
	keyNonce      = 'n'
	nonceVersion  = 1
	nonceHead     = 1 + 8 // bytes: version, when it was made
	nonceLifetime = 30 * 24 * time.Hour
)

// nonceStore keeps the secret nonces of a wallet while it is unlocked.
type nonceStore struct {
	w     *Wallet
	seal  [32]byte // the key
	place []byte   // of the database
}

// nonces opens the wallet's secret nonces for a signer.
func (w *Wallet) nonces(s *Signer) (*nonceStore, error) {
	info, err := os.Stat(w.db.dir)
	if err != nil {
		return nil, err
	}
	master, err := s.master.ECPrivKey()
	if err != nil {
		return nil, err
	}
	defer master.Zero()
	n := &nonceStore{w: w, place: folderID(w.db.dir, info)}
	raw := master.Key.Bytes()
	defer clear(raw[:])
	n.seal = taproot.TaggedHash("karat/nonces", raw[:], w.db.network[:])
	return n, n.purge()
}

// purge deletes nonces of sessions that came to nothing.
func (n *nonceStore) purge() error {
	step := n.w.db.begin()
	it := n.w.db.db.NewIterator(util.BytesPrefix([]byte{keyNonce}), nil)
	defer it.Release()
	for it.Next() {
		if value := it.Value(); len(value) > nonceHead && n.age(value) > nonceLifetime {
			step.batch.Delete(bytes.Clone(it.Key()))
		}
	}
	if err := it.Error(); err != nil || step.batch.Len() == 0 {
		return err
	}
	return step.write()
}

// age returns how long ago a nonce was made, of its record.
func (n *nonceStore) age(value []byte) time.Duration {
	return n.w.now().Sub(time.Unix(int64(binary.LittleEndian.Uint64(value[1:])), 0))
}

func (n *nonceStore) wipe() { clear(n.seal[:]) }

// sessionOf names what a nonce is for: a signature, by these keys, of this message.
func sessionOf(w *psbt.WantedMuSig, participant [33]byte) []byte {
	parts := [][]byte{w.Message[:], w.Aggregate[:], w.LeafHash[:], participant[:]}
	for i := range w.Participants {
		parts = append(parts, w.Participants[i][:])
	}
	hash := taproot.TaggedHash("karat/session", parts...)
	return hash[:]
}

// draw makes a nonce for a session.
func draw(w *psbt.WantedMuSig, key *btcec.PrivateKey) (*musig2.Nonces, error) {
	aggregate, err := btcec.ParsePubKey(w.Aggregate[:])
	if err != nil {
		return nil, err
	}
	public := key.PubKey()
	return musig2.GenNonces(
		musig2.WithPublicKey(public), musig2.WithNonceSecretKeyAux(key), musig2.WithNonceCombinedKeyAux(aggregate),
		musig2.WithNonceMessageAux(w.Message), musig2.WithNonceAuxInput(sessionOf(w, [33]byte(public.SerializeCompressed()))),
	)
}

func nonceKey(public *[66]byte) []byte {
	hash := taproot.TaggedHash("karat/nonce", public[:])
	return append([]byte{keyNonce}, hash[:]...)
}

// bound is what a secret nonce is sealed together with.
func (n *nonceStore) bound(key, session, head []byte) []byte {
	return types.AppendVarBytes(types.AppendVarBytes(types.AppendVarBytes(types.AppendVarBytes(nil, key), session), head), n.place)
}

// put stores a secret nonce. When it returns, it is on the disk.
func (n *nonceStore) put(nonces *musig2.Nonces, session []byte) error {
	aead, err := chacha20poly1305.NewX(n.seal[:])
	if err != nil {
		return err
	}
	key := nonceKey(&nonces.PubNonce)
	value := binary.LittleEndian.AppendUint64([]byte{nonceVersion}, uint64(n.w.now().Unix()))
	head := value
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(nonce) // never fails
	value = append(append([]byte(nil), head...), nonce...)
	step := n.w.db.begin()
	step.batch.Put(key, aead.Seal(value, nonce, nonces.SecNonce[:], n.bound(key, session, head)))
	return step.write()
}

// take returns the secret nonce of a public one, and deletes it first. Nothing can be made
// with it a second time, whatever happens to this process. What cannot be used for the session
// stays: the PSBT as it was when the nonce was made may still come.
func (n *nonceStore) take(public *[66]byte, session []byte) (secret [musig2.SecNonceSize]byte, err error) {
	n.w.mu.Lock() // of two that take it one comes first
	defer n.w.mu.Unlock()
	key := nonceKey(public)
	value, err := n.w.db.db.Get(key, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return secret, fmt.Errorf("%w: it was used before, or another wallet made it", ErrNonce)
	}
	if err != nil {
		return secret, err
	}
	aead, err := chacha20poly1305.NewX(n.seal[:])
	if err != nil || len(value) < nonceHead+chacha20poly1305.NonceSizeX || value[0] != nonceVersion {
		return secret, errors.Join(err, errDatabase)
	}
	head, nonce, sealed := value[:nonceHead], value[nonceHead:nonceHead+chacha20poly1305.NonceSizeX], value[nonceHead+chacha20poly1305.NonceSizeX:]
	plain, err := aead.Open(nil, nonce, sealed, n.bound(key, session, head))
	if err != nil || len(plain) != len(secret) {
		return secret, fmt.Errorf("%w: the PSBT was changed since the nonce was made, or this folder is a copy of the one where it was made", ErrNonce)
	}
	defer clear(plain)
	step := n.w.db.begin()
	step.batch.Delete(key)
	if err := step.write(); err != nil {
		return secret, err
	}
	if n.age(value) > nonceLifetime {
		return secret, fmt.Errorf("%w: it is older than a month", ErrNonce)
	}
	copy(secret[:], plain)
	return secret, nil
}
