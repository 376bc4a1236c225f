package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
	"github.com/karatcoin/karat/wallet/bip39"
)

// The flags of commands that make a wallet.
const (
	flagSecond     = "bip39-passphrase"
	flagSecondFile = "bip39-passphrase-file"
	flagLanguage   = "language"
	flagBirthday   = "birthday"
	flagGap        = "gap"
	flagWatch      = "watch"
)

// making is what the flags say of a wallet to be made.
type making struct{ gap, words int64 }

// flags returns the flags of every command that makes a wallet.
func (m *making) flags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		passphraseFlag(),
		&cli.BoolFlag{Name: flagNoPassphrase, Usage: "do not encrypt the file"},
		&cli.BoolFlag{Name: flagSecond, Usage: "ask for BIP39's passphrase, the \"25th word\": with another one the same words are another wallet"},
		&cli.StringFlag{Name: flagSecondFile, Usage: "read BIP39's passphrase from the first line of `FILE`"},
		&cli.StringFlag{Name: flagLanguage, Usage: "the words are of `LANGUAGE`: " + strings.Join(bip39.Languages, ", ")},
		&cli.StringFlag{Name: flagBirthday, Usage: "look for payments from `BLOCK` on: a height, or a date such as 2026-01-31"},
		&cli.GenericFlag{Name: flagGap, Value: cmdline.Number(&m.gap, wallet.GapLimit, 1, wallet.MaxGapLimit), Usage: "watch `N` addresses behind the last one that was paid; the first sync takes longer with more"},
		jsonFlag(),
	}, more...)
}

// contents returns what the flags say of the file.
func (m *making) contents(c *cli.Context) (contents wallet.Contents, err error) {
	contents.GapLimit = uint32(m.gap)
	if text := c.String(flagBirthday); text != "" {
		contents.Birthday, err = parseBirthday(text, time.Now())
	}
	return contents, err
}

// parseBirthday reads a height or a date.
func parseBirthday(text string, now time.Time) (b wallet.Birthday, err error) {
	if height, err := strconv.ParseUint(text, 10, 32); err == nil {
		b.Height = uint32(height)
		return b, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return b, cmdline.Usagef("--%s %.40q: want the height of a block, or a date such as 2026-01-31", flagBirthday, text)
	}
	if day.After(now) {
		return b, cmdline.Usagef("--%s %s is in the future", flagBirthday, text)
	}
	b.Time = max(day.Unix(), 1) // 0 is: nobody knows
	return b, nil
}

func createCommand() *cli.Command {
	m := &making{}
	return &cli.Command{
		Name: "create", Usage: "make a wallet and show its words, once",
		Description: "The words are the wallet: whoever has them has the coins, and without them the coins\n" +
			"are lost with the file. Write them down on paper. The passphrase only protects the file.\n\n" +
			"   karat create                                     12 words, and a passphrase for the file\n" +
			"   karat create --words 24 --language spanish       more words, of another language",
		Flags: m.flags(
			&cli.GenericFlag{Name: "words", Value: cmdline.Number(&m.words, 12, 12, 24), Usage: "make `N` words: 12, 15, 18, 21 or 24"},
			&cli.StringSliceFlag{Name: flagWatch, Usage: "make no words: only watch the outputs of `DESCRIPTOR`; may be repeated"},
			&cli.StringFlag{Name: flagFaucet, Usage: "then ask the faucet at this `URL` for coins, as karat faucet does"},
		),
		Action: func(c *cli.Context) error { return create(c, m) },
	}
}

// create makes a wallet. The order matters: the words are shown only when the file
// is safely stored, so that nobody is paid at words that no file has.
func create(c *cli.Context, making *making) error {
	if !bip39.IsCount(int(making.words)) {
		return cmdline.Usagef("--words %d: want 12, 15, 18, 21 or 24", making.words)
	}
	contents, err := making.contents(c)
	if err != nil {
		return err
	}
	var asked *faucet
	if text := c.String(flagFaucet); text != "" {
		if asked, err = newFaucet(text); err != nil {
			return err
		}
	}
	if list := c.StringSlice(flagWatch); len(list) > 0 {
		return createWatching(c, contents, list)
	}
	m, err := wallet.NewMnemonic(int(making.words), cmp.Or(c.String(flagLanguage), bip39.English))
	if err != nil {
		return cmdline.Usagef("--%s: %w", flagLanguage, err)
	}
	h, err := findHome(c)
	if err != nil {
		return err
	}
	if asked != nil {
		if _, err := h.checkFaucet(c, asked); err != nil {
			return fmt.Errorf("nothing was made: %w", err)
		}
	}
	if !c.IsSet(flagBirthday) {
		if contents.Birthday.Index, err = h.birthday(c); err != nil {
			return err
		}
	}
	contents.Words = wallet.Words{Mnemonic: m.String(), Language: m.Language}
	path, f, err := h.createFile(c, contents)
	if err != nil {
		return err
	}
	if err := h.showCreated(c, path, f, m); err != nil {
		// Nobody has seen the words, so nobody can miss the file.
		return errors.Join(fmt.Errorf("nothing was made, since the words could not be shown: %w", err), os.Remove(path))
	}
	if asked == nil {
		return nil
	}
	got, err := h.fromFaucet(c, asked)
	if err != nil {
		return fmt.Errorf("the wallet is made, and has nothing yet: %w", err)
	}
	if c.Bool(flagJSON) { // it is one value, and has been printed
		return nil
	}
	return got.print(c)
}

