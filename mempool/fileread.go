package mempool

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// maxRecord is the length of a transaction in a file, in bytes. No block can hold more.
const maxRecord = 4_000_000

// openRecords finds out what kind of file a reader has, and returns a function that gives
// one record after the other: io.EOF at the end of the file, another error for what is no
// record, with which the file ends. It wraps ErrFile if it is no file of a pool.
func openRecords(r *bufio.Reader, params *consensus.Params) (next func() (record, error), err error) {
	magic, err := r.Peek(len(fileMagic))
	if err != nil {
		return nil, fmt.Errorf("%w: it is too short", ErrFile)
	}
	if string(magic) != fileMagic && string(magic) != fileMagicOld {
		return openCoreFile(r)
	}
	want := fileHeader(string(magic), params)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil {
		return nil, fmt.Errorf("%w: it is too short", ErrFile)
	}
	if string(got) != string(want) {
		return nil, fmt.Errorf("%w %q", ErrFile, params.Name)
	}
	if string(got[:len(magic)]) == fileMagicOld {
		return func() (record, error) { return readOldRecord(r) }, nil
	}
	return func() (record, error) { return readRecord(r) }, nil
}

// The bytes of a record before its content.
const (
	recordHead    = 4 + 1 + 8 + 8
	oldRecordHead = 4 + 8
)

// readBody reads the head and the content of a record, and checks the checksum of both.
// Nothing is allocated for a length that damage made up.
func readBody(r io.Reader, headSize int) ([]byte, error) {
	head := make([]byte, headSize)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(head)
	if length > maxRecord {
		return nil, fmt.Errorf("a record of %d bytes", length)
	}
	all := append(head, make([]byte, length+crc32.Size)...)
	if _, err := io.ReadFull(r, all[headSize:]); err != nil {
		return nil, fmt.Errorf("a record is cut off: %w", io.ErrUnexpectedEOF)
	}
	body := all[:len(all)-crc32.Size]
	if binary.LittleEndian.Uint32(all[len(body):]) != crc32.Checksum(body, castagnoli) {
		return nil, errors.New("a checksum is wrong")
	}
	return body, nil
}

func readRecord(r io.Reader) (rec record, err error) {
	body, err := readBody(r, recordHead)
	if err != nil {
		return rec, err
	}
	kind, content := body[4], body[recordHead:]
	rec.at = time.Unix(int64(binary.LittleEndian.Uint64(body[5:])), 0)
	rec.delta = types.Amount(binary.LittleEndian.Uint64(body[13:]))
	switch {
	case kind == kindDelta && len(content) == types.HashSize:
		rec.txid = types.Hash(content)
		return rec, nil
	case kind > kindUnbroadcast:
		return rec, fmt.Errorf("a record of kind %d with %d bytes", kind, len(content))
	}
	rec.unbroadcast = kind == kindUnbroadcast
	return rec, rec.decode(content)
}

// readOldRecord reads a record of the first version.
func readOldRecord(r io.Reader) (rec record, err error) {
	body, err := readBody(r, oldRecordHead)
	if err != nil {
		return rec, err
	}
	rec.at = time.Unix(int64(binary.LittleEndian.Uint64(body[4:])), 0)
	return rec, rec.decode(body[oldRecordHead:])
}

func (r *record) decode(raw []byte) (err error) {
	if r.tx, err = types.DecodeTx(raw); err == nil {
		r.txid = r.tx.TxID()
	}
	return err
}
