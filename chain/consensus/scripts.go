package consensus

import (
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// CheckScripts runs the scripts of the block's transactions from firstTx up to
// but not endTx; the coinbase, transaction 0, has none. prevouts are those of the
// whole block (Connection.Prevouts). With claims, signatures and commitments are
// added to them and assumed to hold: the scripts are good only if the claims
// are. With nil claims the verdict is final. It may run on several goroutines
// with different claims at once. Transactions that verified reports, unless it is
// nil, were checked before: a witness id stands for the coins and for all that
// scripts can see.
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

func scriptError(err error, txid types.Hash, input int) error {
	var verdict *taproot.ScriptError
	if !errors.As(err, &verdict) {
		return Local(fmt.Errorf("input %d of transaction %s: %w", input, txid, err))
	}
	return invalid(ReasonScript, "%s (input %d of transaction %s)", verdict.Message, input, txid)
}
