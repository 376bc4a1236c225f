package p2p

import (
	"context"
	cryptorand "crypto/rand"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/addrbook"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// The times of discovery. Most are Bitcoin Core's.
const (
	discoverEvery  = 2 * time.Second        // for peers to call
	hurryEvery     = 500 * time.Millisecond // instead, while there is somebody to call
	saveEvery      = 30 * time.Second       // the book, if it changed
	feelerEvery    = 2 * time.Minute        // on average a place of the book is called to see who is there
	callerEvery    = time.Second            // at most a caller is called back
	bootstrapEvery = 5 * time.Minute        // while there is nobody else
	bootstrapWait  = 30 * time.Second       // in which those of the book may answer first
)

// The bounds of discovery.
const (
	smallBook    = 16  // addresses; with fewer the network's file is asked at once
	maxFeelers   = 4   // places at once at which we ask who is there
	maxFromSeed  = 256 // addresses that are taken of one DNS seed
	maxBootstrap = 8   // nodes of the network's file that are called at once
)

// discovery looks for peers: it keeps the book of addresses, and calls as many nodes as
// it should. outbound.go has whom it calls and keeps, gossip.go what is told of
// addresses.
type discovery struct {
	o       discoveryOptions
	book    *addrbook.Book
	callers *addrbook.Callers
	anchors addrbook.Anchors
	now     func() time.Time
	log     *slog.Logger

	mu sync.Mutex
	// Guarded by mu:
	outgoing    map[*outgoing]struct{}
	again       []addrbook.Candidate // anchors of the last run, to be called first
	probes      int                  // under way
	nextFeeler  time.Time
	nextCaller  time.Time
	bootstrapOf time.Time // the network's file was asked last
	began       time.Time
	shortSince  time.Time // there is nobody to call; zero: there is
	tip         types.Hash
	fresh       time.Time // the tip changed
	nextExtra   time.Time // an extra peer may be called for a tip that is old
	nextReview  time.Time // of the peers' chains
	hurry       bool
}

// discoveryOptions is what discovery needs of others.
type discoveryOptions struct {
	self       peerinfo.NodeID
	bootstrap  consensus.Bootstrap
	port       uint16        // of the network
	spacing    time.Duration // of its blocks
	file       string        // of the book; empty: none
	look       bool          // for peers; else the book is kept and nothing more
	full       int           // peers to look for
	blocksOnly int           // peers for blocks alone to look for besides

	begin      func(func(ctx context.Context)) bool
	call       func(ctx context.Context, t target) error
	identify   func(ctx context.Context, address string) (peerinfo.NodeID, error)
	peers      func() []*peer
	resolve    func(ctx context.Context, host string) ([]netip.Addr, error)
	byName     func(host string) bool
	external   func() []netip.AddrPort // as the operator or a router says
	listenPort func() uint16           // that others are told; 0: none
	active     func() bool             // the network is turned on
	mayCall    func(t target) error
	chain      chainView
}

// chainView is what discovery asks of the chain and of the syncer.
type chainView struct {
	tip  func() types.Index
	told func(p *peer) types.Index // the last block that a peer has told of
	news func(p *peer) time.Time   // when it last told of one that was new to us; zero: never
	work func(hash types.Hash) (consensus.Uint256, bool)
	ask  func(p *peer) // whether it has the tip
}

func newDiscovery(o discoveryOptions, now func() time.Time, log *slog.Logger) *discovery {
	seed := func() (s [32]byte) {
		_, _ = cryptorand.Read(s[:]) // which never fails
		return s
	}
	d := &discovery{
		o: o, now: now, log: log, book: addrbook.New(now, seed()), callers: addrbook.NewCallers(now, seed()), outgoing: map[*outgoing]struct{}{},
	}
	if o.file != "" {
		d.anchors = addrbook.NewAnchors(filepath.Join(filepath.Dir(o.file), "anchors.json"))
	}
	return d
}

// load reads the book of the last run.
func (d *discovery) load() {
	if d.o.file == "" {
		return
	}
	if err := d.book.Load(d.o.file); err != nil {
		d.log.Warn("known addresses could not be read", "err", err)
	}
	if !d.o.look || d.o.blocksOnly == 0 {
		return
	}
	anchors, err := d.anchors.Take()
	if err != nil {
		d.log.Warn("the anchors of the last run could not be read", "err", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.again = anchors[:min(len(anchors), d.o.blocksOnly)]
}

// run looks for peers and saves the book until the context ends.
func (d *discovery) run(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { d.saving(ctx) })
	if d.o.look {
		work.Go(func() { d.looking(ctx) })
	}
	work.Wait()
}

// saving saves what changed, now and then, so that a crash costs little.
func (d *discovery) saving(ctx context.Context) {
	if d.o.file == "" {
		return
	}
	var saved uint64
	var anchors []addrbook.Candidate
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if changes := d.book.Changes(); changes != saved {
			d.save()
			saved = changes
		}
		if now := d.anchored(); len(now) > 0 && !sameCandidates(now, anchors) {
			if err := d.anchors.Save(now); err != nil {
				d.log.Warn("the anchors could not be saved", "err", err)
			}
			anchors = now
		}
	}
}

// save saves the book. Anchors are saved while they are connected only: at the end all
// peers go, which is no reason to forget them.
func (d *discovery) save() {
	if d.o.file == "" {
		return
	}
	if err := d.book.Save(d.o.file); err != nil {
		d.log.Warn("known addresses could not be saved", "err", err)
	}
}

func sameCandidates(a, b []addrbook.Candidate) bool {
	in := map[addrbook.Candidate]bool{}
	for _, c := range a {
		in[c] = true
	}
	for _, c := range b {
		if !in[c] {
			return false
		}
	}
	return len(a) == len(b)
}

// looking calls nodes until there are enough, and whenever there are not.
func (d *discovery) looking(ctx context.Context) {
	now := d.now()
	d.mu.Lock()
	d.began, d.nextFeeler = now, now.Add(exponential(feelerEvery))
	d.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if d.o.active() {
			d.fill()
			d.feel()
			d.callBack()
			d.review()
			d.bootstrap()
		}
		d.mu.Lock()
		wait := discoverEvery
		if d.hurry {
			wait = hurryEvery
		}
		d.mu.Unlock()
		timer.Reset(wait)
	}
}

