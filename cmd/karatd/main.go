// Command karatd is the karat node.
package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/internal/cmdline"
)

func main() { cmdline.Main(run) }

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, std cmdline.Streams) int {
	return cmdline.Program{App: newApp(std)}.Run(ctx, args)
}

func newApp(std cmdline.Streams) *cli.App {
	return &cli.App{
		Name:  "karatd",
		Usage: "a small, fast, complete proof-of-work full node",
		Description: "karatd keeps a validated chain in a data directory, syncs it with peers, mines,\n" +
			"and answers JSON-RPC. The wallet is a program of its own, karat.\n\n" +
			"   karatd --network dev --mine                   a chain of your own on this machine\n" +
			"   karatd --mine --mine-to ADDRESS               run and mine on the main network\n" +
			"   karatd --network coin.json import blocks.dat  validate and store blocks of a file\n" +
			"   karatd network new --name mycoin > coin.json  begin a network of your own\n\n" +
			"Without a command it runs the node: see karatd run --help.\n\n" +
			"Exit codes: 0 done; 1 it could not be done, or something wrong was found; 2 the\n" +
			"command line was not understood.",
		Flags:                runFlags(env),
		Commands:             []*cli.Command{runCommand(), importCommand(), exportCommand(), verifyCommand(), coinsCommand(), networkCommand()},
		Action:               defaultCommand,
		EnableBashCompletion: true,
		Version:              karat.Version,
		Reader:               std.In,
		Writer:               std.Out,
		ErrWriter:            std.Err,
	}
}

// defaultCommand runs the node if no command is named.
func defaultCommand(c *cli.Context) error {
	if c.Args().Present() {
		return noCommand(c)
	}
	return runNode(c)
}

// noCommand answers a command line without a command, or with one that does
// not exist.
func noCommand(c *cli.Context) error {
	if c.Args().Present() {
		return cmdline.Usagef("there is no command %q", c.Args().First())
	}
	return cli.ShowAppHelp(c)
}

// noArguments refuses arguments where a command takes none.
func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return cmdline.Usagef("%s takes no argument %q", c.Command.FullName(), c.Args().First())
	}
	return nil
}
