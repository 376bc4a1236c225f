package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/internal/ratelog"
)

// The time limits of a connection. Pages are small: who does not take one in this time
// does not read it.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 60 * time.Second
	shutdownWait  = 2 * time.Second
	maxHeader     = 16 << 10 // bytes of a request's header
)

// Memory is about how many bytes a server takes: blocks and pages that were asked for, and what
// is being made.
const Memory = blockBudget + pageBudget + 24<<20

// Options are what a server shows, and to whom. Params, Headers, Blocks, Pool, Journal and
// Status are needed.
type Options struct {
	Params    *consensus.Params
	UserAgent string // of the node, such as "/karat:0.1.0/"
	Headers   Headers
	Blocks    Blocks
	Index     Index   // nil: there is none
	Scripts   Scripts // nil: there is none
	Pool      Pool
	Journal   Journal
	Status    Status
	Network   Network // nil: nobody is told of it
	Stratum   Stratum // nil: no miners connect
	Faucet    Faucet  // nil: there is none
	Sender    Sender  // nil: visitors send nothing

	Dev       bool   // blocks of this network need no address to be mined to
	BuiltIn   bool   // the network is one of karatd's own, which needs no file
	Operator  bool   // whoever opens pages on this machine may see peers and miners
	Base      string // path under which a proxy has the pages, such as "/explorer"; empty: none
	Forwarded bool   // connections are a proxy's, which tells by X-Forwarded-For whose they are
	Limits    Limits // the zero value: DefaultLimits

	Logger *slog.Logger // nil: discard
}

// Server shows pages. Its methods may be called concurrently.
type Server struct {
	Options
	log      *slog.Logger
	views    *views
	guard    *guard
	made     *pageCache
	places   chan struct{} // of those who make a page
	blocks   *blockCache
	sums     *summaries
	tips     *tipsView
	pool     *poolView
	changes  *changeLog
	touching *waitingScripts
	feed     *feed
	handler  http.Handler
	genesis  *consensus.HashedBlock
}

// New returns a server.
func New(o Options) *Server {
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	s := &Server{Options: o, log: o.Logger, guard: newGuard(o.Limits, o.Forwarded)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = ratelog.New(s.log)
	s.views = newViews(s)
	s.made = newPageCache(pageBudget)
	s.places = make(chan struct{}, max(2, runtime.GOMAXPROCS(0)/2))
	s.blocks = newBlockCache(s.loadBlock, s.connected)
	s.sums = newSummaries(s)
	s.tips = &tipsView{headers: o.Headers}
	s.pool = &poolView{s: s}
	s.changes = &changeLog{journal: o.Journal, now: o.Status.Now}
	s.touching = newWaitingScripts(&o)
	s.genesis = o.Params.GenesisBlock()
	s.feed = newFeed(s)
	s.handler = s.routes()
	return s
}

// Run serves a listener until the context ends, which is no error. It returns when every
// answer has ended.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	all.Go(func() { s.feed.run(ctx) })
	all.Go(func() {
		if err := server.Serve(s.guard.listener(listener)); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	})
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	cancel() // ends streams, which would go on for ever
	late, done := context.WithTimeout(context.WithoutCancel(ctx), shutdownWait)
	defer done()
	if server.Shutdown(late) != nil {
		server.Close()
	}
	all.Wait()
	s.guard.wait()
	return err
}
