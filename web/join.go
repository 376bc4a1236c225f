package web

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/karatcoin/karat/chain/network"
)

// visitedHost returns the host, and HOST[:PORT], by which a visitor has found the pages, as they
// are in the address that the browser shows; empty if they could be anything.
func (s *Server) visitedHost(r *http.Request) (host, at string) {
	host = r.Host
	if name, port, err := net.SplitHostPort(host); err == nil {
		host = name
		if strings.Trim(port, "0123456789") != "" {
			return "", ""
		}
	}
	host = strings.Trim(host, "[]")
	ip, err := netip.ParseAddr(host)
	isName := strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
	switch {
	case host == "" || len(host) > 253 || err != nil && !isName || err == nil && ip.Zone() != "":
		return "", ""
	case isLoopback(host) && !s.guard.visitorOf(r).local:
		return "", "" // a proxy's way to the node is no way of its visitors
	}
	return host, r.Host
}

// isLoopback reports whether a host is the machine itself.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// joinURL returns the URL of the file by which a visitor's machine joins the network; empty if
// it is not known.
func (s *Server) joinURL(r *http.Request) string {
	_, at := s.visitedHost(r)
	if at == "" {
		return ""
	}
	scheme := "http://"
	if s.Forwarded || byProxy(r) { // beyond this machine a proxy speaks TLS
		scheme = "https://"
	}
	return scheme + at + s.Base
}

// joinFile is what others join the network by: its genesis.json with a checksum, and this node
// among its first peers.
func (s *Server) joinFile(r *http.Request) (*page, error) {
	host, _ := s.visitedHost(r)
	self := ""
	if host != "" {
		self = s.Status.Invitation(host)
	}
	return &page{version: "join " + self, kind: "application/json", make: func(context.Context) (any, error) {
		p := *s.Params
		if self != "" {
			p.Bootstrap.Nodes = network.AddPeers(p.Bootstrap.Nodes, []string{self})
		}
		return network.Pack(&p), nil
	}}, nil
}
