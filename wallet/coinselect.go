package wallet

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// A selection is judged by its waste (Erhardt, "An Evaluation of Coin Selection
// Strategies"): what its inputs cost now beyond what they would cost at another
// time, plus what change costs or, without change, what is given away. All coins of
// the wallet have inputs of the same weight, which makes much of this simpler than
// it is elsewhere.

// candidate is a coin as selection sees it.
type candidate struct {
	coin      *Coin
	effective types.Amount // what the coin adds to a payment
}

// problem is what a selection has to solve. Sizes and fees in it are upper bounds,
// so that every solution pays for itself.
type problem struct {
	candidates []candidate  // effective values above 0, descending
	target     types.Amount // effective values to reach, without change
	changeFee  types.Amount // of a change output, and
	spendFee   types.Amount // of spending it at another time
	minChange  types.Amount // least value of a change output
	extraFee   types.Amount // what an input costs now beyond what it would cost at another time
	maxInputs  int
}

// withChange returns the effective values that pay for a change output.
func (p *problem) withChange() types.Amount { return p.target + p.changeFee + p.minChange }

// newProblem states the problem of a request over those of its coins that the
// filter admits. Where the outputs pay the fee, a coin adds all that it holds.
func newProblem(r *Request, payments types.Amount, admit func(*Coin) bool) *problem {
	fee := inputFee(r.FeeRate)
	p := &problem{
		target:    payments,
		changeFee: r.FeeRate.Fee(changeSize + changeCountGrowth(r)),
		spendFee:  inputFee(longTermFeeRate),
		minChange: dustLimit(r.ChangeScript),
		extraFee:  fee - inputFee(longTermFeeRate),
	}
	weight := baseWeight(r)
	free := maxStandardWeight - weight - (changeSize+changeCountGrowth(r))*types.WitnessScale
	p.maxInputs = max(free/inputWeight, 0)
	perCoin := fee
	if r.SubtractFee {
		perCoin, p.changeFee = 0, 0
	} else {
		// Half a virtual byte an input adds up to at most one more when it is rounded.
		p.target += r.FeeRate.Fee(virtualSize(weight) + 1)
	}
	for i := range r.Coins {
		c := &r.Coins[i]
		if admit(c) && c.Value > fee {
			p.candidates = append(p.candidates, candidate{c, c.Value - perCoin})
		}
	}
	slices.SortStableFunc(p.candidates, func(a, b candidate) int { return cmp.Compare(b.effective, a.effective) })
	return p
}

// baseWeight returns the weight of the request's transaction without inputs and
// change, the count of all its coins included.
func baseWeight(r *Request) int {
	tx := types.Tx{Outputs: r.Outputs}
	countGrowth := types.CompactSizeLen(uint64(len(r.Coins))) - types.CompactSizeLen(0)
	return (tx.StrippedSize()+countGrowth)*types.WitnessScale + markerWeight
}

// changeCountGrowth returns the bytes that the count of outputs grows by with one
// more.
func changeCountGrowth(r *Request) int {
	n := uint64(len(r.Outputs))
	return types.CompactSizeLen(n+1) - types.CompactSizeLen(n)
}

// chooseCoins returns coins for the payments and the fee of a request. Coins in no block
// are left alone if the others suffice: the transaction that makes them may yet
// be replaced, or wait long.
func chooseCoins(r *Request, payments types.Amount, rng *rand.Rand) ([]Coin, error) {
	confirmed := newProblem(r, payments, func(c *Coin) bool { return c.Height > 0 })
	if chosen := confirmed.solve(rng); chosen != nil {
		return coinsOf(chosen), nil
	}
	all := newProblem(r, payments, everyCoin)
	if chosen := all.solve(rng); chosen != nil {
		return coinsOf(chosen), nil
	}
	// The problem's fees are upper bounds: all coins together may still be enough.
	need, have := payments, all.value()
	if !r.SubtractFee {
		need += feeOf(r, len(all.candidates))
	}
	if have < need || len(all.candidates) == 0 {
		return nil, &ErrFunds{Need: need, Have: have}
	}
	return all.everything()
}

// allCoins returns every coin that is worth its fee.
func allCoins(r *Request, payments types.Amount) ([]Coin, error) {
	all := newProblem(r, payments, everyCoin)
	if len(all.candidates) == 0 {
		return nil, &ErrFunds{Need: payments + feeOf(r, 1) + dustLimit(r.Outputs[0].ScriptPubKey)}
	}
	return all.everything()
}

func everyCoin(*Coin) bool { return true }

// everything returns all candidates, if they fit into a transaction.
func (p *problem) everything() ([]Coin, error) {
	if len(p.candidates) > p.maxInputs {
		return nil, fmt.Errorf("%w: %d coins, the most is %d", ErrTooLarge, len(p.candidates), p.maxInputs)
	}
	return coinsOf(p.candidates), nil
}

