package wallet

import (
	"cmp"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/standard"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Draft is a transaction that lacks its signatures, and what a person has to know
// before signing it.
type Draft struct {
	Tx          *types.Tx
	Inputs      []Coin // what the transaction's inputs spend, in their order
	Fee         types.Amount
	ChangeIndex int   // of the output that is change; -1: none
	Payments    []int // which outputs the request's are, in their order
	VirtualSize int   // of the signed transaction, in virtual bytes
	Owed        Owed  // what the fee pays for besides
}

// FeeRate returns what miners will see: the feerate of the draft with those for whom it pays.
func (d *Draft) FeeRate() types.FeeRate {
	return types.NewFeeRate(d.Fee+d.Owed.AncestorFee, d.VirtualSize+d.Owed.AncestorSize)
}

var (
	// ErrTooLarge is a payment that would take more coins or outputs than fit
	// into a transaction that nodes relay. Consolidate joins coins.
	ErrTooLarge = errors.New("the transaction would be too large")
)

// ErrFunds is the error of Build if the coins do not suffice.
type ErrFunds struct {
	Need types.Amount // the outputs and the fee
	Have types.Amount // in all coins that are worth their fee
}

// Error implements error.
func (e *ErrFunds) Error() string {
	return fmt.Sprintf("not enough coins: %s are needed with the fee, and %s can be spent", e.Need, e.Have)
}

const (
	txVersion = 2
	// inputSequence lets a transaction be replaced (BIP125) and its lock time
	// count.
	inputSequence = 0xfffffffd

	// Of a signed input, in weight units (BIP141): outpoint, empty script and
	// sequence; a witness of one signature of 64 bytes and no hash type, as most
	// accounts have it.
	inputBytes    = 32 + 4 + 1 + 4
	witnessWeight = 1 + 1 + 64
	markerWeight  = 2 // of the two bytes that announce witnesses

	changeSize = 8 + 1 + taproot.OutputScriptSize // bytes, and virtual bytes, of an output

	// longTermFeeRate is what spending a coin is taken to cost at another time.
	// Below it a payment joins small coins; above it, it takes few.
	longTermFeeRate types.FeeRate = 1000

	// maxFeeRate is far above any sense, and keeps fees from overflow.
	maxFeeRate types.FeeRate = 100_000_000
)

// maxSentRate is the highest feerate that a node takes from a client who does not insist
// (sendrawtransaction's maxfeerate).
const maxSentRate types.FeeRate = 10_000_000

// CheckFeeRate refuses a feerate with which nothing can be sent.
func CheckFeeRate(rate types.FeeRate) error {
	if rate < 0 || rate > maxSentRate {
		return fmt.Errorf("a feerate of %s grains per virtual byte: nodes take no more than %s", rate, maxSentRate)
	}
	return nil
}

// CheckFee refuses a draft whose fee no node takes from a client.
func (d *Draft) CheckFee() error {
	if d.Fee > maxSentRate.Fee(d.VirtualSize) {
		return CheckFeeRate(types.NewFeeRate(d.Fee, d.VirtualSize))
	}
	return nil
}

// weight returns the weight of a signed input that spends the coin. witness is that of a coin
// which does not say.
func (c *Coin) weight(witness int) int {
	return inputBytes*types.WitnessScale + cmp.Or(c.SpendWeight, witness)
}

// fee returns the fee of a signed input that spends the coin, rounded up: a coin that is worth no
// more than this only makes a payment dearer.
func (c *Coin) fee(rate types.FeeRate, witness int) types.Amount {
	const unit = 1000 * types.WitnessScale
	return (types.Amount(rate)*types.Amount(c.weight(witness)) + unit - 1) / unit
}

// signedWeight returns the weight that a transaction which spends coins will have with its
// signatures (BIP141).
func signedWeight(tx *types.Tx, coins []Coin, witness int) int {
	weight := tx.StrippedSize()*types.WitnessScale + markerWeight
	for i := range coins {
		weight += cmp.Or(coins[i].SpendWeight, witness)
	}
	return weight
}

// signedSize returns the virtual size that a draft's transaction will have with its
// signatures.
func (d *Draft) signedSize(r *Request, tx *types.Tx) int {
	return virtualSize(signedWeight(tx, d.Inputs, r.witness()))
}

func virtualSize(weight int) int { return (weight + types.WitnessScale - 1) / types.WitnessScale }

// Build chooses coins and makes the transaction of a request. Its inputs and
// outputs are in random order, so that the place does not tell which output is
// change. The fee is the rate's for the virtual size, to the grain, if there is
// change; otherwise it may be higher by less than what a change output would cost
// and have to hold. Errors: *ErrFunds, ErrDust, ErrTooLarge, ErrRequest.
func Build(r *Request) (*Draft, error) {
	var seed [32]byte
	crand.Read(seed[:]) // never fails
	return build(r, rand.New(rand.NewChaCha8(seed)))
}

func build(r *Request, rng *rand.Rand) (*Draft, error) {
	payments, err := checkRequest(r)
	if err != nil {
		return nil, err
	}
	var chosen []Coin
	if r.SendAll {
		chosen, err = allCoins(r, payments)
	} else {
		chosen, err = chooseCoins(r, payments, rng)
	}
	if err != nil {
		return nil, err
	}
	chosen = slices.Concat(r.Required, chosen)
	rng.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	d := &Draft{Tx: unsigned(r, chosen), Inputs: chosen, ChangeIndex: -1, Owed: r.Owed}
	in, err := sumCoins(chosen)
	if err != nil {
		return nil, err
	}
	if r.SendAll {
		err = d.payWithAll(r, in, payments)
	} else {
		err = d.payWithChange(r, in, payments)
	}
	if err != nil {
		return nil, err
	}
	for i := range r.Outputs {
		d.Payments = append(d.Payments, i)
	}
	d.shuffleOutputs(rng)
	d.VirtualSize = d.signedSize(r, d.Tx)
	if err := d.checkSize(r); err != nil {
		return nil, err
	}
	return d, nil
}

// unsigned makes the transaction without change. The request's outputs are
// copied, since a fee may be taken from them.
func unsigned(r *Request, chosen []Coin) *types.Tx {
	tx := &types.Tx{Version: txVersion, Outputs: append([]types.TxOut(nil), r.Outputs...), LockTime: r.LockTime}
	sequence := r.Sequence
	if sequence == 0 {
		sequence = inputSequence
	}
	for i := range chosen {
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: chosen[i].OutPoint, Sequence: sequence})
	}
	return tx
}

