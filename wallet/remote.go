package wallet

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/standard"
	"github.com/karatcoin/karat/chain/types"
)

// Node is the node that a wallet asks, by the methods of Bitcoin Core's RPC. An error that is
// the node's own answer has a method RPCCode() int; any other means that no answer came.
type Node interface {
	Call(ctx context.Context, method string, result any, params ...any) error
	// Batch calls a method with many lists of parameters and hands each result over
	// in order.
	Batch(ctx context.Context, method string, params [][]any, each func(i int, result json.RawMessage, err error) error) error
}

var (
	// ErrOtherNetwork is a node whose genesis block is another.
	ErrOtherNetwork = errors.New("the node is of another network")
	// ErrLying is wrapped by the errors about a node whose answers cannot all be true. It
	// may be the node, or somebody who stands between.
	ErrLying = errors.New("the node gives answers that cannot be true")
	// ErrUnreachable is a node that did not answer, or something that answers and is no node.
	ErrUnreachable = errors.New("the node does not answer")
	// ErrNoBlock is a block that no node gives, though it may hold a payment.
	ErrNoBlock = errors.New("no node gives the block")
	// ErrLittleWork is a node whose chain has less work than the network's is known
	// to have.
	ErrLittleWork = errors.New("the node's chain has less work than the network's is known to have: it is still syncing, or it lies")
)

func lying(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrLying, fmt.Sprintf(format, args...))
}

// codeOf returns the code of a method's error, 0 for other errors. No method has the code 0.
func codeOf(err error) int {
	var coded interface{ RPCCode() int }
	if errors.As(err, &coded) {
		return coded.RPCCode()
	}
	return 0
}

// remote asks a node, and believes nothing that it can check.
type remote struct {
	node   Node
	params *consensus.Params
	name   string          // empty if there is no other
	lied   func(err error) // lets Nodes know that it is not to be asked any more; may be nil

	// What a session has found of it:
	out    error       // why it is not asked any more
	behind error       // its chain has no more work than the wallet's
	upTo   uint32      // height of the last block that its chain and the wallet's both have
	has    types.Index // the wallet's tip when the node had it last
	// waiting are the transactions that wait at it.
	waiting map[types.Hash]bool
}

// remote asks a node, or several as if they were one.
func (w *Wallet) remote(node Node) *remote { return &remote{node: node, params: w.params} }

// unanswered is the error of a call that brought no answer. Its text is the cause's.
type unanswered struct{ error }

// Is reports the kind.
func (unanswered) Is(target error) bool { return target == ErrUnreachable }

// Unwrap returns the cause.
func (u unanswered) Unwrap() error { return u.error }

// called gives the error of a call its kind: a node's own answer and an interrupt stay as
// they are.
func called(ctx context.Context, err error) error {
	if err == nil || codeOf(err) != 0 || ctx.Err() != nil || errors.Is(err, ErrLying) {
		return err
	}
	return unanswered{err}
}

// call calls a method and decodes its result.
func (r *remote) call(ctx context.Context, method string, result any, params ...any) error {
	var raw json.RawMessage
	if err := r.node.Call(ctx, method, &raw, params...); err != nil {
		return called(ctx, err)
	}
	if err := json.Unmarshal(raw, result); err != nil {
		return lying("%s: an answer in no known form", method)
	}
	return nil
}

// list calls a method whose result is a list, and hands over one element after the other. What
// each returns ends it, and is returned. Were a list decoded as a whole, small elements such as
// null would take a multiple of their bytes: gigabytes, if a node likes.
func list[T any](ctx context.Context, r *remote, method string, each func(element T) error, params ...any) error {
	var raw json.RawMessage
	if err := r.call(ctx, method, &raw, params...); err != nil {
		return err
	}
	err := elements(raw, each)
	if errors.Is(err, errNoList) {
		return lying("%s: an answer in no known form", method)
	}
	return err
}

