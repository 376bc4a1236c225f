// Package store keeps a chain on disk: header records, positions and coins in
// one LevelDB, bodies and undo data in append-only segment files, and a
// write-back cache of coins in memory.
//
// Every durable step is one synced LevelDB batch that comes after the segment
// files that it names were synced. So after a crash at any instruction the
// database is as after one of the steps, and names only what is there. It
// decides nothing about blocks.
//
// goleveldb is used under the rules that make this true with it: a batch whose
// order matters is always synced and carries the block that it reflects, a
// journal is synced when it is closed, large batches are not turned into
// transactions, and after an error of a write the database is neither written
// nor closed any more.
package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// DefaultCacheBytes is the memory for coins and for LevelDB unless it is said
// otherwise. Some 670,000 coins fit in it.
const DefaultCacheBytes = 128 << 20

// reserve is the free space, in bytes, that is never touched: LevelDB needs
// room for its compactions to stay alive.
const reserve = 64 << 20

// checkSpaceEvery is how many bytes are written between looks at the free
// space.
const checkSpaceEvery = 8 << 20

// ErrNotFound is returned for a body or undo data that is not stored: it never
// came, or was pruned.
var ErrNotFound = errors.New("not stored")

// Options are the choices of Open.
type Options struct {
	Network     types.Hash   // identity of the network
	NetworkName string       // for error messages
	CacheBytes  int64        // 0: DefaultCacheBytes
	PruneBytes  int64        // bodies and undo data beyond this may be pruned; 0: never
	Logger      *slog.Logger // nil: discard

	segmentSize uint32 // 0: segmentSize
}

// Store is an open data directory. Bodies and undo data may be read while
// another goroutine, always the same, uses the other methods.
type Store struct {
	disk   disk
	db     *leveldb.DB
	log    *slog.Logger
	bodies *segments
	undos  *segments

	coins      cache
	coinLimit  int64
	pruneBytes int64
	tip        types.Index
	written    int64 // bytes since the last look at the free space

	mu      sync.Mutex
	pending map[types.Hash]position // written and not yet in the database
	fault   error                   // the first failed write
}

const (
	bodiesName = "bodies"
	undosName  = "undo"
)

// Open opens a data directory, and makes it if it does not exist. It fails if
// another process has it open or it is of another network.
func Open(dir string, o Options) (*Store, error) {
	d, err := newOSDisk(dir)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	return open(d, o)
}

