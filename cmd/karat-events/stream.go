package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/journal"
)

const (
	answerTime = 10 * time.Second // for a question

	// Messages that were sent here and are not worked in: in NATS' client, and behind it. Each
	// may have journal.PartSize.
	maxWaiting    = 256
	maxHandedOver = 64
)

// source is the stream that has the journal.
type source struct {
	nc     *nats.Conn
	stream jetstream.Stream
	steps  string // subjects of messages that end a step
}

// openSource connects to a server and looks for the journal of a network.
func openSource(ctx context.Context, o *options, params *consensus.Params) (*source, error) {
	config := o.events()
	list, err := config.Options(program)
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(o.servers, list...)
	if err != nil {
		return nil, fmt.Errorf("no server answers at --events: %w", err)
	}
	s := &source{nc: nc, steps: journal.AnyBlockSubject(params.Name, journal.JSON)}
	js, err := jetstream.New(nc)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		s.stream, err = js.Stream(ctx, journal.Stream(params.Name, journal.JSON))
	}
	if err != nil {
		nc.Close()
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = fmt.Errorf("there is no stream %s: does a node of that network run with --events?", journal.Stream(params.Name, journal.JSON))
		}
		return nil, err
	}
	return s, nil
}

func (s *source) close() { s.nc.Close() }

func message(m *jetstream.RawStreamMsg) *journal.Message {
	return &journal.Message{Subject: m.Subject, Header: m.Header, Data: m.Data}
}

// lookup is a journal.Lookup.
func (s *source) lookup(ctx context.Context) journal.Lookup {
	return func(from uint64) (*journal.Message, uint64, error) {
		ctx, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		m, err := s.stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(s.steps))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, err
		}
		return message(m), m.Sequence, nil
	}
}

// head is what the message that ended a step says, if it is still at its place; else nil.
func (s *source) head(ctx context.Context, sequence uint64) *journal.Head {
	m, at, err := s.lookup(ctx)(sequence)
	if err != nil || m == nil || at != sequence {
		return nil
	}
	h, err := m.Head()
	if err != nil {
		return nil
	}
	return h
}

// end is the last step of the stream; nil if there is none.
func (s *source) end(ctx context.Context) (*journal.Head, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	m, err := s.stream.GetLastMsgForSubject(ctx, s.steps)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return message(m).Head()
}

// errBehind says that the journal has not come as far as the tables.
var errBehind = errors.New("the stream has not come as far as the tables yet")

// seek finds where the journal goes on behind what the tables have. That is behind the message
// that was worked in last, unless the stream was lost and written anew. Then it is behind a
// step to a block that the tables have, which may be below their last: what is above goes.
func (s *source) seek(ctx context.Context, w *warehouse, at position) (position, error) {
	if at.Steps == 0 {
		return at, nil
	}
	if h := s.head(ctx, at.sequence); h != nil && h.Behind() == at.Position && h.Network == w.params.Identity() {
		return at, nil
	}
	info, err := s.stream.Info(ctx)
	if err != nil {
		return at, err
	}
	end, err := s.end(ctx)
	if err != nil {
		return at, err
	}
	if end == nil {
		return at, errBehind
	}
	if end.Network != w.params.Identity() {
		return at, fmt.Errorf("%w: it is of network %s", journal.ErrForeign, end.Network)
	}
	for height := int64(at.Block.Height); height >= 0; height-- {
		h, sequence, err := journal.SeekHeight(info.State.FirstSeq, info.State.LastSeq, uint32(height), s.lookup(ctx))
		if errors.Is(err, journal.ErrGap) && end.At.Height < uint32(height) {
			if end.At.Hash != end.Goal.Hash {
				return at, errBehind // a node is writing it
			}
			height = int64(end.At.Height) + 1 // the chain is shorter now
			continue
		}
		if err != nil {
			return at, err
		}
		hash, err := w.hashAt(ctx, uint32(height))
		if err != nil {
			return at, fmt.Errorf("%w: block %d of the tables: %w", errFinal, height, err)
		}
		if h.At.Hash == hash {
			return position{Position: h.Behind(), sequence: sequence}, nil
		}
	}
	return at, fmt.Errorf("%w: the tables have no block of this journal", errFinal)
}

// messages are those behind a message of the stream. They end with the context, and with an
// error on the second channel.
func (s *source) messages(ctx context.Context, behind uint64) (<-chan jetstream.Msg, <-chan error) {
	list, failed := make(chan jetstream.Msg, maxHandedOver), make(chan error, 1)
	go func() {
		failed <- s.pump(ctx, behind, list)
		close(list)
	}()
	return list, failed
}

func (s *source) pump(ctx context.Context, behind uint64, to chan<- jetstream.Msg) error {
	config := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: behind + 1}
	start, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	consumer, err := s.stream.OrderedConsumer(start, config)
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(maxWaiting))
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	defer messages.Stop()
	lost := make(chan struct{})
	s.nc.SetClosedHandler(func(*nats.Conn) { close(lost); messages.Stop() })
	for {
		m, err := messages.Next()
		if err != nil {
			select {
			case <-lost:
				return fmt.Errorf("the connection to the server has ended")
			default:
				return err
			}
		}
		select {
		case to <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
