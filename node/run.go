package node

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/mempool"
	"github.com/karatcoin/karat/miner"
	"github.com/karatcoin/karat/p2p"
	"github.com/karatcoin/karat/rpc"
)

// The files of a node in its data directory, beside the chain's.
const (
	cookieFile  = ".cookie"
	mempoolFile = "mempool.dat"
	keyFile     = "node.key"
	indexesDir  = "indexes"
)

// UserAgent is how a node introduces itself.
const UserAgent = "/karat:" + karat.Version + "/"

// Started is what a node that has started tells.
type Started struct {
	NodeID     string
	Listen     string // address for peers; empty: none
	RPC        string // address for clients; empty: none
	CookieFile string
}

// services are what Run runs.
type services struct {
	pool   *mempool.Pool
	miner  *miner.Miner
	peers  *p2p.Manager
	server *rpc.Server

	peerListener net.Listener // nil: none
	rpcListener  net.Listener // nil: none
	removeCookie func() error
}

// Run runs the node until the context ends or a client stops it, which is no
// error. started is called when everything listens.
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
	path := filepath.Join(n.config.DataDir, mempoolFile)
	run := []func(context.Context) error{n.watch, s.pool.Run, s.peers.Run}
	if n.index != nil {
		run = append(run, n.index.Run)
	}
	if n.config.Mine {
		run = append(run, s.miner.Run)
	}
	if s.rpcListener != nil {
		run = append(run, func(ctx context.Context) error { return s.server.Run(ctx, s.rpcListener) })
	}
	run = append(run, func(ctx context.Context) error {
		switch result, err := s.pool.Load(ctx, path); {
		case errors.Is(err, consensus.ErrLocal):
			return err
		case err != nil && ctx.Err() == nil || result.Damaged:
			n.log.Warn("not all waiting transactions could be read back", "err", err)
		default:
			n.log.Debug("read waiting transactions back", "count", result.Accepted)
		}
		select {
		case <-s.peers.Running():
		case <-ctx.Done():
		}
		s.server.Ready()
		started(n.started(s))
		<-ctx.Done()
		return nil
	})
	err = runAll(ctx, run...)
	n.savePool(s.pool, path)
	return err
}

// savePool saves waiting transactions, unless the node had to end before it had
// read them all: then the file has more than the pool.
func (n *Node) savePool(pool *mempool.Pool, path string) {
	if !pool.Info().Loaded {
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

// runAll runs functions until the context ends or one of them does, and returns
// when all have ended.
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

// watch ends the node when the chain meets a fault.
func (n *Node) watch(ctx context.Context) error {
	select {
	case <-n.chain.Failed():
		return n.chain.Flush() // which says what it was
	case <-ctx.Done():
		return nil
	}
}

func (n *Node) started(s *services) Started {
	t := Started{NodeID: s.peers.NodeID().String(), CookieFile: filepath.Join(n.config.DataDir, cookieFile)}
	if s.peerListener != nil {
		t.Listen = s.peerListener.Addr().String()
	}
	if s.rpcListener != nil {
		t.RPC = s.rpcListener.Addr().String()
	}
	return t
}
