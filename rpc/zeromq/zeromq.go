// Package zeromq publishes blocks and transactions by ZeroMQ, in the topics and messages
// of Bitcoin Core, so that programs that listen there need no change.
//
// The one idea is that the publisher is a subscriber like any other: it follows the chain
// and the pool from its own position, and what waits for one of its own subscribers is
// bounded. ZeroMQ has no answers. A subscriber that is slow loses messages and sees it
// by the number at the end of each; one that must not miss anything uses the WebSocket,
// where it can go on from where it was.
//
// The messages have three parts: the topic, the content, and a number that counts the
// messages of this topic at this address, in four bytes, little-endian. Hashes stand in
// the order in which they are shown.
package zeromq

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/rpc/zmqinfo"
)

// Chain is what is followed.
type Chain interface {
	Tip() types.Index
	UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error)
	poke.Source // pokes after the tip has changed
}

// Pool is the waiting transactions.
type Pool interface {
	// CatchUp brings the pool to the tip of the chain.
	CatchUp(ctx context.Context) error
	// ChangesSince returns changes from a position on, and the position behind them. It
	// reports false if they are forgotten.
	ChangesSince(position uint64, limit int) (changes []pending.Change, next uint64, ok bool)
	Changes() uint64 // the position behind the last
	GetByWitness(wtxid types.Hash) *pending.Entry
	poke.Source // pokes after the pool has changed
}

// Options are what a publisher is made of.
type Options struct {
	Endpoints []zmqinfo.Endpoint
	Chain     Chain
	Pool      Pool
	Syncing   func() bool  // then only the last of many blocks is a tip; nil: never
	Logger    *slog.Logger // nil: discard
}

// Publisher publishes. New makes one.
type Publisher struct {
	Options
	log     *slog.Logger
	sockets []*socket
	streams []*stream // one for each endpoint
}

// stream is a topic at an address.
type stream struct {
	topic    string
	socket   *socket
	sequence uint32 // of the next message
	water    int
}

// New opens the addresses, so that one that is taken is told before anything begins.
func New(o Options) (p *Publisher, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p = &Publisher{Options: o, log: o.Logger}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	byAddress := map[string]*socket{}
	for i := range o.Endpoints {
		e := &o.Endpoints[i]
		s := byAddress[e.Address]
		if s == nil {
			network, address := e.Listen()
			if network == "unix" {
				if err := removeSocket(address); err != nil {
					return p, fmt.Errorf("publish %s at %s: %w", e.Topic, e.Address, err)
				}
			}
			l, err := net.Listen(network, address)
			if err != nil {
				return p, fmt.Errorf("publish %s at %s: %w (choose another address with --zmq)", e.Topic, e.Address, err)
			}
			s = newSocket(l, p.log)
			byAddress[e.Address], p.sockets = s, append(p.sockets, s)
		}
		p.streams = append(p.streams, &stream{topic: e.Topic, socket: s, water: e.HighWater})
	}
	return p, nil
}

// removeSocket removes what an earlier run has left. Anything but a socket stays.
func removeSocket(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return errors.New("another program listens there")
	}
	return os.Remove(path)
}

// Close closes the addresses of a publisher that does not run.
func (p *Publisher) Close() {
	for _, s := range p.sockets {
		s.close()
	}
}

// Addresses returns where is listened, in the order of the endpoints' addresses.
func (p *Publisher) Addresses() (list []net.Addr) {
	for _, s := range p.sockets {
		list = append(list, s.listener.Addr())
	}
	return list
}

// Run publishes until the context ends, which is no error. What happened before it began
// is not told.
func (p *Publisher) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, s := range p.sockets {
		all.Go(s.accept)
	}
	defer all.Wait()
	defer p.Close()
	return p.follow(ctx)
}

func (p *Publisher) syncing() bool { return p.Syncing != nil && p.Syncing() }

// wanted reports whether a topic is published anywhere.
func (p *Publisher) wanted(topics ...string) bool {
	for _, s := range p.streams {
		for _, topic := range topics {
			if s.topic == topic {
				return true
			}
		}
	}
	return false
}

// publish sends a message of a topic to all who listen. The content is made only if the
// topic is published.
func (p *Publisher) publish(topic string, content func() []byte) {
	var body []byte
	for _, s := range p.streams {
		if s.topic != topic {
			continue
		}
		if body == nil {
			body = content()
		}
		s.socket.send(message{topic, body, binary.LittleEndian.AppendUint32(nil, s.sequence)}, s.water)
		s.sequence++
	}
}

// missed lets all who listen to a topic see that something was left out.
func (p *Publisher) missed(topics ...string) {
	for _, s := range p.streams {
		for _, topic := range topics {
			if s.topic == topic {
				s.sequence++
			}
		}
	}
}
