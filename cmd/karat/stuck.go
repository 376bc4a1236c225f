package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

// What a remedy does to the payment that waits.
const (
	replaces = "replaces"
	cancels  = "cancels"
	paysFor  = "pays for"
)

func bumpCommand() *cli.Command {
	return &cli.Command{
		Name: "bump", Usage: "let a payment that waits pay a higher fee", ArgsUsage: "TXID",
		Description: "Makes the payment again, to the same receivers with the same amounts, with a higher fee out\n" +
			"of the change; coins are added if that does not suffice. The new payment takes the place of\n" +
			"the old one (BIP125), and only one of them can be confirmed.\n\n" +
			"   karat bump 4a5e…                      pay what the node estimates\n" +
			"   karat bump --feerate 12 4a5e…         pay 12 grains per virtual byte\n" +
			"   karat bump --subtract-fee 4a5e…       the receivers pay what it costs more",
		Flags: append(append(feeFlags(confirmTarget), psbtFlags()...), &cli.BoolFlag{Name: flagSubtract, Usage: "take what it costs more from the amounts"}),
		Action: remedy(func(c *cli.Context, o *opened, txid types.Hash, l limits) (*wallet.Remedy, error) {
			m, err := o.Bump(c.Context, o.node, txid, l.rate, c.Bool(flagSubtract))
			if errors.As(err, new(*wallet.ErrFunds)) && !c.Bool(flagSubtract) {
				err = fmt.Errorf("%w; with --%s the receivers pay what it costs more", err, flagSubtract)
			}
			return m, err
		}, replaces),
	}
}

func cancelCommand() *cli.Command {
	return &cli.Command{
		Name: "cancel", Usage: "take a payment that waits back, if it is not too late", ArgsUsage: "TXID",
		Description: "Pays everything back to the wallet, with a higher fee than the payment that waits. Only one of\n" +
			"the two can be confirmed, and miners decide which: until this one is confirmed the payment\n" +
			"may still be made.\n\n" +
			"   karat cancel 4a5e…",
		Flags: append(feeFlags(confirmTarget), psbtFlags()...),
		Action: remedy(func(c *cli.Context, o *opened, txid types.Hash, l limits) (*wallet.Remedy, error) {
			return o.Cancel(c.Context, o.node, txid, l.rate)
		}, cancels),
	}
}

func cpfpCommand() *cli.Command {
	return &cli.Command{
		Name: "cpfp", Usage: "let a child pay for a transaction that waits, sent or received", ArgsUsage: "TXID",
		Description: "Spends what the transaction pays to this wallet, change included, back to the wallet, with a\n" +
			"fee that makes both worth a miner's while (child pays for parent).\n\n" +
			"   karat cpfp 4a5e…                      both pay what the node estimates\n" +
			"   karat cpfp --feerate 12 4a5e…         both together pay 12 grains per virtual byte",
		Flags: append(feeFlags(confirmTarget), psbtFlags()...),
		Action: remedy(func(c *cli.Context, o *opened, txid types.Hash, l limits) (*wallet.Remedy, error) {
			return o.ChildPays(c.Context, o.node, txid, l.rate)
		}, paysFor),
	}
}

// wantTxid refuses any but one argument.
func wantTxid(c *cli.Context) error {
	if c.NArg() != 1 {
		return cmdline.Usagef("%s wants one TXID, as karat history shows it", c.Command.Name)
	}
	return nil
}

// txidArgument reads the only argument of a command: a txid, or the beginning of one.
func (o *opened) txidArgument(c *cli.Context) (types.Hash, error) {
	if err := wantTxid(c); err != nil {
		return types.Hash{}, err
	}
	return o.findTxid(c.Args().First())
}

// remedy is a command that makes a transaction for the sake of one that waits. The keys are
// opened last, as in send.
func remedy(draft func(c *cli.Context, o *opened, txid types.Hash, l limits) (*wallet.Remedy, error), does string) cli.ActionFunc {
	return func(c *cli.Context) error {
		if err := wantTxid(c); err != nil { // before a sync
			return err
		}
		h, err := findHome(c)
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
		return runOpened(c, true, func(c *cli.Context, o *opened) error {
			txid, err := o.txidArgument(c)
			if err != nil {
				return err
			}
			m, err := draft(c, o, txid, l)
			if errors.Is(err, wallet.ErrFeeRate) {
				return fmt.Errorf("%w: choose one with --%s", err, flagFeeRate)
			} else if err != nil {
				return err
			}
			return o.sendRemedy(c, m, l, does)
		})
	}
}

