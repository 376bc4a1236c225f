package sim

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
)

// lightChain is a node's chain without coins and without a disk: p2p's Headers and
// Blocks. Headers are checked as package chain does it, bodies by consensus.OpenBlock
// and ValidateBlock. What transactions spend is not looked at, since what is simulated
// is the network. To look at a block takes the time that Verify says.
type lightChain struct {
	ledger *ledger
	verify time.Duration
	moved  poke.Bell
	onTip  func(reverted, applied []*block)

	mu sync.Mutex
	// Guarded by mu:
	known  map[types.Hash]*block
	stored map[*block]bool // has a body
	bodies []*block        // those, in the order in which they came
	tip    *block
	best   *block   // header with the most work
	path   []*block // to the tip, by height
}

func newChain(l *ledger, verify time.Duration, onTip func(reverted, applied []*block)) *lightChain {
	genesis := l.genesis()
	return &lightChain{
		ledger: l, verify: verify, onTip: onTip, known: map[types.Hash]*block{genesis.hash: genesis}, stored: map[*block]bool{genesis: true},
		tip: genesis, best: genesis, path: []*block{genesis},
	}
}

// Tip implements p2p.Headers.
func (c *lightChain) Tip() types.Index { return c.top().index() }

// TipState implements p2p.Headers.
func (c *lightChain) TipState() consensus.State { return c.top().state }

func (c *lightChain) top() *block {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tip
}

// BestHeader implements p2p.Headers.
func (c *lightChain) BestHeader() types.Index {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.best.index()
}

// onPath reports whether a block is the tip or below it. It assumes mu.
func (c *lightChain) onPath(b *block) bool {
	return int(b.height()) < len(c.path) && c.path[b.height()] == b
}

// Info implements p2p.Headers.
func (c *lightChain) Info(hash types.Hash) (header.Info, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.known[hash]
	if b == nil {
		return header.Info{}, false
	}
	info := header.Info{
		Record: header.Record{Header: b.state.Header, Hash: b.hash, Height: b.height()}, Work: b.state.Work,
		MedianTime: b.state.MedianTimePast(), OnBestChain: c.onPath(b),
	}
	if c.stored[b] {
		_, txids := c.ledger.bodyOf(b)
		info.Status, info.TxCount = header.StatusBody|header.StatusValid, uint32(len(txids))
	}
	if info.OnBestChain && b != c.tip {
		info.Next = c.path[b.height()+1].hash
	}
	return info, true
}

// Locator implements p2p.Headers.
func (c *lightChain) Locator() (hashes []types.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gap, next := uint32(1), c.best.height()
	for b := c.best; ; b = b.parent {
		if b.parent == nil {
			return append(hashes, b.hash)
		}
		if b.height() != next {
			continue
		}
		hashes = append(hashes, b.hash)
		if len(hashes) >= 10 {
			gap *= 2
		}
		next -= min(gap, next)
	}
}

// HeadersAfter implements p2p.Headers.
func (c *lightChain) HeadersAfter(locator []types.Hash, stop types.Hash, limit int) (headers []types.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := 0
	for _, hash := range locator {
		if b := c.known[hash]; b != nil && c.onPath(b) {
			from = int(b.height())
			break
		}
	}
	for _, b := range c.path[from+1:] {
		if len(headers) == limit {
			break
		}
		headers = append(headers, b.state.Header)
		if b.hash == stop {
			break
		}
	}
	return headers
}

// AddHeaders implements p2p.Headers.
func (c *lightChain) AddHeaders(headers []types.Header) error {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range headers {
		if c.known[headers[i].Hash()] != nil {
			continue
		}
		parent := c.known[headers[i].PrevBlock]
		if parent == nil {
			return &consensus.RuleError{Kind: consensus.ErrNotYet, Reason: consensus.ReasonParentUnknown}
		}
		b, err := c.ledger.header(parent, &headers[i], now)
		if err != nil {
			return err
		}
		c.known[b.hash] = b
		if b.above(c.best) {
			c.best = b
		}
	}
	return nil
}

