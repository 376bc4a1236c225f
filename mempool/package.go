package mempool

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// The reasons for which a child with its parents is refused as a whole, after each of
// them was looked at. All are ErrPolicy and Bitcoin Core's.
const (
	ReasonPackageNotPair         consensus.Reason = "package RBF failed: package must be 1-parent-1-child"
	ReasonPackageAncestors       consensus.Reason = "package RBF failed: new transaction cannot have mempool ancestors"
	ReasonPackageTooManyReplaced consensus.Reason = "package RBF failed: too many potential replacements"
	ReasonPackageInsufficientFee consensus.Reason = "package RBF failed: insufficient anti-DoS fees"
	ReasonPackageParentRate      consensus.Reason = "package RBF failed: package feerate is less than or equal to parent feerate"
	ReasonPackageNotImproved     consensus.Reason = "package RBF failed: insufficient feerate: does not improve feerate diagram"
	ReasonUnspentDust            consensus.Reason = "unspent-dust"
	ReasonTooManySiblingReplaced consensus.Reason = "too many potential replacements (including sibling eviction)"
)

// AcceptPackage gives the pool a child together with parents of it. The child comes last,
// each parent after those that it spends. The idea is Bitcoin Core's, and so is the order:
// what the pool has already is passed over, and each of the others is tried by itself, so
// that it pays for nobody if it need not. Those that pay too little, and those that lack
// such a parent, are then taken together or not at all, for what they pay for all their
// size. A transaction that is refused for anything else keeps the others from that, but
// not those out that came in by themselves.
//
// Together they may replace others if they are one parent and one child, which spend
// nothing else that waits, and if they pay for that together.
//
// A transaction that pays more than maxFeeRate is refused; 0 is no limit. The result tells
// what became of each, also with an error. That is a *pending.Refusal, which tells which
// transaction is at fault, unless it is the context's or an ErrLocal; it is nil if the
// pool has all of them afterwards.
func (p *Pool) AcceptPackage(ctx context.Context, txs []*types.Tx, maxFeeRate types.FeeRate) (pending.Package, error) {
	return p.acceptPackage(ctx, txs, maxFeeRate, p.now())
}

func (p *Pool) acceptPackage(ctx context.Context, txs []*types.Tx, maxFeeRate types.FeeRate, at time.Time) (pending.Package, error) {
	err := checkPackage(txs)
	if err == nil {
		err = checkFamily(txs)
	}
	if err != nil {
		return pending.Package{}, &pending.Refusal{Err: err, Failed: -1}
	}
	s := &submission{
		pool: p, limit: maxFeeRate,
		candidates: make([]*candidate, len(txs)), result: pending.Package{Verdicts: make([]pending.Verdict, len(txs))},
	}
	for i, tx := range txs {
		if s.candidates[i], err = p.newCandidate(tx, at); err != nil {
			s.refuse(i, err)
		}
	}
	if err := s.submit(ctx); err != nil {
		return s.result, err
	}
	if s.refusal == nil {
		return s.result, nil
	}
	for _, c := range s.candidates {
		if c != nil {
			s.refusal.Work.Add(c.work)
		}
	}
	return s.result, s.refusal
}

// submission is a child with its parents on the way into the pool.
type submission struct {
	pool       *Pool
	limit      types.FeeRate
	candidates []*candidate // nil: it was refused at the first look
	result     pending.Package
	together   []int // those that could not come in by themselves, and perhaps can together
	refusal    *pending.Refusal
}

// refuse notes that a transaction is refused.
func (s *submission) refuse(i int, err error) {
	s.result.Verdicts[i] = pending.Verdict{Err: err}
	if s.refusal == nil {
		s.refusal = &pending.Refusal{Err: err, Failed: i}
	}
}

// submit is the way. The error is a local fault or the context's.
func (s *submission) submit(ctx context.Context) error {
	err := s.offer(ctx)
	s.pool.makeRoom()
	if err != nil {
		return err
	}
	for i := range s.result.Verdicts {
		switch v := s.result.Verdicts[i]; {
		case v.Err != nil && s.refusal == nil:
			s.refuse(i, v.Err)
		case v.Entry != nil && s.pool.Get(v.Entry.TxID) == nil:
			s.refuse(i, policy(pending.ReasonFull, ""))
		}
	}
	return nil
}

// offer tries each candidate alone, and then those together that need it.
func (s *submission) offer(ctx context.Context) error {
	for i, c := range s.candidates {
		if c == nil {
			continue
		}
		if err := s.alone(ctx, i); err != nil {
			return err
		}
	}
	again := s.refusal == nil && len(s.together) > 1 // one has been tried
	for again && len(s.together) > 0 {
		var err error
		if again, err = s.family(ctx); err != nil {
			return err
		}
	}
	return nil
}

