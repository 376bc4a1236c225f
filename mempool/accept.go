package mempool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Accept takes a transaction into the pool, which keeps a copy of it, and
// returns its entry. It may take the place of others (BIP125 without signalling).
// It waits for a change of the chain that is under way.
//
// A transaction that pays more than maxFeeRate for its size is refused with
// pending.ReasonMaxFee; 0 is no limit. Only the pool knows what a transaction pays,
// so its sender cannot see the slip of paying the change as a fee in time.
//
// The error is of one of consensus's kinds: ErrInvalid if no block can hold the
// transaction, ErrNotYet if a later one may (inputs missing, locks, immature
// coins), ErrPolicy if this pool does not want it, ErrLocal; or the context's.
// With ReasonInPool the entry that is there is returned too.
func (p *Pool) Accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate) (*pending.Entry, error) {
	return p.accept(ctx, tx, maxFeeRate, p.now())
}

// errMoved says that the chain or the pool changed while a transaction was
// looked at, so that it has to be looked at again.
var errMoved = errors.New("the chain or the pool has moved")

func (p *Pool) accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate, at time.Time) (*pending.Entry, error) {
	c, err := p.newCandidate(tx, at)
	if err != nil {
		return nil, err
	}
	for {
		err := p.examine(ctx, c)
		switch {
		case err != nil:
		case c.Exceeds(maxFeeRate): // last, as in Bitcoin Core: what is wrong otherwise is told first
			err = policy(pending.ReasonMaxFee, "%d grains are more than %d", c.Fee, maxFeeRate.Fee(c.VSize))
		default:
			err = p.insert(c)
		}
		switch {
		case err == nil:
			return c.Entry, nil
		case errors.Is(err, ReasonInPool):
			return p.GetByWitness(c.WTxID), err
		case !errors.Is(err, errMoved):
			return nil, err
		}
	}
}

// examine does everything but the insertion: rules, policy, and at last the
// scripts, which cost most.
func (p *Pool) examine(ctx context.Context, c *candidate) error {
	state, _, err := p.findCoins(ctx, []*candidate{c})
	if err != nil {
		return err
	}
	if c.Fee, err = p.connect(c, &state); err != nil {
		return err
	}
	c.Height = state.Index.Height
	p.mu.Lock()
	err = p.fit(c, true)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	return p.verify(c)
}

// insert puts a candidate that was examined into the pool.
func (p *Pool) insert(c *candidate) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rebuilding || p.position != c.position {
		return errMoved
	}
	if !c.change.current(p.graph) {
		if err := p.fit(c, true); err != nil {
			return err
		}
	}
	replaced := c.change.remove
	p.graph.apply(c.change)
	c.change = nil
	p.changes += uint64(1 + len(replaced))
	p.trim()
	p.changed.Ring()
	if p.graph.byTxID[c.TxID] == nil {
		return policy(ReasonFull, "the pool is full of transactions that pay more")
	}
	p.accepted.add(c.WTxID)
	if len(replaced) > 0 {
		p.log.Debug("transaction replaced others", "txid", c.TxID, "replaced", len(replaced))
	}
	return nil
}

// trim evicts what pays worst until the rest fits into memory. It assumes mu.
func (p *Pool) trim() {
	evicted := 0
	for p.graph.usage > p.options.MaxBytes {
		nodes, worst := p.graph.evict()
		p.rolling.raise(worst.feeRate(), p.options.IncrementalRelay)
		evicted += len(nodes)
	}
	p.changes += uint64(evicted)
	if evicted > 0 {
		p.log.Debug("evicted transactions", "count", evicted, "minimum", p.minFeeRate())
	}
}

// feeRate returns the feerate of a chunk, rounded down.
func (c *chunk) feeRate() types.FeeRate {
	return types.NewFeeRate(c.fee, (c.weight+types.WitnessScale-1)/types.WitnessScale)
}

// candidate is a transaction that may come into the pool, and what was found out
// about it.
type candidate struct {
	*pending.Entry
	position types.Index  // the tip that the coins are of
	coins    []types.Coin // that the inputs spend
	parents  []types.Hash // transactions whose coins are not confirmed
	change   *change      // how it would fit in; nil: not known
}

