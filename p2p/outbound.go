package p2p

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/addrbook"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// The bounds of what discovery calls.
const (
	maxOutgoing  = 16              // calls at once that have not been answered
	callsATime   = 4               // that begin at once
	youngCall    = 3 * time.Second // for which a call takes the place that it is made for: later it is most often in vain
	sharedGroups = 3               // peers that may be of one group, when there is nobody else for shortTime
	shortTime    = time.Minute
)

// How long a peer's chain, or ours, may stay behind. They are Bitcoin Core's.
const (
	staleLeast   = 30 * time.Minute // and three blocks
	extraEvery   = 10 * time.Minute
	extraTime    = 2 * time.Minute // that an extra peer has to tell of a block
	reviewEvery  = 45 * time.Second
	behindTime   = 20 * time.Minute // for which a peer may have less work than we
	behindAnswer = 2 * time.Minute  // and then, after it was asked
	maxProtected = 4                // peers with a good chain that are never let go for that
)

// Why discovery hangs up.
var (
	errLate   = errors.New("others were quicker")
	errBehind = errors.New("its chain stays behind ours")
	errExtra  = errors.New("it was called because the tip was old, and another peer tells more")
)

// outgoing is a call of discovery, from its beginning to the end of the connection.
type outgoing struct {
	candidate  addrbook.Candidate // its At is not valid for a name
	group      addrbook.Group
	blocksOnly bool
	extra      bool // because the tip is old
	began      time.Time
	peer       *peer // nil: there is no connection yet

	told      time.Time   // it told of a block that was new to us
	behind    time.Time   // its chain has less work than ours since; zero: it has not
	goal      types.Index // our tip then, which it should tell of
	asked     time.Time   // it was asked for headers because of that
	protected bool
}

// fill calls nodes if there should be more peers.
func (d *discovery) fill() {
	d.mu.Lock()
	d.hurry = false
	d.mu.Unlock()
	for range callsATime {
		blocksOnly, extra, wanted := d.lacking()
		if !wanted {
			return
		}
		c, ok := d.nextAnchor()
		if ok {
			blocksOnly, extra = true, false
		} else if c, ok = d.draw(); !ok {
			return
		}
		d.mu.Lock()
		d.hurry = true
		d.mu.Unlock()
		t := targetOf(c)
		t.blocksOnly = blocksOnly
		d.connect(&outgoing{candidate: c, group: c.Group(), blocksOnly: blocksOnly, extra: extra}, t)
	}
}

// targetOf is a place of the book as a target.
func targetOf(c addrbook.Candidate) target {
	t := target{address: c.At.String()}
	if !c.ID.IsZero() {
		t.id = &c.ID
	}
	return t
}

// lacking tells what kind of peer to call next, if any.
func (d *discovery) lacking() (blocksOnly, extra, wanted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	calls := 0
	for o := range d.outgoing {
		if o.peer == nil {
			calls++
		}
	}
	switch {
	case calls >= maxOutgoing:
		return false, false, false
	case len(d.again) > 0, d.room(true, now) > 0:
		return true, false, true
	case d.room(false, now) > 0:
		return false, false, true
	case d.stale(now) && !now.Before(d.nextExtra):
		d.nextExtra = now.Add(extraEvery)
		return false, true, true
	}
	return false, false, false
}

// room is how many more peers of a kind there should be. Those for blocks alone come
// when there are full ones: nobody can be asked for addresses by them. It assumes mu.
func (d *discovery) room(blocksOnly bool, now time.Time) int {
	full, only := d.o.full, d.o.blocksOnly
	for o := range d.outgoing {
		switch {
		case o.peer == nil && now.Sub(o.began) > youngCall, o.extra:
		case o.blocksOnly:
			only--
		default:
			full--
		}
	}
	if !blocksOnly {
		return full
	}
	if full > 0 {
		return 0
	}
	return only
}

