package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// terminal returns where a person can be asked.
func terminal(c *cli.Context) (*os.File, bool) {
	in, ok := c.App.Reader.(*os.File)
	return in, ok && term.IsTerminal(int(in.Fd()))
}

// ask puts a question to a person and returns what read does. If the command is
// interrupted meanwhile the terminal is as it was before, whatever read has made
// of it. The reading goroutine is left behind; the process is about to end.
func ask(c *cli.Context, in *os.File, question string, read func() (string, error)) (string, error) {
	if err := c.Context.Err(); err != nil {
		return "", err
	}
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return "", err
	}
	fmt.Fprint(c.App.ErrWriter, question)
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := read()
		got <- answer{text, err}
	}()
	select {
	case a := <-got:
		return a.text, a.err
	case <-c.Context.Done():
		fmt.Fprintln(c.App.ErrWriter)
		return "", errors.Join(c.Context.Err(), term.Restore(int(in.Fd()), before))
	}
}

// askLine asks for a line, which is seen while it is typed. Without one it is
// empty.
func askLine(c *cli.Context, in *os.File, question string) (string, error) {
	return ask(c, in, question, func() (string, error) {
		line, err := bufio.NewReader(in).ReadString('\n')
		if err != nil { // the line's end was not typed either
			fmt.Fprintln(c.App.ErrWriter)
		}
		return strings.TrimSpace(line), nil
	})
}

func askSecret(c *cli.Context, in *os.File, question string) (string, error) {
	fd := int(in.Fd())
	return ask(c, in, question, func() (string, error) {
		secret, err := term.ReadPassword(fd)
		fmt.Fprintln(c.App.ErrWriter)
		if errors.Is(err, io.EOF) {
			err = errors.New("no passphrase came")
		}
		return string(secret), err
	})
}

// askPassphrase returns the passphrase: from a file, or from a person, who types
// a new one twice.
func askPassphrase(c *cli.Context, isNew bool) (string, error) {
	passphrase, err := passphraseOf(c, isNew)
	if err == nil && isNew && passphrase == "" && !c.Bool(flagNoPassphrase) {
		return "", fmt.Errorf("%w: the passphrase is empty; if that is what you want, use --%s", errUsage, flagNoPassphrase)
	}
	return passphrase, err
}

func passphraseOf(c *cli.Context, isNew bool) (string, error) {
	path := c.String(flagPassphrase)
	switch {
	case isNew && c.Bool(flagNoPassphrase) && path != "":
		return "", fmt.Errorf("%w: --%s and --%s exclude each other", errUsage, flagPassphrase, flagNoPassphrase)
	case isNew && c.Bool(flagNoPassphrase):
		return "", nil
	case path == "-":
		return firstLine(c.App.Reader)
	case path != "":
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		return firstLine(f)
	}
	in, ok := terminal(c)
	if !ok {
		hint := ""
		if isNew {
			hint = ", or make a wallet without one by --" + flagNoPassphrase
		}
		return "", fmt.Errorf("%w: nobody can be asked for the passphrase here: name a file with --%s%s", errUsage, flagPassphrase, hint)
	}
	passphrase, err := askSecret(c, in, "Passphrase: ")
	if err != nil || !isNew || passphrase == "" {
		return passphrase, err
	}
	again, err := askSecret(c, in, "Once more:  ")
	if err == nil && again != passphrase {
		err = errors.New("the passphrases differ; nothing was made")
	}
	return passphrase, err
}

// firstLine returns the first line, without its end.
func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 1<<16)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// wordNumber is what create prints before each word.
var wordNumber = regexp.MustCompile(`^[0-9]{1,2}[.)]?$`)

// readWords reads a mnemonic: all of standard input, or what a person types. Words
// may be on several lines and have numbers, as create prints them.
func readWords(c *cli.Context) (string, error) {
	var text string
	if in, ok := terminal(c); ok {
		var err error
		if text, err = ask(c, in, "Words, on one line or ended by an empty one: ", func() (string, error) { return typedWords(in) }); err != nil {
			return "", err
		}
	} else {
		data, err := io.ReadAll(io.LimitReader(c.App.Reader, 1<<16))
		if err != nil {
			return "", err
		}
		text = string(data)
	}
	words := slices.DeleteFunc(strings.Fields(text), wordNumber.MatchString)
	if len(words) == 0 {
		return "", errors.New("no words came")
	}
	return strings.Join(words, " "), nil
}

// typedWords reads lines up to an empty one, or one that may hold all words.
func typedWords(in io.Reader) (string, error) {
	const least = 12
	var text strings.Builder
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		words := len(strings.Fields(lines.Text()))
		text.WriteString(lines.Text() + "\n")
		if words == 0 || words >= least {
			break
		}
	}
	return text.String(), lines.Err()
}
