package rpc

import (
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// TestExactCoins: what Bitcoin Core's ParseFixedPoint takes and refuses, by its own tests.
func TestExactCoins(t *testing.T) {
	for text, want := range map[string]types.Amount{
		"0": 0, "-0": 0, "0.0": 0, "0.000000000": 0, "-0.1": -10_000_000, "1.1": 110_000_000, "1.10000000000000000": 110_000_000, "1.1e1": 1_100_000_000,
		"1100000000.0e-9": 110_000_000, "1e-8": 1, "1e-08": 1, "1E-5": 1000, "0.00000001": 1, "0.1e-7": 1, "10e-9": 1, "1.5e3": 150_000_000_000,
		"21000000": 2_100_000_000_000_000, "1e9": 100_000_000_000_000_000, "0.1": 10_000_000, "0.29": 29_000_000,
	} {
		if got, ok := exactCoins(text); !ok || got != want {
			t.Errorf("%q is %d, %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "-", "a-1000", "-a1000", "-1000a", "-01000", "00.1", ".1", "--0.1", "0.000000001", "-0.000000001", "0.00000001000000001", "1e-9", "1e",
		"1e+", "1e10", "1e11", "1e99999999999999999999", "1e-99999999999999999999", " 1", "1 ", "0x1", "NaN", "Inf", "true", "[]", "null", "1_0", "+1", "1,5",
	} {
		if got, ok := exactCoins(text); ok {
			t.Errorf("%q is %d", text, got)
		}
	}
}
