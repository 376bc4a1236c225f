package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/proof"
	"github.com/karatcoin/karat/chain/types"
)

const (
	testTpub = "tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZPStJRJCTKvosUCJZL5B"
	testKey  = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
)

// told returns what a client is told, or the result of a call that is answered.
func told(t *testing.T, s *Server, method, params string) string {
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
		return fmt.Sprintf("%d %s", r.Error.Code, r.Error.Message)
	}
	return string(r.Result)
}

func summed(text string) string { return text + "#" + descriptor.Checksum(text) }

// TestDescriptorRefusals: Core's codes and words for what is wrong with descriptors and
// ranges, and karat's where outputs cannot exist.
func TestDescriptorRefusals(t *testing.T) {
	_, s := newLab(t)
	ranged := summed("tr(" + testTpub + "/1/*)")
	for _, c := range []struct{ method, params, want string }{
		{"getdescriptorinfo", `["tr()"]`, "-5 tr(): No key provided"},
		{"getdescriptorinfo", `["wpkh(` + testKey + `)"]`, `{"descriptor":"wpkh(` + testKey + `)#`},
		{"getdescriptorinfo", `{"descriptor":"raw(deadbeef)"}`, `{"descriptor":"raw(deadbeef)#89f8spxm","checksum":"89f8spxm","isrange":false,"issolvable":false,"hasprivatekeys":false}`},
		{"deriveaddresses", `["` + ranged + `"]`, "-8 Range must be specified for a ranged descriptor"},
		{"deriveaddresses", `["tr(` + testTpub + `/1/*)"]`, "-5 Missing checksum"},
		{"deriveaddresses", `["` + summed("tr("+testTpub+")") + `",1]`, "-8 Range should not be specified for an un-ranged descriptor"},
		{"deriveaddresses", `["` + ranged + `",[2,0]]`, "-8 Range specified as [begin,end] must not have begin after end"},
		{"deriveaddresses", `["` + ranged + `",[-1,0]]`, "-8 Range should be greater or equal than 0"},
		{"deriveaddresses", `["` + ranged + `",2147483648]`, "-8 End of range is too high"},
		{"deriveaddresses", `["` + ranged + `",1000000]`, "-8 Range is too large"},
		{"deriveaddresses", `["` + ranged + `",999999]`, "-8 More than 250000 addresses or 1000000 keys in a call"},
		{"deriveaddresses", `["` + ranged + `",[1]]`, "-8 Range must be specified as end or as [begin,end]"},
		{"deriveaddresses", `["` + ranged + `","1"]`, "-8 Range must be specified as end or as [begin,end]"},
		{"deriveaddresses", `["` + summed("tr("+testTpub+"/1h)") + `"]`, "-5 Cannot derive script without private keys"},
		{"deriveaddresses", `["` + summed("wpkh("+testKey+")") + `"]`, "-5 this network has taproot outputs only: use tr() or rawtr()"},
		{"deriveaddresses", `["` + summed("raw(6a)") + `"]`, "-5 Descriptor does not have a corresponding address"},
		{"createmultisig", `[2,["` + testKey + `"]]`, "-8 not enough keys supplied (got 1 keys, but need at least 2 to redeem)"},
		{"createmultisig", `[0,["` + testKey + `"]]`, "-8 a multisignature address must require at least one key to redeem"},
		{"createmultisig", `[1,["` + testKey + `"],"legacy"]`, "-5 createmultisig can create bech32m multisig addresses only: this network has taproot outputs only"},
		{"createmultisig", `[1,["` + testKey + `"],"x"]`, "-5 Unknown address type 'x'"},
		{"createmultisig", `[1,["` + testKey[2:] + `"]]`, "-5 Pubkey \"" + testKey[2:] + "\" must have a length of either 33 or 65 bytes"},
		{"createmultisig", `[1,["x"]]`, "-5 Pubkey \"x\" must be a hex string"},
		{"createmultisig", `[1,["02` + strings.Repeat("ff", 32) + `"]]`, "-5 Pubkey \"02" + strings.Repeat("ff", 32) + "\" must be cryptographically valid."},
		{"scantxoutset", `[]`, "-1 scantxoutset \"action\" ( [scanobjects,...] )"},
		{"scantxoutset", `["start"]`, "-1 scanobjects argument is required for the start action"},
		{"scantxoutset", `["go"]`, "-8 Invalid action 'go'"},
		{"scantxoutset", `["start",[7]]`, "-8 Scan object needs to be either a string or an object"},
		{"scantxoutset", `["start",[{"range":7}]]`, "-8 Descriptor needs to be provided in scan object"},
		{"scantxoutset", `["start",[{"desc":"desc","range":-1}]]`, "-8 End of range is too high"},
		{"scantxoutset", `["start",["desc"]]`, "-5 'desc' is not a valid descriptor function"},
		{"scantxoutset", `["status"]`, "null"},
		{"scantxoutset", `["abort"]`, "false"},
		{"scanblocks", `["status"]`, "null"},
		{"scanblocks", `["start",[]]`, "-1 Index is not enabled for filtertype basic"},
		{"getdescriptoractivity", `[["` + strings.Repeat("00", 32) + `"],[]]`, "-5 Block not found"},
	} {
		if got := told(t, s, c.method, c.params); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %s: %s, want %s", c.method, c.params, got, c.want)
		}
	}
}

