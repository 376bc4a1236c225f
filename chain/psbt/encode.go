package psbt

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/karatcoin/karat/chain/types"
)

// writer appends fields.
type writer struct{ b []byte }

// field appends a field: its key of a type and more, and its value.
func (w *writer) field(kind byte, value []byte, key ...[]byte) {
	size := 1
	for _, part := range key {
		size += len(part)
	}
	w.b = append(types.AppendCompactSize(w.b, uint64(size)), kind)
	for _, part := range key {
		w.b = append(w.b, part...)
	}
	w.b = types.AppendVarBytes(w.b, value)
}

// filled appends a field unless its value is empty.
func (w *writer) filled(kind byte, value []byte) {
	if len(value) > 0 {
		w.field(kind, value)
	}
}

func (w *writer) number(kind byte, n *uint32) {
	if n != nil {
		w.field(kind, binary.LittleEndian.AppendUint32(nil, *n))
	}
}

func (w *writer) key(kind byte, key *[32]byte) {
	if key != nil && *key != [32]byte{} {
		w.field(kind, key[:])
	}
}

func (w *writer) carried(fields []Field) {
	for _, f := range fields {
		w.b = types.AppendVarBytes(types.AppendVarBytes(w.b, f.Key), f.Value)
	}
}

func (w *writer) separator() { w.b = append(w.b, 0) }

func (w *writer) derivations(kind byte, list []Derivation) {
	for i := range list {
		w.field(kind, list[i].Origin.appendTo(nil), list[i].PubKey)
	}
}

func (w *writer) tapDerivations(kind byte, list []TapDerivation) {
	for i := range list {
		d := &list[i]
		value := types.AppendCompactSize(nil, uint64(len(d.LeafHashes)))
		for _, hash := range d.LeafHashes {
			value = append(value, hash[:]...)
		}
		w.field(kind, d.Origin.appendTo(value), d.Key[:])
	}
}

func (w *writer) participants(kind byte, list []MuSigParticipants) {
	for i := range list {
		var value []byte
		for _, key := range list[i].Participants {
			value = append(value, key[:]...)
		}
		w.field(kind, value, list[i].Aggregate[:])
	}
}

// muSig appends a part of an aggregate signature. On the key path the leaf's hash is left
// out.
func (w *writer) muSig(kind byte, id *MuSigID, value []byte) {
	leaf := id.LeafHash[:]
	if id.LeafHash == [32]byte{} {
		leaf = nil
	}
	w.field(kind, value, id.Participant[:], id.Aggregate[:], leaf)
}

func (o *KeyOrigin) appendTo(b []byte) []byte {
	b = append(b, o.Fingerprint[:]...)
	for _, step := range o.Path {
		b = binary.LittleEndian.AppendUint32(b, step)
	}
	return b
}

// Base64 returns the PSBT as people pass it on.
func (p *Packet) Base64() (string, error) {
	raw, err := p.AppendTo(nil)
	return base64.StdEncoding.EncodeToString(raw), err
}

// AppendTo appends the PSBT. The fields are sorted before. It fails with ErrLockTimes if
// version 0 has to be written and there is no transaction.
func (p *Packet) AppendTo(b []byte) ([]byte, error) {
	p.sort()
	w := &writer{b: append(b, magic...)}
	if p.Version < 2 {
		tx, err := p.UnsignedTx()
		if err != nil {
			return nil, err
		}
		w.field(globalUnsignedTx, tx.AppendStripped(nil))
	}
	for i := range p.XPubs {
		w.field(globalXPub, p.XPubs[i].Origin.appendTo(nil), p.XPubs[i].Key[:])
	}
	if p.Version >= 2 {
		w.number(globalTxVersion, &p.TxVersion)
		w.number(globalFallbackLockTime, p.FallbackLockTime)
		w.field(globalInputCount, types.AppendCompactSize(nil, uint64(len(p.Inputs))))
		w.field(globalOutputCount, types.AppendCompactSize(nil, uint64(len(p.Outputs))))
		if p.Modifiable != nil {
			w.field(globalModifiable, []byte{*p.Modifiable})
		}
		w.number(globalVersion, &p.Version)
	}
	w.carried(p.Proprietary)
	w.carried(p.Unknown)
	w.separator()
	for i := range p.Inputs {
		w.input(&p.Inputs[i], p.Version)
	}
	for i := range p.Outputs {
		w.output(&p.Outputs[i], p.Version)
	}
	return w.b, nil
}

