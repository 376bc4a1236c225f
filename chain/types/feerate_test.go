package types

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestFeeRate(t *testing.T) {
	for _, c := range []struct {
		fee   Amount
		vsize int
		rate  FeeRate
		text  string
	}{
		{141, 141, 1000, "1.000"},
		{0, 141, 0, "0.000"},
		{1, 3, 333, "0.333"},
		{-1, 3, 0, "0.000"},
		{5, 0, 0, "0.000"},
		{math.MaxInt64, 1, math.MaxInt64, "9223372036854775.807"},
		{2_100_000_000_000_000, 100, 21_000_000_000_000_000, "21000000000000.000"},
	} {
		if got := NewFeeRate(c.fee, c.vsize); got != c.rate || got.String() != c.text {
			t.Errorf("%d grains for %d vbytes: %d, %q", c.fee, c.vsize, got, got)
		}
	}
	if got := FeeRate(-1500).String(); got != "-1.500" {
		t.Errorf("%q", got)
	}
}

// TestFeeRateAgainstBig: rates round down, fees round up, whatever the size of
// the numbers.
func TestFeeRateAgainstBig(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		fee := Amount(rng.Uint64() >> (1 + rng.IntN(63)))
		vsize := 1 + int(rng.Uint64()>>(33+rng.IntN(30)))
		want := new(big.Int).Mul(big.NewInt(int64(fee)), big.NewInt(1000))
		want.Div(want, big.NewInt(int64(vsize)))
		if !want.IsInt64() {
			want.SetInt64(math.MaxInt64)
		}
		rate := NewFeeRate(fee, vsize)
		if int64(rate) != want.Int64() {
			t.Fatalf("%d for %d: %d, want %d", fee, vsize, rate, want)
		}
		back := new(big.Int).Mul(big.NewInt(int64(rate)), big.NewInt(int64(vsize)))
		back.Add(back, big.NewInt(999)).Div(back, big.NewInt(1000))
		if !back.IsInt64() {
			back.SetInt64(math.MaxInt64)
		}
		if got := rate.Fee(vsize); int64(got) != back.Int64() {
			t.Fatalf("%d at %d: %d, want %d", vsize, rate, got, back)
		}
	}
}

func TestParseFeeRate(t *testing.T) {
	for text, want := range map[string]FeeRate{"1": 1000, "0.5": 500, "12.345": 12345, "0": 0, "0.001": 1} {
		if got, err := ParseFeeRate(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "1.", ".5", "1.2345", "1e3", "9999999999999999999", " 1"} {
		if got, err := ParseFeeRate(text); !errors.Is(err, ErrFeeRate) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}
