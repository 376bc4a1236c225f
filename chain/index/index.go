package index

import (
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
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

// errAnew is wrapped by errors that go away when the index is made anew.
var errAnew = errors.New("it has to be made anew")

// The keys that every database has, beside those of its content:
//
//	key                     value
//	'b' height 4            block hash 32: the blocks that are indexed. Big-endian, as all numbers in keys
//	'p'                     format 1 | version of the content 1 | network identity 32 | height 4 | block hash 32 | state of the content
//	's' step 8              nothing: exactly one such key
//
// A step is one atomic, synced write. Each has the number of the one before deleted:
// LevelDB passes over a damaged part of its journal in silence, and then the number
// before the gap is still there.
const (
	keyBlock    = 'b'
	keyPosition = 'p'
	keyStep     = 's'
	format      = 4 // 1 to 3 were those of one database for everything
)

// keptBodies is how far below its position an index still needs bodies: its last
// blocks may leave the best chain, and have to be reverted. It is what a pruned node
// keeps below the tip.
const keptBodies = 288

// index is one index.
type index struct {
	*kind
	chain Chain
	log   *slog.Logger
	dir   string

	damaged atomic.Bool // a query met damage

	// Of Run's goroutine:
	anew   bool      // it was made anew since Run began
	old    bool      // there may be what an earlier version left
	logged time.Time // when progress was logged, or there was none

	mu sync.RWMutex
	// Guarded by mu:
	db       *leveldb.DB // nil: it is not open
	at       types.Index // the position: up to this block everything is indexed
	kept     []byte      // the content's state at the position
	lastStep uint64      // the number of the last step
	fresh    bool        // nothing was indexed, not even the genesis block
	failed   error       // why it stands still
}

// openOrReset opens the index. One that is damaged, of another network or of another
// version is removed and begun anew. It is an error if old blocks are pruned, since then
// it cannot be made again.
func (x *index) openOrReset() error {
	err := x.open()
	if isDamage(err) {
		x.log.Warn("making the index anew", "why", err)
		err = x.reset()
	}
	if err != nil {
		return fmt.Errorf("%s in %s: %w", x.name, x.dir, err)
	}
	return nil
}

// isDamage reports whether it helps to make the index anew. It does not help against
// a full disk, or a folder that another process has open.
func isDamage(err error) bool {
	var ofFile *storage.ErrCorrupted
	var ofDatabase *leveldberrors.ErrCorrupted
	return errors.Is(err, errAnew) || errors.As(err, &ofFile) || errors.As(err, &ofDatabase)
}

// open assumes mu or that nobody else knows x.
func (x *index) open() error {
	if err := os.MkdirAll(x.dir, 0o700); err != nil {
		return err
	}
	db, err := leveldb.OpenFile(x.dir, &opt.Options{
		WriteBuffer: 8 << 20, BlockCacheCapacity: 4 << 20, Compression: opt.NoCompression, Filter: filter.NewBloomFilter(10),
		DisableSeeksCompaction: true, DisableLargeBatchTransaction: true, OpenFilesCacheCapacity: 100,
		Strict: opt.StrictJournalChecksum | opt.StrictBlockChecksum | opt.StrictCompaction | opt.StrictReader,
	})
	if err != nil {
		return err
	}
	if err := x.readPosition(db); err != nil {
		return errors.Join(err, db.Close())
	}
	x.db, x.logged, x.old = db, time.Now(), x.folder == folderOfFilters
	return nil
}

// mark is the first part of the position's value: what the index is of.
func (x *index) mark() []byte {
	identity := x.chain.Params().Identity()
	return append([]byte{format, x.version}, identity[:]...)
}

// readPosition reads where the index stands, and refuses one that cannot be gone on
// with.
func (x *index) readPosition(db *leveldb.DB) error {
	genesis := x.chain.Params().GenesisBlock().Hash
	if err := x.upgrade(db); err != nil {
		return err
	}
	steps, last, err := countSteps(db)
	if err != nil {
		return err
	}
	value, err := db.Get([]byte{keyPosition}, nil)
	if errors.Is(err, leveldb.ErrNotFound) && steps == 0 {
		x.fresh, x.at, x.kept, x.lastStep = true, types.Index{Hash: genesis}, nil, 0
		return nil
	}
	if err != nil && !errors.Is(err, leveldb.ErrNotFound) {
		return err
	}
	mark := x.mark()
	if len(value) < len(mark)+4+types.HashSize || string(value[:len(mark)]) != string(mark) {
		return fmt.Errorf("%w: it is of another network or version", errAnew)
	}
	d := types.NewDecoder(value[len(mark):])
	at := types.Index{Height: d.Uint32(), Hash: d.Hash()}
	// If the numbers begin after a gap, only the genesis block tells.
	first, err := db.Get(blockKey(0), nil)
	if err != nil && !errors.Is(err, leveldb.ErrNotFound) {
		return err
	}
	if string(first) != string(genesis[:]) || steps != 1 {
		return fmt.Errorf("%w: a part of it is missing", errAnew)
	}
	x.at, x.kept = at, value[len(mark)+4+types.HashSize:]
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

func stepKey(step uint64) []byte { return binary.BigEndian.AppendUint64([]byte{keyStep}, step) }

func blockKey(height uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{keyBlock}, height)
}

// reset removes the database and begins anew.
func (x *index) reset() error {
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

func (x *index) close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.db == nil {
		return nil
	}
	err := x.db.Close()
	x.db = nil
	return err
}

// fail notes why the index stands still, or with nil that it goes on.
func (x *index) fail(err error) {
	if err != nil {
		x.log.Error("the index stands still", "err", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.failed = err
}

// position returns the block up to which everything is indexed, and false if not even
// the genesis block is.
func (x *index) position() (at types.Index, begun bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.at, !x.fresh && x.db != nil
}

func (x *index) standsStill() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.failed != nil
}

func (x *index) state() indexed.State {
	x.mu.RLock()
	at, begun, failed := x.at, !x.fresh && x.db != nil, x.failed
	x.mu.RUnlock()
	// Not before: the index might follow to a tip that is newer than this one, and
	// would seem to be behind.
	state := indexed.State{Name: x.name, At: at, Synced: begun && failed == nil && at == x.chain.Tip()}
	if failed != nil {
		state.Problem = failed.Error()
	}
	return state
}
