package consensus

import (
	"bytes"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Limits of coinbases and of signature operations, as in Bitcoin.
const (
	minCoinbaseScript = 2
	maxCoinbaseScript = 100
	// maxSigOpsCost bounds the signature operations of the legacy kind, at four
	// each. Only coinbases' scriptSigs and data outputs can hold such opcodes
	// here, and none of them is ever executed; the rule is kept because Bitcoin
	// refuses such a block.
	maxSigOpsCost = 80_000
)

// OpenBlock reads a block that anyone may have made up, and checks all rules that
// need nothing but the block: CheckHeader's and CheckBlock's. Nothing is done before
// what costs less has passed: proof of work, for which 80 bytes are looked at, the
// encoding, the merkle root, the other rules. Up to the merkle root everything is
// linear in the bytes. A block that is returned with an error has a header with work
// and a body that breaks a rule, and is good for nothing else.
func OpenBlock(p *Params, raw []byte) (*HashedBlock, error) {
	if len(raw) < types.HeaderSize {
		return nil, mutated(ReasonDecode, "%d bytes", len(raw))
	}
	header, err := types.DecodeHeader(raw[:types.HeaderSize])
	if err != nil {
		return nil, mutated(ReasonDecode, "%v", err)
	}
	if err := CheckHeader(p, &header, header.Hash()); err != nil {
		return nil, err
	}
	block, err := types.DecodeBlock(raw)
	if err != nil {
		return nil, mutated(ReasonDecode, "%v", err)
	}
	b := hashBlock(block, raw)
	if err := CheckBlock(p, b); err != nil {
		return b, err
	}
	b.findSources()
	return b, nil
}

// CheckBlock checks the rules for a block's body that need nothing but the
// block. A wrong merkle root, a repeated transaction and a missing coinbase are
// ErrMutated: another body may belong to the same header.
func CheckBlock(p *Params, b *HashedBlock) error {
	if err := checkMerkleRoot(b); err != nil {
		return err
	}
	txs := b.Block.Txs
	if len(txs) == 0 || len(txs)*types.WitnessScale > p.MaxBlockWeight ||
		strippedSize(b)*types.WitnessScale > p.MaxBlockWeight {
		// Not mutated: a header commits to every byte but the witnesses, and a root
		// of zero to no body at all.
		return invalid(ReasonBlockLength, "%d transactions, %d bytes without witnesses", len(txs), strippedSize(b))
	}
	if !txs[0].IsCoinbase() {
		return mutated(ReasonCoinbaseMissing, "the first transaction is not a coinbase")
	}
	for i := 1; i < len(txs); i++ {
		if txs[i].IsCoinbase() {
			return invalid(ReasonCoinbaseMultiple, "transaction %d is a second coinbase", i)
		}
	}
	sigOps := 0
	for i := range txs {
		if err := CheckTransaction(p, &txs[i]); err != nil {
			return inTransaction(err, b.TxIDs[i])
		}
		sigOps += legacySigOps(&txs[i])
	}
	if sigOps*types.WitnessScale > maxSigOpsCost {
		return invalid(ReasonSigOps, "%d signature operations", sigOps)
	}
	return nil
}

// strippedSize follows from weight = 3*stripped + size.
func strippedSize(b *HashedBlock) int { return (b.Weight - len(b.Raw)) / (types.WitnessScale - 1) }

func checkMerkleRoot(b *HashedBlock) error {
	root, repeated := types.MerkleRoot(b.TxIDs)
	if root != b.Block.Header.MerkleRoot {
		return mutated(ReasonMerkleRoot, "the merkle root is %s, the header has %s", root, b.Block.Header.MerkleRoot)
	}
	if repeated {
		return mutated(ReasonDuplicateTx, "a part of the transactions is repeated (CVE-2012-2459)")
	}
	return nil
}

// inTransaction adds the transaction's id to a rule's error.
func inTransaction(err error, txid types.Hash) error {
	rule, ok := err.(*RuleError)
	if !ok {
		return err
	}
	named := *rule
	named.Detail = "transaction " + txid.String()
	if rule.Detail != "" {
		named.Detail += ": " + rule.Detail
	}
	return &named
}

// ValidateBlock checks the rules for a block's body that need the state below
// it but no coins: finality, the height in the coinbase, the witness commitment
// and the weight.
func ValidateBlock(p *Params, parent *State, b *HashedBlock) error {
	height, median := parent.Index.Height+1, parent.MedianTimePast()
	for i := range b.Block.Txs {
		if !isFinal(&b.Block.Txs[i], height, median) {
			return invalid(ReasonNonFinal, "transaction %s is locked until %d", b.TxIDs[i], b.Block.Txs[i].LockTime)
		}
	}
	want := appendScriptNumber(nil, int64(height))
	if script := b.Block.Txs[0].Inputs[0].ScriptSig; !bytes.HasPrefix(script, want) {
		return invalid(ReasonCoinbaseHeight, "the coinbase script %x does not begin with the height, %x (BIP34)", script, want)
	}
	if err := checkWitnessCommitment(b); err != nil {
		return err
	}
	if b.Weight > p.MaxBlockWeight {
		return invalid(ReasonBlockWeight, "weight %d, the limit is %d", b.Weight, p.MaxBlockWeight)
	}
	return nil
}

// isFinal reports whether a transaction may be in a block of the given height
// whose parent's median time past is given (BIP113).
func isFinal(tx *types.Tx, height, median uint32) bool {
	limit := height
	if tx.LockTime >= types.LockTimeThreshold {
		limit = median
	}
	if tx.LockTime < limit || tx.LockTime == 0 {
		return true
	}
	for i := range tx.Inputs {
		if tx.Inputs[i].Sequence != types.SequenceFinal {
			return false
		}
	}
	return true
}

// commitmentPrefix begins the script of the output that commits to the
// witnesses: OP_RETURN, a push of 36 bytes, BIP141's header.
var commitmentPrefix = []byte{taproot.OpReturn, 36, 0xaa, 0x21, 0xa9, 0xed}

// WitnessCommitment returns what a coinbase says of the block's witnesses: the 32
// bytes behind the prefix in its last output that has it (BIP141). It is nil if
// there is none.
func WitnessCommitment(coinbase *types.Tx) []byte {
	end := len(commitmentPrefix) + types.HashSize
	for i := len(coinbase.Outputs) - 1; i >= 0; i-- {
		if script := coinbase.Outputs[i].ScriptPubKey; len(script) >= end && bytes.HasPrefix(script, commitmentPrefix) {
			return script[len(commitmentPrefix):end]
		}
	}
	return nil
}

// checkWitnessCommitment checks BIP141's commitment, SHA256d(witness root, reserved
// value). Without one no transaction may have a witness. A witness can be changed
// without changing the block's hash, so every fault is ErrMutated.
func checkWitnessCommitment(b *HashedBlock) error {
	coinbase := &b.Block.Txs[0]
	commitment := WitnessCommitment(coinbase)
	if commitment == nil {
		for i := range b.Block.Txs {
			if b.Block.Txs[i].HasWitness() {
				return mutated(ReasonUnexpectedWitness, "transaction %s has a witness, the block no commitment", b.TxIDs[i])
			}
		}
		return nil
	}
	witness := coinbase.Inputs[0].Witness
	if len(witness) != 1 || len(witness[0]) != 32 {
		return mutated(ReasonWitnessNonceSize, "the coinbase's witness is not one element of 32 bytes")
	}
	root, _ := types.MerkleRoot(b.WTxIDs)
	if want := commitTo(root, witness[0]); !bytes.Equal(want[:], commitment) {
		return mutated(ReasonWitnessRoot, "the witness commitment is %x, want %x", commitment, want[:])
	}
	return nil
}

// commitTo returns the commitment to the root of the witness ids (BIP141).
func commitTo(root types.Hash, reserved []byte) types.Hash {
	return types.DoubleSHA256(append(root[:], reserved...))
}

// appendScriptNumber appends the push of a number that is not negative, as Bitcoin
// Core's CScript writes it: OP_0, OP_1 to OP_16, or a push of its shortest encoding.
func appendScriptNumber(b []byte, n int64) []byte {
	switch {
	case n == 0:
		return append(b, taproot.Op0)
	case n <= 16:
		return append(b, taproot.Op1-1+byte(n))
	}
	number := taproot.AppendNumber(nil, n)
	return append(append(b, byte(len(number))), number...)
}
