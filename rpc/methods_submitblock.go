package rpc

import (
	"context"
	"errors"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

func submitBlockMethods() []method {
	return []method{
		{name: "submitblock", read: submitBlock, about: "Gives a block to the node. The result is null, or why the block was refused.", params: []param{
			{name: "hexdata", kind: kindString, about: "The block in hexadecimal"},
			{name: "dummy", kind: kindAny, optional: "ignored", about: "Ignored"}}},
		{name: "submitheader", read: submitHeader, about: "Gives a header to the node, as that of a block that may become the tip. It is an error if the header is not valid.", params: []param{
			{name: "hexdata", kind: kindString, about: "The header in hexadecimal"}}},
	}
}

// block decodes a block in hexadecimal. As Core does, it passes over what is behind it.
func (a *args) block(text string) (block *types.Block, raw []byte) {
	undecodable := failf(CodeDeserialization, "Block decode failed")
	raw = a.bytes(text, undecodable)
	block, size, err := types.ReadBlock(raw)
	if err != nil {
		a.fail(undecodable)
		return &types.Block{}, nil
	}
	return block, raw[:size]
}

// verdict makes a refusal the word that a miner gets for it (BIP22). What is no refusal
// is an error of the call.
func verdict(err error) (any, error) {
	var rule *consensus.RuleError
	switch {
	case err == nil:
		return nil, nil
	case errors.As(err, &rule):
		return rule.RejectReason(), nil
	}
	return nil, err
}

// submitBlock is Core's submitblock. The result tells a miner what became of the
// block, in the words of BIP22: null if it is the tip, inconclusive if it is on a
// branch, duplicate if it was known, else the broken rule. Only what is no block, or
// a fault of this node, is an error.
func submitBlock(s *Server, a *args) work {
	block, raw := a.block(a.text(0, ""))
	if completeCoinbase(block) {
		raw = block.AppendTo(nil)
	}
	hash := block.Hash()
	return func(ctx context.Context) (any, error) {
		if info, known := s.Headers.Info(hash); known {
			// As in Core, a body that is not the block's is told before what is known of
			// the block.
			if _, err := consensus.OpenBlock(s.Params, raw); err != nil {
				return verdict(err)
			}
			switch {
			case info.Status.Has(header.StatusInvalid), info.Status.Has(header.StatusInvalidAncestor):
				return consensus.ReasonDuplicateInvalid, nil
			case info.Status.Has(header.StatusBody):
				return "duplicate", nil
			case info.Status.Has(header.StatusValid):
				s.Operator.Want(hash) // its body was pruned: it is stored again
				_, err := verdict(s.Operator.AddBlock(ctx, raw))
				return "inconclusive", err
			}
		}
		if err := s.Operator.AddBlock(ctx, raw); err != nil {
			return verdict(err)
		}
		if info, known := s.Headers.Info(hash); known && !info.OnBestChain {
			return "inconclusive", nil
		}
		return nil, nil
	}
}

// completeCoinbase gives a coinbase its reserved value of zeros (BIP141) if it lacks
// one and commits to witnesses, as Core does: miners that know no witnesses leave it
// out. It reports whether it has changed the block.
func completeCoinbase(block *types.Block) bool {
	if len(block.Txs) == 0 {
		return false
	}
	coinbase := &block.Txs[0]
	if len(coinbase.Inputs) != 1 || coinbase.HasWitness() {
		return false
	}
	if consensus.WitnessCommitment(coinbase) == nil {
		return false
	}
	coinbase.Inputs[0].Witness = [][]byte{make([]byte, types.HashSize)}
	return true
}

// judgeProposal is getblocktemplate in the mode proposal (BIP23): what submitblock would
// say of a block once it has its proof of work. Nothing is stored.
func judgeProposal(s *Server, a *args, data string) work {
	block, raw := a.block(data)
	hash := block.Hash()
	return func(ctx context.Context) (any, error) {
		if info, known := s.Headers.Info(hash); known {
			switch {
			case info.Status.Has(header.StatusValid):
				return "duplicate", nil
			case info.Status.Has(header.StatusInvalid), info.Status.Has(header.StatusInvalidAncestor):
				return consensus.ReasonDuplicateInvalid, nil
			}
			return "duplicate-inconclusive", nil
		}
		leave, err := s.takePlace(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
		return verdict(s.Operator.Propose(ctx, raw))
	}
}

// submitHeader is Core's submitheader. Bytes behind the header are passed over.
func submitHeader(s *Server, a *args) work {
	undecodable := failf(CodeDeserialization, "Block header decode failed")
	raw := a.bytes(a.text(0, ""), undecodable)
	h, err := types.DecodeHeader(raw[:min(len(raw), types.HeaderSize)])
	if err != nil {
		a.fail(undecodable)
	}
	return func(context.Context) (any, error) {
		if _, known := s.Headers.Info(h.PrevBlock); !known {
			return nil, failf(CodeVerify, "Must submit previous header (%s) first", h.PrevBlock)
		}
		err := s.Operator.AddHeaders([]types.Header{h})
		var rule *consensus.RuleError
		if errors.As(err, &rule) {
			return nil, failf(CodeVerify, "%s", rule.RejectReason())
		}
		return nil, err
	}
}
