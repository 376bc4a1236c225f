package message

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// globalMessage is the type of the field by which a PSBT says that it is of a message, and
// of which (PSBT_GLOBAL_GENERIC_SIGNED_MESSAGE).
const globalMessage = 0x09

// Packet makes the PSBT by which several sign a message together: ToSign, with coins behind
// it for a proof of funds, and all that it spends.
func Packet(toSign *types.Tx, spent []types.TxOut, text []byte) *psbt.Packet {
	p := psbt.New(toSign, 0)
	for i := range p.Inputs {
		p.Inputs[i].WitnessUTXO = &spent[i]
	}
	p.Unknown = append(p.Unknown, psbt.Field{Key: []byte{globalMessage}, Value: text})
	return p
}

// FromPacket returns what is signed by a PSBT, and by whose script, if it is of a message: its
// first input spends what ToSpend makes of them, so that what is shown is what is signed. Any
// other is a payment. So is one that asks for signatures of less than everything: those of
// coins beside the message could be put into another transaction.
func FromPacket(p *psbt.Packet) (scriptPubKey, text []byte, ok bool) {
	for _, field := range p.Unknown {
		if !bytes.Equal(field.Key, []byte{globalMessage}) || len(p.Inputs) == 0 {
			continue
		}
		spent, known := p.Inputs[0].UTXO()
		tx, err := p.UnsignedTx()
		if known && err == nil && spent.Value == 0 && signsAll(p) && checkForm(tx, ToSpend(spent.ScriptPubKey, field.Value)) == nil {
			return spent.ScriptPubKey, field.Value, true
		}
	}
	return nil, nil, false
}

// signsAll reports whether all inputs ask for signatures of the whole transaction, as only
// those are of a message.
func signsAll(p *psbt.Packet) bool {
	return !slices.ContainsFunc(p.Inputs, func(in psbt.Input) bool {
		hashType, err := in.HashType()
		return err != nil || hashType != taproot.SigHashDefault && hashType != taproot.SigHashAll
	})
}

// FromFinal returns the signature that a PSBT of a message has come to, in the shortest form
// that can write it. All inputs are final.
func FromFinal(p *psbt.Packet) (string, error) {
	script, text, ok := FromPacket(p)
	if !ok {
		return "", fmt.Errorf("%w: the PSBT is not of a message", ErrMalformed)
	}
	tx, err := p.Extract()
	if err != nil {
		return "", err
	}
	signature := Full(tx)
	if len(tx.Inputs) > 1 {
		spent := make([]types.TxOut, len(tx.Inputs))
		for i := range p.Inputs {
			spent[i], _ = p.Inputs[i].UTXO() // which Extract has taken
		}
		signature, err = Funds(tx, spent)
	} else if tx.Version == 0 && tx.LockTime == 0 && tx.Inputs[0].Sequence == 0 {
		signature = Simple(tx.Inputs[0].Witness)
	}
	if err == nil {
		_, _, err = VerifyFunds(script, text, signature)
	}
	return signature, err
}
