package chain

import (
	"context"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/types"
)

// ReasonNotOnTip is why Propose says nothing of a block that builds on another than the
// tip. It is Bitcoin Core's.
const ReasonNotOnTip consensus.Reason = "inconclusive-not-best-prevblk"

// Propose checks a block on the tip by all rules but the proof of work, scripts
// included, and stores nothing (BIP23). It returns the broken rule, ReasonNotOnTip
// (ErrNotYet), the context's error, or an ErrLocal. The order of the checks is that of
// Bitcoin Core's TestBlockValidity.
//
// The chain goes on meanwhile: only the coins are looked up in its turn.
func (c *Chain) Propose(ctx context.Context, raw []byte) error {
	state := c.TipState()
	header, err := types.DecodeHeader(raw[:min(len(raw), types.HeaderSize)])
	if err == nil && header.PrevBlock != state.Index.Hash {
		return notOnTip(state.Index)
	}
	block, err := consensus.OpenProposal(c.params, raw)
	if err != nil {
		return err
	}
	if err := consensus.ValidateHeader(c.params, &state, &block.Block.Header, c.now().Unix()); err != nil {
		return err
	}
	if err := consensus.ValidateBlock(c.params, &state, block); err != nil {
		return err
	}
	coins, at, err := c.Coins(ctx, consensus.CoinsNeeded(c.params, state.Index.Height+1, block))
	switch {
	case err != nil:
		return err
	case at.Index != state.Index: // a block came meanwhile
		return notOnTip(at.Index)
	}
	c.mu.RLock()
	parent := c.tree[state.Index.Hash]
	c.mu.RUnlock()
	connection, err := consensus.ConnectBlock(c.params, &state, block, coins, ancestry{parent})
	if err != nil {
		return err
	}
	var claims secp.Batch
	err = consensus.CheckScripts(block, connection.Prevouts, 1, len(block.Block.Txs), &claims, c.pipe.verified)
	if err == nil && claims.Verify() {
		return nil
	}
	return consensus.JudgeScripts(block, connection.Prevouts)
}

func notOnTip(tip types.Index) error {
	return &consensus.RuleError{Kind: consensus.ErrNotYet, Reason: ReasonNotOnTip, Detail: "the tip is " + tip.String()}
}
