package wallet

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// ErrBackup is wrapped by the errors about a file that is not a backup as it was written.
var ErrBackup = errors.New("not a backup of a wallet")

const (
	backupVersion = 1
	maxBackupSize = 256 << 20 // bytes
	// maxRestoredIndex bounds how many keys a backup can make its reader derive.
	maxRestoredIndex = 10_000_000
)

// backupFile is the JSON of a backup. The checksum is the SHA-256 of all else, compact.
type backupFile struct {
	Version  int        `json:"karat_backup"`
	Network  string     `json:"network"`
	Identity types.Hash `json:"identity"`
	Sealing  sealing    `json:"sealing"`
	Sealed   hexBytes   `json:"sealed"`
	Checksum hexBytes   `json:"checksum,omitempty"`
}

// backupContent is what is sealed: all that neither the words nor a node can bring back. What
// blocks hold is left out, and nonces of MuSig2, since a nonce that came back could be used
// twice.
type backupContent struct {
	File     string          `json:"wallet_file"` // as it stands there, with the sealed words
	Accounts []backupAccount `json:"accounts"`
	Labels   string          `json:"labels"`             // in BIP329's form
	Waiting  []hexBytes      `json:"waiting"`            // transactions that are in no block, parents first
	GivenUp  []hexBytes      `json:"given_up,omitempty"` // those that are not passed on
}

// backupAccount says which addresses of an account were given out.
type backupAccount struct {
	ID   types.Hash `json:"id"`
	Next marks      `json:"next"`
}

// Backup returns the content of a file that restores the wallet with all that it knows,
// sealed by a passphrase.
func (w *Wallet) Backup(passphrase string) ([]byte, error) {
	return w.backup(passphrase, defaultKDF(passphrase))
}

func (w *Wallet) backup(passphrase string, kdf kdfParams) ([]byte, error) {
	var labels bytes.Buffer
	if err := w.ExportLabels(&labels); err != nil {
		return nil, err
	}
	c := backupContent{File: string(w.file.written), Labels: labels.String()}
	w.mu.Lock()
	for _, a := range w.meta.accounts {
		c.Accounts = append(c.Accounts, backupAccount{a.id, a.next})
	}
	for _, t := range sorted(w.transactions) {
		switch {
		case t.confirmed() || t.Tx.IsCoinbase():
		case t.Abandoned:
			c.GivenUp = append(c.GivenUp, t.Tx.AppendTo(nil))
		case !t.Dropped:
			c.Waiting = append(c.Waiting, t.Tx.AppendTo(nil))
		}
	}
	w.mu.Unlock()
	plain, err := json.Marshal(&c)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	b := backupFile{Version: backupVersion, Network: w.params.Name, Identity: w.params.Identity(), Sealing: newSealing(kdf)}
	bound, err := b.bound()
	if err != nil {
		return nil, err
	}
	if b.Sealed, err = b.Sealing.seal(plain, bound, passphrase); err != nil {
		return nil, err
	}
	if b.Checksum, err = b.checksum(); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(&b, "", "  ")
	if len(text) >= maxBackupSize {
		return nil, fmt.Errorf("the backup would have %d bytes, and one of more than %d cannot be restored", len(text), maxBackupSize)
	}
	return append(text, '\n'), err
}

// bound is what is bound to the sealed content.
func (b *backupFile) bound() ([]byte, error) {
	without := *b
	without.Sealed, without.Checksum = nil, nil
	text, err := json.Marshal(&without)
	return append([]byte("karat backup "), text...), err
}

func (b *backupFile) checksum() ([]byte, error) {
	without := *b
	without.Checksum = nil
	text, err := json.Marshal(&without)
	sum := sha256.Sum256(text)
	return sum[:], err
}

// Backup is a backup that was read, and is not open yet.
type Backup struct {
	file   backupFile
	params *consensus.Params
}

