package rpc

import (
	"context"
	"encoding/hex"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// combineRawTransaction is Core's combinerawtransaction. Parts of a witness are not put
// together: that is what PSBTs are for.
func combineRawTransaction(s *Server, a *args) work {
	texts := a.texts(0, maxPSBTs)
	if len(texts) < 2 {
		a.fail(failf(CodeDeserialization, "Missing transactions. At least two transactions required."))
	}
	var txs []*types.Tx
	for i, text := range texts {
		tx := eitherTxHex(text)
		switch {
		case tx == nil:
			a.fail(failf(CodeDeserialization, "TX decode failed for tx %d. Make sure the tx has at least one input.", i))
			return nil
		case i > 0 && unsigned(tx).TxID() != unsigned(txs[0]).TxID():
			a.fail(failf(CodeInvalidParam, "Transaction number %d not compatible with first transaction", i+1))
		}
		txs = append(txs, tx)
	}
	return func(ctx context.Context) (any, error) {
		spent, err := s.spendable(ctx, txs[0])
		if err != nil {
			return nil, err
		}
		tx := unsigned(txs[0])
		verifier := taproot.NewContext(tx, spent)
		for i := range tx.Inputs {
			for _, from := range txs {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				in := &tx.Inputs[i]
				in.ScriptSig, in.Witness = from.Inputs[i].ScriptSig, from.Inputs[i].Witness
				if in.WitnessSize() <= s.Params.MaxBlockWeight && verifier.VerifyInput(i, taproot.Standard, nil) == nil {
					break
				}
				in.ScriptSig, in.Witness = nil, nil
			}
		}
		return hex.EncodeToString(tx.AppendTo(nil)), nil
	}
}

// unsigned returns a copy without scriptSigs and witnesses.
func unsigned(tx *types.Tx) *types.Tx {
	u := *tx
	u.Inputs = make([]types.TxIn, len(tx.Inputs))
	for i := range tx.Inputs {
		u.Inputs[i] = types.TxIn{PreviousOutPoint: tx.Inputs[i].PreviousOutPoint, Sequence: tx.Inputs[i].Sequence}
	}
	return &u
}

// spendable returns the outputs that a transaction spends, all of which must be coins or of
// waiting transactions. It does not matter what else waits that spends them.
func (s *Server) spendable(ctx context.Context, tx *types.Tx) ([]types.TxOut, error) {
	outPoints := make([]types.OutPoint, len(tx.Inputs))
	for i := range tx.Inputs {
		outPoints[i] = tx.Inputs[i].PreviousOutPoint
	}
	coins, _, err := s.Blocks.Coins(ctx, outPoints)
	if err != nil {
		return nil, err
	}
	spent := make([]types.TxOut, len(outPoints))
	for i, at := range outPoints {
		if coins[i].Found {
			spent[i] = coins[i].Coin.Output()
			continue
		}
		e := s.Pool.Get(at.TxID)
		if e == nil || uint64(at.Index) >= uint64(len(e.Tx.Outputs)) {
			return nil, failf(CodeVerify, "Input not found or already spent")
		}
		spent[i] = e.Tx.Outputs[at.Index]
	}
	return spent, nil
}
