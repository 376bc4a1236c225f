package machine

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/karatcoin/karat/node/doctor"
)

// The files of the system.
const (
	memInfo   = "/proc/meminfo"
	selfStat  = "/proc/self/statm"
	selfFiles = "/proc/self/fd"
	groupMost = "/sys/fs/cgroup/memory.max" // of this program's group, as a container sees it
	groupUsed = "/sys/fs/cgroup/memory.current"
	groupStat = "/sys/fs/cgroup/memory.stat"
)

// MemoryNow returns the memory. A container's limit counts where it is less than the machine has.
func MemoryNow() (m doctor.Memory) {
	m.Total, m.Available = field(memInfo, "MemTotal:")<<10, field(memInfo, "MemAvailable:")<<10
	if pages := numbers(selfStat); len(pages) > 1 {
		m.Mine = pages[1] * uint64(os.Getpagesize())
	}
	most, used := numbers(groupMost), numbers(groupUsed)
	if len(most) == 1 && len(used) == 1 && most[0] < m.Total {
		// Pages of files count as used, and go when memory is needed.
		used[0] -= min(used[0], field(groupStat, "inactive_file"))
		m.Total = most[0]
		m.Available = min(m.Available, most[0]-min(most[0], used[0]))
	}
	return m
}

// DiskOf returns the file system of a path.
func DiskOf(path string) (doctor.Disk, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return doctor.Disk{}, err
	}
	size := uint64(s.Bsize)
	return doctor.Disk{
		Total: s.Blocks * size, Free: s.Bavail * size, Inodes: s.Files, FreeInodes: s.Ffree, ReadOnly: s.Flags&unix.ST_RDONLY != 0,
	}, nil
}

// FilesNow returns the open files.
func FilesNow() (f doctor.Files) {
	if d, err := os.Open(selfFiles); err == nil {
		names, _ := d.Readdirnames(-1)
		d.Close()
		f.Open = uint64(max(0, len(names)-1)) // without the one that read them
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		f.Limit = limit.Cur
	}
	return f
}

// field returns the number that follows a name in a file of lines; 0 if it is not there.
func field(path, name string) uint64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == name {
			n, _ := strconv.ParseUint(words[1], 10, 64)
			return n
		}
	}
	return 0
}

// numbers returns the numbers that a file begins with.
func numbers(path string) (list []uint64) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	for word := range strings.FieldsSeq(string(text)) {
		n, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			return list // such as max, which is no limit
		}
		list = append(list, n)
	}
	return list
}

// Usable says why this user cannot write to a file, or into a folder; nil if it can.
func Usable(path string) error {
	mode := uint32(unix.R_OK | unix.W_OK)
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		mode |= unix.X_OK
	}
	if err := unix.Access(path, mode); err != nil {
		return &os.PathError{Op: "use", Path: path, Err: err}
	}
	return nil
}
