package p2p

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
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
	// AddBlocks adds blocks as they come, and reports what became of each.
	AddBlocks(ctx context.Context, raws iter.Seq[[]byte], report func(header.Result)) error
	poke.Source // pokes after the tip has changed
}

// Pool is the transactions that wait for a block.
type Pool interface {
	// Accept takes a transaction that pays at most a feerate; 0 is no limit.
	Accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate) (*pending.Entry, error)
	GetByWitness(wtxid types.Hash) *pending.Entry // nil: the pool has none
	Entries() []*pending.Entry
	// Accepted returns the witness ids of those taken from a position on, and the
	// position to go on from, which is the end for one behind it.
	Accepted(since uint64, limit int) (wtxids []types.Hash, next uint64)
	MinFeeRate() types.FeeRate
	poke.Source // pokes after a transaction was taken
}

// Options are the choices of New. Params, Key, Headers, Blocks and Pool are
// needed.
type Options struct {
	Params    *consensus.Params
	Key       noise.Key
	Headers   Headers
	Blocks    Blocks
	Pool      Pool
	UserAgent string
	Pruned    bool // this node has the last blocks only

	Listener    net.Listener // nil: nobody can call
	ListenPort  uint16       // that others are told; 0: none
	Dial        func(ctx context.Context, address string) (net.Conn, error)
	Resolve     func(ctx context.Context, host string) ([]netip.Addr, error)
	Connect     []string          // [ID@]HOST:PORT of peers to stay connected to
	Allow       []peerinfo.NodeID // the only peers to talk to; empty: all
	Discover    bool              // find other peers too
	MaxInbound  int
	MaxOutbound int
	MaxMemory   int64  // bytes that may wait because of all peers together; 0: DefaultMaxMemory
	File        string // of known addresses; empty: none
	Now         func() time.Time
	Logger      *slog.Logger
}

// The times of connections.
const (
	handshakeTimeout = 20 * time.Second
	pingEvery        = time.Minute
	silenceTimeout   = 3 * time.Minute // a peer that sends nothing for so long is gone
	redialFirst      = time.Second
	redialMost       = time.Minute
	dialEvery        = 2 * time.Second // at most one outbound attempt of discovery
)

// maxGreeting is how many callers may be in their handshake at once. A handshake costs
// us more than it costs the caller, and nothing is known of the caller before it ends.
const maxGreeting = 64

// DefaultMaxOutbound is the number of peers that discovery looks for.
const DefaultMaxOutbound = 8

// Manager keeps the connections. All its methods may be called concurrently.
type Manager struct {
	o        Options
	id       peerinfo.NodeID
	log      *slog.Logger
	budget   *budget
	sync     *syncer
	txs      *relay
	greeter  greeter
	dispatch dispatcher

	received, sent atomic.Uint64 // bytes, of all connections since New
	running        chan struct{} // closed when Run has begun

	mu sync.Mutex
	// Guarded by mu:
	ctx      context.Context // of Run; nil before and after
	work     sync.WaitGroup  // goroutines of connections; grows only while ctx is alive
	peers    map[peerinfo.NodeID]*peer
	nextID   int
	manual   map[string]context.CancelFunc // addresses to stay connected to
	banned   map[peerinfo.NodeID]time.Time // until when
	records  map[string]record             // by culprit
	book     addressBook
	dialing  int // connections of discovery that are being made
	greeting int // calls whose handshake is not over
}

// New returns a manager that does nothing yet.
func New(o Options) *Manager {
	if o.Dial == nil {
		var d net.Dialer
		o.Dial = func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }
	}
	if o.Resolve == nil {
		o.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
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
	if o.MaxOutbound == 0 {
		o.MaxOutbound = DefaultMaxOutbound
	}
	m := &Manager{
		o: o, id: o.Key.ID(), log: ratelog.New(o.Logger),
		peers: map[peerinfo.NodeID]*peer{}, manual: map[string]context.CancelFunc{}, banned: map[peerinfo.NodeID]time.Time{}, records: map[string]record{},
		book: newAddressBook(), running: make(chan struct{}),
	}
	m.budget = &budget{most: o.MaxMemory, now: o.Now, peers: m.all}
	m.sync = newSyncer(o, m.log, m.strike)
	m.txs = newRelay(o, m.sync.syncing)
	m.greeter = greeter{key: o.Key, network: o.Params.Identity, allowed: m.allowed, hello: m.hello}
	m.dispatch = dispatcher{sync: m.sync, txs: m.txs, book: &m.book, pool: o.Pool, now: o.Now}
	return m
}

