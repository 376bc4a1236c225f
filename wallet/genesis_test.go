package wallet

import "testing"

// TestAllocationsAreMature: what the genesis block pays can be spent by the first block, as the
// rules have it. A coinbase of any other block has to mature.
func TestAllocationsAreMature(t *testing.T) {
	for height, want := range map[uint32]uint32{0: 0, 1: 100, 7: 106} {
		if got := matures(&Coin{IsCoinbase: true, Height: height}, 100); got != want {
			t.Errorf("a coinbase of block %d matures at %d, not %d", height, got, want)
		}
	}
}
