package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
)

// year is a wallet with a payment of each kind: alice has received and sent, paid herself, and
// waits for a last payment.
func (b *bench) year() (alice string) {
	b.t.Helper()
	b.rich()
	b.karat("alice", "create", "--no-passphrase")
	alice = b.karat("alice", "address")
	shop := "krtd1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqr2y4qk"
	b.karat("alice", "label", alice, "wages")
	b.karat("alice", "label", shop, "=HYPERLINK(\"shop\")")
	b.karat("rich", "send", "--yes", alice, "5")
	b.mine(1)
	b.karat("alice", "send", "--yes", "--feerate", "10", shop, "1.5")
	b.mine(1)
	b.karat("alice", "send", "--yes", "--feerate", "10", alice, "2")
	b.mine(1)
	b.karat("rich", "send", "--yes", alice, "0.25")
	return alice
}

// row is a line of karat history --json.
type row struct {
	TxID                 string
	Time                 int64
	Height               int
	Amount, Fee, Balance json.Number
	Kind, Label, Status  string
	Outputs              []struct {
		Address string
		Ours    bool
	}
}

func (b *bench) rows(args ...string) (rows []row) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.karat("alice", append([]string{"history", "--json"}, args...)...)), &rows); err != nil {
		b.t.Fatal(err)
	}
	return rows
}

// TestHistory: each kind of transaction has its words, its label, and the balance after it, in
// each form of the history.
func TestHistory(t *testing.T) {
	slow(t)
	b := newBench(t)
	alice := b.year()
	rows := b.rows()
	var got []string
	for _, r := range rows {
		got = append(got, fmt.Sprintf("%s %s %s %s %q %d", r.Kind, r.Amount, r.Balance, r.Status, r.Label, len(r.Outputs)))
	}
	want := `received 5.00000000 5.00000000 confirmed "wages" 1
sent -1.50001540 3.49998460 confirmed "=HYPERLINK(\"shop\")" 1
to self -0.00001540 3.49996920 confirmed "wages" 2
received 0.25000000 3.74996920 pending "wages" 1`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("history:\n%s\nwant\n%s", text, want)
	}
	if total := b.balance("alice").Total; total != rows[len(rows)-1].Balance {
		t.Errorf("the last balance is %s, and there are %s", rows[len(rows)-1].Balance, total)
	}

	// A table in a file is whole.
	table := b.karat("alice", "history", "--utc")
	for _, r := range rows {
		if !strings.Contains(table, r.TxID) || !strings.Contains(table, time.Unix(r.Time, 0).UTC().Format("2006-01-02 15:04 UTC")) {
			t.Errorf("the table lacks %s: %s", r.TxID, table)
		}
	}
	if !strings.Contains(table, "at "+alice) {
		t.Errorf("the table does not tell where it came: %s", table)
	}

	// By height and by time.
	for _, c := range []struct {
		want int
		args []string
	}{
		{1, []string{"--to", fmt.Sprint(rows[0].Height)}}, {3, []string{"--from", fmt.Sprint(rows[1].Height)}}, {3, []string{"--to", fmt.Sprint(rows[2].Height)}},
		{1, []string{"--from", fmt.Sprint(rows[1].Height), "--to", fmt.Sprint(rows[1].Height)}},
		{4, []string{"--from", "2020-01"}}, {0, []string{"--to", "2020-12-31"}}, {4, []string{"--from", time.Unix(rows[0].Time, 0).UTC().Format(time.DateOnly), "--utc"}},
		{2, []string{"--limit", "2"}},
	} {
		if got := len(b.rows(c.args...)); got != c.want {
			t.Errorf("%v: %d rows, want %d", c.args, got, c.want)
		}
	}
	for _, args := range [][]string{{"--from", "yesterday"}, {"--from", "-1"}, {"--from", "2026-13"}, {"--from", "9", "--to", "8"}, {"--from", "2026-02", "--to", "2026-01"}, {"--csv", "--json"}} {
		if code, _, stderr := b.try("", "alice", append([]string{"history"}, args...)...); code != 2 {
			t.Errorf("%v: %d %s", args, code, stderr)
		}
	}
	// A table without rows says why, and that a year is none.
	for _, c := range []struct{ from, to, want string }{{"2026", "2027", "a year begins with 2026-01"}, {"7000", "7001", "the last one is "}, {"2998-01", "2999-01", "in that time"}} {
		if code, _, stderr := b.try("", "alice", "history", "--from", c.from, "--to", c.to); code != 0 || !strings.Contains(stderr, c.want) {
			t.Errorf("--from %s: %d %s", c.from, code, stderr)
		}
	}
	b.checkCSV(rows)
}

// checkCSV: the table has a line for each transaction, with numbers that add up, and nothing
// that a spreadsheet runs.
func (b *bench) checkCSV(rows []row) {
	b.t.Helper()
	text := b.karat("alice", "history", "--csv")
	if strings.Count(text, "\r\n") != len(rows) { // the last is cut off by karat
		b.t.Errorf("lines do not end as RFC 4180 says: %q", text)
	}
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(lines) != len(rows)+1 {
		b.t.Fatalf("%d lines, %v: %s", len(lines), err, text)
	}
	if got, want := strings.Join(lines[0], ","), "time,time_utc,kind,amount,fee,balance,counterparty,own_address,label,status,block,txid"; got != want {
		b.t.Errorf("columns %s, want %s", got, want)
	}
	for i, r := range rows {
		line := lines[i+1]
		local, err1 := time.Parse(time.RFC3339, line[0])
		utc, err2 := time.Parse(time.RFC3339, line[1])
		if err1 != nil || err2 != nil || local.Unix() != r.Time || utc.Unix() != r.Time || !strings.HasSuffix(line[1], "Z") {
			b.t.Errorf("times %s and %s of %d", line[0], line[1], r.Time)
		}
		if line[2] != r.Kind || line[3] != string(r.Amount) || line[4] != string(r.Fee) || line[5] != string(r.Balance) || line[11] != r.TxID {
			b.t.Errorf("line %v of %+v", line, r)
		}
		if isSent := r.Kind == "sent"; isSent != (line[6] == r.Outputs[0].Address) || isSent != (line[7] == "") {
			b.t.Errorf("%s is with %q, at %q", r.Kind, line[6], line[7])
		}
	}
	if lines[2][8] != `'=HYPERLINK("shop")` {
		b.t.Errorf("a label that is a formula: %q", lines[2][8])
	}
}

