package psbt

import (
	"fmt"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Role is who has to do something next (BIP174).
type Role int

// The roles, in their order.
const (
	Creator Role = iota
	Updater
	Signer
	Finalizer
	Extractor
)

// String returns the name that Bitcoin Core gives the role.
func (r Role) String() string {
	return [...]string{"creator", "updater", "signer", "finalizer", "extractor"}[r]
}

// Analysis is what a PSBT lacks.
type Analysis struct {
	Inputs []InputAnalysis
	// Next is the first role that any input needs.
	Next Role
	// Fee is known if all outputs that are spent are.
	Fee *types.Amount
	// VirtualSize is the size of the transaction when it is signed, in virtual bytes; 0 if
	// it is not foretold. For an input that is not signed yet it counts the key path.
	VirtualSize int
	// Error says that no transaction can be made of the PSBT, in Bitcoin Core's words. Then
	// there is nothing else but Next, which is Creator.
	Error string
}

// InputAnalysis is what one input lacks.
type InputAnalysis struct {
	HasUTXO bool
	IsFinal bool // and rightly so
	// Next is Updater while signatures are missing, and not Signer: who has to sign is not
	// known of a taproot input. So does Bitcoin Core.
	Next Role
}

// Analyze says what has to be done next. maxMoney is the most that outputs can hold.
func (p *Packet) Analyze(maxMoney types.Amount) Analysis {
	s, err := newSpender(p)
	if err != nil {
		return Analysis{Error: "PSBT cannot be made into a valid transaction"}
	}
	a := Analysis{Next: Extractor, Inputs: make([]InputAnalysis, len(p.Inputs))}
	spent, allKnown := types.Amount(0), true
	for i := range p.Inputs {
		utxo := &s.utxos[i]
		if s.known[i] {
			if !within(utxo.Value, maxMoney) || utxo.Value > maxMoney-spent {
				return Analysis{Error: fmt.Sprintf("PSBT is not valid. Input %d has invalid value", i)}
			}
			spent += utxo.Value
			const maxScriptSize = 10_000
			if script := utxo.ScriptPubKey; len(script) > 0 && script[0] == taproot.OpReturn || len(script) > maxScriptSize {
				return Analysis{Error: fmt.Sprintf("PSBT is not valid. Input %d spends unspendable output", i)}
			}
		}
		allKnown = allKnown && s.known[i]
		a.Inputs[i] = s.analyze(i)
		a.Next = min(a.Next, a.Inputs[i].Next)
	}
	if !allKnown {
		return a
	}
	paid := types.Amount(0)
	for i := range p.Outputs {
		if value := p.Outputs[i].Value; !within(value, maxMoney) || value > maxMoney-paid {
			return Analysis{Error: "PSBT is not valid. Output amount invalid"}
		}
		paid += p.Outputs[i].Value
	}
	fee := spent - paid
	a.Fee, a.VirtualSize = &fee, s.estimate(a.Inputs)
	return a
}

func within(a, maxMoney types.Amount) bool { return a >= 0 && a <= maxMoney }

func (s *spender) analyze(i int) InputAnalysis {
	a := InputAnalysis{HasUTXO: s.known[i], Next: Updater}
	if s.verifyFinal(i) == nil {
		a.IsFinal, a.Next = true, Extractor
		return a
	}
	in := &s.packet.Inputs[i]
	if valueOr(in.SighashType, taproot.SigHashDefault) != taproot.SigHashDefault {
		return a // the analyst would not sign so
	}
	if witness, ok := s.satisfaction(i); ok && witness != nil && s.verify(i, nil, witness) == nil {
		a.Next = Finalizer
	}
	return a
}

// estimate returns the size with signatures, or 0. As in Bitcoin Core there is none where a
// hash type is not the usual one, and none of an input that has what it takes already, unless
// the whole transaction that it spends is there.
func (s *spender) estimate(inputs []InputAnalysis) int {
	for i := range s.packet.Inputs {
		in, tx := &s.packet.Inputs[i], &s.tx.Inputs[i]
		_, isTaproot := s.outputKey(i)
		switch {
		case s.isAnchor(i):
			tx.ScriptSig, tx.Witness = nil, nil
		case !isTaproot || valueOr(in.SighashType, taproot.SigHashDefault) != taproot.SigHashDefault || !in.SighashAgrees(taproot.SigHashDefault):
			return 0
		case inputs[i].Next < Finalizer:
			tx.ScriptSig, tx.Witness = nil, [][]byte{make([]byte, 64)}
		case in.NonWitnessUTXO == nil:
			return 0
		case in.IsFinal():
			tx.ScriptSig, tx.Witness = in.FinalScriptSig, in.FinalWitness
		default:
			tx.ScriptSig = nil
			tx.Witness, _ = s.satisfaction(i)
		}
	}
	return s.tx.VirtualSize()
}
