package rpc

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// btcdMethods are methods of btcd that Core does not have. btcd's rpcclient calls
// them.
func btcdMethods() []method {
	return []method{
		{name: "getcfilter", read: getCFilter, about: "Returns the BIP158 filter of a block, in hexadecimal.", params: filterParams()},
		{name: "getcfilterheader", read: getCFilterHeader, about: "Returns the BIP157 header of a block's filter.", params: filterParams()},
		{name: "node", read: changeNode, about: "Connects to a node, once or for ever, or hangs up on a peer, or gives up what connect perm asked for.", params: []param{
			{name: "subcmd", kind: kindString, sample: "connect", about: "connect, disconnect or remove"},
			{name: "target", kind: kindString, sample: "127.0.0.1:9555", about: "[ID@]HOST[:PORT], or the id of a peer that getpeerinfo shows"},
			{name: "connectsubcmd", kind: kindString, optional: "temp", about: "perm or temp"}}},
		{name: "debuglevel", read: debugLevel, about: "Sets of which parts debug lines are in the log, as logging does.", params: []param{
			{name: "levelspec", kind: kindString, sample: "show", about: "show for the parts there are; a level for all of them; or PART=LEVEL,PART=LEVEL. Levels are trace and debug, with debug lines, and info, warn, error and critical, without"}}},
		{name: "getbestblock", read: noParams(getBestBlock), about: "Returns the hash and the height of the tip."},
		{name: "getcurrentnet", read: noParams(getCurrentNet), about: "Returns the magic number of the network."},
		{name: "getheaders", read: getHeaders, about: "Returns the headers that follow the first block of the locator that is on the best chain, at most 2000.", params: []param{
			{name: "blocklocators", kind: kindArray, sample: `'["BLOCKHASH"]'`, about: "Hashes, the newest first"},
			{name: "hashstop", kind: kindString, optional: "all zeros: as many as there are", about: "The last block that is wanted"}}},
		{name: "version", read: noParams(getVersion), about: "Returns the version of the API, in btcd's form."},
	}
}

// getBestBlock is btcd's getbestblock.
func getBestBlock(_ context.Context, s *Server) (any, error) {
	tip := s.Headers.Tip()
	return map[string]any{"hash": tip.Hash, "height": tip.Height}, nil
}

// getCurrentNet is btcd's getcurrentnet, by which its clients see that they talk to
// the network that they want.
func getCurrentNet(_ context.Context, s *Server) (any, error) {
	return binary.LittleEndian.Uint32(s.Params.Magic[:]), nil
}

// getHeaders is btcd's getheaders, with the limit of Bitcoin's message of that name.
// Headers are in hexadecimal.
func getHeaders(s *Server, a *args) work {
	const most, longest = 2000, 200 // a locator grows with the logarithm of the height
	list := a.list(0, longest)
	locator := make([]types.Hash, len(list))
	for i := range list {
		locator[i] = a.parseHash("blocklocators", a.element(list[i]))
	}
	var last types.Hash
	if text := a.text(1, ""); text != "" {
		last = a.parseHash("hashstop", text)
	}
	return func(context.Context) (any, error) {
		headers := []string{}
		for _, h := range s.Headers.HeadersAfter(locator, last, most) {
			headers = append(headers, hex.EncodeToString(h.AppendTo(nil)))
		}
		return headers, nil
	}
}

// getVersion is btcd's version.
func getVersion(_ context.Context, s *Server) (any, error) {
	return map[string]any{"karatjsonrpcapi": map[string]any{
		"versionstring": "1.0.0", "major": 1, "minor": 0, "patch": 0, "prerelease": "", "buildmetadata": s.UserAgent}}, nil
}

func filterParams() []param {
	return []param{
		{name: "hash", kind: kindString, sample: "BLOCKHASH", about: "The block hash"},
		{name: "filtertype", kind: kindNumber, optional: "0", about: "The type of the filter: 0, the basic one"}}
}

// getCFilter is btcd's getcfilter.
func getCFilter(s *Server, a *args) work {
	return s.committedFilter(a, func(filter []byte, _ types.Hash) any { return hex.EncodeToString(filter) })
}

// getCFilterHeader is btcd's getcfilterheader.
func getCFilterHeader(s *Server, a *args) work {
	return s.committedFilter(a, func(_ []byte, header types.Hash) any { return header })
}

