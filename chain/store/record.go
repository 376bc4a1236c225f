package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// The keys of the database: a prefix byte, then a name. Numbers in keys are
// big-endian, so that coins are in the order of txid and index; numbers in
// values are little-endian. Values begin with no version of their own: the
// schema's version stands in the meta record, and one that is not known is
// refused.
//
//	key                        value
//	'm'                        schema 4 | network identity 32 | network name
//	't'                        height 4 | block hash 32: what the coins reflect
//	'h' block hash 32          header 80 | height 4 | transactions 4 | status 1
//	'p' block hash 32          height 4 | body place 12 | undo place 12
//	'c' txid 32 | index 4      varint height*2+coinbase | varint grains | script
//
// A place is segment 4 | offset 4 | length 4, of the record with its frame; a
// length of zero says that there is none.
const (
	keyMeta     = 'm'
	keyTip      = 't'
	keyHeader   = 'h'
	keyPosition = 'p'
	keyCoin     = 'c'
)

const schemaVersion = 1

const (
	coinKeySize      = 1 + types.HashSize + 4
	headerRecordSize = types.HeaderSize + 4 + 4 + 1
	positionSize     = 4 + 2*12
)

var errDamaged = errors.New("damaged record")

func hashKey(prefix byte, hash types.Hash) []byte { return append([]byte{prefix}, hash[:]...) }

func appendCoinKey(b []byte, outPoint *types.OutPoint) []byte {
	b = append(append(b, keyCoin), outPoint.TxID[:]...)
	return binary.BigEndian.AppendUint32(b, outPoint.Index)
}

func parseCoinKey(key []byte) (outPoint types.OutPoint, err error) {
	if len(key) != coinKeySize || key[0] != keyCoin {
		return outPoint, fmt.Errorf("%w: coin key %x", errDamaged, key)
	}
	copy(outPoint.TxID[:], key[1:])
	outPoint.Index = binary.BigEndian.Uint32(key[1+types.HashSize:])
	return outPoint, nil
}

// appendCoin appends the value of a coin.
func appendCoin(b []byte, coin *types.Coin) []byte {
	code := uint64(coin.Height) << 1
	if coin.IsCoinbase {
		code |= 1
	}
	b = binary.AppendUvarint(b, code)
	b = binary.AppendUvarint(b, uint64(coin.Value))
	return append(b, coin.ScriptPubKey()...)
}

// parseCoin reads what appendCoin wrote; all of b is the coin's.
func parseCoin(b []byte) (types.Coin, error) {
	code, n := binary.Uvarint(b)
	if n <= 0 || code>>1 > math.MaxUint32 {
		return types.Coin{}, fmt.Errorf("%w: height of a coin", errDamaged)
	}
	value, m := binary.Uvarint(b[n:])
	if m <= 0 || value > math.MaxInt64 {
		return types.Coin{}, fmt.Errorf("%w: value of a coin", errDamaged)
	}
	out := types.TxOut{Value: types.Amount(value), ScriptPubKey: b[n+m:]}
	coin, ok := types.NewCoin(&out, uint32(code>>1), code&1 == 1)
	if !ok {
		return types.Coin{}, fmt.Errorf("%w: script of a coin", errDamaged)
	}
	return coin, nil
}

func appendHeaderRecord(b []byte, r *consensus.HeaderRecord) []byte {
	b = r.Header.AppendTo(b)
	b = binary.LittleEndian.AppendUint32(b, r.Height)
	b = binary.LittleEndian.AppendUint32(b, r.TxCount)
	return append(b, byte(r.Status))
}

func parseHeaderRecord(key, value []byte) (r consensus.HeaderRecord, err error) {
	if len(key) != 1+types.HashSize || len(value) != headerRecordSize {
		return r, fmt.Errorf("%w: header %x", errDamaged, key)
	}
	if r.Header, err = types.DecodeHeader(value[:types.HeaderSize]); err != nil {
		return r, err
	}
	copy(r.Hash[:], key[1:])
	r.Height = binary.LittleEndian.Uint32(value[types.HeaderSize:])
	r.TxCount = binary.LittleEndian.Uint32(value[types.HeaderSize+4:])
	r.Status = consensus.Status(value[types.HeaderSize+8])
	if r.Header.Hash() != r.Hash {
		return r, fmt.Errorf("%w: header %s does not have its hash", errDamaged, r.Hash)
	}
	return r, nil
}

