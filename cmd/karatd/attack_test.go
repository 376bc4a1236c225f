package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/hostile"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/wire"
)

// The flags of TestAttacks, which make attack sets.
var (
	attackTime = flag.Duration("attack", 0, "how long each attack goes on")
	attackers  = flag.Int("attackers", 40, "connections of attackers")
	attackOnly = flag.String("attacks", "", "behaviours, by commas; empty: all")
)

// The bounds of what an attack may do, besides the times, which are told and not judged:
// they say as much of the machine as of the node.
const (
	attackMemory   = (256 + 100) << 20 // bytes more than before
	attackPatience = time.Minute       // for a payment, and for a block
	probeEvery     = 25 * time.Millisecond
)

// siege is a node that is attacked, and those who go on to use it.
type siege struct {
	t       *testing.T
	victim  *daemon
	friend  *daemon // an honest node, which calls the victim
	params  *consensus.Params
	know    *hostile.Knowledge
	coins   []types.OutPoint // that can be spent
	address string
}

// TestAttacks attacks a node in a process of its own over loopback, in every way that
// the library of attackers knows. It tells how long an honest peer's ping, a client's call, a
// payment and a block took meanwhile, and how much memory the node took.
func TestAttacks(t *testing.T) {
	if *attackTime == 0 {
		t.Skip("make attack runs it")
	}
	s := newSiege(t)
	fmt.Printf("%d attackers for %s each; times in ms, memory in MiB\n", *attackers, *attackTime)
	fmt.Printf("%-18s %8s %8s %8s %8s %8s %8s %8s\n", "attack", "ping 50", "ping 99", "call 50", "call 99", "payment", "block", "memory")
	s.measure("(none)", func(context.Context) {})
	for _, b := range hostile.Library() {
		if *attackOnly == "" || slices.Contains(strings.Split(*attackOnly, ","), b.Name) {
			s.measure(b.Name, func(ctx context.Context) { s.attack(ctx, b) })
		}
	}
}

func newSiege(t *testing.T) *siege {
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	s := &siege{t: t, params: params, know: hostile.NewKnowledge(params)}
	s.victim = startDaemon(t, t.TempDir(), "127.0.0.1:0", "--log-level", "error")
	s.friend = startDaemon(t, t.TempDir(), "127.0.0.1:0", "--log-level", "error", "--connect", s.victim.listen)
	s.address = call[struct{ Address string }](s.friend, "decodescript", hex.EncodeToString(chaintest.Anchor)).Address
	on := params.GenesisState()
	for i := range params.CoinbaseMaturity + 60 {
		tag := binary.LittleEndian.AppendUint32(nil, i)
		b := chaintest.Mine(chaintest.NewBlock(&on.Header, chaintest.Coinbase(on.Index.Height+1, tag, types.TxOut{Value: 1_000_000, ScriptPubKey: chaintest.Anchor})))
		on = on.Extend(&b.Header, b.Hash())
		if refused := call[*string](s.friend, "submitblock", hex.EncodeToString(b.AppendTo(nil))); refused != nil {
			t.Fatal(*refused)
		}
		s.coins = append(s.coins, types.OutPoint{TxID: b.Txs[0].TxID()})
		s.know.Learn(b)
	}
	s.await("the chain", func() bool { return s.tip(s.victim) == s.tip(s.friend) })
	return s
}

func (s *siege) tip(d *daemon) string { return call[string](d, "getbestblockhash") }

// await waits for something to happen, and returns how long that took.
func (s *siege) await(what string, happened func() bool) time.Duration {
	s.t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if happened() {
			return time.Since(began)
		}
		if time.Since(began) > attackPatience {
			s.t.Errorf("%s does not come within %s", what, attackPatience)
			return attackPatience
		}
	}
}

// attack lets attackers behave until the context ends.
func (s *siege) attack(ctx context.Context, b hostile.Behaviour) {
	var work sync.WaitGroup
	var dialer net.Dialer
	for i := range *attackers {
		key, err := noise.GenerateKey()
		if err != nil {
			s.t.Fatal(err)
		}
		n := hostile.Node{
			Know: s.know, Key: key, Behaviour: b, Random: rand.New(rand.NewPCG(uint64(i), 1)), Calls: 1, Targets: []string{s.victim.listen},
			Dial: func(ctx context.Context, address string) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp", address)
			},
		}
		work.Go(func() { n.Run(ctx) })
	}
	work.Wait()
}

