package p2p

import (
	"bytes"
	"errors"
	"hash/maphash"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// DefaultMaxPerAddress is how many callers from one address are let in, of the internet.
// Several people may share one.
const DefaultMaxPerAddress = 8

// unwantedFor is how long a caller may take to answer its first ping, and for how long it
// is remembered that one made us work too much. Such callers are the first to give way.
const unwantedFor = 30 * time.Second

// slots decides who is connected: it has the places of peers and of those in their
// handshake, and asks bans who may be let in.
type slots struct {
	self          peerinfo.NodeID
	maxInbound    int
	maxPerAddress int                    // 0: DefaultMaxPerAddress, and more on our own network
	lists         atomic.Pointer[choice] // of the operator
	now           func() time.Time
	log           *slog.Logger
	bans          *bans
	calls         *calls
	processor     *processor
	seed          maphash.Seed // of network groups, so that nobody knows which are protected

	mu sync.Mutex
	// Guarded by mu:
	peers    map[peerinfo.NodeID]*peer
	nextID   int
	inactive bool // the operator has switched the network off
}

func newSlots(o Options, log *slog.Logger) *slots {
	s := &slots{
		self: o.Key.ID(), maxInbound: o.MaxInbound, maxPerAddress: o.MaxPerAddress, now: o.Now, log: log,
		bans: newBans(o.BanFile, o.Now, log), calls: newCalls(o.Now), processor: newProcessor(o.MaxProcessors, time.Now, o.ThreadTime), seed: maphash.MakeSeed(), peers: map[peerinfo.NodeID]*peer{},
	}
	s.lists.Store(&choice{o.Allow, o.Trust})
	return s
}

// choice is whom the operator has chosen. It is replaced as a whole.
type choice struct {
	only    []peerinfo.NodeID   // the only peers to talk to; empty: all
	trusted []peerinfo.Selector // who have places of their own
}

// admit gives a caller a place for its handshake. It returns nil, before anything is
// read, if the address misbehaved lately, or if its handshakes cost too much.
func (s *slots) admit(conn net.Conn) *call {
	address := conn.RemoteAddr().String()
	if !s.isActive() || s.bans.hits(peerinfo.NodeID{}, address, true) != nil {
		return nil
	}
	trusted := s.trusts(peerinfo.NodeID{}, address)
	if !trusted && s.processor.isCostly(host(address)) {
		return nil
	}
	return s.calls.begin(conn, trusted)
}

func (s *slots) connected(id peerinfo.NodeID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peers[id] != nil
}

// all returns the connected peers.
func (s *slots) all() []*peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*peer, 0, len(s.peers))
	for _, p := range s.peers {
		list = append(list, p)
	}
	return list
}

// holders returns them as what holds memory.
func (s *slots) holders() []*connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*connection, 0, len(s.peers))
	for _, p := range s.peers {
		list = append(list, &p.connection)
	}
	return list
}

// errConnected is for a second connection to a node of which the first stays.
var errConnected = errors.New("there is a connection already")

// errEvicted is for a caller who gives way to another.
var errEvicted = errors.New("another caller takes its place")

// errFull is for callers for whom nobody gives way.
var errFull = errors.New("there is no place for it")

// errReplaced is for a connection to a node to which a better one was made.
var errReplaced = errors.New("there is another connection")

// register lets a peer whose hello is known in, or says why not. Of two
// connections between the same nodes both sides keep the same one.
func (s *slots) register(p *peer) error {
	if err := s.bans.hits(p.id, p.address, p.inbound); err != nil {
		return err
	}
	old, victim, err := s.enter(p)
	if old != nil {
		old.close(errReplaced)
	}
	if victim != nil {
		victim.close(errEvicted)
	}
	if err != nil {
		return err
	}
	// Who bans somebody looks for it on the list afterwards, so that a ban that came
	// meanwhile is noticed either there or here.
	if err := s.bans.hits(p.id, p.address, p.inbound); err != nil {
		s.unregister(p)
		return err
	}
	return nil
}

