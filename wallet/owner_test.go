package wallet_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/syndtr/goleveldb/leveldb"

	"github.com/karatcoin/karat/wallet"
)

// shared is a folder in which wallets of several words are opened one after another.
type shared struct {
	n    *testNode
	dir  string
	warn bytes.Buffer
}

// open makes the wallet of some words in place of the one that is there, and opens it.
func (s *shared) open(words string) *testWallet {
	s.n.t.Helper()
	path := filepath.Join(s.dir, wallet.FileName)
	_ = os.Remove(path)
	f, err := wallet.CreateFile(path, s.n.params, contents(words), "")
	if err != nil {
		s.n.t.Fatal(err)
	}
	s.warn.Reset()
	w, err := wallet.Open(s.dir, f, s.n.params, slog.New(slog.NewTextHandler(&s.warn, nil)))
	if err != nil {
		s.n.t.Fatal(err)
	}
	s.n.t.Cleanup(func() { w.Close() })
	return &testWallet{w, s.n, f, words}
}

func (s *shared) close(w *testWallet) {
	s.n.t.Helper()
	if err := w.Close(); err != nil {
		s.n.t.Fatal(err)
	}
}

// oldDatabase writes a folder's database as the first karat did, which did not say whose it is.
func (s *shared) oldDatabase() {
	s.n.t.Helper()
	db, err := leveldb.OpenFile(filepath.Join(s.dir, "db"), nil)
	if err != nil {
		s.n.t.Fatal(err)
	}
	defer db.Close()
	value, err := db.Get([]byte("m"), nil)
	if err != nil {
		s.n.t.Fatal(err)
	}
	const front, id = 1 + 32 + 36 + 32, 4 + 32
	old := append([]byte{1}, value[1:front]...)
	old = append(old, value[front+id:front+id+8]...)
	if err := db.Put([]byte("m"), old, nil); err != nil {
		s.n.t.Fatal(err)
	}
}

// TestDatabaseOfOtherWords: a wallet whose words are restored in place of another's does not
// show the other's payments, and finds its own. The other's database waits for its words.
func TestDatabaseOfOtherWords(t *testing.T) {
	n := startNode(t)
	s := &shared{n: n, dir: t.TempDir()}
	first := s.open(someWords).earn()
	given := first.address()
	state := first.state()
	s.close(first)
	second := n.wallet(wordsOf(t, 1)).earn()
	want := second.state()

	got := s.open(second.words)
	if !strings.Contains(s.warn.String(), "other words") {
		t.Errorf("it says %q", s.warn.String())
	}
	if len(got.History()) != 0 || got.Balance().Total() != 0 {
		t.Errorf("it shows what is not its own: %s", got.state())
	}
	if got := got.sync().state(); got != want {
		t.Errorf("it shows\n%s\nwant\n%s", got, want)
	}
	s.close(got)

	again := s.open(someWords)
	if got := again.state(); got != state {
		t.Errorf("the first words are back, and show\n%s\nwant\n%s", got, state)
	}
	if again.address() == given {
		t.Error("an address is given out twice")
	}
	s.close(again)
}

// TestOldDatabase: a database that does not say whose it is stays if it can be the wallet's,
// and then all blocks are looked through once more.
func TestOldDatabase(t *testing.T) {
	n := startNode(t)
	s := &shared{n: n, dir: t.TempDir()}
	w := s.open(someWords).earn()
	given, state := w.address(), w.state()
	s.close(w)
	s.oldDatabase()

	again := s.open(someWords)
	if s.warn.Len() > 0 || again.state() != state {
		t.Errorf("it says %q, and shows\n%s\nwant\n%s", s.warn.String(), again.state(), state)
	}
	if again.address() == given {
		t.Error("an address is given out twice")
	}
	s.close(again)

	s.oldDatabase()
	if got := s.open(wordsOf(t, 1)); !strings.Contains(s.warn.String(), "other words") || len(got.History()) != 0 {
		t.Errorf("of other words it says %q, and shows\n%s", s.warn.String(), got.state())
	} else {
		s.close(got)
	}
}

// TestOldDatabaseOfAPayer: that all transactions of an old database concern a wallet does not
// prove it to be the wallet's. So what it lacks is found.
func TestOldDatabaseOfAPayer(t *testing.T) {
	n := startNode(t)
	payer := n.wallet(someWords).earn()
	s := &shared{n: n, dir: t.TempDir()}
	receiver := s.open(wordsOf(t, 1))
	if !payer.pay(receiver.address(), 1_000_000) {
		t.Fatal("no coins")
	}
	n.mine(1, "")
	receiver.sync()
	s.close(receiver)
	s.oldDatabase()

	want := payer.sync().state()
	got := s.open(someWords)
	if got := got.sync().state(); got != want {
		t.Errorf("with the receiver's database the payer shows\n%s\nwant\n%s", got, want)
	}
	s.close(got)
}

// TestOldDatabaseWithoutPayments: an empty one that was synced hides nothing.
func TestOldDatabaseWithoutPayments(t *testing.T) {
	n := startNode(t)
	rich := n.wallet(someWords).earn()
	s := &shared{n: n, dir: t.TempDir()}
	s.close(s.open(wordsOf(t, 1)).sync())
	s.oldDatabase()
	got := s.open(someWords)
	if got, want := got.sync().state(), rich.state(); got != want {
		t.Errorf("it shows\n%s\nwant\n%s", got, want)
	}
	s.close(got)
}
