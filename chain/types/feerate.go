package types

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// FeeRate is a fee for size: grains per 1000 virtual bytes, as in Bitcoin Core. Whole
// grains per byte could not express rates below one.
type FeeRate int64

// feeRateUnit is the number of virtual bytes that a FeeRate is the fee of.
const feeRateUnit = 1000

// NewFeeRate returns the feerate of a transaction that pays the fee for the size in
// virtual bytes. It is rounded down, so that nobody is told to have paid more. A size
// below 1 has no feerate and gives 0.
func NewFeeRate(fee Amount, vsize int) FeeRate {
	if vsize < 1 || fee < 0 {
		return 0
	}
	high, low := bits.Mul64(uint64(fee), feeRateUnit)
	if high >= uint64(vsize) {
		return math.MaxInt64
	}
	rate, _ := bits.Div64(high, low, uint64(vsize))
	return FeeRate(min(rate, math.MaxInt64))
}

// Fee returns the fee of a number of virtual bytes at the rate. It is rounded up, so
// that whoever pays it has paid at least the rate. A product of 128 bits keeps it
// exact; what does not fit in an Amount is the greatest one.
func (r FeeRate) Fee(vsize int) Amount {
	if r <= 0 || vsize <= 0 {
		return 0
	}
	high, low := bits.Mul64(uint64(r), uint64(vsize))
	low, carry := bits.Add64(low, feeRateUnit-1, 0)
	if high += carry; high >= feeRateUnit {
		return math.MaxInt64
	}
	fee, _ := bits.Div64(high, low, feeRateUnit)
	return Amount(min(fee, math.MaxInt64))
}

// String returns the rate in grains per virtual byte with three decimals:
// "1.000" for a FeeRate of 1000.
func (r FeeRate) String() string {
	sign, magnitude := "", uint64(r)
	if r < 0 {
		sign, magnitude = "-", -uint64(r)
	}
	return fmt.Sprintf("%s%d.%03d", sign, magnitude/feeRateUnit, magnitude%feeRateUnit)
}

// ErrFeeRate is wrapped by the errors of ParseFeeRate.
var ErrFeeRate = errors.New("not a feerate")

// ParseFeeRate reads a decimal number of grains per virtual byte with at most three
// decimals: "1", "0.5", "12.345". It takes no sign and no exponent.
func ParseFeeRate(s string) (FeeRate, error) {
	whole, fraction, hasPoint := strings.Cut(s, ".")
	if !isDigits(whole) || hasPoint && !isDigits(fraction) || len(fraction) > 3 {
		return 0, fmt.Errorf("%w: %.40q (want grains per virtual byte with at most three decimals, such as 1.5)", ErrFeeRate, s)
	}
	rate, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", 3-len(fraction)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %.40q is too large", ErrFeeRate, s)
	}
	return FeeRate(rate), nil
}
