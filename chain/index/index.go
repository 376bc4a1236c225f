// Package index keeps what can be computed from the chain but should not be
// computed for every question: the filter of each block (BIP158) and where each
// transaction is.
//
// It follows the chain by itself, from where it was, in a database of its own. If
// that is damaged, or behind in a way that cannot be mended, it is made anew; the
// node never waits for it and never fails for it.
package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/syndtr/goleveldb/leveldb"
	leveldberrors "github.com/syndtr/goleveldb/leveldb/errors"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/karatcoin/karat/chain/consensus"
	blockfilter "github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
)

// Chain is what the index follows.
type Chain interface {
	Params() *consensus.Params
	Tip() types.Index
	HashAt(height uint32) (types.Hash, bool)
	BlockUpdate(hash types.Hash) (consensus.BlockUpdate, error)
	UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error)
	poke.Source // pokes after the tip has changed
}

// Options are the choices of Open.
type Options struct {
	Filters bool
	Txs     bool
	// Later reports that the node has more urgent work: the index waits until it
	// is done, or the tip has stood still for a while. Nil: it never waits.
	Later  func() bool
	Logger *slog.Logger // nil: discard
}

// ErrBehind is returned for a block or transaction that the index has not come
// to, or does not keep. It may be asked again.
var ErrBehind = errors.New("the index has not come that far")

// errAnew is wrapped by errors that making the index anew mends.
var errAnew = errors.New("it has to be made anew")

// The keys of the database: a prefix byte and a hash. 'f' holds a block's filter
// header, then its filter; 't' the block of a transaction; 'p' the position, the
// identity of the network and what is kept. 's' with the number of a write,
// big-endian, is left by the last write alone: LevelDB passes over a damaged
// place in its journal in silence, and the number before the gap stays behind.
const (
	keyFilter   = 'f'
	keyTx       = 't'
	keyPosition = 'p'
	keyStep     = 's'
	version     = 2
)

// One write of the database covers at most batchBlocks blocks, fewer if they
// are large: all of them are in memory at once.
const (
	batchBlocks = 200
	batchBytes  = 8 << 20
)

// reorganisation is how far below its position the index may have to go back
// for bodies. Its last block may have left the best chain while nobody followed.
const reorganisation = 288

// Index is an open index.
type Index struct {
	chain Chain
	o     Options
	dir   string

	damaged atomic.Bool // a query met damage

	// Of Run:
	anew   bool        // it was made anew since Run began
	limit  int         // blocks to ask for at once
	logged time.Time   // progress, or that there is none to tell
	stood  types.Index // the last tip that giveWay gave up waiting for

	mu sync.RWMutex
	// Guarded by mu:
	db     *leveldb.DB
	at     types.Index
	header types.Hash // the filter header of at
	step   uint64     // the number of the last write
	fresh  bool       // nothing was indexed, not even the genesis block
	failed error      // why the index stands still
}

// Open opens the index in a folder, or begins one. One that is damaged, of
// another network or without something that is to be kept is removed and begun
// anew, unless old blocks are pruned, without which it cannot be made again.
func Open(dir string, chain Chain, o Options) (*Index, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	x := &Index{chain: chain, o: o, dir: dir}
	err := x.open()
	if isDamage(err) {
		o.Logger.Warn("making the index anew", "why", err)
		err = x.reset()
	}
	if err != nil {
		return nil, fmt.Errorf("index in %s: %w", dir, err)
	}
	return x, nil
}

// isDamage reports whether making the index anew helps. It does not against a
// full disk, or a folder that another process has open.
func isDamage(err error) bool {
	var ofFile *storage.ErrCorrupted
	var ofDatabase *leveldberrors.ErrCorrupted
	return errors.Is(err, errAnew) || errors.As(err, &ofFile) || errors.As(err, &ofDatabase)
}

