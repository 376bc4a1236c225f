package p2p

import (
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// The budget of processor time.
const (
	// processorMemory is for how long work counts: what was done longer ago counts
	// less and less.
	processorMemory = 10 * time.Second
	// maxPatience is how long one message may have to wait.
	maxPatience = 10 * time.Second
	// maxWaited is for how long a stranger may have to wait altogether without having
	// brought anything before it is hung up on.
	maxWaited = 2 * time.Minute
	// activeShare is the part of the share that makes who takes it one of those between
	// whom the share is divided.
	activeShare = 0.01
	maxAccounts = 4096
	// countEvery is how often it is counted who those are: there may be many, and it is
	// asked for every message.
	countEvery = 100 * time.Millisecond
	// maxCharge is the most that is counted at once. What takes longer has most likely
	// waited for something.
	maxCharge = time.Second
	// meritWorth is the work that a transaction which the pool has taken pays for.
	meritWorth = 100 * time.Millisecond
)

// errCostly is for a stranger that makes us work more than others, for nothing, and goes on.
var errCostly = errors.New("it makes us work much more than others, and brings nothing")

// processor is the budget of processor time that all strangers share. It counts the work
// that brought nothing: messages and requests, handshakes too, but neither blocks that we
// asked for, nor transactions that the pool took, nor the sending of blocks, of which whoever
// wants them has to take the bytes. As long as that is less than the share nobody waits.
// When it is more, the share is divided among the networks of those who take some of it,
// and within each among its addresses. Who takes more than that waits; who takes less never
// does.
//
// Who is not to blame for it does not wait because the chain is busy: the work is what the
// thread has done, if there is a clock of that. If not, time in which the work waited counts
// as well, but no more than maxCharge at once.
type processor struct {
	share  float64 // processors that strangers may keep busy together
	now    func() time.Time
	thread func() time.Duration // for which the thread of the goroutine has worked; nil: it is not known

	mu sync.Mutex
	// Guarded by mu:
	accounts map[string]*account // by culprit
	total    work
	active   map[string]int // accounts that take some of the share, by group
	counted  time.Time      // when these were counted
}

// work is seconds of work that count less the older they are.
type work struct {
	seconds float64
	at      time.Time
}

// lately returns what still counts.
func (w work) lately(now time.Time) float64 {
	return w.seconds * math.Exp(-max(now.Sub(w.at), 0).Seconds()/processorMemory.Seconds())
}

func (w *work) add(seconds float64, now time.Time) {
	*w = work{max(w.lately(now)+seconds, 0), now}
}

// processors is how many have been busy with it on average.
func (w work) processors(now time.Time) float64 { return w.lately(now) / processorMemory.Seconds() }

// account is the work for one culprit.
type account struct {
	group    string
	isActive bool // when they were last counted
	wasted   work
	waited   time.Duration // since it last brought something
}

func newProcessor(share float64, now func() time.Time, thread func() time.Duration) *processor {
	return &processor{share: share, now: now, thread: thread, accounts: map[string]*account{}}
}

// measure works, and returns how long that took. The work counts in idle, which may be nil,
// for how long it has waited for a peer.
func (b *processor) measure(work func(), idle *atomic.Int64) time.Duration {
	if b.thread != nil {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		began := b.thread()
		work()
		return b.thread() - began
	}
	waited := func() time.Duration {
		if idle == nil {
			return 0
		}
		return time.Duration(idle.Load())
	}
	began, before := time.Now(), waited()
	work()
	return time.Since(began) - (waited() - before)
}

// charge counts work for somebody that brought nothing.
func (b *processor) charge(who, group string, spent time.Duration) {
	if spent = min(spent, maxCharge); spent <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	a := b.accounts[who]
	if a == nil {
		b.makeRoom(now)
		a = &account{group: group, wasted: work{at: now}}
		b.accounts[who] = a
	}
	a.wasted.add(spent.Seconds(), now)
	b.total.add(spent.Seconds(), now)
}

// brought notes that somebody brought something that is worth so much work.
func (b *processor) brought(who string, worth time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a := b.accounts[who]; a != nil {
		now := b.now()
		paid := min(a.wasted.lately(now), worth.Seconds())
		a.wasted.add(-paid, now)
		b.total.add(-paid, now)
		a.waited = 0
	}
}

// patience returns how long the next message of somebody has to wait. The error is
// errCostly, if that has been too often.
func (b *processor) patience(who string) (time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, now := b.accounts[who], b.now()
	if a == nil {
		return 0, nil
	}
	excess := b.excess(a, now)
	if excess <= 1 {
		return 0, nil
	}
	wait := time.Duration(min((excess-1)*float64(processorMemory), float64(maxPatience)))
	if a.waited += wait; a.waited > maxWaited {
		return 0, errCostly
	}
	return wait, nil
}

// isCostly reports whether somebody takes more than its part while there is too little.
func (b *processor) isCostly(who string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.accounts[who]
	return a != nil && b.excess(a, b.now()) > 1
}

// busy returns how many processors strangers keep busy for nothing.
func (b *processor) busy() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total.processors(b.now())
}

// excess is how many times its part of the share an account takes; 0 if there is
// enough for all. It assumes mu.
func (b *processor) excess(a *account, now time.Time) float64 {
	if b.total.processors(now) <= b.share {
		return 0
	}
	if since := now.Sub(b.counted); b.active == nil || since < 0 || since >= countEvery {
		b.counted, b.active = now, map[string]int{}
		for _, other := range b.accounts {
			if other.isActive = other.wasted.processors(now) > b.share*activeShare; other.isActive {
				b.active[other.group]++
			}
		}
	}
	groups, members := len(b.active), b.active[a.group]
	if members == 0 {
		groups++
	}
	if !a.isActive {
		members++
	}
	part := b.share / float64(groups) / float64(members)
	return a.wasted.processors(now) / part
}

// makeRoom forgets accounts of which nothing counts any more, and then any. It assumes mu.
func (b *processor) makeRoom(now time.Time) {
	if len(b.accounts) < maxAccounts {
		return
	}
	for who, a := range b.accounts {
		if a.wasted.lately(now) < time.Millisecond.Seconds() {
			delete(b.accounts, who)
		}
	}
	for who := range b.accounts {
		if len(b.accounts) <= maxAccounts*7/8 {
			break
		}
		delete(b.accounts, who)
	}
}
