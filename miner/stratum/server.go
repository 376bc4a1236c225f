package stratum

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/miner/stratuminfo"
)

// The defaults of Options.
const (
	DefaultMaxConnections = 2000
	DefaultMaxPerAddress  = 100
)

// The times of the server.
const (
	refreshAfter = 30 * time.Second      // a job is replaced by one with better fees and a fresh time
	tipPatience  = 30 * time.Millisecond // in which a new tip's transactions are waited for
	spacing      = 20 * time.Millisecond // between jobs at least, while the chain catches up
	tendEvery    = 2 * time.Second       // difficulties are looked at, and old things forgotten
	closeWait    = time.Second           // for what is on its way at the end
)

// Templates is where the work comes from.
type Templates interface {
	// Template returns the best block that can be built now. It is the same one while there
	// is no better.
	Template() *template.Template
}

// Chain is what blocks are for. AddBlock's error is of one of consensus's kinds.
type Chain interface {
	TipState() consensus.State
	AddBlock(ctx context.Context, raw []byte) error
	poke.Source // pokes after the tip has changed
}

// Options are the choices of New. Params, Templates, Chain, Pool and Listener are needed.
type Options struct {
	Params    *consensus.Params
	Templates Templates
	Chain     Chain
	Pool      poke.Source // pokes after waiting transactions have changed
	Listener  net.Listener
	TLS       *tls.Config // nil: none is spoken
	PayTo     []byte      // script of workers whose names are no addresses; nil: they are refused
	Tag       string      // in the coinbase, cut to 60 bytes

	MaxConnections int // 0: DefaultMaxConnections
	MaxPerAddress  int // of them, from one that is not of a private network; 0: DefaultMaxPerAddress

	Now   func() time.Time // the network's time, which headers have; nil: time.Now
	Clock func() time.Time // by which everything else goes; nil: time.Now
	// Logger has what strangers can bring about, OwnLogger the blocks that were found and
	// taken. Nil discards.
	Logger, OwnLogger *slog.Logger
}

// Server gives jobs to miners. Its methods may be called concurrently.
type Server struct {
	o        Options
	jobs     jobs
	limits   limits
	sessions sessions
	workers  workers
	wanted   poke.Slot // somebody wants a job, and there is none
	found    chan foundBlock
	all      *bucket // of the lines that all may send beyond their own

	mu sync.Mutex
	// Guarded by mu:
	connections map[*connection]struct{}
	working     map[*connection]struct{} // those that have jobs
	meter       meter                    // of all workers
	shares      stratuminfo.Shares
	last        *stratuminfo.Block
}

// New returns a server that does nothing yet.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OwnLogger == nil {
		o.OwnLogger = slog.New(slog.DiscardHandler)
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = DefaultMaxConnections
	}
	if o.MaxPerAddress <= 0 {
		o.MaxPerAddress = DefaultMaxPerAddress
	}
	return &Server{
		o:           o,
		jobs:        jobs{tag: o.Tag[:min(len(o.Tag), maxTag)]},
		limits:      limits{most: o.MaxConnections, perPlace: o.MaxPerAddress, connected: map[string]int{}, offenders: map[string]*offender{}},
		sessions:    sessions{parked: map[string]parkedSession{}, from: map[string]int{}, used: map[[extraNonce1Size]byte]bool{}},
		workers:     workers{byName: map[string]*worker{}},
		wanted:      poke.NewSlot(),
		found:       make(chan foundBlock, 16),
		all:         newBucket(allLines, allAtOnce),
		connections: map[*connection]struct{}{},
		working:     map[*connection]struct{}{},
	}
}

// Run serves miners until the context ends, which is no error. It returns when all that
// it has started has ended, and with every block that was found given to the chain.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { s.follow(ctx) })
	wg.Go(func() { s.tend(ctx) })
	var submitting sync.WaitGroup
	submitting.Go(func() { s.submitBlocks(context.WithoutCancel(ctx)) })
	err := s.listen(ctx)
	cancel()
	wg.Wait()
	close(s.found) // whoever finds blocks has ended
	submitting.Wait()
	return err
}

// tend looks after what changes with time alone.
func (s *Server) tend(ctx context.Context) {
	ticker := time.NewTicker(tendEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		for _, c := range s.atWork() {
			c.tend()
		}
		now := s.o.Clock()
		s.sessions.expire(now)
		s.workers.expire(now)
		s.limits.expire(now)
	}
}

// atWork returns the connections that have jobs.
func (s *Server) atWork() []*connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*connection, 0, len(s.working))
	for c := range s.working {
		all = append(all, c)
	}
	return all
}

// accepted counts a share.
func (s *Server) accepted(difficulty, worth float64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meter.add(difficulty, now)
	count(&s.shares, difficulty, worth, now)
}

func (s *Server) rejected(reason stratuminfo.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shares.Rejected[reason]++
}

// foundBlock is a share that is a block.
type foundBlock struct {
	payout *payoutJob
	nonces nonces
	header types.Header
	worker *worker
}

// submitBlocks gives the chain what was found. It is a goroutine of its own, so that no
// miner waits for a block to be checked, and no block for a miner.
func (s *Server) submitBlocks(ctx context.Context) {
	for f := range s.found {
		block := f.payout.block(f.nonces, f.header)
		height, hash := f.payout.job.template.Height, block.Hash()
		if err := s.o.Chain.AddBlock(ctx, block.AppendTo(make([]byte, 0, block.Size()))); err != nil {
			s.o.Logger.Warn("a block that a worker found was refused", "height", height, "hash", hash, "worker", f.worker.name, "err", err)
			s.wanted.Poke()
			continue
		}
		s.o.OwnLogger.Info("a worker found a block", "height", height, "hash", hash, "txs", len(block.Txs), "worker", f.worker.name)
		f.worker.found()
		s.mu.Lock()
		s.shares.Blocks++
		s.last = &stratuminfo.Block{Height: height, Hash: hash, Worker: f.worker.name, Time: s.o.Clock()}
		s.mu.Unlock()
	}
}

// Info tells of the server and its workers.
func (s *Server) Info() stratuminfo.Info {
	now := s.o.Clock()
	info := stratuminfo.Info{Listening: s.o.Listener.Addr().String(), TLS: s.o.TLS != nil}
	info.Connections, info.Banned = s.limits.counts(now)
	if j := s.jobs.current(); j != nil {
		info.Job = &stratuminfo.Job{Height: j.template.Height, Transactions: len(j.template.Entries), Fees: j.template.Fees, Time: j.made}
	}
	for _, w := range s.workers.all() {
		info.Workers = append(info.Workers, w.info(now))
	}
	slices.SortFunc(info.Workers, func(a, b stratuminfo.Worker) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	info.Rates, info.Shares, info.LastBlock = s.meter.rates(now), s.shares, s.last
	return info
}
