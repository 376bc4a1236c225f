package rpc_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/vectors"
)

// TestPSBTVectors: decodepsbt reads what Bitcoin Core reads, and refuses the rest with its
// code and its words.
func TestPSBTVectors(t *testing.T) {
	s := start(t, nil)
	read, refusals := 0, 0
	for _, name := range []string{"bip0174", "bip0370", "bip0371", "bip0373", "core_rpc_psbt"} {
		var sets map[string][]struct {
			Case, Base64 string
			Core         string `json:"core_decodepsbt"`
		}
		vectors.ReadJSON(t, "psbt/"+name+".json", &sets)
		for set, list := range sets {
			for _, v := range list {
				if v.Core != "ok" {
					if got := refused(s, "decodepsbt", v.Base64); got != "-22 "+v.Core {
						t.Errorf("%s %s %s: %s, Bitcoin Core says %s", name, set, v.Case, got, v.Core)
					}
					refusals++
					continue
				}
				read++
				decoded := call[struct {
					Inputs, Outputs []map[string]any
					XPubs           []any `json:"global_xpubs"`
					Proprietary     []any
					Version         int `json:"psbt_version"`
				}](s, "decodepsbt", v.Base64)
				if decoded.Inputs == nil || decoded.Outputs == nil || decoded.XPubs == nil || decoded.Proprietary == nil {
					t.Errorf("%s %s: %+v", name, v.Case, decoded)
				}
				// What is combined with itself says the same, but for what is not written again.
				again := call[string](s, "combinepsbt", []string{v.Base64, v.Base64})
				before, after := call[json.RawMessage](s, "decodepsbt", v.Base64), call[json.RawMessage](s, "decodepsbt", again)
				if string(before) != string(after) && !strings.Contains(string(before), "final_scr") && !strings.Contains(string(before), "txinwitness") {
					t.Errorf("%s %s: decoded as %s, then as %s", name, v.Case, before, after)
				}
			}
		}
	}
	vectors.Ran(t, read+refusals, "PSBTs that decodepsbt read or refused")
}

// TestPSBTRoles: a PSBT goes from one role to the next, in both versions.
func TestPSBTRoles(t *testing.T) {
	s := start(t, nil)
	txid := strings.Repeat("ab", 32)
	inputs := []any{map[string]any{"txid": txid, "vout": 9}}
	outputs := []any{map[string]any{s.anchor: "1.5"}}
	raw := call[string](s, "createrawtransaction", inputs, outputs)
	for _, version := range []int{0, 2} {
		made := call[string](s, "createpsbt", inputs, outputs, 0, true, 2, version)
		if converted := call[string](s, "converttopsbt", raw, false, false, version); converted != made {
			t.Errorf("version %d: created %s, converted %s", version, made, converted)
		}
		if combined := call[string](s, "combinepsbt", []string{made, made}); combined != made {
			t.Errorf("combined with itself it is %s", combined)
		}
		analysis := call[json.RawMessage](s, "analyzepsbt", made)
		if string(analysis) != `{"inputs":[{"has_utxo":false,"is_final":false,"next":"updater"}],"next":"updater"}` {
			t.Errorf("analysis %s", analysis)
		}
		final := call[json.RawMessage](s, "finalizepsbt", made)
		if string(final) != `{"psbt":"`+made+`","complete":false}` {
			t.Errorf("finalized as %s", final)
		}
	}
	if latest := call[string](s, "createpsbt", inputs, outputs); latest != call[string](s, "createpsbt", inputs, outputs, 0, true, 2, 2) {
		t.Error("without a version it is not of version 2")
	}
	_, byName := s.post(s.cookie, `{"method":"createpsbt","params":{"outputs":{"data":"00"},"inputs":[],"psbt_version":0}}`)
	if !strings.Contains(byName, `"cHNidP8BABYCAAAAAAEAAAAAAAAAAANqAQAAAAAAAAA="`) {
		t.Errorf("by name: %s", byName)
	}
	other := call[string](s, "createpsbt", []any{map[string]any{"txid": txid, "vout": 8}}, outputs, 5, true, 3, 0)
	joined := call[string](s, "joinpsbts", []string{other, call[string](s, "createpsbt", inputs, outputs, 0, true, 2, 0)})
	tx := call[struct {
		Tx struct {
			Version, LockTime int
			Vin, Vout         []any
		}
	}](s, "decodepsbt", joined).Tx
	if tx.Version != 3 || tx.LockTime != 0 || len(tx.Vin) != 2 || len(tx.Vout) != 2 {
		t.Errorf("joined: %+v", tx)
	}
}

