package rpc

import (
	"encoding/hex"

	"github.com/btcsuite/btcd/address/v2/base58"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// objectWriter writes the members of an object one after the other. Names need no escapes.
type objectWriter struct {
	w     *jsonWriter
	begun bool
}

// member begins a member, whose value comes next.
func (o *objectWriter) member(name string) *jsonWriter {
	if o.begun {
		o.w.raw(`,"`)
	} else {
		o.w.raw(`{"`)
	}
	o.begun = true
	o.w.raw(name)
	o.w.raw(`":`)
	return o.w
}

func (o *objectWriter) end() {
	if !o.begun {
		o.w.raw("{")
	}
	o.w.raw("}")
	_ = o.w.spill() // the error stays in the writer
}

func (o *objectWriter) hex(name string, value []byte) {
	o.member(name).quoted(value)
}

func (o *objectWriter) text(name, value string) {
	o.member(name).raw(`"` + value + `"`)
}

func (o *objectWriter) number(name string, n uint64) { o.member(name).uint(n) }

// optional writes a number that may be missing.
func (o *objectWriter) optional(name string, n *uint32) {
	if n != nil {
		o.number(name, uint64(*n))
	}
}

func (o *objectWriter) key(name string, key *[32]byte) {
	if key != nil {
		o.hex(name, key[:])
	}
}

// quoted writes bytes as a text of hexadecimal.
func (w *jsonWriter) quoted(value []byte) {
	w.raw(`"`)
	w.hex(value)
	w.raw(`"`)
}

// writeList writes a list of objects, or of what each writes.
func writeList[T any](w *jsonWriter, list []T, each func(w *jsonWriter, item *T)) {
	w.raw("[")
	for i := range list {
		if i > 0 {
			w.raw(",")
		}
		each(w, &list[i])
		_ = w.spill()
	}
	w.raw("]")
}

// someList writes a member that is a list, unless it is empty.
func someList[T any](o *objectWriter, name string, list []T, each func(w *jsonWriter, item *T)) {
	if len(list) > 0 {
		writeList(o.member(name), list, each)
	}
}

func writeBytes(w *jsonWriter, item *[]byte)        { w.quoted(*item) }
func writeKey32(w *jsonWriter, item *[32]byte)      { w.quoted(item[:]) }
func writeCompressed(w *jsonWriter, item *[33]byte) { w.quoted(item[:]) }

// psbtJSON is what decodepsbt tells of a PSBT, in Core's order.
type psbtJSON struct {
	s *Server
	p *psbt.Packet
}

// writeJSON writes it. A PSBT may hold thousands of whole transactions.
func (j psbtJSON) writeJSON(w *jsonWriter) error {
	p, o := j.p, objectWriter{w: w}
	if p.Version < 2 {
		tx, err := p.UnsignedTx()
		if err != nil {
			return err
		}
		if err := o.member("tx").value(j.s.txJSON(tx, false)); err != nil {
			return err
		}
	}
	writeList(o.member("global_xpubs"), p.XPubs, writeXPub)
	if p.Version >= 2 {
		o.number("tx_version", uint64(p.TxVersion))
		o.optional("fallback_locktime", p.FallbackLockTime)
		o.number("input_count", uint64(len(p.Inputs)))
		o.number("output_count", uint64(len(p.Outputs)))
		if p.Modifiable != nil {
			o.member("inputs_modifiable").bool(*p.Modifiable&psbt.InputsModifiable != 0)
			o.member("outputs_modifiable").bool(*p.Modifiable&psbt.OutputsModifiable != 0)
			o.member("has_sighash_single").bool(*p.Modifiable&psbt.HasSighashSingle != 0)
		}
	}
	o.number("psbt_version", uint64(p.Version))
	writeList(o.member("proprietary"), p.Proprietary, writeProprietary)
	writeUnknown(o.member("unknown"), p.Unknown)
	var fault error
	writeList(o.member("inputs"), p.Inputs, func(w *jsonWriter, in *psbt.Input) {
		if err := j.writeInput(w, in); err != nil {
			fault = err
		}
	})
	writeList(o.member("outputs"), p.Outputs, func(w *jsonWriter, out *psbt.Output) {
		if err := j.writeOutput(w, out); err != nil {
			fault = err
		}
	})
	if fee, ok := j.fee(); ok {
		o.member("fee").amount(fee)
	}
	o.end()
	if fault != nil {
		return fault
	}
	return w.spill()
}

// fee is known if all outputs that are spent are, and no amount is impossible.
func (j psbtJSON) fee() (fee types.Amount, ok bool) {
	within := func(sum *types.Amount, value types.Amount) bool {
		if value < 0 || value > j.s.Params.MaxMoney || *sum > j.s.Params.MaxMoney-value {
			return false
		}
		*sum += value
		return true
	}
	var spent, paid types.Amount
	for i := range j.p.Inputs {
		utxo, known := j.p.Inputs[i].UTXO()
		if !known || !within(&spent, utxo.Value) {
			return 0, false
		}
	}
	for i := range j.p.Outputs {
		if !within(&paid, j.p.Outputs[i].Value) {
			return 0, false
		}
	}
	return spent - paid, true
}

func writeXPub(w *jsonWriter, x *psbt.XPub) {
	o := objectWriter{w: w}
	o.text("xpub", base58.CheckEncode(x.Key[1:], x.Key[0]))
	writeOrigin(&o, &x.Origin)
	o.end()
}

func writeOrigin(o *objectWriter, origin *psbt.KeyOrigin) {
	const hardened = 1 << 31
	o.hex("master_fingerprint", origin.Fingerprint[:])
	w := o.member("path")
	w.raw(`"m`)
	for _, step := range origin.Path {
		w.raw("/")
		w.uint(uint64(step &^ hardened))
		if step&hardened != 0 {
			w.raw("h")
		}
	}
	w.raw(`"`)
}

func writeProprietary(w *jsonWriter, f *psbt.Field) {
	identifier, subtype, _, _ := f.Split()
	o := objectWriter{w: w}
	o.hex("identifier", identifier)
	o.number("subtype", subtype)
	o.hex("key", f.Key)
	o.hex("value", f.Value)
	o.end()
}

func writeUnknown(w *jsonWriter, fields []psbt.Field) {
	o := objectWriter{w: w}
	for _, f := range fields {
		o.hex(hex.EncodeToString(f.Key), f.Value)
		_ = w.spill()
	}
	o.end()
}

// writeInner writes a script that is no output's.
func writeInner(o *objectWriter, name string, script []byte) {
	if len(script) == 0 {
		return
	}
	inner := objectWriter{w: o.member(name)}
	inner.member("asm").raw(`"`)
	inner.w.asm(script, false)
	inner.w.raw(`"`)
	inner.hex("hex", script)
	inner.text("type", scriptType(script))
	inner.end()
}

func writeDerivation(w *jsonWriter, d *psbt.Derivation) {
	o := objectWriter{w: w}
	o.hex("pubkey", d.PubKey)
	writeOrigin(&o, &d.Origin)
	o.end()
}

func writeTapDerivation(w *jsonWriter, d *psbt.TapDerivation) {
	o := objectWriter{w: w}
	o.hex("pubkey", d.Key[:])
	writeOrigin(&o, &d.Origin)
	writeList(o.member("leaf_hashes"), d.LeafHashes, writeKey32)
	o.end()
}

func writeParticipants(w *jsonWriter, m *psbt.MuSigParticipants) {
	o := objectWriter{w: w}
	o.hex("aggregate_pubkey", m.Aggregate[:])
	writeList(o.member("participant_pubkeys"), m.Participants, writeCompressed)
	o.end()
}

func writeMuSig(w *jsonWriter, id *psbt.MuSigID, name string, value []byte) {
	o := objectWriter{w: w}
	o.hex("participant_pubkey", id.Participant[:])
	o.hex("aggregate_pubkey", id.Aggregate[:])
	if id.LeafHash != [32]byte{} {
		o.hex("leaf_hash", id.LeafHash[:])
	}
	o.hex(name, value)
	o.end()
}

// writeEnd writes what every map can have at its end.
func writeEnd(o *objectWriter, proprietary, unknown []psbt.Field) {
	someList(o, "proprietary", proprietary, writeProprietary)
	if len(unknown) > 0 {
		writeUnknown(o.member("unknown"), unknown)
	}
	o.end()
}

func (j psbtJSON) writeOutput(w *jsonWriter, out *psbt.Output) error {
	o := objectWriter{w: w}
	writeInner(&o, "redeem_script", out.RedeemScript)
	writeInner(&o, "witness_script", out.WitnessScript)
	someList(&o, "bip32_derivs", out.Derivations, writeDerivation)
	if j.p.Version >= 2 {
		o.member("amount").amount(out.Value)
		if err := o.member("script").value(j.s.scriptJSON(out.ScriptPubKey)); err != nil {
			return err
		}
	}
	o.key("taproot_internal_key", out.TapInternalKey)
	someList(&o, "taproot_tree", out.TapTree, func(w *jsonWriter, leaf *psbt.TapTreeLeaf) {
		o := objectWriter{w: w}
		o.number("depth", uint64(leaf.Depth))
		o.number("leaf_ver", uint64(leaf.LeafVersion))
		o.hex("script", leaf.Script)
		o.end()
	})
	someList(&o, "taproot_bip32_derivs", out.TapDerivations, writeTapDerivation)
	someList(&o, "musig2_participant_pubkeys", out.MuSigParticipants, writeParticipants)
	writeEnd(&o, out.Proprietary, out.Unknown)
	return nil
}

// sighashName is Bitcoin Core's name of a hash type, empty for one that has none.
func sighashName(hashType byte) string {
	names := [...]string{"", "ALL", "NONE", "SINGLE"}
	outputs := int(hashType &^ taproot.SigHashAnyoneCanPay)
	if outputs == 0 || outputs >= len(names) {
		return ""
	}
	if hashType&taproot.SigHashAnyoneCanPay != 0 {
		return names[outputs] + "|ANYONECANPAY"
	}
	return names[outputs]
}
