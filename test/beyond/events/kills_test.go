package events

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/node/events"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/test/beyond/natsd"
)

// testParams is Bitcoin's regtest, but for coinbases that mature soon.
func testParams() (*consensus.Params, error) {
	params, err := karat.LoadNetwork("../../../testdata/bitcoin-regtest.json")
	if err == nil {
		params.Name, params.CoinbaseMaturity = "regtest", 2
	}
	return params, err
}

// beNode runs a node until it is killed. It prints its address when it answers.
func beNode(folder, url string) error {
	params, err := testParams()
	if err != nil {
		return err
	}
	config := node.Config{
		DataDir: folder, Params: params, CacheBytes: 8 << 20, RPCListen: []string{"127.0.0.1:0"}, NoDiscovery: true, NoPersist: true, Policy: node.DefaultPolicy(),
		Events: events.Config{Servers: url, Format: journal.JSON},
	}
	if os.Getenv("KARAT_TEST_LOUD") != "" {
		config.Logger = logger(os.Stderr)
	}
	n, err := node.Open(context.Background(), config)
	if err != nil {
		return err
	}
	return n.Run(context.Background(), func(s node.Started) { fmt.Println(s.RPC, s.CookieFile) })
}

// process is a node or a reader.
type process struct {
	t    *testing.T
	env  string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	rpc  *rpc.Client // a node's
	dead bool
}

func (p *process) start() {
	p.t.Helper()
	var err error
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), p.env)
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	if p.dead = false; strings.HasPrefix(p.env, asNode) {
		address, cookie, ok := strings.Cut(p.line(), " ")
		if !ok {
			p.t.Fatal("the node did not start")
		}
		p.rpc = rpc.NewCookieClient("http://"+address, cookie)
	}
}

// line is what the process says, in less than a minute or two.
func (p *process) line() string {
	p.t.Helper()
	timer := time.AfterFunc(2*patience, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("%.40s says nothing: %v", p.env, err)
	}
	return strings.TrimSpace(line)
}

func (p *process) kill() {
	if !p.dead {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.dead = true
	}
}

// story is two nodes, a server and a reader, which are killed.
type story struct {
	t      *testing.T
	rand   *rand.Rand
	tree   *chaintest.Tree
	tip    *chaintest.Block
	server *natsd.Server
	older  string // a copy of the server's streams; empty: none
	nodes  [2]*process
	reader *process
	kills  map[string]int
}

// TestKills kills two nodes, the server and a reader at random, most often while the chain is
// being reorganised; at times the server loses what it has stored lately, or all of it. Each
// time the reader's coins are the nodes' in the end. KARAT_BEYOND_KILLS says how often,
// KARAT_BEYOND_SEED repeats a run.
func TestKills(t *testing.T) {
	kills, seed := 30, uint64(time.Now().UnixNano())
	for name, set := range map[string]func(uint64){"KARAT_BEYOND_KILLS": func(n uint64) { kills = int(n) }, "KARAT_BEYOND_SEED": func(n uint64) { seed = n }} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			set(n)
		}
	}
	t.Logf("KARAT_BEYOND_SEED=%d", seed)
	params, err := testParams()
	if err != nil {
		t.Fatal(err)
	}
	s := &story{t: t, rand: rand.New(rand.NewPCG(seed, 1)), tree: chaintest.NewTree(params.GenesisBlock().Block), server: natsd.New(t), kills: map[string]int{}}
	s.tree.Reward = func(_ uint32, value types.Amount) []types.TxOut {
		return []types.TxOut{{Value: value, ScriptPubKey: chaintest.Anchor}}
	}
	s.tip = s.tree.Genesis
	s.server.Start()
	for i := range s.nodes {
		s.nodes[i] = &process{t: t, env: asNode + "=" + filepath.Join(t.TempDir(), "node") + " " + s.server.URL()}
		s.nodes[i].start()
		t.Cleanup(s.nodes[i].kill)
	}
	s.reader = &process{t: t, env: asReader + "=" + filepath.Join(t.TempDir(), "reader") + " " + s.server.URL()}
	s.reader.start()
	t.Cleanup(s.reader.kill)
	s.submit(s.grow(8))
	s.settle()
	for n, round := 0, 0; n < kills; round++ {
		n += s.round()
		if n >= kills || round%4 == 3 {
			s.settle()
		}
	}
	t.Log(s.kills)
	for _, kind := range []string{"node", "server", "reader", "an older stream", "a lost stream"} {
		if kills >= 300 && s.kills[kind] == 0 {
			t.Errorf("nothing of kind %q happened", kind)
		}
	}
}

// TestDebian does the same with the server of the distribution, which is older.
func TestDebian(t *testing.T) {
	program, err := exec.LookPath("nats-server")
	if err != nil {
		t.Skip("NOT RUN: there is no nats-server here (Debian's package of this name has it)")
	}
	version, _ := exec.Command(program, "--version").Output()
	t.Logf("%s", version)
	t.Setenv(natsd.Program, program)
	t.Run("node", TestNode)
	t.Run("login", TestLogin)
	t.Run("refused", TestRefusedStreams)
	t.Run("kills", TestKills)
}

