package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/miner"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/rpc"
)

// richWords are the words that own the coins of the dev network.
const richWords = "test test test test test test test test test test test junk"

// lockedBuffer is a log that a test may read while the node writes.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// bench is a node of the dev network with wallets.
type bench struct {
	t      *testing.T
	dir    string
	rpc    string // HOST:PORT
	cookie string
	log    lockedBuffer
	client *rpc.Client
	node   *node.Node
	stop   func()
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t}
	n := nodetest.Dev(t, func(c *node.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		b.dir = filepath.Dir(c.DataDir)
	})
	b.rpc, b.cookie, b.node, b.stop = n.RPC, n.CookieFile, n.Node, n.Stop
	b.client = rpc.NewCookieClient("http://"+b.rpc, b.cookie)
	return b
}

// call calls a method of the node that must succeed.
func call[T any](b *bench, method string, params ...any) (result T) {
	b.t.Helper()
	if err := b.client.Call(b.t.Context(), method, &result, params...); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	return result
}

// mine makes blocks for nobody in particular.
func (b *bench) mine(n int) []string {
	b.t.Helper()
	return call[[]string](b, "generatetoaddress", n, "krtd1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqr2y4qk")
}

// try runs a command line of karat for a wallet.
func (b *bench) try(input, wallet string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	all := []string{"karat", "--network", "dev", "--datadir", b.dir, "--rpc-cookie", b.cookie, "--wallet", wallet}
	if !slices.Contains(args, "--rpc") { // it may be repeated, so one more would be another node
		all = append(all, "--rpc", b.rpc)
	}
	all = append(all, args...)
	code = run(b.t.Context(), all, cmdline.Streams{In: strings.NewReader(input), Out: &out, Err: &errs})
	return code, out.String(), errs.String()
}

// karat runs a command line that must succeed.
func (b *bench) karat(wallet string, args ...string) string {
	b.t.Helper()
	return b.karatIn("", wallet, args...)
}

func (b *bench) karatIn(input, wallet string, args ...string) string {
	b.t.Helper()
	code, stdout, stderr := b.try(input, wallet, args...)
	if code != 0 {
		b.t.Fatalf("karat %v: exit code %d: %s", args, code, stderr)
	}
	return strings.TrimSuffix(stdout, "\n")
}

// shownBalance is a balance as karat balance --json tells it.
type shownBalance struct{ Confirmed, Immature, Pending, Total json.Number }

func (b *bench) balance(wallet string) (result shownBalance) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.karat(wallet, "balance", "--json")), &result); err != nil {
		b.t.Fatal(err)
	}
	return result
}

// expect checks what a wallet has.
func (b *bench) expect(when, wallet, confirmed, pending string) {
	b.t.Helper()
	got := b.balance(wallet)
	if string(got.Confirmed) != confirmed || string(got.Pending) != pending {
		b.t.Errorf("%s, %s has %s confirmed and %s pending, want %s and %s", when, wallet, got.Confirmed, got.Pending, confirmed, pending)
	}
}

// entry is a line of karat history --json.
type entry struct {
	TxID          string
	Height        int
	Confirmations int
	Amount, Fee   json.Number
	Status        string
}

func (b *bench) history(wallet string) (entries []entry) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.karat(wallet, "history", "--json")), &entries); err != nil {
		b.t.Fatal(err)
	}
	return entries
}

func (b *bench) last(wallet string) entry {
	b.t.Helper()
	entries := b.history(wallet)
	if len(entries) == 0 {
		b.t.Fatalf("%s has no history", wallet)
	}
	return entries[len(entries)-1]
}

// rich makes the wallet that has coins.
func (b *bench) rich() {
	b.t.Helper()
	b.karatIn(richWords+"\n", "rich", "restore", "--no-passphrase")
	b.mine(100)
}

