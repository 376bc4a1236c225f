package taproot

import (
	"encoding/hex"
	"fmt"
)

// A key, and a condition that holds it back for a time.
func ExampleDisassemble() {
	script, _ := hex.DecodeString("20" + "aa000000000000000000000000000000000000000000000000000000000000aa" + "ac6303" + "409c00" + "b27568")
	fmt.Println(Disassemble(script))
	fmt.Println(Disassemble(script[:20]))
	// Output:
	// aa000000000000000000000000000000000000000000000000000000000000aa OP_CHECKSIG OP_IF 40000 OP_CHECKSEQUENCEVERIFY OP_DROP OP_ENDIF
	// [error]
}
