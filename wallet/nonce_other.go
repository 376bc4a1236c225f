//go:build !unix

package wallet

import (
	"io/fs"
	"path/filepath"
)

// folderID names a folder by its path, where the system does not number folders.
func folderID(path string, _ fs.FileInfo) []byte {
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	return []byte(path)
}