func TestPaymentsOfEachKind(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.expect("at the start", "rich", "1000000.00000000", "0.00000000")
	b.karat("alice", "create", "--no-passphrase")
	b.karat("bob", "create", "--no-passphrase", "--words", "24")
	alice, bob := b.karat("alice", "address"), b.karat("bob", "address")
	if alice == b.karat("alice", "address") {
		t.Error("an address was given out twice")
	}

	txid := b.karat("rich", "send", "--yes", alice, "5")
	b.expect("before a block", "alice", "0.00000000", "5.00000000")
	if e := b.last("rich"); e.TxID != txid || e.Status != "pending" || e.Confirmations != 0 {
		t.Errorf("rich: %+v", e)
	}
	b.mine(1)
	b.expect("after a block", "alice", "5.00000000", "0.00000000")
	for _, wallet := range []string{"rich", "alice"} {
		if e := b.last(wallet); e.TxID != txid || e.Status != "confirmed" || e.Confirmations != 1 || e.Height != 101 {
			t.Errorf("%s: %+v", wallet, e)
		}
	}

	b.karat("rich", "send", alice, "1", "--yes", bob, "0.25", alice, "0.5", "--feerate", "2")
	b.mine(1)
	b.expect("several receivers", "alice", "6.50000000", "0.00000000")
	b.expect("several receivers", "bob", "0.25000000", "0.00000000")

	var sent struct {
		TxID  string
		Fee   json.Number
		VSize int
	}
	if err := json.Unmarshal([]byte(b.karat("alice", "send", "--json", "--yes", "--feerate", "10", "--subtract-fee", bob, "2")), &sent); err != nil {
		t.Fatal(err)
	}
	b.mine(1)
	if want := fmt.Sprintf("0.%08d", sent.VSize*10); string(sent.Fee) != want {
		t.Errorf("fee %s of %d virtual bytes at 10 grains, want %s", sent.Fee, sent.VSize, want)
	}
	b.expect("the receiver pays the fee", "alice", "4.50000000", "0.00000000")
	b.expect("the receiver pays the fee", "bob", fmt.Sprintf("2.%08d", 25_000_000-sent.VSize*10), "0.00000000")

	b.karat("alice", "send", "--yes", "--all", bob)
	b.expect("all", "alice", "0.00000000", "0.00000000")
	b.mine(1)
	b.expect("all", "alice", "0.00000000", "0.00000000")
	if coins := b.karat("alice", "coins", "--json"); strings.TrimSpace(coins) != "[]" {
		t.Errorf("coins %s", coins)
	}

	// Change that waits for a block can be spent; what others sent cannot.
	b.karat("bob", "send", "--yes", alice, "1")
	b.karat("bob", "send", "--yes", alice, "1")
	if code, _, stderr := b.try("", "alice", "send", "--yes", bob, "0.5"); code != 1 || !strings.Contains(stderr, "not enough") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	b.mine(1)
	b.expect("spent change", "alice", "2.00000000", "0.00000000")
	b.private(alice, bob)
}

// private checks that the node's log shows nothing of what the wallets asked for.
func (b *bench) private(addresses ...string) {
	b.t.Helper()
	text := b.log.String()
	if !strings.Contains(text, "level=DEBUG") {
		b.t.Error("the log is not in detail")
	}
	for _, address := range addresses {
		if strings.Contains(text, address) {
			b.t.Errorf("the log names %s", address)
		}
	}
	for _, method := range []string{"scantxoutset", "importdescriptors", "loadtxfilter", "rescan"} {
		if strings.Contains(text, method) {
			b.t.Errorf("the wallet called %s", method)
		}
	}
}

