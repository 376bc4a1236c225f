package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

const flagName = "name"

func accountsCommand() *cli.Command {
	return &cli.Command{
		Name: "accounts", Usage: "list the accounts of the wallet",
		Description: "Each account has addresses and coins of its own: --account NAME says which one a command uses.",
		Flags:       []cli.Flag{jsonFlag()},
		Action:      listAccounts,
		Subcommands: []*cli.Command{{
			Name: "new", Usage: "make another account of the wallet's words", ArgsUsage: "NAME",
			Description: "The words bring it back: restore, and make the accounts in the same order.\n" +
				"A payment from one account spends no coin of another.",
			Flags:  []cli.Flag{passphraseFlag(), jsonFlag()},
			Action: newOwnAccount,
		}},
	}
}

func listAccounts(c *cli.Context) error {
	if c.NArg() > 0 {
		return cmdline.Usagef("accounts wants no arguments; accounts new NAME makes one")
	}
	f, err := walletFile(c)
	if err != nil {
		return err
	}
	rows := cmdline.NewRows(c, cmdline.Column{Title: "account", Right: true}, cmdline.Column{Title: "name", Fit: cmdline.End},
		cmdline.Column{Title: "kind", Fit: cmdline.End}, cmdline.Column{Title: "descriptor", Fit: cmdline.Below})
	out := []map[string]any{}
	for _, a := range f.Accounts() {
		kind := "own"
		if a.IsWatchOnly() {
			kind = "only watches"
		}
		out = append(out, map[string]any{"account": a.Number(), "name": a.Name(), "watch_only": a.IsWatchOnly(), "descriptor": a.Descriptor()})
		rows.Add(strconv.FormatUint(uint64(a.Number()), 10), a.Name(), kind, a.Descriptor())
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, out)
	}
	return rows.Flush()
}

func newOwnAccount(c *cli.Context) error {
	if c.NArg() != 1 {
		return cmdline.Usagef("accounts new wants a NAME")
	}
	h, path, passphrase, err := openOwn(c)
	if err != nil {
		return err
	}
	a, err := wallet.AddAccount(path, h.params, passphrase, wallet.NamedDescriptor{Name: c.Args().First()})
	if err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		return h.showAccount(c, a)
	}
	_, err = fmt.Fprintf(c.App.Writer, "account %d, %s: use it with --%s %s\n", a.Number(), a.Name(), flagAccount, a.Name())
	return err
}

func importCommand() *cli.Command {
	m := &making{}
	return &cli.Command{
		Name: "import", Usage: "watch what descriptors say, of other programs too", ArgsUsage: "DESCRIPTOR|FILE…",
		Description: "A FILE has a descriptor in each line, or is what Bitcoin Core's listdescriptors prints. Two\n" +
			"descriptors that differ in receiving and change alone are one account. The accounts are added\n" +
			"to the wallet; if there is none of that name, one is made that only watches.\n\n" +
			"   karat -w cold import 'tr([…]xpub…/<0;1>/*)#…'          watch an account\n" +
			"   bitcoin-cli listdescriptors | karat -w core import -   watch a wallet of Bitcoin Core\n\n" +
			"Payments are looked for from the first block on, unless --birthday says from when.",
		Flags: []cli.Flag{
			passphraseFlag(),
			&cli.StringFlag{Name: flagName, Usage: "call the accounts `NAME`, or NAME 2, NAME 3…", Value: "imported"},
			&cli.StringFlag{Name: flagBirthday, Usage: "they were not paid before `BLOCK`: a height, or a date such as 2026-01-31"},
			&cli.GenericFlag{Name: flagGap, Value: cmdline.Number(&m.gap, wallet.GapLimit, 1, wallet.MaxGapLimit), Usage: "watch `N` addresses behind the last one that was paid, if a wallet is made"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error { return importAccounts(c, m) },
	}
}

func importAccounts(c *cli.Context, m *making) error {
	if c.NArg() == 0 {
		return cmdline.Usagef("import wants a DESCRIPTOR, in quotes, or a FILE; - is standard input")
	}
	contents, err := m.contents(c)
	if err != nil {
		return err
	}
	h, err := findHome(c)
	if err != nil {
		return err
	}
	var list wallet.Descriptors
	for _, word := range c.Args().Slice() {
		text := word
		if word == "-" || !strings.ContainsRune(word, '(') && !wallet.IsExtendedKey(word) {
			if text, err = cmdline.ReadFile(c.Context, word, c.App.Reader); err != nil {
				return err
			}
		}
		if err := list.Read(text, h.params); err != nil {
			return fmt.Errorf("%s: %w", cmdline.Shorten(word, 60, cmdline.Middle), err)
		}
	}
	if list.Older > 0 {
		fmt.Fprintf(c.App.ErrWriter, "karat: %s of older outputs were left out: this network has taproot only\n", plural(list.Older, "descriptor"))
	}
	if contents.Birthday == (wallet.Birthday{}) && list.Since > 0 {
		contents.Birthday.Time = min(list.Since, time.Now().Unix())
	}
	return h.importInto(c, contents, list.Named(c.String(flagName)))
}

// importInto adds accounts to the wallet, or makes one of them.
func (h home) importInto(c *cli.Context, contents wallet.Contents, accounts []wallet.NamedDescriptor) error {
	dir, err := h.walletDir(c)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, wallet.FileName)
	var added []*wallet.Account
	if !fileExists(path) {
		contents.Accounts = accounts
		f, err := wallet.CreateFile(path, h.params, contents, "")
		if err != nil {
			return err
		}
		added = f.Accounts()
	} else {
		_, f, err := h.openFile(c)
		if err != nil {
			return err
		}
		passphrase := ""
		if !f.IsWatchOnly() {
			if passphrase, err = openPassphrase(c, f); err != nil {
				return err
			}
		}
		if added, err = wallet.ImportAccounts(path, h.params, passphrase, accounts, contents.Birthday); err != nil {
			return err
		}
	}
	out := []map[string]any{}
	for _, a := range added {
		out = append(out, map[string]any{"account": a.Number(), "name": a.Name(), "descriptor": a.Descriptor(), "watch_only": a.IsWatchOnly()})
		if !c.Bool(flagJSON) {
			fmt.Fprintf(c.App.Writer, "account %d, %s: %s\n", a.Number(), a.Name(), a.Descriptor())
		}
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, out)
	}
	return nil
}

// createWatching makes a wallet without words.
func createWatching(c *cli.Context, contents wallet.Contents, descriptors []string) error {
	h, err := findHome(c)
	if err != nil {
		return err
	}
	if _, err := h.newPath(c); err != nil {
		return err
	}
	var list wallet.Descriptors
	for _, text := range descriptors {
		if err := list.Read(text, h.params); err != nil {
			return err
		}
	}
	return h.importInto(c, contents, list.Named("watched"))
}
