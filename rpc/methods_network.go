package rpc

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

func networkMethods() []method {
	return []method{
		{name: "getnetworkinfo", read: noParams(getNetworkInfo), about: "Returns the state of the connections to peers."},
		{name: "getpeerinfo", read: noParams(getPeerInfo), about: "Returns what is known of each peer."},
		{name: "getconnectioncount", read: noParams(getConnectionCount), about: "Returns the number of peers."},
		{name: "getnettotals", read: noParams(getNetTotals), about: "Returns the bytes that were received from peers and sent to them."},
		{name: "addnode", read: addNode, about: "Adds a peer to stay connected to, removes it again, or tries a connection once.", params: []param{
			{name: "node", kind: kindString, about: "[ID@]HOST:PORT"},
			{name: "command", kind: kindString, about: "add, remove or onetry"},
			{name: "v2transport", kind: kindBool, optional: "ignored", about: "Ignored: every connection is encrypted"}}},
		{name: "getaddednodeinfo", read: getAddedNodeInfo, about: "Returns the peers that addnode has added.", params: []param{
			{name: "node", kind: kindString, optional: "all nodes", about: "Only this peer"}}},
		{name: "disconnectnode", read: disconnectNode, about: "Ends the connection to a peer.", params: []param{
			{name: "address", kind: kindString, optional: "by nodeid", about: "HOST:PORT or node id"},
			{name: "nodeid", kind: kindNumber, optional: "by address", about: "The id that getpeerinfo shows"}}},
		{name: "getnodeaddresses", read: getNodeAddresses, about: "Returns addresses at which other nodes can be reached.", params: []param{
			{name: "count", kind: kindNumber, optional: "1", about: "How many at most; 0 for all"},
			{name: "network", kind: kindString, optional: "all", about: "Only addresses of this kind: ipv4 or ipv6"}}},
		{name: "ping", read: noParams(ping), about: "Pings all peers; getpeerinfo shows the result."},
	}
}

// coreVersion is the version of Bitcoin Core whose answers these are, and
// protocolVersion what that speaks: clients choose by them what they may ask.
const (
	coreVersion     = 310000
	protocolVersion = 70016
)

// subversion begins with Core's name, because some clients read Core's version out
// of it.
func (s *Server) subversion() string { return "/Satoshi:31.0.0" + s.UserAgent }

// services are Bitcoin's bits and names of what a node offers: all blocks or the
// last ones, with witnesses.
func services(full bool) (digits string, names []string) {
	const network, witness, networkLimited = 1, 8, 1024
	bits := uint64(witness | networkLimited)
	names = []string{"WITNESS", "NETWORK_LIMITED"}
	if full {
		bits |= network
		names = slices.Insert(names, 0, "NETWORK")
	}
	return fmt.Sprintf("%016x", bits), names
}

// getNetworkInfo is Core's getnetworkinfo. Peers speak karat's own protocol, so the
// versions and services are those that make clients of Core work. nodeid and
// listening are karat's: together they are the address that others can be given.
func getNetworkInfo(_ context.Context, s *Server) (any, error) {
	peers := s.Network.Peers()
	in := 0
	for i := range peers {
		if peers[i].Inbound {
			in++
		}
	}
	pruned, _, _ := s.Control.Pruned()
	digits, names := services(!pruned)
	info := s.Pool.Info()
	networks := []map[string]any{}
	for _, name := range []string{"ipv4", "ipv6"} {
		networks = append(networks, map[string]any{"name": name, "limited": false, "reachable": true, "proxy": "", "proxy_randomize_credentials": false})
	}
	return map[string]any{
		"version": coreVersion, "subversion": s.subversion(), "protocolversion": protocolVersion,
		"localservices": digits, "localservicesnames": names, "localrelay": true, "timeoffset": 0, "networkactive": true,
		"connections": len(peers), "connections_in": in, "connections_out": len(peers) - in, "networks": networks,
		"relayfee": feeRate(info.MinRelay), "incrementalfee": feeRate(info.IncrementalRelay), "localaddresses": []any{}, "warnings": []string{},
		"nodeid": s.Network.NodeID(), "listening": append([]string{}, s.Network.Listening()...),
	}, nil
}

