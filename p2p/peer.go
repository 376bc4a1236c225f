package p2p

import (
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// peer is a connection after its handshake, and whom it is to.
type peer struct {
	connection

	id      peerinfo.NodeID
	session types.Hash // of the handshake: both sides see the same
	number  int        // counts connections, so that people can tell them apart
	address string
	inbound bool
	manual  bool
	trusted bool // by the operator
	// blocksOnly is that we called it for blocks alone: nothing is said to it of
	// transactions and addresses, and what it says of them is left.
	blocksOnly bool
	hello      wire.Hello
	version    uint32
	since      time.Time
	offset     time.Duration // of its clock to ours

	lastBlock atomic.Int64 // nanoseconds since 1970
	lastTx    atomic.Int64
	waited    atomic.Int64 // when it last had to wait since it makes us work too much
	cost      atomic.Int64 // nanoseconds that its messages and requests have taken
	paid      int64        // lastBlock, when it was last counted for it; of read's goroutine
	minPing   atomic.Int64 // the shortest in nanoseconds; 0: it has not answered one

	addressesTaken atomic.Uint64 // that it told
	addressesLeft  atomic.Uint64 // that it told and nobody had asked for

	mu sync.Mutex
	// Guarded by mu:
	pinged   time.Time // when the ping that is not answered was sent
	nonce    uint64
	pingTime time.Duration
	minRate  types.FeeRate // below which it wants to hear of no transactions
	compact  bool          // it wants new blocks as compact blocks
	gossip   gossip
}

// level is the level of log lines about the connection. Who calls us may do so all day,
// so that is of no interest to the operator.
func (p *peer) level() slog.Level {
	if p.inbound {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// String names the peer for people: the beginning of its id, and its address.
func (p *peer) String() string { return p.id.String()[:16] + "@" + p.address }

// ping asks for a sign of life. A nonce that nobody can guess keeps a peer from answering
// before it was asked, and so from seeming near.
func (p *peer) ping() {
	nonce := rand.Uint64()
	p.mu.Lock()
	if p.nonce == 0 {
		p.pinged, p.nonce = p.now(), nonce
	}
	p.mu.Unlock()
	p.send(&wire.Ping{Nonce: nonce})
}

// pong takes the answer to a ping, and notes how long it took.
func (p *peer) pong(nonce uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if nonce != p.nonce || nonce == 0 {
		return
	}
	p.pingTime = max(p.now().Sub(p.pinged), time.Microsecond)
	if shortest := p.shortestPing(); shortest == 0 || p.pingTime < shortest {
		p.minPing.Store(int64(p.pingTime))
	}
	p.nonce = 0
}

// culprit is what its offences and its work count against.
func (p *peer) culprit() string { return culprit(p.address, p.id) }

// shares reports whether a peer shares the processor with other strangers: it called us,
// and is not the operator's choice.
func (p *peer) shares() bool { return p.inbound && !p.trusted }

// shortestPing is 0 if the peer has not answered one.
func (p *peer) shortestPing() time.Duration { return time.Duration(p.minPing.Load()) }

// listenAddress is where the peer says that it can be called. Only the port is taken from
// what it says: the host is the one that it called from.
func (p *peer) listenAddress() (netip.AddrPort, bool) {
	remote, err := netip.ParseAddrPort(p.address)
	if err != nil || p.hello.ListenPort == 0 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(remote.Addr(), p.hello.ListenPort), true
}
