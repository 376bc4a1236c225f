package wallet

import (
	"errors"
	"math"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// randomAmount returns amounts of all sizes, often those near a limit.
func randomAmount(rng *rand.Rand) types.Amount {
	switch rng.IntN(5) {
	case 0:
		return types.Amount(rng.IntN(1000))
	case 1:
		return 10 * types.GrainsPerCoin
	case 2:
		return 330 + types.Amount(rng.IntN(3))
	}
	return types.Amount(rng.Int64N(1 << (4 + rng.IntN(40))))
}

func randomRate(rng *rand.Rand) types.FeeRate {
	rates := []types.FeeRate{0, 1, 100, 999, 1000, 1001, 12345}
	if n := rng.IntN(2 * len(rates)); n < len(rates) {
		return rates[n]
	}
	return types.FeeRate(rng.Int64N(1 << (1 + rng.IntN(24))))
}

// randomRequest makes a payment that the coins often, but not always, suffice
// for.
func randomRequest(rng *rand.Rand) *Request {
	var values []types.Amount
	for range rng.IntN(1 << rng.IntN(7)) {
		values = append(values, randomAmount(rng))
	}
	r := &Request{FeeRate: randomRate(rng), ChangeScript: script(changeNumber), Coins: coinsWith(values...), LockTime: rng.Uint32N(1000)}
	total, some := types.Amount(0), types.Amount(0)
	for i := range r.Coins {
		total += r.Coins[i].Value
		if rng.IntN(2) == 0 {
			some += r.Coins[i].Value
		}
		if rng.IntN(4) == 0 {
			r.Coins[i].Height = 0
		}
		if rng.IntN(4) == 0 { // of a script
			r.Coins[i].SpendWeight = 67 + rng.IntN(180)
		}
	}
	r.SubtractFee, r.SendAll = rng.IntN(3) == 0, rng.IntN(6) == 0
	// Up to four payments share a part of all coins, or what some of them hold
	// after a fee, which may need no change.
	goal := types.Amount(rng.Float64() * 1.1 * float64(total))
	if rng.IntN(2) == 0 {
		goal = some - r.FeeRate.Fee(60*rng.IntN(10))
	}
	n := types.Amount(1 + rng.IntN(4))
	for i := range int(n) {
		r.Outputs = append(r.Outputs, types.TxOut{Value: max(goal/n, 330), ScriptPubKey: script(1000 + i)})
	}
	switch rng.IntN(4) {
	case 0:
		r.Outputs = append(r.Outputs, types.TxOut{ScriptPubKey: longMessage(rng.IntN(300))})
	case 1:
		r.Outputs = append(r.Outputs, types.TxOut{Value: 240, ScriptPubKey: []byte{0x51, 2, 0x4e, 0x73}})
	}
	if r.SendAll {
		r.Outputs[0].Value = 0
	}
	return r
}

// inputCost is the fee of spending a coin, from the sizes of BIP141.
func inputCost(r *Request, c *Coin) types.Amount {
	weight := 4 * oneIn
	if c.SpendWeight > 0 {
		weight += float64(c.SpendWeight) - 66
	}
	return types.Amount(math.Ceil(float64(r.FeeRate) * weight / 4000))
}

// canPay is the rule that says which requests are met, without any of the ways that Build
// takes: the coins that hold most beyond their own fee reach furthest.
func canPay(r *Request, coins []Coin) bool {
	var worth []Coin
	for _, c := range coins {
		if c.Value > inputCost(r, &c) {
			worth = append(worth, c)
		}
	}
	slices.SortStableFunc(worth, func(a, b Coin) int { return int((b.Value - inputCost(r, &b)) - (a.Value - inputCost(r, &a))) })
	payments := types.Amount(0)
	for i := range r.Outputs {
		payments += r.Outputs[i].Value
	}
	tx := &types.Tx{Outputs: r.Outputs}
	sum := types.Amount(0)
	for i := range worth {
		sum += worth[i].Value
		tx.Inputs = append(tx.Inputs, types.TxIn{})
		need := payments
		if !r.SubtractFee {
			need += r.FeeRate.Fee(withWitness(tx, worth).VirtualSize())
		}
		if sum >= need {
			return true
		}
	}
	return false
}

// checkBuild builds one random request and checks what holds of every draft, and
// that a refusal is right.
func checkBuild(t testing.TB, seed uint64, count map[string]int) {
	t.Helper()
	r := randomRequest(testRNG(seed))
	before := randomRequest(testRNG(seed))
	d, err := build(r, testRNG(seed))
	if !reflect.DeepEqual(r, before) {
		t.Fatalf("seed %d: the request was changed", seed)
	}
	var funds *ErrFunds
	switch {
	case err == nil:
		checkBuilt(t, r, d)
		checkChoice(t, r, d)
		count["built"]++
		if d.ChangeIndex < 0 && !r.SendAll {
			count["without change"]++
		}
	case errors.As(err, &funds):
		if funds.Need <= funds.Have || !r.SendAll && canPay(r, r.Coins) {
			t.Fatalf("seed %d: %v, but it can be paid", seed, err)
		}
		count["no funds"]++
	case errors.Is(err, ErrDust) && r.SubtractFee:
		count["dust"]++
	default:
		t.Fatalf("seed %d: %v", seed, err)
	}
}

// checkChoice checks what coins are left alone.
func checkChoice(t testing.TB, r *Request, d *Draft) {
	t.Helper()
	var confirmed []Coin
	for i := range r.Coins {
		if r.Coins[i].Height > 0 {
			confirmed = append(confirmed, r.Coins[i])
		}
	}
	for i := range d.Inputs {
		if cost := inputCost(r, &d.Inputs[i]); d.Inputs[i].Value <= cost {
			t.Fatalf("a coin of %d costs %d to spend", d.Inputs[i].Value, cost)
		}
		if d.Inputs[i].Height == 0 && !r.SendAll && canPay(r, confirmed) {
			t.Fatal("a coin that is in no block was taken without need")
		}
	}
}

// TestBuildKeepsItsPromises builds many random requests.
func TestBuildKeepsItsPromises(t *testing.T) {
	count := map[string]int{}
	for seed := range uint64(3000) {
		checkBuild(t, seed, count)
	}
	for _, kind := range []string{"built", "without change", "no funds", "dust"} {
		if count[kind] < 30 {
			t.Errorf("%d requests ended as %q", count[kind], kind)
		}
	}
	t.Logf("%v", count)
}

// FuzzBuild looks for a request that Build does not answer as it promises.
func FuzzBuild(f *testing.F) {
	f.Add(uint64(1 << 40))
	f.Fuzz(func(t *testing.T, seed uint64) { checkBuild(t, seed, map[string]int{}) })
}

// inputWeight is that of an input with one signature.
const inputWeight = 4*41 + 66

// randomProblem has coins of two weights, the second twice the first's, about.
func randomProblem(rng *rand.Rand, coins int) *problem {
	cost := types.Amount(rng.IntN(4))
	light, heavy := types.Amount(rng.IntN(80)-40), types.Amount(rng.IntN(80)-40)
	p := &problem{
		fee: func(inputs, weight int) types.Amount {
			return 11 + (types.Amount(weight)*cost+7)/8 + types.Amount(inputs/4)
		},
		changeFee: types.Amount(rng.IntN(50)), spendFee: types.Amount(rng.IntN(60)), minChange: 330, aim: 400,
		extraFee: func(c *Coin) types.Amount {
			if c.SpendWeight > 0 {
				return heavy
			}
			return light
		},
		witness: witnessWeight, maxWeight: inputWeight * (1 + rng.IntN(2*coins)),
	}
	step := types.Amount(1 + rng.IntN(2)*rng.IntN(100)) // some coins are equal, some nearly
	for range coins {
		c := &Coin{Value: 20_000 + step*types.Amount(rng.IntN(20))}
		if rng.IntN(3) == 0 {
			c.SpendWeight = 2 * inputWeight
		}
		p.coins = append(p.coins, c)
		if rng.IntN(2) == 0 {
			p.payments += c.Value
		}
	}
	slices.SortFunc(p.coins, func(a, b *Coin) int { return int(b.Value - a.Value) })
	p.payments = max(p.payments-types.Amount(rng.IntN(300)), 0)
	return p
}

// TestBranchAndBoundIsExact compares the search with a walk through all subsets:
// it finds a selection without change where there is one, and one of least
// waste.
func TestBranchAndBoundIsExact(t *testing.T) {
	found := 0
	for seed := range uint64(2000) {
		rng := testRNG(seed)
		p := randomProblem(rng, 1+rng.IntN(10))
		best := types.Amount(math.MaxInt64)
		for set := 1; set < 1<<len(p.coins); set++ {
			value, extra, weight := types.Amount(0), types.Amount(0), 0
			for i, c := range p.coins {
				if set>>i&1 == 1 {
					value += c.Value
					extra += p.extraFee(c)
					weight += c.weight(p.witness)
				}
			}
			n := bits.OnesCount(uint(set))
			if excess := value - p.payments - p.fee(n, weight); weight <= p.maxWeight && excess >= 0 && excess <= p.changeFee+p.spendFee {
				best = min(best, extra+excess)
			}
		}
		got := types.Amount(math.MaxInt64)
		if chosen := p.branchAndBound(); chosen != nil {
			found++
			got = p.waste(chosen)
			checkDistinct(t, p, chosen)
		}
		if got != best {
			t.Fatalf("seed %d: waste %d, the least is %d: %+v", seed, got, best, p)
		}
	}
	if found < 200 {
		t.Errorf("only %d problems had a solution", found)
	}
	t.Logf("%d solutions", found)
}

func checkDistinct(t *testing.T, p *problem, chosen []*Coin) {
	t.Helper()
	seen := map[*Coin]bool{}
	for _, c := range chosen {
		if seen[c] || !slices.Contains(p.coins, c) {
			t.Fatalf("chosen %+v of %+v", chosen, p.coins)
		}
		seen[c] = true
	}
}

// TestSolveTakesTheLeastWaste checks the choice between the ways, and that every
// way reaches what it aims at.
func TestSolveTakesTheLeastWaste(t *testing.T) {
	for seed := range uint64(500) {
		rng := testRNG(seed)
		p := randomProblem(rng, 1+rng.IntN(30))
		best := p.solve(testRNG(seed))
		for i, chosen := range [][]*Coin{p.branchAndBound(), p.smallestSufficient(), p.randomDraw(testRNG(seed)), p.largestFirst()} {
			if chosen == nil {
				continue
			}
			checkDistinct(t, p, chosen)
			s := p.sum(chosen)
			if forChange := i == 1 || i == 2; forChange && p.excess(s) < p.changeable() {
				t.Fatalf("seed %d, way %d: the change would be dust", seed, i)
			}
			if p.excess(s) < 0 || s.weight > p.maxWeight || p.waste(chosen) < p.waste(best) {
				t.Fatalf("seed %d, way %d: excess %d in %d inputs, waste %d, best %d", seed, i, p.excess(s), len(chosen), p.waste(chosen), p.waste(best))
			}
		}
		if best == nil && p.largestFirst() != nil {
			t.Fatalf("seed %d: solved by %v", seed, best)
		}
	}
}

// TestLargeCoinsStayWhole pays little from a wallet of few coins.
func TestLargeCoinsStayWhole(t *testing.T) {
	coins := coinsWith(5e8, 10e8, 2e8, 3e8, 1000)
	for seed := range uint64(20) {
		d, err := build(&Request{Outputs: pay(1e8), FeeRate: 2000, ChangeScript: script(changeNumber), Coins: coins}, testRNG(seed))
		must(t, err)
		if len(d.Inputs) != 1 || d.Inputs[0].Value != 2e8 {
			t.Fatalf("the coins %+v were taken", d.Inputs)
		}
	}
}

// TestFeerateDecidesHowMany has one wallet pay the same when blocks are empty and
// when they are full.
func TestFeerateDecidesHowMany(t *testing.T) {
	values := []types.Amount{types.GrainsPerCoin}
	for range 20 {
		values = append(values, types.GrainsPerCoin/15)
	}
	inputs := func(rate types.FeeRate) (sum int) {
		for seed := range uint64(20) {
			r := &Request{Outputs: pay(types.GrainsPerCoin / 2), FeeRate: rate, ChangeScript: script(changeNumber), Coins: coinsWith(values...)}
			d, err := build(r, testRNG(seed))
			must(t, err)
			sum += len(d.Inputs)
		}
		return sum
	}
	if cheap, dear := inputs(100), inputs(100_000); dear != 20 || cheap < 5*dear {
		t.Errorf("%d inputs at a low rate, %d at a high one", cheap, dear)
	}
}

// BenchmarkBranchAndBound has the worst case: no solution, and all tries are
// used.
func BenchmarkBranchAndBound(b *testing.B) {
	rng := testRNG(1)
	p := &problem{
		witness: witnessWeight, maxWeight: 1000 * inputWeight, spendFee: 1, fee: func(inputs, _ int) types.Amount { return types.Amount(inputs) },
		extraFee: func(*Coin) types.Amount { return 0 },
	}
	for range 1000 {
		p.coins = append(p.coins, &Coin{Value: types.Amount(1+rng.Int64N(1<<30)) * 1_000_000})
	}
	slices.SortFunc(p.coins, func(a, b *Coin) int { return int(b.Value - a.Value) })
	p.payments = 1<<58 + 500_000
	for b.Loop() {
		p.branchAndBound()
	}
}

// BenchmarkBuild pays out of 20,000 coins.
func BenchmarkBuild(b *testing.B) {
	rng := testRNG(2)
	var values []types.Amount
	for range 20_000 {
		values = append(values, types.Amount(10_000+rng.Int64N(1<<(20+rng.IntN(12)))))
	}
	r := &Request{Outputs: pay(3_000_000_000), FeeRate: 2000, ChangeScript: script(changeNumber), Coins: coinsWith(values...)}
	for b.Loop() {
		if _, err := Build(r); err != nil {
			b.Fatal(err)
		}
	}
}
