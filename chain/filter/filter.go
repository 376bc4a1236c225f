// Package filter makes and reads the basic block filters of BIP158, and the headers
// of BIP157 that chain them. By them a wallet finds the blocks that concern it, and
// tells nobody its addresses.
//
// The one idea: each script that a block spends or makes becomes a number, a hash
// under a key of the block's own, and the filter is the sorted list of these
// numbers. Neighbours differ by some 785,000, so their differences are written in
// about 21 bits each, in a code that suits differences of that size. To ask for a
// script is to look whether its number is in the list. A number that is there by
// chance makes the wallet fetch a block for nothing.
//
//	bytes, err := filter.Build(update)                // by the node
//	header := filter.Header(bytes, headerOfParent)    // commits to all filters so far
//	found, err := filter.Match(bytes, block, scripts) // by the wallet
//
// A filter comes from a node that may lie. The wallet therefore checks each against
// the filter headers, and with MatchAll against the blocks that it fetches.
//
// The package is told blocks and scripts. It reads no database and does no I/O.
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

// The parameters of basic filters (BIP158). The rate is the one at which, with so many
// low bits, a filter is smallest.
const (
	golombBits        = 19
	falsePositiveRate = 784931
)

// maxElements bounds what a filter may claim to hold. No block of any network can
// spend and make as many scripts.
const maxElements = 1 << 20

// ErrFilter is wrapped by errors about bytes that are no filter.
var ErrFilter = errors.New("bad block filter")

// ErrUpdate is returned for an update that does not belong to its block.
var ErrUpdate = errors.New("the update is not the block's")

// Build returns the basic filter of a connected block: the number of elements as
// a compact size, then the Golomb-Rice coded set of the scripts that it spends
// and makes, without empty ones and those that begin with OP_RETURN.
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

// OfScripts returns the basic filter of a block that spends and makes these scripts, and no
// others. Empty ones are left out; the caller leaves out outputs that begin with OP_RETURN.
func OfScripts(block types.Hash, scripts [][]byte) []byte {
	set := make(map[string]struct{}, len(scripts))
	for _, script := range scripts {
		if len(script) > 0 {
			set[string(script)] = struct{}{}
		}
	}
	return encode(block, set)
}

// encode returns the filter of a block for a set of scripts. The set is a map,
// because a script that stands in a block twice is one element.
func encode(block types.Hash, scripts map[string]struct{}) []byte {
	keys := keysOf(block)
	n := uint64(len(scripts))
	values := make([]uint64, 0, n)
	for script := range scripts {
		values = append(values, keys.value([]byte(script), n))
	}
	slices.Sort(values)
	// A value takes about 21 bits, which is less than three bytes.
	w := bitWriter{out: types.AppendCompactSize(make([]byte, 0, 16+3*n), n)}
	last := uint64(0)
	for _, value := range values {
		w.golomb(value - last)
		last = value
	}
	return w.finish()
}

// Header returns the filter header of a block (BIP157): the hash of its filter's
// hash and of the filter header of the block below, which for the genesis block is
// the zero hash.
func Header(filter []byte, prev types.Hash) types.Hash {
	hash := types.DoubleSHA256(filter)
	return types.DoubleSHA256(append(hash[:], prev[:]...))
}

// Match reports whether the filter of the block holds any of the scripts. For a
// script that the block does not have it is wrong once in 784,931 times; for one that
// it has it is never wrong. An error wraps ErrFilter: a filter that is cut short is none,
// though it may hold one of the scripts before.
func Match(filter []byte, block types.Hash, scripts [][]byte) (bool, error) {
	n, r, err := open(filter)
	if n == 0 || len(scripts) == 0 {
		return false, err
	}
	// Scripts are many and filters are short, so the elements are laid out to be looked up, and
	// the scripts need not be sorted. A table of bits, eight for each element, answers for most
	// scripts at once.
	values := make([]uint64, n)
	shift := max(0, bits.Len64(n*falsePositiveRate)-bits.Len64(8*n))
	table := make([]uint64, n*falsePositiveRate>>shift/64+1)
	value := uint64(0)
	for i := range values {
		difference, ok := r.golomb()
		if !ok {
			return false, errEnds
		}
		if value += difference; value >= n*falsePositiveRate { // no script is found from here on
			values = values[:i]
			break
		}
		values[i] = value
		table[value>>shift/64] |= 1 << (value >> shift % 64)
	}
	keys := keysOf(block)
	for _, script := range scripts {
		if len(script) == 0 {
			continue
		}
		value := keys.value(script, n)
		if table[value>>shift/64]>>(value>>shift%64)&1 == 0 {
			continue
		}
		if _, found := slices.BinarySearch(values, value); found {
			return true, nil
		}
	}
	return false, nil
}

// MatchAll reports whether the filter of the block holds each of the scripts, empty
// ones aside, as surely as Match does. So whoever has the block finds out a filter
// that hides something. It reads the filter once, however many scripts there are.
func MatchAll(filter []byte, block types.Hash, scripts [][]byte) (bool, error) {
	n, r, err := open(filter)
	if err != nil {
		return false, err
	}
	keys := keysOf(block)
	wanted := make([]uint64, 0, len(scripts))
	for _, script := range scripts {
		if len(script) > 0 {
			wanted = append(wanted, keys.value(script, n))
		}
	}
	slices.Sort(wanted) // as the elements are: one pass compares them
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

// open begins to read a filter. It returns the number of its elements, and a reader of
// them.
func open(filter []byte) (n uint64, r bitReader, err error) {
	d := types.NewDecoder(filter)
	n = d.CompactSize()
	if d.Err() != nil {
		return 0, r, fmt.Errorf("%w: %w", ErrFilter, d.Err())
	}
	// An element takes 20 bits at least, so a claim of too many is found out here.
	if n > maxElements || n*(golombBits+1) > uint64(d.Remaining())*8 {
		return 0, r, fmt.Errorf("%w: %d elements in %d bytes", ErrFilter, n, d.Remaining())
	}
	return n, bitReader{in: d.Bytes(d.Remaining())}, nil
}

// sipKeys are the keys of a block's elements: the first 16 bytes of its hash. So a
// script that matches one block by chance does not match the others.
type sipKeys struct{ k0, k1 uint64 }

func keysOf(block types.Hash) sipKeys {
	return sipKeys{binary.LittleEndian.Uint64(block[:]), binary.LittleEndian.Uint64(block[8:])}
}

// value maps a script to a number below n times the false positive rate: the hash as
// a fraction of 2^64, by a multiplication.
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
