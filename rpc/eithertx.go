package rpc

import (
	"encoding/hex"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// anyTransaction reads parameter i, a transaction that may be unfinished. One without
// inputs looks in the older encoding as if it had BIP144's marker. Unless the client says
// in parameter witness which encoding it is, both are tried, as Bitcoin Core does.
func (a *args) anyTransaction(i, witness int, undecodable *Error) *types.Tx {
	raw := a.bytes(a.text(i, ""), undecodable)
	hasWitness := a.flag(witness, true)
	tx := eitherTx(raw, !a.given(witness) || hasWitness, !a.given(witness) || !hasWitness)
	if tx == nil {
		a.fail(undecodable)
	}
	return tx
}

// eitherTxHex reads a transaction in hexadecimal and in either encoding, nil if it is none.
func eitherTxHex(text string) *types.Tx {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil
	}
	return eitherTx(raw, true, true)
}

// eitherTx decodes a transaction with witnesses, or without. If it can be read in both ways,
// its scripts say which one makes sense.
func eitherTx(raw []byte, extended, older bool) *types.Tx {
	var withWitness, without *types.Tx
	if extended {
		withWitness, _ = types.DecodeTx(raw)
	}
	if withWitness != nil && hasSaneScripts(withWitness) {
		return withWitness
	}
	if older {
		without, _ = types.DecodeStrippedTx(raw)
	}
	if without != nil && hasSaneScripts(without) || withWitness == nil {
		return without
	}
	return withWitness
}

// hasSaneScripts reports whether the scripts of a transaction can be scripts at all.
func hasSaneScripts(tx *types.Tx) bool {
	for i := range tx.Inputs {
		if !tx.IsCoinbase() && !isSaneScript(tx.Inputs[i].ScriptSig) {
			return false
		}
	}
	for i := range tx.Outputs {
		if !isSaneScript(tx.Outputs[i].ScriptPubKey) {
			return false
		}
	}
	return true
}

func isSaneScript(script []byte) bool {
	const maxScript, maxPush, maxOpcode = 10_000, 520, taproot.OpNop10
	if len(script) > maxScript {
		return false
	}
	for at := 0; at < len(script); {
		op, data, next, ok := taproot.NextOp(script, at)
		if !ok || op > maxOpcode || len(data) > maxPush {
			return false
		}
		at = next
	}
	return true
}
