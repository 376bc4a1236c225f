// Package events writes the chain's journal (chain/journal) into a stream of NATS JetStream,
// together with other nodes.
//
// Its one idea is that nothing is remembered here. The stream's own end says what comes next,
// and each message is sent with the place that it must get. So a node that was stopped, a
// server that was lost, a message whose receipt was lost and a second node that writes the same
// stream are one case: the place is taken, or something else is at the end, and the end is read
// again.
//
//	p, err := events.New(events.Options{…}) // checks what the operator wrote
//	err = p.Run(ctx)                        // until the context ends
//
// A server that is slow or away holds nobody up: the chain pokes, and what was not told yet
// is read from it later. What goes wrong is warned of, and tried again.
package events

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
)

// Chain is the chain that is told of.
type Chain interface {
	poke.Source
	Tip() types.Index
	Info(hash types.Hash) (header.Info, bool)
	HashAt(height uint32) (types.Hash, bool)
	BlockUpdate(hash types.Hash) (consensus.BlockUpdate, error)
	UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error)
}

// Board takes warnings for the operator.
type Board interface {
	Set(about, text string)
	Unset(about string)
}

// Options are what a publisher is made of.
type Options struct {
	Config
	Params *consensus.Params
	Chain  Chain
	Writer string // by which this node knows its own messages; the same after a restart
	Board  Board
	Logger *slog.Logger
}

// About is what the warning that events wait is known by.
const About = "events"

// How long is waited.
const (
	firstWait = 250 * time.Millisecond // after a failure; doubled by each that follows
	lastWait  = 15 * time.Second

	takeOver = 2 * time.Second  // until what another node has begun is ended for it
	giveUp   = 30 * time.Second // the same, where that leaves its way

	lookAgain = time.Second      // while the stream is ahead of this node, or another is writing
	lookIdle  = 30 * time.Second // while all is told
)

// errMoved says that a place in the stream was taken: by another node, or by this one,
// which did not hear of it.
var errMoved = errors.New("the stream has moved on")

// errStill says the same of a place that is free when one looks. So it is where somebody has
// emptied a stream, and the server remembers ids of what was in it.
var errStill = errors.New("the server says that the next message is there, and it is not: after a stream was emptied it takes it when the window of duplicates is over (two minutes, if nobody has set another)")

// place is a stream. Its methods are called by one goroutine. They end with the context in
// which it was opened.
type place interface {
	// end reads the last place that is taken, the last message that ends a step, and the
	// last of all; these are nil if there is none.
	end() (last uint64, lastStep, lastMessage *journal.Message, err error)
	// put sends a message to the place behind another, which must have the id that is said,
	// unless that is empty. What becomes of it is said by a later call, as an error, or by
	// settle, which waits for all. After an error the place is closed and opened anew.
	//
	// A place alone would not do for messages that are sent without waiting for each other's
	// receipts: where another node's message comes between two of them, the second would find
	// its place.
	put(after uint64, id string, m *journal.Message) error
	settle() error
	close()
}

// Publisher writes the journal.
type Publisher struct {
	o      Options
	writer journal.Writer
	open   func(ctx context.Context, lost func()) (place, error)
	again  poke.Slot // the server is lost

	height    atomic.Uint32 // of the end when it was last known
	messages  atomic.Uint64 // sent
	connected atomic.Bool

	// Of the goroutine of Run:
	stream place  // nil: not open
	end    *end   // nil: to be read
	sent   string // id of the last message that was sent to the stream since it is open; empty: none
	seen   uint64
	moved  uint64    // seen, and 1 more, when the place behind it was said to be taken; 0: it was not
	since  time.Time // when the end was first seen to be there
	ahead  bool      // it was said that the stream is ahead
	told   bool      // it was said that the stream is written
	warned string    // the last warning
}

// end is the end of the journal, and its place in the stream.
type end struct {
	journal.End
	last uint64
}

// New makes a publisher. An error says which option is wrong, and never what a password is.
func New(o Options) (*Publisher, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	p := &Publisher{o: o, writer: journal.Writer{Params: o.Params, Format: o.Format, Name: o.Writer}, again: poke.NewSlot()}
	p.open = func(ctx context.Context, lost func()) (place, error) { return openStream(ctx, &p.o, lost) }
	return p, nil
}

// Written returns the height at which the stream was last seen, how many messages this node
// has sent, and whether the server answers.
func (p *Publisher) Written() (height uint32, messages uint64, connected bool) {
	return p.height.Load(), p.messages.Load(), p.connected.Load()
}

// Run writes until the context ends.
func (p *Publisher) Run(ctx context.Context) error {
	changes, endChanges := p.o.Chain.Subscribe()
	defer endChanges()
	defer func() {
		if p.stream != nil {
			p.stream.close()
		}
	}()
	failed := time.Duration(0)
	for ctx.Err() == nil {
		wait, err := p.turn(ctx)
		p.connected.Store(err == nil || errors.Is(err, errMoved))
		var poked <-chan struct{}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errMoved) && p.moved != p.seen+1:
			p.moved = p.seen + 1
			p.reopen()
			continue
		case err != nil:
			if errors.Is(err, errMoved) {
				err = errStill
			}
			p.reopen()
			p.fail(err)
			failed = min(max(2*failed, firstWait), lastWait)
			wait = failed
		default:
			failed, poked, p.moved = 0, changes, 0
			p.o.Board.Unset(About)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			p.end = nil // it may have moved
		case <-poked:
		case <-p.again:
			p.reopen()
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

func (p *Publisher) reopen() {
	if p.stream != nil {
		p.stream.close()
	}
	p.stream, p.end, p.sent = nil, nil, ""
}

// fail warns of what goes wrong, once as long as it is the same.
func (p *Publisher) fail(err error) {
	text := "Events wait and are not lost: " + err.Error()
	if text != p.warned {
		p.o.Board.Unset(About) // which warned of something else
	}
	p.o.Board.Set(About, text)
	p.warned, p.told = text, false
}

// turn writes what there is to tell, and returns how long the chain or the stream may then
// stay as they are until the next turn.
func (p *Publisher) turn(ctx context.Context) (wait time.Duration, err error) {
	if p.stream == nil {
		if p.stream, err = p.open(ctx, p.again.Poke); err != nil {
			p.stream = nil
			return 0, err
		}
	}
	if p.end == nil {
		if err := p.readEnd(); err != nil {
			return 0, err
		}
	}
	for {
		wait, err := p.advance()
		if wait == 0 && err == nil {
			continue
		}
		if err == nil {
			err = p.stream.settle()
		}
		return wait, err
	}
}

func (p *Publisher) readEnd() error {
	last, lastStep, lastMessage, err := p.stream.end()
	if err != nil {
		return err
	}
	e, err := journal.ReadEnd(p.o.Params.Identity(), lastStep, lastMessage)
	if err != nil {
		return err
	}
	if now := time.Now(); last != p.seen || p.since.IsZero() {
		p.seen, p.since = last, now
	}
	p.end = &end{*e, last}
	p.height.Store(e.At.Block.Height)
	if !p.told {
		p.told = true
		p.o.Logger.Info("events are written", "to", p.o.Where(), "stream", journal.Stream(p.o.Params.Name, p.o.Format), "messages", last, "height", e.At.Block.Height)
	}
	return nil
}
