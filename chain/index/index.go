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
	// Later reports that the node has more urgent work, such as a sync. The index
	// waits until that is done, or until the tip has stood still for a while: a sync
	// may never end, for want of peers. Nil: it never waits.
	Later  func() bool
	Logger *slog.Logger // nil: discard
}

// ErrBehind is returned for a block or transaction that the index has not come to,
// or does not keep. The caller may ask again later.
var ErrBehind = errors.New("the index has not come that far")

// errAnew is wrapped by errors that go away when the index is made anew.
var errAnew = errors.New("it has to be made anew")

// The keys of the database:
//
//	key                     value
//	'f' block hash 32       filter header 32 | filter
//	't' txid 32             block hash 32 | position 4 | offset 4 | size 4
//	'p'                     version 1 | network identity 32 | what is kept 1 | height 4 | block hash 32 | filter header 32
//	's' step 8, big-endian  nothing: exactly one such key
//
// A step is one atomic, synced write. Each has the number of the one before deleted:
// LevelDB passes over a damaged part of its journal in silence, and then the number
// before the gap is still there.
const (
	keyFilter   = 'f'
	keyTx       = 't'
	keyPosition = 'p'
	keyStep     = 's'
	version     = 3
)

// A step has at most batchBlocks blocks, and fewer if they are large, since all of
// them are in memory at once. With one block a step a sync would wait for the disk
// most of the time.
const (
	batchBlocks = 200
	batchBytes  = 8 << 20
)

// keptBodies is how far below its position the index still needs bodies: its last
// blocks may leave the best chain, and have to be reverted. It is what a pruned node
// keeps below the tip.
const keptBodies = 288

// Index is an open index.
type Index struct {
	chain Chain
	o     Options
	dir   string

	damaged atomic.Bool // a query met damage

	// Of Run's goroutine:
	anew   bool        // it was made anew since Run began
	limit  int         // blocks to ask for at once
	logged time.Time   // when progress was logged, or there was none
	stood  types.Index // the last tip that giveWay gave up waiting for

	mu sync.RWMutex
	// Guarded by mu:
	db       *leveldb.DB
	at       types.Index // the position: up to this block everything is indexed
	header   types.Hash  // the filter header of at
	lastStep uint64      // the number of the last step
	fresh    bool        // nothing was indexed, not even the genesis block
	failed   error       // why the index stands still
}

// Open opens the index in a folder, or begins one. One that is damaged, of another
// network or without something that is to be kept is removed and begun anew. It is an
// error if old blocks are pruned, since then it cannot be made again.
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

// isDamage reports whether it helps to make the index anew. It does not help against
// a full disk, or a folder that another process has open.
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

// mark is the first part of the position's value: what the index is of.
func (x *Index) mark() []byte {
	identity := x.chain.Params().Identity()
	return append(append([]byte{version}, identity[:]...), x.kept())
}

// kept returns what the index keeps as flags, which are stored.
func (x *Index) kept() (flags byte) {
	if x.o.Filters {
		flags |= 1
	}
	if x.o.Txs {
		flags |= 2
	}
	return flags
}

// readPosition reads where the index stands, and refuses one that cannot be gone on
// with.
func (x *Index) readPosition(db *leveldb.DB) error {
	genesis := x.chain.Params().GenesisBlock().Hash
	steps, last, err := countSteps(db)
	if err != nil {
		return err
	}
	value, err := db.Get([]byte{keyPosition}, nil)
	if errors.Is(err, leveldb.ErrNotFound) && steps == 0 {
		x.fresh, x.at, x.header, x.lastStep = true, types.Index{Hash: genesis}, types.Hash{}, 0
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
	if value[n]&x.kept() != x.kept() { // what it has beside that is forgotten with the next step
		return fmt.Errorf("%w: it was made with other options", errAnew)
	}
	if whole, err := x.begins(db, genesis); err != nil || !whole || steps != 1 {
		return errors.Join(fmt.Errorf("%w: a part of it is missing", errAnew), err)
	}
	d := types.NewDecoder(value[len(mark):])
	x.at.Height, x.at.Hash, x.header = d.Uint32(), d.Hash(), d.Hash()
	x.fresh, x.lastStep = false, last
	return nil
}

// countSteps returns how many steps left their numbers, and the last of these. More
// than one means that a step between was lost.
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

// begins reports whether the genesis block is there, which the first step has: if
// the numbers begin after a gap, only that tells.
func (x *Index) begins(db *leveldb.DB, genesis types.Hash) (bool, error) {
	prefix, hash := byte(keyFilter), genesis
	if !x.o.Filters {
		prefix, hash = keyTx, x.chain.Params().GenesisBlock().TxIDs[0]
	}
	return db.Has(append([]byte{prefix}, hash[:]...), nil)
}

// reset removes the database and begins anew.
func (x *Index) reset() error {
	if hash, ok := x.chain.HashAt(1); ok {
		if _, err := x.chain.BlockUpdate(hash); errors.Is(err, consensus.ErrNotFound) {
			return fmt.Errorf("it cannot be made anew, because old blocks were pruned: %w", err)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.db != nil {
		_ = x.db.Close() // it complains of what is about to go
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
func (x *Index) Position() (at types.Index, synced bool) {
	x.mu.RLock()
	at, follows := x.at, x.failed == nil && !x.fresh
	x.mu.RUnlock()
	// Not before: the index might follow to a tip that is newer than this one, and
	// would seem to be behind.
	return at, follows && at == x.chain.Tip()
}

// Wait waits until the block that is the tip now is indexed, if that is a matter of
// moments. It does not wait while the index is far behind or stands still. It looks
// again and again, because what it waits for takes milliseconds.
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

// Needs returns the height from which on the index needs the bodies of blocks. One
// that stands still needs none: it must not keep a disk from being pruned.
func (x *Index) Needs() uint32 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.failed != nil {
		return ^uint32(0)
	}
	return x.at.Height - min(x.at.Height, keptBodies)
}

// get reads a value that begins with a hash. Damage that it meets is noted for Run,
// which makes the index anew.
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
		x.damaged.Store(true)
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

// FindTx returns where on the best chain the transaction stands, or ErrBehind. A
// transaction is in the index under its id alone, so of two blocks that have it on two
// branches the one that was applied last counts.
func (x *Index) FindTx(txid types.Hash) (place types.TxPlace, err error) {
	if !x.o.Txs {
		return types.TxPlace{}, ErrBehind
	}
	value, err := x.get(keyTx, txid)
	if err != nil {
		return types.TxPlace{}, err
	}
	d := types.NewDecoder(value)
	place = types.TxPlace{Block: d.Hash(), N: d.Uint32(), Offset: d.Uint32(), Size: d.Uint32()}
	if err := d.Finish(); err != nil {
		x.damaged.Store(true)
		return types.TxPlace{}, fmt.Errorf("the index in %s is damaged: transaction %s: %w", x.dir, txid, errors.Join(errAnew, err))
	}
	return place, nil
}
