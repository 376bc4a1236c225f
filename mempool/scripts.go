package mempool

import (
	"errors"
	"fmt"
	"sort"
	"sync"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// verify checks the scripts of candidates whose coins are known, but of those that are
// known to hold. It needs no lock. It returns the first candidate that fails, and why.
// Policy only adds to what scripts must keep to, so that a transaction that passes here
// passes in a block, where it is not checked again.
//
// Each thing is done once, and what is cheap with all inputs of all candidates before
// what is dearer with any. First the scripts are read. Then they run, as if all
// signatures in them were good: what policy minds does not depend on that. Signatures,
// which cost most, are checked last and together.
//
// Whether the peer is to blame (ErrInvalid) or tastes differ (ErrPolicy) is known from
// the verdict. A transaction that policy refuses is not looked at any further, so it may
// break a rule as well, and nobody is blamed for that.
func (p *Pool) verify(candidates ...*candidate) (failed int, err error) {
	var checks []*scriptCheck
	for i, c := range candidates {
		if !p.verified.has(c.WTxID) {
			checks = append(checks, &scriptCheck{candidate: c, index: i})
		}
	}
	for _, step := range []func(*scriptCheck) error{(*scriptCheck).read, (*scriptCheck).run, (*scriptCheck).sum} {
		for _, s := range checks {
			if err := step(s); err != nil {
				return s.index, err
			}
		}
	}
	for _, s := range checks {
		p.verified.add(s.WTxID)
	}
	return 0, nil
}

// scriptCheck is the check of one transaction's scripts.
type scriptCheck struct {
	*candidate
	index int // of the candidate
	batch secp.Batch
	ends  []int // of each input's claims in the batch
}

// read looks for what fails whatever the rest is.
func (s *scriptCheck) read() error {
	for i := range s.Tx.Inputs {
		if err := taproot.ScanWitness(s.Tx.Inputs[i].Witness); err != nil {
			return s.refuse(i, err)
		}
	}
	return nil
}

// run runs the scripts, and collects their signatures.
func (s *scriptCheck) run() error {
	prevouts := make([]types.TxOut, len(s.coins))
	for i := range s.coins {
		prevouts[i] = s.coins[i].Output()
	}
	context := taproot.NewContext(s.Tx, prevouts)
	defer func() {
		s.work.Opcodes += context.Work().Opcodes
		s.work.Hashed += context.Work().Hashed
	}()
	for i := range s.Tx.Inputs {
		if err := context.VerifyInput(i, taproot.Standard, &s.batch); err != nil {
			return s.refuse(i, err)
		}
		s.ends = append(s.ends, s.batch.Len())
	}
	return nil
}

// sum checks the signatures.
func (s *scriptCheck) sum() error {
	if s.settled {
		return nil
	}
	offender := s.batch.Offender()
	together, alone := s.batch.Work()
	s.work.Signatures += together + 3*alone
	if offender < 0 {
		return nil
	}
	input := sort.SearchInts(s.ends, offender+1)
	return s.refuse(input, taproot.FalseClaim(s.batch.IsTweak(offender)))
}

// refuse is the refusal for what the interpreter says of an input.
func (s *scriptCheck) refuse(input int, err error) error {
	var verdict *taproot.ScriptError
	if !errors.As(err, &verdict) {
		return consensus.Local(fmt.Errorf("input %d: %w", input, err))
	}
	kind := consensus.ErrInvalid
	if verdict.IsPolicy() {
		kind = consensus.ErrPolicy
	}
	return refuse(kind, scriptReason(verdict), "input %d of %s (wtxid %s), spending %s", input, s.TxID, s.WTxID, s.Tx.Inputs[input].PreviousOutPoint)
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
	if _, young := s.young[wtxid]; young {
		return true
	}
	_, old := s.old[wtxid]
	return old
}