// exponential is a random time, so that nobody can tell when the next event comes from
// when the last came.
func exponential(mean time.Duration) time.Duration {
	return time.Duration(rand.ExpFloat64() * float64(mean))
}

// bootstrap asks the network's file: at once if the book has little, else when those in
// it did not answer, and again while we are connected to nobody of our choice. Those who
// call us are no reason not to: they choose us.
func (d *discovery) bootstrap() {
	now, connected := d.now(), d.connected(true)
	small := d.book.Size() < smallBook
	d.mu.Lock()
	first := d.bootstrapOf.IsZero()
	due := first && small ||
		connected == 0 && now.Sub(d.began) >= bootstrapWait && (first || now.Sub(d.bootstrapOf) >= bootstrapEvery) ||
		connected < d.o.full && !d.shortSince.IsZero() && now.Sub(d.shortSince) >= bootstrapEvery && now.Sub(d.bootstrapOf) >= bootstrapEvery
	if due {
		d.bootstrapOf = now
	}
	d.mu.Unlock()
	if !due {
		return
	}
	nodes := append([]string(nil), d.o.bootstrap.Nodes...)
	rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	for _, text := range nodes[:min(len(nodes), maxBootstrap)] {
		t, err := parseTarget(text)
		if err != nil {
			d.log.Warn("a bootstrap node of the network's file", "err", err)
			continue
		}
		d.callNamed(t)
	}
	for _, host := range d.o.bootstrap.DNS {
		d.o.begin(func(ctx context.Context) { d.seed(ctx, host) })
	}
}