// place says where a record of a segment file lies, its frame included.
type place struct{ segment, offset, length uint32 }

func (p place) none() bool { return p.length == 0 }

// position is where the parts of a block lie.
type position struct {
	height     uint32
	body, undo place
}

func appendPosition(b []byte, p *position) []byte {
	for _, n := range [...]uint32{
		p.height, p.body.segment, p.body.offset, p.body.length, p.undo.segment, p.undo.offset, p.undo.length,
	} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

func parsePosition(b []byte) (p position, err error) {
	if len(b) != positionSize {
		return p, fmt.Errorf("%w: position of a block", errDamaged)
	}
	d := types.NewDecoder(b)
	p.height = d.Uint32()
	p.body = place{d.Uint32(), d.Uint32(), d.Uint32()}
	p.undo = place{d.Uint32(), d.Uint32(), d.Uint32()}
	return p, d.Finish()
}

// A record in a segment file has a frame, so that a file can be read without
// the database and a place that leads elsewhere is noticed:
//
//	magic 4 | payload length 4 | height 4 | block hash 32 | checksum 4 | payload
//
// The checksum is CRC-32C over everything else: it finds what disks do to data,
// and runs at memory speed. That a body is the one that a header commits to is
// for the merkle root to say.
const frameSize = 4 + 4 + 4 + types.HashSize + 4

// kind is a kind of segment file, and its magic.
type kind uint32

const (
	kindBody kind = 0x3142524b // "KRB1"
	kindUndo kind = 0x3155524b // "KRU1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendFramed(b []byte, k kind, at types.Index, payload []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(k))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, at.Height)
	b = append(b, at.Hash[:]...)
	sum := crc32.Update(crc32.Checksum(b[start:], castagnoli), castagnoli, payload)
	b = binary.LittleEndian.AppendUint32(b, sum)
	return append(b, payload...)
}

// parseFramed returns the payload of a record that must be of the given kind
// and block.
func parseFramed(record []byte, k kind, at types.Index) ([]byte, error) {
	if len(record) < frameSize {
		return nil, fmt.Errorf("%w: %d bytes", errDamaged, len(record))
	}
	head, payload := record[:frameSize-4], record[frameSize:]
	sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, payload)
	switch {
	case binary.LittleEndian.Uint32(record[frameSize-4:]) != sum:
		return nil, fmt.Errorf("%w: the checksum does not match", errDamaged)
	case binary.LittleEndian.Uint32(head) != uint32(k), int(binary.LittleEndian.Uint32(head[4:])) != len(payload):
		return nil, fmt.Errorf("%w: not the kind or length of record that it should be", errDamaged)
	case binary.LittleEndian.Uint32(head[8:]) != at.Height, types.Hash(head[12:]) != at.Hash:
		return nil, fmt.Errorf("%w: a record of another block", errDamaged)
	}
	return payload, nil
}

// appendUndo appends the undo data of a block: its spent coins, each with its
// length.
func appendUndo(b []byte, coins []types.Coin) []byte {
	b = binary.AppendUvarint(b, uint64(len(coins)))
	var scratch []byte
	for i := range coins {
		scratch = appendCoin(scratch[:0], &coins[i])
		b = append(append(b, byte(len(scratch))), scratch...)
	}
	return b
}

func parseUndo(b []byte) ([]types.Coin, error) {
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(len(b)) {
		return nil, fmt.Errorf("%w: number of spent coins", errDamaged)
	}
	b = b[n:]
	coins := make([]types.Coin, 0, min(count, uint64(len(b))/3+1))
	for range count {
		if len(b) == 0 || int(b[0]) >= len(b) {
			return nil, fmt.Errorf("%w: a spent coin is cut off", errDamaged)
		}
		coin, err := parseCoin(b[1 : 1+int(b[0])])
		if err != nil {
			return nil, err
		}
		coins = append(coins, coin)
		b = b[1+int(b[0]):]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%w: bytes after the spent coins", errDamaged)
	}
	return coins, nil
}
