package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// coinJSON is a line of karat coins --json.
type coinJSON struct {
	TxID                      string
	Vout                      int
	Amount                    json.Number
	Address, Label            string
	Locked, Spendable, Change bool
}

func (c coinJSON) String() string { return fmt.Sprintf("%s:%d", c.TxID, c.Vout) }

// coin returns the only coin of an amount, in whole coins.
func (b *bench) coin(wallet string, amount int) coinJSON {
	b.t.Helper()
	var list []coinJSON
	if err := json.Unmarshal([]byte(b.karat(wallet, "coins", "--json")), &list); err != nil {
		b.t.Fatal(err)
	}
	list = slices.DeleteFunc(list, func(c coinJSON) bool { return string(c.Amount) != fmt.Sprintf("%d.00000000", amount) })
	if len(list) != 1 {
		b.t.Fatalf("coins of %d: %v", amount, list)
	}
	return list[0]
}

// spends returns the coins that a payment would spend.
func (b *bench) spends(wallet string, args ...string) []string {
	b.t.Helper()
	var dry struct{ Coins []string }
	if err := json.Unmarshal([]byte(b.karat(wallet, append([]string{"send", "--dry-run", "--json"}, args...)...)), &dry); err != nil {
		b.t.Fatal(err)
	}
	slices.Sort(dry.Coins)
	return dry.Coins
}

// labelled makes a wallet with coins, each at an address with a label.
func (b *bench) labelled(wallet string, amounts map[int]string) {
	b.t.Helper()
	b.karat(wallet, "create", "--no-passphrase")
	var args []string
	for amount, label := range amounts {
		address := b.karat(wallet, "address")
		if label != "" {
			b.karat(wallet, "label", address, label)
		}
		args = append(args, address, fmt.Sprint(amount))
	}
	b.karat("rich", append([]string{"send", "--yes"}, args...)...)
	b.mine(1)
}

// TestCoinsAreLocked: a coin that is locked is left alone, however it is named.
func TestCoinsAreLocked(t *testing.T) {
	slow(t)
	b := newBench(t)
	b.rich()
	b.labelled("alice", map[int]string{5: "wages", 3: "", 1: "beer"})
	five, rich := b.coin("alice", 5), b.karat("rich", "address")
	if five.Label != "wages" || five.Locked || !five.Spendable || five.Change {
		t.Errorf("%+v", five)
	}
	for _, name := range []string{five.TxID[:6] + "…" + five.String()[60:], fmt.Sprintf("%s:%d", five.TxID[:8], five.Vout), five.String()} {
		if got := b.karat("alice", "coins", "lock", name); got != five.String()+" locked" {
			t.Errorf("%s: %q", name, got)
		}
		if code, _, stderr := b.try("", "alice", "send", "--yes", rich, "4.5"); code != 1 || !strings.Contains(stderr, "not enough") {
			t.Errorf("a locked coin is spent: exit code %d: %s", code, stderr)
		}
		if shown := b.karat("alice", "coins"); !regexp.MustCompile(`5.00000000 .*\(locked\) wages`).MatchString(shown) {
			t.Errorf("shown: %s", shown)
		}
		if code, _, stderr := b.try("", "alice", "send", "--yes", "--coin", name, rich, "1"); code != 1 || !strings.Contains(stderr, "is locked: karat coins unlock") {
			t.Errorf("by hand: exit code %d: %s", code, stderr)
		}
		b.karat("alice", "coins", "unlock", name)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"coins", "lock"}, 2, "COIN"},
		{[]string{"coins", "lock", "x:0"}, 2, "no coin"},
		{[]string{"coins", "lock", five.TxID}, 2, "TXID:INDEX"},
		{[]string{"coins", "lock", five.TxID + ":99"}, 1, "no coin"},
		{[]string{"coins", "lock", five.String(), five.String()}, 2, "twice"},
		{[]string{"send", "--yes", "--coin", five.TxID + ":99", rich, "1"}, 1, "no coin"},
	} {
		if code, _, stderr := b.try("", "alice", c.args...); code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit code %d: %s", c.args, code, stderr)
		}
	}
	// By hand: these coins, and all of them.
	if got := b.spends("alice", "--coin", b.coin("alice", 3).String(), "--coin", five.String(), rich, "1"); len(got) != 2 || !slices.Contains(got, five.String()) {
		t.Errorf("by hand: %v", got)
	}
	if code, _, stderr := b.try("", "alice", "send", "--yes", "--coin", b.coin("alice", 3).String(), rich, "4"); code != 1 || !strings.Contains(stderr, "not enough") {
		t.Errorf("too little by hand: exit code %d: %s", code, stderr)
	}
	b.karat("alice", "send", "--yes", "--all", "--coin", five.String(), rich)
	if code, _, stderr := b.try("", "alice", "send", "--yes", "--coin", five.String(), rich, "1"); code != 1 || !strings.Contains(stderr, "is spent by") {
		t.Errorf("spent: exit code %d: %s", code, stderr)
	}
	b.mine(1)
	b.expect("all of one coin", "alice", "4.00000000", "0.00000000")
}

