package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// The paths below /api are those of Esplora, Blockstream's explorer, whose documentation says
// what they answer, so that wallets that speak it can use a node. Amounts are in grains. What
// never changes is told so to caches; everything else has a version like a page.

const (
	forever = 365 * 24 * time.Hour
	// nextPage is how many transactions Esplora has on a page of confirmed ones, and of a block.
	nextPage = 25
	// firstWaiting is how many it has of those that wait.
	firstWaiting = 50
)

// apiPath is a path of the API.
type apiPath struct {
	pattern, summary string
	find             finder
}

func (s *Server) apiPaths() []apiPath {
	return []apiPath{
		{"/tx/{txid}", "A transaction, with what its inputs spend.", s.apiTx},
		{"/tx/{txid}/status", "Whether it is in a block, and in which.", s.apiTxStatus},
		{"/tx/{txid}/hex", "Its encoding in hexadecimal.", s.apiTxHex},
		{"/tx/{txid}/raw", "Its encoding.", s.apiTxRaw},
		{"/tx/{txid}/merkle-proof", "The branch to its block's merkle root, as Electrum's protocol has it.", s.apiMerkleProof},
		{"/tx/{txid}/merkleblock-proof", "The same as a merkleblock (BIP37), in hexadecimal.", s.apiMerkleBlock},
		{"/tx/{txid}/outspend/{vout}", "What became of an output.", s.apiOutspend},
		{"/tx/{txid}/outspends", "What became of each output.", s.apiOutspends},
		{"/address/{address}", "What was paid to an address, in blocks and waiting.", s.apiScript},
		{"/address/{address}/txs", "Its transactions: up to 50 that wait and 25 of blocks, the newest first.", s.apiScriptTxs},
		{"/address/{address}/txs/chain", "Its 25 newest transactions of blocks.", s.apiScriptChain},
		{"/address/{address}/txs/chain/{after}", "The 25 before one of them.", s.apiScriptChain},
		{"/address/{address}/txs/mempool", "Up to 50 of its transactions that wait.", s.apiScriptMempool},
		{"/address/{address}/utxo", "Its unspent outputs.", s.apiScriptCoins},
		{"/scripthash/{hash}", "As of an address, by the SHA-256 of the script.", s.apiScript},
		{"/scripthash/{hash}/txs", "As of an address.", s.apiScriptTxs},
		{"/scripthash/{hash}/txs/chain", "As of an address.", s.apiScriptChain},
		{"/scripthash/{hash}/txs/chain/{after}", "As of an address.", s.apiScriptChain},
		{"/scripthash/{hash}/txs/mempool", "As of an address.", s.apiScriptMempool},
		{"/scripthash/{hash}/utxo", "As of an address.", s.apiScriptCoins},
		{"/block/{hash}", "A block.", s.apiBlock},
		{"/block/{hash}/header", "Its header in hexadecimal.", s.apiBlockHeader},
		{"/block/{hash}/status", "Whether it is on the best chain, and what follows it.", s.apiBlockStatus},
		{"/block/{hash}/txs", "Its first 25 transactions.", s.apiBlockTxs},
		{"/block/{hash}/txs/{start}", "25 of its transactions, from a multiple of 25 on.", s.apiBlockTxs},
		{"/block/{hash}/txids", "The ids of its transactions.", s.apiBlockTxIDs},
		{"/block/{hash}/txid/{n}", "The id of one of them.", s.apiBlockTxID},
		{"/block/{hash}/raw", "Its encoding.", s.apiBlockRaw},
		{"/block-height/{height}", "The hash of the block at a height.", s.apiBlockAt},
		{"/blocks", "The ten newest blocks.", s.apiBlocks},
		{"/blocks/{start}", "Ten blocks from a height downwards.", s.apiBlocks},
		{"/blocks/tip/height", "The height of the tip.", s.apiTipHeight},
		{"/blocks/tip/hash", "The hash of the tip.", s.apiTipHash},
		{"/mempool", "How much waits, and what it pays.", s.apiMempool},
		{"/mempool/txids", "The ids of all that wait.", s.apiMempoolTxIDs},
		{"/mempool/recent", "The ten transactions that came last.", s.apiMempoolRecent},
		{"/fee-estimates", "Feerates in grains for a virtual byte, by the blocks that one would wait.", s.apiFees},
		// mempool.space has these beside Esplora's, and its clients ask for them.
		{"/v1/block/{hash}", "As /block/{hash}.", s.apiBlock},
		{"/v1/blocks", "As /blocks.", s.apiBlocks},
		{"/v1/blocks/{start}", "As /blocks/{start}.", s.apiBlocks},
		{"/v1/fees/recommended", "Feerates in grains for a virtual byte, rounded up, by how urgent a payment is.", s.apiRecommended},
	}
}

// apiRoutes adds the paths of the API.
func (s *Server) apiRoutes(mux *http.ServeMux) {
	paths := s.apiPaths()
	document := openAPI(s.Base, paths)
	paths = append(paths, apiPath{pattern: "/openapi.json", find: func(*http.Request) (*page, error) {
		return asJSON("", 0, func(context.Context) (any, error) { return document, nil }), nil
	}})
	for _, path := range paths {
		mux.HandleFunc("GET "+s.Base+"/api"+path.pattern, func(w http.ResponseWriter, r *http.Request) {
			p, err := path.find(r)
			if err != nil {
				s.fail(w, r, err)
				return
			}
			s.answer(w, r, p)
		})
	}
	mux.HandleFunc("POST "+s.Base+"/api/tx", s.apiSend)
	mux.HandleFunc("POST "+s.Base+"/api/txs/package", s.apiSendPackage)
	mux.HandleFunc("OPTIONS "+s.Base+"/api/", s.apiPreflight)
	mux.HandleFunc("GET "+s.Base+"/api/faucet", s.apiFaucet)
	mux.HandleFunc("POST "+s.Base+"/api/faucet", s.apiFaucet)
	mux.Handle("GET "+s.Base+"/api", http.RedirectHandler(s.Base+"/api/openapi.json", http.StatusFound))
}

