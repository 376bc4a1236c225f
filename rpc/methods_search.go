package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// The bounds of searchrawtransactions. What is skipped is read all the same.
const (
	maxSearched = 1000
	maxSkipped  = 100_000
)

func searchMethods() []method {
	return []method{
		{name: "searchrawtransactions", read: searchTransactions, slow: true, about: "Returns transactions that pay to an address or spend from it: those in blocks, the oldest first, then those that wait. Needs scriptindex.", params: []param{
			{name: "address", kind: kindString, about: "The address"},
			{name: "verbose", kind: kindNumber, optional: "1", about: "0 for hexadecimal, else an object"},
			{name: "skip", kind: kindNumber, optional: "0", about: "How many are left out at the beginning, at most 100,000"},
			{name: "count", kind: kindNumber, optional: "100", about: "How many are wanted, at most 1,000"},
			{name: "vinextra", kind: kindNumber, optional: "0", about: "1 to show what inputs spend"},
			{name: "reverse", kind: kindBool, optional: "false", about: "true for the newest first"},
			{name: "filteraddrs", kind: kindArray, optional: "all", about: "Addresses: of other inputs and outputs nothing is shown"}}},
	}
}

// search is a call of searchrawtransactions.
type search struct {
	s                *Server
	script           []byte
	skip, count      int
	verbose, prevout bool
	reverse          bool
	only             *watch // nil: all is shown

	found []found
	size  int                   // bytes of what was found
	last  consensus.BlockUpdate // the block that was read last
}

// found is a transaction, in a block or not.
type found struct {
	tx     *types.Tx
	place  types.TxPlace
	height uint32
	mined  bool
}

// searchTransactions is btcd's searchrawtransactions.
func searchTransactions(s *Server, a *args) work {
	q := search{s: s, verbose: a.integer(1, 1) != 0, prevout: a.integer(4, 0) != 0, reverse: a.flag(5, false)}
	var err error
	if q.script, err = taproot.DecodeAddress(s.Params.HRP, a.text(0, "")); err != nil {
		a.fail(failf(CodeAddressOrKey, "Invalid address or key: %v", err))
	}
	q.skip = int(max(a.bounded(2, 0, -maxSkipped, maxSkipped), 0))
	q.count = int(a.bounded(3, 100, -maxSearched, maxSearched))
	if q.count < 0 {
		q.count = 1 // as btcd takes it
	}
	if a.given(6) {
		q.only = newWatch()
		q.only.add(a.scripts(s, 6, false), nil)
	}
	return func(ctx context.Context) (any, error) {
		if q.count == 0 {
			return nil, nil
		}
		return q.run(ctx)
	}
}

func (q *search) run(ctx context.Context) (any, error) {
	hash := indexed.HashScript(q.script)
	var mined []indexed.ScriptTx
	waiting, err := q.s.asOfOneMoment(ctx, func() (at types.Index, err error) {
		mined, at, err = q.history(ctx, hash)
		return at, err
	})
	if err != nil {
		return nil, err
	}
	set := &scriptSet{hashes: []indexed.ScriptHash{hash}, scripts: map[indexed.ScriptHash][]byte{hash: q.script}}
	pool := touching(waiting, set)
	if !q.reverse {
		slices.Reverse(pool)
	}
	skip := q.skip
	add := func(n int, take func(i int) error) error {
		first := min(skip, n)
		skip -= first
		for i := first; i < n && len(q.found) < q.count; i++ {
			if err := take(i); err != nil {
				return err
			}
			if q.size > maxAnswers/4 { // in hexadecimal, and again in the object
				return failf(CodeMisc, "these transactions are too long together; ask for fewer")
			}
		}
		return nil
	}
	addPool := func() error {
		return add(len(pool), func(i int) error {
			q.found = append(q.found, found{tx: pool[i].Tx})
			q.size += len(pool[i].Raw)
			return nil
		})
	}
	if q.reverse {
		err = addPool()
	}
	if err == nil {
		err = add(len(mined), func(i int) error { return q.read(&mined[i]) })
	}
	if err == nil && !q.reverse {
		err = addPool()
	}
	if err != nil {
		return nil, err
	}
	if len(q.found) == 0 {
		return nil, failf(CodeAddressOrKey, "No information available about address")
	}
	return q.tell(ctx)
}

