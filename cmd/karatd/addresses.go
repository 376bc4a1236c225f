package main

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
)

// mostShown is how many addresses of one listener are shown.
const mostShown = 4

// callable returns the addresses by which a listener can be called. One that listens at all
// addresses is told as 0.0.0.0 or [::], which nobody can call: then they are this machine's,
// the loopback's last. interfaces are the machine's addresses.
func callable(listen string, interfaces []net.Addr) []string {
	at, err := netip.ParseAddrPort(listen)
	if err != nil || !at.Addr().IsUnspecified() {
		return []string{listen}
	}
	var list []netip.Addr
	for _, address := range interfaces {
		prefix, err := netip.ParsePrefix(address.String())
		if ip := prefix.Addr().Unmap(); err == nil && ip.IsGlobalUnicast() && !slices.Contains(list, ip) {
			list = append(list, ip)
		}
	}
	slices.SortStableFunc(list, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() }) // IPv4 first
	list = append(list[:min(len(list), mostShown-1)], netip.MustParseAddr(loopback))
	texts := make([]string, len(list))
	for i, ip := range list {
		texts[i] = netip.AddrPortFrom(ip, at.Port()).String()
	}
	return texts
}

// webURLs returns the URLs by which browsers reach the pages, as callable does; none if there are
// no pages.
func webURLs(pages string, interfaces []net.Addr) []string {
	at, err := url.Parse(pages)
	if err != nil || pages == "" {
		return nil
	}
	var urls []string
	for _, host := range callable(at.Host, interfaces) {
		at.Host = host
		urls = append(urls, at.String())
	}
	return urls
}

// hereAt returns the address by which a program on this machine calls a listener.
func hereAt(listen string) string {
	all := callable(listen, nil)
	return all[len(all)-1]
}

// ownAddresses returns the machine's addresses; none if the system does not tell them.
func ownAddresses() []net.Addr {
	list, _ := net.InterfaceAddrs()
	return list
}
