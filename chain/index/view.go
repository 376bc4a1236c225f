package index

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/syndtr/goleveldb/leveldb"

	"github.com/karatcoin/karat/chain/types"
)

// view is an index at one moment: what is read through it fits together, whatever is
// written meanwhile.
type view struct {
	snapshot *leveldb.Snapshot
	mark     int // length of what stands before the height in a position
}

// read answers a query, of an index that may be nil. Damage that it meets is noted for
// Run, which makes the index anew.
func (x *index) read(query func(v *view) error) error {
	if x == nil {
		return ErrBehind
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.db == nil || x.fresh {
		return ErrBehind
	}
	snapshot, err := x.db.GetSnapshot()
	if err != nil {
		return err
	}
	defer snapshot.Release()
	if err = query(&view{snapshot, len(x.mark())}); isDamage(err) {
		x.damaged.Store(true)
		err = fmt.Errorf("the index in %s is damaged: %w", x.dir, errors.Join(errAnew, err))
	}
	return err
}

// get returns a value, or ErrBehind.
func (v *view) get(key []byte) ([]byte, error) {
	value, err := v.snapshot.Get(key, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil, ErrBehind
	}
	return value, err
}

// at returns the block of which the view is.
func (v *view) at() (types.Index, error) {
	value, err := v.snapshot.Get([]byte{keyPosition}, nil)
	if err != nil || len(value) < v.mark+4+types.HashSize {
		return types.Index{}, errors.Join(errAnew, err)
	}
	d := types.NewDecoder(value[v.mark:])
	return types.Index{Height: d.Uint32(), Hash: d.Hash()}, nil
}

// block returns the block that is indexed at a height. What names a height that is
// not there is damaged.
func (v *view) block(height uint32) (hash types.Hash, err error) {
	value, err := v.snapshot.Get(blockKey(height), nil)
	if err != nil || len(value) != types.HashSize {
		return hash, fmt.Errorf("%w: block at %d: %w", errAnew, height, err)
	}
	return types.Hash(value), nil
}

// appendPlace appends a place without the block's hash, which is found by the height.
func appendPlace(b []byte, height uint32, p *types.TxPlace) []byte {
	b = binary.AppendUvarint(b, uint64(height))
	b = binary.AppendUvarint(b, uint64(p.N))
	b = binary.AppendUvarint(b, uint64(p.Offset))
	return binary.AppendUvarint(b, uint64(p.Size))
}

// place reads what appendPlace wrote, and returns what is behind it.
func (v *view) place(b []byte) (p types.TxPlace, height uint32, rest []byte, err error) {
	var fields [4]uint64
	for i := range fields {
		if fields[i], b, err = uvarint(b); err != nil {
			return p, 0, nil, err
		}
	}
	p = types.TxPlace{N: uint32(fields[1]), Offset: uint32(fields[2]), Size: uint32(fields[3])}
	p.Block, err = v.block(uint32(fields[0]))
	return p, uint32(fields[0]), b, err
}

func uvarint(b []byte) (value uint64, rest []byte, err error) {
	value, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, fmt.Errorf("%w: a value that is too short", errAnew)
	}
	return value, b[n:], nil
}
