package types_test

import (
	"encoding/hex"
	"fmt"

	"github.com/karatcoin/karat/chain/types"
)

// Amounts are read and printed in whole coins.
func ExampleParseAmount() {
	amount, err := types.ParseAmount("1.5")
	fmt.Println(int64(amount), amount, err)
	_, err = types.ParseAmount("0.000000001")
	fmt.Println(err)
	// Output:
	// 150000000 1.50000000 <nil>
	// not an amount: "0.000000001" (want coins with at most eight decimals, such as 1.5)
}

// A decoder is a straight list of fields with one check at the end.
func ExampleDecoder() {
	encoded, _ := hex.DecodeString("02000000" + "03" + "aabbcc")
	d := types.NewDecoder(encoded)
	version := d.Uint32()
	text := d.VarBytes()
	if err := d.Finish(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d %x\n", version, text)

	d = types.NewDecoder(encoded[:6])
	d.Uint32()
	d.VarBytes()
	fmt.Println(d.Finish())
	// Output:
	// 2 aabbcc
	// bad encoding at byte 5: a list of 3 elements does not fit in 1 bytes
}
