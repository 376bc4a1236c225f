package taproot

import "errors"

// ErrNotSpendable says that the output that an input spends is no witness program of
// version 1 to 16. Under the output rule (R1) there is no such coin, so the caller is
// at fault and not a script.
var ErrNotSpendable = errors.New("taproot: the output spent is not a witness program of version 1 to 16")

// ErrContext says that a Context was used wrongly: the transaction has no such input, or
// not as many inputs as there are prevouts. The caller is at fault and not a script.
var ErrContext = errors.New("taproot: the transaction has no such input, or lacks its prevouts")

// ScriptError is the verdict that an input does not satisfy the output that it spends.
// The values are shared, so that refusing millions of inputs allocates nothing.
// Compare their names and never change them.
type ScriptError struct {
	// Name is the name in Bitcoin Core's script_error.h, without the prefix
	// SCRIPT_ERR_.
	Name string
	// Message is what Bitcoin Core says in its RPC and its reject reasons. Clients
	// compare it, so it is Core's to the letter.
	Message string
}

// Error returns the message.
func (e *ScriptError) Error() string { return e.Message }

// FalseClaim returns the verdict on an input one of whose claims is false: a tweak, or
// else a signature.
func FalseClaim(isTweak bool) error {
	if isTweak {
		return errProgramMismatch
	}
	return errSig
}

// IsPolicy reports whether a flag brought the verdict about, so that the rules of blocks
// say nothing against the input as far as it was looked at. Flags only end a script
// sooner, so any other verdict under flags is one of the rules of blocks too.
func (e *ScriptError) IsPolicy() bool {
	switch e {
	case errMinimalData, errMinimalNumber, errUpgradableNops, errUpgradableProgram, errUpgradableLeaf, errOpSuccess, errUpgradableKey:
		return true
	}
	return false
}

// The verdicts: one for each that Bitcoin Core can reach on scripts of this package's
// kinds.
var (
	errEvalFalse    = &ScriptError{"EVAL_FALSE", "Script evaluated without error but finished with a false/empty top stack element"}
	errOpReturn     = &ScriptError{"OP_RETURN", "OP_RETURN was encountered"}
	errScriptNum    = &ScriptError{"SCRIPTNUM", "Script number overflowed or is non-minimally encoded"}
	errPushSize     = &ScriptError{"PUSH_SIZE", "Push value size limit exceeded"}
	errStackSize    = &ScriptError{"STACK_SIZE", "Stack size limit exceeded"}
	errVerify       = &ScriptError{"VERIFY", "Script failed an OP_VERIFY operation"}
	errEqualVerify  = &ScriptError{"EQUALVERIFY", "Script failed an OP_EQUALVERIFY operation"}
	errSigVerify    = &ScriptError{"CHECKSIGVERIFY", "Script failed an OP_CHECKSIGVERIFY operation"}
	errNumVerify    = &ScriptError{"NUMEQUALVERIFY", "Script failed an OP_NUMEQUALVERIFY operation"}
	errBadOpcode    = &ScriptError{"BAD_OPCODE", "Opcode missing or not understood"}
	errStack        = &ScriptError{"INVALID_STACK_OPERATION", "Operation not valid with the current stack size"}
	errAltStack     = &ScriptError{"INVALID_ALTSTACK_OPERATION", "Operation not valid with the current altstack size"}
	errConditional  = &ScriptError{"UNBALANCED_CONDITIONAL", "Invalid OP_IF construction"}
	errNegativeLock = &ScriptError{"NEGATIVE_LOCKTIME", "Negative locktime"}
	errLockTime     = &ScriptError{"UNSATISFIED_LOCKTIME", "Locktime requirement not satisfied"}
	errMinimalData  = &ScriptError{"MINIMALDATA", "Data push larger than necessary"}
	errCleanStack   = &ScriptError{"CLEANSTACK", "Stack size must be exactly one after execution"}

	// errMinimalNumber is errScriptNum, where only policy minds the number. Core has one
	// name for both.
	errMinimalNumber = &ScriptError{errScriptNum.Name, errScriptNum.Message}

	errUpgradableNops    = &ScriptError{"DISCOURAGE_UPGRADABLE_NOPS", "NOPx reserved for soft-fork upgrades"}
	errUpgradableProgram = &ScriptError{"DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM", "Witness version reserved for soft-fork upgrades"}
	errUpgradableLeaf    = &ScriptError{"DISCOURAGE_UPGRADABLE_TAPROOT_VERSION", "Taproot version reserved for soft-fork upgrades"}
	errOpSuccess         = &ScriptError{"DISCOURAGE_OP_SUCCESS", "OP_SUCCESSx reserved for soft-fork upgrades"}
	errUpgradableKey     = &ScriptError{"DISCOURAGE_UPGRADABLE_PUBKEYTYPE", "Public key version reserved for soft-fork upgrades"}

	errWitnessEmpty     = &ScriptError{"WITNESS_PROGRAM_WITNESS_EMPTY", "Witness program was passed an empty witness"}
	errProgramMismatch  = &ScriptError{"WITNESS_PROGRAM_MISMATCH", "Witness program hash mismatch"}
	errWitnessMalleated = &ScriptError{"WITNESS_MALLEATED", "Witness requires empty scriptSig"}

	errSigSize       = &ScriptError{"SCHNORR_SIG_SIZE", "Invalid Schnorr signature size"}
	errSigHashType   = &ScriptError{"SCHNORR_SIG_HASHTYPE", "Invalid Schnorr signature hash type"}
	errSig           = &ScriptError{"SCHNORR_SIG", "Invalid Schnorr signature"}
	errControlSize   = &ScriptError{"TAPROOT_WRONG_CONTROL_SIZE", "Invalid Taproot control block size"}
	errBudget        = &ScriptError{"TAPSCRIPT_VALIDATION_WEIGHT", "Too much signature validation relative to witness weight"}
	errCheckMultiSig = &ScriptError{"TAPSCRIPT_CHECKMULTISIG", "OP_CHECKMULTISIG(VERIFY) is not available in tapscript"}
	errMinimalIf     = &ScriptError{"TAPSCRIPT_MINIMALIF", "OP_IF/NOTIF argument must be minimal in tapscript"}
	errEmptyKey      = &ScriptError{"TAPSCRIPT_EMPTY_PUBKEY", "Empty public key in tapscript"}
)
