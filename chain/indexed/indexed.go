// Package indexed holds what the indexes of a node tell: how far they are, which
// input spends an output, and what a script was paid.
//
// Indexes follow the chain by themselves, so each answer says of which block it is.
// Pages of a long answer are read one after the other, while the chain goes on:
//
//	page := indexed.Page{Limit: 100}
//	for {
//		history, err := scripts.ScriptHistory(hashes, page) // ErrCursor: begin again
//		...
//		if page.After = history.Next; page.After == nil {
//			break
//		}
//	}
//
// A cursor names the last thing of its page, and the block that it is in. As long as
// that block is on the best chain, so is everything below it, and the next page goes
// on exactly there. If it is not, the answer is ErrCursor: what was read may have left
// the chain.
package indexed

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// The names of indexes. All but Scripts are Bitcoin Core's.
const (
	Txs       = "txindex"
	CoinStats = "coinstatsindex"
	Spenders  = "txospenderindex"
	Filters   = "basic block filter index"
	Scripts   = "scriptindex"
)

// ErrBehind says that the index does not know now: it has not come to that block or
// transaction, is made anew, or does not keep such things.
var ErrBehind = errors.New("the index has not come that far")

// ErrCursor says that the block of a cursor is not on the best chain any more.
var ErrCursor = errors.New("the block of the cursor has left the chain")

// State tells how far an index is.
type State struct {
	Name    string
	At      types.Index // up to this block everything is indexed
	Synced  bool        // that is the tip
	Problem string      // why it stands still; empty if it does not
}

// Spender is the input that spends an output, in a transaction of the best chain.
type Spender struct {
	TxID  types.Hash
	Input uint32
	Place types.TxPlace
}

// ScriptHash is the SHA-256 of an output's script, in the order of its bytes. Its text
// is byte-reversed, as in Electrum's protocol.
type ScriptHash [sha256.Size]byte

// HashScript returns the name under which a script is found.
func HashScript(script []byte) ScriptHash { return sha256.Sum256(script) }

// String returns the hash as Electrum's protocol has it (byte-reversed hexadecimal).
func (h ScriptHash) String() string {
	slices.Reverse(h[:])
	return hex.EncodeToString(h[:])
}

// ScriptStats counts what was ever paid to a script, and what of it was spent.
// Amounts are in grains.
type ScriptStats struct {
	Txs       uint64 // transactions that pay to it or spend from it
	Funded    uint64 // outputs
	FundedSum types.Amount
	Spent     uint64 // of these outputs
	SpentSum  types.Amount
}

// Balance is what the script has, in grains.
func (s *ScriptStats) Balance() types.Amount { return s.FundedSum - s.SpentSum }

// Add adds what another script has. A transaction of both counts twice.
func (s *ScriptStats) Add(other *ScriptStats) {
	s.Txs += other.Txs
	s.Funded += other.Funded
	s.FundedSum += other.FundedSum
	s.Spent += other.Spent
	s.SpentSum += other.SpentSum
}

// Balances are the stats of scripts, in the order in which they were asked for.
type Balances struct {
	At    types.Index
	Stats []ScriptStats
}

// ScriptTx is a transaction that pays to scripts or spends from them.
type ScriptTx struct {
	TxID     types.Hash
	Height   uint32
	Place    types.TxPlace
	Received types.Amount // by its outputs to the scripts
	Sent     types.Amount // by its inputs that spend from them
}

// History is a page of transactions.
type History struct {
	At   types.Index // the block of which this is
	Txs  []ScriptTx
	Next *Cursor // nil: there are no more
}

// ScriptCoin is an output that is not spent.
type ScriptCoin struct {
	OutPoint   types.OutPoint
	Script     ScriptHash
	Value      types.Amount
	Height     uint32
	IsCoinbase bool
}

// Coins is a page of unspent outputs.
type Coins struct {
	At    types.Index // the block of which this is
	Coins []ScriptCoin
	Next  *Cursor // nil: there are no more
}

// Page says which part of a list is wanted.
type Page struct {
	After  *Cursor // nil: from the beginning
	Limit  int     // at most so many, and at least one
	Oldest bool    // the oldest first; else the newest
	Bare   bool    // transactions of a history are told without their blocks' hashes, each of which costs a look-up
}

// cursorSize is a cursor's length in bytes.
const cursorSize = 4 + types.HashSize + 4 + types.HashSize + 4

// Cursor is the end of a page. Of transactions N is the position in the block, and
// OutPoint is empty; of coins it is the other way round.
type Cursor struct {
	Height   uint32
	Block    types.Hash // at that height
	N        uint32
	OutPoint types.OutPoint
}

// String returns the cursor for a client, who gives it back as it is.
func (c *Cursor) String() string {
	b := make([]byte, 0, cursorSize)
	b = binary.LittleEndian.AppendUint32(b, c.Height)
	b = append(b, c.Block[:]...)
	b = binary.LittleEndian.AppendUint32(b, c.N)
	b = append(b, c.OutPoint.TxID[:]...)
	return hex.EncodeToString(binary.LittleEndian.AppendUint32(b, c.OutPoint.Index))
}

// ParseCursor reads what String made.
func ParseCursor(text string) (*Cursor, error) {
	if len(text) != 2*cursorSize {
		return nil, fmt.Errorf("cursor of %d characters, want %d", len(text), 2*cursorSize)
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("cursor: %w", err)
	}
	d := types.NewDecoder(b)
	c := &Cursor{Height: d.Uint32(), Block: d.Hash(), N: d.Uint32()}
	c.OutPoint = types.OutPoint{TxID: d.Hash(), Index: d.Uint32()}
	return c, d.Finish()
}