// history reads as many transactions of blocks as may be wanted.
func (q *search) history(ctx context.Context, hash indexed.ScriptHash) (list []indexed.ScriptTx, at types.Index, err error) {
	page := indexed.Page{Oldest: !q.reverse}
	for left := q.skip + q.count; left > 0; left = q.skip + q.count - len(list) {
		if err := ctx.Err(); err != nil {
			return nil, at, err
		}
		page.Limit = min(left, maxPage)
		history, err := q.s.Scripts.ScriptHistory([]indexed.ScriptHash{hash}, page)
		if err != nil {
			return nil, at, err
		}
		list, at = append(list, history.Txs...), history.At
		if page.After = history.Next; page.After == nil {
			break
		}
	}
	return list, at, nil
}

// read adds a transaction of a block.
func (q *search) read(t *indexed.ScriptTx) error {
	raw, err := q.s.Blocks.BlockPart(t.Place.Block, t.Place.Offset, t.Place.Size)
	if err != nil {
		return err
	}
	tx, err := types.DecodeTx(raw)
	if err != nil {
		return consensus.Local(err)
	}
	q.found = append(q.found, found{tx, t.Place, t.Height, true})
	q.size += len(raw)
	return nil
}

// searchedJSON is a transaction in btcd's words. Its client reads the three sizes as texts.
type searchedJSON struct {
	Hex           string               `json:"hex"`
	TxID          types.Hash           `json:"txid"`
	Hash          types.Hash           `json:"hash"`
	Size          string               `json:"size"`
	VSize         string               `json:"vsize"`
	Weight        string               `json:"weight"`
	Version       int32                `json:"version"`
	LockTime      uint32               `json:"locktime"`
	Inputs        []searchedInputJSON  `json:"vin"`
	Outputs       []searchedOutputJSON `json:"vout"`
	Block         *types.Hash          `json:"blockhash,omitempty"`
	Confirmations uint32               `json:"confirmations,omitempty"`
	Time          uint32               `json:"time,omitempty"`
	BlockTime     uint32               `json:"blocktime,omitempty"`
}

type searchedInputJSON struct {
	Coinbase string            `json:"coinbase,omitempty"`
	TxID     *types.Hash       `json:"txid,omitempty"`
	Vout     *uint32           `json:"vout,omitempty"`
	Script   *searchedSigJSON  `json:"scriptSig,omitempty"`
	Witness  []string          `json:"txinwitness,omitempty"`
	Prevout  *searchedPrevJSON `json:"prevOut,omitempty"`
	Sequence uint32            `json:"sequence"`
}

// searchedSigJSON is empty: there are no other scripts of inputs.
type searchedSigJSON struct {
	Asm string `json:"asm"`
	Hex string `json:"hex"`
}

type searchedPrevJSON struct {
	Addresses []string    `json:"addresses,omitempty"`
	Value     json.Number `json:"value"`
}

type searchedOutputJSON struct {
	Value  json.Number `json:"value"`
	N      int         `json:"n"`
	Script scriptJSON  `json:"scriptPubKey"`
}

// tell writes down what was found.
func (q *search) tell(ctx context.Context) (any, error) {
	if !q.verbose {
		list := make([]string, len(q.found))
		for i := range q.found {
			list[i] = hex.EncodeToString(q.found[i].tx.AppendTo(nil))
		}
		return list, nil
	}
	list := make([]*searchedJSON, len(q.found))
	tip := q.s.Headers.Tip()
	for i := range q.found {
		f := &q.found[i]
		var spent []types.Coin
		if q.prevout || q.only != nil {
			var err error
			if spent, err = q.spent(ctx, f); err != nil {
				return nil, err
			}
		}
		list[i] = q.one(f, spent)
		if f.mined {
			info, _ := q.s.Headers.Info(f.place.Block)
			list[i].Block, list[i].Confirmations = &f.place.Block, max(tip.Height, f.height)-f.height+1
			list[i].Time, list[i].BlockTime = info.Header.Timestamp, info.Header.Timestamp
		}
	}
	return list, nil
}

