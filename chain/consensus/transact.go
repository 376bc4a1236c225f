package consensus

import (
	"fmt"

	"github.com/karatcoin/karat/chain/types"
)

// ConnectTransaction checks a transaction that waits for a block: all rules that need
// coins except the scripts, as if it were in the next block on the parent. It returns
// the fee in grains. The coins are those that it spends, one for each input, in their
// order. CheckTransaction holds.
//
// If a lock time or a relative lock (BIP68, BIP113) has not ended, the error is
// ErrNotYet, because a later block may hold the transaction.
func ConnectTransaction(p *Params, parent *State, tx *types.Tx, coins []types.Coin, ancestry Ancestry) (types.Amount, error) {
	if len(coins) != len(tx.Inputs) {
		return 0, Local(fmt.Errorf("%d coins were given for a transaction that spends %d", len(coins), len(tx.Inputs)))
	}
	if tx.IsCoinbase() {
		return 0, invalid(ReasonCoinbaseTransaction, "") // which is valid in its block only
	}
	s := spending{params: p, height: parent.Index.Height + 1, sequenceTime: parent.MedianTimePast(), ancestry: ancestry}
	if !isFinal(tx, s.height, s.sequenceTime) {
		return 0, notYet(ReasonNonFinalTransaction, "the lock time %d has not come", tx.LockTime)
	}
	fee, locked, err := s.fee(tx, func(j int) spentCoin {
		return spentCoin{coins[j].Value, coins[j].Height, coins[j].IsCoinbase}
	})
	if err == nil && locked {
		err = notYet(ReasonNonFinalSequence, "an input's relative lock (BIP68) has not ended")
	}
	return fee, err
}