var errNoList = errors.New("not a list of what it should be")

// elements decodes the elements of a list one by one. What each returns ends it, and is
// returned; what is no list of such elements is errNoList.
func elements[T any](raw []byte, each func(element T) error) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if begin, err := d.Token(); err != nil || begin != json.Delim('[') {
		return errNoList
	}
	for d.More() {
		var element *T
		if err := d.Decode(&element); err != nil || element == nil {
			return errNoList
		}
		if err := each(*element); err != nil {
			return err
		}
	}
	return nil
}

// hashes is a list of hashes in JSON. It takes less memory than its text.
type hashes []types.Hash

// UnmarshalJSON implements json.Unmarshaler.
func (h *hashes) UnmarshalJSON(text []byte) error {
	*h = nil
	return elements(text, func(hash types.Hash) error {
		*h = append(*h, hash)
		return nil
	})
}

// batch calls a method many times. What each returns ends it, and is returned.
func (r *remote) batch(ctx context.Context, method string, params [][]any, each func(i int, result json.RawMessage, err error) error) error {
	var own error
	err := r.node.Batch(ctx, method, params, func(i int, result json.RawMessage, err error) error {
		own = each(i, result, err)
		return own
	})
	if own != nil {
		return own
	}
	return called(ctx, err)
}

// checkNetwork compares the genesis blocks. It finds a mistake, such as a wrong port; a node
// that lies here is found out by its headers, and one that says nothing is not waited for as
// long as a later answer may take.
func (r *remote) checkNetwork(ctx context.Context) error {
	var genesis types.Hash
	if err := within(ctx, patience, func(ctx context.Context) error { return r.call(ctx, "getblockhash", &genesis, 0) }); err != nil {
		return err
	}
	if want := r.params.GenesisBlock().Hash; genesis != want {
		return fmt.Errorf("%w: its genesis block is %s, and that of %s is %s", ErrOtherNetwork, genesis, r.params.Name, want)
	}
	return nil
}

// maxHeaders is the number of headers that a node sends at once, as in Bitcoin Core. Fewer
// mean that there are no more.
const maxHeaders = 2000

// headers returns headers above the first block of the locator that the node has on its best
// chain. They form a chain; their work is checked where it is known what they build on.
func (r *remote) headers(ctx context.Context, locator []types.Hash) ([]types.Header, error) {
	var headers []types.Header
	if err := list(ctx, r, "getheaders", func(text string) error {
		if len(headers) == maxHeaders {
			return lying("more than %d headers at once", maxHeaders)
		}
		raw, err := hex.DecodeString(text)
		var header types.Header
		if err == nil {
			header, err = types.DecodeHeader(raw)
		}
		if err != nil {
			return lying("a header of %d digits", len(text))
		}
		if n := len(headers); n > 0 && header.PrevBlock != headers[n-1].Hash() {
			return lying("headers that do not form a chain")
		}
		headers = append(headers, header)
		return nil
	}, locator, types.Hash{}.String()); err != nil {
		return nil, err
	}
	return headers, nil
}

// blockFilter is a filter with its header, as the node tells them.
type blockFilter struct {
	filter []byte
	header types.Hash
}

// filters returns the filters of blocks. Nothing about them is checked here but their form:
// what a filter is worth is seen from its neighbours.
func (r *remote) filters(ctx context.Context, hashes []types.Hash) ([]blockFilter, error) {
	params := make([][]any, len(hashes))
	for i, hash := range hashes {
		params[i] = []any{hash}
	}
	filters := make([]blockFilter, len(hashes))
	err := r.batch(ctx, "getblockfilter", params, func(i int, result json.RawMessage, err error) error {
		if err != nil {
			return fmt.Errorf("filter of block %s: %w", hashes[i], err)
		}
		var answer struct {
			Filter string     `json:"filter"`
			Header types.Hash `json:"header"`
		}
		if err := json.Unmarshal(result, &answer); err != nil {
			return lying("a filter in no known form")
		}
		raw, err := hex.DecodeString(answer.Filter)
		if err != nil {
			return lying("a filter that is not hexadecimal")
		}
		filters[i] = blockFilter{raw, answer.Header}
		return nil
	})
	return filters, err
}

