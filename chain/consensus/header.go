package consensus

import (
	"fmt"

	"github.com/karatcoin/karat/chain/types"
)

// MaxFutureSeconds is how far a block's time may lie ahead of the clock. Clocks
// differ, so a block beyond it is not invalid; it is ErrNotYet.
const MaxFutureSeconds = 2 * 60 * 60

// minBlockVersion is the least version of a block. Versions 1 to 3 ended with BIP34,
// BIP66 and BIP65, which are in force from block 1.
const minBlockVersion = 4

// CheckHeader checks the proof of work of a header: the network allows its target,
// and its hash is not above it. Whether the target is the right one at its height is
// for ValidateHeader. So a header can be weighed before its parent is known. The
// hash is the header's.
func CheckHeader(p *Params, h *types.Header, hash types.Hash) error {
	target, negative, overflow := ExpandBits(h.Bits)
	if negative || overflow || target.IsZero() || target.Cmp(p.PowLimit) > 0 {
		return invalid(ReasonHighHash, "bits %08x are no target of this network", h.Bits)
	}
	if Uint256FromHash(hash).Cmp(target) > 0 {
		return invalid(ReasonHighHash, "hash %s is above the target %s", hash, target)
	}
	return nil
}

// ValidateHeader checks a header as the child of the parent. now is the time in
// seconds since 1970. A header from the future is ErrNotYet. CheckHeader holds.
func ValidateHeader(p *Params, parent *State, h *types.Header, now int64) error {
	if want := NextBits(p, parent); h.Bits != want {
		return invalid(ReasonBits, "bits are %08x, want %08x", h.Bits, want)
	}
	if median := parent.MedianTimePast(); h.Timestamp <= median {
		return invalid(ReasonTimeTooOld, "time %d is not after the median time past %d", h.Timestamp, median)
	}
	if int64(h.Timestamp) > now+MaxFutureSeconds {
		return notYet(ReasonTimeTooNew, "time %d is more than two hours ahead of %d", h.Timestamp, now)
	}
	if h.Version < minBlockVersion {
		return &RuleError{
			Kind: ErrInvalid, Reason: ReasonVersion, Suffix: fmt.Sprintf("(0x%08x)", uint32(h.Version)),
			Detail: fmt.Sprintf("version is %d, want at least %d", h.Version, minBlockVersion),
		}
	}
	return nil
}
