package rpc

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"runtime/debug"
	"slices"
)

var errBatchTooLong = failf(CodeMisc, "the answers before this one are too long together; ask in smaller batches")

// reply sends a reply to one request.
func (s *Server) reply(ctx context.Context, out outlet, r *request, result any, fault *Error) {
	if long, ok := result.(streamer); ok && fault == nil {
		begun, err := s.stream(ctx, out, r, long)
		if begun {
			out.end(err)
			return
		}
		fault = asError(err)
	}
	p := takeBuffer()
	b, fault := appendReply(*p, r, result, fault)
	b = append(b, out.ending()...)
	out.begin(statusOf(r, fault), int64(len(b)))
	out.end(writePieces(out, b))
	giveBuffer(p, b)
}

// writePieces writes what is there already.
func writePieces(out outlet, b []byte) error {
	for piece := range slices.Chunk(b, writePiece) {
		if err := out.write(piece); err != nil {
			return err
		}
	}
	return nil
}

// stream sends a reply while its result writes itself.
func (s *Server) stream(ctx context.Context, out outlet, r *request, result streamer) (begun bool, err error) {
	return s.pieces(ctx, out, func(w *jsonWriter) error {
		w.b = appendReplyHead(w.b, r)
		err := s.write(r, w, result)
		w.b = append(appendReplyTail(w.b, r, nil), out.ending()...)
		return err
	})
}

// pieces sends what is written while it is written. What fits in one piece goes whole. For
// what is longer the length is found first, by letting it be written once for nothing: many
// clients read an answer only by its Content-Length. An error with begun false has left
// the outlet as it was.
func (s *Server) pieces(ctx context.Context, out outlet, write func(w *jsonWriter) error) (begun bool, err error) {
	p := takeBuffer()
	w := jsonWriter{b: *p, ctx: ctx}
	turn := false
	defer func() {
		if turn {
			s.giveTurn(ctx)
		}
	}()
	w.piece = func(piece []byte) error {
		length := int64(-1)
		if !begun {
			if err := s.takeTurn(ctx); err != nil {
				return err
			}
			turn = true
			count := jsonWriter{ctx: ctx, count: true, piece: func([]byte) error { return nil }}
			if err := write(&count); err != nil {
				return err
			}
			length = count.total()
		}
		s.giveTurn(ctx) // what follows waits for the client
		turn = false
		if err := w.meanwhile(func() error { // to begin may have to wait for another answer of the client
			if !begun {
				begun = true
				out.begin(http.StatusOK, length)
			} else if err := ctx.Err(); err != nil {
				return err // the client has gone
			}
			return out.write(piece)
		}); err != nil {
			return err
		}
		err := s.takeTurn(ctx)
		turn = err == nil
		return err
	}
	err = write(&w)
	if err == nil && begun {
		err = w.flush()
	} else if err == nil { // it is short, and nobody waited for a turn
		begun = true
		out.begin(http.StatusOK, w.total())
		err = out.write(w.b)
	}
	giveBuffer(p, w.b)
	return begun, err
}

// takeTurn waits for a turn to make a piece of a long answer. There are turns for half of
// the processors, and who has made a piece stands in the queue again. So long answers go
// on side by side, however many there are, users after each other, and short ones do not wait.
func (s *Server) takeTurn(ctx context.Context) error {
	_, err := s.turns.wait(ctx, userIn(ctx))
	return err
}

func (s *Server) giveTurn(ctx context.Context) { s.turns.give(userIn(ctx)) }

// meanwhile sends a piece. While a client takes long for it, others can have the block.
func (w *jsonWriter) meanwhile(send func() error) error {
	if w.lease == nil {
		return send()
	}
	again := w.lease.lend()
	err := send()
	if waited := again(w.ctx); err == nil {
		err = waited
	}
	return err
}

// write lets a result write itself. A bug in it ends the answer, as one in a method does.
func (s *Server) write(r *request, w *jsonWriter, result any) (err error) {
	defer func() {
		if bug := recover(); bug != nil {
			s.log.Error("the answer of a call panicked", "method", printable(string(r.Method)), "panic", bug, "stack", string(debug.Stack()))
			err = failf(CodeInternal, "internal error; the node's log has more")
		}
	}()
	return w.value(result)
}

// batchReply sends the replies to a batch in order. They wait until the last is there,
// so that the length is known, unless they are too long for that.
type batchReply struct {
	s       *Server
	out     outlet
	w       jsonWriter
	hold    *hold // nil: what is held back is not counted
	held    []byte
	begun   bool
	replies int
}

func (s *Server) newBatchReply(ctx context.Context, on *session, out outlet) *batchReply {
	b := &batchReply{s: s, out: out, hold: on.hold}
	b.w.ctx = ctx
	b.w.piece = func(piece []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		keeps, err := b.keeps(ctx, int64(len(piece)))
		if err != nil {
			return err
		}
		if keeps {
			b.held = append(b.held, piece...)
			return nil
		}
		if !b.begun {
			b.begun = true
			out.begin(http.StatusOK, -1)
			if err := writePieces(out, b.held); err != nil {
				return err
			}
			b.held = nil
		}
		return b.w.meanwhile(func() error { return out.write(piece) })
	}
	return b
}

