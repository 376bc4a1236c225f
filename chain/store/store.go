package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// DefaultCacheBytes is the memory for coins and LevelDB together, unless Options
// say otherwise. 700,000 changed coins fit into it between two flushes.
const DefaultCacheBytes = 160 << 20

// Options are the choices of Open. Only the network must be given.
type Options struct {
	Network     types.Hash   // identity of the network whose chain this is
	NetworkName string       // the name of the network, for error messages
	CacheBytes  int64        // memory for coins and LevelDB; 0: DefaultCacheBytes
	PruneBytes  int64        // Prune keeps about this much of bodies and undo data; 0: all of it
	SegmentSize uint32       // bytes of a full segment file; 0: 128 MiB
	Logger      *slog.Logger // nil: discard

	cacheSlots  int // size of the coin cache; 0: what CacheBytes gives
	batchSize   int // bytes that a step may hold in memory; 0: the write buffer
	writeBuffer int // of LevelDB; 0: what CacheBytes gives
}

// Store is an open data directory. ReadBlock, ReadUndo and CoinSnapshot may be
// called at any time by anyone; all other methods by one goroutine at a time.
type Store struct {
	disk   disk
	files  *guardedStorage // LevelDB's files
	db     *leveldb.DB
	log    *slog.Logger
	blocks *segments
	undos  *segments

	coins      *coinTable
	batchSize  int
	pruneBytes int64
	caches     [2]int64 // see CacheBytes
	lastStep   uint64   // the number of the last durable step
	tip        types.Index
	unchecked  int64    // bytes of records written since the last look at the free space
	unsaved    [][]byte // bodies that TakeUnsaved returns

	// commits is LevelDB's end of a transaction, which a failed disk may leave behind.
	// Until it is over the database must not be closed.
	commits sync.WaitGroup

	// removing is held for reading while a body is looked up and read, and for
	// writing while Prune removes segment files. So no reader finds a location whose
	// file is gone.
	removing sync.RWMutex

	mu     sync.Mutex
	fault  error // the first failure; nothing works after it
	broken bool  // the failure was one of writing: the database is left alone
}

// Open opens a data directory, and makes it if it does not exist. The error is an
// ErrLocal: another process has the directory open, it is of another network or of
// a newer program, or the database is damaged. Damage of segment files shows only
// when they are read, because to read all of them would take minutes.
func Open(dir string, o Options) (*Store, error) {
	d, err := newOSDisk(dir)
	if err != nil {
		return nil, consensus.Local(fmt.Errorf("data directory %s: %w", dir, err))
	}
	return open(d, o)
}

func open(d disk, o Options) (*Store, error) {
	o.fill()
	files, err := d.database()
	if err != nil {
		return nil, consensus.Local(err)
	}
	guarded := newGuardedStorage(files, d)
	segments, err := d.list()
	if err == nil && len(segments) == 0 { // with blocks there, a database that is lost must be noticed
		err = guarded.clear()
	}
	var db *leveldb.DB
	if err == nil {
		db, err = leveldb.Open(guarded, levelDBOptions(&o))
	}
	if err != nil {
		err = fmt.Errorf("open the database in %s: %w", d.path(databaseDir), err)
		return nil, errors.Join(consensus.Local(err), files.Close())
	}
	s := &Store{
		disk: d, files: guarded, db: db, log: o.Logger,
		blocks:    newSegments(d, kindBlock, o.SegmentSize),
		undos:     newSegments(d, kindUndo, o.SegmentSize),
		coins:     newCoinTable(o.cacheSlots),
		batchSize: o.batchSize, pruneBytes: o.PruneBytes,
		caches:    [2]int64{int64(levelDBOptions(&o).BlockCacheCapacity), int64(o.cacheSlots) * slotBytes},
		unchecked: checkSpaceEvery,
	}
	if err := s.load(&o, segments); err != nil {
		return nil, errors.Join(consensus.Local(err), s.Close())
	}
	return s, nil
}

// fill puts defaults where nothing was chosen. Five eighths of the memory are the
// coin cache's, the rest is LevelDB's.
func (o *Options) fill() {
	if o.CacheBytes <= 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = defaultSegmentSize
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.cacheSlots == 0 {
		o.cacheSlots = int(o.CacheBytes / 8 * 5 / slotBytes)
	}
	if o.writeBuffer == 0 {
		o.writeBuffer = int(min(max(o.CacheBytes/16, 2<<20), 32<<20))
	}
	if o.batchSize == 0 {
		o.batchSize = o.writeBuffer / 2
	}
}

// levelDBOptions says how LevelDB is used here.
//
// Hashes do not compress. A bloom filter answers most look-ups of coins that do not
// exist. Compaction because of reads would only get in the way. The block cache is
// there for the tables' indexes and filters, some 2 bytes a coin, without which
// each read costs many times as much; coins that are read do not go through it (see
// readCoin). The strict flags turn a damaged table into an error. Journals and
// manifests are read leniently, since a crash tears their ends; see readLastStep
// for what that hides.
func levelDBOptions(o *Options) *opt.Options {
	return &opt.Options{
		WriteBuffer:                  o.writeBuffer,
		BlockCacheCapacity:           int(min(max(o.CacheBytes/8*3, 4<<20), 1<<30)),
		CompactionTableSize:          8 << 20,
		OpenFilesCacheCapacity:       500,
		Filter:                       filter.NewBloomFilter(10),
		Compression:                  opt.NoCompression,
		DisableSeeksCompaction:       true,
		DisableLargeBatchTransaction: true,
		Strict:                       opt.StrictJournalChecksum | opt.StrictBlockChecksum | opt.StrictCompaction | opt.StrictReader,
	}
}

