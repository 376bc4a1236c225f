// Package monitor is what programs that watch a node read, over HTTP: /metrics in the text
// format of Prometheus, /health/live and /health/ready. It tells nothing that is secret, and
// names no peer, so it asks for no password; it has a port of its own, which an operator opens
// to whom he likes.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/net/netutil"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/miner/stratuminfo"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/rpc/callinfo"
)

// Chain is the node's chain.
type Chain interface {
	TipState() consensus.State
	BestHeader() types.Index
	Effort() header.Effort
	Failed() <-chan struct{} // closed when the chain has met a fault and does nothing more
}

// Pool is what waits for a block.
type Pool interface{ Info() pending.Info }

// Network is the node's connections.
type Network interface {
	Peers() []peerinfo.Info
	Totals() (received, sent uint64) // bytes
	Syncing() bool
}

// Clients are those of RPC.
type Clients interface{ Calls() []callinfo.Method }

// Miners are those of Stratum.
type Miners interface{ Info() stratuminfo.Info }

// Events is what writes a stream of events. height is where the stream was last seen to be,
// messages are those that this node has sent.
type Events interface {
	Written() (height uint32, messages uint64, connected bool)
}

// Store is where the chain lies.
type Store interface {
	CacheBytes() (database, coins int64)
	CoinsOnDisk() int64
	SizeOnDisk() int64
}

// Options are what a Server is made of.
type Options struct {
	Version string
	Params  *consensus.Params
	Chain   Chain
	Pool    Pool
	Network Network
	Clients Clients
	Miners  Miners // nil: there is no Stratum server
	Events  Events // nil: no stream is written
	Store   Store
	Started func() bool // everything listens
	Now     func() time.Time
}

// Server answers monitors.
type Server struct {
	o     Options
	since time.Time
}

// New returns a server, which Run runs.
func New(o Options) *Server { return &Server{o, o.Now()} }

// Bounds of what clients may cost. An answer is a few kilobytes and takes a millisecond.
const (
	timeout      = 10 * time.Second
	maxHead      = 8 << 10 // bytes of a request
	maxAnswering = 8       // requests at once; more are told to come again
	// maxConnections is how many are open at once; more wait until others end. Each takes a
	// file from the node, which needs them for its peers and its store.
	maxConnections = 128
)

// Run answers at a listener until the context ends.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s.handler(), ReadTimeout: timeout, WriteTimeout: timeout, IdleTimeout: time.Minute, MaxHeaderBytes: maxHead,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(netutil.LimitListener(l, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("GET /health/live", s.live)
	mux.HandleFunc("GET /health/ready", s.ready)
	places := make(chan struct{}, maxAnswering)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			w.Header().Set("Cache-Control", "no-store")
			mux.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
		}
	})
}

// live answers whether the node still does its work, or should be started anew.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) {
	if fault := s.fault(); fault != "" {
		http.Error(w, fault, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "live")
}

func (s *Server) fault() string {
	select {
	case <-s.o.Chain.Failed():
		return "the chain has met a fault: see the log"
	default:
		return ""
	}
}

// ready answers whether the node's answers are those of the best chain, and if not why. With
// ?height=N it must have come to that height; a balancer keeps replicas apart by it that lag.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	least := uint64(0)
	if text := r.FormValue("height"); text != "" {
		var err error
		if least, err = strconv.ParseUint(text, 10, 32); err != nil {
			http.Error(w, "height: want a number", http.StatusBadRequest)
			return
		}
	}
	tip := s.o.Chain.TipState().Index
	var why []string
	if fault := s.fault(); fault != "" {
		why = append(why, fault)
	}
	if !s.o.Started() {
		why = append(why, "the node is starting")
	}
	if s.o.Network.Syncing() {
		why = append(why, fmt.Sprintf("syncing: height %d, headers %d", tip.Height, s.o.Chain.BestHeader().Height))
	}
	if uint64(tip.Height) < least {
		why = append(why, fmt.Sprintf("height %d, wanted %d", tip.Height, least))
	}
	if len(why) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		for _, line := range why {
			fmt.Fprintln(w, line)
		}
		return
	}
	fmt.Fprintf(w, "ready\nheight %d\n", tip.Height)
}
