package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/karatcoin/karat/chain/bootstrap"
	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// Export writes the blocks of the best chain, the genesis block first, in the framing of
// Bitcoin's block files, and calls progress after each. It returns the tip that it came
// to, which is that of the moment when it began.
func (n *Node) Export(ctx context.Context, w io.Writer, progress func(done, total int)) (types.Index, error) {
	tip := n.chain.Tip()
	out := bufio.NewWriterSize(w, 1<<20)
	for height := range tip.Height + 1 {
		if err := ctx.Err(); err != nil {
			return types.Index{}, err
		}
		hash, ok := n.chain.HashAt(height)
		if !ok {
			return types.Index{}, errors.New("the chain changed while it was exported: export it again")
		}
		raw, err := n.chain.Block(hash)
		if errors.Is(err, consensus.ErrNotFound) {
			return types.Index{}, fmt.Errorf("block %d was pruned: export needs a node that keeps all blocks", height)
		}
		if err != nil {
			return types.Index{}, err
		}
		if err := bootstrap.Write(out, n.config.Params.Magic, raw); err != nil {
			return types.Index{}, err
		}
		progress(int(height)+1, int(tip.Height)+1)
	}
	return tip, out.Flush()
}

// CoinSet is the coin set at a block.
type CoinSet struct {
	At    types.Index
	Stats coinstats.Stats
}

// Coins walks over all coins and computes what Bitcoin Core's gettxoutsetinfo does. It
// walks over a snapshot, so that the chain goes on meanwhile. progress is called now and
// then.
func (n *Node) Coins(ctx context.Context, progress func(coins uint64)) (CoinSet, error) {
	return n.coins(ctx, true, true, progress)
}

// coins computes only the hashes that are asked for: they take far longer than to count.
func (n *Node) coins(ctx context.Context, muhash, serialized bool, progress func(coins uint64)) (CoinSet, error) {
	collector := coinstats.New(muhash, serialized)
	count := uint64(0)
	at, err := n.chain.ForEachCoin(ctx, func(outPoint types.OutPoint, coin *types.Coin) error {
		collector.Add(outPoint, coin)
		if count++; count%10000 == 0 {
			progress(count)
			return ctx.Err()
		}
		return nil
	})
	if err != nil {
		return CoinSet{}, err
	}
	return CoinSet{At: at, Stats: collector.Result()}, nil
}