// TestLabelsAreNotMixed: coins of one label pay if they can, and if not the person is told.
// Change stays with the labels of its coins.
func TestLabelsAreNotMixed(t *testing.T) {
	slow(t)
	b := newBench(t)
	b.rich()
	b.labelled("alice", map[int]string{5: "wages", 7: "a friend", 2: "wages"})
	rich := b.karat("rich", "address")
	friend := b.coin("alice", 7).String()
	wages := []string{b.coin("alice", 5).String(), b.coin("alice", 2).String()}
	slices.Sort(wages)
	for range 5 { // the choice is made with a random draw
		if got := b.spends("alice", rich, "6"); !slices.Equal(got, []string{friend}) && !slices.Equal(got, wages) {
			t.Errorf("mixed without need: %v", got)
		}
	}
	code, _, stderr := b.atTerminal("alice", sendIt, "", "send", rich, "12.5")
	if code != 1 || !strings.Contains(stderr, `it ties coins of "a friend" and "wages" together`) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if _, _, stderr := b.atTerminal("alice", sendIt, "", "send", "--coin", friend, rich, "6.5"); strings.Contains(stderr, "ties") {
		t.Errorf("one label: %s", stderr)
	}
	b.karat("alice", "send", "--yes", "--coin", friend, rich, "3")
	b.mine(1)
	if shown := b.karat("alice", "coins"); !regexp.MustCompile(`3.999\d+ .* a friend`).MatchString(shown) {
		t.Errorf("the change is shown as of nobody: %s", shown)
	}
}

// TestCoinsOfAnAddressAreSpentTogether: one that is left would tie what it pays later to this.
func TestCoinsOfAnAddressAreSpentTogether(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.karat("alice", "create", "--no-passphrase")
	twice := b.karat("alice", "address")
	b.karat("rich", "send", "--yes", twice, "4", twice, "6", b.karat("alice", "address"), "30")
	b.mine(1)
	rich := b.karat("rich", "address")
	if got := b.spends("alice", rich, "3"); len(got) != 2 || slices.Contains(got, b.coin("alice", 30).String()) {
		t.Errorf("coins of one address: %v", got)
	}
	if got := b.spends("alice", "--feerate", "1000", rich, "0.05"); len(got) != 1 {
		t.Errorf("where it is dear: %v", got)
	}
}

// TestConsolidate: small coins are joined, those of each label for themselves, and blocks
// confirm it.
func TestConsolidate(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.labelled("alice", map[int]string{1: "wages", 2: "wages", 3: "", 4: "", 5: "", 6: "alone"})
	question := "Join them? [y/N] "
	code, stdout, stderr := b.atTerminal("alice", question, "", "consolidate")
	if code != 1 || stdout != "" || !regexp.MustCompile(`join +11.99\d+ +in 3 coins\n`).MatchString(stderr) || !regexp.MustCompile(`join +2.99\d+ +in 2 coins of "wages"\n`).MatchString(stderr) ||
		!strings.Contains(stderr, "in 2 transactions") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	code, stdout, stderr = b.atTerminal("alice", question, "y", "consolidate")
	if code != 0 || len(strings.Fields(stdout)) != 2 {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	b.mine(1)
	var list []coinJSON
	if err := json.Unmarshal([]byte(b.karat("alice", "coins", "--json")), &list); err != nil || len(list) != 3 {
		t.Errorf("%v, %v", list, err)
	}
	for _, coin := range list {
		if want := map[string]string{"2": "wages", "6": "alone", "1": ""}[string(coin.Amount)[:1]]; coin.Label != want {
			t.Errorf("%+v, want %q", coin, want)
		}
	}
	if code, _, stderr := b.try("", "alice", "consolidate", "--yes"); code != 1 || !strings.Contains(stderr, "nothing to join") {
		t.Errorf("again: exit code %d: %s", code, stderr)
	}
	b.karat("alice", "consolidate", "--yes", "--mix", "--max", "2", "--json")
	b.mine(1)
	if err := json.Unmarshal([]byte(b.karat("alice", "coins", "--json")), &list); err != nil || len(list) != 2 {
		t.Errorf("%v, %v", list, err)
	}
}

// TestMoreCoinsThanOneTransactionHolds: all is sent by several, which were signed before the
// first was sent.
func TestMoreCoinsThanOneTransactionHolds(t *testing.T) {
	slow(t)
	b := newBench(t)
	b.rich()
	b.karat("alice", "create", "--no-passphrase")
	wages := strings.Repeat(b.karat("alice", "address")+",0.5\n", 1900)
	b.karatIn(wages, "rich", "send", "--yes", "--file", "-")
	b.mine(1)
	b.expect("many", "alice", "950.00000000", "0.00000000")
	rich := b.karat("rich", "address")
	if code, _, stderr := b.try("", "alice", "send", "--yes", rich, "940"); code != 1 || !strings.Contains(stderr, "karat consolidate") {
		t.Errorf("one payment of too many: exit code %d: %s", code, stderr)
	}
	code, stdout, stderr := b.atTerminal("alice", sendIt, "y", "send", "--all", "--feerate", "0.5", rich)
	if code != 0 || len(strings.Fields(stdout)) != 2 || !strings.Contains(stderr, ", in 2 transactions") || !strings.Contains(stderr, "of 1900 coins") {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	b.mine(1)
	b.expect("all of them", "alice", "0.00000000", "0.00000000")
	for _, txid := range strings.Fields(stdout) {
		if tx := call[struct{ Confirmations int }](b, "getrawtransaction", txid, 1); tx.Confirmations != 1 {
			t.Errorf("%s has %d confirmations", txid, tx.Confirmations)
		}
	}
}
