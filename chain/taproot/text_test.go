package taproot

import (
	"encoding/hex"
	"fmt"
	"testing"
)

// TestDescriptorChecksum has BIP380's vectors.
func TestDescriptorChecksum(t *testing.T) {
	if got := DescriptorChecksum("raw(deadbeef)"); got != "89f8spxm" {
		t.Errorf("checksum %s", got)
	}
	for _, other := range []string{"raw(deedbeef)", "raw(deadbeef)0", "Raw(deadbeef)", "raw(edadbeef)"} {
		if DescriptorChecksum(other) == "89f8spxm" {
			t.Errorf("%s has the same checksum", other)
		}
	}
	if got := DescriptorChecksum("raw(Ü)"); got != "" {
		t.Errorf("a character outside of the set: %s", got)
	}
}

// A key, and a condition that holds it back for a time.
func ExampleDisassemble() {
	script, _ := hex.DecodeString("20" + "aa000000000000000000000000000000000000000000000000000000000000aa" + "ac6303" + "409c00" + "b27568")
	fmt.Println(Disassemble(script))
	fmt.Println(Disassemble(script[:20]))
	// Output:
	// aa000000000000000000000000000000000000000000000000000000000000aa OP_CHECKSIG OP_IF 40000 OP_CHECKSEQUENCEVERIFY OP_DROP OP_ENDIF
	// [error]
}
