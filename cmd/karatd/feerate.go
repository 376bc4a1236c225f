package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
)

// maxFeeRate is the greatest feerate that an operator may ask for: a coin for 1000 virtual
// bytes. What is more is a mistake in the unit.
const maxFeeRate = types.FeeRate(types.GrainsPerCoin)

// feeRate is the value of a flag that is a feerate.
type feeRate struct{ to *types.FeeRate }

// rateOf is the value of a flag that is stored in to, which holds the default until then.
func rateOf(to *types.FeeRate, byDefault types.FeeRate) cli.Generic {
	*to = byDefault
	return feeRate{to}
}

// Check says what is wanted instead of a text that is no feerate.
func (f feeRate) Check(text string) error {
	switch rate, err := types.ParseFeeRate(text); {
	case err != nil:
		return errors.New("want grains per virtual byte with at most three decimals, such as 1.5")
	case rate > maxFeeRate:
		return fmt.Errorf("want at most %s grains per virtual byte", maxFeeRate)
	}
	return nil
}

// Set implements flag.Value.
func (f feeRate) Set(text string) (err error) {
	if err = f.Check(text); err == nil {
		*f.to, err = types.ParseFeeRate(text)
	}
	return err
}

// String implements flag.Value.
func (f feeRate) String() string { return f.to.String() }