// NodeID returns the node's own id.
func (m *Manager) NodeID() peerinfo.NodeID { return m.id }

// Running returns a channel that is closed when Run has begun, after which AddNode
// works.
func (m *Manager) Running() <-chan struct{} { return m.running }

// Run, which is called once, keeps the connections until the context ends, which is no error. Another
// error is an ErrLocal of the chain.
func (m *Manager) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if m.o.File != "" {
		if err := m.book.load(m.o.File); err != nil {
			m.log.Warn("known addresses could not be read", "err", err)
		}
	}
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
	if m.o.Discover {
		tasks.Go(func() { m.discover(ctx) })
	}
	tasks.Wait()
	cancel()
	m.mu.Lock()
	m.ctx = nil // after which nothing begins
	m.mu.Unlock()
	m.work.Wait()
	if m.o.File != "" {
		if err := m.book.save(m.o.File); err != nil {
			m.log.Warn("known addresses could not be saved", "err", err)
		}
	}
	return fault
}

// connection runs a connection from its handshake to its end. It returns nil if
// the peer was let in.
func (m *Manager) connection(ctx context.Context, raw net.Conn, t target, inbound, manual bool) error {
	p := &peer{
		now: m.o.Now, budget: m.budget, maxBlockWeight: m.o.Params.MaxBlockWeight, ended: m.punish,
		address: t.address, inbound: inbound, manual: manual, since: m.o.Now(),
		closed: make(chan struct{}),
	}
	p.in.filled, p.out.filled = poke.NewSlot(), poke.NewSlot()
	counted := &countedConn{Conn: raw,
		read:    func(n int) { p.received.Add(uint64(n)); m.received.Add(uint64(n)) },
		written: func(n int) { p.sent.Add(uint64(n)); m.sent.Add(uint64(n)) },
	}
	defer raw.Close()
	err := m.greeter.greet(ctx, p, counted, t)
	if inbound {
		m.count(&m.greeting, -1)
	}
	if err != nil {
		m.log.Debug("no connection", "peer", t, "inbound", inbound, "err", err)
		return err
	}
	if err := m.register(p); err != nil {
		return err
	}
	defer m.unregister(p)
	m.log.Log(ctx, p.level(), "connected", "peer", p, "agent", p.hello.UserAgent, "height", p.hello.Height, "inbound", inbound)
	if !inbound {
		m.book.good(p.id, t.address, m.o.Now())
	} else if at, ok := p.listenAddress(); ok {
		m.book.add([]wire.PeerAddress{{ID: p.id, Addr: at, LastSeen: m.o.Now().Unix()}}, m.o.Now())
	}
	err = m.dispatch.talk(ctx, p)
	if ctx.Err() == nil {
		m.log.Log(ctx, p.level(), "disconnected", "peer", p, "err", err)
	}
	return nil
}

// hello returns how this node introduces itself.
func (m *Manager) hello() *wire.Hello {
	tip := m.o.Headers.Tip()
	services := wire.ServiceNetwork | wire.ServiceNetworkLimited
	if m.o.Pruned {
		services = wire.ServiceNetworkLimited
	}
	return &wire.Hello{
		Version: wire.Version, Services: services, UserAgent: m.o.UserAgent, Height: tip.Height, Tip: tip.Hash,
		Time: m.o.Now().Unix(), ListenPort: m.o.ListenPort, Relay: true,
	}
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
		if !m.admit(conn.RemoteAddr().String()) {
			conn.Close()
			continue
		}
		if !m.begin(func(ctx context.Context) {
			_ = m.connection(ctx, conn, target{address: conn.RemoteAddr().String()}, true, false)
		}) {
			m.count(&m.greeting, -1)
			conn.Close()
		}
	}
}

