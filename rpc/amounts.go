package rpc

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/karatcoin/karat/chain/types"
)

// mostCoins bounds the limits that a call sets. Real amounts have the network's bound.
const mostCoins = 1_000_000_000 * types.GrainsPerCoin

// coins returns an amount.
func (a *args) coins(i int, otherwise types.Amount) types.Amount {
	if !a.given(i) {
		return otherwise
	}
	return a.amount(a.values[i], mostCoins)
}

// amount reads coins, a number or a text, and tells mistakes in Core's words.
func (a *args) amount(raw json.RawMessage, most types.Amount) types.Amount {
	text := string(raw)
	if kind := jsonType(raw); kind == "string" {
		_ = json.Unmarshal(raw, &text) // the request is valid JSON
	} else if kind != "number" {
		a.fail(failf(CodeType, "Amount is not a number or string"))
		return 0
	}
	value, ok := exactCoins(text)
	switch {
	case !ok:
		a.fail(failf(CodeType, "Invalid amount"))
	case value < 0 || value > most:
		a.fail(failf(CodeType, "Amount out of range"))
	}
	return value
}

// exactCoins reads coins as JSON writes numbers, also with an exponent: many programs write
// 0.00001 as 1e-05. Nothing is rounded: a limit below a grain would become 0, which is no
// limit.
func exactCoins(text string) (types.Amount, bool) {
	const mostDigits = 18 // as in Bitcoin Core
	if text == "" || !strings.Contains("-0123456789", text[:1]) || !json.Valid([]byte(text)) || strings.TrimSpace(text) != text {
		return 0, false
	}
	mantissa, power, hasPower := strings.Cut(strings.ToLower(text), "e")
	exponent := 0
	if hasPower {
		var err error
		if exponent, err = strconv.Atoi(power); err != nil || max(exponent, -exponent) > 1000 {
			return 0, false
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimRight(whole+fraction, "0")
	zeros := exponent + 8 + len(whole) - len(digits) // those that make it a number of grains
	if digits == "" || digits == "-" {
		return 0, true
	}
	if zeros < 0 || zeros >= mostDigits {
		return 0, false
	}
	grains, err := strconv.ParseInt(digits+strings.Repeat("0", zeros), 10, 64)
	return types.Amount(grains), err == nil
}
