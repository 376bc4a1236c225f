//go:build linux || darwin || freebsd

package wholefile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if _, err := TryLock(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a lock on nothing: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, dir} {
		lock, err := TryLock(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
			t.Errorf("%s was locked twice: %v", path, err)
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := WaitLock(over, path); !errors.Is(err, ErrLocked) || !errors.Is(err, context.Canceled) {
			t.Errorf("who waited in vain for %s is told %v", path, err)
		}
		got := make(chan error)
		go func() {
			second, err := WaitLock(t.Context(), path)
			if err == nil {
				err = second.Unlock()
			}
			got <- err
		}()
		if err := lock.Unlock(); err != nil {
			t.Error(err)
		}
		if err := <-got; err != nil {
			t.Errorf("who waited for %s: %v", path, err)
		}
	}
}

// TestLockIs: a lock is of the file, whose name another one may have by now.
func TestLockIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	lock, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	if !lock.Is(path) {
		t.Error("the name is not that of what was locked")
	}
	if err := ReplaceBytes(path, []byte("another")); err != nil {
		t.Fatal(err)
	}
	if lock.Is(path) {
		t.Error("another file took the name, and nobody noticed")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if lock.Is(path) {
		t.Error("the file is gone, and nobody noticed")
	}
}
