//go:build linux || darwin || freebsd

package wholefile

import (
	"errors"
	"os"
	"syscall"
)

// flock takes the lock without waiting. The system lets go of it when the file is closed.
func flock(file *os.File) error {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EWOULDBLOCK:
			return ErrLocked
		case err == syscall.ENOLCK, err == syscall.EINVAL, errors.Is(err, errors.ErrUnsupported):
			return errors.ErrUnsupported // some file systems of other machines
		default:
			return err
		}
	}
}
