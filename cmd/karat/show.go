package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
)

// number is an amount in JSON: a number with eight decimals, as Bitcoin Core prints
// it, and never a float, which would round.
func number(a types.Amount) json.Number { return json.Number(a.String()) }

// withWallet is a command for which the wallet is opened, and not synced: it works
// without a node.
func withWallet(run func(c *cli.Context, o *opened) error) cli.ActionFunc {
	return func(c *cli.Context) error { return runOpened(c, false, run) }
}

// withFresh is a command for which the wallet is opened and synced, and that does nothing
// without: it pays, or decides by what the node tells.
func withFresh(run func(c *cli.Context, o *opened) error) cli.ActionFunc {
	return func(c *cli.Context) error { return runOpened(c, true, run) }
}

// withSynced is a command that shows what the wallet has, for which the wallet is opened and
// synced. If the node cannot be asked, or knows less than the wallet, it shows what the wallet
// knows, says from when that is, and ends with a code of its own.
func withSynced(run func(c *cli.Context, o *opened) error) cli.ActionFunc {
	return withWallet(func(c *cli.Context, o *opened) error {
		synced := o.syncQuietly(c)
		if synced != nil && (!isOfNode(synced) || o.Position().Height == 0) { // it was never synced: it knows nothing
			return synced
		}
		if err := run(c, o); err != nil {
			return err
		}
		return o.stale(c)
	})
}

// runOpened opens the wallet, runs a command with it and closes it, whatever happens
// in between: another karat that starts meanwhile is refused.
func runOpened(c *cli.Context, sync bool, run func(c *cli.Context, o *opened) error) (err error) {
	h, err := findHome(c)
	if err != nil {
		return err
	}
	o, err := h.open(c, sync)
	if err != nil {
		return err
	}
	defer o.close(&err)
	return run(c, o)
}

func balanceCommand() *cli.Command {
	return &cli.Command{
		Name: "balance", Usage: "sync, and show what the wallet has",
		Flags: []cli.Flag{jsonFlag()}, Action: withSynced(balance),
	}
}

// balance tells four sums apart, because each answers another question: what can be
// spent now, what only has to wait for blocks, what may still come to nothing, and
// what there would be in all.
func balance(c *cli.Context, o *opened) error {
	b := o.Balance()
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, map[string]any{
			"confirmed": number(b.Confirmed), "immature": number(b.Immature), "pending": number(b.Pending), "total": number(b.Total()),
			"height": o.Position().Height,
		})
	}
	w := cmdline.Table(c.App.Writer, tabwriter.AlignRight)
	for _, line := range []struct {
		name  string
		value types.Amount
	}{{"confirmed", b.Confirmed}, {"immature", b.Immature}, {"pending", b.Pending}, {"total", b.Total()}} {
		fmt.Fprintf(w, "%s\t%s\t\n", line.name, line.value)
	}
	return w.Flush()
}

func syncCommand() *cli.Command {
	return &cli.Command{
		Name: "sync", Usage: "bring the wallet up to the node's chain",
		Flags:  []cli.Flag{jsonFlag(), &cli.BoolFlag{Name: "rescan", Usage: "look through all blocks again, which may find what a dishonest node hid"}},
		Action: withWallet(syncWallet),
	}
}

// syncWallet syncs and does nothing else. Other commands sync by themselves; this one
// is for scripts that want it done before somebody waits.
func syncWallet(c *cli.Context, o *opened) error {
	if c.Bool("rescan") {
		// The position is taken back first, so that a rescan that is interrupted goes
		// on at the next sync.
		if err := o.Rescan(); err != nil {
			return err
		}
	}
	if err := o.syncWithProgress(c); err != nil {
		return err
	}
	at := o.Position()
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, map[string]any{"height": at.Height, "hash": at.Hash})
	}
	fmt.Fprintf(c.App.Writer, "height %d, block %s\n", at.Height, at.Hash)
	return nil
}

func infoCommand() *cli.Command {
	return &cli.Command{Name: "info", Usage: "show where the wallet is and how far it has synced", Flags: []cli.Flag{jsonFlag()}, Action: withWallet(info)}
}

// info shows what is stored here, and asks no node, so that it helps when no node
// answers.
func info(c *cli.Context, o *opened) error {
	dir, err := o.walletDir(c)
	if err != nil {
		return err
	}
	at, birthday := o.Position(), o.file.Birthday()
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, map[string]any{
			"network": o.params.Name, "folder": dir, "height": at.Height, "hash": at.Hash, "birthday": birthday.Height,
			"transactions": len(o.History()), "coins": len(o.Unspent()),
		})
	}
	w := cmdline.Table(c.App.Writer, 0)
	fmt.Fprintf(w, "network\t%s\nfolder\t%s\nsynced to\t%d, block %s\nbirthday\t%d\ntransactions\t%d\ncoins\t%d\n",
		o.params.Name, dir, at.Height, at.Hash, birthday.Height, len(o.History()), len(o.Unspent()))
	return w.Flush()
}
