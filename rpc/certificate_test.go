package rpc

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

var thisMachine = []netip.Addr{netip.MustParseAddr("127.0.0.1")}

// own returns the certificate of a folder for a name more than localhost.
func own(t *testing.T, dir, name string, now time.Time) tls.Certificate {
	t.Helper()
	c, err := OwnCertificate(dir, []string{"localhost", name}, thisMachine, now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestOwnCertificate: it is made once, renewed when it must be, with the same key, and
// what others have put there stays.
func TestOwnCertificate(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	first := own(t, dir, "a", now)
	for file, mode := range map[string]os.FileMode{KeyFile: 0o600, CertificateFile: 0o644} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	if first.Leaf.VerifyHostname("a") != nil || first.Leaf.VerifyHostname("127.0.0.1") != nil || first.Leaf.VerifyHostname("b") == nil {
		t.Errorf("names %v, addresses %v", first.Leaf.DNSNames, first.Leaf.IPAddresses)
	}
	if again := own(t, dir, "a", now); !again.Leaf.Equal(first.Leaf) {
		t.Error("it was made again for nothing")
	}
	if again := own(t, dir, "localhost", now); !again.Leaf.Equal(first.Leaf) {
		t.Error("it was made again for a name less")
	}
	renewed := own(t, dir, "b", now)
	if renewed.Leaf.VerifyHostname("b") != nil || Fingerprint(renewed.Leaf) != Fingerprint(first.Leaf) {
		t.Errorf("another name: %v, %s, before %s", renewed.Leaf.DNSNames, Fingerprint(renewed.Leaf), Fingerprint(first.Leaf))
	}
	later := own(t, dir, "b", renewed.Leaf.NotAfter.Add(-time.Hour))
	if later.Leaf.Equal(renewed.Leaf) || Fingerprint(later.Leaf) != Fingerprint(first.Leaf) {
		t.Error("it was not renewed an hour before its end")
	}
	if err := os.WriteFile(filepath.Join(dir, CertificateFile), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OwnCertificate(dir, nil, nil, now); err == nil || !strings.Contains(err.Error(), CertificateFile) {
		t.Errorf("a file that is broken: %v", err)
	}
}

// secret runs a server that speaks TLS, and returns its address and certificate file.
func secret(t *testing.T, s *Server) (address, file string, c tls.Certificate) {
	t.Helper()
	dir := t.TempDir()
	c = own(t, dir, "node", time.Now())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12}
	return listening(t, s), filepath.Join(dir, CertificateFile), c
}

// TestTLS: a client knows the node by its certificate, also by an older one of the same
// key, or by its fingerprint, and calls no other.
func TestTLS(t *testing.T) {
	old := t.TempDir()
	own(t, old, "node", time.Now())
	address, file, c := secret(t, newFake().server(t))
	wrong := WithFingerprint(address, strings.Repeat("00", 32))
	for _, try := range []struct {
		at, cert string
		want     string
	}{
		{"https://" + address, file, ""},
		{address, file, ""},
		{WithFingerprint(address, Fingerprint(c.Leaf)), "", ""},
		{strings.TrimPrefix(WithFingerprint(address, Fingerprint(c.Leaf)), "https://"), "", ""},
		{wrong, "", "has the fingerprint " + Fingerprint(c.Leaf)},
		{"https://" + address, filepath.Join(old, CertificateFile), "certificate"}, // of another key
		{"https://" + address, "", "certificate"},
		{"http://" + address, "", "this port speaks TLS: use https://"},
		{address, "", "this port speaks TLS: use https://"},
	} {
		at, err := ParseAddress(try.at, try.cert)
		if err != nil {
			t.Fatal(err)
		}
		var height int
		err = NewClient(at.URL, name, password).At(at).Call(t.Context(), "getblockcount", &height)
		if (err == nil) != (try.want == "") || err != nil && !strings.Contains(err.Error(), try.want) {
			t.Errorf("%s, %q: %v", try.at, try.cert, err)
		}
	}
	for _, bad := range []string{"http://" + address + "#sha256=" + Fingerprint(c.Leaf), address + "#sha256=12", address + "#x", "ftp://x", "https://"} {
		if _, err := ParseAddress(bad, ""); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// TestRenewedCertificate: a client that has an older certificate of the same key need not
// be told of the new one.
func TestRenewedCertificate(t *testing.T) {
	dir := t.TempDir()
	own(t, dir, "before", time.Now())
	text, err := os.ReadFile(filepath.Join(dir, CertificateFile))
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), "kept.cert")
	if err := os.WriteFile(kept, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newFake().server(t)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{own(t, dir, "after", time.Now())}}
	at, err := ParseAddress(listening(t, s), kept)
	if err != nil {
		t.Fatal(err)
	}
	if err := NewClient(at.URL, name, password).At(at).Call(t.Context(), "getblockcount", nil); err != nil {
		t.Error(err)
	}
}

// TestWebSocketOverTLS: with the certificate, as btcd's clients do, and with a call that
// waits while the connection is watched.
func TestWebSocketOverTLS(t *testing.T) {
	address, file, _ := secret(t, newFake().server(t))
	config, err := trusted(file)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	(&http.Request{Header: header}).SetBasicAuth(name, password)
	d := websocket.Dialer{TLSClientConfig: config}
	c, _, err := d.Dial("wss://"+address+"/ws", header)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := exchange(t, c, count); got != strings.TrimSpace(counted) {
		t.Error(got)
	}
}

// TestKeepAliveOverTLS: a connection that was watched during a call has another one.
func TestKeepAliveOverTLS(t *testing.T) {
	f := newFake()
	f.gate(3 * watchAfter)
	address, file, _ := secret(t, f.server(t))
	config, _ := trusted(file)
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for range 3 {
		_, _ = io.WriteString(conn, encoded(`{"method":"gettxoutsetinfo","params":["none"],"id":1}`))
		answer, err := http.ReadResponse(answers, nil)
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("%v, %v", answer, err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
	}
}

// TestHalfHandshakes: handshakes that stop half way keep nobody out.
func TestHalfHandshakes(t *testing.T) {
	address, file, _ := secret(t, newFake().server(t))
	for range 600 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
	}
	at, _ := ParseAddress(address, file)
	began := time.Now()
	if err := NewClient(at.URL, name, password).At(at).Call(t.Context(), "getblockcount", nil); err != nil || time.Since(began) > readTimeout-5*time.Second { // after which they go by themselves
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}
