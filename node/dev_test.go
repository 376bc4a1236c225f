package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/node/dev"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/rpc/devinfo"
)

// bench is a workbench, and a client of it.
type bench struct {
	t      *testing.T
	client *rpc.Client
	keys   *dev.Keys
	stop   func()
}

// startBench runs a workbench that mines in a mode.
func startBench(t *testing.T, m devinfo.Mining, change func(*node.Config)) *bench {
	t.Helper()
	b := &bench{t: t}
	r := nodetest.Dev(t, func(c *node.Config) {
		var err error
		if b.keys, err = dev.NewKeys(dev.Words, c.Params.HRP, dev.DefaultAccounts); err != nil {
			t.Fatal(err)
		}
		b.keys.NoteGenesis(c.Params)
		c.Indexes = append(c.Indexes, indexed.Scripts)
		c.MineTo, c.Dev = b.keys.Miner().Script, &node.Dev{Keys: b.keys, Mining: m}
		if change != nil {
			change(c)
		}
	})
	b.client, b.stop = rpc.NewCookieClient("http://"+r.RPC, r.CookieFile), r.Stop
	return b
}

// ask calls a method that must succeed.
func ask[T any](b *bench, method string, params ...any) (result T) {
	b.t.Helper()
	if err := b.client.Call(b.t.Context(), method, &result, params...); err != nil {
		b.t.Fatalf("%s %v: %v", method, params, err)
	}
	return result
}

// refuses calls a method that must be refused in these words.
func (b *bench) refuses(want, method string, params ...any) {
	b.t.Helper()
	if err := b.client.Call(b.t.Context(), method, nil, params...); err == nil || !strings.Contains(err.Error(), want) {
		b.t.Errorf("%s %v: %v, want %q", method, params, err, want)
	}
}

func (b *bench) height() int { return ask[int](b, "getblockcount") }

func (b *bench) tip() string { return ask[string](b, "getbestblockhash") }

// has returns what an address has in blocks.
func (b *bench) has(address string) string {
	return ask[struct{ Balance json.Number }](b, "getaddressbalance", address).Balance.String()
}

func (b *bench) waiting() []string {
	list := ask[[]string](b, "getrawmempool")
	slices.Sort(list)
	return list
}

// confirmations of a transaction; 0: it waits.
func (b *bench) confirmations(txid string) int {
	return ask[struct{ Confirmations int }](b, "getrawtransaction", txid, 1).Confirmations
}

var (
	byTx   = devinfo.Mining{Mode: devinfo.ByTransaction}
	byHand = devinfo.Mining{Mode: devinfo.ByHand}
)

// TestDevKeys: the accounts and the bank are those that the dev network pays, and each can be
// spent by the key that belongs to it.
func TestDevKeys(t *testing.T) {
	b := startBench(t, byTx, nil)
	for i, account := range b.keys.Accounts() {
		if account.Genesis != 100_000*types.GrainsPerCoin {
			t.Errorf("account %d begins with %s", i, account.Genesis)
		}
		txid := ask[string](b, "dev_send", i, b.keys.Bank().Address, "1.25")
		if n := b.confirmations(txid); n != 1 {
			t.Errorf("a payment from account %d has %d confirmations when the answer is there", i, n)
		}
	}
	if got := b.has(b.keys.Bank().Address); got != "100011.25000000" || b.height() != dev.DefaultAccounts {
		t.Errorf("the bank has %s at height %d", got, b.height())
	}
	b.refuses("there is no account 9", "dev_send", 9, b.keys.Bank().Address, 1)
	b.refuses("not enough coins", "dev_send", 0, b.keys.Bank().Address, 99_999)
	b.refuses("Invalid address", "dev_send", 0, "krt1xyz", 1)
	b.refuses("feerate must be", "dev_send", 0, b.keys.Bank().Address, 1, -1)
}

