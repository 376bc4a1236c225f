package rpc

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// TestTemplateShape: names and order are Bitcoin Core's, with coinbasetxn among them if
// it is asked for.
func TestTemplateShape(t *testing.T) {
	l, s := newLab(t)
	parent := waitingTx(700, types.OutPoint{TxID: types.Hash{1}})
	child := waitingTx(900, types.OutPoint{TxID: parent.TxID}, types.OutPoint{TxID: types.Hash{2}}, types.OutPoint{TxID: parent.TxID, Index: 1})
	l.entries = append(l.entries, parent, child)
	l.changes = 42
	got := result(t, s, "getblocktemplate", `[{"rules":["segwit","more"],"capabilities":["longpoll"],"workid":"x"}]`)
	tip := l.state.Index.Hash
	want := fmt.Sprintf(`{"capabilities":["proposal"],"version":536870912,"rules":["csv","!segwit","taproot"],"vbavailable":{},"vbrequired":0,"previousblockhash":"%s",`+
		`"transactions":[{"data":"%x","txid":"%s","hash":"%s","depends":[],"fee":700,"sigops":0,"weight":%d},{"data":"%x","txid":"%s","hash":"%s","depends":[1,1],"fee":900,"sigops":0,"weight":%d}],`+
		`"coinbaseaux":{},"coinbasevalue":5000001600,"longpollid":"%s42","target":"7fffff0000000000000000000000000000000000000000000000000000000000","mintime":1799999941,"mutable":["time","transactions","prevblock"],`+
		`"noncerange":"00000000ffffffff","sigoplimit":80000,"sizelimit":4000000,"weightlimit":4000000,"curtime":1800000000,"bits":"207fffff","height":8,"default_witness_commitment":"%x"}`,
		tip, parent.Raw, parent.TxID, parent.WTxID, parent.Weight, child.Raw, child.TxID, child.WTxID, child.Weight, tip, l.made.Commitment)
	if got != want {
		t.Fatalf("%s\nwant\n%s", got, want)
	}
	l.now += 500 // the template is the same, and the time is now's
	if got := result(t, s, "getblocktemplate", `{"template_request":{"rules":["segwit"]}}`); !strings.Contains(got, `"curtime":1800000500,`) {
		t.Errorf("later: %.2000s", got)
	}
	l.now -= 5000
	if got := result(t, s, "getblocktemplate", `[{"rules":["segwit"]}]`); !strings.Contains(got, `"curtime":1799999941,`) {
		t.Errorf("before the median: %.2000s", got)
	}
}

// TestCoinbaseTxn: who asks for it gets a coinbase that pays to the node's script,
// another each time, and without its witness.
func TestCoinbaseTxn(t *testing.T) {
	l, s := newLab(t)
	l.entries = append(l.entries, waitingTx(700, types.OutPoint{TxID: types.Hash{1}}))
	const call = `[{"capabilities":["coinbasetxn","coinbasevalue","longpoll","workid"],"rules":["segwit"]}]`
	seen := map[string]bool{}
	for range 3 {
		var answer struct {
			CoinbaseTxn struct {
				Data     string
				TxID     types.Hash
				Fee      int64
				Required bool
			}
			CoinbaseValue types.Amount
			Mutable       []string
		}
		if err := json.Unmarshal([]byte(result(t, s, "getblocktemplate", call)), &answer); err != nil {
			t.Fatal(err)
		}
		raw, _ := hex.DecodeString(answer.CoinbaseTxn.Data)
		tx, err := types.DecodeTx(raw)
		if err != nil || seen[answer.CoinbaseTxn.Data] || tx.HasWitness() || types.DoubleSHA256(raw) != answer.CoinbaseTxn.TxID {
			t.Fatalf("%+v, %v", answer, err)
		}
		seen[answer.CoinbaseTxn.Data] = true
		if out := tx.Outputs; out[0].Value != answer.CoinbaseValue || answer.CoinbaseValue != 50*types.GrainsPerCoin+700 || string(out[0].ScriptPubKey) != string(s.PayTo) || consensus.WitnessCommitment(tx) == nil {
			t.Errorf("outputs %+v", out)
		}
		if answer.CoinbaseTxn.Fee != -700 || !answer.CoinbaseTxn.Required || !slices.Contains(answer.Mutable, "coinbase/append") {
			t.Errorf("%+v", answer)
		}
	}
	s.PayTo = nil
	var logged strings.Builder
	s.log = slog.New(slog.NewTextHandler(&logged, nil))
	if _, answer := post(s, `{"method":"getblocktemplate","params":`+call+`,"id":1}`); code(t, answer) != CodeMisc || !strings.Contains(answer, "--mine-to") || !strings.Contains(logged.String(), "--mine-to") {
		t.Errorf("without an address: %s", answer)
	}
	if got := result(t, s, "getblocktemplate", `[{"capabilities":["coinbasevalue"],"rules":["segwit"]}]`); !strings.Contains(got, `"coinbasevalue":5000000700`) {
		t.Errorf("who makes a coinbase of its own: %.300s", got)
	}
}

