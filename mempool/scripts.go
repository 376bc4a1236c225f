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

// batchInputs is the number of inputs from which on it is faster to check all
// signatures of a transaction in one batch.
const batchInputs = 8

// verify runs the scripts of a candidate whose coins are known, unless they are known
// to hold. It needs no lock. Policy only adds to what scripts must keep to, so that a
// transaction that passes here passes in a block, where it is not checked again.
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

// runScripts checks all inputs. What fails under policy is tried again under the rules
// of blocks, to tell a peer's fault (ErrInvalid) from a difference of taste (ErrPolicy).
func runScripts(tx *types.Tx, prevouts []types.TxOut) error {
	context := taproot.NewContext(tx, prevouts)
	if len(tx.Inputs) >= batchInputs {
		var batch secp.Batch
		if input, _ := runInputs(context, len(tx.Inputs), taproot.Standard, &batch); input < 0 && batch.Verify() {
			return nil
		}
		// A batch does not say which signature is wrong: one by one, then.
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

// runInputs returns the first input whose script fails, and how; -1 if none does. With
// claims, signatures are not checked but collected there.
func runInputs(context *taproot.Context, inputs int, flags taproot.Flags, claims taproot.Claims) (int, error) {
	for i := range inputs {
		if err := context.VerifyInput(i, flags, claims); err != nil {
			return i, err
		}
	}
	return -1, nil
}

// scriptReason is the reason for which a script is refused: with what the interpreter
// says, as Bitcoin Core has it.
func scriptReason(verdict *taproot.ScriptError) consensus.Reason {
	return consensus.Reason(fmt.Sprintf("mempool-script-verify-flag-failed (%s)", verdict.Message))
}

// Verified reports whether the scripts of the transaction with the witness id were
// found to hold under the rules of a block. Many of the last ones are remembered, also
// of those that have left the pool: a block that confirms a transaction may come after
// another one has replaced it.
func (p *Pool) Verified(wtxid types.Hash) bool { return p.verified.has(wtxid) }

// verifiedGeneration is the number of witness ids in a generation of a
// verifiedSet: two full ones take some 8 MiB.
const verifiedGeneration = 1 << 16

// verifiedSet remembers transactions whose scripts hold: the youngest ones, one
// generation of them at least. A verdict never changes: the ids of what a transaction
// spends are part of its own id, and so are the coins. Generations make it cheap to
// forget, since no order is kept and nothing is removed one by one.
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
