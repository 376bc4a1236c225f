package oracle

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// corpusCase is an execution that was kept: for each verdict that the engines
// reached the smallest spend that was met, and every listed difference.
type corpusCase struct {
	Verdict  string   `json:"verdict"` // karat's; OK or a name of Bitcoin Core's
	Known    string   `json:"known,omitempty"`
	Standard bool     `json:"standard"`
	Index    int      `json:"index"`
	Tx       string   `json:"tx"`
	Prevouts []string `json:"prevouts"`
}

const corpusFile = "testdata/spends.json"

func TestCorpus(t *testing.T) {
	data, err := os.ReadFile(corpusFile)
	if err != nil {
		t.Fatal(err)
	}
	var cases []corpusCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for i, tc := range cases {
		s, err := tc.spend()
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		var e engines
		known, err := e.difference(s, tc.Standard)
		if err != nil || known != tc.Known || e.verdicts[tc.Verdict] != 1 {
			t.Errorf("case %d: %v, difference %q, verdicts %v; want %s, %q", i, err, known, e.verdicts, tc.Verdict, tc.Known)
		}
	}
	t.Logf("%d cases", len(cases))
}

func (tc *corpusCase) spend() (*spend, error) {
	raw, err := hex.DecodeString(tc.Tx)
	if err != nil {
		return nil, err
	}
	tx, err := types.DecodeTx(raw)
	if err != nil {
		return nil, err
	}
	s := &spend{tx: *tx, index: tc.Index}
	for _, text := range tc.Prevouts {
		raw, err := hex.DecodeString(text)
		if err != nil {
			return nil, err
		}
		out, err := decodeTxOut(raw)
		if err != nil {
			return nil, err
		}
		s.prevouts = append(s.prevouts, out)
	}
	return s, nil
}

// TestEncodingDifferences holds that the listed differences of the decoders are
// still there, and what is no difference.
func TestEncodingDifferences(t *testing.T) {
	for _, tc := range []struct {
		name, hex, known string
		accepted         bool
	}{
		{"no inputs, no outputs", "02000000" + "0000" + "00000000", "encoding: no inputs, no outputs", true},
		{"marker, flag, no inputs", "02000000" + "0001" + "00" + "00" + "00000000", "", false},
		{"flag 2", "02000000" + "0002" + "00" + "00" + "00000000", "", false},
		{"count that is not canonical", "02000000" + "fd0000" + "00" + "00000000", "", false},
	} {
		b, err := hex.DecodeString(tc.hex)
		if err != nil {
			t.Fatal(err)
		}
		known, accepted, err := txDifference(b)
		if err != nil || known != tc.known || accepted != tc.accepted {
			t.Errorf("%s: %v, accepted %v, difference %q", tc.name, err, accepted, known)
		}
	}
}

// decodeTxOut reads one output. All of b must be used.
func decodeTxOut(b []byte) (types.TxOut, error) {
	d := types.NewDecoder(b)
	out := types.TxOut{Value: types.Amount(d.Uint64()), ScriptPubKey: d.VarBytes()}
	return out, d.Finish()
}