// stale reports whether no block has come for so long that there should be one more
// peer: those that we have may keep blocks from us. It assumes mu.
func (d *discovery) stale(now time.Time) bool {
	return !d.fresh.IsZero() && now.Sub(d.fresh) > max(staleLeast, 3*d.o.spacing)
}

// nextAnchor returns a peer for blocks alone of the last run.
func (d *discovery) nextAnchor() (addrbook.Candidate, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.again) == 0 {
		return addrbook.Candidate{}, false
	}
	c := d.again[0]
	d.again = d.again[1:]
	return c, true
}

// draw draws whom to call from the book: of a group of which we are connected to nobody.
// Who has many addresses in few networks so has few of our connections. Only when there
// has been nobody else for a while, the first few may be of one group: a network may be
// as small as that.
func (d *discovery) draw() (addrbook.Candidate, bool) {
	now := d.now()
	w := addrbook.Wanted{Groups: map[addrbook.Group]bool{}, Places: d.places(), IDs: map[peerinfo.NodeID]bool{d.o.self: true}}
	for _, p := range d.o.peers() {
		w.IDs[p.id] = true
		if !p.inbound {
			w.Groups[addrbook.GroupOfHost(p.address)] = true
		}
	}
	d.mu.Lock()
	for o := range d.outgoing {
		w.Groups[o.group] = true
	}
	short := !d.shortSince.IsZero() && now.Sub(d.shortSince) >= shortTime
	d.mu.Unlock()
	c, ok := d.choose(w)
	if !ok && short && d.connected(false) < sharedGroups {
		w.Groups = nil
		c, ok = d.choose(w)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if ok {
		d.shortSince = time.Time{}
	} else if d.shortSince.IsZero() {
		d.shortSince = now
	}
	return c, ok
}

// choose draws from the book, and leaves out whom the operator does not want.
func (d *discovery) choose(w addrbook.Wanted) (addrbook.Candidate, bool) {
	for {
		c, ok := d.book.Select(w)
		if !ok || d.o.mayCall(targetOf(c)) == nil || !d.o.active() {
			return c, ok
		}
		w.Places[c.At] = true
	}
}

// places are those that we are connected to or calling.
func (d *discovery) places() map[netip.AddrPort]bool {
	places := map[netip.AddrPort]bool{}
	for _, p := range d.o.peers() {
		if at, err := netip.ParseAddrPort(p.address); err == nil && !p.inbound {
			places[at] = true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for o := range d.outgoing {
		places[o.candidate.At] = true
	}
	return places
}

// connected counts the peers that discovery called, or the full ones of them.
func (d *discovery) connected(full bool) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for o := range d.outgoing {
		if o.peer != nil && (!full || !o.blocksOnly) {
			n++
		}
	}
	return n
}

// anchored are the peers for blocks alone, for the next run.
func (d *discovery) anchored() (list []addrbook.Candidate) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for o := range d.outgoing {
		if o.peer != nil && o.blocksOnly && o.candidate.At.IsValid() {
			list = append(list, addrbook.Candidate{At: o.candidate.At, ID: o.peer.id, Tried: true})
		}
	}
	return list
}

// connect calls a node in the background, and stays connected as long as it is kept.
func (d *discovery) connect(o *outgoing, t target) {
	o.began = d.now()
	t.enter = func(p *peer) error { return d.enter(o, p) }
	d.mu.Lock()
	d.outgoing[o] = struct{}{}
	d.mu.Unlock()
	end := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.outgoing, o)
	}
	if !d.o.begin(func(ctx context.Context) {
		err := d.o.call(ctx, t)
		end()
		d.over(o, err)
	}) {
		end()
	}
}

// enter lets a node in that has answered, unless its place is taken meanwhile.
func (d *discovery) enter(o *outgoing, p *peer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	most := d.o.full
	if o.blocksOnly {
		most = d.o.blocksOnly
	}
	for other := range d.outgoing {
		switch {
		case other.peer == nil:
		case other.peer.id == p.id: // under another address
			return errConnected
		case other.blocksOnly == o.blocksOnly && !other.extra:
			most--
		}
	}
	if !o.extra && most <= 0 {
		return errLate
	}
	o.peer = p
	return nil
}

