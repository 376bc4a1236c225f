package node

import (
	"context"
	"math"
	"strconv"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/event"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/hook"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/mempool"
)

// Notify are commands of the operator's, which sh runs. Empty ones are none.
type Notify struct {
	Block    string   // for each new tip: %s is its hash
	Alert    string   // for each warning: %s is its text, quoted
	Startup  string   // when the node has started
	Shutdown string   // when it begins to stop, which waits for it
	Tx       string   // for each payment to or from Watch: %s is the transaction, %b its block, %h the height
	Watch    [][]byte // scriptPubKeys
}

// notices are the hooks of a node.
type notices struct {
	block, alert, startup, shutdown, tx *hook.Hook
}

func (n *Node) newNotices() notices {
	c := &n.config.Notify
	return notices{
		hook.New("--blocknotify", c.Block, n.log), hook.New("--alertnotify", c.Alert, n.log), hook.New("--startupnotify", c.Startup, n.log),
		hook.New("--shutdownnotify", c.Shutdown, n.log), hook.New("--txnotify", c.Tx, n.log),
	}
}

// runs returns what the hooks need to run.
func (s *notices) runs(n *Node, pool *mempool.Pool) (run []func(context.Context) error) {
	add := func(h *hook.Hook, feed func(context.Context) error) {
		if h.Set() {
			run = append(run, h.Run)
			if feed != nil {
				run = append(run, feed)
			}
		}
	}
	add(s.startup, nil)
	add(s.block, func(ctx context.Context) error { return s.feedBlocks(ctx, n) })
	add(s.alert, func(ctx context.Context) error { return s.feedAlerts(ctx, n) })
	add(s.tx, func(ctx context.Context) error { return s.feedPayments(ctx, n, pool) })
	return run
}

// feedBlocks tells of new tips.
func (s *notices) feedBlocks(ctx context.Context, n *Node) error {
	const atOnce = 2
	at, tips := n.chain.Tip(), event.Tips{}
	return poke.Follow(ctx, n.chain, func() (bool, error) {
		reverted, applied, err := n.chain.UpdatesSince(at, atOnce)
		if err != nil {
			n.log.Warn("--blocknotify leaves blocks out: they cannot be read", "err", err)
			at = n.chain.Tip()
			return false, nil
		}
		for i := range reverted {
			at = reverted[i].Update.Parent
			tips.Reverted()
		}
		for i := range applied {
			at = applied[i].Update.Block
			if tips.Applied(at, n.chain.Tip(), n.syncing) {
				s.block.Fire("%s", at.Hash.String())
			}
		}
		return len(reverted)+len(applied) > 0, nil
	})
}

// feedAlerts tells of each warning once.
func (s *notices) feedAlerts(ctx context.Context, n *Node) error {
	last := uint64(0)
	return poke.Follow(ctx, n.warnings, func() (bool, error) {
		for _, warning := range n.warnings.List() {
			if warning.Number > last {
				last = warning.Number
				s.alert.Fire("%s", hook.Quote(warning.Text))
			}
		}
		return false, nil
	})
}

// noBlock is what stands for the block and the height of a transaction that waits, as in
// Core.
const (
	noBlock  = "unconfirmed"
	noHeight = "-1"
)

// payments finds transactions that pay to or from the watched scripts.
type payments struct {
	n       *Node
	pool    *mempool.Pool
	hook    *hook.Hook
	scripts map[string]struct{}
}

// feedPayments tells of such transactions when they come into the pool, into a block, or
// out of one.
func (s *notices) feedPayments(ctx context.Context, n *Node, pool *mempool.Pool) error {
	p := &payments{n, pool, s.tx, map[string]struct{}{}}
	for _, script := range n.config.Notify.Watch {
		p.scripts[string(script)] = struct{}{}
	}
	return runAll(ctx, p.followChain, p.followPool)
}

func (p *payments) followChain(ctx context.Context) error {
	const atOnce = 2
	at := p.n.chain.Tip()
	return poke.Follow(ctx, p.n.chain, func() (bool, error) {
		reverted, applied, err := p.n.chain.UpdatesSince(at, atOnce)
		if err != nil {
			p.n.log.Warn("--txnotify leaves blocks out: they cannot be read", "err", err)
			at = p.n.chain.Tip()
			return false, nil
		}
		for i := range reverted {
			at = reverted[i].Update.Parent
			p.block(&reverted[i], noBlock, noHeight)
		}
		for i := range applied {
			at = applied[i].Update.Block
			p.block(&applied[i], at.Hash.String(), strconv.FormatUint(uint64(at.Height), 10))
		}
		return len(reverted)+len(applied) > 0, nil
	})
}

func (p *payments) block(u *consensus.BlockUpdate, block, height string) {
	spent := u.SpentCoins()
	for i := range u.Block.Block.Txs {
		ours := p.pays(&u.Block.Block.Txs[i])
		for k := range spent[i] {
			ours = ours || p.watched(spent[i][k].ScriptPubKey())
		}
		if ours {
			p.fire(u.Block.TxIDs[i], block, height)
		}
	}
}

// followPool begins behind what waits already.
func (p *payments) followPool(ctx context.Context) error {
	const atOnce = 500
	_, at := p.pool.Accepted(math.MaxUint64, 0)
	return poke.Follow(ctx, p.pool, func() (bool, error) {
		list, next := p.pool.Accepted(at, atOnce)
		at = next
		for _, id := range list {
			e := p.pool.GetByWitness(id)
			if e == nil {
				continue
			}
			ours, err := p.waiting(ctx, e.Tx)
			if err != nil {
				return false, err
			}
			if ours {
				p.fire(e.TxID, noBlock, noHeight)
			}
		}
		return len(list) > 0, nil
	})
}

// waiting reports whether a transaction of the pool is one of those that are wanted. What
// it spends is in a block or waits, too.
func (p *payments) waiting(ctx context.Context, tx *types.Tx) (bool, error) {
	if p.pays(tx) {
		return true, nil
	}
	outPoints := make([]types.OutPoint, len(tx.Inputs))
	for i := range tx.Inputs {
		outPoints[i] = tx.Inputs[i].PreviousOutPoint
	}
	coins, _, err := p.n.chain.Coins(ctx, outPoints)
	if err != nil {
		return false, err
	}
	for i, o := range outPoints {
		if coins[i].Found && p.watched(coins[i].Coin.ScriptPubKey()) {
			return true, nil
		}
		if parent := p.pool.Get(o.TxID); parent != nil && int64(o.Index) < int64(len(parent.Tx.Outputs)) && p.watched(parent.Tx.Outputs[o.Index].ScriptPubKey) {
			return true, nil
		}
	}
	return false, nil
}

func (p *payments) pays(tx *types.Tx) bool {
	for i := range tx.Outputs {
		if p.watched(tx.Outputs[i].ScriptPubKey) {
			return true
		}
	}
	return false
}

func (p *payments) watched(script []byte) bool {
	_, ok := p.scripts[string(script)]
	return ok
}

func (p *payments) fire(txid types.Hash, block, height string) {
	p.hook.Fire("%s", txid.String(), "%b", block, "%h", height)
}
