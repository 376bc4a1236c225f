package psbt

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/types"
)

// The bounds of what is read. No transaction that a block can hold passes them: 4,000,000
// weight units have no place for more.
const (
	MaxSize    = 16 << 20 // bytes of a PSBT
	MaxInputs  = 24_390
	MaxOutputs = 111_111
	// MaxFields bounds the fields of a PSBT, each of which takes many times the three
	// bytes that it may have.
	MaxFields = 300_000
	maxTxSize = 4_000_000 // bytes of a transaction in it
)

// ErrFormat is wrapped by every error of Decode. The text is Bitcoin Core's where it has
// one.
var ErrFormat = errors.New("not a PSBT")

// formatError keeps ErrFormat out of the text, which clients compare.
type formatError string

func (e formatError) Error() string        { return string(e) }
func (e formatError) Is(target error) bool { return target == ErrFormat }

// The two errors of Decode to which Bitcoin Core's RPC adds nothing.
var (
	ErrBase64   error = formatError("invalid base64")
	ErrLeftOver error = formatError("extra data after PSBT")
)

// reader reads fields from bytes. Its error is sticky, as that of types.Decoder, but has
// Bitcoin Core's words.
type reader struct {
	data   []byte
	off    int
	err    error
	fields int // that were read, of the whole PSBT
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = formatError(fmt.Sprintf(format, args...))
	}
	r.off = len(r.data)
}

func (r *reader) rest() int { return len(r.data) - r.off }

func (r *reader) bytes(n uint64) []byte {
	if r.err != nil {
		return nil
	}
	if n > uint64(r.rest()) {
		r.fail("SpanReader::read(): end of data")
		return nil
	}
	end := r.off + int(n)
	b := r.data[r.off:end:end]
	r.off = end
	return b
}

func (r *reader) compactSize() uint64 {
	const most = 0x02000000
	n := r.bytes(1)
	if n == nil {
		return 0
	}
	value, least := uint64(n[0]), uint64(0)
	switch n[0] {
	case 0xfd:
		value, least = r.little(2), 0xfd
	case 0xfe:
		value, least = r.little(4), 1<<16
	case 0xff:
		value, least = r.little(8), 1<<32
	}
	switch {
	case r.err != nil:
		return 0
	case value < least:
		r.fail("non-canonical ReadCompactSize()")
		return 0
	case value > most:
		r.fail("ReadCompactSize(): size too large")
		return 0
	}
	return value
}

func (r *reader) little(n uint64) uint64 {
	var b [8]byte
	copy(b[:], r.bytes(n))
	return binary.LittleEndian.Uint64(b[:])
}

func (r *reader) varBytes() []byte { return r.bytes(r.compactSize()) }

// sized reads a value of which the length is known. As in Core a value that is too short
// reads on into what follows, so that only the end of everything is missed.
func (r *reader) sized(n uint64) []byte {
	stated := r.compactSize()
	b := r.bytes(n)
	if r.err == nil && stated != n {
		r.fail("Size of value was not the stated size")
		return nil
	}
	return b
}

func (r *reader) uint32Value() *uint32 {
	b := r.sized(4)
	if b == nil {
		return nil
	}
	n := binary.LittleEndian.Uint32(b)
	return &n
}

func (r *reader) hashValue() (h [32]byte) {
	copy(h[:], r.sized(32))
	return h
}

// keyValue reads 32 bytes, of which zeros stand for nothing.
func (r *reader) keyValue() *[32]byte {
	h := r.hashValue()
	if h == [32]byte{} {
		return nil
	}
	return &h
}

// txValue reads a value that is a transaction.
func (r *reader) txValue(read func(*types.Decoder, *types.Tx)) *types.Tx {
	stated := r.compactSize()
	if stated > maxTxSize {
		r.fail("a transaction of %d bytes is larger than %d", stated, maxTxSize)
	}
	if r.err != nil {
		return nil
	}
	d, tx := types.NewDecoder(r.data[r.off:]), new(types.Tx)
	read(d, tx)
	if err := d.Err(); err != nil {
		r.fail("transaction: %v", err)
		return nil
	}
	used := r.rest() - d.Remaining()
	r.off += used
	if uint64(used) != stated {
		r.fail("Size of value was not the stated size")
		return nil
	}
	return tx
}

// origin reads a path of n bytes: a fingerprint, then steps of four.
func (r *reader) origin(n uint64) (o KeyOrigin) {
	if n%4 != 0 || n == 0 {
		r.fail("Invalid length for HD key path")
		return o
	}
	b := r.bytes(n)
	if b == nil {
		return o
	}
	copy(o.Fingerprint[:], b)
	for at := 4; at < len(b); at += 4 {
		o.Path = append(o.Path, binary.LittleEndian.Uint32(b[at:]))
	}
	return o
}

// fieldMap reads the fields of one map up to its separator. field is given each key,
// which begins with its type, and reads the value.
func (r *reader) fieldMap(name, where string, field func(kind uint64, key []byte)) {
	seen := map[string]bool{}
	for r.err == nil && r.rest() > 0 {
		key := r.varBytes()
		if r.err != nil {
			return
		}
		if len(key) == 0 {
			return
		}
		if r.fields++; r.fields > MaxFields {
			r.fail("more than %d fields", MaxFields)
			return
		}
		if seen[string(key)] {
			r.fail("Duplicate Key, %s key \"%s\" already provided", name, hex.EncodeToString(key))
			return
		}
		seen[string(key)] = true
		k := reader{data: key}
		kind := k.compactSize()
		if k.err != nil {
			r.fail("%v", k.err)
			return
		}
		field(kind, key)
	}
	if r.err == nil {
		r.fail("Separator is missing at the end of %s", where)
	}
}

