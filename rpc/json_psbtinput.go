package rpc

import (
	"encoding/hex"

	"github.com/karatcoin/karat/chain/psbt"
)

// writeInput writes an input, in Core's order.
func (j psbtJSON) writeInput(w *jsonWriter, in *psbt.Input) error {
	o := objectWriter{w: w}
	if utxo := in.WitnessUTXO; utxo != nil {
		out := objectWriter{w: o.member("witness_utxo")}
		out.member("amount").amount(utxo.Value)
		if err := out.member("scriptPubKey").value(j.s.scriptJSON(utxo.ScriptPubKey)); err != nil {
			return err
		}
		out.end()
	}
	if tx := in.NonWitnessUTXO; tx != nil {
		if err := o.member("non_witness_utxo").value(j.s.txJSON(tx, false)); err != nil {
			return err
		}
	}
	writeOlder(&o, in)
	if j.p.Version >= 2 {
		o.text("previous_txid", in.PreviousOutPoint.TxID.String())
		o.number("previous_vout", uint64(in.PreviousOutPoint.Index))
		o.optional("sequence", in.Sequence)
		o.optional("time_locktime", in.MinTime)
		o.optional("height_locktime", in.MinHeight)
	}
	writeTaproot(&o, in)
	someList(&o, "musig2_participant_pubkeys", in.MuSigParticipants, writeParticipants)
	someList(&o, "musig2_pubnonces", in.MuSigNonces, func(w *jsonWriter, n *psbt.MuSigNonce) {
		writeMuSig(w, &n.MuSigID, "pubnonce", n.Nonce[:])
	})
	someList(&o, "musig2_partial_sigs", in.MuSigPartialSigs, func(w *jsonWriter, p *psbt.MuSigPartialSig) {
		writeMuSig(w, &p.MuSigID, "partial_sig", p.Signature[:])
	})
	writeEnd(&o, in.Proprietary, in.Unknown)
	return nil
}

// writeOlder writes the fields of BIP174 besides the outputs that are spent.
func writeOlder(o *objectWriter, in *psbt.Input) {
	if len(in.PartialSigs) > 0 {
		sigs := objectWriter{w: o.member("partial_signatures")}
		for i := range in.PartialSigs {
			sigs.hex(hex.EncodeToString(in.PartialSigs[i].PubKey), in.PartialSigs[i].Signature)
		}
		sigs.end()
	}
	if in.SighashType != nil {
		o.text("sighash", sighashName(byte(*in.SighashType)))
	}
	writeInner(o, "redeem_script", in.RedeemScript)
	writeInner(o, "witness_script", in.WitnessScript)
	someList(o, "bip32_derivs", in.Derivations, writeDerivation)
	if script := in.FinalScriptSig; len(script) > 0 {
		sig := objectWriter{w: o.member("final_scriptSig")}
		sig.member("asm").raw(`"`)
		sig.w.asm(script, true)
		sig.w.raw(`"`)
		sig.hex("hex", script)
		sig.end()
	}
	someList(o, "final_scriptwitness", in.FinalWitness, writeBytes)
	for kind, name := range [...]string{
		psbt.RIPEMD160: "ripemd160_preimages", psbt.SHA256: "sha256_preimages", psbt.Hash160: "hash160_preimages", psbt.Hash256: "hash256_preimages",
	} {
		if len(in.Preimages[kind]) == 0 {
			continue
		}
		preimages := objectWriter{w: o.member(name)}
		for _, p := range in.Preimages[kind] {
			preimages.hex(hex.EncodeToString(p.Hash), p.Preimage)
		}
		preimages.end()
	}
}

// writeTaproot writes the fields of BIP371.
func writeTaproot(o *objectWriter, in *psbt.Input) {
	if len(in.TapKeySig) > 0 {
		o.hex("taproot_key_path_sig", in.TapKeySig)
	}
	someList(o, "taproot_script_path_sigs", in.TapScriptSigs, func(w *jsonWriter, sig *psbt.TapScriptSig) {
		o := objectWriter{w: w}
		o.hex("pubkey", sig.Key[:])
		o.hex("leaf_hash", sig.LeafHash[:])
		o.hex("sig", sig.Signature)
		o.end()
	})
	someList(o, "taproot_scripts", in.TapScripts, func(w *jsonWriter, leaf *psbt.TapScript) {
		o := objectWriter{w: w}
		o.hex("script", leaf.Script)
		o.number("leaf_ver", uint64(leaf.LeafVersion))
		writeList(o.member("control_blocks"), leaf.ControlBlocks, writeBytes)
		o.end()
	})
	someList(o, "taproot_bip32_derivs", in.TapDerivations, writeTapDerivation)
	o.key("taproot_internal_key", in.TapInternalKey)
	o.key("taproot_merkle_root", in.TapMerkleRoot)
}
