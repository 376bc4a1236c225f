// Package examples runs the examples against real nodes, and against nodes that do not
// keep to the protocol.
package examples

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/wire"
	"github.com/karatcoin/karat/rpc"
)

// follow is a run of follow.py.
type follow struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
	errs  bytes.Buffer
}

// interpreter asks python3 where it is itself: what the path finds may be a script that
// takes longer to find it than the tests take.
var interpreter = sync.OnceValues(func() (string, error) {
	path, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	return strings.TrimSpace(string(path)), err
})

// start lets follow.py follow a node of a network, for so many blocks.
func start(t *testing.T, params *consensus.Params, address string, blocks int) *follow {
	t.Helper()
	python, err := interpreter()
	if err != nil {
		t.Fatal("THE SECOND IMPLEMENTATION OF THE PROTOCOL WAS NOT TESTED: it needs python3, and nothing else. ", err)
	}
	file := filepath.Join(t.TempDir(), "genesis.json")
	if err := os.WriteFile(file, network.Marshal(params), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &follow{t: t, cmd: exec.CommandContext(t.Context(), python, "follow.py", file, address, fmt.Sprint(blocks))}
	f.cmd.Stderr = &f.errs
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f.lines = bufio.NewScanner(out)
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return f
}

// expect reads the next line.
func (f *follow) expect(format string, args ...any) {
	f.t.Helper()
	want := fmt.Sprintf(format, args...)
	if !f.lines.Scan() || f.lines.Text() != want {
		f.t.Fatalf("printed %q, want %q: %s", f.lines.Text(), want, &f.errs)
	}
}

// end waits until it has ended, and returns what it complained of.
func (f *follow) end() (complaint string) {
	f.t.Helper()
	for f.lines.Scan() {
	}
	err := f.cmd.Wait()
	if (err == nil) != (f.errs.Len() == 0) {
		f.t.Errorf("%v, and it says %q", err, &f.errs)
	}
	return f.errs.String()
}

// chain is a running node that makes blocks when it is asked to.
type chain struct {
	*nodetest.Running
	t      *testing.T
	params *consensus.Params
	client *rpc.Client
	payTo  []byte // script that blocks pay to
}

func run(t *testing.T, change func(*node.Config)) *chain {
	t.Helper()
	c := &chain{t: t, payTo: chaintest.Anchor}
	c.Running = nodetest.Dev(t, func(config *node.Config) {
		config.Listen, config.MaxPeers = "127.0.0.1:0", 1
		change(config)
		c.params = config.Params
	})
	c.client = rpc.NewCookieClient("http://"+c.RPC, c.CookieFile)
	return c
}

func call[T any](c *chain, method string, params ...any) (result T) {
	c.t.Helper()
	if err := c.client.Call(c.t.Context(), method, &result, params...); err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
	return result
}

// mine makes blocks, and returns their hashes.
func (c *chain) mine(n int) []string {
	c.t.Helper()
	to := call[struct{ Address string }](c, "decodescript", hex.EncodeToString(c.payTo)).Address
	return call[[]string](c, "generatetoaddress", n, to)
}

// pay spends the coinbase of the first block, and what that makes again and again.
func (c *chain) pay(times int) {
	c.t.Helper()
	raw, err := c.Chain().Block(c.Chain().HeadersAfter(nil, types.Hash{}, 1)[0].Hash())
	if err != nil {
		c.t.Fatal(err)
	}
	block, err := types.DecodeBlock(raw)
	if err != nil {
		c.t.Fatal(err)
	}
	for from := &block.Txs[0]; times > 0; times-- {
		tx := types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: chaintest.Output(from, 0), Sequence: chaintest.Final}},
			Outputs: []types.TxOut{{Value: from.Outputs[0].Value - 10_000, ScriptPubKey: chaintest.Anchor}, {ScriptPubKey: append([]byte{0x6a, 32}, make([]byte, 32)...)}}}
		call[string](c, "sendrawtransaction", hex.EncodeToString(tx.AppendTo(nil)))
		from = &tx
	}
}

// TestFollow: the second implementation takes more headers than one message holds, and
// prints the blocks of a node as they come, also those of another branch.
func TestFollow(t *testing.T) {
	c := run(t, nodetest.Matures)
	n := 2004
	if testing.Short() {
		n = 4
	}
	tip := c.mine(n)[n-1]
	f := start(t, c.params, c.Listen, 5)
	if !f.lines.Scan() || !strings.HasPrefix(f.lines.Text(), "node "+c.NodeID) || !strings.HasSuffix(f.lines.Text(), fmt.Sprint(" at height ", n)) {
		t.Errorf("printed %q of node %s", f.lines.Text(), c.NodeID)
	}
	f.expect("%d headers, the last is %s", n, tip)
	c.pay(4)
	f.expect("%d %s 5 transactions", n+1, c.mine(1)[0])
	tip = c.mine(1)[0]
	f.expect("%d %s 1 transactions", n+2, tip)

	call[any](c, "invalidateblock", tip)
	c.payTo = chaintest.KeyScript() // so that the next block is another
	branch := c.mine(3)
	f.expect("the blocks above %d are replaced", n+1)
	for i, hash := range branch {
		f.expect("%d %s 1 transactions", n+2+i, hash)
	}
	if complaint := f.end(); complaint != "" {
		t.Error(complaint)
	}
}

