package rpc

import (
	"context"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/node/doctor"
)

func doctorMethods() []method {
	return []method{
		{name: "doctor", own: true, read: diagnose, about: "Says what is wrong with the node, the worst first: each finding has a code that stays the same, a severity (fault, warning, notice), what was seen, and what to do next. With a transaction it says why that is in no block yet. healthy says that there is neither a fault nor a warning.", params: []param{
			{name: "transaction", kind: kindString, optional: "the node", about: "The id of a transaction, or all of it in hexadecimal"}}},
	}
}

// doctorJSON is the answer of doctor.
type doctorJSON struct {
	Healthy  bool             `json:"healthy"`
	Findings []doctor.Finding `json:"findings"`
}

// diagnose answers doctor.
func diagnose(s *Server, a *args) work {
	var txid types.Hash
	var given *types.Tx
	text := a.text(0, "")
	switch {
	case text == "":
	case len(text) == 2*types.HashSize:
		txid = a.hash(0, "transaction")
	default:
		if given = a.transaction(text, failf(CodeDeserialization, "TX decode failed")); given != nil {
			txid = given.TxID()
		}
	}
	return func(ctx context.Context) (any, error) {
		if s.Doctor == nil {
			return nil, failf(CodeMisc, "nobody looks what is wrong with this node")
		}
		if text == "" {
			return answerOf(s.Doctor.Diagnose(ctx)), nil
		}
		findings, err := s.Doctor.DiagnoseTx(ctx, txid, given)
		if err != nil {
			return nil, err
		}
		return answerOf(findings), nil
	}
}

func answerOf(findings []doctor.Finding) doctorJSON {
	return doctorJSON{doctor.Worst(findings) < doctor.Warning, findings}
}
