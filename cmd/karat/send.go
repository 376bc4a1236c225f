package main

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/urfave/cli/v2"

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
	flagLabel    = "label"
	flagWait     = "wait"
	flagDryRun   = "dry-run"
)

// confirmTarget is how many blocks a payment may wait when nobody chose a feerate.
const confirmTarget = 6

func sendCommand() *cli.Command {
	var wait int64
	return &cli.Command{
		Name: "send", Usage: "pay one or more addresses", ArgsUsage: "ADDRESS AMOUNT [ADDRESS AMOUNT…]",
		Description: "Shows the payment, and asks before anything is sent. Amounts are in coins,\n" +
			"such as 1.5, or have a unit, such as 1500mkrt or 150000000grains; the unit of a coin is\n" +
			"what the network's addresses begin with.\n\n" +
			"   karat send krt1p… 1.5                      pay 1.5\n" +
			"   karat send krt1p… 1.5 krt1p… 0.25          pay two at once\n" +
			"   karat send --label rent krt1p… 1.5         note who is paid\n" +
			"   karat send --subtract-fee krt1p… 1.5       the receiver pays the fee\n" +
			"   karat send --file wages.csv                pay each line: ADDRESS,AMOUNT,LABEL\n" +
			"   karat send --all krt1p…                    send everything\n" +
			"   karat send --wait 3 krt1p… 1.5             pay, and wait for three confirmations",
		Flags: append(feeFlags(),
			&cli.BoolFlag{Name: flagSubtract, Usage: "take the fee from the amounts"},
			&cli.BoolFlag{Name: flagAll, Usage: "send everything to one address"},
			&cli.StringFlag{Name: flagFile, Usage: "pay what stands in `FILE`, - for standard input"},
			&cli.StringSliceFlag{Name: flagLabel, Usage: "note `TEXT` beside the receiver's address; once for each, in their order"},
			&cli.GenericFlag{Name: flagWait, Value: cmdline.Number(&wait, 0, 0, math.MaxUint32), Usage: "wait until `N` blocks confirm it; exit code 1 if that cannot be any more"},
			&cli.BoolFlag{Name: flagDryRun, Usage: "show the payment, and do not send it"},
		),
		Action: func(c *cli.Context) error { return send(c, uint32(wait)) },
	}
}

// send pays. All that can be wrong is found out before anybody is asked. The keys are opened
// last, when somebody has agreed, and are wiped as soon as it is signed.
func send(c *cli.Context, wait uint32) error {
	h, err := findHome(c)
	if err != nil {
		return err
	}
	list, err := h.order(c)
	if err != nil {
		return err
	}
	l, err := h.feeLimits(c)
	if err != nil {
		return err
	}
	draft, err := h.pay(c, list, l)
	if err != nil || c.Bool(flagDryRun) {
		return err
	}
	if !c.Bool(flagJSON) {
		fmt.Fprintln(c.App.Writer, draft.Tx.TxID())
	}
	if wait > 0 {
		if err := h.waitFor(c, draft.Tx.TxID(), wait); err != nil {
			return err
		}
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, draftJSON(list, draft))
	}
	return nil
}

// pay builds, shows, signs and sends a payment.
func (h home) pay(c *cli.Context, list []payment, l limits) (draft *wallet.Draft, err error) {
	o, err := h.open(c, true)
	if err != nil {
		return nil, err
	}
	defer o.close(&err)
	request, err := o.request(c, list, l)
	if err != nil {
		return nil, err
	}
	if draft, err = wallet.Build(request); err != nil {
		return nil, err
	}
	if err := draft.CheckFee(); err != nil {
		return nil, err
	}
	if c.Bool(flagDryRun) {
		return draft, o.showDry(c, list, draft)
	}
	if err := o.confirm(c, list, draft, l); err != nil {
		return nil, err
	}
	if err := o.sign(c, draft); err != nil {
		return nil, err
	}
	if err := o.Send(c.Context, o.node, draft); err != nil {
		return nil, err
	}
	for _, p := range list {
		if p.label == "" {
			continue
		}
		if err := o.SetLabel(wallet.LabelAddress, p.address, p.label); err != nil {
			fmt.Fprintf(c.App.ErrWriter, "karat: the payment was sent, but its label was not noted: %v\n", err)
		}
	}
	return draft, nil
}

// sign signs a draft, and asks for the passphrase if there is one.
func (o *opened) sign(c *cli.Context, d *wallet.Draft) error {
	signer, err := o.unlock(c)
	if err != nil {
		return err
	}
	defer signer.Wipe()
	return signer.Sign(d)
}

