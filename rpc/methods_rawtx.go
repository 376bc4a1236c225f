package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

func rawTransactionMethods() []method {
	const category = "Rawtransactions"
	return []method{
		{name: "getrawtransaction", category: category, about: "Returns a transaction of the mempool or, with the transaction index or the block's hash, of a block.", params: []param{
			{name: "txid", kind: kindString, about: "The transaction id"},
			{name: "verbosity|verbose", kind: kindNumber, optional: "0", about: "0 for hexadecimal, 1 for an object, 2 with fee and what is spent"},
			{name: "blockhash", kind: kindString, optional: "by the index", about: "The block in which to look"}}, handle: getRawTransaction},
		{name: "decoderawtransaction", category: category, about: "Decodes a transaction in hexadecimal.", params: []param{
			{name: "hexstring", kind: kindString, about: "The transaction"},
			{name: "iswitness", kind: kindBool, optional: "depends on heuristic tests", about: "Whether it has witnesses; found out by itself"}}, handle: decodeRawTransaction},
		{name: "decodescript", category: category, about: "Decodes a script in hexadecimal.", params: []param{{name: "hexstring", kind: kindString, about: "The script"}}, handle: decodeScript},
		{name: "sendrawtransaction", category: category, about: "Gives a transaction to the mempool, from where it goes to all peers.", params: []param{
			{name: "hexstring", kind: kindString, about: "The transaction"},
			{name: "maxfeerate", kind: kindAny, optional: "0.10", about: "Refuse a feerate above this, in coins per 1000 virtual bytes; 0 for none"},
			{name: "maxburnamount", kind: kindAny, optional: "0", about: "Refuse outputs that can never be spent above this, in coins"}}, handle: sendRawTransaction},
		{name: "testmempoolaccept", category: category, about: "Says what sendrawtransaction would, without doing it.", params: []param{
			{name: "rawtxs", kind: kindArray, about: "Transactions in hexadecimal"},
			{name: "maxfeerate", kind: kindAny, optional: "0.10", about: "Refuse a feerate above this, in coins per 1000 virtual bytes; 0 for none"}}, handle: testMempoolAccept},
	}
}

func getRawTransaction(ctx context.Context, s *Server, a *args) (any, error) {
	text, err := a.text(0, "")
	if err != nil {
		return nil, err
	}
	txid, err := parseHash("parameter 1", text)
	if err != nil {
		return nil, err
	}
	if s.isUnspendableGenesis(txid) {
		return nil, failf(CodeAddressOrKey, "The genesis block coinbase is not considered an ordinary transaction and cannot be retrieved")
	}
	verbosity, err := a.verbosity(1, 0, 2)
	if err != nil {
		return nil, err
	}
	if !a.given(2) {
		if e := s.Pool.Get(txid); e != nil {
			if verbosity <= 0 {
				return hex.EncodeToString(e.Tx.AppendTo(nil)), nil
			}
			return s.txJSON(e.Tx, true), nil
		}
	}
	info, err := s.blockOf(ctx, a, txid)
	if err != nil {
		return nil, err
	}
	raw, err := s.body(&info)
	if err != nil {
		return nil, err
	}
	block, err := consensus.DecodeBlock(raw)
	if err != nil {
		return nil, consensus.Local(err)
	}
	for i := range block.TxIDs {
		if block.TxIDs[i] == txid {
			return s.transactionOf(&info, block, i, verbosity, a.given(2)), nil
		}
	}
	return nil, failf(CodeAddressOrKey, "No such transaction found in the provided block. Use gettransaction for wallet transactions.")
}

// isUnspendableGenesis reports whether a transaction is the genesis block's on a
// network whose genesis block makes no coins, as on Bitcoin's.
func (s *Server) isUnspendableGenesis(txid types.Hash) bool {
	return txid == s.Params.GenesisBlock().TxIDs[0] && len(s.Params.GenesisCoins()) == 0
}

