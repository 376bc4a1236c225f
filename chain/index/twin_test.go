package index

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// expectSpenders compares with a walk over the best chain, and looks for the spender of
// every output that there ever was.
func (w *world) expectSpenders(x *Set, path []*chaintest.Block) {
	w.t.Helper()
	want := map[types.OutPoint]indexed.Spender{}
	for _, b := range path {
		places := b.Places(b.Hash)
		for i := range b.Txs {
			for j, in := range b.Txs[i].Inputs {
				want[in.PreviousOutPoint] = indexed.Spender{TxID: b.TxIDs[i], Input: uint32(j), Place: places[i]}
			}
		}
	}
	for _, b := range w.all {
		for i := range b.Txs {
			for j := range b.Txs[i].Outputs {
				o := types.OutPoint{TxID: b.TxIDs[i], Index: uint32(j)}
				got, err := x.FindSpender(o)
				spender, spent := want[o]
				if spent != (err == nil) || got != spender || err != nil && !errors.Is(err, ErrBehind) {
					w.t.Fatalf("%s is spent by %+v (%v), want %+v", o, got, err, spender)
				}
			}
		}
	}
}

// account is what a script was paid, by a walk over the chain.
type account struct {
	indexed.ScriptStats
	txs   []indexed.ScriptTx // the newest last
	coins map[types.OutPoint]indexed.ScriptCoin
}

func accounts(path []*chaintest.Block) map[indexed.ScriptHash]*account {
	all := map[indexed.ScriptHash]*account{}
	owner := map[types.OutPoint]indexed.ScriptHash{}
	for _, b := range path {
		places := b.Places(b.Hash)
		for i := range b.Txs {
			// touch is the account of a script, with this transaction in it.
			touch := func(script indexed.ScriptHash) *account {
				a := all[script]
				if a == nil {
					a = &account{coins: map[types.OutPoint]indexed.ScriptCoin{}}
					all[script] = a
				}
				if n := len(a.txs); n == 0 || a.txs[n-1].TxID != b.TxIDs[i] {
					a.Txs++
					a.txs = append(a.txs, indexed.ScriptTx{TxID: b.TxIDs[i], Height: b.Height, Place: places[i]})
				}
				return a
			}
			for _, in := range b.Txs[i].Inputs {
				if script, ok := owner[in.PreviousOutPoint]; ok {
					a := touch(script)
					a.Spent++
					a.SpentSum += a.coins[in.PreviousOutPoint].Value
					a.txs[len(a.txs)-1].Sent += a.coins[in.PreviousOutPoint].Value
					delete(a.coins, in.PreviousOutPoint)
				}
			}
			for j, out := range b.Txs[i].Outputs {
				if !consensus.IsSpendable(out.ScriptPubKey) {
					continue
				}
				script, o := indexed.HashScript(out.ScriptPubKey), types.OutPoint{TxID: b.TxIDs[i], Index: uint32(j)}
				a := touch(script)
				a.Funded++
				a.FundedSum += out.Value
				a.txs[len(a.txs)-1].Received += out.Value
				a.coins[o] = indexed.ScriptCoin{OutPoint: o, Script: script, Value: out.Value, Height: b.Height, IsCoinbase: i == 0 && b.Height > 0}
				owner[o] = script
			}
		}
	}
	return all
}

// expectScripts compares with accounts: of every script, and page by page of some alone
// and some together.
func (w *world) expectScripts(x *Set, path []*chaintest.Block) {
	w.t.Helper()
	want := accounts(path)
	scripts := map[indexed.ScriptHash]bool{}
	for _, b := range w.all {
		for i := range b.Txs {
			for _, out := range b.Txs[i].Outputs {
				scripts[indexed.HashScript(out.ScriptPubKey)] = true
			}
		}
	}
	list := slices.SortedFunc(maps.Keys(scripts), func(a, b indexed.ScriptHash) int { return bytes.Compare(a[:], b[:]) })
	balances, err := x.ScriptBalances(list)
	if err != nil || balances.At != w.tip.Index() {
		w.t.Fatalf("balances of %s: %v", balances.At, err)
	}
	some := &account{coins: map[types.OutPoint]indexed.ScriptCoin{}}
	var together []indexed.ScriptHash
	for i, script := range list {
		a := want[script]
		if a == nil {
			a = &account{}
		}
		if balances.Stats[i] != a.ScriptStats {
			w.t.Fatalf("script %s has %+v, want %+v", script, balances.Stats[i], a.ScriptStats)
		}
		if w.random.IntN(len(list)) < 4 {
			w.expectAccount(x, list[i:i+1], a)
		}
		if w.random.IntN(len(list)) < 15 {
			together = append(together, script)
			some.txs = append(some.txs, a.txs...)
			maps.Copy(some.coins, a.coins)
		}
	}
	some.txs = merged(some.txs)
	w.expectAccount(x, append(together, together...), some)
}

