package mempool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// LoadResult counts what became of the transactions of a file.
type LoadResult struct {
	Accepted int
	Refused  int // by rules or policy, or there already
	Expired  int
	Damaged  bool // the file ends in something that is no record
}

// Load takes what is in a file that Save wrote. A file that does not exist is an empty one,
// and so is an empty path; what comes after damage is lost. The error is ErrFile, ErrLocal
// or the context's. After the latter two the file has what the pool does not, and Info's
// Loaded stays false, so that nobody overwrites the file with less.
func (p *Pool) Load(ctx context.Context, path string) (result LoadResult, err error) {
	result, err = p.importFile(ctx, path, pending.Import{Times: true, Deltas: true, Unbroadcast: true})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loaded = err == nil || errors.Is(err, ErrFile)
	return result, err
}

// Import takes what is in a file of a pool, of this program or of Bitcoin Core, besides what
// is here. The error is ErrFile, also if the file ends in something that is no record, after
// all that stands before it was taken; or ErrLocal or the context's.
func (p *Pool) Import(ctx context.Context, path string, o pending.Import) error {
	result, err := p.importFile(ctx, path, o)
	if err == nil && result.Damaged {
		err = fmt.Errorf("%w: it is damaged", ErrFile)
	}
	p.log.Info("imported waiting transactions", "accepted", result.Accepted, "refused", result.Refused, "expired", result.Expired, "err", err)
	return err
}

func (p *Pool) importFile(ctx context.Context, path string, o pending.Import) (LoadResult, error) {
	// What is no regular file may wait for ever, or never end.
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return LoadResult{}, fmt.Errorf("%s: %w: it is no regular file", path, ErrFile)
	}
	file, err := os.Open(path)
	if err != nil {
		return LoadResult{}, consensus.Local(err)
	}
	defer file.Close()
	next, err := openRecords(bufio.NewReaderSize(file, 1<<16), p.params)
	if err != nil {
		return LoadResult{}, fmt.Errorf("%s: %w", path, err)
	}
	return p.load(ctx, next, o)
}

// load takes records. Each transaction is accepted as of the time when it first came, if
// that is wanted, so that a restart makes none younger.
func (p *Pool) load(ctx context.Context, next func() (record, error), o pending.Import) (result LoadResult, err error) {
	cheap := cheapParents{index: map[types.Hash]int{}, maxUsage: p.options.MaxBytes}
	for {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		rec, err := next()
		if err == io.EOF {
			return result, nil
		}
		if err != nil {
			result.Damaged = true
			return result, nil
		}
		if o.Deltas && rec.delta != 0 && !rec.none() {
			p.Prioritise(rec.txid, rec.delta)
		}
		if !o.Unbroadcast {
			rec.unbroadcast = false
		}
		if err := p.loadRecord(ctx, rec, o, &cheap, &result); err != nil {
			return result, err
		}
	}
}

// loadRecord takes a record and counts what becomes of it. An error ends the work.
func (p *Pool) loadRecord(ctx context.Context, rec record, o pending.Import, cheap *cheapParents, result *LoadResult) error {
	now := p.now()
	switch {
	case rec.none():
		result.Refused++
		return nil
	case rec.tx == nil: // a delta, or a mark alone
	case o.Times && rec.at.Before(now.Add(-p.options.Expiry)):
		result.Expired++
		return nil
	default:
		// The clock may have been set back. A time of the future would keep it too long.
		if !o.Times || rec.at.After(now) {
			rec.at = now
		}
		taken, err := p.loadOne(ctx, rec, cheap)
		switch {
		case err == nil:
			result.Accepted += taken
			result.Refused -= taken - 1 // which were too cheap before
		case errors.Is(err, consensus.ErrLocal) || ctx.Err() != nil:
			return err
		default:
			result.Refused++
		}
	}
	if rec.unbroadcast {
		p.MarkUnbroadcast(rec.txid)
	}
	return nil
}

// maxCheapParents is the number of transactions of a file that may wait for a child. They
// take no more memory than the pool may: a file of strangers may have nothing else.
const maxCheapParents = 10_000

// cheapParents are transactions of a file that were too cheap by themselves. They came
// into the pool with a child that paid for them, and can come in again by that way.
type cheapParents struct {
	records  []record
	index    map[types.Hash]int // in records
	usage    int                // of all, in bytes
	maxUsage int
}

func (c *cheapParents) add(rec record) {
	_, there := c.index[rec.txid]
	usage := rec.tx.Size() + usageWithout(rec.tx)
	if !there && len(c.records) < maxCheapParents && c.usage+usage <= c.maxUsage {
		c.usage += usage
		c.index[rec.txid] = len(c.records)
		c.records = append(c.records, rec)
	}
}

// of returns those that a transaction spends, in the order of the file.
func (c *cheapParents) of(tx *types.Tx) (parents []record) {
	var list []int
	for i := range tx.Inputs {
		if at, ok := c.index[tx.Inputs[i].PreviousOutPoint.TxID]; ok && !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	slices.Sort(list)
	for _, at := range list {
		parents = append(parents, c.records[at])
	}
	return parents
}

// isCheap reports whether a transaction was refused for paying less than the least feerate.
func isCheap(err error) bool {
	return errors.Is(err, pending.ReasonMinRelayFee) || errors.Is(err, pending.ReasonMempoolMinFee)
}

// loadOne takes a transaction of a file, with its parents if they could not come in
// without it. It returns how many were taken.
func (p *Pool) loadOne(ctx context.Context, rec record, cheap *cheapParents) (taken int, err error) {
	_, err = p.accept(ctx, rec.tx, 0, rec.at)
	switch {
	case isCheap(err):
		cheap.add(rec)
	case errors.Is(err, consensus.ReasonMissingInputs):
		parents := cheap.of(rec.tx)
		if len(parents) == 0 {
			return 1, err
		}
		var txs []*types.Tx
		for i := range parents {
			txs = append(txs, parents[i].tx)
		}
		if _, err = p.acceptPackage(ctx, append(txs, rec.tx), 0, rec.at); err != nil {
			if isCheap(err) { // it may be a parent itself, of a child that spends all of them
				cheap.add(rec)
			}
			return 1, err
		}
		for i := range parents {
			if parents[i].unbroadcast {
				p.MarkUnbroadcast(parents[i].txid)
			}
		}
		return len(parents) + 1, nil
	}
	return 1, err
}
