package p2p

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// The bounds of the address book.
const (
	maxAddresses   = 5000
	maxAddressFile = 4 << 20
	addressHorizon = 30 * 24 * time.Hour // after which an address that nobody saw is forgotten
	maxFailures    = 8                   // in a row
	maxLonely      = 4                   // failures that count while nobody can be reached at all
	bootstrapEvery = 5 * time.Minute     // while there is no connection of our making
)

// knownAddress is where a node was seen, and how it went with it.
type knownAddress struct {
	peerinfo.Address
	answered bool // we have had a connection
	failures int
	tried    time.Time
}

// addressBook knows where nodes can be called. Anyone may tell us addresses, so those at
// which a node has answered are worth more than those that we were told.
type addressBook struct {
	mu sync.Mutex
	// Guarded by mu:
	known map[peerinfo.NodeID]*knownAddress
}

func newAddressBook() addressBook {
	return addressBook{known: map[peerinfo.NodeID]*knownAddress{}}
}

// add takes what a peer tells. A time in the future is not believed.
func (b *addressBook) add(peers []wire.PeerAddress, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range peers {
		seen := time.Unix(p.LastSeen, 0)
		if seen.After(now) {
			seen = now.Add(-time.Hour)
		}
		if now.Sub(seen) > addressHorizon || p.Addr.Port() == 0 || !p.Addr.Addr().IsValid() || p.Addr.Addr().IsUnspecified() || p.Addr.Addr().IsMulticast() {
			continue
		}
		if known := b.known[p.ID]; known != nil {
			if seen.After(known.LastSeen) && known.failures > 0 {
				known.At = p.Addr
			}
			continue
		}
		if len(b.known) >= maxAddresses {
			b.forgetOne(now)
		}
		b.known[p.ID] = &knownAddress{Address: peerinfo.Address{ID: p.ID, At: p.Addr, LastSeen: seen}}
	}
}

// forgetOne makes room: an address that does not answer or that we have only been
// told of, or else any. So nobody can push those that proved good out of the book
// by telling us others.
func (b *addressBook) forgetOne(now time.Time) {
	var victim peerinfo.NodeID
	for id, known := range b.known {
		victim = id
		if !known.answered || known.failures > 0 || now.Sub(known.LastSeen) > addressHorizon/2 {
			break
		}
	}
	delete(b.known, victim)
}

// good notes that a node answered at an address.
func (b *addressBook) good(id peerinfo.NodeID, address string, now time.Time) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known[id] == nil && len(b.known) >= maxAddresses {
		b.forgetOne(now)
	}
	b.known[id] = &knownAddress{Address: peerinfo.Address{ID: id, At: at, LastSeen: now}, answered: true, tried: now}
}

// failed notes that a node did not answer. If nobody does, it may be our own
// network that is down: then it is called again before long, and not forgotten.
func (b *addressBook) failed(id peerinfo.NodeID, lonely bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known := b.known[id]; known != nil && (!lonely || known.failures < maxLonely) {
		if known.failures++; known.failures >= maxFailures {
			delete(b.known, id)
		}
	}
}

// choose returns an address to call, at random, so that nobody can predict whom we call.
// One that did not answer is left alone, the longer the more often it did not.
func (b *addressBook) choose(now time.Time, unwanted func(peerinfo.NodeID) bool) (target, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, known := range b.known { // in random order
		wait := time.Minute << known.failures
		if unwanted(known.ID) || now.Sub(known.tried) < wait {
			continue
		}
		known.tried = now
		id := known.ID
		return target{address: known.At.String(), id: &id}, true
	}
	return target{}, false
}

// all returns every address.
func (b *addressBook) all() []knownAddress {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]knownAddress, 0, len(b.known))
	for _, known := range b.known {
		list = append(list, *known)
	}
	return list
}

// sample returns addresses that a peer may be told, at random: the answer shows a part of
// the book, and not whom we are connected to.
func (b *addressBook) sample(most int) []wire.PeerAddress {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]wire.PeerAddress, 0, min(most, len(b.known)))
	for _, known := range b.known {
		if len(list) == most {
			break
		}
		if known.failures == 0 {
			list = append(list, wire.PeerAddress{ID: known.ID, Addr: known.At, LastSeen: known.LastSeen.Unix()})
		}
	}
	return list
}

