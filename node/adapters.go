package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/index"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/mempool"
	"github.com/karatcoin/karat/miner"
	"github.com/karatcoin/karat/p2p"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/rpc"
)

// assemble builds what Run runs, and opens its listeners, so that a port that is
// taken is told before anything begins.
func (n *Node) assemble() (s *services, err error) {
	s = &services{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	key, err := noise.LoadOrCreateKey(filepath.Join(n.config.DataDir, keyFile))
	if err != nil {
		return s, err
	}
	s.pool = mempool.New(mempool.Options{
		Params: n.config.Params, Chain: n.chain, MaxBytes: int(n.config.MempoolBytes), MinRelay: n.config.MinFeeRate, Now: n.clock.now, Logger: n.log,
	})
	s.miner = miner.New(miner.Options{
		Params: n.config.Params, Chain: n.chain, Pool: currentPool{s.pool}, ScriptPubKey: n.config.MineTo, Threads: n.config.Threads,
		Interval: n.config.MineInterval, Tag: UserAgent, Now: n.clock.now, Logger: n.log,
	})
	if s.peerListener, err = n.listen(n.config.Listen, "peers", "--listen"); err != nil {
		return s, err
	}
	if s.peers, err = n.newPeers(key, s); err != nil {
		return s, err
	}
	if s.rpcListener, err = n.listen(n.config.RPCListen, "RPC clients", "--rpc-listen"); err != nil {
		return s, err
	}
	return s, n.newServer(s)
}

func (s *services) close() {
	for _, l := range []net.Listener{s.peerListener, s.rpcListener} {
		if l != nil {
			l.Close()
		}
	}
}

// listen opens a listener at an address; none for an empty one.
func (n *Node) listen(address, whom, flag string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	open := n.config.NewListener
	if open == nil {
		open = func(address string) (net.Listener, error) { return net.Listen("tcp", address) }
	}
	l, err := open(address)
	if err != nil {
		return nil, fmt.Errorf("listen for %s at %s: %w (is another node running? choose another address with %s)", whom, address, err, flag)
	}
	return l, nil
}

// CheckPeer checks the form of a peer's address, [ID@]HOST:PORT.
func CheckPeer(address string) error { return p2p.ParseAddress(address) }

func (n *Node) newPeers(key noise.Key, s *services) (*p2p.Manager, error) {
	for _, address := range n.config.Connect {
		if err := CheckPeer(address); err != nil {
			return nil, err
		}
	}
	var allow []peerinfo.NodeID
	for _, text := range n.config.AllowPeers {
		id, err := peerinfo.ParseNodeID(text)
		if err != nil {
			return nil, err
		}
		allow = append(allow, id)
	}
	port := uint16(0)
	if s.peerListener != nil {
		if address, ok := s.peerListener.Addr().(*net.TCPAddr); ok {
			port = uint16(address.Port)
		}
	}
	return p2p.New(p2p.Options{
		Params: n.config.Params, Key: key, Headers: n.chain, Blocks: n.chain, Pool: s.pool,
		UserAgent: UserAgent, Pruned: n.config.PruneBytes > 0, Listener: s.peerListener, ListenPort: port, Dial: n.config.Dial,
		Connect: n.config.Connect, Allow: allow, Discover: !n.config.NoDiscovery, MaxInbound: n.config.MaxPeers,
		File: filepath.Join(n.config.DataDir, "peers.json"), Now: n.clock.real, Logger: n.log,
	}), nil
}

func (n *Node) newServer(s *services) error {
	auth := &rpc.Auth{}
	if s.rpcListener != nil {
		var err error
		if s.removeCookie, err = auth.AddCookie(filepath.Join(n.config.DataDir, cookieFile)); err != nil {
			return err
		}
	}
	for _, line := range n.config.RPCAuth {
		if err := auth.AddHashed(line); err != nil {
			return fmt.Errorf("--rpc-auth: %w", err)
		}
	}
	if n.config.RPCUser != "" {
		if err := auth.AddPassword(n.config.RPCUser, n.config.RPCPassword); err != nil {
			return fmt.Errorf("--rpc-user: %w", err)
		}
	}
	for _, line := range n.config.RPCAllow {
		if err := auth.Allow(line); err != nil {
			return fmt.Errorf("--rpc-allow %s: %w", line, err)
		}
	}
	options := rpc.Options{
		Params: n.config.Params, UserAgent: UserAgent, Headers: n.chain, Blocks: n.chain, Operator: operator{n.chain, n}, Pool: currentPool{s.pool},
		Miner: rpcMiner{s.miner, n.config.MineTo}, Network: s.peers,
		Control: &control{node: n, peers: s.peers, since: time.Now()}, Auth: auth, Logger: n.log,
	}
	if n.index != nil {
		options.Index = rpcIndex{n.index, n.config}
	}
	s.server = rpc.NewServer(options)
	return nil
}

// currentPool is the pool for those who need an answer of the chain's tip: it follows
// the chain before it is asked. If that takes long, or fails, the answer is of an
// earlier tip.
type currentPool struct{ *mempool.Pool }

func (p currentPool) current() *mempool.Pool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = p.CatchUp(ctx)
	return p.Pool
}

