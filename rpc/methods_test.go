package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// result calls a method, and returns its result, or the code of its error.
func result(t testing.TB, s *Server, method, params string) string {
	t.Helper()
	_, answer := post(s, fmt.Sprintf(`{"method":%q,"params":%s,"id":1}`, method, params))
	var r struct {
		Result json.RawMessage
		Error  *Error
	}
	if err := json.Unmarshal([]byte(answer), &r); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	if r.Error != nil {
		return fmt.Sprint(r.Error.Code)
	}
	return string(r.Result)
}

// pool is one that says what a test wants.
type pool struct {
	Pool
	err     error
	fee     types.Amount
	entries []*pending.Entry
	info    pending.Info
	taken   int
	whole   error // of a list
	all     bool  // the last of a list is looked at, too
	result  pending.Package
}

func (p *pool) Get(types.Hash) *pending.Entry       { return nil }
func (p *pool) Entries() []*pending.Entry           { return p.entries }
func (p *pool) Info() pending.Info                  { return p.info }
func (p *pool) Listing() ([]*pending.Entry, uint64) { return p.entries, 7 }

// Estimate implements Pool. The less patience, the dearer.
func (p *pool) Estimate(blocks int, conservative bool) pending.FeeEstimate {
	estimate := pending.FeeEstimate{FeeRate: types.FeeRate(6000 / blocks), Known: blocks > 1}
	if conservative {
		estimate.FeeRate *= 2
	}
	return estimate
}

func (p *pool) Accept(_ context.Context, _ *types.Tx, limit types.FeeRate) (*pending.Entry, error) {
	e := &pending.Entry{Fee: p.fee, VSize: 100}
	if p.err == nil && e.Exceeds(limit) {
		return nil, &consensus.RuleError{Reason: pending.ReasonMaxFee}
	}
	p.taken++
	return e, p.err
}

func (p *pool) Try(_ context.Context, txs []*types.Tx) ([]pending.Verdict, error) {
	verdicts := make([]pending.Verdict, len(txs))
	for i := range verdicts {
		verdicts[i] = pending.Verdict{Err: p.err, PackageErr: p.whole}
		if p.err == nil && (i < len(txs)-1 || len(txs) == 1 || p.all) {
			verdicts[i].Entry = &pending.Entry{Fee: p.fee, VSize: 100}
			verdicts[i].FeeRate, verdicts[i].With = types.NewFeeRate(verdicts[i].Entry.Fee, verdicts[i].Entry.VSize), []types.Hash{txs[i].WTxID()}
		}
	}
	return verdicts, nil
}

// AcceptPackage implements Pool.
func (p *pool) AcceptPackage(_ context.Context, txs []*types.Tx, _ types.FeeRate) (pending.Package, error) {
	p.taken += len(txs)
	return p.result, p.err
}

// payment is a transaction with an output that can never be spent.
func payment() string {
	tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{}}, Outputs: []types.TxOut{{Value: 1000, ScriptPubKey: []byte{taproot.OpReturn}}}}
	return hex.EncodeToString(tx.AppendTo(nil))
}

