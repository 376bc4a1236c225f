package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// maxPackage is the number of transactions that a call takes together, as in Bitcoin Core.
const maxPackage = 25

func packageMethods() []method {
	return []method{
		{name: "testmempoolaccept", read: testMempoolAccept, about: "Says what sendrawtransaction would, without doing it. Of several, each must come after those that it spends, and none may conflict with what waits.", params: []param{
			{name: "rawtxs", kind: kindArray, sample: `'["TRANSACTION"]'`, about: "Transactions in hexadecimal"},
			maxFeeRateParam()}},
		{name: "submitpackage", read: submitPackage, about: "Gives a child and its parents to the mempool. Those that pay too little by themselves come in if the child pays for them.", params: []param{
			{name: "package", kind: kindArray, sample: `'["PARENT", "CHILD"]'`, about: "Transactions in hexadecimal, the child last; or one alone"},
			maxFeeRateParam(),
			maxBurnParam()}},
	}
}

func maxFeeRateParam() param {
	return param{name: "maxfeerate", kind: kindAmount, optional: "0.10", about: "Refuse a feerate above this, in coins per 1000 virtual bytes; 0 for none"}
}

func maxBurnParam() param {
	return param{name: "maxburnamount", kind: kindAmount, optional: "0", about: "Refuse an output that can never be spent and is worth more than this, in coins"}
}

var errPackageCount = failf(CodeInvalidParam, "Array must contain between 1 and %d transactions.", maxPackage)

// packageList reads an array of as many elements as a package may have.
func (a *args) packageList(i int) []json.RawMessage {
	list := a.list(i, 1000) // a few too many are told so in Core's words
	if len(list) == 0 || len(list) > maxPackage {
		a.fail(errPackageCount)
		return nil
	}
	return list
}

// packaged decodes transactions. Each is looked at by itself before the next one is
// decoded, as in Bitcoin Core.
func (a *args) packaged(list []json.RawMessage, look func(tx *types.Tx)) []*types.Tx {
	txs := make([]*types.Tx, len(list))
	for n := range list {
		text := a.element(list[n])
		txs[n] = a.submitted(text, failf(CodeDeserialization, "TX decode failed: %.64s Make sure the tx has at least one input.", text))
		if txs[n] != nil && look != nil {
			look(txs[n])
		}
	}
	return txs
}

// acceptFeesJSON are the fees of a transaction, in coins, and what it was judged by.
type acceptFeesJSON struct {
	Base     json.Number  `json:"base"`
	FeeRate  json.Number  `json:"effective-feerate,omitempty"`
	Includes []types.Hash `json:"effective-includes,omitempty"` // witness ids
}

// acceptedJSON is what is told of a transaction that is taken. Sizes are in virtual bytes.
// There are no signature operations that could make one of them larger.
type acceptedJSON struct {
	VSizeAdjusted int             `json:"vsize_adjusted,omitempty"`
	VSize         int             `json:"vsize,omitempty"`
	VSizeBIP141   int             `json:"vsize_bip141,omitempty"`
	Fees          *acceptFeesJSON `json:"fees,omitempty"`
}

func acceptedOf(v *pending.Verdict) acceptedJSON {
	fees := &acceptFeesJSON{Base: amount(v.Entry.Fee)}
	if !v.Present {
		fees.FeeRate, fees.Includes = feeRate(v.FeeRate), v.With
	}
	return acceptedJSON{v.Entry.VSize, v.Entry.VSize, v.Entry.VSize, fees}
}

// triedJSON is a transaction of testmempoolaccept. If allowed is missing, it was not looked
// at to the end.
type triedJSON struct {
	TxID         types.Hash `json:"txid"`
	WTxID        types.Hash `json:"wtxid"`
	PackageError string     `json:"package-error,omitempty"`
	Allowed      *bool      `json:"allowed,omitempty"`
	acceptedJSON
	Reason  string `json:"reject-reason,omitempty"`
	Details string `json:"reject-details,omitempty"`
}

