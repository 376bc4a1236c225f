//go:build unix

package main

import (
	"os"
	"syscall"
)

// isOwn tells whether a folder belongs to the user that runs this.
func isOwn(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil {
		return false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}
