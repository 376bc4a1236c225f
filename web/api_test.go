package web_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
)

// apiSite is a node whose API a test calls. Its blocks pay to an anchor, which a transaction
// spends without a signature.
type apiSite struct{ *site }

func newAPISite(t *testing.T) *apiSite {
	t.Helper()
	return &apiSite{newSite(t, nodetest.Matures)}
}

// get reads a path of the API that must answer with a status.
func (s *apiSite) get(path string, status int) string {
	s.t.Helper()
	a := s.ask("/api" + path)
	if a.StatusCode != status {
		s.t.Fatalf("%s: %s, want %d: %s", path, a.Status, status, a.body)
	}
	if strings.Contains(a.Header.Get("Content-Type"), "html") {
		s.t.Errorf("%s is HTML", path)
	}
	return a.body
}

// read reads JSON.
func read[T any](s *apiSite, path string) (v T) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.get(path, 200)), &v); err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
	return v
}

func (s *apiSite) mineAnchors(n int) (hashes []string) {
	s.t.Helper()
	s.rpc(&hashes, "generatetodescriptor", n, "raw("+hex.EncodeToString(chaintest.Anchor)+")")
	return hashes
}

// pay spends an anchor to scripts of one coin each; the rest goes to an anchor, but for a fee.
func (s *apiSite) pay(from types.OutPoint, value types.Amount, scripts ...[]byte) *types.Tx {
	tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: from, Sequence: 0xfffffffd}}}
	for _, script := range scripts {
		tx.Outputs = append(tx.Outputs, types.TxOut{Value: types.GrainsPerCoin, ScriptPubKey: script})
		value -= types.GrainsPerCoin
	}
	tx.Outputs = append(tx.Outputs, types.TxOut{Value: value - apiFee, ScriptPubKey: chaintest.Anchor})
	return tx
}

const apiFee types.Amount = 1000

