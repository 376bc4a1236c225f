package rpc

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxPending is how much of an answer of unknown length is held back, in bytes. One that
// is shorter has a Content-Length, without which some clients read none.
const maxPending = 4096

// response is the http.ResponseWriter of a request. It is the handler's goroutine's alone.
type response struct {
	c *client
	r *http.Request

	header   http.Header
	status   int    // 0: not said yet
	pending  []byte // what was written before the header was sent
	sent     bool   // the header was
	left     int64  // bytes of the body that Content-Length still promises; -1: none promises
	chunked  bool
	plain    bool // promiseJSON was called, and left is set
	noBody   bool
	ends     bool // the connection ends after this
	hijacked bool
}

// timed gives a client a time for each piece of what is written, not for all: a long
// answer may take a slow line long.
type timed struct{ net.Conn }

// Write implements io.Writer.
func (t timed) Write(p []byte) (n int, err error) {
	for piece := range slices.Chunk(p, writePiece) {
		if err := t.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return n, err
		}
		m, err := t.Conn.Write(piece)
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && !w.hijacked {
		w.status = status
	}
}

// promiseJSON is WriteHeader with a Content-Type and a Content-Length. Nearly all answers
// have these alone, and do without a map for them.
func (w *response) promiseJSON(status int, length int64) {
	if w.header != nil {
		w.header.Set("Content-Type", "application/json")
		w.header.Set("Content-Length", strconv.FormatInt(length, 10))
	} else {
		w.plain, w.left = true, length
	}
	w.WriteHeader(status)
}

// sendPlain is send after promiseJSON. The order is that of http.Header.Write.
func (w *response) sendPlain() error {
	w.sent = true
	w.noBody = w.r.Method == http.MethodHead
	w.ends = w.ends || w.r.Close
	w.statusLine()
	var room [160]byte
	b := room[:0]
	switch {
	case w.ends:
		b = append(b, "Connection: close\r\n"...)
	case !w.r.ProtoAtLeast(1, 1):
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	b = strconv.AppendInt(append(b, "Content-Length: "...), w.left, 10)
	b = append(b, "\r\nContent-Type: application/json\r\nDate: "...)
	b = time.Now().UTC().AppendFormat(b, http.TimeFormat)
	_, err := w.c.bw.Write(append(b, "\r\n\r\n"...))
	return err
}

// Write implements io.Writer.
func (w *response) Write(p []byte) (int, error) {
	switch {
	case w.hijacked:
		return 0, http.ErrHijacked
	case w.status == 0:
		w.status = http.StatusOK
	}
	if !w.sent {
		if !w.plain && w.Header().Get("Content-Length") == "" && len(w.pending)+len(p) <= maxPending {
			w.pending = append(w.pending, p...)
			return len(p), nil
		}
		if err := w.send(false); err != nil {
			return 0, err
		}
	}
	return w.body(p)
}

// body writes a part of the body behind the header.
func (w *response) body(p []byte) (int, error) {
	switch {
	case w.noBody || len(p) == 0:
		return len(p), nil
	case w.chunked:
		fmt.Fprintf(w.c.bw, "%x\r\n", len(p))
		_, _ = w.c.bw.Write(p)
		_, err := w.c.bw.WriteString("\r\n")
		return len(p), err
	case w.left >= 0 && int64(len(p)) > w.left:
		w.ends = true
		return 0, http.ErrContentLength
	case w.left >= 0:
		w.left -= int64(len(p))
	}
	return w.c.bw.Write(p)
}

// send writes the status and the header, and what is pending. If that is all of the
// body, its length is told.
func (w *response) send(all bool) error {
	if w.plain && w.header == nil {
		return w.sendPlain()
	}
	w.sent = true
	h := w.Header()
	w.noBody = w.r.Method == http.MethodHead || w.status == http.StatusNoContent || w.status == http.StatusNotModified
	w.left = -1
	switch length := h.Get("Content-Length"); {
	case w.status == http.StatusNoContent || w.status == http.StatusNotModified:
		h.Del("Content-Length")
	case length == "" && all:
		h.Set("Content-Length", strconv.Itoa(len(w.pending)))
	case length != "":
		n, err := strconv.ParseInt(length, 10, 64)
		if err != nil {
			return errors.New("a handler gives a Content-Length that is no number")
		}
		w.left = n
	case !w.noBody && w.r.ProtoAtLeast(1, 1):
		w.chunked = true
		h.Set("Transfer-Encoding", "chunked")
	case !w.noBody:
		w.ends = true // the end of the connection is the end of the body
	}
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	w.ends = w.ends || w.r.Close || strings.EqualFold(h.Get("Connection"), "close")
	switch {
	case w.ends:
		h.Set("Connection", "close")
	case !w.r.ProtoAtLeast(1, 1):
		h.Set("Connection", "keep-alive")
	}
	w.statusLine()
	if err := h.Write(w.c.bw); err != nil { // net/http's, which lets no line feed through
		return err
	}
	_, err := w.c.bw.WriteString("\r\n")
	if len(w.pending) > 0 && err == nil {
		_, err = w.body(w.pending)
	}
	return err
}

func (w *response) statusLine() {
	version := "HTTP/1.1 "
	if !w.r.ProtoAtLeast(1, 1) {
		version = "HTTP/1.0 "
	}
	w.c.bw.WriteString(version + strconv.Itoa(w.status) + " " + reasonOf(w.status) + "\r\n")
}

// reasonOf is the text of a status, Bitcoin Core's where it differs from Go's.
func reasonOf(status int) string {
	if status == http.StatusRequestEntityTooLarge {
		return "Content too large"
	}
	return http.StatusText(status)
}

// finish writes what is left of the answer. It reports whether the connection can have
// another request.
func (w *response) finish() bool {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	var err error
	if !w.sent {
		err = w.send(true)
	}
	if w.chunked && err == nil {
		_, err = w.c.bw.WriteString("0\r\n\r\n")
	}
	if flushed := w.c.bw.Flush(); err == nil {
		err = flushed
	}
	return err == nil && !w.ends && (w.left <= 0 || w.noBody)
}

// FlushError is what http.ResponseController flushes by.
func (w *response) FlushError() error {
	if w.hijacked {
		return http.ErrHijacked
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if !w.sent {
		if err := w.send(false); err != nil {
			return err
		}
	}
	return w.c.bw.Flush()
}

// SetWriteDeadline is for http.ResponseController. It changes nothing: each piece that is
// written has a deadline of its own.
func (w *response) SetWriteDeadline(time.Time) error { return nil }

// Hijack implements http.Hijacker.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.hijacked || w.sent {
		return nil, nil, http.ErrHijacked
	}
	w.hijacked = true
	w.c.stopWatch()
	if err := w.c.conn.SetDeadline(time.Time{}); err != nil {
		return nil, nil, err
	}
	w.c.web.lobby.hijack(w.c)
	return w.c.conn, bufio.NewReadWriter(w.c.br, bufio.NewWriterSize(w.c.conn, maxPending)), nil
}
