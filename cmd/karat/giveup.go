package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
)

func rebroadcastCommand() *cli.Command {
	return &cli.Command{
		Name: "rebroadcast", Usage: "pass payments that wait on again", ArgsUsage: "[TXID]",
		Description: "Gives the node all transactions of the wallet that wait, or one and what it spends. Every sync\n" +
			"does so too, but for what was abandoned: that counts again if the node takes it.",
		Flags:  []cli.Flag{jsonFlag()},
		Action: withFresh(rebroadcast),
	}
}

func rebroadcast(c *cli.Context, o *opened) error {
	var only *types.Hash
	if c.NArg() > 0 {
		txid, err := o.txidArgument(c)
		if err != nil {
			return err
		}
		only = &txid
	}
	offered, err := o.Rebroadcast(c.Context, o.node, only)
	if err != nil {
		return err
	}
	out, refused := []map[string]any{}, 0
	for _, one := range offered {
		line := map[string]any{"txid": one.TxID, "taken": one.Error == nil}
		if one.Error != nil {
			refused++
			line["error"] = one.Error.Error()
		}
		out = append(out, line)
	}
	if c.Bool(flagJSON) {
		if err := cmdline.PrintJSON(c.App.Writer, out); err != nil {
			return err
		}
	} else {
		for _, one := range offered {
			if one.Error != nil {
				fmt.Fprintf(c.App.Writer, "%s refused: %.200q\n", one.TxID, one.Error.Error())
			} else {
				fmt.Fprintf(c.App.Writer, "%s the node has it\n", one.TxID)
			}
		}
		if len(offered) == 0 {
			fmt.Fprintln(c.App.ErrWriter, "karat: nothing waits")
		}
	}
	if refused > 0 {
		return fmt.Errorf("the node refuses %d of %s", refused, plural(len(offered), "transaction"))
	}
	return nil
}

func abandonCommand() *cli.Command {
	return &cli.Command{
		Name: "abandon", Usage: "give up a payment that no node takes, so that its coins are free again", ArgsUsage: "TXID",
		Description: "Only what the node neither has nor takes can be given up; of what it has, take the place with\n" +
			"karat cancel. Whoever kept the payment can still pass it on, and miners can still confirm it.\n\n" +
			"   karat abandon 4a5e…",
		Flags:  []cli.Flag{&cli.BoolFlag{Name: flagYes, Aliases: []string{"y"}, Usage: "do not ask"}, jsonFlag()},
		Action: withFresh(abandon),
	}
}

func abandon(c *cli.Context, o *opened) error {
	txid, err := o.txidArgument(c)
	if err != nil {
		return err
	}
	freed, err := o.MayAbandon(c.Context, o.node, txid)
	if err != nil {
		return err
	}
	sum := types.Amount(0)
	for _, coin := range freed.Coins {
		sum += coin.Value
	}
	fmt.Fprintf(c.App.ErrWriter, "%s of %s in all are free again if %s is given up.\n", plural(len(freed.Coins), "coin"), sum, txid)
	for _, child := range freed.Children {
		fmt.Fprintf(c.App.ErrWriter, "karat: %s spends it, and is given up with it\n", child)
	}
	fmt.Fprintln(c.App.ErrWriter, "karat: who kept the payment can still pass it on: to pay the same receiver again with other coins may be to pay twice")
	if err := o.agree(c, limits{maxFee: -1}, agreement{amount: sum, question: "Give it up? [y/N] "}); err != nil {
		return err
	}
	if err := o.Abandon(c.Context, o.node, txid); err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, map[string]any{"txid": txid, "coins": len(freed.Coins), "amount": number(sum), "children": append([]types.Hash{}, freed.Children...)})
	}
	fmt.Fprintf(c.App.Writer, "%s is given up\n", txid)
	return nil
}
