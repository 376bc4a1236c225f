package consensus

// The reasons, roughly in the order in which the rules are checked. All are Bitcoin
// Core's reject reasons except two: ReasonOutputScript, for karat's own rule R1, and
// ReasonDecode. The table in docs/consensus.md has a row for each, and a test for
// each row.
const (
	ReasonDecode           Reason = "block-decode-failed"
	ReasonParentUnknown    Reason = "prev-blk-not-found"
	ReasonParentInvalid    Reason = "bad-prevblk"
	ReasonDuplicateInvalid Reason = "duplicate-invalid"

	ReasonHighHash   Reason = "high-hash"
	ReasonBits       Reason = "bad-diffbits"
	ReasonTimeTooOld Reason = "time-too-old"
	ReasonTimeTooNew Reason = "time-too-new"
	ReasonVersion    Reason = "bad-version"

	ReasonMerkleRoot         Reason = "bad-txnmrklroot"
	ReasonDuplicateTx        Reason = "bad-txns-duplicate"
	ReasonBlockLength        Reason = "bad-blk-length"
	ReasonCoinbaseMissing    Reason = "bad-cb-missing"
	ReasonCoinbaseMultiple   Reason = "bad-cb-multiple"
	ReasonInputsEmpty        Reason = "bad-txns-vin-empty"
	ReasonOutputsEmpty       Reason = "bad-txns-vout-empty"
	ReasonTxOversize         Reason = "bad-txns-oversize"
	ReasonOutputNegative     Reason = "bad-txns-vout-negative"
	ReasonOutputTooLarge     Reason = "bad-txns-vout-toolarge"
	ReasonOutputsTooLarge    Reason = "bad-txns-txouttotal-toolarge"
	ReasonInputsDuplicate    Reason = "bad-txns-inputs-duplicate"
	ReasonCoinbaseScriptSize Reason = "bad-cb-length"
	ReasonPrevoutNull        Reason = "bad-txns-prevout-null"
	ReasonOutputScript       Reason = "bad-txns-vout-script"
	ReasonSigOps             Reason = "bad-blk-sigops"

	ReasonNonFinal          Reason = "bad-txns-nonfinal"
	ReasonCoinbaseHeight    Reason = "bad-cb-height"
	ReasonUnexpectedWitness Reason = "unexpected-witness"
	ReasonWitnessNonceSize  Reason = "bad-witness-nonce-size"
	ReasonWitnessRoot       Reason = "bad-witness-merkle-match"
	ReasonBlockWeight       Reason = "bad-blk-weight"

	ReasonDuplicateCoin      Reason = "bad-txns-BIP30"
	ReasonMissingInputs      Reason = "bad-txns-inputs-missingorspent"
	ReasonPrematureSpend     Reason = "bad-txns-premature-spend-of-coinbase"
	ReasonInputValue         Reason = "bad-txns-inputvalues-outofrange"
	ReasonInputsBelowOutputs Reason = "bad-txns-in-belowout"
	ReasonAccumulatedFees    Reason = "bad-txns-accumulated-fee-outofrange"
	ReasonCoinbaseAmount     Reason = "bad-cb-amount"
	ReasonScript             Reason = "block-script-verify-flag-failed"

	// Of transactions outside of blocks (ConnectTransaction).
	ReasonCoinbaseTransaction Reason = "coinbase"
	ReasonNonFinalTransaction Reason = "non-final"
	ReasonNonFinalSequence    Reason = "non-BIP68-final"
)
