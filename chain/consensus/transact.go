package consensus

import (
	"fmt"

	"github.com/karatcoin/karat/chain/types"
)

// ConnectTransaction checks all rules that need coins, but for the scripts, on a
// transaction as one of the next block on the parent, and returns its fee in
// grains. coins are those that it spends, one an input; CheckTransaction holds.
// A transaction whose lock time or relative lock (BIP68, BIP113) has not ended
// is ErrNotYet: a later block may hold it.
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
