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

// Terminal returns a stream as the terminal that it is, if it is one: somebody can
// be asked there, or sees a line drawn over.
func Terminal(stream any) (*os.File, bool) {
	f, ok := stream.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// Ask puts a question to the person at a terminal and returns what read makes of
// the answer. If the context ends meanwhile the terminal is as it was before,
// whatever read has made of it.
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

// AskLine asks for a line, which is seen while it is typed, and returns it without
// spaces around it. The error is io.EOF if the person ended the input (Ctrl-D).
func AskLine(ctx context.Context, in *os.File, out io.Writer, question string) (string, error) {
	return Ask(ctx, in, out, question, func() (string, error) {
		// A terminal hands over one line a read, so nothing of the next answer is
		// lost in the reader's buffer.
		line, err := bufio.NewReader(in).ReadString('\n')
		if err != nil { // the line's end was not typed either
			fmt.Fprintln(out)
		}
		return strings.TrimSpace(line), err
	})
}

// AskSecret asks for a line that is not seen while it is typed. Ctrl-D means
// nothing there.
func AskSecret(ctx context.Context, in *os.File, out io.Writer, question string) (string, error) {
	return Ask(ctx, in, out, question, func() (string, error) {
		secret, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(out)
		return string(secret), err
	})
}