// TestReorganisationUndoesAPayment: it is shown, and the coins can be spent
// again.
func TestReorganisationUndoesAPayment(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.karat("alice", "create", "--no-passphrase")
	alice := b.karat("alice", "address")
	txid := b.karat("rich", "send", "--yes", alice, "7")
	block := b.mine(1)[0]
	b.expect("confirmed", "alice", "7.00000000", "0.00000000")

	call[any](b, "invalidateblock", block)
	// Of two tips, the wallet stays with the one of more work.
	if code, _, errs := b.try("", "alice", "balance"); code == 0 || !strings.Contains(errs, "this wallet has seen block 101") {
		t.Errorf("undone: exit code %d: %s", code, errs)
	}
	b.emptyBlocks(2)
	b.expect("on another branch", "alice", "0.00000000", "7.00000000")
	if e := b.last("alice"); e.TxID != txid || e.Status != "pending" || e.Height != 0 {
		t.Errorf("an undone payment is shown as %+v", e)
	}
	b.mine(1)
	b.expect("confirmed again", "alice", "7.00000000", "0.00000000")
	if e := b.last("alice"); e.Height != 103 {
		t.Errorf("%+v", e)
	}

	// A mined coin that is undone is gone, and what it was is shown.
	mined := call[[]string](b, "generatetoaddress", 1, alice)[0]
	if got := b.balance("alice"); string(got.Immature) != "10.00000000" {
		t.Errorf("mined: %+v", got)
	}
	call[any](b, "invalidateblock", mined)
	b.emptyBlocks(2)
	if got := b.balance("alice"); string(got.Immature) != "0.00000000" || string(got.Confirmed) != "7.00000000" {
		t.Errorf("a mined coin that was undone: %+v", got)
	}
	if !strings.Contains(b.karat("alice", "history"), "conflicted") {
		t.Error("an undone coinbase is not shown as such")
	}
	// The coins of a payment that was undone and never confirmed are free again.
	b.karat("alice", "send", "--yes", b.karat("rich", "address"), "6.9")
}

// emptyBlocks makes blocks without the transactions that wait.
func (b *bench) emptyBlocks(n int) {
	b.t.Helper()
	m := miner.New(miner.Options{Params: b.node.Chain().Params(), Chain: b.node.Chain()})
	if _, err := m.Generate(b.t.Context(), n, chaintest.Anchor, 1<<20); err != nil {
		b.t.Fatal(err)
	}
}

