// Command karat is the wallet. It holds the keys, and asks a node for everything
// else.
//
// The files follow what people do: keys.go and restore.go make wallets, send.go pays,
// stuck.go helps payments that wait, psbt.go lets several sign, show.go and history.go list
// what there is, rpc.go calls the node. All of them use open.go, which finds the wallet
// and the node that the flags name, and prompt.go, which asks for secrets. A command here
// reads its flags, calls package wallet and prints; what a wallet is and how it syncs is
// told there.
//
// Results go to standard output. Questions, progress and warnings go to standard
// error, so that txid=$(karat send …) works while somebody is asked.
package main

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/internal/cmdline"
)

// errDeclined is returned when somebody answers no. It is a failure: a script that
// goes on after a payment must not go on without one.
var errDeclined = errors.New("nothing was sent")

func main() { cmdline.Main(run) }

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, std cmdline.Streams) int {
	app, e := newApp(std), &explainer{}
	app.Before = func(c *cli.Context) error {
		e.c = c
		return readConfig(c)
	}
	return cmdline.Program{App: app, Untouched: "rpc", Reads: reads, Explain: e.explain}.Run(ctx, args)
}

// reads are the commands that only show something.
var reads = []string{
	"addresses", "balance", "history", "tx", "coins", "wallets", "accounts", "paper", "labels", "labels export", "multisig key", "psbt show",
	"verify-message", "verify", "status", "nodes", "info", "mnemonic", "descriptors", "completion",
}

// newApp returns the program. The commands are in the order in which a new user needs
// them, which is that of the help text.
func newApp(std cmdline.Streams) *cli.App {
	return &cli.App{
		Name:  "karat",
		Usage: "a wallet for karat networks",
		Description: "The keys stay in an encrypted file on this machine. Everything else comes from a node,\n" +
			"which learns no address: the wallet checks headers and block filters itself and\n" +
			"fetches only the blocks that concern it.\n\n" +
			"   karat --network dev create              make a wallet; write the words down\n" +
			"   karat --network dev address             get an address to be paid at\n" +
			"   karat --network dev balance             see what you have\n" +
			"   karat --network dev send ADDRESS 1.5    pay\n" +
			"   karat --network dev rpc getblockcount   ask the node anything\n\n" +
			"Flags may stand before or after the command. The environment can set those of all\n" +
			"commands too: --rpc-user is KARAT_RPC_USER. So can karat.toml in the data directory, with\n" +
			"lines such as network = \"dev\". The command line wins over the environment, and that\n" +
			"over the file.\n\n" +
			"Exit codes: 0 done; 1 it could not be done; 2 the command line was not understood;\n" +
			"3 shown from what the wallet knew before, as the node could not be asked, or is behind.",
		Flags: globalFlags(),
		Commands: []*cli.Command{
			createCommand(), restoreCommand(), addressCommand(), addressesCommand(), balanceCommand(), historyCommand(), txCommand(), coinsCommand(),
			walletsCommand(), accountsCommand(), importCommand(), backupCommand(), paperCommand(), passphraseCommand(),
			labelCommand(), labelsCommand(), watchCommand(),
			sendCommand(), faucetCommand(),
			bumpCommand(), cancelCommand(), cpfpCommand(), rebroadcastCommand(), abandonCommand(), consolidateCommand(),
			multisigCommand(), scriptCommand(), psbtCommand(),
			signMessageCommand(), verifyMessageCommand(),
			notarizeCommand(), proofCommand(), verifyCommand(),
			statusCommand(),
			syncCommand(), connectCommand(), nodesCommand(), infoCommand(), mnemonicCommand(), descriptorsCommand(), rpcCommand(),
			cmdline.CompletionCommand("karat"), cmdline.ManCommand("karat"),
		},
		DisableSliceFlagSeparator: true, // a label may have a comma
		Version:                   karat.Version,
		Reader:                    std.In,
		Writer:                    std.Out,
		ErrWriter:                 std.Err,
	}
}
