package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync/atomic"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// Headers is what the importer asks of the chain before it hands a block over.
type Headers interface {
	AddHeaders(headers []types.Header) error
	Header(hash types.Hash) (header.Record, bool)
}

// Spool keeps blocks that came before their parents, for an input that cannot be
// read twice.
type Spool interface {
	io.ReaderAt
	io.Writer
}

// Importer puts blocks into an order in which the chain can take them: each
// after its parent. Blocks whose parent has not come yet wait on disk, in the input
// or in the spool. Memory only has where they are.
//
// Blocks is pulled on one goroutine. The counters may be read on any.
type Importer struct {
	headers Headers
	params  *consensus.Params
	refused func(types.Hash, error)

	waiting map[types.Hash][]span // by parent
	tally   struct{ read, known, waiting atomic.Int64 }
	bytes   atomic.Int64
	done    int64 // bytes of the sources that were read to the end
	err     error
	notes   []string
}

// span is where a waiting block can be read again.
type span struct {
	from   io.ReaderAt
	offset int64
	size   int
}

// NewImporter returns an importer. refused is called with each block whose
// header the chain refuses, on the goroutine that pulls Blocks.
func NewImporter(headers Headers, params *consensus.Params, refused func(types.Hash, error)) *Importer {
	return &Importer{headers: headers, params: params, refused: refused, waiting: map[types.Hash][]span{}}
}

// Source is one input.
type Source struct {
	Name   string // for errors and notes
	Reader io.Reader
	// At reads the input again at an offset. It is nil for a stream, which needs
	// a Spool then.
	At    io.ReaderAt
	Spool Spool
}

// Bytes returns how many bytes of the inputs were read.
func (im *Importer) Bytes() int64 { return im.bytes.Load() }

// Read returns how many blocks were found in the inputs.
func (im *Importer) Read() int64 { return im.tally.read.Load() }

// Known returns how many of them the chain had stored before.
func (im *Importer) Known() int64 { return im.tally.known.Load() }

// Waiting returns how many of them wait for a parent that has not come.
func (im *Importer) Waiting() int64 { return im.tally.waiting.Load() }

// Err returns the read error that ended Blocks early, if one did.
func (im *Importer) Err() error { return im.err }

// Notes returns remarks about the inputs for the user: bytes that were passed over,
// or a last block that was cut off.
func (im *Importer) Notes() []string { return im.notes }

// Blocks yields the encodings of all blocks of the sources that the chain does not
// have, parents first. It ends early with the context, or with an error that Err
// returns.
func (im *Importer) Blocks(ctx context.Context, sources iter.Seq2[Source, error]) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for source, err := range sources {
			if err != nil {
				im.err = err
				return
			}
			if !im.source(ctx, source, yield) {
				return
			}
		}
	}
}

// source yields the blocks of one input, and reports whether to go on with the next.
func (im *Importer) source(ctx context.Context, source Source, yield func([]byte) bool) bool {
	scanner := NewScanner(source.Reader, im.params.Magic, im.params.MaxBlockWeight)
	spooled := int64(0)
	for ctx.Err() == nil {
		record, err := scanner.Next()
		im.bytes.Store(im.done + scanner.Offset())
		if errors.Is(err, io.EOF) {
			im.done += scanner.Offset()
			im.note(source.Name, scanner)
			return true
		}
		if err != nil {
			im.err = fmt.Errorf("%s: %w", source.Name, err)
			return false
		}
		im.tally.read.Add(1)
		parent, ready := im.offer(record.Raw)
		if parent != nil {
			s := span{from: source.At, offset: record.Offset, size: len(record.Raw)}
			if source.At == nil {
				if _, err := source.Spool.Write(record.Raw); err != nil {
					im.err = fmt.Errorf("keep a block of %s that waits for its parent: %w", source.Name, err)
					return false
				}
				s.from, s.offset = source.Spool, spooled
				spooled += int64(s.size)
			}
			im.waiting[*parent] = append(im.waiting[*parent], s)
			im.tally.waiting.Add(1)
		}
		if ready && !im.release(record.Raw, yield) {
			return false
		}
	}
	return false
}

// note remarks what the user should know of an input that was read to the end.
func (im *Importer) note(name string, scanner *Scanner) {
	switch {
	case scanner.Cut():
		im.notes = append(im.notes, fmt.Sprintf("%s ends inside a block", name))
	case scanner.Skipped() > 0:
		im.notes = append(im.notes, fmt.Sprintf("%s: passed over %d bytes that are no block of this network", name, scanner.Skipped()))
	}
}

// offer adds the block's header to the chain. It returns the parent's hash if the
// block must wait for that, and otherwise whether the block can be handed over.
func (im *Importer) offer(raw []byte) (parent *types.Hash, ready bool) {
	header, err := types.DecodeHeader(raw[:types.HeaderSize])
	if err != nil {
		return nil, false // cannot be: a record is longer than a header
	}
	hash := header.Hash()
	if _, known := im.headers.Header(header.PrevBlock); !known {
		if _, itself := im.headers.Header(hash); !itself {
			// Nothing is kept for a block without work: garbage costs nothing to make.
			if err := consensus.CheckHeader(im.params, &header, hash); err != nil {
				im.refused(hash, err)
				return nil, false
			}
			return &header.PrevBlock, false
		}
	}
	if err := im.headers.AddHeaders([]types.Header{header}); err != nil {
		im.refused(hash, err)
		return nil, false
	}
	return nil, true
}

// release yields a block, unless the chain has it, and then every block that waited
// for it, children after parents. It reads those again one by one, so that memory
// holds one block however many have waited.
func (im *Importer) release(raw []byte, yield func([]byte) bool) bool {
	type next struct {
		raw  []byte
		span *span
	}
	queue := []next{{raw: raw}}
	for len(queue) > 0 {
		item := queue[0]
		queue = queue[1:]
		if item.raw == nil {
			item.raw = make([]byte, item.span.size)
			if _, err := item.span.from.ReadAt(item.raw, item.span.offset); err != nil {
				im.err = fmt.Errorf("read a block again at byte %d: %w", item.span.offset, err)
				return false
			}
			im.tally.waiting.Add(-1)
			if _, ready := im.offer(item.raw); !ready {
				continue
			}
		}
		hash := types.DoubleSHA256(item.raw[:types.HeaderSize])
		if record, ok := im.headers.Header(hash); ok && record.Status&(header.StatusBody|header.StatusValid) != 0 {
			im.tally.known.Add(1)
		} else if !yield(item.raw) {
			return false
		}
		for _, s := range im.waiting[hash] {
			queue = append(queue, next{span: &s})
		}
		delete(im.waiting, hash)
	}
	return true
}
