package rpc_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/node"
)

// listening starts a node that peers can reach, and returns where.
func listening(t *testing.T) (s *server, address string) {
	t.Helper()
	s = start(t, func(c *node.Config) { c.Listen, c.MaxPeers = "127.0.0.1:0", 8 })
	return s, call[struct{ Listening []string }](s, "getnetworkinfo").Listening[0]
}

// eventually waits until a condition holds. It waits long: the machine may be slow.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

func peers(s *server) int { return call[int](s, "getconnectioncount") }

// The fields that Bitcoin Core's help does not call optional, with the types of their
// values.
const (
	corePeer = `id number, addr string, network string, services string, servicesnames list, relaytxes bool, last_inv_sequence number, inv_to_send number,
		lastsend number, lastrecv number, last_transaction number, last_block number, bytessent number, bytesrecv number, conntime number, timeoffset number,
		version number, subver string, inbound bool, bip152_hb_to bool, bip152_hb_from bool, presynced_headers number, synced_headers number, synced_blocks number,
		inflight list, addr_relay_enabled bool, addr_processed number, addr_rate_limited number, permissions list, minfeefilter number, bytessent_per_msg object,
		bytesrecv_per_msg object, connection_type string, transport_protocol_type string, session_id string`
	coreNetwork = `version number, subversion string, protocolversion number, localservices string, localservicesnames list, localrelay bool, timeoffset number,
		connections number, connections_in number, connections_out number, networkactive bool, networks list, relayfee number, incrementalfee number,
		localaddresses list, warnings list`
	coreReach  = `name string, limited bool, reachable bool, proxy string, proxy_randomize_credentials bool`
	coreTotals = `totalbytesrecv number, totalbytessent number, timemillis number, uploadtarget object`
	coreUpload = `timeframe number, target number, target_reached bool, serve_historical_blocks bool, bytes_left_in_cycle number, time_left_in_cycle number`
	coreMemory = `used number, free number, total number, locked number, chunks_used number, chunks_free number`
)

// has checks that an object has fields of the types that are wanted.
func has(t *testing.T, what string, object any, fields string) {
	t.Helper()
	o, _ := object.(map[string]any)
	for field := range strings.SplitSeq(fields, ",") {
		name, want, _ := strings.Cut(strings.TrimSpace(field), " ")
		got := map[string]string{"float64": "number", "string": "string", "bool": "bool", "[]interface {}": "list", "map[string]interface {}": "object"}[fmt.Sprintf("%T", o[name])]
		if got != want {
			t.Errorf("%s: %s is %v, want a %s", what, name, o[name], want)
		}
	}
}

// TestFieldsOfCore: every field that Bitcoin Core's clients count on is there, with a value
// of its type.
func TestFieldsOfCore(t *testing.T) {
	a, address := listening(t)
	b, _ := listening(t)
	call[any](b, "addnode", address, "onetry")
	eventually(t, "a connection", func() bool { return peers(a) == 1 && peers(b) == 1 })
	for _, s := range []*server{a, b} {
		has(t, "getpeerinfo", call[[]any](s, "getpeerinfo")[0], corePeer)
		info := call[map[string]any](s, "getnetworkinfo")
		has(t, "getnetworkinfo", info, coreNetwork)
		var names []string
		for _, network := range info["networks"].([]any) {
			has(t, "networks", network, coreReach)
			names = append(names, network.(map[string]any)["name"].(string))
		}
		if want := "ipv4 ipv6 onion i2p cjdns"; strings.Join(names, " ") != want {
			t.Errorf("%v, want %s", names, want)
		}
		totals := call[map[string]any](s, "getnettotals")
		has(t, "getnettotals", totals, coreTotals)
		has(t, "uploadtarget", totals["uploadtarget"], coreUpload)
		memory := call[map[string]any](s, "getmemoryinfo")
		has(t, "locked", memory["locked"], coreMemory)
		if peers := memory["peers"].(map[string]any); peers["limit"].(float64) < 1<<20 || peers["used"].(float64) < 0 {
			t.Errorf("%v", peers)
		}
	}
}

// peerTold is some of what getpeerinfo tells.
type peerTold struct {
	ID            int
	Addr          string
	AddrBind      string
	Inbound       bool
	Connection    string `json:"connection_type"`
	Session       string `json:"session_id"`
	NodeID        string
	SyncedHeaders int            `json:"synced_headers"`
	SyncedBlocks  int            `json:"synced_blocks"`
	Received      int            `json:"bytesrecv"`
	Per           map[string]int `json:"bytesrecv_per_msg"`
}