// TestMultisig: any two of three keys spend by the only leaf, and nobody by the key.
func TestMultisig(t *testing.T) {
	_, s := newLab(t)
	keys := []string{testKey, "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5", "03f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9"}
	var j multisigJSON
	if err := json.Unmarshal([]byte(result(t, s, "createmultisig", `[2,["`+strings.Join(keys, `","`)+`"]]`)), &j); err != nil {
		t.Fatal(err)
	}
	if want := "20" + keys[0][2:] + "ac20" + keys[1][2:] + "ba20" + keys[2][2:] + "ba529c"; j.RedeemScript != want {
		t.Errorf("script %s, want %s", j.RedeemScript, want)
	}
	if want := summed("tr(" + nobodysKey + ",multi_a(2," + strings.Join(keys, ",") + "))"); j.Descriptor != want {
		t.Errorf("descriptor %s, want %s", j.Descriptor, want)
	}
	if got := result(t, s, "deriveaddresses", `["`+j.Descriptor+`"]`); got != `["`+j.Address+`"]` {
		t.Errorf("address %s, but its descriptor has %s", j.Address, got)
	}
}

// scanned is an operator whose coins a test hands out.
type scanned struct {
	Operator
	visit func(ctx context.Context, each func(types.OutPoint, *types.Coin) error) error
}

func (o scanned) ForEachCoin(ctx context.Context, each func(types.OutPoint, *types.Coin) error) (types.Index, error) {
	return types.Index{Height: 7, Hash: types.Hash{7}}, o.visit(ctx, each)
}

