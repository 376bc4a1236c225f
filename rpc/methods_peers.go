package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

func peerMethods() []method {
	return []method{
		{name: "getpeerinfo", read: noParams(getPeerInfo), about: "Returns what is known of each peer, the one that has been connected longest first. network is the one through which it is connected (ipv4, ipv6, onion, i2p, cjdns, not_publicly_routable). (nodeid, the peer's public key, and memory, the bytes that are held because of it, are karat's.)"},
		{name: "getconnectioncount", read: noParams(getConnectionCount), about: "Returns the number of peers."},
		{name: "addnode", read: addNode, about: "Stays connected to a node from now on, whatever it does, or no longer does so, or connects to it once. Who has its id knows that it is the right one: any other that answers at the address is hung up on.", params: []param{
			{name: "node", kind: kindString, about: "[ID@]HOST[:PORT]; without a port, the network's own"},
			{name: "command", kind: kindString, about: "add, remove or onetry"},
			{name: "v2transport", kind: kindBool, optional: "ignored", about: "Ignored: every connection is encrypted"}}},
		{name: "getaddednodeinfo", read: getAddedNodeInfo, about: "Returns the nodes that addnode has added (onetry is not among them), and whether each is connected.", params: []param{
			{name: "node", kind: kindString, optional: "all nodes", about: "Only this one, as addnode was given it"}}},
		{name: "disconnectnode", read: disconnectNode, about: "Hangs up on a peer, which is named by its address or its number: by one of the two. It may come back; setban keeps it out.", params: []param{
			{name: "address", kind: kindString, optional: "by nodeid", about: "HOST:PORT, or the node's own id; empty: by nodeid"},
			{name: "nodeid", kind: kindNumber, optional: "by address", about: "The id that getpeerinfo shows"}}},
		{name: "ping", read: noParams(ping), about: "Pings all peers. getpeerinfo shows how long each took (pingtime, minping), or has been taking (pingwait)."},
		{name: "getblockfrompeer", read: getBlockFromPeer, about: "Asks a peer for a block whose header is known, such as one that was pruned, and waits for no answer. The block comes without undo data. One that was pruned may be pruned again soon. Returns an empty object if the peer was asked.", params: []param{
			{name: "blockhash", kind: kindString, about: "The block"},
			{name: "peer_id", kind: kindNumber, about: "The id that getpeerinfo shows"}}},
	}
}

// seconds writes a time as Core does: 0 is never.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// peerJSON tells of a peer, in Core's order. What Core may leave out is left out if it is
// not known. Core has given StartingHeight up; older programs look for it.
type peerJSON struct {
	Number          int               `json:"id"`
	Address         string            `json:"addr"`
	LocalAddress    string            `json:"addrbind,omitempty"`
	SeenAs          string            `json:"addrlocal,omitempty"`
	Network         string            `json:"network"`
	Services        string            `json:"services"`
	ServicesNames   []string          `json:"servicesnames"`
	RelayTxs        bool              `json:"relaytxes"`
	LastAnnounced   uint64            `json:"last_inv_sequence"`
	ToAnnounce      int               `json:"inv_to_send"`
	LastSend        int64             `json:"lastsend"`
	LastRecv        int64             `json:"lastrecv"`
	LastTx          int64             `json:"last_transaction"`
	LastBlock       int64             `json:"last_block"`
	BytesSent       uint64            `json:"bytessent"`
	BytesRecv       uint64            `json:"bytesrecv"`
	Since           int64             `json:"conntime"`
	TimeOffset      int64             `json:"timeoffset"`
	Ping            json.Number       `json:"pingtime,omitempty"`
	MinPing         json.Number       `json:"minping,omitempty"`
	PingWait        json.Number       `json:"pingwait,omitempty"`
	Version         uint32            `json:"version"`
	UserAgent       string            `json:"subver"`
	Inbound         bool              `json:"inbound"`
	GivesCompact    bool              `json:"bip152_hb_to"`
	WantsCompact    bool              `json:"bip152_hb_from"`
	StartingHeight  uint32            `json:"startingheight"`
	Presynced       int               `json:"presynced_headers"`
	SyncedHeaders   int               `json:"synced_headers"`
	SyncedBlocks    int               `json:"synced_blocks"`
	InFlight        []uint32          `json:"inflight"`
	SharesAddresses bool              `json:"addr_relay_enabled"`
	AddressesTaken  uint64            `json:"addr_processed"`
	AddressesLeft   uint64            `json:"addr_rate_limited"`
	Permissions     []string          `json:"permissions"`
	MinFeeRate      json.Number       `json:"minfeefilter"`
	SentByType      map[string]uint64 `json:"bytessent_per_msg"`
	RecvByType      map[string]uint64 `json:"bytesrecv_per_msg"`
	Connection      string            `json:"connection_type"`
	Transport       string            `json:"transport_protocol_type"`
	Session         string            `json:"session_id"`
	NodeID          peerinfo.NodeID   `json:"nodeid"`
	Memory          int64             `json:"memory"`
	Processor       json.Number       `json:"processor"`
}

