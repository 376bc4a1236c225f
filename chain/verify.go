package chain

import (
	"context"
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
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

// Verify checks the last blocks of the best chain again at the given level, and
// returns how many it checked: depth of them, or all that are stored for depth 0.
// Coins are undone and connected in memory only. If it reaches the genesis block, it
// compares the whole coin set too, and takes as much memory as that has. progress is
// called after each block. The error says which block is wrong and how.
func (c *Chain) Verify(ctx context.Context, depth uint32, level int, progress func(done, total int)) (int, error) {
	if err := c.turn.Take(ctx); err != nil {
		return 0, err
	}
	defer c.turn.Give()
	if c.fault != nil {
		return 0, c.fault
	}
	// The coins to be checked are those on disk, not those in the cache.
	if err := c.flush(); err != nil {
		return 0, c.fail(consensus.Local(err))
	}
	v := verification{
		chain: c, level: level, progress: progress,
		view: overlay{base: c.store, coins: map[types.OutPoint]consensus.FetchedCoin{}},
	}
	lowest := uint32(0)
	if depth > 0 && depth < c.coinsTip.height {
		lowest = c.coinsTip.height - depth
	}
	v.total = int(c.coinsTip.height - lowest)
	base := c.coinsTip
	for ; base.height > lowest; base = base.parent {
		if !base.status.Has(header.StatusBody | header.StatusUndo) {
			break // pruned, in this run or an earlier one: nothing else takes the flags away
		}
		if err := v.check(ctx, base, v.down); err != nil {
			return 0, err
		}
	}
	if base.height == 0 && level >= VerifyCoins {
		if err := v.wholeCoinSet(); err != nil {
			return 0, err
		}
	}
	if level >= VerifyScripts {
		for _, n := range c.coinsTip.pathFrom(base) {
			if err := v.check(ctx, n, v.up); err != nil {
				return 0, err
			}
		}
	}
	return int(c.coinsTip.height - base.height), nil
}

// verification is one run of Verify.
type verification struct {
	chain    *Chain
	level    int
	view     overlay
	progress func(done, total int)
	done     int
	total    int // blocks, counted once even when they are connected again
}

func (v *verification) check(ctx context.Context, n *blockNode, how func(*blockNode) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := how(n); err != nil {
		return fmt.Errorf("block %s: %w", n.index(), err)
	}
	v.done++
	total := v.total
	if v.level >= VerifyScripts { // each block is seen on the way down and on the way up
		total *= 2
	}
	v.progress(v.done, total)
	return nil
}

// wholeCoinSet checks that, with all blocks undone, what is left is what the
// genesis block made. A coin on disk that no block undid must be one of those.
func (v *verification) wholeCoinSet() error {
	genesis := map[types.OutPoint]types.Coin{}
	for _, entry := range v.chain.params.GenesisCoins() {
		genesis[entry.OutPoint] = entry.Coin
	}
	for outPoint, coin := range v.view.coins {
		if coin.Found && genesis[outPoint] != coin.Coin {
			return fmt.Errorf("undoing all blocks leaves coin %s, which the genesis block did not make", outPoint)
		}
	}
	left := len(genesis)
	for outPoint := range genesis {
		if coin := v.view.coins[outPoint]; coin.Found {
			left-- // spent by a block, which was undone
		}
	}
	visit, err := v.chain.store.CoinSnapshot()
	if err != nil {
		return err
	}
	err = visit(func(outPoint types.OutPoint, coin *types.Coin) error {
		if _, undone := v.view.coins[outPoint]; undone {
			return nil
		}
		if genesis[outPoint] != *coin {
			return fmt.Errorf("the coin set has coin %s, which no block made", outPoint)
		}
		left--
		return nil
	})
	if err == nil && left != 0 {
		err = fmt.Errorf("the coin set lacks %d coins of the genesis block", left)
	}
	return err
}

// down checks one block on the way down and, from VerifyCoins on, undoes it in the
// view.
func (v *verification) down(n *blockNode) error {
	c := v.chain
	block, err := c.readBlock(n)
	if err != nil {
		return err
	}
	undo, err := c.store.ReadUndo(n.hash)
	if err != nil {
		return fmt.Errorf("undo data: %w", err)
	}
	if v.level >= VerifyBlocks {
		state := n.parent.state()
		err := errors.Join(consensus.CheckHeader(c.params, &n.header, n.hash),
			consensus.CheckBlock(c.params, block), consensus.ValidateBlock(c.params, &state, block))
		if err != nil {
			return err
		}
	}
	if v.level < VerifyUndo {
		return nil
	}
	update, err := consensus.RevertUpdate(block, n.parent.index(), n.height, undo)
	if err != nil {
		return fmt.Errorf("undo data: %w", err)
	}
	if v.level < VerifyCoins {
		return nil
	}
	return v.view.move(update.Created, update.Spent)
}

// up connects one block again in the view, by the rules of a block that is new. It
// goes through the pipeline, alone, so that its signatures are checked in batches.
func (v *verification) up(n *blockNode) error {
	c := v.chain
	block, err := c.readBlock(n)
	if err != nil {
		return err
	}
	needed := consensus.CoinsNeeded(c.params, n.height, block)
	coins := make([]consensus.FetchedCoin, len(needed))
	if err := v.view.fetch(needed, coins); err != nil {
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
	c.pipe.settled() // which takes it out again: the chain itself has nothing under way
	if check.doubtful.Load() {
		if err := check.recheck(); err != nil {
			return err
		}
	}
	return v.view.move(connection.Update.Spent, connection.Update.Created)
}

// overlay is a coin set that differs from the store's by what is in memory. The
// store's must not change meanwhile.
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