// TestTemplateRequests: what is wrong is told in Bitcoin Core's words, and what is not
// known is passed over.
func TestTemplateRequests(t *testing.T) {
	l, s := newLab(t)
	segwit := `getblocktemplate must be called with the segwit rule set (call with {\"rules\": [\"segwit\"]})`
	for request, want := range map[string]string{
		`{}`:                               segwit,
		`{"rules":["SEGWIT"]}`:             segwit,
		`{"rules":"segwit"}`:               segwit,
		`{"rules":["segwit"],"mode":null}`: "",
		`{"rules":["segwit"],"mode":"x"}`:  "Invalid mode",
		`{"mode":7}`:                       "Invalid mode",
		`{"mode":"proposal"}`:              "Missing data String key for proposal",
		`{"mode":"proposal","data":5}`:     "Missing data String key for proposal",
		`{"mode":"proposal","data":"zz"}`:  "Block decode failed",
		`{"mode":"proposal","data":""}`:    "Block decode failed",
		`{"rules":["segwit",5]}`:           "JSON value of type number is not of expected type string",
		`{"rules":["segwit"],"more":{"a":1},"maxversion":536870912}`:          "",
		`{"rules":["segwit"],"capabilities":"all"}`:                           "",
		`{"rules":["segwit"],"capabilities":[[],5,null]}`:                     "",
		`{"rules":["segwit"],"longpollid":"abc"}`:                             "longpollid must be of length 64 (not 3, for 'abc')",
		`{"rules":["segwit"],"longpollid":"` + strings.Repeat("z", 64) + `"}`: "longpollid must be hexadecimal string",
		`{"rules":["segwit"],"rules":["segwit"]}`:                             "specified multiple times",
		`"text"`: "not of expected type object", `[]`: "not of expected type object", `5`: "not of expected type object",
	} {
		_, answer := post(s, `{"method":"getblocktemplate","params":[`+request+`],"id":1}`)
		if failed := code(t, answer) != 0; failed != (want != "") || !strings.Contains(answer, want) {
			t.Errorf("%s: %.300s", request, answer)
		}
	}
	if len(l.proposed) != 0 {
		t.Error("a wrong proposal was looked at")
	}
	s.Miner = nil
	if _, answer := post(s, `{"method":"getblocktemplate","params":[{"rules":["segwit"]}],"id":1}`); code(t, answer) != CodeMisc {
		t.Errorf("without a miner: %s", answer)
	}
}

