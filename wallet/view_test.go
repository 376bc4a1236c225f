package wallet_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/wallet"
)

// TestView: what the wallet knew stays, and it says as of when and what is wrong.
func TestView(t *testing.T) {
	n, young := startNode(t), startNode(t)
	n.params = asert(n.params)
	w := n.wallet(someWords)
	then := time.Now().Add(-73 * time.Hour)
	call[any](n, "setmocktime", then.Unix())
	n.mine(3, w.address())
	problems := func(node wallet.Node, want ...error) {
		t.Helper()
		err := w.Sync(t.Context(), node, func(wallet.Progress) {})
		view, viewErr := w.View()
		if viewErr != nil || view.Position.Height != 3 || view.Time < then.Unix() || view.Time > then.Unix()+60 || w.Balance().Total() != 3_000_000_000 {
			t.Errorf("%+v, %v, %s", view, viewErr, w.Balance().Total())
		}
		if len(view.Problems) != len(want) {
			t.Fatalf("%v, want %v", view.Problems, want)
		}
		for i := range want {
			if !errors.Is(view.Problems[i], want[i]) || strings.Contains(view.Problems[i].Error(), "\n") {
				t.Errorf("%v, want %v", view.Problems[i], want[i])
			}
		}
		if errors.Is(err, wallet.ErrUnreachable) != (len(want) > 0 && want[0] == wallet.ErrUnreachable) {
			t.Errorf("%v", err)
		}
	}
	problems(n, wallet.ErrOldTip, wallet.ErrNoPeers)
	if view, _ := w.View(); !strings.Contains(view.Problems[0].Error(), "block 3 was made 3 days ago") {
		t.Errorf("%v", view.Problems[0])
	}
	problems(young, wallet.ErrBehind)
	problems(gone{io.ErrUnexpectedEOF}, wallet.ErrUnreachable)
	problems(gone{refusal(-28)}, refusal(-28)) // a node that starts
	n.params.Difficulty = consensus.Difficulty{Algorithm: consensus.DifficultyFixed}
	problems(n)
}

// gone is a node that does not answer any more, or only refuses.
type gone struct{ error }

func (g gone) Call(context.Context, string, any, ...any) error { return g.error }
func (g gone) Batch(context.Context, string, [][]any, func(int, json.RawMessage, error) error) error {
	return g.error
}

// forge is a node that makes up headers, each with the work that it needs.
type forge struct {
	gone
	params *consensus.Params
	chain  []string       // headers, from the first on
	at     map[string]int // index of the one above a block
	asked  int
	change func() // when it was asked so often that all were told
}

func newForge(t *testing.T, p *consensus.Params, height int, salt byte) *forge {
	t.Helper()
	f := &forge{gone: gone{refusal(-32601)}, params: p, at: map[string]int{}}
	state := p.GenesisState()
	for i := range height {
		h := types.Header{Version: 4, PrevBlock: state.Index.Hash, MerkleRoot: types.Hash{salt}, Timestamp: state.Header.Timestamp + 1, Bits: consensus.NextBits(p, &state)}
		for consensus.CheckHeader(p, &h, h.Hash()) != nil {
			h.Nonce++
		}
		f.at[state.Index.Hash.String()] = i
		f.chain = append(f.chain, hex.EncodeToString(h.AppendTo(nil)))
		state = state.Extend(&h, h.Hash())
	}
	f.at[state.Index.Hash.String()] = height
	return f
}

func (f *forge) Call(_ context.Context, method string, result any, params ...any) error {
	var answer any
	switch method {
	case "getblockhash":
		answer = f.params.GenesisBlock().Hash
	case "getheaders":
		from := -1
		for _, hash := range params[0].([]types.Hash) {
			if at, ok := f.at[hash.String()]; ok && from < 0 {
				from = at
			}
		}
		answer = []string{}
		if from >= 0 {
			answer = f.chain[from:min(from+2000, len(f.chain))]
		}
		if f.asked++; f.change != nil {
			f.change()
		}
	default:
		return refusal(-32601)
	}
	b, _ := json.Marshal(answer)
	return json.Unmarshal(b, result)
}

// TestManyHeaders: headers whose chain has not the work that it needs are neither stored
// nor kept, however many there are; a chain that has it in the end is fetched again.
func TestManyHeaders(t *testing.T) {
	const height, kept = 12_500, 10_000
	n := startNode(t)
	params := *n.params
	n.params = &params
	f := newForge(t, n.params, height, 0)
	for _, c := range []struct {
		needs uint64 // blocks
		asked int
		tip   uint32
		kind  error
	}{
		{height + 1, 7, 0, wallet.ErrLittleWork},
		{kept, 7, height, nil},
		{kept + 1, 6 + 6 + 1, height, nil},
		{height, 7 + 7 + 1, height, nil},
	} {
		params.MinimumChainWork = consensus.Uint256{2*c.needs + 1}
		w := n.wallet(someWords)
		f.asked = 0
		err := w.Sync(t.Context(), f, func(wallet.Progress) {})
		if c.kind == nil { // it has no filters
			c.kind = refusal(-32601)
		}
		if !errors.Is(err, c.kind) || w.Tip().Height != c.tip || f.asked != c.asked {
			t.Errorf("work of %d blocks is needed: %v, at %d, asked %d times, want %d", c.needs, err, w.Tip().Height, f.asked, c.asked)
		}
	}
	// Others when it is asked again are not taken for the first.
	other := newForge(t, n.params, height, 1)
	w := n.wallet(someWords)
	f.asked = 0
	first := f.chain
	f.change = func() {
		if f.asked >= 7 {
			f.chain, f.at = other.chain, other.at
		}
	}
	if err := w.Sync(t.Context(), f, func(wallet.Progress) {}); err == nil || w.Tip().Height != height {
		t.Errorf("%v, at %d", err, w.Tip().Height)
	}
	if f.asked < 7+7 || fmt.Sprint(first[0]) == f.chain[0] {
		t.Errorf("asked %d times", f.asked)
	}
}
