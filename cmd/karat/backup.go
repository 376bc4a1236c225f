package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/wallet"
)

const flagBackup = "backup"

func backupCommand() *cli.Command {
	return &cli.Command{
		Name: "backup", Usage: "write everything that the wallet knows into one encrypted file", ArgsUsage: "FILE",
		Description: "The words bring back the coins. The file brings back the rest as well: accounts and their\n" +
			"descriptors, labels, locked coins, which addresses were given out, payments that wait.\n" +
			"It is opened by the wallet's passphrase. karat restore --backup FILE makes the wallet of it.",
		Flags: []cli.Flag{
			passphraseFlag(),
			&cli.BoolFlag{Name: flagNoPassphrase, Usage: "do not encrypt the backup of a wallet that has no passphrase"},
			jsonFlag(),
		},
		Action: withWallet(backup),
	}
}

// backup writes a new file: a backup in the place of an older one could be the worse of the two.
func backup(c *cli.Context, o *opened) error {
	if c.NArg() != 1 {
		return cmdline.Usagef("backup wants the name of a FILE, or - for standard output")
	}
	path := c.Args().First()
	if _, err := os.Lstat(path); err == nil && path != "-" {
		return fmt.Errorf("%s is there already: choose another name", path)
	}
	var passphrase string
	var err error
	if o.file.NeedsPassphrase() { // the file is not better protected by another, since the wallet is not
		passphrase, err = openPassphrase(c, o.file)
	} else {
		passphrase, err = askPassphrase(c, true)
	}
	if err != nil {
		return err
	}
	data, err := o.Backup(passphrase)
	if err != nil {
		return err
	}
	if path == "-" {
		_, err = c.App.Writer.Write(data)
		return err
	}
	if err := wholefile.ReplaceBytes(path, data); err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, map[string]any{"file": path, "bytes": len(data), "encrypted": passphrase != ""})
	}
	_, err = fmt.Fprintf(c.App.Writer, "wallet %s was backed up in %s\n", c.String(flagWallet), path)
	return err
}

// restoreBackup makes a wallet of a backup.
func restoreBackup(c *cli.Context, h home, path string) error {
	file, err := h.newPath(c)
	if err != nil {
		return err
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	b, err := wallet.ReadBackup(in, h.params)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	open := func(passphrase string) (*wallet.File, error) { return b.Restore(filepath.Dir(file), passphrase) }
	f, err := withPassphrase(c, b, open)
	if errors.Is(err, fs.ErrExist) {
		return h.exists(c, file)
	} else if err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, h.made(c, file, f))
	}
	return cmdline.Line(c.App.Writer, "wallet %s on network %s restored in %s", c.String(flagWallet), h.params.Name, file)
}

func paperCommand() *cli.Command {
	return &cli.Command{
		Name: "paper", Usage: "print a page to keep: words, descriptors, and how to restore",
		Description: "Whoever has the page has the coins. With --no-words it lets others watch only.\n\n" +
			"   karat paper | lpr              to a printer that keeps no copies",
		Flags: []cli.Flag{
			passphraseFlag(),
			&cli.BoolFlag{Name: "no-words", Usage: "leave the words out"},
			jsonFlag(),
		},
		Action: paper,
	}
}

// paper prints what a person who has nothing else needs, years later and perhaps without karat.
func paper(c *cli.Context) error {
	h, err := findHome(c)
	if err != nil {
		return err
	}
	_, f, err := h.openFile(c)
	if err != nil {
		return err
	}
	var words []string
	language, second := "", ""
	if !c.Bool("no-words") && !f.IsWatchOnly() {
		m, passphrase, err := openWords(c, f)
		if err != nil {
			return err
		}
		words, language, second = m.Words(), m.Language, passphrase
	}
	if c.Bool(flagJSON) {
		accounts := []map[string]any{}
		for _, a := range f.Accounts() {
			accounts = append(accounts, map[string]any{"name": a.Name(), "descriptor": a.Descriptor(), "watch_only": a.IsWatchOnly()})
		}
		out := h.made(c, "", f)
		delete(out, "file")
		out["accounts"], out["birthday"], out["identity"] = accounts, f.Birthday().Height, h.params.Identity()
		if words != nil {
			out["mnemonic"], out["language"], out["bip39_passphrase"] = strings.Join(words, " "), language, second != ""
		}
		return cmdline.PrintJSON(c.App.Writer, out)
	}
	return h.printPaper(c, f, words, language, second != "")
}

func (h home) printPaper(c *cli.Context, f *wallet.File, words []string, language string, second bool) error {
	out := c.App.Writer
	fmt.Fprintf(out, "WALLET %s\n\nnetwork      %s\n             %s\nprinted      %s\n", c.String(flagWallet), h.params.Name, h.params.Identity(), time.Now().Format(time.DateOnly))
	if b := f.Birthday(); b.Height > 0 {
		fmt.Fprintf(out, "birthday     block %d: nothing was paid to it before\n", b.Height)
	} else if b.Time > 0 {
		fmt.Fprintf(out, "birthday     %s: nothing was paid to it before\n", time.Unix(b.Time, 0).UTC().Format(time.DateOnly))
	}
	if !f.IsWatchOnly() {
		fmt.Fprintf(out, "master key   %s (fingerprint)\n", f.Fingerprint())
	}
	if f.GapLimit() != wallet.GapLimit {
		fmt.Fprintf(out, "gap limit    %d\n", f.GapLimit())
	}
	if words != nil {
		fmt.Fprintf(out, "\nWORDS (BIP39, %s). Whoever reads them has the coins.\n\n", strings.ReplaceAll(language, "_", " "))
		printNumbered(c, words)
		if second {
			fmt.Fprintln(out, "\nThe words have a BIP39 passphrase, which is not on this page. Keep it elsewhere:\nwithout it they are another wallet.")
		}
	}
	fmt.Fprintln(out, "\nDESCRIPTORS (BIP380). Whoever reads them sees all payments, and spends nothing.")
	for _, a := range f.Accounts() {
		fmt.Fprintf(out, "\n%d. %s\n%s\n", a.Number(), a.Name(), a.Descriptor())
	}
	fmt.Fprintln(out, "\nTO RESTORE")
	sums := "the end of each descriptor (behind #)\nis a checksum"
	if words != nil {
		fmt.Fprintf(out, "\n   karat --network %s restore%s\n\nand type the words. Any program that knows BIP39 and BIP86 finds account 0 at\nthe path in its descriptor.", c.String(flagNetwork), map[bool]string{true: " --bip39-passphrase"}[second])
		fmt.Fprintln(out, " Add each other account by its descriptor\n(karat import).")
		sums = "the last word and the end of each\ndescriptor (behind #) are checksums"
	} else {
		fmt.Fprintf(out, "\n   karat --network %s -w NAME import 'DESCRIPTOR'\n\nonce for each descriptor, which makes a wallet that only watches.\n", c.String(flagNetwork))
	}
	_, err := fmt.Fprintf(out, "\nA letter that was copied wrong is found: %s.\n", sums)
	return err
}
