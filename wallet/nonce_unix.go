//go:build unix

package wallet

import (
	"encoding/binary"
	"io/fs"
	"path/filepath"
	"syscall"
)

// folderID names a folder so that a copy of it has another name, and the folder that was
// only moved has the same: by its device and its number there.
func folderID(path string, info fs.FileInfo) []byte {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return []byte(filepath.Clean(path))
	}
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(s.Dev)), s.Ino)
}
