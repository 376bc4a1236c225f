package wallet

import (
	"bytes"
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
	used := map[uint32]bool{}
	learn := func(script []byte, derivations []psbt.TapDerivation, take func(*psbt.Spending)) error {
		id, ok := w.placeOf(script, derivations)
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

// maxPlaces bounds how many places are tried that a packet says a script has. Each takes a
// derivation in each account.
const maxPlaces = 16

// placeOf returns whose a script is: a place that is watched, or one that the origins of its
// keys say and that has this very script. So a machine that never sees the chain knows its
// own outputs, however far they are.
func (w *Wallet) placeOf(script []byte, derivations []psbt.TapDerivation) (KeyID, bool) {
	w.mu.Lock()
	id, ok := w.keys[string(script)]
	w.mu.Unlock()
	if ok {
		return id, true
	}
	tried := map[[2]uint32]bool{}
	for i := range derivations {
		path := derivations[i].Origin.Path
		if len(path) < 2 {
			continue
		}
		at := [2]uint32(path[len(path)-2:])
		if tried[at] || len(tried) >= maxPlaces || at[1] >= hardened(0) {
			continue
		}
		tried[at] = true
		for number, a := range w.accounts {
			for branch := range 2 { // the steps of a descriptor need not be 0 and 1
				found, err := a.account.Script(Branch(branch), at[1])
				if err == nil && bytes.Equal(found, script) {
					return KeyID{uint32(number), Branch(branch), at[1]}, true
				}
			}
		}
	}
	return KeyID{}, false
}
