package rpc

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// maxHead bounds the line and the headers of a request, in bytes. The number is Bitcoin
// Core's.
const maxHead = 8192

// badHead says why a request is refused before anything of it is done, and with which
// status. What follows on the connection cannot be told apart from it, so that the
// connection ends.
type badHead struct {
	status int
	reason string
}

// Error implements error.
func (b *badHead) Error() string { return b.reason }

func bad(reason string) error { return &badHead{http.StatusBadRequest, reason} }

// headEnd returns the length of the head that b begins with: it goes up to the first
// empty line. Lines may end with a line feed alone. It is 0 if the end is not there yet.
func headEnd(b []byte) int {
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return 0
		}
		i += n + 1
		switch {
		case bytes.HasPrefix(b[i:], []byte("\n")):
			return i + 1
		case bytes.HasPrefix(b[i:], []byte("\r\n")):
			return i + 2
		}
	}
}

// head is what is seen of a head before net/http reads it.
type head struct {
	length  bool // there is a Content-Length
	encoded bool // there is a Transfer-Encoding
}

// checkHead refuses what two programs could read in two ways, before net/http reads it:
// control characters, lines that go on in the next one, names with spaces.
func checkHead(b []byte) (h head, err error) {
	for i := 0; len(b) > 0; i++ {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if bytes.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return h, bad("a control character in the head of a request")
		}
		if i == 0 || len(line) == 0 {
			continue
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
			return h, bad("a header that is none, or goes on in the next line")
		}
		h.length = h.length || bytes.EqualFold(name, []byte("Content-Length"))
		h.encoded = h.encoded || bytes.EqualFold(name, []byte("Transfer-Encoding"))
	}
	return h, nil
}

// checkRequest is what net/http's own server checks of a request that http.ReadRequest
// has read, but for a missing Host: Bitcoin Core does without, and some of its clients do.
func checkRequest(r *http.Request, h head) error {
	switch {
	case r.ProtoMajor != 1:
		return bad("a version of HTTP that is not 1.x")
	case h.encoded && !r.ProtoAtLeast(1, 1):
		return bad("Transfer-Encoding in HTTP/1.0")
	case r.ContentLength > maxBody:
		return &badHead{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", maxBody)}
	case r.Header.Get("Expect") != "" && !expects(r):
		return &badHead{http.StatusExpectationFailed, "Expect is not 100-continue"}
	}
	return nil
}

// expects reports whether the client waits for a word before it sends the body.
func expects(r *http.Request) bool {
	return r.ProtoAtLeast(1, 1) && strings.EqualFold(r.Header.Get("Expect"), "100-continue")
}

// hosts are the names by which clients may call this node, in small letters. A page in
// a browser can give its own name the address of a node (DNS rebinding), and then reads
// the answers; but its requests bear that name in Host.
type hosts map[string]bool

func newHosts(names []string) hosts {
	h := hosts{"localhost": true}
	for _, name := range names {
		h[strings.ToLower(strings.TrimSuffix(name, "."))] = true
	}
	return h
}

// has reports whether the host of a request is absent, an address, or one of the names.
func (h hosts) has(host string) bool {
	if host == "" {
		return true
	}
	name := host
	if bare, port, err := net.SplitHostPort(host); err == nil && strings.Trim(port, "0123456789") == "" {
		name = bare
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if h[name] || strings.HasSuffix(name, ".localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	return err == nil
}

var errHeadTooLong = errors.New("the head of a request is too long")
