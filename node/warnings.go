package node

import (
	"context"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/internal/poke"
)

// aboutFuture is what the warning of a tip ahead of the clock is known by.
const aboutFuture = "future tip"

// aboutRefused is what the warning of a heavy chain that was refused is known by.
const aboutRefused = "refused chain"

// keepWarnings looks for what the operator should know whenever the tip has changed.
func (n *Node) keepWarnings(ctx context.Context) error {
	return poke.Follow(ctx, n.chain, func() (bool, error) {
		n.lookForWarnings()
		return false, nil
	})
}

// lookForWarnings looks for what the chain gives reason to warn of. A block is accepted
// only if its time is at most two hours ahead of the clock, so a tip that is later says
// that the clock was set back: the node would make blocks that others refuse, and refuse
// theirs. Bitcoin Core does not start then. karat does: whoever asks it is answered.
func (n *Node) lookForWarnings() {
	n.seeTip()
	for _, bit := range n.chain.UnknownRules() {
		n.warnings.Set(fmt.Sprint("version bit ", bit), fmt.Sprintf("Unknown new rules activated (versionbit %d)", bit))
	}
	if n.refusedAhead() {
		n.warnings.Set(aboutRefused, "Warning: Found invalid chain more than 6 blocks longer than our best chain. This could be due to database corruption or consensus incompatibility with peers.")
	} else {
		n.warnings.Unset(aboutRefused)
	}
	state := n.chain.TipState()
	if int64(state.Header.Timestamp) > n.clock.now().Unix()+consensus.MaxFutureSeconds {
		n.warnings.Set(aboutFuture, "The best block appears to be from the future: it is more than two hours ahead of this computer's clock, which may be wrong")
	} else {
		n.warnings.Unset(aboutFuture)
	}
}

// Warnings implements rpc.Control. It looks anew, since the clock goes on while the tip
// does not.
func (c *control) Warnings() []string {
	c.node.lookForWarnings()
	texts := []string{}
	for _, warning := range c.node.warnings.List() {
		texts = append(texts, warning.Text)
	}
	return texts
}
