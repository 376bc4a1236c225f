package rpc_test

import (
	"encoding/json"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

type toldTip struct {
	Hash   types.Hash
	Height uint32
}

// TestWaitForBlocks: whoever waits is told of the tip when it has come, and at the end of
// its time in any case.
func TestWaitForBlocks(t *testing.T) {
	s := start(t, nil)
	genesis := call[toldTip](s, "waitforblockheight", 0)
	if genesis.Height != 0 || genesis.Hash != call[types.Hash](s, "getbestblockhash") {
		t.Errorf("%+v", genesis)
	}
	if got := call[toldTip](s, "waitfornewblock", 1, genesis.Hash); got != genesis {
		t.Errorf("nothing has come: %+v", got)
	}
	if got := call[toldTip](s, "waitforblock", types.Hash{1}, 1); got != genesis {
		t.Errorf("nothing has come: %+v", got)
	}

	answers := make(chan toldTip, 2)
	for _, call := range []struct {
		method string
		params []any
	}{{"waitfornewblock", []any{0, genesis.Hash}}, {"waitforblockheight", []any{2}}} {
		go func() {
			var got toldTip
			if err := s.client.Call(t.Context(), call.method, &got, call.params...); err != nil {
				t.Error(err)
			}
			answers <- got
		}()
	}
	mined := call[[]types.Hash](s, "generatetoaddress", 2, s.anchor)
	for range 2 {
		if got := <-answers; got.Height == 0 || got.Hash != mined[got.Height-1] {
			t.Errorf("%+v of %v", got, mined)
		}
	}
	if got := call[toldTip](s, "waitforblock", mined[1]); got.Height != 2 {
		t.Errorf("%+v", got)
	}

	for _, c := range []struct {
		want   string
		method string
		params []any
	}{
		{"-1 Negative timeout", "waitfornewblock", []any{-1}},
		{"-8 blockhash must be of length 64 (not 1, for '1')", "waitforblock", []any{"1"}},
		{"-3 Wrong type passed:", "waitforblockheight", []any{json.RawMessage(`{}`)}},
	} {
		if got := refused(s, c.method, c.params...); got != c.want {
			t.Errorf("%s: %s, want %s", c.method, got, c.want)
		}
	}
}