// blockOf finds the block of a transaction: the one that was named, or by the
// index.
func (s *Server) blockOf(ctx context.Context, a *args, txid types.Hash) (header.Info, error) {
	if a.given(2) {
		text, err := a.text(2, "")
		if err != nil {
			return header.Info{}, err
		}
		hash, err := parseHash("parameter 3", text)
		if err != nil {
			return header.Info{}, err
		}
		info, ok := s.Headers.Info(hash)
		if !ok {
			return info, failf(CodeAddressOrKey, "Block hash not found")
		}
		return info, nil
	}
	message := "No such mempool or blockchain transaction."
	if !s.indexed(IndexOfTxs) {
		message = "No such mempool transaction. Use -txindex or provide a block hash to enable blockchain transaction queries."
	} else {
		s.Index.Wait(ctx)
		hash, err := s.Index.FindTx(txid)
		if info, ok := s.Headers.Info(hash); err == nil && ok {
			return info, nil
		}
		if _, synced := s.Index.Position(); !synced {
			message = "No such mempool transaction. Blockchain transactions are still in the process of being indexed."
		}
	}
	return header.Info{}, failf(CodeAddressOrKey, "%s Use gettransaction for wallet transactions.", message)
}

func (s *Server) transactionOf(info *header.Info, block *consensus.HashedBlock, i int, verbosity int64, named bool) any {
	tx := &block.Block.Txs[i]
	if verbosity <= 0 {
		return hex.EncodeToString(tx.AppendTo(nil))
	}
	j := s.txJSON(tx, true)
	if named {
		j.InActiveChain = &info.OnBestChain
	}
	j.BlockHash = &info.Hash
	confirmations := int64(0)
	if info.OnBestChain {
		confirmations = s.confirmations(info)
		j.Time, j.BlockTime = info.Header.Timestamp, info.Header.Timestamp
	}
	j.Confirmations = &confirmations
	if verbosity >= 2 {
		if spent := s.spentCoins(info); spent != nil {
			s.addSpent(j, tx, spent[i], true)
		}
	}
	return j
}

func decodeRawTransaction(_ context.Context, s *Server, a *args) (any, error) {
	text, err := a.text(0, "")
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, failf(CodeDeserialization, "TX decode failed")
	}
	tx, err := types.DecodeTx(raw)
	if err != nil {
		return nil, failf(CodeDeserialization, "TX decode failed")
	}
	return s.txJSON(tx, false), nil
}

func decodeScript(_ context.Context, s *Server, a *args) (any, error) {
	text, err := a.text(0, "")
	if err != nil {
		return nil, err
	}
	script, err := hex.DecodeString(text)
	if err != nil {
		return nil, failf(CodeInvalidParam, "argument must be hexadecimal string (not '%.100s')", text)
	}
	j := s.scriptJSON(script)
	j.Hex = ""
	return j, nil
}

// feeLimit reads a feerate above which a transaction is refused. Older clients
// say true for any feerate.
func feeLimit(a *args, i int) (types.FeeRate, error) {
	const usual = types.FeeRate(types.GrainsPerCoin / 10)
	if !a.given(i) {
		return usual, nil
	}
	text := a.unquoted(i)
	if text == "true" {
		return 0, nil
	}
	if text == "false" {
		return usual, nil
	}
	rate, err := parseAmount(text)
	if err != nil {
		return 0, err
	}
	if rate >= types.GrainsPerCoin {
		return 0, failf(CodeInvalidParam, "Fee rates larger than or equal to 1 coin per 1000 virtual bytes are not accepted")
	}
	return types.FeeRate(rate), nil
}

// parseAmount reads a number of coins, also with an exponent, as JSON allows.
func parseAmount(text string) (types.Amount, error) {
	if value, err := types.ParseAmount(text); err == nil {
		return value, nil
	}
	f, err := json.Number(text).Float64()
	if err != nil || !(f >= 0 && f <= 1e9) { // nor is it NaN
		return 0, failf(CodeType, "Invalid amount")
	}
	return types.Amount(math.Round(f * types.GrainsPerCoin)), nil
}