// count adds to a counter that mu guards.
func (m *Manager) count(counter *int, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*counter += n
}

// admit counts a caller among those in their handshake. It refuses, before anything is
// read, when there is no room or when the address misbehaved lately.
func (m *Manager) admit(address string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if in, _ := m.connections(); in >= m.o.MaxInbound || m.greeting >= maxGreeting || m.unwelcome(host(address)) {
		return false
	}
	m.greeting++
	return true
}

// called reports whether there is a connection that this node has made. Those that
// others made say nothing of whether we can reach anybody.
func (m *Manager) called() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.peers {
		if !p.inbound {
			return true
		}
	}
	return false
}

// roomToCall reports whether discovery should make one more connection.
func (m *Manager) roomToCall() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, out := m.connections()
	return out < m.o.MaxOutbound
}

// connections counts the connections that others made and those that discovery made.
// Those that the operator asked for take nobody's room. It assumes mu.
func (m *Manager) connections() (in, out int) {
	for _, p := range m.peers {
		switch {
		case p.inbound:
			in++
		case !p.manual:
			out++
		}
	}
	return in, out
}

// target is whom to call. If the id is given, whoever answers must prove it.
type target struct {
	address string           // HOST:PORT
	id      *peerinfo.NodeID // nil: whoever answers
}

func (t target) String() string {
	if t.id == nil {
		return t.address
	}
	return t.id.String() + "@" + t.address
}

// parseTarget reads [ID@]HOST:PORT.
func parseTarget(s string) (target, error) {
	for i := range s {
		if s[i] != '@' {
			continue
		}
		id, err := peerinfo.ParseNodeID(s[:i])
		if err != nil {
			return target{}, err
		}
		t, err := parseTarget(s[i+1:])
		t.id = &id
		return t, err
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || port == "" {
		return target{}, fmt.Errorf("%.200q is no address: want [ID@]HOST:PORT", s)
	}
	return target{address: s}, nil
}

// ParseAddress checks the form [ID@]HOST:PORT of a peer's address.
func ParseAddress(s string) error {
	_, err := parseTarget(s)
	return err
}

// AddNode stays connected to the peer at [ID@]HOST:PORT from now on.
func (m *Manager) AddNode(address string) error {
	t, err := parseTarget(address)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.manual[address] != nil {
		return fmt.Errorf("%s was added before", address)
	}
	if m.ctx == nil {
		return errors.New("the node does not run")
	}
	ctx, cancel := context.WithCancel(m.ctx)
	m.manual[address] = cancel
	m.work.Go(func() { m.stayConnected(ctx, t) })
	return nil
}

// RemoveNode ends what AddNode began.
func (m *Manager) RemoveNode(address string) error {
	m.mu.Lock()
	cancel := m.manual[address]
	delete(m.manual, address)
	m.mu.Unlock()
	if cancel == nil {
		return fmt.Errorf("%s was not added", address)
	}
	cancel()
	return nil
}

// AddedNodes returns the addresses of AddNode.
func (m *Manager) AddedNodes() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]string, 0, len(m.manual))
	for address := range m.manual {
		list = append(list, address)
	}
	return list
}

// TryNode connects to a peer once.
func (m *Manager) TryNode(address string) error {
	t, err := parseTarget(address)
	if err != nil {
		return err
	}
	m.begin(func(ctx context.Context) { _ = m.call(ctx, t, true) })
	return nil
}

// stayConnected calls a peer again and again, in growing intervals.
func (m *Manager) stayConnected(ctx context.Context, t target) {
	wait := redialFirst
	for ctx.Err() == nil {
		began := m.o.Now()
		err := m.call(ctx, t, true)
		if m.o.Now().Sub(began) > redialMost {
			wait = redialFirst // it was a connection
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, errConnected) {
			m.log.Info("a peer cannot be reached", "peer", t, "err", err, "again_in", wait)
		}
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		wait = min(2*wait, redialMost)
	}
}

// call connects to a peer and stays until the connection ends. The error is nil
// if there was one.
func (m *Manager) call(ctx context.Context, t target, manual bool) error {
	if t.id != nil && m.connected(*t.id) {
		return nil
	}
	dial, cancel := context.WithTimeout(ctx, handshakeTimeout)
	conn, err := m.o.Dial(dial, t.address)
	cancel()
	if err != nil {
		return err
	}
	return m.connection(ctx, conn, t, false, manual)
}