// open assumes mu or that nobody else knows x.
func (x *Index) open() error {
	db, err := leveldb.OpenFile(x.dir, &opt.Options{
		WriteBuffer: 8 << 20, BlockCacheCapacity: 8 << 20, Compression: opt.NoCompression, Filter: filter.NewBloomFilter(10),
		DisableSeeksCompaction: true, DisableLargeBatchTransaction: true, OpenFilesCacheCapacity: 100,
		Strict: opt.StrictJournalChecksum | opt.StrictBlockChecksum | opt.StrictCompaction | opt.StrictReader,
	})
	if err != nil {
		return err
	}
	if err := x.readPosition(db); err != nil {
		return errors.Join(err, db.Close())
	}
	x.db = db
	x.limit, x.logged = 1, time.Now()
	return nil
}

// mark is the first part of the position: what the index is of.
func (x *Index) mark() []byte {
	identity := x.chain.Params().Identity()
	return append(append([]byte{version}, identity[:]...), x.kept())
}

// kept tells as flags what the index keeps.
func (x *Index) kept() (flags byte) {
	if x.o.Filters {
		flags |= 1
	}
	if x.o.Txs {
		flags |= 2
	}
	return flags
}

func (x *Index) readPosition(db *leveldb.DB) error {
	genesis, _ := x.chain.HashAt(0)
	steps, last, err := countSteps(db)
	if err != nil {
		return err
	}
	value, err := db.Get([]byte{keyPosition}, nil)
	if errors.Is(err, leveldb.ErrNotFound) && steps == 0 {
		x.fresh, x.at, x.header, x.step = true, types.Index{Hash: genesis}, types.Hash{}, 0
		return nil
	}
	if err != nil && !errors.Is(err, leveldb.ErrNotFound) {
		return err
	}
	mark := x.mark()
	n := len(mark) - 1
	if len(value) != len(mark)+4+2*types.HashSize || string(value[:n]) != string(mark[:n]) {
		return fmt.Errorf("%w: it is of another network or version", errAnew)
	}
	if value[n]&x.kept() != x.kept() { // what it keeps too much is forgotten with the next write
		return fmt.Errorf("%w: it was made with other options", errAnew)
	}
	if whole, err := x.begins(db, genesis); err != nil || !whole || steps != 1 {
		return errors.Join(fmt.Errorf("%w: a write is missing", errAnew), err)
	}
	d := types.NewDecoder(value[len(mark):])
	x.at.Height, x.at.Hash, x.header = d.Uint32(), d.Hash(), d.Hash()
	x.fresh, x.step = false, last
	return nil
}

// countSteps returns how many writes left their numbers, and the last of them.
func countSteps(db *leveldb.DB) (count int, last uint64, err error) {
	i := db.NewIterator(util.BytesPrefix([]byte{keyStep}), nil)
	defer i.Release()
	for ; i.Next(); count++ {
		if len(i.Key()) != 9 {
			return 0, 0, fmt.Errorf("%w: key %x", errAnew, i.Key())
		}
		last = binary.BigEndian.Uint64(i.Key()[1:])
	}
	return count, last, i.Error()
}

// begins reports whether the genesis block, the first write, is there.
func (x *Index) begins(db *leveldb.DB, genesis types.Hash) (bool, error) {
	prefix, hash := byte(keyFilter), genesis
	if !x.o.Filters {
		prefix, hash = keyTx, x.chain.Params().GenesisBlock().TxIDs[0]
	}
	return db.Has(append([]byte{prefix}, hash[:]...), nil)
}

// reset begins anew. It assumes mu or that nobody else knows x.
func (x *Index) reset() error {
	if hash, ok := x.chain.HashAt(1); ok {
		if _, err := x.chain.BlockUpdate(hash); errors.Is(err, consensus.ErrNotFound) {
			return fmt.Errorf("it cannot be made anew, because old blocks were pruned: %w", err)
		}
	}
	if x.db != nil {
		_ = x.db.Close() // whose complaints are of what goes
		x.db = nil
	}
	if err := os.RemoveAll(x.dir); err != nil {
		return err
	}
	return x.open()
}

// Close closes the database. Run must have ended.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.db == nil {
		return nil
	}
	err := x.db.Close()
	x.db = nil
	return err
}

// Position returns the block up to which everything is indexed, and whether
// that is the tip.
func (x *Index) Position() (types.Index, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.at, x.failed == nil && !x.fresh && x.at == x.chain.Tip()
}