// enter puts a peer on the list, and returns those whose places it takes: the older
// connection to the same node, and a stranger who gives way. They are closed by the
// caller, since nothing that can wait is done under the lock.
func (s *slots) enter(p *peer) (old, victim *peer, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inactive {
		return nil, nil, errInactive
	}
	old = s.peers[p.id]
	if old != nil && !s.better(p, old) {
		return nil, nil, errConnected
	}
	// Who comes in the place of its own connection takes another's all the same, unless both
	// are strangers at one address: the old one may be counted elsewhere, or nowhere.
	if s.isStranger(p) && (old == nil || !s.isStranger(old) || host(old.address) != host(p.address)) {
		if victim, err = s.makePlace(p); err != nil {
			return nil, nil, err
		}
	}
	if victim != nil {
		delete(s.peers, victim.id)
	}
	s.peers[p.id] = p
	p.number = s.nextID
	s.nextID++
	return old, victim, nil
}

// better reports whether to keep a connection instead of an old one to the same
// node: the one that was made by the node with the lower id. If both were, the new
// one, since of the old one the other side may know no more; but not if they were
// made at the same time, when each side may see another as the new one.
func (s *slots) better(p, old *peer) bool {
	switch {
	case old.inbound != p.inbound:
		return s.lowerCalled(p)
	case s.now().Sub(old.since) < handshakeTimeout:
		return bytes.Compare(p.session[:], old.session[:]) > 0
	}
	return true
}

// lowerCalled reports whether the node with the lower id made the connection.
func (s *slots) lowerCalled(p *peer) bool {
	weAreLower := s.self.String() < p.id.String()
	return weAreLower != p.inbound
}

func (s *slots) unregister(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers[p.id] == p {
		delete(s.peers, p.id)
	}
}

// setActive switches the network on or off, and reports whether that changes anything.
func (s *slots) setActive(active bool) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = s.inactive == active
	s.inactive = !active
	return changed
}

func (s *slots) isActive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.inactive
}

// mayCall says why a node is not to be called, if so.
func (s *slots) mayCall(t target) error {
	if !s.isActive() {
		return errInactive
	}
	var id peerinfo.NodeID
	if t.id != nil {
		id = *t.id
	}
	return s.bans.hits(id, t.address, false)
}

// punish bans a peer if the error asks for it, and counts what it did against its
// address. Manual and trusted peers are the operator's choice and only lose the
// connection.
func (s *slots) punish(p *peer, err error) {
	if p.manual || p.trusted {
		return
	}
	if what, how := judge(err); what == ban {
		s.bans.misbehaved(p.id, how)
		if other := s.other(p); other != nil {
			other.close(errors.New("another connection of it misbehaved"))
		}
		s.log.Warn("a peer misbehaved", "peer", p, "err", err, "banned_for", how)
	}
	if offends(err) && s.strike(p) {
		s.log.Warn("an address misbehaved again and again", "address", culprit(p.address, p.id), "err", err, "banned_for", banForStrikes)
	}
}

// shook counts the work on the handshake of a caller, who has no id before it ends.
func (s *slots) shook(p *peer, spent time.Duration) {
	p.cost.Add(int64(spent))
	s.processor.charge(host(p.address), netgroup(p.address), spent)
}

// other returns the connection of the same id that is on the list instead of a peer, if
// there is one and the operator has not asked for it.
func (s *slots) other(p *peer) *peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.peers[p.id]; other != nil && other != p && !other.manual {
		return other
	}
	return nil
}

// strike counts an offence against the culprit of a peer that called. It reports
// whether that was one too many.
func (s *slots) strike(p *peer) bool {
	if !p.inbound || p.trusted {
		return false // we chose the address, and can choose others
	}
	return s.bans.strike(culprit(p.address, p.id))
}

// allowed reports whether to talk to a node at all.
func (s *slots) allowed(id peerinfo.NodeID) bool {
	if id == s.self {
		return false
	}
	only := s.lists.Load().only
	return len(only) == 0 || slices.Contains(only, id)
}
