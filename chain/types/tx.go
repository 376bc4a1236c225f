package types

import (
	"encoding/binary"
	"fmt"
)

// WitnessScale is the factor by which a byte outside of the witnesses weighs more than
// one inside (BIP141).
const WitnessScale = 4

// The least number of bytes that an element takes in an encoding. They bound the
// lists that a decoder allocates.
const (
	minTxInSize  = HashSize + 4 + 1 + 4
	minTxOutSize = 8 + 1
	minTxSize    = 4 + 1 + 1 + 4
)

// OutPoint names one output of a transaction.
type OutPoint struct {
	TxID  Hash
	Index uint32
}

// NullIndex is the output index of the outpoint that a coinbase spends.
const NullIndex = 0xffffffff

// IsNull reports whether the outpoint names no output, as a coinbase's does.
func (o OutPoint) IsNull() bool { return o.Index == NullIndex && o.TxID.IsZero() }

// String returns "txid:index".
func (o OutPoint) String() string { return fmt.Sprintf("%s:%d", o.TxID, o.Index) }

// TxIn is an input: the output that it spends and what unlocks it.
type TxIn struct {
	PreviousOutPoint OutPoint
	ScriptSig        []byte   // empty in all but coinbases
	Sequence         uint32   // a relative lock, see SequenceLockMask
	Witness          [][]byte // stack elements, bottom first
}

// TxOut is an output: an amount and the script that locks it.
type TxOut struct {
	Value        Amount
	ScriptPubKey []byte
}

// Tx is a transaction.
type Tx struct {
	Version  uint32 // unsigned, as BIP68 compares it
	Inputs   []TxIn
	Outputs  []TxOut
	LockTime uint32 // a height or a time, see LockTimeThreshold
}

// IsCoinbase reports whether the transaction has the form of a coinbase: its one input
// spends the null outpoint. Whether it stands where a coinbase must is for the rules.
func (t *Tx) IsCoinbase() bool {
	return len(t.Inputs) == 1 && t.Inputs[0].PreviousOutPoint.IsNull()
}

// HasWitness reports whether any input has a witness. If so, the encoding is BIP144's.
func (t *Tx) HasWitness() bool {
	for i := range t.Inputs {
		if len(t.Inputs[i].Witness) > 0 {
			return true
		}
	}
	return false
}

// TxID returns the double SHA-256 of the encoding without witnesses, by which outputs
// are spent. So nobody can give a transaction another id by changing a witness.
func (t *Tx) TxID() Hash { return DoubleSHA256(t.AppendStripped(make([]byte, 0, t.StrippedSize()))) }

// WTxID returns the double SHA-256 of the whole encoding (BIP141). Nodes speak of waiting
// transactions by it (BIP339), since a spoilt witness does not spoil the right one's.
func (t *Tx) WTxID() Hash { return DoubleSHA256(t.AppendTo(make([]byte, 0, t.Size()))) }

// AppendTo appends the encoding of the transaction. It is BIP144's if any input has a
// witness, and the older one if none has.
func (t *Tx) AppendTo(b []byte) []byte {
	if !t.HasWitness() {
		return t.AppendStripped(b)
	}
	b = binary.LittleEndian.AppendUint32(b, t.Version)
	b = append(b, 0, 1) // BIP144 marker and flag
	b = t.appendBody(b)
	for i := range t.Inputs {
		witness := t.Inputs[i].Witness
		b = AppendCompactSize(b, uint64(len(witness)))
		for _, element := range witness {
			b = AppendVarBytes(b, element)
		}
	}
	return binary.LittleEndian.AppendUint32(b, t.LockTime)
}

// AppendStripped appends the encoding without witnesses, whose hash is the
// transaction's id.
func (t *Tx) AppendStripped(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, t.Version)
	b = t.appendBody(b)
	return binary.LittleEndian.AppendUint32(b, t.LockTime)
}

func (t *Tx) appendBody(b []byte) []byte {
	b = AppendCompactSize(b, uint64(len(t.Inputs)))
	for i := range t.Inputs {
		in := &t.Inputs[i]
		b = append(b, in.PreviousOutPoint.TxID[:]...)
		b = binary.LittleEndian.AppendUint32(b, in.PreviousOutPoint.Index)
		b = AppendVarBytes(b, in.ScriptSig)
		b = binary.LittleEndian.AppendUint32(b, in.Sequence)
	}
	b = AppendCompactSize(b, uint64(len(t.Outputs)))
	for i := range t.Outputs {
		b = t.Outputs[i].AppendTo(b)
	}
	return b
}

// AppendTo appends the encoding of the output: the value in eight bytes, then the
// script behind its length.
func (o *TxOut) AppendTo(b []byte) []byte {
	return AppendVarBytes(binary.LittleEndian.AppendUint64(b, uint64(o.Value)), o.ScriptPubKey)
}

// StrippedSize returns the bytes of the encoding without witnesses.
func (t *Tx) StrippedSize() int {
	size := 8 + CompactSizeLen(uint64(len(t.Inputs))) + CompactSizeLen(uint64(len(t.Outputs)))
	for i := range t.Inputs {
		size += HashSize + 4 + varBytesLen(t.Inputs[i].ScriptSig) + 4
	}
	for i := range t.Outputs {
		size += 8 + varBytesLen(t.Outputs[i].ScriptPubKey)
	}
	return size
}

