package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

// The flags of send.
const (
	flagFeeRate  = "feerate"
	flagSubtract = "subtract-fee"
	flagAll      = "all"
	flagYes      = "yes"
)

// confirmTarget is how many blocks a payment may wait when nobody chose a feerate.
const confirmTarget = 6

func sendCommand() *cli.Command {
	return &cli.Command{
		Name: "send", Usage: "pay one or more addresses", ArgsUsage: "ADDRESS AMOUNT [ADDRESS AMOUNT…]",
		Description: "Shows the payment, and asks before anything is sent. Amounts are in coins,\n" +
			"such as 1.5, or have a unit, such as 1500mkrt or 150000000grains; the unit of a coin is\n" +
			"what the network's addresses begin with.\n\n" +
			"   karat send krt1p… 1.5                      pay 1.5\n" +
			"   karat send krt1p… 1.5 krt1p… 0.25          pay two at once\n" +
			"   karat send --subtract-fee krt1p… 1.5       the receiver pays the fee\n" +
			"   karat send --all krt1p…                    send everything",
		Flags: []cli.Flag{
			passphraseFlag(),
			&cli.StringFlag{Name: flagFeeRate, Usage: fmt.Sprintf("pay `GRAINS` per virtual byte (default: the node's estimate for %d blocks)", confirmTarget)},
			&cli.BoolFlag{Name: flagSubtract, Usage: "take the fee from the amounts"},
			&cli.BoolFlag{Name: flagAll, Usage: "send everything to one address"},
			&cli.BoolFlag{Name: flagYes, Aliases: []string{"y"}, Usage: "do not ask"},
			jsonFlag(),
		},
		Action: send,
	}
}

// send pays. The keys are opened last, when the payment stands and somebody has
// agreed to it, and are wiped as soon as it is signed.
func send(c *cli.Context) (err error) {
	h, err := findHome(c)
	if err != nil {
		return err
	}
	// Syncing may take a while. A mistyped address must not be found out only then.
	request, err := h.request(c)
	if err != nil {
		return err
	}
	o, err := h.open(c, true)
	if err != nil {
		return err
	}
	defer o.close(&err)
	if err := o.fill(c, request); err != nil {
		return err
	}
	draft, err := wallet.Build(request)
	if err != nil {
		return err
	}
	if err := o.confirm(c, draft); err != nil {
		return err
	}
	signer, err := o.unlock(c)
	if err != nil {
		return err
	}
	defer signer.Wipe()
	if err := signer.Sign(draft); err != nil {
		return err
	}
	if err := o.Send(c.Context, o.node, draft); err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, map[string]any{"txid": draft.Tx.TxID(), "fee": number(draft.Fee), "vsize": draft.VirtualSize})
	}
	fmt.Fprintln(c.App.Writer, draft.Tx.TxID())
	return nil
}

// request reads what to pay from the command line, and needs neither the wallet nor
// the node for it.
func (h home) request(c *cli.Context) (*wallet.Request, error) {
	r := &wallet.Request{SubtractFee: c.Bool(flagSubtract), SendAll: c.Bool(flagAll)}
	words := c.Args().Slice()
	if r.SendAll && len(words) != 1 || !r.SendAll && (len(words) == 0 || len(words)%2 != 0) {
		return nil, cmdline.Usagef("send wants ADDRESS AMOUNT, once for each receiver, or --%s ADDRESS", flagAll)
	}
	for i := 0; i < len(words); i += 2 {
		script, err := taproot.DecodeAddress(h.params.HRP, words[i])
		if err != nil {
			return nil, cmdline.Usagef("%w", err)
		}
		out := types.TxOut{ScriptPubKey: script}
		if !r.SendAll {
			if out.Value, err = cmdline.ParseAmount(words[i+1], h.params.HRP); err != nil {
				return nil, cmdline.Usagef("%w", err)
			}
		}
		r.Outputs = append(r.Outputs, out)
	}
	if text := c.String(flagFeeRate); text != "" {
		var err error
		if r.FeeRate, err = types.ParseFeeRate(text); err != nil {
			return nil, cmdline.Usagef("--%s: %w", flagFeeRate, err)
		}
	}
	return r, nil
}

// fill adds to a request what only the wallet and its node know. The lock time
// keeps miners from undoing a block to collect the fees of later payments (fee
// sniping): this one is valid only above the tip.
func (o *opened) fill(c *cli.Context, r *wallet.Request) (err error) {
	r.Coins, r.LockTime = o.Coins(), o.Position().Height
	if !c.IsSet(flagFeeRate) {
		if r.FeeRate, err = wallet.FeeRate(c.Context, o.node, confirmTarget); errors.Is(err, wallet.ErrFeeRate) {
			return fmt.Errorf("%w: choose one with --%s", err, flagFeeRate)
		} else if err != nil {
			return err
		}
	}
	if !r.SendAll { // which leaves no change
		r.ChangeScript, err = o.ChangeScript(0)
	}
	return err
}

// confirm shows a payment and asks whether to send it. Where nobody can be asked,
// the payment is shown all the same, and not sent: a script gets no payment by
// leaving --yes out.
func (o *opened) confirm(c *cli.Context, d *wallet.Draft) error {
	if c.Bool(flagYes) {
		return nil
	}
	w := cmdline.Table(c.App.ErrWriter, 0)
	change := types.Amount(0)
	for i := range d.Tx.Outputs {
		out := &d.Tx.Outputs[i]
		if i == d.ChangeIndex {
			change = out.Value
			continue
		}
		text, err := taproot.EncodeAddress(o.params.HRP, out.ScriptPubKey)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "pay\t%s\tto %s\n", out.Value, text)
	}
	fmt.Fprintf(w, "fee\t%s\t%s grains for each of %d virtual bytes\n", d.Fee, types.NewFeeRate(d.Fee, d.VirtualSize), d.VirtualSize)
	if change > 0 {
		fmt.Fprintf(w, "change\t%s\tcomes back to the wallet\n", change)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	in, ok := cmdline.Terminal(c.App.Reader)
	if !ok {
		return cmdline.Usagef("there is no terminal to ask at: add --%s to send without a question", flagYes)
	}
	answer, err := cmdline.AskLine(c.Context, in, c.App.ErrWriter, "Send it? [y/N] ")
	if err != nil && !errors.Is(err, io.EOF) { // Ctrl-D is a no
		return err
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		return errDeclined
	}
	return nil
}
