package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/wallet"
)

const (
	flagAccount = "account"
	flagPSBT    = "psbt"
)

func accountFlag() cli.Flag {
	return &cli.StringFlag{Name: flagAccount, Usage: "use the account called `NAME`, or of that number (default: the first)"}
}

// psbtFlags are the flags of the commands that can leave signing to others.
func psbtFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagPSBT, Usage: "write the payment to `FILE` to be signed by others, or by a machine without a node"},
		&cli.BoolFlag{Name: flagForce, Usage: "write over a file that is there"},
	}
}

// account returns the account that the flag names.
func (o *opened) account(c *cli.Context) (*wallet.Account, error) {
	all, name := o.Accounts(), c.String(flagAccount)
	if name == "" {
		return all[0], nil
	}
	var names []string
	for _, a := range all {
		if a.Name() == name || strconv.FormatUint(uint64(a.Number()), 10) == name {
			return a, nil
		}
		names = append(names, a.Name())
	}
	return nil, cmdline.Usagef("--%s %q: the wallet has %s", flagAccount, name, strings.Join(names, ", "))
}

// coinsOf returns the coins of an account that can be spent.
func (o *opened) coinsOf(a *wallet.Account) (coins []wallet.Coin) {
	for _, coin := range o.Coins() {
		if coin.Key.Account == a.Number() {
			coins = append(coins, coin)
		}
	}
	return coins
}

// signsAlone refuses drafts that the wallet's own keys cannot sign, before anybody is asked.
func (o *opened) signsAlone(drafts ...*wallet.Draft) error {
	all := o.Accounts()
	for _, d := range drafts {
		for i := range d.Inputs {
			if account := all[d.Inputs[i].Key.Account]; !o.SignsAlone(account) {
				return fmt.Errorf("account %s is not spent by a key of this wallet alone: make a PSBT with --%s FILE, and let it be signed", account.Name(), flagPSBT)
			}
		}
	}
	return nil
}

// sendPSBT writes a payment to be signed, in place of sending it.
func (o *opened) sendPSBT(c *cli.Context, list []payment, drafts []*wallet.Draft) error {
	p, err := o.packetOf(drafts)
	if err != nil {
		return err
	}
	if err := o.setLabels(list); err != nil {
		return err
	}
	if err := writeFile(c.String(flagPSBT), p); err != nil {
		return err
	}
	review, err := o.ReviewPSBT(p)
	if err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, review)
	}
	return o.showPSBT(c, c.App.Writer, p, review)
}

// packetOf makes a PSBT of a payment, which must be one transaction.
func (o *opened) packetOf(drafts []*wallet.Draft) (*psbt.Packet, error) {
	if len(drafts) != 1 {
		return nil, fmt.Errorf("it takes %d transactions to spend so many coins, and a PSBT is one: choose some with --%s", len(drafts), flagCoin)
	}
	return o.Packet(drafts[0])
}

// writeFile writes a PSBT in binary.
func writeFile(name string, p *psbt.Packet) error {
	raw, err := p.AppendTo(nil)
	if err != nil {
		return err
	}
	return wholefile.ReplaceBytes(name, raw)
}
