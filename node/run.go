package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/mempool"
)

// The files of a node in its data directory, beside those of the store.
const (
	cookieFile      = ".cookie"
	mempoolFile     = "mempool.dat"
	keyFile         = "node.key"
	faucetFile      = "faucet.key"
	faucetStateFile = "faucet.json"
	indexesDir      = "indexes"
)

// UserAgent is how a node introduces itself to peers, clients, and in coinbases.
const UserAgent = "/karat:" + karat.Version + "/"

// Started is what a node that has started tells.
type Started struct {
	NodeID     string
	Listen     string   // address for peers; empty: none
	RPC        string   // address for clients; empty: none
	RPCMore    []string // more of them
	RPCKey     string   // the fingerprint of the certificate for clients; empty: no TLS
	Stratum    string   // address for miners; empty: none
	Web        string   // URL of the pages; empty: none
	Faucet     []byte   // script that fills the faucet; nil: there is none
	Metrics    string   // address for monitors; empty: none
	CookieFile string
}

// Run runs the node until the context ends or a client stops it, which is no error.
// started is called when everything listens and what waited in the pool is back.
func (n *Node) Run(ctx context.Context, started func(Started)) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	n.stop = stop
	s, err := n.assemble()
	defer func() {
		if s.removeCookie != nil {
			err = errors.Join(err, ignoreNotExist(s.removeCookie()))
		}
	}()
	if err != nil {
		return err
	}
	n.running.Store(s)
	removeRunning, err := n.leaveRunning(s)
	if err != nil {
		s.close()
		return err
	}
	defer func() { err = errors.Join(err, ignoreNotExist(removeRunning())) }()
	path := n.mempoolFile()
	removeLeftovers(path)
	if n.config.NoPersist {
		path = ""
	}
	hooks, loaded := n.newNotices(), make(chan struct{})
	run := append(n.runs(s), hooks.runs(n, s.pool)...)
	if path != "" {
		run = append(run, func(ctx context.Context) error { return s.pool.KeepSaved(ctx, path) })
	}
	run = append(run,
		func(ctx context.Context) error { return n.loadPool(ctx, s.pool, path, loaded) },
		func(ctx context.Context) error { return n.announce(ctx, s, &hooks, loaded, started) },
	)
	err = runAll(ctx, run...)
	n.savePool(s.pool, path)
	return err
}

// runs returns what runs of the services, and beside them, while the node does.
func (n *Node) runs(s *services) []func(context.Context) error {
	run := []func(context.Context) error{n.watch, n.keepWarnings, n.tellStory(s), s.pool.Run, s.peers.Run, n.keepEstimates(s.pool)}
	for _, service := range []struct {
		wanted bool
		run    func(context.Context) error
	}{
		{n.index != nil, n.index.Run},
		{s.publisher != nil, s.publisher.Run},
		{s.events != nil, s.events.Run},
		{n.config.StopAt > 0, n.stopAt},
		{n.config.Mine, s.miner.Run},
		{s.bench != nil, s.bench.Run},
		{s.stratum != nil, s.stratum.Run},
		{s.mapper != nil, s.mapper.Run},
		{s.faucet != nil, s.faucet.Run},
		{s.monitorListener != nil, func(ctx context.Context) error { return n.newMonitor(s).Run(ctx, s.monitorListener) }},
		{s.web != nil, func(ctx context.Context) error { return s.web.Run(ctx, s.webListener) }},
		{len(s.rpcListeners) > 0, func(ctx context.Context) error { return s.server.Run(ctx, s.rpcListeners...) }},
	} {
		if service.wanted {
			run = append(run, service.run)
		}
	}
	return run
}

// announce says when peers can connect and what waited in the pool is back, and when the node
// stops. A command of the operator's may hold up the stop.
func (n *Node) announce(ctx context.Context, s *services, hooks *notices, loaded <-chan struct{}, started func(Started)) error {
	for _, ready := range []<-chan struct{}{s.peers.Running(), loaded} {
		select {
		case <-ready:
		case <-ctx.Done():
		}
		s.server.Ready() // clients see by getmempoolinfo how far loading is
	}
	tip := n.chain.Tip()
	n.ownLog.Info("started", "version", karat.Version, "network", n.config.Params.Name, "height", tip.Height, "hash", tip.Hash)
	s.listens.Store(true)
	started(n.started(s))
	hooks.startup.Fire()
	<-ctx.Done()
	n.ownLog.Info("stopping")
	hooks.shutdown.Now(context.WithoutCancel(ctx))
	return nil
}

