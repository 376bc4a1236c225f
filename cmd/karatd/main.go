// Command karatd is the node.
//
// options.go is the table of all flags, and makes a node's configuration of them. web.go,
// pool.go and others have those of a part, and config.go reads those that stand in a file.
// run.go runs the node, and reload.go reads its options again. The other commands:
//
//   - blocks.go imports, exports and verifies blocks, and coins.go counts coins, in the data
//     directory, while no node runs;
//   - network.go, newnetwork.go and simulate.go make, compare and judge genesis files;
//     pack.go makes the file by which others join, and join.go, fetch.go and bootstrap.go use it;
//   - status.go and doctor.go ask a node how it is, and outside.go looks where none answers;
//   - dev.go, devnet.go and devconsole.go are a chain to develop on;
//   - seed.go crawls and answers DNS;
//   - rpc.go and invite.go make users of RPC;
//   - warehouse.go starts karat-events.
//
// What a node is, and the order in which it starts and ends, is package node's.
//
// Results go to standard output. The log, progress and errors go to standard error.
package main

import (
	"context"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/internal/cmdline"
)

func main() {
	becomeEvents(os.Args)
	cmdline.Main(run)
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, std cmdline.Streams) int {
	return cmdline.Program{App: newApp(&options{args: args}, std)}.Run(ctx, args)
}

// newApp returns the program. Without a command it runs the node, as bitcoind does, so
// that a service file needs no more than its flags.
func newApp(o *options, std cmdline.Streams) *cli.App {
	return &cli.App{
		Name:  "karatd",
		Usage: "a small, fast, complete proof-of-work full node",
		Description: "karatd keeps a validated chain in a data directory, syncs it with peers, mines,\n" +
			"and answers JSON-RPC. The wallet is a program of its own, karat.\n\n" +
			"   karatd --network dev --mine                   run a chain of your own on this machine\n" +
			"   karatd --mine --mine-to ADDRESS               run and mine on the main network\n" +
			"   karatd --network coin.json import blocks.dat  validate and store the blocks of a file\n" +
			"   karatd network new --name mycoin > coin.json  begin a network of your own\n\n" +
			"Flags may stand before or after the command. They can also be set by the environment\n" +
			"(--rpc-listen is KARAT_RPC_LISTEN) and by the lines of a TOML file, see --config\n" +
			"(rpc-listen = \"127.0.0.1:9554\"). The command line wins over the environment, and the\n" +
			"environment over the file.\n\n" +
			"Exit codes: 0 done; 1 it could not be done, or something wrong was found; 2 the\n" +
			"command line was not understood.",
		Flags: o.flags(),
		Commands: []*cli.Command{
			devCommand(o),
			runCommand(o), importCommand(o), exportCommand(o), verifyCommand(o), coinsCommand(o), networkCommand(o), seedCommand(o), rpcauthCommand(), inviteCommand(o),
			statusCommand(o), doctorCommand(o),
			bootstrapCommand(o),
			eventsCommand(),
			cmdline.CompletionCommand("karatd"), cmdline.ManCommand("karatd"),
		},
		DefaultCommand: "run",
		Version:        karat.Version,
		Reader:         std.In,
		Writer:         std.Out,
		ErrWriter:      std.Err,
	}
}
