package wallet

import (
	"errors"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

var (
	// ErrWrongNetwork is a wallet file of another network; the error names both.
	ErrWrongNetwork = errors.New("the wallet is of another network")
	// ErrDamaged is a wallet file that is not as it was written.
	ErrDamaged = errors.New("the wallet file is damaged")
	// ErrPassphrase is a passphrase that does not open the wallet file.
	ErrPassphrase = errors.New("wrong passphrase")
)

// File is a wallet file. It does not change once it is made, and may be used by
// several goroutines.
type File struct{}

// CreateFile writes a new wallet file and returns it. Its folder is made if it
// does not exist; a file that exists is never overwritten (fs.ErrExist). The birthday
// is the tip of the chain when the words were made: no coin of theirs is in it or
// below; the zero Index if that is not known. The passphrase may be empty: then
// the words are not secret to who has the file.
func CreateFile(path string, p *consensus.Params, mnemonic, passphrase string, birthday types.Index) (*File, error) {
	return nil, errors.ErrUnsupported
}

// OpenFile reads a wallet file. Errors: ErrWrongNetwork, ErrDamaged, and those of
// the file system (fs.ErrNotExist).
func OpenFile(path string, p *consensus.Params) (*File, error) { return nil, errors.ErrUnsupported }

// Account returns the public half of the keys.
func (f *File) Account() *Account { return nil }

// Birthday returns the block that CreateFile was given.
func (f *File) Birthday() types.Index { return types.Index{} }

// Unlock returns what signs for the wallet; Wipe it after use. It takes a second
// and 256 MiB, which is what a guess of the passphrase costs. Errors:
// ErrPassphrase, ErrDamaged.
func (f *File) Unlock(passphrase string) (*Signer, error) { return nil, errors.ErrUnsupported }

// Mnemonic returns the words, at Unlock's price and with its errors.
func (f *File) Mnemonic(passphrase string) (string, error) { return "", errors.ErrUnsupported }
