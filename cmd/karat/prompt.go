package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

// askPassphrase returns the passphrase, from the file that a flag names or from
// whoever sits at the terminal. A new one is typed twice, because a slip would lock
// the wallet for good, and is never empty by accident: a script whose variable is
// unset must not make a wallet that anybody can open.
func askPassphrase(c *cli.Context, isNew bool) (string, error) {
	passphrase, err := passphraseOf(c, isNew)
	if err == nil && isNew && passphrase == "" && !c.Bool(flagNoPassphrase) {
		return "", cmdline.Usagef("the passphrase is empty: if you want none, use --%s", flagNoPassphrase)
	}
	return passphrase, err
}

// passphraseOf looks for the passphrase where the flags say, and asks only if they say
// nothing.
func passphraseOf(c *cli.Context, isNew bool) (passphrase string, err error) {
	path := c.String(flagPassphrase)
	switch {
	case isNew && c.Bool(flagNoPassphrase) && path != "":
		return "", cmdline.Usagef("--%s and --%s exclude each other", flagPassphrase, flagNoPassphrase)
	case isNew && c.Bool(flagNoPassphrase):
		return "", nil
	case path != "":
		return cmdline.FirstLine(c.Context, path, c.App.Reader)
	}
	in, ok := cmdline.Terminal(c.App.Reader)
	if !ok {
		hint := ""
		if isNew {
			hint = ", or make a wallet without one with --" + flagNoPassphrase
		}
		return "", cmdline.Usagef("there is no terminal to ask for the passphrase: name a file with --%s%s", flagPassphrase, hint)
	}
	defer func() {
		if errors.Is(err, io.EOF) {
			err = errors.New("no passphrase was typed: nothing was done")
		}
	}()
	passphrase, err = cmdline.AskSecret(c.Context, in, c.App.ErrWriter, "Passphrase: ")
	if err != nil || !isNew || passphrase == "" {
		return passphrase, err
	}
	again, err := cmdline.AskSecret(c.Context, in, c.App.ErrWriter, "Once more:  ")
	if err == nil && again != passphrase {
		err = errors.New("the passphrases differ: nothing was made")
	}
	return passphrase, err
}

// passphraseTries is how often a passphrase may be typed.
const passphraseTries = 3

// withPassphrase opens what the passphrase of a wallet's file protects. Whoever types a wrong
// one may type again: what was agreed to before, such as a payment, need not be typed anew.
func withPassphrase[T any](c *cli.Context, f *wallet.File, open func(passphrase string) (T, error)) (result T, err error) {
	if !f.NeedsPassphrase() {
		return open("")
	}
	for try := 1; ; try++ {
		passphrase, err := askPassphrase(c, false)
		if err != nil {
			return result, err
		}
		result, err = open(passphrase)
		_, isTyped := cmdline.Terminal(c.App.Reader)
		if !errors.Is(err, wallet.ErrPassphrase) || try == passphraseTries || !isTyped || c.String(flagPassphrase) != "" {
			return result, err
		}
		fmt.Fprintln(c.App.ErrWriter, "That is not the passphrase. Try again, or give up with Ctrl-C.")
	}
}

// wordNumber is what create prints before each word.
var wordNumber = regexp.MustCompile(`^[0-9]{1,2}[.)]?$`)

// readWords reads a mnemonic: what somebody types, or all of standard input. The
// words may stand on several lines and have numbers, so that what create printed can
// be pasted as it is.
func readWords(c *cli.Context) (string, error) {
	var text string
	var err error
	if in, ok := cmdline.Terminal(c.App.Reader); ok {
		text, err = cmdline.Ask(c.Context, in, c.App.ErrWriter, "Words, on one line or ended by an empty line: ", func() (string, error) { return typedWords(in) })
	} else {
		text, err = cmdline.ReadFile(c.Context, "-", c.App.Reader)
	}
	if err != nil {
		return "", err
	}
	words := slices.DeleteFunc(strings.Fields(text), wordNumber.MatchString)
	if len(words) == 0 {
		return "", errors.New("no words were given: type them, or pass them on standard input")
	}
	return strings.Join(words, " "), nil
}

// typedWords reads lines up to an empty one, or one that may hold all words: nobody
// who pastes them should have to know that an empty line is waited for.
func typedWords(in io.Reader) (string, error) {
	const fewest = 12
	var text strings.Builder
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		words := len(strings.Fields(lines.Text()))
		text.WriteString(lines.Text() + "\n")
		if words == 0 || words >= fewest {
			break
		}
	}
	return text.String(), lines.Err()
}
