package taproot

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/karatcoin/karat/chain/types"
)

// The hash types of BIP341 say which parts of the transaction a signature signs. A
// signature of 64 bytes has SigHashDefault. Any other type is its 65th byte.
const (
	SigHashDefault      = 0x00 // all, in the shorter form
	SigHashAll          = 0x01 // all inputs and outputs
	SigHashNone         = 0x02 // no output
	SigHashSingle       = 0x03 // the output with the input's index
	SigHashAnyoneCanPay = 0x80 // no other input; added to one of the three above

	sigHashOutputMask = 0x03
)

// NoCodeSeparator is the position that a signature message states when no
// OP_CODESEPARATOR was executed (BIP342).
const NoCodeSeparator = 0xffffffff

// Context verifies the inputs of one transaction. It keeps what their signature
// messages share: hashes of all inputs and of all outputs. Each is computed once, and
// only if a signature asks for it, so a transaction of many inputs takes linear time.
// It also keeps the interpreter's memory. One goroutine at a time may use a Context;
// a transaction may be verified through several.
type Context struct {
	tx       *types.Tx
	prevouts []types.TxOut

	hasInputs, hasOutputs                  bool // whether the hashes below are those of tx
	outPoints, amounts, scripts, sequences [32]byte
	outputs                                [32]byte
	single                                 [32]byte // the hash of one output
	singleOf                               int      // its index, -1 for none

	buf []byte // scratch for messages
	// message and tweak are handed to a Claims, which is an interface. As local
	// variables they would be allocated for each signature.
	message [32]byte
	tweak   [32]byte

	spend spend
	vm    machine
}

// ScriptPath is what a signature message in a script states and that of the key path
// does not (BIP342's extension, key version 0).
type ScriptPath struct {
	LeafHash [32]byte
	// CodeSeparator is the position of the last executed OP_CODESEPARATOR,
	// counted in opcodes, or NoCodeSeparator.
	CodeSeparator uint32
}

// NewContext returns a context of a transaction. The prevouts are the outputs that its
// inputs spend, in the order of the inputs. Neither may change while the context is in
// use.
func NewContext(tx *types.Tx, prevouts []types.TxOut) *Context {
	c := new(Context)
	c.Reset(tx, prevouts)
	return c
}

// Reset makes the context one of another transaction, as NewContext does. It keeps the
// memory, so that a block of thousands of transactions is verified in that of one.
func (c *Context) Reset(tx *types.Tx, prevouts []types.TxOut) {
	c.tx, c.prevouts = tx, prevouts
	c.hasInputs, c.hasOutputs, c.singleOf = false, false, -1
	c.vm.work = Work{}
}

// Work returns what the scripts of the transaction have cost since the last Reset.
func (c *Context) Work() Work { return c.vm.work }

// SignatureHash returns the message that a BIP340 signature of an input signs (BIP341).
// The annex begins with AnnexTag, and is nil if the witness has none. The path is nil
// for the key path. It fails with a *ScriptError if the hash type is none of BIP341's,
// or if it is SigHashSingle and there is no output with the input's index. If the
// transaction has no such input, it fails with ErrContext.
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

// hashForSignature puts the hash of the signature message into c.message. It reports
// false if the hash type does not allow one. The fields have BIP341's order.
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
	// The shared hashes were made in the scratch buffer. From here on it is free.
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

// appendOwnInput appends the part of the message that is about the signed input. With
// SigHashAnyoneCanPay the input stands in it by itself. Otherwise its index will do,
// as the hashes of all inputs are in the message already.
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

// hashInputs makes the four hashes that cover all inputs. The amounts and the scripts
// of the prevouts are among them, so a signer who is told wrong ones makes a worthless
// signature instead of paying a fee that nobody meant.
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

// hashSingle hashes one output and keeps the hash. The output may be large, and a script
// may ask for it in each of thousands of signatures.
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
