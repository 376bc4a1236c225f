package web_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// agreed is how many transactions, and blocks, are compared. The random payments are the same
// each time.
const agreed = 1000

// rpcTx is a transaction as RPC tells it.
type rpcTx struct {
	TxID, Hash          string
	Size, VSize, Weight int
	Version, LockTime   uint32
	Fee                 json.Number
	Vin                 []struct {
		TxID     string
		Vout     int
		Sequence uint32
		Prevout  struct {
			Value        json.Number
			ScriptPubKey struct{ Address, Hex string }
		}
	}
	Vout []rpcOut
}

type rpcOut struct {
	Value        json.Number
	ScriptPubKey struct{ Address, Asm, Hex string }
}

// rpcBlock is a block as RPC tells it.
type rpcBlock struct {
	Hash, MerkleRoot, Bits, PreviousBlockHash          string
	Height, Size, Weight, Time, MedianTime, Nonce, NTx int
	Tx                                                 []rpcTx
}

// account is what an address had, by what RPC tells of blocks.
type account struct {
	apiStats
	SpentSum types.Amount
}

// TestAgrees: pages of random payments, their blocks and their addresses say what RPC says, and
// so does the API.
func TestAgrees(t *testing.T) {
	s, coins, from := keyed(t, nil)
	r := rand.New(rand.NewPCG(1, 2))
	most := agreed
	if testing.Short() {
		most /= 5
	}
	var blocks []string
	for made := 0; made < most || len(blocks) < most; {
		var txs []*types.Tx
		for range min(r.IntN(3), most-made) {
			txs = append(txs, randomPayment(r, coins, &from))
			made++
		}
		blocks = append(blocks, s.block(txs...))
	}
	accounts := map[string]*account{}
	txs := 0
	for _, hash := range blocks {
		var block rpcBlock
		s.rpc(&block, "getblock", hash, 3)
		s.compareBlock(&block)
		for i := range block.Tx {
			tx := &block.Tx[i]
			if i > 0 {
				txs++
				s.compareTx(tx)
			}
			s.compareAPITx(tx, &block, i == 0)
			count(t, accounts, tx)
		}
	}
	own, _ := taproot.EncodeAddress(s.params.HRP, chaintest.KeyScript())
	compared := 0
	for _, address := range slices.Sorted(maps.Keys(accounts)) {
		if address != own && compared < most { // which had some before
			compared++
			s.compareAddress(address, accounts[address])
		}
	}
	if len(blocks) < most || txs < most || compared < most {
		t.Errorf("%d blocks, %d transactions, %d addresses were compared", len(blocks), txs, compared)
	}
}

// randomPayment spends one or two coins to a few scripts, most of which nobody else has.
func randomPayment(r *rand.Rand, coins chaintest.Outputs, from *[]types.OutPoint) *types.Tx {
	var spent []types.OutPoint
	for range 1 + r.IntN(2) {
		i := r.IntN(len(*from))
		for coins[(*from)[i]].Value < 1_000_000 {
			i = r.IntN(len(*from))
		}
		spent = append(spent, (*from)[i])
		*from = append((*from)[:i], (*from)[i+1:]...)
		if len(*from) == 0 {
			break
		}
	}
	tx := coins.Spend(types.Amount(200+r.IntN(5000)), chaintest.KeyScript(), spent...)
	tx.LockTime = uint32(r.IntN(3))
	for range 1 + r.IntN(4) {
		part := tx.Outputs[0].Value / types.Amount(2+r.IntN(5))
		tx.Outputs[0].Value -= part
		script := chaintest.KeyScript()
		if r.IntN(4) > 0 {
			script = chaintest.Anyone(r.IntN(10_000))
		}
		tx.Outputs = append(tx.Outputs, types.TxOut{Value: part, ScriptPubKey: script})
	}
	if r.IntN(8) == 0 {
		tx.Outputs = append(tx.Outputs, types.TxOut{ScriptPubKey: []byte{taproot.OpReturn, 2, byte(r.Uint32()), 'x'}})
	}
	coins.Sign(tx)
	for n := range tx.Outputs {
		if tx.Outputs[n].Value > 0 {
			*from = append(*from, chaintest.Output(tx, uint32(n)))
		}
	}
	return tx
}

