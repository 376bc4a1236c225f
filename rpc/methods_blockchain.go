package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"

	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

var (
	paramBlockHash = param{name: "blockhash", kind: kindString, about: "The block hash"}
	errNoBlock     = failf(CodeAddressOrKey, "Block not found")
)

func blockchainMethods() []method {
	const category = "Blockchain"
	return []method{
		{name: "getbestblockhash", category: category, about: "Returns the hash of the best (tip) block in the most-work fully-validated chain.", handle: getBestBlockHash},
		{name: "getblockcount", category: category, about: "Returns the height of the most-work fully-validated chain. The genesis block has height 0.", handle: getBlockCount},
		{name: "getblockhash", category: category, about: "Returns hash of block in best-block-chain at height provided.", params: []param{{name: "height", kind: kindNumber, about: "The height index"}}, handle: getBlockHash},
		{name: "getblockheader", category: category, about: "Returns a block's header, as an object or in hexadecimal.", params: []param{
			paramBlockHash, {name: "verbose", kind: kindBool, optional: "true", about: "true for an object, false for hexadecimal"}}, handle: getBlockHeader},
		{name: "getblock", category: category, about: "Returns a block: at verbosity 0 in hexadecimal, 1 with transaction ids, 2 with transactions, 3 with what they spend.", params: []param{
			paramBlockHash, {name: "verbosity|verbose", kind: kindNumber, optional: "1", about: "0 to 3"}}, handle: getBlock},
		{name: "getblockchaininfo", category: category, about: "Returns the state of the chain.", handle: getBlockchainInfo},
		{name: "getchaintips", category: category, about: "Returns all known tips in the block tree, the main chain's and those of branches.", handle: getChainTips},
		{name: "getdifficulty", category: category, about: "Returns the proof-of-work difficulty as a multiple of Bitcoin's minimum difficulty.", handle: getDifficulty},
		{name: "gettxout", category: category, about: "Returns an unspent output, or null if there is none.", params: []param{
			{name: "txid", kind: kindString, about: "The transaction id"}, {name: "n", kind: kindNumber, about: "vout number"},
			{name: "include_mempool", kind: kindBool, optional: "true", about: "Whether to count the mempool's transactions"}}, handle: getTxOut},
		{name: "gettxoutsetinfo", category: category, slow: true, about: "Counts and hashes all unspent outputs. Note this call may take some time.", params: []param{
			{name: "hash_type", kind: kindString, optional: "hash_serialized_3", about: "hash_serialized_3, muhash or none"},
			{name: "hash_or_height", kind: kindAny, optional: "the tip", about: "Of an earlier block; there is no index that knows"},
			{name: "use_index", kind: kindBool, optional: "true", about: "There is none"}}, handle: getTxOutSetInfo},
		{name: "getchaintxstats", category: category, about: "Counts the transactions of a window of blocks.", params: []param{
			{name: "nblocks", kind: kindNumber, optional: "one month", about: "Size of the window in blocks"},
			{name: "blockhash", kind: kindString, optional: "chain tip", about: "The block that ends the window"}}, handle: getChainTxStats},
		{name: "getblockfilter", category: category, about: "Returns the BIP158 filter of a block and its BIP157 header.", params: []param{
			paramBlockHash, {name: "filtertype", kind: kindString, optional: "basic", about: "The type name of the filter"}}, handle: getBlockFilter},
		{name: "getblockstats", category: category, about: "Adds up a block of the best chain.", params: []param{
			{name: "hash_or_height", kind: kindAny, about: "The block hash or height"},
			{name: "stats", kind: kindArray, optional: "all values", about: "Names of the values that are wanted"}}, handle: getBlockStats},
		{name: "gettxoutproof", category: category, about: "Returns a proof, in hexadecimal, that transactions are in a block.", params: []param{
			{name: "txids", kind: kindArray, about: "The transaction ids"},
			{name: "blockhash", kind: kindString, optional: "by the index", about: "The block in which to look"}}, handle: getTxOutProof},
		{name: "invalidateblock", category: category, about: "Marks a block as invalid, as if it broke a rule.", params: []param{paramBlockHash}, handle: operate(Operator.Invalidate)},
		{name: "reconsiderblock", category: category, about: "Forgets that a block and what is around it is invalid.", params: []param{paramBlockHash}, handle: operate(Operator.Reconsider)},
		{name: "preciousblock", category: category, about: "Treats a block as if it had come before others with the same work.", params: []param{paramBlockHash}, handle: operate(Operator.Precious)},
		{name: "verifychain", category: category, slow: true, about: "Checks the last blocks again.", params: []param{
			{name: "checklevel", kind: kindNumber, optional: "3", about: "How thorough: 0 to 4"}, {name: "nblocks", kind: kindNumber, optional: "6", about: "The number of blocks, 0 for all"}}, handle: verifyChain},
	}
}

