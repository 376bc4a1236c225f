package rpc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// The limits of the server. A client is known by its password before it costs more
// than a connection, so they guard against mistakes rather than attacks: a script
// in a loop, a client that hangs, a request that asks for too much at once.
const (
	// A block in hexadecimal takes twice its size, which is at most 4 MB. The rest
	// is room for batches.
	maxBody  = 32 << 20 // bytes of a request
	maxBatch = 10_000   // requests in a batch

	// A short request can ask for many long answers. Behind this many bytes the rest
	// of a batch is not called.
	maxAnswers = 64 << 20

	maxConnections = 512 // more wait until one ends

	// Slow calls share a few places, so that they leave the disk and the processor
	// to the others. There is a place for every two threads, but at least these.
	minSlow     = 2
	callTimeout = 15 * time.Minute // a slow call is done by then on any disk that works

	readTimeout    = 30 * time.Second // for the header of a request
	bodyTimeout    = 5 * time.Minute  // for all of it
	idleTimeout    = 2 * time.Minute  // between the requests of a connection
	maxHeaderBytes = 16 << 10

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
	Index     Index // nil: there is none
	Pool      Pool
	Miner     Miner   // nil: nothing can be mined here
	Stratum   Stratum // nil: no miners connect
	PayTo     []byte  // scriptPubKey that coinbases of templates pay to; nil: it is not known
	Network   Network
	Control   Control
	Auth      *Auth
	Logger    *slog.Logger // nil: discard

	BlockMinFeeRate types.FeeRate // of what comes into a template
}

// Server answers clients. Its methods may be called concurrently.
type Server struct {
	Options
	log     *slog.Logger
	table   map[string]*method // by name
	slow    chan struct{}      // the places of slow calls
	polls   chan struct{}      // the places of those who wait for a template
	encoded encodedTxs
	warm    atomic.Bool // Ready was called
	active  activeCalls
	sockets sync.WaitGroup // net/http forgets a connection that has become a WebSocket
}

// NewServer returns a server that tells clients to wait (-28) until Ready is
// called: a node opens its ports before it is ready, so that one that is taken is
// found at once.
func NewServer(o Options) *Server {
	s := &Server{Options: o, log: o.Logger, table: methods(), slow: make(chan struct{}, max(minSlow, runtime.GOMAXPROCS(0)/2)), polls: make(chan struct{}, maxPolls)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Ready lets the server answer.
func (s *Server) Ready() { s.warm.Store(true) }

// Run serves a listener until the context ends, which is no error. It returns
// when every call has ended, because the node closes what calls use after that.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	// Calls outlive ctx a little: the call of stop ends it, and wants its answer, too.
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: readTimeout, ReadTimeout: bodyTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, BaseContext: func(net.Listener) context.Context { return calls },
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(newLimitListener(l, maxConnections)) }()
	var err error
	select {
	case err = <-done: // the listener failed
		server.Close()
	case <-ctx.Done():
		shutdown, stop := context.WithTimeout(context.WithoutCancel(ctx), shutdownWait)
		timer := time.AfterFunc(shutdownWait/5, cancel) // what still runs is told to end
		if server.Shutdown(shutdown) != nil {
			server.Close()
		}
		timer.Stop()
		stop()
		<-done
	}
	cancel()
	s.sockets.Wait()
	s.active.end()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// limitListener holds so many connections at once. More are not refused but wait in
// the system's queue: an application that opens many gets slower, not errors.
type limitListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newLimitListener(l net.Listener, most int) *limitListener {
	return &limitListener{Listener: l, slots: make(chan struct{}, most), closed: make(chan struct{})}
}

// Close implements net.Listener. It also wakes an Accept that waits for a connection
// to end: WebSockets end only after the listener.
func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// Accept implements net.Listener.
func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: conn, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

type limitedConn struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", s.serveSocket)
	mux.HandleFunc("/", s.serveHTTP)
	return mux
}

// serveHTTP answers one request, or one batch of them. The path is not looked at:
// clients of Bitcoin Core put the name of a wallet there. Nor is the content type,
// which curl and old clients have wrong.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	reply := &httpReply{w, http.NewResponseController(w)}
	defer reply.inTime() // what is buffered is written after this function
	if r.Method != http.MethodPost {
		http.Error(w, "JSONRPC server handles only POST requests", http.StatusMethodNotAllowed)
		return
	}
	user, ok := s.Auth.check(r)
	if !ok {
		s.refuse(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the request is too long or broke off", http.StatusRequestEntityTooLarge)
		return
	}
	s.answer(r.Context(), &session{user: user}, body, reply)
}

// refuse answers whoever is no user. The log names the address, because such
// requests are either a mistake in a configuration or an attempt to get in.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request) {
	s.log.Warn("a client has no valid user and password", "from", r.RemoteAddr)
	time.Sleep(refusalDelay)
	w.Header().Set("WWW-Authenticate", `Basic realm="jsonrpc"`)
	w.WriteHeader(http.StatusUnauthorized)
}
