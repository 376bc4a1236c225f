package node

import (
	"context"
	"log/slog"
	"time"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

const (
	// storyEvery is how often the log sums up what came too fast for a line each.
	storyEvery = time.Minute
	// linesAtOnce is how many blocks have a line of their own between two summaries. A
	// network of a block a minute never has more; one of a block a second would fill a disk.
	linesAtOnce = 5
	// aloneAfter is how long a node that wants peers may have none before the log says so,
	// and how often it says it again.
	aloneAfter = 5 * time.Minute
)

// story tells the log what a person who reads it wants to know of a node that does its
// work: which blocks it has come to, and who is connected.
type story struct {
	log        *slog.Logger
	wantsPeers bool // there is somebody to call

	lines int // of blocks since the last summary
	// Of the blocks without a line since then:
	blocks       int
	transactions int
	last         header.Record

	peers map[int]bool // who was connected at the last summary, by number
	alone time.Time    // since when nobody is, or when the log last said so
}

// block tells of a block that has become the tip, or lies below it.
func (s *story) block(at header.Record) {
	if s.lines < linesAtOnce {
		s.lines++
		s.log.Info("block", "height", at.Height, "hash", at.Hash, "transactions", at.TxCount)
		return
	}
	s.blocks++
	s.transactions += int(at.TxCount)
	s.last = at
}

// sumUp tells of the blocks that had no line since it was called last, of the peers who came
// and went, and that there are none.
func (s *story) sumUp(now time.Time, peers []peerinfo.Info) {
	if s.blocks > 0 {
		s.log.Info("blocks", "count", s.blocks, "transactions", s.transactions, "height", s.last.Height, "hash", s.last.Hash)
	}
	s.lines, s.blocks, s.transactions = 0, 0, 0
	before, came, inbound := s.peers, 0, 0
	s.peers = make(map[int]bool, len(peers))
	for i := range peers {
		s.peers[peers[i].Number] = true
		if !before[peers[i].Number] {
			came++
		}
		if peers[i].Inbound {
			inbound++
		}
	}
	if gone := len(before) + came - len(peers); came+gone > 0 {
		s.log.Info("peers", "connected", len(peers), "inbound", inbound, "came", came, "gone", gone)
	}
	switch {
	case len(peers) > 0 || !s.wantsPeers || s.alone.IsZero():
		s.alone = now
	case now.Sub(s.alone) >= aloneAfter:
		s.alone = now
		s.log.Warn("no peer is connected: look whether this machine has a network and lets connections out, or name a node that runs with --connect ID@HOST:PORT")
	}
}

// tellStory follows the chain and the peers. While the node is far behind its peers they tell
// how far it has come, and blocks have no lines.
func (n *Node) tellStory(s *services) func(context.Context) error {
	params := n.config.Params
	t := &story{log: n.ownLog, wantsPeers: len(n.config.Connect) > 0 || !n.config.NoDiscovery && (len(params.Bootstrap.Nodes) > 0 || len(params.Bootstrap.DNS) > 0)}
	at := n.chain.Tip()
	return func(ctx context.Context) error {
		poked, cancel := n.chain.Subscribe()
		defer cancel()
		every := time.NewTicker(storyEvery)
		defer every.Stop()
		for {
			select {
			case <-ctx.Done():
				n.tellBlocks(t, at)
				t.sumUp(n.clock.real(), s.peers.Peers())
				return nil
			case <-every.C:
				t.sumUp(n.clock.real(), s.peers.Peers())
			case <-poked:
				at = n.tellBlocks(t, at)
			}
		}
	}
}

// tellBlocks tells of the blocks of the best chain above one that was told, and returns the
// last of them. Of a chain that forks off it has the tip alone: chain tells of the fork.
func (n *Node) tellBlocks(t *story, told types.Index) types.Index {
	tip := n.chain.Tip()
	if tip == told || n.syncing() {
		return tip
	}
	from := tip.Height
	if hash, ok := n.chain.HashAt(told.Height); ok && hash == told.Hash {
		from = told.Height + 1
	}
	for height := from; height <= tip.Height; height++ {
		hash, _ := n.chain.HashAt(height)
		if at, ok := n.chain.Header(hash); ok {
			t.block(at)
		}
	}
	return tip
}
