package taproot

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/karatcoin/karat/chain/types"
)

// The hash types of BIP341. A 64-byte signature has the type SigHashDefault;
// any other is the signature's 65th byte.
const (
	SigHashDefault      = 0x00
	SigHashAll          = 0x01
	SigHashNone         = 0x02
	SigHashSingle       = 0x03
	SigHashAnyoneCanPay = 0x80 // added to one of the three before

	sigHashOutputMask = 0x03
)

// NoCodeSeparator is the position that a signature message states when no
// OP_CODESEPARATOR was executed (BIP342).
const NoCodeSeparator = 0xffffffff

// Context verifies the inputs of one transaction. It keeps the hashes that
// their signature messages share, each computed once and only if a signature
// asks for it, and the scratch memory of the interpreter. One goroutine at a
// time may use a Context; a transaction may be verified through several.
type Context struct {
	tx       *types.Tx
	prevouts []types.TxOut

	hasInputs, hasOutputs                  bool // whether the hashes below are those of tx
	outPoints, amounts, scripts, sequences [32]byte
	outputs                                [32]byte
	single                                 [32]byte // the hash of one output
	singleOf                               int      // its index, -1 for none

	buf     []byte   // scratch for messages
	message [32]byte // outlives the call of a Claims method, where a local variable would be allocated
	tweak   [32]byte
	spend   spend
	vm      machine
}

// ScriptPath is what the signature message of a script path states beyond that
// of the key path (BIP342's extension, key version 0).
type ScriptPath struct {
	LeafHash [32]byte
	// CodeSeparator is the position of the last executed OP_CODESEPARATOR,
	// counted in opcodes, or NoCodeSeparator.
	CodeSeparator uint32
}

// NewContext returns a context of a transaction. The prevouts are the outputs
// that its inputs spend, in their order. Both must not change while the context
// is in use.
func NewContext(tx *types.Tx, prevouts []types.TxOut) *Context {
	c := new(Context)
	c.Reset(tx, prevouts)
	return c
}

// Reset makes the context one of another transaction, as NewContext does, and
// keeps its scratch memory.
func (c *Context) Reset(tx *types.Tx, prevouts []types.TxOut) {
	c.tx, c.prevouts = tx, prevouts
	c.hasInputs, c.hasOutputs, c.singleOf = false, false, -1
}

// SignatureHash returns the message that a BIP340 signature of an input signs
// (BIP341). The annex is nil if the witness has none, otherwise it starts with
// its tag 0x50. The path is nil for the key path. It fails with a *ScriptError if
// the hash type is none of BIP341's, or is SigHashSingle on an input without an
// output of the same index, and with ErrContext.
func (c *Context) SignatureHash(index int, hashType byte, annex []byte, path *ScriptPath) ([32]byte, error) {
	if err := c.checkIndex(index); err != nil {
		return [32]byte{}, err
	}
	var annexHash *[32]byte
	if annex != nil {
		hash := c.hashAnnex(annex)
		annexHash = &hash
	}
	if !c.hashForSignature(index, hashType, annexHash, path) {
		return [32]byte{}, errSigHashType
	}
	return c.message, nil
}

func (c *Context) checkIndex(index int) error {
	if c.tx == nil || index < 0 || index >= len(c.tx.Inputs) || len(c.prevouts) != len(c.tx.Inputs) {
		return fmt.Errorf("%w (input %d)", ErrContext, index)
	}
	return nil
}

