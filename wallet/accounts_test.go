package wallet_test

import (
	"path/filepath"
	"testing"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/wallet"
)

// reopened opens a wallet's folder with the file that is there now.
func (n *testNode) reopened(dir string) *testWallet {
	n.t.Helper()
	f, err := wallet.OpenFile(filepath.Join(dir, wallet.FileName), n.params)
	if err != nil {
		n.t.Fatal(err)
	}
	w, err := wallet.Open(dir, f, n.params, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { w.Close() })
	return &testWallet{w, n, f, someWords}
}

// TestAccounts: an account that is added later is looked for in all blocks, watched or not,
// and each coin is spent by the keys of its own account.
func TestAccounts(t *testing.T) {
	n := startNode(t)
	dir := t.TempDir()
	path := filepath.Join(dir, wallet.FileName)
	if _, err := wallet.CreateFile(path, n.params, contents(someWords), ""); err != nil {
		t.Fatal(err)
	}
	other := n.wallet(wordsOf(t, 1)).earn()
	w := n.reopened(dir).earn()
	before := w.Balance().Total()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, a := range []wallet.NamedDescriptor{{Name: "savings"}, {Name: "theirs", Descriptor: other.file.Accounts()[0].Descriptor()}} {
		if _, err := wallet.AddAccount(path, n.params, "", a); err != nil {
			t.Fatal(err)
		}
	}
	w = n.reopened(dir)
	if got := w.sync().Balance().Total(); got != before+other.Balance().Total() {
		t.Errorf("with another's account it has %s, want %s and %s", got, before, other.Balance().Total())
	}
	address, err := w.NextAddress(1)
	if err != nil {
		t.Fatal(err)
	}
	n.mine(1, address)
	n.mine(2, "")
	var saved []wallet.Coin
	for _, c := range w.sync().Coins() {
		if c.Key.Account == 1 {
			saved = append(saved, c)
		}
	}
	if len(saved) != 1 {
		t.Fatalf("savings are %+v", saved)
	}
	change, err := w.ChangeScript(1)
	if err != nil {
		t.Fatal(err)
	}
	script, err := taproot.DecodeAddress(n.params.HRP, other.address())
	if err != nil {
		t.Fatal(err)
	}
	draft, err := wallet.Build(&wallet.Request{Outputs: []types.TxOut{{Value: 1_000_000, ScriptPubKey: script}}, Coins: saved, FeeRate: 1000, ChangeScript: change})
	if err != nil {
		t.Fatal(err)
	}
	w.signDraft(draft)
	if err := w.Send(t.Context(), n, draft); err != nil {
		t.Fatal(err)
	}
	n.mine(1, "")
	want := w.sync().state()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w = n.reopened(dir); w.sync().state() != want {
		t.Errorf("reopened it shows\n%s\nbefore\n%s", w.state(), want)
	}
}

// TestFixedAddress: a descriptor of one address is watched, and gives out no other.
func TestFixedAddress(t *testing.T) {
	n := startNode(t)
	rich := n.wallet(someWords)
	fixed := rich.address()
	dir := t.TempDir()
	c := wallet.Contents{Accounts: []wallet.NamedDescriptor{{Name: "shop", Descriptor: "addr(" + fixed + ")"}}}
	if _, err := wallet.CreateFile(filepath.Join(dir, wallet.FileName), n.params, c, ""); err != nil {
		t.Fatal(err)
	}
	w := n.reopened(dir)
	n.mine(2, fixed)
	n.mine(1, rich.address())
	if got := w.sync().Balance().Total(); got != 2*1_000_000_000 {
		t.Errorf("it has %s", got)
	}
	for range 2 {
		if got := w.address(); got != fixed {
			t.Errorf("it gives out %s", got)
		}
	}
}
