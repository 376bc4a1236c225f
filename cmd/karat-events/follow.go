package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/journal"
)

// How long is waited after a failure; doubled by each that follows.
const (
	firstWait = 250 * time.Millisecond
	lastWait  = 15 * time.Second
)

// follower fills the tables from the stream.
type follower struct {
	o      *options
	params *consensus.Params
	log    *slog.Logger

	// Of the goroutine that writes:
	wrote bool      // since it was connected
	told  time.Time // when it was last said how far it is
	txs   int       // since then
}

// run fills until the context ends, or what is there is filled where that was asked for. A
// server or database that is away is waited for: it goes on where the tables say.
func (f *follower) run(ctx context.Context) error {
	wait, last, gaps := time.Duration(0), "", 0
	for {
		f.wrote = false
		err := f.session(ctx)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if f.wrote {
			wait, gaps = 0, 0
		}
		// Where the stream was emptied while it was read, what follows is looked for once more.
		if errors.Is(err, journal.ErrGap) {
			gaps++
		}
		if !transient(err) || errors.Is(err, journal.ErrForeign) || gaps > 1 {
			return err
		}
		if text := err.Error(); text != last || f.wrote {
			f.log.Warn("waits and loses nothing", "why", text)
			last = text
		}
		wait = min(max(2*wait, firstWait), lastWait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// session fills until something fails.
func (f *follower) session(ctx context.Context) error {
	w, err := openWarehouse(ctx, f.o.database, f.o.schema, f.params)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.lock(ctx, func() {
		f.log.Info("another program fills these tables; this one waits to take over", "schema", f.o.schema)
	}); err != nil {
		return err
	}
	at, err := w.prepare(ctx)
	if err != nil {
		return err
	}
	s, err := openSource(ctx, f.o, f.params)
	if err != nil {
		return err
	}
	defer s.close()
	from, err := s.seek(ctx, w, at)
	if err != nil {
		return err
	}
	f.log.Info("filling", "schema", f.o.schema, "blocks", from.height()+1)
	if from != at { // the stream was written anew
		if err := w.write(ctx, at, &batch{keeps: from.height(), at: from}); err != nil {
			return err
		}
	}
	f.told, f.txs = time.Now(), 0
	return f.follow(ctx, w, s, from)
}

// follow works in what the stream has behind a position. While a batch is written the next
// one is read, so a batch is as large as what has come meanwhile.
func (f *follower) follow(ctx context.Context, w *warehouse, s *source, at position) error {
	end, err := s.end(ctx)
	if err != nil {
		return err
	}
	if f.o.once && (end == nil || end.Number < at.Steps) {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches, written := make(chan *batch), make(chan error, 1)
	go func() {
		written <- f.write(ctx, w, at, batches)
		cancel(errWritten)
	}()
	err = f.read(ctx, s, at, end, batches)
	close(batches)
	if failed := <-written; failed != nil {
		return failed
	}
	return err
}

// errWritten ends reading when writing has ended.
var errWritten = errors.New("nothing is written any more")

// read reads steps, and hands them over in batches, until the context or, where that was asked
// for, what the stream had at the beginning ends.
func (f *follower) read(ctx context.Context, s *source, at position, end *journal.Head, batches chan<- *batch) error {
	messages, failed := s.messages(ctx, at.sequence)
	r := journal.Reader{Network: f.params.Identity(), At: at.Position}
	for b := newBatch(at); ; {
		in, ready := messages, chan<- *batch(nil)
		if b.steps > 0 {
			ready = batches
		}
		if f.o.once && r.At.Steps > end.Number {
			if in = nil; ready == nil {
				return nil
			}
		}
		if b.full() {
			in = nil
		}
		select {
		case m, ok := <-in:
			if !ok {
				return <-failed
			}
			if err := f.take(&r, b, m); err != nil {
				return err
			}
		case ready <- b:
			b = newBatch(b.at)
		case <-ctx.Done():
			return nil
		}
	}
}

// take works a message into a batch, if a step ends with it.
func (f *follower) take(r *journal.Reader, b *batch, m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	step, err := r.Read(&journal.Message{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()})
	if errors.Is(err, journal.ErrGap) && r.At.Steps == 0 {
		return fmt.Errorf("%w: the stream has forgotten its beginning. Remove it, and a node writes it anew", err)
	}
	if err != nil || step == nil {
		return err
	}
	return b.add(step, meta.Sequence.Stream)
}

// write writes batches until there are no more, or one cannot be written.
func (f *follower) write(ctx context.Context, w *warehouse, at position, batches <-chan *batch) error {
	for b := range batches {
		if err := w.write(ctx, at, b); err != nil {
			return err
		}
		at, f.wrote = b.at, true
		f.tell(b)
	}
	return nil
}

// tellAfter is how often it is said how far the tables are, while they are filled.
const tellAfter = 10 * time.Second

func (f *follower) tell(b *batch) {
	for _, r := range b.blocks {
		f.txs += len(r.rows[1])
	}
	if since := time.Since(f.told); since >= tellAfter {
		f.log.Info("filled", "height", b.at.height(), "transactions", f.txs, "a_second", int(float64(f.txs)/since.Seconds()))
		f.told, f.txs = time.Now(), 0
	}
}
