// Command karatd is the karat node.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
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
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signals = append(signals, syscall.SIGHUP) // a terminal was closed
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
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
		fmt.Fprintln(stderr, "karatd: interrupted; what was done up to here is stored")
		return exitFailure
	default:
		fmt.Fprintf(stderr, "karatd: %s\n", message(err))
		return exitFailure
	}
}

// message returns what an error says, each thing once: a fault of the disk is
// reported by each part that meets it.
func message(err error) string {
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func newApp(stdout, stderr io.Writer) *cli.App {
	usage := func(_ *cli.Context, err error, _ bool) error { return fmt.Errorf("%w: %w", errUsage, err) }
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
		OnUsageError:         usage,
		ExitErrHandler:       func(*cli.Context, error) {},
		EnableBashCompletion: true,
		Version:              karat.Version,
		Writer:               stdout,
		ErrWriter:            stderr,
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
