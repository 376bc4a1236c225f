package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
)

func networkCommand(o *options) *cli.Command {
	return &cli.Command{
		Name:  "network",
		Usage: "create, hand on, join, show, compare, check and simulate networks",
		Subcommands: []*cli.Command{
			{
				Name: "show", Usage: "show the parameters of --network",
				Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print the genesis.json"}},
				Action: func(c *cli.Context) error { return networkShow(c, o) },
			},
			{
				Name: "hash", Usage: "print the identity of --network",
				Description: "The identity is a hash over the genesis block and every parameter that decides which\n" +
					"blocks are valid. Only nodes with the same identity can talk to each other.",
				Action: func(c *cli.Context) error { return networkHash(c, o) },
			},
			{
				Name: "diff", Usage: "compare two networks field by field", ArgsUsage: "NETWORK NETWORK",
				Description: "The exit code is 1 if they differ.",
				Action:      func(c *cli.Context) error { return networkDiff(c, o) },
			},
			networkNewCommand(o), networkPackCommand(o), networkJoinCommand(o), networkCheckCommand(o), networkSimulateCommand(o),
		},
	}
}

// networkShow shows a network to people, in the units that they think in; --json shows
// the file itself.
func networkShow(c *cli.Context, o *options) error {
	p, err := o.chosen(c)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		_, err := c.App.Writer.Write(network.Marshal(p))
		return err
	}
	w := cmdline.Table(c.App.Writer, 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	row("name", "%s", p.Name)
	row("identity", "%s", p.Identity())
	row("address prefix", "%s", p.HRP)
	row("magic", "%x", p.Magic)
	row("ports", "%d (peers), %d (RPC)", p.Ports.P2P, p.Ports.RPC)
	row("genesis block", "%s", p.GenesisBlock().Hash)
	row("genesis time", "%s", time.Unix(int64(p.Genesis.Timestamp), 0).UTC().Format(time.DateTime))
	row("message", "%s", p.Genesis.Message)
	allocated := types.Amount(0)
	coins := p.GenesisCoins()
	for i := range coins {
		allocated += coins[i].Coin.Value
	}
	row("allocations", "%d outputs with %s coins", len(coins), allocated)
	row("spacing", "%s", time.Duration(p.TargetSpacing)*time.Second)
	if p.Difficulty.Algorithm == consensus.DifficultyASERT {
		row("difficulty", "ASERT with a half-life of %s", time.Duration(p.Difficulty.HalfLife)*time.Second)
	} else {
		row("difficulty", "fixed at bits %08x", p.Genesis.Bits)
	}
	row("easiest target", "%s", p.PowLimit)
	row("subsidy", "%s, halved every %d blocks", p.InitialSubsidy, p.HalvingInterval)
	row("most coins ever", "%s", p.MaxMoney)
	row("maturity", "%d blocks", p.CoinbaseMaturity)
	row("weight limit", "%d", p.MaxBlockWeight)
	return w.Flush()
}

// networkHash prints the one value that two people compare to know that their nodes
// follow the same rules.
func networkHash(c *cli.Context, o *options) error {
	p, err := o.chosen(c)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.App.Writer, p.Identity())
	return nil
}

// networkDiff compares two networks. That they differ is an error, as it is of diff
// and cmp, so that a script can ask. Its text says whether it matters: ports and
// names may differ, rules may not.
func networkDiff(c *cli.Context, o *options) error {
	if c.Args().Len() != 2 {
		return cmdline.Usagef("network diff needs two networks, each of them main, dev or a file")
	}
	a, err := karat.FindNetwork(o.dataDir, c.Args().Get(0))
	if err != nil {
		return err
	}
	b, err := karat.FindNetwork(o.dataDir, c.Args().Get(1))
	if err != nil {
		return err
	}
	differences := network.Diff(a, b)
	if len(differences) == 0 {
		return nil
	}
	w := cmdline.Table(c.App.Writer, 0)
	fmt.Fprintf(w, "field\t%s\t%s\n", c.Args().Get(0), c.Args().Get(1))
	for _, d := range differences {
		fmt.Fprintf(w, "%s\t%s\t%s\n", d.Field, orNone(d.A), orNone(d.B))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if a.Identity() != b.Identity() {
		return errors.New("the networks have different identities: their nodes cannot talk to each other")
	}
	return errors.New("the networks differ, but have the same identity: their nodes can talk to each other")
}

// orNone shows a field that is not there as a dash, since a cell without text would
// look like a mistake of the table.
func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