// over notes how a call ended.
func (d *discovery) over(o *outgoing, err error) {
	at := o.candidate.At
	switch {
	case !at.IsValid():
	case err == nil:
		d.book.Seen(at)
	case !errors.Is(err, errConnected) && !errors.Is(err, errLate):
		d.book.Failed(at, d.connected(false) > 1)
	}
}

// review looks now and then at the tip and at the peers' chains: whether a peer stays
// behind, and which is of least use when there is one too many.
func (d *discovery) review() {
	now, tip := d.now(), d.o.chain.tip()
	d.mu.Lock()
	if d.tip != tip.Hash || d.fresh.IsZero() {
		d.tip, d.fresh = tip.Hash, now
	}
	due := !now.Before(d.nextReview)
	var list []*outgoing
	if due {
		d.nextReview = now.Add(reviewEvery)
		for o := range d.outgoing {
			if o.peer != nil {
				list = append(list, o)
			}
		}
	}
	d.mu.Unlock()
	for _, o := range list {
		d.look(o, tip, now)
	}
	if due {
		d.dropExtra(now)
	}
}

// look notes how far a peer's chain is. One that stays behind although it was asked is
// hung up on, if all places are taken: another may know a better chain.
func (d *discovery) look(o *outgoing, tip types.Index, now time.Time) {
	news := d.o.chain.news(o.peer)
	theirs, known := d.o.chain.work(d.o.chain.told(o.peer).Hash)
	behind := func(at types.Index) bool {
		work, _ := d.o.chain.work(at.Hash)
		return !known || theirs.Cmp(work) < 0
	}
	d.mu.Lock()
	goal := o.goal
	d.mu.Unlock()
	late, reached := behind(tip), !behind(goal)
	d.mu.Lock()
	o.told = news
	if o.behind.IsZero() || reached { // it has caught up with what was the tip
		o.behind, o.asked, o.goal = time.Time{}, time.Time{}, tip
	}
	ask, hangUp := d.judgeChain(o, late, now)
	d.mu.Unlock()
	switch {
	case hangUp:
		o.peer.close(errBehind)
	case ask:
		d.o.chain.ask(o.peer)
	}
}

// judgeChain tells what to do about a peer's chain. It assumes mu.
func (d *discovery) judgeChain(o *outgoing, behind bool, now time.Time) (ask, hangUp bool) {
	if !behind {
		o.behind, o.asked = time.Time{}, time.Time{}
		o.protected = o.protected || d.protected() < maxProtected
		return false, false
	}
	switch {
	case o.protected || d.room(o.blocksOnly, now) > 0:
	case o.behind.IsZero():
		o.behind = now
	case o.asked.IsZero() && now.Sub(o.behind) >= behindTime:
		o.asked = now
		return true, false
	case !o.asked.IsZero() && now.Sub(o.asked) >= behindAnswer:
		return false, true
	}
	return false, false
}

// protected counts the peers that are not let go for their chain. It assumes mu.
func (d *discovery) protected() (n int) {
	for o := range d.outgoing {
		if o.protected {
			n++
		}
	}
	return n
}

// dropExtra lets go of the peer that told of a block the longest ago, when there is one
// more than there should be, after that had its chance.
func (d *discovery) dropExtra(now time.Time) {
	d.mu.Lock()
	var worst, extra *outgoing
	for o := range d.outgoing {
		if o.peer == nil || o.blocksOnly {
			continue
		}
		if o.extra {
			extra = o
		}
		if worst == nil || o.told.Before(worst.told) || o.told.Equal(worst.told) && o.began.After(worst.began) {
			worst = o
		}
	}
	if extra == nil || now.Sub(extra.began) < extraTime {
		d.mu.Unlock()
		return
	}
	extra.extra = false // it takes the place of the worst, which may be itself
	d.mu.Unlock()
	worst.peer.close(errExtra)
}
