package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/types"
)

// maxPSBTs bounds the PSBTs, or transactions, that are brought together.
const maxPSBTs = 1000

// The PSBTs of parameters, and what many of these methods take.
var (
	psbtParam    = param{name: "psbt", kind: kindString, about: "The PSBT in base64"}
	psbtVersion  = param{name: "psbt_version", kind: kindNumber, optional: "2", about: "The version of the PSBT, 2 or 0"}
	psbtsParam   = param{name: "txs", kind: kindArray, sample: `'["PSBT", "PSBT"]'`, about: "The PSBTs in base64"}
	witnessParam = param{name: "iswitness", kind: kindBool, optional: "whichever makes sense", about: "Whether its encoding has witnesses (BIP144); false reads a transaction without inputs rightly"}
)

func psbtMethods() []method {
	return append(psbtUpdateMethods(), []method{
		{name: "createpsbt", read: createPSBT, about: "Makes a PSBT of inputs and outputs (creator).", params: append(createParams(), psbtVersion)},
		{name: "converttopsbt", read: convertToPSBT, about: "Makes a PSBT of a transaction.", params: []param{
			{name: "hexstring", kind: kindString, about: "The transaction"},
			{name: "permitsigdata", kind: kindBool, optional: "false", about: "Leave signatures out that are there, instead of failing"},
			witnessParam, psbtVersion}},
		{name: "decodepsbt", slow: true, read: decodePSBT, about: "Decodes a PSBT.", params: []param{psbtParam}},
		{name: "analyzepsbt", slow: true, read: analyzePSBT, about: "Says what a PSBT lacks, and who is next.", params: []param{psbtParam}},
		{name: "combinepsbt", slow: true, read: combinePSBT, about: "Brings PSBTs of one transaction together, with what each has (combiner).", params: []param{psbtsParam}},
		{name: "joinpsbts", slow: true, read: joinPSBTs, about: "Makes one PSBT of version 0 of several with other inputs, in random order. Signatures are left out.", params: []param{psbtsParam}},
		{name: "finalizepsbt", slow: true, read: finalizePSBT, about: "Makes the witnesses of inputs that have what it takes, and, if all have, the transaction (finalizer and extractor).", params: []param{
			psbtParam,
			{name: "extract", kind: kindBool, optional: "true", about: "Return the transaction instead of the PSBT, if it is complete"}}},
	}...)
}

// psbt reads a PSBT in base64. Bitcoin Core says of errors in its format what its standard
// library says of errors in streams.
func (a *args) psbt(text string) *psbt.Packet {
	p, err := psbt.DecodeBase64(text)
	switch {
	case errors.Is(err, psbt.ErrBase64), errors.Is(err, psbt.ErrLeftOver):
		a.fail(failf(CodeDeserialization, "TX decode failed %v", err))
	case err != nil:
		a.fail(failf(CodeDeserialization, "TX decode failed %v: iostream error", err))
	}
	return p
}

// psbts reads a list of PSBTs.
func (a *args) psbts(i int) (list []*psbt.Packet) {
	for _, text := range a.texts(i, maxPSBTs) {
		p := a.psbt(text)
		if a.err != nil {
			return nil
		}
		list = append(list, p)
	}
	return list
}

// psbtVersion reads the version of a PSBT that is made.
func (a *args) psbtVersion(i int) uint32 {
	version := a.bounded(i, 2, 0, math.MaxUint32)
	if version != 0 && version != 2 {
		a.fail(failf(CodeInvalidParam, "The PSBT version can only be 2 or 0"))
	}
	return uint32(version)
}

// base64Of is the work that returns a PSBT.
func base64Of(p *psbt.Packet) work {
	return func(context.Context) (any, error) { return p.Base64() }
}

// createPSBT is Core's createpsbt.
func createPSBT(s *Server, a *args) work {
	tx := a.constructed(s)
	version := a.psbtVersion(5)
	return base64Of(psbt.New(&tx, version))
}

// convertToPSBT is Core's converttopsbt.
func convertToPSBT(s *Server, a *args) work {
	permit := a.flag(1, false)
	tx := a.anyTransaction(0, 2, failf(CodeDeserialization, "TX decode failed"))
	version := a.psbtVersion(3)
	if a.err != nil {
		return nil
	}
	for i := range tx.Inputs {
		if in := &tx.Inputs[i]; !permit && (len(in.ScriptSig) > 0 || len(in.Witness) > 0) {
			a.fail(failf(CodeDeserialization, "Inputs must not have scriptSigs and scriptWitnesses"))
		}
	}
	return base64Of(psbt.New(tx, version))
}

