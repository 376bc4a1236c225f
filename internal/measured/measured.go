// Package measured is for measurements of other programs: what a process uses, as Linux tells it,
// and where one can listen.
package measured

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Process is a process by its number.
type Process int

// Processor is the time that the process has used, to a hundredth of a second.
func (p Process) Processor() time.Duration {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	inUser, _ := strconv.Atoi(fields[11])
	inSystem, _ := strconv.Atoi(fields[12])
	return time.Duration(inUser+inSystem) * 10 * time.Millisecond
}

// Memory is a line of the process's status, in MiB: VmRSS, or VmHWM for the most it was.
func (p Process) Memory(line string) int {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p))
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == line+":" {
			kib, _ := strconv.Atoi(fields[1])
			return kib >> 10
		}
	}
	return 0
}

// FreePort is HOST:PORT of this machine where nobody listens.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
