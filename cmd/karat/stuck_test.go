package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/wallet"
)

// sentJSON is what the commands that pay print with --json.
type sentJSON struct {
	TxID    string
	Fee     json.Number
	VSize   int
	OldFee  json.Number `json:"old_fee"`
	Of      string
	Evicted []string
}

func (b *bench) sent(wallet string, args ...string) (result sentJSON) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.karat(wallet, args...)), &result); err != nil {
		b.t.Fatal(err)
	}
	return result
}

// atTerminal runs a command line for a person who gives one answer.
func (b *bench) atTerminal(wallet, question, line string, args ...string) (code int, stdout, stderr string) {
	b.t.Helper()
	all := append([]string{"karat", "--network", "dev", "--datadir", b.dir, "--rpc", b.rpc, "--rpc-cookie", b.cookie, "--wallet", wallet}, args...)
	return newPerson(b.t).run(all, []answer{{question: question, line: line}})
}

// stuckPayment lets a wallet without a passphrase have a payment whose fee is below what nodes
// take.
func (b *bench) stuckPayment(name string) string {
	b.t.Helper()
	params, dir := b.node.Chain().Params(), filepath.Join(b.dir, "dev", "wallets", name)
	fail := func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
	}
	file, err := wallet.OpenFile(filepath.Join(dir, wallet.FileName), params)
	fail(err)
	w, err := wallet.Open(dir, file, params, nil)
	fail(err)
	defer w.Close()
	fail(w.Sync(b.t.Context(), b.client, func(wallet.Progress) {}))
	change, err := w.ChangeScript(0)
	fail(err)
	out := types.TxOut{Value: types.GrainsPerCoin, ScriptPubKey: chaintest.Anchor}
	d, err := wallet.Build(&wallet.Request{Outputs: []types.TxOut{out}, FeeRate: 10, ChangeScript: change, Coins: w.Coins()})
	fail(err)
	signer, err := file.Unlock("")
	fail(err)
	fail(signer.Sign(d))
	fail(w.Record(d.Tx))
	return d.Tx.TxID().String()
}

