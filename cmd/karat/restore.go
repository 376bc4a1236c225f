package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
	"github.com/karatcoin/karat/wallet/bip39"
)

func restoreCommand() *cli.Command {
	m := &making{}
	return &cli.Command{
		Name: "restore", Usage: "make a wallet from its words",
		Description: "Asks for the words, or reads them from standard input: 12, 15, 18, 21 or 24 of any of BIP39's\n" +
			"languages, with or without numbers. Finds all payments again, unless twenty or more addresses\n" +
			"in a row (--gap) were given out and never paid.\n\n" +
			"   karat restore                              asks for the words\n" +
			"   karat restore --bip39-passphrase           asks for a passphrase of the words, too\n" +
			"   karat restore --birthday 2026-01-31        looks at no older blocks\n" +
			"   karat restore --backup FILE                takes all from a file that karat backup wrote",
		Flags:  m.flags(&cli.StringFlag{Name: flagBackup, Usage: "restore what karat backup wrote into `FILE`, instead of words"}),
		Action: func(c *cli.Context) error { return restore(c, m) },
	}
}

// restore makes a wallet from words. Without a birthday the first sync looks at every block.
func restore(c *cli.Context, making *making) error {
	if path := c.String(flagBackup); path != "" {
		h, err := findHome(c)
		if err != nil {
			return err
		}
		return restoreBackup(c, h, path)
	}
	for _, flag := range []string{flagPassphrase, flagSecondFile} {
		if c.String(flag) == "-" {
			return cmdline.Usagef("standard input has the words: name a file with --%s", flag)
		}
	}
	contents, err := making.contents(c)
	if err != nil {
		return err
	}
	h, err := findHome(c)
	if err != nil {
		return err
	}
	if _, err := h.newPath(c); err != nil { // before anybody types twelve words in vain
		return err
	}
	text, err := readWords(c)
	if err != nil {
		return err
	}
	m, err := parseWords(c, text)
	if err != nil {
		return err
	}
	contents.Words = wallet.Words{Mnemonic: m.String(), Language: m.Language}
	path, f, err := h.createFile(c, contents)
	if err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, h.made(c, path, f))
	}
	err = cmdline.Line(c.App.Writer, "wallet %s on network %s restored in %s", c.String(flagWallet), h.params.Name, path)
	if err != nil || contents.Words.Passphrase == "" && !c.Bool(flagSecond) && c.String(flagSecondFile) == "" {
		return err
	}
	return cmdline.Line(c.App.Writer, "master key %s: if your wallet had another, the BIP39 passphrase is not that of the wallet", f.Fingerprint())
}

// parseWords reads a mnemonic. Whoever typed it at a terminal types a word that is in no list
// again, and not all of them; an empty line gives up.
func parseWords(c *cli.Context, text string) (*bip39.Mnemonic, error) {
	for {
		m, err := wallet.ParseMnemonic(text, c.String(flagLanguage))
		err = explainWords(err)
		var wrong *bip39.WordError
		in, isTyped := cmdline.Terminal(c.App.Reader)
		words := bip39.Split(text)
		if !errors.As(err, &wrong) || !isTyped || !bip39.IsCount(len(words)) {
			return m, err
		}
		cmdline.Say(c.App.ErrWriter, "karat: %v", err)
		line, asked := cmdline.AskSecret(c.Context, in, c.App.ErrWriter, fmt.Sprintf("Word %d again, or Enter to give up: ", wrong.Place))
		again := bip39.Split(line)
		switch {
		case asked != nil && !errors.Is(asked, io.EOF):
			return nil, asked
		case len(again) == 0:
			return nil, errors.New("a word is missing: nothing was made")
		}
		words[wrong.Place-1] = again[0]
		text = strings.Join(words, " ")
	}
}

// explainWords adds what to do about words that are wrong.
func explainWords(err error) error {
	var word *bip39.WordError
	if errors.As(err, &word) && len(word.Near) == 0 {
		return fmt.Errorf("%w; if the words are of another language, name it with --%s", err, flagLanguage)
	}
	return err
}