// request asks for a payment. The lock time keeps miners from undoing a block to collect the
// fees of later payments (fee sniping): this one is valid only above the tip.
func (o *opened) request(c *cli.Context, list []payment, l limits) (*wallet.Request, error) {
	r := &wallet.Request{SubtractFee: c.Bool(flagSubtract), SendAll: c.Bool(flagAll), Coins: o.Coins(), LockTime: o.Position().Height}
	for _, p := range list {
		r.Outputs = append(r.Outputs, p.out)
	}
	var err error
	if r.FeeRate, err = o.feeRate(c, l); err != nil {
		return nil, err
	}
	if !r.SendAll { // which leaves no change
		r.ChangeScript, err = o.ChangeScript(0)
	}
	return r, err
}

// feeRate returns the feerate that was chosen, if the node takes it, or else the node's estimate.
func (o *opened) feeRate(c *cli.Context, l limits) (types.FeeRate, error) {
	if !c.IsSet(flagFeeRate) {
		rate, err := wallet.FeeRate(c.Context, o.node, confirmTarget)
		if errors.Is(err, wallet.ErrFeeRate) {
			err = fmt.Errorf("%w: choose one with --%s", err, flagFeeRate)
		}
		return rate, err
	}
	least, err := wallet.LeastFeeRate(c.Context, o.node)
	if err == nil && l.rate < least {
		err = fmt.Errorf("--%s %s: the node takes nothing below %s grains per virtual byte now", flagFeeRate, l.rate, least)
	}
	return l.rate, err
}

// confirm shows a payment and asks whether to send it.
func (o *opened) confirm(c *cli.Context, list []payment, d *wallet.Draft, l limits) error {
	if !c.Bool(flagYes) {
		if err := o.showDraft(c, list, d); err != nil {
			return err
		}
	}
	return o.agree(c, l, agreement{fee: d.Fee, amount: paid(d), what: "what it pays", question: "Send it? [y/N] "})
}

// paid returns what a draft pays to its receivers.
func paid(d *wallet.Draft) (sum types.Amount) {
	for _, i := range d.Payments {
		sum += d.Tx.Outputs[i].Value
	}
	return sum
}

// showDraft shows a payment in the order in which it was typed.
func (o *opened) showDraft(c *cli.Context, list []payment, d *wallet.Draft) error {
	w := cmdline.Table(c.App.ErrWriter, 0)
	for i, p := range list {
		fmt.Fprintf(w, "pay\t%s\tto %s\n", d.Tx.Outputs[d.Payments[i]].Value, p.address)
		if p.label != "" {
			fmt.Fprintf(w, "\t\t   %s\n", p.label)
		}
	}
	rate := types.NewFeeRate(d.Fee, d.VirtualSize)
	fmt.Fprintf(w, "fee\t%s\t%s grains for each of %d virtual bytes\n", d.Fee, rate, d.VirtualSize)
	fmt.Fprintf(w, "total\t%s\tof %s\n", paid(d)+d.Fee, plural(len(d.Inputs), "coin"))
	if d.ChangeIndex >= 0 {
		fmt.Fprintf(w, "change\t%s\tcomes back to the wallet\n", d.Tx.Outputs[d.ChangeIndex].Value)
	}
	if c.Bool(flagAll) {
		showStaying(w, o.Staying(d))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "Expect it %s.\n", o.expected(c, rate))
	return nil
}

// showStaying says what is left when everything was to be sent.
func showStaying(w io.Writer, s wallet.Staying) {
	for _, part := range []struct {
		wallet.Part
		why string
	}{
		{s.Pending, "was sent by others, and is in no block yet"}, {s.Immature, "was mined too recently"},
		{s.Locked, "is locked"}, {s.Dust, "costs more to spend than it is worth"},
	} {
		if part.Coins > 0 {
			fmt.Fprintf(w, "stays\t%s\t%s: it %s\n", part.Value, plural(part.Coins, "coin"), part.why)
		}
	}
}

// showDry shows a payment that is not sent. Here it is what was asked for, and a result.
func (o *opened) showDry(c *cli.Context, list []payment, d *wallet.Draft) error {
	if c.Bool(flagJSON) {
		answer := draftJSON(list, d)
		delete(answer, "txid") // signatures would not change it, but another choice of coins does
		return cmdline.PrintJSON(c.App.Writer, answer)
	}
	return o.showDraft(c, list, d)
}

// draftJSON is what --json prints of a payment.
func draftJSON(list []payment, d *wallet.Draft) map[string]any {
	outputs := []map[string]any{}
	for i, p := range list {
		line := map[string]any{"address": p.address, "amount": number(d.Tx.Outputs[d.Payments[i]].Value)}
		if p.label != "" {
			line["label"] = p.label
		}
		outputs = append(outputs, line)
	}
	coins := []string{}
	for i := range d.Inputs {
		coins = append(coins, d.Inputs[i].OutPoint.String())
	}
	change := types.Amount(0)
	if d.ChangeIndex >= 0 {
		change = d.Tx.Outputs[d.ChangeIndex].Value
	}
	return map[string]any{
		"txid": d.Tx.TxID(), "fee": number(d.Fee), "vsize": d.VirtualSize, "outputs": outputs, "coins": coins,
		"change": number(change), "total": number(paid(d) + d.Fee),
	}
}
