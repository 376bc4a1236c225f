package types

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// GrainsPerCoin is the number of grains in one coin (1 KRT = 10^8 grains).
const GrainsPerCoin = 100_000_000

// Amount is a number of grains. It is signed, as differences of amounts are, and as
// Bitcoin's encoding is. So a decoded amount may be negative or huge until the rules
// have looked at it.
type Amount int64

// String returns the amount in whole coins with eight decimals, as Bitcoin
// Core's RPC prints amounts: "0.00012345", "-1.00000000".
func (a Amount) String() string { return string(a.AppendTo(nil)) }

// AppendTo appends what String returns.
func (a Amount) AppendTo(b []byte) []byte {
	magnitude := uint64(a)
	if a < 0 {
		b, magnitude = append(b, '-'), -magnitude
	}
	b = strconv.AppendUint(b, magnitude/GrainsPerCoin, 10)
	b = strconv.AppendUint(b, GrainsPerCoin+magnitude%GrainsPerCoin, 10) // a 1 and eight decimals
	b[len(b)-9] = '.'
	return b
}

// ErrAmount is wrapped by the errors of ParseAmount.
var ErrAmount = errors.New("not an amount")

// ParseAmount reads a decimal number of coins with at most eight decimals: "10", "0.5",
// "0.00000001". It takes no sign and no exponent, and never goes through a float, in
// which 0.1 is another number.
func ParseAmount(s string) (Amount, error) {
	whole, fraction, hasPoint := strings.Cut(s, ".")
	if !isDigits(whole) || hasPoint && !isDigits(fraction) || len(fraction) > 8 {
		return 0, fmt.Errorf("%w: %.40q (want coins with at most eight decimals, such as 1.5)", ErrAmount, s)
	}
	grains, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", 8-len(fraction)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %.40q is too large", ErrAmount, s)
	}
	return Amount(grains), nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
