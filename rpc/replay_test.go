package rpc_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/rpc"
)

// replayDir names the folder of a node that this binary shall be, instead of running
// tests: a node that is killed is a process of its own.
const replayDir = "KARAT_REPLAY_DIR"

// TestMain implements a test binary that is sometimes a node.
func TestMain(m *testing.M) {
	dir := os.Getenv(replayDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	err := beNode(dir)
	fmt.Fprintln(os.Stderr, "the node ended:", err)
	os.Exit(1)
}

// replayParams is Bitcoin's regtest, but for coinbases that mature soon.
func replayParams() (*consensus.Params, error) {
	params, err := karat.LoadNetwork("../testdata/bitcoin-regtest.json")
	if err == nil {
		params.CoinbaseMaturity = 2
	}
	return params, err
}

// beNode runs a node until it is killed. It prints its address when it answers.
func beNode(dir string) error {
	params, err := replayParams()
	if err != nil {
		return err
	}
	n, err := node.Open(context.Background(), node.Config{
		DataDir: dir, Params: params, CacheBytes: 8 << 20, RPCListen: []string{"127.0.0.1:0"}, NoDiscovery: true, NoPersist: true, Policy: node.DefaultPolicy(),
	})
	if err != nil {
		return err
	}
	return n.Run(context.Background(), func(s node.Started) { fmt.Println(s.RPC, s.CookieFile) })
}

// replay is a node that is killed again and again, with a subscriber.
type replay struct {
	t      *testing.T
	random *rand.Rand
	dir    string // of the node
	older  string // a copy of it, of some time ago; empty: none
	copied int    // how many blocks there were then
	early  bool   // the subscriber comes back before the node has its blocks again
	cmd    *exec.Cmd
	rpc    *rpc.Client
	server *server // for mustDial

	tree   *chaintest.Tree
	blocks []*chaintest.Block // all, as they were made
	tip    *chaintest.Block   // of the best chain
	sub    *subscriber
	kills  map[string]int
}

// TestReplay kills node and subscriber at random, most often while the chain is being
// reorganised. Each time the coins of the subscriber, who knows nothing but events, are
// those of the node in the end, and what waits in its pool is, too.
// KARAT_REPLAY_KILLS says how often, KARAT_REPLAY_SEED repeats a run.
func TestReplay(t *testing.T) {
	kills, seed := 200, uint64(time.Now().UnixNano())
	if testing.Short() {
		kills = 20
	}
	for name, set := range map[string]func(uint64){"KARAT_REPLAY_KILLS": func(n uint64) { kills = int(n) }, "KARAT_REPLAY_SEED": func(n uint64) { seed = n }} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			set(n)
		}
	}
	t.Logf("KARAT_REPLAY_SEED=%d", seed)
	params, err := replayParams()
	if err != nil {
		t.Fatal(err)
	}
	r := &replay{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), dir: filepath.Join(t.TempDir(), "node"), kills: map[string]int{},
		tree: chaintest.NewTree(params.GenesisBlock().Block),
	}
	r.tree.Reward = func(_ uint32, value types.Amount) []types.TxOut {
		return []types.TxOut{{Value: value, ScriptPubKey: chaintest.Anchor}}
	}
	r.tip, r.blocks = r.tree.Genesis, []*chaintest.Block{r.tree.Genesis}
	r.sub = &subscriber{random: r.random, coins: r.tree.Genesis.Coins, at: place{Hash: r.tip.Hash}, pool: map[types.Hash]bool{}}
	t.Cleanup(r.killNode)
	r.startNode()
	r.grow(8)
	r.settle()
	for n := 0; n < kills; {
		n += r.round()
		r.settle()
	}
	t.Log(r.kills)
	var expected []string
	if kills >= 200 {
		expected = []string{"node", "subscriber", "resumed the pool", "reorganisation"}
	}
	if kills >= 1000 { // these are so rare that they may be missing in fewer
		expected = append(expected, "an older disk", "walked back")
	}
	for _, kind := range expected {
		if r.kills[kind] == 0 {
			t.Errorf("nothing of kind %q happened", kind)
		}
	}
}

