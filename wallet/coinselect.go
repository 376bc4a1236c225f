package wallet

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/karatcoin/karat/chain/standard"
	"github.com/karatcoin/karat/chain/types"
)

// A selection is judged by its waste (Erhardt, "An Evaluation of Coin Selection
// Strategies"): what its inputs cost now beyond what they would cost at another
// time, plus what change costs or, without change, what is given away. All coins
// of the wallet have inputs of the same weight, which makes much of this simpler
// than it is elsewhere.

// problem is what a selection has to solve.
type problem struct {
	coins     []*Coin                       // each worth its fee, in descending order of value
	payments  types.Amount                  // but for what required coins hold
	required  int                           // coins that are spent in any case, and are not chosen
	fee       func(inputs int) types.Amount // on top of the payments, without change
	changeFee types.Amount                  // of a change output, on top of the payments
	spendFee  types.Amount                  // of spending the change at another time
	minChange types.Amount                  // least value of a change output
	extraFee  types.Amount                  // what an input costs now beyond what it would at another time
	maxInputs int
}

// newProblem states the problem of a request over those of its coins that the
// filter admits.
func newProblem(r *Request, payments types.Amount, admit func(*Coin) bool) *problem {
	cost := inputFee(r.FeeRate, r.witness())
	base := types.Tx{Outputs: r.Outputs}
	weight := signedWeight(&base, r.witness())
	required := len(r.Required)
	outputs := uint64(len(r.Outputs))
	changeSize := changeSize + types.CompactSizeLen(outputs+1) - types.CompactSizeLen(outputs)
	p := &problem{
		payments: payments,
		required: required,
		fee: func(inputs int) types.Amount {
			return r.fee(virtualSize(weight + inputsWeight(required+inputs, r.witness())))
		},
		changeFee: r.FeeRate.Fee(changeSize),
		spendFee:  inputFee(longTermFeeRate, r.witness()),
		minChange: standard.DustLimit(r.ChangeScript),
		extraFee:  cost - inputFee(longTermFeeRate, r.witness()),
	}
	if r.SubtractFee && !r.SendAll { // the payments hold the fee
		p.fee, p.changeFee = func(int) types.Amount { return 0 }, 0
	}
	// As if there were change, so that a solution still fits when some is added.
	for p.maxInputs < len(r.Coins) && weight+inputsWeight(required+p.maxInputs+1, r.witness())+changeSize*types.WitnessScale <= standard.MaxWeight {
		p.maxInputs++
	}
	for i := range r.Required {
		p.payments -= r.Required[i].Value
	}
	for i := range r.Coins {
		if c := &r.Coins[i]; admit(c) && c.Value > cost {
			p.coins = append(p.coins, c)
		}
	}
	// Stable, so that one seed gives one solution.
	slices.SortStableFunc(p.coins, func(a, b *Coin) int { return cmp.Compare(b.Value, a.Value) })
	return p
}

// inputsWeight returns what a number of inputs adds to the weight of a
// transaction without any.
func inputsWeight(inputs, witness int) int {
	count := types.CompactSizeLen(uint64(inputs)) - types.CompactSizeLen(0)
	return inputs*(inputBytes*types.WitnessScale+witness) + count*types.WitnessScale
}

// chooseCoins returns coins for the payments and the fee of a request. Coins in
// no block are left alone if the others suffice: the transaction that makes them
// may yet be replaced, or wait long.
func chooseCoins(r *Request, payments types.Amount, rng *rand.Rand) ([]Coin, error) {
	confirmed := newProblem(r, payments, (*Coin).confirmed)
	if chosen := confirmed.solve(rng); chosen != nil {
		return copyCoins(chosen), nil
	}
	all := newProblem(r, payments, everyCoin)
	if chosen := all.solve(rng); chosen != nil {
		return copyCoins(chosen), nil
	}
	own := payments - all.payments // what the required coins hold
	need, have := payments+all.fee(max(len(all.coins), 1-all.required)), own+coinsValue(all.coins)
	if have < need || len(all.coins)+all.required == 0 {
		return nil, &ErrFunds{Need: need, Have: have}
	}
	return nil, fmt.Errorf("%w: it has room for %d coins, and the payment needs more: join some of them first with karat consolidate", ErrTooLarge, all.maxInputs)
}

// allCoins returns every coin that is worth its fee.
func allCoins(r *Request, payments types.Amount) ([]Coin, error) {
	all := newProblem(r, payments, everyCoin)
	if len(all.coins)+all.required == 0 {
		return nil, &ErrFunds{Need: payments + all.fee(1) + standard.DustLimit(r.Outputs[0].ScriptPubKey)}
	}
	if len(all.coins) > all.maxInputs {
		return nil, fmt.Errorf("%w: there are %d coins, and the most is %d", ErrTooLarge, len(all.coins), all.maxInputs)
	}
	return copyCoins(all.coins), nil
}

