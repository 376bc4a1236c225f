package web

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/web/faucetinfo"
)

// faucetJSON is how the faucet is, and what whoever asks has to do first.
type faucetJSON struct {
	Network    string       `json:"network"` // its identity
	Address    string       `json:"address"` // that fills it
	Amount     types.Amount `json:"amount"`  // in grains, as all here
	Left       types.Amount `json:"left"`
	LeftOfHour types.Amount `json:"left_of_hour"`
	Waiting    int          `json:"waiting"`
	Challenge  string       `json:"challenge"`
	Bits       int          `json:"bits"` // SHA-256 of challenge:address:nonce begins with so many zero bits
}

// apiFaucet is the faucet for programs: GET tells how it is, POST asks as the page's form does.
func (s *Server) apiFaucet(w http.ResponseWriter, r *http.Request) {
	if s.Faucet == nil {
		s.fail(w, r, notFound("Not found", "This node gives no coins away."))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodPost {
		var v faucetView
		if status := s.ask(w, r, &v); status != http.StatusOK {
			fault := v.Fault
			if !v.Until.IsZero() {
				fault += ", until " + v.Until.UTC().Format(time.RFC3339)
			}
			http.Error(w, fault, status)
			return
		}
	}
	is := s.Faucet.Status()
	s.writeJSON(w, r, faucetJSON{
		Network: s.Params.Identity().String(), Address: is.Address, Amount: is.Amount, Left: is.Left, LeftOfHour: is.LeftHour, Waiting: is.Waiting,
		Challenge: s.Faucet.Challenge(), Bits: faucetinfo.WorkBits,
	})
}

// writeJSON answers with what is made anew each time.
func (s *Server) writeJSON(w http.ResponseWriter, r *http.Request, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	n, _ := w.Write(text)
	s.guard.charge(s.guard.visitorOf(r), n, 0)
}
