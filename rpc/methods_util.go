package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

func utilMethods() []method {
	return []method{
		{name: "validateaddress", read: validateAddress, about: "Says whether a text is an address of this network, and for which script it stands.", params: []param{
			{name: "address", kind: kindString, about: "The address"}}},
		{name: "estimatesmartfee", read: estimateSmartFee, about: "Estimates the feerate with which a transaction is confirmed within so many blocks. While blocks are not full, that is the least that is relayed. There is always an answer; with errors, too few blocks were seen, and it only outbids what waits now.", params: []param{
			{name: "conf_target", kind: kindNumber, about: "Confirmation target in blocks (1 - 1008)"},
			{name: "estimate_mode", kind: kindString, optional: "economical", about: "economical: as a rule in time; conservative: nearly always, and dearer"}}},
	}
}

// validateAddress is Core's validateaddress. Why a text is no address is said in
// karat's words, without Core's guesses at which letters are wrong: the checksum can
// find a mistake, but a guess that is trusted sends coins to nobody.
func validateAddress(s *Server, a *args) work {
	address := a.text(0, "")
	return func(context.Context) (any, error) {
		script, err := taproot.DecodeAddress(s.Params.HRP, address)
		if err != nil {
			return ordered{{"isvalid", false}, {"error_locations", []int{}}, {"error", err.Error()}}, nil
		}
		version, program, _ := types.WitnessProgram(script)
		canonical, err := taproot.EncodeAddress(s.Params.HRP, script)
		if err != nil {
			return nil, err
		}
		j := ordered{{"isvalid", true}, {"address", canonical}, {"scriptPubKey", hex.EncodeToString(script)}}
		// Core says isscript where it knows what the program means, and does not repeat
		// the program of an anchor, which is always the same.
		kind := scriptType(script)
		if kind != "witness_unknown" {
			j = append(j, entry{"isscript", true})
		}
		j = append(j, entry{"iswitness", true})
		if kind != "anchor" {
			j = append(j, entry{"witness_version", version}, entry{"witness_program", hex.EncodeToString(program)})
		}
		return j, nil
	}
}

type feeEstimateJSON struct {
	FeeRate json.Number `json:"feerate"`
	Errors  []string    `json:"errors,omitempty"`
	Blocks  int64       `json:"blocks"`
}

// estimateSmartFee is Core's estimatesmartfee, but asks the pool what has to be
// outbid instead of looking back at how long others waited. So it always has an
// answer, on a new network as well, and says when little is behind it.
func estimateSmartFee(s *Server, a *args) work {
	target := a.int32(0, 0)
	if target < 1 || target > 1008 {
		a.fail(failf(CodeInvalidParam, "Invalid conf_target, must be between 1 and 1008"))
	}
	mode := strings.ToLower(a.text(1, "economical"))
	if !slices.Contains([]string{"unset", "economical", "conservative"}, mode) {
		a.fail(failf(CodeInvalidParam, `Invalid estimate_mode parameter, must be one of: "unset", "economical", "conservative"`))
	}
	return func(context.Context) (any, error) {
		estimate := s.Pool.Estimate(int(target), mode == "conservative")
		answer := feeEstimateJSON{FeeRate: feeRate(estimate.FeeRate), Blocks: target}
		if !estimate.Known {
			answer.Errors = []string{"Insufficient data or no feerate found"}
		}
		return answer, nil
	}
}
