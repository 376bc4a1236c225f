package web

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/proof"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// txJSON is a transaction as Esplora writes it.
type txJSON struct {
	TxID     types.Hash   `json:"txid"`
	Version  uint32       `json:"version"`
	LockTime uint32       `json:"locktime"`
	Inputs   []inputJSON  `json:"vin"`
	Outputs  []outputJSON `json:"vout"`
	Size     int          `json:"size"`
	Weight   int          `json:"weight"`
	Fee      types.Amount `json:"fee"`
	Status   *statusJSON  `json:"status,omitempty"`
}

type inputJSON struct {
	TxID       types.Hash  `json:"txid"`
	Index      uint32      `json:"vout"`
	Prevout    *outputJSON `json:"prevout"`
	ScriptSig  string      `json:"scriptsig"`
	Asm        string      `json:"scriptsig_asm"`
	Witness    []string    `json:"witness,omitempty"`
	IsCoinbase bool        `json:"is_coinbase"`
	Sequence   uint32      `json:"sequence"`
	LeafAsm    string      `json:"inner_witnessscript_asm,omitempty"`
}

type outputJSON struct {
	Script  string       `json:"scriptpubkey"`
	Asm     string       `json:"scriptpubkey_asm"`
	Type    string       `json:"scriptpubkey_type"`
	Address string       `json:"scriptpubkey_address,omitempty"`
	Value   types.Amount `json:"value"`
}

// maxListed is how many inputs and outputs of a transaction are told: whoever wants more has
// the encoding. None that nodes relay has so many.
const maxListed = 25_000

func (s *Server) outputJSON(out *types.TxOut) outputJSON {
	o := outputJSON{Script: hex.EncodeToString(out.ScriptPubKey), Asm: esploraAsm(out.ScriptPubKey), Type: "unknown", Value: out.Value}
	version, program, ok := types.WitnessProgram(out.ScriptPubKey)
	switch {
	case len(out.ScriptPubKey) == 0:
		o.Type = "empty"
	case ok && taproot.IsPayToAnchor(version, program):
		o.Type = "anchor"
	case ok && version == 1 && len(program) == 32:
		o.Type = "v1_p2tr"
	case out.ScriptPubKey[0] == taproot.OpReturn:
		o.Type = "op_return"
	}
	if ok && version > 0 {
		o.Address, _ = taproot.EncodeAddress(s.Params.HRP, out.ScriptPubKey)
	}
	return o
}

// esploraAsm writes a script in the words of Esplora's library, which tell how a push was made.
func esploraAsm(script []byte) string {
	var b []byte
	for at := 0; at < len(script); {
		if at > 0 {
			b = append(b, ' ')
		}
		op, data, next, ok := taproot.NextOp(script, at)
		switch {
		case !ok:
			return string(append(b, "<push past end>"...))
		case op == 0:
			b = append(b, "OP_0"...)
		case op < taproot.OpPushData1:
			b = hex.AppendEncode(fmt.Appendf(b, "OP_PUSHBYTES_%d ", op), data)
		case op <= taproot.OpPushData4:
			b = hex.AppendEncode(fmt.Appendf(b, "OP_PUSHDATA%d ", 1<<(op-taproot.OpPushData1)), data)
		case op == taproot.Op1Negate:
			b = append(b, "OP_PUSHNUM_NEG1"...)
		case op >= taproot.Op1 && op <= taproot.Op16:
			b = fmt.Appendf(b, "OP_PUSHNUM_%d", op-taproot.Op1+1)
		default:
			b = taproot.AppendWord(b, op, data)
		}
		at = next
	}
	return string(b)
}

// maxLeafAsm is how many bytes a leaf has at most that is told in words: these are up to twenty
// times as long. No script that wallets make is longer.
const maxLeafAsm = 10_000

// leafAsm is the script that a witness shows and meets, in words; empty: it shows none (BIP341).
func leafAsm(spent []byte, witness [][]byte) string {
	if version, program, ok := types.WitnessProgram(spent); !ok || version != 1 || len(program) != 32 {
		return ""
	}
	if n := len(witness); n >= 2 && len(witness[n-1]) > 0 && witness[n-1][0] == 0x50 { // an annex
		witness = witness[:n-1]
	}
	n := len(witness)
	if n < 2 || len(witness[n-1]) < 33 || len(witness[n-2]) > maxLeafAsm {
		return ""
	}
	return esploraAsm(witness[n-2])
}

