package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// The keys of the database: a prefix byte, the version of the value's format,
// then a name. Numbers in keys are big-endian, so that keys are in the order of
// the names; numbers in values are little-endian; hashes are in wire order.
//
//	key                              value
//	'b' 1 block hash 32              location of the body 16
//	'c' 1 txid 32 | index 4          coin: see appendCoin
//	'g' 1 step 8                     nothing: exactly one such key, see readLastStep
//	'h' 1 block hash 32              header 80 | height 4 | transactions 4 | status 1
//	'm' 1                            schema 4 | network identity 32 | network name
//	's' 1 kind 4 | segment 4         end of the last record 4 | greatest height 4
//	't' 1                            height 4 | block hash 32: what the coins reflect
//	'u' 1 block hash 32              location of the undo data 16
//
// A location is height 4 | segment 4 | offset 4 | length 4 of the record, its
// frame included.
const (
	keyBlock   = 'b'
	keyCoin    = 'c'
	keyStep    = 'g'
	keyHeader  = 'h'
	keyMeta    = 'm'
	keySegment = 's'
	keyTip     = 't'
	keyUndo    = 'u'
)

// formatVersion is the version of every value's format so far. It is in the key, so
// that a new format can stand beside the old one while values are rewritten.
// schemaVersion counts changes of the whole that an older program would misread.
const (
	formatVersion = 1
	schemaVersion = 1
)

const (
	keyPrefixSize    = 2
	coinKeySize      = keyPrefixSize + types.HashSize + 4
	hashKeySize      = keyPrefixSize + types.HashSize
	stepKeySize      = keyPrefixSize + 8
	headerRecordSize = types.HeaderSize + 4 + 4 + 1
	locationSize     = 4 * 4
)

// errDamaged is wrapped by the error of every decoder in this package.
var errDamaged = errors.New("damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(format, args...))
}

func appendKey(b []byte, prefix byte) []byte { return append(b, prefix, formatVersion) }

func hashKey(prefix byte, hash types.Hash) []byte {
	return append(appendKey(make([]byte, 0, hashKeySize), prefix), hash[:]...)
}

func parseHashKey(key []byte) (hash types.Hash, err error) {
	if len(key) != hashKeySize || key[1] != formatVersion {
		return hash, damaged("database key %x", key)
	}
	return types.Hash(key[keyPrefixSize:]), nil
}

func appendCoinKey(b []byte, outPoint *types.OutPoint) []byte {
	b = append(appendKey(b, keyCoin), outPoint.TxID[:]...)
	return binary.BigEndian.AppendUint32(b, outPoint.Index)
}

func parseCoinKey(key []byte) (outPoint types.OutPoint, err error) {
	if len(key) != coinKeySize || key[0] != keyCoin || key[1] != formatVersion {
		return outPoint, damaged("coin key %x", key)
	}
	outPoint.TxID = types.Hash(key[keyPrefixSize:hashKeySize])
	outPoint.Index = binary.BigEndian.Uint32(key[hashKeySize:])
	return outPoint, nil
}

func stepKey(n uint64) []byte {
	return binary.BigEndian.AppendUint64(appendKey(nil, keyStep), n)
}

// rawScript stands where a witness program has its opcode, before a script that is
// no witness program. No witness version has this opcode.
const rawScript = 0xff

// appendCoin appends a coin's value:
//
//	varint of height*2 + coinbase | varint of grains | opcode 1 | program
//
// The opcode is that of the witness version, and the program is what is left. Any
// other script stands whole behind rawScript. All payments but the genesis block's
// are to witness programs, so the short form is nearly every coin's.
func appendCoin(b []byte, coin *types.Coin) []byte {
	code := uint64(coin.Height) << 1
	if coin.IsCoinbase {
		code |= 1
	}
	b = binary.AppendUvarint(b, code)
	b = binary.AppendUvarint(b, uint64(coin.Value))
	script := coin.ScriptPubKey()
	if _, program, ok := types.WitnessProgram(script); ok {
		return append(append(b, script[0]), program...)
	}
	return append(append(b, rawScript), script...)
}

// parseCoin reads what appendCoin wrote, and nothing else: a coin has one form, so
// that whatever can be read is written again byte by byte. All of b is the coin's.
func parseCoin(b []byte) (types.Coin, error) {
	code, n := uvarint(b)
	if n <= 0 || code>>1 > math.MaxUint32 {
		return types.Coin{}, damaged("height of a coin")
	}
	b = b[n:]
	value, n := uvarint(b)
	if n <= 0 || value > math.MaxInt64 {
		return types.Coin{}, damaged("value of a coin")
	}
	if b = b[n:]; len(b) == 0 {
		return types.Coin{}, damaged("a coin without a script")
	}
	var script []byte
	var room [types.MaxCoinScriptSize + 1]byte
	if b[0] == rawScript {
		script = b[1:]
		if _, _, ok := types.WitnessProgram(script); ok {
			return types.Coin{}, damaged("script of a coin, a witness program in the long form")
		}
	} else {
		if len(b) > types.MaxCoinScriptSize-1 {
			return types.Coin{}, damaged("witness program of a coin, %d bytes", len(b)-1)
		}
		script = append(append(room[:0], b[0], byte(len(b)-1)), b[1:]...)
		if _, _, ok := types.WitnessProgram(script); !ok {
			return types.Coin{}, damaged("witness program of a coin, opcode %d, %d bytes", b[0], len(b)-1)
		}
	}
	out := types.TxOut{Value: types.Amount(value), ScriptPubKey: script}
	coin, ok := types.NewCoin(&out, uint32(code>>1), code&1 == 1)
	if !ok {
		return types.Coin{}, damaged("script of a coin, %d bytes", len(script))
	}
	return coin, nil
}