// sendRemedy shows a remedy, asks, signs and sends it; with --psbt it makes a PSBT of it.
func (o *opened) sendRemedy(c *cli.Context, m *wallet.Remedy, l limits, does string) error {
	if err := m.CheckFee(); err != nil {
		return err
	}
	if c.IsSet(flagPSBT) {
		if len(m.Parents) > 0 {
			return errors.New("the node lacks the parent, and would not take the child alone: a PSBT cannot help")
		}
		return o.sendPSBT(c, nil, []*wallet.Draft{m.Draft})
	}
	if err := o.signsAlone(m.Draft); err != nil {
		return err
	}
	if err := o.showRemedy(c, m, does); err != nil {
		return err
	}
	if err := o.agree(c, l, o.agreementOn(m, does)); err != nil {
		return err
	}
	if err := o.sign(c, m.Draft); err != nil {
		return err
	}
	if err := o.SendRemedy(c.Context, o.node, m); err != nil {
		return err
	}
	if l, noted := o.Label(wallet.LabelTx, m.Of.String()); noted && l.Text != "" && does == replaces { // it is the same payment
		if err := o.SetLabel(wallet.LabelTx, m.Tx.TxID().String(), l.Text); err != nil {
			fmt.Fprintf(c.App.ErrWriter, "karat: the payment was sent, but its label was not noted: %v\n", err)
		}
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, map[string]any{
			"txid": m.Tx.TxID(), "fee": number(m.Fee), "vsize": m.VirtualSize, "of": m.Of, "old_fee": number(m.OldFee),
			"evicted": append([]types.Hash{}, m.Evicted...), "package": len(m.Parents) + 1,
		})
	}
	fmt.Fprintln(c.App.Writer, m.Tx.TxID())
	return nil
}

// agreementOn says what the fee of a remedy is paid for: what others get, or all that comes
// back.
func (o *opened) agreementOn(m *wallet.Remedy, does string) agreement {
	a := agreement{fee: m.Fee, what: "what it pays", question: "Send it? [y/N] "}
	back := types.Amount(0)
	for i := range m.Tx.Outputs {
		if i == m.ChangeIndex {
			back = m.Tx.Outputs[i].Value
		} else {
			a.amount += m.Tx.Outputs[i].Value
		}
	}
	if a.amount == 0 {
		a.amount, a.what = back, "what comes back"
	}
	return a
}

// showRemedy shows what a remedy does and costs.
func (o *opened) showRemedy(c *cli.Context, m *wallet.Remedy, does string) error {
	if c.Bool(flagYes) {
		return nil
	}
	w := cmdline.Table(c.App.ErrWriter, 0)
	fmt.Fprintf(w, "%s\t%s\n", does, m.Of)
	for i := range m.Tx.Outputs {
		if i == m.ChangeIndex {
			continue
		}
		out := &m.Tx.Outputs[i]
		text, err := taproot.EncodeAddress(o.params.HRP, out.ScriptPubKey)
		if err != nil {
			text = "data"
		}
		fmt.Fprintf(w, "pay\t%s to %s\n", out.Value, text)
	}
	if m.ChangeIndex >= 0 {
		fmt.Fprintf(w, "pay\t%s to the wallet\n", m.Tx.Outputs[m.ChangeIndex].Value)
	}
	if m.OldFee > 0 {
		fmt.Fprintf(w, "its fee\t%s, %s grains per virtual byte\n", m.OldFee, types.NewFeeRate(m.OldFee, m.OldSize))
	} else {
		fmt.Fprintf(w, "its fee\tnot known, and counted as nothing\n")
	}
	if m.Owed.AncestorSize > 0 {
		fmt.Fprintf(w, "new fee\t%s, so that all of it pays %s\n", m.Fee, m.FeeRate())
	} else {
		fmt.Fprintf(w, "new fee\t%s, %s grains per virtual byte: %s more\n", m.Fee, m.FeeRate(), m.Fee-m.OldFee)
	}
	for _, coin := range m.Added {
		fmt.Fprintf(w, "adds\ta coin of %s\n", coin.Value)
	}
	if len(m.Parents) > 0 {
		fmt.Fprintf(w, "package\tof %s: the node does not have all of it\n", plural(len(m.Parents)+1, "transaction"))
	}
	fmt.Fprintf(w, "expect it\t%s\n", o.expected(c, m.FeeRate()))
	if err := w.Flush(); err != nil {
		return err
	}
	o.warnOfRemedy(c, m, does)
	return nil
}

// warnOfRemedy says what else becomes true.
func (o *opened) warnOfRemedy(c *cli.Context, m *wallet.Remedy, does string) {
	if does == cancels {
		fmt.Fprintln(c.App.ErrWriter, "karat: it may come too late: a miner can confirm the old payment until this one is confirmed")
	}
	for _, txid := range m.Evicted {
		fmt.Fprintf(c.App.ErrWriter, "karat: %s spends it, and is undone with it: make it again afterwards\n", txid)
	}
	if m.EvictedOthers > 0 {
		fmt.Fprintf(c.App.ErrWriter, "karat: undone with it: %s of others\n", plural(m.EvictedOthers, "transaction"))
	}
}
