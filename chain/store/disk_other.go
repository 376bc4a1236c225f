//go:build !(linux || darwin || freebsd)

package store

import "math"

// freeSpace does not know; a full disk shows as a failed write.
func freeSpace(string) (uint64, error) { return math.MaxUint64, nil }

// syncPath leaves the entries of directories to the system, which offers no way
// to make them durable.
func syncPath(string) error { return nil }
