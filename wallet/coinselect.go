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
// time, plus what change costs or, without change, what is given away. Coins are in the
// order of their effective values, what they hold beyond the fee of their input: those of
// scripts are heavier than those of single keys.

// problem is what a selection has to solve.
type problem struct {
	coins     []*Coin                               // each worth its fee, in descending order of effective value
	payments  types.Amount                          // but for what required coins hold
	required  int                                   // coins that are spent in any case, and are not chosen
	fee       func(inputs, weight int) types.Amount // on top of the payments, without change; of the chosen inputs, with their weight
	changeFee types.Amount                          // of a change output, on top of the payments
	spendFee  types.Amount                          // of spending the change at another time
	minChange types.Amount                          // least value of a change output
	aim       types.Amount                          // value of change that is worth having
	extraFee  func(*Coin) types.Amount              // what an input costs now beyond what it would at another time
	maxWeight int                                   // of the chosen inputs
	witness   int                                   // weight of the witness of a coin that does not say
}

// newProblem states the problem of a request over those of its coins that the
// filter admits.
func newProblem(r *Request, payments types.Amount, admit func(*Coin) bool) *problem {
	base := types.Tx{Outputs: r.Outputs}
	weight := signedWeight(&base, nil, 0)
	required := len(r.Required)
	for i := range r.Required {
		weight += r.Required[i].weight(r.witness())
		payments -= r.Required[i].Value
	}
	outputs := uint64(len(r.Outputs))
	changeSize := changeSize + types.CompactSizeLen(outputs+1) - types.CompactSizeLen(outputs)
	p := &problem{
		payments: payments,
		required: required,
		witness:  r.witness(),
		fee: func(inputs, more int) types.Amount {
			return r.fee(virtualSize(weight + more + countWeight(required+inputs)))
		},
		changeFee: r.FeeRate.Fee(changeSize),
		spendFee:  (&Coin{}).fee(longTermFeeRate, r.witness()),
		minChange: standard.DustLimit(r.ChangeScript),
		extraFee:  func(c *Coin) types.Amount { return c.fee(r.FeeRate, r.witness()) - c.fee(longTermFeeRate, r.witness()) },
		// As if there were change, so that a solution still fits when some is added.
		maxWeight: standard.MaxWeight - weight - changeSize*types.WitnessScale - countWeight(math.MaxUint16),
	}
	p.aim = max(min(p.payments, mostAim), leastAim)
	if r.SubtractFee && !r.SendAll { // the payments hold the fee
		p.fee, p.changeFee = func(int, int) types.Amount { return 0 }, 0
	}
	for i := range r.Coins {
		if c := &r.Coins[i]; admit(c) && c.Value > c.fee(r.FeeRate, r.witness()) {
			p.coins = append(p.coins, c)
		}
	}
	// Stable, so that one seed gives one solution.
	effective := func(c *Coin) types.Amount { return c.Value - c.fee(r.FeeRate, r.witness()) }
	slices.SortStableFunc(p.coins, func(a, b *Coin) int { return cmp.Compare(effective(b), effective(a)) })
	return p
}

// Change should be of use later, and look like a payment, so a draw goes on until there is about
// as much change as is paid, within these bounds (grains), as Bitcoin Core's does.
const (
	leastAim types.Amount = 50_000
	mostAim  types.Amount = 1_000_000
)

// countWeight returns what a number of inputs adds to the weight of a transaction by itself,
// compared with none.
func countWeight(inputs int) int {
	return (types.CompactSizeLen(uint64(inputs)) - types.CompactSizeLen(0)) * types.WitnessScale
}

// room returns how many of the problem's coins one transaction can spend, whichever they are.
func (p *problem) room() int {
	heaviest := (&Coin{}).weight(p.witness)
	for _, c := range p.coins {
		heaviest = max(heaviest, c.weight(p.witness))
	}
	return max(p.maxWeight/heaviest, 0)
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
	if len(all.coins) > len(confirmed.coins) {
		if chosen := all.solve(rng); chosen != nil {
			return copyCoins(chosen), nil
		}
	}
	of := all.sum(all.coins)
	if len(all.coins)+all.required == 0 {
		of.n, of.weight = 1, (&Coin{}).weight(all.witness)
	}
	own := payments - all.payments // what the required coins hold
	need, have := payments+all.fee(of.n, of.weight), own+of.value
	if have < need || len(all.coins)+all.required == 0 {
		return nil, &ErrFunds{Need: need, Have: have}
	}
	return nil, fmt.Errorf("%w: it has room for %d coins, and the payment needs more: join some of them first with karat consolidate", ErrTooLarge, all.room())
}

