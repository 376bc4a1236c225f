package wallet

import (
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/types"
)

// Coin is an unspent output of the wallet.
type Coin struct {
	types.OutPoint
	Value        types.Amount
	ScriptPubKey []byte
	Branch       Branch // the key that it pays to
	Index        uint32
	Height       uint32 // of its block; 0: in none yet
	IsCoinbase   bool
}

// Request is what a transaction is built from.
type Request struct {
	Outputs []types.TxOut
	// SubtractFee takes the fee from the outputs, in equal parts, instead of adding
	// it to what they cost.
	SubtractFee bool
	// SendAll spends every coin that is worth its fee and makes no change: the first
	// output, whose Value has to be 0 in the request, gets what the fee and the other outputs leave.
	SendAll bool
	FeeRate types.FeeRate
	// ChangeScript is the output script that takes the rest.
	ChangeScript []byte
	// Coins are the coins that may be spent: mature, spent by no other transaction.
	// Those in no block are only taken if the others do not suffice.
	Coins    []Coin
	LockTime uint32 // the tip's height, against fee sniping; or 0
}

// Draft is a transaction that lacks its signatures, and what a person has to know
// before signing it.
type Draft struct {
	Tx          *types.Tx
	Inputs      []Coin // what the transaction's inputs spend, in their order
	Fee         types.Amount
	ChangeIndex int // of the output that is change; -1: none
	VirtualSize int // of the signed transaction, in virtual bytes
}

var (
	// ErrRequest is wrapped by the errors of Build about a request that asks for what
	// cannot be.
	ErrRequest = errors.New("impossible payment")
	// ErrDust is an ErrRequest with an output that costs more to spend than it holds, as no node relays.
	ErrDust = fmt.Errorf("%w: dust", ErrRequest)
	// ErrTooLarge is a payment that would take more coins than fit into a transaction
	// that nodes relay. A smaller payment to oneself joins coins.
	ErrTooLarge = errors.New("the transaction would be too large")
)

// ErrFunds is the error of Build if the coins do not suffice.
type ErrFunds struct {
	Need types.Amount // the outputs and the fee
	Have types.Amount // in all coins
}

// Error implements error.
func (e *ErrFunds) Error() string {
	return fmt.Sprintf("not enough coins: %s are needed with the fee, there are %s", e.Need, e.Have)
}

// Build chooses coins and makes the transaction of a request. Errors: *ErrFunds,
// ErrDust, ErrTooLarge, ErrRequest.
func Build(r *Request) (*Draft, error) { return nil, errors.ErrUnsupported }
