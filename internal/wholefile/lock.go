package wholefile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrLocked says that another holds the lock.
var ErrLocked = errors.New("another process has it locked")

// A Lock is held on a file or a folder until Unlock, or until the process ends in whatever way.
type Lock struct{ file *os.File }

// TryLock takes the lock of a file or folder that is there, and fails with ErrLocked if another
// has it. The lock is of the file and not of its name, keeps nobody from reading or writing, and
// counts between those who ask for it. Where the system or the file system has no such locks,
// the error is errors.ErrUnsupported.
func TryLock(path string) (*Lock, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := flock(file); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	return &Lock{file}, nil
}

// WaitLock is TryLock, and waits for who has the lock until the context ends.
func WaitLock(ctx context.Context, path string) (*Lock, error) {
	for {
		lock, err := TryLock(path)
		if !errors.Is(err, ErrLocked) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Is tells whether the name still is that of what is locked.
func (l *Lock) Is(path string) bool {
	locked, err := l.file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(locked, named)
}

// Unlock lets others have it.
func (l *Lock) Unlock() error { return l.file.Close() }
