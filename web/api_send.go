package web

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/karatcoin/karat/chain/types"
)

const (
	// maxSentTx bounds a transaction that is sent, in hexadecimal digits: a standard one has
	// at most 400,000 weight units, and none more bytes than that.
	maxSentTx = 2 * 400_000
	// minSentTx is the same at the other end, as Esplora has it.
	minSentTx = 2 * 60
	// maxPackage is how many transactions come together, as in Esplora.
	maxPackage = 25
	// maxSentPackage bounds a package in bytes of JSON. The pool takes about as much weight in a
	// package as in a transaction.
	maxSentPackage = 2 * maxSentTx
	// maxSentFeeRate is Bitcoin Core's limit for what is taken without asking: a tenth of a coin
	// for a thousand virtual bytes. More is a mistake.
	maxSentFeeRate types.FeeRate = types.GrainsPerCoin / 10
)

// apiSend takes a transaction and passes it on. It answers with its id.
func (s *Server) apiSend(w http.ResponseWriter, r *http.Request) {
	s.sent(w, r, "text/plain; charset=utf-8", maxSentTx+2, func(ctx context.Context, v visitor, text []byte) ([]byte, error) {
		txid, err := s.send(ctx, v, strings.TrimSpace(string(text)))
		return []byte(txid.String()), err
	})
}

// apiSendPackage takes a child with its parents. It answers as RPC's submitpackage does.
func (s *Server) apiSendPackage(w http.ResponseWriter, r *http.Request) {
	s.sent(w, r, "application/json", maxSentPackage, func(ctx context.Context, v visitor, text []byte) ([]byte, error) {
		return s.sendPackage(ctx, v, text, r.URL.Query().Get)
	})
}

// sent answers to what a visitor has sent, which has at most so many bytes.
func (s *Server) sent(w http.ResponseWriter, r *http.Request, kind string, most int64, take func(ctx context.Context, v visitor, text []byte) ([]byte, error)) {
	w.Header().Set("Cache-Control", "no-store")
	if s.Sender == nil {
		s.fail(w, r, &failure{status: http.StatusForbidden, title: "Forbidden", text: "This node takes no transactions here."})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), pageTime)
	defer cancel()
	// What is on its way here is memory, too, as answers are that nobody reads.
	v, size := s.guard.visitorOf(r), r.ContentLength
	if size < 0 || size > most {
		size = most
	}
	end, ok := s.guard.send(v, int(size))
	if !ok {
		s.fail(w, r, errBusy)
		return
	}
	defer end()
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		s.fail(w, r, badRequest("What was sent is too large, or was cut off"))
		return
	}
	answer, err := take(ctx, v, text)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", kind)
	n, _ := w.Write(answer)
	s.guard.charge(v, n, 0)
}

func (s *Server) send(ctx context.Context, v visitor, text string) (types.Hash, error) {
	tx, err := sentTx(text)
	if err != nil {
		return types.Hash{}, err
	}
	if e := s.Pool.Get(tx.TxID()); e != nil { // a wallet sends it again to be sure
		return e.TxID, nil
	}
	leave, err := s.enter(ctx, v) // to check it is work, as pages are
	if err != nil {
		return types.Hash{}, err
	}
	defer leave()
	entry, err := s.Sender.Accept(ctx, tx, maxSentFeeRate)
	if err != nil {
		return types.Hash{}, asRefusal("sendrawtransaction", err)
	}
	return entry.TxID, nil
}

func (s *Server) sendPackage(ctx context.Context, v visitor, text []byte, option func(name string) string) ([]byte, error) {
	limit, burn := maxSentFeeRate, types.Amount(0)
	var err error
	if given := option("maxfeerate"); given != "" {
		if limit, err = types.ParseFeeRate(given); err != nil || limit >= types.GrainsPerCoin {
			return nil, badRequest("Invalid maxfeerate")
		}
	}
	if given := option("maxburnamount"); given != "" {
		if burn, err = types.ParseAmount(given); err != nil {
			return nil, badRequest("Invalid maxburnamount")
		}
	}
	var list []string
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, badRequest("The package is not a JSON array of transactions in hexadecimal")
	}
	if len(list) > maxPackage {
		return nil, badRequest(fmt.Sprintf("Exceeded maximum of %d transactions", maxPackage))
	}
	txs := make([]*types.Tx, len(list))
	for i, one := range list {
		if len(one) < minSentTx || len(one) > maxSentTx {
			return nil, badRequest(fmt.Sprintf("Invalid transaction size for item %d", i))
		}
		if txs[i], err = sentTx(one); err != nil {
			return nil, badRequest(fmt.Sprintf("Invalid transaction hex for item %d", i))
		}
	}
	leave, err := s.enter(ctx, v)
	if err != nil {
		return nil, err
	}
	defer leave()
	answer, err := s.Sender.SubmitPackage(ctx, txs, limit, burn)
	return answer, asRefusal("submitpackage", err)
}

// sentTx decodes what was sent. Without an input, a transaction cannot be told from the beginning
// of one with witnesses.
func sentTx(text string) (*types.Tx, error) {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, badRequest("The transaction is not hexadecimal")
	}
	tx, err := types.DecodeTx(raw)
	if err != nil {
		return nil, badRequest("This is no transaction: " + Printable(err.Error(), 200))
	}
	if len(tx.Inputs) == 0 {
		return nil, badRequest("The transaction has no inputs")
	}
	return tx, nil
}

// asRefusal tells a visitor why something was refused in Esplora's words, in which its clients
// look for the code and the message. Any other error is returned as it is.
func asRefusal(method string, err error) error {
	var refused interface {
		error
		RPCCode() int
	}
	if !errors.As(err, &refused) {
		return err
	}
	var told bytes.Buffer
	e := json.NewEncoder(&told)
	e.SetEscapeHTML(false) // it is read as it is
	if err := e.Encode(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{refused.RPCCode(), Printable(refused.Error(), 400)}); err != nil {
		return err
	}
	return badRequest(method + " RPC error: " + strings.TrimSpace(told.String()))
}

// apiPreflight tells a browser that a page of another site may send here what it wants to.
func (s *Server) apiPreflight(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Content-Type")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}
