// Package journal says how the blocks of a chain are written down for others: as one
// sequence of messages, in which each block that came or went is a step, told transaction
// by transaction.
//
// Its one idea is that the sequence itself says where it ends. Each message has an id, by
// which it is known which step it is of, which block came or went, and which part of the
// block it tells. So whoever writes on needs to remember nothing. Several nodes write one
// journal together: each reads the end (End), and says what comes next (Writer) under the
// condition that the end is still there. The server refuses all but one of them, and these
// read the end again.
//
// A step is the block's transactions, in order when it comes and from the last to the first
// when it goes, and then the block itself. So who has read the block's message has read
// all of it, and that is the moment to write down what has changed:
//
//	r := journal.Reader{Network: params.Identity(), At: kept}
//	step, err := r.Read(&message) // nil until a step is whole
//	… // work it in, and keep r.At with it, in one transaction
//
// Kept with what it has changed, Position is all that a reader needs: the journal goes on
// behind it, and SeekBlock finds where that is in one that was lost and written anew.
//
// What a writer did not end, because its node died and no other has that block, is given
// up by a step of its own (Abandoned): what was told of the block does not hold.
package journal

import (
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// Version is that of the messages. Who writes and who reads must have the same.
const Version = 1

// ErrForeign is wrapped by the errors about messages that no karat of this version, and
// of this network, has written.
var ErrForeign = errors.New("this is not the journal of this network")

// ErrGap is wrapped by the errors about messages that do not follow on each other, or on
// the reader's position: some were lost, or the journal was written anew.
var ErrGap = errors.New("the journal does not go on here")

// Direction is what happened to the block of a step.
type Direction string

// The directions.
const (
	Connected    Direction = "connected"    // it is the tip now
	Disconnected Direction = "disconnected" // its parent is the tip now
	Abandoned    Direction = "abandoned"    // what was told of it since the last step does not hold
)

// letter is the direction in an id.
func (d Direction) letter() string { return string(d[:1]) }

func direction(letter string) (Direction, bool) {
	for _, d := range []Direction{Connected, Disconnected, Abandoned} {
		if d.letter() == letter {
			return d, true
		}
	}
	return "", false
}

// Format is what messages hold.
type Format string

// The formats. Each has a stream of its own.
const (
	JSON Format = "json" // a Block or a Tx
	Raw  Format = "raw"  // the 80 bytes of a header, or a transaction as BIP144 encodes it
)

// ParseFormat reads a format.
func ParseFormat(s string) (Format, error) {
	if f := Format(s); f == JSON || f == Raw {
		return f, nil
	}
	return "", fmt.Errorf("%q: want %s or %s", s, JSON, Raw)
}

// Stream is the name of the stream that has the journal of a network.
func Stream(network string, f Format) string { return "karat-" + network + "-" + string(f) }

// Subjects is what the stream takes: all subjects of the journal.
func Subjects(network string, f Format) string { return prefix(network, f) + ">" }

// BlockSubject is the subject of the messages about blocks.
func BlockSubject(network string, f Format, d Direction) string {
	return prefix(network, f) + block + string(d)
}

// AnyBlockSubject matches the subjects of all messages that end a step.
func AnyBlockSubject(network string, f Format) string { return prefix(network, f) + block + "*" }

// TxSubject is the subject of the messages about transactions of blocks.
func TxSubject(network string, f Format, d Direction) string {
	return prefix(network, f) + "tx." + string(d)
}

const block = "block."

func prefix(network string, f Format) string { return "karat." + network + "." + string(f) + "." }

// Position is a place between two steps.
type Position struct {
	Steps uint64      // that were made before
	Block types.Index // where they have led
}

// begun reports whether a block has come. None has while the first that was told is given up.
func (p *Position) begun() bool { return p.Block != types.Index{} }

// Goal is the tip towards which a writer goes. In the middle of a reorganisation the
// journal stands at a block with less work than before, and this tells others that
// nothing is amiss.
type Goal struct {
	Hash types.Hash
	Work consensus.Uint256
}

// Head is what the message that ends a step says of it.
type Head struct {
	Network   types.Hash // consensus.Params' Identity
	Number    uint64     // steps before this one
	Direction Direction
	Block     types.Index // that came or went, or was given up
	Parent    types.Hash  // of Block; zero in Abandoned
	Txs       int         // transactions of the block; 0 in Abandoned
	At        types.Index // where the journal stands behind the step
	Work      consensus.Uint256
	Goal      Goal
}

// Behind is the position behind the step.
func (h *Head) Behind() Position { return Position{h.Number + 1, h.At} }

// Message is one message. Its header has what NATS calls headers.
type Message struct {
	Subject string
	Header  map[string][]string
	Data    []byte
}

// before is where the journal stands before a step that connects or disconnects a block.
func (h *Head) before() types.Index {
	if h.Direction == Disconnected {
		return h.Block
	}
	return types.Index{Height: h.Block.Height - 1, Hash: h.Parent}
}

// moves reports whether a step that connects or disconnects a block leads where that leads.
func (h *Head) moves() bool {
	if h.Direction == Connected {
		return h.At == h.Block && (h.Block.Height > 0 || h.Parent.IsZero())
	}
	return h.Block.Height > 0 && h.At == types.Index{Height: h.Block.Height - 1, Hash: h.Parent}
}
