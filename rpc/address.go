package rpc

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// fingerprintKey is what stands before a fingerprint at the end of an address.
const fingerprintKey = "sha256="

// Address is where a node answers and how it is known: all that a client must be told,
// but for the user.
type Address struct {
	URL string      // http:// or https://
	TLS *tls.Config // nil: as the system thinks right
}

// ParseAddress reads HOST:PORT, http://HOST:PORT, or https://HOST:PORT, to which
// #sha256=FINGERPRINT may be added: then the node must have that key. certificate is a
// file with what the node must have else, or empty. Without a scheme, a fingerprint or a
// certificate mean TLS.
func ParseAddress(text, certificate string) (a Address, err error) {
	where, fragment, pin := strings.Cut(text, "#")
	if !strings.Contains(where, "://") {
		scheme := "http://"
		if pin || certificate != "" {
			scheme = "https://"
		}
		where = scheme + where
	}
	u, err := url.Parse(where)
	switch {
	case err != nil:
		return Address{}, err
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return Address{}, errors.New("want HOST:PORT, http://HOST:PORT or https://HOST:PORT")
	case u.Scheme == "http" && (pin || certificate != ""):
		return Address{}, errors.New("a certificate or a fingerprint needs https://")
	case pin && !strings.HasPrefix(fragment, fingerprintKey):
		return Address{}, errors.New("want #" + fingerprintKey + " and the fingerprint, as the node prints it")
	}
	a.URL = where
	switch {
	case pin:
		a.TLS, err = pinned(strings.TrimPrefix(fragment, fingerprintKey))
	case certificate != "":
		a.TLS, err = trusted(certificate)
	}
	return a, err
}

// WithFingerprint returns the address of a node that speaks TLS at HOST:PORT and has a
// fingerprint.
func WithFingerprint(hostPort, fingerprint string) string {
	return "https://" + hostPort + "#" + fingerprintKey + fingerprint
}

// transport returns what speaks with the node, or nil for what is usual.
func (a Address) transport() http.RoundTripper {
	if a.TLS == nil {
		return nil
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = a.TLS
	return t
}

// At lets a client that was made without one know how the node is known. It is called
// before the first call.
func (c *Client) At(a Address) *Client {
	c.url, c.http.Transport = a.URL, a.transport()
	return c
}
