package rpc

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

func addressMethods() []method {
	return []method{
		{name: "getnodeaddresses", read: getNodeAddresses, about: "Returns addresses at which other nodes may be reached, at random among those that are known. (nodeid, the node's public key, is karat's; it is zero where the node was never met.)", params: []param{
			{name: "count", kind: kindNumber, optional: "1", about: "How many at most; 0 for all"},
			{name: "network", kind: kindString, optional: "all networks", about: "Only addresses of this network: " + strings.Join(peerinfo.Networks(), ", ")}}},
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
	count, only := a.integer(0, 1), strings.ToLower(a.text(1, ""))
	switch {
	case count < 0 || count > math.MaxInt32:
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
