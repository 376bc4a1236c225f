package mempool

import (
	"errors"
	"fmt"
	"sync"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// batchInputs is the number of inputs from which on signatures are checked in a
// batch.
const batchInputs = 8

// verify runs the scripts of a candidate whose coins are known, unless they are
// known to hold. It holds no lock. Those who pass under the flags of policy pass
// under those of consensus, which are none.
func (p *Pool) verify(c *candidate) error {
	if p.verified.has(c.WTxID) {
		return nil
	}
	prevouts := make([]types.TxOut, len(c.coins))
	for i := range c.coins {
		prevouts[i] = c.coins[i].Output()
	}
	if err := runScripts(c.Tx, prevouts); err != nil {
		return err
	}
	p.verified.add(c.WTxID)
	return nil
}

func runScripts(tx *types.Tx, prevouts []types.TxOut) error {
	context := taproot.NewContext(tx, prevouts)
	if len(tx.Inputs) >= batchInputs {
		var batch secp.Batch
		if input, _ := runInputs(context, len(tx.Inputs), taproot.Standard, &batch); input < 0 && batch.Verify() {
			return nil
		}
		// The exact verdict takes the slow way.
	}
	input, err := runInputs(context, len(tx.Inputs), taproot.Standard, nil)
	if err == nil {
		return nil
	}
	var verdict *taproot.ScriptError
	if !errors.As(err, &verdict) {
		return consensus.Local(fmt.Errorf("input %d: %w", input, err))
	}
	kind := consensus.ErrPolicy
	if _, err := runInputs(context, len(tx.Inputs), taproot.Consensus, nil); err != nil {
		kind = consensus.ErrInvalid
	}
	return refuse(kind, scriptReason(verdict), "input %d", input)
}

// runInputs returns the first input whose script fails and how, or -1.
func runInputs(context *taproot.Context, inputs int, flags taproot.Flags, claims taproot.Claims) (int, error) {
	for i := range inputs {
		if err := context.VerifyInput(i, flags, claims); err != nil {
			return i, err
		}
	}
	return -1, nil
}

// scriptReason is the reason for which a script is refused: with what the script
// engine says, as Bitcoin Core has it. The kind is ErrInvalid if a block could not
// hold the transaction either, else ErrPolicy.
func scriptReason(verdict *taproot.ScriptError) consensus.Reason {
	return consensus.Reason(fmt.Sprintf("mempool-script-verify-flag-failed (%s)", verdict.Message))
}

// Verified reports whether the scripts of the transaction with the witness id
// were found to hold under the rules of a block. It remembers many of the last
// ones, whether they are still in the pool or not.
func (p *Pool) Verified(wtxid types.Hash) bool { return p.verified.has(wtxid) }

// verifiedGeneration is the number of witness ids in a generation of a
// verifiedSet: two full ones take some 8 MiB.
const verifiedGeneration = 1 << 16

// verifiedSet remembers transactions whose scripts hold: the youngest ones, one
// generation of them at least. The coins that a transaction spends are part of
// what its ids commit to, so a verdict never changes.
type verifiedSet struct {
	mu         sync.Mutex
	young, old map[types.Hash]struct{}
}

func (s *verifiedSet) add(wtxid types.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= verifiedGeneration {
		s.old, s.young = s.young, map[types.Hash]struct{}{}
	}
	s.young[wtxid] = struct{}{}
}

func (s *verifiedSet) has(wtxid types.Hash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, young := s.young[wtxid]
	_, old := s.old[wtxid]
	return young || old
}