func (m *Manager) connected(id peerinfo.NodeID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers[id] != nil
}

// Disconnect hangs up on a peer, by its address or its id.
func (m *Manager) Disconnect(addressOrID string) error {
	for _, p := range m.all() {
		if p.address == addressOrID || p.id.String() == addressOrID {
			p.close(errors.New("disconnected by the operator"))
			return nil
		}
	}
	return fmt.Errorf("there is no peer %.100q", addressOrID)
}

// Ping asks all peers for a sign of life.
func (m *Manager) Ping() {
	for _, p := range m.all() {
		p.ping()
	}
}

// Totals returns the bytes that came from and went to peers.
func (m *Manager) Totals() (received, sent uint64) { return m.received.Load(), m.sent.Load() }

// Syncing reports that the node has begun with blocks that exist, and was not near
// the best chain yet. Once it is false it stays false, whatever headers come.
func (m *Manager) Syncing() bool { return m.sync.syncing() }

// all returns the connected peers.
func (m *Manager) all() []*peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]*peer, 0, len(m.peers))
	for _, p := range m.peers {
		list = append(list, p)
	}
	return list
}

// connectedTo returns the ids of the connected peers.
func (m *Manager) connectedTo() map[peerinfo.NodeID]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := make(map[peerinfo.NodeID]bool, len(m.peers))
	for id := range m.peers {
		ids[id] = true
	}
	return ids
}

// errConnected is for a second connection to a node of which the first stays.
var errConnected = errors.New("there is a connection already")

// errReplaced is for a connection to a node to which a better one was made.
var errReplaced = errors.New("there is another connection")

// register lets a peer whose hello is known in, or says why not. Of two
// connections between the same nodes both sides keep the same one.
func (m *Manager) register(p *peer) error {
	old, err := m.enter(p)
	if old != nil {
		old.close(errReplaced)
	}
	return err
}

// enter puts a peer on the list, and returns the one whose place it takes. That
// one is closed by the caller, since nothing that can wait is done under the lock.
func (m *Manager) enter(p *peer) (old *peer, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if until, ok := m.banned[p.id]; ok {
		if m.o.Now().Before(until) {
			return nil, errors.New("it misbehaved lately")
		}
		delete(m.banned, p.id)
	}
	if p.inbound && m.unwelcome(culprit(p.address, p.id)) {
		return nil, errors.New("its address misbehaved lately")
	}
	old = m.peers[p.id]
	if in, _ := m.connections(); p.inbound && old == nil && in >= m.o.MaxInbound {
		return nil, errors.New("there is no room") // any more
	}
	if old != nil && !m.better(p, old) {
		return nil, errConnected
	}
	m.peers[p.id] = p
	p.number = m.nextID
	m.nextID++
	return old, nil
}

// better reports whether to keep a connection instead of an old one to the same
// node: the one that was made by the node with the lower id. If both were, the new
// one, since of the old one the other side may know no more; but not if they were
// made at the same time, when each side may see another as the new one.
func (m *Manager) better(p, old *peer) bool {
	switch {
	case old.inbound != p.inbound:
		return m.lowerCalled(p)
	case m.o.Now().Sub(old.since) < handshakeTimeout:
		return bytes.Compare(p.session[:], old.session[:]) > 0
	}
	return true
}

// lowerCalled reports whether the node with the lower id made the connection.
func (m *Manager) lowerCalled(p *peer) bool {
	weAreLower := m.id.String() < p.id.String()
	return weAreLower != p.inbound
}

func (m *Manager) unregister(p *peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.peers[p.id] == p {
		delete(m.peers, p.id)
	}
}

// allowed reports whether to talk to a node at all.
func (m *Manager) allowed(id peerinfo.NodeID) bool {
	if id == m.id {
		return false
	}
	if len(m.o.Allow) == 0 {
		return true
	}
	for _, allowed := range m.o.Allow {
		if allowed == id {
			return true
		}
	}
	return false
}
