package p2p

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/internal/ratelog"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// Headers is the header tree.
type Headers interface {
	Tip() types.Index
	TipState() consensus.State
	BestHeader() types.Index
	Info(hash types.Hash) (header.Info, bool)
	Locator() []types.Hash
	HeadersAfter(locator []types.Hash, stop types.Hash, limit int) []types.Header
	AddHeaders(headers []types.Header) error
}

// Blocks is the bodies.
type Blocks interface {
	Block(hash types.Hash) ([]byte, error)
	// MissingTowards returns the blocks that are not stored on the way to one with at
	// least the work of the tip, the lowest first.
	MissingTowards(hash types.Hash, limit int) []types.Index
	// Want has a block taken once more that was pruned.
	Want(hash types.Hash)
	// AddBlocks adds blocks as they come, and reports what became of each.
	AddBlocks(ctx context.Context, raws iter.Seq[[]byte], report func(header.Result)) error
	poke.Source // pokes after the tip has changed
}

// Pool is the transactions that wait for a block.
type Pool interface {
	// Accept takes a transaction that pays at most a feerate; 0 is no limit.
	Accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate) (*pending.Entry, error)
	// AcceptPackage takes a child together with a parent that pays too little by itself.
	AcceptPackage(ctx context.Context, txs []*types.Tx, maxFeeRate types.FeeRate) (pending.Package, error)
	GetByWitness(wtxid types.Hash) *pending.Entry // nil: the pool has none
	Get(txid types.Hash) *pending.Entry           // nil: the pool has none
	Entries() []*pending.Entry
	// Select returns what the next block would take.
	Select(want pending.Selection) ([]*pending.Entry, types.Index)
	// Accepted returns the witness ids of those taken from a position on, and the
	// position to go on from, which is the end for one behind it.
	Accepted(since uint64, limit int) (wtxids []types.Hash, next uint64)
	MinFeeRate() types.FeeRate
	// MiningFeeRate returns the feerate with which the transaction with the witness id would
	// be mined: with what it spends, or with the child that pays for it.
	MiningFeeRate(wtxid types.Hash) (rate types.FeeRate, there bool)
	// Unbroadcast returns the witness ids of those that clients of ours brought, and that no
	// peer is known to have. Broadcast tells that peers have some, or have asked for them.
	Unbroadcast() []types.Hash
	Broadcast(wtxids ...types.Hash)
	poke.Source // pokes after a transaction was taken
}

// Options are the choices of New. Params, Key, Headers, Blocks, Pool and Dial are
// needed, and Resolve for names of the network's file.
type Options struct {
	Params    *consensus.Params
	Key       noise.Key
	Headers   Headers
	Blocks    Blocks
	Pool      Pool
	UserAgent string
	Pruned    bool // this node has the last blocks only

	Listener      net.Listener // nil: nobody can call
	ListenPort    uint16       // that others are told; 0: none
	Dial          func(ctx context.Context, address string) (net.Conn, error)
	Resolve       func(ctx context.Context, host string) ([]netip.Addr, error)
	ByName        func(host string) bool     // whether Dial takes the name, which must not be asked of Resolve; nil: never
	Check         func(address string) error // says why nobody can be called at HOST:PORT; nil: somebody can
	Reach         func() []peerinfo.Reach    // how Dial reaches each network; nil: nobody says
	External      func() []netip.AddrPort    // where others reach this node, as the operator or a router says; nil: nobody says
	Connect       []string                   // [ID@]HOST:PORT of peers to stay connected to
	Allow         []peerinfo.NodeID          // the only peers to talk to; empty: all
	Discover      bool                       // find other peers too
	MaxInbound    int
	MaxPerAddress int                 // callers from one address; 0: DefaultMaxPerAddress, and half of MaxInbound on our own network
	Trust         []peerinfo.Selector // peers that have places of their own and are not banned for what they send
	MaxOutbound   int
	BlocksOnly    int                  // peers to look for besides that are asked for blocks alone
	MaxProcessors float64              // that strangers may keep busy together for nothing; 0: half of those that there are
	ThreadTime    func() time.Duration // for which the thread of the goroutine that calls has worked; nil: it is not known, and the clock serves
	MaxMemory     int64                // bytes that may wait because of all peers together; 0: DefaultMaxMemory
	MaxUpload     uint64               // bytes a day beyond which no old blocks are sent; 0: no limit
	File          string               // of known addresses; empty: none
	BanFile       string               // of the operator's bans, which New reads; empty: none
	Now           func() time.Time
	Logger        *slog.Logger
}

// The times of connections.
const (
	handshakeTimeout = 20 * time.Second
	pingEvery        = time.Minute
	silenceTimeout   = 3 * time.Minute // a peer that sends nothing for so long is gone
	redialFirst      = time.Second
	redialMost       = time.Minute
)

// DefaultMaxOutbound is the number of peers that discovery looks for.
const DefaultMaxOutbound = 8

