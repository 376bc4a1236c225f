package wallet

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

var simulatedPayments = flag.Int("payments", 400, "how many payments TestSelection makes")

// A simulated wallet receives and pays for some years. Amounts are spread over four orders of
// magnitude, and feerates rise and fall with the seasons and by chance. All ways of choosing see
// the same.

// event is a payment, and what came in before it.
type event struct {
	received []types.Amount
	paid     types.Amount
	rate     types.FeeRate
}

func simulatedEvents(n int) []event {
	rng := testRNG(7)
	amount := func(median float64) types.Amount { return types.Amount(median * math.Exp(1.5*rng.NormFloat64())) }
	events := make([]event, n)
	chance := 0.0
	for i := range events {
		e := &events[i]
		for range rng.IntN(3) {
			e.received = append(e.received, amount(2_000_000)+1000)
		}
		e.paid = amount(1_500_000) + 1000
		chance = 0.95*chance + 0.3*rng.NormFloat64()
		e.rate = types.FeeRate(1000 * math.Exp(1.2+1.3*math.Sin(float64(i)/150)+chance))
	}
	return events
}

// outcome is what a way of choosing came to.
type outcome struct {
	fees                     types.Amount
	inputs, changes, alone   int // alone: payments of one coin, which tie nothing together
	coins                    int // in the end
	heldBack                 types.Amount
	deposits, payments, most int
}

// total is what was paid, and what it will cost to spend what is left at another time.
func (o *outcome) total() types.Amount { return o.fees + o.heldBack }

func (o *outcome) String() string {
	n := float64(o.payments)
	return fmt.Sprintf("fees %d, to spend what is left %d, together %d; %.2f inputs a payment, %.0f %% of one coin, at most %d; change in %.1f %%; %d coins at the end",
		o.fees, o.heldBack, o.total(), float64(o.inputs)/n, 100*float64(o.alone)/n, o.most, 100*float64(o.changes)/n, o.coins)
}

// simulate lets a way of choosing make all payments.
func simulate(t *testing.T, events []event, choose func(*Request, *rand.Rand) (*Draft, error)) *outcome {
	t.Helper()
	rng := testRNG(8)
	var coins []Coin
	o := &outcome{}
	made := 0
	receive := func(value types.Amount) {
		made++
		coins = append(coins, Coin{
			OutPoint: types.OutPoint{TxID: types.DoubleSHA256(fmt.Append(nil, made))}, Value: value, ScriptPubKey: script(made), Height: 1,
		})
	}
	for _, e := range events {
		for _, value := range e.received {
			receive(value)
		}
		r := &Request{Outputs: pay(e.paid), FeeRate: e.rate, ChangeScript: script(changeNumber), Coins: coins}
		d, err := choose(r, rng)
		for err != nil { // the owner brings more
			o.deposits++
			receive(50_000_000)
			r.Coins = coins
			d, err = choose(r, rng)
		}
		o.payments++
		o.fees += d.Fee
		o.inputs += len(d.Inputs)
		o.most = max(o.most, len(d.Inputs))
		if len(d.Inputs) == 1 {
			o.alone++
		}
		spent := map[types.OutPoint]bool{}
		for i := range d.Inputs {
			spent[d.Inputs[i].OutPoint] = true
		}
		left := coins[:0:0]
		for _, c := range coins {
			if !spent[c.OutPoint] {
				left = append(left, c)
			}
		}
		if coins = left; d.ChangeIndex >= 0 {
			o.changes++
			receive(d.Tx.Outputs[d.ChangeIndex].Value)
		}
	}
	o.coins = len(coins)
	for i := range coins {
		o.heldBack += min(coins[i].fee(longTermFeeRate, witnessWeight), coins[i].Value)
	}
	return o
}

// chooseLargest takes the largest coins first, and decides about change as Build does.
func chooseLargest(r *Request, rng *rand.Rand) (*Draft, error) {
	payments, err := checkRequest(r)
	if err != nil {
		return nil, err
	}
	chosen := newProblem(r, payments, everyCoin).largestFirst()
	if chosen == nil {
		return nil, &ErrFunds{}
	}
	largest := *r
	largest.Required, largest.Coins = copyCoins(chosen), nil
	return build(&largest, rng)
}

// TestSelection compares the choice of coins with that of the largest first, over many
// payments. `make selection` does so over 10,000.
func TestSelection(t *testing.T) {
	events := simulatedEvents(*simulatedPayments)
	ours, largest := simulate(t, events, build), simulate(t, events, chooseLargest)
	t.Logf("%d payments", len(events))
	t.Logf("karat:         %v", ours)
	t.Logf("largest first: %v", largest)
	if ours.total() > largest.total() || ours.coins > largest.coins || ours.changes > largest.changes {
		t.Error("the largest first would have been better")
	}
}
