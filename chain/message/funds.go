package message

import (
	"encoding/base64"
	"fmt"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/types"
)

// decodeFunds reads a proof of funds: a finalized PSBT whose further inputs are the coins.
func decodeFunds(toSpend *types.Tx, raw []byte) (*types.Tx, []types.TxOut, error) {
	p, err := psbt.Decode(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	tx, err := p.UnsignedTx()
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(tx.Inputs) == 0 {
		return nil, nil, fmt.Errorf("%w: it has no inputs", ErrInvalid)
	}
	spent := make([]types.TxOut, len(tx.Inputs))
	seen := make(map[types.OutPoint]bool, len(tx.Inputs))
	for i := range p.Inputs {
		in := &p.Inputs[i]
		out, ok := in.UTXO()
		switch {
		case seen[in.PreviousOutPoint]:
			return nil, nil, fmt.Errorf("%w: coin %s is in it twice", ErrInvalid, in.PreviousOutPoint)
		case len(in.FinalScriptSig) > 0:
			return nil, nil, fmt.Errorf("%w: only taproot outputs have a meaning here", ErrInconclusive)
		case i == 0: // which output it spends is computed, and need not be told
			if ok && (out.Value != 0 || string(out.ScriptPubKey) != string(toSpend.Outputs[0].ScriptPubKey)) {
				return nil, nil, fmt.Errorf("%w: it is of another address", ErrInvalid)
			}
			out = toSpend.Outputs[0]
		case !ok:
			return nil, nil, fmt.Errorf("%w: it does not tell what coin %s is", ErrInvalid, in.PreviousOutPoint)
		}
		seen[in.PreviousOutPoint], spent[i], tx.Inputs[i].Witness = true, out, in.FinalWitness
	}
	return tx, spent, checkForm(tx, toSpend)
}

// Simple writes a signature in its simple form: the witness of the one input of ToSign,
// from which nothing but the witness differs.
func Simple(witness [][]byte) string {
	raw := types.AppendCompactSize(nil, uint64(len(witness)))
	for _, element := range witness {
		raw = types.AppendVarBytes(raw, element)
	}
	return prefixSimple + base64.StdEncoding.EncodeToString(raw)
}

// Full writes a signature in its full form: the signed transaction, which may have locks.
func Full(tx *types.Tx) string {
	return prefixFull + base64.StdEncoding.EncodeToString(tx.AppendTo(nil))
}

// Funds writes a proof of funds: the signed transaction, and the outputs that its inputs
// spend. The first is that of ToSpend. It fails if the proof would be too large to be read.
func Funds(tx *types.Tx, spent []types.TxOut) (string, error) {
	p := psbt.New(tx, 0)
	for i := range p.Inputs {
		p.Inputs[i].WitnessUTXO, p.Inputs[i].FinalWitness = &spent[i], tx.Inputs[i].Witness
	}
	text, err := p.Base64()
	return prefixFunds + text, err
}