func (r *replay) startNode() {
	r.cmd = exec.Command(os.Args[0])
	r.cmd.Env = append(os.Environ(), replayDir+"="+r.dir)
	r.cmd.Stderr = os.Stderr
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	address, cookie, _ := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || cookie == "" {
		r.t.Fatalf("the node said %q: %v", line, err)
	}
	secret, err := os.ReadFile(cookie)
	if err != nil {
		r.t.Fatal(err)
	}
	r.rpc = rpc.NewCookieClient("http://"+address, cookie)
	r.server = &server{t: r.t, url: "http://" + address, cookie: string(secret)}
}

func (r *replay) killNode() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

func (r *replay) killSubscriber() {
	r.t.Helper()
	if err := r.sub.kill(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *replay) call(method string, result any, params ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return r.rpc.Call(ctx, method, result, params...)
}

// grow makes blocks on the tip, with payments.
func (r *replay) grow(n int) []*chaintest.Block {
	for range n {
		r.add(r.tip, r.payments(r.tip, r.random.IntN(4)))
	}
	return r.blocks[len(r.blocks)-n:]
}

// payments spend coins after a block. One in two is not worth its block alone: it has a
// child in the same.
func (r *replay) payments(parent *chaintest.Block, n int) (txs []*types.Tx) {
	spendable := parent.Spendable(2, chaintest.Anchor)
	r.random.Shuffle(len(spendable), func(i, j int) { spendable[i], spendable[j] = spendable[j], spendable[i] })
	for _, from := range spendable {
		if len(txs) >= n {
			break
		}
		if r.tree.Outputs[from].Value < 100_000 {
			continue
		}
		tx := r.tree.Pay(10_000, 1+r.random.IntN(2), from)
		txs = append(txs, tx)
		if r.random.IntN(2) == 0 {
			txs = append(txs, r.tree.Pay(10_000, 1, chaintest.Output(tx, 0)))
		}
	}
	return txs
}

func (r *replay) add(parent *chaintest.Block, txs []*types.Tx) {
	b := r.tree.Block("b", parent, txs...)
	r.blocks = append(r.blocks, b)
	if b.Height > r.tip.Height {
		r.tip = b
	}
	if old := len(r.blocks) - 60; old > 0 {
		r.blocks[old].Coins = nil // which nobody builds on any more
	}
}

// reorganise makes a branch that takes over from some blocks.
func (r *replay) reorganise() []*chaintest.Block {
	fork, depth := r.tip, 1+r.random.IntN(6)
	for range depth {
		if fork.Parent.Parent == nil || fork.Parent.Coins == nil {
			break
		}
		fork = fork.Parent
	}
	n, from := int(r.tip.Height-fork.Height)+1+r.random.IntN(2), len(r.blocks)
	for range n {
		txs := r.payments(fork, r.random.IntN(4))
		r.add(fork, txs)
		fork = r.blocks[len(r.blocks)-1]
	}
	r.kills["reorganisation"]++
	return r.blocks[from:]
}

// round lets something happen, and kills somebody meanwhile.
func (r *replay) round() (kills int) {
	pending := r.payments(r.tip, r.random.IntN(3))
	var blocks []*chaintest.Block
	if r.random.IntN(10) < 7 {
		blocks = r.reorganise()
	} else {
		blocks = r.grow(1 + r.random.IntN(3))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, tx := range pending {
			_ = r.call("sendrawtransaction", nil, hex.EncodeToString(tx.AppendTo(nil)))
		}
		for _, b := range blocks {
			if r.call("submitblock", nil, hex.EncodeToString(b.Raw)) != nil {
				return
			}
		}
	}()
	time.Sleep(time.Duration(r.random.IntN(30_000)) * time.Microsecond)
	who := r.random.IntN(10)
	if who < 6 {
		r.killSubscriber()
		r.kills["subscriber"]++
		kills++
	}
	if who > 3 {
		r.killNode()
		r.killSubscriber() // its connection ends, too
		r.kills["node"]++
		kills++
	}
	<-done
	if who > 3 {
		switch r.random.IntN(20) {
		case 0, 1, 2:
			r.older = filepath.Join(r.t.TempDir(), "older")
			r.copied = len(r.blocks)
			if err := os.CopyFS(r.older, os.DirFS(r.dir)); err != nil {
				r.t.Fatal(err)
			}
		case 3, 4, 5, 6:
			if r.older != "" && len(r.blocks)-r.copied < keepPast/4 { // the disk has lost all that was written since
				if err := errors.Join(os.RemoveAll(r.dir), os.Rename(r.older, r.dir)); err != nil {
					r.t.Fatal(err)
				}
				r.older = ""
				r.kills["an older disk"]++
				r.early = true
			}
		}
		r.startNode()
	}
	return kills
}

// settle brings the node to the tip and the subscriber to the node, and compares them.
func (r *replay) settle() {
	r.t.Helper()
	at := len(r.blocks) // the node has all blocks below, and what it lacks comes again
	for known := 0; at > 0 && known < 10; at-- {
		if r.call("getblock", nil, r.blocks[at-1].Hash.String(), 0) == nil {
			known++
		} else {
			known = 0
		}
	}
	early := r.early || r.random.IntN(2) == 0
	if r.early = false; early {
		r.connect()
	}
	for _, b := range r.blocks[at:] {
		if b.Height == 0 {
			continue
		}
		var refused any
		if err := r.call("submitblock", &refused, hex.EncodeToString(b.Raw)); err != nil {
			r.t.Fatal(err)
		}
	}
	var best types.Hash
	if err := r.call("getbestblockhash", &best); err != nil {
		r.t.Fatal(err)
	}
	if r.blocks[0].Hash != best && best != r.tip.Hash {
		r.tip = r.find(best) // of two branches of equal height the node has the other
	}
	if !early {
		r.connect()
	}
	var waiting []types.Hash
	if err := r.call("getrawmempool", &waiting); err != nil {
		r.t.Fatal(err)
	}
	if err := r.sub.until(r.tip.Hash, waiting); err != nil {
		r.t.Fatal(err)
	}
	var set struct {
		BestBlock types.Hash
		TxOuts    uint64
		MuHash    types.Hash
	}
	if err := r.call("gettxoutsetinfo", &set, "muhash"); err != nil {
		r.t.Fatal(err)
	}
	stats := coinstats.New(true, false)
	for outPoint, coin := range r.sub.coins {
		stats.Add(outPoint, &coin)
	}
	if got := stats.Result(); set.BestBlock != r.sub.at.Hash || got.TxOuts != set.TxOuts || got.MuHash != set.MuHash {
		r.t.Fatalf("the subscriber has %d coins (%s), the node %d (%s) at %s", got.TxOuts, got.MuHash, set.TxOuts, set.MuHash, set.BestBlock)
	}
	if r.tip.Coins == nil || len(r.tip.Coins) != len(r.sub.coins) {
		r.t.Fatalf("the subscriber has %d coins, the test %d", len(r.sub.coins), len(r.tip.Coins))
	}
	for kind, n := range r.sub.seen {
		r.kills[kind] += n
	}
	r.sub.seen = nil
}

func (r *replay) find(hash types.Hash) *chaintest.Block {
	i := slices.IndexFunc(r.blocks, func(b *chaintest.Block) bool { return b.Hash == hash })
	if i < 0 {
		r.t.Fatalf("the node is at %s, which nobody made", hash)
	}
	return r.blocks[i]
}

// connect lets the subscriber subscribe, unless it is still subscribed.
func (r *replay) connect() {
	r.t.Helper()
	if r.sub.alive() {
		return
	}
	if err := r.sub.subscribe(r.server.mustDial(r.server.cookie)); err != nil {
		r.t.Fatal(err)
	}
}

// unmarshal is json.Unmarshal that keeps what went wrong.
func unmarshal(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%.200s: %w", raw, err)
	}
	return nil
}