// savedAddress is an address in the file.
type savedAddress struct {
	ID       string `json:"id"`
	Address  string `json:"address"`
	LastSeen int64  `json:"last_seen"`
	Answered bool   `json:"answered,omitempty"`
}

// load reads a file, as far as it holds addresses.
func (b *addressBook) load(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxAddressFile))
	if err != nil {
		return err
	}
	var list []savedAddress
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, saved := range list[:min(len(list), maxAddresses)] {
		id, err := peerinfo.ParseNodeID(saved.ID)
		at, err2 := netip.ParseAddrPort(saved.Address)
		if err == nil && err2 == nil {
			b.known[id] = &knownAddress{Address: peerinfo.Address{ID: id, At: at, LastSeen: time.Unix(saved.LastSeen, 0)}, answered: saved.Answered}
		}
	}
	return nil
}

// save writes the file, whole or not at all. An address that fails stays: it may be
// our own network that is down.
func (b *addressBook) save(path string) error {
	list := []savedAddress{}
	for _, known := range b.all() {
		list = append(list, savedAddress{known.ID.String(), known.At.String(), known.LastSeen.Unix(), known.answered})
	}
	data, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	return wholefile.ReplaceBytes(path, append(data, '\n'))
}

// KnownAddresses returns where other nodes were seen, at most so many.
func (m *Manager) KnownAddresses(most int) []peerinfo.Address {
	known := m.book.all()
	list := make([]peerinfo.Address, max(min(len(known), most), 0))
	for i := range list {
		list[i] = known[i].Address
	}
	return list
}

// discover looks for peers until the context ends: those of the network's file
// first, then what peers tell, and the first again while we are connected to nobody
// of our choice. Those who call us are no reason not to: they choose us.
func (m *Manager) discover(ctx context.Context) {
	m.bootstrap(ctx)
	last := m.o.Now()
	ticker := time.NewTicker(dialEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		m.mu.Lock()
		busy := m.dialing
		m.mu.Unlock()
		if busy > 0 || !m.slots.isActive() || m.slots.outbound() >= m.o.MaxOutbound {
			continue
		}
		there := m.slots.connectedTo()
		t, ok := m.book.choose(m.o.Now(), func(id peerinfo.NodeID) bool { return there[id] || !m.slots.allowed(id) })
		switch {
		case ok:
			m.dial(t)
		case !m.slots.called() && m.o.Now().Sub(last) >= bootstrapEvery:
			m.bootstrap(ctx)
			last = m.o.Now()
		}
	}
}

// dial calls a node once, in the background.
func (m *Manager) dial(t target) {
	m.count(&m.dialing, 1)
	done := sync.OnceFunc(func() { m.count(&m.dialing, -1) })
	started := m.begin(func(ctx context.Context) {
		timer := time.AfterFunc(handshakeTimeout, done)
		defer timer.Stop()
		defer done()
		if err := m.call(ctx, t, false); err != nil && t.id != nil {
			m.book.failed(*t.id, len(m.slots.all()) == 0)
		}
	})
	if !started {
		done()
	}
}

// bootstrap takes the peers of the network's file into the book, and calls those
// that only have a name.
func (m *Manager) bootstrap(ctx context.Context) {
	for _, text := range m.o.Params.Bootstrap.Nodes {
		t, err := parseTarget(text)
		if err != nil {
			m.log.Warn("a bootstrap node of the network's file", "err", err)
			continue
		}
		m.dial(t)
	}
	port := strconv.Itoa(int(m.o.Params.Ports.P2P))
	for _, host := range m.o.Params.Bootstrap.DNS {
		if m.o.ByName(host) { // whoever answers knows others
			m.dial(target{address: net.JoinHostPort(host, port)})
			continue
		}
		addresses, err := m.o.Resolve(ctx, host)
		if err != nil {
			m.log.Warn("a bootstrap name of the network's file", "name", host, "err", err)
			continue
		}
		rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
		for _, address := range addresses[:min(len(addresses), 4)] {
			m.dial(target{address: net.JoinHostPort(address.String(), port)})
		}
	}
}
