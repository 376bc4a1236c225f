package rpc

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/karatcoin/karat/chain/types"
)

// Login is all that somebody needs to use another's node, and that its operator hands out in
// one line:
//
//	karat://USER:PASSWORD@HOST:PORT/NETWORK/IDENTITY#sha256=FINGERPRINT
//
// IDENTITY is that of the network, so that a wallet is not used with a node of another one.
// The fingerprint is that of the node's certificate; without it, the certificate is one that
// the system trusts. karat+http:// is a node that speaks no TLS.
type Login struct {
	HostPort       string
	Plain          bool   // no TLS
	Fingerprint    string // empty: as the system thinks right
	User, Password string
	Network        string
	Identity       types.Hash
}

const (
	loginScheme      = "karat"
	plainLoginScheme = "karat+http"
	maxLogin         = 2048 // bytes
)

// loginNetwork is what a network may be called, as package network has it.
var loginNetwork = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

var errLogin = errors.New("want karat://USER:PASSWORD@HOST:PORT/NETWORK/IDENTITY#sha256=FINGERPRINT, as the node's operator has it")

// String returns the line, which holds the password.
func (l Login) String() string {
	u := url.URL{Scheme: loginScheme, User: url.UserPassword(l.User, l.Password), Host: l.HostPort, Path: "/" + l.Network + "/" + l.Identity.String()}
	if l.Plain {
		u.Scheme = plainLoginScheme
	}
	if l.Fingerprint != "" {
		u.Fragment = fingerprintKey + l.Fingerprint
	}
	return u.String()
}

// ParseLogin reads a line. The password may be missing, to be asked for. An error repeats
// nothing of the line, since a secret stands in it.
func ParseLogin(text string) (l Login, err error) {
	text = strings.TrimSpace(text)
	u, err := url.Parse(text)
	if err != nil || len(text) > maxLogin || u.Scheme != loginScheme && u.Scheme != plainLoginScheme || u.RawQuery != "" {
		return l, errLogin
	}
	name, identity, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if !loginNetwork.MatchString(name) {
		return l, fmt.Errorf("the network is missing: %w", errLogin)
	}
	if l.Identity, err = types.ParseHash(identity); err != nil {
		return l, fmt.Errorf("the network's identity is cut off or mistyped: %w", errLogin)
	}
	if _, port, err := net.SplitHostPort(u.Host); err != nil || u.Hostname() == "" || port == "" {
		return l, fmt.Errorf("host or port is missing: %w", errLogin)
	}
	l.HostPort, l.Network, l.Plain = u.Host, name, u.Scheme == plainLoginScheme
	l.User = u.User.Username()
	l.Password, _ = u.User.Password()
	if l.User == "" || strings.ContainsFunc(l.User+l.Password, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return l, fmt.Errorf("the user is missing: %w", errLogin)
	}
	if u.Fragment != "" {
		fingerprint, is := strings.CutPrefix(u.Fragment, fingerprintKey)
		if _, err := pinned(fingerprint); !is || err != nil || l.Plain {
			return l, fmt.Errorf("the fingerprint is cut off or mistyped: %w", errLogin)
		}
		l.Fingerprint = fingerprint
	}
	return l, nil
}

// URL returns where the node is and how it is known, as ParseAddress reads it, and nothing
// that is secret.
func (l Login) URL() string {
	switch {
	case l.Plain:
		return "http://" + l.HostPort
	case l.Fingerprint == "":
		return "https://" + l.HostPort
	}
	return WithFingerprint(l.HostPort, l.Fingerprint)
}
