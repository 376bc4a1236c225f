// Command karat is the karat wallet. It holds the keys, and asks a node for
// everything else.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/wallet"
)

// errDeclined is for a person who answers no.
var errDeclined = errors.New("nothing was sent")

func main() { cmdline.Main(run) }

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, std cmdline.Streams) int {
	return cmdline.Program{App: newApp(std), Untouched: "rpc", Explain: explain}.Run(ctx, args)
}

// explain returns what to tell of a node's errors: what can be done about it, or
// what bitcoin-cli prints, which scripts look at.
func explain(err error) (string, bool) {
	var refused *rpc.Error
	switch {
	case errors.Is(err, wallet.ErrUnsure): // which may have been interrupted, and says more
		return fmt.Sprintf("karat: %v", err), true
	case errors.Is(err, rpc.ErrUnreachable):
		return fmt.Sprintf("karat: %v; start one with karatd, or name another with --%s URL", err, flagRPC), true
	case errors.As(err, &refused) && refused == err:
		return fmt.Sprintf("error code: %d\nerror message:\n%s", refused.Code, refused.Message), true
	}
	return "", false
}

func newApp(std cmdline.Streams) *cli.App {
	return &cli.App{
		Name:  "karat",
		Usage: "a wallet for karat networks",
		Description: "The keys stay in this program's encrypted file. Everything else is asked of a node,\n" +
			"which learns no address: the wallet checks headers and block filters itself and\n" +
			"fetches only the blocks that concern it.\n\n" +
			"   karat --network dev create              make a wallet; write the words down\n" +
			"   karat --network dev address             an address to be paid at\n" +
			"   karat --network dev balance             what there is\n" +
			"   karat --network dev send ADDRESS 1.5    pay\n" +
			"   karat --network dev rpc getblockcount   ask the node anything\n\n" +
			"A flag may stand before or behind the command. The environment can set those of all\n" +
			"commands too: --rpc-user is KARAT_RPC_USER.\n\n" +
			"Exit codes: 0 done; 1 it could not be done; 2 the command line was not understood.",
		Flags: globalFlags(),
		Commands: []*cli.Command{
			createCommand(), restoreCommand(), addressCommand(), addressesCommand(), balanceCommand(), historyCommand(), coinsCommand(),
			sendCommand(), syncCommand(), infoCommand(), mnemonicCommand(), descriptorsCommand(), rpcCommand(),
		},
		EnableBashCompletion: true,
		Version:              karat.Version,
		Reader:               std.In,
		Writer:               std.Out,
		ErrWriter:            std.Err,
	}
}
