package coinstats_test

import (
	"fmt"

	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/types"
)

// The order of the elements does not matter, and parts of a set can be hashed
// apart, on several processors for one.
func ExampleMuHash() {
	output := types.TxOut{Value: 50 * types.GrainsPerCoin, ScriptPubKey: []byte{0x51, 0x02, 0x4e, 0x73}}
	coin, _ := types.NewCoin(&output, 1, true)
	first := coinstats.AppendCoin(nil, types.OutPoint{Index: 0}, &coin)
	second := coinstats.AppendCoin(nil, types.OutPoint{Index: 1}, &coin)

	var set, part, whole coinstats.MuHash
	set.Insert(first)
	set.Insert(second)
	part.Insert(first)
	whole.Insert(second)
	whole.Combine(&part)
	fmt.Println(set.Digest() == whole.Digest())
	// Output: true
}
