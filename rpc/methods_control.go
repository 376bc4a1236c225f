package rpc

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

func controlMethods() []method {
	const category = "Control"
	return []method{
		{name: "help", category: category, about: "Lists all methods, or explains one.", params: []param{{name: "command", kind: kindString, optional: "all commands", about: "The method to explain"}}, handle: help},
		{name: "stop", category: category, about: "Stops the node.", handle: stop},
		{name: "uptime", category: category, about: "Returns the seconds since the node was started.", handle: uptime},
		{name: "getrpcinfo", category: category, about: "Returns the calls that are under way.", handle: getRPCInfo},
	}
}

func help(_ context.Context, s *Server, a *args) (any, error) {
	name, err := a.text(0, "")
	if err != nil {
		return nil, err
	}
	if name != "" {
		if m := s.table[name]; m != nil {
			return m.help(), nil
		}
		return "help: unknown command: " + name, nil
	}
	byCategory := map[string][]string{}
	for _, m := range s.table {
		usage, _, _ := strings.Cut(m.help(), "\n")
		byCategory[m.category] = append(byCategory[m.category], usage)
	}
	var b strings.Builder
	for i, category := range slices.Sorted(maps.Keys(byCategory)) {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "== %s ==\n", category)
		slices.Sort(byCategory[category])
		for _, usage := range byCategory[category] {
			b.WriteString(usage + "\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func stop(_ context.Context, s *Server, _ *args) (any, error) {
	s.Control.Stop()
	return "karat stopping", nil
}

func uptime(_ context.Context, s *Server, _ *args) (any, error) {
	return int64(s.Control.Uptime().Seconds()), nil
}

func getRPCInfo(_ context.Context, s *Server, _ *args) (any, error) {
	calls := []map[string]any{}
	for _, call := range s.active.list() {
		calls = append(calls, map[string]any{"method": call.method, "duration": time.Since(call.since).Microseconds()})
	}
	return map[string]any{"active_commands": calls, "logpath": ""}, nil
}

func networkMethods() []method {
	const category = "Network"
	return []method{
		{name: "getnetworkinfo", category: category, about: "Returns the state of the connections to peers.", handle: getNetworkInfo},
		{name: "getpeerinfo", category: category, about: "Returns what is known of each peer.", handle: getPeerInfo},
		{name: "getconnectioncount", category: category, about: "Returns the number of peers.", handle: getConnectionCount},
		{name: "getnettotals", category: category, about: "Returns the bytes that went to and came from peers.", handle: getNetTotals},
		{name: "addnode", category: category, about: "Keeps a connection to a peer, ends that, or connects once.", params: []param{
			{name: "node", kind: kindString, about: "[ID@]HOST:PORT"}, {name: "command", kind: kindString, about: "add, remove or onetry"},
			{name: "v2transport", kind: kindBool, optional: "ignored", about: "Ignored: every connection is encrypted"}}, handle: addNode},
		{name: "getaddednodeinfo", category: category, about: "Returns the peers of addnode.", params: []param{{name: "node", kind: kindString, optional: "all nodes", about: "Only this one"}}, handle: getAddedNodeInfo},
		{name: "disconnectnode", category: category, about: "Hangs up on a peer.", params: []param{
			{name: "address", kind: kindString, optional: "by nodeid", about: "HOST:PORT or node id"}, {name: "nodeid", kind: kindNumber, optional: "by address", about: "The id of getpeerinfo"}}, handle: disconnectNode},
		{name: "getnodeaddresses", category: category, about: "Returns known addresses of nodes.", params: []param{{name: "count", kind: kindNumber, optional: "1", about: "At most so many, 0 for all"},
			{name: "network", kind: kindString, optional: "all", about: "Only of ipv4 or ipv6"}}, handle: getNodeAddresses},
		{name: "ping", category: category, about: "Pings all peers; getpeerinfo has the result.", handle: ping},
	}
}

// subversion begins as clients of Bitcoin Core want it, some of which read a
// version out of it.
func (s *Server) subversion() string { return "/Satoshi:31.0.0" + s.UserAgent }

// coreVersion is the version of Bitcoin Core whose answers these are.
const (
	coreVersion     = 310000
	protocolVersion = 70016
)

// services are Bitcoin's names of what a node offers: all blocks or the last
// ones, with witnesses.
func services(full bool) (digits string, names []string) {
	bits := uint64(8)
	names = []string{"WITNESS"}
	if full {
		bits |= 1
		names = []string{"NETWORK", "WITNESS"}
	}
	return fmt.Sprintf("%016x", bits|1024), append(names, "NETWORK_LIMITED")
}

func getNetworkInfo(_ context.Context, s *Server, _ *args) (any, error) {
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

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

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

func getPeerInfo(_ context.Context, s *Server, _ *args) (any, error) {
	list := []map[string]any{}
	peers := s.Network.Peers()
	for i := range peers {
		list = append(list, peerJSON(&peers[i]))
	}
	return list, nil
}

func getConnectionCount(_ context.Context, s *Server, _ *args) (any, error) {
	return len(s.Network.Peers()), nil
}

func getNetTotals(_ context.Context, s *Server, _ *args) (any, error) {
	received, sent := s.Network.Totals()
	return map[string]any{
		"totalbytesrecv": received, "totalbytessent": sent, "timemillis": s.Control.Now().UnixMilli(),
		"uploadtarget": map[string]any{ // there is no limit
			"timeframe": 86400, "target": 0, "target_reached": false, "serve_historical_blocks": true,
			"bytes_left_in_cycle": 0, "time_left_in_cycle": 0,
		},
	}, nil
}

func addNode(_ context.Context, s *Server, a *args) (any, error) {
	node, err := a.text(0, "")
	if err != nil {
		return nil, err
	}
	command, err := a.text(1, "")
	if err != nil {
		return nil, err
	}
	switch command {
	case "add":
		if slices.Contains(s.Network.AddedNodes(), node) {
			return nil, failf(CodeNodeAdded, "Error: Node already added")
		}
		err = s.Network.AddNode(node)
	case "remove":
		if !slices.Contains(s.Network.AddedNodes(), node) {
			return nil, failf(CodeNodeNotAdded, "Error: Node could not be removed. It has not been added previously.")
		}
		err = s.Network.RemoveNode(node)
	case "onetry":
		err = s.Network.TryNode(node)
	default:
		return nil, failf(CodeInvalidParam, "command must be add, remove or onetry")
	}
	if err != nil {
		return nil, failf(CodeInvalidParam, "%v", err)
	}
	return nil, nil
}

func getAddedNodeInfo(_ context.Context, s *Server, a *args) (any, error) {
	only, err := a.text(0, "")
	if err != nil {
		return nil, err
	}
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

func disconnectNode(_ context.Context, s *Server, a *args) (any, error) {
	address, err := a.text(0, "")
	if err != nil {
		return nil, err
	}
	if a.given(1) == (address != "") {
		return nil, failf(CodeInvalidParams, "Only one of address and nodeid should be provided.")
	}
	if a.given(1) {
		id, err := a.number(1, 0, math.MinInt64, math.MaxInt64)
		if err != nil {
			return nil, err
		}
		for _, p := range s.Network.Peers() {
			if int64(p.Number) == id {
				address = p.Address
			}
		}
	}
	if address == "" || s.Network.Disconnect(address) != nil {
		return nil, failf(CodeNodeNotFound, "Node not found in connected nodes")
	}
	return nil, nil
}

func getNodeAddresses(_ context.Context, s *Server, a *args) (any, error) {
	count, err := a.number(0, 1, math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	only, err := a.text(1, "")
	if err != nil {
		return nil, err
	}
	switch {
	case count < 0 || count > math.MaxInt32:
		return nil, failf(CodeInvalidParam, "Address count out of range")
	case a.given(1) && only != "ipv4" && only != "ipv6":
		return nil, failf(CodeInvalidParam, "Network not recognized: %.100s", only)
	case count == 0:
		count = math.MaxInt32
	}
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

// networkOf names the kind of an IP address, alone or with a port.
func networkOf(address string) string {
	if strings.Count(address, ":") > 1 {
		return "ipv6"
	}
	return "ipv4"
}

func ping(_ context.Context, s *Server, _ *args) (any, error) {
	s.Network.Ping()
	return nil, nil
}

func miningMethods() []method {
	const category = "Mining"
	return []method{
		{name: "getmininginfo", category: category, about: "Returns the state of mining.", handle: getMiningInfo},
		{name: "getnetworkhashps", category: category, about: "Estimates the hashes a second of the network.", params: []param{
			{name: "nblocks", kind: kindNumber, optional: "120", about: "Over so many blocks, -1 for all"}, {name: "height", kind: kindNumber, optional: "-1", about: "Up to this height, -1 for the tip"}}, handle: getNetworkHashPS},
		{name: "submitblock", category: category, about: "Gives a block to the node. The result is null, or why it was refused.", params: []param{
			{name: "hexdata", kind: kindString, about: "The block in hexadecimal"}, {name: "dummy", kind: kindAny, optional: "ignored", about: "Ignored"}}, handle: submitBlock},
		{name: "generatetoaddress", category: category, slow: true, about: "Mines blocks at once (on networks of fixed difficulty).", params: []param{
			{name: "nblocks", kind: kindNumber, about: "How many"}, {name: "address", kind: kindString, about: "Whom the blocks pay"},
			{name: "maxtries", kind: kindNumber, optional: "1000000", about: "Hashes to try for each"}}, handle: generateToAddress},
		{name: "setmocktime", category: category, about: "Stops the node's clock (on networks of fixed difficulty).", params: []param{{name: "timestamp", kind: kindNumber, about: "Seconds since 1970; 0 lets it go on"}}, handle: setMockTime},
	}
}

func getMiningInfo(_ context.Context, s *Server, _ *args) (any, error) {
	state := s.Headers.TipState()
	end, _ := s.Headers.Info(state.Index.Hash)
	target, _, _ := consensus.ExpandBits(state.Header.Bits)
	next := consensus.NextBits(s.Params, &state)
	nextTarget, _, _ := consensus.ExpandBits(next)
	j := map[string]any{
		"blocks": state.Index.Height, "bits": bitsHex(state.Header.Bits), "difficulty": difficulty(state.Header.Bits), "target": target.String(),
		"networkhashps": s.networkHashRate(end, 120), "pooledtx": s.Pool.Info().Count, "blockmintxfee": feeRate(s.Pool.Info().MinRelay),
		"chain": s.Params.Name, "warnings": []string{},
		"next": map[string]any{"height": state.Index.Height + 1, "bits": bitsHex(next), "difficulty": difficulty(next), "target": nextTarget.String()},
	}
	if s.Miner != nil {
		if txs, weight := s.Miner.Template(); txs > 0 {
			j["currentblocktx"], j["currentblockweight"] = txs-1, weight
		}
	}
	return j, nil
}

func getNetworkHashPS(_ context.Context, s *Server, a *args) (any, error) {
	blocks, err := a.number(0, 120, math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	height, err := a.number(1, -1, math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	if blocks < -1 || blocks == 0 {
		return nil, failf(CodeInvalidParam, "Invalid nblocks. Must be a positive number or -1.")
	}
	hash := s.Headers.Tip().Hash
	if height != -1 {
		ok := height >= 0 && height <= math.MaxUint32
		if ok {
			hash, ok = s.Headers.HashAt(uint32(height))
		}
		if !ok {
			return nil, failf(CodeInvalidParam, "Block does not exist at specified height")
		}
	}
	end, _ := s.Headers.Info(hash)
	return s.networkHashRate(end, blocks), nil
}

func submitBlock(ctx context.Context, s *Server, a *args) (any, error) {
	text, err := a.text(0, "")
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, failf(CodeDeserialization, "Block decode failed")
	}
	block, err := types.DecodeBlock(raw)
	if err != nil || len(block.Txs) == 0 {
		return nil, failf(CodeDeserialization, "Block decode failed")
	}
	if completeCoinbase(block) {
		raw = block.AppendTo(nil)
	}
	if info, known := s.Headers.Info(block.Hash()); known {
		switch {
		case info.Status.Has(header.StatusInvalid), info.Status.Has(header.StatusInvalidAncestor):
			return "duplicate-invalid", nil
		case info.Status.Has(header.StatusValid), info.Status.Has(header.StatusBody):
			return "duplicate", nil
		}
	}
	err = s.Operator.AddBlock(ctx, raw)
	var rule *consensus.RuleError
	switch {
	case err == nil:
		if info, known := s.Headers.Info(block.Hash()); known && !info.OnBestChain {
			return "inconclusive", nil
		}
		return nil, nil
	case errors.As(err, &rule):
		return string(rule.Reason), nil
	}
	return nil, err
}

// completeCoinbase gives a coinbase its reserved value of zeros if it lacks one
// and commits to witnesses: miners that know no witnesses leave it out.
func completeCoinbase(block *types.Block) bool {
	coinbase := &block.Txs[0]
	if len(coinbase.Inputs) != 1 || coinbase.HasWitness() {
		return false
	}
	for i := range coinbase.Outputs {
		if script := coinbase.Outputs[i].ScriptPubKey; len(script) >= 38 && binary.BigEndian.Uint32(script[2:]) == 0xaa21a9ed && script[0] == opReturn && script[1] == 36 {
			coinbase.Inputs[0].Witness = [][]byte{make([]byte, types.HashSize)}
			return true
		}
	}
	return false
}

// forTesting refuses what must not be done to a network that is worth something.
func (s *Server) forTesting(method string) error {
	if s.Params.Difficulty.Algorithm != consensus.DifficultyFixed {
		return failf(CodeMisc, "%s works on networks of fixed difficulty only, such as dev", method)
	}
	return nil
}

func generateToAddress(ctx context.Context, s *Server, a *args) (any, error) {
	if err := s.forTesting("generatetoaddress"); err != nil {
		return nil, err
	}
	n, err := a.number(0, 0, 0, 100_000)
	if err != nil {
		return nil, err
	}
	address, err := a.text(1, "")
	if err != nil {
		return nil, err
	}
	script, err := taproot.DecodeAddress(s.Params.HRP, address)
	if err != nil {
		return nil, failf(CodeAddressOrKey, "Error: Invalid address")
	}
	tries, err := a.number(2, 1_000_000, 1, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	if s.Miner == nil {
		return nil, failf(CodeMisc, "this node cannot mine")
	}
	hashes, err := s.Miner.Generate(ctx, int(n), script, uint64(tries))
	if err != nil {
		if len(hashes) > 0 {
			err = fmt.Errorf("after %d of %d blocks: %w", len(hashes), n, err)
		}
		return nil, err
	}
	return append([]types.Hash{}, hashes...), nil
}

func setMockTime(_ context.Context, s *Server, a *args) (any, error) {
	if err := s.forTesting("setmocktime"); err != nil {
		return nil, err
	}
	at, err := a.number(0, 0, math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	if at < 0 || at > math.MaxUint32 {
		return nil, failf(CodeInvalidParam, "Mocktime must be in the range [0, %d], not %s.", uint32(math.MaxUint32), a.unquoted(0))
	}
	s.Control.SetTime(at)
	return nil, nil
}

// extraMethods are those of btcd that its clients ask for.
func extraMethods() []method {
	const category = "Btcd"
	return []method{
		{name: "getbestblock", category: category, about: "Returns hash and height of the tip.", handle: getBestBlock},
		{name: "getcurrentnet", category: category, about: "Returns the magic number of the network.", handle: getCurrentNet},
		{name: "getheaders", category: category, about: "Returns the headers behind the first block of the locators that is on the best chain, at most 2000.", params: []param{
			{name: "blocklocators", kind: kindArray, about: "Hashes, the newest first"}, {name: "hashstop", kind: kindString, optional: "all zeros: as many as there are", about: "The last block that is wanted"}}, handle: getHeaders},
		{name: "version", category: category, about: "Returns the version of the API.", handle: getVersion},
	}
}

func getBestBlock(_ context.Context, s *Server, _ *args) (any, error) {
	tip := s.Headers.Tip()
	return map[string]any{"hash": tip.Hash, "height": tip.Height}, nil
}

func getCurrentNet(_ context.Context, s *Server, _ *args) (any, error) {
	return binary.LittleEndian.Uint32(s.Params.Magic[:]), nil
}

func getHeaders(_ context.Context, s *Server, a *args) (any, error) {
	const most = 2000
	list, err := a.list(0, 200)
	if err != nil {
		return nil, err
	}
	locator := make([]types.Hash, len(list))
	for i := range list {
		var text string
		if json.Unmarshal(list[i], &text) != nil {
			return nil, failf(CodeType, "blocklocators holds something that is no string")
		}
		if locator[i], err = parseHash("blocklocators", text); err != nil {
			return nil, err
		}
	}
	stopText, err := a.text(1, "")
	if err != nil {
		return nil, err
	}
	var last types.Hash
	if stopText != "" {
		if last, err = parseHash("hashstop", stopText); err != nil {
			return nil, err
		}
	}
	headers := []string{}
	for _, h := range s.Headers.HeadersAfter(locator, last, most) {
		headers = append(headers, hex.EncodeToString(h.AppendTo(nil)))
	}
	return headers, nil
}

func getVersion(_ context.Context, s *Server, _ *args) (any, error) {
	return map[string]any{"karatjsonrpcapi": map[string]any{"versionstring": "1.0.0", "major": 1, "minor": 0, "patch": 0, "prerelease": "", "buildmetadata": s.UserAgent}}, nil
}
