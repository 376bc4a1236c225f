package rpc

import (
	"context"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

func psbtUpdateMethods() []method {
	return []method{
		{name: "utxoupdatepsbt", slow: true, read: utxoUpdatePSBT, about: "Adds to a PSBT what it spends, from the coins, the mempool and the transaction index, and what descriptors know of it (updater).", params: []param{
			psbtParam,
			{name: "descriptors", kind: kindArray, optional: "[]", about: "Descriptors, or objects with desc and range (default 1000, the last index or [first,last])"}}},
	}
}

// utxoUpdatePSBT is Core's utxoupdatepsbt.
func utxoUpdatePSBT(s *Server, a *args) work {
	p, objects := a.psbt(a.text(0, "")), a.scanObjects(1)
	return func(ctx context.Context) (any, error) {
		known, err := s.watch(ctx, objects)
		if err != nil {
			return nil, err
		}
		if err := s.addSpentOutputs(ctx, p); err != nil {
			return nil, err
		}
		if err := p.TakeUTXOs(); err != nil {
			return nil, failf(CodeVerify, "The transaction cannot be valid")
		}
		for i := range p.Inputs {
			in := &p.Inputs[i]
			if in.IsFinal() {
				continue
			}
			utxo, ok := in.UTXO()
			if !ok || scriptType(utxo.ScriptPubKey) == "anchor" { // which nobody signs
				continue
			}
			usual := uint32(taproot.SigHashDefault)
			if scriptType(utxo.ScriptPubKey) != "witness_v1_taproot" {
				usual = taproot.SigHashAll
			}
			if in.SighashType != nil && *in.SighashType != usual || !in.SighashAgrees(usual) {
				return nil, failf(CodeDeserialization, "Specified sighash value does not match value stored in PSBT")
			}
			if spending := known.spending(utxo.ScriptPubKey); spending != nil {
				in.Learn(spending)
			}
		}
		for i := range p.Outputs {
			if spending := known.spending(p.Outputs[i].ScriptPubKey); spending != nil {
				p.Outputs[i].Learn(spending)
			}
		}
		p.DropTransactions()
		return p.Base64()
	}
}

// addSpentOutputs adds to inputs what they spend: the transaction if it waits or is found
// by the index, else the output.
func (s *Server) addSpentOutputs(ctx context.Context, p *psbt.Packet) error {
	budget := psbt.MaxSize // bytes of transactions
	var left []int
	var outPoints []types.OutPoint
	for i := range p.Inputs {
		in := &p.Inputs[i]
		if in.NonWitnessUTXO != nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		at := in.PreviousOutPoint
		tx := s.anyTx(ctx, at.TxID)
		if tx == nil || uint64(at.Index) >= uint64(len(tx.Outputs)) {
			left, outPoints = append(left, i), append(outPoints, at)
			continue
		}
		if budget -= tx.StrippedSize(); budget >= 0 {
			in.NonWitnessUTXO = tx
		} else {
			in.WitnessUTXO = &tx.Outputs[at.Index]
		}
	}
	coins, _, err := s.Blocks.Coins(ctx, outPoints)
	if err != nil {
		return err
	}
	for n, i := range left {
		if coins[n].Found {
			out := coins[n].Coin.Output()
			p.Inputs[i].WitnessUTXO = &out
		}
	}
	return nil
}

// anyTx returns a transaction that waits, or that the index finds, or nil.
func (s *Server) anyTx(ctx context.Context, txid types.Hash) *types.Tx {
	if e := s.Pool.Get(txid); e != nil {
		return e.Tx
	}
	place, _, ok := s.placeOf(ctx, txid)
	if !ok {
		return nil
	}
	if j := s.txAt(&place, txid); j != nil {
		return j.tx
	}
	return nil
}

// spending returns what the descriptor of a script knows of it, nil for a script of none.
func (w *watched) spending(script []byte) *psbt.Spending {
	from, ok := w.scripts[string(script)]
	if !ok {
		return nil
	}
	outputs, err := w.descriptors[from.descriptor].Outputs(from.index)
	if err != nil {
		return nil
	}
	for i := range outputs {
		if string(outputs[i].ScriptPubKey) == string(script) {
			return psbt.SpendingOf(&outputs[i])
		}
	}
	return nil
}