// allCoins returns every coin that is worth its fee.
func allCoins(r *Request, payments types.Amount) ([]Coin, error) {
	all := newProblem(r, payments, everyCoin)
	if len(all.coins)+all.required == 0 {
		return nil, &ErrFunds{Need: payments + all.fee(1, (&Coin{}).weight(all.witness)) + standard.DustLimit(r.Outputs[0].ScriptPubKey)}
	}
	if all.sum(all.coins).weight > all.maxWeight {
		return nil, fmt.Errorf("%w: there are %d coins, and the most is %d", ErrTooLarge, len(all.coins), all.room())
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

// selection is what chosen coins come to together.
type selection struct {
	n, weight int
	value     types.Amount // which checkCoins has bounded
	extra     types.Amount // of their fees, beyond what they would cost at another time
}

// with returns the selection with one more coin.
func (p *problem) with(s selection, c *Coin) selection {
	return selection{s.n + 1, s.weight + c.weight(p.witness), s.value + c.Value, s.extra + p.extraFee(c)}
}

func (p *problem) sum(coins []*Coin) (s selection) {
	for _, c := range coins {
		s = p.with(s, c)
	}
	return s
}

// excess returns what a selection holds beyond the payments and their fee. It is negative if it
// does not suffice.
func (p *problem) excess(s selection) types.Amount {
	return s.value - p.payments - p.fee(s.n, s.weight)
}

// changeable returns the excess from which on there is change.
func (p *problem) changeable() types.Amount { return p.changeFee + p.minChange }

// solve returns the solution of least waste that any of the ways finds, nil if
// there is none. If the required coins suffice, no others are taken.
func (p *problem) solve(rng *rand.Rand) []*Coin {
	if p.required > 0 && p.excess(selection{}) >= 0 {
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
	s := p.sum(chosen)
	if excess := p.excess(s); excess < p.changeable() {
		return s.extra + excess
	}
	return s.extra + p.changeFee + p.spendFee
}

// maxTries bounds the search for a selection without change: some milliseconds.
const maxTries = 100_000

// branchAndBound searches the coins for a sum that needs no change: one with an
// excess of no more than change would cost. It walks the tree of choices, the
// largest coin first, each taken and then left, and turns back where the coins
// ahead cannot suffice, where the excess or the weight is too large, and where more is wasted
// than in the best selection so far.
func (p *problem) branchAndBound() []*Coin {
	ahead := make([]types.Amount, len(p.coins)+1) // sums of the coins from each on
	cheap := make([]bool, len(p.coins)+1)         // whether any of them costs less now than at another time
	for i := len(p.coins) - 1; i >= 0; i-- {
		ahead[i] = ahead[i+1] + p.coins[i].Value
		cheap[i] = cheap[i+1] || p.extraFee(p.coins[i]) < 0
	}
	var best, chosen []*Coin
	bestWaste := types.Amount(math.MaxInt64)
	tries := maxTries
	var walk func(next int, s selection)
	walk = func(next int, s selection) {
		tries--
		excess := p.excess(s)
		if tries < 0 || s.weight > p.maxWeight || excess > p.changeFee+p.spendFee || excess+ahead[next] < 0 || !cheap[next] && s.extra > bestWaste {
			return
		}
		solved := s.n > 0 && excess >= 0
		if solved && s.extra+excess < bestWaste {
			best, bestWaste = slices.Clone(chosen), s.extra+excess
		}
		// Another input only helps a selection that suffices if inputs are cheap
		// now.
		if next == len(p.coins) || solved && !cheap[next] {
			return
		}
		c := p.coins[next]
		chosen = append(chosen, c)
		walk(next+1, p.with(s, c))
		chosen = chosen[:s.n]
		// Leaving one of equal coins and taking the next is the same choice
		// again.
		other := next + 1
		for other < len(p.coins) && p.coins[other].Value == c.Value && p.coins[other].weight(p.witness) == c.weight(p.witness) {
			other++
		}
		walk(other, s)
	}
	walk(0, selection{})
	return best
}

// smallestSufficient returns the smallest coin that pays for all and for change,
// which leaves the large ones whole.
func (p *problem) smallestSufficient() []*Coin {
	for _, excess := range p.aims() {
		for i := len(p.coins) - 1; i >= 0; i-- {
			if chosen := p.fill(p.coins[i:i+1], excess); chosen != nil {
				return chosen
			}
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
	for _, excess := range p.aims() {
		if chosen := p.fill(drawn, excess); chosen != nil {
			return chosen
		}
	}
	return nil
}

// aims returns the excess that leaves change which is worth having, and the least that leaves
// any.
func (p *problem) aims() []types.Amount {
	return []types.Amount{p.changeFee + max(p.aim, p.minChange), p.changeable()}
}

// largestFirst takes the coins of the highest effective values, which are the fewest if all are
// of one weight.
func (p *problem) largestFirst() []*Coin { return p.fill(p.coins, 0) }

// fill returns as many of the first coins as reach an excess, nil if they do not.
func (p *problem) fill(coins []*Coin, excess types.Amount) []*Coin {
	s := selection{}
	for i, c := range coins {
		if s = p.with(s, c); s.weight > p.maxWeight {
			return nil
		}
		if p.excess(s) >= excess {
			return coins[:i+1]
		}
	}
	return nil
}