// hashForSignature puts the signature message's hash into c.message. It reports
// false if the hash type does not allow one.
func (c *Context) hashForSignature(index int, hashType byte, annexHash *[32]byte, path *ScriptPath) bool {
	outputType := hashType & sigHashOutputMask
	anyoneCanPay := hashType&SigHashAnyoneCanPay != 0
	if hashType&^(SigHashAnyoneCanPay|sigHashOutputMask) != 0 || hashType == SigHashAnyoneCanPay ||
		outputType == SigHashSingle && index >= len(c.tx.Outputs) {
		return false
	}
	if !anyoneCanPay {
		c.hashInputs()
	}
	switch outputType {
	case SigHashDefault, SigHashAll:
		c.hashOutputs()
	case SigHashSingle:
		c.hashSingle(index)
	}
	// Every shared hash is ready, so the scratch buffer is free for the message.
	b := append(c.buf[:0], tagSigHash[:]...)
	b = append(b, 0, hashType) // epoch 0
	b = binary.LittleEndian.AppendUint32(b, c.tx.Version)
	b = binary.LittleEndian.AppendUint32(b, c.tx.LockTime)
	if !anyoneCanPay {
		b = append(b, c.outPoints[:]...)
		b = append(b, c.amounts[:]...)
		b = append(b, c.scripts[:]...)
		b = append(b, c.sequences[:]...)
	}
	if outputType == SigHashDefault || outputType == SigHashAll {
		b = append(b, c.outputs[:]...)
	}
	b = c.appendOwnInput(b, index, anyoneCanPay, annexHash, path != nil)
	if outputType == SigHashSingle {
		b = append(b, c.single[:]...)
	}
	if path != nil {
		b = append(b, path.LeafHash[:]...)
		b = append(b, 0) // key version
		b = binary.LittleEndian.AppendUint32(b, path.CodeSeparator)
	}
	c.buf = b
	c.message = sha256.Sum256(b)
	return true
}

// appendOwnInput appends the part of the message that is about the input that is
// being signed.
func (c *Context) appendOwnInput(b []byte, index int, anyoneCanPay bool, annexHash *[32]byte, scriptPath bool) []byte {
	spendType := byte(0)
	if scriptPath {
		spendType = 2 // extension flag 1
	}
	if annexHash != nil {
		spendType |= 1
	}
	b = append(b, spendType)
	if anyoneCanPay {
		in := &c.tx.Inputs[index]
		b = append(b, in.PreviousOutPoint.TxID[:]...)
		b = binary.LittleEndian.AppendUint32(b, in.PreviousOutPoint.Index)
		b = c.prevouts[index].AppendTo(b)
		b = binary.LittleEndian.AppendUint32(b, in.Sequence)
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(index))
	}
	if annexHash != nil {
		b = append(b, annexHash[:]...)
	}
	return b
}

func (c *Context) hashInputs() {
	if c.hasInputs {
		return
	}
	b := c.buf[:0]
	for i := range c.tx.Inputs {
		outPoint := &c.tx.Inputs[i].PreviousOutPoint
		b = append(b, outPoint.TxID[:]...)
		b = binary.LittleEndian.AppendUint32(b, outPoint.Index)
	}
	c.outPoints = sha256.Sum256(b)
	b = b[:0]
	for i := range c.prevouts {
		b = binary.LittleEndian.AppendUint64(b, uint64(c.prevouts[i].Value))
	}
	c.amounts = sha256.Sum256(b)
	b = b[:0]
	for i := range c.prevouts {
		b = types.AppendVarBytes(b, c.prevouts[i].ScriptPubKey)
	}
	c.scripts = sha256.Sum256(b)
	b = b[:0]
	for i := range c.tx.Inputs {
		b = binary.LittleEndian.AppendUint32(b, c.tx.Inputs[i].Sequence)
	}
	c.sequences = sha256.Sum256(b)
	c.buf, c.hasInputs = b, true
}

func (c *Context) hashOutputs() {
	if c.hasOutputs {
		return
	}
	b := c.buf[:0]
	for i := range c.tx.Outputs {
		b = c.tx.Outputs[i].AppendTo(b)
	}
	c.outputs = sha256.Sum256(b)
	c.buf, c.hasOutputs = b, true
}

// hashSingle is kept because an output may be large, and a script may ask for
// it in each of thousands of signatures.
func (c *Context) hashSingle(index int) {
	if c.singleOf == index {
		return
	}
	c.buf = c.tx.Outputs[index].AppendTo(c.buf[:0])
	c.single, c.singleOf = sha256.Sum256(c.buf), index
}

func (c *Context) hashAnnex(annex []byte) [32]byte {
	c.buf = types.AppendVarBytes(c.buf[:0], annex)
	return sha256.Sum256(c.buf)
}
