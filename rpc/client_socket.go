package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// ErrSocketEnded is wrapped by the errors of Subscribe about a connection that was there and
// has ended: it is worth another try.
var ErrSocketEnded = errors.New("the node has closed the connection")

// maxEvent bounds a message of a WebSocket: a block's transactions, in hexadecimal.
const maxEvent = 64 << 20

// Subscribe hears of a node's events over a WebSocket, until the context ends or the
// connection does. Blocks are always told; kinds may add "transactions" and "mempool". each
// gets the name of each event, such as blockapplied or txadded, and "" once the subscription
// stands: what happened before that it has to find out by itself. It never returns nil.
func (c *Client) Subscribe(ctx context.Context, kinds []string, each func(event string) error) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // which ends a read
	conn.SetReadLimit(maxEvent)
	alive := func() error { return conn.SetReadDeadline(time.Now().Add(socketSilence)) }
	answer := conn.PingHandler()
	conn.SetPingHandler(func(text string) error { // the node pings, so one that does not is gone
		if err := alive(); err != nil {
			return err
		}
		return answer(text)
	})
	if err := conn.WriteJSON(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": map[string]any{"events": append([]string{}, kinds...)}}); err != nil {
		return c.ended(ctx, err)
	}
	for {
		if err := alive(); err != nil {
			return c.ended(ctx, err)
		}
		_, message, err := conn.ReadMessage()
		if err != nil {
			return c.ended(ctx, err)
		}
		event, err := eventOf(message)
		if err == nil {
			err = each(event)
		}
		if err != nil {
			return err
		}
	}
}

// eventOf returns the name of the event that a message tells, or "" for the answer to
// subscribe.
func eventOf(message []byte) (string, error) {
	var m struct {
		reply
		Method string
		Params [1]struct{ Event, Error string } // what is behind is passed over
	}
	switch err := json.Unmarshal(message, &m); {
	case err != nil:
		return "", fmt.Errorf("the node's event is not what was expected: %w", plainly(err))
	case m.Method == "" && m.Error != nil:
		return "", m.Error
	case m.Method == "":
		return "", nil
	case m.Method != "event" || m.Params[0].Event == "":
		return "", fmt.Errorf("the node's event is not what was expected: %.100q", m.Method)
	case m.Params[0].Event == "end":
		return "", fmt.Errorf("%w: %.200q", ErrSocketEnded, m.Params[0].Error)
	}
	return m.Params[0].Event, nil
}

// dial opens a WebSocket.
func (c *Client) dial(ctx context.Context) (*websocket.Conn, error) {
	user, password, err := c.login()
	if err != nil {
		return nil, err
	}
	dialer := websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: socketLogin}
	if t, ok := c.http.Transport.(*http.Transport); ok {
		dialer.TLSClientConfig = t.TLSClientConfig.Clone()
	}
	request, err := http.NewRequest(http.MethodGet, c.url, nil)
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth(user, password)
	greeting := &boundedGreeting{}
	dialer.NetDialContext = greeting.dial
	conn, answer, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(strings.TrimSuffix(c.url, "/"), "http")+"/ws", request.Header)
	switch {
	case err == nil:
		greeting.over.Store(true)
		return conn, nil
	case answer != nil && answer.StatusCode == http.StatusUnauthorized:
		return nil, fmt.Errorf("%w at %s", ErrUnauthorized, c.url)
	case answer != nil:
		return nil, fmt.Errorf("the node opens no WebSocket: HTTP status %s", answer.Status)
	}
	return nil, c.unanswered(ctx, err)
}

// maxGreeting bounds what a server may send before its WebSocket stands, in bytes: the library
// reads headers without end.
const maxGreeting = 1 << 20

// boundedGreeting makes connections that fail after maxGreeting bytes, until the greeting is
// over.
type boundedGreeting struct{ over atomic.Bool }

func (b *boundedGreeting) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &greetedConn{conn, b, maxGreeting}, nil
}

type greetedConn struct {
	net.Conn
	of   *boundedGreeting
	left int
}

// Read implements net.Conn.
func (c *greetedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.of.over.Load() {
		if c.left -= n; c.left < 0 {
			return 0, &callError{"what answers sends headers without end", ErrNotNode, nil}
		}
	}
	return n, err
}

// ended says that a connection is gone, and why, if the node has said so.
func (c *Client) ended(ctx context.Context, err error) error {
	var closed *websocket.CloseError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &closed) && closed.Text != "":
		return fmt.Errorf("%w at %s (%.200q)", ErrSocketEnded, c.url, closed.Text)
	}
	return fmt.Errorf("%w at %s", ErrSocketEnded, c.url)
}