func open(d disk, o Options) (*Store, error) {
	if o.CacheBytes == 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	if o.segmentSize == 0 {
		o.segmentSize = segmentSize
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	files, err := d.levelDB()
	if err != nil {
		return nil, err
	}
	db, err := leveldb.Open(&syncingStorage{Storage: files}, levelDBOptions(o.CacheBytes))
	if err != nil {
		return nil, errors.Join(consensus.Local(fmt.Errorf("open the database: %w", err)), files.Close())
	}
	s := &Store{
		disk: d, db: db, log: o.Logger,
		bodies: newSegments(d, kindBody, bodiesName, o.segmentSize),
		undos:  newSegments(d, kindUndo, undosName, o.segmentSize),
		coins:  newCache(), coinLimit: o.CacheBytes * 3 / 4, pruneBytes: o.PruneBytes,
		pending: map[types.Hash]position{},
	}
	if err := errors.Join(s.checkMeta(&o), s.load()); err != nil {
		return nil, errors.Join(err, db.Close(), files.Close())
	}
	return s, nil
}

// levelDBOptions gives LevelDB a quarter of the memory. Hashes do not compress,
// and a bloom filter pays for the look-ups of coins that do not exist.
func levelDBOptions(budget int64) *opt.Options {
	part := int(min(max(budget/8, 2<<20), 256<<20))
	return &opt.Options{
		WriteBuffer:                  min(part, 32<<20),
		BlockCacheCapacity:           part,
		CompactionTableSize:          8 << 20,
		Filter:                       filter.NewBloomFilter(10),
		Compression:                  opt.NoCompression,
		DisableSeeksCompaction:       true,
		DisableLargeBatchTransaction: true,
		OpenFilesCacheCapacity:       500,
	}
}

// checkMeta compares the meta record, or writes it to a new database.
func (s *Store) checkMeta(o *Options) error {
	meta, err := s.db.Get([]byte{keyMeta}, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		meta = binary.LittleEndian.AppendUint32(nil, schemaVersion)
		meta = append(append(meta, o.Network[:]...), o.NetworkName...)
		return s.failed(s.db.Put([]byte{keyMeta}, meta, &opt.WriteOptions{Sync: true}))
	}
	if err != nil {
		return consensus.Local(err)
	}
	if len(meta) < 4+types.HashSize {
		return consensus.Local(fmt.Errorf("%w: meta", errDamaged))
	}
	if version := binary.LittleEndian.Uint32(meta); version != schemaVersion {
		return fmt.Errorf("the data directory has schema %d, this karatd knows %d: use the version that made it, or another --datadir", version, schemaVersion)
	}
	if types.Hash(meta[4:4+types.HashSize]) != o.Network {
		return fmt.Errorf("the data directory is of network %q (%x), not of %q (%x): choose another --datadir",
			meta[4+types.HashSize:], meta[4:8], o.NetworkName, o.Network[:4])
	}
	return nil
}

// load reads what the database says of the coins' tip and of segment files.
func (s *Store) load() error {
	tip, err := s.db.Get([]byte{keyTip}, nil)
	switch {
	case errors.Is(err, leveldb.ErrNotFound):
	case err != nil:
		return consensus.Local(err)
	case len(tip) != 4+types.HashSize:
		return consensus.Local(fmt.Errorf("%w: tip", errDamaged))
	default:
		s.tip = types.Index{Height: binary.LittleEndian.Uint32(tip), Hash: types.Hash(tip[4:])}
	}
	err = s.each(keyPosition, func(_, value []byte) error {
		p, err := parsePosition(value)
		s.bodies.note(p.body, p.height)
		s.undos.note(p.undo, p.height)
		return err
	})
	return consensus.Local(errors.Join(err, s.bodies.trim(), s.undos.trim()))
}

// each visits all keys with a prefix, in their order.
func (s *Store) each(prefix byte, visit func(key, value []byte) error) error {
	it := s.db.NewIterator(util.BytesPrefix([]byte{prefix}), &opt.ReadOptions{DontFillCache: true})
	defer it.Release()
	for it.Next() {
		if err := visit(it.Key(), it.Value()); err != nil {
			return err
		}
	}
	return it.Error()
}

// failed remembers the first failed write. The disk and the database may
// disagree from then on with what is in memory, so nothing is written any more;
// the next start goes on from what is durable.
func (s *Store) failed(err error) error {
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == nil {
		s.fault = consensus.Local(fmt.Errorf("data directory: %w", err))
		s.log.Error("a write failed, the store stops", "err", err)
	}
	return s.fault
}

func (s *Store) faulty() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// Close closes everything without a flush; what was not flushed is made again
// from the blocks. After a failed write the database is left as it is.
func (s *Store) Close() error {
	err := errors.Join(s.bodies.close(), s.undos.close())
	if fault := s.faulty(); fault != nil {
		return nil // it was returned by the write; the process is to end
	}
	return errors.Join(err, s.db.Close())
}

// Headers visits every stored header record, in no order.
func (s *Store) Headers(each func(consensus.HeaderRecord) error) error {
	return consensus.Local(s.each(keyHeader, func(key, value []byte) error {
		r, err := parseHeaderRecord(key, value)
		if err != nil {
			return err
		}
		return each(r)
	}))
}

// CoinsTip returns the block that the coins on disk reflect, the zero Index if
// none were flushed yet.
func (s *Store) CoinsTip() types.Index { return s.tip }

// NeedsFlush reports that the coin cache has used its budget.
func (s *Store) NeedsFlush() bool { return s.coins.bytes() > s.coinLimit }

// parallelFetch is the number of look-ups from which it pays to use all cores.
const parallelFetch = 64

// FetchCoins looks coins up, in the cache first. into must be as long as
// outPoints.
func (s *Store) FetchCoins(outPoints []types.OutPoint, into []consensus.FetchedCoin) error {
	var missing []int
	for i := range outPoints {
		e, ok := s.coins.entries[outPoints[i]]
		if !ok {
			missing = append(missing, i)
			continue
		}
		into[i] = consensus.FetchedCoin{Coin: e.coin, Found: !e.spent}
	}
	if len(missing) == 0 {
		return nil
	}
	// In key order, neighbours share blocks of the database.
	slices.SortFunc(missing, func(a, b int) int { return compareOutPoints(outPoints[a], outPoints[b]) })
	workers := 1
	if len(missing) >= parallelFetch {
		workers = runtime.GOMAXPROCS(0)
	}
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		part := missing[w*len(missing)/workers : (w+1)*len(missing)/workers]
		wg.Go(func() { errs[w] = s.readCoins(outPoints, part, into) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return consensus.Local(err)
	}
	for _, i := range missing {
		if into[i].Found {
			s.coins.entries[outPoints[i]] = entry{coin: into[i].Coin}
		}
	}
	return nil
}

// readCoins reads the coins at the given places of outPoints from the database.
func (s *Store) readCoins(outPoints []types.OutPoint, at []int, into []consensus.FetchedCoin) error {
	var key [coinKeySize]byte
	for _, i := range at {
		value, err := s.db.Get(appendCoinKey(key[:0], &outPoints[i]), nil)
		if errors.Is(err, leveldb.ErrNotFound) {
			into[i] = consensus.FetchedCoin{}
			continue
		}
		if err != nil {
			return fmt.Errorf("read coin %s: %w", outPoints[i], err)
		}
		coin, err := parseCoin(value)
		if err != nil {
			return fmt.Errorf("coin %s: %w", outPoints[i], err)
		}
		into[i] = consensus.FetchedCoin{Coin: coin, Found: true}
	}
	return nil
}

// ApplyUpdate changes the coins by a block, in the cache only. An error is an
// ErrLocal: the coin set is not the one that the update was made for.
func (s *Store) ApplyUpdate(u *consensus.Update) error { return s.move(u.Spent, u.Created) }

// RevertUpdate takes an update back, in the cache only.
func (s *Store) RevertUpdate(u *consensus.Update) error { return s.move(u.Created, u.Spent) }

func (s *Store) move(out, in []consensus.CoinEntry) error {
	if err := s.faulty(); err != nil {
		return err
	}
	if err := s.warm(out); err != nil {
		return err
	}
	for i := range out {
		if err := s.coins.spend(&out[i]); err != nil {
			return s.failed(err)
		}
	}
	for i := range in {
		if err := s.coins.create(&in[i]); err != nil {
			return s.failed(err)
		}
	}
	return nil
}

// warm brings coins that are to be spent into the cache. When a block is
// connected they are there, since its inputs were fetched before.
func (s *Store) warm(coins []consensus.CoinEntry) error {
	var cold []types.OutPoint
	for i := range coins {
		if _, ok := s.coins.entries[coins[i].OutPoint]; !ok {
			cold = append(cold, coins[i].OutPoint)
		}
	}
	return s.FetchCoins(cold, make([]consensus.FetchedCoin, len(cold)))
}

// ForEachCoin visits all coins on disk in the order of txid, then index. The
// coin is the visitor's only during the call.
func (s *Store) ForEachCoin(each func(types.OutPoint, *types.Coin) error) error {
	return s.each(keyCoin, func(key, value []byte) error {
		outPoint, err := parseCoinKey(key)
		if err != nil {
			return consensus.Local(err)
		}
		coin, err := parseCoin(value)
		if err != nil {
			return consensus.Local(fmt.Errorf("coin %s: %w", outPoint, err))
		}
		return each(outPoint, &coin)
	})
}

// SaveHeaders makes the bodies and undo data written so far durable, then the
// records together with where those lie.
func (s *Store) SaveHeaders(records []consensus.HeaderRecord) error {
	if err := s.begin(0); err != nil {
		return err
	}
	var batch leveldb.Batch
	s.putRecords(&batch, records)
	return s.commit(&batch)
}

// Flush makes everything durable in one step: bodies and undo data first, then
// one batch with the records, all changed coins and the block that they
// reflect.
func (s *Store) Flush(records []consensus.HeaderRecord, tip types.Index) error {
	changed := s.coins.changed()
	if err := s.begin(int64(len(changed)) * 128); err != nil {
		return err
	}
	batch := leveldb.MakeBatch(len(changed)*100 + len(records)*headerRecordSize)
	s.putRecords(batch, records)
	var key, value []byte
	for i := range changed {
		e := s.coins.entries[changed[i]]
		key = appendCoinKey(key[:0], &changed[i])
		if e.spent {
			batch.Delete(key)
			continue
		}
		value = appendCoin(value[:0], &e.coin)
		batch.Put(key, value)
	}
	value = binary.LittleEndian.AppendUint32(value[:0], tip.Height)
	batch.Put([]byte{keyTip}, append(value, tip.Hash[:]...))
	if err := s.commit(batch); err != nil {
		return err
	}
	s.coins.clean(changed, s.coinLimit)
	s.tip = tip
	return nil
}

// begin prepares a durable step that writes about the given bytes.
func (s *Store) begin(bytes int64) error {
	if err := s.faulty(); err != nil {
		return err
	}
	if err := s.room(bytes); err != nil {
		return err
	}
	return s.failed(errors.Join(s.bodies.sync(), s.undos.sync()))
}

// commit writes the batch, synced.
func (s *Store) commit(batch *leveldb.Batch) error {
	if err := s.db.Write(batch, &opt.WriteOptions{Sync: true}); err != nil {
		return s.failed(fmt.Errorf("write the database: %w", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.pending)
	return nil
}

// putRecords adds header records and pending positions, sorted by key.
func (s *Store) putRecords(batch *leveldb.Batch, records []consensus.HeaderRecord) {
	slices.SortFunc(records, func(a, b consensus.HeaderRecord) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	for i := range records {
		batch.Put(hashKey(keyHeader, records[i].Hash), appendHeaderRecord(nil, &records[i]))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for hash, p := range s.pending {
		batch.Put(hashKey(keyPosition, hash), appendPosition(nil, &p))
	}
}

// room refuses to go on when writing the bytes could fill the disk.
func (s *Store) room(bytes int64) error {
	free, err := s.disk.free()
	if err != nil {
		return s.failed(err)
	}
	if s.written = 0; free < uint64(bytes)+reserve {
		return s.failed(fmt.Errorf("disk full: %d MiB are free and %d MiB are needed; make room and start again",
			free>>20, (uint64(bytes)+reserve)>>20))
	}
	return nil
}
