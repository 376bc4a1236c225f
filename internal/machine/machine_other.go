//go:build !linux

package machine

import "github.com/karatcoin/karat/node/doctor"

// MemoryNow does not know.
func MemoryNow() doctor.Memory { return doctor.Memory{} }

// DiskOf does not know.
func DiskOf(string) (doctor.Disk, error) { return doctor.Disk{}, nil }

// FilesNow does not know.
func FilesNow() doctor.Files { return doctor.Files{} }

// Usable does not know.
func Usable(string) error { return nil }
