// Package seed crawls a network and answers DNS with nodes that can be called, so that a
// node that knows nobody can begin (the idea is Pieter Wuille's bitcoin-seeder).
//
//	s, err := seed.Open(seed.Options{
//		Params: params, Key: key, Host: "seed.example.org", Nameserver: "ns.example.org", Listen: ":53", File: "seed.json",
//	})
//	err = s.Run(ctx)
//
// Every node that it hears of is called again and again. Those that mostly answer, have
// all blocks and listen at the network's port are what the name stands for: an answer is
// a few of them at random, and few of one owner's addresses.
//
// Strangers fill the table, and strangers ask. So the table, a visit, the rate of visits
// and the rate and size of answers are bounded, and what one peer tells takes a share of
// the table and no more.
package seed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/internal/ratelog"
	"github.com/karatcoin/karat/p2p/dial"
	"github.com/karatcoin/karat/p2p/noise"
)

// The times of a seed.
const (
	tick        = time.Second
	reportEvery = time.Minute
	saveEvery   = 10 * time.Minute
	beginEvery  = 5 * time.Minute // with the nodes that it was told to begin with
	resolveMost = 10 * time.Second
)

// The visits.
const (
	visitsATick = 10 // are begun
	maxVisits   = 64 // at once
)

// Options are the choices of Open. Params, Key, Host, Nameserver and Listen are needed.
type Options struct {
	Params     *consensus.Params
	Key        noise.Key
	UserAgent  string
	Host       string // the name that is answered for
	Nameserver string // the name of this machine, at which Host's NS record points
	Listen     string // HOST:PORT for DNS, by UDP and TCP

	Connect []string // [ID@]HOST:PORT of nodes to begin with, beside those of the network's file
	Port    uint16   // at which nodes must listen; 0: the network's
	Local   bool     // nodes of local networks too: for laboratories
	File    string   // of the table; empty: none

	Report  func(Status) // is called every minute; nil: not
	Dial    func(ctx context.Context, address string) (net.Conn, error)
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	Now     func() time.Time
	Logger  *slog.Logger
}

// Status is what a seed tells of itself.
type Status struct {
	Time     int64  `json:"time"`     // seconds since 1970
	Known    int    `json:"known"`    // addresses in the table
	Answered int    `json:"answered"` // of them, those that ever answered
	Good4    int    `json:"good_ipv4"`
	Good6    int    `json:"good_ipv6"`
	Visits   uint64 `json:"visits"` // since the start
	Met      uint64 `json:"met"`    // of them, those that found a node
	Queries  uint64 `json:"queries"`
	Limited  uint64 `json:"limited"` // queries that were not answered, or only told to ask by TCP
}

// Seed is a crawler and a name server.
type Seed struct {
	o       Options
	log     *slog.Logger
	table   *table
	server  *nameserver
	begin   []target
	visits  chan struct{} // one for each visit that is under way
	visited atomic.Uint64
	met     atomic.Uint64
}

// Open opens the sockets, and reads the table of an earlier run. Nothing is called or
// answered before Run.
func Open(o Options) (*Seed, error) {
	dialer := dial.New(dial.Options{Direct: o.Dial, Lookup: o.Resolve})
	o.Dial, o.Resolve = dialer.Dial, dialer.Resolve
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Port == 0 {
		o.Port = o.Params.Ports.P2P
	}
	for _, name := range []*string{&o.Host, &o.Nameserver} {
		if labels, ok := dns.IsDomainName(*name); !ok || labels < 2 || len(*name) > maxName {
			return nil, fmt.Errorf("%.150q is no name for a seed: want one such as seed.example.org, of at most %d letters", *name, maxName)
		}
		*name = dns.CanonicalName(*name)
	}
	s := &Seed{o: o, log: ratelog.New(o.Logger), table: newTable(o.Port, o.Local), visits: make(chan struct{}, maxVisits)}
	for _, text := range append(append([]string{}, o.Connect...), o.Params.Bootstrap.Nodes...) {
		t, err := parseTarget(text)
		if err != nil {
			return nil, err
		}
		s.begin = append(s.begin, t)
	}
	if o.File != "" {
		if err := s.table.load(o.File, o.Now()); err != nil {
			s.log.Warn("the table of nodes could not be read", "file", o.File, "err", err)
		}
	}
	var err error
	s.server, err = listen(o.Listen, zone{host: o.Host, nameserver: o.Nameserver}, o.Now)
	return s, err
}

