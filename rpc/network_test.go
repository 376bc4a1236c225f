package rpc

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// The peers of fakeNet.
var firstID, secondID = peerinfo.NodeID{1}, peerinfo.NodeID{2}

// fakeNet is a network of two peers.
type fakeNet struct {
	added, gone []string
	peers       []peerinfo.Info
	off         bool
	fetched     []types.Hash
	bans        []peerinfo.Ban
	told        []peerinfo.Address
	orphans     []peerinfo.Orphan
	advanced    time.Duration
}

func (n *fakeNet) Orphans() []peerinfo.Orphan { return n.orphans }
func (n *fakeNet) Advance(by time.Duration)   { n.advanced += by }

func (n *fakeNet) Peers() []peerinfo.Info          { return n.peers }
func (n *fakeNet) NodeID() peerinfo.NodeID         { return peerinfo.NodeID{9} }
func (n *fakeNet) Listening() []string             { return nil }
func (n *fakeNet) Totals() (received, sent uint64) { return 1, 2 }
func (n *fakeNet) AddedNodes() []string            { return n.added }
func (n *fakeNet) Ping()                           {}
func (n *fakeNet) SetActive(active bool)           { n.off = !active }
func (n *fakeNet) Active() bool                    { return !n.off }
func (n *fakeNet) Budgets() peerinfo.Budgets {
	return peerinfo.Budgets{Memory: 12, MaxMemory: 34, Processors: 0.25, MaxProcessors: 2, Handshakes: 3, MaxHandshakes: 64}
}

func (n *fakeNet) Reach() []peerinfo.Reach {
	return []peerinfo.Reach{{Network: "ipv4", Reachable: true, Proxy: "127.0.0.1:9050", Isolated: true}, {Network: "i2p"}}
}

func (n *fakeNet) External() []peerinfo.External {
	return []peerinfo.External{{At: netip.MustParseAddrPort("[2a00::1]:9"), Score: 4}}
}

func (n *fakeNet) UploadTarget() peerinfo.UploadTarget {
	return peerinfo.UploadTarget{Timeframe: 24 * time.Hour, Target: 1000, Reached: true, BytesLeft: 5, TimeLeft: time.Hour}
}

func (n *fakeNet) FetchBlock(peer int, block types.Hash) error {
	if peer != 3 {
		return errors.New("peer does not exist")
	}
	n.fetched = append(n.fetched, block)
	return nil
}

func (n *fakeNet) SetBan(who peerinfo.Selector, until time.Time) error {
	if slices.ContainsFunc(n.bans, func(b peerinfo.Ban) bool { return b.Who == who }) {
		return peerinfo.ErrBanned
	}
	n.bans = append(n.bans, peerinfo.Ban{Who: who, Since: time.Unix(4, 0), Until: until})
	return nil
}

func (n *fakeNet) LiftBan(who peerinfo.Selector) error {
	before := len(n.bans)
	n.bans = slices.DeleteFunc(n.bans, func(b peerinfo.Ban) bool { return b.Who == who })
	if len(n.bans) == before {
		return peerinfo.ErrNotBanned
	}
	return nil
}

func (n *fakeNet) ClearBans() error     { n.bans = nil; return nil }
func (n *fakeNet) Bans() []peerinfo.Ban { return n.bans }

func (n *fakeNet) AddNode(address string) error {
	if address == "bad:" {
		return errors.New("no address")
	}
	n.added = append(n.added, address)
	return nil
}

func (n *fakeNet) RemoveNode(address string) error {
	n.added = slices.DeleteFunc(n.added, func(a string) bool { return a == address })
	return nil
}

func (n *fakeNet) TryNode(address string) error { return n.AddNode(address) }

func (n *fakeNet) Disconnect(address string) error {
	if !slices.ContainsFunc(n.peers, func(p peerinfo.Info) bool { return p.Address == address || p.ID.String() == address }) {
		return errors.New("unknown")
	}
	n.gone = append(n.gone, address)
	return nil
}