// Select implements miner.Pool.
func (p currentPool) Select(maxWeight int) ([]*pending.Entry, types.Index) {
	return p.current().Select(maxWeight)
}

// Get implements rpc.Pool.
func (p currentPool) Get(txid types.Hash) *pending.Entry { return p.current().Get(txid) }

// SpentBy implements rpc.Pool.
func (p currentPool) SpentBy(o types.OutPoint) *pending.Entry { return p.current().SpentBy(o) }

// Details implements rpc.Pool.
func (p currentPool) Details(txid types.Hash) (pending.Details, bool) {
	return p.current().Details(txid)
}

// Entries implements rpc.Pool.
func (p currentPool) Entries() []*pending.Entry { return p.current().Entries() }

// Info implements rpc.Pool.
func (p currentPool) Info() pending.Info { return p.current().Info() }

// Estimate implements rpc.Pool.
func (p currentPool) Estimate(blocks int) types.FeeRate { return p.current().Estimate(blocks) }

// operator changes the chain for RPC clients.
type operator struct {
	*chain.Chain
	n *Node
}

// Verify implements rpc.Operator.
func (o operator) Verify(ctx context.Context, depth uint32, level int) error {
	_, err := o.Chain.Verify(ctx, depth, level, func(int, int) {})
	return err
}

// CoinSet implements rpc.Operator.
func (o operator) CoinSet(ctx context.Context) (types.Index, coinstats.Stats, error) {
	set, err := o.n.Coins(ctx, func(uint64) {})
	return set.At, set.Stats, err
}

// SizeOnDisk implements rpc.Operator.
func (o operator) SizeOnDisk() int64 { return o.n.store.SizeOnDisk() }

// rpcIndex is the index as RPC clients see it.
type rpcIndex struct {
	*index.Index
	config Config
}

// Names implements rpc.Index.
func (x rpcIndex) Names() (names []string) {
	if x.config.Filters {
		names = append(names, rpc.IndexOfFilters)
	}
	if x.config.TxIndex {
		names = append(names, rpc.IndexOfTxs)
	}
	return names
}

// rpcMiner is the miner as RPC clients see it.
type rpcMiner struct {
	miner  *miner.Miner
	script []byte
}

// Generate implements rpc.Miner. As in Bitcoin Core, fewer blocks than asked for are
// no error if the tries were not enough.
func (m rpcMiner) Generate(ctx context.Context, n int, script []byte, maxTries uint64) ([]types.Hash, error) {
	hashes, err := m.miner.Generate(ctx, n, script, maxTries)
	if errors.Is(err, miner.ErrNotFound) {
		err = nil
	}
	return hashes, err
}

// Template implements rpc.Miner.
func (m rpcMiner) Template() (txs, weight int) {
	t := m.miner.Template(m.script)
	return len(t.Block.Txs), t.Weight
}

// control is the node as RPC clients see it.
type control struct {
	node  *Node
	peers *p2p.Manager
	since time.Time
}

// Now implements rpc.Control.
func (c *control) Now() time.Time { return c.node.clock.now() }

// SetTime implements rpc.Control.
func (c *control) SetTime(seconds int64) { c.node.clock.set(seconds) }

// Stop implements rpc.Control.
func (c *control) Stop() { c.node.stop() }

// Uptime implements rpc.Control.
func (c *control) Uptime() time.Duration { return time.Since(c.since) }

// Syncing implements rpc.Control.
func (c *control) Syncing() bool { return c.peers.Syncing() }

// Pruned implements rpc.Control.
func (c *control) Pruned() (pruned bool, height uint32, target int64) {
	if c.node.config.PruneBytes == 0 {
		return false, 0, 0
	}
	return true, c.node.chain.PruneHeight(), c.node.config.PruneBytes
}