// TestStuckPayments goes through the ways out of a payment that waits, as a person does.
func TestStuckPayments(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.karat("alice", "create", "--no-passphrase")
	alice := b.karat("alice", "address")
	pool := func(want ...string) {
		t.Helper()
		got := call[[]string](b, "getrawmempool")
		if len(got) != len(want) {
			t.Fatalf("the pool has %v, want %v", got, want)
		}
		for _, txid := range want {
			if !strings.Contains(strings.Join(got, " "), txid) {
				t.Fatalf("the pool has %v, want %v", got, want)
			}
		}
	}

	first := b.karat("rich", "send", "--yes", "--feerate", "0.2", alice, "5")
	code, stdout, stderr := b.atTerminal("rich", sendIt, "", "bump", "--feerate", "3", first)
	if code != 1 || stdout != "" || !strings.Contains(stderr, "replaces   "+first) || !strings.Contains(stderr, alice) || !strings.Contains(stderr, "0.201 grains") ||
		!strings.Contains(stderr, "3.000 grains") || !strings.Contains(stderr, "within 1 block") {
		t.Errorf("declined: exit code %d: %s%s", code, stdout, stderr)
	}
	pool(first)
	b.karat("rich", "label", first, "a bicycle")
	code, stdout, stderr = b.atTerminal("rich", sendIt, "y", "bump", "--feerate", "3", first)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	second := strings.TrimSpace(stdout)
	pool(second)
	if got := b.karat("rich", "label", second); got != "a bicycle" {
		t.Errorf("bumped, it is labelled %q", got)
	}

	// What spends it goes with it, and the person is told.
	child := b.karat("rich", "cpfp", "--yes", "--feerate", "9", second)
	if _, _, stderr = b.atTerminal("rich", sendIt, "n", "bump", second); !strings.Contains(stderr, child+" spends it") {
		t.Errorf("nothing is said of the child: %s", stderr)
	}
	third := b.sent("rich", "bump", "--yes", "--json", second)
	if third.Of != second || len(third.Evicted) != 1 || third.Evicted[0] != child {
		t.Errorf("%+v", third)
	}
	pool(third.TxID)
	b.mine(1)
	b.expect("bumped", "alice", "5.00000000", "0.00000000")

	// Taken back.
	first = b.karat("rich", "send", "--yes", alice, "7")
	code, stdout, stderr = b.atTerminal("rich", sendIt, "y", "cancel", first)
	if code != 0 || !strings.Contains(stderr, "may come too late") || !strings.Contains(stderr, "to the wallet") || strings.Contains(stderr, alice) {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	pool(strings.TrimSpace(stdout))
	b.mine(1)
	b.expect("cancelled", "alice", "5.00000000", "0.00000000")
	if text := b.karat("rich", "tx", first); !strings.Contains(text, "none: it would have been -7.0") || strings.Contains(text, "after it") {
		t.Errorf("what was taken back has changed the balance: %s", text)
	}
	if code, _, stderr := b.try("", "rich", "cancel", "--yes", first); code != 1 || !strings.Contains(stderr, "has taken the place of") {
		t.Errorf("a second time: exit code %d: %s", code, stderr)
	}

	// A child pays, for what was received.
	first = b.karat("rich", "send", "--yes", "--feerate", "0.2", alice, "2")
	paid := b.sent("alice", "cpfp", "--yes", "--json", "--feerate", "10", first)
	pool(first, paid.TxID)
	b.mine(1)
	fee, err := types.ParseAmount(paid.Fee.String())
	if err != nil {
		t.Fatal(err)
	}
	b.expect("paid for", "alice", (7*types.GrainsPerCoin - fee).String(), "0.00000000")

	if code, stdout, _ := b.try("", "rich", "rebroadcast"); code != 0 || stdout != "" {
		t.Errorf("nothing waits: exit code %d: %s", code, stdout)
	}
	first = b.karat("rich", "send", "--yes", alice, "1")
	if stdout := b.karat("rich", "rebroadcast", first); stdout != first+" the node has it" {
		t.Errorf("%q", stdout)
	}
	if code, _, stderr := b.try("", "rich", "abandon", "--yes", first); code != 1 || !strings.Contains(stderr, "karat cancel") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	stuck := b.stuckPayment("rich")
	if code, stdout, stderr := b.try("", "rich", "rebroadcast", stuck); code != 1 || !strings.Contains(stdout, stuck+" refused") || !strings.Contains(stderr, "refuses 1 of 1") {
		t.Errorf("what the node does not take: exit code %d: %s%s", code, stdout, stderr)
	}
	const question = "Give it up? [y/N] "
	if code, _, stderr := b.atTerminal("rich", question, "", "abandon", stuck); code != 1 || !strings.Contains(stderr, "1 coin of 100000.") || !strings.Contains(stderr, "pay twice") {
		t.Errorf("declined: exit code %d: %s", code, stderr)
	}
	if code, stdout, stderr := b.atTerminal("rich", question, "y", "abandon", stuck); code != 0 || !strings.Contains(stdout, "is given up") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	// Who is not asked is told all the same that the same was paid before.
	anchor, err := taproot.EncodeAddress(b.node.Chain().Params().HRP, chaintest.Anchor)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := b.try("", "rich", "send", "--yes", anchor, "1"); code != 0 || !strings.Contains(stderr, stuck) {
		t.Errorf("paid once more: exit code %d: %s", code, stderr)
	}
	for _, command := range []string{"bump", "cancel", "cpfp", "abandon"} {
		if code, _, stderr := b.try("", "rich", command, first[:3]); code != 2 || !strings.Contains(stderr, "64") {
			t.Errorf("%s of a bit of an id: exit code %d: %s", command, code, stderr)
		}
		if code, _, stderr := b.try("", "rich", command); code != 2 || !strings.Contains(stderr, "TXID") {
			t.Errorf("%s of nothing: exit code %d: %s", command, code, stderr)
		}
	}
	if code, _, stderr := b.try("", "rich", "bump", "--feerate", "20000", first); code != 2 || !strings.Contains(stderr, "10000") {
		t.Errorf("a feerate that nobody takes: exit code %d: %s", code, stderr)
	}
}

// TestFeesAreJudged: of a fee that is a large part of what it is paid for a person is warned,
// and types it; a script says how much it may be.
func TestFeesAreJudged(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.karat("alice", "create", "--no-passphrase")
	alice := b.karat("alice", "address")
	// send asks as the others do.
	if code, _, stderr := b.try("", "rich", "send", "--yes", "--feerate", "30", alice, "0.00001"); code != 1 || !strings.Contains(stderr, "--max-fee 0.00004620") || !strings.Contains(stderr, "4 times") {
		t.Errorf("send: exit code %d: %s", code, stderr)
	}
	if code, _, stderr := b.atTerminal("rich", "Type the fee, 0.00004620, to pay it: ", "y", "send", "--feerate", "30", alice, "0.00001"); code != 1 {
		t.Errorf("send at a terminal: exit code %d: %s", code, stderr)
	}
	if code, _, stderr := b.atTerminal("rich", sendIt, "n", "send", "--feerate", "1", alice, "0.00001"); code != 1 || !strings.Contains(stderr, "the fee is 15 percent of what it pays") {
		t.Errorf("a fee that is worth a warning: exit code %d: %s", code, stderr)
	}
	txid := b.karat("rich", "send", "--yes", alice, "0.00001")
	args := []string{"bump", "--feerate", "50", txid} // 7,700 grains for 1,000
	if code, _, stderr := b.try("", "rich", append(args, "--yes")...); code != 1 || !strings.Contains(stderr, "--max-fee 0.00007700") || !strings.Contains(stderr, "7 times") {
		t.Errorf("without leave: exit code %d: %s", code, stderr)
	}
	if code, _, stderr := b.try("", "rich", append(args, "--yes", "--max-fee", "0.00007")...); code != 1 || !strings.Contains(stderr, "--max-fee allows 0.00007000") {
		t.Errorf("above the most: exit code %d: %s", code, stderr)
	}
	question := "Type the fee, 0.00007700, to pay it: "
	for _, typed := range []string{"y", "0.000077001", "", "7700"} {
		if code, _, stderr := b.atTerminal("rich", question, typed, args...); code != 1 || !strings.Contains(stderr, "nothing was sent") {
			t.Errorf("%q: exit code %d: %s", typed, code, stderr)
		}
	}
	code, stdout, stderr := b.atTerminal("rich", question, "0.000077", args...)
	if code != 0 {
		t.Fatalf("typed: exit code %d: %s%s", code, stdout, stderr)
	}
	b.karat("rich", "bump", "--yes", "--feerate", "100", "--max-fee", "1", strings.TrimSpace(stdout))
	b.mine(1)
	b.expect("with leave", "alice", "0.00001000", "0.00000000")
}

// TestBumpOfASharedPayment: what two have signed is replaced by what two sign again.
func TestBumpOfASharedPayment(t *testing.T) {
	slow(t)
	b := newBench(t)
	b.rich()
	account := b.share([]string{"alice", "bob"}, "--threshold", "2")
	b.karat("rich", "send", "--yes", account.FirstAddress, "5")
	b.mine(1)
	signed := func(file string) string {
		t.Helper()
		one := b.karat("alice", "psbt", "sign", "--yes", file)
		return b.karat("bob", "psbt", "send", "--yes", b.karat("bob", "psbt", "sign", "--yes", one))
	}
	to, file, bumped := b.karat("rich", "address"), filepath.Join(b.dir, "pay.psbt"), filepath.Join(b.dir, "bump.psbt")
	b.karat("alice", "send", "--account", "shared", "--feerate", "0.2", "--psbt", file, to, "1.5")
	first := signed(file)
	if code, _, stderr := b.try("", "alice", "bump", "--yes", first); code != 1 || !strings.Contains(stderr, "--psbt FILE") {
		t.Errorf("alone: exit code %d: %s", code, stderr)
	}
	if code, _, stderr := b.try("", "alice", "bump", "--psbt", file, first); code != 2 || !strings.Contains(stderr, "is there already") {
		t.Errorf("over a file: exit code %d: %s", code, stderr)
	}
	b.karat("alice", "bump", "--feerate", "3", "--psbt", bumped, first)
	second := signed(bumped)
	if pool := call[[]string](b, "getrawmempool"); len(pool) != 1 || pool[0] != second {
		t.Errorf("the pool has %v, want %s", pool, second)
	}
	b.mine(1)
	if tx := call[struct{ Confirmations int }](b, "getrawtransaction", second, 1); tx.Confirmations != 1 {
		t.Errorf("it has %d confirmations", tx.Confirmations)
	}
	// Coins of another account are no part of a payment.
	var coins []coinJSON
	if err := json.Unmarshal([]byte(b.karat("alice", "coins", "--json")), &coins); err != nil || len(coins) != 1 {
		t.Fatalf("%v: %v", err, coins)
	}
	if code, _, stderr := b.try("", "alice", "send", "--yes", "--coin", coins[0].String(), to, "1"); code != 2 || !strings.Contains(stderr, "is of account shared: name that with --account") {
		t.Errorf("a coin of another account: exit code %d: %s", code, stderr)
	}
}
