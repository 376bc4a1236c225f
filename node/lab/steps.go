package lab

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/node"
)

// What the lab waits for, in real time. None of these decides what happens while the
// nodes work: after patience the run is told not to be repeatable.
const (
	patience  = 30 * time.Second
	tieWait   = 100 * time.Millisecond // for blocks that change nothing, since the chain has no more work
	txWait    = 10 * time.Second       // for a transaction
	callAfter = 2 * time.Second        // after which a node calls the other anew
)

// resend is what a loss costs besides the way there and back, in the lab's time.
const resend = 200 * time.Millisecond

// What the nodes at a link want of each other.
type want int

const (
	nothing want = iota
	tie          // blocks of a chain with as much work: each keeps its own
	blocks       // of a chain with more work
)

// Run runs the nodes until the context ends, and lets time pass if Options.Speed says so.
// started is called when all are connected.
func (l *Lab) Run(ctx context.Context, started func([]node.Started)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	up := make([]chan node.Started, len(l.members))
	done := make(chan error, len(l.members)+1)
	for i, m := range l.members {
		up[i] = make(chan node.Started, 1)
		go func() {
			defer cancel() // when one ends all do
			err := m.Run(ctx, func(s node.Started) { up[i] <- s })
			if err != nil {
				err = fmt.Errorf("node %d: %w", i, err)
			}
			done <- err
		}()
	}
	go func() {
		defer cancel()
		done <- l.conduct(ctx, up, started)
	}()
	var errs []error
	for range len(l.members) + 1 {
		errs = append(errs, <-done)
	}
	return errors.Join(errs...)
}