// filterHeader returns the header of a block's filter, as the node tells it.
func (r *remote) filterHeader(ctx context.Context, hash types.Hash) (types.Hash, error) {
	filters, err := r.filters(ctx, []types.Hash{hash})
	if err != nil {
		return types.Hash{}, err
	}
	return filters[0].header, nil
}

// block returns a block that breaks no rule of its own, and whose transactions are those that
// its header commits to.
func (r *remote) block(ctx context.Context, hash types.Hash) (*consensus.HashedBlock, error) {
	var text string
	if err := r.call(ctx, "getblock", &text, hash, 0); err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, lying("block %s is not hexadecimal", hash)
	}
	// The hash first: it is that of a header whose work was checked, and OpenBlock then
	// holds the body against the header's merkle root and witness commitment.
	if len(raw) < types.HeaderSize || types.DoubleSHA256(raw[:types.HeaderSize]) != hash {
		return nil, lying("what it sends for block %s is another block or none", hash)
	}
	block, err := consensus.OpenBlock(r.params, raw)
	if err != nil {
		return nil, lying("block %s: %v", hash, err)
	}
	return block, nil
}

// decodeTransaction decodes a transaction that the node sent under an id. The id covers all
// but the witness, so only the signatures can be false.
func decodeTransaction(text string, txid types.Hash) (*types.Tx, error) {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, lying("transaction %s is not hexadecimal", txid)
	}
	tx, err := types.DecodeTx(raw)
	if err != nil || tx.TxID() != txid {
		return nil, lying("what it sends for transaction %s is another transaction or none", txid)
	}
	return tx, nil
}

// Limits of what is fetched of the pool, which a node could make as large as it likes.
const (
	maxPoolIDs  = 1 << 20  // ids; what is above them is as if it did not wait
	maxPool     = 20_000   // transactions in one Sync; the rest are looked at in the next
	maxPoolSize = 64 << 20 // their bytes, likewise
	poolBatch   = 100      // transactions at once, which may be large
)

// pool returns the ids of the transactions that wait for a block.
func (r *remote) pool(ctx context.Context) (txids []types.Hash, err error) {
	enough := errors.New("enough")
	if err = list(ctx, r, "getrawmempool", func(txid types.Hash) error {
		if len(txids) == maxPoolIDs {
			return enough
		}
		txids = append(txids, txid)
		return nil
	}); errors.Is(err, enough) {
		err = nil
	}
	return txids, err
}

// transactions fetches transactions that wait for a block, but for those that do
// not any more, and for those above a number of bytes. All are fetched alike, so that the node
// does not learn which of them matter.
func (r *remote) transactions(ctx context.Context, txids []types.Hash, room int) (map[types.Hash]*types.Tx, error) {
	fetched := make(map[types.Hash]*types.Tx, len(txids))
	for part := range slices.Chunk(txids, poolBatch) {
		if room <= 0 {
			break
		}
		params := make([][]any, len(part))
		for i, txid := range part {
			params[i] = []any{txid}
		}
		if err := r.batch(ctx, "getrawtransaction", params, func(i int, result json.RawMessage, err error) error {
			if err != nil {
				return nil // it has left the pool meanwhile
			}
			var text string
			if json.Unmarshal(result, &text) != nil {
				return lying("a transaction that is not a text")
			}
			if room -= len(text) / 2; room < 0 {
				return nil
			}
			fetched[part[i]], err = decodeTransaction(text, part[i])
			return err
		}); err != nil {
			return nil, err
		}
	}
	return fetched, nil
}

