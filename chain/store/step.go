package store

import (
	"fmt"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"
)

// reserve is the free space in bytes that is never written into. LevelDB needs it for
// its compactions, and the operator to have room to act.
const reserve = 64 << 20

// checkSpaceEvery is how many bytes of records are written between two looks at the
// free space.
const checkSpaceEvery = 8 << 20

// changes collects the writes of a step. They go into a batch, or into a transaction
// of LevelDB if a batch would take too much memory. A transaction writes tables as
// it goes and names them all at once at the end. Both are atomic and synced. After
// an error in a transaction neither it nor the database may be used; here nothing is
// used after an error anyway.
type changes struct {
	batch *leveldb.Batch
	tx    *leveldb.Transaction
	err   error // the first of tx, which commit returns
}

func (s *Store) newChanges(size int) (*changes, error) {
	if size <= s.batchSize {
		return &changes{batch: leveldb.MakeBatch(size)}, nil
	}
	tx, err := s.db.OpenTransaction()
	return &changes{tx: tx}, err
}

func (c *changes) put(key, value []byte) {
	if c.tx == nil {
		c.batch.Put(key, value)
	} else if c.err == nil {
		c.err = c.tx.Put(key, value, nil)
	}
}

func (c *changes) delete(key []byte) {
	if c.tx == nil {
		c.batch.Delete(key)
	} else if c.err == nil {
		c.err = c.tx.Delete(key, nil)
	}
}

// commit makes the changes durable. It does not wait for LevelDB once the disk has
// failed: a compaction tries again without end what failed, and may do so under the
// lock that the end of a transaction waits for.
func (s *Store) commit(c *changes) error {
	switch {
	case c.tx == nil:
		return s.db.Write(c.batch, &opt.WriteOptions{Sync: true})
	case c.err != nil:
		return c.err
	}
	done := make(chan error, 1)
	s.commits.Go(func() { done <- c.tx.Commit() })
	select {
	case err := <-done:
		return err
	case <-s.files.failing:
		return s.files.failure()
	}
}

// step makes durable what was written: first the segment files, then, in one write
// of the database, what fill adds and the locations of all records that the database
// does not know yet. In this order the database never names what a power cut takes.
// size estimates the bytes that fill adds.
func (s *Store) step(size int, fill func(*changes)) error {
	size += (len(s.blocks.pending)+len(s.undos.pending))*(hashKeySize+locationSize+8) + 256
	if err := s.faulty(); err != nil {
		return err
	}
	if err := s.room(uint64(size)); err != nil {
		return err
	}
	for _, segments := range []*segments{s.blocks, s.undos} {
		if err := segments.sync(); err != nil {
			return s.failed(err)
		}
	}
	if err := s.write(size, fill); err != nil {
		return s.failed(fmt.Errorf("write the database: %w", err))
	}
	s.lastStep++
	s.blocks.saved()
	s.undos.saved()
	return nil
}

func (s *Store) write(size int, fill func(*changes)) error {
	c, err := s.newChanges(size)
	if err != nil {
		return err
	}
	fill(c)
	// The number of the step: see readLastStep.
	if s.lastStep > 0 {
		c.delete(stepKey(s.lastStep))
	}
	c.put(stepKey(s.lastStep+1), nil)
	s.blocks.save(keyBlock, c)
	s.undos.save(keyUndo, c)
	return s.commit(c)
}

// room refuses to go on if writing the bytes could fill the disk. LevelDB writes them
// twice: to its journal, and to a table before the journal goes. To refuse in time
// leaves the files in order, which a write that fails half-way does not.
func (s *Store) room(bytes uint64) error {
	free, err := s.disk.free()
	if err != nil {
		return s.refused(err)
	}
	s.unchecked = 0
	if need := 2*bytes + checkSpaceEvery + reserve; free < need {
		return s.refused(fmt.Errorf("disk full: %d MiB free in %s, need %d MiB; make room and start again",
			free>>20, s.disk.path(""), need>>20))
	}
	return nil
}