func sendRawTransaction(ctx context.Context, s *Server, a *args) (any, error) {
	text, err := a.text(0, "")
	if err != nil {
		return nil, err
	}
	limit, err := feeLimit(a, 1)
	if err != nil {
		return nil, err
	}
	tx, err := transaction(text)
	if err != nil {
		return nil, err
	}
	if err := checkBurn(a, tx); err != nil {
		return nil, err
	}
	txid := tx.TxID()
	if s.Pool.Get(txid) != nil { // perhaps with other witnesses, which change nothing that is paid
		return txid, nil
	}
	if limit > 0 {
		verdicts, err := s.Pool.Test(ctx, []*types.Tx{tx})
		if err != nil {
			return nil, err
		}
		if v := verdicts[0]; v.Err == nil && v.Entry.Fee > limit.Fee(v.Entry.VSize) {
			return nil, failf(CodeVerify, "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)")
		}
	}
	if _, err := s.Pool.Accept(ctx, tx); err != nil {
		return nil, rejection(err)
	}
	return txid, nil
}

func checkBurn(a *args, tx *types.Tx) error {
	most := types.Amount(0)
	if a.given(2) {
		var err error
		if most, err = parseAmount(a.unquoted(2)); err != nil {
			return err
		}
	}
	for i := range tx.Outputs {
		if out := &tx.Outputs[i]; len(out.ScriptPubKey) > 0 && out.ScriptPubKey[0] == opReturn && out.Value > most {
			return failf(CodeVerify, "Unspendable output exceeds maximum configured by user (maxburnamount)")
		}
	}
	return nil
}

// rejection makes the pool's error Bitcoin Core's.
func rejection(err error) error {
	var rule *consensus.RuleError
	switch {
	case !errors.As(err, &rule):
		return err
	case rule.Reason == consensus.ReasonMissingInputs:
		return failf(CodeVerify, "bad-txns-inputs-missingorspent")
	case rule.Reason == "txn-already-known":
		return failf(CodeAlreadyInChain, "Transaction outputs already in utxo set")
	}
	return failf(CodeVerifyRejected, "%s", rejectReason(rule))
}

// rejectReason is a reason with what was found, as Bitcoin Core writes it.
func rejectReason(rule *consensus.RuleError) string {
	if rule.Detail == "" {
		return string(rule.Reason)
	}
	return fmt.Sprintf("%s, %s", rule.Reason, rule.Detail)
}

func testMempoolAccept(ctx context.Context, s *Server, a *args) (any, error) {
	list, err := a.list(0, 25)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, failf(CodeInvalidParam, "Array must contain between 1 and 25 transactions.")
	}
	limit, err := feeLimit(a, 1)
	if err != nil {
		return nil, err
	}
	txs := make([]*types.Tx, len(list))
	for i := range list {
		var text string
		if json.Unmarshal(list[i], &text) != nil {
			return nil, failf(CodeType, "rawtxs holds something that is no string")
		}
		if txs[i], err = transaction(text); err != nil {
			return nil, failf(CodeDeserialization, "TX decode failed: %.64s Make sure the tx has at least one input.", text)
		}
	}
	verdicts, err := s.Pool.Test(ctx, txs)
	if err != nil {
		return nil, err
	}
	results := make([]map[string]any, len(verdicts))
	dear := false // what comes behind one that is too dear may build on it
	for i, v := range verdicts {
		j := map[string]any{"txid": txs[i].TxID(), "wtxid": txs[i].WTxID()}
		results[i] = j
		switch {
		case v.PackageErr != nil:
			j["package-error"] = v.PackageErr.Error()
			var rule *consensus.RuleError
			if errors.As(v.PackageErr, &rule) {
				j["package-error"] = rejectReason(rule)
			}
		case (v.Err != nil || v.Entry != nil) && !dear:
			dear = tellVerdict(v, j, limit)
		}
	}
	return results, nil
}