// feeOf returns the fee of the request's transaction with a number of inputs, at
// least one, and no change.
func feeOf(r *Request, inputs int) types.Amount {
	tx := types.Tx{Inputs: make([]types.TxIn, max(inputs, 1)), Outputs: r.Outputs}
	return r.FeeRate.Fee(signedSize(&tx))
}

func coinsOf(chosen []candidate) []Coin {
	coins := make([]Coin, len(chosen))
	for i := range chosen {
		coins[i] = *chosen[i].coin
	}
	return coins
}

// value returns what all candidates hold.
func (p *problem) value() (sum types.Amount) {
	for i := range p.candidates {
		sum += p.candidates[i].coin.Value
	}
	return sum
}

func sumEffective(chosen []candidate) (sum types.Amount) {
	for i := range chosen {
		sum += chosen[i].effective
	}
	return sum
}

// solve returns the solution of least waste that any of the ways finds, nil if
// there is none.
func (p *problem) solve(rng *rand.Rand) []candidate {
	var best []candidate
	bestWaste := types.Amount(math.MaxInt64)
	for _, chosen := range [][]candidate{
		p.branchAndBound(),
		p.smallestSufficient(),
		p.randomDraw(rng),
		p.largestFirst(),
	} {
		if len(chosen) == 0 {
			continue
		}
		if waste := p.waste(chosen); waste < bestWaste {
			best, bestWaste = chosen, waste
		}
	}
	return best
}

func (p *problem) waste(chosen []candidate) types.Amount {
	waste := types.Amount(len(chosen)) * p.extraFee
	if sum := sumEffective(chosen); sum < p.withChange() {
		return waste + sum - p.target
	}
	return waste + p.changeFee + p.spendFee
}

// maxTries bounds the search for a selection without change: some milliseconds.
const maxTries = 100_000

// branchAndBound searches the coins for a sum that needs no change: at least the
// target, and beyond it no more than change would cost. It walks the tree of choices,
// the largest coin first, each taken and then left, and leaves a branch that
// cannot reach the target, is beyond it, or wastes more than the best so far.
func (p *problem) branchAndBound() []candidate {
	coins := p.candidates
	most := p.target + p.changeFee + p.spendFee
	remaining := make([]types.Amount, len(coins)+1) // sums of the coins from each on
	for i := len(coins) - 1; i >= 0; i-- {
		remaining[i] = remaining[i+1] + coins[i].effective
	}
	var best, chosen []candidate
	bestWaste := types.Amount(math.MaxInt64)
	tries := maxTries
	var walk func(next int, sum types.Amount)
	walk = func(next int, sum types.Amount) {
		tries--
		inputWaste := types.Amount(len(chosen)) * p.extraFee
		if tries < 0 || sum > most || sum+remaining[next] < p.target || p.extraFee > 0 && inputWaste > bestWaste {
			return
		}
		if waste := inputWaste + sum - p.target; sum >= p.target && len(chosen) > 0 && waste < bestWaste {
			best, bestWaste = slices.Clone(chosen), waste
		}
		if next == len(coins) || len(chosen) == p.maxInputs || sum >= p.target && len(chosen) > 0 && p.extraFee >= 0 {
			return
		}
		chosen = append(chosen, coins[next])
		walk(next+1, sum+coins[next].effective)
		chosen = chosen[:len(chosen)-1]
		// Leaving one of equal coins and taking the next is the same choice again.
		after := next + 1
		for after < len(coins) && coins[after].effective == coins[next].effective {
			after++
		}
		walk(after, sum)
	}
	walk(0, 0)
	return best
}

// smallestSufficient returns the smallest coin that pays for all and for change,
// which leaves the large ones whole.
func (p *problem) smallestSufficient() []candidate {
	for i := len(p.candidates) - 1; i >= 0; i-- {
		if p.candidates[i].effective >= p.withChange() {
			return p.fill(p.candidates[i:i+1], p.withChange())
		}
	}
	return nil
}

// randomDraw takes coins at random until they pay for change too. It keeps the
// wallet's coins from growing ever more and ever smaller, and its choices from
// telling what it has.
func (p *problem) randomDraw(rng *rand.Rand) []candidate {
	drawn := slices.Clone(p.candidates)
	rng.Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
	return p.fill(drawn, p.withChange())
}

// largestFirst takes the fewest coins, so it finds a solution if there is any.
func (p *problem) largestFirst() []candidate { return p.fill(p.candidates, p.target) }

// fill returns as many of the first coins as reach a sum, at least one.
func (p *problem) fill(coins []candidate, goal types.Amount) []candidate {
	sum := types.Amount(0)
	for i := range coins[:min(len(coins), p.maxInputs)] {
		if sum += coins[i].effective; sum >= goal {
			return coins[:i+1]
		}
	}
	return nil
}
