package wallet

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/standard"
	"github.com/karatcoin/karat/chain/types"
)

// Request is what a transaction is built from.
type Request struct {
	Outputs []types.TxOut
	// SubtractFee takes the fee from the outputs, in equal parts, instead of
	// adding it to what they cost. What an OP_RETURN output holds is left alone.
	SubtractFee bool
	// SendAll spends every coin that is worth its fee and makes no change: the
	// first output, whose Value has to be 0 in the request, gets what the fee
	// and the other outputs leave. SubtractFee adds nothing to it.
	SendAll bool
	FeeRate types.FeeRate
	// ChangeScript is the output script that takes the rest: a taproot output, as
	// Account.Script makes them. SendAll needs none.
	ChangeScript []byte
	// Required are coins that are spent whatever else is. Others are only added
	// if they do not suffice.
	Required []Coin
	// Owed is what the fee pays for besides the transaction itself.
	Owed Owed
	// Coins are the coins that may be spent: mature, spent by no other
	// transaction. Those in no block are only taken if the others do not
	// suffice.
	Coins    []Coin
	LockTime uint32 // the tip's height, against fee sniping; or 0
	// WitnessWeight is that of each input, in weight units: Account.SpendWeight. 0 is that
	// of one signature.
	WitnessWeight int
	// Sequence is that of all inputs, for scripts that ask for an age (BIP68). 0 is one
	// that lets the transaction be replaced, and asks for nothing.
	Sequence uint32
}

func (r *Request) witness() int { return cmp.Or(r.WitnessWeight, witnessWeight) }

// Owed is what a fee has to pay for besides the transaction that it is of. The zero value is
// nothing.
type Owed struct {
	// Replaced is what the transactions pay that this one takes the place of (BIP125): it
	// pays as much, and for its own relay.
	Replaced types.Amount
	// AncestorSize and AncestorFee are of waiting transactions, in virtual bytes and grains,
	// that cannot be confirmed later than this one and pay less than its feerate.
	AncestorSize int
	AncestorFee  types.Amount
}

// fee returns the fee of a transaction of a virtual size.
func (r *Request) fee(size int) types.Amount {
	fee := max(r.FeeRate.Fee(size), r.FeeRate.Fee(size+r.Owed.AncestorSize)-r.Owed.AncestorFee)
	if r.Owed.Replaced > 0 {
		fee = max(fee, r.Owed.Replaced+standard.IncrementalRelay.Fee(size))
	}
	return fee
}

var (
	// ErrRequest is wrapped by the errors of Build about a request that asks for
	// what cannot be.
	ErrRequest = errors.New("impossible payment")
	// ErrDust is an ErrRequest: an output would hold less than what nodes relay,
	// since it would cost more to spend than it is worth.
	ErrDust = fmt.Errorf("%w: dust", ErrRequest)
)

// checkRequest refuses what can be no transaction, and what no node relays. It
// returns the sum of the outputs.
func checkRequest(r *Request) (payments types.Amount, err error) {
	if r.FeeRate < 0 || r.FeeRate > maxFeeRate {
		return 0, fmt.Errorf("%w: a feerate of %s grains per virtual byte", ErrRequest, r.FeeRate)
	}
	if len(r.Outputs) == 0 {
		return 0, fmt.Errorf("%w: no outputs", ErrRequest)
	}
	if r.SendAll && r.Outputs[0].Value != 0 {
		return 0, fmt.Errorf("%w: the first output is to get everything, so it must have no amount of its own", ErrRequest)
	}
	// The wallet could not spend change that pays anything else.
	if !r.SendAll && !isTaprootScript(r.ChangeScript) {
		return 0, fmt.Errorf("%w: the change script is not that of a taproot output", ErrRequest)
	}
	for i := range r.Outputs {
		if err := checkOutput(&r.Outputs[i], r.SendAll && i == 0); err != nil {
			return 0, fmt.Errorf("output %d: %w", i, err)
		}
	}
	if r.Owed.Replaced < 0 || r.Owed.Replaced > maxSum || r.Owed.AncestorSize < 0 || r.Owed.AncestorSize > maxAncestors || r.Owed.AncestorFee < 0 {
		return 0, fmt.Errorf("%w: a fee that pays for %+v", ErrRequest, r.Owed)
	}
	if err := checkCoins(slices.Concat(r.Required, r.Coins)); err != nil {
		return 0, err
	}
	return sumOutputs(r.Outputs)
}

// CheckPayment refuses an output that can be in no payment. One that is to get everything has
// no value yet. Errors: ErrDust, ErrRequest.
func CheckPayment(out *types.TxOut, getsAll bool) error { return checkOutput(out, getsAll) }

// checkOutput applies R1 and the limit of dust. The output that gets all has no
// value yet.
func checkOutput(out *types.TxOut, getsAll bool) error {
	switch {
	case !consensus.IsAllowedOutput(out.ScriptPubKey):
		return fmt.Errorf("%w: the script is neither a witness program of version 1 to 16 nor OP_RETURN with pushes", ErrRequest)
	case getsAll && !consensus.IsSpendable(out.ScriptPubKey):
		return fmt.Errorf("%w: everything would be lost in an OP_RETURN output", ErrRequest)
	case out.Value < 0:
		return fmt.Errorf("%w: a negative amount", ErrRequest)
	case !getsAll && out.Value < standard.DustLimit(out.ScriptPubKey):
		return fmt.Errorf("%w: it holds %s, and the least is %s", ErrDust, out.Value, standard.DustLimit(out.ScriptPubKey))
	}
	return nil
}

// checkCoins refuses coins that the wallet cannot spend, or would spend twice.
func checkCoins(coins []Coin) error {
	seen := make(map[types.OutPoint]bool, len(coins))
	for i := range coins {
		c := &coins[i]
		switch {
		case seen[c.OutPoint]:
			return fmt.Errorf("%w: coin %s is listed twice", ErrRequest, c.OutPoint)
		case !isTaprootScript(c.ScriptPubKey):
			return fmt.Errorf("%w: coin %s is not a taproot output", ErrRequest, c.OutPoint)
		case c.Value < 0:
			return fmt.Errorf("%w: coin %s is negative", ErrRequest, c.OutPoint)
		}
		seen[c.OutPoint] = true
	}
	_, err := sumCoins(coins)
	return err
}

func sumCoins(coins []Coin) (sum types.Amount, err error) {
	for i := range coins {
		if sum, err = addAmounts(sum, coins[i].Value); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

func sumOutputs(outputs []types.TxOut) (sum types.Amount, err error) {
	for i := range outputs {
		if sum, err = addAmounts(sum, outputs[i].Value); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

// maxAncestors bounds the size of what one fee pays for, in virtual bytes: far more than nodes
// let wait in one family.
const maxAncestors = 10_000_000

// maxSum is what amounts may add up to: far more than any network's money, and so
// little that fees and targets on top cannot overflow.
const maxSum types.Amount = math.MaxInt64 / 4

// addAmounts adds amounts, neither of them negative.
func addAmounts(a, b types.Amount) (types.Amount, error) {
	if b < 0 || b > maxSum-a {
		return 0, fmt.Errorf("%w: the amounts are more than %s together", ErrRequest, maxSum)
	}
	return a + b, nil
}

func isTaprootScript(script []byte) bool {
	version, program, ok := types.WitnessProgram(script)
	return ok && version == 1 && len(program) == 32
}
