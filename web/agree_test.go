package web_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// agreed is how many transactions are compared. The random payments are the same each time.
const agreed = 250

// rpcTx is a transaction as RPC tells it.
type rpcTx struct {
	TxID, Hash          string
	Size, VSize, Weight int
	Fee                 json.Number
	Vin                 []struct {
		TxID    string
		Vout    int
		Prevout struct {
			Value        json.Number
			ScriptPubKey struct{ Address string }
		}
	}
	Vout []struct {
		Value        json.Number
		ScriptPubKey struct{ Address, Asm string }
	}
}

// TestAgrees: pages of random payments, their blocks and their addresses say what RPC says.
func TestAgrees(t *testing.T) {
	s, coins, from := keyed(t, nil)
	r := rand.New(rand.NewPCG(1, 2))
	var blocks []string
	for made := 0; made < agreed; {
		var txs []*types.Tx
		for range min(1+r.IntN(40), agreed-made) {
			i := r.IntN(len(from))
			for coins[from[i]].Value < 1_000_000 {
				i = r.IntN(len(from))
			}
			tx := coins.Spend(types.Amount(200+r.IntN(5000)), chaintest.KeyScript(), from[i])
			from = append(from[:i], from[i+1:]...)
			for range 1 + r.IntN(3) {
				part := tx.Outputs[0].Value / types.Amount(2+r.IntN(5))
				tx.Outputs[0].Value -= part
				script := chaintest.KeyScript()
				if r.IntN(4) == 0 {
					script = chaintest.Anyone(r.IntN(9))
				}
				tx.Outputs = append(tx.Outputs, types.TxOut{Value: part, ScriptPubKey: script})
			}
			coins.Sign(tx)
			for n := range tx.Outputs {
				if string(tx.Outputs[n].ScriptPubKey) == string(chaintest.KeyScript()) {
					from = append(from, chaintest.Output(tx, uint32(n)))
				}
			}
			txs = append(txs, tx)
			made++
		}
		blocks = append(blocks, s.block(txs...))
	}
	balances := map[string]types.Amount{}
	for _, hash := range blocks {
		var block struct {
			Height, Size, Weight int
			Tx                   []rpcTx
		}
		s.rpc(&block, "getblock", hash, 3)
		words := textOf(t, s.page("/block/"+hash, 200))
		for _, want := range []string{fmt.Sprint("Block ", group(block.Height)), hash, group(block.Weight) + " weight units", fmt.Sprint("of ", group(len(block.Tx)))} {
			if !strings.Contains(words, want) {
				t.Errorf("block %s: the page lacks %q", hash, want)
			}
		}
		fees := types.Amount(0)
		for i := range block.Tx {
			tx := &block.Tx[i]
			if i > 0 {
				fees += parse(t, tx.Fee)
				s.compareTx(tx)
			}
			for _, in := range tx.Vin {
				if in.TxID != "" {
					balances[in.Prevout.ScriptPubKey.Address] -= parse(t, in.Prevout.Value)
				}
			}
			for _, out := range tx.Vout {
				balances[out.ScriptPubKey.Address] += parse(t, out.Value)
			}
		}
		if !strings.Contains(words, "fees "+shown(fees)) {
			t.Errorf("block %s: the page lacks the fees %s", hash, shown(fees))
		}
	}
	own, _ := taproot.EncodeAddress(s.params.HRP, chaintest.KeyScript())
	for address, balance := range balances {
		if address == "" || address == own { // of which some were before
			continue
		}
		if words := textOf(t, s.page("/address/"+address, 200)); !strings.Contains(words, "Balance "+shown(balance)+" KRT") {
			t.Errorf("%s: the page lacks the balance %s\n%s", address, shown(balance), words)
		}
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
