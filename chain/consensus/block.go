package consensus

import (
	"bytes"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Limits of coinbases and of signature operations. They are Bitcoin's.
const (
	minCoinbaseScript = 2   // bytes
	maxCoinbaseScript = 100 // bytes
)

// MaxSigOpsCost bounds a block's signature opcodes outside of witnesses, each of which
// costs four. Only a coinbase's scriptSig can hold them here, and it is never executed.
// The rule stands because Bitcoin refuses such a block, and a chain of ours must be a
// chain of Bitcoin's.
const MaxSigOpsCost = 80_000

// OpenBlock reads a block that anyone may have made up, and checks all rules that
// need nothing but the block: CheckHeader's and CheckBlock's. The cheapest step comes
// first, so that bytes without work behind them cost next to nothing: the proof of
// work, for which 80 bytes are read, then the encoding, the merkle root, the other
// rules. Up to the merkle root all work is linear in the bytes.
//
// If a block is returned with an error, its header has work and its body breaks a
// rule. It is good for nothing but to name it.
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
	return OpenProposal(p, raw)
}

// OpenProposal is OpenBlock without the proof of work, for a block that lacks it as yet
// (BIP23).
func OpenProposal(p *Params, raw []byte) (*HashedBlock, error) {
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

// CheckBlock checks the rules of a block's body that need nothing but the block. It
// can run on any core and in any order of blocks. A wrong merkle root, a repeated
// transaction and a missing coinbase are ErrMutated: another body may belong to the
// same header.
func CheckBlock(p *Params, b *HashedBlock) error {
	if err := checkMerkleRoot(b); err != nil {
		return err
	}
	txs := b.Block.Txs
	if len(txs) == 0 || len(txs)*types.WitnessScale > p.MaxBlockWeight ||
		strippedSize(b)*types.WitnessScale > p.MaxBlockWeight {
		// This is not ErrMutated. The header commits to every byte but the witnesses,
		// and a root of zero commits to no body at all.
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
	if sigOps*types.WitnessScale > MaxSigOpsCost {
		return invalid(ReasonSigOps, "%d signature operations", sigOps)
	}
	return nil
}

// strippedSize returns the bytes without witnesses. They follow from the weight,
// which is three times the stripped size plus the size (BIP141).
func strippedSize(b *HashedBlock) int { return (b.Weight - len(b.Raw)) / (types.WitnessScale - 1) }

// checkMerkleRoot compares the root first: only a body whose root is right can be the
// repetition that CVE-2012-2459 is about.
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

// inTransaction adds to a rule's error in which transaction the rule was broken.
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

// ValidateBlock checks the rules of a block's body that need the parent's state but
// no coins: lock times, the height in the coinbase, the witness commitment, the
// weight. CheckBlock holds.
//
// The weight comes last because it counts witnesses. Only the commitment says that
// these are the block's own, and a block must not be refused for ever because
// somebody stuffed its witnesses.
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

// isFinal reports whether a transaction's lock time lets it be in a block of the
// given height. A time is held against the parent's median time past, not against
// the block's own time, which its miner can choose (BIP113).
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

// commitmentPrefix begins the script of the output that commits to the witnesses:
// OP_RETURN, a push of 36 bytes, and four bytes by which BIP141 knows it.
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

// checkWitnessCommitment checks BIP141's commitment: the double SHA-256 of the root
// of all witness ids and a reserved value, which is the coinbase's whole witness.
// Without a commitment no transaction may have a witness. Anyone can change a
// witness and leave the block's hash as it is, so every fault is ErrMutated.
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
	var both [2 * types.HashSize]byte
	return types.DoubleSHA256(append(append(both[:0], root[:]...), reserved...))
}

// appendScriptNumber appends the shortest push of a number, which is not negative:
// OP_0, OP_1 to OP_16, or a push of its encoding. Bitcoin Core's CScript writes
// numbers so, and BIP34 asks for exactly these bytes.
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
