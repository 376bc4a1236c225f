package wallet

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// largeWallet makes a folder with the wallet of a busy year: so many transactions, each of
// which pays four coins to it; every fourth spends a coin of one before. It returns what
// opens the wallet.
func largeWallet(tb testing.TB, transactions, addresses, headers int) (open func() *Wallet) {
	tb.Helper()
	dir := tb.TempDir()
	p := networkFile(tb, "dev.json")
	f, err := createFile(filepath.Join(dir, FileName), p, contentsOf(abandon), "", lightKDF())
	must(tb, err)
	open = func() *Wallet {
		w, err := Open(dir, f, p, nil)
		must(tb, err)
		return w
	}
	w := open()
	must(tb, w.watch(0, Receive, uint32(addresses)))
	s := w.db.begin()
	var last *types.Tx
	for i := range transactions {
		tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{1}, Index: uint32(i)}}}}
		if i%4 == 3 {
			tx.Inputs[0].PreviousOutPoint = types.OutPoint{TxID: last.TxID()}
		}
		tx.Inputs[0].Witness = [][]byte{make([]byte, 64)}
		for j := range 4 {
			tx.Outputs = append(tx.Outputs, types.TxOut{Value: types.Amount(1000 + i + j), ScriptPubKey: w.accounts[0].scripts[Receive][(4*i+j)%addresses]})
		}
		last = tx
		s.putTx(&Transaction{Tx: tx, TxID: tx.TxID(), Height: uint32(i)*18 + 1, Time: int64(i)})
	}
	w.meta.accounts[0].next[Receive] = uint32(addresses)
	for height := range headers {
		h := types.Header{Nonce: uint32(height)}
		binary.LittleEndian.PutUint32(h.PrevBlock[:], uint32(height))
		s.putHeader(uint32(height+1), &h, consensus.Uint256{})
		w.meta.position = types.Index{Height: uint32(height + 1), Hash: h.Hash()}
	}
	s.putMeta(&w.meta)
	must(tb, s.write())
	must(tb, w.Close())
	return open
}

// TestKeptScripts: scripts are made once, and an address of somebody else's among them is not
// given out.
func TestKeptScripts(t *testing.T) {
	open := largeWallet(t, 40, 150, 0)
	must(t, open().Close()) // which makes them
	w := open()
	key := scriptKey(w.accounts[0].account.id(), Receive, 150)
	kept, err := w.db.db.Get(key, nil)
	if err != nil || string(kept) != string(w.accounts[0].scripts[Receive][150]) {
		t.Fatalf("kept %x, %v", kept, err)
	}
	foreign := append([]byte(nil), kept...)
	foreign[10] ^= 1
	must(t, w.db.db.Put(key, foreign, nil))
	must(t, w.Close())
	w = open()
	defer w.Close()
	if string(w.accounts[0].scripts[Receive][150]) != string(foreign) {
		t.Error("the scripts were made again")
	}
	if got, err := w.NextAddress(0); err == nil {
		t.Errorf("%s was given out", got)
	}
	if got := len(w.History()); got != 40 {
		t.Errorf("%d transactions", got)
	}
	if b, want := w.Balance().Confirmed, types.Amount(0); b == want || len(w.Unspent()) != 40*4-10 {
		t.Errorf("%d coins of %s", len(w.Unspent()), b)
	}
}

// BenchmarkLarge measures what a person waits for with the wallet of a busy year.
func BenchmarkLarge(b *testing.B) {
	open := largeWallet(b, 5000, 1000, 100_000)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			must(b, open().Close())
		}
	})
	w := open()
	defer w.Close()
	b.Run("ledger", func(b *testing.B) {
		for b.Loop() {
			w.sums = nil
			w.ledger()
		}
	})
	b.Run("balance", func(b *testing.B) {
		for b.Loop() {
			w.Balance()
		}
	})
	b.Run("history", func(b *testing.B) {
		for b.Loop() {
			w.History()
		}
	})
	b.Run("coins", func(b *testing.B) {
		for b.Loop() {
			w.Coins()
		}
	})
	pay := func(b *testing.B) {
		for b.Loop() {
			change, err := w.ChangeScript(0)
			must(b, err)
			_, err = w.BuildApart(&Request{Outputs: pay(1_000_000), FeeRate: 2000, ChangeScript: change, Coins: w.Coins()})
			must(b, err)
		}
	}
	b.Run("send", pay)
	addresses, err := w.Addresses(0, Receive)
	must(b, err)
	for i, a := range addresses {
		must(b, w.SetLabel(LabelAddress, a.Address, fmt.Sprint("customer ", i%200)))
	}
	b.Run("send with labels", pay)
}