// payWithChange decides about change and fee, now that it is known what the inputs
// hold.
func (d *Draft) payWithChange(r *Request, in, payments types.Amount) error {
	rest := in - payments
	plain := r.fee(d.signedSize(r, d.Tx))
	// Of a copy: if change is not worth it the transaction stays as it is.
	bigger := *d.Tx
	bigger.Outputs = append(bigger.Outputs[:len(bigger.Outputs):len(bigger.Outputs)], types.TxOut{ScriptPubKey: r.ChangeScript})
	withChange := r.fee(d.signedSize(r, &bigger))
	change := rest
	if !r.SubtractFee { // else the payments hold the fee, and all that is left is change
		change -= withChange
	}
	if change >= standard.DustLimit(r.ChangeScript) {
		d.ChangeIndex = len(d.Tx.Outputs)
		bigger.Outputs[d.ChangeIndex].Value = change
		d.Tx, d.Fee = &bigger, withChange
	} else {
		change = 0
		d.Fee = max(plain, rest)
	}
	owed := d.Fee - (rest - change)
	if r.SubtractFee {
		return d.subtract(owed, len(r.Outputs))
	}
	if owed > 0 {
		return &ErrFunds{Need: payments + d.Fee, Have: in}
	}
	return nil
}

// subtract takes what is owed of the fee from the payments, which are the first
// outputs. The first of them pays what cannot be parted equally.
func (d *Draft) subtract(owed types.Amount, payments int) error {
	var payers []*types.TxOut
	for i := range payments {
		if out := &d.Tx.Outputs[i]; consensus.IsSpendable(out.ScriptPubKey) {
			payers = append(payers, out)
		}
	}
	if len(payers) == 0 {
		return fmt.Errorf("%w: there is no output that can pay the fee", ErrRequest)
	}
	share, odd := owed/types.Amount(len(payers)), owed%types.Amount(len(payers))
	for i, out := range payers {
		out.Value -= share
		if i == 0 {
			out.Value -= odd
		}
		if limit := standard.DustLimit(out.ScriptPubKey); out.Value < limit {
			return fmt.Errorf("%w: after the fee an output holds %s, and the least is %s", ErrDust, out.Value, limit)
		}
	}
	return nil
}

// payWithAll gives the first output what the fee and the others leave.
func (d *Draft) payWithAll(r *Request, in, payments types.Amount) error {
	d.Fee = r.fee(d.signedSize(r, d.Tx))
	out := &d.Tx.Outputs[0]
	out.Value = in - payments - d.Fee
	if limit := standard.DustLimit(out.ScriptPubKey); out.Value < limit {
		return &ErrFunds{Need: payments + d.Fee + limit, Have: in}
	}
	return nil
}

// shuffleOutputs puts the outputs in random order and follows them.
func (d *Draft) shuffleOutputs(rng *rand.Rand) {
	outputs := d.Tx.Outputs
	places := rng.Perm(len(outputs))
	for i, out := range slices.Clone(outputs) {
		outputs[places[i]] = out
	}
	for i := range d.Payments {
		d.Payments[i] = places[i]
	}
	if d.ChangeIndex >= 0 {
		d.ChangeIndex = places[d.ChangeIndex]
	}
}

// checkSize refuses a transaction that nodes do not relay, because it is too large, or so small
// that it could be taken for an inner node of a merkle tree.
func (d *Draft) checkSize(r *Request) error {
	if weight := signedWeight(d.Tx, d.Inputs, r.witness()); weight > standard.MaxWeight {
		return fmt.Errorf("%w: it has a weight of %d, and the most is %d", ErrTooLarge, weight, standard.MaxWeight)
	}
	if size := d.Tx.StrippedSize(); size < standard.MinSize {
		return fmt.Errorf("%w: it has %d bytes without witness, and the least is %d", ErrRequest, size, standard.MinSize)
	}
	return nil
}
