package mempool

import (
	"sync"

	"github.com/karatcoin/karat/chain/types"
)

// verifiedGeneration is the number of witness ids in a generation of a
// verifiedSet: two full ones take some 8 MiB.
const verifiedGeneration = 1 << 16

// verifiedSet remembers transactions whose scripts hold: the youngest ones, one
// generation of them at least. The coins that a transaction spends are part of
// what its ids commit to, so a verdict never changes.
type verifiedSet struct {
	mu         sync.Mutex
	young, old map[types.Hash]struct{}
}

func (s *verifiedSet) add(wtxid types.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= verifiedGeneration {
		s.old, s.young = s.young, map[types.Hash]struct{}{}
	}
	s.young[wtxid] = struct{}{}
}

func (s *verifiedSet) has(wtxid types.Hash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, young := s.young[wtxid]
	_, old := s.old[wtxid]
	return young || old
}
