package wallet

import (
	"os"
	"path/filepath"
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
		err = replaceEmpty(path, content)
	}
	if err != nil {
		os.Remove(path)
		return err
	}
	return syncDir(dir)
}

// replaceEmpty puts a durable file in the place of an empty one.
func replaceEmpty(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails if all went well
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	return err
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
