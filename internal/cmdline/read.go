package cmdline

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
)

// maxRead bounds what is read of a file, in bytes: the name may be that of a device,
// or of a chain's worth of blocks.
const maxRead = 1 << 20

// Await returns what read returns, or the context's error if the context ends first.
// Opening or reading a pipe or a terminal cannot be stopped from outside. So read
// goes on by itself, and what it returns later is lost; that is no matter in a program
// that is about to end.
func Await[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// Open opens a file, or takes stdin if the name is -. It may wait: see Await.
func Open(name string, stdin io.Reader) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(stdin), nil
	}
	return os.Open(name)
}

// ReadFile returns the content of a file, or all of stdin if the name is -. It refuses
// more than a mebibyte, and gives up when the context ends.
func ReadFile(ctx context.Context, name string, stdin io.Reader) (string, error) {
	return Await(ctx, func() (string, error) {
		f, err := Open(name, stdin)
		if err != nil {
			return "", err
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxRead+1))
		if err == nil && len(data) > maxRead {
			err = fmt.Errorf("%s: it has more than %d bytes", name, maxRead)
		}
		return string(data), err
	})
}

// FirstLine returns the first line of a file, or of stdin if the name is -, without
// the end of the line. That is how files hold passwords and passphrases: an editor
// adds a line's end that is not part of them. Some begin a file with a mark of its byte
// order, which is no part of them either. It refuses a line of a mebibyte, waits for no second
// line, and gives up when the context ends.
func FirstLine(ctx context.Context, name string, stdin io.Reader) (string, error) {
	return Await(ctx, func() (string, error) {
		f, err := Open(name, stdin)
		if err != nil {
			return "", err
		}
		defer f.Close()
		line, err := bufio.NewReader(io.LimitReader(f, maxRead)).ReadString('\n')
		switch {
		case len(line) == maxRead:
			// A secret that is cut would be another one, and nobody would be told.
			err = fmt.Errorf("%s: its first line has %d bytes or more", name, maxRead)
		case errors.Is(err, io.EOF):
			err = nil
		}
		return strings.TrimPrefix(strings.TrimRight(line, "\r\n"), "\ufeff"), err
	})
}

// Password returns the password for --rpc-user and --rpc-password-file, which both
// programs have. It is empty without a user. A password is never the value of a flag:
// everybody on the machine can read the command lines of all processes.
func Password(c *cli.Context, user, file string) (string, error) {
	if (user == "") != (file == "") {
		return "", Usagef("--rpc-user and --rpc-password-file go together")
	}
	if user == "" {
		return "", nil
	}
	password, err := FirstLine(c.Context, file, c.App.Reader)
	if err == nil && password == "" {
		err = fmt.Errorf("the file %s is empty", file)
	}
	if err != nil {
		return "", fmt.Errorf("--rpc-password-file: %w", err)
	}
	return password, nil
}
