package rpc

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

func addressMethods() []method {
	return []method{
		{name: "getnodeaddresses", read: getNodeAddresses, about: "Returns addresses at which other nodes may be reached, at random among those that are known. (nodeid, the node's public key, is karat's; it is zero where the node was never met.)", params: []param{
			{name: "count", kind: kindNumber, optional: "1", about: "How many at most; 0 for all"},
			{name: "network", kind: kindString, optional: "all networks", about: "Only addresses of this network: " + strings.Join(peerinfo.Networks(), ", ")}}},
		{name: "getaddrmaninfo", read: noParams(getAddrManInfo), about: "Returns how many addresses of each network are known: new ones, of which others told, and tried ones, at which a node has answered. Those on this machine and in private networks count in all_networks alone."},
		{name: "getrawaddrman", forTests: true, read: noParams(getRawAddrMan), about: "Returns what is at every place of the two tables of addresses, by BUCKET/POSITION: where a node may be reached, and who told of it (source; empty if it was a name)."},
		{name: "addpeeraddress", forTests: true, read: addPeerAddress, about: "Takes an address into the book of addresses, as if it had told itself, and says whether it found a place there. It is for tests.", params: []param{
			{name: "address", kind: kindString, about: "[ID@]ADDRESS of the node"},
			{name: "port", kind: kindNumber, about: "Its port"},
			{name: "tried", kind: kindBool, optional: "false", about: "As if the node had answered there; then it must have an id"}}},
	}
}

// nodeAddressJSON is where a node may be reached.
type nodeAddressJSON struct {
	Time     int64           `json:"time"`
	Services uint64          `json:"services"`
	Address  string          `json:"address"`
	Port     uint16          `json:"port"`
	Network  string          `json:"network"`
	NodeID   peerinfo.NodeID `json:"nodeid"`
}

// addressServices are the bits of what a node offers that is only known by its address:
// what it offers is not told with it, and nodes that have all blocks are the rule.
const addressServices = 9 // NETWORK and WITNESS

// getNodeAddresses is Core's getnodeaddresses. nodeid is karat's: who has it knows that it
// has reached the right node.
func getNodeAddresses(s *Server, a *args) work {
	count, only := a.int32(0, 1), strings.ToLower(a.text(1, ""))
	switch {
	case count < 0:
		a.fail(failf(CodeInvalidParam, "Address count out of range"))
	case a.given(1) && !slices.Contains(peerinfo.Networks(), only):
		a.fail(failf(CodeInvalidParam, "Network not recognized: %.100s", a.text(1, "")))
	case count == 0:
		count = math.MaxInt32
	}
	return func(context.Context) (any, error) {
		list := []nodeAddressJSON{}
		for _, known := range s.Network.KnownAddresses(math.MaxInt32) {
			host := known.At.Addr().String()
			network := peerinfo.NetworkOf(host)
			if only != "" && only != network {
				continue
			}
			if int64(len(list)) == count {
				break
			}
			list = append(list, nodeAddressJSON{seconds(known.LastSeen), addressServices, host, known.At.Port(), network, known.ID})
		}
		return list, nil
	}
}

// countJSON counts the addresses of a network.
type countJSON struct {
	New   int `json:"new"`
	Tried int `json:"tried"`
	Total int `json:"total"`
}

// getAddrManInfo is Core's getaddrmaninfo, which bitcoin-cli -addrinfo asks for.
func getAddrManInfo(_ context.Context, s *Server) (any, error) {
	counts := s.Network.BookCounts()
	var info ordered
	for _, network := range peerinfo.Networks() { // also if there is none
		n := counts[network]
		info = append(info, entry{network, countJSON{n.New, n.Tried, n.New + n.Tried}})
	}
	var all countJSON
	for _, n := range counts {
		all.New, all.Tried, all.Total = all.New+n.New, all.Tried+n.Tried, all.Total+n.New+n.Tried
	}
	return append(info, entry{"all_networks", all}), nil
}

// placeJSON is what is at a place of one of the tables of addresses.
type placeJSON struct {
	Address       string          `json:"address"`
	Port          uint16          `json:"port"`
	Services      uint64          `json:"services"`
	Time          int64           `json:"time"`
	Network       string          `json:"network"`
	Source        string          `json:"source"`
	SourceNetwork string          `json:"source_network"`
	NodeID        peerinfo.NodeID `json:"nodeid"`
}

// getRawAddrMan is Core's getrawaddrman.
func getRawAddrMan(_ context.Context, s *Server) (any, error) {
	tables := map[string]map[string]placeJSON{"new": {}, "tried": {}}
	for _, p := range s.Network.BookPlaces() {
		name := "new"
		if p.Tried {
			name = "tried"
		}
		host, source := p.At.Addr().String(), ""
		if p.Source.IsValid() {
			source = p.Source.String()
		}
		tables[name][fmt.Sprintf("%d/%d", p.Bucket, p.Position)] = placeJSON{
			host, p.At.Port(), addressServices, seconds(p.LastSeen), peerinfo.NetworkOf(host), source, peerinfo.NetworkOf(source), p.ID,
		}
	}
	return tables, nil
}

// addedAddressJSON tells whether an address found a place.
type addedAddressJSON struct {
	Error   string `json:"error,omitempty"`
	Success bool   `json:"success"`
}

// addPeerAddress is Core's addpeeraddress.
func addPeerAddress(s *Server, a *args) work {
	text, port, tried := a.text(0, ""), a.integer(1, 0), a.flag(2, false)
	var known peerinfo.Address
	if id, host, ok := strings.Cut(text, "@"); ok {
		parsed, err := peerinfo.ParseNodeID(id)
		if err != nil {
			a.fail(failf(CodeInvalidSubnet, "%v", err))
		}
		known.ID, text = parsed, host
	}
	ip, err := netip.ParseAddr(text)
	switch {
	case port < 0 || port > math.MaxUint16:
		a.fail(failf(CodeMisc, "JSON integer out of range"))
	case err != nil || ip.Zone() != "":
		a.fail(failf(CodeInvalidSubnet, "Invalid IP address"))
	}
	known.At = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	return func(context.Context) (any, error) {
		if s.Network.AddAddress(known, tried) == nil {
			return addedAddressJSON{Success: true}, nil
		}
		if tried {
			return addedAddressJSON{Error: "failed-adding-to-tried"}, nil
		}
		return addedAddressJSON{Error: "failed-adding-to-new"}, nil
	}
}
