package proof

import (
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

const maxWeight = 4_000_000

// leaves returns ids of transactions of a block.
func leaves(n int) (txids []types.Hash) {
	for i := range n {
		txids = append(txids, types.Hash{byte(n), byte(i)})
	}
	return txids
}

// TestMerkleBlock: a proof shows what it was made for, and not the same if any bit of it is
// changed.
func TestMerkleBlock(t *testing.T) {
	for n := 1; n <= 9; n++ {
		txids, shown := leaves(n), make([]bool, n)
		for _, i := range []int{0, n / 2, n - 1} {
			shown[i] = true
		}
		header := types.Header{Version: int32(n)}
		header.MerkleRoot, _ = types.MerkleRoot(txids)
		var want []types.Hash
		for i, txid := range txids {
			if shown[i] {
				want = append(want, txid)
			}
		}
		verifies := func(raw []byte) bool {
			m, err := DecodeMerkleBlock(raw)
			if err != nil {
				return false
			}
			got, ok := m.Verify(maxWeight)
			return ok && m.Header == header && m.Count == uint32(n) && slices.Equal(got, want)
		}
		raw := NewMerkleBlock(&header, txids, shown).AppendTo(nil)
		if !verifies(raw) {
			t.Fatalf("of %d: %x shows nothing", n, raw)
		}
		for bit := range 8 * (len(raw) - 1) { // the last flags may be of no use
			raw[bit/8] ^= 1 << (bit % 8)
			if verifies(raw) {
				t.Fatalf("of %d: changing bit %d changes nothing", n, bit)
			}
			raw[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// TestMerkleBlockOfTooMany: the weight of blocks bounds what a proof makes anybody hash.
func TestMerkleBlockOfTooMany(t *testing.T) {
	m := MerkleBlock{Hashes: make([]types.Hash, 1), Flags: []byte{0}}
	m.Count = maxWeight / 240
	if _, ok := m.Verify(maxWeight); !ok {
		t.Error("a proof of a full block that shows nothing is refused")
	}
	m.Count++
	if _, ok := m.Verify(maxWeight); ok {
		t.Error("a proof of more transactions than a block can have is looked at")
	}
}

// FuzzMerkleBlock: any bytes are a proof or none. One that is read is written again as it was,
// and shows no more transactions than it has hashes.
func FuzzMerkleBlock(f *testing.F) {
	txids := leaves(3)
	header := types.Header{}
	header.MerkleRoot, _ = types.MerkleRoot(txids)
	f.Add(NewMerkleBlock(&header, txids, []bool{false, true, false}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := DecodeMerkleBlock(raw)
		if err != nil {
			return
		}
		if again := m.AppendTo(nil); string(again) != string(raw[:len(again)]) {
			t.Errorf("%x is written as %x", raw, again)
		}
		if shown, ok := m.Verify(maxWeight); ok && (len(shown) > len(m.Hashes) || len(shown) > int(m.Count)) {
			t.Errorf("%x shows %d transactions", raw, len(shown))
		}
	})
}
