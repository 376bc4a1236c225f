package rpc

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"

	"github.com/gorilla/websocket"
)

// outlet is where a reply goes: the response to a request, or a message of a WebSocket.
type outlet interface {
	// begin is called once, before the first piece. The length is that of all pieces, or
	// -1 if it is not known.
	begin(status int, length int64)
	write(piece []byte) error
	// end is behind the last piece. With an error the reply is broken off, and the client
	// must see that: all that helps is to cut the connection.
	end(err error)
	// holds is how many bytes of a batch may wait until its length is known.
	holds() int64
	ending() string // behind the last reply
}

// holdAnswers is how many bytes of a batch wait over HTTP until the last is there.
// A longer batch goes in chunks, which clients of HTTP/1.1 understand.
const holdAnswers = 16 << 20

// httpReply is a reply as the response to a request.
type httpReply struct{ w http.ResponseWriter }

func (h httpReply) begin(status int, length int64) {
	if status == http.StatusNoContent {
		h.w.WriteHeader(status)
		return
	}
	if w, ok := h.w.(*response); ok && length >= 0 {
		w.promiseJSON(status, length)
		return
	}
	h.w.Header()["Content-Type"] = []string{"application/json"}
	h.beginWith(status, length)
}

// beginAs begins what is no JSON.
func (h httpReply) beginAs(contentType string, length int64) {
	h.w.Header().Set("Content-Type", contentType)
	h.beginWith(http.StatusOK, length)
}

func (h httpReply) beginWith(status int, length int64) {
	if length >= 0 {
		h.w.Header()["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	h.w.WriteHeader(status)
}

func (h httpReply) write(piece []byte) error {
	_, err := h.w.Write(piece)
	return err
}

func (h httpReply) end(err error) {
	if err != nil {
		panic(http.ErrAbortHandler) // net/http then cuts the connection, and tells nobody
	}
}

func (h httpReply) holds() int64   { return holdAnswers }
func (h httpReply) ending() string { return "\n" }

var errCutOff = errors.New("the client is being cut off")

// socketReply is a reply as one message of a WebSocket. A client that does not take it
// in time is cut off: others must not wait for it, and nothing may be left out.
type socketReply struct {
	c       *socket
	counted bool           // its bytes are counted by whoever sends
	held    int            // bytes that are counted here
	short   bool           // the message is one piece, and goes in one frame
	message io.WriteCloser // of a long one; each frame has its own time, and pings pass between them
}

// begin takes the connection until end.
func (o *socketReply) begin(_ int, length int64) {
	o.short = length <= writePiece && length >= 0
	if !o.counted {
		o.held = int(max(length, 0))
	}
	o.c.s.sockets.untaken.hold(o.c, o.held)
	_ = o.c.sending.Take(context.Background()) // a frame has its time, so it comes
}

func (o *socketReply) write(piece []byte) (err error) {
	if o.c.goodbye.Load() {
		return errCutOff
	}
	return o.c.inTime(func() error {
		if o.short {
			return o.c.conn.WriteMessage(websocket.TextMessage, piece)
		}
		if o.message == nil {
			if o.message, err = o.c.conn.NextWriter(websocket.TextMessage); err != nil {
				return err
			}
		}
		_, err = o.message.Write(piece)
		return err
	})
}

func (o *socketReply) end(err error) {
	if err == nil && o.message != nil {
		err = o.c.inTime(o.message.Close)
	}
	if err != nil && !o.c.goodbye.Load() {
		o.c.conn.Close()
	}
	o.c.sending.Give()
	o.c.s.sockets.untaken.hold(o.c, -o.held)
}

// holds lets no batch begin before its last call is made: notifications and the answers
// of other calls would wait for it.
func (o *socketReply) holds() int64   { return math.MaxInt64 }
func (o *socketReply) ending() string { return "" }
