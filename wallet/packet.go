package wallet

import (
	"slices"

	"github.com/btcsuite/btcd/address/v2/base58"

	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/types"
)

// Packet makes a PSBT of a draft, of version 2, with all that signers need who have nothing
// but their words and the descriptor: what is spent, the keys with their origins, the
// scripts and the participants of aggregate keys, also of the outputs that come back
// (BIP371, BIP373), and the extended keys of the accounts.
func (w *Wallet) Packet(d *Draft) (*psbt.Packet, error) {
	p := psbt.New(d.Tx, 2)
	for i := range d.Inputs {
		p.Inputs[i].WitnessUTXO = &types.TxOut{Value: d.Inputs[i].Value, ScriptPubKey: d.Inputs[i].ScriptPubKey}
	}
	return p, w.Update(p)
}

// Update adds to a packet what the wallet knows of its inputs and outputs: the updater's part
// (BIP174).
func (w *Wallet) Update(p *psbt.Packet) error {
	used, at := map[uint32]bool{}, w.places()
	learn := func(script []byte, derivations []psbt.TapDerivation, take func(*psbt.Spending)) error {
		id, ok := at.of(script, derivations)
		if !ok {
			return nil
		}
		out, err := w.expand(id)
		if err != nil {
			return err
		}
		used[id.Account] = true
		take(psbt.SpendingOf(out))
		return nil
	}
	for i := range p.Inputs {
		in := &p.Inputs[i]
		if utxo, ok := in.UTXO(); ok && !in.IsFinal() {
			if err := learn(utxo.ScriptPubKey, in.TapDerivations, in.Learn); err != nil {
				return err
			}
		}
	}
	for i := range p.Outputs {
		out := &p.Outputs[i]
		if err := learn(out.ScriptPubKey, out.TapDerivations, out.Learn); err != nil {
			return err
		}
	}
	for number := range used {
		for _, x := range w.extendedKeys(number) {
			if !slices.ContainsFunc(p.XPubs, func(y psbt.XPub) bool { return y.Key == x.Key }) {
				p.XPubs = append(p.XPubs, x)
			}
		}
	}
	raw, err := p.AppendTo(nil) // which sorts the fields, and shows that others can read them
	if err != nil {
		return err
	}
	again, err := psbt.Decode(raw)
	if err == nil {
		*p = *again
	}
	return err
}

// extendedKeys returns the extended keys of an account that have an origin.
func (w *Wallet) extendedKeys(account uint32) (list []psbt.XPub) {
	for _, o := range w.accounts[account].account.whole.Origins() {
		const checksum, depthAt = 4, 4
		raw := base58.Decode(o.Extended)
		if len(raw) != 78+checksum || int(raw[depthAt]) != len(o.Path) {
			continue
		}
		list = append(list, psbt.XPub{Key: [78]byte(raw[:78]), Origin: psbt.KeyOrigin{Fingerprint: o.Fingerprint, Path: o.Path}})
	}
	return list
}

func (w *Wallet) expand(id KeyID) (*descriptor.Output, error) {
	out, err := w.accounts[id.Account].account.Expand(id.Branch, id.Index)
	return &out, err
}