// load reads what the database says of itself, and makes the segment files agree
// with it. Where the two differ the database is right: it is synced last.
func (s *Store) load(o *Options, files []segmentInfo) error {
	fresh, err := s.checkMeta(o, len(files) > 0)
	if err != nil {
		return err
	}
	if err := s.readLastStep(); err != nil {
		return err
	}
	if err := s.readTip(); err != nil {
		return err
	}
	err = s.each(keySegment, func(key, value []byte) error {
		k, segment, e, err := parseSegment(key, value)
		if err != nil {
			return err
		}
		s.segments(k).extents[segment] = e
		return nil
	})
	if err != nil {
		return err
	}
	if s.unsaved = s.blocks.readUnsaved(files); len(s.unsaved) > 0 {
		s.log.Info("found blocks that were stored just before the last run was killed", "count", len(s.unsaved))
	}
	if err := errors.Join(s.blocks.tidy(files, s.log), s.undos.tidy(files, s.log)); err != nil {
		return err
	}
	if fresh {
		return s.step(0, func(c *changes) {
			c.put(appendKey(nil, keyMeta), appendMeta(nil, o.Network, o.NetworkName))
		})
	}
	return nil
}

// checkMeta refuses a directory that is not for this network or program. It
// reports whether the database is new. A new database beside segment files means
// that the old one was lost. To go on would remove the files, so that is refused.
func (s *Store) checkMeta(o *Options, haveFiles bool) (fresh bool, err error) {
	value, err := s.db.Get(appendKey(nil, keyMeta), nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		if haveFiles {
			return true, fmt.Errorf("%s has blocks, but the database in %s is empty; bring that back, or remove both to begin anew",
				s.disk.path(blocksDir), s.disk.path(databaseDir))
		}
		return true, nil
	}
	if err != nil {
		return false, err
	}
	schema, network, name, err := parseMeta(value)
	switch {
	case err != nil:
		return false, err
	case schema != schemaVersion:
		return false, fmt.Errorf("data directory %s has format %d; this program knows format %d", s.disk.path(""), schema, schemaVersion)
	case network != o.Network:
		return false, fmt.Errorf("data directory %s is of network %q (%s), not of %q (%s)", s.disk.path(""), name, network, o.NetworkName, o.Network)
	}
	return false, nil
}

// readLastStep finds the number of the last step. goleveldb passes silently over a
// damaged part of its journal, so that steps in the middle can be lost. Each step
// writes a key of its own and deletes that of the step before. If one is lost, the
// key before the gap is still there, the database has two, and it is refused.
func (s *Store) readLastStep() error {
	found := 0
	err := s.each(keyStep, func(key, _ []byte) error {
		n := uint64(0)
		if len(key) == stepKeySize {
			n = binary.BigEndian.Uint64(key[2:])
		}
		if found++; found > 1 {
			return fmt.Errorf("%w: the database in %s has lost what was written between steps %d and %d; restore a copy, or remove the directory and sync again",
				errDamaged, s.disk.path(databaseDir), s.lastStep, n)
		}
		s.lastStep = n
		return nil
	})
	return err
}

func (s *Store) readTip() error {
	value, err := s.db.Get(appendKey(nil, keyTip), nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.tip, err = parseTip(value)
	return err
}

func (s *Store) segments(k kind) *segments {
	if k == kindUndo {
		return s.undos
	}
	return s.blocks
}

// each visits all keys with a prefix, in their order. key and value are good during
// the visit only.
func (s *Store) each(prefix byte, visit func(key, value []byte) error) error {
	return eachKey(s.db, prefix, visit)
}

func eachKey(db leveldb.Reader, prefix byte, visit func(key, value []byte) error) error {
	it := db.NewIterator(util.BytesPrefix([]byte{prefix}), &opt.ReadOptions{DontFillCache: true})
	defer it.Release()
	for it.Next() {
		if err := visit(it.Key(), it.Value()); err != nil {
			return err
		}
	}
	return it.Error()
}

// failed notes a failed write, and returns the first failure. Nothing may be written
// after one: the disk can hold any part of it, and the next start goes on from what
// is durable.
func (s *Store) failed(err error) error { return s.stop(err, true) }

// refused notes a failure that came before anything was written. The store stops as
// well, but its files can be closed in order.
func (s *Store) refused(err error) error { return s.stop(err, false) }

func (s *Store) stop(err error, broken bool) error {
	if err == nil {
		return nil
	}
	s.mu.Lock()
	first := s.fault == nil
	if first {
		s.fault = consensus.Local(fmt.Errorf("data directory %s: %w", s.disk.path(""), err))
	}
	s.broken = s.broken || broken
	fault := s.fault
	s.mu.Unlock()
	if first {
		s.log.Error("the store stops", "err", err)
	}
	return fault
}

// faulty returns the first failure, if there was one. LevelDB compacts in the
// background, and may have met one there that no call has returned.
func (s *Store) faulty() error {
	if err := s.files.failure(); err != nil {
		return s.failed(fmt.Errorf("write the database: %w", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// Close closes the files without a flush. Blocks that were not flushed are
// connected again at the next start. After a failed write it returns that failure,
// and leaves the database and its lock to the end of the process.
func (s *Store) Close() error {
	fault := s.faulty()
	s.mu.Lock()
	broken := s.broken
	s.mu.Unlock()
	if broken {
		return fault
	}
	// goleveldb keeps a failure to close its journal to itself.
	err := errors.Join(s.blocks.close(), s.undos.close(), s.db.Close(), s.files.failure(), s.files.Close())
	if fault == nil && err != nil {
		fault = consensus.Local(fmt.Errorf("close data directory %s: %w", s.disk.path(""), err))
	}
	return fault
}
