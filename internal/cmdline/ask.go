package cmdline

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

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

// AskSecret asks for a line that is not shown while it is typed. The error is io.EOF after
// Ctrl-D, and context.Canceled after Ctrl-C.
func AskSecret(ctx context.Context, in *os.File, out io.Writer, question string) (string, error) {
	secret, err := Ask(ctx, in, out, question, func() (string, error) { return readSecret(in) })
	if ctx.Err() == nil {
		fmt.Fprintln(out)
	}
	return secret, err
}

// The keys that mean something while a secret is typed.
const (
	ctrlC     = 0x03
	ctrlD     = 0x04
	ctrlH     = 0x08
	ctrlU     = 0x15
	backspace = 0x7f
)

// readSecret reads a line from a terminal that shows nothing. The library's own reader does not
// see that Ctrl-D was typed. So the terminal hands over every key, and this knows those that a
// terminal knows. Nothing behind the line is read: it may answer the next question.
func readSecret(in *os.File) (string, error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return "", err
	}
	line, err := secretLine(in)
	return line, errors.Join(err, term.Restore(int(in.Fd()), before))
}

// secretLine reads keys up to the end of a line.
func secretLine(in io.Reader) (string, error) {
	var line []byte
	for key := make([]byte, 1); len(line) < maxRead; {
		if n, err := in.Read(key); err != nil {
			return "", err
		} else if n == 0 {
			continue
		}
		switch key[0] {
		case '\r', '\n':
			return string(line), nil
		case ctrlC:
			return "", context.Canceled
		case ctrlD:
			if len(line) == 0 {
				return "", io.EOF
			}
		case ctrlU:
			line = line[:0]
		case ctrlH, backspace:
			_, size := utf8.DecodeLastRune(line)
			line = line[:len(line)-size]
		default:
			line = append(line, key[0])
		}
	}
	return "", errors.New("it is too long")
}