// tellVerdict writes down whether a transaction would be taken. It reports whether its
// feerate is over the limit.
func tellVerdict(v pending.Verdict, j map[string]any, limit types.FeeRate) (dear bool) {
	j["allowed"] = false
	var rule *consensus.RuleError
	switch {
	case v.Err == nil && limit > 0 && v.Entry.Fee > limit.Fee(v.Entry.VSize):
		j["reject-reason"] = "max-fee-exceeded"
		return true
	case v.Err == nil:
		j["allowed"], j["vsize"] = true, v.Entry.VSize
		j["fees"] = map[string]any{
			"base": amount(v.Entry.Fee), "effective-feerate": feeRate(types.NewFeeRate(v.Entry.Fee, v.Entry.VSize)),
			"effective-includes": []types.Hash{v.Entry.WTxID},
		}
	case !errors.As(v.Err, &rule):
		j["reject-reason"] = v.Err.Error()
	case rule.Reason == consensus.ReasonMissingInputs:
		j["reject-reason"] = "missing-inputs"
	default:
		j["reject-reason"], j["reject-details"] = string(rule.Reason), rejectReason(rule)
	}
	return false
}

func utilMethods() []method {
	const category = "Util"
	return []method{
		{name: "validateaddress", category: category, about: "Says whether a text is an address of this network, and what it stands for.", params: []param{{name: "address", kind: kindString, about: "The address"}}, handle: validateAddress},
		{name: "estimatesmartfee", category: category, about: "Estimates the feerate with which a transaction is confirmed within a number of blocks. While blocks are not full it is the least that is relayed.", params: []param{
			{name: "conf_target", kind: kindNumber, about: "Confirmation target in blocks (1 - 1008)"},
			{name: "estimate_mode", kind: kindString, optional: "economical", about: "economical or conservative"}}, handle: estimateSmartFee},
		{name: "getindexinfo", category: category, about: "Returns the state of the indexes.", params: []param{{name: "index_name", kind: kindString, optional: "all", about: "Only this index"}}, handle: getIndexInfo},
	}
}

func validateAddress(_ context.Context, s *Server, a *args) (any, error) {
	address, err := a.text(0, "")
	if err != nil {
		return nil, err
	}
	script, err := taproot.DecodeAddress(s.Params.HRP, address)
	if err != nil {
		return map[string]any{"isvalid": false, "error_locations": []int{}, "error": err.Error()}, nil
	}
	version, program, _ := types.WitnessProgram(script)
	canonical, err := taproot.EncodeAddress(s.Params.HRP, script)
	if err != nil {
		return nil, err
	}
	j := map[string]any{"isvalid": true, "address": canonical, "scriptPubKey": hex.EncodeToString(script), "iswitness": true}
	kind := scriptType(script)
	if kind != "witness_unknown" { // whose meaning nobody knows
		j["isscript"] = true
	}
	if kind != "anchor" { // has no more to tell
		j["witness_version"], j["witness_program"] = version, hex.EncodeToString(program)
	}
	return j, nil
}

// estimateSmartFee asks the pool what has to be outbid.
func estimateSmartFee(_ context.Context, s *Server, a *args) (any, error) {
	target, err := a.number(0, 0, math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	if target < 1 || target > 1008 {
		return nil, failf(CodeInvalidParam, "Invalid conf_target, must be between 1 and 1008")
	}
	mode, err := a.text(1, "economical")
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"unset", "economical", "conservative"}, strings.ToLower(mode)) {
		return nil, failf(CodeInvalidParam, `Invalid estimate_mode parameter, must be one of: "unset", "economical", "conservative"`)
	}
	return map[string]any{"feerate": feeRate(s.Pool.Estimate(int(target))), "blocks": target}, nil
}

func getIndexInfo(_ context.Context, s *Server, a *args) (any, error) {
	wanted, err := a.text(0, "")
	if err != nil {
		return nil, err
	}
	j := map[string]any{}
	if s.Index != nil {
		at, synced := s.Index.Position()
		for _, name := range s.Index.Names() {
			if wanted == "" || wanted == name {
				j[name] = map[string]any{"synced": synced, "best_block_height": at.Height}
			}
		}
	}
	return j, nil
}
