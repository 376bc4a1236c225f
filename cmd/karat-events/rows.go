package main

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/types"
)

// table is a table of the warehouse that is filled by COPY.
type table struct {
	name    string
	columns []string
}

// The tables, in the order of rows.
var tables = [...]table{
	{"blocks", []string{"height", "time", "hash", "parent", "version", "merkle_root", "bits", "nonce", "work", "size", "weight", "txs", "fees"}},
	{"transactions", []string{"height", "position", "txid", "wtxid", "version", "locktime", "size", "weight", "coinbase", "fee", "inputs", "outputs"}},
	{"inputs", []string{
		"height", "position", "vin", "spent_txid", "spent_vout", "spent_value", "spent_height", "spent_coinbase", "spent_script", "spent_address",
		"sequence", "script_sig", "witness",
	}},
	{"outputs", []string{"height", "position", "vout", "value", "unspendable", "script", "address"}},
}

// row has the values of a table's columns.
type row = []any

// blockRows are what a block adds to each of the tables.
type blockRows struct {
	block types.Index
	bytes int // of the messages
	rows  [len(tables)][]row
}

// read makes the rows of a step that connects a block. An error is journal.ErrForeign.
func read(s *journal.Step) (*blockRows, error) {
	b, err := s.Block()
	if err != nil {
		return nil, err
	}
	r := &blockRows{block: s.Head.Block, bytes: len(s.Body)}
	r.rows[1] = make([]row, 0, len(s.Txs))
	work, ok := new(big.Int).SetString(b.Work, 16)
	if !ok || b.Work != s.Head.Work.String() || !fits(int64(b.Height), int64(b.Size), int64(b.Weight)) || b.Height != s.Head.Block.Height || b.Hash != s.Head.Block.Hash || b.Txs != len(s.Txs) {
		return nil, fmt.Errorf("%w: block %s does not say what it is", journal.ErrForeign, s.Head.Block)
	}
	r.rows[0] = []row{{
		b.Height, unix(b.Time), shown(b.Hash), shown(b.Parent), b.Version, shown(b.MerkleRoot), b.Bits, b.Nonce, pgtype.Numeric{Int: work, Valid: true},
		b.Size, b.Weight, b.Txs, int64(b.Fees),
	}}
	for i := range s.Txs {
		t, err := s.Tx(i)
		if err != nil {
			return nil, err
		}
		if !fitsTx(t) || t.Height != b.Height || t.Block != b.Hash || t.Position != i {
			return nil, fmt.Errorf("%w: transaction %d of block %s does not say what it is", journal.ErrForeign, i, s.Head.Block)
		}
		r.transaction(t)
		r.bytes += len(s.Txs[i])
	}
	return r, nil
}

// fits reports whether numbers are those of columns of integers. What does not fit is refused
// here: to the database it would be a COPY that was broken off, which is tried again.
func fits(numbers ...int64) bool {
	return !slices.ContainsFunc(numbers, func(n int64) bool { return n < 0 || n > math.MaxInt32 })
}

// fitsTx reports whether the tables can have a transaction.
func fitsTx(t *journal.Tx) bool {
	ok := fits(int64(t.Size), int64(t.Weight))
	for i := range t.Inputs {
		if c := t.Inputs[i].Coin; c != nil {
			ok = ok && fits(int64(t.Inputs[i].Index), int64(c.Height)) && !strings.Contains(c.Address, "\x00")
		}
	}
	for i := range t.Outputs {
		ok = ok && !strings.Contains(t.Outputs[i].Address, "\x00")
	}
	return ok
}

func (r *blockRows) transaction(t *journal.Tx) {
	r.rows[1] = append(r.rows[1], row{
		t.Height, t.Position, shown(t.TxID), shown(t.WTxID), t.Version, t.LockTime, t.Size, t.Weight, t.Coinbase, int64(t.Fee), len(t.Inputs), len(t.Outputs),
	})
	for i := range t.Inputs {
		in := &t.Inputs[i]
		witness := make([][]byte, len(in.Witness))
		for k, element := range in.Witness {
			witness[k] = notNull(element)
		}
		spent := row{nil, nil, nil, nil, nil, nil, nil}
		if c := in.Coin; c != nil {
			spent = row{shown(in.TxID), in.Index, int64(c.Value), c.Height, c.Coinbase, notNull(c.ScriptPubKey), address(c.Address)}
		}
		r.rows[2] = append(r.rows[2], slices.Concat(row{t.Height, t.Position, i}, spent, row{in.Sequence, notNull(in.ScriptSig), witness}))
	}
	for i := range t.Outputs {
		out := &t.Outputs[i]
		r.rows[3] = append(r.rows[3], row{t.Height, t.Position, i, int64(out.Value), out.Unspendable, notNull(out.ScriptPubKey), address(out.Address)})
	}
}

// shown is a hash in the order in which it is shown.
func shown(h types.Hash) []byte {
	b := slices.Clone(h[:])
	slices.Reverse(b)
	return b
}

func unix(seconds uint32) time.Time { return time.Unix(int64(seconds), 0) }

// notNull makes no bytes an empty value: to PostgreSQL a nil slice is none.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func address(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// batch is what several steps change together.
type batch struct {
	keeps  int64 // the highest block of the database that stays; below zero: all go
	blocks []*blockRows
	bytes  int      // of the messages that the rows are made of
	size   int      // rows
	steps  uint64   // in it
	at     position // behind it
}

// newBatch begins a batch behind a position.
func newBatch(at position) *batch { return &batch{keeps: at.height(), at: at} }

// maxRows is how many rows are written in one transaction, but for those of one block. So many
// of usual payments take some 20 MB of memory, and a tenth of a second of the database.
const maxRows = 50_000

// maxBytes is the same in bytes of messages: a few rows may have large witnesses.
const maxBytes = 32 << 20

// full reports whether nothing more is to be worked in.
func (b *batch) full() bool { return b.size >= maxRows || b.bytes >= maxBytes }

// add works in a step that leads to a place of the stream.
func (b *batch) add(s *journal.Step, sequence uint64) error {
	switch s.Direction {
	case journal.Connected:
		r, err := read(s)
		if err != nil {
			return err
		}
		b.blocks = append(b.blocks, r)
		b.size, b.bytes = b.size+r.size(), b.bytes+r.bytes
	case journal.Disconnected:
		if n := len(b.blocks); n > 0 { // nobody has seen it yet
			b.size, b.bytes = b.size-b.blocks[n-1].size(), b.bytes-b.blocks[n-1].bytes
			b.blocks = b.blocks[:n-1]
		} else {
			b.keeps = int64(s.Head.Block.Height) - 1
		}
	}
	b.steps++
	b.at = position{Position: s.Behind(), sequence: sequence}
	return nil
}

func (r *blockRows) size() (n int) {
	for _, rows := range r.rows {
		n += len(rows)
	}
	return n
}

// source are the rows of one table, in order.
func (b *batch) source(table int) pgx.CopyFromSource {
	i, k := 0, -1
	return pgx.CopyFromFunc(func() (row, error) {
		for k++; i < len(b.blocks); i, k = i+1, 0 {
			if rows := b.blocks[i].rows[table]; k < len(rows) {
				return rows[k], nil
			}
		}
		return nil, nil
	})
}