// showCreated shows the words of a new wallet, and where it is.
func (h home) showCreated(c *cli.Context, path string, f *wallet.File, m *bip39.Mnemonic) error {
	out := c.App.Writer
	if c.Bool(flagJSON) {
		made := h.made(c, path, f)
		made["mnemonic"], made["language"] = strings.Join(m.Words(), " "), m.Language
		return cmdline.PrintJSON(out, made)
	}
	if err := cmdline.Line(out, "The words of your wallet. Write them down now; only karat mnemonic shows them again:"); err != nil {
		return err
	}
	fmt.Fprintln(out)
	printWords(c, m)
	if c.Bool(flagSecond) || c.String(flagSecondFile) != "" {
		fmt.Fprintln(out, "\nWithout its BIP39 passphrase they are another wallet: keep both, in two places.")
	}
	fmt.Fprintln(out)
	return cmdline.Line(out, "wallet %s on network %s made in %s", c.String(flagWallet), h.params.Name, path)
}

// made is what is said in JSON of a wallet that was made.
func (h home) made(c *cli.Context, path string, f *wallet.File) map[string]any {
	made := map[string]any{"wallet": c.String(flagWallet), "network": h.params.Name, "file": path, "watch_only": f.IsWatchOnly()}
	if !f.IsWatchOnly() {
		made["fingerprint"] = f.Fingerprint()
	}
	return made
}

// birthday returns the tip of the chain. Nothing can have been paid to words before they
// existed, so the wallet need not look at older blocks. If no node says where the chain is,
// the first sync takes longer, and that is all.
func (h home) birthday(c *cli.Context) (types.Index, error) {
	tip, err := h.tip(c)
	// A mistake in --rpc is no such node: it is reported.
	if interrupted := c.Context.Err(); interrupted != nil || errors.Is(err, cmdline.ErrUsage) {
		return types.Index{}, cmp.Or(interrupted, err)
	} else if err != nil {
		return types.Index{}, nil
	}
	return tip, nil
}

// printWords prints a mnemonic in numbered columns, so that a word that was skipped
// while copying is noticed. readWords takes the numbers too.
func printWords(c *cli.Context, m *bip39.Mnemonic) {
	printNumbered(c, m.Words())
}