var variable = regexp.MustCompile(`[0-9a-f]{64}|krtd1p[0-9a-z]{58}|\d{4}-\d\d-\d\d \d\d:\d\d \S+?[,.]|karat (bump|cancel|rebroadcast) [0-9a-f]{16}`)

// TestTx: a transaction is told in words, whatever has become of it.
func TestTx(t *testing.T) {
	b := newBench(t)
	b.year()
	rows := b.rows()
	explained := func(wallet, id string) string {
		t.Helper()
		text := b.karat(wallet, "tx", "--utc", id)
		head, _, _ := strings.Cut(text, "\n\n      ")
		return variable.ReplaceAllString(strings.ReplaceAll(head, rows[1].TxID, "TXID"), "…")
	}
	for i, want := range []string{
		`Transaction …

label        wages
what         You received 5.00000000. Who sent it is not in a transaction.
status       confirmed in block 101 at … 3 confirmations.
             On a network whose difficulty is fixed anybody can undo blocks.
change       +5.00000000 for the wallet, which had 5.00000000 after it
fee          was paid by others, who alone know what they spent
spent by     TXID
`,
		`Transaction TXID

label        =HYPERLINK("shop")
what         You paid 1.50000000 to "=HYPERLINK(\"shop\")" at
             ….
             3.49998460 came back as change.
status       confirmed in block 102 at … 2 confirmations.
             On a network whose difficulty is fixed anybody can undo blocks.
change       -1.50001540 for the wallet, which had 3.49998460 after it
fee          0.00001540, 10.000 grains for each of 154 virtual bytes
spent by     …
`,
	} {
		if got := explained("alice", rows[i].TxID[:12]) + "\n"; got != want {
			t.Errorf("told:\n%s\nwant\n%s", got, want)
		}
	}
	for id, wrong := range map[string]string{"12": "first 4", "zzzzzz": "hexadecimal", strings.Repeat("ab", 32): "no such transaction", rows[0].TxID + "00": "64"} {
		want := 2
		if len(id) == 64 {
			want = 1
		}
		if code, _, stderr := b.try("", "alice", "tx", id); code != want || !strings.Contains(stderr, wrong) {
			t.Errorf("%s: %d %s", id, code, stderr)
		}
	}
	// As a table shows it.
	b.karat("alice", "tx", rows[0].TxID[:6]+"…"+rows[0].TxID[58:])

	// Replaced: both tell of the other.
	first := b.karat("alice", "send", "--yes", "--feerate", "2", "krtd1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqr2y4qk", "0.5")
	if got := b.karat("alice", "tx", first); !strings.Contains(got, "karat bump "+first[:16]) || !strings.Contains(got, "You are paying 0.50000000") {
		t.Errorf("a payment that waits: %s", got)
	}
	b.karat("alice", "bump", "--yes", "--feerate", "20", first)
	second := b.last("alice")
	if got := b.karat("alice", "tx", first); !strings.Contains(got, "replaced by  ") || !strings.Contains(got, "You would have paid") {
		t.Errorf("a payment that was replaced: %s", got)
	}
	var told struct {
		Replaces []string
		FeeRate  string
		Outputs  []any
	}
	for _, e := range b.history("alice") {
		if e.Status == "pending" && e.TxID != rows[3].TxID {
			second = e
		}
	}
	if err := json.Unmarshal([]byte(b.karat("alice", "tx", "--json", second.TxID)), &told); err != nil || len(told.Replaces) != 1 || told.Replaces[0] != first || !strings.HasPrefix(told.FeeRate, "20.") || len(told.Outputs) != 2 {
		t.Errorf("what replaced it: %+v, %v", told, err)
	}
}

// TestUndoChance: the chances are those of Nakamoto's paper.
func TestUndoChance(t *testing.T) {
	for _, c := range []struct {
		share         float64
		confirmations uint32
		want          float64
	}{{0.1, 0, 1}, {0.1, 1, 0.2045873}, {0.1, 5, 0.0009137}, {0.1, 10, 0.0000012}, {0.3, 5, 0.1773523}, {0.3, 50, 0.0000006}, {0.1, 1000, 0}, {0.25, 4_000_000_000, 0}} {
		if got := undoChance(c.share, c.confirmations); math.Abs(got-c.want) > 1e-7 {
			t.Errorf("%v after %d blocks: %.7f, want %.7f", c.share, c.confirmations, got, c.want)
		}
	}
}

// TestDefused: no cell begins as a formula does.
func TestDefused(t *testing.T) {
	for text, want := range map[string]string{"": "", "rent": "rent", "a=b": "a=b", "=1+1": "'=1+1", "+49": "'+49", "-5": "'-5", "@x": "'@x", "\tx": "'\tx", "'x": "''x", "|x": "'|x"} {
		if got := defused(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