// TestPeersOfANode: two nodes tell the same of their connection, which can be ended by
// address, by number and by turning the network off.
func TestPeersOfANode(t *testing.T) {
	a, address := listening(t)
	b, _ := listening(t)
	call[[]string](a, "generatetoaddress", 5, a.anchor)
	id := call[struct{ NodeID string }](a, "getnetworkinfo").NodeID
	connect := func() (here, there peerTold) {
		call[any](b, "addnode", id+"@"+address, "onetry")
		eventually(t, "a connection", func() bool { return peers(a) == 1 && peers(b) == 1 })
		return call[[]peerTold](a, "getpeerinfo")[0], call[[]peerTold](b, "getpeerinfo")[0]
	}
	alone := func(how string) {
		eventually(t, how, func() bool { return peers(a)+peers(b) == 0 })
	}
	here, there := connect()
	if there.Addr != address || here.AddrBind != address || here.Session != there.Session || len(here.Session) != 64 || there.NodeID != id {
		t.Errorf("%+v\n%+v", here, there)
	}
	if here.Connection != "inbound" || !here.Inbound || there.Connection != "manual" || there.Inbound {
		t.Errorf("%+v\n%+v", here, there)
	}
	eventually(t, "the blocks", func() bool { return call[int](b, "getblockcount") == 5 })
	call[any](b, "ping")
	eventually(t, "a pong", func() bool { return call[[]peerTold](b, "getpeerinfo")[0].Per["pong"] > 0 })
	there = call[[]peerTold](b, "getpeerinfo")[0]
	sum := 0
	for bytes := range maps.Values(there.Per) {
		sum += bytes
	}
	if there.SyncedHeaders != 5 || there.SyncedBlocks != 5 || there.Per["block"] == 0 || sum >= there.Received {
		t.Errorf("%+v", there)
	}

	call[any](b, "disconnectnode", address)
	alone("hung up on by address")
	_, there = connect()
	call[any](b, "disconnectnode", "", there.ID)
	alone("hung up on by number")
	here, _ = connect()
	call[any](a, "disconnectnode", here.NodeID)
	alone("hung up on by id")
	for _, params := range [][]any{{address}, {"", 99}, {""}} {
		if got := refused(b, "disconnectnode", params...); got != "-29 Node not found in connected nodes" {
			t.Errorf("%v: %s", params, got)
		}
	}

	connect()
	if call[bool](a, "setnetworkactive", false) {
		t.Error("it is on")
	}
	alone("the network is off")
	if call[struct{ NetworkActive bool }](a, "getnetworkinfo").NetworkActive {
		t.Error("getnetworkinfo tells nothing of it")
	}
	call[bool](a, "setnetworkactive", true)
	connect()
}

// TestAddedNodes: what addnode adds is told, stays connected, and can be removed.
func TestAddedNodes(t *testing.T) {
	a, address := listening(t)
	b, _ := listening(t)
	call[any](b, "addnode", address, "add", true)
	call[any](b, "addnode", "127.0.0.1:1", "add")
	eventually(t, "a connection", func() bool { return peers(a) == 1 && peers(b) == 1 })
	got := call[json.RawMessage](b, "getaddednodeinfo", address)
	if want := fmt.Sprintf(`[{"addednode":%q,"connected":true,"addresses":[{"address":%q,"connected":"outbound"}]}]`, address, address); string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
	got = call[json.RawMessage](b, "getaddednodeinfo", "127.0.0.1:1")
	if want := `[{"addednode":"127.0.0.1:1","connected":false,"addresses":[]}]`; string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
	if all := call[[]struct{ AddedNode string }](b, "getaddednodeinfo"); len(all) != 2 {
		t.Errorf("%v", all)
	}
	for _, c := range []struct {
		method string
		params []any
		want   string
	}{
		{"addnode", []any{address, "add"}, "-23 Error: Node already added"},
		{"addnode", []any{"other:1", "remove"}, "-24 Error: Node could not be removed. It has not been added previously."},
		{"getaddednodeinfo", []any{"other:1"}, "-24 Error: Node has not been added."},
		{"addnode", []any{address, "twice"}, `-1 addnode "node" "command" ( v2transport )`},
	} {
		if got := refused(b, c.method, c.params...); got != c.want {
			t.Errorf("%s %v: %s, want %s", c.method, c.params, got, c.want)
		}
	}
	call[any](b, "addnode", address, "remove")
	if all := call[[]struct{ AddedNode string }](b, "getaddednodeinfo"); len(all) != 1 {
		t.Errorf("%v", all)
	}
}

// TestBlockFromPeer: a block beside the best chain, of which only the header is here, comes
// from the peer that is asked for it.
func TestBlockFromPeer(t *testing.T) {
	a, address := listening(t)
	b, _ := listening(t)
	elsewhere := call[struct{ Address string }](a, "decodescript", "52021234").Address // or the blocks might be the same
	branch := call[[]string](a, "generatetoaddress", 3, elsewhere)
	call[[]string](b, "generatetoaddress", 5, b.anchor)
	for _, hash := range branch { // by hand: the other follows this node's chain, and may have left its own before it is asked
		call[any](b, "submitheader", call[string](a, "getblockheader", hash, false))
	}
	if want := branch[2] + " headers-only"; !slices.Contains(chainTips(b), want) {
		t.Fatalf("%v, want %s", chainTips(b), want)
	}
	call[any](b, "addnode", address, "onetry")
	eventually(t, "a connection", func() bool { return peers(a) == 1 && peers(b) == 1 })
	id := call[[]peerTold](b, "getpeerinfo")[0].ID
	for _, hash := range branch {
		if got := call[json.RawMessage](b, "getblockfrompeer", hash, id); string(got) != "{}" {
			t.Errorf("%s", got)
		}
	}
	eventually(t, "the blocks", func() bool { return slices.Contains(chainTips(b), branch[2]+" valid-headers") })
	if got := refused(b, "getblockfrompeer", branch[0], id); got != "-1 Block already downloaded" {
		t.Error(got)
	}
}