func (s *apiSite) post(body string) (int, string) {
	s.t.Helper()
	r, err := http.Post(s.url+"/api/tx", "text/plain", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

type apiStatus struct {
	Confirmed bool   `json:"confirmed"`
	Height    uint32 `json:"block_height"`
	Hash      string `json:"block_hash"`
}

type apiTx struct {
	TxID   string       `json:"txid"`
	Fee    types.Amount `json:"fee"`
	Inputs []struct {
		TxID    string `json:"txid"`
		Prevout *struct {
			Value types.Amount `json:"value"`
			Type  string       `json:"scriptpubkey_type"`
		} `json:"prevout"`
		IsCoinbase bool `json:"is_coinbase"`
	} `json:"vin"`
	Outputs []struct {
		Value   types.Amount `json:"value"`
		Asm     string       `json:"scriptpubkey_asm"`
		Type    string       `json:"scriptpubkey_type"`
		Address string       `json:"scriptpubkey_address"`
	} `json:"vout"`
	Status apiStatus `json:"status"`
}

type apiStats struct {
	Funded    int          `json:"funded_txo_count"`
	FundedSum types.Amount `json:"funded_txo_sum"`
	Spent     int          `json:"spent_txo_count"`
	Txs       int          `json:"tx_count"`
}

type apiScript struct {
	Chain apiStats `json:"chain_stats"`
	Pool  apiStats `json:"mempool_stats"`
}

type apiCoin struct {
	TxID   string       `json:"txid"`
	Index  int          `json:"vout"`
	Value  types.Amount `json:"value"`
	Status apiStatus    `json:"status"`
}

// coinbaseOf returns the first output of a block.
func (s *apiSite) coinbaseOf(block string) (types.OutPoint, types.Amount) {
	s.t.Helper()
	ids := read[[]types.Hash](s, "/block/"+block+"/txids")
	return types.OutPoint{TxID: ids[0]}, read[apiTx](s, "/tx/"+ids[0].String()).Outputs[0].Value
}

// TestAPI: a payment that is sent by Esplora's paths is seen by all of them, while it waits
// and when it is in a block, and they agree with RPC.
func TestAPI(t *testing.T) {
	s := newAPISite(t)
	blocks := s.mineAnchors(4)
	person := taproot.OutputScript([32]byte(slices.Repeat([]byte{7}, 32)))
	address, err := taproot.EncodeAddress("krtd", person)
	if err != nil {
		t.Fatal(err)
	}
	from, value := s.coinbaseOf(blocks[0])
	tx := s.pay(from, value, person, person)
	code, txid := s.post(hex.EncodeToString(tx.AppendTo(nil)))
	if code != 200 || txid != tx.TxID().String() {
		t.Fatalf("%d %s", code, txid)
	}
	// It waits.
	if got := read[struct{ Count int }](s, "/mempool"); got.Count != 1 {
		t.Errorf("%d wait", got.Count)
	}
	if ids := read[[]string](s, "/mempool/txids"); !slices.Equal(ids, []string{txid}) {
		t.Errorf("waiting: %q", ids)
	}
	if got := read[apiScript](s, "/address/"+address); got.Pool != (apiStats{2, 2 * types.GrainsPerCoin, 0, 1}) || got.Chain.Txs != 0 {
		t.Errorf("%+v", got)
	}
	coins := read[[]apiCoin](s, "/address/"+address+"/utxo")
	if len(coins) != 2 || coins[0].TxID != txid || coins[0].Status.Confirmed {
		t.Errorf("coins %+v", coins)
	}
	got := read[apiTx](s, "/tx/"+txid)
	if got.Fee != apiFee || got.Status.Confirmed || got.Inputs[0].Prevout.Value != value || got.Inputs[0].Prevout.Type != "anchor" ||
		got.Outputs[0].Address != address || got.Outputs[0].Type != "v1_p2tr" || got.Outputs[0].Asm != "OP_PUSHNUM_1 OP_PUSHBYTES_32 "+strings.Repeat("07", 32) {
		t.Errorf("%+v", got)
	}
	if list := read[[]apiTx](s, "/address/"+address+"/txs/mempool"); len(list) != 1 || list[0].TxID != txid {
		t.Errorf("%+v", list)
	}
	s.get("/tx/"+txid+"/merkle-proof", 404)
	// It is in a block.
	block := s.mineAnchors(1)[0]
	if got := read[apiScript](s, "/address/"+address); got.Chain != (apiStats{2, 2 * types.GrainsPerCoin, 0, 1}) || got.Pool.Txs != 0 {
		t.Errorf("%+v", got)
	}
	hash := sha256.Sum256(person)
	if got := read[apiScript](s, "/scripthash/"+hex.EncodeToString(hash[:])); got.Chain.Txs != 1 {
		t.Errorf("by its hash: %+v", got)
	}
	if coins := read[[]apiCoin](s, "/address/"+address+"/utxo"); len(coins) != 2 || coins[0].Status.Hash != block || coins[0].Status.Height != 5 {
		t.Errorf("coins %+v", coins)
	}
	if got := read[apiStatus](s, "/tx/"+txid+"/status"); !got.Confirmed || got.Hash != block {
		t.Errorf("%+v", got)
	}
	type outspend struct {
		Spent bool
		TxID  string
		Vin   int
	}
	if got := read[[]outspend](s, "/tx/"+from.TxID.String()+"/outspends"); !got[0].Spent || got[0].TxID != txid {
		t.Errorf("%+v", got)
	}
	if got := read[outspend](s, "/tx/"+txid+"/outspend/0"); got.Spent {
		t.Errorf("%+v", got)
	}
	s.checkProofs(tx.TxID(), block)
	s.checkBlocks(block)
	for _, path := range []string{"/tx/zz", "/block/1", "/address/krt1x", "/block-height/x", "/scripthash/00", "/block/" + block + "/txs/1", "/blocks/x"} {
		if text := s.get(path, 400); strings.Count(text, "\n") > 1 {
			t.Errorf("%s: %q", path, text)
		}
	}
	for _, path := range []string{"/tx/" + strings.Repeat("0", 64), "/block/" + strings.Repeat("1", 64), "/block-height/99", "/nothing", "/tx/" + txid + "/outspend/9", "/block/" + block + "/txid/9"} {
		s.get(path, 404)
	}
	for _, body := range []string{"", "zz", "00", hex.EncodeToString(tx.AppendTo(nil)), strings.Repeat("00", 1<<20)} {
		if code, text := s.post(body); code != 400 {
			t.Errorf("%.20q: %d %s", body, code, text)
		}
	}
}

// checkProofs: the branch leads to the root, and the merkle block is RPC's.
func (s *apiSite) checkProofs(txid types.Hash, block string) {
	s.t.Helper()
	proof := read[struct {
		Height uint32 `json:"block_height"`
		Merkle []types.Hash
		Pos    int
	}](s, "/tx/"+txid.String()+"/merkle-proof")
	root, pos := txid, proof.Pos
	for _, other := range proof.Merkle {
		if left, right := root, other; pos%2 == 0 {
			root = types.DoubleSHA256(append(left[:], right[:]...))
		} else {
			root = types.DoubleSHA256(append(right[:], left[:]...))
		}
		pos /= 2
	}
	if want := read[struct {
		Root types.Hash `json:"merkle_root"`
	}](s, "/block/"+block).Root; root != want || proof.Height != 5 {
		s.t.Errorf("the branch leads to %s, want %s", root, want)
	}
	var want string
	s.rpc(&want, "gettxoutproof", []string{txid.String()}, block)
	if got := s.get("/tx/"+txid.String()+"/merkleblock-proof", 200); got != want {
		s.t.Errorf("%s, want %s", got, want)
	}
	s.rpc(&want, "getrawtransaction", txid.String())
	if got := s.get("/tx/"+txid.String()+"/hex", 200); got != want {
		s.t.Errorf("%s, want %s", got, want)
	}
	if got := hex.EncodeToString([]byte(s.get("/tx/"+txid.String()+"/raw", 200))); got != want {
		s.t.Errorf("%s, want %s", got, want)
	}
}

func (s *apiSite) checkBlocks(tip string) {
	s.t.Helper()
	var raw, head string
	s.rpc(&raw, "getblock", tip, 0)
	s.rpc(&head, "getblockheader", tip, false)
	for path, want := range map[string]string{
		"/blocks/tip/hash": tip, "/blocks/tip/height": "5", "/block-height/5": tip, "/block/" + tip + "/header": head, "/block/" + tip + "/txid/0": read[[]string](s, "/block/"+tip+"/txids")[0],
	} {
		if got := s.get(path, 200); got != want {
			s.t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if got := hex.EncodeToString([]byte(s.get("/block/"+tip+"/raw", 200))); got != raw {
		s.t.Error("another block")
	}
	list := read[[]struct {
		ID       string
		Height   uint32
		Previous *string `json:"previousblockhash"`
	}](s, "/blocks")
	if len(list) != 6 || list[0].ID != tip || list[5].Previous != nil || *list[0].Previous != list[1].ID {
		s.t.Errorf("%+v", list)
	}
	if list := read[[]apiTx](s, "/block/"+tip+"/txs"); len(list) != 2 || !list[0].Inputs[0].IsCoinbase || list[0].Inputs[0].Prevout != nil {
		s.t.Errorf("%+v", list)
	}
	if got := read[struct {
		Best bool `json:"in_best_chain"`
	}](s, "/block/"+tip+"/status"); !got.Best {
		s.t.Error("the tip is not on the best chain")
	}
	if fees := read[map[string]int64](s, "/v1/fees/recommended"); fees["fastestFee"] < 1 || fees["economyFee"] < 1 || len(fees) != 5 {
		s.t.Errorf("recommended: %v", fees)
	}
	if own, other := s.get("/blocks/3", 200), s.get("/v1/blocks/3", 200); own != other {
		s.t.Errorf("the same blocks are %s and %s", own, other)
	}
	if rates := read[map[string]float64](s, "/fee-estimates"); rates["1"] <= 0 || rates["144"] <= 0 {
		s.t.Errorf("%v", rates)
	}
}

// TestAPIPages: the history of an address is read whole, page by page, the newest first.
func TestAPIPages(t *testing.T) {
	s := newAPISite(t)
	person := taproot.OutputScript([32]byte(slices.Repeat([]byte{9}, 32)))
	address, err := taproot.EncodeAddress("krtd", person)
	if err != nil {
		t.Fatal(err)
	}
	const payments = 60
	from, value := s.coinbaseOf(s.mineAnchors(3)[0])
	var sent []string
	for i := range payments {
		tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: from, Sequence: 0xfffffffd}}, Outputs: []types.TxOut{
			{Value: 1000, ScriptPubKey: person}, {Value: value - 1000 - apiFee, ScriptPubKey: chaintest.Anchor},
		}}
		code, text := s.post(hex.EncodeToString(tx.AppendTo(nil)))
		if code != 200 {
			t.Fatalf("payment %d: %s", i, text)
		}
		sent = append(sent, text)
		from, value = types.OutPoint{TxID: tx.TxID(), Index: 1}, tx.Outputs[1].Value
		if i%20 == 19 {
			s.mineAnchors(1)
		}
	}
	slices.Reverse(sent)
	var seen []string
	path := "/address/" + address + "/txs"
	for {
		page := read[[]apiTx](s, path)
		for _, tx := range page {
			seen = append(seen, tx.TxID)
		}
		if len(page) == 0 {
			break
		}
		path = "/address/" + address + "/txs/chain/" + seen[len(seen)-1]
	}
	if !slices.Equal(seen, sent) {
		t.Errorf("%d transactions, want %d in their order", len(seen), len(sent))
	}
	if coins := read[[]apiCoin](s, "/address/"+address+"/utxo"); len(coins) != payments {
		t.Errorf("%d coins, want %d", len(coins), payments)
	}
}

// TestAPIWithoutIndex: who asks for an address is told what the operator can do.
func TestAPIWithoutIndex(t *testing.T) {
	s := &apiSite{newSite(t, func(c *node.Config) { c.Indexes = nil })}
	address, _ := taproot.EncodeAddress("krtd", chaintest.Anchor)
	if text := s.get("/address/"+address, 501); !strings.Contains(text, "--scriptindex") {
		t.Error(text)
	}
	if got := s.get("/blocks/tip/height", 200); got != "0" {
		t.Error(fmt.Sprint(got))
	}
}
