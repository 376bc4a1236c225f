package wallet

import (
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// PSBTReview is what a person has to know of a PSBT before signing it or sending it. All of it
// follows from the packet and the wallet's accounts: no node is asked.
type PSBTReview struct {
	TxID     types.Hash    `json:"txid"`
	Inputs   []PSBTInput   `json:"inputs"`
	Outputs  []PSBTOutput  `json:"outputs"`
	Fee      *types.Amount `json:"fee,omitempty"` // nil if something that is spent is unknown
	VSize    int           `json:"vsize"`         // when it is signed, at most; 0 if that is not known
	Complete bool          `json:"complete"`      // it can be sent
	LockTime uint32        `json:"locktime"`
	Signers  []PSBTSigner  `json:"signers"`
	Problem  string        `json:"problem,omitempty"` // no transaction can come of it
}

// PSBTInput is a coin that is spent.
type PSBTInput struct {
	OutPoint types.OutPoint `json:"-"`
	Value    types.Amount   `json:"value"`
	Known    bool           `json:"known"` // the value, and who has the coin
	Account  string         `json:"account,omitempty"`
	Final    bool           `json:"final"`
	HashType byte           `json:"hash_type"`
	// The age that the coin must have before it can be spent (BIP68): blocks, or seconds.
	Blocks  uint16 `json:"relative_lock,omitempty"`
	Seconds uint32 `json:"relative_lock_seconds,omitempty"`
}

// PSBTOutput is what is paid.
type PSBTOutput struct {
	Address string       `json:"address"` // or the script in hexadecimal
	Value   types.Amount `json:"value"`
	Account string       `json:"account,omitempty"` // of this wallet, if it is paid
	Change  bool         `json:"change"`
	// Far is an account's place that no restore finds. What is paid there is not counted as
	// the wallet's.
	Far string `json:"far,omitempty"`
}

// PSBTSigner is a holder of keys, named by the fingerprint of the master key.
type PSBTSigner struct {
	Fingerprint string `json:"fingerprint"`
	Ours        bool   `json:"ours"`
	Wanted      int    `json:"wanted"` // in how many inputs
	Signed      int    `json:"signed"` // in how many of these
	Nonces      int    `json:"nonces"` // in how many a nonce was given
	Wrong       int    `json:"wrong"`  // in how many a part of a joint signature is wrong
}

// ReviewPSBT tells what a packet does. An output counts as the wallet's only if an account
// makes its script.
func (w *Wallet) ReviewPSBT(p *psbt.Packet) (*PSBTReview, error) {
	raw, err := p.AppendTo(nil)
	if err != nil {
		return nil, err
	}
	if p, err = psbt.Decode(raw); err != nil { // the caller's is not changed
		return nil, err
	}
	tx, err := p.UnsignedTx()
	if err != nil {
		return nil, err
	}
	a := p.Analyze(w.params.MaxMoney)
	r := &PSBTReview{TxID: tx.TxID(), Fee: a.Fee, LockTime: tx.LockTime, Problem: a.Error}
	weight, at := tx.StrippedSize()*types.WitnessScale+markerWeight, w.places()
	for i := range p.Inputs {
		in := PSBTInput{OutPoint: p.Inputs[i].PreviousOutPoint}
		utxo, known := p.Inputs[i].UTXO()
		in.Known, in.Value = known, utxo.Value
		in.Final = a.Error == "" && a.Inputs[i].IsFinal
		if in.HashType, err = p.Inputs[i].HashType(); err != nil {
			return nil, err
		}
		if tx.Version >= 2 {
			in.Blocks, in.Seconds = ageOf(tx.Inputs[i].Sequence)
		}
		witness := 0
		if id, ok := at.of(utxo.ScriptPubKey, p.Inputs[i].TapDerivations); ok {
			account := w.accounts[id.Account].account
			in.Account, witness = account.Name(), account.SpendWeight()
			if out, err := w.expand(id); err == nil && !in.Final {
				r.noteSigners(&p.Inputs[i], out)
			}
		}
		if len(p.Inputs[i].FinalWitness) > 0 {
			final := types.TxIn{Witness: p.Inputs[i].FinalWitness}
			witness = final.WitnessSize()
		}
		if weight += witness; witness == 0 {
			weight = -1 << 40
		}
		r.Inputs = append(r.Inputs, in)
	}
	r.VSize = max(0, virtualSize(weight))
	for i := range p.Outputs {
		r.Outputs = append(r.Outputs, w.reviewOutput(&p.Outputs[i], at))
	}
	if a.Error == "" {
		if r.Complete = p.Finalize(); !r.Complete {
			r.noteWrong(raw)
		}
	}
	for i := range r.Signers {
		r.Signers[i].Ours = r.Signers[i].Fingerprint == hex.EncodeToString(w.file.content.Header.Fingerprint)
	}
	return r, nil
}

// ageOf returns the age that a sequence asks for, of which one is 0 (BIP68).
func ageOf(sequence uint32) (blocks uint16, seconds uint32) {
	const disabled, inSeconds, granularity = 1 << 31, 1 << 22, 512
	switch {
	case sequence&disabled != 0:
		return 0, 0
	case sequence&inSeconds != 0:
		return 0, uint32(uint16(sequence)) * granularity
	}
	return uint16(sequence), 0
}

func (w *Wallet) reviewOutput(out *psbt.Output, at *places) PSBTOutput {
	o := PSBTOutput{Value: out.Value}
	var err error
	if o.Address, err = taproot.EncodeAddress(w.params.HRP, out.ScriptPubKey); err != nil {
		o.Address = fmt.Sprintf("script %x", out.ScriptPubKey)
	}
	id, ok := at.of(out.ScriptPubKey, out.TapDerivations)
	if !ok {
		return o
	}
	account := w.accounts[id.Account].account
	if w.isFar(id) {
		o.Far = fmt.Sprintf("%s %d/%d", account.Name(), id.Branch, id.Index)
	} else {
		o.Account, o.Change = account.Name(), id.Branch == account.changeBranch()
	}
	return o
}

// noteSigners notes whose keys an input asks for, and who has signed it.
func (r *PSBTReview) noteSigners(in *psbt.Input, out *descriptor.Output) {
	seen := map[[4]byte]int{} // places in Signers
	at := func(fingerprint [4]byte) *PSBTSigner {
		i, ok := seen[fingerprint]
		if !ok {
			text := hex.EncodeToString(fingerprint[:])
			if i = slices.IndexFunc(r.Signers, func(s PSBTSigner) bool { return s.Fingerprint == text }); i < 0 {
				i = len(r.Signers)
				r.Signers = append(r.Signers, PSBTSigner{Fingerprint: text})
			}
			seen[fingerprint] = i
			r.Signers[i].Wanted++
		}
		return &r.Signers[i]
	}
	signed, drawn := map[[4]byte]bool{}, map[[4]byte]bool{}
	for _, a := range out.Aggregates {
		for _, m := range a.Members {
			at(m.Fingerprint)
			signed[m.Fingerprint] = signed[m.Fingerprint] || slices.ContainsFunc(in.MuSigPartialSigs, func(s psbt.MuSigPartialSig) bool { return s.Participant == m.Public })
			drawn[m.Fingerprint] = drawn[m.Fingerprint] || slices.ContainsFunc(in.MuSigNonces, func(s psbt.MuSigNonce) bool { return s.Participant == m.Public })
		}
	}
	for i, key := range out.Keys {
		x := [32]byte(key.Public[1:])
		if aggregateOf(out, &key) != nil || isUnspendable(&key) {
			continue
		}
		at(key.Fingerprint)
		signed[key.Fingerprint] = signed[key.Fingerprint] || i == 0 && len(in.TapKeySig) > 0 ||
			slices.ContainsFunc(in.TapScriptSigs, func(s psbt.TapScriptSig) bool { return s.Key == x })
	}
	for fingerprint, i := range seen {
		if signed[fingerprint] {
			r.Signers[i].Signed++
		}
		if drawn[fingerprint] {
			r.Signers[i].Nonces++
		}
	}
}

// noteWrong notes who has given wrong parts of joint signatures: the whole would be wrong, and
// nobody would know whose fault it is.
// It takes the packet as it came: finalizing one makes whole signatures, right or wrong.
func (r *PSBTReview) noteWrong(raw []byte) {
	p, err := psbt.Decode(raw)
	if err != nil {
		return
	}
	s, err := psbt.NewSigning(p)
	if err != nil {
		return
	}
	for i := range p.Inputs {
		list, err := s.WantedMuSig(i)
		if err != nil {
			continue
		}
		for j := range list {
			for _, participant := range s.WrongPartials(&list[j]) {
				for k := range p.Inputs[i].TapDerivations {
					d := &p.Inputs[i].TapDerivations[k]
					if d.Key != [32]byte(participant[1:]) {
						continue
					}
					name := hex.EncodeToString(d.Origin.Fingerprint[:])
					if at := slices.IndexFunc(r.Signers, func(s PSBTSigner) bool { return s.Fingerprint == name }); at >= 0 {
						r.Signers[at].Wrong++
					}
				}
			}
		}
	}
}
