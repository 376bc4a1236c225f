package consensus

import (
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// CheckTransaction checks the rules that need nothing but the transaction. R1, karat's
// own, comes last, so that a transaction that breaks one of Bitcoin's rules too is
// refused for that one, as Bitcoin Core would refuse it.
func CheckTransaction(p *Params, tx *types.Tx) error {
	if len(tx.Inputs) == 0 {
		return invalid(ReasonInputsEmpty, "no inputs")
	}
	if len(tx.Outputs) == 0 {
		return invalid(ReasonOutputsEmpty, "no outputs")
	}
	if size := tx.StrippedSize(); size*types.WitnessScale > p.MaxBlockWeight {
		return invalid(ReasonTxOversize, "%d bytes without witnesses", size)
	}
	if err := checkOutputs(p, tx); err != nil {
		return err
	}
	if err := checkInputs(tx); err != nil {
		return err
	}
	for i := range tx.Outputs {
		if !IsAllowedOutput(tx.Outputs[i].ScriptPubKey) {
			return invalid(ReasonOutputScript, "output %d is neither a witness program of version 1 to 16 nor data", i)
		}
	}
	return nil
}

func checkOutputs(p *Params, tx *types.Tx) error {
	total := types.Amount(0)
	for i := range tx.Outputs {
		value := tx.Outputs[i].Value
		if value < 0 {
			return invalid(ReasonOutputNegative, "output %d has %d grains", i, value)
		}
		if value > p.MaxMoney {
			return invalid(ReasonOutputTooLarge, "output %d has %s coins, there are never more than %s", i, value, p.MaxMoney)
		}
		// Neither summand is above MaxMoney, which is at most 2^61, so nothing overflows.
		if total += value; total > p.MaxMoney {
			return invalid(ReasonOutputsTooLarge, "the outputs have more than %s coins", p.MaxMoney)
		}
	}
	return nil
}

func checkInputs(tx *types.Tx) error {
	if outPoint, ok := repeatedOutPoint(tx); ok {
		return invalid(ReasonInputsDuplicate, "output %s is spent twice (CVE-2018-17144)", outPoint)
	}
	if tx.IsCoinbase() {
		if size := len(tx.Inputs[0].ScriptSig); size < minCoinbaseScript || size > maxCoinbaseScript {
			return invalid(ReasonCoinbaseScriptSize, "the coinbase script has %d bytes, want %d to %d", size, minCoinbaseScript, maxCoinbaseScript)
		}
		return nil
	}
	for i := range tx.Inputs {
		if tx.Inputs[i].PreviousOutPoint.IsNull() {
			return invalid(ReasonPrevoutNull, "input %d spends nothing", i)
		}
	}
	return nil
}

// fewInputs is the number of inputs up to which it is cheaper to compare all pairs
// than to fill a map.
const fewInputs = 16

// repeatedOutPoint returns an outpoint that two inputs spend. Bitcoin Core once left
// this check out for speed, and coins could be made from nothing (CVE-2018-17144).
func repeatedOutPoint(tx *types.Tx) (types.OutPoint, bool) {
	if len(tx.Inputs) <= fewInputs {
		for i := range tx.Inputs {
			for j := range i {
				if tx.Inputs[i].PreviousOutPoint == tx.Inputs[j].PreviousOutPoint {
					return tx.Inputs[i].PreviousOutPoint, true
				}
			}
		}
		return types.OutPoint{}, false
	}
	seen := make(map[types.OutPoint]struct{}, len(tx.Inputs))
	for i := range tx.Inputs {
		outPoint := tx.Inputs[i].PreviousOutPoint
		if _, twice := seen[outPoint]; twice {
			return outPoint, true
		}
		seen[outPoint] = struct{}{}
	}
	return types.OutPoint{}, false
}

// IsSpendable reports whether an output with the script makes a coin. It does if the
// script is a witness program of version 1 to 16. All else is data, of which the coin
// set knows nothing.
func IsSpendable(script []byte) bool {
	version, _, ok := types.WitnessProgram(script)
	return ok && version > 0
}

// IsAllowedOutput is R1, the one rule that karat has and Bitcoin has not. In every
// block but the genesis block, an output's script is a witness program of version 1
// to 16 (OP_1 to OP_16, one push of 2 to 40 bytes), or it is OP_RETURN followed by
// nothing but pushes. So every coin is spent under BIP341, and all signatures can be
// checked in batches.
func IsAllowedOutput(script []byte) bool {
	return IsSpendable(script) || len(script) > 0 && script[0] == taproot.OpReturn && IsPushOnly(script[1:])
}

// IsPushOnly reports whether a script can be decoded and has no opcode above OP_16.
// Bitcoin Core's does the same, and lets OP_RESERVED pass.
func IsPushOnly(script []byte) bool {
	for at := 0; at < len(script); {
		op, _, next, ok := taproot.NextOp(script, at)
		if !ok || op > taproot.Op16 {
			return false
		}
		at = next
	}
	return true
}

// legacySigOps counts the signature opcodes in all scriptSigs, as Bitcoin did before
// there were witnesses. Bitcoin counts those in outputs as well, but R1 lets nothing
// pass there that holds any.
func legacySigOps(tx *types.Tx) int {
	count := 0
	for i := range tx.Inputs {
		count += scriptSigOps(tx.Inputs[i].ScriptSig)
	}
	return count
}

// scriptSigOps counts the signature opcodes of a script up to where it can no longer
// be decoded. A multisig counts as the twenty keys that it may have.
func scriptSigOps(script []byte) int {
	count := 0
	for at := 0; at < len(script); {
		op, _, next, ok := taproot.NextOp(script, at)
		if !ok {
			break
		}
		switch op {
		case taproot.OpCheckSig, taproot.OpCheckSigVerify:
			count++
		case taproot.OpCheckMultiSig, taproot.OpCheckMultiSigVerify:
			count += 20
		}
		at = next
	}
	return count
}