// TestDevMining: a block for each transaction, by hand, and at an interval.
func TestDevMining(t *testing.T) {
	b := startBench(t, byHand, nil)
	to := b.keys.Accounts()[1].Address
	first := ask[string](b, "dev_send", 0, to, 1)
	second := ask[string](b, "dev_send", 0, to, 2, 2.5) // spends the change of the first
	if b.height() != 0 || len(b.waiting()) != 2 {
		t.Fatalf("height %d, waiting %v", b.height(), b.waiting())
	}
	ask[any](b, "dev_setmining", "tx")
	if b.height() != 0 {
		t.Error("what waits made a block")
	}
	third := ask[string](b, "dev_send", 0, to, 3)
	for _, txid := range []string{first, second, third} {
		if b.confirmations(txid) != 1 {
			t.Errorf("%s does not stand in the block", txid)
		}
	}
	ask[any](b, "dev_setmining", "interval", 0.01)
	if info := ask[struct {
		Mining  string
		Seconds float64
	}](b, "dev_info"); info.Mining != "interval" || info.Seconds != 0.01 {
		t.Errorf("the mode is %+v", info)
	}
	ask[any](b, "waitforblockheight", 5, 60_000)
	ask[any](b, "dev_setmining", "hand")
	at := b.height() // whoever had begun a block then is done: the bench does one thing at a time
	if len(ask[[]string](b, "dev_mine", 3)) != 3 || b.height() != at+3 {
		t.Errorf("height %d after three blocks above %d", b.height(), at)
	}
	b.refuses("mode must be", "dev_setmining", "never")
	b.refuses("seconds must be", "dev_setmining", "interval", 0.001)
	b.refuses("seconds must be", "dev_setmining", "interval", "soon")
	b.refuses("for the mode interval alone", "dev_setmining", "hand", 3)
	b.refuses("nblocks must be", "dev_mine", 100_001)
}

// TestDevSnapshots: a snapshot is tip, pool and time, and can be returned to again and again.
func TestDevSnapshots(t *testing.T) {
	b := startBench(t, byHand, nil)
	to := b.keys.Accounts()[1].Address
	ask[any](b, "dev_mine", 3)
	kept := ask[string](b, "dev_send", 0, to, 1)
	child := ask[string](b, "dev_send", 0, to, 1) // spends of it
	replaced := ask[string](b, "dev_send", 2, to, 1)
	tip, waiting := b.tip(), b.waiting()
	began := ask[struct{ Time int64 }](b, "dev_info").Time
	id := ask[int](b, "dev_snapshot")
	for round := range 3 {
		ask[any](b, "dev_setbalance", to, 7)
		ask[any](b, "dev_increasetime", 1_000_000, 6)
		ask[string](b, "dev_send", 3, to, 5)
		if later := ask[int](b, "dev_snapshot"); later == id {
			t.Fatal("two snapshots have one number")
		}
		if b.confirmations(kept) < 1 || b.confirmations(child) < 1 || b.confirmations(replaced) < 1 || len(b.waiting()) != 1 {
			t.Fatalf("round %d: nothing has changed that could be taken back: %v", round, b.waiting())
		}
		back := ask[struct {
			Tip    string
			Height int
			Lost   []string
		}](b, "dev_revert", id)
		if back.Tip != tip || back.Height != 3 || len(back.Lost) != 0 || b.tip() != tip || !slices.Equal(b.waiting(), waiting) {
			t.Fatalf("round %d: %+v, and %v waits, not %v", round, back, b.waiting(), waiting)
		}
		info := ask[struct {
			Time      int64
			Snapshots []struct{ ID int }
		}](b, "dev_info")
		if info.Time < began || info.Time > began+600 || len(info.Snapshots) != 1 || info.Snapshots[0].ID != id {
			t.Fatalf("round %d: %+v after a snapshot at %d", round, info, began)
		}
		if has := b.has(to); has != "100000.00000000" {
			t.Fatalf("round %d: the address has %s", round, has)
		}
	}
	if warnings := ask[struct{ Warnings any }](b, "getblockchaininfo").Warnings; len(warnings.([]any)) != 0 {
		t.Errorf("the node warns: %v", warnings)
	}
	b.refuses("there is no snapshot 99", "dev_revert", 99)
	// What waits is still good.
	ask[any](b, "dev_mine")
	if b.confirmations(kept) != 1 || b.confirmations(child) != 1 || b.confirmations(replaced) != 1 {
		t.Error("what came back was not mined")
	}
}