// TestScanIsAborted: one scan runs at a time, tells how far it is, and ends when another
// call wants it to. What it has found by then is told.
func TestScanIsAborted(t *testing.T) {
	l, s := newLab(t)
	script := []byte{0x51, 2, 0x4e, 0x73}
	began := make(chan struct{})
	s.Operator = scanned{l, func(ctx context.Context, each func(types.OutPoint, *types.Coin) error) error {
		for i := 0; ; i++ {
			coin, _ := types.NewCoin(&types.TxOut{Value: 5, ScriptPubKey: script}, 3, false)
			if i > 0 {
				coin, _ = types.NewCoin(&types.TxOut{Value: 5, ScriptPubKey: []byte{0x52, 2, 1, 2}}, 3, false)
			}
			if err := each(types.OutPoint{TxID: types.Hash{0x80}, Index: uint32(i)}, &coin); err != nil {
				return err
			}
			if i == 5000 {
				close(began)
			}
		}
	}}
	answer := make(chan string)
	go func() { answer <- told(t, s, "scantxoutset", `["start",["raw(51024e73)"]]`) }()
	<-began
	if got := told(t, s, "scantxoutset", `["status"]`); got != `{"progress":50}` {
		t.Errorf("status %s", got)
	}
	if got := told(t, s, "scantxoutset", `["start",[]]`); got != `-8 Scan already in progress, use action "abort" or "status"` {
		t.Errorf("a second one: %s", got)
	}
	if got := told(t, s, "scantxoutset", `["abort"]`); got != "true" {
		t.Errorf("abort %s", got)
	}
	var found struct {
		Success  bool
		Txouts   int
		Unspents []struct{ Desc string }
	}
	select {
	case text := <-answer:
		if err := json.Unmarshal([]byte(text), &found); err != nil || found.Success || found.Txouts < 5000 || len(found.Unspents) != 1 || !strings.HasPrefix(found.Unspents[0].Desc, "addr(bcrt1pfeesnyr2tx)") {
			t.Errorf("%s, %v", text, err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it goes on")
	}
	if got := told(t, s, "scantxoutset", `["status"]`); got != "null" {
		t.Errorf("afterwards: %s", got)
	}
}

// TestProofs: what proofs show is told, unless the block is unknown, or has another number of
// transactions: then an inner node could pass for one.
func TestProofs(t *testing.T) {
	l, s := newLab(t)
	head := types.Header{}
	verify := func(txids ...types.Hash) string {
		shown := make([]bool, len(txids))
		shown[0] = true
		return told(t, s, "verifytxoutproof", `["`+hex.EncodeToString(proof.NewMerkleBlock(&head, txids, shown).AppendTo(nil))+`"]`)
	}
	t0, t1 := types.Hash{1}, types.Hash{2}
	head.MerkleRoot, _ = types.MerkleRoot([]types.Hash{t0, t1})
	if got := verify(t0, t1); got != "-5 Block not found in chain" {
		t.Errorf("of a block that is not known: %s", got)
	}
	hash := head.Hash()
	l.known[hash] = header.Info{Record: header.Record{Header: head, Hash: hash, Height: 3, TxCount: 2}, OnBestChain: true}
	if got := verify(t0, t1); got != `["`+t0.String()+`"]` {
		t.Errorf("shown: %s", got)
	}
	if got := verify(t0, t0); got != "[]" {
		t.Errorf("with another root: %s", got)
	}
	if got := verify(head.MerkleRoot); got != "[]" {
		t.Errorf("an inner node is shown: %s", got)
	}
	for params, want := range map[string]string{
		`["xy"]`: "-8 proof must be hexadecimal string (not 'xy')", `[""]`: "-8 proof must be", `["00"]`: "-1 proof: ",
		`["` + strings.Repeat("00", 84) + `fdffff"]`: "-1 proof: ",
	} {
		if got := told(t, s, "verifytxoutproof", params); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", params, got, want)
		}
	}
}

// coinsOf are blocks that know one coin.
type coinsOf struct {
	Blocks
	at   types.OutPoint
	coin types.Coin
}

func (b coinsOf) Coins(_ context.Context, outPoints []types.OutPoint) ([]consensus.FetchedCoin, consensus.State, error) {
	found := make([]consensus.FetchedCoin, len(outPoints))
	for i, o := range outPoints {
		if o == b.at {
			found[i] = consensus.FetchedCoin{Coin: b.coin, Found: true}
		}
	}
	return found, consensus.State{}, nil
}

// TestActivityOfWaiting: a waiting transaction spends a coin of the chain and makes an
// output, which another one spends; of what spends a coin that is gone nothing is told.
func TestActivityOfWaiting(t *testing.T) {
	_, s := newLab(t)
	mine, other := []byte{0x51, 2, 0x4e, 0x73}, []byte{0x52, 2, 1, 2}
	at := types.OutPoint{TxID: types.Hash{9}, Index: 3}
	coin, _ := types.NewCoin(&types.TxOut{Value: 700, ScriptPubKey: mine}, 5, false)
	s.Blocks = coinsOf{s.Blocks, at, coin}
	spend := func(from types.OutPoint, value types.Amount, script []byte) *pending.Entry {
		tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: from}}, Outputs: []types.TxOut{{Value: 1, ScriptPubKey: other}, {Value: value, ScriptPubKey: script}}}
		return &pending.Entry{Tx: tx, TxID: tx.TxID()}
	}
	first := spend(at, 600, mine)
	second := spend(types.OutPoint{TxID: first.TxID, Index: 1}, 500, other)
	gone := spend(types.OutPoint{TxID: types.Hash{8}}, 400, other)
	s.Pool = &pool{entries: []*pending.Entry{second, gone, first}}
	script := `{"asm":"1 29518","desc":"addr(bcrt1pfeesnyr2tx)#` + descriptor.Checksum("addr(bcrt1pfeesnyr2tx)") + `","hex":"51024e73","address":"bcrt1pfeesnyr2tx","type":"anchor"}`
	want := fmt.Sprintf(`{"activity":[`+
		`{"type":"spend","amount":0.00000600,"spend_txid":"%s","spend_vin":0,"prevout_txid":"%s","prevout_vout":1,"prevout_spk":%s},`+
		`{"type":"spend","amount":0.00000700,"spend_txid":"%s","spend_vin":0,"prevout_txid":"%s","prevout_vout":3,"prevout_spk":%s},`+
		`{"type":"receive","amount":0.00000600,"txid":"%s","vout":1,"output_spk":%s}]}`,
		second.TxID, first.TxID, script, first.TxID, at.TxID, script, first.TxID, script)
	if got := told(t, s, "getdescriptoractivity", `[[],["raw(51024e73)"]]`); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := told(t, s, "getdescriptoractivity", `[[],["raw(51024e73)"],false]`); got != `{"activity":[]}` {
		t.Errorf("without the pool: %s", got)
	}
}