// transport is the name of karat's transport. It is none of Core's (v1, v2, detecting):
// clients show the word as it is, and one that took it for v2 would be wrong.
const transport = "noise"

// getPeerInfo is Core's getpeerinfo.
func getPeerInfo(_ context.Context, s *Server) (any, error) {
	peers := s.Network.Peers()
	list := make([]*peerJSON, len(peers))
	for i := range peers {
		list[i] = tellPeer(&peers[i])
	}
	return list, nil
}

// tellPeer tells of a peer in Core's words. The session id is the one that both ends of
// the connection can compare, as Core's for its transport v2.
func tellPeer(p *peerinfo.Info) *peerJSON {
	digits, names := services(p.Full)
	j := &peerJSON{
		Number: p.Number, Address: p.Address, LocalAddress: p.LocalAddress, Network: p.Network, Services: digits, ServicesNames: names,
		RelayTxs: p.RelayTxs && !p.BlocksOnly, LastAnnounced: p.LastAnnounced, ToAnnounce: p.ToAnnounce, LastSend: seconds(p.LastSend), LastRecv: seconds(p.LastRecv),
		LastTx: seconds(p.LastTx), LastBlock: seconds(p.LastBlock), BytesSent: p.BytesSent, BytesRecv: p.BytesRecv, Since: seconds(p.Since),
		TimeOffset: int64(p.TimeOffset.Seconds()), Ping: inSeconds(p.Ping), MinPing: inSeconds(p.MinPing), PingWait: inSeconds(p.PingWait),
		Version: p.Version, UserAgent: p.UserAgent, Inbound: p.Inbound, GivesCompact: p.GivesCompact, WantsCompact: p.WantsCompact,
		StartingHeight: p.StartingHeight, Presynced: p.Presynced, SyncedHeaders: int(p.Best.Height), SyncedBlocks: p.Common,
		InFlight: append([]uint32{}, p.InFlight...), SharesAddresses: p.SharesAddresses, AddressesTaken: p.AddressesTaken, AddressesLeft: p.AddressesLeft,
		Permissions: append([]string{}, p.Permissions...), MinFeeRate: feeRate(p.MinFeeRate), SentByType: p.SentByType, RecvByType: p.RecvByType,
		Connection: connectionType(p), Transport: transport, Session: hex.EncodeToString(p.Session[:]), NodeID: p.ID, Memory: p.Memory, Processor: double(p.Processor.Seconds()),
	}
	if at := p.SeenAs; at.IsValid() && !at.Addr().IsUnspecified() {
		j.SeenAs = at.String()
	}
	if p.Best.Hash.IsZero() {
		j.SyncedHeaders = -1
	}
	return j
}

// inSeconds returns a duration in seconds, or nothing if it is not known.
func inSeconds(d time.Duration) json.Number {
	if d <= 0 {
		return ""
	}
	return double(d.Round(time.Microsecond).Seconds()) // as exact as Core tells it
}

// connectionType is Core's word for why there is a connection.
func connectionType(p *peerinfo.Info) string {
	switch {
	case p.Inbound:
		return "inbound"
	case p.Manual:
		return "manual"
	case p.BlocksOnly:
		return "block-relay-only"
	}
	return "outbound-full-relay"
}

// getConnectionCount is Core's getconnectioncount.
func getConnectionCount(_ context.Context, s *Server) (any, error) {
	return len(s.Network.Peers()), nil
}

// addNode is Core's addnode. A node may be given with its id, which a connection to
// it must then prove. What is no address is refused at once, and not tried for ever.
func addNode(s *Server, a *args) work {
	given, command := a.text(0, ""), a.text(1, "")
	node := s.withPort(given)
	a.flag(2, true)
	if command != "add" && command != "remove" && command != "onetry" {
		a.fail(failf(CodeMisc, "%s", a.method.help()))
	}
	if strings.TrimSpace(given) == "" {
		a.fail(failf(CodeInvalidParam, "Error: Node address cannot be empty"))
	}
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
		}
		if err := do(node); err != nil {
			return nil, failf(CodeInvalidParam, "%v", err)
		}
		switch command {
		case "add":
			s.asGiven.Store(node, given)
		case "remove":
			s.asGiven.Delete(node)
		}
		return nil, nil
	}
}