// openAPI describes the API to programs (OpenAPI 3.1).
func openAPI(base string, paths []apiPath) map[string]any {
	type object = map[string]any
	described := object{"/tx": object{"post": object{
		"summary": "Takes a transaction in hexadecimal and passes it on; answers with its id.", "parameters": []object{},
		"requestBody": object{"required": true, "content": object{"text/plain": object{"schema": object{"type": "string"}}}},
		"responses":   object{"200": object{"description": "the id"}, "400": object{"description": "why it was refused, in a line"}},
	}}}
	described["/txs/package"] = object{"post": object{
		"summary": "Takes a child with its parents, an array of transactions in hexadecimal with the child last; answers as RPC's submitpackage does.",
		"parameters": []object{
			{"name": "maxfeerate", "in": "query", "description": "refuse a feerate above this, in grains for a virtual byte", "schema": object{"type": "number", "default": 10000}},
			{"name": "maxburnamount", "in": "query", "description": "refuse an output that can never be spent and is worth more than this, in coins", "schema": object{"type": "number", "default": 0}},
		},
		"requestBody": object{"required": true, "content": object{"application/json": object{"schema": object{"type": "array", "minItems": 1, "maxItems": maxPackage, "items": object{"type": "string"}}}}},
		"responses":   object{"200": object{"description": "what became of each of them"}, "400": object{"description": "why it was not looked at, in a line"}},
	}}
	asked := object{"200": object{"description": "how the faucet is"}, "400": object{"description": "why there is nothing, in a line"}, "429": object{"description": "whose turn it is not, and until when"}}
	described["/faucet"] = object{
		"get": object{"summary": "How the faucet is, and the challenge for whoever asks.", "parameters": []object{}, "responses": asked},
		"post": object{
			"summary": "Asks for coins: a form with address, challenge and nonce, such that SHA-256 of challenge:address:nonce begins with so many zero bits.", "parameters": []object{},
			"requestBody": object{"required": true, "content": object{"application/x-www-form-urlencoded": object{"schema": object{"type": "object"}}}}, "responses": asked,
		},
	}
	for _, path := range paths {
		parameters := []object{}
		for rest := path.pattern; ; {
			_, name, ok := strings.Cut(rest, "{")
			if !ok {
				break
			}
			name, rest, _ = strings.Cut(name, "}")
			parameters = append(parameters, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
		}
		described[path.pattern] = object{"get": object{
			"summary": path.summary, "parameters": parameters,
			"responses": object{"200": object{"description": "the answer"}, "400": object{"description": "what is wrong, in a line"}, "404": object{"description": "there is none"}},
		}}
	}
	return object{
		"openapi": "3.1.0", "info": object{"title": "karat", "version": "1", "description": "Esplora's paths. Amounts are in grains."},
		"servers": []object{{"url": base + "/api"}}, "paths": described,
	}
}

// isAPI reports whether a program asks: it is told errors in a line.
func (s *Server) isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, s.Base+"/api/") }

func badRequest(text string) error {
	return &failure{status: http.StatusBadRequest, title: "Bad request", text: text}
}

// asJSON is a page that is JSON of what make returns.
func asJSON(version string, keep time.Duration, make func(ctx context.Context) (any, error)) *page {
	return &page{version: version, keep: keep, kind: "application/json", make: func(ctx context.Context) (any, error) {
		v, err := make(ctx)
		if err != nil {
			return nil, err
		}
		return json.Marshal(v)
	}}
}

// asText is a page that is a line of text.
func asText(version string, keep time.Duration, text string) *page {
	return &page{version: version, keep: keep, kind: "text/plain; charset=utf-8", make: func(context.Context) (any, error) { return []byte(text), nil }}
}

// now names the chain and the pool as they are: what depends on both has it as its version.
func (s *Server) now() string {
	return s.Headers.Tip().Hash.String() + strconv.FormatUint(s.Journal.Changes(), 10)
}

// pathHash reads a hash of the path.
func pathHash(r *http.Request, name string) (types.Hash, error) {
	hash, err := types.ParseHash(r.PathValue(name))
	if err != nil {
		return hash, badRequest("Invalid hash")
	}
	return hash, nil
}

// pathNumber reads a number of the path; 0 if it is not there.
func pathNumber(r *http.Request, name string) (uint32, error) {
	text := r.PathValue(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, badRequest("Invalid number")
	}
	return uint32(n), nil
}

// statusJSON is where a transaction is.
type statusJSON struct {
	Confirmed bool        `json:"confirmed"`
	Height    *uint32     `json:"block_height,omitempty"`
	Hash      *types.Hash `json:"block_hash,omitempty"`
	Time      *uint32     `json:"block_time,omitempty"`
}

func statusIn(info header.Info) statusJSON {
	if !info.OnBestChain {
		return statusJSON{}
	}
	return statusJSON{true, &info.Height, &info.Hash, &info.Header.Timestamp}
}

func (f foundTx) status() statusJSON {
	if f.entry != nil {
		return statusJSON{}
	}
	return statusIn(f.info)
}
