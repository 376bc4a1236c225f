package chain

import (
	"math/bits"

	"github.com/karatcoin/karat/chain/consensus"
)

// Miners signal by bits of a block's version that they are ready for new rules (BIP9).
// karat has no rules that begin in this way, so every bit is unknown to it: when one has
// activated, blocks obey rules that this program does not check.
const (
	versionTopMask = 0xe0000000
	versionTopBits = 0x20000000
	versionBits    = 5 // that can signal; the others are for miners to roll (BIP323)

	signalPeriod        = 2016 // blocks of a period
	signalThreshold     = 1815 // of them, 90% (BIP341)
	testSignalPeriod    = 144
	testSignalThreshold = 108 // 75%
)

// signals is how the version bits stand after the last block of a period, as masks. The
// first period has begun no signalling yet.
type signals struct {
	end      *blockNode
	lockedIn uint32
	active   uint32
}

// UnknownRules returns the version bits that have activated on the best chain, the lowest
// first: rules that this program does not know. It counts as Bitcoin Core does when it
// warns, and what it has counted once it keeps.
func (c *Chain) UnknownRules() (unknown []int) {
	period, threshold := uint32(signalPeriod), signalThreshold
	if c.params.Difficulty.Algorithm == consensus.DifficultyFixed {
		period, threshold = testSignalPeriod, testSignalThreshold
	}
	c.mu.RLock()
	tip := c.tip
	c.mu.RUnlock() // the tree below it never changes
	whole := (tip.height + 1) / period * period
	if whole == 0 {
		return nil
	}
	end := tip.ancestor(whole - 1)
	at := c.signals.Load()
	if at == nil || !end.descendsFrom(at.end) {
		at = &signals{end: tip.ancestor(period - 1)}
	}
	for at.end != end {
		at = at.next(end.ancestor(at.end.height+period), threshold)
	}
	c.signals.Store(at)
	for active := at.active; active != 0; active &= active - 1 {
		unknown = append(unknown, bits.TrailingZeros32(active))
	}
	return unknown
}

// next goes on to the end of the next period.
func (s *signals) next(end *blockNode, threshold int) *signals {
	var counts [versionBits]int
	for n := end; n != s.end; n = n.parent {
		version := uint32(n.header.Version)
		if version&versionTopMask != versionTopBits {
			continue
		}
		for signalled := version & (1<<versionBits - 1); signalled != 0; signalled &= signalled - 1 {
			counts[bits.TrailingZeros32(signalled)]++
		}
	}
	after := &signals{end: end, active: s.active | s.lockedIn}
	for bit, count := range counts {
		if mask := uint32(1) << bit; count >= threshold && after.active&mask == 0 {
			after.lockedIn |= mask
		}
	}
	return after
}
