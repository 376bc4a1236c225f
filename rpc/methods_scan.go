package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

// maxFound is how many outputs or blocks a scan finds at most. They are in memory.
const maxFound = 250_000

func scanMethods() []method {
	action := param{name: "action", kind: kindString, sample: `start '["raw(51024e73)"]'`, about: "start, which returns when the scan is over; status; or abort"}
	objects := param{name: "scanobjects", kind: kindArray, optional: "none", about: "Of start: descriptors, or objects with desc and range (default 1000, the last index or [first,last])"}
	return []method{
		{name: "scantxoutset", read: scanTxOutSet, about: "Looks for the unspent outputs of descriptors, in all unspent outputs. One scan runs at a time.", params: []param{action, objects}},
		{name: "scanblocks", read: scanBlocks, about: "Looks for the blocks that concern descriptors, by the index of block filters. One scan runs at a time.", params: []param{action, objects,
			{name: "start_height", kind: kindNumber, optional: "0", about: "The first height"},
			{name: "stop_height", kind: kindNumber, optional: "that of the tip", about: "The last height"},
			{name: "filtertype", kind: kindString, optional: "basic", about: "The type name of the filter"},
			{name: "options", kind: kindObject, optional: "none", about: "Options", options: []param{
				{name: "filter_false_positives", kind: kindBool, optional: "false", about: "Read the blocks that the filters name, and leave out those that concern nothing, of which there are few"}}}}},
	}
}

// foundCoin is an unspent output that scantxoutset finds.
type foundCoin struct {
	outPoint   types.OutPoint
	value      types.Amount
	height     uint32
	isCoinbase bool
	script     string // that is watched
}

// scanTxOutSet is Core's scantxoutset. It walks over a snapshot of the coins, so that
// blocks come in meanwhile.
func scanTxOutSet(s *Server, a *args) work {
	start, other := a.scanAction(func() any {
		return struct {
			Progress int32 `json:"progress"`
		}{s.coinScan.progress.Load()}
	}, &s.coinScan)
	if !start {
		return other
	}
	objects := a.scanObjects(1)
	return func(ctx context.Context) (any, error) {
		scanning, end, err := s.beginScan(ctx, &s.coinScan)
		if err != nil {
			return nil, err
		}
		defer end()
		w, err := s.watch(scanning, objects)
		found := &coinsFound{descs: map[string]string{}, blocks: map[uint32]types.Hash{}}
		if err == nil {
			err = s.findCoins(scanning, w, found)
		}
		if err != nil && !aborted(scanning) {
			return nil, err
		}
		found.complete = err == nil
		if found.at == (types.Index{}) {
			found.at = s.Headers.Tip()
		}
		return found, s.explain(found, w)
	}
}

// findCoins walks over the coins.
func (s *Server) findCoins(scanning context.Context, w *watched, found *coinsFound) error {
	at, err := s.Operator.ForEachCoin(scanning, func(outPoint types.OutPoint, coin *types.Coin) error {
		if found.looked++; found.looked%4096 == 0 {
			s.coinScan.progress.Store(int32(100 * int(binary.BigEndian.Uint16(outPoint.TxID[:])) >> 16))
			if err := scanning.Err(); err != nil {
				return err
			}
		}
		script := coin.ScriptPubKey()
		if _, watched := w.scripts[string(script)]; !watched {
			return nil
		}
		if len(found.coins) == maxFound {
			return failf(CodeInvalidParam, "More than %d unspent outputs were found", maxFound)
		}
		found.coins = append(found.coins, foundCoin{outPoint, coin.Value, coin.Height, coin.IsCoinbase, string(script)})
		return nil
	})
	if err == nil {
		s.coinScan.progress.Store(100)
	}
	found.at = at
	return err
}

// coinsFound is the answer of scantxoutset.
type coinsFound struct {
	complete bool
	looked   uint64 // outputs that were looked at
	at       types.Index
	coins    []foundCoin
	descs    map[string]string     // of the scripts that were found, as JSON
	blocks   map[uint32]types.Hash // of their heights
}

// explain fills in what the coins do not tell: the descriptors, and the blocks, which
// are those below the block that the coins were of, whatever the best chain is now.
func (s *Server) explain(found *coinsFound, w *watched) error {
	lowest := found.at.Height + 1
	for i := range found.coins {
		c := &found.coins[i]
		if _, known := found.descs[c.script]; !known {
			found.descs[c.script] = s.describeWatched(w, c.script)
		}
		found.blocks[c.height] = types.Hash{}
		lowest = min(lowest, c.height)
	}
	at := found.at
	for at.Height >= lowest {
		info, ok := s.Headers.Info(at.Hash)
		if !ok || info.OnBestChain {
			break
		}
		found.blocks[at.Height] = at.Hash
		at = types.Index{Height: at.Height - 1, Hash: info.Header.PrevBlock}
	}
	for height := range found.blocks {
		if height <= at.Height {
			found.blocks[height], _ = s.Headers.HashAt(height)
		}
	}
	slices.SortFunc(found.coins, func(a, b foundCoin) int {
		if order := bytes.Compare(a.outPoint.TxID[:], b.outPoint.TxID[:]); order != 0 {
			return order
		}
		return int(int64(a.outPoint.Index) - int64(b.outPoint.Index))
	})
	return nil
}

