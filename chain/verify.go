package chain

import (
	"context"
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// The levels of Verify; each includes those below it.
const (
	VerifyRead    = 0 // bodies and undo data are readable and intact
	VerifyBlocks  = 1 // bodies obey the rules that need no coins
	VerifyUndo    = 2 // undo data fits the bodies
	VerifyCoins   = 3 // undoing the blocks finds the coins that it must
	VerifyScripts = 4 // the blocks connect again, scripts included
)

// Verify checks the last blocks of the best chain again, depth of them (0: all
// that are stored), at the given level. It changes nothing; coins are undone
// and connected in memory, which for all blocks at level 3 takes as much as
// the coin set. progress is called after each block and step. The error says
// which block is wrong and how.
func (c *Chain) Verify(ctx context.Context, depth uint32, level int, progress func(done, total int)) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.fault != nil {
		return c.fault
	}
	n := c.coinsTip
	blocks := int(n.height)
	if depth > 0 && depth < n.height {
		blocks = int(depth)
	}
	steps, done := blocks, 0
	if level >= VerifyScripts {
		steps *= 2
	}
	step := func() {
		done++
		progress(done, steps)
	}
	view := overlay{base: c.store, coins: map[types.OutPoint]consensus.FetchedCoin{}}
	for range blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.prune && !c.hasBody(n) {
			break
		}
		if err := c.verifyDown(n, level, &view); err != nil {
			return fmt.Errorf("block %s: %w", n.index(), err)
		}
		n = n.parent
		step()
	}
	if level < VerifyScripts {
		return nil
	}
	for _, above := range c.coinsTip.pathFrom(n) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.verifyUp(above, &view); err != nil {
			return fmt.Errorf("block %s: %w", above.index(), err)
		}
		step()
	}
	return nil
}

func (c *Chain) hasBody(n *node) bool {
	return n.status.Has(consensus.StatusBody | consensus.StatusUndo)
}

// verifyDown checks one block on the way down and undoes it in the view.
func (c *Chain) verifyDown(n *node, level int, view *overlay) error {
	block, err := c.readBlock(n)
	if err != nil {
		return err
	}
	undo, err := c.store.ReadUndo(n.hash)
	if err != nil {
		return fmt.Errorf("undo data: %w", err)
	}
	if level >= VerifyBlocks {
		state := n.parent.state()
		err := errors.Join(consensus.CheckHeader(c.params, &n.header, n.hash),
			consensus.CheckBlock(c.params, block), consensus.ValidateBlock(c.params, &state, block))
		if err != nil {
			return err
		}
	}
	if level < VerifyUndo {
		return nil
	}
	update, err := consensus.RevertUpdate(c.params, block, n.parent.index(), n.height, undo)
	if err != nil {
		return fmt.Errorf("undo data: %w", err)
	}
	if level < VerifyCoins {
		return nil
	}
	return view.move(update.Created, update.Spent)
}

// verifyUp connects one block again in the view.
func (c *Chain) verifyUp(n *node, view *overlay) error {
	block, err := c.readBlock(n)
	if err != nil {
		return err
	}
	coins := make([]consensus.FetchedCoin, len(block.External))
	if err := view.fetch(block.External, coins); err != nil {
		return err
	}
	state := n.parent.state()
	connection, err := consensus.ConnectBlock(c.params, &state, block, coins, ancestry{n.parent})
	if err != nil {
		return err
	}
	c.pipe.start(c.workers)
	check := &connecting{node: n, block: block, prevouts: connection.Prevouts}
	c.pipe.push(check, true)
	c.pipe.drain()
	c.pipe.settled()
	if check.doubtful.Load() {
		if err := check.recheck(); err != nil {
			return err
		}
	}
	return view.move(connection.Update.Spent, connection.Update.Created)
}

// overlay is a coin set that differs from the store's by what is in memory.
type overlay struct {
	base  Coins
	coins map[types.OutPoint]consensus.FetchedCoin
}

func (o *overlay) fetch(outPoints []types.OutPoint, into []consensus.FetchedCoin) error {
	var missing []types.OutPoint
	var at []int
	for i, outPoint := range outPoints {
		coin, ok := o.coins[outPoint]
		if !ok {
			missing, at = append(missing, outPoint), append(at, i)
		}
		into[i] = coin
	}
	found := make([]consensus.FetchedCoin, len(missing))
	if err := o.base.FetchCoins(missing, found); err != nil {
		return consensus.Local(err)
	}
	for i, coin := range found {
		into[at[i]] = coin
	}
	return nil
}

// move takes some coins out, which must be there as they are given, and puts
// others in, which must not be there.
func (o *overlay) move(out, in []consensus.CoinEntry) error {
	outPoints := make([]types.OutPoint, 0, len(out)+len(in))
	for i := range out {
		outPoints = append(outPoints, out[i].OutPoint)
	}
	for i := range in {
		outPoints = append(outPoints, in[i].OutPoint)
	}
	coins := make([]consensus.FetchedCoin, len(outPoints))
	if err := o.fetch(outPoints, coins); err != nil {
		return err
	}
	for i := range out {
		if !coins[i].Found || coins[i].Coin != out[i].Coin {
			return fmt.Errorf("the coin set lacks coin %s or has another under its name", out[i].OutPoint)
		}
		o.coins[out[i].OutPoint] = consensus.FetchedCoin{}
	}
	for i := range in {
		if coins[len(out)+i].Found {
			return fmt.Errorf("the coin set has coin %s, which the block's input spent", in[i].OutPoint)
		}
		o.coins[in[i].OutPoint] = consensus.FetchedCoin{Coin: in[i].Coin, Found: true}
	}
	return nil
}