// merged sorts transactions by their places, and adds up what is of one.
func merged(txs []indexed.ScriptTx) (list []indexed.ScriptTx) {
	slices.SortFunc(txs, func(a, b indexed.ScriptTx) int {
		if a.Height != b.Height {
			return int(a.Height) - int(b.Height)
		}
		return int(a.Place.N) - int(b.Place.N)
	})
	for _, tx := range txs {
		if n := len(list); n > 0 && list[n-1].TxID == tx.TxID {
			list[n-1].Received += tx.Received
			list[n-1].Sent += tx.Sent
			continue
		}
		list = append(list, tx)
	}
	return list
}

func (w *world) expectAccount(x *Set, scripts []indexed.ScriptHash, want *account) {
	w.t.Helper()
	for _, oldest := range []bool{false, true} {
		page := indexed.Page{Limit: 1 + w.random.IntN(10), Oldest: oldest}
		var txs []indexed.ScriptTx
		for {
			h, err := x.ScriptHistory(scripts, page)
			if err != nil || h.At != w.tip.Index() || len(h.Txs) > page.Limit {
				w.t.Fatalf("history of %s: %v", h.At, err)
			}
			txs = append(txs, h.Txs...)
			if page.After = h.Next; h.Next == nil {
				break
			}
		}
		if !oldest {
			slices.Reverse(txs)
		}
		if !slices.Equal(txs, want.txs) {
			w.t.Fatalf("history, oldest first %t:\n%+v\nwant\n%+v", oldest, txs, want.txs)
		}
		coins, page := map[types.OutPoint]indexed.ScriptCoin{}, indexed.Page{Limit: 1 + w.random.IntN(10), Oldest: oldest}
		for height := uint32(0); ; {
			c, err := x.ScriptCoins(scripts, page)
			if err != nil || c.At != w.tip.Index() || len(c.Coins) > page.Limit {
				w.t.Fatalf("coins of %s: %v", c.At, err)
			}
			for _, coin := range c.Coins {
				if len(coins) > 0 && (coin.Height < height) == oldest && coin.Height != height {
					w.t.Fatalf("a coin at %d after one at %d", coin.Height, height)
				}
				coins[coin.OutPoint], height = coin, coin.Height
			}
			if page.After = c.Next; c.Next == nil {
				break
			}
		}
		if !maps.Equal(coins, want.coins) {
			w.t.Fatalf("%d coins, want %d", len(coins), len(want.coins))
		}
	}
}

// TestCursors: a page goes on after a reorganisation above it, and says so after one
// below.
func TestCursors(t *testing.T) {
	w := newWorld(t, 70)
	x := w.open(w.chain, every)
	w.growBy(30)
	w.catchUp(x)
	var scripts []indexed.ScriptHash
	for script := range accounts([]*chaintest.Block{w.tip, w.tip.Parent, w.tip.Parent.Parent, w.tip.Parent.Parent.Parent}) {
		scripts = append(scripts, script)
	}
	for script := range accounts([]*chaintest.Block{w.all[3]}) {
		scripts = append(scripts, script)
	}
	for _, oldest := range []bool{false, true} {
		page := indexed.Page{Limit: 1, Oldest: oldest}
		h, err := x.ScriptHistory(scripts, page)
		if err != nil || h.Next == nil {
			t.Fatal(err)
		}
		c, err := x.ScriptCoins(scripts, page)
		if err != nil || c.Next == nil {
			t.Fatal(err)
		}
		w.fork(2, 1)
		w.catchUp(x)
		page.Limit, page.After = 1000, h.Next
		h, err = x.ScriptHistory(scripts, page)
		if oldest && (err != nil || len(h.Txs) == 0) || !oldest && !errors.Is(err, indexed.ErrCursor) {
			t.Fatalf("history after a reorganisation, oldest first %t: %v", oldest, err)
		}
		page.After = c.Next
		if _, err = x.ScriptCoins(scripts, page); oldest && err != nil || !oldest && !errors.Is(err, indexed.ErrCursor) {
			t.Fatalf("coins after a reorganisation, oldest first %t: %v", oldest, err)
		}
	}
	text := (&indexed.Cursor{Height: 7, Block: w.tip.Hash, N: 9, OutPoint: types.OutPoint{TxID: w.tip.TxIDs[0], Index: 3}}).String()
	again, err := indexed.ParseCursor(text)
	if err != nil || again.String() != text || again.N != 9 {
		t.Fatalf("a cursor reads as %+v (%v)", again, err)
	}
	if _, err := indexed.ParseCursor(text[1:]); err == nil {
		t.Fatal("half a cursor was read")
	}
}
