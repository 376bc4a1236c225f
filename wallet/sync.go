package wallet

import (
	"context"
	"fmt"
)

// Progress is where a sync stands.
type Progress struct {
	Headers uint32 // height of the last header
	Scanned uint32 // height of the last block that was scanned
	Tip     uint32 // height at which the sync will end, as far as is known
}

// Sync brings the wallet up to the node's best chain, as a light client: headers are checked
// for their work and difficulty, filters (BIP158) against the headers that chain them
// (BIP157), and only blocks that concern the wallet are fetched, so that the node learns no
// address. Then it looks at the transactions that wait for a block, and passes the wallet's
// own on again if the node lacks them. Each batch is stored as it is done, so a Sync that is
// cut off goes on from there. Errors: ErrUnreachable, ErrOtherNetwork, ErrBehind, ErrLying,
// ErrLittleWork, those of ctx and of the node's methods. What was checked before stays, and
// View tells it.
func (w *Wallet) Sync(ctx context.Context, node Node, progress func(Progress)) error {
	w.syncing.Lock()
	defer w.syncing.Unlock()
	w.setProblems(nil, nil)
	s := &session{w: w, all: remotes(node, w.params), progress: progress}
	err := s.run(ctx)
	problems, ofNodes := s.take()
	if err != nil {
		problems = append(append(problems, ofNodes...), err)
		ofNodes = nil
	}
	w.setProblems(problems, ofNodes)
	return err
}

// run does what Sync says.
func (s *session) run(ctx context.Context) error {
	if err := s.greet(ctx); err != nil {
		return err
	}
	if err := s.w.checkWork(); err != nil {
		return err
	}
	if err := s.checkAge(ctx); err != nil {
		return err
	}
	// A waiting transaction may pay a key that brings others under watch, which blocks may
	// have paid. Each turn takes another payment to the wallet, so it ends.
	for {
		if err := s.scan(ctx); err != nil {
			return err
		}
		if err := s.syncPool(ctx); err != nil {
			return err
		}
		if s.w.lateKeys() == nil {
			return nil
		}
	}
}

// checkWork refuses to look through a chain of less work than the network is known to have.
// Headers from the genesis block on can be made up at the lowest difficulty, and each is
// valid; all of them together have little work.
func (w *Wallet) checkWork() error {
	state, err := w.stateAt(w.Tip().Height)
	if err != nil {
		return err
	}
	if state.Work.Cmp(w.params.MinimumChainWork) < 0 {
		return fmt.Errorf("%w: it ends at height %d", ErrLittleWork, state.Index.Height)
	}
	return nil
}

// Rescan makes the next Sync look through all blocks again, from the birthday on. It is for
// a wallet that trusted a node which hid something. Until then what is in blocks is taken to
// wait for one.
func (w *Wallet) Rescan() error {
	w.syncing.Lock()
	defer w.syncing.Unlock()
	return w.forget()
}

// forget takes everything out of the blocks.
func (w *Wallet) forget() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.db.begin()
	w.late = nil
	s.putLate(nil)
	if err := w.rollBack(s, 0); err != nil {
		return err
	}
	return s.write()
}