// alone tries a candidate by itself.
func (s *submission) alone(ctx context.Context, i int) error {
	c := s.candidates[i]
	for {
		if e := s.pool.Get(c.TxID); e != nil {
			s.result.Verdicts[i] = pending.Verdict{Entry: e, Present: true}
			return nil
		}
		_, err := s.admit(ctx, []int{i})
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ReasonInPool), errors.Is(err, ReasonSameTxID):
			continue // somebody else brought it meanwhile
		case errors.Is(err, consensus.ErrLocal) || ctx.Err() != nil:
			return err
		case pending.Reconsiderable(err), errors.Is(err, consensus.ReasonMissingInputs):
			s.result.Verdicts[i] = pending.Verdict{Err: err}
			s.together = append(s.together, i)
		default:
			s.refuse(i, err)
		}
		return nil
	}
}

// family tries those together that could not come in alone. It reports whether that has
// to be done again, since somebody else brought one of them.
func (s *submission) family(ctx context.Context) (again bool, err error) {
	failed, err := s.admit(ctx, s.together)
	switch {
	case err == nil:
	case errors.Is(err, ReasonInPool), errors.Is(err, ReasonSameTxID):
		i := s.together[failed]
		if e := s.pool.Get(s.candidates[i].TxID); e != nil {
			s.result.Verdicts[i] = pending.Verdict{Entry: e, Present: true}
			s.together = slices.Delete(slices.Clone(s.together), failed, failed+1)
		}
		return true, nil
	case errors.Is(err, consensus.ErrLocal) || ctx.Err() != nil:
		return false, err
	case errors.Is(err, pending.ReasonFull):
		for _, i := range s.together {
			s.refuse(i, err)
		}
	case errors.Is(err, ReasonEphemeralDust):
		s.refuse(s.together[failed], err)
		s.refusal = &pending.Refusal{Err: policy(ReasonUnspentDust, ""), Failed: -1}
	case failed < 0:
		s.refusal = &pending.Refusal{Err: err, Failed: -1}
	default:
		s.refuse(s.together[failed], err)
	}
	return false, nil
}

// admit admits candidates as a group, and notes what became of them if they are in.
func (s *submission) admit(ctx context.Context, indices []int) (failed int, err error) {
	g := &group{part: true, limit: s.limit}
	for i, v := range s.result.Verdicts {
		if v.Entry != nil && !v.Present {
			g.early = append(g.early, s.candidates[i].TxID)
		}
	}
	for _, i := range indices {
		g.candidates = append(g.candidates, s.candidates[i])
	}
	if failed, err := s.pool.admit(ctx, g, 0); err != nil {
		return failed, err
	}
	for n, verdict := range g.verdicts() {
		s.result.Verdicts[indices[n]] = verdict
	}
	s.result.Replaced = append(s.result.Replaced, g.replaced...)
	return 0, nil
}

// verdicts tells of the candidates of a group that is in, or would be.
func (g *group) verdicts() []pending.Verdict {
	verdicts := make([]pending.Verdict, len(g.candidates))
	total, all := g.total(), []types.Hash(nil)
	for _, c := range g.candidates {
		all = append(all, c.WTxID)
	}
	for i, c := range g.candidates {
		verdicts[i] = pending.Verdict{Entry: c.Entry, FeeRate: types.NewFeeRate(c.modified, c.VSize), With: all[i : i+1 : i+1]}
		if g.isFamily() {
			verdicts[i].FeeRate, verdicts[i].With = types.NewFeeRate(total.Fees, total.VSize), all
		}
	}
	return verdicts
}

// checkFamily checks that the last transaction spends all others.
func checkFamily(txs []*types.Tx) error {
	if len(txs) == 0 {
		return policy(ReasonPackageTopology, "")
	}
	child := txs[len(txs)-1]
	spends := map[types.Hash]bool{}
	for i := range child.Inputs {
		spends[child.Inputs[i].PreviousOutPoint.TxID] = true
	}
	for _, tx := range txs[:len(txs)-1] {
		if !spends[tx.TxID()] {
			return policy(ReasonPackageTopology, "")
		}
	}
	return nil
}

// checkFamilyReplaces checks whether a child with its parents may replace others at all. A
// larger family, or one with relatives in the pool, could make it hard to tell what is
// better.
func checkFamilyReplaces(g *group) error {
	if len(g.candidates) > 2 {
		return policy(ReasonPackageNotPair, "")
	}
	parent := g.candidates[0]
	for _, c := range g.candidates {
		if slices.ContainsFunc(c.parents, func(txid types.Hash) bool { return txid != parent.TxID }) {
			return policy(ReasonPackageAncestors, "")
		}
	}
	return nil
}

// checkFamilyRates checks that a parent and a child would be mined together. Otherwise the
// child would only pay for the parent's replacing, and a miner be worse off.
func checkFamilyRates(g *group) error {
	parent, total := g.candidates[0], g.total()
	if compareRates(total.Fees, total.VSize, parent.modified, parent.VSize) > 0 {
		return nil
	}
	return policy(ReasonPackageParentRate, "package feerate %s <= parent feerate is %s",
		kiloRate(types.NewFeeRate(total.Fees, total.VSize)), kiloRate(types.NewFeeRate(parent.modified, parent.VSize)))
}

// kiloRate writes a feerate as Bitcoin Core does: coins for 1000 virtual bytes.
func kiloRate(r types.FeeRate) string { return types.Amount(r).String() + "/kvB" }