func everyCoin(*Coin) bool { return true }

func copyCoins(chosen []*Coin) []Coin {
	coins := make([]Coin, len(chosen))
	for i := range chosen {
		coins[i] = *chosen[i]
	}
	return coins
}

// coinsValue returns what coins hold together, which checkCoins has bounded.
func coinsValue(coins []*Coin) (value types.Amount) {
	for i := range coins {
		value += coins[i].Value
	}
	return value
}

// excess returns what coins of a number and sum hold beyond the payments and
// their fee. It is negative if they do not suffice.
func (p *problem) excess(inputs int, value types.Amount) types.Amount {
	return value - p.payments - p.fee(inputs)
}

// changeable returns the excess from which on there is change.
func (p *problem) changeable() types.Amount { return p.changeFee + p.minChange }

// solve returns the solution of least waste that any of the ways finds, nil if
// there is none. If the required coins suffice, no others are taken.
func (p *problem) solve(rng *rand.Rand) []*Coin {
	if p.required > 0 && p.excess(0, 0) >= 0 {
		return []*Coin{}
	}
	var best []*Coin
	bestWaste := types.Amount(math.MaxInt64)
	for _, chosen := range [][]*Coin{
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

func (p *problem) waste(chosen []*Coin) types.Amount {
	waste := types.Amount(len(chosen)) * p.extraFee
	if excess := p.excess(len(chosen), coinsValue(chosen)); excess < p.changeable() {
		return waste + excess
	}
	return waste + p.changeFee + p.spendFee
}

// maxTries bounds the search for a selection without change: some milliseconds.
const maxTries = 100_000

// branchAndBound searches the coins for a sum that needs no change: one with an
// excess of no more than change would cost. It walks the tree of choices, the
// largest coin first, each taken and then left, and turns back where the coins
// ahead cannot suffice, where the excess is too large, and where more is wasted
// than in the best selection so far.
func (p *problem) branchAndBound() []*Coin {
	ahead := make([]types.Amount, len(p.coins)+1) // sums of the coins from each on
	for i := len(p.coins) - 1; i >= 0; i-- {
		ahead[i] = ahead[i+1] + p.coins[i].Value
	}
	var best, chosen []*Coin
	bestWaste := types.Amount(math.MaxInt64)
	tries := maxTries
	var walk func(next int, value types.Amount)
	walk = func(next int, value types.Amount) {
		tries--
		n := len(chosen)
		excess, inputWaste := p.excess(n, value), types.Amount(n)*p.extraFee
		if tries < 0 || excess > p.changeFee+p.spendFee || excess+ahead[next] < 0 || p.extraFee > 0 && inputWaste > bestWaste {
			return
		}
		solved := n > 0 && excess >= 0
		if solved && inputWaste+excess < bestWaste {
			best, bestWaste = slices.Clone(chosen), inputWaste+excess
		}
		// Another input only helps a selection that suffices if inputs are cheap
		// now.
		if next == len(p.coins) || n == p.maxInputs || solved && p.extraFee >= 0 {
			return
		}
		chosen = append(chosen, p.coins[next])
		walk(next+1, value+p.coins[next].Value)
		chosen = chosen[:n]
		// Leaving one of equal coins and taking the next is the same choice
		// again.
		other := next + 1
		for other < len(p.coins) && p.coins[other].Value == p.coins[next].Value {
			other++
		}
		walk(other, value)
	}
	walk(0, 0)
	return best
}

// smallestSufficient returns the smallest coin that pays for all and for change,
// which leaves the large ones whole.
func (p *problem) smallestSufficient() []*Coin {
	for i := len(p.coins) - 1; i >= 0; i-- {
		if chosen := p.fill(p.coins[i:i+1], p.changeable()); chosen != nil {
			return chosen
		}
	}
	return nil
}

// randomDraw takes coins at random until they pay for change too. It keeps the
// wallet's coins from growing ever more and ever smaller, and its choices from
// telling what it has.
func (p *problem) randomDraw(rng *rand.Rand) []*Coin {
	drawn := slices.Clone(p.coins)
	rng.Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
	return p.fill(drawn, p.changeable())
}

// largestFirst takes the fewest coins, so it finds a solution if there is any.
func (p *problem) largestFirst() []*Coin { return p.fill(p.coins, 0) }

// fill returns as many of the first coins as reach an excess, nil if they do not.
func (p *problem) fill(coins []*Coin, excess types.Amount) []*Coin {
	value := types.Amount(0)
	for i := range coins[:min(len(coins), p.maxInputs)] {
		if value += coins[i].Value; p.excess(i+1, value) >= excess {
			return coins[:i+1]
		}
	}
	return nil
}
