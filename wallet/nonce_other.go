//go:build !unix

package wallet

import (
	"encoding/binary"
	"os"
	"path/filepath"
)

// fileID names a file by its path and time, where the system does not number files.
func fileID(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	return binary.LittleEndian.AppendUint64([]byte(path), uint64(info.ModTime().UnixNano())), nil
}