// withPort adds the network's own port to an address that has none.
func (s *Server) withPort(node string) string {
	id, host, ok := strings.Cut(node, "@")
	if !ok {
		id, host = "", node
	}
	if _, _, err := net.SplitHostPort(host); err == nil && !strings.HasPrefix(host, ":") {
		return node
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(bare); err != nil && (bare == "" || strings.ContainsAny(bare, ":[]")) {
		return node // which is no address
	}
	host = net.JoinHostPort(bare, strconv.Itoa(int(s.Params.Ports.P2P)))
	if ok {
		return id + "@" + host
	}
	return host
}

// addedJSON is a node that was added, with its connection if there is one.
type addedJSON struct {
	Node      string               `json:"addednode"`
	Connected bool                 `json:"connected"`
	Addresses []addedConnectedJSON `json:"addresses"`
}

type addedConnectedJSON struct {
	Address   string `json:"address"`
	Connected string `json:"connected"`
}

// givenAs returns how a node was given to addnode, perhaps without the port that is the
// network's. Those of the command line have one.
func (s *Server) givenAs(node string) string {
	if given, ok := s.asGiven.Load(node); ok {
		return given.(string)
	}
	return node
}

// getAddedNodeInfo is Core's getaddednodeinfo.
func getAddedNodeInfo(s *Server, a *args) work {
	only, one := a.text(0, ""), a.given(0)
	return func(context.Context) (any, error) {
		nodes := slices.Sorted(slices.Values(s.Network.AddedNodes()))
		if one {
			nodes = slices.DeleteFunc(nodes, func(node string) bool { return s.givenAs(node) != only })
			if len(nodes) == 0 {
				return nil, failf(CodeNodeNotAdded, "Error: Node has not been added.")
			}
		}
		peers := s.Network.Peers()
		list := make([]*addedJSON, len(nodes))
		for i, node := range nodes {
			list[i] = tellAdded(node, peers)
			list[i].Node = s.givenAs(node)
		}
		return list, nil
	}
}

func tellAdded(node string, peers []peerinfo.Info) *addedJSON {
	j := &addedJSON{Node: node, Addresses: []addedConnectedJSON{}}
	for i := range peers {
		p := &peers[i]
		if p.Address != node && p.ID.String()+"@"+p.Address != node {
			continue
		}
		direction := "outbound"
		if p.Inbound {
			direction = "inbound"
		}
		j.Connected = true
		j.Addresses = append(j.Addresses, addedConnectedJSON{p.Address, direction})
	}
	return j
}

// disconnectNode is Core's disconnectnode. The address may also be a node's id,
// which stays the same when a peer calls from another port.
func disconnectNode(s *Server, a *args) work {
	address, number := a.text(0, ""), a.integer(1, 0)
	byNumber := a.given(1)
	if byNumber && address != "" || !byNumber && !a.given(0) {
		a.fail(failf(CodeInvalidParams, "Only one of address and nodeid should be provided."))
	}
	return func(context.Context) (any, error) {
		if byNumber {
			if p := s.peer(number); p != nil {
				address = p.ID.String()
			}
		}
		if s.Network.Disconnect(address) != nil {
			return nil, failf(CodeNodeNotFound, "Node not found in connected nodes")
		}
		return nil, nil
	}
}

// peer returns the peer with a number of getpeerinfo, or nil.
func (s *Server) peer(number int64) *peerinfo.Info {
	peers := s.Network.Peers()
	for i := range peers {
		if int64(peers[i].Number) == number {
			return &peers[i]
		}
	}
	return nil
}

// ping is Core's ping. It does not wait for the answers.
func ping(_ context.Context, s *Server) (any, error) {
	s.Network.Ping()
	return nil, nil
}

// getBlockFromPeer is Core's getblockfrompeer.
func getBlockFromPeer(s *Server, a *args) work {
	hash, number := a.hash(0, "blockhash"), a.integer(1, 0)
	return func(context.Context) (any, error) {
		if number < 0 || number > math.MaxInt32 {
			number = -1 // nobody's
		}
		if err := s.Network.FetchBlock(int(number), hash); err != nil {
			words := err.Error() // Core's, but for the capital that errors in Go do not have
			return nil, failf(CodeMisc, "%s", strings.ToUpper(words[:1])+words[1:])
		}
		return struct{}{}, nil
	}
}
