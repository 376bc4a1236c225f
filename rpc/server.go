package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/ratelog"
	"github.com/karatcoin/karat/rpc/zmqinfo"
)

// The limits of the server. A client is known by its password before it costs more
// than a connection, so they guard against mistakes rather than attacks: a script
// in a loop, a client that hangs, a request that asks for too much at once. What
// strangers can do is bounded by the lobby.
const (
	// DefaultIdleTimeout is how long a connection may be without requests.
	DefaultIdleTimeout = 2 * time.Minute

	// A block in hexadecimal takes twice its size, which is at most 4 MB. The rest
	// is room for batches.
	maxBody  = 32 << 20 // bytes of a request
	maxBatch = 10_000   // requests in a batch

	// A short request can ask for many long answers. Behind this many bytes the rest
	// of a batch is not called.
	maxAnswers = 64 << 20

	// Slow calls share a few places, so that they leave the disk and the processor
	// to the others. There is a place for every two threads, but at least these.
	minSlow = 2

	readTimeout = 30 * time.Second // for the header of a request
	bodyTimeout = 5 * time.Minute  // for all of it

	lingerTime  = 500 * time.Millisecond // that a connection which ends is still read, and
	lingerBytes = 256 << 10              // so many bytes
	watchAfter  = 50 * time.Millisecond  // it is seen that a client has gone

	// A long answer may take a slow line a long time. What is bounded is therefore the
	// time for each piece of it.
	writeTimeout = 30 * time.Second
	writePiece   = 64 << 10 // bytes

	refusalDelay = 250 * time.Millisecond // guessing a password should take long
	shutdownWait = 5 * time.Second        // for answers that are on their way at the end
)

// Options are what a server answers from. Params, Headers, Blocks, Operator, Pool,
// Network and Control are needed.
type Options struct {
	Params    *consensus.Params
	UserAgent string // such as "/karat:0.1.0/"
	Headers   Headers
	Blocks    Blocks
	Operator  Operator
	Index     Index   // nil: there is none
	Scripts   Scripts // nil: there is none
	Pool      Pool
	Dev       Dev     // nil: this is no developer's chain
	Miner     Miner   // nil: nothing can be mined here
	Stratum   Stratum // nil: no miners connect
	PayTo     []byte  // scriptPubKey that coinbases of templates pay to; nil: it is not known
	Network   Network
	Control   Control
	Doctor    Doctor // nil: nobody looks what is wrong
	Logs      Logs   // nil: nothing is told of it
	Lab       Lab    // nil: the node is in none
	Auth      *Auth

	TLS         *tls.Config        // nil: plain HTTP
	Hosts       []string           // names by which clients may call this node, beside addresses and localhost
	Limits      Limits             // of each user
	AllowIP     []netip.Prefix     // of clients; none: all
	IdleTimeout time.Duration      // of a connection without requests; 0: DefaultIdleTimeout
	REST        bool               // anybody may read the chain by REST
	Profiles    bool               // users who may call everything may take profiles
	ZMQ         []zmqinfo.Endpoint // where the node publishes, for getzmqnotifications

	Logger *slog.Logger // nil: discard

	BlockMinFeeRate types.FeeRate // of what comes into a template
}

// Server answers clients. Its methods may be called concurrently.
type Server struct {
	Options
	log     *slog.Logger
	table   map[string]*method // by name
	slow    *places            // of slow calls
	polls   *places            // of those who wait for a template or a block
	encoded encodedTxs
	waiting pendingScripts
	blocks  *blockCache
	turns   *places // of those who make long answers
	// coinScan is scantxoutset's, blockScan that of scanblocks.
	coinScan, blockScan scan
	warm                atomic.Bool // Ready was called
	asGiven             sync.Map    // what addnode was given, by the address with its port
	active              activeCalls
	accounts            accounts
	// strangers is for what anybody can bring about: it grows by a few lines a minute.
	strangers *slog.Logger
	sockets   socketsHold
	allowIP   atomic.Pointer[[]netip.Prefix]
	lobby     atomic.Pointer[lobby] // while it runs
}

// NewServer returns a server that tells clients to wait (-28) until Ready is
// called: a node opens its ports before it is ready, so that one that is taken is
// found at once.
func NewServer(o Options) *Server {
	slow := max(minSlow, runtime.GOMAXPROCS(0)/2)
	s := &Server{Options: o, log: o.Logger, table: methods(), slow: newPlaces(slow, slow), polls: newPlaces(maxPolls, maxPolls), sockets: newSocketsHold()}
	if o.Dev == nil {
		withoutDev(s.table)
	}
	for _, m := range s.table {
		m.server = s
	}
	s.blocks = newBlockCache(blockBudget, s.loadBlock)
	turns := max(1, runtime.GOMAXPROCS(0)/2)
	s.turns = newPlaces(turns, turns)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.strangers = ratelog.New(s.log)
	s.SetAllowIP(o.AllowIP)
	s.accounts.limits = o.Limits
	if o.Auth.names() > 1 { // what one user may have while there are others
		s.slow, s.polls = newPlaces(slow, slow-1), newPlaces(maxPolls, maxPolls/2)
	}
	return s
}

// SetAllowIP changes from where clients may connect; none: from everywhere. Connections from
// elsewhere end.
func (s *Server) SetAllowIP(list []netip.Prefix) {
	s.allowIP.Store(&list)
	if l := s.lobby.Load(); l != nil {
		l.keep(s.mayConnect)
	}
}

// Ready lets the server answer.
func (s *Server) Ready() { s.warm.Store(true) }