// keeps reports whether so much more is held back. Without memory for it a response begins
// early; a message cannot, and waits for memory.
func (b *batchReply) keeps(ctx context.Context, n int64) (bool, error) {
	switch total := int64(len(b.held)) + n; {
	case b.begun || total > b.out.holds():
		return false, nil
	case b.hold == nil || total <= answerHold: // which the request has already
		return true, nil
	case b.out.holds() < math.MaxInt64:
		return b.hold.take(n) == nil, nil
	}
	err := b.hold.grow(ctx, n)
	return err == nil, err
}

// full reports that no further call of the batch should be made.
func (b *batchReply) full() bool { return b.w.total() > maxAnswers || b.w.err != nil }

// add sends the reply to one request.
func (b *batchReply) add(r *request, result any, fault *Error) {
	if b.replies++; b.replies == 1 {
		b.w.raw("[")
	} else {
		b.w.raw(",")
	}
	long, ok := result.(streamer)
	if !ok || fault != nil {
		b.w.b, _ = appendReply(b.w.b, r, result, fault)
	} else {
		start, sent := len(b.w.b), b.w.sent
		b.w.b = appendReplyHead(b.w.b, r)
		switch err := b.s.write(r, &b.w, long); {
		case err != nil && b.w.sent == sent: // nobody has seen that it began
			b.w.b, _ = appendReply(b.w.b[:start], r, nil, asError(err))
		case err != nil:
			b.w.err = err
		default:
			b.w.b = appendReplyTail(b.w.b, r, nil)
		}
	}
	_ = b.w.spill()
}

// end sends what is left. A batch of notifications alone has no reply.
func (b *batchReply) end(empty bool) {
	if b.replies == 0 {
		if !empty {
			b.out.begin(http.StatusNoContent, 0)
			b.out.end(nil)
			return
		}
		b.w.raw("[")
	}
	b.w.raw("]" + b.out.ending())
	if !b.begun && b.w.err != nil { // the client is gone, or a result could not be written
		b.begun = true
		b.out.begin(http.StatusOK, -1)
	}
	if b.begun {
		b.out.end(b.w.flush())
		return
	}
	b.out.begin(http.StatusOK, int64(len(b.held)+len(b.w.b)))
	err := writePieces(b.out, b.held)
	if err == nil {
		err = writePieces(b.out, b.w.b)
	}
	b.out.end(err)
}

// appendReply appends a reply: version 2.0 has either a result or an error, versions
// before it have both, one of them null. The id goes back as it came, digit for digit.
// A result that cannot be encoded is the error that is returned.
func appendReply(b []byte, r *request, result any, fault *Error) ([]byte, *Error) {
	start := len(b)
	if fault == nil {
		w := jsonWriter{b: appendReplyHead(b, r)}
		err := w.value(result)
		if err == nil {
			return appendReplyTail(w.b, r, nil), nil
		}
		b, fault = w.b[:start], failf(CodeInternal, "%v", err)
	}
	if r.isV2() {
		b = append(b, `{"jsonrpc":"2.0"`...)
	} else {
		b = append(b, `{"result":null`...)
	}
	return appendReplyTail(b, r, fault), fault
}

// appendReplyHead appends what stands before a result.
func appendReplyHead(b []byte, r *request) []byte {
	if r.isV2() {
		return append(b, `{"jsonrpc":"2.0","result":`...)
	}
	return append(b, `{"result":`...)
}

// appendReplyTail appends what stands behind a result.
func appendReplyTail(b []byte, r *request, fault *Error) []byte {
	switch {
	case fault != nil:
		problem, _ := marshal(fault)
		b = append(append(b, `,"error":`...), problem...)
	case !r.isV2():
		b = append(b, `,"error":null`...)
	}
	if r.ID != nil { // what came without an id is answered without one, as by Core
		b = append(append(b, `,"id":`...), r.ID...)
	}
	return append(b, '}')
}

// marshal is json.Marshal without its escapes for HTML.
func marshal(v any) (json.RawMessage, error) { return appendAny(nil, v) }

// statusOf is the HTTP status of a reply, Bitcoin Core's. Version 2.0 keeps HTTP out
// of it: a call that failed was still carried well, but what is no request was not.
// Older clients find an error by the status.
func statusOf(r *request, fault *Error) int {
	switch {
	case fault != nil && fault.Code == CodeForbidden: // who may call is a matter of HTTP in every version
		return http.StatusForbidden
	case fault != nil && fault.Code == CodeInvalidRequest:
		return http.StatusBadRequest
	case fault == nil || r.isV2():
		return http.StatusOK
	case fault.Code == CodeMethodNotFound:
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}
