package store

import (
	"errors"
	"fmt"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// WriteBlock appends a body. It can be read at once, and is durable after the
// next SaveHeaders or Flush. It takes the place of a body of the same block that was
// written before.
func (s *Store) WriteBlock(at types.Index, raw []byte) error {
	return s.writeRecord(s.blocks, at, len(raw), func(b []byte) []byte { return append(b, raw...) })
}

// WriteUndo appends the undo data of a block, as WriteBlock does a body: the coins
// that it spent, in the order of its inputs.
func (s *Store) WriteUndo(at types.Index, coins []types.Coin) error {
	return s.writeRecord(s.undos, at, len(coins)*undoCoinBytes, func(b []byte) []byte { return appendUndo(b, coins) })
}

// undoCoinBytes is the usual size of a coin in undo data. It only serves to estimate
// the space that is needed.
const undoCoinBytes = 42

// writeRecord looks at the free space now and then, so that a long import stops in
// order before the disk is full, and not with a write that fails half-way.
func (s *Store) writeRecord(to *segments, at types.Index, size int, fill func([]byte) []byte) error {
	if err := s.faulty(); err != nil {
		return err
	}
	if s.unchecked += int64(size); s.unchecked > checkSpaceEvery {
		if err := s.room(uint64(size)); err != nil {
			return err
		}
	}
	return s.failed(to.append(at, fill))
}

// ReadBlock returns the body of a block as it was written. The error is
// consensus.ErrNotFound, or an ErrLocal that names the file and the byte where it is
// damaged.
func (s *Store) ReadBlock(hash types.Hash) ([]byte, error) {
	return s.readRecord(s.blocks, keyBlock, hash)
}

// ReadBlockPart returns some bytes of the body of a block, and reads nothing else. So the
// checksum of the body is not looked at: whoever asks must be able to tell what is right.
// The errors are as those of ReadBlock; bytes beyond the end are an ErrLocal.
func (s *Store) ReadBlockPart(hash types.Hash, offset, size uint32) ([]byte, error) {
	return s.withRecord(s.blocks, keyBlock, hash, func(loc location) ([]byte, error) {
		return s.blocks.readPart(loc, offset, size)
	})
}

// ReadUndo returns the undo data of a block, with errors as ReadBlock.
func (s *Store) ReadUndo(hash types.Hash) ([]types.Coin, error) {
	payload, err := s.readRecord(s.undos, keyUndo, hash)
	if err != nil {
		return nil, err
	}
	coins, err := parseUndo(payload)
	if err != nil {
		return nil, consensus.Local(fmt.Errorf("undo data of block %s: %w", hash, err))
	}
	return coins, nil
}

func (s *Store) readRecord(from *segments, prefix byte, hash types.Hash) ([]byte, error) {
	return s.withRecord(from, prefix, hash, func(loc location) ([]byte, error) { return from.read(loc, hash) })
}

// withRecord finds a record and reads of it, while nobody removes its file.
func (s *Store) withRecord(from *segments, prefix byte, hash types.Hash, read func(location) ([]byte, error)) ([]byte, error) {
	if err := s.faulty(); err != nil {
		return nil, err
	}
	s.removing.RLock()
	defer s.removing.RUnlock()
	loc, err := s.location(from, prefix, hash)
	if err != nil {
		return nil, err
	}
	payload, err := read(loc)
	if err != nil {
		return nil, consensus.Local(fmt.Errorf("block %d:%s: %w", loc.height, hash, err))
	}
	return payload, nil
}

// location finds where a record lies. Records that the database does not know yet
// are asked first: they move to the database and never back, so none is missed that
// moves meanwhile.
func (s *Store) location(from *segments, prefix byte, hash types.Hash) (location, error) {
	if loc, ok := from.find(hash); ok {
		return loc, nil
	}
	value, err := s.db.Get(hashKey(prefix, hash), nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return location{}, fmt.Errorf("block %s: %w", hash, consensus.ErrNotFound)
	}
	var loc location
	if err == nil {
		loc, err = parseLocation(value)
	}
	if err != nil {
		return location{}, consensus.Local(fmt.Errorf("location of block %s in the database: %w", hash, err))
	}
	return loc, nil
}

// Prune removes segment files, the oldest first, while bodies and undo data take
// more than Options.PruneBytes, or all that it may. It spares a file with the body of a
// block at or above the height, and the last file. It returns the blocks that lost body and undo data. Their header
// records have lost StatusBody and StatusUndo in the same step.
//
// First the database forgets the blocks, then the files go. A crash between leaves
// only files that nothing refers to, which Open removes.
func (s *Store) Prune(below uint32, all bool) ([]types.Hash, error) {
	if err := s.faulty(); err != nil {
		return nil, err
	}
	chosen := s.choose(below, all)
	if len(chosen) == 0 {
		return nil, nil
	}
	if len(s.blocks.pending)+len(s.undos.pending) > 0 {
		// After this the database alone says what there is.
		if err := s.SaveHeaders(nil); err != nil {
			return nil, err
		}
	}
	doomed, err := s.blocksIn(chosen)
	if err != nil {
		return nil, s.refused(err)
	}
	undos, err := s.emptied(doomed)
	if err != nil {
		return nil, s.refused(err)
	}
	records, err := s.withoutBodies(doomed)
	if err != nil {
		return nil, s.refused(err)
	}
	err = s.step(len(doomed)*2*hashKeySize+len(records)*(hashKeySize+headerRecordSize), func(c *changes) {
		for _, hash := range doomed {
			c.delete(hashKey(keyBlock, hash))
			c.delete(hashKey(keyUndo, hash))
		}
		putHeaders(c, records)
		for segment := range chosen {
			c.delete(segmentKey(kindBlock, segment))
		}
		for _, segment := range undos {
			c.delete(segmentKey(kindUndo, segment))
		}
	})
	if err != nil {
		return nil, err
	}
	if err := s.removeFiles(chosen, undos); err != nil {
		return nil, s.failed(fmt.Errorf("remove a pruned file: %w", err))
	}
	return doomed, nil
}

// choose returns the block files that Prune is to remove. The order of files is
// that of arrival, not of heights, so a file is chosen by its greatest height.
func (s *Store) choose(below uint32, all bool) map[uint32]struct{} {
	total := s.blocks.bytes() + s.undos.bytes()
	chosen := map[uint32]struct{}{}
	if !all && s.pruneBytes <= 0 {
		return chosen
	}
	files, extents := s.blocks.full()
	for _, segment := range files {
		if !all && total <= s.pruneBytes {
			break
		}
		if extents[segment].maxHeight < below {
			chosen[segment] = struct{}{}
			total -= int64(extents[segment].end)
		}
	}
	return chosen
}

// blocksIn returns the blocks whose bodies lie in the files.
func (s *Store) blocksIn(files map[uint32]struct{}) ([]types.Hash, error) {
	var hashes []types.Hash
	err := s.eachLocation(keyBlock, func(hash types.Hash, loc location) {
		if _, ok := files[loc.segment]; ok {
			hashes = append(hashes, hash)
		}
	})
	return hashes, err
}

// emptied returns the undo files that hold nothing but data of doomed blocks. Undo
// data is a fraction of the bodies, so such a file may wait until the last of its
// blocks goes.
func (s *Store) emptied(doomed []types.Hash) ([]uint32, error) {
	gone := make(map[types.Hash]struct{}, len(doomed))
	for _, hash := range doomed {
		gone[hash] = struct{}{}
	}
	needed := map[uint32]struct{}{}
	err := s.eachLocation(keyUndo, func(hash types.Hash, loc location) {
		if _, ok := gone[hash]; !ok {
			needed[loc.segment] = struct{}{}
		}
	})
	var empty []uint32
	files, _ := s.undos.full()
	for _, segment := range files {
		if _, ok := needed[segment]; !ok {
			empty = append(empty, segment)
		}
	}
	return empty, err
}

// eachLocation visits the locations of all records of a kind that the database
// knows.
func (s *Store) eachLocation(prefix byte, visit func(types.Hash, location)) error {
	return s.each(prefix, func(key, value []byte) error {
		hash, err := parseHashKey(key)
		if err != nil {
			return err
		}
		loc, err := parseLocation(value)
		if err != nil {
			return fmt.Errorf("block %s: %w", hash, err)
		}
		visit(hash, loc)
		return nil
	})
}

// withoutBodies returns the header records of blocks without the flags that say
// that body and undo data are there.
func (s *Store) withoutBodies(hashes []types.Hash) ([]header.Record, error) {
	var records []header.Record
	for _, hash := range hashes {
		key := hashKey(keyHeader, hash)
		value, err := s.db.Get(key, nil)
		if errors.Is(err, leveldb.ErrNotFound) {
			continue // its header was never saved
		}
		if err != nil {
			return nil, err
		}
		r, err := parseHeaderRecord(key, value)
		if err != nil {
			return nil, err
		}
		r.Status &^= header.StatusBody | header.StatusUndo
		records = append(records, r)
	}
	return records, nil
}

// removeFiles waits until nobody reads a body, and removes the files.
func (s *Store) removeFiles(blocks map[uint32]struct{}, undos []uint32) error {
	s.removing.Lock()
	defer s.removing.Unlock()
	for segment := range blocks {
		if err := s.blocks.forget(segment); err != nil {
			return err
		}
	}
	for _, segment := range undos {
		if err := s.undos.forget(segment); err != nil {
			return err
		}
	}
	return s.disk.syncDir(blocksDir)
}

// CacheBytes returns the memory for what is read of the database, and for coins. It may
// be called at any time by anyone.
func (s *Store) CacheBytes() (database, coins int64) { return s.caches[0], s.caches[1] }

// CoinsOnDisk estimates the bytes of the coins in the database, without what was written
// last and is in its journal yet. It may be called at any time by anyone.
func (s *Store) CoinsOnDisk() int64 {
	sizes, err := s.db.SizeOf([]util.Range{*util.BytesPrefix([]byte{keyCoin})})
	if err != nil { // it is closed
		return 0
	}
	return sizes.Sum()
}

// SizeOnDisk returns the bytes of all segment files. It may be called at any
// time by anyone.
func (s *Store) SizeOnDisk() int64 { return s.blocks.bytes() + s.undos.bytes() }
