// Package cmdline holds what karat's two programs do alike on a command line. They
// end with the same exit codes, say in one line what is wrong, take flags before and
// after a command, obey Ctrl-C wherever they read, and ask questions, show progress
// and read secrets in one way. What a command does is none of its business.
//
// A program is an app of urfave/cli with a Program around it:
//
//	func main() { cmdline.Main(run) }
//
//	func run(ctx context.Context, args []string, std cmdline.Streams) int {
//		return cmdline.Program{App: newApp(std)}.Run(ctx, args)
//	}
//
// A command has three duties. It returns its error and prints none; if the command
// line is to blame, the error comes from Usagef. It writes its results to App.Writer,
// and need not look at each write, because Run notices the first that fails; a text of
// a node or a file goes through Printable where it must stay within its line. And it
// asks only at a terminal, which Terminal finds; a script gets an error that names
// the flag to use instead.
//
// urfave/cli wants flags in a certain order, and does not know that an argument may
// be a negative number. So a command line is taken apart before it gets there; see
// the file arguments.go.
package cmdline

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
)

// The exit codes. ExitUsage means that the same command line fails again, whatever
// else changes.
const (
	ExitOK      = 0
	ExitFailure = 1 // the job could not be done, or it found something wrong
	ExitUsage   = 2 // the command line was not understood
	ExitOld     = 3 // what was shown is what was known before: whether it is still so could not be found out
)

// ErrUsage is the kind of an error that the command line is to blame for.
var ErrUsage = errors.New("usage")

// usageError is of the kind ErrUsage. Its text is that of its cause alone: the word
// "usage" would tell nobody anything.
type usageError struct{ error }

// Is reports the kind.
func (usageError) Is(target error) bool { return target == ErrUsage }

// Unwrap returns what was wrong.
func (e usageError) Unwrap() error { return e.error }

// Usagef makes an error of the kind ErrUsage. Its text names the flag or argument and
// says what is wanted there, such as "--speed 10: want 1 to 9".
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// ErrOld is the kind of an error that comes with a result which may be old.
var ErrOld = errors.New("old")

// oldError is of the kind ErrOld, which its text does not say again.
type oldError struct{ error }

// Is reports the kind.
func (oldError) Is(target error) bool { return target == ErrOld }

// Unwrap returns why nothing newer could be found out.
func (e oldError) Unwrap() error { return e.error }

// Oldf makes an error of the kind ErrOld. Its text says from when the result is, and why.
func Oldf(format string, args ...any) error { return oldError{fmt.Errorf(format, args...)} }

// Streams are the standard streams of a process, or those that a test put in their
// place.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs a program in this process, and exits with the code that it returns. The
// first Ctrl-C, SIGTERM or closed terminal ends the context, so that the program can
// leave everything in order. The second ends the process at once. What SIGHUP does is said at
// OnHangup.
func Main(run func(ctx context.Context, args []string, std Streams) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	ctx, end := context.WithCancel(ctx)
	h := newHangups(end)
	ctx = context.WithValue(ctx, hangupsKey{}, h)
	// A write to a pipe that nobody reads fails, as it does on a full disk, and is told
	// as that. The system would end the process there, in the middle of its work: after
	// Ctrl-C in `karatd 2>&1 | tee log`, tee is gone before the node has logged its last
	// line, and stored what it has.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	code := run(ctx, os.Args, Streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// Program is a program with a command line.
type Program struct {
	App *cli.App
	// Untouched names the command, if there is one, whose arguments are for somebody
	// else. After the first of them, a word is taken for a flag only if it begins
	// with two dashes and is one of this program's.
	Untouched string
	// Reads are the full names of the commands that only show something. Whoever has
	// read enough of that and closes the pipe hears of no failure.
	Reads []string
	// Explain returns what to print for an error that needs more than its own text,
	// and whether this is one. It may be nil.
	Explain func(error) (text string, ok bool)
}

// Run executes one command line, whose first word is the program's name. It prints
// what went wrong, and returns the exit code.
func (p Program) Run(ctx context.Context, args []string) int {
	app := p.App
	out := &output{w: app.Writer, keeps: true}
	app.Writer = out
	app.ErrWriter = &output{w: app.ErrWriter}
	app.ExitErrHandler = func(*cli.Context, error) {} // the library's own would exit
	ran, err := p.execute(ctx, args)
	full := out.end()
	if errors.Is(full, syscall.EPIPE) && (ran == "" || slices.Contains(p.Reads, ran)) {
		// It went to a pager that was left, or to head: nobody misses the rest.
		if full = nil; errors.Is(err, syscall.EPIPE) {
			err = nil
		}
	}
	switch {
	case full != nil && err == nil && ran != "":
		// What the command has changed stays changed. Nobody should send a payment
		// again because its id could not be shown.
		err = fmt.Errorf("it is done, but the output could not be written: %w", full)
	case full != nil && (err == nil || err == full || errors.Is(err, ErrOld)):
		err = fmt.Errorf("the output could not be written: %w", full)
	}
	if err == nil {
		return ExitOK
	}
	fmt.Fprintln(app.ErrWriter, wrap(p.explain(err), Columns(app.ErrWriter)))
	switch {
	case errors.Is(err, ErrUsage):
		return ExitUsage
	case errors.Is(err, ErrOld) && full == nil:
		return ExitOld
	}
	return ExitFailure
}

// execute executes one command line. It returns the full name of the command that ran, which is
// that of the program where there are none, and empty if only help was asked for.
func (p Program) execute(ctx context.Context, args []string) (ran string, err error) {
	// The library has its own help, version and complaints, and would print them
	// beside these.
	p.App.HideHelp, p.App.HideVersion = true, true
	p.App.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return Usagef("%w", err) }
	for _, command := range allCommands(p.App) {
		command.HideHelp, command.OnUsageError = true, p.App.OnUsageError
	}
	if len(args) > 1 && args[len(args)-1] == completing {
		p.complete(args[1 : len(args)-1])
		return "", nil
	}
	l, err := p.parse(args[min(1, len(args)):])
	switch {
	case err != nil:
		return "", err
	case l.version:
		fmt.Fprintf(p.App.Writer, "%s version %s\n", p.App.Name, p.App.Version)
		return "", nil
	case l.help:
		l.writeHelp(p.App.Writer)
		return "", nil
	}
	return l.ran(), p.App.RunContext(ctx, l.words())
}

// explain returns what to print for an error.
func (p Program) explain(err error) string {
	if p.Explain != nil {
		if text, ok := p.Explain(err); ok {
			return text
		}
	}
	if errors.Is(err, context.Canceled) {
		return p.App.Name + ": interrupted"
	}
	return p.App.Name + ": " + OneLine(err)
}

// maxError bounds an error's text, in bytes: a node may send as much as it likes.
const maxError = 2000

// OneLine returns the text of an error in one line, each part of it once: when a disk
// fails, every part of a node that writes to it says so.
func OneLine(err error) string {
	var parts []string
	for part := range strings.SplitSeq(err.Error(), "\n") {
		if part = Printable(part); !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	text := strings.Join(parts, "; ")
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + " …"
	}
	return text
}
