// Package filter makes and reads the basic block filters of BIP158, by which a
// wallet finds the blocks that concern it without telling anyone its addresses,
// and the headers of BIP157 that chain them.
//
// It is told blocks and scripts; it reads no database and does no I/O.
package filter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/dchest/siphash"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// The parameters of basic filters (BIP158).
const (
	golombBits        = 19
	falsePositiveRate = 784931
)

// maxElements bounds what a filter may claim to hold: more scripts than a block
// of any network can spend and make.
const maxElements = 1 << 20

// ErrFilter is wrapped by the errors about bytes that are no filter.
var ErrFilter = errors.New("bad block filter")

// ErrUpdate is returned for an update that does not belong to its block.
var ErrUpdate = errors.New("the update is not the block's")

// Build returns the basic filter of a connected block: the number of elements as
// a compact size, then the Golomb-Rice coded set of the scripts that it spends
// and makes, without those that begin with OP_RETURN.
func Build(u *consensus.BlockUpdate) ([]byte, error) {
	scripts := map[string]struct{}{}
	for i := range u.Block.Block.Txs {
		for _, out := range u.Block.Block.Txs[i].Outputs {
			if len(out.ScriptPubKey) > 0 && out.ScriptPubKey[0] != taproot.OpReturn {
				scripts[string(out.ScriptPubKey)] = struct{}{}
			}
		}
	}
	spent := u.SpentCoins()
	if spent == nil {
		return nil, ErrUpdate
	}
	for _, coins := range spent {
		for i := range coins {
			scripts[string(coins[i].ScriptPubKey())] = struct{}{}
		}
	}
	return encode(u.Block.Hash, scripts), nil
}

// encode returns the filter of a block for a set of scripts.
func encode(block types.Hash, scripts map[string]struct{}) []byte {
	keys := keysOf(block)
	n := uint64(len(scripts))
	values := make([]uint64, 0, n)
	for script := range scripts {
		values = append(values, keys.value([]byte(script), n))
	}
	slices.Sort(values)
	// A value takes 21 bits, more or less.
	w := bitWriter{out: types.AppendCompactSize(make([]byte, 0, 16+3*n), n)}
	last := uint64(0)
	for _, value := range values {
		w.golomb(value - last)
		last = value
	}
	return w.finish()
}

// Header returns the filter header of a block: the hash of its filter's hash and
// of the header of the block below (BIP157), which for the genesis block is the
// zero hash.
func Header(filter []byte, prev types.Hash) types.Hash {
	hash := types.DoubleSHA256(filter)
	return types.DoubleSHA256(append(hash[:], prev[:]...))
}

// Match reports whether the filter of the block holds any of the scripts. It is
// wrong once in 784,931 times for a script that the block does not have, and
// never for one that it has. An error wraps ErrFilter.
func Match(filter []byte, block types.Hash, scripts [][]byte) (bool, error) {
	n, wanted, r, err := open(filter, block, scripts)
	if n == 0 || len(wanted) == 0 {
		return false, err
	}
	value := uint64(0)
	for range n {
		difference, ok := r.golomb()
		if !ok {
			return false, errEnds
		}
		value += difference
		for len(wanted) > 0 && wanted[0] < value {
			wanted = wanted[1:]
		}
		if len(wanted) == 0 {
			return false, nil
		}
		if wanted[0] == value {
			return true, nil
		}
	}
	return false, nil
}

// MatchAll reports whether the filter of the block holds each of the scripts but
// empty ones, as surely as Match does. It reads the filter once, however many
// scripts there are.
func MatchAll(filter []byte, block types.Hash, scripts [][]byte) (bool, error) {
	n, wanted, r, err := open(filter, block, scripts)
	if err != nil {
		return false, err
	}
	value := uint64(0)
	for range n {
		if len(wanted) == 0 {
			break
		}
		difference, ok := r.golomb()
		if !ok {
			return false, errEnds
		}
		value += difference
		if wanted[0] < value {
			return false, nil
		}
		for len(wanted) > 0 && wanted[0] == value {
			wanted = wanted[1:]
		}
	}
	return len(wanted) == 0, nil
}