// count adds what a transaction did to addresses.
func count(t *testing.T, accounts map[string]*account, tx *rpcTx) {
	t.Helper()
	touched := map[string]bool{}
	of := func(address string) *account {
		if accounts[address] == nil {
			accounts[address] = &account{}
		}
		if !touched[address] {
			touched[address] = true
			accounts[address].Txs++
		}
		return accounts[address]
	}
	for i := range tx.Vin {
		if out := &tx.Vin[i].Prevout; out.ScriptPubKey.Address != "" {
			a := of(out.ScriptPubKey.Address)
			a.Spent++
			a.SpentSum += parse(t, out.Value)
		}
	}
	for i := range tx.Vout {
		if out := &tx.Vout[i]; out.ScriptPubKey.Address != "" {
			a := of(out.ScriptPubKey.Address)
			a.Funded++
			a.FundedSum += parse(t, out.Value)
		}
	}
}

func (s *site) compareBlock(block *rpcBlock) {
	s.t.Helper()
	fees := types.Amount(0)
	for i := range block.Tx[1:] {
		fees += parse(s.t, block.Tx[i+1].Fee)
	}
	words := textOf(s.t, s.page("/block/"+block.Hash, 200))
	wants := []string{fmt.Sprint("Block ", group(block.Height)), block.Hash, group(block.Weight) + " weight units", fmt.Sprint("of ", group(len(block.Tx)))}
	if len(block.Tx) > 1 {
		wants = append(wants, "fees "+shown(fees))
	}
	for _, want := range wants {
		if !strings.Contains(words, want) {
			s.t.Errorf("block %s: the page lacks %q\n%s", block.Hash, want, words)
		}
	}
	got := read[struct {
		ID                                                 string
		Height, Size, Weight, Timestamp, MedianTime, Nonce int
		Bits                                               uint32
		TxCount                                            int    `json:"tx_count"`
		MerkleRoot                                         string `json:"merkle_root"`
		Previous                                           string `json:"previousblockhash"`
	}](&apiSite{s}, "/block/"+block.Hash)
	if got.ID != block.Hash || got.Height != block.Height || got.Size != block.Size || got.Weight != block.Weight || got.Timestamp != block.Time || got.MedianTime != block.MedianTime ||
		got.Nonce != block.Nonce || fmt.Sprintf("%08x", got.Bits) != block.Bits || got.TxCount != block.NTx || got.MerkleRoot != block.MerkleRoot || got.Previous != block.PreviousBlockHash {
		s.t.Errorf("block %s: %+v, want %+v", block.Hash, got, block)
	}
}

// compareAPITx compares what the API says of a transaction with what RPC says.
func (s *site) compareAPITx(tx *rpcTx, block *rpcBlock, coinbase bool) {
	s.t.Helper()
	type out struct {
		Script  string       `json:"scriptpubkey"`
		Address string       `json:"scriptpubkey_address"`
		Value   types.Amount `json:"value"`
	}
	got := read[struct {
		TxID              string
		Size, Weight      int
		Version, LockTime uint32
		Fee               types.Amount
		Vin               []struct {
			TxID     string
			Vout     uint32
			Sequence uint32
			Prevout  *out
		}
		Vout   []out
		Status apiStatus
	}](&apiSite{s}, "/tx/"+tx.TxID)
	fee := types.Amount(0)
	if !coinbase {
		fee = parse(s.t, tx.Fee)
	}
	same := got.TxID == tx.TxID && got.Size == tx.Size && got.Weight == tx.Weight && got.Version == tx.Version && got.LockTime == tx.LockTime && got.Fee == fee &&
		got.Status == apiStatus{true, uint32(block.Height), block.Hash} && len(got.Vin) == len(tx.Vin) && len(got.Vout) == len(tx.Vout)
	for i := range got.Vin {
		in, told := &got.Vin[i], &tx.Vin[i]
		same = same && in.Sequence == told.Sequence
		if coinbase {
			same = same && in.Prevout == nil
			continue
		}
		same = same && in.TxID == told.TxID && int(in.Vout) == told.Vout && in.Prevout != nil &&
			*in.Prevout == out{told.Prevout.ScriptPubKey.Hex, told.Prevout.ScriptPubKey.Address, parse(s.t, told.Prevout.Value)}
	}
	for i := range got.Vout {
		told := &tx.Vout[i]
		same = same && got.Vout[i] == out{told.ScriptPubKey.Hex, told.ScriptPubKey.Address, parse(s.t, told.Value)}
	}
	if !same {
		s.t.Errorf("%s: %+v, want %+v", tx.TxID, got, tx)
	}
}

