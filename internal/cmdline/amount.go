package cmdline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/karatcoin/karat/chain/types"
)

// ParseAmount reads an amount with or without a unit behind it: 1.5 and 1.5krt are
// coins of a network whose unit is krt, 1500mkrt thousandths, 1500000ukrt millionths,
// 150000000grains grains. coins is a unit of every network. Units may be written with
// capitals, but for the m of a thousandth: M would be a million.
func ParseAmount(text, unit string) (types.Amount, error) {
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZµμ")
	name := text[len(number):]
	number = strings.TrimRight(number, " ")
	decimals, known := unitDecimals(name, unit)
	if !known {
		return 0, fmt.Errorf("%w: %.40q: the unit %.20q is unknown; want %s, m%s, u%s or grains, or none for %s", types.ErrAmount, Printable(text), Printable(name), unit, unit, unit, unit)
	}
	if strings.Contains(number, ",") {
		return 0, fmt.Errorf("%w: %.40q: write a point before the decimals, and nothing between thousands", types.ErrAmount, Printable(text))
	}
	if decimals == 8 {
		return types.ParseAmount(number)
	}
	// The point is moved to where it stands in coins. What is left of it becomes zeros
	// on the left, which change nothing.
	whole, fraction, hasPoint := strings.Cut(number, ".")
	if whole == "" || hasPoint && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" || len(fraction) > decimals {
		most := fmt.Sprintf("a number with at most %d decimals", decimals)
		if decimals == 0 {
			most = "a whole number"
		}
		return 0, fmt.Errorf("%w: %.40q (want %s before %s)", types.ErrAmount, Printable(text), most, name)
	}
	whole = strings.Repeat("0", 9) + whole
	split := len(whole) - (8 - decimals)
	amount, err := types.ParseAmount(whole[:split] + "." + whole[split:] + fraction)
	if errors.Is(err, types.ErrAmount) {
		return 0, fmt.Errorf("%w: %.40q is too large", types.ErrAmount, Printable(text))
	}
	return amount, err
}

// unitDecimals returns how many decimals an amount in a unit may have.
func unitDecimals(name, unit string) (decimals int, known bool) {
	lower := strings.ToLower(name)
	switch lower {
	case "", unit, "coin", "coins":
		return 8, true
	case "grain", "grains":
		return 0, true
	case "u" + unit, "µ" + unit, "μ" + unit: // the sign for micro, and the Greek letter
		return 2, true
	case "m" + unit:
		return 5, name[0] == 'm'
	}
	return 0, false
}
