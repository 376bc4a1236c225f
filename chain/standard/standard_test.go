package standard

import (
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// The limits of Bitcoin Core for outputs that karat has.
func TestDustLimit(t *testing.T) {
	for name, test := range map[string]struct {
		script []byte
		want   types.Amount
	}{
		"taproot":         {append([]byte{0x51, 32}, make([]byte, 32)...), 330},
		"pay to anchor":   {[]byte{0x51, 2, 0x4e, 0x73}, 240},
		"longest program": {append([]byte{0x60, 40}, make([]byte, 40)...), 354},
		"data":            {[]byte{0x6a, 1, 0}, 0},
		"empty data":      {[]byte{0x6a}, 0},
	} {
		if got := DustLimit(test.script); got != test.want {
			t.Errorf("%s: %d grains, want %d", name, got, test.want)
		}
	}
}
