package rpc

import (
	"math"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// hexJSON is bytes as a text in hexadecimal.
type hexJSON []byte

func (j hexJSON) writeJSON(w *jsonWriter) error {
	w.raw(`"`)
	w.hex(j)
	w.raw(`"`)
	return w.spill()
}

// rawBlockJSON is the encoding of a block in hexadecimal.
type rawBlockJSON struct {
	s    *Server
	info header.Info
}

func (j *rawBlockJSON) writeJSON(w *jsonWriter) error {
	l, err := j.s.leaseOf(&j.info, false)
	if err != nil {
		return err
	}
	defer w.use(l)()
	w.raw(`"`)
	if err := l.eachPiece(w.ctx, 0, math.MaxInt, func(part []byte) error {
		w.hex(part)
		return w.spill()
	}); err != nil {
		return err
	}
	w.raw(`"`)
	return w.spill()
}

// headerJSON is a block's header with what the tree tells of it. The genesis block has
// none before it, the tip and blocks of branches none after them; nTx is 0 until the
// body has come.
type headerJSON struct {
	info          header.Info
	confirmations int64
}

func (s *Server) headerJSON(info *header.Info) headerJSON {
	return headerJSON{*info, s.confirmations(info)}
}

func (j headerJSON) appendJSON(b []byte) []byte {
	w := jsonWriter{b: b}
	j.writeMembers(&w)
	return append(w.b, '}')
}

// MarshalJSON implements json.Marshaler.
func (j headerJSON) MarshalJSON() ([]byte, error) { return j.appendJSON(nil), nil }

// writeMembers writes the object without its end.
func (j *headerJSON) writeMembers(w *jsonWriter) {
	info, h := &j.info, &j.info.Header
	target, _, _ := consensus.ExpandBits(h.Bits)
	w.raw(`{"hash":"`)
	w.hash(info.Hash)
	w.raw(`","confirmations":`)
	w.int(j.confirmations)
	w.raw(`,"height":`)
	w.uint(uint64(info.Height))
	w.raw(`,"version":`)
	w.int(int64(h.Version))
	w.raw(`,"versionHex":"`)
	w.hex32(uint32(h.Version))
	w.raw(`","merkleroot":"`)
	w.hash(h.MerkleRoot)
	w.raw(`","time":`)
	w.uint(uint64(h.Timestamp))
	w.raw(`,"mediantime":`)
	w.uint(uint64(info.MedianTime))
	w.raw(`,"nonce":`)
	w.uint(uint64(h.Nonce))
	w.raw(`,"bits":"`)
	w.hex32(h.Bits)
	w.raw(`","target":"`)
	w.raw(target.String())
	w.raw(`","difficulty":`)
	w.raw(string(difficulty(h.Bits)))
	w.raw(`,"chainwork":"`)
	w.raw(info.Work.String())
	w.raw(`","nTx":`)
	w.uint(uint64(info.TxCount))
	if info.Height > 0 {
		w.raw(`,"previousblockhash":"`)
		w.hash(h.PrevBlock)
		w.raw(`"`)
	}
	if !info.Next.IsZero() {
		w.raw(`,"nextblockhash":"`)
		w.hash(info.Next)
		w.raw(`"`)
	}
}

// blockJSON is a block with ids or transactions. The coinbase is told apart as well,
// for those who ask for ids alone.
type blockJSON struct {
	s *Server
	headerJSON
	verbosity int64
}

func (j *blockJSON) writeJSON(w *jsonWriter) error {
	l, err := j.s.leaseOf(&j.info, true)
	if err != nil {
		return err
	}
	defer w.use(l)()
	v, err := l.view(w.ctx)
	if err != nil {
		return err
	}
	txs := v.Block.Txs
	j.writeMembers(w)
	w.raw(`,"strippedsize":`)
	w.int(int64((v.Weight - len(v.raw)) / (types.WitnessScale - 1)))
	w.raw(`,"size":`)
	w.int(int64(len(v.raw)))
	w.raw(`,"weight":`)
	w.int(int64(v.Weight))
	writeCoinbase(w, &txs[0])
	w.raw(`,"tx":[`)
	for i := range len(txs) {
		if i > 0 {
			w.raw(",")
		}
		if v, err = l.view(w.ctx); err != nil { // the same, or read once more
			return err
		}
		if j.verbosity <= 1 {
			w.raw(`"`)
			w.hash(v.TxIDs[i])
			w.raw(`"`)
		} else if err := v.tx(i, j.s.Params.HRP, j.verbosity >= 3).writeJSON(w); err != nil {
			return err
		}
		if err := w.spill(); err != nil {
			return err
		}
	}
	w.raw("]}")
	return w.spill()
}

// writeCoinbase tells of a coinbase what a block explorer shows: what its miner wrote, and
// the reserved value for the witness commitment (BIP141), its only witness.
func writeCoinbase(w *jsonWriter, tx *types.Tx) {
	in := &tx.Inputs[0]
	w.raw(`,"coinbase_tx":{"version":`)
	w.uint(uint64(tx.Version))
	w.raw(`,"locktime":`)
	w.uint(uint64(tx.LockTime))
	w.raw(`,"sequence":`)
	w.uint(uint64(in.Sequence))
	w.raw(`,"coinbase":"`)
	w.hex(in.ScriptSig)
	w.raw(`"`)
	if len(in.Witness) == 1 && len(in.Witness[0]) > 0 {
		w.raw(`,"witness":"`)
		w.hex(in.Witness[0])
		w.raw(`"`)
	}
	w.raw("}")
}
