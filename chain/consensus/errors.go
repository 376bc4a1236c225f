package consensus

import (
	"errors"
	"fmt"
)

// The kinds of error, chosen for what the caller does next. Every error about a
// block or transaction is one of ErrInvalid, ErrNotYet, ErrPolicy and ErrLocal
// under errors.Is.
var (
	// ErrInvalid is a broken rule. The block or transaction is wrong for ever, and
	// whoever sent it knew or should have known.
	ErrInvalid = errors.New("invalid")
	// ErrMutated is an ErrInvalid whose fault may lie in the body that came with a
	// header, not in what the header commits to. Another body with the same hash may
	// be valid, so the hash must not be remembered as invalid. Otherwise anyone could
	// make a node refuse a good block (CVE-2012-2459, witness malleation).
	ErrMutated = fmt.Errorf("%w: mutated", ErrInvalid)
	// ErrNotYet is a block that may become valid: its parent is not known, or
	// its time lies in the future. Keep it or ask for it again; punish nobody.
	ErrNotYet = errors.New("not yet")
	// ErrPolicy is a transaction that this node does not take, though a block may
	// hold it. Other nodes may think otherwise, so nobody is to blame.
	ErrPolicy = errors.New("refused by policy")
	// ErrLocal is a fault of our own: disk, memory, a bug. It says nothing about the
	// block. The node stops rather than go on with a state that may be wrong.
	ErrLocal = errors.New("local fault")
)

// ErrNotFound is returned for a block's body, undo data or filter that is not
// stored: it never came, or it was pruned.
var ErrNotFound = errors.New("not stored")

// Reason is the short name of a broken rule: Bitcoin Core's reject reason where Core
// has one, since clients compare these strings. It is an error, so that callers can
// ask errors.Is(err, ReasonCoinbaseAmount).
type Reason string

// Error returns the reason itself.
func (r Reason) Error() string { return string(r) }

// RuleError is a broken rule with its kind, its reason and what was found.
type RuleError struct {
	Kind   error // ErrInvalid, ErrMutated, ErrNotYet or ErrPolicy
	Reason Reason
	Suffix string // what Bitcoin Core's reject reason has behind the reason; mostly empty
	Detail string // for humans: what was found and where; may be empty
}

// RejectReason returns what Bitcoin Core calls its reject reason: the reason, and
// behind it what was found where Core says that too, as in bad-version(0x00000001).
func (e *RuleError) RejectReason() string { return string(e.Reason) + e.Suffix }

// Error returns "reason: detail".
func (e *RuleError) Error() string {
	if e.Detail == "" {
		return string(e.Reason)
	}
	return string(e.Reason) + ": " + e.Detail
}

// Unwrap lets errors.Is find both the kind and the reason.
func (e *RuleError) Unwrap() []error { return []error{e.Kind, e.Reason} }

func invalid(reason Reason, format string, args ...any) error {
	return &RuleError{Kind: ErrInvalid, Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

func mutated(reason Reason, format string, args ...any) error {
	return &RuleError{Kind: ErrMutated, Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

func notYet(reason Reason, format string, args ...any) error {
	return &RuleError{Kind: ErrNotYet, Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Local wraps a fault of our own so that errors.Is sees ErrLocal. It returns
// nil for nil.
func Local(err error) error {
	if err == nil || errors.Is(err, ErrLocal) {
		return err
	}
	return localError{err}
}

// localError is of the kind ErrLocal. Its text is its cause's: that a disk is full tells
// people more than whose fault it is.
type localError struct{ error }

func (e localError) Unwrap() []error { return []error{ErrLocal, e.error} }
