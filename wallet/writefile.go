package wallet

import (
	"os"
	"path/filepath"

	"github.com/karatcoin/karat/internal/wholefile"
)

// writeNew writes a file that only its owner can read, and no other than its
// owner can see the folder's content if it has to be made. The file appears
// whole and durable or not at all, and never in place of another: an empty file
// takes the name first, which works where a hard link does not.
func writeNew(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	name, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = name.Close()
	if err == nil {
		err = wholefile.ReplaceBytes(path, content)
	}
	if err != nil {
		os.Remove(path)
	}
	return err
}