// Addr returns where DNS is answered.
func (s *Seed) Addr() netip.AddrPort { return s.server.addr }

// Status returns what there is to tell now.
func (s *Seed) Status() Status {
	status := Status{
		Time: s.o.Now().Unix(), Visits: s.visited.Load(), Met: s.met.Load(),
		Queries: s.server.queries.Load(), Limited: s.server.limited.Load(),
	}
	status.Known, status.Answered = s.table.counts()
	good := s.server.answers.Load()
	status.Good4, status.Good6 = good.count4, good.count6
	return status
}

// Run crawls and answers until the context ends, which is no error. It is called once.
func (s *Seed) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	var fault error
	work.Go(func() {
		if fault = s.server.run(ctx); fault != nil {
			cancel()
		}
	})
	s.crawl(ctx, &work)
	work.Wait()
	return errors.Join(fault, s.save())
}

// save writes the table.
func (s *Seed) save() error {
	if s.o.File == "" {
		return nil
	}
	return s.table.save(s.o.File)
}

// crawl begins visits, and does what is to be done now and then, until the context ends.
func (s *Seed) crawl(ctx context.Context, work *sync.WaitGroup) {
	s.refresh()
	var begun, reported, saved time.Time
	reported, saved = s.o.Now(), s.o.Now()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for ctx.Err() == nil {
		now := s.o.Now()
		if now.Sub(begun) >= beginEvery {
			begun = now
			work.Go(func() { s.resolve(ctx) })
			for _, t := range s.begin {
				s.start(ctx, work, t)
			}
		}
		for _, at := range s.table.due(now, min(visitsATick, maxVisits-len(s.visits))) {
			s.start(ctx, work, target{address: at.String()})
		}
		s.refresh()
		if now.Sub(reported) >= reportEvery {
			reported = now
			s.report()
		}
		if now.Sub(saved) >= saveEvery {
			saved = now
			if err := s.save(); err != nil {
				s.log.Warn("the table of nodes could not be saved", "file", s.o.File, "err", err)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

func (s *Seed) report() {
	status := s.Status()
	s.log.Info("crawled", "known", status.Known, "answered", status.Answered, "good_ipv4", status.Good4, "good_ipv6", status.Good6,
		"visits", status.Visits, "queries", status.Queries, "limited", status.Limited)
	if s.o.Report != nil {
		s.o.Report(status)
	}
}

// refresh makes new answers of what is known now.
func (s *Seed) refresh() {
	if good, changed := s.table.good(); changed {
		s.server.answers.Store(newAnswers(good, s.o.Local))
	}
}

// start begins a visit, unless there are too many.
func (s *Seed) start(ctx context.Context, work *sync.WaitGroup, t target) {
	select {
	case s.visits <- struct{}{}:
	default:
		return
	}
	work.Go(func() {
		defer func() { <-s.visits }()
		s.visit(ctx, t)
	})
}

// visit calls a node, and notes how it went and what it told.
func (s *Seed) visit(ctx context.Context, t target) {
	s.visited.Add(1)
	at, found, err := s.meet(ctx, t)
	if ctx.Err() != nil {
		return // it may be us
	}
	if err != nil {
		s.log.Debug("no node", "address", t.address, "err", err)
	} else {
		s.met.Add(1)
		s.table.add(found.told, sourceOf(at), s.o.Now())
	}
	s.table.visited(at, found, err == nil, s.o.Now())
}

// resolve takes what other seeds of the network know.
func (s *Seed) resolve(ctx context.Context) {
	for _, host := range s.o.Params.Bootstrap.DNS {
		if strings.EqualFold(dns.CanonicalName(host), s.o.Host) {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, resolveMost)
		list, err := s.o.Resolve(ctx, host)
		cancel()
		if err != nil {
			s.log.Warn("a seed of the network's file", "name", host, "err", err)
			continue
		}
		var told []netip.AddrPort
		for _, a := range list[:min(len(list), maxToldByName)] {
			told = append(told, netip.AddrPortFrom(a.Unmap(), s.o.Port))
		}
		s.table.add(told, "name "+host, s.o.Now())
	}
}
