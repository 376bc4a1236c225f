package taproot

import (
	"encoding/hex"
	"fmt"
)

// A key, and a condition that holds it back for a time.
// disassemble writes a script in words. What cannot be decoded ends it.
func disassemble(script []byte) string {
	var text []byte
	for at := 0; at < len(script); {
		if at > 0 {
			text = append(text, ' ')
		}
		op, data, next, ok := NextOp(script, at)
		if !ok {
			return string(append(text, "[error]"...))
		}
		text = AppendWord(text, op, data)
		at = next
	}
	return string(text)
}

func ExampleAppendWord() {
	script, _ := hex.DecodeString("20" + "aa000000000000000000000000000000000000000000000000000000000000aa" + "ac6303" + "409c00" + "b27568")
	fmt.Println(disassemble(script))
	fmt.Println(disassemble(script[:20]))
	// Output:
	// aa000000000000000000000000000000000000000000000000000000000000aa OP_CHECKSIG OP_IF 40000 OP_CHECKSEQUENCEVERIFY OP_DROP OP_ENDIF
	// [error]
}