// newCandidate copies a transaction, so that nothing else is kept alive by it,
// and checks it as far as that needs nothing else.
func (p *Pool) newCandidate(tx *types.Tx, at time.Time) (*candidate, error) {
	if err := consensus.CheckTransaction(p.params, tx); err != nil {
		return nil, err
	}
	if tx.IsCoinbase() {
		return nil, refuse(consensus.ErrInvalid, consensus.ReasonCoinbaseTransaction, "") // which is valid in its block only
	}
	if err := checkStandard(tx); err != nil {
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

// findCoins brings the pool to the tip and finds the coins of candidates, of
// which later ones may spend earlier ones. It returns the state of the tip, or
// the first candidate that is refused and why.
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
		}
		fetched, state, err := p.chain.Coins(ctx, outPoints)
		if err != nil {
			return state, 0, err
		}
		if state.Index != candidates[0].position {
			continue
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

// poolCoins finds the coins of candidates that are outputs of the pool or of
// earlier candidates, and returns the inputs for which there are none, or the
// first candidate that is refused and why. Bitcoin's rules treat such coins as if
// the next block made them.
func (p *Pool) poolCoins(candidates []*candidate) (missing []missingInput, failed int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	earlier := map[types.Hash]*pending.Entry{}
	for n, c := range candidates {
		if err := p.duplicate(c); err != nil {
			return nil, n, err
		}
		c.position, c.change = p.position, nil
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

// coinOf returns an output of the transaction as a coin that was made at the
// height. It reports false if there is no such output or it holds data.
func coinOf(e *pending.Entry, index, height uint32) (types.Coin, bool) {
	if uint64(index) >= uint64(len(e.Tx.Outputs)) || !consensus.IsSpendable(e.Tx.Outputs[index].ScriptPubKey) {
		return types.Coin{}, false
	}
	return types.NewCoin(&e.Tx.Outputs[index], height, false)
}

func missingInputs(outPoint types.OutPoint) error {
	return refuse(consensus.ErrNotYet, consensus.ReasonMissingInputs, "output %s is not known or is spent", outPoint)
}

// missingCoin says why a coin is missing: the transaction may be confirmed, and
// have spent it.
func (p *Pool) missingCoin(ctx context.Context, c *candidate, missing types.OutPoint) error {
	outPoints := make([]types.OutPoint, len(c.Tx.Outputs))
	for i := range outPoints {
		outPoints[i] = types.OutPoint{TxID: c.TxID, Index: uint32(i)}
	}
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

// duplicate refuses what the pool has. It assumes mu.
func (p *Pool) duplicate(c *candidate) error {
	if p.graph.byWTxID[c.WTxID] != nil {
		return policy(ReasonInPool, "")
	}
	if n := p.graph.byTxID[c.TxID]; n != nil {
		return policy(ReasonSameTxID, "the pool has it with another witness (%s)", n.WTxID)
	}
	return nil
}

// connect checks the rules and the policy that need coins, and returns the fee.
func (p *Pool) connect(c *candidate, state *consensus.State) (types.Amount, error) {
	fee, err := consensus.ConnectTransaction(p.params, state, c.Tx, c.coins, p.chain)
	if errors.Is(err, consensus.ReasonPrematureSpend) {
		// Who sent it may be a block ahead of this node.
		return 0, refuse(consensus.ErrNotYet, consensus.ReasonPrematureSpend, "a coinbase that is spent is too young")
	}
	if err != nil {
		return 0, err
	}
	return fee, checkInputs(c.Tx, c.coins)
}

// fit finds out how the candidate fits into the pool: its fee, what it replaces
// and how large its cluster becomes. It assumes mu, and sets c.change.
func (p *Pool) fit(c *candidate, replace bool) error {
	c.change = nil
	if err := p.duplicate(c); err != nil {
		return err
	}
	for _, txid := range c.parents {
		if p.graph.byTxID[txid] == nil {
			return errMoved
		}
	}
	if floor := p.rollingMinimum().Fee(c.VSize); c.Fee < floor {
		return policy(ReasonMempoolMinFee, "%d grains are less than %d", c.Fee, floor)
	}
	if floor := p.options.MinRelay.Fee(c.VSize); c.Fee < floor {
		return policy(ReasonMinRelayFee, "%d grains are less than %d", c.Fee, floor)
	}
	conflicts := p.graph.conflicts(c.Tx)
	if len(conflicts) > 0 && !replace {
		return policy(ReasonNoReplacement, "it spends what %s spends", conflicts[0].TxID)
	}
	var err error
	c.change, err = p.graph.replacement(c.Entry, conflicts, p.options.IncrementalRelay)
	return err
}

// replacement prepares the change that puts an entry in the place of those that
// it conflicts with and their descendants, if that makes the pool better.
func (g *graph) replacement(e *pending.Entry, conflicts []*node, increment types.FeeRate) (*change, error) {
	removed, err := g.replaced(e, conflicts, increment)
	if err != nil {
		return nil, err
	}
	c, ok := g.prepare(removed, &node{Entry: e})
	if !ok {
		return nil, policy(ReasonClusterTooLarge, "more than %d transactions or %d virtual bytes would be connected", MaxClusterCount, MaxClusterVSize)
	}
	if len(removed) > 0 && !improves(chunksOf(c.before), chunksOf(c.after)) {
		return nil, policy(ReasonNotImproved, "insufficient feerate: does not improve feerate diagram")
	}
	return c, nil
}

// replaced returns the conflicts of an entry and their descendants. It refuses an
// entry that touches too much, pays too little, or spends what it would replace,
// which no block can hold.
func (g *graph) replaced(e *pending.Entry, conflicts []*node, increment types.FeeRate) ([]*node, error) {
	if len(conflicts) == 0 {
		return nil, nil
	}
	clusters := map[*cluster]bool{}
	for _, n := range conflicts {
		clusters[n.cluster] = true
	}
	if len(clusters) > MaxReplacedClusters {
		return nil, policy(ReasonTooManyReplaced, "it touches %d clusters, more than %d", len(clusters), MaxReplacedClusters)
	}
	removed := withDescendants(conflicts)
	leaving := make(map[*node]bool, len(removed))
	var old pending.Total
	for _, n := range removed {
		leaving[n] = true
		old.Add(n.Entry)
	}
	// BIP125's rules 3 and 4.
	if e.Fee < old.Fees {
		return nil, policy(ReasonInsufficientFee, "%d grains are less than the %d of what it replaces", e.Fee, old.Fees)
	}
	if more := increment.Fee(e.VSize); e.Fee-old.Fees < more {
		return nil, policy(ReasonInsufficientFee, "it must pay %d grains more than the %d of what it replaces", more, old.Fees)
	}
	// Whatever comes from a conflict leaves with it.
	for _, parent := range g.parents(e.Tx) {
		if leaving[parent] {
			return nil, refuse(consensus.ErrInvalid, ReasonSpendsConflict, "it spends %s, and what that comes from", parent.TxID)
		}
	}
	return removed, nil
}

func chunksOf(clusters []*cluster) []chunk {
	var chunks []chunk
	for _, c := range clusters {
		chunks = append(chunks, c.chunks...)
	}
	return chunks
}

// batchInputs is the number of inputs from which on signatures are checked in a
// batch.
const batchInputs = 8

// verify runs the scripts of a candidate whose coins are known, unless they are
// known to hold. It holds no lock. Those who pass under the flags of policy pass
// under those of consensus, which are none.
func (p *Pool) verify(c *candidate) error {
	if p.verified.has(c.WTxID) {
		return nil
	}
	prevouts := make([]types.TxOut, len(c.coins))
	for i := range c.coins {
		prevouts[i] = c.coins[i].Output()
	}
	if err := runScripts(c.Tx, prevouts); err != nil {
		return err
	}
	p.verified.add(c.WTxID)
	return nil
}

func runScripts(tx *types.Tx, prevouts []types.TxOut) error {
	context := taproot.NewContext(tx, prevouts)
	if len(tx.Inputs) >= batchInputs {
		var batch secp.Batch
		if input, _ := runInputs(context, len(tx.Inputs), taproot.Standard, &batch); input < 0 && batch.Verify() {
			return nil
		}
		// The exact verdict takes the slow way.
	}
	input, err := runInputs(context, len(tx.Inputs), taproot.Standard, nil)
	if err == nil {
		return nil
	}
	var verdict *taproot.ScriptError
	if !errors.As(err, &verdict) {
		return consensus.Local(fmt.Errorf("input %d: %w", input, err))
	}
	kind := consensus.ErrPolicy
	if _, err := runInputs(context, len(tx.Inputs), taproot.Consensus, nil); err != nil {
		kind = consensus.ErrInvalid
	}
	return refuse(kind, scriptReason(verdict), "input %d", input)
}

// runInputs returns the first input whose script fails and how, or -1.
func runInputs(context *taproot.Context, inputs int, flags taproot.Flags, claims taproot.Claims) (int, error) {
	for i := range inputs {
		if err := context.VerifyInput(i, flags, claims); err != nil {
			return i, err
		}
	}
	return -1, nil
}
