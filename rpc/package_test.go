package rpc

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// relatives makes parents and a child that spends them, and their encodings as an
// argument.
func relativesOf(parents int, outputs ...types.TxOut) (txs []*types.Tx, argument string) {
	child := &types.Tx{Version: 2, Outputs: append(outputs, types.TxOut{Value: 1, ScriptPubKey: []byte{0x51, 2, 0, 0}})}
	for i := range parents {
		parent := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{byte(i + 1)}}}}, Outputs: []types.TxOut{{Value: 1}}}
		child.Inputs = append(child.Inputs, types.TxIn{PreviousOutPoint: types.OutPoint{TxID: parent.TxID()}})
		txs = append(txs, parent)
	}
	txs = append(txs, child)
	return txs, argumentOf(txs...)
}

func argumentOf(txs ...*types.Tx) string {
	var raw []string
	for _, tx := range txs {
		raw = append(raw, `"`+hex.EncodeToString(tx.AppendTo(nil))+`"`)
	}
	return "[" + strings.Join(raw, ",") + "]"
}

// TestSubmitPackage: what became of each transaction, in Bitcoin Core's words and order.
func TestSubmitPackage(t *testing.T) {
	txs, argument := relativesOf(3)
	entry := func(i int, fee types.Amount) *pending.Entry {
		return &pending.Entry{TxID: txs[i].TxID(), WTxID: txs[i].WTxID(), Fee: fee, VSize: 100}
	}
	rule := func(reason consensus.Reason, detail string) error {
		return &consensus.RuleError{Kind: consensus.ErrPolicy, Reason: reason, Detail: detail}
	}
	other := entry(1, 0)
	other.WTxID = types.Hash{9}
	size := `"vsize_adjusted":100,"vsize":100,"vsize_bip141":100`
	id := func(i int) string { return fmt.Sprintf(`"%s":{"txid":"%s",`, txs[i].WTxID(), txs[i].TxID()) }
	for name, c := range map[string]struct {
		p    pool
		want string
	}{
		"all are in": {pool{result: pending.Package{
			Verdicts: []pending.Verdict{
				{Entry: entry(0, 100), Present: true}, {Entry: other, Present: true},
				{Entry: entry(2, 0), FeeRate: 1500, With: []types.Hash{txs[2].WTxID(), txs[3].WTxID()}},
				{Entry: entry(3, 300), FeeRate: 1500, With: []types.Hash{txs[2].WTxID(), txs[3].WTxID()}},
			},
			Replaced: []types.Hash{{2}, {1}, {2}},
		}}, `{"package_msg":"success","tx-results":{` +
			id(0) + size + `,"fees":{"base":0.00000100}},` + id(1) + `"other-wtxid":"` + types.Hash{9}.String() + `"},` +
			id(2) + size + `,"fees":{"base":0.00000000,"effective-feerate":0.00001500,"effective-includes":["` + txs[2].WTxID().String() + `","` + txs[3].WTxID().String() + `"]}},` +
			id(3) + size + `,"fees":{"base":0.00000300,"effective-feerate":0.00001500,"effective-includes":["` + txs[2].WTxID().String() + `","` + txs[3].WTxID().String() + `"]}}},` +
			`"replaced-transactions":["` + types.Hash{1}.String() + `","` + types.Hash{2}.String() + `"]}`},
		"one is refused": {pool{
			result: pending.Package{Verdicts: []pending.Verdict{
				{Entry: entry(0, 100), Present: true}, {Err: rule("version", "version 9")}, {Err: rule(pending.ReasonMinRelayFee, "0 < 10")}, {Err: rule(consensus.ReasonMissingInputs, "what")},
			}},
			err: &pending.Refusal{Err: rule("version", "version 9"), Failed: 1},
		}, `{"package_msg":"transaction failed","tx-results":{` + id(0) + size + `,"fees":{"base":0.00000100}},` + id(1) + `"error":"version"},` +
			id(2) + `"error":"min relay fee not met, 0 < 10"},` + id(3) + `"error":"bad-txns-inputs-missingorspent"}},"replaced-transactions":[]}`},
		"all are refused": {pool{err: &pending.Refusal{Err: rule("conflict-in-package", ""), Failed: -1}},
			`{"package_msg":"conflict-in-package","tx-results":{` + id(0) + `"error":"package-not-validated"},` + id(1) + `"error":"package-not-validated"},` +
				id(2) + `"error":"package-not-validated"},` + id(3) + `"error":"package-not-validated"}},"replaced-transactions":[]}`},
		"the node's own fault": {pool{err: consensus.Local(errors.New("disk"))}, "-20"},
	} {
		s := newFake().server(t)
		s.Pool = &c.p
		if got := result(t, s, "submitpackage", "["+argument+"]"); got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
}

// TestSubmitPackageRefused: what is no package, or would lose coins, reaches no pool.
func TestSubmitPackageRefused(t *testing.T) {
	_, good := relativesOf(2)
	strangers, _ := relativesOf(1)
	first, _ := relativesOf(1)
	generations := []*types.Tx{first[0], first[1], {Version: 2, Outputs: first[1].Outputs,
		Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: first[0].TxID()}}, {PreviousOutPoint: types.OutPoint{TxID: first[1].TxID()}}}}}
	_, burning := relativesOf(1, types.TxOut{Value: 1000, ScriptPubKey: []byte{0x6a}})
	_, many := relativesOf(25)
	for name, c := range map[string][2]string{
		"nothing":                     {`[[]]`, "-8"},
		"too many":                    {"[" + many + "]", "-8"},
		"not decodable":               {`[["00"]]`, "-22"},
		"not a text":                  {`[[5]]`, "-3"},
		"no array":                    {`["x"]`, "-3"},
		"no child":                    {"[" + argumentOf(strangers[1], strangers[0]) + "]", "-25"},
		"parents spend each other":    {"[" + argumentOf(generations...) + "]", "-25"},
		"it burns":                    {"[" + burning + "]", "-25"},
		"it burns more than it may":   {"[" + burning + ",0,0.00000999]", "-25"},
		"a limit of a coin":           {"[" + good + ",1]", "-8"},
		"what is no amount to burn":   {"[" + good + `,0,"x"]`, "-3"},
		"a limit that is no feerate":  {"[" + good + `,"x"]`, "-3"},
		"it burns as much as it may":  {"[" + burning + ",0,0.00001]", ""},
		"one transaction is no child": {"[" + argumentOf(strangers[0]) + "]", ""},
	} {
		s, p := newFake().server(t), &pool{err: &pending.Refusal{Err: pending.ReasonFull, Failed: -1}}
		s.Pool = p
		got := result(t, s, "submitpackage", c[0])
		if taken := p.taken > 0; taken != (c[1] == "") || c[1] != "" && got != c[1] {
			t.Errorf("%s: %s, want %s", name, got, c[1])
		}
	}
}
