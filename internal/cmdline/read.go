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

// maxRead bounds what is read of a file or stream that may not be what it seems.
const maxRead = 1 << 20

// Await returns what read does, or the context's error if that ends first. A read
// of a terminal or a pipe cannot be ended from outside: it is left behind, and
// what it brings is lost. The program is about to end.
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

// open opens a file; - is stdin. Opening may wait too, as that of a pipe does.
func open(name string, stdin io.Reader) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(stdin), nil
	}
	return os.Open(name)
}

// ReadFile returns the content of a file, or what stdin brings up to its end if
// the name is -. It refuses more than a mebibyte, and gives up when the context
// ends.
func ReadFile(ctx context.Context, name string, stdin io.Reader) (string, error) {
	return Await(ctx, func() (string, error) {
		f, err := open(name, stdin)
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

// FirstLine returns the first line of a file, or of stdin if the name is -,
// without its end: what a file with a password or a passphrase holds. It does not
// wait for a second line, and gives up when the context ends.
func FirstLine(ctx context.Context, name string, stdin io.Reader) (string, error) {
	return Await(ctx, func() (string, error) {
		f, err := open(name, stdin)
		if err != nil {
			return "", err
		}
		defer f.Close()
		line, err := bufio.NewReader(io.LimitReader(f, maxRead)).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return strings.TrimRight(line, "\r\n"), err
	})
}

// Password returns the password of a user, for --rpc-user and --rpc-password-file,
// which both programs have. Without a user there is none. It is never a flag's
// value: others on the machine would see it in the list of processes.
func Password(c *cli.Context, user, file string) (string, error) {
	if (user == "") != (file == "") {
		return "", Usagef("--rpc-user and --rpc-password-file go together")
	}
	if user == "" {
		return "", nil
	}
	password, err := FirstLine(c.Context, file, c.App.Reader)
	if err == nil && password == "" {
		err = fmt.Errorf("--rpc-password-file: the file %s is empty", file)
	}
	return password, err
}
