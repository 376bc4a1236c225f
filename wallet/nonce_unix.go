//go:build unix

package wallet

import (
	"encoding/binary"
	"io/fs"

	"golang.org/x/sys/unix"
)

// fileID names a file so that a copy of it has another name, also one that takes its place: by
// its device, its number there, and when it last changed its place or its owner, which nobody
// can set. It is the same as long as only folders above it are moved.
func fileID(path string) ([]byte, error) {
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	var id []byte
	for _, n := range []uint64{uint64(s.Dev), uint64(s.Ino), uint64(s.Ctim.Sec), uint64(s.Ctim.Nsec)} {
		id = binary.LittleEndian.AppendUint64(id, n)
	}
	return id, nil
}
