package rpc

import (
	"encoding/json"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// amount writes grains as a number of coins with eight decimals, as Bitcoin Core
// does. A float would be written as 1e-8.
func amount(a types.Amount) json.Number { return json.Number(a.String()) }

// feeRate writes a feerate as coins per 1000 virtual bytes.
func feeRate(r types.FeeRate) json.Number { return amount(types.Amount(r)) }

// txJSON is a transaction, in a block or alone. txid leaves the witnesses out and does
// not change with them; hash covers them (BIP141).
type txJSON struct {
	hrp           string
	tx            *types.Tx
	raw           []byte // the encoding; nil: hex is not wanted
	size, weight  int
	txid, witness types.Hash  // and that of all of it
	keys          []keyStatus // of the outputs; nil: they are unknown

	// spent are the coins of the inputs; nil: they are not known, or it is a coinbase.
	// They are on the curve: a block with a spend of another output is not valid (BIP341).
	spent    []types.Coin
	prevouts bool // whether they are shown, besides the fee

	place *txPlaceJSON // nil: it is in no block, or in one that is known
}

// txPlaceJSON is where a transaction was found. Only a block that was named can be off the
// best chain, so only then is it told.
type txPlaceJSON struct {
	block         header.Info
	confirmations int64 // 0: the block is not on the best chain
	named         bool
	hashAlone     bool // nothing but the block is told
}

// txJSON tells of a transaction what itself shows.
func (s *Server) txJSON(tx *types.Tx, withHex bool) *txJSON {
	raw := tx.AppendTo(make([]byte, 0, tx.Size()))
	j := &txJSON{hrp: s.Params.HRP, tx: tx, size: len(raw), weight: tx.Weight(), txid: tx.TxID()}
	j.witness = types.DoubleSHA256(raw)
	if withHex {
		j.raw = raw
	}
	return j
}

// poolTx tells of a transaction of the pool, which has computed most of it.
func (s *Server) poolTx(e *pending.Entry) *txJSON {
	return &txJSON{hrp: s.Params.HRP, tx: e.Tx, raw: e.Raw, size: len(e.Raw), weight: e.Weight, txid: e.TxID, witness: e.WTxID}
}

// addSpent adds what a transaction alone does not show: the fee, and if wanted the
// outputs that are spent. spent are the coins of the inputs, none for a coinbase.
func (j *txJSON) addSpent(spent []types.Coin, prevouts bool) {
	if !j.tx.IsCoinbase() && len(spent) == len(j.tx.Inputs) {
		j.spent, j.prevouts = spent, prevouts
	}
}

func (j *txJSON) appendJSON(b []byte) []byte { return written(b, j) }

// MarshalJSON implements json.Marshaler.
func (j *txJSON) MarshalJSON() ([]byte, error) { return j.appendJSON(nil), nil }

func (j *txJSON) writeJSON(w *jsonWriter) error {
	tx := j.tx
	w.raw("{")
	if j.place != nil && j.place.named {
		w.raw(`"in_active_chain":`)
		w.bool(j.place.block.OnBestChain)
		w.raw(",")
	}
	w.raw(`"txid":"`)
	w.hash(j.txid)
	w.raw(`","hash":"`)
	w.hash(j.witness)
	w.raw(`","version":`)
	w.uint(uint64(tx.Version))
	w.raw(`,"size":`)
	w.int(int64(j.size))
	w.raw(`,"vsize":`)
	w.int(int64((j.weight + types.WitnessScale - 1) / types.WitnessScale))
	w.raw(`,"weight":`)
	w.int(int64(j.weight))
	w.raw(`,"locktime":`)
	w.uint(uint64(tx.LockTime))
	w.raw(`,"vin":[`)
	coinbase := tx.IsCoinbase()
	for i := range tx.Inputs {
		if i > 0 {
			w.raw(",")
		}
		j.writeInput(w, i, coinbase)
		if err := w.spill(); err != nil {
			return err
		}
	}
	w.raw(`],"vout":[`)
	if err := j.writeOutputs(w); err != nil {
		return err
	}
	w.raw("]")
	if j.spent != nil {
		w.raw(`,"fee":`)
		w.amount(j.fee())
	}
	if j.raw != nil {
		w.raw(`,"hex":"`)
		w.hex(j.raw)
		w.raw(`"`)
	}
	if j.place != nil {
		j.place.write(w)
	}
	w.raw("}")
	return w.spill()
}

func (j *txJSON) writeOutputs(w *jsonWriter) error {
	for i := range j.tx.Outputs {
		if i > 0 {
			w.raw(",")
		}
		w.raw(`{"value":`)
		w.amount(j.tx.Outputs[i].Value)
		w.raw(`,"n":`)
		w.int(int64(i))
		w.raw(`,"scriptPubKey":`)
		script := scriptJSON{hrp: j.hrp, script: j.tx.Outputs[i].ScriptPubKey}
		if j.keys != nil {
			script.key = j.keys[i]
		}
		if err := script.writeJSON(w); err != nil {
			return err
		}
		w.raw("}")
	}
	return nil
}

// fee is what a transaction leaves of the coins that it spends.
func (j *txJSON) fee() (fee types.Amount) {
	for i := range j.spent {
		fee += j.spent[i].Value
	}
	for i := range j.tx.Outputs {
		fee -= j.tx.Outputs[i].Value
	}
	return fee
}

// writeInput writes an input: a coinbase's, or one that spends.
func (j *txJSON) writeInput(w *jsonWriter, i int, coinbase bool) {
	in := &j.tx.Inputs[i]
	if coinbase {
		w.raw(`{"coinbase":"`)
		w.hex(in.ScriptSig)
		w.raw(`",`)
	} else {
		w.raw(`{"txid":"`)
		w.hash(in.PreviousOutPoint.TxID)
		w.raw(`","vout":`)
		w.uint(uint64(in.PreviousOutPoint.Index))
		w.raw(`,"scriptSig":{"asm":"`)
		w.asm(in.ScriptSig, true)
		w.raw(`","hex":"`)
		w.hex(in.ScriptSig)
		w.raw(`"},`)
	}
	if len(in.Witness) > 0 {
		w.raw(`"txinwitness":[`)
		for k, item := range in.Witness {
			if k > 0 {
				w.raw(",")
			}
			w.raw(`"`)
			w.hex(item)
			w.raw(`"`)
			if w.spill() != nil {
				return
			}
		}
		w.raw("],")
	}
	if j.prevouts {
		coin := &j.spent[i]
		w.raw(`"prevout":{"generated":`)
		w.bool(coin.IsCoinbase)
		w.raw(`,"height":`)
		w.uint(uint64(coin.Height))
		w.raw(`,"value":`)
		w.amount(coin.Value)
		w.raw(`,"scriptPubKey":`)
		_ = scriptJSON{hrp: j.hrp, script: coin.ScriptPubKey(), key: keyValid}.writeJSON(w)
		w.raw("},")
	}
	w.raw(`"sequence":`)
	w.uint(uint64(in.Sequence))
	w.raw("}")
}

func (p *txPlaceJSON) write(w *jsonWriter) {
	w.raw(`,"blockhash":"`)
	w.hash(p.block.Hash)
	w.raw(`"`)
	if p.hashAlone {
		return
	}
	w.raw(`,"confirmations":`)
	w.int(p.confirmations)
	if p.block.OnBestChain {
		w.raw(`,"time":`)
		w.uint(uint64(p.block.Header.Timestamp))
		w.raw(`,"blocktime":`)
		w.uint(uint64(p.block.Header.Timestamp))
	}
}