// chainTips returns hash and status of the ends of all branches.
func chainTips(s *server) (list []string) {
	for _, tip := range call[[]struct{ Hash, Status string }](s, "getchaintips") {
		list = append(list, tip.Hash+" "+tip.Status)
	}
	return list
}

// TestBansOfANode: who is banned is hung up on and cannot come back, until the ban is
// lifted.
func TestBansOfANode(t *testing.T) {
	a, address := listening(t)
	b, _ := listening(t)
	connect := func() {
		call[any](b, "addnode", address, "onetry")
		eventually(t, "a connection", func() bool { return peers(a) == 1 && peers(b) == 1 })
	}
	id := call[struct{ NodeID string }](b, "getnetworkinfo").NodeID
	for _, who := range []string{"127.0.0.1", "127.0.0.0/8", id} {
		connect()
		call[any](a, "setban", who, "add", 1000)
		eventually(t, "hung up on", func() bool { return peers(a)+peers(b) == 0 })
		list := call[[]struct {
			Duration int `json:"ban_duration"`
			Left     int `json:"time_remaining"`
		}](a, "listbanned")
		if len(list) != 1 || list[0].Duration < 999 || list[0].Duration > 1000 || list[0].Left > 1000 {
			t.Errorf("%+v", list)
		}
		call[any](a, "addnode", call[struct{ Listening []string }](b, "getnetworkinfo").Listening[0], "onetry")
		if got := refused(a, "setban", who, "add"); got != "-23 Error: IP/Subnet already banned" {
			t.Errorf("%s: %s", who, got)
		}
		if peers(a) != 0 {
			t.Errorf("%s is a peer", who)
		}
		call[any](a, "setban", who, "remove")
		if got := refused(a, "setban", who, "remove"); !strings.HasPrefix(got, "-30 Error: Unban failed.") {
			t.Errorf("%s: %s", who, got)
		}
	}
	call[any](a, "setban", "10.0.0.0/8", "add")
	call[any](a, "clearbanned")
	connect()
}

// TestBookOfANode: an address that was added is told by all methods, and bitcoin-cli
// -addrinfo, which asks for all addresses or in later versions for their counts, sums the
// same.
func TestBookOfANode(t *testing.T) {
	s, _ := listening(t)
	id := strings.Repeat("ab", 32)
	type added struct {
		Success bool
		Error   string
	}
	for address, tried := range map[string]bool{"1.2.3.4": false, id + "@5.6.7.8": true, "2a00::1": false} {
		if got := call[added](s, "addpeeraddress", address, 9555, tried); !got.Success || got.Error != "" {
			t.Errorf("%s: %+v", address, got)
		}
	}
	if got := call[added](s, "addpeeraddress", "1.2.3.4", 9555, true); got.Success || got.Error != "failed-adding-to-tried" {
		t.Errorf("tried without an id: %+v", got)
	}
	if got := refused(s, "addpeeraddress", "nowhere", 9555); got != "-30 Invalid IP address" {
		t.Error(got)
	}
	known := call[[]struct {
		Address, Network, NodeID string
		Port, Time               int
	}](s, "getnodeaddresses", 0)
	byNetwork := map[string]int{}
	for _, a := range known {
		byNetwork[a.Network]++
		if a.Port != 9555 || (a.NodeID == id) != (a.Address == "5.6.7.8") {
			t.Errorf("%+v", a)
		}
	}
	type count struct{ New, Tried, Total int }
	counts := call[map[string]count](s, "getaddrmaninfo")
	if len(counts) != 6 || counts["ipv4"] != (count{1, 1, 2}) || counts["ipv6"] != (count{1, 0, 1}) || counts["all_networks"] != (count{2, 1, 3}) {
		t.Errorf("%v", counts)
	}
	if len(known) != 3 || byNetwork["ipv4"] != counts["ipv4"].Total || byNetwork["ipv6"] != counts["ipv6"].Total {
		t.Errorf("%v, counted %v", byNetwork, counts)
	}
	type place struct {
		Address, Source string
		Network         string `json:"source_network"`
	}
	raw := call[map[string]map[string]place](s, "getrawaddrman")
	if len(raw["new"]) != 2 || len(raw["tried"]) != 1 {
		t.Errorf("%v", raw)
	}
	for at, p := range raw["tried"] {
		if p.Address != "5.6.7.8" || p.Source != p.Address || p.Network != "ipv4" || strings.Count(at, "/") != 1 {
			t.Errorf("%s: %+v", at, p)
		}
	}
}