// decodePSBT is Core's decodepsbt.
func decodePSBT(s *Server, a *args) work {
	p := a.psbt(a.text(0, ""))
	return func(context.Context) (any, error) { return psbtJSON{s, p}, nil }
}

// analysisJSON is what analyzepsbt tells. Keys and scripts that Core may name as missing
// are those of older scripts, and of leaves that are paid to hashes of keys.
type analysisJSON struct {
	Inputs  []inputAnalysisJSON `json:"inputs,omitempty"`
	VSize   int                 `json:"estimated_vsize,omitempty"`
	FeeRate json.Number         `json:"estimated_feerate,omitempty"`
	Fee     json.Number         `json:"fee,omitempty"`
	Next    string              `json:"next"`
	Error   string              `json:"error,omitempty"`
}

type inputAnalysisJSON struct {
	HasUTXO bool   `json:"has_utxo"`
	IsFinal bool   `json:"is_final"`
	Next    string `json:"next"`
}

// analyzePSBT is Core's analyzepsbt.
func analyzePSBT(s *Server, a *args) work {
	p := a.psbt(a.text(0, ""))
	return func(context.Context) (any, error) {
		found := p.Analyze(s.Params.MaxMoney)
		j := analysisJSON{Next: found.Next.String(), Error: found.Error, VSize: found.VirtualSize}
		for _, in := range found.Inputs {
			j.Inputs = append(j.Inputs, inputAnalysisJSON{in.HasUTXO, in.IsFinal, in.Next.String()})
		}
		if found.Fee != nil {
			j.Fee = amount(*found.Fee)
			if found.VirtualSize > 0 {
				j.FeeRate = feeRate(signedFeeRate(*found.Fee, found.VirtualSize))
			}
		}
		return j, nil
	}
}

// signedFeeRate is a feerate rounded down, also below zero: outputs may be more than what
// is spent.
func signedFeeRate(fee types.Amount, vsize int) types.FeeRate {
	rate := new(big.Int).Mul(big.NewInt(int64(fee)), big.NewInt(1000))
	return types.FeeRate(rate.Div(rate, big.NewInt(int64(vsize))).Int64())
}

// combinePSBT is Core's combinepsbt.
func combinePSBT(s *Server, a *args) work {
	list := a.psbts(0)
	if len(list) == 0 {
		a.fail(failf(CodeInvalidParam, "Parameter 'txs' cannot be empty"))
	}
	return func(context.Context) (any, error) {
		p, err := psbt.Combine(list)
		if err != nil {
			return nil, failf(CodeInvalidParam, "PSBTs not compatible (different transactions)")
		}
		return p.Base64()
	}
}

// joinPSBTs is Core's joinpsbts.
func joinPSBTs(s *Server, a *args) work {
	list := a.psbts(0)
	if len(list) < 2 {
		a.fail(failf(CodeInvalidParam, "At least two PSBTs are required to join PSBTs."))
	}
	return func(context.Context) (any, error) {
		p, err := psbt.Join(list, rand.Shuffle)
		switch {
		case errors.Is(err, psbt.ErrOtherVersion):
			return nil, failf(CodeInvalidParam, "joinpsbts only operates on version 0 PSBTs")
		case err != nil:
			return nil, failf(CodeInvalidParam, "%v", err)
		}
		return p.Base64()
	}
}

// finalizePSBT is Core's finalizepsbt. What is complete was verified.
func finalizePSBT(s *Server, a *args) work {
	p, extract := a.psbt(a.text(0, "")), a.flag(1, true)
	return func(context.Context) (any, error) {
		var j struct {
			PSBT     string `json:"psbt,omitempty"`
			Hex      string `json:"hex,omitempty"`
			Complete bool   `json:"complete"`
		}
		var err error
		if j.Complete = p.Finalize(); j.Complete && extract {
			tx, err := p.Extract()
			if err != nil {
				return nil, err
			}
			j.Hex = hex.EncodeToString(tx.AppendTo(nil))
			return j, nil
		}
		j.PSBT, err = p.Base64()
		return j, err
	}
}