func TestRestoreElsewhere(t *testing.T) {
	slow(t)
	b := newBench(t)
	b.rich()
	passphrase := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(passphrase, []byte("correct horse\nmore\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	created := b.karat("alice", "create", "--passphrase-file", passphrase)
	var words []string
	for _, m := range regexp.MustCompile(`\d+\. ([a-z]+)`).FindAllStringSubmatch(created, -1) {
		words = append(words, m[1])
	}
	if len(words) != 12 {
		t.Fatalf("%d words in %s", len(words), created)
	}
	var addresses []string
	for range 15 {
		addresses = append(addresses, b.karat("alice", "address"))
	}
	for _, address := range []string{addresses[0], addresses[14]} {
		b.karat("rich", "send", "--yes", address, "3")
		b.mine(1)
	}
	b.karat("alice", "send", "--yes", "--passphrase-file", passphrase, b.karat("rich", "address"), "1")
	b.mine(1)
	want := b.karat("alice", "history")

	elsewhere := &bench{t: t, dir: t.TempDir(), rpc: b.rpc, cookie: b.cookie, client: b.client}
	elsewhere.karatIn(strings.Join(words, "  ")+"\n", "again", "restore", "--no-passphrase")
	if got := elsewhere.karat("again", "history"); got != want {
		t.Errorf("restored history:\n%s\nwant\n%s", got, want)
	}
	if a, b := b.balance("alice"), elsewhere.balance("again"); a != b {
		t.Errorf("%+v, restored %+v", a, b)
	}
	if got := elsewhere.karat("again", "address"); got == addresses[0] || got == addresses[14] {
		t.Error("an address that was paid is given out again")
	}
	if got := b.karat("alice", "mnemonic", "--passphrase-file", passphrase); !strings.Contains(created, got) {
		t.Errorf("words %s, created with %s", got, created)
	}
	if descriptors := b.karat("alice", "descriptors"); strings.Contains(descriptors, "xprv") || strings.Contains(descriptors, "tprv") || strings.Count(descriptors, "tr(") != 2 {
		t.Errorf("descriptors %s", descriptors)
	}
	file, err := os.ReadFile(filepath.Join(b.dir, "dev", "wallets", "alice", "wallet.json"))
	if err != nil || strings.Contains(string(file), words[3]+" "+words[4]) {
		t.Errorf("the file has the words as they are, or cannot be read: %v", err)
	}
}

// TestMistakes: one clear error, the right exit code, nothing sent.
func TestMistakes(t *testing.T) {
	slow(t)
	b := newBench(t)
	b.rich()
	passphrase := filepath.Join(t.TempDir(), "passphrase")
	wrong := filepath.Join(t.TempDir(), "wrong")
	for name, text := range map[string]string{passphrase: "correct horse\n", wrong: "incorrect horse\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.karat("safe", "create", "--passphrase-file", passphrase)
	safe := b.karat("safe", "address")
	b.karat("rich", "send", "--yes", safe, "1")
	b.mine(1)
	for _, c := range []struct {
		name   string
		wallet string
		input  string
		args   []string
		code   int
		want   string
	}{
		{"no command", "rich", "", []string{"pay"}, 2, `unknown command "pay": see karat --help`},
		{"no wallet", "nobody", "", []string{"balance"}, 1, "karat create"},
		{"a name that is a path", "../rich", "", []string{"balance"}, 2, "--wallet"},
		{"a wallet twice", "rich", "", []string{"create", "--no-passphrase"}, 1, "already"},
		{"no passphrase", "new", "", []string{"create"}, 2, "--no-passphrase"},
		{"three words", "new", "one two three\n", []string{"restore", "--no-passphrase"}, 1, "words"},
		{"no words", "new", "", []string{"restore", "--no-passphrase"}, 1, "words"},
		{"a bad checksum", "new", strings.Repeat("test ", 12) + "\n", []string{"restore", "--no-passphrase"}, 1, "checksum"},
		{"words and passphrase from one place", "new", richWords + "\n", []string{"restore", "--passphrase-file", "-"}, 2, "standard input"},
		{"an odd list", "rich", "", []string{"send", safe}, 2, "ADDRESS AMOUNT"},
		{"nothing to send", "rich", "", []string{"send"}, 2, "ADDRESS AMOUNT"},
		{"a mistyped address", "rich", "", []string{"send", "--yes", mistyped(safe), "1"}, 2, "checksum"},
		{"an address of another network", "rich", "", []string{"send", "--yes", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "1"}, 2, "krtd"},
		{"too fine an amount", "rich", "", []string{"send", "--yes", safe, "1.000000001"}, 2, "1.000000001"},
		{"a negative amount", "rich", "", []string{"send", "--yes", "--", safe, "-1"}, 2, "-1"},
		{"dust", "rich", "", []string{"send", "--yes", safe, "0.00000001"}, 1, "dust"},
		{"more than there is", "rich", "", []string{"send", "--yes", safe, "2000000"}, 1, "not enough"},
		{"a bad feerate", "rich", "", []string{"send", "--yes", "--feerate", "cheap", safe, "1"}, 2, "feerate"},
		{"a mistyped command", "rich", "", []string{"balanse", "--json"}, 2, `unknown command "balanse": did you mean balance?`},
		{"a mistyped option", "rich", "", []string{"balance", "--jsn"}, 2, "unknown flag --jsn: did you mean --json?"},
		{"an option of another command behind", "rich", "", []string{"send", safe, "1", "--rescan"}, 2, "unknown flag --rescan: see karat send --help"},
		{"a negative amount without a dash before it", "rich", "", []string{"send", "--yes", safe, "-1"}, 2, "-1"},
		{"an option as an amount", "rich", "", []string{"send", safe, "--", "--yes"}, 2, "--yes"},
		{"an empty passphrase", "new", "\n", []string{"create", "--passphrase-file", "-"}, 2, "empty"},
		{"an empty passphrase for old words", "new", richWords, []string{"restore", "--passphrase-file", os.DevNull}, 2, "empty"},
		{"a passphrase and none", "new", "", []string{"create", "--passphrase-file", passphrase, "--no-passphrase"}, 2, "exclude"},
		{"a wallet twice, restored", "rich", richWords, []string{"restore", "--no-passphrase"}, 1, "already"},
		{"a parameter without a name", "rich", "", []string{"rpc", "--named", "getblockhash", "1"}, 2, "NAME=VALUE"},
		{"a parameter twice", "rich", "", []string{"rpc", "--named", "getblockhash", "height=1", "height=2"}, 2, "twice"},
		{"an unknown parameter", "rich", "", []string{"rpc", "--named", "getblockhash", "hight=1"}, 1, "hight"},
		{"nobody to ask", "rich", "", []string{"send", safe, "1"}, 2, "--yes"},
		{"a wrong passphrase", "safe", "", []string{"send", "--yes", "--passphrase-file", wrong, "--all", safe}, 1, "passphrase"},
		{"no passphrase file", "safe", "", []string{"send", "--yes", "--passphrase-file", "nowhere", "--all", safe}, 1, "nowhere"},
		{"nobody to ask for a passphrase", "safe", "", []string{"send", "--yes", "--all", safe}, 2, "--passphrase-file"},
		{"arguments", "rich", "", []string{"balance", "now"}, 2, `"now"`},
		{"an unknown method", "rich", "", []string{"rpc", "getbalances"}, 1, "-32601"},
		{"a method's error", "rich", "", []string{"rpc", "getblockhash", "9999"}, 1, "-8"},
		{"a password in the URL", "rich", "", []string{"--rpc", "http://me:secret@127.0.0.1:1", "rpc", "uptime"}, 2, "--rpc-password-file"},
		{"no method", "rich", "", []string{"rpc"}, 2, "method"},
	} {
		before := call[int](b, "getblockcount")
		code, stdout, stderr := b.try(c.input, c.wallet, c.args...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "secret") || stdout != "" {
			t.Errorf("%s: exit code %d (want %d), want %q:\n%s%s", c.name, code, c.code, c.want, stdout, stderr)
		}
		if pool := call[[]string](b, "getrawmempool"); len(pool) > 0 || call[int](b, "getblockcount") != before {
			t.Fatalf("%s: something was sent", c.name)
		}
	}
	locked := &bench{t: t, dir: t.TempDir(), rpc: b.rpc, cookie: passphrase} // no cookie, so it is not let in
	locked.karat("early", "create", "--no-passphrase")
	if code, stdout, stderr := b.try("correct horse\n", "safe", "send", "--yes", "--passphrase-file", "-", "--all", safe); code != 0 {
		t.Errorf("a passphrase from standard input: exit code %d: %s%s", code, stdout, stderr)
	}
	b.stop()
	if code, _, stderr := b.try("", "rich", "rpc", "getblockcount"); code != 1 || !strings.Contains(stderr, "no node answers") {
		t.Errorf("without a node: exit code %d: %s", code, stderr)
	}
	lost := &bench{t: t, dir: b.dir, rpc: b.rpc, cookie: filepath.Join(t.TempDir(), "nowhere")}
	if code, _, stderr := lost.try("", "rich", "balance"); code != 3 || !strings.Contains(stderr, "nowhere: no such file") || !strings.Contains(stderr, "--rpc-cookie") {
		t.Errorf("without a cookie: exit code %d: %s", code, stderr)
	}
	if code, stdout, _ := b.try("", "safe", "address"); code != 0 || !strings.HasPrefix(stdout, "krtd1p") {
		t.Error("an address needs no node")
	}
}

// TestFlagsOfOneName: whether a flag takes a value has to be known before its
// command is, so flags of one name are of one kind.
func TestFlagsOfOneName(t *testing.T) {
	app := newApp(cmdline.Streams{})
	takesValue := map[string]bool{}
	var check func(flags []cli.Flag, commands []*cli.Command)
	check = func(flags []cli.Flag, commands []*cli.Command) {
		for _, flag := range flags {
			takes := flag.(cli.DocGenerationFlag).TakesValue()
			for _, name := range flag.Names() {
				// What this one is before its command is told by what follows.
				if before, known := takesValue[name]; known && before != takes && name != flagWait {
					t.Errorf("--%s takes a value in one command, and none in another", name)
				}
				takesValue[name] = takes
			}
		}
		for _, command := range commands {
			check(command.Flags, command.Subcommands)
		}
	}
	check(app.Flags, app.Commands)
	if len(takesValue) < 10 {
		t.Errorf("%d flags", len(takesValue))
	}
	var errs bytes.Buffer
	code := run(t.Context(), []string{"karat", "--wait", "3x", "send"}, cmdline.Streams{In: strings.NewReader(""), Out: io.Discard, Err: &errs})
	if code != 2 || !strings.Contains(errs.String(), "--wait 3x: want a whole number") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

// mistyped changes one character of an address.
func mistyped(address string) string {
	other := "q"
	if address[20] == 'q' {
		other = "p"
	}
	return address[:20] + other + address[21:]
}

func TestOtherOutputs(t *testing.T) {
	b := newBench(t)
	b.rich()
	if got := b.karat("rich", "rpc", "getblockcount"); got != "100" {
		t.Errorf("rpc getblockcount: %s", got)
	}
	if got := b.karat("rich", "rpc", "--wait", "getblockhash", "0"); len(got) != 64 {
		t.Errorf("a text is bare: %s", got)
	}
	if got := b.karat("rich", "rpc", "--named", "getblockhash", "height=0"); len(got) != 64 {
		t.Errorf("a named parameter: %s", got)
	}
	if code, _, stderr := b.try("", "rich", "rpc", "getblockhash", "-1"); code != 1 || !strings.HasPrefix(stderr, "error code: -8\n") {
		t.Errorf("a negative parameter: exit code %d: %s", code, stderr)
	}
	for _, line := range [][]string{{"--wait", "rpc", "getblockcount"}, {"rpc", "getblockcount", "--wait"}, {"rpc", "getblockcount", "--network", "dev"}} {
		if got := b.karat("rich", line...); got != "100" {
			t.Errorf("%v: %s", line, got)
		}
	}
	for _, line := range [][]string{{"--json", "balance"}, {"balance", "--json"}} {
		if got := b.karat("rich", line...); !strings.HasPrefix(got, "{") {
			t.Errorf("%v: %s", line, got)
		}
	}
	if got := b.karat("rich", "rpc", "decodescript", "51024e73"); !strings.Contains(got, `"anchor"`) { // no number, though it looks like one
		t.Errorf("%s", got)
	}
	if got := b.karat("rich", "rpc", "--string", "decodescript", "51"); !strings.Contains(got, `"OP_1"`) && !strings.Contains(got, `"asm": "1"`) {
		t.Errorf("a text of digits: %s", got)
	}
	if got := b.karat("rich", "rpc", "help"); !strings.Contains(got, "== Blockchain ==") {
		t.Errorf("rpc help: %s", got)
	}
	if got := b.karat("rich", "sync"); !strings.HasPrefix(got, "height 100, block ") {
		t.Errorf("sync: %s", got)
	}
	if got := b.karat("rich", "sync", "--rescan"); !strings.HasPrefix(got, "height 100, block ") {
		t.Errorf("sync --rescan: %s", got)
	}
	if got := b.karat("rich", "info"); !strings.Contains(got, "synced to     100, block ") {
		t.Errorf("info: %s", got)
	}
	addresses := b.karat("rich", "addresses")
	if !strings.Contains(addresses, "100000.00000000  krtd1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzs5euz4j") {
		t.Errorf("addresses: %s", addresses)
	}
	if got := b.karat("rich", "address", "--qr"); strings.Count(got, "\n") < 15 {
		t.Errorf("a QR code of %d lines", strings.Count(got, "\n"))
	}
	code, stdout, _ := b.try("", "rich", "--help")
	if code != 0 || !strings.Contains(stdout, "Exit codes") {
		t.Errorf("help: %s", stdout)
	}
}

// TestManyAddresses: who gives out so many addresses that a restore would not look
// at the last is told so, and gets it all the same.
func TestManyAddresses(t *testing.T) {
	b := &bench{t: t, dir: t.TempDir(), rpc: "127.0.0.1:1", cookie: os.DevNull}
	b.karatIn("1. test 2. test  3. test 4. test\n"+strings.Repeat("test ", 7)+"\njunk\n", "many", "restore", "--no-passphrase")
	for i := range 22 {
		code, stdout, stderr := b.try("", "many", "address")
		if code != 0 || !strings.HasPrefix(stdout, "krtd1p") || strings.Contains(stderr, "not paid") != (i >= 20) {
			t.Errorf("address %d: exit code %d: %s%s", i, code, stdout, stderr)
		}
	}
}

// slow is for a test that runs very many commands, or opens wallets with a passphrase again and
// again, which is meant to take long. Under the race detector, where little in them is
// concurrent, they take minutes. Without it they are run with all others.
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes minutes under the race detector")
	}
}