// TestDevSnapshotOfReplaced: what was replaced after the snapshot waits again, and what
// replaced it does not.
func TestDevSnapshotOfReplaced(t *testing.T) {
	b := startBench(t, byHand, nil)
	to := b.keys.Accounts()[1].Address
	first := ask[string](b, "dev_send", 0, to, 1)
	raw := ask[string](b, "getrawtransaction", first)
	id := ask[int](b, "dev_snapshot")
	// The coin is spent otherwise, in a block.
	ask[any](b, "dev_setbalance", b.keys.Accounts()[0].Address, 5)
	if len(b.waiting()) != 0 {
		t.Fatalf("%v still waits", b.waiting())
	}
	ask[any](b, "dev_revert", id)
	if w := b.waiting(); len(w) != 1 || w[0] != first || ask[string](b, "getrawtransaction", first) != raw {
		t.Errorf("%v waits, not %s", w, first)
	}
}

// TestDevReorganise: blocks are replaced by one more, whether what they confirmed waits again
// or is confirmed again, and earlier branches do not come back.
func TestDevReorganise(t *testing.T) {
	b := startBench(t, byTx, nil)
	to := b.keys.Accounts()[1].Address
	var txids []string
	for range 4 {
		txids = append(txids, ask[string](b, "dev_send", 0, to, 1))
	}
	start := ask[int](b, "dev_snapshot")
	type reorganised struct {
		Fork            string
		ForkHeight      int
		Replaced, Mined []string
	}
	fork := ask[string](b, "getblockhash", 2)
	r := ask[reorganised](b, "dev_reorg", 2)
	if r.Fork != fork || r.ForkHeight != 2 || len(r.Replaced) != 2 || len(r.Mined) != 3 || b.height() != 5 || b.tip() != r.Mined[2] {
		t.Fatalf("%+v at height %d", r, b.height())
	}
	want := slices.Sorted(slices.Values(txids[2:]))
	if w := b.waiting(); !slices.Equal(w, want) {
		t.Fatalf("%v waits, not %v", w, want)
	}
	again := ask[reorganised](b, "dev_reorg", 1, true)
	if again.ForkHeight != 4 || again.Replaced[0] != r.Mined[2] || b.height() != 6 || len(b.waiting()) != 0 || b.confirmations(txids[3]) != 2 {
		t.Fatalf("%+v at height %d, %v waits", again, b.height(), b.waiting())
	}
	// A short one, on a chain that has better branches than its fork.
	if r := ask[reorganised](b, "dev_reorg", 6); r.ForkHeight != 0 || b.height() != 7 || len(b.waiting()) != 4 {
		t.Fatalf("%+v at height %d, %v waits", r, b.height(), b.waiting())
	}
	if r := ask[reorganised](b, "dev_reorg", 7, true); r.ForkHeight != 0 || b.height() != 8 || len(b.waiting()) != 0 {
		t.Fatalf("%+v at height %d, %v waits", r, b.height(), b.waiting())
	}
	ask[any](b, "dev_revert", start)
	if b.height() != 4 || b.confirmations(txids[3]) != 1 || b.confirmations(txids[0]) != 4 {
		t.Fatalf("back at height %d", b.height())
	}
	b.refuses("there are 4 blocks to replace, not 5", "dev_reorg", 5)
	b.refuses("depth must be", "dev_reorg", 0)
}

// TestDevTime: locks by time open when the clock is moved and blocks follow, and blocks that
// come faster than time passes are never too far ahead.
func TestDevTime(t *testing.T) {
	b := startBench(t, byHand, nil)
	type moved struct{ Time, MedianTime int64 }
	began := ask[struct{ Time int64 }](b, "dev_info").Time
	m := ask[moved](b, "dev_increasetime", 86_400, 6)
	if m.Time < began+86_400 || m.Time > began+86_400+600 || m.MedianTime < began+86_400 {
		t.Errorf("%+v a day after %d", m, began)
	}
	at := m.MedianTime
	if m := ask[moved](b, "dev_settime", at+5_000); m.Time < at+5_000 || m.Time > at+5_000+600 {
		t.Errorf("the time is %d, not %d", m.Time, at+5_000)
	}
	b.refuses("cannot be a block's", "dev_settime", at)
	b.refuses("cannot be a block's", "dev_settime", 1<<33)
	hashes := ask[[]string](b, "dev_mine", 20, 3600)
	if last := ask[struct{ Time int64 }](b, "getblockheader", hashes[19]); last.Time < at+5_000+20*3600 || last.Time > at+5_000+20*3600+600 {
		t.Errorf("the last of 20 blocks an hour apart has the time %d, %d before", last.Time, at+5_000)
	}
	ask[any](b, "setmocktime", ask[struct{ Time int64 }](b, "dev_info").Time) // the clock stands
	ask[any](b, "generatetoaddress", 500, b.keys.Bank().Address)
	if ahead := ask[moved](b, "dev_increasetime", 1); ahead.Time < ahead.MedianTime {
		t.Errorf("the clock fell behind the blocks: %+v", ahead)
	}
}