// Run serves listeners until the context ends, which is no error. It returns
// when every call has ended, because the node closes what calls use after that.
func (s *Server) Run(ctx context.Context, listeners ...net.Listener) error {
	// Calls outlive ctx a little: the call of stop ends it, and wants its answer, too.
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	w := &web{s: s, calls: calls, handler: s.handler(), hosts: newHosts(s.Hosts), lobby: newLobby(maxConnections, s.Auth.names() > 1)}
	s.lobby.Store(w.lobby)
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		w.all.Go(func() { failed <- w.accept(l) })
	}
	var err error
	select {
	case err = <-failed:
		w.lobby.close()
	case <-ctx.Done():
	}
	for _, l := range listeners {
		l.Close()
	}
	w.end(cancel)
	s.active.end()
	return err
}

// end lets requests that are under way end, then those that do not, and returns when all
// connections have ended.
func (w *web) end(cancel context.CancelFunc) {
	over := w.lobby.end()
	timer := time.AfterFunc(shutdownWait/5, cancel) // what still runs is told to end
	late := time.NewTimer(shutdownWait)
	select {
	case <-over:
	case <-late.C:
		w.lobby.close()
	}
	timer.Stop()
	late.Stop()
	cancel()
	w.all.Wait()
}

func (s *Server) idleTimeout() time.Duration {
	if s.IdleTimeout > 0 {
		return s.IdleTimeout
	}
	return DefaultIdleTimeout
}

func (s *Server) handler() http.Handler { return http.HandlerFunc(s.route) }

// route finds what answers a request. Where there is nothing, a foreign Host does no harm.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut:
	default:
		http.Error(w, "this method is not used here", http.StatusMethodNotAllowed)
		return
	}
	handle := s.at(pathOf(r))
	if handle == nil {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "there is nothing here", http.StatusNotFound)
		return
	}
	if c := clientOf(r.Context()); c != nil && !c.web.hosts.has(r.Host) {
		w.Header().Set("Connection", "close")
		http.Error(w, fmt.Sprintf("this node is not called %q: if it is, start it with --rpc-host", printable(r.Host)), http.StatusForbidden)
		return
	}
	handle(w, r)
}

// at returns what is at a path, or nil. Paths are compared as they are: nothing here is a
// file, so that dots mean nothing.
func (s *Server) at(path string) http.HandlerFunc {
	switch {
	case path == "/ws":
		return s.serveSocket
	case path == "/", strings.HasPrefix(path, "/wallet/"): // where clients of Bitcoin Core put the name of a wallet
		return s.serveHTTP
	case s.Profiles && strings.HasPrefix(path, profilesPrefix):
		return s.serveProfile
	case s.REST && strings.HasPrefix(path, restPrefix):
		return s.serveREST
	}
	return nil
}

// sameOrigin knows what a browser sends for a page of another site. The browser adds the password by
// itself if its user has once logged in, such as to look at profiles.
var sameOrigin = http.NewCrossOriginProtection()

// serveHTTP answers one request, or one batch of them. The content type is not looked
// at: curl and old clients have it wrong.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "JSONRPC server handles only POST requests", http.StatusMethodNotAllowed)
		return
	}
	if err := sameOrigin.Check(r); err != nil {
		http.Error(w, "a page of another site may not call this node", http.StatusForbidden)
		return
	}
	user, ok := s.userOf(r)
	if !ok {
		s.refuse(w, r)
		return
	}
	if err := s.enter(r.Context(), user); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := s.inTime(r.Context())
	defer cancel()
	h := hold{a: s.accounts.of(user.Name)}
	defer h.end()
	if err := h.grow(ctx, bodyLength(r)+answerHold); err != nil {
		w.Header().Set("Connection", "close")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		w.Header().Set("Connection", "close") // what else comes belongs to the body
		status, problem := brokenBody(err)
		http.Error(w, problem, status)
		return
	}
	s.answer(ctx, &session{user: user, hold: &h}, body, httpReply{w})
}

// inTime gives a request its time, unless it has one.
func (s *Server) inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.Limits.callTime())
}

// readBody reads all of a body. Memory for one of a known length is taken at once.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 || r.ContentLength > maxBody {
		return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

// brokenBody tells why a body could not be read.
func brokenBody(err error) (status int, problem string) {
	if long := (*http.MaxBytesError)(nil); errors.As(err, &long) {
		return http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", long.Limit)
	}
	return http.StatusBadRequest, "the body of the request broke off, or its chunks are none"
}

// bodyLength is how long a body may be, in bytes.
func bodyLength(r *http.Request) int64 {
	if r.ContentLength >= 0 {
		return min(r.ContentLength, maxBody)
	}
	return maxBody
}

// enter notes that a connection is a user's. The error says that the user has too many.
func (s *Server) enter(ctx context.Context, u *User) error {
	if c := clientOf(ctx); c != nil && !c.web.lobby.enter(c, u.Name) {
		return fmt.Errorf("the user %s has %d connections; close some, or use them for more than one request", u.Name, maxConnections*userPlaces/userPlacesOf)
	}
	return nil
}

// refuse answers whoever is no user. The log names the address, because such
// requests are either a mistake in a configuration or an attempt to get in. Some clients
// say nothing at first and wait to be asked: they need not wait for that.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		s.strangers.Warn("a client has no valid user and password", "from", r.RemoteAddr)
		s.deter(r.Context())
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="jsonrpc"`)
	w.WriteHeader(http.StatusUnauthorized)
}

// deter waits after a wrong password. The connection is a stranger's meanwhile, and gives
// way as one.
func (s *Server) deter(ctx context.Context) {
	timer := time.NewTimer(refusalDelay)
	defer timer.Stop()
	var gone chan struct{}
	if c := clientOf(ctx); c != nil {
		c.web.lobby.enter(c, "")
		gone = c.gone
	}
	select {
	case <-timer.C:
	case <-gone:
	case <-ctx.Done():
	}
}