func (n *fakeNet) KnownAddresses(limit int) []peerinfo.Address {
	known := []peerinfo.Address{
		{ID: firstID, At: netip.MustParseAddrPort("1.2.3.4:5"), LastSeen: time.Unix(6, 0)},
		{ID: secondID, At: netip.MustParseAddrPort("[::1]:7"), LastSeen: time.Unix(8, 0)}, {ID: secondID, At: netip.MustParseAddrPort("[2a00::1]:7")},
	}
	return known[:min(limit, len(known))]
}

func (n *fakeNet) BookCounts() map[string]peerinfo.BookCount {
	return map[string]peerinfo.BookCount{"ipv4": {New: 3, Tried: 1}, "ipv6": {New: 2}, "not_publicly_routable": {New: 5, Tried: 6}}
}

func (n *fakeNet) BookPlaces() []peerinfo.BookPlace {
	return []peerinfo.BookPlace{
		{Address: peerinfo.Address{ID: firstID, At: netip.MustParseAddrPort("1.2.3.4:5"), LastSeen: time.Unix(6, 0)}, Source: netip.MustParseAddr("2a00::1"), Tried: true, Bucket: 7, Position: 8},
		{Address: peerinfo.Address{At: netip.MustParseAddrPort("[::1]:9"), LastSeen: time.Unix(6, 0)}, Bucket: 10},
	}
}

func (n *fakeNet) AddAddress(a peerinfo.Address, tried bool) error {
	if tried && a.ID.IsZero() || a.At.Port() == 0 {
		return errors.New("no place")
	}
	n.told = append(n.told, a)
	return nil
}

func newNet() *fakeNet {
	return &fakeNet{peers: []peerinfo.Info{
		{Number: 3, Address: "1.2.3.4:5", Network: "ipv4", ID: firstID, Session: types.Hash{0xab}, Full: true, RelayTxs: true, Ping: time.Second / 4, MinPing: time.Second / 8,
			LastSend: time.Unix(9, 0), TimeOffset: 2 * time.Second, Best: types.Index{Height: 5, Hash: types.Hash{1}}, Common: 4, Presynced: -1,
			SentByType: map[string]uint64{"ping": 16}, RecvByType: map[string]uint64{}, Memory: 77, Processor: 1500 * time.Millisecond, Permissions: []string{"noban"}, GivesCompact: true},
		{Number: 5, Address: "5.6.7.8:9", SeenAs: netip.MustParseAddrPort("[2a00::9]:1"), Network: "ipv4", RelayTxs: true, BlocksOnly: true},
		{Number: 7, Address: "[::1]:7", Network: "not_publicly_routable", ID: secondID, Inbound: true, TimeOffset: time.Hour, PingWait: 1500*time.Millisecond + 123*time.Nanosecond, Common: -1, Presynced: 4000,
			SentByType: map[string]uint64{}, RecvByType: map[string]uint64{}},
	}}
}

