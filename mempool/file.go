package mempool

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/wholefile"
)

// The file of a pool:
//
//	magic 4 "KRM2" | identity of the network 32 | CRC-32C of these 4
//	then records, the transactions among them with parents first:
//	length of the content 4 | kind 1 | time 8, seconds since 1970 | fee delta 8 | content | CRC-32C of these 4
//
// The content is a transaction (BIP144), or the id of one that only has a delta, whose time
// is 0. Numbers are little-endian. There is no count and no end mark: a file that was cut off
// or damaged is good up to there. Fees and times of coins are not in it, since every
// transaction is checked as if it had just come.
//
// The first version, "KRM1", had records of transactions alone: length, time, encoding and
// CRC-32C. It is still read, and so is the file of Bitcoin Core (corefile.go).
const (
	fileMagic    = "KRM2"
	fileMagicOld = "KRM1"
)

// The kinds of records.
const (
	kindTx          = 0 // a transaction
	kindUnbroadcast = 1 // one that no peer has asked for
	kindDelta       = 2 // the delta of one that is not there
)

// ErrFile is wrapped by the errors of Load and Import about a file that is not one of a
// pool of this network.
var ErrFile = errors.New("not a file of this network's pool")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// saveInterval is how often the pool is saved while it changes: a kill loses no more.
const saveInterval = 5 * time.Minute

// contents is what the file of a pool has.
type contents struct {
	entries []*pending.Entry // parents first
	deltas  map[types.Hash]types.Amount
	local   map[types.Hash]struct{}
	edits   uint64 // the number of changes that are in it
}

func (p *Pool) contents() contents {
	p.mu.Lock()
	defer p.mu.Unlock()
	return contents{p.graph.entries(), maps.Clone(p.graph.deltas), maps.Clone(p.local), p.edits()}
}

// edits counts all changes of what the file has. It assumes mu.
func (p *Pool) edits() uint64 { return p.changes + p.marks }

// Save writes all transactions, fee deltas and what no peer has asked for to a file, which
// is there as a whole or not at all, whatever happens. Parents come first, so that Load can
// take one after another. One at a time saves, so that no file goes back to an older pool.
// Errors are ErrLocal.
func (p *Pool) Save(path string) error {
	if err := p.saving.Take(context.Background()); err != nil {
		return err
	}
	defer p.saving.Give()
	c := p.contents()
	if err := wholefile.Replace(path, func(w io.Writer) error { return c.writeTo(w, p.params) }); err != nil {
		return consensus.Local(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saved = c.edits
	return nil
}

// KeepSaved saves the pool now and then if it has changed, until the context ends, once
// Load has read the file: before that the file may have more than the pool. That the file
// cannot be written is logged, and tried again.
func (p *Pool) KeepSaved(ctx context.Context, path string) error {
	ticker := time.NewTicker(saveInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		p.mu.Lock()
		due := p.loaded && p.saved != p.edits()
		p.mu.Unlock()
		if !due {
			continue
		}
		if err := p.Save(path); err != nil {
			p.log.Warn("waiting transactions could not be saved", "err", err)
		}
	}
}

func (c *contents) writeTo(w io.Writer, params *consensus.Params) error {
	if _, err := w.Write(fileHeader(fileMagic, params)); err != nil {
		return err
	}
	var buf []byte
	for _, e := range c.entries {
		rec := record{txid: e.TxID, at: e.Time, delta: c.deltas[e.TxID]}
		_, rec.unbroadcast = c.local[e.TxID]
		buf = rec.appendTo(buf[:0], e.Raw)
		if _, err := w.Write(buf); err != nil {
			return err
		}
		delete(c.deltas, e.TxID)
	}
	for _, txid := range slices.SortedFunc(maps.Keys(c.deltas), compareIDs) {
		rec := record{txid: txid, delta: c.deltas[txid]}
		buf = rec.appendTo(buf[:0], nil)
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

// fileHeader is what the file of a network's pool begins with. It names the network, so
// that transactions of another one are not even tried.
func fileHeader(magic string, params *consensus.Params) []byte {
	identity := params.Identity()
	return appendChecksum(append([]byte(magic), identity[:]...))
}

func appendChecksum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// record is what a file says of a transaction.
type record struct {
	tx          *types.Tx  // nil: the file has it not
	txid        types.Hash // zero: what it has is no transaction
	at          time.Time  // when it came
	delta       types.Amount
	unbroadcast bool
}

// none reports whether the file has something that is no transaction.
func (r *record) none() bool { return r.txid == types.Hash{} }

// appendTo writes a record. Without an encoding it is that of a delta alone.
func (r *record) appendTo(b, raw []byte) []byte {
	kind, at := byte(kindTx), r.at.Unix()
	switch {
	case raw == nil:
		kind, raw, at = kindDelta, r.txid[:], 0
	case r.unbroadcast:
		kind = kindUnbroadcast
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(raw)))
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint64(b, uint64(at))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.delta))
	return appendChecksum(append(b, raw...))
}
