package node

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/karatcoin/karat/rpc"
)

// newAuth returns the users of RPC. The cookie is one of them, and is written.
func (n *Node) newAuth(s *services) (*rpc.Auth, error) {
	auth := &rpc.Auth{}
	if len(s.rpcListeners) > 0 && !n.config.RPCNoCookie {
		path := CookieFile(n.config.DataDir)
		var err error
		if s.removeCookie, err = auth.AddCookie(path); err != nil {
			return nil, err
		}
		if mode := n.config.RPCCookieMode; mode != 0 {
			if err := os.Chmod(path, mode); err != nil {
				return nil, fmt.Errorf("--rpc-cookie-perms: %w", err)
			}
		}
	}
	locked, err := n.config.addUsers(auth)
	if err != nil {
		return nil, err
	}
	s.locked.Store(&locked)
	if len(locked) > 0 && len(s.rpcListeners) > 0 {
		n.ownLog.Warn("RPC users may call nothing, since they have no list: give them one with --rpc-allow NAME:@all, or see --rpc-allow-default", "users", strings.Join(locked, " "))
	}
	return auth, nil
}

// addUsers adds the users of a configuration, but for the cookie's, and returns the names of those who
// may call nothing.
func (c *Config) addUsers(auth *rpc.Auth) (locked []string, err error) {
	for _, line := range c.RPCAuth {
		if err := auth.AddHashed(line); err != nil {
			return nil, fmt.Errorf("--rpc-auth: %w", err)
		}
	}
	if c.RPCUser != "" {
		if err := auth.AddPassword(c.RPCUser, c.RPCPassword); err != nil {
			return nil, fmt.Errorf("--rpc-user: %w", err)
		}
	}
	for _, line := range c.RPCAllow {
		if err := auth.Allow(line); err != nil {
			return nil, fmt.Errorf("--rpc-allow %s: %w", line, err)
		}
	}
	return auth.Others(c.RPCOthers == OthersAll || c.RPCOthers == OthersByLists && len(c.RPCAllow) == 0), nil
}

// rpcTLS returns what clients are spoken to with; nil for plain HTTP, of which the log
// warns where others than this machine can listen.
func (n *Node) rpcTLS(s *services) (*tls.Config, error) {
	config := n.config.RPCTLS
	switch {
	case len(s.rpcListeners) == 0:
		return nil, nil
	case config == nil && n.config.RPCOwnTLS:
		names, addresses := rpc.Names(s.rpcAddresses(), n.config.RPCHosts)
		certificate, err := rpc.OwnCertificate(n.config.DataDir, names, addresses, n.clock.real())
		if err != nil {
			return nil, fmt.Errorf("--rpc-tls: %w", err)
		}
		config = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	case config == nil:
		for _, at := range s.rpcAddresses() {
			if port, err := netip.ParseAddrPort(at.String()); err == nil && !port.Addr().IsLoopback() {
				n.ownLog.Warn("RPC IS OPEN BEYOND THIS MACHINE WITHOUT TLS: whoever is on the way reads passwords and answers, and can change them; use --rpc-tls, or --rpc-listen at 127.0.0.1", "address", at)
			}
		}
		return nil, nil
	}
	leaf := config.Certificates[0].Leaf
	s.fingerprint, s.certificateEnd = rpc.Fingerprint(leaf), leaf.NotAfter
	if n.clock.real().After(leaf.NotAfter) {
		n.ownLog.Warn("the certificate for RPC has expired, and clients will refuse it", "since", leaf.NotAfter)
	}
	n.ownLog.Info("RPC speaks TLS", "fingerprint", s.fingerprint, "until", leaf.NotAfter.Format("2006-01-02"), "names", strings.Join(leaf.DNSNames, " "))
	return config, nil
}

// rpcHosts are the names in Host by which clients may call: this machine's, and those
// that were given.
func rpcHosts(given []string) []string {
	if host, err := os.Hostname(); err == nil {
		return append(slices.Clone(given), host)
	}
	return given
}

func (s *services) rpcAddresses() (list []net.Addr) {
	for _, l := range s.rpcListeners {
		list = append(list, l.Addr())
	}
	return list
}
