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
	answer           any // what it answers: a value of the type that is JSON, a string or bytes
}

func (s *Server) apiPaths() []apiPath {
	return []apiPath{
		{"/tx/{txid}", "A transaction, with what its inputs spend.", s.apiTx, txJSON{}},
		{"/tx/{txid}/status", "Whether it is in a block, and in which.", s.apiTxStatus, statusJSON{}},
		{"/tx/{txid}/hex", "Its encoding in hexadecimal.", s.apiTxHex, ""},
		{"/tx/{txid}/raw", "Its encoding.", s.apiTxRaw, []byte{}},
		{"/tx/{txid}/merkle-proof", "The branch to its block's merkle root, as Electrum's protocol has it.", s.apiMerkleProof, merkleProofJSON{}},
		{"/tx/{txid}/merkleblock-proof", "The same as a merkleblock (BIP37), in hexadecimal.", s.apiMerkleBlock, ""},
		{"/tx/{txid}/outspend/{vout}", "What became of an output.", s.apiOutspend, outspendJSON{}},
		{"/tx/{txid}/outspends", "What became of each output.", s.apiOutspends, []outspendJSON{}},
		{"/address/{address}", "What was paid to an address, in blocks and waiting.", s.apiScript, scriptJSON{}},
		{"/address/{address}/txs", "Its transactions: up to 50 that wait and 25 of blocks, the newest first.", s.apiScriptTxs, []txJSON{}},
		{"/address/{address}/txs/chain", "Its 25 newest transactions of blocks.", s.apiScriptChain, []txJSON{}},
		{"/address/{address}/txs/chain/{after}", "The 25 before one of them.", s.apiScriptChain, []txJSON{}},
		{"/address/{address}/txs/mempool", "Up to 50 of its transactions that wait.", s.apiScriptMempool, []txJSON{}},
		{"/address/{address}/utxo", "Its unspent outputs.", s.apiScriptCoins, []coinJSON{}},
		{"/scripthash/{hash}", "As of an address, by the SHA-256 of the script.", s.apiScript, scriptJSON{}},
		{"/scripthash/{hash}/txs", "As of an address.", s.apiScriptTxs, []txJSON{}},
		{"/scripthash/{hash}/txs/chain", "As of an address.", s.apiScriptChain, []txJSON{}},
		{"/scripthash/{hash}/txs/chain/{after}", "As of an address.", s.apiScriptChain, []txJSON{}},
		{"/scripthash/{hash}/txs/mempool", "As of an address.", s.apiScriptMempool, []txJSON{}},
		{"/scripthash/{hash}/utxo", "As of an address.", s.apiScriptCoins, []coinJSON{}},
		{"/block/{hash}", "A block.", s.apiBlock, blockJSON{}},
		{"/block/{hash}/header", "Its header in hexadecimal.", s.apiBlockHeader, ""},
		{"/block/{hash}/status", "Whether it is on the best chain, and what follows it.", s.apiBlockStatus, blockStatusJSON{}},
		{"/block/{hash}/txs", "Its first 25 transactions.", s.apiBlockTxs, []txJSON{}},
		{"/block/{hash}/txs/{start}", "25 of its transactions, from a multiple of 25 on.", s.apiBlockTxs, []txJSON{}},
		{"/block/{hash}/txids", "The ids of its transactions.", s.apiBlockTxIDs, []types.Hash{}},
		{"/block/{hash}/txid/{n}", "The id of one of them.", s.apiBlockTxID, ""},
		{"/block/{hash}/raw", "Its encoding.", s.apiBlockRaw, []byte{}},
		{"/block-height/{height}", "The hash of the block at a height.", s.apiBlockAt, ""},
		{"/blocks", "The ten newest blocks.", s.apiBlocks, []blockJSON{}},
		{"/blocks/{start}", "Ten blocks from a height downwards.", s.apiBlocks, []blockJSON{}},
		{"/blocks/tip/height", "The height of the tip.", s.apiTipHeight, ""},
		{"/blocks/tip/hash", "The hash of the tip.", s.apiTipHash, ""},
		{"/mempool", "How much waits, and what it pays.", s.apiMempool, backlogJSON{}},
		{"/mempool/txids", "The ids of all that wait.", s.apiMempoolTxIDs, []types.Hash{}},
		{"/mempool/recent", "The ten transactions that came last.", s.apiMempoolRecent, []recentJSON{}},
		{"/fee-estimates", "Feerates in grains for a virtual byte, by the blocks that one would wait.", s.apiFees, map[int]float64{}},
		// mempool.space has these beside Esplora's, and its clients ask for them.
		{"/v1/block/{hash}", "As /block/{hash}.", s.apiBlock, blockJSON{}},
		{"/v1/blocks", "As /blocks.", s.apiBlocks, []blockJSON{}},
		{"/v1/blocks/{start}", "As /blocks/{start}.", s.apiBlocks, []blockJSON{}},
		{"/v1/fees/recommended", "Feerates in grains for a virtual byte, rounded up, by how urgent a payment is.", s.apiRecommended, recommendedJSON{}},
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
