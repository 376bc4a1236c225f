package mempool

import (
	"context"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// candidate is a transaction that may come into the pool, and what was found out
// about it. It belongs to one goroutine.
type candidate struct {
	*pending.Entry
	position types.Index  // the tip that the coins are of
	coins    []types.Coin // that the inputs spend, in their order
	parents  []types.Hash // transactions that it spends and no block has
	modified types.Amount // what it counts for as a fee, with the operator's delta
	work     pending.Work // what it has cost so far
	// settled says that a block had it, so that its signatures were checked with the
	// block's.
	settled bool
}

// group is candidates that come in together or not at all, each after those that it
// spends. Almost always it is one.
type group struct {
	candidates []*candidate
	list       bool          // several, of which it is only asked what would be, and perhaps not all of them
	limit      types.FeeRate // that no candidate of a package may pay more than; 0: none
	part       bool          // of a package, or all of it: room for it is made later
	early      []types.Hash  // parts of the package that are in already
	sibling    bool          // it would replace one that spends nothing of the same (checkTRUC)
	change     *change       // how they would fit into the graph; nil: not known
	replaced   []types.Hash  // by them, once they are in
}

// isFamily reports whether the candidates are a child with its parents, which are judged
// by what they pay together. Those of a list need not be relatives: each pays for itself,
// and none replaces anything.
func (g *group) isFamily() bool { return len(g.candidates) > 1 && !g.list }

// whole is the index of the candidate at fault where none of several is alone.
func (g *group) whole() int {
	if len(g.candidates) == 1 {
		return 0
	}
	return -1
}

// reason picks a reason for a replacement that is refused, by what would replace.
func (g *group) reason(single, sibling, family consensus.Reason) consensus.Reason {
	switch {
	case g.isFamily():
		return family
	case g.sibling:
		return sibling
	}
	return single
}

// last is the index of the last candidate, which is to pay for the others.
func (g *group) last() int { return len(g.candidates) - 1 }

// total sums the candidates up, with what they count for as fees.
func (g *group) total() (t pending.Total) {
	for _, c := range g.candidates {
		t.Add(c.Entry)
		t.Fees += c.modified - c.Fee
	}
	return t
}

// has reports whether the group has the transaction with the id.
func (g *group) has(txid types.Hash) bool {
	return slices.ContainsFunc(g.candidates, func(c *candidate) bool { return c.TxID == txid })
}

func (g *group) entries() []*pending.Entry {
	entries := make([]*pending.Entry, len(g.candidates))
	for i, c := range g.candidates {
		entries[i] = c.Entry
	}
	return entries
}

func (g *group) txs() []*types.Tx {
	txs := make([]*types.Tx, len(g.candidates))
	for i, c := range g.candidates {
		txs[i] = c.Tx
	}
	return txs
}

// newCandidate checks what needs nothing but the transaction, and copies it. Decoded
// transactions share the memory of the message or block that they came in: a pool that
// kept one would keep all of that alive, and no count of its bytes would be true.
func (p *Pool) newCandidate(tx *types.Tx, at time.Time) (*candidate, error) {
	if err := consensus.CheckTransaction(p.params, tx); err != nil {
		return nil, err
	}
	if tx.IsCoinbase() {
		return nil, refuse(consensus.ErrInvalid, consensus.ReasonCoinbaseTransaction, "") // valid only as the first of its block
	}
	if err := checkStandard(tx, &p.options.Policy); err != nil {
		return nil, err
	}
	raw := tx.AppendTo(make([]byte, 0, tx.Size()))
	own, err := types.DecodeTx(raw)
	if err != nil {
		return nil, refuse(consensus.ErrInvalid, consensus.ReasonDecode, "%v", err)
	}
	return &candidate{Entry: &pending.Entry{
		Tx: own, Raw: raw, TxID: own.TxID(), WTxID: types.DoubleSHA256(raw),
		Weight: own.Weight(), VSize: own.VirtualSize(), Time: at.Truncate(time.Second),
	}}, nil
}

// findCoins brings the pool to the tip and finds the coins that candidates spend,
// which may be outputs of earlier candidates. It returns the state of the tip, or the
// first candidate that is refused and why.
func (p *Pool) findCoins(ctx context.Context, candidates []*candidate) (state consensus.State, failed int, err error) {
	for {
		if err := p.CatchUp(ctx); err != nil {
			return state, 0, err
		}
		missing, failed, err := p.poolCoins(candidates)
		if err != nil {
			return state, failed, err
		}
		outPoints := make([]types.OutPoint, len(missing))
		for i, m := range missing {
			outPoints[i] = candidates[m.candidate].Tx.Inputs[m.input].PreviousOutPoint
			candidates[m.candidate].work.Coins++
		}
		fetched, state, err := p.chain.Coins(ctx, outPoints)
		if err != nil {
			return state, 0, err
		}
		if state.Index != candidates[0].position {
			continue // the chain has moved between the two looks
		}
		for i, m := range missing {
			if !fetched[i].Found {
				return state, m.candidate, p.missingCoin(ctx, candidates[m.candidate], outPoints[i])
			}
			candidates[m.candidate].coins[m.input] = fetched[i].Coin
		}
		return state, 0, nil
	}
}

// missingInput is an input whose coin has to come from the chain.
type missingInput struct{ candidate, input int }

// poolCoins finds those coins that are outputs of the pool or of earlier candidates,
// and returns the inputs whose coins have to come from the chain, or the first
// candidate that is refused and why. The rules take such coins for made by the next
// block, which is the first that could hold both transactions.
func (p *Pool) poolCoins(candidates []*candidate) (missing []missingInput, failed int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	earlier := map[types.Hash]*pending.Entry{}
	for n, c := range candidates {
		if err := p.checkNew(c); err != nil {
			return nil, n, err
		}
		c.position = p.position
		c.coins, c.parents = make([]types.Coin, len(c.Tx.Inputs)), c.parents[:0]
		for i := range c.Tx.Inputs {
			outPoint := c.Tx.Inputs[i].PreviousOutPoint
			parent := earlier[outPoint.TxID]
			if parent == nil {
				parent = entryOf(p.graph.byTxID[outPoint.TxID])
			}
			if parent == nil {
				missing = append(missing, missingInput{n, i})
				continue
			}
			coin, ok := coinOf(parent, outPoint.Index, p.position.Height+1)
			if !ok {
				return nil, n, missingInputs(outPoint)
			}
			c.coins[i] = coin
			c.parents = append(c.parents, parent.TxID)
		}
		earlier[c.TxID] = c.Entry
	}
	return missing, 0, nil
}

// coinOf returns an output of the entry as a coin that was made at the height. It
// reports false if there is no such output, or if it can never be spent.
func coinOf(e *pending.Entry, index, height uint32) (types.Coin, bool) {
	if uint64(index) >= uint64(len(e.Tx.Outputs)) || !consensus.IsSpendable(e.Tx.Outputs[index].ScriptPubKey) {
		return types.Coin{}, false
	}
	return types.NewCoin(&e.Tx.Outputs[index], height, false)
}

func missingInputs(outPoint types.OutPoint) error {
	return refuse(consensus.ErrNotYet, consensus.ReasonMissingInputs, "output %s is not known or is spent", outPoint)
}

// missingCoin says why a coin is missing. If the chain has an output of the candidate
// itself, the candidate is confirmed and has spent the coin. A transaction all of
// whose outputs are spent again cannot be told from an orphan this way.
func (p *Pool) missingCoin(ctx context.Context, c *candidate, missing types.OutPoint) error {
	outPoints := make([]types.OutPoint, len(c.Tx.Outputs))
	for i := range outPoints {
		outPoints[i] = types.OutPoint{TxID: c.TxID, Index: uint32(i)}
	}
	c.work.Coins += len(outPoints)
	coins, _, err := p.chain.Coins(ctx, outPoints)
	if err != nil {
		return err
	}
	for i := range coins {
		if coins[i].Found {
			return policy(pending.ReasonConfirmed, "output %d is an unspent output of the chain", i)
		}
	}
	return missingInputs(missing)
}
