//go:build linux

// Command netns is the network between the namespaces of test/netns.sh: a device (TUN)
// in each, and long, narrow lines between them on which packets get lost. Kernels can do
// the same (netem), but many are built without it.
//
//	netns NAME… // makes the devices NAME, and passes packets on between 10.77.0.1 to 10.77.0.n
//
// It reads commands, one a line: "split N" cuts the first N devices off from the others,
// "join" ends that, "stat" prints how many packets went and were lost.
package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// What the lines are like. Each direction between two devices is a line of its own.
const (
	nearest   = 20 * time.Millisecond // one way
	perStep   = 15 * time.Millisecond // more for each step between the numbers of two devices
	jitter    = 5 * time.Millisecond
	lossShare = 0.01
	rate      = 1_250_000 // bytes a second
	queue     = 1000      // packets, after which more are lost
	maxPacket = 2048
)

// port is a device.
type port struct {
	file  *os.File
	lines []chan packet // to each device
}

// packet is a packet on its way.
type packet struct {
	due   time.Time
	bytes []byte
}

// relay passes packets on.
type relay struct {
	ports        []*port
	split        atomic.Int32 // so many first devices are cut off; 0: none
	passed, lost atomic.Int64
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "netns:", err)
		os.Exit(1)
	}
}

func run(names []string) error {
	r := &relay{}
	for _, name := range names {
		file, err := openDevice(name)
		if err != nil {
			return fmt.Errorf("device %s: %w", name, err)
		}
		r.ports = append(r.ports, &port{file: file, lines: make([]chan packet, len(names))})
	}
	for from, p := range r.ports {
		for to := range r.ports {
			p.lines[to] = make(chan packet, queue)
			go r.carry(p.lines[to], to)
		}
		go r.read(from)
	}
	fmt.Println("ready")
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		var n int32
		switch line := commands.Text(); {
		case line == "join":
			r.split.Store(0)
		case line == "stat":
			fmt.Printf("%d packets passed, %d were lost\n", r.passed.Load(), r.lost.Load())
		default:
			if _, err := fmt.Sscanf(line, "split %d", &n); err != nil {
				return fmt.Errorf("what is %q?", line)
			}
			r.split.Store(n)
		}
	}
	return commands.Err()
}

// openDevice makes a device that carries IP packets.
func openDevice(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// read takes what a device sends.
func (r *relay) read(from int) {
	free := time.Now()
	buf := make([]byte, maxPacket)
	for {
		n, err := r.ports[from].file.Read(buf)
		if err != nil {
			time.Sleep(10 * time.Millisecond) // the device is not up yet
			continue
		}
		// IPv4 only: the last byte of the receiver's address is its number.
		if n < 20 || buf[0]>>4 != 4 || buf[16] != 10 {
			continue
		}
		to := int(buf[19]) - 1
		if to < 0 || to >= len(r.ports) || r.cut(from, to) || rand.Float64() < lossShare {
			r.lost.Add(1)
			continue
		}
		if now := time.Now(); free.Before(now) {
			free = now
		}
		free = free.Add(time.Duration(n) * time.Second / rate)
		steps := max(from-to, to-from)
		due := free.Add(nearest + time.Duration(steps)*perStep + rand.N(jitter))
		select {
		case r.ports[from].lines[to] <- packet{due, append([]byte(nil), buf[:n]...)}:
		default:
			r.lost.Add(1)
		}
	}
}

// cut reports whether two devices are on different sides.
func (r *relay) cut(a, b int) bool {
	split := int(r.split.Load())
	return split > 0 && (a < split) != (b < split)
}

// carry delivers packets when they have come all the way.
func (r *relay) carry(line <-chan packet, to int) {
	for p := range line {
		time.Sleep(time.Until(p.due))
		if _, err := r.ports[to].file.Write(p.bytes); err == nil {
			r.passed.Add(1)
		}
	}
}
