package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

func networkMethods() []method {
	return []method{
		{name: "getnetworkinfo", read: noParams(getNetworkInfo), about: "Returns how the node is connected: what it offers, how many peers there are, which networks (ipv4, ipv6, onion, i2p, cjdns) can be reached and through which proxy, and where others can reach it. (nodeid and listening are karat's: together they are the address that others can be given.)"},
		{name: "getnettotals", read: noParams(getNetTotals), about: "Returns the bytes that came from peers and went to them, and what is left of the day's target for uploads."},
		{name: "setnetworkactive", read: setNetworkActive, about: "Turns the network off, or on again. While it is off there are no peers: none is called, and none is let in.", params: []param{
			{name: "state", kind: kindBool, about: "true to turn it on, false to turn it off"}}},
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

// networkInfoJSON is the answer of getnetworkinfo.
type networkInfoJSON struct {
	Version        int             `json:"version"`
	Subversion     string          `json:"subversion"`
	Protocol       int             `json:"protocolversion"`
	Services       string          `json:"localservices"`
	ServicesNames  []string        `json:"localservicesnames"`
	Relay          bool            `json:"localrelay"`
	TimeOffset     int64           `json:"timeoffset"`
	Active         bool            `json:"networkactive"`
	Connections    int             `json:"connections"`
	ConnectionsIn  int             `json:"connections_in"`
	ConnectionsOut int             `json:"connections_out"`
	Networks       []reachJSON     `json:"networks"`
	RelayFee       json.Number     `json:"relayfee"`
	IncrementalFee json.Number     `json:"incrementalfee"`
	Addresses      []localJSON     `json:"localaddresses"`
	Warnings       []string        `json:"warnings"`
	NodeID         peerinfo.NodeID `json:"nodeid"`
	Listening      []string        `json:"listening"`
}

// reachJSON tells how a network is reached.
type reachJSON struct {
	Name      string `json:"name"`
	Limited   bool   `json:"limited"`
	Reachable bool   `json:"reachable"`
	Proxy     string `json:"proxy"`
	Isolated  bool   `json:"proxy_randomize_credentials"`
}

// localJSON is an address at which others can reach this node.
type localJSON struct {
	Address string `json:"address"`
	Port    uint16 `json:"port"`
	Score   int    `json:"score"`
}

// getNetworkInfo is Core's getnetworkinfo. Peers speak karat's own protocol, so the
// versions and services are those that make clients of Core work.
func getNetworkInfo(_ context.Context, s *Server) (any, error) {
	peers := s.Network.Peers()
	var offsets []time.Duration // of those whom we called: others may say what they like
	for i := range peers {
		if !peers[i].Inbound {
			offsets = append(offsets, peers[i].TimeOffset)
		}
	}
	pruned, _, _ := s.Control.Pruned()
	digits, names := services(!pruned)
	pool := s.Pool.Info()
	info := &networkInfoJSON{
		Version: coreVersion, Subversion: s.subversion(), Protocol: protocolVersion, Services: digits, ServicesNames: names, Relay: true,
		TimeOffset: int64(middle(offsets).Seconds()), Active: s.Network.Active(),
		Connections: len(peers), ConnectionsIn: len(peers) - len(offsets), ConnectionsOut: len(offsets),
		Networks: []reachJSON{}, RelayFee: feeRate(pool.MinRelay), IncrementalFee: feeRate(pool.IncrementalRelay),
		Addresses: []localJSON{}, Warnings: s.Control.Warnings(), NodeID: s.Network.NodeID(), Listening: append([]string{}, s.Network.Listening()...),
	}
	for _, r := range s.Network.Reach() {
		info.Networks = append(info.Networks, reachJSON{r.Network, !r.Reachable, r.Reachable, r.Proxy, r.Isolated})
	}
	for _, at := range s.Network.External() {
		info.Addresses = append(info.Addresses, localJSON{at.At.Addr().Unmap().String(), at.At.Port(), at.Score})
	}
	return info, nil
}

// middle is the median, as Core computes that of the offsets of peers' clocks.
func middle(values []time.Duration) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// setNetworkActive is Core's setnetworkactive.
func setNetworkActive(s *Server, a *args) work {
	active := a.flag(0, true)
	return func(context.Context) (any, error) {
		s.Network.SetActive(active)
		return s.Network.Active(), nil
	}
}

// uploadJSON tells of the target for what is sent.
type uploadJSON struct {
	Timeframe int64  `json:"timeframe"`
	Target    uint64 `json:"target"`
	Reached   bool   `json:"target_reached"`
	History   bool   `json:"serve_historical_blocks"`
	BytesLeft uint64 `json:"bytes_left_in_cycle"`
	TimeLeft  int64  `json:"time_left_in_cycle"`
}

// getNetTotals is Core's getnettotals. A target of 0 is none.
func getNetTotals(_ context.Context, s *Server) (any, error) {
	received, sent := s.Network.Totals()
	u := s.Network.UploadTarget()
	return struct {
		Received uint64     `json:"totalbytesrecv"`
		Sent     uint64     `json:"totalbytessent"`
		Time     int64      `json:"timemillis"`
		Upload   uploadJSON `json:"uploadtarget"`
	}{received, sent, s.Control.Now().UnixMilli(), uploadJSON{
		int64(u.Timeframe.Seconds()), u.Target, u.Reached, u.ServesHistory, u.BytesLeft, int64(u.TimeLeft.Seconds()),
	}}, nil
}
