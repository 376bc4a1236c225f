package web

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/web/faucetinfo"
)

// asked is a faucet that notes for whom it was asked.
type asked struct{ from []netip.Addr }

func (a *asked) Status() faucetinfo.Status { return faucetinfo.Status{} }
func (a *asked) Challenge() string         { return "" }
func (a *asked) Paid([]byte) types.Hash    { return types.Hash{} }
func (a *asked) Ask(_ string, _ []byte, from netip.Addr, _, _ string) error {
	a.from = append(a.from, from)
	return nil
}

// TestFaucetForAnotherName: a page whose name was made to lead to this machine is what its
// visitor's browser takes for the faucet's own. It has the limits of a stranger, and not the
// freedom of whoever sits at the machine.
func TestFaucetForAnotherName(t *testing.T) {
	address, err := taproot.EncodeAddress("krtd", taproot.OutputScript([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	here := netip.MustParseAddr("127.0.0.1")
	for host, want := range map[string]netip.Addr{
		"127.0.0.1:8080": {}, "localhost:8080": {}, "[::1]:8080": {}, "evil.example:8080": here, "localhost.evil.example": here, "192.0.2.1": here, "": here,
	} {
		faucet := &asked{}
		s := &Server{Options: Options{Params: &consensus.Params{HRP: "krtd"}, Faucet: faucet}, guard: newGuard(DefaultLimits(), false)}
		r := httptest.NewRequest(http.MethodPost, "/faucet", strings.NewReader(url.Values{"address": {address}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Host, r.RemoteAddr = host, "127.0.0.1:1000"
		if status := s.ask(httptest.NewRecorder(), r, &faucetView{}); status != http.StatusOK || len(faucet.from) != 1 || faucet.from[0] != want {
			t.Errorf("%q: %d, for %v, want %v", host, status, faucet.from, want)
		}
	}
}
