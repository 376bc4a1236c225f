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
		Description: "The words are the wallet: whoever has them has the coins, and without them the coins\n" +
			"are lost with the file. Write them down on paper. The passphrase only protects the file.",
		Flags: []cli.Flag{
			passphraseFlag(),
			&cli.BoolFlag{Name: flagNoPassphrase, Usage: "do not encrypt the file"},
			&cli.GenericFlag{Name: "words", Value: cmdline.Number(&words, 12, 12, 24), Usage: "make `N` words: 12 or 24"},
		},
		Action: func(c *cli.Context) error { return create(c, int(words)) },
	}
}

// create makes a wallet. The order matters: the words are shown only when the file
// is safely stored, so that nobody is paid at words that no file has.
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
	// Nothing can have been paid to these words before they existed, so the wallet
	// need not look at older blocks. If no node says where the chain is, the first
	// sync takes longer, and that is all.
	birthday, err := h.tip(c)
	// A mistake in --rpc is no such node: it is reported.
	if interrupted := c.Context.Err(); interrupted != nil || errors.Is(err, cmdline.ErrUsage) {
		return cmp.Or(interrupted, err)
	} else if err != nil {
		birthday = types.Index{}
	}
	path, err := h.createFile(c, wallet.Contents{Words: wallet.Words{Mnemonic: mnemonic}, Birthday: wallet.Birthday{Index: birthday}})
	if err != nil {
		return err
	}
	out := c.App.Writer
	fmt.Fprintf(out, "The words of your wallet. Write them down now; only karat mnemonic shows them again:\n\n")
	printWords(c, mnemonic)
	if _, err := fmt.Fprintf(out, "\nwallet %s on network %s made in %s\n", c.String(flagWallet), h.params.Name, path); err != nil {
		// Nobody has seen the words, so nobody can miss the file.
		return errors.Join(fmt.Errorf("nothing was made, since the words could not be shown: %w", err), os.Remove(path))
	}
	return nil
}

// printWords prints a mnemonic in numbered columns, so that a word that was skipped
// while copying is noticed. readWords takes the numbers too.
func printWords(c *cli.Context, mnemonic string) {
	words := strings.Fields(mnemonic)
	for i, word := range words {
		fmt.Fprintf(c.App.Writer, "  %2d. %-10s", i+1, word)
		if i%4 == 3 || i == len(words)-1 {
			fmt.Fprintln(c.App.Writer)
		}
	}
}

// tip returns the tip of the node's chain, as the node tells it.
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

// newPath returns where the file of a new wallet belongs. It is an error if there is
// one already: another wallet's words may be nowhere else.
func (h home) newPath(c *cli.Context) (string, error) {
	dir, err := h.walletDir(c)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, wallet.FileName)
	if _, err := os.Lstat(path); err == nil {
		return "", h.exists(c, path)
	}
	return path, nil
}

// exists is the error about a name that is taken. There is no flag to replace a
// wallet: whoever wants that can remove the file, and sees what it was.
func (h home) exists(c *cli.Context, path string) error {
	return fmt.Errorf("there is already a wallet %q, in %s: choose another name with --%s", c.String(flagWallet), path, flagWallet)
}

// createFile writes the file of a new wallet and returns its path.
func (h home) createFile(c *cli.Context, contents wallet.Contents) (string, error) {
	path, err := h.newPath(c)
	if err != nil {
		return "", err
	}
	passphrase, err := askPassphrase(c, true)
	if err != nil {
		return "", err
	}
	_, err = wallet.CreateFile(path, h.params, contents, passphrase)
	if errors.Is(err, fs.ErrExist) { // made while the passphrase was typed
		return "", h.exists(c, path)
	}
	return path, err
}

func restoreCommand() *cli.Command {
	return &cli.Command{
		Name: "restore", Usage: "make a wallet from its words",
		Description: "Asks for the words, or reads them from standard input. Finds all payments again, unless\n" +
			"twenty or more addresses in a row were given out and never paid.",
		Flags: []cli.Flag{
			passphraseFlag(),
			&cli.BoolFlag{Name: flagNoPassphrase, Usage: "do not encrypt the file"},
		},
		Action: restore,
	}
}

// restore makes a wallet from words. It has no birthday: the first sync looks at
// every block.
func restore(c *cli.Context) error {
	if c.String(flagPassphrase) == "-" {
		return cmdline.Usagef("standard input has the words: name a file with --%s", flagPassphrase)
	}
	h, err := findHome(c)
	if err != nil {
		return err
	}
	if _, err := h.newPath(c); err != nil { // before anybody types twelve words in vain
		return err
	}
	mnemonic, err := readWords(c)
	if err != nil {
		return err
	}
	if err := wallet.CheckMnemonic(mnemonic); err != nil {
		return err
	}
	path, err := h.createFile(c, wallet.Contents{Words: wallet.Words{Mnemonic: mnemonic}})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "wallet %s on network %s restored in %s\n", c.String(flagWallet), h.params.Name, path)
	return nil
}

// walletFile opens the wallet's file for a command that needs nothing else. Such
// commands work while another karat has the wallet's database open, and if it is
// damaged.
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

// showMnemonic decrypts the words, which takes the passphrase even though whoever
// runs this can read the file: the file alone must not be enough.
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
	words, err := f.Words(passphrase)
	if err != nil {
		return err
	}
	printWords(c, words.Mnemonic)
	return nil
}

func descriptorsCommand() *cli.Command {
	return &cli.Command{
		Name: "descriptors", Usage: "print the descriptors, by which another program can watch the wallet",
		Description: "Whoever has them sees every payment, and can spend nothing.",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "multipath", Usage: "print one for each account, of both branches (BIP389)"}},
		Action:      descriptors,
	}
}

// descriptors prints both branches, as a program that watches only one would miss the
// change of every payment. The public keys in them are not encrypted in the file, so
// no passphrase is asked for.
func descriptors(c *cli.Context) error {
	f, err := walletFile(c)
	if err != nil {
		return err
	}
	for _, a := range f.Accounts() {
		if c.Bool("multipath") {
			fmt.Fprintln(c.App.Writer, a.Descriptor())
			continue
		}
		for _, text := range a.Descriptors() {
			fmt.Fprintln(c.App.Writer, text)
		}
	}
	return nil
}