func (q *search) one(f *found, spent []types.Coin) *searchedJSON {
	tx := f.tx
	j := &searchedJSON{
		Hex: hex.EncodeToString(tx.AppendTo(nil)), TxID: tx.TxID(), Hash: tx.WTxID(), Version: int32(tx.Version), LockTime: tx.LockTime,
		Size: strconv.Itoa(tx.Size()), VSize: strconv.Itoa(tx.VirtualSize()), Weight: strconv.Itoa(tx.Weight()),
		Inputs: []searchedInputJSON{}, Outputs: []searchedOutputJSON{},
	}
	shown := func(script []byte) bool { return q.only == nil || q.only.pays(&types.TxOut{ScriptPubKey: script}) }
	for i := range tx.Inputs {
		in := searchedInputJSON{Sequence: tx.Inputs[i].Sequence}
		if tx.IsCoinbase() {
			if in.Coinbase = hex.EncodeToString(tx.Inputs[i].ScriptSig); q.only == nil {
				j.Inputs = append(j.Inputs, in)
			}
			break
		}
		in.TxID, in.Vout, in.Script = &tx.Inputs[i].PreviousOutPoint.TxID, &tx.Inputs[i].PreviousOutPoint.Index, &searchedSigJSON{}
		for _, item := range tx.Inputs[i].Witness {
			in.Witness = append(in.Witness, hex.EncodeToString(item))
		}
		if i < len(spent) {
			if !shown(spent[i].ScriptPubKey()) {
				continue
			}
			if q.prevout {
				in.Prevout = &searchedPrevJSON{Value: amount(spent[i].Value)}
				if address, err := taproot.EncodeAddress(q.s.Params.HRP, spent[i].ScriptPubKey()); err == nil {
					in.Prevout.Addresses = []string{address}
				}
			}
		} else if q.only != nil {
			continue
		}
		j.Inputs = append(j.Inputs, in)
	}
	for i := range tx.Outputs {
		if out := &tx.Outputs[i]; shown(out.ScriptPubKey) {
			j.Outputs = append(j.Outputs, searchedOutputJSON{amount(out.Value), i, q.s.scriptJSON(out.ScriptPubKey)})
		}
	}
	return j
}

// spent returns the coins that a transaction spends; none if they are not known any more.
func (q *search) spent(ctx context.Context, f *found) ([]types.Coin, error) {
	if f.tx.IsCoinbase() {
		return nil, nil
	}
	if f.mined {
		if q.last.Block == nil || q.last.Block.Hash != f.place.Block {
			u, err := q.s.Blocks.BlockUpdate(f.place.Block)
			if err != nil {
				return nil, err
			}
			q.last = u
		}
		if spent := q.last.SpentCoins(); int(f.place.N) < len(spent) {
			return spent[f.place.N], nil
		}
		return nil, nil
	}
	coins := make([]types.Coin, len(f.tx.Inputs))
	outPoints := make([]types.OutPoint, len(f.tx.Inputs))
	for i := range f.tx.Inputs {
		outPoints[i] = f.tx.Inputs[i].PreviousOutPoint
	}
	fetched, _, err := q.s.Blocks.Coins(ctx, outPoints)
	if err != nil {
		return nil, err
	}
	for i := range coins {
		ok := fetched[i].Found
		coins[i] = fetched[i].Coin
		if parent := q.s.Pool.Get(outPoints[i].TxID); !ok && parent != nil && int(outPoints[i].Index) < len(parent.Tx.Outputs) {
			coins[i], ok = types.NewCoin(&parent.Tx.Outputs[outPoints[i].Index], 0, false)
		}
		if !ok {
			return nil, nil // it was confirmed meanwhile
		}
	}
	return coins, nil
}
