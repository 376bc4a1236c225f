// Package wholefile writes small files that are there as a whole or not at all, whatever
// happens meanwhile: a kill, a power cut, a full disk. It reads none that is larger than its
// reader allows.
//
// The content goes into a new file beside the old one. When it is durable, the new
// file takes the old one's name, which the system does at one instant. A run that is
// cut off leaves the old file, and perhaps a *.tmp beside it.
//
//	err := wholefile.ReplaceBytes(path, content)
package wholefile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace writes a file that only its owner can read, in the place of another if
// there is one. When it returns nil, content and name are durable. Otherwise the file
// is as it was, unless only its folder could not be synced: then it is the new one,
// which a power cut may take back.
func Replace(path string, write func(io.Writer) error) error {
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, filepath.Base(path)+".*.tmp") // of mode 0600; a rename must not leave the file system
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(file, 1<<16)
	err = write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return SyncDir(dir)
}

// CreateBytes makes a file that only its owner can read, whole and durable or not at all. It
// fails with fs.ErrExist if there is one already, which it leaves alone.
func CreateBytes(path string, content []byte) error {
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	// A link gives the file its name at one instant too, and takes none from another.
	linked := os.Link(file.Name(), path)
	if err := os.Remove(file.Name()); err != nil {
		return err
	}
	switch {
	case linked == nil:
		return SyncDir(dir)
	case errors.Is(linked, fs.ErrExist):
		return linked
	}
	return createByName(path, content)
}

// createByName is for file systems without links. An empty file takes the name first, and is
// what is left if this is cut off.
func createByName(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err = file.Close(); err == nil {
		err = ReplaceBytes(path, content)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// ReplaceBytes is Replace for content that is in memory.
func ReplaceBytes(path string, content []byte) error {
	return Replace(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// Read returns the content of a file that has at most limit bytes. A file that grew by a fault,
// or was named by mistake, is refused before it fills the memory.
func Read(path string, limit int) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%s: it has more than %d bytes", path, limit)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// SyncDir makes the names of the files in a directory durable. The sync of a file
// need not do that.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