// TestPSBTRefusals are Bitcoin Core's.
func TestPSBTRefusals(t *testing.T) {
	s := start(t, nil)
	txid := strings.Repeat("ab", 32)
	inputs := []any{map[string]any{"txid": txid, "vout": 9}}
	made := call[string](s, "createpsbt", inputs, []any{}, 0, true, 2, 0)
	latest := call[string](s, "createpsbt", inputs, []any{})
	other := call[string](s, "createpsbt", inputs, []any{map[string]any{"data": "00"}}, 0, true, 2, 0)
	raw, err := base64.StdEncoding.DecodeString(made)
	if err != nil {
		t.Fatal(err)
	}
	signed := "0200000000010100000000000000000000000000000000000000000000000000000000000000000000000000ffffffff00010100" + "00000000"
	for _, c := range []struct {
		want, method string
		params       []any
	}{
		{"-8 The PSBT version can only be 2 or 0", "createpsbt", []any{inputs, []any{}, 0, true, 2, 1}},
		{"-1 JSON integer out of range", "createpsbt", []any{inputs, []any{}, 0, true, 2, -1}},
		{"-22 Inputs must not have scriptSigs and scriptWitnesses", "converttopsbt", []any{signed}},
		{"-22 TX decode failed", "converttopsbt", []any{signed, true, false}},
		{"-22 TX decode failed", "decoderawtransaction", []any{signed, false}},
		{"-22 TX decode failed invalid base64", "decodepsbt", []any{made[:len(made)-1]}},
		{"-22 TX decode failed extra data after PSBT", "decodepsbt", []any{base64.StdEncoding.EncodeToString(append(raw, 0))}},
		{"-8 Parameter 'txs' cannot be empty", "combinepsbt", []any{[]any{}}},
		{"-8 PSBTs not compatible (different transactions)", "combinepsbt", []any{[]string{made, other}}},
		{"-8 PSBTs not compatible (different transactions)", "combinepsbt", []any{[]string{made, latest}}},
		{"-8 At least two PSBTs are required to join PSBTs.", "joinpsbts", []any{[]string{made}}},
		{"-8 joinpsbts only operates on version 0 PSBTs", "joinpsbts", []any{[]string{made, latest}}},
		{"-8 Input " + txid + ":9 exists in multiple PSBTs", "joinpsbts", []any{[]string{made, other}}},
		{"-22 Missing transactions. At least two transactions required.", "combinerawtransaction", []any{[]string{signed}}},
		{"-22 TX decode failed for tx 1. Make sure the tx has at least one input.", "combinerawtransaction", []any{[]string{signed, "00"}}},
		{"-8 Transaction number 2 not compatible with first transaction", "combinerawtransaction", []any{[]string{signed, signed[:len(signed)-8] + "01000000"}}},
		{"-25 Input not found or already spent", "combinerawtransaction", []any{[]string{signed, signed}}},
	} {
		if got := refused(s, c.method, c.params...); got != c.want {
			t.Errorf("%s %v: %s, want %s", c.method, c.params, got, c.want)
		}
	}
	// A transaction without inputs can only be read in the older encoding.
	empty := call[string](s, "createrawtransaction", []any{}, []any{map[string]any{"data": "0102"}})
	decoded := call[struct {
		Vout []struct{ ScriptPubKey struct{ Hex string } }
	}](s, "decoderawtransaction", empty)
	if len(decoded.Vout) != 1 || decoded.Vout[0].ScriptPubKey.Hex != "6a020102" {
		t.Errorf("%s is decoded as %+v", empty, decoded)
	}
	if _, err := hex.DecodeString(empty); err != nil {
		t.Error(err)
	}
}

// TestVerifyMessageVectors: what BIP322 calls right is true. Signatures are of addresses of another
// network in its vectors, so this network's prefix is put to the same program.
func TestVerifyMessageVectors(t *testing.T) {
	s := start(t, nil)
	var sets map[string][]struct {
		Message, Address string
		Signatures       []string `json:"bip322_signatures"`
	}
	vectors.ReadJSON(t, "bip322/bip322.json", &sets)
	ran := 0
	for _, v := range sets["p2tr"] {
		script, err := taproot.DecodeAddress("bc", v.Address)
		if err != nil {
			t.Fatal(err)
		}
		address, err := taproot.EncodeAddress("krtd", script)
		if err != nil {
			t.Fatal(err)
		}
		for _, signature := range v.Signatures {
			if strings.HasPrefix(signature, "pof") { // its coins are of another chain
				if got := refused(s, "verifymessage", address, signature, v.Message); !strings.Contains(got, "proof of funds") {
					t.Error(got)
				}
				ran++
				continue
			}
			if !call[bool](s, "verifymessage", address, signature, v.Message) || call[bool](s, "verifymessage", address, signature, v.Message+" ") {
				t.Errorf("%s is not verified, or of another message", v.Message)
			}
			ran++
		}
		if got := refused(s, "verifymessage", v.Address, "", ""); got != "-5 Invalid address" {
			t.Error(got)
		}
		if got := refused(s, "verifymessage", address, "smp!", ""); got != "-3 Malformed base64 encoding" {
			t.Error(got)
		}
		if got := refused(s, "verifymessage", s.anchor, "smpAA==", ""); !strings.HasPrefix(got, "-1 the signature cannot be judged") {
			t.Error(got)
		}
	}
	vectors.Ran(t, ran, "signed messages that verifymessage verified")
}
