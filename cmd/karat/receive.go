package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

// The flags of address, beside those of QR codes. Its --label is that of send.
const (
	flagAmount  = "amount"
	flagMessage = "message"
	flagURI     = "uri"
)

func addressCommand() *cli.Command {
	return &cli.Command{
		Name: "address", Usage: "print an address to be paid at, a new one each time",
		Description: "A URI (BIP321) tells the payer's wallet what is asked for: karat send takes it in the place of\n" +
			"ADDRESS AMOUNT. The label is noted for the address here too.\n\n" +
			"   karat address                                    an address\n" +
			"   karat address --label \"rent of May\"              with a note of what it is for\n" +
			"   karat address --amount 1.5 --message \"invoice 7\" a URI that asks for 1.5\n" +
			"   karat address --qr                               to be scanned\n" +
			"   karat address --qr --qr-ground dark              without colours, on a dark terminal",
		Flags: append(append([]cli.Flag{
			&cli.StringFlag{Name: flagAmount, Usage: "ask for `AMOUNT`; prints a URI"},
			&cli.StringFlag{Name: flagLabel, Usage: "note that the address is for `TEXT`; in a URI, tell the payer whom it is"},
			&cli.StringFlag{Name: flagMessage, Usage: "tell the payer by `TEXT` what it is for; prints a URI"},
			&cli.BoolFlag{Name: flagURI, Usage: "print a URI in any case"},
		}, cmdline.QRFlags("draw a QR code too")...), accountFlag(), jsonFlag()),
		Action: withWallet(address),
	}
}

// address gives out an address. It counts as given out even if it cannot be shown:
// an address that two people get would tie their payments together.
func address(c *cli.Context, o *opened) (err error) {
	uri := wallet.PaymentURI{Label: strings.TrimSpace(c.String(flagLabel)), Message: strings.TrimSpace(c.String(flagMessage))}
	if text := c.String(flagAmount); text != "" {
		if uri.Amount, err = cmdline.ParseAmount(text, o.params.HRP); err != nil {
			return cmdline.Usagef("--%s: %w", flagAmount, err)
		} else if uri.Amount == 0 {
			return cmdline.Usagef("--%s 0: leave it out if the payer chooses", flagAmount)
		}
	}
	if err := uri.Check(); err != nil { // before an address is used up
		return cmdline.Usagef("%w", err)
	}
	account, err := o.account(c)
	if err != nil {
		return err
	}
	if uri.Address, err = o.NextAddress(account.Number()); err != nil {
		return err
	}
	if uri.Label != "" {
		if err := o.SetLabel(wallet.LabelAddress, uri.Address, uri.Label); err != nil {
			return err
		}
	}
	text, drawn := uri.Address, strings.ToUpper(uri.Address) // upper case takes less room, and bech32 allows it
	if c.Bool(flagURI) || uri.Amount > 0 || uri.Message != "" {
		text = uri.String()
		drawn = text
	}
	if c.Bool(flagJSON) {
		err = cmdline.PrintJSON(c.App.Writer, map[string]any{"address": uri.Address, "uri": uri.String(), "label": uri.Label})
	} else {
		_, err = fmt.Fprintln(c.App.Writer, text)
	}
	if err != nil {
		return err
	}
	// The address is good in this wallet. Only who restores it later would be
	// surprised, so this is a warning.
	if unpaid := o.Unpaid(account.Number()); unpaid > int(o.file.GapLimit()) {
		fmt.Fprintf(c.App.ErrWriter, "karat: the last %d addresses were not paid, as far as is known; restoring the wallet from its words would find payments to the first %d of them only\n", unpaid, o.file.GapLimit())
	}
	if c.Bool(flagJSON) {
		return nil
	}
	return cmdline.DrawQR(c, drawn)
}

func addressesCommand() *cli.Command {
	return &cli.Command{
		Name: "addresses", Usage: "list the addresses that were given out or paid",
		Flags:  []cli.Flag{jsonFlag(), cmdline.LimitFlag(), accountFlag(), &cli.BoolFlag{Name: "change", Usage: "list the addresses of change instead"}},
		Action: withSynced(addresses),
	}
}

// addresses lists what one branch of keys has received.
func addresses(c *cli.Context, o *opened) error {
	branch := wallet.Receive
	if c.Bool("change") {
		branch = wallet.Change
	}
	account, err := o.account(c)
	if err != nil {
		return err
	}
	list, err := o.Addresses(account.Number(), branch)
	if err != nil {
		return err
	}
	list = cmdline.Last(c, list)
	out := []map[string]any{} // an empty list is [], not null
	rows := cmdline.NewRows(c, cmdline.Column{Title: "index", Right: true}, cmdline.Column{Title: "received", Right: true}, cmdline.Column{Title: "address", Fit: cmdline.Below}, cmdline.Column{Title: "label", Fit: cmdline.End})
	for _, a := range list {
		label, _ := o.Label(wallet.LabelAddress, a.Address)
		out = append(out, map[string]any{"address": a.Address, "index": a.Key.Index, "received": number(a.Received), "used": a.Used, "label": label.Text})
		rows.Add(fmt.Sprint(a.Key.Index), a.Received.String(), a.Address, label.Text)
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, out)
	}
	return rows.Flush()
}