// TestDevBalances: after dev_setbalance an address has what was said, to the grain.
func TestDevBalances(t *testing.T) {
	b := startBench(t, byHand, func(c *node.Config) { c.Params.CoinbaseMaturity = 2 })
	r := rand.New(rand.NewPCG(1, 2))
	account := b.keys.Accounts()[4].Address
	stranger := ask[struct{ Address string }](b, "decodescript", "5120"+strings.Repeat("07", 32)).Address
	for range 20 {
		want := types.Amount(r.Int64N(int64(5000 * types.GrainsPerCoin))).String()
		before := b.height()
		paid := ask[struct{ TxID, BlockHash string }](b, "dev_setbalance", account, want)
		if has := b.has(account); has != want || b.height() != before+1 || b.tip() != paid.BlockHash || b.confirmations(paid.TxID) != 1 {
			t.Fatalf("the account has %s, not %s", has, want)
		}
		if again := ask[struct{ TxID string }](b, "dev_setbalance", account, want); again.TxID != "" || b.height() != before+1 {
			t.Fatal("a block was mined for nothing")
		}
	}
	ask[any](b, "dev_setbalance", account, 0)
	if has := b.has(account); has != "0.00000000" {
		t.Errorf("the account has %s", has)
	}
	ask[any](b, "dev_setbalance", stranger, "0.00000001")
	ask[any](b, "dev_setbalance", stranger, 12.5)
	if has := b.has(stranger); has != "12.50000000" {
		t.Errorf("the address has %s", has)
	}
	b.refuses("only who has its key can spend it", "dev_setbalance", stranger, 12)
	b.refuses("the bank pays", "dev_setbalance", account, 40_000_000)
	b.refuses("this is the bank's address", "dev_setbalance", b.keys.Bank().Address, 1)
	b.refuses("Amount out of range", "dev_setbalance", account, -1)
}

// TestDevNowhereElse: another node has none of these methods, and does not list them.
func TestDevNowhereElse(t *testing.T) {
	r := nodetest.Dev(t, nil)
	b := &bench{t: t, client: rpc.NewCookieClient("http://"+r.RPC, r.CookieFile)}
	for _, method := range []string{"dev_info", "dev_mine", "dev_revert"} {
		var fault *rpc.Error
		if err := b.client.Call(t.Context(), method, nil); !errors.As(err, &fault) || fault.Code != rpc.CodeMethodNotFound {
			t.Errorf("%s: %v", method, err)
		}
	}
	if list := ask[string](b, "help"); strings.Contains(list, "dev_") {
		t.Error("help lists what is not there")
	}
	if list := ask[string](startBench(t, byTx, nil), "help"); strings.Count(list, "\ndev_") != 10 {
		t.Errorf("help of a workbench lists %d of its methods", strings.Count(list, "\ndev_"))
	}
}

// TestDevKept: a chain that is kept and was moved ahead of the time goes on from there.
func TestDevKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dev")
	there := func(c *node.Config) { c.DataDir = dir }
	b := startBench(t, byTx, there)
	ask[any](b, "dev_increasetime", 10*86_400, 12)
	tip := b.tip()
	b.stop()
	b = startBench(t, byTx, there)
	if b.tip() != tip {
		t.Fatalf("the tip is %s, not %s", b.tip(), tip)
	}
	if txid := ask[string](b, "dev_send", 0, b.keys.Bank().Address, 1); b.confirmations(txid) != 1 {
		t.Error("no block is mined any more")
	}
}

// TestDevInterrupted: a call that is given up leaves a chain that goes on.
func TestDevInterrupted(t *testing.T) {
	b := startBench(t, byHand, nil)
	ask[any](b, "dev_mine", 30)
	for limit := range 12 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(limit*4)*time.Millisecond)
		_ = b.client.Call(ctx, "dev_reorg", nil, 20)
		cancel()
	}
	at := b.height()
	if ask[any](b, "dev_mine", 5); b.height() < at || b.height() < 30 {
		t.Errorf("height %d after calls that were given up at %d", b.height(), at)
	}
}
