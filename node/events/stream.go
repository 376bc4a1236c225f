package events

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/karatcoin/karat/chain/journal"
)

const (
	answerTime = 10 * time.Second // for a question
	storeTime  = 30 * time.Second // for a message

	maxFlight      = 256      // messages that were sent and whose receipts have not come
	maxFlightBytes = 16 << 20 // of them

	// maxHeaders is more than the headers of a message take, in bytes.
	maxHeaders = 4 << 10
)

// wrongLastID is the server's code for an expected id that is not that of the last message,
// which its client gives no name.
const wrongLastID jetstream.ErrorCode = 10070

var errLost = errors.New("the connection to the server was lost")

// stream is a stream of a NATS server.
type stream struct {
	ctx    context.Context // ends with the connection, of which NATS' client does not tell those who wait
	cancel context.CancelCauseFunc
	nc     *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
	steps  string // subjects of messages that end a step

	flight []sent // the oldest first
	bytes  int    // of them
}

// sent is a message whose receipt has not come.
type sent struct {
	after   uint64
	bytes   int
	receipt jetstream.PubAckFuture
}

// openStream connects, and makes the stream if it is not there. lost is called when the
// connection ends. What is at fault in a stream that is there is an error: it is not changed.
func openStream(ctx context.Context, o *Options, lost func()) (place, error) {
	options, err := o.Config.Options("karat")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	closed := func(*nats.Conn) {
		cancel(errLost)
		lost()
	}
	options = append(options, nats.ClosedHandler(closed), nats.SetCustomDialer(dialer{ctx}), nats.SkipHostLookup())
	nc, err := nats.Connect(o.Servers, options...)
	if err != nil {
		cancel(err)
		return nil, fmt.Errorf("no server answers at %s: %w", o.Where(), err)
	}
	s := &stream{ctx: ctx, cancel: cancel, nc: nc, steps: journal.AnyBlockSubject(o.Params.Name, o.Format)}
	if err := s.open(o); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// dialer dials until a context ends, which ends what was dialled too: NATS' client knows no
// contexts, and a node that stops would wait for it.
type dialer struct{ ctx context.Context }

// Dial implements nats.CustomDialer.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	n := net.Dialer{Timeout: dialTime}
	conn, err := n.DialContext(d.ctx, network, address)
	if err == nil {
		context.AfterFunc(d.ctx, func() { conn.Close() })
	}
	return conn, err
}

func (s *stream) open(o *Options) (err error) {
	if most := s.nc.MaxPayload(); most < journal.PartSize+maxHeaders {
		return fmt.Errorf("the server takes messages of %d bytes at most, and events take %d: raise its max_payload", most, journal.PartSize+maxHeaders)
	}
	if s.js, err = jetstream.New(s.nc, jetstream.WithPublishAsyncTimeout(storeTime), jetstream.WithPublishAsyncMaxPending(maxFlight+1)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, answerTime)
	defer cancel()
	name := journal.Stream(o.Params.Name, o.Format)
	s.stream, err = s.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s.stream, err = s.js.CreateStream(ctx, jetstream.StreamConfig{
			Name: name, Description: "the chain of the karat network " + o.Params.Name, Subjects: []string{journal.Subjects(o.Params.Name, o.Format)},
			Replicas: max(1, o.Replicas), DenyDelete: true,
		})
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another node was faster
			s.stream, err = s.js.Stream(ctx, name)
		}
	}
	if err != nil {
		return fmt.Errorf("the stream %s: %w", name, err)
	}
	return checkStream(&s.stream.CachedInfo().Config, journal.Subjects(o.Params.Name, o.Format))
}

// checkStream checks that a stream keeps what it is given as it is. It may forget what is old.
func checkStream(c *jetstream.StreamConfig, subjects string) error {
	bad := ""
	switch {
	case !slices.Equal(c.Subjects, []string{subjects}):
		bad = "takes " + fmt.Sprintf("%.200q", strings.Join(c.Subjects, ", ")) + " and not " + subjects + " alone"
	case c.Mirror != nil || len(c.Sources) > 0:
		bad = "takes messages of other streams"
	case c.SubjectTransform != nil:
		bad = "changes subjects"
	case c.Retention != jetstream.LimitsPolicy:
		bad = "forgets what was read (its retention is not by limits)"
	case c.MaxMsgsPerSubject > 0:
		bad = "forgets by subject (max-msgs-per-subject)"
	case c.NoAck:
		bad = "sends no receipts"
	case c.Sealed:
		bad = "is sealed"
	}
	if bad == "" {
		return nil
	}
	return fmt.Errorf("the stream %s %s: change that, or remove it", c.Name, bad)
}

// end implements place.
func (s *stream) end() (last uint64, lastStep, lastMessage *journal.Message, err error) {
	const tries = 5 // others write meanwhile
	for range tries {
		last, lastStep, lastMessage, err = s.lookAtEnd()
		if !errors.Is(err, errMoved) {
			break
		}
	}
	return last, lastStep, lastMessage, err
}

func (s *stream) lookAtEnd() (last uint64, lastStep, lastMessage *journal.Message, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, answerTime)
	defer cancel()
	info, err := s.stream.Info(ctx)
	if err != nil {
		return 0, nil, nil, err
	}
	if last = info.State.LastSeq; info.State.Msgs == 0 {
		return last, nil, nil, nil
	}
	m, err := s.stream.GetMsg(ctx, last)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil, nil, fmt.Errorf("%w: its last message, %d, was removed", journal.ErrForeign, last)
	}
	if err != nil {
		return 0, nil, nil, err
	}
	lastMessage = message(m)
	m, err = s.stream.GetLastMsgForSubject(ctx, s.steps)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return last, nil, lastMessage, nil
	case err != nil:
		return 0, nil, nil, err
	case m.Sequence > last:
		return 0, nil, nil, errMoved
	}
	return last, message(m), lastMessage, nil
}

func message(m *jetstream.RawStreamMsg) *journal.Message {
	return &journal.Message{Subject: m.Subject, Header: m.Header, Data: m.Data}
}

// put implements place.
func (s *stream) put(after uint64, id string, m *journal.Message) error {
	for len(s.flight) >= maxFlight || s.bytes > 0 && s.bytes+len(m.Data) > maxFlightBytes {
		if err := s.receive(); err != nil {
			return err
		}
	}
	options := []jetstream.PublishOpt{jetstream.WithExpectLastSequence(after)}
	if id != "" {
		options = append(options, jetstream.WithExpectLastMsgID(id))
	}
	receipt, err := s.js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}, options...)
	if err != nil {
		return err
	}
	s.flight, s.bytes = append(s.flight, sent{after, len(m.Data), receipt}), s.bytes+len(m.Data)
	return nil
}

// settle implements place.
func (s *stream) settle() error {
	for len(s.flight) > 0 {
		if err := s.receive(); err != nil {
			return err
		}
	}
	return nil
}

// receive waits for the receipt of the oldest message.
func (s *stream) receive() error {
	m := s.flight[0]
	s.flight, s.bytes = s.flight[1:], s.bytes-m.bytes
	select {
	case ack := <-m.receipt.Ok():
		if ack.Sequence != m.after+1 {
			return errMoved // it was there already
		}
		return nil
	case err := <-m.receipt.Err():
		var answer *jetstream.APIError
		if errors.As(err, &answer) {
			switch answer.ErrorCode {
			case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant, wrongLastID:
				return errMoved
			}
		}
		return err
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// close implements place. It is no loss of the connection.
func (s *stream) close() {
	s.nc.SetClosedHandler(nil)
	s.nc.Close()
	s.cancel(errLost)
}