// TestHostileTemplateRequests: a request that is large in every way costs little more
// than to read it.
func TestHostileTemplateRequests(t *testing.T) {
	l, s := newLab(t)
	many := strings.TrimSuffix(strings.Repeat(`"segwit",`, 100_000), ",")
	for name, request := range map[string]string{
		"a long longpollid":                    `{"rules":["segwit"],"longpollid":"` + strings.Repeat("0", 4<<20) + `"}`,
		"a large number":                       `{"rules":["segwit"],"longpollid":"` + strings.Repeat("0", 64) + strings.Repeat("9", 1<<20) + `"}`,
		"many rules":                           `{"rules":[` + many + `]}`,
		"many capabilities":                    `{"rules":["segwit"],"capabilities":[` + many + `]}`,
		"many members":                         `{"rules":["segwit"]` + strings.Repeat(`,"x":1`, 50_000) + `}`,
		"deep":                                 `{"rules":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + `}`,
		"deep, in a member":                    `{"rules":["segwit"],"x":` + strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000) + `}`,
		"a proposal of junk":                   `{"mode":"proposal","data":"` + strings.Repeat("fe", 4_000_000) + `"}`,
		"a proposal of zeros":                  `{"mode":"proposal","data":"` + strings.Repeat("00", 4_000_000) + `"}`,
		"a proposal of no end of transactions": `{"mode":"proposal","data":"` + strings.Repeat("00", 80) + "fe00093d00" + strings.Repeat("00", 1000) + `"}`,
	} {
		status, answer := post(s, `{"method":"getblocktemplate","params":[`+request+`],"id":1}`)
		if status == 0 || len(answer) > 10_000 {
			t.Errorf("%s: %d, %d bytes", name, status, len(answer))
		}
	}
	// Zeros are a block without transactions; what is behind it is not looked at.
	if len(l.proposed) != 1 || len(l.proposed[0]) != types.HeaderSize+1 {
		t.Errorf("%d proposals were looked at", len(l.proposed))
	}
}

// worked is a block of one transaction with its proof of work, and without its
// coinbase's witness.
func worked(s *Server, change func(*types.Block)) *types.Block {
	tpl := s.Miner.Template()
	coinbase := s.Miner.Coinbase(tpl, s.PayTo)
	coinbase.Inputs[0].Witness = nil
	b := tpl.Block(tpl.Header, coinbase)
	b.Header.MerkleRoot = tpl.Root(coinbase.TxID())
	change(b)
	for consensus.CheckHeader(s.Params, &b.Header, b.Hash()) != nil {
		b.Header.Nonce++
	}
	return b
}

// TestSubmitBlock: the words of BIP22, and what Bitcoin Core does for a miner: it
// completes the coinbase, and passes over bytes behind the block.
func TestSubmitBlock(t *testing.T) {
	l, s := newLab(t)
	block := worked(s, func(*types.Block) {})
	submit := func(raw []byte) string { return result(t, s, "submitblock", fmt.Sprintf(`["%x"]`, raw)) }
	if got := submit(append(block.AppendTo(nil), 1, 2, 3)); got != "null" || len(l.added) != 1 {
		t.Fatalf("%s, %d blocks", got, len(l.added))
	}
	added, err := types.DecodeBlock(l.added[0])
	if err != nil || len(added.Txs[0].Inputs[0].Witness) != 1 || added.Hash() != block.Hash() {
		t.Fatalf("%+v, %v", added, err)
	}
	for want, verdict := range map[string]*consensus.RuleError{
		`"bad-cb-amount"`:           {Reason: consensus.ReasonCoinbaseAmount, Detail: "words"},
		`"bad-version(0x00000001)"`: {Reason: consensus.ReasonVersion, Suffix: "(0x00000001)"},
		`"block-script-verify-flag-failed (Witness program hash mismatch)"`: {Reason: consensus.ReasonScript, Suffix: " (Witness program hash mismatch)"},
	} {
		l.verdict = verdict
		if got := submit(block.AppendTo(nil)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	l.verdict = fmt.Errorf("%w: the disk", consensus.ErrLocal)
	if got := submit(block.AppendTo(nil)); got != fmt.Sprint(CodeDatabase) {
		t.Errorf("a fault of the node: %s", got)
	}
	l.verdict = nil
	empty := types.Block{Header: block.Header}
	if got := submit(empty.AppendTo(nil)); got != "null" { // what the chain says of it is in its tests
		t.Errorf("a block without transactions: %s", got)
	}
	for _, hexdata := range []string{"", "00", "zz", hex.EncodeToString(block.AppendTo(nil)[:200])} {
		if got := result(t, s, "submitblock", `["`+hexdata+`"]`); got != fmt.Sprint(CodeDeserialization) {
			t.Errorf("%.20s: %s", hexdata, got)
		}
	}
}

// TestKnownBlocks: what is told of a block that was there before.
func TestKnownBlocks(t *testing.T) {
	l, s := newLab(t)
	block := worked(s, func(b *types.Block) { b.Txs[0].Inputs[0].Witness = [][]byte{make([]byte, 32)} })
	spoiled := *block
	spoiled.Txs = append(slices.Clone(block.Txs), block.Txs[0])
	for _, test := range []struct {
		name            string
		status          header.Status
		submit, propose string
		spoiled         string
		added           bool
	}{
		{"valid", header.StatusValid | header.StatusBody, `"duplicate"`, `"duplicate"`, `"bad-txnmrklroot"`, false},
		{"not looked at yet", header.StatusBody, `"duplicate"`, `"duplicate-inconclusive"`, `"bad-txnmrklroot"`, false},
		{"invalid", header.StatusBody | header.StatusInvalid, `"duplicate-invalid"`, `"duplicate-invalid"`, `"bad-txnmrklroot"`, false},
		{"on an invalid one", header.StatusInvalidAncestor, `"duplicate-invalid"`, `"duplicate-invalid"`, `"bad-txnmrklroot"`, false},
		{"a header alone", 0, `"inconclusive"`, `"duplicate-inconclusive"`, `"bad-txnmrklroot"`, true},
		{"pruned", header.StatusValid, `"inconclusive"`, `"duplicate"`, `"bad-txnmrklroot"`, true},
	} {
		l.known = map[types.Hash]header.Info{block.Hash(): {Record: header.Record{Status: test.status}}}
		l.added, l.wanted, l.proposed = nil, nil, nil
		hexdata := hex.EncodeToString(block.AppendTo(nil))
		if got := result(t, s, "submitblock", `["`+hexdata+`"]`); got != test.submit || (len(l.added) == 1) != test.added || len(l.wanted) == 1 != (test.name == "pruned") {
			t.Errorf("%s: submitblock %s, added %d, wanted %d", test.name, got, len(l.added), len(l.wanted))
		}
		if got := result(t, s, "getblocktemplate", `[{"mode":"proposal","data":"`+hexdata+`"}]`); got != test.propose || len(l.proposed) != 0 {
			t.Errorf("%s: proposal %s", test.name, got)
		}
		if got := result(t, s, "submitblock", fmt.Sprintf(`["%x"]`, spoiled.AppendTo(nil))); got != test.spoiled {
			t.Errorf("%s: another body is %s", test.name, got)
		}
	}
}

// TestProposal: a block is judged and not added.
func TestProposal(t *testing.T) {
	l, s := newLab(t)
	block := worked(s, func(*types.Block) {})
	request := fmt.Sprintf(`[{"mode":"proposal","data":"%xffff"}]`, block.AppendTo(nil))
	if got := result(t, s, "getblocktemplate", request); got != "null" || len(l.proposed) != 1 || len(l.added) != 0 {
		t.Fatalf("%s", got)
	}
	if string(l.proposed[0]) != string(block.AppendTo(nil)) { // as it came: Core completes no proposal
		t.Errorf("%x", l.proposed[0])
	}
	l.verdict = &consensus.RuleError{Kind: consensus.ErrNotYet, Reason: "inconclusive-not-best-prevblk"}
	if got := result(t, s, "getblocktemplate", request); got != `"inconclusive-not-best-prevblk"` {
		t.Errorf("%s", got)
	}
}

func TestSubmitHeader(t *testing.T) {
	l, s := newLab(t)
	block := worked(s, func(*types.Block) {})
	raw := block.AppendTo(nil)
	submit := func(raw []byte) string {
		_, answer := post(s, fmt.Sprintf(`{"method":"submitheader","params":["%x"],"id":1}`, raw))
		return answer
	}
	if got := submit(raw); !strings.Contains(got, `"code":-25,"message":"Must submit previous header (`+block.Header.PrevBlock.String()+`) first"`) || len(l.headers) != 0 {
		t.Errorf("an unknown parent: %s", got)
	}
	l.known[block.Header.PrevBlock] = header.Info{}
	if got := submit(raw); code(t, got) != 0 || len(l.headers) != 1 || l.headers[0] != block.Header {
		t.Errorf("with its block: %s", got)
	}
	l.verdict = &consensus.RuleError{Reason: consensus.ReasonVersion, Suffix: "(0x00000001)"}
	if got := submit(raw[:80]); !strings.Contains(got, `"code":-25,"message":"bad-version(0x00000001)"`) {
		t.Errorf("refused: %s", got)
	}
	for _, hexdata := range []string{"", "zz", strings.Repeat("ff", 79)} {
		if got := result(t, s, "submitheader", `["`+hexdata+`"]`); got != fmt.Sprint(CodeDeserialization) {
			t.Errorf("%.10s: %s", hexdata, got)
		}
	}
}

// TestGenerateBlock: the transactions that are given, in their order, and nothing of
// their fees.
func TestGenerateBlock(t *testing.T) {
	l, s := newLab(t)
	waits, other := waitingTx(700, types.OutPoint{TxID: types.Hash{1}}), waitingTx(0, types.OutPoint{TxID: types.Hash{2}})
	l.entries = append(l.entries, waits, waitingTx(5, types.OutPoint{TxID: types.Hash{3}}))
	address, err := taproot.EncodeAddress("bcrt", taproot.OutputScript([32]byte{5}))
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		Hash types.Hash
		Hex  string
	}
	call := fmt.Sprintf(`["%s",["%s","%x"],false]`, address, waits.TxID, other.Raw)
	if err := json.Unmarshal([]byte(result(t, s, "generateblock", call)), &made); err != nil {
		t.Fatal(err)
	}
	raw, _ := hex.DecodeString(made.Hex)
	block, err := consensus.OpenBlock(s.Params, raw)
	if err != nil || block.Hash != made.Hash || len(block.TxIDs) != 3 || block.TxIDs[1] != waits.TxID || block.TxIDs[2] != other.TxID || block.Block.Txs[0].Outputs[0].Value != 50*types.GrainsPerCoin {
		t.Fatalf("%+v, %v", block, err)
	}
	if len(l.added) != 0 || len(l.proposed) != 1 {
		t.Fatal("it was submitted, or not looked at")
	}
	if got := result(t, s, "generateblock", `["addr(`+address+`)",[]]`); !strings.HasPrefix(got, `{"hash":"`) || strings.Contains(got, "hex") || len(l.added) != 1 {
		t.Errorf("submitted: %s", got)
	}
	for params, want := range map[string]string{
		`["1234",[]]`: "-5", `["` + address + `",["` + strings.Repeat("00", 32) + `"]]`: "-5", `["` + address + `",["0000"]]`: "-22", `["` + address + `",[7]]`: "-3",
		`["tr(tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZPStJRJCTKvosUCJZL5B/0/*)",[]]`: "-8", `["pkh(xpub/0h/1)",[]]`: "-5", `["` + address + `"]`: "-1",
	} {
		if got := result(t, s, "generateblock", params); got != want {
			t.Errorf("%s: %s, want %s", params, got, want)
		}
	}
	l.verdict = &consensus.RuleError{Reason: consensus.ReasonMissingInputs}
	if _, got := post(s, `{"method":"generateblock","params":["`+address+`",[]],"id":1}`); !strings.Contains(got, `"code":-25,"message":"TestBlockValidity failed: bad-txns-inputs-missingorspent"`) {
		t.Errorf("what breaks a rule: %s", got)
	}
	s.Params.Difficulty.Algorithm = consensus.DifficultyASERT
	if got := result(t, s, "generateblock", `["`+address+`",[]]`); got != "-1" {
		t.Errorf("on a network that is worth something: %s", got)
	}
}

