package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

func submitMethods() []method {
	return []method{
		{name: "sendrawtransaction", read: sendRawTransaction, about: "Gives a transaction to the mempool, from where it goes to all peers.", params: []param{
			{name: "hexstring", kind: kindString, about: "The transaction"},
			maxFeeRateParam(),
			maxBurnParam()}},
	}
}

// feeLimit reads a feerate above which a transaction is refused: it guards against
// the slip of paying the change as a fee. Older clients say true for any feerate.
func feeLimit(a *args, i int) types.FeeRate {
	const usual = types.GrainsPerCoin / 10
	switch string(a.values[i]) {
	case "true":
		return 0
	case "false":
		return usual
	}
	rate := a.coins(i, usual)
	if rate >= types.GrainsPerCoin {
		a.fail(failf(CodeInvalidParam, "Fee rates larger than or equal to 1BTC/kvB are not accepted"))
	}
	return types.FeeRate(rate)
}

// submitted decodes a transaction for the pool, which has at least one input. Without
// any, Core cannot tell it from the beginning of one with witnesses.
func (a *args) submitted(text string, undecodable *Error) *types.Tx {
	tx := a.transaction(text, undecodable)
	if tx != nil && len(tx.Inputs) == 0 {
		a.fail(undecodable)
	}
	return tx
}

// sendRawTransaction is Core's sendrawtransaction. A transaction that waits already
// is no error, even with other witnesses, which change nothing that is paid: a
// client that was cut off sends again.
func sendRawTransaction(s *Server, a *args) work {
	text, burn := a.text(0, ""), a.coins(2, 0)
	tx := a.submitted(text, failf(CodeDeserialization, "TX decode failed. Make sure the tx has at least one input."))
	if a.err == nil && burns(tx, burn) {
		a.fail(errBurns)
	}
	limit := feeLimit(a, 1)
	return func(ctx context.Context) (any, error) {
		txid := tx.TxID()
		if s.Pool.Get(txid) != nil {
			return txid, nil
		}
		if _, err := s.Pool.Accept(ctx, tx, limit); err != nil {
			return nil, Rejection(err)
		}
		return txid, nil
	}
}

// Rejection makes the pool's error Core's, an *Error. Wallets act on four of them: the coins
// are gone, it is confirmed already, it pays too much, or it must be changed. Any other error
// is returned as it is.
func Rejection(err error) error {
	var rule *consensus.RuleError
	switch {
	case !errors.As(err, &rule):
		return err
	case rule.Reason == consensus.ReasonMissingInputs:
		return failf(CodeVerify, "bad-txns-inputs-missingorspent")
	case rule.Reason == pending.ReasonMaxFee:
		return failf(CodeVerify, "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)")
	case rule.Reason == pending.ReasonConfirmed:
		return failf(CodeAlreadyInChain, "Transaction outputs already in utxo set")
	}
	return failf(CodeVerifyRejected, "%s", rejectReason(rule))
}

// rejectReason is a reason with what was found, as Bitcoin Core writes it.
func rejectReason(rule *consensus.RuleError) string {
	if rule.Detail == "" {
		return string(rule.Reason)
	}
	return fmt.Sprintf("%s, %s", rule.Reason, rule.Detail)
}