// TestFollowDifficulty: it asks of every header the difficulty that the node asks, where
// blocks come late and where they come early.
func TestFollowDifficulty(t *testing.T) {
	c := run(t, func(config *node.Config) {
		p := config.Params
		p.Difficulty = consensus.Difficulty{Algorithm: consensus.DifficultyASERT, HalfLife: 40}
		p.Genesis.Timestamp, p.Genesis.Message = uint32(time.Now().Unix())-100, strings.Repeat("long ", 18)
		if err := network.MineGenesis(t.Context(), p, nil); err != nil {
			t.Fatal(err)
		}
		config.Mine, config.Threads, config.MineTo = true, 1, chaintest.Anchor
	})
	f := start(t, c.params, c.Listen, 100)
	for range 2 {
		f.lines.Scan() // how many headers there were is chance
	}
	for range 100 {
		var height uint32
		var hash string
		if !f.lines.Scan() {
			break // end tells why
		}
		if _, err := fmt.Sscanf(f.lines.Text(), "%d %s 1 transactions", &height, &hash); err != nil {
			t.Errorf("printed %q", f.lines.Text())
		} else if want, ok := c.Chain().HashAt(height); !ok || want.String() != hash {
			t.Errorf("block %d is %s, want %s", height, hash, want)
		}
	}
	if complaint := f.end(); complaint != "" {
		t.Error(complaint)
	}
}

// liar is a node that does as it likes.
type liar struct {
	*noise.Conn
	t      *testing.T
	params *consensus.Params
}

func (l *liar) send(messages ...wire.Message) {
	for _, m := range messages {
		var f wire.Fragmenter
		if err := f.Push(m); err != nil {
			l.t.Error(err)
		}
		for b, more := f.AppendNext(nil); more; b, more = f.AppendNext(nil) {
			l.Write(b)
		}
	}
}

func (l *liar) hello() {
	l.send(&wire.Hello{Version: wire.Version, UserAgent: "/liar/", Tip: l.params.GenesisBlock().Hash})
}

// block is a block on another, with transactions that spend nothing.
func (l *liar) block(parent *types.Header, txs ...*types.Tx) *types.Block {
	return chaintest.Mine(chaintest.NewBlock(parent, chaintest.Coinbase(1, parent.PrevBlock[:], types.TxOut{}), txs...))
}

// offer says that the chain has one block, then that it has another, and sends that
// spoilt and with more behind it.
func (l *liar) offer(txs []*types.Tx, spoil func(b *types.Block), more ...byte) {
	l.hello()
	first := l.block(&l.params.GenesisBlock().Block.Header)
	second := l.block(&first.Header, txs...)
	l.send(&wire.Headers{Headers: []types.Header{first.Header}}, &wire.Headers{Headers: []types.Header{second.Header}})
	spoil(second)
	buf, assembler := make([]byte, wire.MaxFragmentSize), wire.NewAssembler(l.params.MaxBlockWeight)
	for {
		fragment, err := wire.ReadFragment(l, buf)
		if err != nil {
			return
		}
		m, _, err := assembler.Push(fragment)
		if err != nil {
			l.t.Error(err)
			return
		}
		if _, asked := m.(*wire.GetBlocks); asked {
			l.send(&wire.Block{Raw: append(second.AppendTo(nil), more...)})
		}
	}
}

// header tells of a header that is spoilt.
func (l *liar) header(spoil func(b *types.Block)) {
	l.hello()
	b := l.block(&l.params.GenesisBlock().Block.Header)
	spoil(b)
	l.send(&wire.Headers{Headers: []types.Header{b.Header}})
}

func (l *liar) fragment(f wire.Fragment) { l.Write(wire.AppendFragment(nil, f)) }

