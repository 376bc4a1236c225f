package node

import (
	"context"
	"errors"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/mempool"
	"github.com/karatcoin/karat/miner"
)

// errNotRunning is for what only a node that runs can do.
var errNotRunning = errors.New("the node does not run")

// tries is how many nonces MineBlock looks through. On a network whose blocks cost
// nothing every other one will do.
const tries = 1 << 20

// SetTime stops the clock that the node's rules go by, as setmocktime does. Connections
// go by the real time all the same.
func (n *Node) SetTime(at time.Time) { n.clock.set(at.Unix()) }

// Pool returns the transactions that wait; nil before Run has begun.
func (n *Node) Pool() *mempool.Pool {
	if s := n.running.Load(); s != nil {
		return s.pool
	}
	return nil
}

// MineBlock makes a block on the tip that pays to a script, for who conducts several
// nodes. The same chain, pool, time, script and extra nonce give the same block: nothing
// is left to chance, and one goroutine alone looks for the nonce.
func (n *Node) MineBlock(ctx context.Context, scriptPubKey []byte, extraNonce uint64) (types.Hash, error) {
	s := n.running.Load()
	if s == nil {
		return types.Hash{}, errNotRunning
	}
	m := miner.New(miner.Options{
		Params: n.config.Params, Chain: n.chain, Pool: currentPool{s.pool}, Threads: 1, ExtraNonce: extraNonce, Tag: UserAgent,
		MaxWeight: n.config.BlockMaxWeight, MinFeeRate: n.config.BlockMinFeeRate, ReservedWeight: n.config.BlockReservedWeight, Now: n.clock.now,
	})
	hashes, err := m.Generate(ctx, 1, scriptPubKey, tries)
	if err != nil {
		return types.Hash{}, err
	}
	return hashes[0], nil
}

// CallAgain hangs up on a peer of Config.Connect and calls it at once. A node would do
// that by itself, but after a while.
func (n *Node) CallAgain(address string) error {
	s := n.running.Load()
	if s == nil {
		return errNotRunning
	}
	_ = s.peers.RemoveNode(address) // an error says that it was not called
	return s.peers.AddNode(address)
}

// Connections returns how many peers there are.
func (n *Node) Connections() int {
	s := n.running.Load()
	if s == nil {
		return 0
	}
	return len(s.peers.Peers())
}
