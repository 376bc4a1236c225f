package hostile

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/wire"
)

// Stranger is a connection of an attacker.
type Stranger struct {
	know      *Knowledge
	behaviour Behaviour
	random    *rand.Rand
	conn      net.Conn
	learnt    int               // blocks that were known when it began
	out       chan []byte       // to be sent, by one goroutine
	in        chan wire.Message // that came, as far as anybody reads them
	work      sync.WaitGroup
}

// Bounds of what waits, and of a handshake.
const (
	maxOut        = 64
	maxIn         = 1024
	handshakeTime = 20 * time.Second
)

// meet makes the handshake and says hello.
func (n *Node) meet(ctx context.Context, raw net.Conn, random *rand.Rand, calling bool) (*Stranger, error) {
	limited, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	var conn *noise.Conn
	var err error
	if calling {
		key := n.Key
		if n.NewIDs {
			if key, err = newKey(random); err != nil {
				return nil, err
			}
		}
		conn, err = noise.Client(limited, raw, key, n.Know.Params.Identity(), nil)
	} else {
		conn, err = noise.Server(limited, raw, n.Key, n.Know.Params.Identity())
	}
	if err != nil {
		return nil, err
	}
	now := time.Now
	if n.Now != nil {
		now = n.Now
	}
	s := &Stranger{
		know: n.Know, behaviour: n.Behaviour, random: random, conn: conn, learnt: len(n.Know.since(0)),
		out: make(chan []byte, maxOut), in: make(chan wire.Message, maxIn),
	}
	tip := n.Know.top().Index
	s.send(ctx, &wire.Hello{
		Version: wire.Version, Services: wire.ServiceNetwork | wire.ServiceNetworkLimited, UserAgent: "/karat:0.2.0/",
		Height: tip.Height, Tip: tip.Hash, Time: now().Unix(), ListenPort: n.Port, Relay: true,
	}, &wire.SendCompact{Announce: true})
	return s, nil
}

// newKey returns the key of an id that nobody has seen.
func newKey(random *rand.Rand) (noise.Key, error) {
	var b [32]byte
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return noise.NewKey(b)
}

// run behaves until the context or the connection ends.
func (s *Stranger) run(ctx context.Context, cancel context.CancelFunc) {
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()
	s.work.Go(func() {
		defer cancel()
		for {
			select {
			case b := <-s.out:
				if _, err := s.conn.Write(b); err != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	if !s.behaviour.deaf {
		s.work.Go(func() {
			defer cancel()
			s.read()
		})
	}
	if s.behaviour.speak != nil {
		s.behaviour.speak(ctx, s)
	}
	<-ctx.Done()
	s.conn.Close()
	s.work.Wait()
}

// read keeps what comes, and answers pings as a node would.
func (s *Stranger) read() {
	receive(s.conn, s.know.Params.MaxBlockWeight, func(m wire.Message) {
		if ping, is := m.(*wire.Ping); is && s.behaviour.Name != silent {
			select {
			case s.out <- encode(&wire.Pong{Nonce: ping.Nonce}):
			default:
			}
			return
		}
		select {
		case s.in <- m:
		default: // nobody listens
		}
	})
}

// receive calls got for each message of a known type, until the connection ends or what
// comes is no message.
func receive(conn net.Conn, maxBlockWeight int, got func(wire.Message)) {
	assembler, buf := wire.NewAssembler(maxBlockWeight), make([]byte, wire.MaxFragmentSize)
	for {
		f, err := wire.ReadFragment(conn, buf)
		if err != nil {
			return
		}
		m, done, err := assembler.Push(f)
		if err != nil {
			return
		}
		if done && m != nil {
			got(m)
		}
	}
}

// encode returns the fragments of messages.
func encode(messages ...wire.Message) (all []byte) {
	for _, m := range messages {
		var f wire.Fragmenter
		if err := f.Push(m); err != nil {
			panic(err) // the behaviour builds a message that cannot be sent
		}
		for more := true; more; {
			all, more = f.AppendNext(all)
		}
	}
	return all
}

// send sends messages, and reports whether there is anybody to send to.
func (s *Stranger) send(ctx context.Context, messages ...wire.Message) bool {
	return s.write(ctx, encode(messages...))
}

// write sends bytes that need not be fragments.
func (s *Stranger) write(ctx context.Context, b []byte) bool {
	select {
	case s.out <- b:
		return true
	case <-ctx.Done():
		return false
	}
}

// every does something again and again.
func (s *Stranger) every(ctx context.Context, d time.Duration, do func() bool) {
	for pause(ctx, d) {
		if !do() {
			return
		}
	}
}

// follow calls news for each block as soon as it is learnt, and answer for each
// message. Requests for headers are answered truly, so that it is believed to have the
// chain.
func (s *Stranger) follow(ctx context.Context, news func(b *types.Block), answer func(m wire.Message)) {
	learnt, cancel := s.know.bell.Subscribe()
	defer cancel()
	for {
		select {
		case <-learnt:
			for _, b := range s.know.since(s.learnt) {
				s.learnt++
				if news != nil {
					news(b)
				}
			}
		case m := <-s.in:
			if get, is := m.(*wire.GetHeaders); is {
				s.send(ctx, &wire.Headers{Headers: s.know.chain(get.Locator, wire.MaxHeaders)})
			} else if answer != nil {
				answer(m)
			}
		case <-ctx.Done():
			return
		}
	}
}

// hash returns a hash that nothing has.
func (s *Stranger) hash() (h types.Hash) {
	for i := range h {
		h[i] = byte(s.random.Uint32())
	}
	return h
}

func (s *Stranger) hashes(n int) []types.Hash {
	list := make([]types.Hash, n)
	for i := range list {
		list[i] = s.hash()
	}
	return list
}
