package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
)

// pageTime is how long a page may take to make, waiting for a place included.
const pageTime = 5 * time.Second

// policy lets a page load what is from here, and nothing else. No script and no style may
// stand in a page itself.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// page is an answer that was not made yet.
type page struct {
	// version names what the page shows: the same path and version are the same bytes.
	version string
	// keep is how long a browser may show the page again without asking.
	keep    time.Duration
	private bool // for the operator: it is kept nowhere
	// view is the name of a template, for whose data make is called. Without one, make
	// returns a []byte of the given type.
	view string
	kind string
	make func(ctx context.Context) (any, error)
}

// failure is an error that visitors are told.
type failure struct {
	status int
	title  string
	text   string
	hints  []hint // where to go instead
}

// hint is a link that may help.
type hint struct{ Text, Path string }

func (f *failure) Error() string { return f.title + ": " + f.text }

// errBusy is what those are told who would have too much on its way.
var errBusy = &failure{status: http.StatusServiceUnavailable, title: "The node is busy", text: "Much is being sent. Read what you have asked for first, and try again."}

func notFound(title, text string, hints ...hint) error {
	return &failure{http.StatusNotFound, title, text, hints}
}

func isNotFound(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.status == http.StatusNotFound
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.guard.handlers.Add(1)
	defer s.guard.handlers.Done()
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if s.isAPI(r) && r.URL.Path != s.Base+"/api/faucet" {
		// Wallets in browsers ask, too, and read what is wrong. A page of another site is not to
		// have its visitors ask the faucet.
		h.Set("Access-Control-Allow-Origin", "*")
	}
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	defer func() {
		if bug := recover(); bug != nil {
			if bug == http.ErrAbortHandler {
				panic(bug)
			}
			s.log.Error("a page panicked", "path", Printable(r.URL.Path, 80), "panic", bug, "stack", string(debug.Stack()))
			http.Error(w, "this page has a fault; the node's log tells more", http.StatusInternalServerError)
		}
	}()
	if !s.guard.admit(s.guard.visitorOf(r)) {
		h.Set("Retry-After", "5")
		http.Error(w, "too much was asked from your address; try again in some seconds", http.StatusTooManyRequests)
		return
	}
	s.handler.ServeHTTP(w, r)
}

// answer answers with a page.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, p *page) {
	v := s.guard.visitorOf(r)
	key := r.URL.Path + "\n" + p.version // what else stands in a query changes nothing
	sum := sha256.Sum256([]byte(s.views.version + key))
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Vary", "Accept-Encoding")
	if p.keep > 0 {
		h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(p.keep/time.Second))+", immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	if p.private {
		h.Set("Cache-Control", "no-store")
	}
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), pageTime)
	defer cancel()
	body, err := s.made.get(ctx, key, func() (made, error) {
		leave, err := s.enter(ctx, v)
		if err != nil {
			return made{}, err
		}
		defer leave()
		return s.make(ctx, p)
	})
	if err != nil {
		h.Del("ETag")
		s.fail(w, r, err)
		return
	}
	// It counts before it is sent: who reads slowly could have much more else.
	bytes := body.length(r)
	end, ok := s.guard.send(v, bytes)
	if !ok {
		h.Del("ETag")
		s.fail(w, r, errBusy)
		return
	}
	defer end()
	s.guard.charge(v, bytes, 0)
	h.Set("Content-Type", body.kind)
	body.write(w, r)
}

// enter waits for a place among those who make pages. What is done until leave is called is
// the visitor's work.
func (s *Server) enter(ctx context.Context, v visitor) (leave func(), err error) {
	end, err := s.guard.turn(ctx, v)
	if err != nil {
		return nil, err
	}
	select {
	case s.places <- struct{}{}:
	case <-ctx.Done():
		end()
		return nil, ctx.Err()
	}
	start := time.Now()
	return func() {
		<-s.places
		s.guard.charge(v, 0, time.Since(start))
		end()
	}, nil
}

// make makes a page.
func (s *Server) make(ctx context.Context, p *page) (made, error) {
	data, err := p.make(ctx)
	if err == nil {
		err = ctx.Err() // what was asked for in vain may lack: nobody else must be shown that
	}
	if err != nil {
		return made{}, err
	}
	if p.view == "" {
		return newMade(data.([]byte), p.kind), nil
	}
	var out bytes.Buffer
	if err := s.views.render(&out, p.view, data); err != nil {
		return made{}, err
	}
	return newMade(out.Bytes(), "text/html; charset=utf-8"), nil
}

// fail answers with an error.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var f *failure
	switch {
	case errors.As(err, &f):
	case r.Context().Err() != nil:
		return // nobody is there
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		w.Header().Set("Retry-After", "5")
		f = &failure{status: http.StatusServiceUnavailable, title: "The node is busy", text: "This page took too long to make. Try again in some seconds."}
	case errors.Is(err, consensus.ErrNotFound):
		f = &failure{status: http.StatusNotFound, title: "Not stored here", text: "This node does not have that block's data: it was pruned, or has not come yet."}
	default:
		s.log.Error("a page could not be made", "path", Printable(r.URL.Path, 80), "err", err)
		f = &failure{status: http.StatusInternalServerError, title: "This page has a fault", text: "The node's log tells more."}
	}
	w.Header().Set("Cache-Control", "no-store")
	if s.isAPI(r) {
		http.Error(w, f.text, f.status)
		return
	}
	var out bytes.Buffer
	data := errorView{Frame: s.frame(f.title, ""), Status: f.status, Text: f.text, Hints: f.hints}
	if err := s.views.render(&out, "error", data); err != nil {
		http.Error(w, f.title, f.status)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(f.status)
	if r.Method != http.MethodHead {
		n, _ := w.Write(out.Bytes())
		s.guard.charge(s.guard.visitorOf(r), n, 0)
	}
}

type errorView struct {
	Frame
	Status int
	Text   string
	Hints  []hint
}

// matches reports whether a browser has the page already.
func matches(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		if part = strings.TrimPrefix(strings.TrimSpace(part), "W/"); part == tag || part == "*" {
			return true
		}
	}
	return false
}

// made is a page that can be sent to any number of visitors.
type made struct {
	plain, packed []byte // packed by gzip; nil: it would save nothing
	kind          string
}

// minPacked is the size in bytes from which on a page is packed.
const minPacked = 1 << 10

// packers are kept for the next page: one takes a megabyte, which would be most of what making
// a page takes.
var packers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that there is
	return z
}}

func newMade(b []byte, kind string) made {
	m := made{plain: b, kind: kind}
	if len(b) < minPacked {
		return m
	}
	out := bytes.NewBuffer(make([]byte, 0, len(b)/2))
	z := packers.Get().(*gzip.Writer)
	z.Reset(out)
	_, _ = z.Write(b) // a buffer takes all
	_ = z.Close()
	packers.Put(z)
	if out.Len() < len(b) {
		m.packed = bytes.Clone(out.Bytes()) // without the room that was left
	}
	return m
}

func (m made) size() int { return len(m.plain) + len(m.packed) }

// form returns the bytes that a visitor takes, and whether they are packed.
func (m made) form(r *http.Request) (b []byte, packed bool) {
	if m.packed != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		return m.packed, true
	}
	return m.plain, false
}

// length returns how many bytes write sends.
func (m made) length(r *http.Request) int {
	if r.Method == http.MethodHead {
		return 0
	}
	b, _ := m.form(r)
	return len(b)
}

// write answers.
func (m made) write(w http.ResponseWriter, r *http.Request) {
	b, packed := m.form(r)
	if packed {
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(b)
	}
}