func (w *writer) input(in *Input, version uint32) {
	if in.NonWitnessUTXO != nil {
		w.field(inNonWitnessUTXO, in.NonWitnessUTXO.AppendStripped(nil))
	}
	if in.WitnessUTXO != nil {
		w.field(inWitnessUTXO, in.WitnessUTXO.AppendTo(nil))
	}
	if !in.IsFinal() {
		w.signing(in)
	}
	w.filled(inScriptSig, in.FinalScriptSig)
	if len(in.FinalWitness) > 0 {
		stack := types.AppendCompactSize(nil, uint64(len(in.FinalWitness)))
		for _, element := range in.FinalWitness {
			stack = types.AppendVarBytes(stack, element)
		}
		w.field(inScriptWitness, stack)
	}
	if version >= 2 {
		w.field(inPreviousTxID, in.PreviousOutPoint.TxID[:])
		w.number(inOutputIndex, &in.PreviousOutPoint.Index)
		w.number(inSequence, in.Sequence)
		w.number(inMinTime, in.MinTime)
		w.number(inMinHeight, in.MinHeight)
	}
	w.carried(in.Proprietary)
	w.carried(in.Unknown)
	w.separator()
}

// signing appends what helps to sign.
func (w *writer) signing(in *Input) {
	for i := range in.PartialSigs {
		w.field(inPartialSig, in.PartialSigs[i].Signature, in.PartialSigs[i].PubKey)
	}
	w.number(inSighash, in.SighashType)
	w.filled(inRedeemScript, in.RedeemScript)
	w.filled(inWitnessScript, in.WitnessScript)
	w.derivations(inDerivation, in.Derivations)
	for kind := range in.Preimages {
		for _, p := range in.Preimages[kind] {
			w.field(inRIPEMD160+byte(kind), p.Preimage, p.Hash)
		}
	}
	w.filled(inTapKeySig, in.TapKeySig)
	for i := range in.TapScriptSigs {
		s := &in.TapScriptSigs[i]
		w.field(inTapScriptSig, s.Signature, s.Key[:], s.LeafHash[:])
	}
	for i := range in.TapScripts {
		leaf := &in.TapScripts[i]
		value := append(leaf.Script[:len(leaf.Script):len(leaf.Script)], leaf.LeafVersion)
		for _, block := range leaf.ControlBlocks {
			w.field(inTapLeafScript, value, block)
		}
	}
	w.tapDerivations(inTapDerivation, in.TapDerivations)
	w.key(inTapInternalKey, in.TapInternalKey)
	w.key(inTapMerkleRoot, in.TapMerkleRoot)
	w.participants(inMuSigParticipants, in.MuSigParticipants)
	for i := range in.MuSigNonces {
		w.muSig(inMuSigNonce, &in.MuSigNonces[i].MuSigID, in.MuSigNonces[i].Nonce[:])
	}
	for i := range in.MuSigPartialSigs {
		w.muSig(inMuSigPartialSig, &in.MuSigPartialSigs[i].MuSigID, in.MuSigPartialSigs[i].Signature[:])
	}
}

func (w *writer) output(out *Output, version uint32) {
	w.filled(outRedeemScript, out.RedeemScript)
	w.filled(outWitnessScript, out.WitnessScript)
	w.derivations(outDerivation, out.Derivations)
	if version >= 2 {
		w.field(outAmount, binary.LittleEndian.AppendUint64(nil, uint64(out.Value)))
		w.field(outScript, out.ScriptPubKey)
	}
	w.carried(out.Proprietary)
	w.key(outTapInternalKey, out.TapInternalKey)
	var tree []byte
	for _, leaf := range out.TapTree {
		tree = types.AppendVarBytes(append(tree, leaf.Depth, leaf.LeafVersion), leaf.Script)
	}
	w.filled(outTapTree, tree)
	w.tapDerivations(outTapDerivation, out.TapDerivations)
	w.participants(outMuSigParticipants, out.MuSigParticipants)
	w.carried(out.Unknown)
	w.separator()
}