// testMempoolAccept is Core's testmempoolaccept, with its limit of 25 transactions.
func testMempoolAccept(s *Server, a *args) work {
	list, limit := a.packageList(0), feeLimit(a, 1)
	txs := a.packaged(list, nil)
	return func(ctx context.Context) (any, error) {
		verdicts, err := s.Pool.Try(ctx, txs)
		if err != nil {
			return nil, err
		}
		results := make([]triedJSON, len(verdicts))
		dear := false // what comes behind one that is too dear may build on it
		for i := range verdicts {
			v, j := &verdicts[i], &results[i]
			j.TxID, j.WTxID = txs[i].TxID(), txs[i].WTxID()
			switch {
			case v.PackageErr != nil:
				j.PackageError = coreText(v.PackageErr)
			case (v.Err != nil || v.Entry != nil) && !dear:
				dear = j.tell(v, limit)
			}
		}
		return results, nil
	}
}

// tell writes down whether a transaction would be taken. It reports whether its feerate is
// over the limit.
func (j *triedJSON) tell(v *pending.Verdict, limit types.FeeRate) (dear bool) {
	j.Allowed = new(bool)
	var rule *consensus.RuleError
	switch {
	case v.Err == nil && v.Entry.Exceeds(limit):
		j.Reason = string(pending.ReasonMaxFee)
		return true
	case v.Err == nil:
		*j.Allowed = true
		j.acceptedJSON = acceptedOf(v)
	case !errors.As(v.Err, &rule):
		j.Reason = v.Err.Error()
	case rule.Reason == consensus.ReasonMissingInputs:
		j.Reason = "missing-inputs"
	default:
		j.Reason, j.Details = string(rule.Reason), coreText(rule)
	}
	return false
}

// ownDetails are the reasons behind which Bitcoin Core has nothing, and karat says what it
// has found. Clients compare these texts.
var ownDetails = []consensus.Reason{
	"version", "tx-size", "tx-size-small", "datacarrier", "dust", "scriptpubkey", consensus.ReasonMissingInputs,
	"txn-same-nonwitness-data-in-mempool", pending.ReasonConfirmed,
}

// coreText is the text of a refusal, as Bitcoin Core writes it.
func coreText(err error) string {
	var rule *consensus.RuleError
	if !errors.As(err, &rule) {
		return err.Error()
	}
	if slices.Contains(ownDetails, rule.Reason) && !strings.HasPrefix(rule.Detail, "tx ") {
		return string(rule.Reason)
	}
	return rejectReason(rule)
}

// submittedJSON is a transaction of submitpackage.
type submittedJSON struct {
	TxID  types.Hash  `json:"txid"`
	Other *types.Hash `json:"other-wtxid,omitempty"` // of the one that waits, with another witness
	acceptedJSON
	Error string `json:"error,omitempty"`
}

// resultsJSON is an object of transactions by their witness ids, in the order in which
// they were given.
type resultsJSON struct {
	wtxids  []types.Hash
	results []submittedJSON
}