// seconds writes a time as Core does: 0 is never.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// getPeerInfo is Core's getpeerinfo. Fields that have no meaning here are there and
// empty, because clients do not expect them to be missing; bitcoin-cli -netinfo ends
// at the first that is. nodeid is karat's.
func getPeerInfo(_ context.Context, s *Server) (any, error) {
	list := []map[string]any{}
	peers := s.Network.Peers()
	for i := range peers {
		list = append(list, peerJSON(&peers[i]))
	}
	return list, nil
}

// peerJSON tells of a peer in Core's words for what is alike: a new block is asked for
// as a compact block of every peer (bip152_hb_to), and karat knows one best block of
// a peer, not which headers and bodies of it have come. A ping that has not been
// answered yet has no time.
func peerJSON(p *peerinfo.Info) map[string]any {
	digits, names := services(p.Full)
	connection := "outbound-full-relay"
	switch {
	case p.Inbound:
		connection = "inbound"
	case p.Manual:
		connection = "manual"
	}
	j := map[string]any{
		"id": p.Number, "addr": p.Address, "addrbind": p.LocalAddress, "network": networkOf(p.Address), "services": digits, "servicesnames": names,
		"relaytxes": p.RelayTxs, "lastsend": seconds(p.LastSend), "lastrecv": seconds(p.LastRecv), "last_transaction": seconds(p.LastTx),
		"last_block": seconds(p.LastBlock), "bytessent": p.BytesSent, "bytesrecv": p.BytesRecv, "conntime": seconds(p.Since),
		"timeoffset": int64(p.TimeOffset.Seconds()), "version": p.Version, "subver": p.UserAgent, "inbound": p.Inbound,
		"bip152_hb_to": true, "bip152_hb_from": p.WantsCompact, "startingheight": p.StartingHeight,
		"synced_headers": p.Best.Height, "synced_blocks": p.Best.Height, "inflight": append([]uint32{}, p.InFlight...),
		"minfeefilter": feeRate(p.MinFeeRate), "connection_type": connection, "transport_protocol_type": "noise",
		"session_id": "", "permissions": []string{}, "nodeid": p.ID,
		"bytessent_per_msg": map[string]int{}, "bytesrecv_per_msg": map[string]int{},
	}
	if p.Ping > 0 {
		j["pingtime"], j["minping"] = double(p.Ping.Seconds()), double(p.MinPing.Seconds())
	}
	return j
}

// getConnectionCount is Core's getconnectioncount.
func getConnectionCount(_ context.Context, s *Server) (any, error) {
	return len(s.Network.Peers()), nil
}

// getNetTotals is Core's getnettotals. There is no limit to what is sent, which is
// what a target of 0 says.
func getNetTotals(_ context.Context, s *Server) (any, error) {
	received, sent := s.Network.Totals()
	return map[string]any{
		"totalbytesrecv": received, "totalbytessent": sent, "timemillis": s.Control.Now().UnixMilli(),
		"uploadtarget": map[string]any{
			"timeframe": 86400, "target": 0, "target_reached": false, "serve_historical_blocks": true,
			"bytes_left_in_cycle": 0, "time_left_in_cycle": 0,
		},
	}, nil
}

