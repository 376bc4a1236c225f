package coinstats_test

import (
	"fmt"

	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/types"
)

// The digest of a set that changes costs one multiplication a change: nothing
// is read again, and the order of the changes does not matter.
func ExampleMuHash() {
	output := types.TxOut{Value: 50 * types.GrainsPerCoin, ScriptPubKey: []byte{0x51, 0x02, 0x4e, 0x73}}
	coin, _ := types.NewCoin(&output, 1, true)
	first := coinstats.AppendCoin(nil, types.OutPoint{Index: 0}, &coin)
	second := coinstats.AppendCoin(nil, types.OutPoint{Index: 1}, &coin)

	var set, other coinstats.MuHash
	set.Insert(first)
	set.Insert(second)
	set.Remove(first)
	other.Insert(second)
	fmt.Println(set.Digest() == other.Digest())
	// Output: true
}
