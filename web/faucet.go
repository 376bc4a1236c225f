package web

import (
	"bytes"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/web/faucetinfo"
)

// Faucet gives coins away. It is the one thing here that changes something.
type Faucet interface {
	Status() faucetinfo.Status
	Challenge() string
	// Ask asks for coins to an address, for a visitor whose address is from; the zero value is
	// this machine. Errors: those of faucetinfo.
	Ask(address string, script []byte, from netip.Addr, challenge, nonce string) error
	// Paid returns what paid a script last, zero: nothing since the start.
	Paid(script []byte) types.Hash
}

type faucetView struct {
	Frame
	faucetinfo.Status
	Challenge string
	Bits      int
	To        string // the address that was asked for
	Done      bool
	Fault     string
	Until     time.Time  // of a fault that passes; zero: it does not by itself
	Paid      types.Hash // what paid To before
}

// faucetPage is the form, or what came of it. It is made anew each time: it is about whoever
// asks.
func (s *Server) faucetPage(w http.ResponseWriter, r *http.Request) {
	if s.Faucet == nil {
		s.fail(w, r, notFound("Not found", "This node gives no coins away."))
		return
	}
	v := faucetView{Frame: s.frame("Faucet", "faucet"), Challenge: s.Faucet.Challenge(), Bits: faucetinfo.WorkBits}
	status := http.StatusOK
	if r.Method == http.MethodPost {
		status = s.ask(w, r, &v)
	}
	v.Status = s.Faucet.Status()
	var out bytes.Buffer
	if err := s.views.render(&out, "faucet", v); err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		n, _ := w.Write(out.Bytes())
		s.guard.charge(s.guard.visitorOf(r), n, 0)
	}
}

// ask asks the faucet for what a form says.
func (s *Server) ask(w http.ResponseWriter, r *http.Request, v *faucetView) (status int) {
	const maxForm = 4 << 10
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" { // else its visitors' networks could be used up for it
		v.Fault = "the form is another site's"
		return http.StatusForbidden
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		v.Fault = "the form could not be read"
		return http.StatusBadRequest
	}
	v.To = r.PostForm.Get("address")
	script, err := taproot.DecodeAddress(s.Params.HRP, v.To)
	if err != nil {
		v.Fault = Printable(err.Error(), 200)
		return http.StatusBadRequest
	}
	var from netip.Addr
	if visitor := s.guard.visitorOf(r); !visitor.local || !atOwnHost(r) {
		from = visitor.at.Addr()
	}
	v.Paid = s.Faucet.Paid(script)
	var limit *faucetinfo.LimitError
	switch err := s.Faucet.Ask(v.To, script, from, r.PostForm.Get("challenge"), r.PostForm.Get("nonce")); {
	case err == nil:
		v.Done = true
		return http.StatusOK
	case errors.As(err, &limit):
		v.Fault, v.Until = limit.Error(), limit.Until
		return http.StatusTooManyRequests
	case errors.Is(err, faucetinfo.ErrEmpty), errors.Is(err, faucetinfo.ErrBusy):
		v.Fault = err.Error()
		return http.StatusServiceUnavailable
	default:
		v.Fault = err.Error()
		return http.StatusBadRequest
	}
}