// TestSend: each refusal of a transaction has the code by which clients know it.
func TestSend(t *testing.T) {
	rule := func(reason consensus.Reason) error { return &consensus.RuleError{Reason: reason} }
	for _, c := range []struct {
		name, more, want string
		fee              types.Amount
		err              error
	}{
		{"taken", `,0.1,0.00001`, `"`, 1, nil},
		{"burns", ``, "-25", 1, nil},
		{"burns more than is allowed", `,0.1,0.00000999`, "-25", 1, nil},
		{"pays too much", `,0.1,1`, "-25", 1_000_001, nil},
		{"pays as much as it may", `,0.1,1`, `"`, 1_000_000, nil},
		{"pays too much, any feerate", `,0,1`, `"`, 1e9, nil},
		{"pays too much, as btcd's client says it", `,true,1`, `"`, 1e9, nil},
		{"pays too much, usual limit", `,null,1`, "-25", 1_000_001, nil},
		{"pays too much, usual limit as an old client says it", `,false,1`, "-25", 1_000_001, nil},
		{"a feerate as a text", `,"1e-1","1"`, `"`, 1, nil},
		{"a limit of 1", `,1,1`, "-8", 1, nil},
		{"a limit below 0", `,-1,1`, "-3", 1, nil},
		{"no number", `,"NaN",1`, "-3", 1, nil},
		{"no number to burn", `,0.1,"x"`, "-3", 1, nil},
		{"an endless number", `,"Inf",1`, "-3", 1, nil},
		{"inputs are missing", `,0,1`, "-25", 1, rule(consensus.ReasonMissingInputs)},
		{"already there", `,0,1`, "-27", 1, rule(pending.ReasonConfirmed)},
		{"against a rule", `,0,1`, "-26", 1, rule("dust")},
		{"the node's own fault", `,0,1`, "-20", 1, consensus.Local(errors.New("disk"))},
	} {
		s, p := newFake().server(t), &pool{err: c.err, fee: c.fee}
		s.Pool = p
		got := result(t, s, "sendrawtransaction", `["`+payment()+`"`+c.more+`]`)
		if got != c.want && (c.want != `"` || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if (p.taken == 1) != (c.want == `"` || c.err != nil) {
			t.Errorf("%s: it was taken %d times", c.name, p.taken)
		}
	}
	s := newFake().server(t)
	for _, bad := range []string{"", "xyz", "00", payment()[2:], payment() + "00", "02000000000000000000"} {
		for _, call := range [][2]string{{"sendrawtransaction", `["` + bad + `"]`}, {"testmempoolaccept", `[["` + bad + `"]]`}} {
			if got := result(t, s, call[0], call[1]); got != "-22" {
				t.Errorf("%s %s: %s", call[0], bad, got)
			}
		}
	}
}

// TestTry: testmempoolaccept says what sendrawtransaction would.
func TestTry(t *testing.T) {
	s := newFake().server(t)
	for want, p := range map[string]*pool{
		`"allowed":true,"vsize_adjusted":100,"vsize":100,"vsize_bip141":100,"fees":{"base":0.00000100,"effective-feerate":0.00001000,"effective-includes":["`: {fee: 100},
		`"allowed":false,"reject-reason":"max-fee-exceeded"`:                   {fee: 1_000_001},
		`"allowed":false,"reject-reason":"dust","reject-details":"dust"`:       {err: &consensus.RuleError{Reason: "dust", Detail: "small"}},
		`"allowed":false,"reject-reason":"dust","reject-details":"dust, tx x"`: {err: &consensus.RuleError{Reason: "dust", Detail: "tx x"}},
		`"allowed":false,"reject-reason":"fee","reject-details":"fee, 1 < 2"`:  {err: &consensus.RuleError{Reason: "fee", Detail: "1 < 2"}},
		`"reject-reason":"missing-inputs"`:                                     {err: &consensus.RuleError{Reason: consensus.ReasonMissingInputs}},
		`"allowed":false,"reject-reason":"disk"`:                               {err: errors.New("disk")},
	} {
		s.Pool = p
		if got := result(t, s, "testmempoolaccept", `[["`+payment()+`"]]`); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	two := `[["` + payment() + `","` + payment() + `"]]`
	s.Pool = &pool{}
	if got := result(t, s, "testmempoolaccept", two); strings.Count(got, `"allowed"`) != 1 || strings.Count(got, `"wtxid"`) != 2 || strings.Contains(got, "package-error") {
		t.Errorf("two, of which the second was not looked at: %s", got)
	}
	s.Pool = &pool{whole: &consensus.RuleError{Reason: "package-not-sorted"}}
	if got := result(t, s, "testmempoolaccept", two); strings.Contains(got, `"allowed"`) || strings.Count(got, `"package-error":"package-not-sorted"`) != 2 {
		t.Errorf("two that make no package: %s", got)
	}
	s.Pool = &pool{fee: 1_000_001, all: true}
	if got := result(t, s, "testmempoolaccept", two); strings.Count(got, `"allowed"`) != 1 || strings.Count(got, "max-fee-exceeded") != 1 {
		t.Errorf("two, the first too dear: %s", got)
	}
	for params, want := range map[string]string{
		`[[]]`: "-8", `[["` + strings.Repeat(payment()+`","`, 25) + `"]]`: "-8", `[[5]]`: "-3", `["x"]`: "-3", `[{}]`: "-3",
	} {
		if got := result(t, s, "testmempoolaccept", params); got != want {
			t.Errorf("%.80s: %s, want %s", params, got, want)
		}
	}
}

// waiting is a pool whose answers take their time.
type waiting struct {
	pool
	asked func()
}

// AllDetails implements Pool.
func (w *waiting) AllDetails([]types.Hash) []pending.Details {
	w.asked()
	return []pending.Details{{Entry: &pending.Entry{}}}
}

// TestLongListEnds: a call about many transactions ends with its client or the node.
func TestLongListEnds(t *testing.T) {
	s := newFake().server(t)
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	s.Pool = &waiting{pool: pool{entries: slices.Repeat([]*pending.Entry{{}}, 1000)}, asked: func() { calls++; cancel() }}
	raw, _ := s.answered(ctx, &session{user: &User{}}, []byte(`{"method":"getrawmempool","params":[true],"id":1}`))
	if code(t, string(raw)) != CodeMisc || calls != 1 {
		t.Errorf("%d transactions were asked for: %.200s", calls, raw)
	}
}

// TestPoolIsLoaded: a client is told whether what waited when the node was stopped
// is back.
func TestPoolIsLoaded(t *testing.T) {
	s := newFake().server(t)
	for _, loaded := range []bool{false, true} {
		s.Pool = &pool{info: pending.Info{Loaded: loaded}}
		if got := result(t, s, "getmempoolinfo", "[]"); !strings.Contains(got, fmt.Sprintf(`"loaded":%v,`, loaded)) {
			t.Errorf("loaded %v: %s", loaded, got)
		}
	}
}

// TestFeeEstimate: the pool's answer, within the bounds of Bitcoin Core's.
func TestFeeEstimate(t *testing.T) {
	s := newFake().server(t)
	s.Pool = &pool{}
	for target, want := range map[string]string{
		"0": "-8", "1009": "-8", "-1": "-8", `6.0`: "-1", `"6"`: "-3", `6`: `{"feerate":0.00001000,"blocks":6}`, "2": `{"feerate":0.00003000,"blocks":2}`,
		`2,"unset"`: `{"feerate":0.00003000,"blocks":2}`, `2,"Conservative"`: `{"feerate":0.00006000,"blocks":2}`,
		"1": `{"feerate":0.00006000,"errors":["Insufficient data or no feerate found"],"blocks":1}`,
	} {
		if got := result(t, s, "estimatesmartfee", "["+target+"]"); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

// TestCompleteCoinbase: a miner that knows no witnesses leaves out the coinbase's,
// which the commitment to witnesses needs.
func TestCompleteCoinbase(t *testing.T) {
	commitment := append([]byte{taproot.OpReturn, 36, 0xaa, 0x21, 0xa9, 0xed}, make([]byte, 32)...)
	block := func(script []byte, witness ...[]byte) *types.Block {
		return &types.Block{Txs: []types.Tx{{Inputs: []types.TxIn{{Witness: witness}}, Outputs: []types.TxOut{{ScriptPubKey: []byte{0x51}}, {ScriptPubKey: script}}}}}
	}
	b := block(commitment)
	if !completeCoinbase(b) || len(b.Txs[0].Inputs[0].Witness) != 1 || string(b.Txs[0].Inputs[0].Witness[0]) != string(make([]byte, 32)) {
		t.Errorf("witness %x", b.Txs[0].Inputs[0].Witness)
	}
	for what, b := range map[string]*types.Block{
		"no commitment":    block([]byte{taproot.OpReturn}),
		"a short one":      block(commitment[:37]),
		"another":          block(append([]byte{taproot.OpReturn, 36, 0xaa, 0x21, 0xa9, 0xee}, make([]byte, 32)...)),
		"a longer push":    block(append([]byte{taproot.OpReturn, 37, 0xaa, 0x21, 0xa9, 0xed}, make([]byte, 33)...)),
		"one that is sent": block(commitment, []byte{1}),
	} {
		before := len(b.Txs[0].Inputs[0].Witness)
		if completeCoinbase(b) || len(b.Txs[0].Inputs[0].Witness) != before {
			t.Errorf("%s: the coinbase was changed", what)
		}
	}
}
