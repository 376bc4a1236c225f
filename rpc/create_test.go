package rpc_test

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// TestCreateRawTransaction: what is asked for is what the transaction has.
func TestCreateRawTransaction(t *testing.T) {
	s := start(t, nil)
	txid := strings.Repeat("ab", 32)
	inputs := []any{map[string]any{"txid": txid, "vout": 9}}
	outputs := json.RawMessage(`[{"data": "c0ffee"}, {"` + s.anchor + `": "1.5"}]`)
	for _, c := range []struct {
		params             []any
		version, lock, seq uint32
		outputs            int
	}{
		{[]any{inputs, outputs}, 2, 0, 0xfffffffd, 2},
		{[]any{inputs, outputs, 0, false}, 2, 0, 0xffffffff, 2},
		{[]any{inputs, outputs, 7, false, 3}, 3, 7, 0xfffffffe, 2},
		{[]any{[]any{map[string]any{"txid": txid, "vout": 9, "sequence": 144}}, map[string]any{s.anchor: 1.5}, 0, true, 1}, 1, 0, 144, 1},
		{[]any{[]any{map[string]any{"txid": txid, "vout": 9}}, map[string]any{}}, 2, 0, 0xfffffffd, 0},
	} {
		raw, err := hex.DecodeString(call[string](s, "createrawtransaction", c.params...))
		if err != nil {
			t.Fatal(err)
		}
		tx, err := types.DecodeTx(raw)
		if err != nil {
			t.Fatal(err)
		}
		in := tx.Inputs[0]
		if tx.Version != c.version || tx.LockTime != c.lock || in.Sequence != c.seq || in.PreviousOutPoint.TxID.String() != txid || in.PreviousOutPoint.Index != 9 {
			t.Errorf("%v: %+v", c.params, tx)
		}
		if len(tx.Outputs) != c.outputs {
			t.Errorf("%v: %d outputs", c.params, len(tx.Outputs))
		}
		if c.outputs == 2 && (hex.EncodeToString(tx.Outputs[0].ScriptPubKey) != "6a03c0ffee" || tx.Outputs[1].Value != 150_000_000) {
			t.Errorf("%v: %+v", c.params, tx.Outputs)
		}
	}
}

// TestCreateRawTransactionRefusals are those of Bitcoin Core's rpc_rawtransaction.py.
func TestCreateRawTransactionRefusals(t *testing.T) {
	s := start(t, nil)
	txid := strings.Repeat("ab", 32)
	input := func(text string) json.RawMessage { return json.RawMessage(`[` + text + `]`) }
	spent := `{"txid": "` + txid + `", "vout": `
	none, out := []any{}, json.RawMessage(`{}`)
	pays := func(text string) json.RawMessage {
		return json.RawMessage(strings.ReplaceAll(text, "A", `"`+s.anchor+`"`))
	}
	for _, c := range []struct {
		want   string
		params []any
	}{
		{"-3 JSON value of type string is not of expected type object", []any{input(`"foo"`), out}},
		{"-3 JSON value of type null is not of expected type string", []any{input(`{}`), out}},
		{"-8 txid must be of length 64 (not 3, for 'foo')", []any{input(`{"txid": "foo"}`), out}},
		{"-8 Invalid parameter, missing vout key", []any{input(spent + `"foo"}`), out}},
		{"-8 Invalid parameter, vout cannot be negative", []any{input(spent + `-1}`), out}},
		{"-1 JSON integer out of range", []any{input(spent + `1.5}`), out}},
		{"-8 Invalid parameter, sequence number is out of range", []any{input(spent + `1, "sequence": 4294967296}`), out}},
		{"-8 Invalid parameter, version out of range(1~3)", []any{none, out, 0, false, 4}},
		{"-8 Invalid parameter, locktime out of range", []any{none, out, -1}},
		{"-8 Invalid parameter, locktime out of range", []any{none, out, 4294967296}},
		{"-8 Data must be hexadecimal string (not 'foo')", []any{none, pays(`{"data": "foo"}`)}},
		{"-5 Invalid Bitcoin address: foo", []any{none, pays(`{"foo": 0}`)}},
		{"-3 Invalid amount", []any{none, pays(`{A: "foo"}`)}},
		{"-3 Amount out of range", []any{none, pays(`{A: -1}`)}},
		{"-3 Amount out of range", []any{none, pays(`{A: 9000000000}`)}},
		{"-3 Amount is not a number or string", []any{none, pays(`{A: []}`)}},
		{"-8 Invalid parameter, duplicated address: " + s.anchor, []any{none, pays(`{A: 1, A: 1}`)}},
		{"-8 Invalid parameter, duplicated address: " + s.anchor, []any{none, pays(`[{A: 1}, {A: 1}]`)}},
		{"-8 Invalid parameter, duplicate key: data", []any{none, pays(`[{"data": "aa"}, {"data": "bb"}]`)}},
		{"-8 Invalid parameter, key-value pair must contain exactly one key", []any{none, pays(`[{A: 1, "data": ""}]`)}},
		{"-8 Invalid parameter, key-value pair not an object as expected", []any{none, pays(`[["a"]]`)}},
		{"-8 Invalid parameter combination: Sequence number(s) contradict replaceable option", []any{input(spent + `0, "sequence": 4294967294}`), out, 0, true}},
	} {
		if got := refused(s, "createrawtransaction", c.params...); got != c.want {
			t.Errorf("%s: %s, want %s", c.params, got, c.want)
		}
	}
}
