// Package standard is what nodes ask of a transaction before they relay it, though a
// block may hold less. The pool refuses by it, and the wallet builds by it, so both
// have it from here. It is policy: another node may think otherwise, and nobody is
// to blame. The numbers are Bitcoin Core's.
package standard

import (
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

const (
	// MaxWeight is the greatest weight of a transaction in weight units. A tenth of
	// a block's: a larger one could not be placed well among others.
	MaxWeight = 400_000
	// MinSize is the least size without witnesses in bytes. A transaction of 64 could
	// pass for an inner node of a merkle tree (CVE-2017-12842).
	MinSize = 65
	// MinRelay is the feerate that a transaction must pay, where the operator of a node
	// says nothing else.
	MinRelay = types.FeeRate(100)
	// IncrementalRelay is the feerate that a replacement must pay for its own size, on top of
	// what it replaces pays, where the operator of a node says nothing else.
	IncrementalRelay = types.FeeRate(100)
	// DustRelay is the feerate at which spending an output must not cost more than
	// the output holds, where the operator of a node says nothing else.
	DustRelay = types.FeeRate(3000)
	// MaxDust is the number of outputs of a transaction that may hold less than
	// DustLimitAt. Such dust is ephemeral: the transaction pays no fee, so that nobody
	// mines it alone, and what spends anything of it must spend its dust as well.
	MaxDust = 1
)

// spendingSize is the size in virtual bytes of an input that spends a witness
// program, by which Bitcoin Core computes dust. It is that of a payment to a
// version 0 key hash, which is more than what taproot takes.
const spendingSize = 32 + 4 + 1 + 107/types.WitnessScale + 4

// DustLimit returns the least number of grains that an output may hold: what it
// costs at DustRelay to make and to spend it. For a payment to taproot it is 330,
// for an anchor 240, for data 0.
func DustLimit(scriptPubKey []byte) types.Amount { return DustLimitAt(DustRelay, scriptPubKey) }

// DustLimitAt is DustLimit at another feerate.
func DustLimitAt(rate types.FeeRate, scriptPubKey []byte) types.Amount {
	if !consensus.IsSpendable(scriptPubKey) {
		return 0
	}
	size := 8 + types.CompactSizeLen(uint64(len(scriptPubKey))) + len(scriptPubKey)
	return rate.Fee(size + spendingSize)
}

// Dust returns the indexes of the outputs that hold less than DustLimitAt.
func Dust(tx *types.Tx, rate types.FeeRate) []uint32 {
	var dust []uint32
	for i := range tx.Outputs {
		if out := &tx.Outputs[i]; out.Value < DustLimitAt(rate, out.ScriptPubKey) {
			dust = append(dust, uint32(i))
		}
	}
	return dust
}
