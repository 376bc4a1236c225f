package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
	"github.com/karatcoin/karat/wallet/bip39"
)

// askPassphrase returns the passphrase, from the file that a flag names or from
// whoever sits at the terminal.
func askPassphrase(c *cli.Context, isNew bool) (string, error) {
	if isNew {
		return newPassphrase(c, flagPassphrase, "Passphrase: ", "Once more:  ")
	}
	passphrase, asked, err := secretOf(c, flagPassphrase, "Passphrase: ", "")
	if err == nil && !asked {
		return "", noTerminal("the passphrase", flagPassphrase, "")
	}
	return passphrase, err
}

// newPassphrase returns a new one. It is typed twice, because a slip would lock the wallet for
// good, and is never empty by accident: a script whose variable is unset must not make a wallet
// that anybody can open.
func newPassphrase(c *cli.Context, flag, question, again string) (string, error) {
	switch given := c.String(flag) != ""; {
	case c.Bool(flagNoPassphrase) && given:
		return "", cmdline.Usagef("--%s and --%s exclude each other", flag, flagNoPassphrase)
	case c.Bool(flagNoPassphrase):
		return "", nil
	}
	passphrase, asked, err := secretOf(c, flag, question, again)
	if err == nil && !asked {
		return "", noTerminal("the passphrase", flag, ", or make a wallet without one with --"+flagNoPassphrase)
	}
	if err == nil && passphrase == "" {
		return "", cmdline.Usagef("the passphrase is empty: if you want none, use --%s", flagNoPassphrase)
	}
	return passphrase, err
}

// askSecond returns BIP39's passphrase if a flag says that there is one. Whatever is typed is
// right, and makes another wallet, so it is typed twice.
func askSecond(c *cli.Context) (string, error) {
	if !c.Bool(flagSecond) && c.String(flagSecondFile) == "" {
		return "", nil
	}
	passphrase, asked, err := secretOf(c, flagSecondFile, "BIP39 passphrase: ", "Once more:        ")
	if err == nil && !asked {
		return "", noTerminal("BIP39's passphrase", flagSecondFile, "")
	}
	if err == nil && passphrase == "" {
		return "", cmdline.Usagef("BIP39's passphrase is empty: if there is none, leave --%s out", flagSecond)
	}
	return passphrase, err
}

// passphraseTries is how often a passphrase may be typed.
const passphraseTries = 3

// withPassphrase opens what the passphrase of a wallet's file protects. Whoever types a wrong
// one may type again: what was agreed to before, such as a payment, need not be typed anew.
func withPassphrase[T any](c *cli.Context, f interface{ NeedsPassphrase() bool }, open func(passphrase string) (T, error)) (result T, err error) {
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

func noTerminal(what, flag, hint string) error {
	return cmdline.Usagef("there is no terminal to ask for %s: name a file with --%s%s", what, flag, hint)
}

// secretOf returns a secret from the file that a flag names, or from whoever sits at the
// terminal. again is the question by which it is typed a second time, if it is not empty.
func secretOf(c *cli.Context, flag, question, again string) (secret string, asked bool, err error) {
	defer func() {
		if errors.Is(err, io.EOF) { // Ctrl-D
			err = errors.New("no passphrase was typed: nothing was done")
		}
	}()
	if path := c.String(flag); path != "" {
		secret, err = cmdline.FirstLine(c.Context, path, c.App.Reader)
		return secret, true, err
	}
	in, ok := cmdline.Terminal(c.App.Reader)
	if !ok {
		return "", false, nil
	}
	secret, err = cmdline.AskSecret(c.Context, in, c.App.ErrWriter, question)
	if err != nil || again == "" || secret == "" {
		return secret, true, err
	}
	second, err := cmdline.AskSecret(c.Context, in, c.App.ErrWriter, again)
	if err == nil && second != secret {
		err = errors.New("the passphrases differ: nothing was changed")
	}
	return secret, true, err
}

// readWords reads a mnemonic: what somebody types, or all of standard input. The words may
// stand on several lines and have numbers, so that what create printed can be pasted as it is.
func readWords(c *cli.Context) (string, error) {
	in, ok := cmdline.Terminal(c.App.Reader)
	var text string
	var err error
	if ok {
		text, err = typedWords(c, in)
	} else {
		text, err = cmdline.ReadFile(c.Context, "-", c.App.Reader)
	}
	if err == nil && len(bip39.Split(text)) == 0 {
		err = errors.New("no words were given: type them, or pass them on standard input")
	}
	return text, err
}

// typedWords reads lines up to an empty one, or until there are as many words as a mnemonic may
// have. Nobody who pastes twelve words knows whether more come, so they end with Enter; and what
// is wrong with a word is said when all are read, or else the rest of a paste would go to the
// shell. What is typed is not shown: it may be pasted by mistake, and is a secret anyway.
func typedWords(c *cli.Context, in *os.File) (string, error) {
	fmt.Fprintln(c.App.ErrWriter, "Type or paste the words, on one line or several. They are not shown.")
	question, text := "Words: ", ""
	for {
		line, err := cmdline.AskSecret(c.Context, in, c.App.ErrWriter, question)
		text += line + "\n"
		words := len(bip39.Split(text))
		switch {
		case errors.Is(err, io.EOF):
			return text, nil
		case err != nil:
			return "", err
		case strings.TrimSpace(line) == "" || words >= bip39.MaxWords:
			return text, nil
		case bip39.IsCount(words):
			question = fmt.Sprintf("%d words; Enter to finish, or go on: ", words)
		default:
			question = fmt.Sprintf("%d words; go on: ", words)
		}
	}
}
