package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

func createCommand() *cli.Command {
	words := int64(0)
	return &cli.Command{
		Name: "create", Usage: "make a wallet and show its words, once",
		Description: "The words are the wallet: who has them has the coins, and without them coins are lost\n" +
			"with the file. Write them down on paper. The passphrase only protects the file.",
		Flags: []cli.Flag{
			passphraseFlag(),
			&cli.BoolFlag{Name: flagNoPassphrase, Usage: "do not encrypt the file"},
			&cli.GenericFlag{Name: "words", Value: cmdline.Number(&words, 12, 12, 24), Usage: "make `N` words: 12 or 24"},
		},
		Action: func(c *cli.Context) error { return create(c, int(words)) },
	}
}

func create(c *cli.Context, words int) error {
	if words != 12 && words != 24 {
		return cmdline.Usagef("--words %d: want 12 or 24", words)
	}
	mnemonic, err := wallet.NewMnemonic(words)
	if err != nil {
		return err
	}
	h, err := findHome(c)
	if err != nil {
		return err
	}
	// Nothing can have been paid to words that did not exist before. A node that does
	// not say where the chain is makes the first sync longer, nothing else.
	birthday, err := h.tip(c)
	if interrupted := c.Context.Err(); interrupted != nil || errors.Is(err, cmdline.ErrUsage) {
		return cmp.Or(interrupted, err)
	} else if err != nil {
		birthday = types.Index{}
	}
	path, err := h.createFile(c, mnemonic, birthday)
	if err != nil {
		return err
	}
	out := c.App.Writer
	fmt.Fprintf(out, "The words of your wallet. Write them down now; they are not shown again by themselves:\n\n")
	printWords(c, mnemonic)
	fmt.Fprintf(out, "\nwallet %s of network %s made in %s\n", c.String(flagWallet), h.params.Name, path)
	return nil
}

// printWords prints a mnemonic in numbered columns.
func printWords(c *cli.Context, mnemonic string) {
	words := strings.Fields(mnemonic)
	for i, word := range words {
		fmt.Fprintf(c.App.Writer, "  %2d. %-10s", i+1, word)
		if i%4 == 3 || i == len(words)-1 {
			fmt.Fprintln(c.App.Writer)
		}
	}
}

// tip returns the tip of the node's chain.
func (h home) tip(c *cli.Context) (types.Index, error) {
	node, err := h.client(c)
	if err != nil {
		return types.Index{}, err
	}
	var best struct {
		Hash   types.Hash `json:"hash"`
		Height uint32     `json:"height"`
	}
	err = node.Call(c.Context, "getbestblock", &best)
	return types.Index{Height: best.Height, Hash: best.Hash}, err
}

// newPath returns where the file of a new wallet belongs, if there is none yet.
func (h home) newPath(c *cli.Context) (string, error) {
	dir, err := h.walletDir(c)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, wallet.FileName)
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("there is a wallet %q already, in %s; choose another name with --%s", c.String(flagWallet), path, flagWallet)
	}
	return path, nil
}

// createFile writes the file of a new wallet and returns its path.
func (h home) createFile(c *cli.Context, mnemonic string, birthday types.Index) (string, error) {
	path, err := h.newPath(c)
	if err != nil {
		return "", err
	}
	passphrase, err := askPassphrase(c, true)
	if err != nil {
		return "", err
	}
	_, err = wallet.CreateFile(path, h.params, mnemonic, passphrase, birthday)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("there is a wallet %q already, in %s", c.String(flagWallet), path)
	}
	return path, err
}

func restoreCommand() *cli.Command {
	return &cli.Command{
		Name: "restore", Usage: "make a wallet from its words",
		Description: "The words are asked for, or read from standard input. All payments are found again, unless\n" +
			"twenty addresses or more in a row were given out and never paid.",
		Flags: []cli.Flag{
			passphraseFlag(),
			&cli.BoolFlag{Name: flagNoPassphrase, Usage: "do not encrypt the file"},
		},
		Action: restore,
	}
}

func restore(c *cli.Context) error {
	if c.String(flagPassphrase) == "-" {
		return cmdline.Usagef("standard input has the words; name a file with --%s", flagPassphrase)
	}
	h, err := findHome(c)
	if err != nil {
		return err
	}
	if _, err := h.newPath(c); err != nil { // before anything is typed
		return err
	}
	mnemonic, err := readWords(c)
	if err != nil {
		return err
	}
	if err := wallet.CheckMnemonic(mnemonic); err != nil {
		return err
	}
	path, err := h.createFile(c, mnemonic, types.Index{})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "wallet %s of network %s restored in %s\n", c.String(flagWallet), h.params.Name, path)
	return nil
}

// walletFile opens the wallet's file for a command that takes no arguments and
// needs nothing else.
func walletFile(c *cli.Context) (*wallet.File, error) {
	h, err := findHome(c)
	if err != nil {
		return nil, err
	}
	_, f, err := h.openFile(c)
	return f, err
}

func mnemonicCommand() *cli.Command {
	return &cli.Command{
		Name: "mnemonic", Usage: "show the words of the wallet again",
		Flags:  []cli.Flag{passphraseFlag()},
		Action: showMnemonic,
	}
}

func showMnemonic(c *cli.Context) error {
	f, err := walletFile(c)
	if err != nil {
		return err
	}
	passphrase := ""
	if f.NeedsPassphrase() {
		if passphrase, err = askPassphrase(c, false); err != nil {
			return err
		}
	}
	mnemonic, err := f.Mnemonic(passphrase)
	if err != nil {
		return err
	}
	printWords(c, mnemonic)
	return nil
}

func descriptorsCommand() *cli.Command {
	return &cli.Command{
		Name: "descriptors", Usage: "print the descriptors, by which another program can watch the wallet",
		Description: "Who has them sees every payment, and can spend nothing.",
		Action:      descriptors,
	}
}

func descriptors(c *cli.Context) error {
	f, err := walletFile(c)
	if err != nil {
		return err
	}
	for _, branch := range []wallet.Branch{wallet.Receive, wallet.Change} {
		fmt.Fprintln(c.App.Writer, f.Account().Descriptor(branch))
	}
	return nil
}
