package hostile

import (
	"net"
	"time"

	"github.com/karatcoin/karat/p2p/wire"
)

// ByHand is a stranger that a test moves message by message, on a connection whose
// handshake is over.
type ByHand struct {
	Conn   net.Conn
	Got    chan wire.Message // what came and was not a ping that it answered; closed with the connection
	Closed chan struct{}     // closed when the node has hung up

	pongs bool
	turn  chan struct{} // to send: one slot, since who waits for a mutex stops the clock of a bubble
}

// Drive lets somebody be driven on a connection. It reads what comes, and answers pings
// if pongs is true.
func Drive(conn net.Conn, maxBlockWeight int, pongs bool) *ByHand {
	h := Deaf(conn)
	h.Got, h.Closed, h.pongs = make(chan wire.Message, 100_000), make(chan struct{}), pongs
	go h.read(maxBlockWeight)
	return h
}

// Deaf is somebody who reads nothing, and so has neither Got nor Closed.
func Deaf(conn net.Conn) *ByHand { return &ByHand{Conn: conn, turn: make(chan struct{}, 1)} }

func (h *ByHand) read(maxBlockWeight int) {
	defer close(h.Closed)
	defer close(h.Got)
	receive(h.Conn, maxBlockWeight, func(m wire.Message) {
		if ping, is := m.(*wire.Ping); is && h.pongs {
			go h.Send(&wire.Pong{Nonce: ping.Nonce})
			return
		}
		h.Got <- m
	})
}

// Send sends messages. The error is that the node has hung up, or does not read.
func (h *ByHand) Send(messages ...wire.Message) error { return h.Write(encode(messages...)) }

// Write sends bytes that need not be fragments.
func (h *ByHand) Write(b []byte) error {
	defer h.Hold()()
	_ = h.Conn.SetWriteDeadline(time.Now().Add(5 * time.Minute))
	_, err := h.Conn.Write(b)
	return err
}

// Hold keeps it from sending anything, pongs too, until release is called.
func (h *ByHand) Hold() (release func()) {
	h.turn <- struct{}{}
	return func() { <-h.turn }
}

// Next returns the next message of a type, or nil when the node hangs up or sends none
// within a while. Others that come before it are lost.
func Next[M wire.Message](h *ByHand, patience time.Duration) (m M) {
	end := time.After(patience)
	for {
		select {
		case got, open := <-h.Got:
			if found, is := got.(M); is {
				return found
			}
			if !open {
				return m
			}
		case <-end:
			return m
		}
	}
}

// What becomes of a stranger.
const (
	Stays    = "let stay"
	HungUpOn = "hung up on"
	Banned   = "banned"
)

// Fate waits a while and finds out what the node does with a stranger. again calls it
// with the same key once more, and returns nil if the node hangs up at once.
func (h *ByHand) Fate(patience time.Duration, again func() *ByHand) string {
	select {
	case <-h.Closed:
	case <-time.After(patience):
		return Stays
	}
	// A node has one connection with each id, and lets go of the first a little after it has
	// closed it.
	time.Sleep(time.Second)
	second := again()
	if second == nil {
		return Banned
	}
	defer second.Conn.Close()
	select {
	case <-second.Closed:
		return Banned
	case <-time.After(30 * time.Second):
		return HungUpOn
	}
}
