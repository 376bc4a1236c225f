package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

// A fee is judged by what it is paid for. Above a twentieth of the amount it is warned of;
// above a quarter it is typed, since a y comes too easily to fingers that have typed it often.
const (
	dearPart     = 20
	veryDearPart = 4
)

const flagMaxFee = "max-fee"

// feeFlags are the flags of the commands that pay a fee and ask before. The fee is by default
// what confirms within so many blocks.
func feeFlags(blocks int) []cli.Flag {
	return []cli.Flag{
		passphraseFlag(),
		&cli.StringFlag{Name: flagFeeRate, Usage: fmt.Sprintf("pay `GRAINS` per virtual byte (default: the node's estimate for %d blocks)", blocks)},
		&cli.StringFlag{Name: flagMaxFee, Usage: fmt.Sprintf("pay no fee above `COINS`; with --%s, the leave to pay one above a quarter of the amount", flagYes)},
		&cli.BoolFlag{Name: flagYes, Aliases: []string{"y"}, Usage: "do not ask"},
		jsonFlag(),
	}
}

// limits are what the flags say of the fee.
type limits struct {
	rate   types.FeeRate // 0: the node's estimate
	maxFee types.Amount  // -1: not set
}

// feeLimits reads the flags of the fee. A feerate that no payment may have is refused here, so
// that nobody is asked for nothing.
func (h home) feeLimits(c *cli.Context) (l limits, err error) {
	l.maxFee = -1
	if text := c.String(flagFeeRate); text != "" {
		if l.rate, err = types.ParseFeeRate(text); err != nil {
			return l, cmdline.Usagef("--%s: %w", flagFeeRate, err)
		}
		if err := wallet.CheckFeeRate(l.rate); err != nil {
			return l, cmdline.Usagef("--%s: %w", flagFeeRate, err)
		}
	}
	if text := c.String(flagMaxFee); text != "" {
		if l.maxFee, err = cmdline.ParseAmount(text, h.params.HRP); err != nil {
			return l, cmdline.Usagef("--%s: %w", flagMaxFee, err)
		}
	}
	return l, nil
}

// agreement is what somebody has to agree to.
type agreement struct {
	fee, amount types.Amount // a fee, and what it is paid for
	what        string       // the amount, in words
	question    string
}

// agree asks whether to go on, after the fee was shown. Where nobody can be asked, nothing is
// done: a script gets no payment by leaving --yes out, nor one whose fee makes no sense.
func (o *opened) agree(c *cli.Context, l limits, a agreement) error {
	if l.maxFee >= 0 && a.fee > l.maxFee {
		return fmt.Errorf("the fee would be %s, and --%s allows %s: %w", a.fee, flagMaxFee, l.maxFee, errDeclined)
	}
	dear, veryDear := a.fee > a.amount/dearPart, a.fee > a.amount/veryDearPart
	if dear {
		fmt.Fprintf(c.App.ErrWriter, "karat: the fee is %s %s\n", share(a.fee, a.amount), a.what)
	}
	if c.Bool(flagYes) {
		if veryDear && l.maxFee < 0 {
			return fmt.Errorf("the fee of %s is above a quarter of %s: allow it with --%s %s: %w", a.fee, a.what, flagMaxFee, a.fee, errDeclined)
		}
		return nil
	}
	in, ok := cmdline.Terminal(c.App.Reader)
	if !ok {
		return cmdline.Usagef("there is no terminal to ask at: add --%s to go on without a question", flagYes)
	}
	if veryDear {
		a.question = fmt.Sprintf("Type the fee, %s, to pay it: ", a.fee)
	}
	answer, err := cmdline.AskLine(c.Context, in, c.App.ErrWriter, a.question)
	if err != nil && !errors.Is(err, io.EOF) { // Ctrl-D is a no
		return err
	}
	if veryDear {
		if typed, err := types.ParseAmount(answer); err == nil && typed == a.fee {
			return nil
		}
		return errDeclined
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		return errDeclined
	}
	return nil
}

// share says how a fee stands to an amount.
func share(fee, amount types.Amount) string {
	switch {
	case amount <= 0:
		return "more than"
	case fee > 2*amount:
		return fmt.Sprintf("%d times", fee/amount)
	}
	return fmt.Sprintf("%d percent of", int64(float64(fee)/float64(amount)*100))
}

// expected says when what pays a feerate is expected to be confirmed. Only the node can tell,
// and if it does not, nothing else is wrong.
func (o *opened) expected(c *cli.Context, rate types.FeeRate) string {
	blocks, err := wallet.ExpectedBlocks(c.Context, o.node, rate)
	switch {
	case err != nil:
		return "when is not known"
	case blocks == 0:
		return "not within a week, by the node's estimate"
	}
	spacing := time.Duration(o.params.TargetSpacing) * time.Second
	return fmt.Sprintf("within %s, about %s, by the node's estimate", plural(blocks, "block"), cmdline.Span(time.Duration(blocks)*spacing))
}