// txJSON writes a transaction.
func (s *Server) txJSON(ctx context.Context, t transaction, txid types.Hash, status *statusJSON) (txJSON, error) {
	j := txJSON{
		TxID: txid, Version: uint32(t.tx.Version), LockTime: t.tx.LockTime, Size: len(t.raw), Weight: t.tx.Weight(), Fee: t.fee, Status: status,
		Inputs: []inputJSON{}, Outputs: []outputJSON{},
	}
	listed := min(len(t.tx.Inputs), maxListed)
	prevouts, err := s.prevouts(ctx, t, 0, listed)
	if err != nil {
		return j, err
	}
	for i := range listed {
		in := &t.tx.Inputs[i]
		ij := inputJSON{
			TxID: in.PreviousOutPoint.TxID, Index: in.PreviousOutPoint.Index, ScriptSig: hex.EncodeToString(in.ScriptSig), Asm: esploraAsm(in.ScriptSig),
			IsCoinbase: t.tx.IsCoinbase(), Sequence: in.Sequence,
		}
		for _, item := range in.Witness {
			ij.Witness = append(ij.Witness, hex.EncodeToString(item))
		}
		if prevouts[i] != nil {
			out := s.outputJSON(prevouts[i])
			ij.Prevout, ij.LeafAsm = &out, leafAsm(prevouts[i].ScriptPubKey, in.Witness)
		}
		j.Inputs = append(j.Inputs, ij)
	}
	for i := range min(len(t.tx.Outputs), maxListed) {
		j.Outputs = append(j.Outputs, s.outputJSON(&t.tx.Outputs[i]))
	}
	return j, nil
}

// foundJSON reads a transaction that was found, and writes it.
func (s *Server) foundJSON(ctx context.Context, f foundTx) (txJSON, error) {
	t, err := s.read(ctx, f)
	if err != nil {
		return txJSON{}, err
	}
	status := f.status()
	return s.txJSON(ctx, t, f.txid, &status)
}

// apiNamed finds the transaction of the path.
func (s *Server) apiNamed(r *http.Request) (foundTx, error) {
	txid, err := pathHash(r, "txid")
	if err != nil {
		return foundTx{}, err
	}
	return s.findTx(r.Context(), txid)
}

// knowsAllTxs reports whether a transaction that is not found is in no block.
func (s *Server) knowsAllTxs() bool {
	if s.Index == nil {
		return false
	}
	return slices.ContainsFunc(s.Index.States(), func(st indexed.State) bool { return st.Name == indexed.Txs && st.Synced })
}

// version names the transaction's bytes, and where it is. One that comes to the pool again can have
// another witness.
func (f foundTx) version() string {
	var wtxid types.Hash
	if f.entry != nil {
		wtxid = f.entry.WTxID
	}
	return fmt.Sprint(f.info.Hash, f.n, wtxid, f.info.OnBestChain)
}

func (s *Server) apiTx(r *http.Request) (*page, error) {
	f, err := s.apiNamed(r)
	if err != nil {
		return nil, err
	}
	return asJSON(f.version(), 0, func(ctx context.Context) (any, error) { return s.foundJSON(ctx, f) }), nil
}

// apiTxStatus says of a transaction that nobody knows that it is in no block, as Esplora does:
// its clients ask for what was dropped from the pool. A node that may lack it does not say so.
func (s *Server) apiTxStatus(r *http.Request) (*page, error) {
	f, err := s.apiNamed(r)
	if isNotFound(err) && s.knowsAllTxs() {
		return asJSON(s.now()+s.indexAt(indexed.Txs), 0, func(context.Context) (any, error) { return statusJSON{}, nil }), nil
	}
	if err != nil {
		return nil, err
	}
	return asJSON(f.version(), 0, func(context.Context) (any, error) { return f.status(), nil }), nil
}

func (s *Server) apiTxHex(r *http.Request) (*page, error) {
	return s.encoded(r, "text/plain; charset=utf-8", func(raw []byte) []byte { return hex.AppendEncode(nil, raw) })
}

func (s *Server) apiTxRaw(r *http.Request) (*page, error) {
	return s.encoded(r, "application/octet-stream", func(raw []byte) []byte { return raw })
}

func (s *Server) encoded(r *http.Request, kind string, encode func(raw []byte) []byte) (*page, error) {
	f, err := s.apiNamed(r)
	if err != nil {
		return nil, err
	}
	return &page{version: f.version(), kind: kind, make: func(ctx context.Context) (any, error) {
		t, err := s.read(ctx, f)
		if err != nil {
			return nil, err
		}
		return encode(t.raw), nil
	}}, nil
}

