package freeport

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// bind holds an address by a socket that has it and does not listen. Go's listeners set
// SO_REUSEADDR, too, and so may have it at the same time; port 0 is never that one.
func bind(address string) (at string, release func(), err error) {
	where, err := netip.ParseAddrPort(address)
	if err != nil {
		return "", nil, err
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, err
	}
	release = func() { _ = unix.Close(socket) }
	if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		release()
		return "", nil, err
	}
	if err := unix.Bind(socket, &unix.SockaddrInet4{Addr: where.Addr().As4(), Port: int(where.Port())}); err != nil {
		release()
		return "", nil, err
	}
	got, err := unix.Getsockname(socket)
	if err != nil {
		release()
		return "", nil, err
	}
	port := got.(*unix.SockaddrInet4).Port
	return netip.AddrPortFrom(where.Addr(), uint16(port)).String(), release, nil
}
