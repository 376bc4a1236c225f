package mempool

import (
	"errors"
	"fmt"
	"sort"
	"sync"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// verifyAll runs the scripts of candidates, the lightest first: it may save the work on
// the others.
func (p *Pool) verifyAll(candidates []*candidate) (failed int, err error) {
	order := make([]int, len(candidates))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return candidates[order[a]].Weight < candidates[order[b]].Weight })
	for _, i := range order {
		if err := p.verify(candidates[i]); err != nil {
			return i, err
		}
	}
	return 0, nil
}

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
	if err := runScripts(c.Tx, prevouts, &c.work); err != nil {
		return err
	}
	p.verified.add(c.WTxID)
	return nil
}

// runScripts checks all inputs, each thing once, and what is cheap in all of them before
// what is dearer in any. First the scripts are read. Then they run, as if all signatures
// in them were good: what policy minds does not depend on that. Signatures, which cost
// most, are checked last and together.
//
// Whether the peer is to blame (ErrInvalid) or tastes differ (ErrPolicy) is known from
// the verdict. A transaction that policy refuses is not looked at any further, so it may
// break a rule as well, and nobody is blamed for that.
func runScripts(tx *types.Tx, prevouts []types.TxOut, work *pending.Work) error {
	for i := range tx.Inputs {
		if err := taproot.ScanWitness(tx.Inputs[i].Witness); err != nil {
			return refuseScript(i, err)
		}
	}
	context := taproot.NewContext(tx, prevouts)
	var batch secp.Batch
	ends := make([]int, len(tx.Inputs)) // of each input's claims in the batch
	defer func() {
		together, alone := batch.Work()
		work.Signatures += together + 3*alone
		work.Opcodes += context.Work().Opcodes
		work.Hashed += context.Work().Hashed
	}()
	for i := range tx.Inputs {
		if err := context.VerifyInput(i, taproot.Standard, &batch); err != nil {
			return refuseScript(i, err)
		}
		ends[i] = batch.Len()
	}
	offender := batch.Offender()
	if offender < 0 {
		return nil
	}
	input := sort.SearchInts(ends, offender+1)
	return refuseScript(input, taproot.FalseClaim(batch.IsTweak(offender)))
}

// refuseScript is the refusal for what the interpreter says of an input.
func refuseScript(input int, err error) error {
	var verdict *taproot.ScriptError
	if !errors.As(err, &verdict) {
		return consensus.Local(fmt.Errorf("input %d: %w", input, err))
	}
	kind := consensus.ErrInvalid
	if verdict.IsPolicy() {
		kind = consensus.ErrPolicy
	}
	return refuse(kind, scriptReason(verdict), "input %d", input)
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
