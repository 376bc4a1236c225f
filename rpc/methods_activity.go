package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// maxActivityBlocks is how many blocks getdescriptoractivity reads in a call.
const maxActivityBlocks = 10_000

func activityMethods() []method {
	return []method{
		{name: "getdescriptoractivity", slow: true, read: getDescriptorActivity, about: "Tells what blocks, and waiting transactions, spend and make of the outputs of descriptors. scanblocks finds the blocks.", params: []param{
			{name: "blockhashes", kind: kindArray, sample: `'["BLOCKHASH"]'`, about: "The hashes of blocks of the best chain"},
			{name: "scanobjects", kind: kindArray, sample: `'["raw(51024e73)"]'`, about: "Descriptors, or objects with desc and range (default 1000, the last index or [first,last])"},
			{name: "include_mempool", kind: kindBool, optional: "true", about: "Whether to look at waiting transactions"}}},
	}
}

// activity is an output that is spent or made.
type activity struct {
	block  *header.Info // nil if the transaction waits
	txid   types.Hash
	index  int            // of the input that spends it, or of the output
	spent  types.OutPoint // the output that an input spends
	value  types.Amount
	script string
	spends bool
}

// getDescriptorActivity is Core's getdescriptoractivity.
func getDescriptorActivity(s *Server, a *args) work {
	var blocks []header.Info
	for _, text := range a.texts(0, maxActivityBlocks) {
		info, ok := s.Headers.Info(a.parseHash("blockhash", text))
		switch {
		case !ok:
			a.fail(errNoBlock)
		case !info.OnBestChain:
			a.fail(failf(CodeInvalidParam, "Block is not in main chain"))
		}
		blocks = append(blocks, info)
	}
	objects, withPool := a.scanObjects(1), a.flag(2, true)
	return func(ctx context.Context) (any, error) {
		w, err := s.watch(ctx, objects)
		if err != nil {
			return nil, err
		}
		slices.SortFunc(blocks, func(a, b header.Info) int { return int(int64(a.Height) - int64(b.Height)) })
		blocks = slices.CompactFunc(blocks, func(a, b header.Info) bool { return a.Hash == b.Hash })
		all := &activities{s: s}
		for i := range blocks {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := s.eachActivity(&blocks[i], w, all.add); err != nil {
				return nil, err
			}
		}
		if withPool {
			if err := s.eachWaiting(ctx, w, all.add); err != nil {
				return nil, err
			}
		}
		return all, nil
	}
}

// eachActivity visits what a block spends and makes of what is watched, in its order.
func (s *Server) eachActivity(info *header.Info, w *watched, visit func(*activity) error) error {
	block, spent, err := s.blockAndSpent(info)
	if err != nil {
		return err
	}
	for i := range block.Block.Txs {
		tx := &block.Block.Txs[i]
		var coins []types.Coin
		if i > 0 && spent != nil {
			coins = spent[i]
		}
		for j := range coins {
			if err := w.visitSpend(tx, block.TxIDs[i], j, coins[j].Output(), info, visit); err != nil {
				return err
			}
		}
		if err := w.visitOutputs(tx, block.TxIDs[i], info, visit); err != nil {
			return err
		}
	}
	return nil
}

// blockAndSpent returns a block of the best chain, and what its transactions spend.
func (s *Server) blockAndSpent(info *header.Info) (*consensus.HashedBlock, [][]types.Coin, error) {
	block, err := s.block(info)
	if err != nil || info.Height == 0 { // the genesis block spends nothing
		return block, nil, err
	}
	u, err := s.Blocks.BlockUpdate(info.Hash)
	if errors.Is(err, consensus.ErrNotFound) {
		return nil, nil, failf(CodeMisc, "Undo data not available (pruned data)")
	}
	if err != nil {
		return nil, nil, err
	}
	return block, u.SpentCoins(), nil
}

// visitSpend visits an input, if the output that it spends is watched.
func (w *watched) visitSpend(tx *types.Tx, txid types.Hash, input int, out types.TxOut, block *header.Info, visit func(*activity) error) error {
	if _, ok := w.scripts[string(out.ScriptPubKey)]; !ok {
		return nil
	}
	return visit(&activity{block, txid, input, tx.Inputs[input].PreviousOutPoint, out.Value, string(out.ScriptPubKey), true})
}

