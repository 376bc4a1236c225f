package sha256d

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"

	"github.com/karatcoin/karat/miner/sha256d/internal/fips180"
)

// library is the standard library's SHA-256, which uses what other processors have for
// it. Of what the package comment tells it has the midstate alone.
var library = way{"crypto/sha256", 1, scanLibrary}

// scanLibrary is a scan in batches of one.
func scanLibrary(t *table, nonce, target uint32, batches int) (done int, hits uint32) {
	hasher := sha256.New()
	restore, ok := hasher.(encoding.BinaryUnmarshaler)
	state := marshalState(&t.mid)
	if !ok || restore.UnmarshalBinary(state) != nil {
		return scanPortable(t, nonce, target, batches) // the library writes its states in another way
	}
	var tail [16]byte
	for i := range nonceWord {
		binary.BigEndian.PutUint32(tail[4*i:], t.words[i]-fips180.Constants[i])
	}
	var sum [sha256.Size]byte
	for done < batches && restore.UnmarshalBinary(state) == nil {
		binary.LittleEndian.PutUint32(tail[4*nonceWord:], nonce+uint32(done))
		hasher.Write(tail[:])
		hash := sha256.Sum256(hasher.Sum(sum[:0]))
		done++
		if binary.LittleEndian.Uint32(hash[28:]) <= target {
			return done, 1
		}
	}
	return done, 0
}

// marshalState writes the state after 64 bytes as the library does: a word that names
// the function, the state, 64 bytes that have not been taken in, of which there are
// none, and the length so far.
func marshalState(mid *[8]uint32) []byte {
	b := []byte("sha\x03")
	for _, word := range mid {
		b = binary.BigEndian.AppendUint32(b, word)
	}
	b = append(b, make([]byte, 64)...)
	return binary.BigEndian.AppendUint64(b, 64)
}