// Block implements p2p.Blocks.
func (c *lightChain) Block(hash types.Hash) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.known[hash]
	if b == nil || !c.stored[b] {
		return nil, consensus.ErrNotFound
	}
	raw, _ := c.ledger.bodyOf(b)
	return raw, nil
}

// MissingTowards implements p2p.Blocks.
func (c *lightChain) MissingTowards(hash types.Hash, limit int) []types.Index {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.known[hash]
	if b == nil || c.tip.above(b) {
		return nil
	}
	var missing []types.Index // the highest first
	for ; !c.onPath(b); b = b.parent {
		if !c.stored[b] {
			missing = append(missing, b.index())
		}
	}
	list := make([]types.Index, 0, min(limit, len(missing)))
	for i := len(missing) - 1; i >= 0 && len(list) < limit; i-- {
		list = append(list, missing[i])
	}
	return list
}

// Subscribe implements p2p.Blocks.
func (c *lightChain) Subscribe() (<-chan struct{}, func()) { return c.moved.Subscribe() }

// AddBlocks implements p2p.Blocks.
func (c *lightChain) AddBlocks(ctx context.Context, raws iter.Seq[[]byte], report func(header.Result)) error {
	for raw := range raws {
		report(c.add(ctx, raw))
	}
	return ctx.Err()
}

// add takes a block.
func (c *lightChain) add(ctx context.Context, raw []byte) (result header.Result) {
	if len(raw) < types.HeaderSize {
		result.Err = &consensus.RuleError{Kind: consensus.ErrMutated, Reason: consensus.ReasonDecode}
		return result
	}
	head, err := types.DecodeHeader(raw[:types.HeaderSize])
	if err != nil {
		result.Err = &consensus.RuleError{Kind: consensus.ErrMutated, Reason: consensus.ReasonDecode}
		return result
	}
	hash := head.Hash()
	result.Block.Hash = hash
	if result.Err = c.AddHeaders([]types.Header{head}); result.Err != nil {
		return result
	}
	c.mu.Lock()
	b, there := c.known[hash], c.stored[c.known[hash]]
	c.mu.Unlock()
	result.Block = b.index()
	if there {
		return result
	}
	if c.verify > 0 {
		select {
		case <-time.After(c.verify):
		case <-ctx.Done():
		}
	}
	if result.Err = c.ledger.body(b, raw); result.Err == nil {
		c.store(b)
	}
	return result
}

// store keeps a body, and moves the tip if that makes a better chain whole.
func (c *lightChain) store(b *block) {
	c.mu.Lock()
	c.stored[b] = true
	c.bodies = append(c.bodies, b)
	top := c.tip
	for _, candidate := range c.bodies {
		if candidate.above(top) && c.whole(candidate) {
			top = candidate
		}
	}
	var reverted, applied []*block
	if top != c.tip {
		reverted, applied = c.moveTo(top)
	}
	c.mu.Unlock()
	if len(applied) > 0 {
		c.onTip(reverted, applied)
		c.moved.Ring()
	}
}

// whole reports whether all bodies down to the path are stored. It assumes mu.
func (c *lightChain) whole(b *block) bool {
	for ; !c.onPath(b); b = b.parent {
		if !c.stored[b] {
			return false
		}
	}
	return true
}

// moveTo makes another block the tip. It assumes mu.
func (c *lightChain) moveTo(top *block) (reverted, applied []*block) {
	for b := top; !c.onPath(b); b = b.parent {
		applied = append([]*block{b}, applied...)
	}
	fork := applied[0].parent.height() + 1
	reverted = append(reverted, c.path[fork:]...)
	c.path = append(c.path[:fork:fork], applied...)
	c.tip = top
	if top.above(c.best) {
		c.best = top
	}
	return reverted, applied
}

// Want implements p2p.Blocks: nothing is pruned here.
func (c *lightChain) Want(types.Hash) {}
