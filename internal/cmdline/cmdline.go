// Package cmdline is what karat's two programs do alike on a command line: they
// end with the same exit codes, say what is wrong in one line, obey Ctrl-C
// wherever they read, and ask, show progress and take secrets in one way.
//
// A program is an app of urfave/cli, which parses flags and finds the command, and
// a Main around it:
//
//	func main() { cmdline.Main(run) }
//
//	func run(ctx context.Context, args []string, std cmdline.Streams) int {
//		return cmdline.Run(ctx, cmdline.Program{App: newApp(std)}, args)
//	}
//
// A command returns an error and prints none. It makes mistakes of the command
// line with Usagef, writes its results to App.Writer without looking at each
// write (Run finds out whether one failed), and asks nobody who is not at a
// terminal (Terminal). What a command does is no business of this package.
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

// Exit codes.
const (
	ExitOK      = 0
	ExitFailure = 1 // the job could not be done, or it found something wrong
	ExitUsage   = 2 // the command line is not understood
)

// ErrUsage is the kind of error that a command line can be blamed for.
var ErrUsage = errors.New("usage")

// usageError has the kind ErrUsage and does not say so.
type usageError struct{ error }

// Is reports the kind.
func (usageError) Is(target error) bool { return target == ErrUsage }

// Unwrap returns what was wrong.
func (e usageError) Unwrap() error { return e.error }

// Usagef makes an error of the kind ErrUsage.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Streams are the standard streams of a process, or a test's.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs a program in this process and exits with the code that it returns. The
// first Ctrl-C, SIGTERM or end of the terminal ends the context, so that the
// program can leave everything in order; a second ends the process at once.
func Main(run func(ctx context.Context, args []string, std Streams) int) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	// Under nohup it is ignored, and whoever ran that wants the program to go on.
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args, Streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// Program is a command line program.
type Program struct {
	App *cli.App
	// Untouched is the command whose arguments are not this program's business:
	// behind the first of them, only what begins with two dashes and is a flag of
	// this program is taken for one.
	Untouched string
	// Explain returns what to tell of an error that needs more than its own text,
	// and whether it is one. It may be nil.
	Explain func(error) (text string, ok bool)
}

// Run executes one command line, whose first word is the program's name, tells what
// went wrong, and returns the exit code.
func (p Program) Run(ctx context.Context, args []string) int {
	app := p.App
	out := &output{w: app.Writer}
	app.Writer = out
	app.ExitErrHandler = func(*cli.Context, error) {} // which would exit here
	err := p.execute(ctx, args)
	switch {
	case out.err != nil && err == nil:
		// What the command has changed stays changed: a payment is not sent again
		// because its id could not be shown.
		err = fmt.Errorf("it is done, but the output could not be written: %w", out.err)
	case out.err != nil && errors.Is(err, out.err):
		err = fmt.Errorf("the output could not be written: %w", out.err)
	}
	if err == nil {
		return ExitOK
	}
	fmt.Fprintln(app.ErrWriter, p.explain(err))
	if errors.Is(err, ErrUsage) {
		return ExitUsage
	}
	return ExitFailure
}

// execute executes one command line.
func (p Program) execute(ctx context.Context, args []string) error {
	// The parser's own help, version and complaints would be told beside ours.
	p.App.HideHelp, p.App.HideVersion = true, true
	p.App.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return Usagef("%w", err) }
	for _, command := range allCommands(p.App) {
		command.HideHelp, command.OnUsageError = true, p.App.OnUsageError
	}
	if len(args) > 0 && args[len(args)-1] == completion {
		return p.App.RunContext(ctx, args)
	}
	l, err := p.parse(args[min(1, len(args)):])
	switch {
	case err != nil:
		return err
	case l.version:
		fmt.Fprintf(p.App.Writer, "%s version %s\n", p.App.Name, p.App.Version)
		return nil
	case l.help:
		l.writeHelp(p.App.Writer)
		return nil
	}
	return p.App.RunContext(ctx, l.words())
}

// completion is what a shell puts behind a line that is not complete, to ask for
// the next words.
const completion = "--generate-bash-completion"

// explain returns what to tell of an error.
func (p Program) explain(err error) string {
	if p.Explain != nil {
		if text, ok := p.Explain(err); ok {
			return text
		}
	}
	if errors.Is(err, context.Canceled) {
		return p.App.Name + ": interrupted"
	}
	return p.App.Name + ": " + oneLine(err)
}

// oneLine returns what an error says, each thing once: a fault of the disk is
// reported by each part that meets it.
func oneLine(err error) string {
	var parts []string
	for part := range strings.SplitSeq(err.Error(), "\n") {
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "; ")
}

// output remembers the first write that failed, and takes no more after it.
type output struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	o.err = err
	return n, err
}
