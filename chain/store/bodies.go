package store

import (
	"errors"
	"fmt"

	"github.com/syndtr/goleveldb/leveldb"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// WriteBlock appends a body. It is durable after SaveHeaders or Flush.
func (s *Store) WriteBlock(at types.Index, raw []byte) error {
	return s.write(s.bodies, at, raw, func(p *position, where place) { p.body = where })
}

// WriteUndo appends the undo data of a block: the coins that it spent, in the
// order of its inputs. It is durable after SaveHeaders or Flush.
func (s *Store) WriteUndo(at types.Index, coins []types.Coin) error {
	return s.write(s.undos, at, appendUndo(nil, coins), func(p *position, where place) { p.undo = where })
}

func (s *Store) write(to *segments, at types.Index, payload []byte, set func(*position, place)) error {
	if err := s.faulty(); err != nil {
		return err
	}
	if s.written += int64(len(payload)); s.written > checkSpaceEvery {
		if err := s.room(checkSpaceEvery); err != nil {
			return err
		}
	}
	p, err := s.position(at.Hash)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return s.failed(err)
	}
	where, err := to.append(at, payload)
	if err != nil {
		return s.failed(err)
	}
	p.height = at.Height
	set(&p, where)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending[at.Hash] = p
	return nil
}

// position finds where the parts of a block lie.
func (s *Store) position(hash types.Hash) (position, error) {
	s.mu.Lock()
	p, ok := s.pending[hash]
	s.mu.Unlock()
	if ok {
		return p, nil
	}
	value, err := s.db.Get(hashKey(keyPosition, hash), nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return position{}, ErrNotFound
	}
	if err != nil {
		return position{}, err
	}
	return parsePosition(value)
}

// ReadBlock returns the body of a block as it was written, ErrNotFound, or an
// ErrLocal that names the file and the byte where it is damaged.
func (s *Store) ReadBlock(hash types.Hash) ([]byte, error) {
	return s.read(s.bodies, hash, func(p *position) place { return p.body })
}

// ReadUndo returns the undo data of a block, with errors as ReadBlock.
func (s *Store) ReadUndo(hash types.Hash) ([]types.Coin, error) {
	payload, err := s.read(s.undos, hash, func(p *position) place { return p.undo })
	if err != nil {
		return nil, err
	}
	coins, err := parseUndo(payload)
	if err != nil {
		return nil, consensus.Local(fmt.Errorf("undo data of block %s: %w", hash, err))
	}
	return coins, nil
}

func (s *Store) read(from *segments, hash types.Hash, part func(*position) place) ([]byte, error) {
	p, err := s.position(hash)
	if err == nil && part(&p).none() {
		err = ErrNotFound
	}
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("block %s: %w", hash, ErrNotFound)
	}
	if err != nil {
		return nil, consensus.Local(fmt.Errorf("position of block %s: %w", hash, err))
	}
	payload, err := from.read(part(&p), types.Index{Height: p.height, Hash: hash})
	if err != nil {
		return nil, consensus.Local(fmt.Errorf("block %s: %w", hash, err))
	}
	return payload, nil
}

// Prune removes the oldest segment files while bodies and undo data take more
// than Options.PruneBytes, but none with a block at or above the height. It
// returns the blocks that lost a part. First the database forgets them, then
// the files go, so that a crash between leaves files that the next start
// removes.
func (s *Store) Prune(below uint32) ([]types.Hash, error) {
	if s.pruneBytes == 0 {
		return nil, nil
	}
	var pruned []types.Hash
	for s.bodies.bytes()+s.undos.bytes() > s.pruneBytes {
		body, hasBody := s.bodies.oldest(below)
		undo, hasUndo := s.undos.oldest(below)
		if !hasBody && !hasUndo {
			break
		}
		hashes, err := s.forget(func(p *position) bool {
			return hasBody && !p.body.none() && p.body.segment == body || hasUndo && !p.undo.none() && p.undo.segment == undo
		})
		if err != nil {
			return nil, err
		}
		pruned = append(pruned, hashes...)
		if hasBody {
			err = s.bodies.drop(body)
		}
		if hasUndo {
			err = errors.Join(err, s.undos.drop(undo))
		}
		if err := errors.Join(err, s.disk.syncDir()); err != nil {
			return nil, s.failed(err)
		}
	}
	return pruned, nil
}

// forget takes the chosen positions out of the database, and the flags that
// say that body and undo data are there out of the header records.
func (s *Store) forget(chosen func(*position) bool) ([]types.Hash, error) {
	if err := s.begin(0); err != nil {
		return nil, err
	}
	var batch leveldb.Batch
	s.putRecords(&batch, nil)
	var hashes []types.Hash
	err := s.each(keyPosition, func(key, value []byte) error {
		p, err := parsePosition(value)
		if err != nil || !chosen(&p) {
			return err
		}
		hash := types.Hash(key[1:])
		hashes = append(hashes, hash)
		batch.Delete(hashKey(keyPosition, hash))
		headerKey := hashKey(keyHeader, hash)
		header, err := s.db.Get(headerKey, nil)
		if err != nil {
			return fmt.Errorf("header of block %s: %w", hash, err)
		}
		r, err := parseHeaderRecord(headerKey, header)
		if err != nil {
			return err
		}
		r.Status &^= consensus.StatusBody | consensus.StatusUndo
		batch.Put(headerKey, appendHeaderRecord(nil, &r))
		return nil
	})
	if err != nil {
		return nil, s.failed(err)
	}
	return hashes, s.commit(&batch)
}