// Wait waits until the block that is the tip now is indexed, if that is a matter of
// moments: not while the index is far behind or stands still.
func (x *Index) Wait(ctx context.Context) {
	const few = 50 // blocks
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tip := x.chain.Tip()
	for {
		x.mu.RLock()
		at, failed := x.at, x.failed != nil
		x.mu.RUnlock()
		if failed || at.Height+few < tip.Height {
			return
		}
		if hash, ok := x.chain.HashAt(at.Height); ok && hash == at.Hash && at.Height >= tip.Height {
			return
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

// Needs returns the height from which on the index needs the bodies of blocks.
func (x *Index) Needs() uint32 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.failed != nil {
		return ^uint32(0)
	}
	return x.at.Height - min(x.at.Height, reorganisation)
}

// Run follows the chain until the context ends, which is no error. A failure of
// the index itself is logged, and leaves it standing still: it is no reason for
// a node to stop.
func (x *Index) Run(ctx context.Context) error {
	x.fail(nil)
	x.anew = false
	if err := poke.Follow(ctx, x.chain, func() (bool, error) { return x.advance(ctx) }); err != nil {
		x.o.Logger.Error("the index stands still", "err", err)
		x.fail(err)
		<-ctx.Done()
	}
	return nil
}

// fail notes why the index stands still, or that it does not.
func (x *Index) fail(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.failed = err
}

// advance takes one write's blocks towards the tip, and reports whether there may
// be more. What is damaged is made anew, once.
func (x *Index) advance(ctx context.Context) (more bool, err error) {
	more, err = x.tryAdvance(ctx)
	if !isDamage(err) || x.anew {
		return more, err
	}
	x.o.Logger.Warn("making the index anew", "why", err)
	x.anew = true
	x.damaged.Store(false)
	x.mu.Lock()
	defer x.mu.Unlock()
	return true, x.reset()
}

func (x *Index) tryAdvance(ctx context.Context) (more bool, err error) {
	if x.damaged.Load() {
		return false, fmt.Errorf("%w: a query met damage", errAnew)
	}
	if x.fresh {
		return true, x.first()
	}
	x.giveWay(ctx)
	reverted, applied, err := x.chain.UpdatesSince(x.at, x.limit)
	switch {
	case errors.Is(err, consensus.ErrNotFound):
		return false, fmt.Errorf("it is at %s, and blocks from there on were pruned: %w", x.at, err)
	case errors.Is(err, consensus.ErrLocal):
		return false, err
	case err != nil: // the chain does not know the block: it was made anew
		return false, fmt.Errorf("%w: %w", errAnew, err)
	case len(reverted)+len(applied) == 0:
		x.limit, x.logged = 1, time.Now()
		return false, nil
	}
	if err := x.write(reverted, applied); err != nil {
		return false, err
	}
	x.limit = nextLimit(x.limit, sizeOf(reverted)+sizeOf(applied))
	if time.Since(x.logged) > 10*time.Second {
		x.logged = time.Now()
		x.o.Logger.Info("indexing", "height", x.at.Height, "of", x.chain.Tip().Height)
	}
	return true, nil
}

// giveWay waits while the node has more urgent work and gets on with it. A tip
// that has stood still once is not waited for again.
func (x *Index) giveWay(ctx context.Context) {
	const patience = 5 * time.Second
	tip, since := x.chain.Tip(), time.Now()
	for x.o.Later != nil && tip != x.stood && x.o.Later() {
		if time.Since(since) >= patience {
			x.stood = tip
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return
		}
		if now := x.chain.Tip(); now != tip {
			tip, since = now, time.Now()
		}
	}
}

// nextLimit returns how many blocks to ask for after so many had a size.
func nextLimit(limit, bytes int) int {
	switch {
	case bytes > batchBytes:
		return max(limit/2, 1)
	case bytes < batchBytes/2:
		return min(2*limit, batchBlocks)
	}
	return limit
}

func sizeOf(updates []consensus.BlockUpdate) (bytes int) {
	for i := range updates {
		bytes += len(updates[i].Block.Raw)
	}
	return bytes
}

// first indexes the genesis block.
func (x *Index) first() error {
	u, err := x.chain.BlockUpdate(x.at.Hash)
	if err != nil {
		return err
	}
	return x.write(nil, []consensus.BlockUpdate{u})
}

// write makes one step durable, with the position that it leads to. What is kept of
// blocks that are no longer on the best chain stays: it is found by their
// hashes.
func (x *Index) write(reverted, applied []consensus.BlockUpdate) error {
	var batch leveldb.Batch
	at, header := x.at, x.header
	for i := range reverted {
		at = reverted[i].Update.Parent
		if x.o.Txs {
			x.forgetTxs(&batch, &reverted[i])
		}
	}
	if len(reverted) > 0 && x.o.Filters {
		stored, err := x.db.Get(append([]byte{keyFilter}, at.Hash[:]...), nil)
		if errors.Is(err, leveldb.ErrNotFound) || err == nil && len(stored) < types.HashSize {
			err = errAnew
		}
		if err != nil {
			return fmt.Errorf("filter of block %s: %w", at, err)
		}
		copy(header[:], stored)
	}
	for i := range applied {
		u := &applied[i]
		if x.o.Filters {
			bytes, err := blockfilter.Build(u)
			if err != nil {
				return err
			}
			header = blockfilter.Header(bytes, header)
			batch.Put(append([]byte{keyFilter}, u.Block.Hash[:]...), append(header[:], bytes...))
		}
		if x.o.Txs {
			for j := range u.Block.TxIDs {
				batch.Put(append([]byte{keyTx}, u.Block.TxIDs[j][:]...), u.Block.Hash[:])
			}
		}
		at = u.Update.Block
	}
	position := binary.LittleEndian.AppendUint32(x.mark(), at.Height)
	position = append(append(position, at.Hash[:]...), header[:]...)
	batch.Put([]byte{keyPosition}, position)
	batch.Delete(stepKey(x.step))
	batch.Put(stepKey(x.step+1), nil)
	if err := x.db.Write(&batch, &opt.WriteOptions{Sync: true}); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.at, x.header, x.step, x.fresh = at, header, x.step+1, false
	return nil
}

func stepKey(step uint64) []byte { return binary.BigEndian.AppendUint64([]byte{keyStep}, step) }

// forgetTxs removes transactions of a block that was disconnected. Applied ones
// that come after in the same batch win.
func (x *Index) forgetTxs(batch *leveldb.Batch, u *consensus.BlockUpdate) {
	for j := range u.Block.TxIDs {
		batch.Delete(append([]byte{keyTx}, u.Block.TxIDs[j][:]...))
	}
}

func (x *Index) get(prefix byte, hash types.Hash) ([]byte, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.db == nil {
		return nil, ErrBehind
	}
	value, err := x.db.Get(append([]byte{prefix}, hash[:]...), nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil, ErrBehind
	}
	if isDamage(err) || err == nil && len(value) < types.HashSize {
		x.damaged.Store(true) // Run makes it anew
		return nil, fmt.Errorf("the index in %s is damaged: %c of %s: %w", x.dir, prefix, hash, errors.Join(errAnew, err))
	}
	return value, err
}

// Filter returns the basic filter of a block and its filter header, or ErrBehind.
func (x *Index) Filter(block types.Hash) (bytes []byte, header types.Hash, err error) {
	if !x.o.Filters {
		return nil, types.Hash{}, ErrBehind
	}
	value, err := x.get(keyFilter, block)
	if err != nil {
		return nil, types.Hash{}, err
	}
	copy(header[:], value)
	return value[types.HashSize:], header, nil
}

// FindTx returns the block of the best chain that has the transaction, or
// ErrBehind.
func (x *Index) FindTx(txid types.Hash) (block types.Hash, err error) {
	if !x.o.Txs {
		return types.Hash{}, ErrBehind
	}
	value, err := x.get(keyTx, txid)
	if err != nil {
		return types.Hash{}, err
	}
	copy(block[:], value)
	return block, nil
}