// keySize checks the length of a key with its type.
func (r *reader) keySize(key []byte, want int, name string) bool {
	if len(key) != want {
		r.fail("Size of key was not %d for the type %s", want, name)
		return false
	}
	return true
}

// carried reads the value of a field that is only carried.
func (r *reader) carried(key []byte) Field { return Field{Key: key, Value: r.varBytes()} }

// proprietary reads a field whose key must have an identifier and a subtype.
func (r *reader) proprietary(key []byte) Field {
	k := reader{data: key}
	k.compactSize()
	k.varBytes()
	k.compactSize()
	if k.err != nil {
		r.fail("%v", k.err)
	}
	return r.carried(key)
}

// derivation reads the origin of the public key that is a field's key.
func (r *reader) derivation(key []byte) (d Derivation) {
	if len(key) != 1+33 && len(key) != 1+65 {
		r.fail("Size of key was not the expected size for the type BIP32 keypath")
		return d
	}
	if !isPublicKey(key[1:]) {
		r.fail("Invalid pubkey")
		return d
	}
	return Derivation{PubKey: key[1:], Origin: r.origin(r.compactSize())}
}

// tapDerivation reads the origin of an x-only key and the leaves in which it is.
func (r *reader) tapDerivation(key []byte, name string) (d TapDerivation) {
	if !r.keySize(key, 1+32, name+" Taproot BIP32 Keypath") {
		return d
	}
	copy(d.Key[:], key[1:])
	stated := r.compactSize()
	before := r.off
	n := r.compactSize()
	if n > uint64(r.rest()/32) {
		r.fail("SpanReader::read(): end of data")
	}
	for range n {
		if b := r.bytes(32); b != nil {
			d.LeafHashes = append(d.LeafHashes, [32]byte(b))
		}
	}
	if r.err != nil {
		return d
	}
	d.LeafHashes = sortedHashes(d.LeafHashes)
	used := uint64(r.off - before)
	if used > stated {
		r.fail("%s Taproot BIP32 keypath has an invalid length", name)
		return d
	}
	d.Origin = r.origin(stated - used)
	return d
}

// participants reads the keys of which the key of the field is the aggregate.
func (r *reader) participants(key []byte, name string) (m MuSigParticipants) {
	if !r.keySize(key, 1+33, name+" MuSig2 Participants Pubkeys") {
		return m
	}
	copy(m.Aggregate[:], key[1:])
	if !isPublicKey(m.Aggregate[:]) {
		r.fail("%s musig2 aggregate pubkey is invalid", name)
		return m
	}
	value := r.varBytes()
	for ; len(value) >= 33; value = value[33:] {
		if !isPublicKey(value[:33]) {
			r.fail("%s musig2 participant pubkey is invalid", name)
			return m
		}
		m.Participants = append(m.Participants, [33]byte(value))
	}
	if len(value) > 0 {
		r.fail("%s musig2 participants pubkeys value size is not a multiple of 33", name)
	}
	return m
}

// muSigID reads whose part a nonce or a partial signature is from the key of the field.
func (r *reader) muSigID(key []byte, name string) (id MuSigID) {
	if len(key) != 1+2*33 && len(key) != 1+2*33+32 {
		r.fail("Input musig2 %s key is not expected size of 67 or 99 bytes", name)
		return id
	}
	copy(id.Participant[:], key[1:])
	copy(id.Aggregate[:], key[1+33:])
	copy(id.LeafHash[:], key[1+2*33:])
	if !isPublicKey(id.Aggregate[:]) {
		r.fail("musig2 aggregate pubkey is invalid")
	} else if !isPublicKey(id.Participant[:]) {
		r.fail("musig2 participant pubkey is invalid")
	}
	return id
}

// tapSignature reads a signature of 64 or 65 bytes.
func (r *reader) tapSignature(name string) []byte {
	sig := r.varBytes()
	if r.err == nil && len(sig) < 64 {
		r.fail("Input Taproot %s signature is shorter than 64 bytes", name)
	} else if r.err == nil && len(sig) > 65 {
		r.fail("Input Taproot %s signature is longer than 65 bytes", name)
	}
	return sig
}

// isPublicKey reports whether bytes encode a point, in 33 or in 65 bytes.
func isPublicKey(key []byte) bool {
	if len(key) == 33 && (key[0] == 2 || key[0] == 3) {
		return secp.IsPublicKey((*[32]byte)(key[1:]))
	}
	_, err := btcec.ParsePubKey(key)
	return err == nil && len(key) == 65
}

// IsECDSASignature reports whether bytes are a signature in strict DER (BIP66) with a
// known hash type behind it.
func IsECDSASignature(sig []byte) bool {
	if len(sig) < 9 || len(sig) > 73 || sig[0] != 0x30 || int(sig[1]) != len(sig)-3 {
		return false
	}
	rest := sig[2 : len(sig)-1]
	for range 2 {
		if len(rest) < 3 || rest[0] != 0x02 || rest[1] == 0 || int(rest[1]) > len(rest)-2 {
			return false
		}
		number := rest[2 : 2+int(rest[1])]
		if number[0]&0x80 != 0 || len(number) > 1 && number[0] == 0 && number[1]&0x80 == 0 {
			return false
		}
		rest = rest[2+len(number):]
	}
	hashType := sig[len(sig)-1] &^ 0x80
	return len(rest) == 0 && hashType >= 1 && hashType <= 3
}