// lies are what a node may do, and what is said of it.
var lies = []struct {
	complaint string // empty: it is let pass
	do        func(l *liar)
}{
	{"", func(l *liar) { // a later version, and messages that only it has
		payload := append(wire.Encode(&wire.Hello{Version: 99, UserAgent: "/later/", Tip: l.params.GenesisBlock().Hash}), make([]byte, 1000)...)
		l.fragment(wire.Fragment{Type: wire.TypeHello, Total: uint32(len(payload)), Data: payload})
		l.fragment(wire.Fragment{Type: 200, Total: 3, Data: []byte("new")})
		l.send(&wire.Peers{}, &wire.FeeFilter{}, &wire.SendCompact{}, &wire.GetPeers{}, &wire.GetHeaders{}, &wire.Inv{})
		tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{}}, Outputs: []types.TxOut{{}}}
		l.offer([]*types.Tx{tx}, func(*types.Block) {})
	}},
	{"message of type 2 before the hello", func(l *liar) { l.send(&wire.Ping{}) }},
	{"the node hung up", func(l *liar) { l.hello() }},
	{"message of type 2 with 9 bytes", func(l *liar) {
		l.hello()
		l.fragment(wire.Fragment{Type: wire.TypePing, Total: 9, Data: make([]byte, 9)})
	}},
	{"in lane 2", func(l *liar) {
		l.hello()
		l.fragment(wire.Fragment{Lane: 2, Type: wire.TypePing, Total: 8, Data: make([]byte, 8)})
	}},
	{"does not continue", func(l *liar) {
		l.hello()
		l.fragment(wire.Fragment{Type: wire.TypePing, Total: 8, Data: make([]byte, 7)})
	}},
	{"does not continue", func(l *liar) {
		l.hello()
		l.fragment(wire.Fragment{Type: wire.TypeHeaders, Total: 16081, Data: make([]byte, 16000)})
		l.fragment(wire.Fragment{Type: wire.TypeHeaders, Total: 16082, Data: make([]byte, 82)})
	}},
	{"ends too early", func(l *liar) {
		l.hello()
		l.fragment(wire.Fragment{Type: wire.TypeHeaders, Total: 2, Data: []byte{1, 1}})
	}},
	{"left over", func(l *liar) {
		l.hello()
		l.fragment(wire.Fragment{Type: wire.TypeHeaders, Total: 2, Data: []byte{0, 0}})
	}},
	{"not in its shortest form", func(l *liar) {
		l.hello()
		l.fragment(wire.Fragment{Type: wire.TypeHeaders, Total: 3, Data: []byte{0xfd, 1, 0}})
	}},
	{"without the proof of work", func(l *liar) {
		l.header(func(b *types.Block) {
			for chaintest.HasWork(&b.Header) {
				b.Header.Nonce++
			}
		})
	}},
	{"without the proof of work", func(l *liar) { l.header(func(b *types.Block) { b.Header.Bits--; chaintest.Mine(b) }) }},
	{"with version 3", func(l *liar) { l.header(func(b *types.Block) { b.Header.Version = 3; chaintest.Mine(b) }) }},
	{"and time 1795392000", func(l *liar) {
		l.header(func(b *types.Block) { b.Header.Timestamp = l.params.Genesis.Timestamp; chaintest.Mine(b) })
	}},
	{"do not follow each other", func(l *liar) {
		l.hello()
		b := l.block(&l.params.GenesisBlock().Block.Header)
		l.send(&wire.Headers{Headers: []types.Header{b.Header, l.block(&l.params.GenesisBlock().Block.Header).Header}})
	}},
	{"are not those of its header", func(l *liar) { l.offer(nil, func(b *types.Block) { b.Txs[0].Version++ }) }},
	{"repeats transactions", func(l *liar) {
		tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{}}, Outputs: []types.TxOut{{}}}
		l.offer([]*types.Tx{tx, tx, tx}, func(*types.Block) {})
	}},
	{"left over", func(l *liar) { l.offer(nil, func(*types.Block) {}, 0) }},
}

// TestFollowLiars: what breaks the protocol or the chain's rules ends the program with a
// line that says what it was, and what the protocol leaves room for does not.
func TestFollowLiars(t *testing.T) {
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	for _, lie := range lies {
		t.Run(lie.complaint, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			done := make(chan error, 1)
			go func() { done <- answer(t, params, listener, lie.do) }()
			f := start(t, params, listener.Addr().String(), 1)
			if complaint := f.end(); !strings.Contains(complaint, lie.complaint) || (complaint == "") != (lie.complaint == "") {
				t.Errorf("it says %q, want %q", complaint, lie.complaint)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// answer takes one call, does something, and then waits until the caller hangs up.
func answer(t *testing.T, params *consensus.Params, listener net.Listener, do func(*liar)) error {
	raw, err := listener.Accept()
	if err != nil {
		return err
	}
	defer raw.Close()
	key, err := noise.GenerateKey()
	if err != nil {
		return err
	}
	conn, err := noise.Server(t.Context(), raw, key, params.Identity())
	if err != nil {
		return err
	}
	do(&liar{conn, t, params})
	_ = raw.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, raw)
	return nil
}

// TestFollowAnotherNetwork: it says that the node's network is another.
func TestFollowAnotherNetwork(t *testing.T) {
	c := run(t, func(*node.Config) {})
	other, err := karat.LoadNetwork("main")
	if err != nil {
		t.Fatal(err)
	}
	if complaint := start(t, other, c.Listen, 1).end(); !strings.Contains(complaint, "another network") {
		t.Errorf("it says %q", complaint)
	}
}
