package rpc_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/karatcoin/karat/rpc"
)

// TestPriority: a delta is kept before and while a transaction waits, in grains, and
// changes what its fee counts for.
func TestPriority(t *testing.T) {
	s := start(t, nil)
	call[[]string](s, "generatetoaddress", 5, s.anchor)
	txid := s.spend(1)
	type entry struct {
		Fees struct{ Base, Modified, Ancestor, Descendant, Chunk json.Number }
	}
	base := call[entry](s, "getmempoolentry", txid).Fees.Base
	unknown := strings.Repeat("ab", 32)
	for _, params := range [][]any{{txid, 0, 150_000_000}, {txid, nil, -50_000_000}, {unknown, 0.0, -3}} {
		if !call[bool](s, "prioritisetransaction", params...) {
			t.Errorf("%v: false", params)
		}
	}
	call[bool](s, "prioritisetransaction", rpc.Named{"txid": unknown, "fee_delta": -4})
	fees := call[entry](s, "getmempoolentry", txid).Fees
	before, _ := base.Float64()
	if after, _ := fees.Modified.Float64(); after-before < 0.999999 || after-before > 1.000001 || fees.Base != base || fees.Ancestor != fees.Modified || fees.Descendant != fees.Modified || fees.Chunk != fees.Modified {
		t.Errorf("fees of %s are %+v", base, fees)
	}
	got := call[map[string]map[string]any](s, "getprioritisedtransactions")
	if d := got[unknown]; len(got) != 2 || len(d) != 2 || d["fee_delta"] != -7.0 || d["in_mempool"] != false {
		t.Errorf("%v", got)
	}
	if d := got[txid]; len(d) != 3 || d["fee_delta"] != 1e8 || d["in_mempool"] != true || d["modified_fee"].(float64) <= 1e8 {
		t.Errorf("%v", got)
	}
	for want, params := range map[string][]any{
		"-8 Priority is no longer supported, dummy argument to prioritisetransaction must be 0.": {txid, 1, 0},
		"-8 txid must be of length 64 (not 3, for 'foo')":                                        {"foo", 0, 0},
		"-1 JSON integer out of range":                                                           {txid, 0, 0.5},
	} {
		if got := refused(s, "prioritisetransaction", params...); got != want {
			t.Errorf("%v: %s, want %s", params, got, want)
		}
	}
	for _, params := range [][]any{{txid, "foo", 0}, {txid, 0, "foo"}} {
		if got := refused(s, "prioritisetransaction", params...); !strings.HasPrefix(got, "-3 Wrong type passed") {
			t.Errorf("%v: %s", params, got)
		}
	}
	if got := refused(s, "prioritisetransaction", txid, 0); !strings.HasPrefix(got, `-1 prioritisetransaction "txid" ( dummy ) fee_delta`) {
		t.Error(got)
	}
}
