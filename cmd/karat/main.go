// Command karat is the karat wallet. It holds the keys, and asks a node for
// everything else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/wallet"
)

// Exit codes of karat.
const (
	exitOK      = 0
	exitFailure = 1 // the job could not be done
	exitUsage   = 2 // the command line is not understood
)

// errUsage marks an error in the command line.
var errUsage = errors.New("usage")

// errDeclined is for a person who answers no.
var errDeclined = errors.New("nothing was sent")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := newApp(stdin, stdout, stderr)
	err := app.RunContext(ctx, args)
	var refused *rpc.Error
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "karat: %s\nSee karat --help.\n", strings.TrimPrefix(err.Error(), errUsage.Error()+": "))
		return exitUsage
	case errors.Is(err, wallet.ErrUnsure):
		fmt.Fprintf(stderr, "karat: %v\n", err)
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "karat: interrupted")
	case errors.Is(err, rpc.ErrUnreachable):
		fmt.Fprintf(stderr, "karat: %v\nStart one with karatd, or name another with --rpc URL.\n", err)
	case errors.As(err, &refused) && refused == err:
		fmt.Fprintf(stderr, "error code: %d\nerror message:\n%s\n", refused.Code, refused.Message)
	default:
		fmt.Fprintf(stderr, "karat: %v\n", err)
	}
	return exitFailure
}

func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
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
			"Exit codes: 0 done; 1 it could not be done; 2 the command line was not understood.",
		Flags: globalFlags(),
		Commands: []*cli.Command{
			createCommand(), restoreCommand(), addressCommand(), addressesCommand(), balanceCommand(), historyCommand(), coinsCommand(),
			sendCommand(), syncCommand(), infoCommand(), mnemonicCommand(), descriptorsCommand(), rpcCommand(),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fmt.Errorf("%w: there is no command %q", errUsage, c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
		OnUsageError:         usageError,
		ExitErrHandler:       func(*cli.Context, error) {},
		EnableBashCompletion: true,
		Version:              karat.Version,
		Reader:               stdin,
		Writer:               stdout,
		ErrWriter:            stderr,
	}
}

func usageError(_ *cli.Context, err error, _ bool) error { return fmt.Errorf("%w: %w", errUsage, err) }

// noArguments refuses arguments where a command takes none.
func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return fmt.Errorf("%w: %s takes no argument %q", errUsage, c.Command.FullName(), c.Args().First())
	}
	return nil
}