// ReadBackup reads a backup, which may be anything. Errors: ErrBackup, ErrWrongNetwork.
func ReadBackup(r io.Reader, p *consensus.Params) (*Backup, error) {
	b := &Backup{params: p}
	data, err := io.ReadAll(io.LimitReader(r, maxBackupSize+1))
	if err != nil {
		return nil, err
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if len(data) > maxBackupSize {
		return nil, fmt.Errorf("%w: it is larger than %d bytes", ErrBackup, maxBackupSize)
	}
	var versioned struct {
		Version int `json:"karat_backup"`
	}
	if json.Unmarshal(data, &versioned) == nil && versioned.Version > backupVersion {
		return nil, fmt.Errorf("the backup has version %d, and this karat knows version %d: use a later one", versioned.Version, backupVersion)
	}
	if err := strictJSON(data, &b.file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	sum, err := b.file.checksum()
	switch {
	case err != nil:
		return nil, err
	case b.file.Version != backupVersion || !bytes.Equal(sum, b.file.Checksum):
		return nil, fmt.Errorf("%w: it is damaged: its checksum is wrong", ErrBackup)
	case b.file.Identity != p.Identity():
		return nil, fmt.Errorf("%w: the backup is of %q (%s), not of %q (%s)", ErrWrongNetwork, b.file.Network, b.file.Identity, p.Name, p.Identity())
	case len(b.file.Sealed) < chacha20poly1305.Overhead:
		return nil, fmt.Errorf("%w: it holds nothing", ErrBackup)
	}
	if err := b.file.Sealing.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	return b, nil
}

// NeedsPassphrase reports whether the backup was made with a passphrase.
func (b *Backup) NeedsPassphrase() bool {
	return b.file.Sealing.KDF.MemoryKiB != noPassphraseMemoryKiB
}

// Restore makes the wallet of a backup in a folder, and returns its file. The next sync looks
// through the blocks. One that is cut off has made no wallet, and can be repeated. Errors:
// ErrPassphrase, ErrTampered, ErrBackup, those of the file system (fs.ErrExist).
func (b *Backup) Restore(dir, passphrase string) (*File, error) {
	bound, err := b.file.bound()
	if err != nil {
		return nil, err
	}
	isContent := func(plain []byte) bool { return json.Unmarshal(plain, &backupContent{}) == nil }
	plain, err := b.file.Sealing.open(b.file.Sealed, bound, passphrase, false, isContent)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	var c backupContent
	if err := strictJSON(plain, &c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	f, err := decodeFile([]byte(c.File), b.params)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, FileName)
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("wallet file: %w", &os.PathError{Op: "create", Path: path, Err: os.ErrExist})
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	w, err := Open(dir, f, b.params, nil)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(w.takeBackup(&c), w.Close()); err != nil {
		return nil, err
	}
	// The file comes last: what is there is a wallet.
	if err := writeNew(path, []byte(c.File)); err != nil {
		return nil, fmt.Errorf("wallet file: %w", err)
	}
	return f, nil
}

// takeBackup stores what a backup knows beside the file.
func (w *Wallet) takeBackup(c *backupContent) error {
	if err := w.takeNext(c.Accounts); err != nil {
		return err
	}
	labels, err := w.ImportLabels(bytes.NewReader([]byte(c.Labels)))
	if err != nil {
		return err
	}
	if labels.Failed > 0 {
		return fmt.Errorf("%w: line %d of the labels: %w", ErrBackup, labels.Problems[0].Line, labels.Problems[0].Err)
	}
	return errors.Join(noteAll(c.Waiting, w.Record), noteAll(c.GivenUp, w.noteOffered))
}

// noteAll notes transactions of a backup.
func noteAll(list []hexBytes, note func(*types.Tx) error) error {
	for _, raw := range list {
		tx, err := types.DecodeTx(raw)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBackup, err)
		}
		if err := note(tx); err != nil {
			return err
		}
	}
	return nil
}

// takeNext notes which addresses were given out.
func (w *Wallet) takeNext(accounts []backupAccount) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.meta
	m.accounts = nil
	for _, state := range w.meta.accounts {
		for _, a := range accounts {
			if a.ID != state.id {
				continue
			}
			for branch := range state.next {
				state.next[branch] = max(state.next[branch], a.Next[branch])
				if state.next[branch] > maxRestoredIndex {
					return fmt.Errorf("%w: it says that %d addresses were given out", ErrBackup, state.next[branch])
				}
			}
		}
		m.accounts = append(m.accounts, state)
	}
	for i := range w.accounts {
		for branch, next := range m.accounts[i].next {
			if err := w.watch(uint32(i), Branch(branch), next+w.gap); err != nil {
				return err
			}
		}
	}
	s := w.db.begin()
	s.putMeta(&m)
	if err := s.write(); err != nil {
		return err
	}
	w.meta = m
	return nil
}
