package rpc

import (
	"context"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

func deploymentMethods() []method {
	return []method{
		{name: "getdeploymentinfo", read: getDeploymentInfo, about: "Returns which rules that once were forks hold for a block.", params: []param{
			{name: "blockhash", kind: kindString, optional: "chain tip", about: "The block of which to tell"}}},
	}
}

// deploymentsJSON are the soft forks that Core lists, in its order. Taproot is none of
// them any more: it is among the flags.
type deploymentsJSON struct {
	BIP34  deploymentJSON `json:"bip34"`
	BIP66  deploymentJSON `json:"bip66"`
	BIP65  deploymentJSON `json:"bip65"`
	CSV    deploymentJSON `json:"csv"`
	SegWit deploymentJSON `json:"segwit"`
}

// deploymentJSON is a soft fork that has no signalling: it begins at a height.
type deploymentJSON struct {
	Type   string `json:"type"`
	Active bool   `json:"active"` // for the block after this one
	Height uint32 `json:"height"`
}

// forkHeight is from where the rules of BIP34, BIP65, BIP66 and BIP112 hold on every
// network: the genesis block is not asked for them. Segregated witness and taproot
// hold in each.
const forkHeight = 1

// getDeploymentInfo is Core's getdeploymentinfo. Lightning nodes look here for taproot.
func getDeploymentInfo(s *Server, a *args) work {
	var info header.Info
	if a.given(0) {
		info = s.blockInfo(a, 0, "blockhash")
	}
	return func(context.Context) (any, error) {
		block := s.Headers.Tip()
		if !info.Hash.IsZero() {
			block = types.Index{Height: info.Height, Hash: info.Hash}
		}
		flags := []string{"NULLDUMMY", "P2SH", "TAPROOT", "WITNESS"}
		if block.Height >= forkHeight {
			flags = append([]string{"CHECKLOCKTIMEVERIFY", "CHECKSEQUENCEVERIFY", "DERSIG"}, flags...)
		}
		buried := deploymentJSON{"buried", true, forkHeight}
		return struct {
			Hash        types.Hash      `json:"hash"`
			Height      uint32          `json:"height"`
			Flags       []string        `json:"script_flags"`
			Deployments deploymentsJSON `json:"deployments"`
		}{block.Hash, block.Height, flags, deploymentsJSON{buried, buried, buried, buried, deploymentJSON{"buried", true, 0}}}, nil
	}
}
