package wallet_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/wallet"
)

// TestBackup: what neither words nor a node bring back comes with a backup: accounts, labels,
// locks, which addresses were given out, and a payment that no node has.
func TestBackup(t *testing.T) {
	n := startNode(t)
	dir := t.TempDir()
	path := filepath.Join(dir, wallet.FileName)
	if _, err := wallet.CreateFile(path, n.params, contents(someWords), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := wallet.AddAccount(path, n.params, "", wallet.NamedDescriptor{Name: "savings"}); err != nil {
		t.Fatal(err)
	}
	w := n.reopened(dir).earn()
	for range 2 * wallet.GapLimit {
		w.address()
	}
	given, err := w.NextAddress(1)
	if err != nil {
		t.Fatal(err)
	}
	n.mine(1, w.address()) // behind the gap that a restore from words looks through
	n.mine(2, "")
	coin := w.sync().Unspent()[0].OutPoint
	if err := errors.Join(w.SetLabel(wallet.LabelAddress, given, "rent"), w.Lock(coin, true)); err != nil {
		t.Fatal(err)
	}
	waiting := w.sign(1_000_000, 1000)
	if err := w.Record(waiting.Tx); err != nil {
		t.Fatal(err)
	}
	want := w.state()
	data, err := w.Backup("")
	if err != nil {
		t.Fatal(err)
	}

	b, err := wallet.ReadBackup(bytes.NewReader(data), n.params)
	if err != nil || b.NeedsPassphrase() {
		t.Fatalf("%v, passphrase %v", err, b.NeedsPassphrase())
	}
	if _, err := b.Restore(dir, ""); !errors.Is(err, fs.ErrExist) {
		t.Errorf("in place of a wallet: %v", err)
	}
	other := filepath.Join(t.TempDir(), "new", "wallet")
	if _, err := b.Restore(other, ""); err != nil {
		t.Fatal(err)
	}
	again := n.reopened(other)
	if got := len(again.History()); got != 1 {
		t.Errorf("%d payments wait", got)
	}
	if got := again.sync().state(); got != want {
		t.Errorf("restored it shows\n%s\nwant\n%s", got, want)
	}
	if l, ok := again.Label(wallet.LabelAddress, given); !ok || l.Text != "rent" || !again.IsLocked(coin) {
		t.Errorf("label %+v, locked %v", l, again.IsLocked(coin))
	}
	if got, err := again.NextAddress(1); err != nil || got == given {
		t.Errorf("address %s is given out again, %v", got, err)
	}
}

// TestBackupRefuses: what is no backup, or another's, makes no wallet.
func TestBackupRefuses(t *testing.T) {
	o := newOffline(t)
	data, err := o.Backup("secret")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("tpub")) || bytes.Contains(data, []byte("legal")) {
		t.Errorf("it tells a secret: %s", data)
	}
	p := devParams(t)
	for what, bad := range map[string][]byte{
		"nothing": nil, "a wallet file": []byte("{}"), "cut": data[:len(data)/2],
		"one letter": bytes.Replace(data, []byte(`"sealed": "`), []byte(`"sealed": "0`), 1),
		"no passes":  bytes.Replace(data, []byte(`"time": 3`), []byte(`"time": 0`), 1),
	} {
		if _, err := wallet.ReadBackup(bytes.NewReader(bad), p); !errors.Is(err, wallet.ErrBackup) {
			t.Errorf("%s: %v", what, err)
		}
	}
	later := bytes.Replace(data, []byte(`"karat_backup": 1`), []byte(`"karat_backup": 2`), 1)
	if _, err := wallet.ReadBackup(bytes.NewReader(later), p); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("a later version: %v", err)
	}
	twin := devParams(t)
	twin.HalvingInterval++
	if _, err := wallet.ReadBackup(bytes.NewReader(data), twin); !errors.Is(err, wallet.ErrWrongNetwork) {
		t.Errorf("another network: %v", err)
	}
	b, err := wallet.ReadBackup(bytes.NewReader(data), p)
	if err != nil || !b.NeedsPassphrase() {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "w")
	if _, err := b.Restore(dir, "wrong"); !errors.Is(err, wallet.ErrPassphrase) {
		t.Errorf("another passphrase: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
}

// TestReadDescriptors reads what other programs write.
func TestReadDescriptors(t *testing.T) {
	const key = "[73c5da0a/86h/1h/0h]tpubDDfvzhdVV4unsoKt5aE6dcsNsfeWbTgmLZPi8LQDYU2xixrYemMfWJ3BaVneH3u7DBQePdTwhpybaKRU95pi6PMUtLPBJLVQRpzEnjfjZzX"
	const both = "tr(" + key + "/<0;1>/*)"
	core := `{"wallet_name":"w","descriptors":[
		{"desc":"tr(` + key + `/1/*)#h4pvs320","timestamp":1700000000,"active":true,"internal":true,"range":[0,999],"next":0},
		{"desc":"tr(` + key + `/0/*)","timestamp":1600000000,"active":true,"internal":false},
		{"desc":"wpkh(` + key + `/0/*)","timestamp":1700000000}]}`
	for what, tc := range map[string]struct {
		text  string
		want  []string
		since int64
	}{
		"multipath":   {both, []string{both}, 0},
		"two lines":   {"\ufeff# mine\r\ntr(" + key + "/0/*)\r\n\ntr(" + key + "/1/*)#h4pvs320\r\n", []string{both}, 0},
		"a key":       {key, []string{both}, 0},
		"core":        {core, []string{both}, 1600000000},
		"core's list": {core[strings.Index(core, "[\n") : len(core)-1], []string{both}, 1600000000},
		"others": {"tr(" + key + "/5/*)\naddr(krtd1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqr2y4qk)", []string{
			"tr(" + key + "/5/*)", "addr(krtd1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqr2y4qk)",
		}, 0},
	} {
		var d wallet.Descriptors
		if err := d.Read(tc.text, devParams(t)); err != nil || strings.Join(d.Texts, "\n") != strings.Join(tc.want, "\n") || d.Since != tc.since {
			t.Errorf("%s: %q since %d, %v", what, d.Texts, d.Since, err)
		}
	}
	for _, bad := range []string{"", "{}", "[]", "[1]", "tr(", both + "#aaaaaaaa", "wpkh(" + key + "/0/*)", "tr(tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK/0/*)"} {
		var d wallet.Descriptors
		if err := d.Read(bad, devParams(t)); !errors.Is(err, wallet.ErrAccount) || strings.Contains(err.Error(), "tprv") {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

// TestImportedEarlier: an account that was paid before the wallet's birthday is found whole.
func TestImportedEarlier(t *testing.T) {
	n := startNode(t)
	other := n.wallet(wordsOf(t, 1)).earn()
	n.mine(5, "")
	tip := types.Index{Height: 8}
	if err := tip.Hash.UnmarshalText([]byte(call[string](n, "getbestblockhash"))); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, wallet.FileName)
	c := contents(someWords)
	c.Birthday.Index = tip
	if _, err := wallet.CreateFile(path, n.params, c, ""); err != nil {
		t.Fatal(err)
	}
	w := n.reopened(dir).sync()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := wallet.AddAccount(path, n.params, "", wallet.NamedDescriptor{Name: "theirs", Descriptor: other.file.Accounts()[0].Descriptor()}); err != nil {
		t.Fatal(err)
	}
	if got, want := n.reopened(dir).sync().Balance(), other.Balance(); got != want {
		t.Errorf("it has %+v, want %+v", got, want)
	}
}
