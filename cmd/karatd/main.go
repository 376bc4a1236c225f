// Command karatd is the karat node.
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
)

// Exit codes of karatd.
const (
	exitOK      = 0
	exitFailure = 1 // the job could not be done, or found something wrong
	exitUsage   = 2 // the command line is not understood
)

// errUsage marks an error in the command line.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal is obeyed in order; a second ends the process at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := newApp(stdout, stderr)
	switch err := app.RunContext(ctx, args); {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "karatd: %s\nSee karatd --help.\n", strings.TrimPrefix(err.Error(), errUsage.Error()+": "))
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "karatd: interrupted; everything up to here is stored")
		return exitFailure
	default:
		fmt.Fprintf(stderr, "karatd: %v\n", err)
		return exitFailure
	}
}

func newApp(stdout, stderr io.Writer) *cli.App {
	usage := func(_ *cli.Context, err error, _ bool) error { return fmt.Errorf("%w: %w", errUsage, err) }
	return &cli.App{
		Name:  "karatd",
		Usage: "a small, fast, complete proof-of-work full node",
		Description: "karatd keeps a validated chain in a data directory. Blocks come from files in\n" +
			"Bitcoin's bootstrap format for now:\n\n" +
			"   karatd --network dev coins                    look at the coins of the dev network\n" +
			"   karatd --network coin.json import blocks.dat  validate and store blocks\n" +
			"   karatd network new --name mycoin > coin.json  begin a network of your own\n\n" +
			"Exit codes: 0 done; 1 it could not be done, or something wrong was found; 2 the\n" +
			"command line was not understood.",
		Flags:                globalFlags(),
		Commands:             []*cli.Command{importCommand(), exportCommand(), verifyCommand(), coinsCommand(), networkCommand()},
		Action:               noCommand,
		OnUsageError:         usage,
		ExitErrHandler:       func(*cli.Context, error) {},
		EnableBashCompletion: true,
		HideVersion:          true,
		Writer:               stdout,
		ErrWriter:            stderr,
	}
}

// noCommand answers a command line without a command, or with one that does
// not exist.
func noCommand(c *cli.Context) error {
	if c.Args().Present() {
		return fmt.Errorf("%w: there is no command %q", errUsage, c.Args().First())
	}
	return cli.ShowAppHelp(c)
}

// noArguments refuses arguments where a command takes none.
func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return fmt.Errorf("%w: %s takes no argument %q", errUsage, c.Command.FullName(), c.Args().First())
	}
	return nil
}
