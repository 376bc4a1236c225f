package rpc

import (
	"context"
	"encoding/binary"
	"encoding/hex"

	"github.com/karatcoin/karat/chain/types"
)

// btcdMethods are methods of btcd that Core does not have. btcd's rpcclient calls
// them.
func btcdMethods() []method {
	return []method{
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
