package wallet

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/syndtr/goleveldb/leveldb/storage"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/internal/wholefile"
)

// change rewrites a wallet's file. It holds the lock of the wallet's database meanwhile, so
// that of two processes that change the file none undoes what the other did. The file is the
// old one or the new one, whatever happens.
func change(path string, p *consensus.Params, do func(f *File) error) (err error) {
	dir := filepath.Join(filepath.Dir(path), databaseName)
	if _, err := os.Lstat(path); err != nil { // no folder is made for a wallet that is not there
		return fmt.Errorf("wallet file: %w", err)
	}
	lock, err := storage.OpenFile(dir, false)
	if isLocked(err) {
		return fmt.Errorf("wallet database in %s: %w: is it open in another karat?", dir, err)
	} else if err != nil {
		return err
	}
	defer func() {
		if closeErr := lock.Close(); err == nil {
			err = closeErr
		}
	}()
	f, err := OpenFile(path, p)
	if err != nil {
		return err
	}
	if err := do(f); err != nil {
		return err
	}
	text, err := f.text()
	if err != nil {
		return err
	}
	return wholefile.ReplaceBytes(path, text)
}

// AddAccount adds an account to a wallet's file. Without a descriptor it is the next one of the
// words (BIP86). A wallet with words needs its passphrase, since it vouches for its accounts. One
// with a descriptor may have been paid before the wallet's birthday, so that is not known any
// more. Errors: ErrAccount, ErrNoWords, and those of Unlock.
func AddAccount(path string, p *consensus.Params, passphrase string, named NamedDescriptor) (*Account, error) {
	added, err := ImportAccounts(path, p, passphrase, []NamedDescriptor{named}, Birthday{})
	if err != nil {
		return nil, err
	}
	return added[0], nil
}

// ImportAccounts adds several accounts at once, all or none, which were not paid before their
// birthday. The wallet's own becomes the earlier one.
func ImportAccounts(path string, p *consensus.Params, passphrase string, list []NamedDescriptor, since Birthday) (added []*Account, err error) {
	err = change(path, p, func(f *File) error {
		before := len(f.accounts)
		defer func() { added = f.accounts[before:] }()
		if f.IsWatchOnly() {
			if err := f.addAll(list, since, nil); err != nil {
				return err
			}
			return f.sum()
		}
		s, master, err := f.decrypt(passphrase)
		if err != nil {
			return err
		}
		defer s.wipe()
		defer master.Zero()
		if err := f.addAll(list, since, master); err != nil {
			return err
		}
		if err := f.checkKeys(master); err != nil {
			return fmt.Errorf("%w: its key is not the one that these words have there", ErrAccount)
		}
		if f.old != nil {
			return f.seal(s, passphrase, f.old.Header.KDF)
		}
		return f.vouch(s)
	})
	return added, err
}

// addAll adds accounts. master is nil if there are no words.
func (f *File) addAll(list []NamedDescriptor, since Birthday, master *hdkeychain.ExtendedKey) (err error) {
	for _, named := range list {
		switch {
		case named.Descriptor != "":
			b := f.Birthday().earlier(since)
			f.content.Header.Birthday = fileBirthday{b.Height, b.Hash, b.Time}
		case master == nil:
			return ErrNoWords
		default:
			if named.Descriptor, err = f.nextAccount(master); err != nil {
				return err
			}
		}
		if err := f.add(named); err != nil {
			return err
		}
	}
	return nil
}

// earlier returns the earlier of two birthdays; none if they cannot be compared.
func (b Birthday) earlier(other Birthday) Birthday {
	switch {
	case b.Height > 0 && other.Height > 0:
		if other.Height < b.Height {
			return other
		}
		return b
	case b.Height == 0 && other.Height == 0 && b.Time > 0 && other.Time > 0:
		return Birthday{Time: min(b.Time, other.Time)}
	}
	return Birthday{}
}

// ChangePassphrase seals the words anew, by another passphrase. The old one opens the file no
// more; copies of the file that were made before are as they were.
func ChangePassphrase(path string, p *consensus.Params, old, passphrase string) error {
	return changePassphrase(path, p, old, passphrase, defaultKDF(passphrase))
}

func changePassphrase(path string, p *consensus.Params, old, passphrase string, kdf kdfParams) error {
	return change(path, p, func(f *File) error {
		s, master, err := f.decrypt(old)
		if err != nil {
			return err
		}
		defer s.wipe()
		master.Zero()
		return f.seal(s, passphrase, kdf)
	})
}

// writeNew writes a file that only its owner can read, and no other than its
// owner can see the folder's content if it has to be made. The file appears
// whole and durable or not at all, and never in place of another.
func writeNew(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return wholefile.CreateBytes(path, content)
}
