//go:build !linux && !darwin && !freebsd

package wholefile

import (
	"errors"
	"os"
)

func flock(*os.File) error { return errors.ErrUnsupported }