var errEnds = fmt.Errorf("%w: it ends within its elements", ErrFilter)

// open begins to read a filter: the number of its elements, those of the scripts
// in order, and the reader of the elements.
func open(filter []byte, block types.Hash, scripts [][]byte) (n uint64, wanted []uint64, r bitReader, err error) {
	d := types.NewDecoder(filter)
	n = d.CompactSize()
	if d.Err() != nil {
		return 0, nil, r, fmt.Errorf("%w: %w", ErrFilter, d.Err())
	}
	// An element takes 20 bits at least.
	if n > maxElements || n*(golombBits+1) > uint64(d.Remaining())*8 {
		return 0, nil, r, fmt.Errorf("%w: %d elements in %d bytes", ErrFilter, n, d.Remaining())
	}
	keys := keysOf(block)
	wanted = make([]uint64, 0, len(scripts))
	for _, script := range scripts {
		if len(script) > 0 {
			wanted = append(wanted, keys.value(script, n))
		}
	}
	slices.Sort(wanted)
	return n, wanted, bitReader{in: d.Bytes(d.Remaining())}, nil
}

// sipKeys are the keys of a block's elements: the first 16 bytes of its hash.
type sipKeys struct{ k0, k1 uint64 }

func keysOf(block types.Hash) sipKeys {
	return sipKeys{binary.LittleEndian.Uint64(block[:]), binary.LittleEndian.Uint64(block[8:])}
}

// value maps a script to a number below n times the false positive rate.
func (k sipKeys) value(script []byte, n uint64) uint64 {
	high, _ := bits.Mul64(siphash.Hash(k.k0, k.k1, script), n*falsePositiveRate)
	return high
}

// bitWriter appends bits, the highest of each byte first.
type bitWriter struct {
	out     []byte
	waiting uint64 // the bits that make no whole byte yet are its lowest
	count   uint   // of them; below 8 between calls
}

// put appends the lowest bits of a number, at most 32, whose other bits are
// zero.
func (w *bitWriter) put(bits uint64, count uint) {
	w.waiting = w.waiting<<count | bits
	for w.count += count; w.count >= 8; {
		w.count -= 8
		w.out = append(w.out, byte(w.waiting>>w.count))
	}
}

// golomb writes a number in Golomb-Rice code: its high part in unary, its low
// bits as they are.
func (w *bitWriter) golomb(n uint64) {
	for range n >> golombBits {
		w.put(1, 1)
	}
	w.put(0, 1)
	w.put(n&(1<<golombBits-1), golombBits)
}

// finish fills the last byte with zeros.
func (w *bitWriter) finish() []byte {
	if w.count > 0 {
		w.put(0, 8-w.count)
	}
	return w.out
}

// bitReader reads what bitWriter wrote.
type bitReader struct {
	in     []byte
	loaded uint64 // bits from in: the next is the highest, the others are zero
	count  uint   // of them
}

// load takes bytes from in as long as there is room for one.
func (r *bitReader) load() {
	for r.count <= 56 && len(r.in) > 0 {
		r.loaded |= uint64(r.in[0]) << (56 - r.count)
		r.count += 8
		r.in = r.in[1:]
	}
}

func (r *bitReader) skip(count uint) {
	r.loaded <<= count
	r.count -= count
}

// golomb reads a number, if there are bits enough.
func (r *bitReader) golomb() (n uint64, ok bool) {
	for {
		r.load()
		if r.count == 0 {
			return 0, false
		}
		ones := uint(bits.LeadingZeros64(^r.loaded))
		n += uint64(ones)
		if ones < r.count {
			r.skip(ones + 1)
			break
		}
		r.skip(ones)
	}
	r.load()
	if r.count < golombBits {
		return 0, false
	}
	n = n<<golombBits | r.loaded>>(64-golombBits)
	r.skip(golombBits)
	return n, true
}