// addNode is Core's addnode. A node may be given with its id, which a connection to
// it must then prove. What is no address is refused at once, and not tried for ever.
func addNode(s *Server, a *args) work {
	node, command := a.text(0, ""), a.text(1, "")
	return func(context.Context) (any, error) {
		added := slices.Contains(s.Network.AddedNodes(), node)
		do := s.Network.TryNode
		switch {
		case command == "add" && added:
			return nil, failf(CodeNodeAdded, "Error: Node already added")
		case command == "add":
			do = s.Network.AddNode
		case command == "remove" && !added:
			return nil, failf(CodeNodeNotAdded, "Error: Node could not be removed. It has not been added previously.")
		case command == "remove":
			do = s.Network.RemoveNode
		case command != "onetry":
			return nil, failf(CodeInvalidParam, "command must be add, remove or onetry")
		}
		if err := do(node); err != nil {
			return nil, failf(CodeInvalidParam, "%v", err)
		}
		return nil, nil
	}
}

// getAddedNodeInfo is Core's getaddednodeinfo.
func getAddedNodeInfo(s *Server, a *args) work {
	only := a.text(0, "")
	return func(context.Context) (any, error) {
		list := []map[string]any{}
		for _, added := range s.Network.AddedNodes() {
			if only != "" && only != added {
				continue
			}
			addresses := []map[string]any{}
			for _, p := range s.Network.Peers() {
				if p.Address == added || p.ID.String()+"@"+p.Address == added {
					direction := "outbound"
					if p.Inbound {
						direction = "inbound"
					}
					addresses = append(addresses, map[string]any{"address": p.Address, "connected": direction})
				}
			}
			list = append(list, map[string]any{"addednode": added, "connected": len(addresses) > 0, "addresses": addresses})
		}
		if only != "" && len(list) == 0 {
			return nil, failf(CodeNodeNotAdded, "Error: Node has not been added.")
		}
		return list, nil
	}
}

// disconnectNode is Core's disconnectnode. The address may also be a node's id,
// which stays the same when a peer calls from another port.
func disconnectNode(s *Server, a *args) work {
	address, byNumber := a.text(0, ""), a.given(1)
	if byNumber == (address != "") {
		a.fail(failf(CodeInvalidParams, "Only one of address and nodeid should be provided."))
	}
	number := a.integer(1, 0)
	return func(context.Context) (any, error) {
		for _, p := range s.Network.Peers() {
			if byNumber && int64(p.Number) == number {
				address = p.Address
			}
		}
		if address == "" || s.Network.Disconnect(address) != nil {
			return nil, failf(CodeNodeNotFound, "Node not found in connected nodes")
		}
		return nil, nil
	}
}

// getNodeAddresses is Core's getnodeaddresses. nodeid is karat's: an address is of
// little use without it.
func getNodeAddresses(s *Server, a *args) work {
	count, only := a.integer(0, 1), a.text(1, "")
	switch {
	case count < 0 || count > math.MaxInt32:
		a.fail(failf(CodeInvalidParam, "Address count out of range"))
	case a.given(1) && only != "ipv4" && only != "ipv6":
		a.fail(failf(CodeInvalidParam, "Network not recognized: %.100s", only))
	case count == 0:
		count = math.MaxInt32
	}
	return func(context.Context) (any, error) {
		list := []map[string]any{}
		_, names := services(true)
		for _, known := range s.Network.KnownAddresses(math.MaxInt32) {
			host := known.At.Addr().String()
			network := networkOf(host)
			if only != "" && only != network {
				continue
			}
			if int64(len(list)) == count {
				break
			}
			list = append(list, map[string]any{
				"time": known.LastSeen.Unix(), "services": 9, "servicesnames": names, "address": host, "port": known.At.Port(),
				"network": network, "nodeid": known.ID,
			})
		}
		return list, nil
	}
}

// networkOf names the kind of an IP address, alone or with a port. Only an IPv6 address
// has more than one colon.
func networkOf(address string) string {
	if strings.Count(address, ":") > 1 {
		return "ipv6"
	}
	return "ipv4"
}

// ping is Core's ping. It does not wait for the answers.
func ping(_ context.Context, s *Server) (any, error) {
	s.Network.Ping()
	return nil, nil
}
