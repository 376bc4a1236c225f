package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

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
	flagCoin     = "coin"
	flagMix      = "mix"
)

// confirmTarget is how many blocks a payment may wait when nobody chose a feerate.
const confirmTarget = 6

func sendCommand() *cli.Command {
	var wait int64
	return &cli.Command{
		Name: "send", Usage: "pay one or more addresses", ArgsUsage: "ADDRESS AMOUNT|URI [ADDRESS AMOUNT|URI…]",
		Description: "Shows the payment, and asks before anything is sent. Amounts are in coins,\n" +
			"such as 1.5, or have a unit, such as 1500mkrt or 150000000grains; the unit of a coin is\n" +
			"what the network's addresses begin with.\n\n" +
			"   karat send krt1p… 1.5                      pay 1.5\n" +
			"   karat send krt1p… 1.5 krt1p… 0.25          pay two at once\n" +
			"   karat send 'karat:krt1p…?amount=1.5'       pay what a URI asks for\n" +
			"   karat send --label rent krt1p… 1.5         note who is paid\n" +
			"   karat send --subtract-fee krt1p… 1.5       the receiver pays the fee\n" +
			"   karat send --file wages.csv                pay each line: ADDRESS,AMOUNT,LABEL\n" +
			"   karat send --all krt1p…                    send everything\n" +
			"   karat send --coin 4f1c…e2:0 krt1p… 1.5     pay with this coin\n" +
			"   karat send --psbt pay.psbt krt1p… 1.5      make it, to be signed elsewhere\n" +
			"   karat send --wait 3 krt1p… 1.5             pay, and wait for three confirmations",
		Flags: append(append(feeFlags(confirmTarget), psbtFlags()...),
			&cli.BoolFlag{Name: flagSubtract, Usage: "take the fee from the amounts"},
			&cli.BoolFlag{Name: flagAll, Usage: "send everything to one address"},
			&cli.StringFlag{Name: flagFile, Usage: "pay what stands in `FILE`, - for standard input"},
			&cli.StringSliceFlag{Name: flagLabel, Usage: "note `TEXT` beside the receiver's address; once for each, in their order"},
			&cli.GenericFlag{Name: flagWait, Value: cmdline.Number(&wait, 0, 0, math.MaxUint32), Usage: "wait until `N` blocks confirm it; exit code 1 if that cannot be any more"},
			&cli.StringSliceFlag{Name: flagCoin, Usage: "spend the coin `TXID:INDEX`, and no others; once for each"},
			&cli.BoolFlag{Name: flagMix, Usage: "take coins whatever their labels are (default: of one label, if those suffice)"},
			&cli.BoolFlag{Name: flagDryRun, Usage: "show the payment, and do not send it"},
			accountFlag(),
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
	if err := checkOutput(c); err != nil {
		return err
	}
	drafts, err := h.pay(c, list, l)
	if err != nil || c.Bool(flagDryRun) || c.IsSet(flagPSBT) {
		return err
	}
	for _, d := range drafts {
		if !c.Bool(flagJSON) {
			fmt.Fprintln(c.App.Writer, d.Tx.TxID())
		}
	}
	for _, d := range drafts {
		if wait > 0 {
			if err := h.waitFor(c, d.Tx.TxID(), wait); err != nil {
				return err
			}
		}
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, paymentJSON(list, drafts))
	}
	return nil
}

// pay builds, shows, signs and sends a payment.
func (h home) pay(c *cli.Context, list []payment, l limits) (drafts []*wallet.Draft, err error) {
	o, err := h.open(c, true)
	if err != nil {
		return nil, err
	}
	defer o.close(&err)
	request, err := o.request(c, list, l)
	if err != nil {
		return nil, err
	}
	if drafts, err = o.build(c, request); err != nil {
		return nil, err
	}
	for _, d := range drafts {
		if err := d.CheckFee(); err != nil {
			return nil, err
		}
	}
	if c.Bool(flagDryRun) {
		return drafts, o.showDry(c, list, drafts)
	}
	if c.IsSet(flagPSBT) {
		return drafts, o.sendPSBT(c, list, drafts)
	}
	if err := o.signsAlone(drafts...); err != nil {
		return nil, err
	}
	if err := o.confirm(c, list, drafts, l); err != nil {
		return nil, err
	}
	if err := o.signAndSend(c, drafts); err != nil {
		return nil, err
	}
	if err := o.setLabels(list); err != nil {
		fmt.Fprintf(c.App.ErrWriter, "karat: the payment was sent, but its label was not noted: %v\n", err)
	}
	return drafts, nil
}

// setLabels notes the labels of those who are paid.
func (o *opened) setLabels(list []payment) error {
	for _, p := range list {
		if p.label == "" {
			continue
		}
		if err := o.SetLabel(wallet.LabelAddress, p.address, p.label); err != nil {
			return err
		}
	}
	return nil
}

// build makes one transaction, or as many as it takes to send everything.
func (o *opened) build(c *cli.Context, r *wallet.Request) ([]*wallet.Draft, error) {
	build := o.BuildApart
	if c.Bool(flagMix) || r.SendAll {
		build = wallet.Build
	}
	d, err := o.BuildPaying(c.Context, o.node, r, build)
	if r.SendAll && errors.Is(err, wallet.ErrTooLarge) {
		return wallet.BuildAll(r)
	}
	return []*wallet.Draft{d}, o.whyTooFew(c, err)
}

// whyTooFew adds to an error of too few coins those that are there and cannot be spent yet: a
// balance shows them, too.
func (o *opened) whyTooFew(c *cli.Context, err error) error {
	if !errors.As(err, new(*wallet.ErrFunds)) || len(c.StringSlice(flagCoin)) > 0 {
		return err
	}
	account, other := o.account(c)
	if other != nil {
		return err
	}
	s := o.Staying(account.Number())
	if s.Pending.Coins > 0 {
		err = fmt.Errorf("%w; %s more is in no block yet", err, s.Pending.Value)
	}
	if s.Immature.Coins > 0 {
		err = fmt.Errorf("%w; %s more was mined too recently", err, s.Immature.Value)
	}
	if s.Locked.Coins > 0 {
		err = fmt.Errorf("%w; %s more is locked", err, s.Locked.Value)
	}
	return err
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
	account, err := o.account(c)
	if err != nil {
		return nil, err
	}
	r := &wallet.Request{
		SubtractFee: c.Bool(flagSubtract), SendAll: c.Bool(flagAll), Coins: o.coinsOf(account), LockTime: o.Position().Height,
	}
	for _, p := range list {
		r.Outputs = append(r.Outputs, p.out)
	}
	if names := c.StringSlice(flagCoin); len(names) > 0 {
		found, err := o.findCoins(names)
		if err != nil {
			return nil, err
		}
		if r.Required, err = o.Spendable(found); err != nil {
			return nil, err
		}
		r.Coins = nil
		for i := range r.Required {
			if other := r.Required[i].Key.Account; other != account.Number() {
				return nil, cmdline.Usagef("coin %s is of account %s: name that with --%s", r.Required[i].OutPoint, o.Accounts()[other].Name(), flagAccount)
			}
		}
	}
	weight := account.SpendWeight()
	if o.SignsAlone(account) { // one signature, whatever scripts there are
		weight = 0
	}
	setWeight(r, weight)
	if r.FeeRate, err = o.feeRate(c, l, confirmTarget); err != nil {
		return nil, err
	}
	if !r.SendAll { // which leaves no change
		r.ChangeScript, err = o.ChangeScript(account.Number())
	}
	return r, err
}

// feeRate returns the feerate that was chosen, if the node takes it, or else the node's estimate
// for a number of blocks.
func (o *opened) feeRate(c *cli.Context, l limits, blocks int) (types.FeeRate, error) {
	if !c.IsSet(flagFeeRate) {
		rate, err := wallet.FeeRate(c.Context, o.node, blocks)
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

// confirm shows a payment and asks whether to send it. What may be paid twice is told even to whoever
// is not asked.
func (o *opened) confirm(c *cli.Context, list []payment, drafts []*wallet.Draft, l limits) error {
	if c.Bool(flagYes) {
		o.showDoubts(c, drafts...)
	} else if err := o.showPayment(c, list, drafts); err != nil {
		return err
	}
	sum := summed(drafts)
	return o.agree(c, l, agreement{fee: sum.fee, amount: sum.paid, what: "what it pays", question: "Send it? [y/N] "})
}

// paid returns what a draft pays to its receivers.
func paid(d *wallet.Draft) (sum types.Amount) {
	for _, i := range d.Payments {
		sum += d.Tx.Outputs[i].Value
	}
	return sum
}

// paidTo returns what a receiver gets. All transactions but the first pay the first receiver
// alone.
func paidTo(drafts []*wallet.Draft, receiver int) (sum types.Amount) {
	for _, d := range drafts {
		if receiver < len(d.Payments) {
			sum += d.Tx.Outputs[d.Payments[receiver]].Value
		}
	}
	return sum
}

// showPayment shows a payment in the order in which it was typed.
func (o *opened) showPayment(c *cli.Context, list []payment, drafts []*wallet.Draft) error {
	w := cmdline.Table(c.App.ErrWriter, 0)
	for i, p := range list {
		fmt.Fprintf(w, "pay\t%s\tto %s\n", paidTo(drafts, i), p.address)
		for _, text := range []string{p.label, p.message} {
			if text != "" {
				fmt.Fprintf(w, "\t\t   %s\n", text)
			}
		}
	}
	sum := summed(drafts)
	rate, in := types.NewFeeRate(sum.fee, sum.size), ""
	if len(drafts) == 1 {
		rate = drafts[0].FeeRate()
	}
	if len(drafts) > 1 {
		in = fmt.Sprintf(", in %d transactions", len(drafts))
	}
	if owed := drafts[0].Owed; owed.AncestorSize > 0 {
		in += fmt.Sprintf(", and of %d before it that wait", owed.AncestorSize)
	}
	fmt.Fprintf(w, "fee\t%s\t%s grains for each of %d virtual bytes%s\n", sum.fee, rate, sum.size, in)
	fmt.Fprintf(w, "total\t%s\tof %s\n", sum.paid+sum.fee, plural(sum.coins, "coin"))
	if d := drafts[0]; d.ChangeIndex >= 0 {
		fmt.Fprintf(w, "change\t%s\tcomes back to the wallet\n", d.Tx.Outputs[d.ChangeIndex].Value)
	}
	if c.Bool(flagAll) && len(c.StringSlice(flagCoin)) == 0 {
		account, err := o.account(c)
		if err != nil {
			return err
		}
		showStaying(w, o.Staying(account.Number(), drafts...))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "Expect it %s.\n", o.expected(c, rate))
	o.showDoubts(c, drafts...)
	if mixed := o.Mixed(drafts...); len(mixed) > 0 {
		var names []string
		for _, label := range mixed {
			if label == "" {
				names = append(names, "no label")
			} else {
				names = append(names, strconv.Quote(label))
			}
		}
		fmt.Fprintf(c.App.ErrWriter, "karat: it ties coins of %s together: everybody can see then that they are one owner's\n", strings.Join(names, " and "))
	}
	return nil
}

// showDoubts says which payments the receivers may get twice.
func (o *opened) showDoubts(c *cli.Context, drafts ...*wallet.Draft) {
	doubts := o.Doubts(drafts...)
	for _, txid := range doubts.Excluded {
		cmdline.Say(c.App.ErrWriter, "karat: an earlier payment to the same address got no further than this wallet:\n  %s\nThis one spends a coin of it, so that only one of both can be confirmed.", txid)
	}
	for _, txid := range doubts.Beside {
		cmdline.Say(c.App.ErrWriter, "karat: an earlier payment to the same address may still be confirmed BESIDE this one, since they share no coin. Look at it with karat tx:\n  %s", txid)
	}
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
func (o *opened) showDry(c *cli.Context, list []payment, drafts []*wallet.Draft) error {
	if c.Bool(flagJSON) {
		answer := paymentJSON(list, drafts)
		delete(answer, "txid") // the next choice of coins is another
		delete(answer, "txids")
		return cmdline.PrintJSON(c.App.Writer, answer)
	}
	return o.showPayment(c, list, drafts)
}

// paymentJSON is what --json prints of a payment.
func paymentJSON(list []payment, drafts []*wallet.Draft) map[string]any {
	outputs, coins, change := []map[string]any{}, []string{}, types.Amount(0)
	for i, p := range list {
		line := map[string]any{"address": p.address, "amount": number(paidTo(drafts, i))}
		if p.label != "" {
			line["label"] = p.label
		}
		outputs = append(outputs, line)
	}
	for _, d := range drafts {
		for i := range d.Inputs {
			coins = append(coins, d.Inputs[i].OutPoint.String())
		}
		if d.ChangeIndex >= 0 {
			change += d.Tx.Outputs[d.ChangeIndex].Value
		}
	}
	sum := summed(drafts)
	answer := map[string]any{
		"txids": sum.txids, "fee": number(sum.fee), "vsize": sum.size, "outputs": outputs, "coins": coins,
		"change": number(change), "total": number(sum.paid + sum.fee),
	}
	if len(drafts) == 1 {
		answer["txid"] = sum.txids[0]
	}
	return answer
}