// MarshalJSON implements json.Marshaler.
func (r *resultsJSON) MarshalJSON() (b []byte, err error) {
	b = append(b, '{')
	for i, wtxid := range r.wtxids {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `"`+wtxid.String()+`":`...)
		if b, err = appendAny(b, &r.results[i]); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// packageJSON is the answer of submitpackage.
type packageJSON struct {
	Message  string       `json:"package_msg"`
	Results  *resultsJSON `json:"tx-results"`
	Replaced []types.Hash `json:"replaced-transactions"`
}

// submitPackage is Core's submitpackage.
func submitPackage(s *Server, a *args) work {
	list, limit, burn := a.packageList(0), feeLimit(a, 1), a.coins(2, 0)
	txs := a.packaged(list, func(tx *types.Tx) {
		if burns(tx, burn) {
			a.fail(errBurns)
		}
	})
	if a.err == nil && !isTree(txs) {
		a.fail(errNoTree)
	}
	return func(ctx context.Context) (any, error) { return acceptPackage(ctx, s.Pool, txs, limit) }
}

var errNoTree = failf(CodeVerify, "package topology disallowed. not child-with-parents or parents depend on each other.")

// PackagePool is the part of a pool that takes packages, as Pool says.
type PackagePool interface {
	AcceptPackage(ctx context.Context, txs []*types.Tx, maxFeeRate types.FeeRate) (pending.Package, error)
}

// SubmitPackage is submitpackage for those who offer it beside RPC: it gives 1 to 25 transactions,
// the child last, to a pool, and returns the method's answer in JSON. What the method refuses is
// an *Error.
func SubmitPackage(ctx context.Context, pool PackagePool, txs []*types.Tx, maxFeeRate types.FeeRate, maxBurn types.Amount) ([]byte, error) {
	if len(txs) == 0 || len(txs) > maxPackage {
		return nil, errPackageCount
	}
	if slices.ContainsFunc(txs, func(tx *types.Tx) bool { return burns(tx, maxBurn) }) {
		return nil, errBurns
	}
	if !isTree(txs) {
		return nil, errNoTree
	}
	j, err := acceptPackage(ctx, pool, txs, maxFeeRate)
	if err != nil {
		return nil, err
	}
	return marshal(j)
}

// acceptPackage gives a package to the pool, and tells what became of each of it.
func acceptPackage(ctx context.Context, pool PackagePool, txs []*types.Tx, maxFeeRate types.FeeRate) (*packageJSON, error) {
	result, err := pool.AcceptPackage(ctx, txs, maxFeeRate)
	var refusal *pending.Refusal
	if err != nil && !errors.As(err, &refusal) {
		return nil, err
	}
	j := &packageJSON{Message: packageMessage(refusal), Results: &resultsJSON{}, Replaced: slices.Clone(result.Replaced)}
	slices.SortFunc(j.Replaced, func(x, y types.Hash) int { return bytes.Compare(x[:], y[:]) })
	j.Replaced = append([]types.Hash{}, slices.Compact(j.Replaced)...)
	for i, tx := range txs {
		one := submittedJSON{TxID: tx.TxID(), Error: "package-not-validated"}
		if len(result.Verdicts) > 0 {
			one = submittedOf(tx, &result.Verdicts[i])
		}
		if wtxid := tx.WTxID(); !slices.Contains(j.Results.wtxids, wtxid) {
			j.Results.wtxids = append(j.Results.wtxids, wtxid)
			j.Results.results = append(j.Results.results, one)
		}
	}
	return j, nil
}

// packageMessage says what became of a package: why it is refused as a whole, or that one
// of it is, of which the results tell more.
func packageMessage(refusal *pending.Refusal) string {
	switch {
	case refusal == nil:
		return "success"
	case refusal.Failed >= 0:
		return "transaction failed"
	}
	return coreText(refusal.Err)
}

// submittedOf tells what became of a transaction.
func submittedOf(tx *types.Tx, v *pending.Verdict) submittedJSON {
	j := submittedJSON{TxID: tx.TxID()}
	switch {
	case v.Err != nil:
		j.Error = coreText(v.Err)
	case v.Entry.WTxID != tx.WTxID():
		j.Other = &v.Entry.WTxID
	default:
		j.acceptedJSON = acceptedOf(v)
	}
	return j
}

// isTree reports whether transactions are one alone, or a child with parents that do not
// spend each other.
func isTree(txs []*types.Tx) bool {
	child := txs[len(txs)-1]
	parents := map[types.Hash]bool{}
	for _, tx := range txs[:len(txs)-1] {
		parents[tx.TxID()] = true
	}
	spent := map[types.Hash]bool{}
	for i := range child.Inputs {
		spent[child.Inputs[i].PreviousOutPoint.TxID] = true
	}
	for _, tx := range txs[:len(txs)-1] {
		if !spent[tx.TxID()] || slices.ContainsFunc(tx.Inputs, func(in types.TxIn) bool { return parents[in.PreviousOutPoint.TxID] }) {
			return false
		}
	}
	return true
}

var errBurns = failf(CodeVerify, "Unspendable output exceeds maximum configured by user (maxburnamount)")

// burns reports whether a transaction has an output that can never be spent and is worth
// more than its sender wants to lose.
func burns(tx *types.Tx, most types.Amount) bool {
	return slices.ContainsFunc(tx.Outputs, func(out types.TxOut) bool {
		script := out.ScriptPubKey
		return out.Value > most && (len(script) > 0 && script[0] == taproot.OpReturn || !isSaneScript(script))
	})
}
