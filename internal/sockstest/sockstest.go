// Package sockstest is a SOCKS5 proxy (RFC 1928) on the loopback. Only tests import it.
//
//	proxy := sockstest.Start(t, func(r sockstest.Request) (net.Conn, error) {
//		return net.Dial("tcp", realAddress[r.To])
//	})
package sockstest

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"testing"
)

// Request is what a client wants.
type Request struct {
	User string // NAME:PASSWORD; empty: it gave none
	To   string // HOST:PORT, a name as the client wrote it
}

// Start starts a proxy, which runs until the test ends, and returns its HOST:PORT.
// connect makes each connection; an error is told to the client as a refusal.
func Start(t testing.TB, connect func(Request) (net.Conn, error)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c, connect)
		}
	}()
	return l.Addr().String()
}

func serve(c net.Conn, connect func(Request) (net.Conn, error)) {
	defer c.Close()
	r, ok := greet(c)
	if !ok {
		return
	}
	const succeeded, refused = 0, 5
	answer := []byte{5, succeeded, 0, 1, 0, 0, 0, 0, 0, 0}
	other, err := connect(r)
	if err != nil {
		answer[1] = refused
		c.Write(answer)
		return
	}
	defer other.Close()
	c.Write(answer)
	go func() {
		defer c.Close()
		io.Copy(c, other)
	}()
	io.Copy(other, c)
}

// greet reads what a client wants. It asks for a user if the client has one to give,
// as Tor does.
func greet(c net.Conn) (r Request, ok bool) {
	ok = true
	read := func(n byte) []byte {
		b := make([]byte, n)
		_, err := io.ReadFull(c, b)
		ok = ok && err == nil
		return b
	}
	methods := read(read(2)[1])
	if bytes.IndexByte(methods, 2) >= 0 {
		c.Write([]byte{5, 2})
		r.User = string(read(read(2)[1]))
		r.User += ":" + string(read(read(1)[0]))
		c.Write([]byte{1, 0})
	} else {
		c.Write([]byte{5, 0})
	}
	host := ""
	switch read(4)[3] {
	case 1:
		host = net.IP(read(net.IPv4len)).String()
	case 3:
		host = string(read(read(1)[0]))
	case 4:
		host = net.IP(read(net.IPv6len)).String()
	}
	r.To = net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(read(2)))))
	return r, ok
}