// DefaultBlocksOnly is the number of peers besides that it asks for blocks alone. What
// they tell says nothing of transactions and addresses, so who watches those cannot find
// them, and cut us off from them.
const DefaultBlocksOnly = 2

// Manager keeps the connections. All its methods may be called concurrently.
type Manager struct {
	o         Options
	log       *slog.Logger
	budget    *budget
	slots     *slots
	sync      *syncer
	txs       *relay
	discovery *discovery
	greeter   greeter
	dispatch  dispatcher
	called    callMemory

	received, sent atomic.Uint64 // bytes, of all connections since New
	callers        atomic.Uint64 // peers that called and were let in, since New
	running        chan struct{} // closed when Run has begun

	mu sync.Mutex
	// Guarded by mu:
	ctx    context.Context               // of Run; nil before and after
	work   sync.WaitGroup                // goroutines of connections; grows only while ctx is alive
	manual map[string]context.CancelFunc // addresses to stay connected to
}

// New returns a manager that does nothing yet.
func New(o Options) *Manager {
	if o.ByName == nil {
		o.ByName = func(string) bool { return false }
	}
	if o.Check == nil {
		o.Check = func(string) error { return nil }
	}
	if o.Reach == nil {
		o.Reach = func() []peerinfo.Reach { return nil }
	}
	if o.External == nil {
		o.External = func() []netip.AddrPort { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxMemory == 0 {
		o.MaxMemory = DefaultMaxMemory
	}
	if o.MaxProcessors == 0 {
		o.MaxProcessors = float64(runtime.GOMAXPROCS(0)) / 2
	}
	if o.MaxOutbound == 0 {
		o.MaxOutbound = DefaultMaxOutbound
	}
	m := &Manager{
		o: o, log: ratelog.New(o.Logger), manual: map[string]context.CancelFunc{}, running: make(chan struct{}),
	}
	m.slots = newSlots(o, m.log)
	m.budget = &budget{most: o.MaxMemory, now: o.Now, among: m.slots.holders}
	m.sync = newSyncer(o, m.log, m.slots.strike)
	m.txs = newRelay(o, m.sync.syncing)
	m.sync.connected = m.txs.blockConnected
	m.greeter = greeter{key: o.Key, network: o.Params.Identity, allowed: m.slots.allowed, measure: m.slots.processor.measure, worked: m.slots.shook, hello: m.hello, twins: &twins{log: o.Logger}}
	m.discovery = m.newDiscovery()
	m.dispatch = dispatcher{sync: m.sync, txs: m.txs, discovery: m.discovery, processor: m.slots.processor, now: o.Now}
	m.txs.measure = m.slots.processor.measure
	m.txs.worked = func(p *peer, spent time.Duration) { m.dispatch.worked(p, nil, spent, false) }
	return m
}

// NodeID returns the node's own id.
func (m *Manager) NodeID() peerinfo.NodeID { return m.o.Key.ID() }

// Running returns a channel that is closed when Run has begun, after which AddNode
// works.
func (m *Manager) Running() <-chan struct{} { return m.running }

// Run, which is called once, keeps the connections until the context ends, which is no error. Another
// error is an ErrLocal of the chain.
func (m *Manager) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.discovery.load()
	m.mu.Lock()
	m.ctx = ctx
	m.mu.Unlock()
	close(m.running)
	var tasks sync.WaitGroup
	var fault error
	tasks.Go(func() {
		if fault = m.sync.run(ctx); fault != nil {
			cancel()
		}
	})
	tasks.Go(func() { m.txs.run(ctx) })
	if m.o.Listener != nil {
		stop := context.AfterFunc(ctx, func() { m.o.Listener.Close() })
		defer stop()
		tasks.Go(func() { m.listen(ctx) })
	}
	for _, address := range m.o.Connect {
		if err := m.AddNode(address); err != nil {
			m.log.Error("a peer to connect to", "address", address, "err", err)
		}
	}
	tasks.Go(func() { m.discovery.run(ctx) })
	tasks.Wait()
	cancel()
	m.mu.Lock()
	m.ctx = nil // after which nothing begins
	m.mu.Unlock()
	m.work.Wait()
	m.discovery.save()
	return fault
}

// connection runs a connection from its handshake to its end. The call is nil if we have
// called. It returns nil if the peer was let in.
func (m *Manager) connection(ctx context.Context, raw net.Conn, t target, c *call, manual bool) error {
	inbound := c != nil
	p := &peer{address: t.address, inbound: inbound, manual: manual, blocksOnly: t.blocksOnly, since: m.o.Now()}
	p.now, p.budget, p.maxBlockWeight, p.spared = m.o.Now, m.budget, m.o.Params.MaxBlockWeight, manual
	p.ended = func(err error) { m.slots.punish(p, err) }
	p.open()
	counted := &countedConn{Conn: raw,
		read: func(n int) {
			p.received.Add(uint64(n))
			m.received.Add(uint64(n))
			if c != nil && n > 0 {
				c.heard.Store(true)
			}
		},
		written: func(n int) { p.sent.Add(uint64(n)); m.sent.Add(uint64(n)); m.sync.uploads.count(n) },
	}
	defer raw.Close()
	err := m.greeter.greet(ctx, p, counted, t)
	if c != nil {
		m.slots.calls.end(c)
	}
	if err != nil {
		m.log.Debug("no connection", "peer", t, "inbound", inbound, "err", err)
		return err
	}
	if at, err := netip.ParseAddrPort(t.address); err == nil && !inbound {
		m.discovery.answered(at, p.id)
	}
	p.trusted = m.slots.trusts(p.id, p.address)
	p.spared = p.spared || p.trusted
	if t.enter != nil {
		if err := t.enter(p); err != nil {
			return err
		}
	}
	if err := m.slots.register(p); err != nil {
		return err
	}
	defer m.slots.unregister(p)
	if inbound {
		m.callers.Add(1)
	}
	m.log.Log(ctx, p.level(), "connected", "peer", p, "agent", p.hello.UserAgent, "height", p.hello.Height, "inbound", inbound)
	err = m.dispatch.talk(ctx, p)
	if ctx.Err() == nil {
		m.log.Log(ctx, p.level(), "disconnected", "peer", p, "err", err)
	}
	return nil
}

// listenPort is the port at which others are told to call. That of the router is not
// always ours.
func (m *Manager) listenPort() uint16 {
	if external := m.o.External(); len(external) > 0 {
		return external[0].Port()
	}
	return m.o.ListenPort
}

// hello returns how this node introduces itself to a peer.
func (m *Manager) hello(p *peer) *wire.Hello {
	tip := m.o.Headers.Tip()
	services := wire.ServiceNetwork | wire.ServiceNetworkLimited
	if m.o.Pruned {
		services = wire.ServiceNetworkLimited
	}
	hello := &wire.Hello{
		Version: wire.Version, Services: services, UserAgent: m.o.UserAgent, Height: tip.Height, Tip: tip.Hash,
		Time: m.o.Now().Unix(), ListenPort: m.listenPort(), Relay: !p.blocksOnly,
	}
	if at, err := netip.ParseAddrPort(p.address); err == nil {
		hello.Seen = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	return hello
}

// newDiscovery returns the part that looks for peers.
func (m *Manager) newDiscovery() *discovery {
	o := m.o
	return newDiscovery(discoveryOptions{
		self: o.Key.ID(), bootstrap: o.Params.Bootstrap, port: o.Params.Ports.P2P, spacing: time.Duration(o.Params.TargetSpacing) * time.Second,
		file: o.File, look: o.Discover, full: o.MaxOutbound, blocksOnly: o.BlocksOnly,
		begin: m.begin, call: func(ctx context.Context, t target) error { return m.call(ctx, t, false) },
		identify: identifier(o.Dial, o.Key, o.Params.Identity), peers: m.slots.all, active: m.slots.isActive, mayCall: m.slots.mayCall,
		resolve: o.Resolve, byName: o.ByName, external: o.External, listenPort: m.listenPort,
		chain: chainView{tip: o.Headers.Tip, told: m.sync.told, news: m.sync.news, work: m.sync.work, ask: m.sync.askTip},
	}, o.Now, m.log)
}

// begin starts a goroutine of a connection while the manager runs. Run waits for all of
// them, so none may begin once Run has begun to wait: that is why it is done under the
// lock. It reports whether the goroutine was started.
func (m *Manager) begin(f func(ctx context.Context)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil || m.ctx.Err() != nil {
		return false
	}
	ctx := m.ctx
	m.work.Go(func() { f(ctx) })
	return true
}

// listen takes calls until the listener is closed. An error of one call does not end it:
// the usual one is too many open files, which goes by.
func (m *Manager) listen(ctx context.Context) {
	for {
		conn, err := m.o.Listener.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			m.log.Warn("a call could not be taken", "err", err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		}
		c := m.slots.admit(conn)
		if c == nil {
			conn.Close()
			continue
		}
		if !m.begin(func(ctx context.Context) {
			_ = m.connection(ctx, conn, target{address: conn.RemoteAddr().String()}, c, false)
		}) {
			m.slots.calls.end(c)
			conn.Close()
		}
	}
}

// Ping asks all peers for a sign of life.
func (m *Manager) Ping() {
	for _, p := range m.slots.all() {
		p.ping()
	}
}

// Totals returns the bytes that came from and went to peers.
func (m *Manager) Totals() (received, sent uint64) { return m.received.Load(), m.sent.Load() }

// Callers returns how many peers have called and were let in, since the start.
func (m *Manager) Callers() uint64 { return m.callers.Load() }

// Twin returns where another node with this node's key was met; empty for nowhere.
func (m *Manager) Twin() string { return m.greeter.twins.where() }

// Syncing reports that the node has begun with blocks that exist, and was not near
// the best chain yet. Once it is false it stays false, whatever headers come.
func (m *Manager) Syncing() bool { return m.sync.syncing() }
