package cmdline

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Terminal returns the terminal that a stream is, or a program's writer goes to, if it
// is one: somebody can be asked there, and a line there can be drawn over.
func Terminal(stream any) (*os.File, bool) {
	f, ok := Stream(stream).(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// Ask asks a question at a terminal, and returns what read makes of the answer. If the
// context ends meanwhile, the terminal is put back into the state it was in, whatever
// read has made of it: a shell that does not show what is typed is a riddle to most.
func Ask(ctx context.Context, in *os.File, out io.Writer, question string, read func() (string, error)) (string, error) {
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return "", err
	}
	if _, err := fmt.Fprint(out, question); err != nil {
		return "", err
	}
	answer, err := Await(ctx, read)
	if interrupted := ctx.Err(); interrupted != nil {
		fmt.Fprintln(out) // what comes next begins on a line of its own
		return "", errors.Join(interrupted, term.Restore(int(in.Fd()), before))
	}
	return answer, err
}

// AskLine asks for a line, which is shown while it is typed, and returns it without
// the spaces around it. The error is io.EOF after Ctrl-D.
func AskLine(ctx context.Context, in *os.File, out io.Writer, question string) (string, error) {
	line, err := Ask(ctx, in, out, question, func() (string, error) {
		// A terminal hands over one line at a time, so the buffer of this reader never
		// holds anything of the next answer.
		line, err := bufio.NewReader(in).ReadString('\n')
		return strings.TrimSpace(line), err
	})
	if err != nil && ctx.Err() == nil { // nor was the end of the line typed
		fmt.Fprintln(out)
	}
	return line, err
}

// AskSecret asks for a line that is not shown while it is typed. Ctrl-D has no meaning
// there.
func AskSecret(ctx context.Context, in *os.File, out io.Writer, question string) (string, error) {
	secret, err := Ask(ctx, in, out, question, func() (string, error) {
		secret, err := term.ReadPassword(int(in.Fd()))
		return string(secret), err
	})
	if ctx.Err() == nil {
		fmt.Fprintln(out)
	}
	return secret, err
}
