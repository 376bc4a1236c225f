package oracle

import (
	"slices"
	"strings"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// listedScriptDifference names a known fault of btcd's engine that explains why
// its verdict on a spend is not karat's (nil for valid), or returns "".
func listedScriptDifference(s *spend, standard bool, ours *taproot.ScriptError, theirs error) string {
	// btcd looks at the type of a key only if the signature is not empty
	// (txscript/opcode.go, opcodeCheckSig and opcodeCheckSigAdd return early).
	// The type of a key is its size alone, and BIP342 lists the cases of the key
	// before those of the signature: "If the public key size is not zero and
	// not 32 bytes, the public key is of an unknown public key type". Bitcoin
	// Core's policy refuses any such key. Consensus is the same: an unknown key
	// fails nothing.
	if standard && theirs == nil && ours != nil && ours.Name == "DISCOURAGE_UPGRADABLE_PUBKEYTYPE" {
		lenient := taproot.Standard &^ taproot.DiscourageUpgradablePubKey
		if taproot.NewContext(&s.tx, s.prevouts).VerifyInput(s.index, lenient, nil) == nil {
			return "policy: unknown key type with an empty signature"
		}
	}
	return ""
}

// listedEncodingDifference names a known fault of btcd's decoder that explains
// why it does not agree with karat's on an encoding, or returns "".
func listedEncodingDifference(txs []types.Tx, ours, theirs error) string {
	// btcd takes a transaction without inputs for BIP144's marker and has no way
	// back. BIP144 requires a flag that is not zero after the marker, so a zero
	// means the older encoding of a transaction with neither inputs nor outputs,
	// and Bitcoin Core reads it so. Such a transaction breaks other rules.
	if ours == nil && theirs != nil && strings.HasSuffix(theirs.Error(), "witness tx but flag byte is 00") &&
		slices.ContainsFunc(txs, func(tx types.Tx) bool { return len(tx.Inputs) == 0 && len(tx.Outputs) == 0 }) {
		return "encoding: no inputs, no outputs"
	}
	return ""
}
