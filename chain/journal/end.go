package journal

import (
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// End is the end of a journal, from which it is written on.
type End struct {
	At     Position          // behind the last step that is whole; zero: there is none
	Work   consensus.Uint256 // of the chain up to At
	Goal   Goal              // of the last step
	Writer string            // of the last message
	Open   *ID               // the last message, if it is of a step that is not whole; else nil
}

// ReadEnd reads the end of a network's journal from the last message that ends a step, and
// from the last of all; each is nil if there is none. The error is ErrForeign.
func ReadEnd(network types.Hash, lastStep, last *Message) (*End, error) {
	e := &End{}
	if lastStep != nil {
		h, err := lastStep.Head()
		if err != nil {
			return nil, err
		}
		if h.Network != network {
			return nil, foreign("it is of network %s, and this is %s", h.Network, network)
		}
		e.At, e.Work, e.Goal = h.Behind(), h.Work, h.Goal
	}
	if last == nil {
		return e, nil
	}
	d, err := last.ID()
	if err != nil {
		return nil, err
	}
	e.Writer = last.get(HeaderWriter)
	switch {
	case d.Number == e.At.Steps && !d.IsBlock:
		e.Open = &d
	case !d.IsBlock || d.Number+1 != e.At.Steps:
		return nil, foreign("its last message is %s, and its last step leads to %d, %s", d.String(), e.At.Steps, e.At.Block)
	}
	return e, nil
}

// Place is where an open step goes on, of a block with so many transactions.
func (e *End) Place(txs int) Place {
	if e.Open == nil {
		return Place{}
	}
	p := Place{Txs: e.Open.Position}
	if e.Open.Direction == Disconnected {
		p.Txs = txs - 1 - e.Open.Position
	}
	if e.Open.Part < e.Open.Parts {
		p.Parts = e.Open.Part
	} else {
		p.Txs++
	}
	return p
}

// Lookup returns the first message that ends a step at or behind a place of the stream, and
// its own place. The message is nil if there is none.
type Lookup func(from uint64) (m *Message, at uint64, err error)

// SeekHeight finds a step that led to a height, between two places of a stream: what
// follows begins with what happened to the block above. Where the chain went back and forth
// around that height there are several, and any of them is returned; the blocks that are
// told behind it lead to the tip as well. It looks at as many messages as the logarithm of
// their number. ErrGap says that there is none.
func SeekHeight(first, last uint64, height uint32, lookup Lookup) (h *Head, at uint64, err error) {
	look := func(from uint64) (*Head, uint64, error) {
		m, at, err := lookup(from)
		if err != nil || m == nil {
			return nil, 0, err
		}
		h, err := m.Head()
		return h, at, err
	}
	low, lowAt, err := look(first)
	if err != nil {
		return nil, 0, err
	}
	if low == nil || low.At.Height > height {
		return nil, 0, gap("it begins above height %d", height)
	}
	// Steps change the height by one. So between one that is not above it and a later one
	// that is not below there is one that is there.
	if low.At.Height == height {
		return low, lowAt, nil
	}
	end := last + 1 // nothing from there on is known to be below
	reached := false
	for lowAt+1 < end {
		middle := lowAt + (end-lowAt)/2
		h, at, err := look(middle)
		switch {
		case err != nil:
			return nil, 0, err
		case h == nil || at >= end: // the steps below the middle are left
			end = middle
		case h.At.Height == height:
			return h, at, nil
		case h.At.Height > height:
			end, reached = middle, true
		default:
			lowAt = at
		}
	}
	// The messages between are of one step, and it is the one that ends at or behind end.
	h, at, err = look(lowAt + 1)
	if err == nil && (h == nil || h.At.Height != height) {
		err = gap("no step leads to height %d", height)
		if reached {
			err = foreign("its steps leave out height %d", height)
		}
	}
	if err != nil {
		return nil, 0, err
	}
	return h, at, nil
}