func getBestBlockHash(_ context.Context, s *Server, _ *args) (any, error) {
	return s.Headers.Tip().Hash, nil
}

func getBlockCount(_ context.Context, s *Server, _ *args) (any, error) {
	return s.Headers.Tip().Height, nil
}

func getBlockHash(_ context.Context, s *Server, a *args) (any, error) {
	height, err := a.number(0, 0, math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	if height >= 0 && height <= math.MaxUint32 {
		if hash, ok := s.Headers.HashAt(uint32(height)); ok {
			return hash, nil
		}
	}
	return nil, failf(CodeInvalidParam, "Block height out of range")
}

// headerJSON is a block's header with what the tree tells of it.
type headerJSON struct {
	Hash          types.Hash  `json:"hash"`
	Confirmations int64       `json:"confirmations"`
	Height        uint32      `json:"height"`
	Version       int32       `json:"version"`
	VersionHex    string      `json:"versionHex"`
	MerkleRoot    types.Hash  `json:"merkleroot"`
	Time          uint32      `json:"time"`
	MedianTime    uint32      `json:"mediantime"`
	Nonce         uint32      `json:"nonce"`
	Bits          string      `json:"bits"`
	Target        string      `json:"target"`
	Difficulty    json.Number `json:"difficulty"`
	ChainWork     string      `json:"chainwork"`
	NTx           uint32      `json:"nTx"`
	Previous      *types.Hash `json:"previousblockhash,omitempty"`
	Next          *types.Hash `json:"nextblockhash,omitempty"`
}

func (s *Server) headerJSON(info *header.Info) headerJSON {
	h := &info.Header
	target, _, _ := consensus.ExpandBits(h.Bits)
	j := headerJSON{
		Hash: info.Hash, Confirmations: s.confirmations(info), Height: info.Height,
		Version: h.Version, VersionHex: versionHex(h.Version), MerkleRoot: h.MerkleRoot,
		Time: h.Timestamp, MedianTime: info.MedianTime, Nonce: h.Nonce,
		Bits: bitsHex(h.Bits), Target: target.String(), Difficulty: difficulty(h.Bits),
		ChainWork: info.Work.String(), NTx: info.TxCount,
	}
	if info.Height > 0 {
		j.Previous = &h.PrevBlock
	}
	if !info.Next.IsZero() {
		j.Next = &info.Next
	}
	return j
}

// confirmations counts the blocks from one on the best chain to the tip; it is -1
// for one that is not on it.
func (s *Server) confirmations(info *header.Info) int64 {
	if !info.OnBestChain {
		return -1
	}
	return max(int64(s.Headers.Tip().Height)-int64(info.Height)+1, 1)
}

func bitsHex(bits uint32) string { return fmt.Sprintf("%08x", bits) }

// difficulty is how many times harder than Bitcoin's easiest target one is,
// computed as Bitcoin Core does, in double precision.
func difficulty(bits uint32) json.Number {
	shift := int(bits >> 24)
	d := float64(0x0000ffff) / float64(bits&0x00ffffff)
	for ; shift < 29; shift++ {
		d *= 256
	}
	for ; shift > 29; shift-- {
		d /= 256
	}
	return double(d)
}

// double writes a number as Bitcoin Core does: with up to 16 significant digits.
func double(d float64) json.Number {
	if d == math.Trunc(d) && math.Abs(d) < 1e15 {
		return json.Number(strconv.FormatFloat(d, 'f', -1, 64))
	}
	return json.Number(strconv.FormatFloat(d, 'g', 16, 64))
}

// blockInfo finds a block by a parameter.
func (s *Server) blockInfo(a *args, i int, name string) (header.Info, error) {
	text, err := a.text(i, "")
	if err != nil {
		return header.Info{}, err
	}
	hash, err := parseHash(name, text)
	if err != nil {
		return header.Info{}, err
	}
	info, ok := s.Headers.Info(hash)
	if !ok {
		return header.Info{}, errNoBlock
	}
	return info, nil
}

func getBlockHeader(_ context.Context, s *Server, a *args) (any, error) {
	verbose, err := a.flag(1, true)
	if err != nil {
		return nil, err
	}
	info, err := s.blockInfo(a, 0, "hash")
	if err != nil {
		return nil, err
	}
	if !verbose {
		return hex.EncodeToString(info.Header.AppendTo(nil)), nil
	}
	return s.headerJSON(&info), nil
}

// blockJSON is a block with ids or transactions.
type blockJSON struct {
	headerJSON
	StrippedSize int           `json:"strippedsize"`
	Size         int           `json:"size"`
	Weight       int           `json:"weight"`
	Coinbase     *coinbaseJSON `json:"coinbase_tx,omitempty"`
	Txs          any           `json:"tx"`
}

type coinbaseJSON struct {
	Version  uint32 `json:"version"`
	LockTime uint32 `json:"locktime"`
	Sequence uint32 `json:"sequence"`
	Coinbase string `json:"coinbase"`
	Witness  string `json:"witness,omitempty"`
}

func getBlock(_ context.Context, s *Server, a *args) (any, error) {
	verbosity, err := a.verbosity(1, 1, 3)
	if err != nil {
		return nil, err
	}
	info, err := s.blockInfo(a, 0, "blockhash")
	if err != nil {
		return nil, err
	}
	raw, err := s.body(&info)
	if err != nil {
		return nil, err
	}
	if verbosity <= 0 {
		return hex.EncodeToString(raw), nil
	}
	block, err := consensus.DecodeBlock(raw)
	if err != nil {
		return nil, consensus.Local(err)
	}
	j := blockJSON{
		headerJSON: s.headerJSON(&info), StrippedSize: block.Block.StrippedSize(), Size: len(raw), Weight: block.Weight,
		Coinbase: coinbaseOf(&block.Block.Txs[0]),
	}
	if verbosity == 1 {
		j.Txs = block.TxIDs
		return j, nil
	}
	txs := make([]*txJSON, len(block.Block.Txs))
	spent := s.spentCoins(&info)
	for i := range txs {
		txs[i] = s.txJSON(&block.Block.Txs[i], true)
		if spent != nil {
			s.addSpent(txs[i], &block.Block.Txs[i], spent[i], verbosity >= 3)
		}
	}
	j.Txs = txs
	return j, nil
}

func coinbaseOf(tx *types.Tx) *coinbaseJSON {
	in := &tx.Inputs[0]
	j := &coinbaseJSON{Version: tx.Version, LockTime: tx.LockTime, Sequence: in.Sequence, Coinbase: hex.EncodeToString(in.ScriptSig)}
	if len(in.Witness) == 1 {
		j.Witness = hex.EncodeToString(in.Witness[0])
	}
	return j
}

// body returns the encoding of a block.
func (s *Server) body(info *header.Info) ([]byte, error) {
	raw, err := s.Blocks.Block(info.Hash)
	if !errors.Is(err, consensus.ErrNotFound) {
		return raw, err
	}
	if info.Status.Has(header.StatusValid) {
		return nil, failf(CodeMisc, "Block not available (pruned data)")
	}
	return nil, failf(CodeMisc, "Block not available (not fully downloaded)")
}

// spentCoins returns what the transactions of a block spend, or nil if that is not
// known, as of a block that was never connected.
func (s *Server) spentCoins(info *header.Info) [][]types.Coin {
	if !info.Status.Has(header.StatusUndo) {
		return nil
	}
	u, err := s.Blocks.BlockUpdate(info.Hash)
	if err != nil {
		return nil
	}
	return u.SpentCoins()
}

type chainInfoJSON struct {
	Chain                string      `json:"chain"`
	Blocks               uint32      `json:"blocks"`
	Headers              uint32      `json:"headers"`
	BestBlockHash        types.Hash  `json:"bestblockhash"`
	Bits                 string      `json:"bits"`
	Target               string      `json:"target"`
	Difficulty           json.Number `json:"difficulty"`
	Time                 uint32      `json:"time"`
	MedianTime           uint32      `json:"mediantime"`
	VerificationProgress json.Number `json:"verificationprogress"`
	InitialBlockDownload bool        `json:"initialblockdownload"`
	ChainWork            string      `json:"chainwork"`
	SizeOnDisk           int64       `json:"size_on_disk"`
	Pruned               bool        `json:"pruned"`
	PruneHeight          *uint32     `json:"pruneheight,omitempty"`
	AutomaticPruning     *bool       `json:"automatic_pruning,omitempty"`
	PruneTargetSize      *int64      `json:"prune_target_size,omitempty"`
	Warnings             []string    `json:"warnings"`
}

func getBlockchainInfo(_ context.Context, s *Server, _ *args) (any, error) {
	state := s.Headers.TipState()
	headers := s.Headers.BestHeader()
	target, _, _ := consensus.ExpandBits(state.Header.Bits)
	j := chainInfoJSON{
		Chain: s.Params.Name, Blocks: state.Index.Height, Headers: headers.Height, BestBlockHash: state.Index.Hash,
		Bits: bitsHex(state.Header.Bits), Target: target.String(), Difficulty: difficulty(state.Header.Bits),
		Time: state.Header.Timestamp, MedianTime: state.MedianTimePast(), VerificationProgress: "1",
		InitialBlockDownload: s.Control.Syncing(), ChainWork: state.Work.String(), SizeOnDisk: s.Operator.SizeOnDisk(),
		Warnings: []string{},
	}
	if headers.Height > state.Index.Height {
		j.VerificationProgress = double(float64(state.Index.Height) / float64(headers.Height))
	}
	if pruned, height, target := s.Control.Pruned(); pruned {
		automatic := true
		j.Pruned, j.PruneHeight, j.AutomaticPruning, j.PruneTargetSize = true, &height, &automatic, &target
	}
	return j, nil
}

func getChainTips(_ context.Context, s *Server, _ *args) (any, error) {
	type tip struct {
		Height       uint32     `json:"height"`
		Hash         types.Hash `json:"hash"`
		BranchLength uint32     `json:"branchlen"`
		Status       string     `json:"status"`
	}
	tips := []tip{}
	for _, t := range s.Headers.Tips() {
		tips = append(tips, tip{t.Index.Height, t.Index.Hash, t.BranchLength, t.Status})
	}
	return tips, nil
}

func getDifficulty(_ context.Context, s *Server, _ *args) (any, error) {
	state := s.Headers.TipState()
	return difficulty(state.Header.Bits), nil
}

func getTxOut(ctx context.Context, s *Server, a *args) (any, error) {
	text, err := a.text(0, "")
	if err != nil {
		return nil, err
	}
	txid, err := parseHash("txid", text)
	if err != nil {
		return nil, err
	}
	n, err := a.number(1, 0, 0, math.MaxUint32)
	if err != nil {
		return nil, err
	}
	withPool, err := a.flag(2, true)
	if err != nil {
		return nil, err
	}
	outPoint := types.OutPoint{TxID: txid, Index: uint32(n)}
	type result struct {
		BestBlock     types.Hash  `json:"bestblock"`
		Confirmations uint32      `json:"confirmations"`
		Value         json.Number `json:"value"`
		ScriptPubKey  scriptJSON  `json:"scriptPubKey"`
		Coinbase      bool        `json:"coinbase"`
	}
	if withPool {
		if s.Pool.SpentBy(outPoint) != nil {
			return nil, nil
		}
		if e := s.Pool.Get(txid); e != nil {
			if int(n) >= len(e.Tx.Outputs) {
				return nil, nil
			}
			out := &e.Tx.Outputs[n]
			return result{s.Headers.Tip().Hash, 0, amount(out.Value), s.scriptJSON(out.ScriptPubKey), false}, nil
		}
	}
	coins, state, err := s.Blocks.Coins(ctx, []types.OutPoint{outPoint})
	if err != nil || !coins[0].Found {
		return nil, err
	}
	coin := &coins[0].Coin
	return result{state.Index.Hash, state.Index.Height - coin.Height + 1, amount(coin.Value), s.scriptJSON(coin.ScriptPubKey()), coin.IsCoinbase}, nil
}

func getTxOutSetInfo(ctx context.Context, s *Server, a *args) (any, error) {
	kind, err := a.text(0, "hash_serialized_3")
	if err != nil {
		return nil, err
	}
	if kind != "hash_serialized_3" && kind != "muhash" && kind != "none" {
		return nil, failf(CodeInvalidParam, "'%s' is not a valid hash_type", kind)
	}
	if _, err := a.flag(2, true); err != nil {
		return nil, err
	}
	if a.given(1) {
		return nil, failf(CodeInvalidParam, "Querying specific block heights requires coinstatsindex")
	}
	at, stats, err := s.Operator.CoinSet(ctx)
	if err != nil {
		return nil, err
	}
	j := struct {
		Height         uint32      `json:"height"`
		BestBlock      types.Hash  `json:"bestblock"`
		TxOuts         uint64      `json:"txouts"`
		BogoSize       uint64      `json:"bogosize"`
		HashSerialized *types.Hash `json:"hash_serialized_3,omitempty"`
		MuHash         *types.Hash `json:"muhash,omitempty"`
		TotalAmount    json.Number `json:"total_amount"`
		Transactions   uint64      `json:"transactions"`
		DiskSize       int64       `json:"disk_size"`
	}{Height: at.Height, BestBlock: at.Hash, TxOuts: stats.TxOuts, BogoSize: stats.BogoSize, TotalAmount: amount(stats.TotalAmount), Transactions: stats.Transactions}
	hashOf(kind, &stats, &j.HashSerialized, &j.MuHash)
	return j, nil
}

func hashOf(kind string, stats *coinstats.Stats, serialized, muhash **types.Hash) {
	switch kind {
	case "hash_serialized_3":
		*serialized = &stats.HashSerialized3
	case "muhash":
		*muhash = &stats.MuHash
	}
}

func getChainTxStats(_ context.Context, s *Server, a *args) (any, error) {
	end, ok := s.Headers.Info(s.Headers.Tip().Hash)
	if a.given(1) {
		var err error
		if end, err = s.blockInfo(a, 1, "blockhash"); err != nil {
			return nil, err
		}
		if !end.OnBestChain {
			return nil, failf(CodeInvalidParam, "Block is not in main chain")
		}
	} else if !ok {
		return nil, errNoBlock
	}
	month := int64(30*24*60*60) / int64(max(s.Params.TargetSpacing, 1))
	most := max(int64(end.Height)-1, 0)
	count, err := a.number(0, min(month, most), math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	if count < 0 || count > 0 && count >= int64(end.Height) {
		return nil, failf(CodeInvalidParam, "Invalid block count: should be between 0 and the block's height - 1")
	}
	hash, _ := s.Headers.HashAt(end.Height - uint32(count))
	start, _ := s.Headers.Info(hash)
	j := map[string]any{
		"time": end.Header.Timestamp, "txcount": end.ChainTxs, "window_final_block_hash": end.Hash,
		"window_final_block_height": end.Height, "window_block_count": count,
	}
	if count > 0 {
		interval := int64(end.MedianTime) - int64(start.MedianTime)
		txs := end.ChainTxs - start.ChainTxs
		j["window_interval"], j["window_tx_count"] = interval, txs
		if interval > 0 {
			j["txrate"] = double(float64(txs) / float64(interval))
		}
	}
	return j, nil
}

func getBlockFilter(ctx context.Context, s *Server, a *args) (any, error) {
	if kind, err := a.text(1, "basic"); err != nil || kind != "basic" {
		return nil, failf(CodeAddressOrKey, "Unknown filtertype")
	}
	info, err := s.blockInfo(a, 0, "blockhash")
	if err != nil {
		return nil, err
	}
	if !s.indexed(IndexOfFilters) {
		return nil, failf(CodeMisc, "Index is not enabled for filtertype basic")
	}
	s.Index.Wait(ctx)
	filter, header, err := s.Index.Filter(info.Hash)
	switch {
	case err == nil:
		return map[string]any{"filter": hex.EncodeToString(filter), "header": header}, nil
	case !info.OnBestChain: // one that was, while the index followed, has a filter
		return nil, failf(CodeAddressOrKey, "Filter not found. Block was not connected to active chain.")
	}
	return nil, failf(CodeMisc, "Filter not found. Block filters are still in the process of being indexed.")
}

// indexed reports whether an index is kept.
func (s *Server) indexed(name string) bool {
	return s.Index != nil && slices.Contains(s.Index.Names(), name)
}

func operate(do func(Operator, context.Context, types.Hash) error) func(context.Context, *Server, *args) (any, error) {
	return func(ctx context.Context, s *Server, a *args) (any, error) {
		info, err := s.blockInfo(a, 0, "blockhash")
		if err != nil {
			return nil, err
		}
		return nil, do(s.Operator, ctx, info.Hash)
	}
}

func verifyChain(ctx context.Context, s *Server, a *args) (any, error) {
	level, err := a.number(0, 3, 0, 4)
	if err != nil {
		return nil, err
	}
	depth, err := a.number(1, 6, 0, math.MaxUint32)
	if err != nil {
		return nil, err
	}
	if err := s.Operator.Verify(ctx, uint32(depth), int(level)); err != nil {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		s.log.Error("the chain on disk is damaged", "err", err)
		return false, nil
	}
	return true, nil
}

// networkHashRate estimates the hashes a second that the blocks up to one took,
// over a number of blocks.
func (s *Server) networkHashRate(end header.Info, blocks int64) json.Number {
	if blocks <= 0 || blocks > int64(end.Height) {
		blocks = int64(end.Height)
	}
	if blocks == 0 {
		return "0"
	}
	hash, _ := s.Headers.HashAt(end.Height - uint32(blocks))
	start, _ := s.Headers.Info(hash)
	least, most := end.Header.Timestamp, end.Header.Timestamp
	for height := start.Height; height <= end.Height; height++ {
		hash, _ := s.Headers.HashAt(height)
		info, _ := s.Headers.Info(hash)
		least, most = min(least, info.Header.Timestamp), max(most, info.Header.Timestamp)
	}
	if least == most {
		return "0"
	}
	work, _ := new(big.Float).SetInt(new(big.Int).Sub(bigWork(end.Work), bigWork(start.Work))).Float64()
	return double(work / float64(most-least)) // in double precision, as Bitcoin Core's
}

func bigWork(work consensus.Uint256) *big.Int {
	n, _ := new(big.Int).SetString(work.String(), 16)
	return n
}
