package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/karatcoin/karat/chain/types"
)

// kind is a kind of segment file, and the magic of its records.
type kind uint32

// The kinds are stored: they never change.
const (
	kindBlock kind = 0x3142524b // "KRB1"
	kindUndo  kind = 0x3155524b // "KRU1"
)

// A record of a segment file has a frame, so that a file can be read without
// the database, and so that a location that leads elsewhere is noticed:
//
//	magic 4 | payload length 4 | height 4 | block hash 32 | payload | checksum 4
//
// The checksum is CRC-32C over all before it. It finds what disks do to data, all
// bursts of up to 32 bits among it, and takes a millisecond for the largest block,
// since processors have an instruction for it. It is no proof against a forger, but
// whoever can write to the directory needs no forgery.
const (
	frameHeadSize = 4 + 4 + 4 + types.HashSize
	frameSize     = frameHeadSize + 4
)

// checksum is CRC-32C. MakeTable returns a table that crc32 keeps.
func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// sealRecord completes a record whose payload already stands behind frameHeadSize
// bytes of room, so that no second buffer is needed.
func sealRecord(record []byte, k kind, at types.Index) []byte {
	binary.LittleEndian.PutUint32(record, uint32(k))
	binary.LittleEndian.PutUint32(record[4:], uint32(len(record)-frameHeadSize))
	binary.LittleEndian.PutUint32(record[8:], at.Height)
	copy(record[12:], at.Hash[:])
	return binary.LittleEndian.AppendUint32(record, checksum(record))
}

// parseRecord splits the first record of b into its kind, its block, its payload,
// and the number of bytes that it takes. All are checked against the checksum.
func parseRecord(b []byte) (k kind, at types.Index, payload []byte, size int, err error) {
	if len(b) < frameSize {
		return 0, at, nil, 0, damaged("%d bytes are no record", len(b))
	}
	k = kind(binary.LittleEndian.Uint32(b))
	if k != kindBlock && k != kindUndo {
		return 0, at, nil, 0, damaged("no record begins here")
	}
	length := binary.LittleEndian.Uint32(b[4:])
	if uint64(length) > uint64(len(b)-frameSize) {
		return 0, at, nil, 0, damaged("a record of %d bytes has only %d", length, len(b)-frameSize)
	}
	end := frameHeadSize + int(length)
	if sum := binary.LittleEndian.Uint32(b[end:]); checksum(b[:end]) != sum {
		return 0, at, nil, 0, damaged("the checksum is %08x, not %08x", checksum(b[:end]), sum)
	}
	at = types.Index{Height: binary.LittleEndian.Uint32(b[8:]), Hash: types.Hash(b[12:frameHeadSize])}
	return k, at, b[frameHeadSize:end:end], end + 4, nil
}

// checkRecord returns the payload of a record that must be of the given kind
// and block.
func checkRecord(b []byte, want kind, of types.Index) ([]byte, error) {
	k, at, payload, size, err := parseRecord(b)
	switch {
	case err != nil:
		return nil, err
	case k != want || at != of || size != len(b):
		return nil, damaged("the record there is of block %s", at)
	}
	return payload, nil
}

// appendUndo appends the undo data of a block: the number of its spent coins,
// then each coin behind its length in one byte. Only the coins are there, since the
// block's inputs have their outpoints.
func appendUndo(b []byte, coins []types.Coin) []byte {
	b = binary.AppendUvarint(b, uint64(len(coins)))
	for i := range coins {
		b = append(b, 0)
		start := len(b)
		b = appendCoin(b, &coins[i])
		b[start-1] = byte(len(b) - start)
	}
	return b
}

// minUndoCoinSize is the length byte, and the shortest height, value and script.
const minUndoCoinSize = 4

func parseUndo(b []byte) ([]types.Coin, error) {
	count, n := uvarint(b)
	if n <= 0 || count > uint64(len(b)/minUndoCoinSize) {
		return nil, damaged("number of spent coins")
	}
	b = b[n:]
	coins := make([]types.Coin, 0, count)
	for i := range count {
		if len(b) == 0 || int(b[0]) >= len(b) {
			return nil, damaged("spent coin %d of %d is cut off", i, count)
		}
		coin, err := parseCoin(b[1 : 1+int(b[0])])
		if err != nil {
			return nil, fmt.Errorf("spent coin %d of %d: %w", i, count, err)
		}
		coins = append(coins, coin)
		b = b[1+int(b[0]):]
	}
	if len(b) > 0 {
		return nil, damaged("%d bytes after the spent coins", len(b))
	}
	return coins, nil
}