// writeJSON implements streamer.
func (f *coinsFound) writeJSON(w *jsonWriter) error {
	w.raw(`{"success":`)
	w.bool(f.complete)
	w.raw(`,"txouts":`)
	w.uint(f.looked)
	w.raw(`,"height":`)
	w.uint(uint64(f.at.Height))
	w.raw(`,"bestblock":"`)
	w.hash(f.at.Hash)
	w.raw(`","unspents":[`)
	total := types.Amount(0)
	for i := range f.coins {
		c := &f.coins[i]
		if total += c.value; i > 0 {
			w.raw(",")
		}
		f.writeCoin(w, c)
		if err := w.spill(); err != nil {
			return err
		}
	}
	w.raw(`],"total_amount":`)
	w.raw(total.String())
	w.raw("}")
	return nil
}

func (f *coinsFound) writeCoin(w *jsonWriter, c *foundCoin) {
	w.raw(`{"txid":"`)
	w.hash(c.outPoint.TxID)
	w.raw(`","vout":`)
	w.uint(uint64(c.outPoint.Index))
	w.raw(`,"scriptPubKey":"`)
	w.hex([]byte(c.script))
	w.raw(`","desc":`)
	w.raw(f.descs[c.script])
	w.raw(`,"amount":`)
	w.raw(c.value.String())
	w.raw(`,"coinbase":`)
	w.bool(c.isCoinbase)
	w.raw(`,"height":`)
	w.uint(uint64(c.height))
	w.raw(`,"blockhash":"`)
	w.hash(f.blocks[c.height])
	w.raw(`","confirmations":`)
	w.uint(uint64(f.at.Height-c.height) + 1)
	w.raw("}")
}

// blocksFoundJSON is the answer of scanblocks.
type blocksFoundJSON struct {
	From      uint32       `json:"from_height"`
	To        uint32       `json:"to_height"`
	Relevant  []types.Hash `json:"relevant_blocks"`
	Completed bool         `json:"completed"`
}

// scanBlocks is Core's scanblocks. Where Core passes blocks over of which it has no filter
// yet, karat says so.
func scanBlocks(s *Server, a *args) work {
	start, other := a.scanAction(func() any {
		return struct {
			Progress int32  `json:"progress"`
			Height   uint32 `json:"current_height"`
		}{s.blockScan.progress.Load(), s.blockScan.height.Load()}
	}, &s.blockScan)
	if !start {
		return other
	}
	objects := a.scanObjects(1)
	if a.text(4, "basic") != "basic" {
		a.fail(failf(CodeAddressOrKey, "Unknown filtertype"))
	}
	var options struct {
		FilterFalsePositives bool `json:"filter_false_positives"`
	}
	a.options(5, &options)
	if !s.indexed(indexed.Filters) {
		a.fail(failf(CodeMisc, "Index is not enabled for filtertype basic"))
	}
	tip := int64(s.Headers.Tip().Height)
	from, to := a.int32(2, 0), a.int32(3, tip)
	switch {
	case from < 0 || from > tip:
		a.fail(failf(CodeMisc, "Invalid start_height"))
	case to < from || to > tip:
		a.fail(failf(CodeMisc, "Invalid stop_height"))
	}
	return func(ctx context.Context) (any, error) {
		scanning, end, err := s.beginScan(ctx, &s.blockScan)
		if err != nil {
			return nil, err
		}
		defer end()
		j := blocksFoundJSON{From: uint32(from), To: uint32(from), Relevant: []types.Hash{}}
		s.blockScan.height.Store(j.From)
		w, err := s.watch(scanning, objects)
		if err == nil {
			err = s.findBlocks(scanning, w, &j, uint32(to), options.FilterFalsePositives)
		}
		if err != nil && !aborted(scanning) {
			return nil, err
		}
		j.Completed = err == nil
		return j, nil
	}
}

// findBlocks asks the filter of each height up to the last.
func (s *Server) findBlocks(scanning context.Context, w *watched, j *blocksFoundJSON, last uint32, exact bool) error {
	s.Index.Wait(scanning, indexed.Filters) // a client that has just heard of a block asks for it
	scripts := w.list()
	for height := j.From; height <= last; height++ {
		if err := scanning.Err(); err != nil {
			return err
		}
		hash, ok := s.Headers.HashAt(height)
		if !ok {
			return nil // the chain has become shorter
		}
		bytes, _, err := s.Index.Filter(hash)
		if err != nil {
			return failf(CodeMisc, "Filter not found. Block filters are still in the process of being indexed.")
		}
		match, err := filter.Match(bytes, hash, scripts)
		if err != nil {
			return err
		}
		if match && exact {
			if match, err = s.concerns(hash, w); err != nil {
				return err
			}
		}
		if match {
			if len(j.Relevant) == maxFound {
				return failf(CodeInvalidParam, "More than %d blocks were found", maxFound)
			}
			j.Relevant = append(j.Relevant, hash)
		}
		j.To = height
		s.blockScan.height.Store(height)
		s.blockScan.progress.Store(int32(100 * uint64(height-j.From) / uint64(max(1, last-j.From))))
	}
	return nil
}

// concerns reports whether a block makes or spends an output that is watched.
func (s *Server) concerns(hash types.Hash, w *watched) (bool, error) {
	found := errors.New("found")
	info, _ := s.Headers.Info(hash)
	err := s.eachActivity(&info, w, func(*activity) error { return found })
	if err == found {
		return true, nil
	}
	return false, err
}
