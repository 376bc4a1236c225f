package rpc

import (
	"fmt"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// dustyPool has one transaction, whatever it is asked for.
type dustyPool struct {
	pool
	entry *pending.Entry
}

// Get implements Pool.
func (p *dustyPool) Get(types.Hash) *pending.Entry { return p.entry }

// Prioritise implements Pool.
func (p *dustyPool) Prioritise(types.Hash, types.Amount) bool { return true }

// TestPriorityOfDust: what waits with dust pays nothing, and can not be made to count for
// more. What is dust, the operator says.
func TestPriorityOfDust(t *testing.T) {
	tx := &types.Tx{Outputs: []types.TxOut{{Value: 239, ScriptPubKey: []byte{0x51, 2, 0x4e, 0x73}}}}
	for _, test := range []struct {
		entry *pending.Entry
		rate  types.FeeRate
		want  string
	}{
		{&pending.Entry{Tx: tx}, 3000, "Priority is not supported for transactions with dust outputs."},
		{&pending.Entry{Tx: tx}, 2000, "true"},
		{nil, 3000, "true"}, // it does not wait
	} {
		s := newFake().server(t)
		s.Pool = &dustyPool{pool{info: pending.Info{Policy: pending.Policy{DustRelay: test.rate}}}, test.entry}
		raw, _ := s.answered(t.Context(), &session{user: &User{}}, []byte(fmt.Sprintf(`{"method":"prioritisetransaction","params":[%q,0,1],"id":1}`, strings.Repeat("ab", 32))))
		if !strings.Contains(string(raw), test.want) {
			t.Errorf("at %s: %s, want %s", test.rate, raw, test.want)
		}
	}
}
