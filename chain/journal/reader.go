package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// MaxStepBytes is how much a reader keeps of a step that is not whole. The largest block
// that a network can have takes less.
const MaxStepBytes = 256 << 20

// minObject is the least bytes in which the JSON of a journal has an object: an output of
// nothing to an empty script has 28.
const minObject = 24

// Step is a block that came or went, with all that was told of it.
type Step struct {
	Head
	Body []byte // of the block
	// Txs are the bodies of the transactions in the order of the block, whichever way it
	// went.
	Txs [][]byte
}

// Block reads the block of a step in JSON. The error is ErrForeign.
func (s *Step) Block() (*Block, error) {
	b := &Block{}
	if err := unmarshal(s.Body, b); err != nil {
		return nil, foreign("block %s: %v", s.Head.Block, err)
	}
	return b, nil
}

// Tx reads a transaction of a step in JSON. The error is ErrForeign.
func (s *Step) Tx(position int) (*Tx, error) {
	t := &Tx{}
	if err := unmarshal(s.Txs[position], t); err != nil {
		return nil, foreign("transaction %d of block %s: %v", position, s.Head.Block, err)
	}
	return t, nil
}

// unmarshal reads JSON whose objects are as long as a journal's. Empty ones would take fifty
// times their bytes in memory, and whoever writes the stream may send a step of many.
func unmarshal(text []byte, into any) error {
	if n := bytes.Count(text, []byte("{")); n > 1+len(text)/minObject {
		return fmt.Errorf("%d objects in %d bytes", n, len(text))
	}
	return json.Unmarshal(text, into)
}

// Reader puts steps together from messages, and holds that nothing is missing.
type Reader struct {
	Network types.Hash // consensus.Params' Identity
	// At is the position behind the last step that Read has returned. Where it is zero, the
	// reader takes the first step of a journal.
	At Position

	open  *ID // the last message of the step that is under way
	txs   [][]byte
	part  []byte // of the transaction whose parts come
	bytes int    // of txs and part
}

// Read takes the next message, and returns the step that ends with it. A step that was given
// up is returned too, without transactions: it changes nothing.
//
// After an error the reader is as before the step. ErrGap says that the message does not
// follow on At, ErrForeign that none of this network's would look so.
func (r *Reader) Read(m *Message) (step *Step, err error) {
	d, err := m.ID()
	if err == nil {
		err = r.follows(&d)
	}
	if err == nil && d.IsBlock {
		step, err = r.end(m, &d)
	} else if err == nil {
		err = r.take(m, &d)
	}
	if err != nil || step != nil {
		r.open, r.txs, r.part, r.bytes = nil, nil, nil, 0
	}
	if step != nil {
		r.At = step.Behind()
	}
	return step, err
}

// follows checks that a message is of the step that comes now.
func (r *Reader) follows(d *ID) error {
	if d.Number != r.At.Steps {
		return gap("%s follows on step %d", d.String(), int64(r.At.Steps)-1)
	}
	if o := r.open; o != nil && d.Direction != Abandoned && (o.Hash != d.Hash || o.Direction != d.Direction) {
		return gap("%s follows on %s", d.String(), o.String())
	}
	return nil
}

// take keeps a transaction, or a part of one.
func (r *Reader) take(m *Message, d *ID) error {
	if r.bytes += len(m.Data); r.bytes > MaxStepBytes {
		return foreign("block %s has more than %d MiB", d.Hash, MaxStepBytes>>20)
	}
	last := r.open
	r.open = d
	want := ID{Position: d.Position}
	switch {
	case last == nil && d.Direction == Connected:
		want.Position = 0
	case last == nil:
	case last.Part < last.Parts:
		want.Position, want.Part, want.Parts = last.Position, last.Part, last.Parts
	case d.Direction == Connected:
		want.Position = last.Position + 1
	default:
		want.Position = last.Position - 1
	}
	if d.Parts > 0 {
		want.Part++
	}
	if d.Position != want.Position || d.Part != want.Part || want.Parts != 0 && d.Parts != want.Parts {
		if last == nil {
			return gap("%s is the first of its step", d.String())
		}
		return gap("%s follows on %s", d.String(), last.String())
	}
	if r.part = append(r.part, m.Data...); d.Part == d.Parts {
		r.txs, r.part = append(r.txs, r.part), nil
	}
	return nil
}

// end ends a step.
func (r *Reader) end(m *Message, d *ID) (*Step, error) {
	h, err := m.Head()
	if err != nil {
		return nil, err
	}
	if h.Network != r.Network {
		return nil, foreign("it is of network %s, and this is %s", h.Network, r.Network)
	}
	if h.Direction == Abandoned {
		if r.At.begun() && h.At != r.At.Block {
			return nil, gap("step %d stays at block %s, and the one before led to %s", h.Number, h.At, r.At.Block)
		}
		return &Step{Head: *h, Body: m.Data}, nil
	}
	if !h.moves() {
		return nil, foreign("step %d says that block %s is %s and leads to %s", h.Number, h.Block, h.Direction, h.At)
	}
	if before := h.before(); r.At.begun() && before != r.At.Block {
		return nil, gap("step %d begins at block %s, and the one before led to %s", h.Number, before, r.At.Block)
	}
	if h.Txs != len(r.txs) || len(r.part) > 0 || h.Direction == Disconnected && r.open.Position != 0 {
		return nil, gap("block %s has %d transactions, and %d were told", h.Block, h.Txs, len(r.txs))
	}
	step := &Step{Head: *h, Body: m.Data, Txs: r.txs}
	if h.Direction == Disconnected {
		slices.Reverse(step.Txs)
	}
	return step, nil
}