func printNumbered(c *cli.Context, words []string) {
	for i, word := range words {
		fmt.Fprintf(c.App.Writer, "  %2d. %s%s", i+1, word, strings.Repeat(" ", max(1, 11-cmdline.Width(word))))
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
	ctx, cancel := context.WithTimeout(c.Context, nodeTime)
	defer cancel()
	err = node.Call(ctx, "getbestblock", &best)
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

// createFile writes the file of a new wallet and returns its path. It asks for what is still
// lacking: the passphrases.
func (h home) createFile(c *cli.Context, contents wallet.Contents) (string, *wallet.File, error) {
	path, err := h.newPath(c)
	if err != nil {
		return "", nil, err
	}
	passphrase := ""
	if contents.Words.Mnemonic != "" {
		if contents.Words.Passphrase, err = askSecond(c); err != nil {
			return "", nil, err
		}
		if passphrase, err = askPassphrase(c, true); err != nil {
			return "", nil, err
		}
	}
	f, err := wallet.CreateFile(path, h.params, contents, passphrase)
	if errors.Is(err, fs.ErrExist) { // made while the passphrase was typed
		return "", nil, h.exists(c, path)
	}
	return path, f, err
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

// openPassphrase returns the passphrase that opens a file, and asks for it only if there is one.
func openPassphrase(c *cli.Context, f *wallet.File) (string, error) {
	return withPassphrase(c, f, func(passphrase string) (string, error) {
		_, err := f.Words(passphrase)
		return passphrase, err
	})
}

func mnemonicCommand() *cli.Command {
	return &cli.Command{
		Name: "mnemonic", Usage: "show the words of the wallet again",
		Flags:  []cli.Flag{passphraseFlag(), jsonFlag()},
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
	m, second, err := openWords(c, f)
	if err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		out := map[string]any{"mnemonic": strings.Join(m.Words(), " "), "language": m.Language}
		if second != "" {
			out["bip39_passphrase"] = second
		}
		return cmdline.PrintJSON(c.App.Writer, out)
	}
	printWords(c, m)
	if second != "" {
		fmt.Fprintf(c.App.Writer, "\nTheir BIP39 passphrase, without which they are another wallet: %s\n", second)
	}
	return nil
}

// openWords opens the words of a wallet, and their BIP39 passphrase.
func openWords(c *cli.Context, f *wallet.File) (m *bip39.Mnemonic, second string, err error) {
	if f.IsWatchOnly() {
		return nil, "", wallet.ErrNoWords
	}
	words, err := withPassphrase(c, f, f.Words)
	if err != nil {
		return nil, "", err
	}
	m, err = wallet.ParseMnemonic(words.Mnemonic, words.Language)
	return m, words.Passphrase, err
}

func passphraseCommand() *cli.Command {
	return &cli.Command{
		Name: "passphrase", Usage: "change the passphrase that protects the wallet's file",
		Description: "The words stay as they are, and so do copies of the file that were made before: those are\n" +
			"still opened by the old passphrase.\n\n" +
			"   karat passphrase                          asks for the old and the new one\n" +
			"   karat passphrase --no-passphrase          takes the protection away",
		Flags: []cli.Flag{
			passphraseFlag(),
			&cli.StringFlag{Name: "new-passphrase-file", Usage: "read the new passphrase from the first line of `FILE`"},
			&cli.BoolFlag{Name: flagNoPassphrase, Usage: "do not encrypt the file any more"},
			jsonFlag(),
		},
		Action: changePassphrase,
	}
}

// openOwn finds the file of a wallet that has words, for a command that changes it, and asks for
// its passphrase.
func openOwn(c *cli.Context) (h home, path, passphrase string, err error) {
	if h, err = findHome(c); err != nil {
		return h, "", "", err
	}
	dir, f, err := h.openFile(c)
	if err != nil {
		return h, "", "", err
	}
	if f.IsWatchOnly() {
		return h, "", "", wallet.ErrNoWords
	}
	passphrase, err = openPassphrase(c, f)
	return h, filepath.Join(dir, wallet.FileName), passphrase, err
}

// changePassphrase asks for the old passphrase first, and sees that it is right before the new
// one is typed twice.
func changePassphrase(c *cli.Context) error {
	h, path, old, err := openOwn(c)
	if err != nil {
		return err
	}
	passphrase, err := newPassphrase(c, "new-passphrase-file", "New passphrase: ", "Once more:      ")
	if err != nil {
		return err
	}
	if err := wallet.ChangePassphrase(path, h.params, old, passphrase); err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, map[string]any{"wallet": c.String(flagWallet), "encrypted": passphrase != ""})
	}
	_, err = fmt.Fprintf(c.App.Writer, "the passphrase of wallet %s was changed\n", c.String(flagWallet))
	return err
}

func descriptorsCommand() *cli.Command {
	return &cli.Command{
		Name: "descriptors", Usage: "print the descriptors, by which another program can watch the wallet",
		Description: "Whoever has them sees every payment, and can spend nothing.\n\n" +
			"   karat descriptors                                                 one for receiving, one for change\n" +
			"   bitcoin-cli importdescriptors \"$(karat descriptors --core)\"       let Bitcoin Core watch them",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "multipath", Usage: "print one for each account, of both branches (BIP389)"},
			&cli.BoolFlag{Name: "core", Usage: "print what Bitcoin Core's importdescriptors takes"},
			jsonFlag(),
		},
		Action: descriptors,
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
	core, list := []coreImport{}, []map[string]any{}
	for _, a := range f.Accounts() {
		list = append(list, map[string]any{"account": a.Number(), "name": a.Name(), "multipath": a.Descriptor(), "descriptors": a.Descriptors()})
		for branch, text := range a.Descriptors() {
			one := coreImport{Desc: text, Timestamp: f.Birthday().Time, Internal: branch == int(wallet.Change)}
			if strings.Contains(text, "*") {
				one.Active, one.Range = a.Number() == 0, []uint32{0, coreRange - 1}
			}
			core = append(core, one)
		}
	}
	switch {
	case c.Bool("core"):
		return cmdline.PrintJSON(c.App.Writer, core)
	case c.Bool(flagJSON):
		return cmdline.PrintJSON(c.App.Writer, list)
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

// coreRange is how many scripts of a descriptor Bitcoin Core makes by itself.
const coreRange = 1000

// coreImport is an element of importdescriptors' list. A wallet of Core has one active
// descriptor for each branch, from which it takes new addresses: here those of the first
// account. Without a time of birth it looks through all blocks.
type coreImport struct {
	Desc      string   `json:"desc"`
	Timestamp int64    `json:"timestamp"`
	Active    bool     `json:"active"`
	Internal  bool     `json:"internal"`
	Range     []uint32 `json:"range,omitempty"`
}