// conduct waits until the nodes run, and lets time pass.
func (l *Lab) conduct(ctx context.Context, up []chan node.Started, started func([]node.Started)) error {
	nodes := make([]node.Started, len(up))
	for i := range up {
		select {
		case nodes[i] = <-up[i]:
		case <-ctx.Done():
			return nil
		}
	}
	if err := l.connect(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	for _, m := range l.members {
		for _, subscribe := range []func() (<-chan struct{}, func()){m.Chain().Subscribe, m.Pool().Subscribe} {
			pokes, end := subscribe()
			defer end()
			go func() {
				for {
					select {
					case <-pokes:
						l.wake.Poke()
					case <-ctx.Done():
						return
					}
				}
			}()
		}
	}
	close(l.ready)
	started(nodes)
	return ignoreEnd(ctx, l.pass(ctx))
}

func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// connect waits until each node is connected to its neighbours, and closes the links.
func (l *Lab) connect(ctx context.Context) error {
	err := wait(ctx, patience, func(time.Duration) bool {
		for _, m := range l.members {
			if m.Connections() < len(m.links) {
				return false
			}
		}
		return true
	})
	l.let(nil)
	if errors.Is(err, errPatience) {
		err = errors.New("the nodes do not find each other")
	}
	return err
}

// errPatience is for what did not come about.
var errPatience = errors.New("it did not come about")

// wait waits until a condition holds. The condition is told how long that takes.
func wait(ctx context.Context, patience time.Duration, holds func(waited time.Duration) bool) error {
	pause, began := 200*time.Microsecond, time.Now()
	for {
		waited := time.Since(began)
		if holds(waited) {
			return nil
		}
		if waited > patience {
			return errPatience
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, 10*time.Millisecond)
	}
}

// pace is how the lab's time follows the real one.
type pace struct {
	speed float64       // of the lab's seconds in one
	since time.Time     // when time began to pass so
	from  time.Duration // the lab's time then
}

// at is the lab's time now.
func (p *pace) at(now time.Time) time.Duration {
	return p.from + time.Duration(float64(now.Sub(p.since))*p.speed)
}

// pass lets time pass until the context ends.
func (l *Lab) pass(ctx context.Context) error {
	if err := l.turn.Take(ctx); err != nil {
		return err
	}
	l.pace.since, l.pace.from = time.Now(), l.now
	l.turn.Give()
	for {
		rest, err := l.catchUp(ctx)
		if err != nil {
			return err
		}
		timer := time.NewTimer(rest)
		select {
		case <-timer.C:
		case <-l.wake:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
}

// catchUp does what is due, and returns how long nothing will be.
func (l *Lab) catchUp(ctx context.Context) (rest time.Duration, err error) {
	if err := l.turn.Take(ctx); err != nil {
		return 0, err
	}
	defer l.turn.Give()
	if l.pace.speed == 0 {
		return math.MaxInt64, l.look(ctx)
	}
	now := l.pace.at(time.Now())
	if err := l.until(ctx, now); err != nil {
		return 0, err
	}
	rest = time.Minute
	if at, ok := l.list.next(); ok {
		rest = min(rest, max(0, time.Duration(float64(at-now)/l.pace.speed)))
	}
	return rest, nil
}

// until does what happens until a moment, which then is now. It assumes the turn, as all
// that follows does.
func (l *Lab) until(ctx context.Context, end time.Duration) error {
	for {
		if err := l.look(ctx); err != nil {
			return err
		}
		at, ok := l.list.next()
		if !ok || at > end {
			break
		}
		if _, err := l.step(ctx); err != nil {
			return err
		}
	}
	l.moveTo(max(l.now, end))
	return nil
}

// moveTo sets the lab's time, and the nodes' clocks.
func (l *Lab) moveTo(now time.Duration) {
	l.now = now
	for _, m := range l.members {
		m.SetTime(l.clock())
	}
}

// step does what is next on the list, and reports whether that was a block.
func (l *Lab) step(ctx context.Context) (found bool, err error) {
	e := l.list.take()
	l.moveTo(max(l.now, e.at))
	if e.link != nil {
		return false, l.exchange(ctx, e.link)
	}
	m := l.members[l.finds.IntN(len(l.members))]
	l.nextFind()
	return true, l.mine(ctx, m)
}

// nextFind puts the next block on the list.
func (l *Lab) nextFind() {
	if l.o.Spacing > 0 {
		l.list.add(l.now+time.Duration(l.finds.ExpFloat64()*float64(l.o.Spacing)), nil)
	}
}

// mine has a node find a block.
func (l *Lab) mine(ctx context.Context, m *member) error {
	m.found++
	// The seed's hash, the node and its count: no two blocks of a lab are equal.
	extra := l.o.Seed*0x9e3779b97f4a7c15<<24 ^ uint64(m.number)<<40 ^ m.found
	if _, err := m.MineBlock(ctx, m.script, extra); err != nil {
		return fmt.Errorf("node %d finds no block: %w", m.number, err)
	}
	return l.changed(ctx, m, nil, nil)
}

// changed puts a node's news on the list, for all of its neighbours but the one that it has
// them from. Chance is each link's own; nil.
func (l *Lab) changed(ctx context.Context, m *member, from *link, chance *rand.Rand) error {
	if err := l.note(ctx, m); err != nil {
		return err
	}
	for _, k := range m.links {
		if k != from && !k.cut {
			random := chance
			if random == nil {
				random = k.random
			}
			l.list.add(l.now+l.takes(k, random), k)
		}
	}
	return nil
}

// takes draws how long news take over a link.
func (l *Lab) takes(k *link, random *rand.Rand) time.Duration {
	d := time.Duration(float64(k.delay) * (0.5 + random.Float64()))
	for l.loss > 0 && random.Float64() < l.loss {
		d += 2*k.delay + resend
	}
	return d
}

// note remembers what a node has, with its pool at its tip.
func (l *Lab) note(ctx context.Context, m *member) error {
	if err := m.Pool().CatchUp(ctx); err != nil {
		return err
	}
	m.tip = m.Chain().Tip()
	_, m.accepted = m.Pool().Accepted(math.MaxUint64, 0)
	return nil
}

// look puts on the list what clients have done.
func (l *Lab) look(ctx context.Context) error {
	for _, m := range l.members {
		_, accepted := m.Pool().Accepted(math.MaxUint64, 0)
		if m.Chain().Tip() == m.tip && accepted == m.accepted {
			continue
		}
		l.repeatable = false
		if err := l.changed(ctx, m, nil, l.outside); err != nil {
			return err
		}
	}
	return nil
}

// exchange opens a link until both of its nodes have what they want of each other.
func (l *Lab) exchange(ctx context.Context, k *link) error {
	before := [2]types.Index{k.a.tip, k.b.tip}
	pools := [2]uint64{k.a.accepted, k.b.accepted}
	if k.cut || l.settled(ctx, k) {
		return nil
	}
	l.let(k)
	called := callAfter
	var txs time.Duration // from when on nothing but transactions was missing
	err := wait(ctx, patience, func(waited time.Duration) bool {
		if waited > called && k.b.Connections() < len(k.b.links) {
			called = waited + callAfter
			_ = k.b.CallAgain(k.a.address.String()) // it is tried again
		}
		switch l.wants(k) {
		case blocks:
			return false
		case tie:
			if waited < tieWait {
				return false
			}
		}
		if txs == 0 {
			txs = waited
		}
		return len(l.lacking(ctx, k)) == 0 || waited-txs > txWait
	})
	l.let(nil)
	if err != nil && !errors.Is(err, errPatience) {
		return err
	}
	l.giveUp(ctx, k)
	for i, m := range []*member{k.a, k.b} {
		if err := l.note(ctx, m); err != nil {
			return err
		}
		if m.tip != before[i] || m.accepted != pools[i] {
			if err := l.changed(ctx, m, k, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// giveUp notes what a link was in vain waited for, so that it is not again.
func (l *Lab) giveUp(ctx context.Context, k *link) {
	if l.wants(k) == blocks {
		k.inVain.tips = [2]types.Hash{k.a.Chain().Tip().Hash, k.b.Chain().Tip().Hash}
		l.repeatable = false
		l.o.Logger.Warn("two nodes did not take each other's blocks: this run may come out otherwise the next time", "link", k)
	}
	for _, wtxid := range l.lacking(ctx, k) {
		k.inVain.txs[wtxid] = struct{}{}
		l.repeatable = false
		l.o.Logger.Warn("a node did not take a transaction: this run may come out otherwise the next time", "link", k, "wtxid", wtxid)
	}
}

func (l *Lab) settled(ctx context.Context, k *link) bool {
	return l.wants(k) == nothing && len(l.lacking(ctx, k)) == 0
}

// wants returns which blocks one of the nodes wants of the other.
func (l *Lab) wants(k *link) want {
	a, b := k.a.Chain(), k.b.Chain()
	x, y := a.Tip().Hash, b.Tip().Hash
	if x == y || k.inVain.tips == [2]types.Hash{x, y} {
		return nothing
	}
	ofX, atB := b.Info(x)
	ofY, atA := a.Info(y)
	own, _ := a.Info(x)
	other, _ := b.Info(y)
	switch {
	case own.Work != other.Work:
		return blocks
	case atA && atB && ofX.Status.Has(header.StatusBody) && ofY.Status.Has(header.StatusBody):
		return nothing
	}
	return tie
}

// lacking returns what waits at one of the nodes, and the other would take.
func (l *Lab) lacking(ctx context.Context, k *link) (wtxids []types.Hash) {
	for _, way := range [][2]*member{{k.a, k.b}, {k.b, k.a}} {
		from, to := way[0].Pool(), way[1].Pool()
		if from.CatchUp(ctx) != nil || to.CatchUp(ctx) != nil {
			return nil // the context has ended
		}
		for _, entry := range from.Entries() {
			if _, inVain := k.inVain.txs[entry.WTxID]; inVain || to.GetByWitness(entry.WTxID) != nil {
				continue
			}
			if wanted(ctx, to, entry) {
				wtxids = append(wtxids, entry.WTxID)
			}
		}
	}
	return wtxids
}

// wanted reports whether a pool would take a transaction.
func wanted(ctx context.Context, to interface {
	Try(context.Context, []*types.Tx) ([]pending.Verdict, error)
}, entry *pending.Entry) bool {
	verdicts, err := to.Try(ctx, []*types.Tx{entry.Tx})
	return err == nil && len(verdicts) == 1 && verdicts[0].Err == nil && verdicts[0].PackageErr == nil && !verdicts[0].Present
}
