package mempool

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/standard"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/wholefile"
)

// The file of a pool:
//
//	magic 4 "KRM1" | identity of the network 32 | CRC-32C of these 4
//	then for each transaction, parents first:
//	length of the encoding 4 | time 8, seconds since 1970 | encoding (BIP144) | CRC-32C of these 4
//
// Numbers are little-endian. There is no count and no end mark: a file that was cut off
// or damaged is good up to there. Fees and times of coins are not in it, since every
// transaction is checked as if it had just come.
const fileMagic = "KRM1"

// ErrFile is wrapped by the errors of Load about a file that is not one of a
// pool of this network.
var ErrFile = errors.New("not a file of this network's pool")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Save writes all transactions to a file, which is there as a whole or not at all,
// whatever happens. Parents come first, so that Load can take one after another. Errors
// are ErrLocal.
func (p *Pool) Save(path string) error {
	return consensus.Local(wholefile.Replace(path, func(w io.Writer) error {
		if _, err := w.Write(fileHeader(p.params)); err != nil {
			return err
		}
		for _, e := range p.Entries() {
			if _, err := w.Write(appendRecord(nil, e)); err != nil {
				return err
			}
		}
		return nil
	}))
}

// LoadResult counts what became of the transactions of a file.
type LoadResult struct {
	Accepted int
	Refused  int // by rules or policy, or there already
	Expired  int
	Damaged  bool // the file ends in something that is no transaction
}

// Load takes the transactions of a file that Save wrote. A file that does not exist is
// an empty one, and so is an empty path; what comes after damage is lost. The error is ErrFile, ErrLocal or the
// context's. After the latter two the file has what the pool does not, and Info's
// Loaded stays false, so that nobody overwrites the file with less.
func (p *Pool) Load(ctx context.Context, path string) (result LoadResult, err error) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.loaded = err == nil || errors.Is(err, ErrFile)
	}()
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return LoadResult{}, nil
	}
	if err != nil {
		return LoadResult{}, consensus.Local(err)
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, 1<<16)
	if err := readFileHeader(r, p.params); err != nil {
		return LoadResult{}, fmt.Errorf("%s: %w", path, err)
	}
	return p.load(ctx, r)
}

// load takes the transactions that a reader has behind the header. Each is accepted
// as of the time when it first came, so that a restart makes none younger.
func (p *Pool) load(ctx context.Context, r io.Reader) (result LoadResult, err error) {
	limit := p.now().Add(-p.options.Expiry)
	cheap := cheapParents{index: map[types.Hash]int{}}
	for {
		tx, at, err := readRecord(r)
		if err == io.EOF {
			return result, nil
		}
		if err != nil {
			result.Damaged = true
			return result, nil
		}
		if at.Before(limit) {
			result.Expired++
			continue
		}
		// The clock was set back. A time of the future would keep a transaction too long.
		if now := p.now(); at.After(now) {
			at = now
		}
		taken, err := p.loadOne(ctx, tx, at, &cheap)
		switch {
		case err == nil:
			result.Accepted += taken
			result.Refused -= taken - 1 // which were too cheap before
		case errors.Is(err, consensus.ErrLocal) || ctx.Err() != nil:
			return result, err
		default:
			result.Refused++
		}
	}
}

// cheapParents are transactions of a file that were too cheap by themselves. They came
// into the pool with a child that paid for them, and can come in again by that way.
type cheapParents struct {
	txs   []*types.Tx
	index map[types.Hash]int // in txs
}

// of returns those that a transaction spends, in the order of the file.
func (c *cheapParents) of(tx *types.Tx) (parents []*types.Tx) {
	var list []int
	for i := range tx.Inputs {
		if at, ok := c.index[tx.Inputs[i].PreviousOutPoint.TxID]; ok && !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	slices.Sort(list)
	for _, at := range list {
		parents = append(parents, c.txs[at])
	}
	return parents
}

// loadOne takes a transaction of a file, with its parents if they could not come in
// without it. It returns how many were taken.
func (p *Pool) loadOne(ctx context.Context, tx *types.Tx, at time.Time, cheap *cheapParents) (taken int, err error) {
	_, err = p.accept(ctx, tx, 0, at)
	switch {
	case errors.Is(err, pending.ReasonMinRelayFee), errors.Is(err, pending.ReasonMempoolMinFee):
		cheap.index[tx.TxID()] = len(cheap.txs)
		cheap.txs = append(cheap.txs, tx)
	case errors.Is(err, consensus.ReasonMissingInputs):
		if parents := cheap.of(tx); len(parents) > 0 {
			_, err = p.acceptPackage(ctx, append(parents, tx), 0, at)
			return len(parents) + 1, err
		}
	}
	return 1, err
}

// fileHeader is what the file of a network's pool begins with. It names the network, so
// that transactions of another one are not even tried.
func fileHeader(params *consensus.Params) []byte {
	identity := params.Identity()
	return appendChecksum(append([]byte(fileMagic), identity[:]...))
}

func appendChecksum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func readFileHeader(r io.Reader, params *consensus.Params) error {
	want := fileHeader(params)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil {
		return fmt.Errorf("%w: it is too short", ErrFile)
	}
	if string(got) != string(want) {
		return fmt.Errorf("%w %q", ErrFile, params.Name)
	}
	return nil
}

const recordHead = 4 + 8

func appendRecord(b []byte, e *pending.Entry) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.Raw)))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Time.Unix()))
	return appendChecksum(append(b, e.Raw...))
}

// readRecord reads a transaction and the time when it came. It is io.EOF at the
// end of a file, and another error for what is no record.
func readRecord(r io.Reader) (*types.Tx, time.Time, error) {
	head := make([]byte, recordHead)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, time.Time{}, err
	}
	length := binary.LittleEndian.Uint32(head)
	// No standard transaction is longer, as a byte weighs one unit at least. Nothing is
	// allocated for a length that damage made up.
	if length > standard.MaxWeight {
		return nil, time.Time{}, fmt.Errorf("a record of %d bytes", length)
	}
	record := append(head, make([]byte, length+crc32.Size)...)
	if _, err := io.ReadFull(r, record[recordHead:]); err != nil {
		return nil, time.Time{}, fmt.Errorf("a record is cut off: %w", io.ErrUnexpectedEOF)
	}
	body := record[:len(record)-crc32.Size]
	if binary.LittleEndian.Uint32(record[len(body):]) != crc32.Checksum(body, castagnoli) {
		return nil, time.Time{}, errors.New("a checksum is wrong")
	}
	tx, err := types.DecodeTx(body[recordHead:])
	if err != nil {
		return nil, time.Time{}, err
	}
	return tx, time.Unix(int64(binary.LittleEndian.Uint64(head[4:])), 0), nil
}
