package web

import (
	"context"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

const (
	listedCoins = 30       // inputs, and outputs, on a page of a transaction
	maxHex      = 16 << 10 // bytes that the page itself has in hexadecimal
)

type txView struct {
	Frame
	TxID, WTxID      types.Hash
	Tx               *types.Tx
	Size, VSize      int
	Weight           int
	Coinbase         bool
	Message          string
	Fee              types.Amount
	HasFee           bool
	Rate             types.FeeRate
	In               types.Amount
	HasIn            bool
	Out              types.Amount
	LockWords        string
	Waiting          *waitingView // nil: it is in a block
	Block            header.Info
	N                int
	Confirmations    uint32
	Deep             bool
	Reversal         []reversalRow
	Inputs           []inputView
	Outputs          []outputView
	InFrom, OutFrom  int
	InPrev, InNext   string
	OutPrev, OutNext string
	Flow             template.HTML
	Hex              string // empty: it is too long for the page
	Replaced         types.Hash
	ImmatureFor      uint32 // blocks until a coinbase can be spent
	Now              time.Time
	NoSpenders       bool // what spends an output is not known: the index is off
}

// waitingView is the place of a transaction in the pool.
type waitingView struct {
	pending.Details
	InBlocks  int   // in which of the next blocks it would be, 1 is the next one
	Ahead     int64 // weight units that pay more
	Depth     float64
	ChunkRate types.FeeRate
}

type reversalRow struct {
	Share  float64
	Chance float64
}

type inputView struct {
	N        int
	OutPoint types.OutPoint
	Value    types.Amount
	Known    bool
	Output   Output
	Spend    Spend
	Sequence string
	Lock     string // in words; empty: none
}

type outputView struct {
	N     int
	Value types.Amount
	Output
	Spent Spent
	Hex   string
}

func parseTxID(text string) (types.Hash, error) {
	txid, err := types.ParseHash(strings.ToLower(text))
	if err != nil {
		return txid, notFound("Not found", "A transaction is named by the 64 digits of its id.")
	}
	return txid, nil
}

// findNamed finds the transaction of a path. With ?block= it is looked for in that block,
// which need not be of the best chain.
func (s *Server) findNamed(r *http.Request) (foundTx, error) {
	txid, err := parseTxID(r.PathValue("txid"))
	if err != nil {
		return foundTx{}, err
	}
	named := r.URL.Query().Get("block")
	if named == "" {
		ctx, cancel := context.WithTimeout(r.Context(), pageTime)
		defer cancel()
		return s.findTx(ctx, txid)
	}
	info, err := s.findBlock(named)
	return foundTx{txid: txid, info: info, n: -1}, err
}

// placed finds the place of a transaction in the block that was named with it, which takes
// reading the block.
func (s *Server) placed(ctx context.Context, f foundTx) (foundTx, error) {
	if f.n >= 0 {
		return f, nil
	}
	b, err := s.blocks.get(ctx, f.info.Hash)
	if err != nil {
		return f, err
	}
	if f.n = slices.Index(b.TxIDs, f.txid); f.n < 0 {
		return f, notFound("Not found", "The block does not have this transaction.")
	}
	return f, nil
}

// txPage is a transaction.
func (s *Server) txPage(r *http.Request) (*page, error) {
	f, err := s.findNamed(r)
	if err != nil {
		return nil, err
	}
	in, out := pageOf(r, "in"), pageOf(r, "out")
	tip := s.Headers.Tip()
	version := fmt.Sprint(f.info.Hash, f.info.OnBestChain, f.n, f.entry != nil, in, out, tip, s.pool.get().version(), s.indexAt(indexed.Spenders))
	return &page{version: version, view: "tx", make: func(ctx context.Context) (any, error) {
		f, err := s.placed(ctx, f)
		if err != nil {
			return nil, err
		}
		t, err := s.read(ctx, f)
		if err != nil {
			return nil, err
		}
		if in > 0 && in >= len(t.tx.Inputs) || out > 0 && out >= len(t.tx.Outputs) {
			return nil, notFound("Not found", "The transaction has fewer inputs or outputs.", hint{"The transaction", s.to("tx", f.txid)})
		}
		v := &txView{
			Frame: s.frame("Transaction "+f.txid.String()[:10]+"…", "").live("block"), TxID: f.txid, WTxID: t.wtxid, Tx: t.tx, Size: len(t.raw), VSize: t.tx.VirtualSize(), Weight: t.tx.Weight(),
			Coinbase: t.tx.IsCoinbase(), Fee: t.fee, HasFee: t.hasFee, InFrom: in, OutFrom: out, Now: s.Status.Now(),
		}
		if t.hasFee {
			v.Rate = types.NewFeeRate(t.fee, v.VSize)
		}
		v.LockWords = lockWords(t.tx)
		if len(t.raw) <= maxHex {
			v.Hex = hex.EncodeToString(t.raw)
		}
		if f.entry != nil {
			v.Waiting = s.waiting(f.txid)
			v.Frame = v.Frame.live("block pool")
		} else {
			v.inBlock(f, tip, s.Params.CoinbaseMaturity)
		}
		if err := s.fillInputs(ctx, v, t, in); err != nil {
			return nil, err
		}
		s.fillOutputs(ctx, v, f, t, out)
		v.Flow = s.flowOf(v, t)
		return v, nil
	}}, nil
}

func (v *txView) inBlock(f foundTx, tip types.Index, maturity uint32) {
	v.Block, v.N = f.info, f.n
	if f.info.OnBestChain {
		v.Confirmations = tip.Height - f.info.Height + 1
		v.Deep = v.Confirmations > deep
		for _, share := range []float64{0.1, 0.25, 0.4} {
			v.Reversal = append(v.Reversal, reversalRow{share, reversal(share, int(min(v.Confirmations, deep)))})
		}
		if v.Coinbase && f.info.Height > 0 && v.Confirmations <= maturity {
			v.ImmatureFor = maturity - v.Confirmations
		}
	}
	if v.Coinbase {
		v.Message = coinbaseMessage(v.Tx)
	}
}

// waiting tells of the place in the pool; nil if the transaction has just left it.
func (s *Server) waiting(txid types.Hash) *waitingView {
	d, ok := s.Pool.Details(txid)
	if !ok {
		return nil
	}
	w := &waitingView{Details: d}
	w.ChunkRate = chunkRate(d.Chunk)
	picture := s.pool.get()
	for i := 1; i < len(picture.Corners) && rateOf(picture.Corners, i) > w.ChunkRate; i++ {
		w.Ahead = picture.Corners[i].Weight
	}
	w.InBlocks = int(w.Ahead/int64(max(s.room(), 1))) + 1
	if picture.Weight > 0 {
		w.Depth = float64(w.Ahead) / float64(picture.Weight)
	}
	return w
}

// lockWords says when the transaction could be in a block at the earliest.
func lockWords(tx *types.Tx) string {
	switch {
	case tx.LockTime == 0:
		return "none"
	case !slices.ContainsFunc(tx.Inputs, func(in types.TxIn) bool { return in.Sequence != types.SequenceFinal }):
		return lockTimeWords(tx.LockTime) + ", which does not count: all inputs are final"
	}
	return lockTimeWords(tx.LockTime + lockAfter(tx.LockTime))
}

// lockAfter is 1 for a lock by height: a lock time names the last block that is too early.
func lockAfter(lock uint32) uint32 {
	if lock < types.LockTimeThreshold-1 {
		return 1
	}
	return 0
}

func (s *Server) fillInputs(ctx context.Context, v *txView, t transaction, from int) error {
	to := min(from+listedCoins, len(t.tx.Inputs))
	prevouts, err := s.prevouts(ctx, t, from, to)
	if err != nil {
		return err
	}
	for i := from; i < to; i++ {
		in := &t.tx.Inputs[i]
		view := inputView{N: i, OutPoint: in.PreviousOutPoint, Sequence: fmt.Sprintf("%08x", in.Sequence), Spend: describeSpend(in)}
		if out := prevouts[i-from]; out != nil {
			view.Known, view.Value, view.Output = true, out.Value, s.describeOutput(out.ScriptPubKey)
			if strings.HasPrefix(view.Output.Kind, "anchor") && len(in.Witness) == 0 {
				view.Spend.Kind = "an anchor needs no signature"
			}
		}
		if t.tx.Version >= 2 && !v.Coinbase {
			view.Lock = relativeWords(in.Sequence)
			if in.Sequence&0xffff == 0 {
				view.Lock = ""
			}
		}
		v.Inputs = append(v.Inputs, view)
	}
	switch {
	case v.Coinbase:
	case t.hasFee:
		v.HasIn = true
		for i := range t.tx.Outputs {
			v.In += t.tx.Outputs[i].Value
		}
		v.In += t.fee
	}
	v.InPrev, v.InNext = pager(s.to("tx", v.TxID), "in", from, listedCoins, len(t.tx.Inputs))
	return nil
}

func (s *Server) fillOutputs(ctx context.Context, v *txView, f foundTx, t transaction, from int) {
	for i := range t.tx.Outputs {
		v.Out += t.tx.Outputs[i].Value
	}
	to := min(from+listedCoins, len(t.tx.Outputs))
	spent := s.spenders(ctx, f, t.tx, from, to)
	for i := from; i < to; i++ {
		out := &t.tx.Outputs[i]
		v.Outputs = append(v.Outputs, outputView{N: i, Value: out.Value, Output: s.describeOutput(out.ScriptPubKey), Spent: spent[i-from], Hex: hexed(out.ScriptPubKey, maxElement)})
		if sp := spent[i-from]; sp.Spent && sp.By.IsZero() {
			v.NoSpenders = true
		}
	}
	v.OutPrev, v.OutNext = pager(s.to("tx", v.TxID), "out", from, listedCoins, len(t.tx.Outputs))
}

// flowOf draws the transaction: the inputs and outputs that the page lists, and the rest
// of each side as one.
func (s *Server) flowOf(v *txView, t transaction) template.HTML {
	var in, out []ribbon
	listed := types.Amount(0)
	for i := range v.Inputs {
		if view := &v.Inputs[i]; view.Known {
			listed += view.Value
			in = append(in, ribbon{view.Value, "in", s.to("tx", view.OutPoint.TxID), fmt.Sprintf("%s from %s", view.Value, orWord(view.Output.Address, view.Output.Kind))})
		}
	}
	total := v.In
	if v.Coinbase {
		total = v.Out
		in = []ribbon{{total, "new", "", fmt.Sprintf("%s new coins and fees", total)}}
	} else if !v.HasIn {
		return ""
	} else if rest := total - listed; rest > 0 {
		in = append(in, ribbon{rest, "rest", "", fmt.Sprintf("%s from other inputs", rest)})
	}
	listed = 0
	for i := range v.Outputs {
		view := &v.Outputs[i]
		listed += view.Value
		path, class := "", "out"
		if !view.Spent.By.IsZero() {
			path, class = s.to("tx", view.Spent.By), "gone"
		}
		out = append(out, ribbon{view.Value, class, path, fmt.Sprintf("%s to %s", view.Value, orWord(view.Address, view.Kind))})
	}
	if rest := v.Out - listed; rest > 0 {
		out = append(out, ribbon{rest, "rest", "", fmt.Sprintf("%s to other outputs", rest)})
	}
	if v.HasFee && v.Fee > 0 {
		out = append(out, ribbon{v.Fee, "fee", "", fmt.Sprintf("%s fee", v.Fee)})
	}
	label := fmt.Sprintf("%d inputs, %d outputs, a fee of %s", len(t.tx.Inputs), len(t.tx.Outputs), v.Fee)
	return flow(label, in, out)
}

func orWord(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func uint64Text(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// rawTx is a transaction in hexadecimal.
func (s *Server) rawTx(r *http.Request) (*page, error) {
	f, err := s.findNamed(r)
	if err != nil {
		return nil, err
	}
	return &page{version: f.version(), kind: "text/plain; charset=utf-8", make: func(ctx context.Context) (any, error) {
		f, err := s.placed(ctx, f)
		if err != nil {
			return nil, err
		}
		t, err := s.read(ctx, f)
		if err != nil {
			return nil, err
		}
		return append(hex.AppendEncode(nil, t.raw), '\n'), nil
	}}, nil
}