// payments spend coins after a block; one in two has a child in the same.
func (s *story) payments(parent *chaintest.Block, n int) (txs []*types.Tx) {
	spendable := parent.Spendable(2, chaintest.Anchor)
	s.rand.Shuffle(len(spendable), func(i, j int) { spendable[i], spendable[j] = spendable[j], spendable[i] })
	for _, from := range spendable {
		if len(txs) >= n {
			break
		}
		if s.tree.Outputs[from].Value < 100_000 {
			continue
		}
		tx := s.tree.Pay(10_000, 1+s.rand.IntN(2), from)
		if txs = append(txs, tx); s.rand.IntN(2) == 0 {
			txs = append(txs, s.tree.Pay(10_000, 1, chaintest.Output(tx, 0)))
		}
	}
	return txs
}

// grow makes blocks on the tip.
func (s *story) grow(n int) (blocks []*chaintest.Block) {
	for range n {
		s.tip = s.tree.Block("b", s.tip, s.payments(s.tip, s.rand.IntN(4))...)
		blocks = append(blocks, s.tip)
	}
	return blocks
}

// reorganise makes a branch that takes over from some blocks.
func (s *story) reorganise() []*chaintest.Block {
	height := s.tip.Height
	for range 1 + s.rand.IntN(6) {
		if s.tip.Parent.Parent != nil {
			s.tip = s.tip.Parent
		}
	}
	s.kills["reorganisation"]++
	return s.grow(int(height-s.tip.Height) + 1 + s.rand.IntN(2))
}

// submit gives blocks to the nodes that live.
func (s *story) submit(blocks []*chaintest.Block) {
	for _, b := range blocks {
		for _, n := range s.nodes {
			_ = call(n.rpc, "submitblock", nil, hex.EncodeToString(b.Raw))
		}
	}
}

func call(c *rpc.Client, method string, result any, params ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.Call(ctx, method, result, params...)
}

// round lets something happen, and kills some meanwhile.
func (s *story) round() (kills int) {
	var blocks []*chaintest.Block
	if s.rand.IntN(10) < 6 {
		blocks = s.reorganise()
	} else {
		blocks = s.grow(1 + s.rand.IntN(3))
	}
	done := make(chan struct{})
	clients := [2]*rpc.Client{s.nodes[0].rpc, s.nodes[1].rpc}
	late := s.rand.IntN(3) // one node may hear of nothing
	go func() {
		defer close(done)
		for _, b := range blocks {
			for i, c := range clients {
				if i != late {
					_ = call(c, "submitblock", nil, hex.EncodeToString(b.Raw))
				}
			}
		}
	}()
	time.Sleep(time.Duration(s.rand.IntN(60_000)) * time.Microsecond)
	who := 1 + s.rand.IntN(15) // bits: two nodes, the server, the reader
	for i, n := range s.nodes {
		if who&(1<<i) != 0 {
			n.kill()
			s.kills["node"]++
			kills++
		}
	}
	if who&4 != 0 {
		s.server.Kill()
		s.kills["server"]++
		kills++
	}
	if who&8 != 0 {
		s.reader.kill()
		s.kills["reader"]++
		kills++
	}
	<-done
	if who&4 != 0 {
		s.lose()
		s.server.Start()
	}
	for _, p := range []*process{s.nodes[0], s.nodes[1], s.reader} {
		if p.dead {
			p.start()
		}
	}
	return kills
}

// lose takes from the server, which does not run, what it has stored lately, or all.
func (s *story) lose() {
	var err error
	switch s.rand.IntN(24) {
	case 0, 1, 2:
		if s.older == "" {
			s.older = filepath.Join(s.t.TempDir(), "older")
			err = os.CopyFS(s.older, os.DirFS(s.server.Folder))
		}
	case 3, 4, 5, 6:
		if s.older != "" {
			err = errors.Join(os.RemoveAll(s.server.Folder), os.Rename(s.older, s.server.Folder))
			s.older = ""
			s.kills["an older stream"]++
		}
	case 7:
		err = os.RemoveAll(s.server.Folder)
		s.older = ""
		s.kills["a lost stream"]++
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// settle brings all to one tip, and compares the reader's coins with the nodes'.
func (s *story) settle() {
	s.t.Helper()
	s.grow(1) // which no branch has the height of
	want := ""
	for _, n := range s.nodes {
		var missing []*chaintest.Block
		for b, known := s.tip, 0; b.Parent != nil && known < 10; b = b.Parent {
			if call(n.rpc, "getblock", nil, b.Hash.String(), 0) == nil {
				known++
			} else {
				known = 0
			}
			missing = append(missing, b)
		}
		for i := len(missing) - 1; i >= 0; i-- {
			if err := call(n.rpc, "submitblock", nil, hex.EncodeToString(missing[i].Raw)); err != nil {
				s.t.Fatal(err)
			}
		}
		var set struct {
			BestBlock types.Hash
			TxOuts    uint64
			MuHash    types.Hash
		}
		if err := call(n.rpc, "gettxoutsetinfo", &set, "muhash"); err != nil {
			s.t.Fatal(err)
		}
		if set.BestBlock != s.tip.Hash {
			s.t.Fatalf("a node is at %s, and not at %s", set.BestBlock, s.tip.Hash)
		}
		want = fmt.Sprint(set.TxOuts, " ", set.MuHash)
	}
	if _, err := fmt.Fprintln(s.reader.in, s.tip.Hash); err != nil {
		s.t.Fatal(err)
	}
	if got := s.reader.line(); got != want || !strings.HasPrefix(got, fmt.Sprint(len(s.tip.Coins), " ")) {
		s.t.Fatalf("the reader has the coins %s, the nodes %s, the test %d", got, want, len(s.tip.Coins))
	}
}
