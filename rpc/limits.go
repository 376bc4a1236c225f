package rpc

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The defaults of Limits, and what they bound.
const (
	DefaultCallTime   = 15 * time.Minute // a slow call is done by then on any disk that works
	DefaultUserMemory = 256 << 20        // bytes

	limitWait = 10 * time.Second // that a request waits for its user to have room

	answerHold = 1 << 20 // bytes that a request is taken to need for its answer
	holdStep   = 1 << 20 // bytes by which the memory for a message of a WebSocket grows
)

// Limits bound what one user can take, so that it does not take what others need. The
// zero value has the defaults.
type Limits struct {
	Rate     float64       // calls a second; 0: as many as the node can. The cookie's user has no such limit
	CallTime time.Duration // of a request, with all calls of a batch; 0: DefaultCallTime
	Memory   int64         // bytes of requests and answers that are under way; 0: DefaultUserMemory
}

func (l Limits) callTime() time.Duration {
	if l.CallTime > 0 {
		return l.CallTime
	}
	return DefaultCallTime
}

func (l Limits) memory() int64 {
	if l.Memory > 0 {
		return l.Memory
	}
	return DefaultUserMemory
}

// account is what a user takes at the moment, by all its connections.
type account struct {
	name   string
	limits Limits
	rate   *rate.Limiter // nil: none

	mu sync.Mutex
	// Guarded by mu:
	held int64         // bytes
	room chan struct{} // closed when bytes are given back; nil: nobody waits for that
}

// accounts are those of all users, by name.
type accounts struct {
	limits Limits

	mu sync.Mutex
	// Guarded by mu:
	all map[string]*account
}

func (a *accounts) of(user string) *account {
	a.mu.Lock()
	defer a.mu.Unlock()
	if found := a.all[user]; found != nil {
		return found
	}
	if a.all == nil {
		a.all = map[string]*account{}
	}
	made := &account{name: user, limits: a.limits}
	if a.limits.Rate > 0 && user != CookieUser {
		made.rate = rate.NewLimiter(rate.Limit(a.limits.Rate), max(1, int(a.limits.Rate)))
	}
	a.all[user] = made
	return made
}

// userIn is the name of the user whose call a context is of, or empty.
func userIn(ctx context.Context) string {
	if u, ok := ctx.Value(userKey{}).(*User); ok {
		return u.Name
	}
	return ""
}

// takePlace waits for a place among the slow calls, and returns what gives it back.
func (s *Server) takePlace(ctx context.Context) (leave func(), err error) {
	return s.slow.wait(ctx, userIn(ctx))
}

// call waits until the user may make another call, and refuses it if that is long.
func (a *account) call(ctx context.Context) error {
	if a.rate == nil {
		return nil
	}
	turn := a.rate.Reserve()
	wait := turn.Delay()
	if wait > limitWait {
		turn.Cancel()
		return failf(CodeMisc, "the user %s makes more than %g calls a second; make fewer, or let the node's operator raise --rpc-rate", a.name, a.limits.Rate)
	}
	if wait == 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hold is what one request has of its user's memory, in bytes.
type hold struct {
	a *account
	n int64
}

// grow waits until there is room for so many bytes more. One request always has room,
// whatever its size, when it is the only one.
func (h *hold) grow(ctx context.Context, n int64) error {
	room := h.take(n)
	if room == nil {
		return nil
	}
	late := time.NewTimer(limitWait)
	defer late.Stop()
	for ; room != nil; room = h.take(n) {
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			return failf(CodeMisc, "requests and answers of the user %s take %d MiB already; read answers sooner, make fewer requests at once, or let the node's operator raise --rpc-memory",
				h.a.name, h.a.limits.memory()>>20)
		}
	}
	return nil
}

// take takes so many bytes, or returns what is closed when others have given some back.
func (h *hold) take(n int64) (room <-chan struct{}) {
	h.a.mu.Lock()
	defer h.a.mu.Unlock()
	if others := h.a.held - h.n; others == 0 || h.a.held+n <= h.a.limits.memory() {
		h.a.held, h.n = h.a.held+n, h.n+n
		return nil
	}
	if h.a.room == nil {
		h.a.room = make(chan struct{})
	}
	return h.a.room
}

// end gives all of it back.
func (h *hold) end() {
	h.a.mu.Lock()
	defer h.a.mu.Unlock()
	h.a.held -= h.n
	h.n = 0
	if h.a.room != nil {
		close(h.a.room)
		h.a.room = nil
	}
}

// readHolding reads all of a message, and takes memory for it as it comes.
func (h *hold) readHolding(ctx context.Context, r io.Reader) (message []byte, err error) {
	for {
		if err := h.grow(ctx, holdStep); err != nil {
			return nil, err
		}
		more, err := io.ReadAll(io.LimitReader(r, holdStep))
		if message = append(message, more...); err != nil || len(more) < holdStep {
			return message, err
		}
	}
}

// places are few, and users share them: a place that becomes free goes to who has fewest
// of those who wait, and of several to whose last one is longest ago, and nobody has all while there are other users.
type places struct {
	most, each int

	mu sync.Mutex
	// Guarded by mu:
	total int
	taken map[string]int // by user
	queue []*visitor
	turn  uint64            // how many were taken so far
	last  map[string]uint64 // turn at which a user got one
}

// visitor waits for a place.
type visitor struct {
	user  string
	ready chan struct{} // closed when it has one
}

func newPlaces(most, each int) *places {
	return &places{most: most, each: max(1, min(most, each)), taken: map[string]int{}, last: map[string]uint64{}}
}

// try takes a place if one is free.
func (p *places) try(user string) (leave func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.total >= p.most || p.taken[user] >= p.each {
		return nil, false
	}
	p.take(user)
	return func() { p.give(user) }, true
}

// wait takes a place when it can.
func (p *places) wait(ctx context.Context, user string) (leave func(), err error) {
	leave = func() { p.give(user) }
	p.mu.Lock()
	if len(p.queue) == 0 && p.total < p.most && p.taken[user] < p.each {
		p.take(user)
		p.mu.Unlock()
		return leave, nil
	}
	v := &visitor{user, make(chan struct{})}
	p.queue = append(p.queue, v)
	p.admit()
	p.mu.Unlock()
	select {
	case <-v.ready:
		return leave, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	i := slices.Index(p.queue, v)
	if i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
	}
	p.mu.Unlock()
	if i < 0 { // it has one meanwhile
		leave()
	}
	return nil, ctx.Err()
}

func (p *places) take(user string) {
	p.total++
	p.taken[user]++
	p.turn++
	p.last[user] = p.turn
}

func (p *places) give(user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total--
	if p.taken[user]--; p.taken[user] == 0 {
		delete(p.taken, user)
	}
	p.admit()
}

// admit gives free places to those who wait.
func (p *places) admit() {
	for p.total < p.most {
		next := -1
		for i, v := range p.queue {
			if p.taken[v.user] < p.each && (next < 0 || p.before(v.user, p.queue[next].user)) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		v := p.queue[next]
		p.queue = slices.Delete(p.queue, next, next+1)
		p.take(v.user)
		close(v.ready)
	}
}

// before reports whether a user comes before another one.
func (p *places) before(a, b string) bool {
	if p.taken[a] != p.taken[b] {
		return p.taken[a] < p.taken[b]
	}
	return p.last[a] < p.last[b]
}
