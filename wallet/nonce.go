package wallet

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr/musig2"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/wholefile"
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
//   - It is bound to a file of its own beside the database, which is deleted even before: to
//     the file's number on the disk and to when it came there, which no copy has. So a nonce
//     does not open in a copy of the folder, nor when an earlier copy is put back in its place.
//     It is no longer used after a month.
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
	w    *Wallet
	seal [32]byte // the key
}

// nonces opens the wallet's secret nonces for a signer.
func (w *Wallet) nonces(s *Signer) (*nonceStore, error) {
	master, err := s.master.ECPrivKey()
	if err != nil {
		return nil, err
	}
	defer master.Zero()
	n := &nonceStore{w: w}
	raw := master.Key.Bytes()
	defer clear(raw[:])
	n.seal = taproot.TaggedHash("karat/nonces", raw[:], w.db.network[:])
	return n, n.purge()
}

// purge deletes nonces of sessions that came to nothing, and the files of those that are gone.
func (n *nonceStore) purge() error {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	step, kept := n.w.db.begin(), map[string]bool{}
	it := n.w.db.db.NewIterator(util.BytesPrefix([]byte{keyNonce}), nil)
	defer it.Release()
	for it.Next() {
		if value := it.Value(); len(value) > nonceHead && n.age(value) > nonceLifetime {
			step.batch.Delete(bytes.Clone(it.Key()))
		} else {
			kept[n.mark(it.Key())] = true
		}
	}
	marks, err := filepath.Glob(n.mark([]byte{keyNonce}) + "*")
	if err := errors.Join(err, it.Error()); err != nil {
		return err
	}
	for _, mark := range marks {
		if !kept[mark] {
			if err := os.Remove(mark); err != nil {
				return err
			}
		}
	}
	if step.batch.Len() == 0 {
		return nil
	}
	return step.write()
}

// mark names the file to which a nonce is bound.
func (n *nonceStore) mark(key []byte) string {
	return filepath.Join(n.w.db.dir, fmt.Sprintf("nonce-%x", key[1:]))
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
func bound(key, session, head, place []byte) []byte {
	return types.AppendVarBytes(types.AppendVarBytes(types.AppendVarBytes(types.AppendVarBytes(nil, key), session), head), place)
}

// put stores a secret nonce. When it returns, it is on the disk.
func (n *nonceStore) put(nonces *musig2.Nonces, session []byte) error {
	n.w.mu.Lock() // purge takes a file without a nonce away
	defer n.w.mu.Unlock()
	aead, err := chacha20poly1305.NewX(n.seal[:])
	if err != nil {
		return err
	}
	key := nonceKey(&nonces.PubNonce)
	value := binary.LittleEndian.AppendUint64([]byte{nonceVersion}, uint64(n.w.now().Unix()))
	head := value
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(nonce) // never fails
	mark := n.mark(key)
	if err := wholefile.CreateBytes(mark, []byte("A signature by MuSig2 waits for others. A copy of this file is of no use.\n")); err != nil {
		return err
	}
	place, err := fileID(mark)
	if err != nil {
		return err
	}
	value = append(append([]byte(nil), head...), nonce...)
	step := n.w.db.begin()
	step.batch.Put(key, aead.Seal(value, nonce, nonces.SecNonce[:], bound(key, session, head, place)))
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
	place, err := fileID(n.mark(key))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	plain, err := aead.Open(nil, nonce, sealed, bound(key, session, head, place))
	if err != nil || len(plain) != len(secret) {
		return secret, fmt.Errorf("%w: the PSBT was changed since the nonce was made, or this folder is a copy of the one where it was made, or was put back from one", ErrNonce)
	}
	defer clear(plain)
	// The file goes first: a copy of the database that is put back must not find it.
	if err := errors.Join(os.Remove(n.mark(key)), wholefile.SyncDir(n.w.db.dir)); err != nil {
		return secret, err
	}
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