// TestScriptOfDescriptor: what stands for one script is taken, with a checksum or without.
// The key of tr() is of BIP386.
func TestScriptOfDescriptor(t *testing.T) {
	const internal, output = "a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd", "77aab6e066f8a7419c5ab714c12c67d25007ed55a43cadcacb4d7a970a093f11"
	const tpub = "tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZPStJRJCTKvosUCJZL5B"
	_, s := newLab(t)
	for text, want := range map[string]string{
		"raw(deadbeef)": "deadbeef", "raw(deadbeef)#89f8spxm": "deadbeef", "raw()": "error Raw script is not hex",
		"tr([d34db33f/86h/0h/0h]" + internal + ")": "5120" + output,
		"rawtr(" + output + ")":                    "5120" + output,
		"addr(bcrt1pfeesnyr2tx)":                   "51024e73",
		"":                                         "error '' is not a valid descriptor function",
		"addr(1BoatSLRHtKNngkdXEeobR76b53LETtpyT)": "error Address is not valid",
		"tr(xpub661/0)":            "error tr(): key 'xpub661' is not valid",
		"tr(" + tpub + "/0/*)":     "error Ranged descriptor not accepted. Maybe pass through deriveaddresses first?",
		"tr(" + tpub + "/<0;1>)":   "error Multipath descriptor not accepted",
		"tr(" + tpub + "/0')":      "error Cannot derive script without private keys",
		"wpkh(02" + internal + ")": "error this network has taproot outputs only: use tr() or rawtr()",
	} {
		script, err := s.scriptOfDescriptor(text)
		got := hex.EncodeToString(script)
		if err != nil {
			got = "error " + err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestGenerate(t *testing.T) {
	l, s := newLab(t)
	var asked string
	l.generate = func(n int, script []byte, tries uint64) ([]types.Hash, error) {
		asked = fmt.Sprintf("%d %x %d", n, script, tries)
		return nil, nil
	}
	if got := result(t, s, "generatetodescriptor", `[3,"raw(51024e73)",77]`); got != "[]" || asked != "3 51024e73 77" {
		t.Errorf("%s, asked for %s", got, asked)
	}
	if got := result(t, s, "generatetodescriptor", `[3,"raw(51024e73)#aaaaaaaa"]`); got != "-5" {
		t.Errorf("a wrong checksum: %s", got)
	}
	const gone = "generate\\n\\nhas been replaced by the -generate cli option. Refer to -help for more information.\\n"
	if _, got := post(s, `{"method":"generate","params":[],"id":1}`); !strings.Contains(got, `"code":-32601,"message":"`+gone) {
		t.Errorf("%s", got)
	}
	if got := result(t, s, "help", `["generate"]`); got != `"`+gone+`"` {
		t.Errorf("%s", got)
	}
	if got := result(t, s, "help", `[]`); strings.Contains(got, "generate") || strings.Contains(got, "Hidden") {
		t.Errorf("%s", got)
	}
}