// uvarint is binary.Uvarint for the shortest form only. n is 0 for others.
func uvarint(b []byte) (v uint64, n int) {
	v, n = binary.Uvarint(b)
	if n > 1 && b[n-1] == 0 {
		return 0, 0
	}
	return v, n
}

func appendHeaderRecord(b []byte, r *header.Record) []byte {
	b = r.Header.AppendTo(b)
	b = binary.LittleEndian.AppendUint32(b, r.Height)
	b = binary.LittleEndian.AppendUint32(b, r.TxCount)
	return append(b, byte(r.Status))
}

// parseHeaderRecord also checks that the header has the hash that is its key. So
// the chain can trust the tree that it loads.
func parseHeaderRecord(key, value []byte) (r header.Record, err error) {
	if r.Hash, err = parseHashKey(key); err != nil {
		return r, err
	}
	if len(value) != headerRecordSize {
		return r, damaged("header record of %s, %d bytes", r.Hash, len(value))
	}
	if r.Header, err = types.DecodeHeader(value[:types.HeaderSize]); err != nil {
		return r, damaged("header record of %s: %v", r.Hash, err)
	}
	if r.Header.Hash() != r.Hash {
		return r, damaged("header record of %s: its header is that of block %s", r.Hash, r.Header.Hash())
	}
	rest := value[types.HeaderSize:]
	r.Height = binary.LittleEndian.Uint32(rest)
	r.TxCount = binary.LittleEndian.Uint32(rest[4:])
	r.Status = header.Status(rest[8])
	return r, nil
}

// location says where a record of a segment file lies. The height is there for
// errors and for the check of the record's frame.
type location struct {
	height  uint32 // of the block
	segment uint32
	offset  uint32 // of the frame
	length  uint32 // frame and payload
}

func appendLocation(b []byte, loc location) []byte {
	b = binary.LittleEndian.AppendUint32(b, loc.height)
	b = binary.LittleEndian.AppendUint32(b, loc.segment)
	b = binary.LittleEndian.AppendUint32(b, loc.offset)
	return binary.LittleEndian.AppendUint32(b, loc.length)
}

func parseLocation(b []byte) (location, error) {
	if len(b) != locationSize {
		return location{}, damaged("location of a record, %d bytes", len(b))
	}
	loc := location{
		height:  binary.LittleEndian.Uint32(b),
		segment: binary.LittleEndian.Uint32(b[4:]),
		offset:  binary.LittleEndian.Uint32(b[8:]),
		length:  binary.LittleEndian.Uint32(b[12:]),
	}
	if loc.length < frameSize {
		return location{}, damaged("location of a record, which is %d bytes long", loc.length)
	}
	return loc, nil
}

// extent is how much of a segment file holds records. The database has it as of the
// last step, so what a file has beyond that was written later.
type extent struct {
	end       uint32 // of the last record: the file is that long at least
	maxHeight uint32 // of all blocks, which Prune goes by
}

func segmentKey(k kind, segment uint32) []byte {
	b := binary.BigEndian.AppendUint32(appendKey(nil, keySegment), uint32(k))
	return binary.BigEndian.AppendUint32(b, segment)
}

func appendExtent(b []byte, e extent) []byte {
	b = binary.LittleEndian.AppendUint32(b, e.end)
	return binary.LittleEndian.AppendUint32(b, e.maxHeight)
}

func parseSegment(key, value []byte) (k kind, segment uint32, e extent, err error) {
	if len(key) != keyPrefixSize+8 || key[1] != formatVersion || len(value) != 8 {
		return 0, 0, e, damaged("extent of a segment file, key %x", key)
	}
	k = kind(binary.BigEndian.Uint32(key[keyPrefixSize:]))
	if k != kindBlock && k != kindUndo {
		return 0, 0, e, damaged("extent of a segment file, key %x", key)
	}
	e = extent{end: binary.LittleEndian.Uint32(value), maxHeight: binary.LittleEndian.Uint32(value[4:])}
	return k, binary.BigEndian.Uint32(key[keyPrefixSize+4:]), e, nil
}

func appendTip(b []byte, tip types.Index) []byte {
	return append(binary.LittleEndian.AppendUint32(b, tip.Height), tip.Hash[:]...)
}

func parseTip(b []byte) (types.Index, error) {
	if len(b) != 4+types.HashSize {
		return types.Index{}, damaged("tip of the coins, %d bytes", len(b))
	}
	return types.Index{Height: binary.LittleEndian.Uint32(b), Hash: types.Hash(b[4:])}, nil
}

func appendMeta(b []byte, network types.Hash, name string) []byte {
	b = binary.LittleEndian.AppendUint32(b, schemaVersion)
	return append(append(b, network[:]...), name...)
}

// parseMeta reads no further than the schema if it does not know that: what follows
// may have any form.
func parseMeta(b []byte) (schema uint32, network types.Hash, name string, err error) {
	if len(b) < 4 {
		return 0, network, "", damaged("identity of the network, %d bytes", len(b))
	}
	if schema = binary.LittleEndian.Uint32(b); schema != schemaVersion {
		return schema, network, "", nil
	}
	if b = b[4:]; len(b) < types.HashSize {
		return 0, network, "", damaged("identity of the network, %d bytes", len(b)+4)
	}
	return schema, types.Hash(b[:types.HashSize]), string(b[types.HashSize:]), nil
}
