package lab

import (
	"context"
	"fmt"
	"time"

	"github.com/karatcoin/karat/rpc/labinfo"
)

// The most that one command may ask for.
const (
	MaxBlocks  = 100_000
	MaxAdvance = 365 * 24 * time.Hour
)

// command changes something when it is its turn. What is done while time passes by itself
// comes at another moment the next time, so that the run cannot be repeated.
func (l *Lab) command(ctx context.Context, do func() error) error {
	return l.atNow(ctx, func() error {
		l.repeatable = l.repeatable && l.pace.speed == 0
		return do()
	})
}

// atNow does something when it is its turn, at the lab's time of now.
func (l *Lab) atNow(ctx context.Context, do func() error) error {
	select {
	case <-l.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := l.turn.Take(ctx); err != nil {
		return err
	}
	defer l.turn.Give()
	defer l.wake.Poke()
	if l.pace.speed > 0 {
		if err := l.until(ctx, l.pace.at(time.Now())); err != nil {
			return err
		}
	} else if err := l.look(ctx); err != nil {
		return err
	}
	err := do()
	l.pace.since, l.pace.from = time.Now(), l.now
	return err
}

// Blocks lets time pass, as fast as can be, until so many blocks were found.
func (l *Lab) Blocks(ctx context.Context, n int) error {
	switch {
	case n < 1 || n > MaxBlocks:
		return fmt.Errorf("%d blocks: 1 to %d can be asked for at once", n, MaxBlocks)
	case l.o.Spacing == 0:
		return fmt.Errorf("nobody looks for blocks in this lab: have a node mine")
	}
	return l.command(ctx, func() error {
		for n > 0 {
			if err := l.look(ctx); err != nil {
				return err
			}
			found, err := l.step(ctx)
			if err != nil {
				return err
			}
			if found {
				n--
			}
		}
		return nil
	})
}

// Advance lets a time of the lab pass, as fast as can be.
func (l *Lab) Advance(ctx context.Context, d time.Duration) error {
	if d <= 0 || d > MaxAdvance {
		return fmt.Errorf("%s: between 0 and %s can pass at once", d, MaxAdvance)
	}
	return l.command(ctx, func() error { return l.until(ctx, l.now+d) })
}

// Settle lets all news arrive that are under way, and finds no block before.
func (l *Lab) Settle(ctx context.Context) error {
	return l.command(ctx, func() error { return l.settle(ctx) })
}

func (l *Lab) settle(ctx context.Context) error {
	for l.list.news() > 0 {
		last := l.now
		for _, e := range l.list.events {
			if e.link != nil {
				last = max(last, e.at)
			}
		}
		l.list.postpone(last + 1)
		for at, ok := l.list.next(); ok && at <= last; at, ok = l.list.next() {
			if _, err := l.step(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Mine has a node find blocks now.
func (l *Lab) Mine(ctx context.Context, number, n int) error {
	m, err := l.member(number)
	if err != nil {
		return err
	}
	if n < 1 || n > MaxBlocks {
		return fmt.Errorf("%d blocks: 1 to %d can be asked for at once", n, MaxBlocks)
	}
	return l.command(ctx, func() error {
		for range n {
			if err := l.mine(ctx, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// Partition cuts all links between nodes of different groups. Nodes that are in no group
// are a group of their own together.
func (l *Lab) Partition(ctx context.Context, groups [][]int) error {
	group := map[*member]int{}
	for i, numbers := range groups {
		for _, number := range numbers {
			m, err := l.member(number)
			if err != nil {
				return err
			}
			if _, twice := group[m]; twice {
				return fmt.Errorf("node %d is in two groups", number)
			}
			group[m] = i + 1
		}
	}
	return l.command(ctx, func() error {
		for _, k := range l.links {
			l.cut(k, group[k.a] != group[k.b])
		}
		return nil
	})
}

// cut cuts a link, or mends it: then each node tells the other what it has.
func (l *Lab) cut(k *link, cut bool) {
	if k.cut && !cut {
		l.list.add(l.now+l.takes(k, k.random), k)
	}
	k.cut = cut
}

// Heal mends all links.
func (l *Lab) Heal(ctx context.Context) error { return l.Partition(ctx, nil) }

// SetDelay sets how long news take over a link, on average, and over all links if there
// are no two nodes.
func (l *Lab) SetDelay(ctx context.Context, delay time.Duration, between ...int) error {
	if err := checkDelay(delay); err != nil {
		return err
	}
	links := l.links
	if len(between) > 0 {
		if len(between) != 2 {
			return fmt.Errorf("%d nodes: a link has two", len(between))
		}
		k := l.between(between[0], between[1])
		if k == nil {
			return fmt.Errorf("nodes %d and %d have no link", between[0], between[1])
		}
		links = []*link{k}
	}
	return l.command(ctx, func() error {
		for _, k := range links {
			k.delay = delay
		}
		return nil
	})
}

// SetLoss sets the share of the news that are lost, and sent again.
func (l *Lab) SetLoss(ctx context.Context, loss float64) error {
	if err := checkLoss(loss); err != nil {
		return err
	}
	return l.command(ctx, func() error { l.loss = loss; return nil })
}

// SetSpeed sets how many seconds of the lab's time pass in a second; 0: none, until a
// command says so.
func (l *Lab) SetSpeed(ctx context.Context, speed float64) error {
	if err := checkSpeed(speed); err != nil {
		return err
	}
	return l.command(ctx, func() error { l.pace.speed = speed; return nil })
}

func (l *Lab) member(number int) (*member, error) {
	if number < 0 || number >= len(l.members) {
		return nil, fmt.Errorf("there is no node %d: they are 0 to %d", number, len(l.members)-1)
	}
	return l.members[number], nil
}

// Do does what a command says.
func (l *Lab) Do(ctx context.Context, c labinfo.Command) error {
	switch c.Verb {
	case labinfo.Mine:
		if c.Node == labinfo.Anybody {
			return l.Blocks(ctx, c.N)
		}
		return l.Mine(ctx, c.Node, c.N)
	case labinfo.Wait:
		return l.Advance(ctx, c.Time)
	case labinfo.Settle:
		return l.Settle(ctx)
	case labinfo.Partition:
		return l.Partition(ctx, c.Groups)
	case labinfo.Heal:
		return l.Heal(ctx)
	case labinfo.Delay:
		return l.SetDelay(ctx, c.Time, c.Between...)
	case labinfo.Loss:
		return l.SetLoss(ctx, c.Share)
	case labinfo.Speed:
		return l.SetSpeed(ctx, c.Rate)
	}
	return fmt.Errorf("%.20q is no command", string(c.Verb))
}

// Status tells what the lab is like now. It waits for a command that is under way.
func (l *Lab) Status(ctx context.Context) (labinfo.Status, error) {
	var s labinfo.Status
	err := l.atNow(ctx, func() error {
		s = labinfo.Status{
			Seed: l.o.Seed, Now: l.clock(), Passed: l.now, Speed: l.pace.speed, Loss: l.loss, News: l.list.news(), Repeatable: l.repeatable,
		}
		for _, m := range l.members {
			s.Nodes = append(s.Nodes, labinfo.Node{Tip: m.Chain().Tip(), Found: m.found, Waiting: len(m.Pool().Entries())})
		}
		for _, k := range l.links {
			s.Links = append(s.Links, labinfo.Link{A: k.a.number, B: k.b.number, Delay: k.delay, Cut: k.cut})
		}
		return nil
	})
	return s, err
}
