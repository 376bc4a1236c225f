package mempool

import (
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/standard"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// The bounds of policy: what this node takes and passes on of what a block could hold.
// The numbers are Bitcoin Core's, so that what one node relays the next one does too.
const (
	MaxStandardVersion = 3
	// MaxScriptSig is the size of a scriptSig in bytes.
	MaxScriptSig = 1650
	// MaxTapscriptItem is the size of an element on a tapscript's initial stack in
	// bytes.
	MaxTapscriptItem = 80
	// MaxReplacedClusters is the number of clusters in which a transaction may replace
	// others, since all of them are sorted anew under the lock.
	MaxReplacedClusters = 100
	// MaxPackageCount and MaxPackageWeight bound what Try and AcceptPackage take at
	// once.
	MaxPackageCount  = 25
	MaxPackageWeight = 404_000
)

// The reasons for which the pool refuses, all Bitcoin Core's; more come from
// consensus.ConnectTransaction and consensus.CheckTransaction, and stand in pending.
// They are ErrPolicy unless something else is said.
const (
	ReasonVersion          consensus.Reason = "version"
	ReasonTxSize           consensus.Reason = "tx-size"
	ReasonTxSizeSmall      consensus.Reason = "tx-size-small"
	ReasonScriptSigSize    consensus.Reason = "scriptsig-size"         // ErrInvalid
	ReasonScriptSigPushes  consensus.Reason = "scriptsig-not-pushonly" // ErrInvalid
	ReasonDataCarrier      consensus.Reason = "datacarrier"
	ReasonDust             consensus.Reason = "dust"
	ReasonInputsStandard   consensus.Reason = "bad-txns-nonstandard-inputs"
	ReasonWitnessStandard  consensus.Reason = "bad-witness-nonstandard"
	ReasonEphemeralDust    consensus.Reason = "missing-ephemeral-spends"
	ReasonInPool           consensus.Reason = "txn-already-in-mempool"
	ReasonSameTxID         consensus.Reason = "txn-same-nonwitness-data-in-mempool"
	ReasonClusterTooLarge  consensus.Reason = "too-large-cluster"
	ReasonTooManyReplaced  consensus.Reason = "too many potential replacements"
	ReasonNoReplacement    consensus.Reason = "bip125-replacement-disallowed"
	ReasonSpendsConflict   consensus.Reason = "bad-txns-spends-conflicting-tx" // ErrInvalid
	ReasonPackageCount     consensus.Reason = "package-too-many-transactions"
	ReasonPackageWeight    consensus.Reason = "package-too-large"
	ReasonPackageRepeats   consensus.Reason = "package-contains-duplicates"
	ReasonPackageOrder     consensus.Reason = "package-not-sorted"
	ReasonPackageConflicts consensus.Reason = "conflict-in-package"
	ReasonPackageTopology  consensus.Reason = "package-not-child-with-parents"
	ReasonTRUC             consensus.Reason = "TRUC-violation"
)

func refuse(kind error, reason consensus.Reason, format string, args ...any) error {
	return &consensus.RuleError{Kind: kind, Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

func policy(reason consensus.Reason, format string, args ...any) error {
	return refuse(consensus.ErrPolicy, reason, format, args...)
}

// checkStandard checks the policy that needs nothing but the transaction, for
// which consensus.CheckTransaction holds. So its outputs are witness programs,
// all of which are standard, or data. Signature operations need no limit: they
// are counted in scriptSigs only, and a transaction that has one is invalid.
func checkStandard(tx *types.Tx, o *pending.Policy) error {
	if tx.Version < 1 || tx.Version > MaxStandardVersion {
		return policy(ReasonVersion, "version %d is not from 1 to %d", tx.Version, MaxStandardVersion)
	}
	if weight := tx.Weight(); weight > standard.MaxWeight {
		return policy(ReasonTxSize, "a weight of %d is more than %d", weight, standard.MaxWeight)
	}
	for i := range tx.Inputs {
		// No block can hold either. Core knows scriptSigs, and tells them apart.
		switch script := tx.Inputs[i].ScriptSig; {
		case len(script) > MaxScriptSig:
			return refuse(consensus.ErrInvalid, ReasonScriptSigSize, "")
		case !consensus.IsPushOnly(script):
			return refuse(consensus.ErrInvalid, ReasonScriptSigPushes, "")
		}
	}
	data := 0
	for i := range tx.Outputs {
		if script := tx.Outputs[i].ScriptPubKey; !consensus.IsSpendable(script) {
			data += len(script)
		}
		if data > o.MaxDataCarrier {
			return policy(ReasonDataCarrier, "%d bytes of data are more than %d", data, o.MaxDataCarrier)
		}
	}
	if len(standard.Dust(tx, o.DustRelay)) > standard.MaxDust {
		return policy(ReasonDust, "")
	}
	if size := tx.StrippedSize(); size < standard.MinSize {
		return policy(ReasonTxSizeSmall, "%d bytes without witnesses are less than %d", size, standard.MinSize)
	}
	return nil
}

// checkInputs checks the policy about what a transaction spends and with what witness.
// coins are those of its inputs. What has no meaning yet may get one by a soft fork,
// and a node that does not know the fork must not help to spend it before that.
func checkInputs(tx *types.Tx, coins []types.Coin) error {
	for i := range tx.Inputs {
		version, program, ok := types.WitnessProgram(coins[i].ScriptPubKey())
		witness := tx.Inputs[i].Witness
		switch {
		case ok && taproot.IsPayToAnchor(version, program):
			if len(witness) > 0 {
				return policy(ReasonWitnessStandard, "input %d spends an anchor with a witness", i)
			}
		case !ok || version != 1 || len(program) != 32:
			return policy(ReasonInputsStandard, "input %d spends a witness program that has no meaning yet", i)
		default:
			if fault := checkWitness(witness); fault != "" {
				return policy(ReasonWitnessStandard, "input %d: %s", i, fault)
			}
		}
	}
	return nil
}

// checkWitness checks the policy about a taproot witness: no annex, which has no meaning
// yet, and no large elements on the stack of a tapscript, where data would be cheap.
// It returns what is wrong, if anything is.
func checkWitness(stack [][]byte) string {
	if len(stack) < 2 {
		return "" // a key path, or nothing, which the script check refuses
	}
	control := stack[len(stack)-1]
	switch {
	case len(control) == 0:
		return "the control block is empty"
	case control[0] == taproot.AnnexTag:
		return "there is an annex"
	case control[0]&taproot.LeafVersionMask != taproot.LeafVersionTapscript:
		return ""
	}
	for _, item := range stack[:len(stack)-2] {
		if len(item) > MaxTapscriptItem {
			return fmt.Sprintf("a stack element has %d bytes, more than %d", len(item), MaxTapscriptItem)
		}
	}
	return ""
}
