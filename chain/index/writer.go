package index

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"

	"github.com/karatcoin/karat/chain/consensus"
)

// writer collects what one step changes. LevelDB takes keys that are in order twice as
// fast, so they are sorted before.
type writer struct {
	params *consensus.Params
	db     *leveldb.DB
	state  []byte // the content's, stored with the position; nil at the beginning
	bytes  []byte // keys and values, one after another
	ops    []op
}

// op is one change: the key, and behind it the value.
type op struct {
	first     uint64 // bytes of the key, which nearly always decide the order
	at        int    // in bytes, ascending
	key, size int32  // lengths; a size of -1 deletes
}

// put has a value stored. Both slices may be used again.
func (w *writer) put(key, value []byte) {
	w.add(key, int32(len(value)))
	w.bytes = append(w.bytes, value...)
}

// delete has a key removed, whether it is there or not.
func (w *writer) delete(key []byte) { w.add(key, -1) }

func (w *writer) add(key []byte, size int32) {
	var first [8]byte
	copy(first[:], key)
	w.ops = append(w.ops, op{binary.BigEndian.Uint64(first[:]), len(w.bytes), int32(len(key)), size})
	w.bytes = append(w.bytes, key...)
}

// get returns a value of before the step, nil if there was none.
func (w *writer) get(key []byte) ([]byte, error) {
	value, err := w.db.Get(key, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil, nil
	}
	return value, err
}

func (w *writer) key(o *op) []byte { return w.bytes[o.at : o.at+int(o.key)] }

// batch returns the changes in the order of their keys. Of several of one key the last
// counts.
func (w *writer) batch() *leveldb.Batch {
	slices.SortFunc(w.ops, func(a, b op) int {
		if a.first != b.first {
			return cmp.Compare(a.first, b.first)
		}
		if c := bytes.Compare(w.key(&a), w.key(&b)); c != 0 {
			return c
		}
		return cmp.Compare(a.at, b.at)
	})
	batch := leveldb.MakeBatch(len(w.bytes) + 16*len(w.ops))
	for i := range w.ops {
		o := &w.ops[i]
		key := w.key(o)
		if i+1 < len(w.ops) && bytes.Equal(key, w.key(&w.ops[i+1])) {
			continue
		}
		if o.size < 0 {
			batch.Delete(key)
			continue
		}
		value := o.at + int(o.key)
		batch.Put(key, w.bytes[value:value+int(o.size)])
	}
	return batch
}

// write makes one step durable, with the position that it leads to. The database does
// not change meanwhile: only Run's goroutine closes it.
func (x *index) write(reverted, applied []consensus.BlockUpdate) error {
	w := &writer{params: x.chain.Params(), db: x.db, state: slices.Clone(x.kept)}
	c, err := x.begin(w)
	if err != nil {
		return err
	}
	at := x.at
	for i := range reverted {
		if err := c.revert(&reverted[i]); err != nil {
			return err
		}
		w.delete(blockKey(at.Height))
		at = reverted[i].Update.Parent
	}
	for i := range applied {
		if err := c.apply(&applied[i]); err != nil {
			return err
		}
		at = applied[i].Update.Block
		w.put(blockKey(at.Height), at.Hash[:])
	}
	if err := c.finish(); err != nil {
		return err
	}
	position := binary.LittleEndian.AppendUint32(x.mark(), at.Height)
	w.put([]byte{keyPosition}, append(append(position, at.Hash[:]...), w.state...))
	w.delete(stepKey(x.lastStep))
	w.put(stepKey(x.lastStep+1), nil)
	if err := x.db.Write(w.batch(), &opt.WriteOptions{Sync: true}); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.at, x.kept, x.lastStep, x.fresh = at, w.state, x.lastStep+1, false
	return nil
}
