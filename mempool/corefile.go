package mempool

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// The versions of Bitcoin Core's mempool.dat. In the second one all that stands behind the
// key is combined with it by exclusive or.
const (
	coreVersionPlain = 1
	coreVersionKeyed = 2
	coreKeySize      = 8
)

// coreFile reads a mempool.dat of Bitcoin Core:
//
//	version 8 | from version 2 on: length of the key 1, which is 8 | key 8
//	number of transactions 8 | for each: encoding (BIP144) | time 8 | fee delta 8
//	number of deltas of others | for each: transaction id 32 | fee delta 8
//	number of those that no peer has asked for | for each: transaction id 32
//
// The numbers of deltas and ids are of Bitcoin's compact size.
type coreFile struct {
	r   *bufio.Reader
	key []byte
	at  int // in the file

	txs, deltas, ids uint64 // that are left
	part             int    // of the file: 0 transactions, 1 deltas, 2 ids
	buf              []byte // what was read of a record
	err              error
}

// openCoreFile is openRecords for a file of Bitcoin Core.
func openCoreFile(r *bufio.Reader) (next func() (record, error), err error) {
	f := &coreFile{r: r}
	switch version := f.uint64(); {
	case f.err != nil:
	case version == coreVersionKeyed:
		if f.compactSize() != coreKeySize {
			return nil, fmt.Errorf("%w: its key has another length", ErrFile)
		}
		f.key = append([]byte(nil), f.take(coreKeySize)...)
	case version != coreVersionPlain:
		return nil, ErrFile
	}
	f.txs = f.uint64()
	if f.err != nil {
		return nil, fmt.Errorf("%w: it is too short", ErrFile)
	}
	return f.next, nil
}

// next returns the next record, as openRecords says.
func (f *coreFile) next() (record, error) {
	f.buf = f.buf[:0]
	if f.part == 0 && f.txs == 0 {
		f.part, f.deltas = 1, f.compactSize()
	}
	if f.part == 1 && f.deltas == 0 {
		f.part, f.ids = 2, f.compactSize()
	}
	var rec record
	switch {
	case f.err != nil:
	case f.part == 0:
		f.txs--
		raw := f.tx()
		rec.at = time.Unix(int64(f.uint64()), 0)
		rec.delta = types.Amount(f.uint64())
		if f.err == nil { // one that is none here is not taken, and those behind it are
			_ = rec.decode(append([]byte(nil), raw...))
		}
	case f.part == 1:
		f.deltas--
		rec.txid = f.hash()
		rec.delta = types.Amount(f.uint64())
	case f.ids > 0:
		f.ids--
		rec.txid, rec.unbroadcast = f.hash(), true
	default:
		return rec, io.EOF
	}
	if f.err != nil {
		return record{}, fmt.Errorf("it ends too early: %w", f.err)
	}
	return rec, nil
}

// take returns the next n bytes, which stay in the buffer.
func (f *coreFile) take(n uint64) []byte {
	if f.err == nil && (n > maxRecord || len(f.buf)+int(n) > maxRecord) {
		f.err = errors.New("a transaction that no block can hold")
	}
	if f.err != nil {
		return nil
	}
	begin := len(f.buf)
	f.buf = append(f.buf, make([]byte, n)...)
	part := f.buf[begin:]
	if _, err := io.ReadFull(f.r, part); err != nil {
		f.err = io.ErrUnexpectedEOF
		return nil
	}
	if f.key != nil {
		for i := range part {
			part[i] ^= f.key[(f.at+i)%len(f.key)]
		}
	}
	f.at += int(n)
	return part
}

func (f *coreFile) uint64() uint64 {
	if b := f.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (f *coreFile) hash() (h types.Hash) {
	copy(h[:], f.take(types.HashSize))
	return h
}

func (f *coreFile) compactSize() uint64 {
	first := f.take(1)
	if first == nil {
		return 0
	}
	if first[0] < 0xfd {
		return uint64(first[0])
	}
	var number [8]byte
	copy(number[:], f.take(2<<(first[0]-0xfd)))
	return binary.LittleEndian.Uint64(number[:])
}

// tx returns the encoding of a transaction, whose length does not stand before it. Each
// thing that is counted takes a byte at least, so that what is read is bounded by take.
func (f *coreFile) tx() []byte {
	f.take(4)
	inputs, witnesses := f.compactSize(), false
	if inputs == 0 { // BIP144's mark, with a flag behind it
		if flag := f.take(1); flag != nil && flag[0] != 0 {
			witnesses, inputs = true, f.compactSize()
		} else {
			f.err = errors.Join(f.err, errors.New("a transaction without inputs"))
		}
	}
	for i := uint64(0); i < inputs && f.err == nil; i++ {
		f.take(36)
		f.take(f.compactSize())
		f.take(4)
	}
	for n := f.compactSize(); n > 0 && f.err == nil; n-- {
		f.take(8)
		f.take(f.compactSize())
	}
	if witnesses {
		for i := uint64(0); i < inputs && f.err == nil; i++ {
			for n := f.compactSize(); n > 0 && f.err == nil; n-- {
				f.take(f.compactSize())
			}
		}
	}
	f.take(4)
	return f.buf
}