// height returns the height of the node's chain, and false if the node does not say it.
func (r *remote) height(ctx context.Context) (height uint32, told bool, err error) {
	err = r.call(ctx, "getblockcount", &height)
	if codeOf(err) != 0 {
		return 0, false, nil
	}
	return height, err == nil, err
}

// tip returns the hash of the tip of the node's best chain, and false if the node does not
// say it.
func (r *remote) tip(ctx context.Context) (hash types.Hash, told bool, err error) {
	err = r.call(ctx, "getbestblockhash", &hash)
	if codeOf(err) != 0 {
		return hash, false, nil
	}
	return hash, err == nil, err
}

// peers returns how many peers the node has, and false if it does not say it. Nothing is
// decided by that.
func (r *remote) peers(ctx context.Context) (n int, told bool, err error) {
	var answer struct {
		Connections *int `json:"connections"`
	}
	err = r.call(ctx, "getnetworkinfo", &answer)
	if codeOf(err) != 0 || err == nil && answer.Connections == nil {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return *answer.Connections, true, nil
}

// send gives the node a transaction to pass on.
func (r *remote) send(ctx context.Context, tx *types.Tx) error {
	return called(ctx, r.node.Call(ctx, "sendrawtransaction", nil, hex.EncodeToString(tx.AppendTo(nil))))
}

// offer gives the node a transaction that it lacks, and returns the code of its refusal, 0 for
// none. A refusal is an answer like others and not the end of the sync.
func (r *remote) offer(ctx context.Context, tx *types.Tx) (code int, err error) {
	if err = r.send(ctx, tx); codeOf(err) != 0 {
		return codeOf(err), nil
	}
	return 0, err
}

// maxEstimate is the highest feerate that is paid because a node says so: 1000 grains per
// virtual byte. An estimate cannot be checked, and one that is a lie could have a payment give
// all of the wallet's coins to miners.
const maxEstimate types.FeeRate = 1_000_000

// ErrFeeRate is a node's estimate that is not believed. A person may set the same
// feerate.
var ErrFeeRate = errors.New("the node's feerate is too high")

// FeeRate asks a node for the feerate at which a payment is confirmed within a
// number of blocks; of several nodes, the middle one counts, or the lower of two. It is never
// less than what nodes relay whose operators have set nothing: one that takes all would say 0,
// and pass on what nobody else takes.
func FeeRate(ctx context.Context, node Node, blocks int) (types.FeeRate, error) {
	var rates []types.FeeRate
	var failed error
	for _, r := range remotes(node, nil) {
		rate, err := r.feeRate(ctx, blocks)
		if err != nil {
			failed = firstError(failed, r.named(err))
			continue
		}
		rates = append(rates, rate)
	}
	if len(rates) == 0 {
		return 0, firstError(failed, errNone)
	}
	slices.Sort(rates)
	return max(rates[(len(rates)-1)/2], standard.MinRelay), nil
}

// feeRate returns the node's estimate, if it is none that no payment should have.
func (r *remote) feeRate(ctx context.Context, blocks int) (types.FeeRate, error) {
	var answer struct {
		FeeRate json.Number `json:"feerate"`
	}
	if err := r.call(ctx, "estimatesmartfee", &answer, blocks); err != nil {
		return 0, err
	}
	// The answer is in coins for 1000 virtual bytes. As an amount in grains that is the
	// unit of a FeeRate.
	rate, err := types.ParseAmount(string(bytes.TrimSpace([]byte(answer.FeeRate))))
	if err != nil || rate < 0 {
		return 0, lying("a feerate of %.40q", answer.FeeRate)
	}
	if types.FeeRate(rate) > maxEstimate {
		return 0, fmt.Errorf("%w: it says %s grains per virtual byte, and no more than %s are paid on its word", ErrFeeRate, types.FeeRate(rate), maxEstimate)
	}
	return types.FeeRate(rate), nil
}
