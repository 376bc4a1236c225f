package wallet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// The age from which on a tip is called old.
const (
	oldSpacings = 20        // blocks come by chance: so long a gap, once in 500 million blocks
	oldAtLeast  = time.Hour // also where blocks come quickly, since miners rest
)

var (
	// ErrOldTip is a chain whose last block is old by this computer's clock: the node may be
	// cut off, or hide later blocks.
	ErrOldTip = errors.New("the node's last block is old")
	// ErrNoPeers is a node that has no peers, and no new block either.
	ErrNoPeers = errors.New("the node has no peers")
)

// TipAge returns how old a chain's last block is, and whether that is so old that later ones
// must be missing. Where difficulty is fixed blocks are made when somebody wants them, and none
// is late.
func TipAge(params *consensus.Params, unix int64, now time.Time) (age time.Duration, old bool) {
	age = now.Sub(time.Unix(unix, 0))
	late := max(oldSpacings*time.Duration(params.TargetSpacing)*time.Second, oldAtLeast)
	return age, age >= late && params.Difficulty.Algorithm != consensus.DifficultyFixed
}

// checkAge notes what is wrong with a tip that is old.
func (s *session) checkAge(ctx context.Context) error {
	w := s.w
	tip := w.Tip()
	h, err := w.headerAt(tip.Height)
	if err != nil {
		return err
	}
	age, old := TipAge(w.params, int64(h.Timestamp), w.now())
	if !old {
		return nil
	}
	s.note(nil, fmt.Errorf("%w: block %d was made %s ago; the node may be cut off from the network, or the clock of this computer wrong", ErrOldTip, tip.Height, roughly(age)))
	for _, r := range s.usable(tip.Height) {
		n, told, err := r.peers(ctx)
		if err != nil {
			if err := s.drop(ctx, r, err); err != nil {
				return err
			}
		}
		if told && n == 0 {
			s.note(nil, r.named(fmt.Errorf("%w: it knows nothing but what it had before", ErrNoPeers)))
		}
	}
	return nil
}

// roughly writes a time in the largest unit of which there are two at least.
func roughly(d time.Duration) string {
	switch hours := int(d.Hours()); {
	case hours >= 48:
		return fmt.Sprintf("%d days", hours/24)
	case hours >= 2:
		return fmt.Sprintf("%d hours", hours)
	}
	return fmt.Sprintf("%d minutes", int(d.Minutes()))
}

// View is how far what the wallet shows can be trusted. Balance, History and the others tell
// what was true as of a block, whatever has become of the node since.
type View struct {
	Position types.Index // the block up to which payments were looked for
	Time     int64       // of that block, by its miner's clock; seconds since 1970
	// Problems are what was wrong in the last Sync, its error among them: ErrUnreachable,
	// ErrBehind, ErrOldTip, ErrNoPeers and the others. None: as of now this is all there is.
	Problems []error
	// Nodes are what was wrong with some of several nodes. Others made up for it.
	Nodes []error
}

// View returns as of which block the wallet shows what it shows. It needs no node.
func (w *Wallet) View() (View, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h, err := w.headerAt(w.meta.position.Height)
	return View{w.meta.position, int64(h.Timestamp), slices.Clone(w.problems), slices.Clone(w.nodeProblems)}, err
}

func (w *Wallet) setProblems(problems, ofNodes []error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems, w.nodeProblems = problems, ofNodes
}