func (s *site) compareAddress(address string, want *account) {
	s.t.Helper()
	balance := want.FundedSum - want.SpentSum
	if words := textOf(s.t, s.page("/address/"+address, 200)); !strings.Contains(words, "Balance "+shown(balance)+" KRT") {
		s.t.Errorf("%s: the page lacks the balance %s\n%s", address, shown(balance), words)
	}
	api := &apiSite{s}
	if got := read[apiScript](api, "/address/"+address); got.Chain != want.apiStats || got.Pool != (apiStats{}) {
		s.t.Errorf("%s: %+v, want %+v", address, got, want)
	}
	sum, coins := types.Amount(0), read[[]apiCoin](api, "/address/"+address+"/utxo")
	for _, c := range coins {
		sum += c.Value
	}
	if sum != balance || len(coins) != want.Funded-want.Spent {
		s.t.Errorf("%s has %d coins of %s, want %+v", address, len(coins), sum, want)
	}
}

// compareTx compares a page with what RPC says.
func (s *site) compareTx(tx *rpcTx) {
	s.t.Helper()
	words := textOf(s.t, s.page("/tx/"+tx.TxID, 200))
	wants := []string{tx.TxID, tx.Hash, group(tx.VSize) + " vB", group(tx.Size) + " bytes", group(tx.Weight) + " weight units", "Fee " + shown(parse(s.t, tx.Fee)) + " KRT"}
	for _, in := range tx.Vin {
		wants = append(wants, in.Prevout.ScriptPubKey.Address+" "+shown(parse(s.t, in.Prevout.Value)), fmt.Sprintf("%s…%s , output %d", in.TxID[:10], in.TxID[56:], in.Vout))
	}
	for _, out := range tx.Vout {
		wants = append(wants, out.ScriptPubKey.Address+" "+shown(parse(s.t, out.Value)), out.ScriptPubKey.Asm)
	}
	for _, want := range wants {
		if !strings.Contains(words, want) {
			s.t.Errorf("%s: the page lacks %q\n%s", tx.TxID, want, words)
			return
		}
	}
}

func parse(t *testing.T, n json.Number) types.Amount {
	t.Helper()
	a, err := types.ParseAmount(n.String())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// shown is an amount as pages have it.
func shown(a types.Amount) string {
	whole, fraction, _ := strings.Cut(a.String(), ".")
	for len(fraction) > 2 && strings.HasSuffix(fraction, "0") {
		fraction = fraction[:len(fraction)-1]
	}
	return grouped(whole) + "." + fraction
}

func group(n int) string { return grouped(fmt.Sprint(n)) }

func grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return digits
}

// textOf is what a page says, without its markup, each space one.
func textOf(t *testing.T, page string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for n := range root.Descendants() {
		if n.Type == html.TextNode {
			words = append(words, strings.FieldsFunc(n.Data, func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' })...)
		}
	}
	return strings.Join(words, " ")
}