// confirmedTx finds the transaction of the path, which must be in a block of the best chain.
func (s *Server) confirmedTx(r *http.Request) (foundTx, error) {
	f, err := s.apiNamed(r)
	if err == nil && !f.status().Confirmed {
		err = notFound("Not found", "Transaction not found or is unconfirmed")
	}
	return f, err
}

// merkleProofJSON is a proof as Electrum's protocol has it.
type merkleProofJSON struct {
	Height   uint32       `json:"block_height"`
	Branch   []types.Hash `json:"merkle"`
	Position int          `json:"pos"`
}

// apiMerkleProof is the branch from the transaction to its block's merkle root, as Electrum's
// protocol has it.
func (s *Server) apiMerkleProof(r *http.Request) (*page, error) {
	f, err := s.confirmedTx(r)
	if err != nil {
		return nil, err
	}
	return asJSON(f.version(), 0, func(ctx context.Context) (any, error) {
		b, err := s.blocks.get(ctx, f.info.Hash)
		if err != nil {
			return nil, err
		}
		branch := append([]types.Hash{}, types.MerkleBranch(b.TxIDs, f.n)...) // a block of one has an empty list
		return merkleProofJSON{f.info.Height, branch, f.n}, nil
	}), nil
}

// outspendJSON is what became of an output.
type outspendJSON struct {
	Spent  bool        `json:"spent"`
	TxID   *types.Hash `json:"txid,omitempty"`
	Input  *uint32     `json:"vin,omitempty"`
	Status *statusJSON `json:"status,omitempty"`
}

// outspends tells what became of outputs. By what one was spent is told where an index of
// that is kept.
func (s *Server) outspends(ctx context.Context, f foundTx, t transaction, from, to int) []outspendJSON {
	list := make([]outspendJSON, 0, to-from)
	statuses := map[types.Hash]*statusJSON{} // many may be spent by one
	for _, spent := range s.spenders(ctx, f, t.tx, from, to) {
		j := outspendJSON{Spent: spent.Spent}
		if !spent.By.IsZero() {
			if statuses[spent.By] == nil {
				status := statusJSON{}
				if by, err := s.findTx(ctx, spent.By); err == nil {
					status = by.status()
				}
				statuses[spent.By] = &status
			}
			j.TxID, j.Input, j.Status = &spent.By, &spent.Input, statuses[spent.By]
		}
		list = append(list, j)
	}
	return list
}

func (s *Server) apiOutspends(r *http.Request) (*page, error) {
	f, err := s.apiNamed(r)
	if err != nil {
		return nil, err
	}
	return asJSON(f.version()+s.now()+s.indexAt(indexed.Spenders), 0, func(ctx context.Context) (any, error) {
		t, err := s.read(ctx, f)
		if err != nil {
			return nil, err
		}
		return s.outspends(ctx, f, t, 0, min(len(t.tx.Outputs), maxListed)), nil
	}), nil
}

func (s *Server) apiOutspend(r *http.Request) (*page, error) {
	f, err := s.apiNamed(r)
	if err != nil {
		return nil, err
	}
	n, err := pathNumber(r, "vout")
	if err != nil {
		return nil, err
	}
	return asJSON(f.version()+s.now()+s.indexAt(indexed.Spenders)+" "+strconv.Itoa(int(n)), 0, func(ctx context.Context) (any, error) {
		t, err := s.read(ctx, f)
		if err != nil {
			return nil, err
		}
		if int64(n) >= int64(len(t.tx.Outputs)) {
			return nil, notFound("Not found", "The transaction has no such output")
		}
		return s.outspends(ctx, f, t, int(n), int(n)+1)[0], nil
	}), nil
}

// apiMerkleBlock is a proof in the encoding of BIP37's merkleblock, as gettxoutproof gives it.
func (s *Server) apiMerkleBlock(r *http.Request) (*page, error) {
	f, err := s.confirmedTx(r)
	if err != nil {
		return nil, err
	}
	return &page{version: f.version(), kind: "text/plain; charset=utf-8", make: func(ctx context.Context) (any, error) {
		b, err := s.blocks.get(ctx, f.info.Hash)
		if err != nil {
			return nil, err
		}
		shown := make([]bool, len(b.TxIDs))
		shown[f.n] = true
		return hex.AppendEncode(nil, proof.NewMerkleBlock(&b.Block.Header, b.TxIDs, shown).AppendTo(nil)), nil
	}}, nil
}