// measure uses the node while it is attacked.
func (s *siege) measure(name string, attack func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(s.t.Context())
	before := s.memory()
	var work sync.WaitGroup
	work.Go(func() { attack(ctx) })
	time.Sleep(*attackTime / 4) // until it has begun to hurt
	probing, enough := context.WithTimeout(ctx, *attackTime*3/4)
	var pings, calls []time.Duration
	most := before
	work.Go(func() { pings = s.pings(probing) })
	work.Go(func() {
		calls = probe(probing, func() error { return s.victim.client.Call(probing, "getblockcount", nil) })
	})
	work.Go(func() {
		for probing.Err() == nil {
			most = max(most, s.memory())
			time.Sleep(probeEvery)
		}
	})
	payment, block := s.use()
	<-probing.Done()
	enough()
	cancel()
	work.Wait()
	if most-before > attackMemory {
		s.t.Errorf("%s: %d MiB more than before", name, (most-before)>>20)
	}
	if len(pings) == 0 || len(calls) == 0 {
		s.t.Errorf("%s: %d pings and %d calls were answered", name, len(pings), len(calls))
		return
	}
	ms := func(d time.Duration) string { return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) }
	fmt.Printf("%-18s %8s %8s %8s %8s %8s %8s %8d\n", name, ms(percentile(pings, 50)), ms(percentile(pings, 99)),
		ms(percentile(calls, 50)), ms(percentile(calls, 99)), ms(payment), ms(block), most>>20)
}

// use pays by the friend, and mines at the victim. It returns how long the victim
// waited for the payment, and the friend for the block.
func (s *siege) use() (payment, block time.Duration) {
	from := s.coins[0]
	s.coins = s.coins[1:]
	tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: from, Sequence: 0xfffffffd}}, Outputs: []types.TxOut{
		{Value: 990_000, ScriptPubKey: chaintest.Anchor}, {ScriptPubKey: append([]byte{0x6a, 24}, make([]byte, 24)...)},
	}}
	txid := call[string](s.friend, "sendrawtransaction", hex.EncodeToString(tx.AppendTo(nil)))
	payment = s.await("the payment", func() bool { return slices.Contains(call[[]string](s.victim, "getrawmempool"), txid) })
	hash := call[[]string](s.victim, "generatetoaddress", 1, s.address)[0]
	raw, err := hex.DecodeString(call[string](s.victim, "getblock", hash, 0))
	if err != nil {
		s.t.Fatal(err)
	}
	decoded, err := consensus.DecodeBlock(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	s.know.Learn(decoded.Block)
	block = s.await("the block", func() bool { return s.tip(s.friend) == hash })
	if len(decoded.Block.Txs) != 2 {
		s.t.Errorf("the block has %d transactions", len(decoded.Block.Txs))
	}
	return payment, block
}

// pings asks the victim for signs of life, as an honest peer of it, and returns how long
// each took.
func (s *siege) pings(ctx context.Context) (took []time.Duration) {
	key, err := noise.GenerateKey()
	if err != nil {
		s.t.Error(err)
		return nil
	}
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", s.victim.listen)
	if err != nil {
		s.t.Error(err)
		return nil
	}
	conn, err := noise.Client(ctx, raw, key, s.params.Identity(), nil)
	if err != nil {
		s.t.Errorf("an honest peer is not let in: %v", err)
		return nil
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	send := func(m wire.Message) {
		var f wire.Fragmenter
		if err := f.Push(m); err != nil {
			s.t.Error(err)
		}
		b, _ := f.AppendNext(nil)
		_, _ = conn.Write(b)
	}
	top := s.params.GenesisState().Index
	send(&wire.Hello{Version: wire.Version, Services: wire.ServiceNetwork, UserAgent: "/honest/", Tip: top.Hash, Time: time.Now().Unix()})
	assembler, buf := wire.NewAssembler(s.params.MaxBlockWeight), make([]byte, wire.MaxFragmentSize)
	nonce := uint64(0)
	return probe(ctx, func() error {
		nonce++
		send(&wire.Ping{Nonce: nonce})
		for {
			f, err := wire.ReadFragment(conn, buf)
			if err != nil {
				if ctx.Err() == nil {
					s.t.Errorf("an honest peer is hung up on: %v", err)
				}
				return err
			}
			m, _, err := assembler.Push(f)
			if err != nil {
				return err
			}
			switch m := m.(type) {
			case *wire.Ping:
				send(&wire.Pong{Nonce: m.Nonce})
			case *wire.Pong:
				if m.Nonce == nonce {
					return nil
				}
			}
		}
	})
}

// probe does something again and again until the context ends, and returns how long it
// took each time.
func probe(ctx context.Context, do func() error) (took []time.Duration) {
	for ctx.Err() == nil {
		began := time.Now()
		if do() != nil {
			break
		}
		took = append(took, time.Since(began))
		time.Sleep(probeEvery)
	}
	return took
}

func percentile(list []time.Duration, percent int) time.Duration {
	slices.Sort(list)
	return list[(len(list)-1)*percent/100]
}

// memory returns the bytes that are resident of the victim.
func (s *siege) memory() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.victim.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	kib, err := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return kib << 10
}
