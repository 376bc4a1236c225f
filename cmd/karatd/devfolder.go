package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/karatcoin/karat/internal/wholefile"
)

// The folders of karatd dev in the temporary directory, and the file in each that its process
// has locked.
const (
	devFolder = "karat-dev-"
	devLock   = "in-use"
)

// makeDevFolder makes a folder for a chain that is forgotten, and returns how it is removed.
// Folders of processes that were killed go now.
func makeDevFolder() (dir string, remove func() error, err error) {
	removeDevFolders(os.TempDir())
	// Between its making and its lock a folder looks like one that was left. If another
	// process has it removed, the next one will do.
	for range 100 {
		if dir, err = os.MkdirTemp("", devFolder); err != nil {
			return "", nil, err
		}
		path := filepath.Join(dir, devLock)
		if err = os.WriteFile(path, nil, 0o600); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return "", nil, errors.Join(err, os.Remove(dir))
		}
		lock, err := wholefile.TryLock(path)
		switch {
		case errors.Is(err, wholefile.ErrLocked), errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, errors.ErrUnsupported):
			return dir, func() error { return removeDevFolder(dir) }, nil
		case err != nil:
			return "", nil, errors.Join(err, os.RemoveAll(dir))
		case lock.Is(path):
			return dir, func() error { return errors.Join(removeDevFolder(dir), lock.Unlock()) }, nil
		}
		_ = lock.Unlock()
	}
	return "", nil, errors.New("others remove the folders of karatd dev as soon as they are made: name one with --datadir")
}

// removeDevFolders removes the folders in a temporary directory whose process is gone: its lock
// ends with it. A folder without the file is not ours to judge, nor is somebody else's. What
// cannot be removed stays, and keeps nobody from starting.
func removeDevFolders(temp string) {
	entries, _ := os.ReadDir(temp)
	for _, e := range entries {
		dir := filepath.Join(temp, e.Name())
		if !e.IsDir() || !strings.HasPrefix(e.Name(), devFolder) || !isOwn(dir) {
			continue
		}
		if lock, err := wholefile.TryLock(filepath.Join(dir, devLock)); err == nil {
			_ = removeDevFolder(dir)
			_ = lock.Unlock()
		}
	}
}

// removeDevFolder removes the file that is locked last, so that what a kill leaves goes next time.
func removeDevFolder(dir string) error {
	entries, _ := os.ReadDir(dir) // what it does not list goes below
	for _, e := range entries {
		if e.Name() == devLock {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}
