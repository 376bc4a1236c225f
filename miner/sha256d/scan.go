package sha256d

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// A way is a way to scan nonces: one of the instruction sets.
type way struct {
	name  string
	batch int // nonces, 1 to 32
	// scan tries batches of nonces from nonce on, which wraps, until a batch has a
	// nonce for which the last word of the hash is at most the target. It returns the
	// batches that were tried, and a bit for each such nonce of the last one, the
	// lowest first.
	scan func(t *table, nonce, target uint32, batches int) (done int, hits uint32)
}

var portable = way{"portable", 1, scanPortable}

// fastest is the way that this processor is best at.
var fastest = ways()[0]

// Scanner is a header that is ready to be scanned. It never changes, so that several
// goroutines may use one.
type Scanner struct {
	way    way
	header [types.HeaderSize]byte
	table  table
	target consensus.Uint256
}

// New returns a scanner for the header, whose own nonce does not matter. A hash is
// good that is at most the target.
func New(header *types.Header, target consensus.Uint256) *Scanner {
	s := &Scanner{way: fastest, target: target}
	header.AppendTo(s.header[:0])
	s.table = prepare(&s.header)
	if s.top() >= words/4 {
		s.way = portable // a batch would be begun for its first few nonces
	}
	return s
}

const (
	words = 1 << 32 // the values that a word can have
	// atOnce is the number of nonces between two moments at which the garbage collector
	// can stop a scan. Nothing interrupts assembly, and that many take it 0.3 ms at most.
	atOnce = 1 << 12
)

// Scan tries the nonces from from up to, but not including, to, which is at most
// 2^32. It returns the lowest that is good.
func (s *Scanner) Scan(from, to uint64) (nonce uint32, ok bool) {
	batch := uint64(s.way.batch)
	// Where every few nonces are good, more batches than are expected would be begun
	// for nothing.
	most := max(1, min(atOnce, words/(uint64(s.top())+1))/batch)
	for from < to {
		batches := min(most, (to-from+batch-1)/batch)
		done, hits := s.way.scan(&s.table, uint32(from), s.top(), int(batches))
		from += uint64(done) * batch
		for ; hits != 0; hits &= hits - 1 {
			n := from - batch + uint64(bits.TrailingZeros32(hits))
			if n < to && s.good(uint32(n)) {
				return uint32(n), true
			}
		}
	}
	return 0, false
}

// top is the most significant word of the target.
func (s *Scanner) top() uint32 { return uint32(s.target[3] >> 32) }

// good looks at the whole hash.
func (s *Scanner) good(nonce uint32) bool {
	header := s.header
	binary.LittleEndian.PutUint32(header[types.HeaderSize-4:], nonce)
	first := sha256.Sum256(header[:])
	return consensus.Uint256FromHash(sha256.Sum256(first[:])).Cmp(s.target) <= 0
}