// TestPeersAreAdded: addnode and getaddednodeinfo, with Bitcoin Core's codes.
func TestPeersAreAdded(t *testing.T) {
	s, n := newFake().server(t), newNet()
	s.Network, s.Params.Ports.P2P = n, 1234
	second := secondID.String() + "@[::1]:7"
	for _, c := range [][3]string{
		{"addnode", `["1.2.3.4:5","add"]`, "null"},
		{"addnode", `["1.2.3.4:5","add"]`, "-23"},
		{"addnode", `["` + second + `","onetry"]`, "null"},
		{"addnode", `["other:1","remove"]`, "-24"},
		{"addnode", `["bad:","add"]`, "-8"},
		{"addnode", `["x","nothing"]`, "-1"},
		{"addnode", `["9.9.9.9","add"]`, "null"},
		{"addnode", `["9.9.9.9:1234","add"]`, "-23"},
		{"getaddednodeinfo", `["9.9.9.9"]`, `[{"addednode":"9.9.9.9","connected":false,"addresses":[]}]`},
		{"getaddednodeinfo", `["9.9.9.9:1234"]`, "-24"},
		{"addnode", `["9.9.9.9","remove"]`, "null"},
		{"addnode", `["9.9.9.9:1234","add"]`, "null"},
		{"getaddednodeinfo", `["9.9.9.9:1234"]`, `[{"addednode":"9.9.9.9:1234","connected":false,"addresses":[]}]`},
		{"addnode", `["9.9.9.9","remove"]`, "null"},
		{"addnode", `[" ","add"]`, "-8"},
		{"addnode", `["","remove"]`, "-8"},
		{"addnode", `["x","add",3]`, "-3"},
		{"addnode", `["x"]`, "-1"},
		{"getaddednodeinfo", `["other:1"]`, "-24"},
		{"getaddednodeinfo", `["1.2.3.4:5"]`, `[{"addednode":"1.2.3.4:5","connected":true,"addresses":[{"address":"1.2.3.4:5","connected":"outbound"}]}]`},
		{"getaddednodeinfo", `["` + second + `"]`, `[{"addednode":"` + second + `","connected":true,"addresses":[{"address":"[::1]:7","connected":"inbound"}]}]`},
		{"addnode", `["1.2.3.4:5","remove"]`, "null"},
		{"getaddednodeinfo", `["1.2.3.4:5"]`, "-24"},
		{"getnodeaddresses", `[]`, `[{"time":6,"services":9,"address":"1.2.3.4","port":5,"network":"ipv4","nodeid":"` + firstID.String() + `"}]`},
		{"getnodeaddresses", `[-1]`, "-8"},
		{"getnodeaddresses", `{"network":"IPv6"}`, `[{"time":0,"services":9,"address":"2a00::1","port":7,"network":"ipv6","nodeid":"` + secondID.String() + `"}]`},
		{"getnodeaddresses", `[0,"onion"]`, `[]`},
		{"getnodeaddresses", `[0,"not_publicly_routable"]`, "-8"},
		{"setnetworkactive", `[false]`, "false"},
		{"setnetworkactive", `[true]`, "true"},
		{"setnetworkactive", `["off"]`, "-3"},
		{"setnetworkactive", `[]`, "-1"},
		{"getconnectioncount", `[]`, "3"},
		{"ping", `[]`, "null"},
	} {
		if got := result(t, s, c[0], c[1]); got != c[2] {
			t.Errorf("%s %s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
	if got := result(t, s, "getnodeaddresses", "[0]"); strings.Count(got, "port") != 3 {
		t.Errorf("all addresses: %s", got)
	}
}

// TestDisconnect: a peer is named by its address or its number.
func TestDisconnect(t *testing.T) {
	s, n := newFake().server(t), newNet()
	s.Network = n
	for params, want := range map[string]string{
		`["1.2.3.4:5"]`: "null", `["",7]`: "null", `{"nodeid":3}`: "null",
		`["9.9.9.9:9"]`: "-29", `["",4]`: "-29", `[]`: "-32602", `[""]`: "-29",
		`["` + secondID.String() + `"]`: "null", `["1.2.3.4:5",3]`: "-32602", `["","x"]`: "-3",
	} {
		n.gone = nil
		if got := result(t, s, "disconnectnode", params); got != want || (got == "null") != (len(n.gone) == 1) {
			t.Errorf("%s: %s, want %s; hung up on %v", params, got, want, n.gone)
		}
	}
}

// TestPeerFields: what is told of peers has Bitcoin Core's fields in its order, without
// those that may be left out and are not known. bitcoin-cli -netinfo ends at the first that
// is missing.
func TestPeerFields(t *testing.T) {
	s := newFake().server(t)
	s.Network = newNet()
	got := result(t, s, "getpeerinfo", "[]")
	const first = `[{"id":3,"addr":"1.2.3.4:5","network":"ipv4","services":"0000000000000409","servicesnames":["NETWORK","WITNESS","NETWORK_LIMITED"],"relaytxes":true,` +
		`"last_inv_sequence":0,"inv_to_send":0,"lastsend":9,"lastrecv":0,"last_transaction":0,"last_block":0,"bytessent":0,"bytesrecv":0,"conntime":0,"timeoffset":2,` +
		`"pingtime":0.25,"minping":0.125,"version":0,"subver":"","inbound":false,"bip152_hb_to":true,"bip152_hb_from":false,"startingheight":0,"presynced_headers":-1,` +
		`"synced_headers":5,"synced_blocks":4,"inflight":[],"addr_relay_enabled":false,"addr_processed":0,"addr_rate_limited":0,"permissions":["noban"],` +
		`"minfeefilter":0.00000000,"bytessent_per_msg":{"ping":16},"bytesrecv_per_msg":{},"connection_type":"outbound-full-relay","transport_protocol_type":"noise",` +
		`"session_id":"ab00000000000000000000000000000000000000000000000000000000000000","nodeid":"0100000000000000000000000000000000000000000000000000000000000000","memory":77,"processor":1.5},`
	if !strings.HasPrefix(got, first) {
		t.Errorf("%s\nwant\n%s", got, first)
	}
	for _, want := range []string{
		`{"id":7,"addr":"[::1]:7","network":"not_publicly_routable","services":"0000000000000408",`, `"timeoffset":3600,"pingwait":1.5,"version":0,`,
		`{"id":5,"addr":"5.6.7.8:9","addrlocal":"[2a00::9]:1","network":"ipv4","services":"0000000000000408","servicesnames":["WITNESS","NETWORK_LIMITED"],"relaytxes":false,`, `"connection_type":"block-relay-only",`,
		`"presynced_headers":4000,"synced_headers":-1,"synced_blocks":-1,`, `"permissions":[],`, `"connection_type":"inbound",`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
}

// TestNetworkFields: getnetworkinfo has Bitcoin Core's fields in its order, and so have
// getnettotals and getmemoryinfo.
func TestNetworkFields(t *testing.T) {
	f := newFake()
	s, n := f.server(t), newNet()
	s.Network, s.Pool, s.Control = n, &pool{info: pending.Info{Policy: pending.Policy{MinRelay: 100, IncrementalRelay: 100}}}, here{}
	s.UserAgent = "/test:1/"
	n.off = true
	const want = `{"version":310000,"subversion":"/Satoshi:31.0.0/test:1/","protocolversion":70016,"localservices":"0000000000000409",` +
		`"localservicesnames":["NETWORK","WITNESS","NETWORK_LIMITED"],"localrelay":true,"timeoffset":2,"networkactive":false,"connections":3,"connections_in":1,"connections_out":2,` +
		`"networks":[{"name":"ipv4","limited":false,"reachable":true,"proxy":"127.0.0.1:9050","proxy_randomize_credentials":true},` +
		`{"name":"i2p","limited":true,"reachable":false,"proxy":"","proxy_randomize_credentials":false}],"relayfee":0.00000100,"incrementalfee":0.00000100,` +
		`"localaddresses":[{"address":"2a00::1","port":9,"score":4}],"warnings":[],"nodeid":"0900000000000000000000000000000000000000000000000000000000000000","listening":[]}`
	if got := result(t, s, "getnetworkinfo", "[]"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	const totals = `{"totalbytesrecv":1,"totalbytessent":2,"timemillis":5000,"uploadtarget":{"timeframe":86400,"target":1000,"target_reached":true,` +
		`"serve_historical_blocks":false,"bytes_left_in_cycle":5,"time_left_in_cycle":3600}}`
	if got := result(t, s, "getnettotals", "[]"); got != totals {
		t.Errorf("%s\nwant\n%s", got, totals)
	}
	const memory = `{"locked":{"used":0,"free":0,"total":0,"locked":0,"chunks_used":0,"chunks_free":0},"peers":{"used":12,"limit":34},"processors":{"used":0.25,"limit":2},"handshakes":{"used":3,"limit":64},"heap":{"used":`
	for _, params := range []string{`[]`, `["stats"]`, `{"mode":"stats"}`} {
		if got := result(t, s, "getmemoryinfo", params); !strings.HasPrefix(got, memory) {
			t.Errorf("%s\nwant\n%s", got, memory)
		}
	}
	for params, want := range map[string]string{`["mallocinfo"]`: "mallocinfo mode not available", `["foobar"]`: "unknown mode foobar"} {
		if _, got := post(s, `{"method":"getmemoryinfo","params":`+params+`}`); code(t, got) != -8 || !strings.Contains(got, `"`+want+`"`) {
			t.Errorf("%s: %s", params, got)
		}
	}
}

// here is a node that has all blocks, at a time of its own.
type here struct{ Control }

func (here) Warnings() []string { return []string{} }

func (here) Pruned() (pruned bool, height uint32, target int64) { return false, 0, 0 }
func (here) Now() time.Time                                     { return time.Unix(5, 0) }

// TestAskedForABlock: getblockfrompeer asks a peer, and tells why not.
func TestAskedForABlock(t *testing.T) {
	s, n := newFake().server(t), newNet()
	s.Network = n
	for params, want := range map[string]string{
		`["` + types.Hash{1}.String() + `",3]`: `"result":{}`, `["` + types.Hash{1}.String() + `",4]`: `{"code":-1,"message":"Peer does not exist"}`,
		`["` + types.Hash{1}.String() + `",-9000000000]`: `"message":"Peer does not exist"`, `["` + types.Hash{1}.String() + `"]`: `"code":-1`,
		`["1",3]`: `"message":"blockhash must be of length 64 (not 1, for '1')"`, `["` + types.Hash{1}.String() + `","x"]`: `"code":-3`,
	} {
		if _, got := post(s, `{"method":"getblockfrompeer","params":`+params+`}`); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", params, got, want)
		}
	}
	if len(n.fetched) != 1 {
		t.Errorf("%v were asked for", n.fetched)
	}
}

// TestBans: setban, listbanned and clearbanned, with Bitcoin Core's codes and words.
func TestBans(t *testing.T) {
	s, n := newFake().server(t), newNet()
	s.Network, s.Control = n, here{} // it is 5 seconds after 1970
	id := firstID.String()
	for _, c := range [][3]string{
		{"setban", `["127.0.0.0/24","add"]`, `"result":null`},
		{"setban", `["127.0.0.1/24","add",60]`, `{"code":-23,"message":"Error: IP/Subnet already banned"}`},
		{"setban", `["127.0.0.1/42","add"]`, `{"code":-30,"message":"Error: Invalid IP/Subnet"}`},
		{"setban", `["nobody","remove"]`, `{"code":-30,"message":"Error: Invalid IP/Subnet"}`},
		{"setban", `["1.2.3.4","remove"]`, `{"code":-30,"message":"Error: Unban failed. Requested address/subnet was not previously manually banned."}`},
		{"setban", `["1.2.3.4","add",4,true]`, `{"code":-8,"message":"Error: Absolute timestamp is in the past"}`},
		{"setban", `["1.2.3.4","add",0,true]`, `{"code":-8,"message":"Error: Absolute timestamp is in the past"}`},
		{"setban", `["1.2.3.4","add",1000,true]`, `"result":null`},
		{"setban", `{"subnet":"2a00::1","command":"add","bantime":100}`, `"result":null`},
		{"setban", `["` + id + `","add",-7]`, `"result":null`},
		{"setban", `["1.2.3.4","ad"]`, `{"code":-1,"message":"setban \"subnet\" \"command\" ( bantime absolute )`},
		{"setban", `["1.2.3.4","add","soon"]`, `"code":-3`},
		{"listbanned", `[]`, `"result":[{"address":"127.0.0.0/24","ban_created":4,"banned_until":86405,"ban_duration":86401,"time_remaining":86400,"automatic":false},` +
			`{"address":"1.2.3.4/32","ban_created":4,"banned_until":1000,"ban_duration":996,"time_remaining":995,"automatic":false},` +
			`{"address":"2a00::1/128","ban_created":4,"banned_until":105,"ban_duration":101,"time_remaining":100,"automatic":false},` +
			`{"address":"` + id + `","ban_created":4,"banned_until":86405,"ban_duration":86401,"time_remaining":86400,"automatic":false}]`},
		{"setban", `["1.2.3.4/255.255.255.255","remove"]`, `"result":null`},
		{"clearbanned", `[]`, `"result":null`},
		{"listbanned", `[]`, `"result":[]`},
	} {
		if _, got := post(s, `{"method":"`+c[0]+`","params":`+c[1]+`}`); !strings.Contains(got, c[2]) {
			t.Errorf("%s %s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

// TestBook: what is told of the book of addresses has Bitcoin Core's shapes and errors.
func TestBook(t *testing.T) {
	s, n := newFake().server(t), newNet()
	s.Network = n
	const zero = "0000000000000000000000000000000000000000000000000000000000000000"
	for _, c := range [][3]string{
		{"getaddrmaninfo", `[]`, `{"ipv4":{"new":3,"tried":1,"total":4},"ipv6":{"new":2,"tried":0,"total":2},"onion":{"new":0,"tried":0,"total":0},` +
			`"i2p":{"new":0,"tried":0,"total":0},"cjdns":{"new":0,"tried":0,"total":0},"all_networks":{"new":10,"tried":7,"total":17}}`},
		{"getrawaddrman", `[]`, `{"new":{"10/0":{"address":"::1","port":9,"services":9,"time":6,"network":"not_publicly_routable","source":"","source_network":"not_publicly_routable",` +
			`"nodeid":"` + zero + `"}},"tried":{"7/8":{"address":"1.2.3.4","port":5,"services":9,"time":6,"network":"ipv4","source":"2a00::1","source_network":"ipv6","nodeid":"` + firstID.String() + `"}}}`},
		{"addpeeraddress", `["1.2.3.4",8333]`, `{"success":true}`},
		{"addpeeraddress", `["1.2.3.4",0]`, `{"error":"failed-adding-to-new","success":false}`},
		{"addpeeraddress", `["1.2.3.4",8333,true]`, `{"error":"failed-adding-to-tried","success":false}`},
		{"addpeeraddress", `["` + firstID.String() + `@2a00::1",8333,true]`, `{"success":true}`},
		{"addpeeraddress", `["",8333]`, "-30"},
		{"addpeeraddress", `["node.example",8333]`, "-30"},
		{"addpeeraddress", `["zz@1.2.3.4",8333]`, "-30"},
		{"addpeeraddress", `["1.2.3.4",-1]`, "-1"},
		{"addpeeraddress", `["1.2.3.4",65536]`, "-1"},
		{"addpeeraddress", `["1.2.3.4"]`, "-1"},
		{"addpeeraddress", `["1.2.3.4","x"]`, "-3"},
	} {
		if got := result(t, s, c[0], c[1]); got != c[2] {
			t.Errorf("%s %s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
	if want := (peerinfo.Address{ID: firstID, At: netip.MustParseAddrPort("[2a00::1]:8333")}); len(n.told) != 2 || n.told[1] != want {
		t.Errorf("%v", n.told)
	}
}

// TestPortOfTheNetwork: an address without a port gets the network's, and what is none
// stays as it is.
func TestPortOfTheNetwork(t *testing.T) {
	s := newFake().server(t)
	s.Params.Ports.P2P = 1234
	id := firstID.String()
	for node, want := range map[string]string{
		"1.2.3.4": "1.2.3.4:1234", "1.2.3.4:5": "1.2.3.4:5", "node.example": "node.example:1234", "2a00::1": "[2a00::1]:1234", "[2a00::1]": "[2a00::1]:1234",
		"[2a00::1]:5": "[2a00::1]:5", id + "@1.2.3.4": id + "@1.2.3.4:1234", id + "@1.2.3.4:5": id + "@1.2.3.4:5", "": "", ":5": ":5", "a:b:c": "a:b:c", id + "@": id + "@",
	} {
		if got := s.withPort(node); got != want {
			t.Errorf("%q: %q, want %q", node, got, want)
		}
	}
}
