package rpc

import (
	"bytes"
	"slices"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// hashesJSON is a list of hashes.
type hashesJSON []types.Hash

func (j hashesJSON) writeJSON(w *jsonWriter) error {
	between := `["`
	for i := range j {
		w.raw(between)
		w.hash(j[i])
		between = `","`
		if err := w.spill(); err != nil {
			return err
		}
	}
	if len(j) == 0 {
		w.raw("[]")
	} else {
		w.raw(`"]`)
	}
	return w.spill()
}

// sequencedJSON is the ids of the pool's transactions with its sequence number.
type sequencedJSON struct {
	txids    hashesJSON
	sequence uint64
}

func (j *sequencedJSON) writeJSON(w *jsonWriter) error {
	w.raw(`{"txids":`)
	if err := j.txids.writeJSON(w); err != nil {
		return err
	}
	w.raw(`,"mempool_sequence":`)
	w.uint(j.sequence)
	w.raw("}")
	return w.spill()
}

// poolEntriesJSON is transactions of the pool by their ids.
type poolEntriesJSON []pending.Details

func (j poolEntriesJSON) writeJSON(w *jsonWriter) error {
	between := `{"`
	for i := range j {
		w.raw(between)
		w.hash(j[i].TxID)
		w.raw(`":`)
		if err := (poolEntryJSON{&j[i]}).writeJSON(w); err != nil {
			return err
		}
		between = `,"`
	}
	if len(j) == 0 {
		w.raw("{")
	}
	w.raw("}")
	return w.spill()
}

// poolEntryJSON is a transaction of the pool, in the order of Core's newest, where sizes
// may be adjusted for signature operations; here nothing is ever adjusted. Descendants and
// ancestors count the transaction itself. All fees but base are what they count for, with
// the deltas of prioritisetransaction. The chunk is the set with which a miner would
// take it. Replaceable is always true: everything can be replaced. Core shows the field only
// when asked to, but older programs look for it.
type poolEntryJSON struct{ *pending.Details }

func (j poolEntryJSON) writeJSON(w *jsonWriter) error {
	w.raw(`{"vsize_adjusted":`)
	w.int(int64(j.VSize))
	w.raw(`,"vsize":`)
	w.int(int64(j.VSize))
	w.raw(`,"vsize_bip141":`)
	w.int(int64(j.VSize))
	w.raw(`,"weight":`)
	w.int(int64(j.Weight))
	w.raw(`,"time":`)
	w.int(j.Time.Unix())
	w.raw(`,"height":`)
	w.uint(uint64(j.Height))
	w.raw(`,"descendantcount":`)
	w.int(int64(j.Descendants.Count))
	w.raw(`,"descendantsize":`)
	w.int(int64(j.Descendants.VSize))
	w.raw(`,"ancestorcount":`)
	w.int(int64(j.Ancestors.Count))
	w.raw(`,"ancestorsize":`)
	w.int(int64(j.Ancestors.VSize))
	w.raw(`,"wtxid":"`)
	w.hash(j.WTxID)
	w.raw(`","chunkweight":`)
	w.int(int64(j.Chunk.Weight))
	w.raw(`,"fees":{"base":`)
	w.amount(j.Fee)
	w.raw(`,"modified":`)
	w.amount(j.Modified)
	w.raw(`,"ancestor":`)
	w.amount(j.Ancestors.Fees)
	w.raw(`,"descendant":`)
	w.amount(j.Descendants.Fees)
	w.raw(`,"chunk":`)
	w.amount(j.Chunk.Fees)
	w.raw(`},"depends":`)
	// In Core's orders, of which the first is that of ids as they are written.
	if err := sorted(j.Depends, compareWritten).writeJSON(w); err != nil {
		return err
	}
	w.raw(`,"spentby":`)
	if err := sorted(j.SpentBy, func(a, b types.Hash) int { return bytes.Compare(a[:], b[:]) }).writeJSON(w); err != nil {
		return err
	}
	w.raw(`,"unbroadcast":`)
	w.bool(j.Unbroadcast)
	w.raw(`,"bip125-replaceable":true}`)
	return w.spill()
}

func sorted(hashes []types.Hash, compare func(a, b types.Hash) int) hashesJSON {
	if len(hashes) > 1 {
		hashes = slices.SortedFunc(slices.Values(hashes), compare)
	}
	return hashes
}

// compareWritten orders hashes as their texts, the last byte first.
func compareWritten(a, b types.Hash) int {
	slices.Reverse(a[:])
	slices.Reverse(b[:])
	return bytes.Compare(a[:], b[:])
}