// mempoolFile is where waiting transactions are saved.
func (n *Node) mempoolFile() string { return filepath.Join(n.config.DataDir, mempoolFile) }

// removeLeftovers removes what saving has left beside a file when it was cut off by a kill.
func removeLeftovers(path string) {
	files, _ := os.ReadDir(filepath.Dir(path))
	for _, file := range files {
		if name := file.Name(); strings.HasPrefix(name, filepath.Base(path)+".") && strings.HasSuffix(name, ".tmp") { // wholefile's
			_ = os.Remove(filepath.Join(filepath.Dir(path), name))
		}
	}
}

// loadPool reads waiting transactions back, beside everything else: each is checked anew,
// and a large pool takes a while.
func (n *Node) loadPool(ctx context.Context, pool *mempool.Pool, path string, loaded chan<- struct{}) error {
	if err := n.loadBlocks(ctx); err != nil { // before: what waits may spend of them
		return err
	}
	switch result, err := pool.Load(ctx, path); {
	case errors.Is(err, consensus.ErrLocal):
		return err
	case err != nil && ctx.Err() == nil || result.Damaged:
		n.log.Warn("not all waiting transactions could be read back", "err", err)
	default:
		n.log.Debug("read waiting transactions back", "count", result.Accepted)
	}
	close(loaded)
	<-ctx.Done()
	return nil
}

// savePool saves waiting transactions, unless the node had to end before it had read
// all of them back: then the file has more than the pool. That they cannot be saved is
// no reason to end with an error; peers have them too. An empty path is no file.
func (n *Node) savePool(pool *mempool.Pool, path string) {
	if path == "" || !pool.Info().Loaded {
		return
	}
	if err := pool.Save(path); err != nil {
		n.log.Warn("waiting transactions could not be saved", "err", err)
	}
}

func ignoreNotExist(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// runAll runs functions until the context ends or one of them does, and returns when all
// have ended. It returns all of their errors, because the first may follow from another.
func runAll(ctx context.Context, run ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(run))
	var wg sync.WaitGroup
	for i, f := range run {
		wg.Go(func() {
			defer cancel()
			errs[i] = f(ctx)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// watch ends the node when the chain meets a fault, such as a disk that fails. The chain
// does nothing more then, and a node that goes on would look alive without it.
func (n *Node) watch(ctx context.Context) error {
	select {
	case <-n.chain.Failed():
		return n.chain.Flush() // which says what it was
	case <-ctx.Done():
		return nil
	}
}

// stopAt ends the node when the best chain has the height that it is to end at.
func (n *Node) stopAt(ctx context.Context) error {
	return poke.Follow(ctx, n.chain, func() (bool, error) {
		if tip := n.chain.Tip(); tip.Height >= n.config.StopAt {
			n.log.Info("stopping at the height that was asked for", "height", tip.Height)
			n.stop()
		}
		return false, nil
	})
}

func (n *Node) started(s *services) Started {
	t := Started{NodeID: s.peers.NodeID().String(), CookieFile: CookieFile(n.config.DataDir)}
	if s.peerListener != nil {
		t.Listen = s.peerListener.Addr().String()
	}
	for i, l := range s.rpcListeners {
		if at := l.Addr().String(); i == 0 {
			t.RPC, t.RPCKey = at, s.fingerprint
		} else {
			t.RPCMore = append(t.RPCMore, at)
		}
	}
	if s.minerListener != nil {
		t.Stratum = s.minerListener.Addr().String()
	}
	if s.webListener != nil {
		t.Web = "http://" + s.webListener.Addr().String() + n.config.WebBase + "/"
	}
	if s.faucet != nil {
		t.Faucet = s.faucet.Script()
	}
	if s.monitorListener != nil {
		t.Metrics = s.monitorListener.Addr().String()
	}
	return t
}