// committedFilter returns a part of what is stored of a block's filter, or btcd's errors.
func (s *Server) committedFilter(a *args, part func(filter []byte, header types.Hash) any) work {
	if a.integer(1, 0) != 0 {
		a.fail(errNoBlock) // btcd has no filter of another type either
	}
	info := s.blockInfo(a, 0, "hash")
	return func(ctx context.Context) (any, error) {
		if !s.indexed(indexed.Filters) {
			return nil, failf(CodeAddressOrKey, "The CF index must be enabled for this command")
		}
		s.Index.Wait(ctx, indexed.Filters) // a client that has just heard of a block asks for its filter
		filter, header, err := s.Index.Filter(info.Hash)
		if err != nil {
			return nil, errNoBlock
		}
		return part(filter, header), nil
	}
}

// changeNode is btcd's node. A peer to which the operator stays connected is not
// disconnected but removed, and no other is removed.
func changeNode(s *Server, a *args) work {
	command, target, how := a.text(0, ""), a.text(1, ""), a.text(2, "temp")
	switch {
	case command != "connect" && command != "disconnect" && command != "remove":
		a.fail(failf(CodeInvalidParam, "invalid subcommand for node"))
	case command == "connect" && how != "perm" && how != "temp":
		a.fail(failf(CodeInvalidParam, "invalid subcommand for node connect"))
	}
	return func(context.Context) (any, error) {
		if err := s.changeNode(command, target, how == "perm"); err != nil {
			var known *Error
			if errors.As(err, &known) {
				return nil, known
			}
			return nil, failf(CodeInvalidParam, "%v", err)
		}
		return nil, nil
	}
}

func (s *Server) changeNode(command, target string, forEver bool) error {
	address := s.withPort(target)
	if command == "connect" && forEver {
		return s.Network.AddNode(address)
	}
	if command == "connect" {
		return s.Network.TryNode(address)
	}
	var peer *peerinfo.Info
	peers := s.Network.Peers()
	for i := range peers {
		if p := &peers[i]; strconv.Itoa(p.Number) == target || p.Address == address || p.ID.String()+"@"+p.Address == address {
			peer = p
		}
	}
	added := s.Network.AddedNodes()
	which := slices.IndexFunc(added, func(node string) bool {
		return node == address || peer != nil && (node == peer.Address || node == peer.ID.String()+"@"+peer.Address)
	})
	switch {
	case command == "remove" && which >= 0:
		return s.Network.RemoveNode(added[which])
	case peer == nil:
		return failf(CodeInvalidParam, "peer not found")
	case command == "remove":
		return failf(CodeMisc, "can't remove a temporary peer, use disconnect")
	case which >= 0:
		return failf(CodeMisc, "can't disconnect a permanent peer, use remove")
	}
	return s.Network.Disconnect(peer.ID.String())
}

// levels are btcd's words for how much is in the log. Here are debug lines, or none.
var levels = map[string]bool{"trace": true, "debug": true, "info": false, "warn": false, "error": false, "critical": false}

// debugLevel is btcd's debuglevel, in the words of btcd. A list that has a mistake changes
// nothing.
func debugLevel(s *Server, a *args) work {
	spec := a.text(0, "")
	change := map[string]bool{}
	parts := strings.SplitN(spec, ",", len(LogCategories)+1)
	switch {
	case spec == "show":
	case len(parts) == 1 && !strings.Contains(spec, "="):
		on, ok := levels[spec]
		if !ok {
			a.fail(failf(CodeInvalidParams, "The specified debug level [%.100s] is invalid", spec))
		}
		for _, name := range LogCategories {
			change[name] = on
		}
	default:
		for _, part := range parts {
			name, level, ok := strings.Cut(part, "=")
			on, known := levels[level]
			switch {
			case !ok:
				a.fail(failf(CodeInvalidParams, "The specified debug level contains an invalid subsystem/level pair [%.100s]", part))
			case !slices.Contains(LogCategories, name):
				a.fail(failf(CodeInvalidParams, "The specified subsystem [%.100s] is invalid -- supported subsystems %v", name, LogCategories))
			case !known:
				a.fail(failf(CodeInvalidParams, "The specified debug level [%.100s] is invalid", level))
			}
			change[name] = on
		}
	}
	return func(context.Context) (any, error) {
		if spec == "show" {
			return fmt.Sprintf("Supported subsystems %v", LogCategories), nil
		}
		for name, on := range change {
			if s.Logs != nil {
				s.Logs.SetCategory(name, on)
			}
		}
		return "Done.", nil
	}
}
