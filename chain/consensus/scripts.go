package consensus

import (
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// CheckScripts runs the scripts of the block's transactions from firstTx up to but
// not including endTx. The coinbase, transaction 0, has none. The prevouts are those
// of the whole block (Connection.Prevouts). Several goroutines may each check a part
// of the block, with claims of their own.
//
// With claims, signatures and taproot commitments are added to them and assumed to
// hold. The scripts are good only if the claims are, too. With nil claims the verdict
// is final.
//
// Transactions for which verified reports true are passed over, as their scripts were
// checked before, in the pool. Their witness id is enough to know that: it commits to
// all that a script can see, the outputs that are spent among it. A nil verified
// knows none.
func CheckScripts(b *HashedBlock, prevouts []types.TxOut, firstTx, endTx int, claims taproot.Claims, verified func(wtxid types.Hash) bool) error {
	offset := 0
	for i := 1; i < firstTx; i++ {
		offset += len(b.Block.Txs[i].Inputs)
	}
	var ctx taproot.Context
	for i := max(firstTx, 1); i < endTx; i++ {
		tx := &b.Block.Txs[i]
		spent := prevouts[offset : offset+len(tx.Inputs)]
		offset += len(tx.Inputs)
		if verified != nil && verified(b.WTxIDs[i]) {
			continue
		}
		ctx.Reset(tx, spent)
		for j := range tx.Inputs {
			if err := ctx.VerifyInput(j, taproot.Consensus, claims); err != nil {
				return scriptError(err, b.TxIDs[i], j)
			}
		}
	}
	return nil
}

// scriptError tells a script's verdict, which is the sender's fault, from a misuse of
// the interpreter, which is ours.
func scriptError(err error, txid types.Hash, input int) error {
	var verdict *taproot.ScriptError
	if !errors.As(err, &verdict) {
		return Local(fmt.Errorf("input %d of transaction %s: %w", input, txid, err))
	}
	return &RuleError{
		Kind: ErrInvalid, Reason: ReasonScript, Suffix: " (" + verdict.Message + ")",
		Detail: fmt.Sprintf("%s (input %d of transaction %s)", verdict.Message, input, txid),
	}
}