// Size returns the bytes of the whole encoding, without making it.
func (t *Tx) Size() int {
	size := t.StrippedSize()
	if !t.HasWitness() {
		return size
	}
	size += 2
	for i := range t.Inputs {
		size += t.Inputs[i].WitnessSize()
	}
	return size
}

// WitnessSize returns the bytes of the input's witness in an encoding. The number of its
// elements is among them, and takes a byte even if there are none.
func (in *TxIn) WitnessSize() int {
	size := CompactSizeLen(uint64(len(in.Witness)))
	for _, element := range in.Witness {
		size += varBytesLen(element)
	}
	return size
}

// Weight returns the weight in weight units (BIP141): three times the size without
// witnesses, plus the whole size.
func (t *Tx) Weight() int { return t.StrippedSize()*(WitnessScale-1) + t.Size() }

// VirtualSize returns the weight in virtual bytes, rounded up (BIP141).
func (t *Tx) VirtualSize() int { return (t.Weight() + WitnessScale - 1) / WitnessScale }

// DecodeTx reads one transaction, in BIP144's encoding or the older one. All of b must
// be used. The transaction refers to b, which must not change afterwards.
func DecodeTx(b []byte) (*Tx, error) {
	d := NewDecoder(b)
	var t Tx
	d.tx(&t)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	return &t, nil
}

// DecodeStrippedTx reads one transaction in the older encoding, which has no witnesses.
// So one without inputs can be read, which BIP144's encoding takes for a marker. All of b
// must be used, and must not change afterwards.
func DecodeStrippedTx(b []byte) (*Tx, error) {
	d := NewDecoder(b)
	var t Tx
	d.StrippedTx(&t)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	return &t, nil
}

// StrippedTx reads a transaction as DecodeStrippedTx does, with whatever behind it.
func (d *Decoder) StrippedTx(t *Tx) {
	t.Version = d.Uint32()
	d.inputs(t)
	d.outputs(t)
	t.LockTime = d.Uint32()
}

// BoundedTx reads a transaction as DecodeTx does, with whatever behind it. More elements of
// witnesses than maxElements are a failure before anything is allocated for them: one of
// a byte takes 24 in memory.
func (d *Decoder) BoundedTx(t *Tx, maxElements int) {
	d.maxElements = maxElements
	d.tx(t)
	d.maxElements = 0
}

// tx reads a transaction as Bitcoin Core does. Where the number of inputs should stand,
// BIP144 has a zero, and a flag behind it. A flag must bring at least one witness, or
// the transaction would have two encodings.
func (d *Decoder) tx(t *Tx) {
	t.Version = d.Uint32()
	d.inputs(t)
	flag := byte(0)
	if len(t.Inputs) == 0 && d.err == nil {
		if flag = d.Uint8(); flag != 0 {
			d.inputs(t)
			d.outputs(t)
		}
	} else {
		d.outputs(t)
	}
	switch flag {
	case 0:
	case 1:
		d.witnesses(t)
	default:
		d.Fail("unknown transaction flag %d", flag)
	}
	t.LockTime = d.Uint32()
}

func (d *Decoder) inputs(t *Tx) {
	n := d.Count(minTxInSize)
	if n == 0 {
		return
	}
	t.Inputs = d.inputSlab.take(n)
	for i := range t.Inputs {
		in := &t.Inputs[i]
		in.PreviousOutPoint.TxID = d.Hash()
		in.PreviousOutPoint.Index = d.Uint32()
		in.ScriptSig = d.VarBytes()
		in.Sequence = d.Uint32()
	}
}

func (d *Decoder) outputs(t *Tx) {
	n := d.Count(minTxOutSize)
	if n == 0 {
		return
	}
	t.Outputs = d.outputSlab.take(n)
	for i := range t.Outputs {
		d.txOut(&t.Outputs[i])
	}
}

func (d *Decoder) txOut(out *TxOut) {
	out.Value = Amount(d.Uint64())
	out.ScriptPubKey = d.VarBytes()
}

// witnesses reads the witnesses of all inputs into one slice. An empty element takes one
// byte of input and a slice header takes 24 of memory. So the elements are found and
// counted before anything is allocated for them.
func (d *Decoder) witnesses(t *Tx) {
	start, total := d.off, 0
	for range t.Inputs {
		n := d.Count(1)
		for range n {
			d.VarBytes()
		}
		total += n
	}
	if d.err != nil {
		return
	}
	if total == 0 {
		d.Fail("superfluous witness record")
		return
	}
	if d.maxElements > 0 && total > d.maxElements {
		d.Fail("more than %d elements of witnesses", d.maxElements)
		return
	}
	d.off = start
	elements := d.elementSlab.take(total)
	for i := range t.Inputs {
		n := d.Count(1)
		if n == 0 {
			continue
		}
		for j := range n {
			elements[j] = d.VarBytes()
		}
		t.Inputs[i].Witness, elements = elements[:n:n], elements[n:]
	}
}
