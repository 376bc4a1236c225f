package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// greeter makes the handshake of a connection, after which it is known who the peer is.
type greeter struct {
	key     noise.Key
	network func() types.Hash
	allowed func(peerinfo.NodeID) bool
	measure func(work func(), idle *atomic.Int64) time.Duration
	worked  func(p *peer, spent time.Duration) // is told what the handshake of a caller has cost
	hello   func(p *peer) *wire.Hello          // ours for a peer, as of now
	twins   *twins
}

// errNotAllowed is for a node that is not one of the only ones that the operator lets in.
var errNotAllowed = errors.New("is not let in")

// greet makes the handshake and exchanges hellos.
func (g *greeter) greet(ctx context.Context, p *peer, raw *countedConn, t target) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	var conn *noise.Conn
	var err error
	if p.inbound {
		g.worked(p, g.measure(func() { conn, err = noise.Server(ctx, raw, g.key, g.network()) }, &raw.idle))
	} else {
		conn, err = noise.Client(ctx, raw, g.key, g.network(), t.id)
	}
	if err != nil {
		return err
	}
	p.conn, p.records, p.id, p.session = conn, conn.Records, conn.RemoteID(), conn.Session()
	if p.id == g.key.ID() {
		g.twins.met(p.session, p.address)
	}
	if !g.allowed(p.id) {
		return fmt.Errorf("node %s %w", p.id, errNotAllowed)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // at the deadline, and when the node ends
	defer stop()
	return g.exchangeHellos(p, conn)
}

func (g *greeter) exchangeHellos(p *peer, conn net.Conn) error {
	var f wire.Fragmenter
	if err := f.Push(g.hello(p)); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { // both sides speak first
		b, _ := f.AppendNext(nil)
		p.sentTypes.add(wire.TypeHello, len(b))
		_, err := conn.Write(b)
		sent <- err
	}()
	hello, err := readHello(conn)
	if err != nil {
		conn.Close()
		<-sent
		return err
	}
	if err := <-sent; err != nil {
		return err
	}
	p.hello = *hello
	p.recvTypes.add(wire.TypeHello, wire.FragmentHeaderSize+len(wire.Encode(hello)))
	p.offset = time.Unix(hello.Time, 0).Sub(p.now()).Round(time.Second)
	p.version, err = wire.Negotiate(hello.Version)
	return err
}

// readHello returns the first message, which is a hello: of anything else nothing is
// kept.
func readHello(r io.Reader) (*wire.Hello, error) {
	buf := make([]byte, wire.MaxFragmentSize)
	for assembler := wire.NewAssembler(0); ; {
		fragment, err := wire.ReadFragment(r, buf)
		if err != nil {
			return nil, err
		}
		if fragment.Type != wire.TypeHello {
			return nil, fmt.Errorf("%w: the first message is %s", wire.ErrProtocol, fragment.Type)
		}
		if message, done, err := assembler.Push(fragment); done || err != nil {
			hello, _ := message.(*wire.Hello)
			return hello, err
		}
	}
}