// visitOutputs visits the outputs that are watched.
func (w *watched) visitOutputs(tx *types.Tx, txid types.Hash, block *header.Info, visit func(*activity) error) error {
	for i := range tx.Outputs {
		out := &tx.Outputs[i]
		if _, ok := w.scripts[string(out.ScriptPubKey)]; !ok {
			continue
		}
		if err := visit(&activity{block, txid, i, types.OutPoint{}, out.Value, string(out.ScriptPubKey), false}); err != nil {
			return err
		}
	}
	return nil
}

// eachWaiting visits what waiting transactions spend and make of what is watched.
func (s *Server) eachWaiting(ctx context.Context, w *watched, visit func(*activity) error) error {
	entries := s.Pool.Entries()
	waiting := make(map[types.Hash]*types.Tx, len(entries))
	for _, e := range entries {
		waiting[e.TxID] = e.Tx
	}
	for _, e := range entries {
		outs, err := s.spentByWaiting(ctx, e, waiting)
		if err != nil {
			return err
		}
		for i := range outs {
			if err := w.visitSpend(e.Tx, e.TxID, i, outs[i], nil, visit); err != nil {
				return err
			}
		}
		if err := w.visitOutputs(e.Tx, e.TxID, nil, visit); err != nil {
			return err
		}
	}
	return nil
}

// spentByWaiting returns the outputs that a waiting transaction spends. One that a block
// has taken meanwhile spends what is not there any more, which has no script here.
func (s *Server) spentByWaiting(ctx context.Context, e *pending.Entry, waiting map[types.Hash]*types.Tx) ([]types.TxOut, error) {
	outs := make([]types.TxOut, len(e.Tx.Inputs))
	var wanted []types.OutPoint
	var places []int
	for i := range e.Tx.Inputs {
		o := e.Tx.Inputs[i].PreviousOutPoint
		if parent := waiting[o.TxID]; parent != nil && int(o.Index) < len(parent.Outputs) {
			outs[i] = parent.Outputs[o.Index]
			continue
		}
		wanted, places = append(wanted, o), append(places, i)
	}
	if len(wanted) == 0 {
		return outs, nil
	}
	coins, _, err := s.Blocks.Coins(ctx, wanted)
	if err != nil {
		return nil, err
	}
	for i := range coins {
		if coins[i].Found {
			outs[places[i]] = coins[i].Coin.Output()
		}
	}
	return outs, nil
}

// activities is the answer of getdescriptoractivity.
type activities struct {
	s    *Server
	list []activity
}

func (l *activities) add(a *activity) error {
	if len(l.list) == maxFound {
		return failf(CodeInvalidParam, "More than %d outputs were spent and made", maxFound)
	}
	l.list = append(l.list, *a)
	return nil
}

// The two kinds of activity, with Core's names.
type (
	spendJSON struct {
		Type    string      `json:"type"`
		Amount  json.Number `json:"amount"`
		Block   *types.Hash `json:"blockhash,omitempty"`
		Height  *uint32     `json:"height,omitempty"`
		TxID    types.Hash  `json:"spend_txid"`
		Input   int         `json:"spend_vin"`
		Prevout types.Hash  `json:"prevout_txid"`
		Vout    uint32      `json:"prevout_vout"`
		Script  scriptJSON  `json:"prevout_spk"`
	}
	receiveJSON struct {
		Type   string      `json:"type"`
		Amount json.Number `json:"amount"`
		Block  *types.Hash `json:"blockhash,omitempty"`
		Height *uint32     `json:"height,omitempty"`
		TxID   types.Hash  `json:"txid"`
		Vout   int         `json:"vout"`
		Script scriptJSON  `json:"output_spk"`
	}
)

// json returns one as clients see it.
func (l *activities) json(a *activity) any {
	var block *types.Hash
	var height *uint32
	if a.block != nil {
		block, height = &a.block.Hash, &a.block.Height
	}
	script := l.s.scriptJSON([]byte(a.script))
	if a.spends {
		return spendJSON{"spend", amount(a.value), block, height, a.txid, a.index, a.spent.TxID, a.spent.Index, script}
	}
	return receiveJSON{"receive", amount(a.value), block, height, a.txid, a.index, script}
}

// writeJSON implements streamer.
func (l *activities) writeJSON(w *jsonWriter) error {
	w.raw(`{"activity":[`)
	for i := range l.list {
		if i > 0 {
			w.raw(",")
		}
		if err := w.value(l.json(&l.list[i])); err != nil {
			return err
		}
		if err := w.spill(); err != nil {
			return err
		}
	}
	w.raw("]}")
	return nil
}