// callNamed calls a node of the network's file, unless there is a connection to it.
func (d *discovery) callNamed(t target) {
	for _, p := range d.o.peers() {
		if p.address == t.address || t.id != nil && p.id == *t.id {
			return
		}
	}
	d.connect(&outgoing{group: addrbook.GroupOfHost(t.address)}, t)
}

// seed asks a DNS seed for addresses.
func (d *discovery) seed(ctx context.Context, host string) {
	if d.o.byName(host) { // whoever answers knows others
		d.callNamed(target{address: net.JoinHostPort(host, strconv.Itoa(int(d.o.port)))})
		return
	}
	addresses, err := d.o.resolve(ctx, host)
	if err != nil {
		d.log.Warn("a bootstrap name of the network's file", "name", host, "err", err)
		return
	}
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
	var told []peerinfo.Address
	for _, a := range addresses[:min(len(addresses), maxFromSeed)] {
		told = append(told, peerinfo.Address{At: netip.AddrPortFrom(a, d.o.port), LastSeen: d.now()})
	}
	// A laboratory's seed may tell of machines in the laboratory.
	d.book.Add(told, addrbook.Source{Host: host, Local: true})
}

// feel calls a place of the book now and then, asks who is there, and hangs up: so the
// book learns which of its addresses are good, and the good ones are many.
func (d *discovery) feel() {
	now := d.now()
	d.mu.Lock()
	due := !now.Before(d.nextFeeler) && d.probes < maxFeelers
	if due {
		d.nextFeeler = now.Add(exponential(feelerEvery))
	}
	d.mu.Unlock()
	if !due {
		return
	}
	c, ok := d.book.Contested()
	if !ok {
		c, ok = d.book.Select(addrbook.Wanted{NewOnly: true, Places: d.places()})
	}
	if ok {
		d.probe(c.At, func(id peerinfo.NodeID, err error) { d.felt(c, id, err) })
	}
}

// felt notes what a feeler found.
func (d *discovery) felt(c addrbook.Candidate, id peerinfo.NodeID, err error) {
	switch {
	case err != nil, c.Tried && !c.ID.IsZero() && id != c.ID: // another node is there
		d.book.Failed(c.At, d.connected(false) > 1)
	case id == d.o.self:
		d.book.Forget(c.At)
	default:
		d.answered(c.At, id)
	}
}

// callBack calls somebody who called us, where it says that it can be called.
func (d *discovery) callBack() {
	now := d.now()
	d.mu.Lock()
	due := !now.Before(d.nextCaller) && d.probes < maxFeelers
	d.mu.Unlock()
	if !due {
		return
	}
	a, ok := d.callers.Next()
	if !ok || a.ID == d.o.self || d.book.Answered(a.At, a.ID) {
		return
	}
	d.mu.Lock()
	d.nextCaller = now.Add(callerEvery)
	d.mu.Unlock()
	d.probe(a.At, func(id peerinfo.NodeID, err error) {
		if err == nil && id != d.o.self && d.book.Met(a.At, id) {
			d.spread(peerinfo.Address{ID: id, At: a.At, LastSeen: d.now()})
		}
	})
}

// probe asks who is at a place, in the background.
func (d *discovery) probe(at netip.AddrPort, done func(peerinfo.NodeID, error)) {
	d.mu.Lock()
	d.probes++
	d.mu.Unlock()
	end := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.probes--
	}
	if !d.o.begin(func(ctx context.Context) {
		defer end()
		ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		done(d.o.identify(ctx, at.String()))
	}) {
		end()
	}
}

// identifier returns a function that asks who is at an address.
func identifier(dial func(context.Context, string) (net.Conn, error), key noise.Key, network func() types.Hash) func(context.Context, string) (peerinfo.NodeID, error) {
	return func(ctx context.Context, address string) (peerinfo.NodeID, error) {
		conn, err := dial(ctx, address)
		if err != nil {
			return peerinfo.NodeID{}, err
		}
		defer conn.Close()
		return noise.Identify(ctx, conn, key, network())
	}
}
