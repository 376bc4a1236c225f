package main

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

func multisigCommand() *cli.Command {
	return &cli.Command{
		Name: "multisig", Usage: "accounts that several people share",
		Description: "Each prints a key, gives it to the others, and makes the account of all keys:\n\n" +
			"   karat multisig key                                         print yours\n" +
			"   karat multisig new family --threshold 2 KEY KEY KEY        two of three sign\n" +
			"   karat multisig new us --musig KEY KEY                      all sign, by one signature (MuSig2)\n\n" +
			"Then compare the first address with the others, by telephone: if it is the same, all have the\n" +
			"same account. Pay from it by karat psbt.",
		Subcommands: []*cli.Command{multisigKeyCommand(), multisigNewCommand()},
	}
}

func multisigKeyCommand() *cli.Command {
	number := int64(0)
	return &cli.Command{
		Name: "key", Usage: "print a key of this wallet for an account that is shared",
		Description: "It is the public half, with where it comes from: whoever has it sees what the account has,\n" +
			"and can spend nothing. The private half comes from the words of the wallet (BIP87).",
		Flags: []cli.Flag{
			passphraseFlag(), jsonFlag(),
			&cli.GenericFlag{Name: "number", Value: cmdline.Number(&number, 0, 0, 1<<31-1), Usage: "print the `N`th key: a new one for each account hides that they are one person's"},
		},
		Action: withWallet(func(c *cli.Context, o *opened) error {
			signer, err := o.unlock(c)
			if err != nil {
				return err
			}
			defer signer.Wipe()
			text, err := signer.SharedKey(o.params, uint32(number))
			if err != nil {
				return err
			}
			if c.Bool(flagJSON) {
				return cmdline.PrintJSON(c.App.Writer, map[string]any{"key": text})
			}
			fmt.Fprintln(c.App.Writer, text)
			return nil
		}),
	}
}

func multisigNewCommand() *cli.Command {
	threshold := int64(0)
	return &cli.Command{
		Name: "new", Usage: "make an account of several keys", ArgsUsage: "NAME KEY KEY…",
		Description: "The keys may stand in any order: everybody gets the same account. One of them has to be this\n" +
			"wallet's; without any it can only be watched, which --watch-only allows.",
		Flags: []cli.Flag{
			passphraseFlag(), jsonFlag(),
			&cli.GenericFlag{Name: "threshold", Value: cmdline.Number(&threshold, 0, 0, 100), Usage: "`N` of the keys sign"},
			&cli.BoolFlag{Name: "musig", Usage: "all keys sign, by one signature that looks like one person's (MuSig2)"},
			&cli.BoolFlag{Name: flagWatchOnly, Usage: "none of the keys is this wallet's"},
		},
		Action: func(c *cli.Context) error { return multisigNew(c, int(threshold)) },
	}
}

const flagWatchOnly = "watch-only"

func multisigNew(c *cli.Context, threshold int) error {
	words := c.Args().Slice()
	if len(words) < 3 {
		return cmdline.Usagef("%s wants a NAME and two KEYs or more", c.Command.HelpName)
	}
	name, keys := words[0], words[1:]
	if c.Bool("musig") == (threshold > 0) {
		return cmdline.Usagef("say how many of the %d keys sign with --threshold N, or --musig for all together", len(keys))
	}
	h, err := findHome(c)
	if err != nil {
		return err
	}
	var text string
	if c.Bool("musig") {
		text, err = wallet.MuSigDescriptor(h.params, keys)
	} else {
		text, err = wallet.MultisigDescriptor(h.params, threshold, keys)
	}
	if err != nil {
		return cmdline.Usagef("%w", err)
	}
	return h.newAccount(c, name, text, true)
}

func scriptCommand() *cli.Command {
	return &cli.Command{
		Name: "script", Usage: "accounts with conditions of their own: vaults, heirs, locks",
		Subcommands: []*cli.Command{{
			Name: "new", Usage: "make an account of a descriptor", ArgsUsage: "NAME DESCRIPTOR",
			Description: "A descriptor (BIP380) says who can spend, and when. The parts of a taproot tree are miniscript\n" +
				"(BIP379): pk, multi_a, sortedmulti_a, older, after, sha256, hash256, hash160, ripemd160,\n" +
				"and_v, and_b, or_b, or_c, or_d, or_i, andor, thresh. What it means is told in words.\n\n" +
				"   karat script new vault \\\n" +
				"       'tr(MINE/<0;1>/*,and_v(v:pk(HEIR/<0;1>/*),older(52560)))'\n\n" +
				"MINE and HEIR are keys as karat multisig key prints them. The ways to spend are numbered: the\n" +
				"heir spends coins that are old enough with karat psbt create --way 2.\n\n" +
				"   karat -w cold-watch script new --watch-only cold 'tr([…]xpub…/<0;1>/*)'\n\n" +
				"watches what a machine without a node keeps, by the descriptor that karat descriptors prints\n" +
				"there. It makes payments by karat psbt create, for that machine to sign.",
			Flags: []cli.Flag{
				passphraseFlag(), jsonFlag(),
				&cli.BoolFlag{Name: flagWatchOnly, Usage: "none of the keys is this wallet's; makes the wallet too if there is none, one that has no words"},
			},
			Action: func(c *cli.Context) error {
				if c.NArg() != 2 {
					return cmdline.Usagef("%s wants a NAME and a DESCRIPTOR, in quotes", c.Command.HelpName)
				}
				h, err := findHome(c)
				if err != nil {
					return err
				}
				return h.newAccount(c, c.Args().Get(0), c.Args().Get(1), false)
			},
		}},
	}
}

// newAccount adds an account to the wallet's file, and tells what it is. A shared one has to
// have one key of the wallet: with two, one person would count for two.
func (h home) newAccount(c *cli.Context, name, text string, shared bool) error {
	named := wallet.NamedDescriptor{Name: name, Descriptor: text}
	dir, err := h.walletDir(c)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, wallet.FileName)
	if !fileExists(path) && c.Bool(flagWatchOnly) { // a wallet that has nothing else
		f, err := wallet.CreateFile(path, h.params, wallet.Contents{Accounts: []wallet.NamedDescriptor{named}}, "")
		if err != nil {
			return err
		}
		return h.showAccount(c, f.Accounts()[0])
	}
	_, f, err := h.openFile(c)
	if err != nil {
		return err
	}
	own, err := f.OwnKeys(text)
	if err != nil {
		return cmdline.Usagef("%w", err)
	}
	switch {
	case own == 0 && !f.IsWatchOnly() && !c.Bool(flagWatchOnly):
		return cmdline.Usagef("none of the keys is this wallet's: print it with karat multisig key, or add --%s to watch only", flagWatchOnly)
	case own > 1 && shared:
		return cmdline.Usagef("%d of the keys are this wallet's: one person would count for %d", own, own)
	}
	passphrase := ""
	if f.NeedsPassphrase() {
		if passphrase, err = askPassphrase(c, false); err != nil {
			return err
		}
	}
	a, err := wallet.AddAccount(path, h.params, passphrase, named)
	if err != nil {
		return err
	}
	return h.showAccount(c, a)
}

// showAccount tells what an account is.
func (h home) showAccount(c *cli.Context, a *wallet.Account) error {
	script, err := a.Script(wallet.Receive, 0)
	if err != nil {
		return err
	}
	first, err := taproot.EncodeAddress(h.params.HRP, script)
	if err != nil {
		return err
	}
	return runOpened(c, false, func(c *cli.Context, o *opened) error {
		var ways []string
		for _, way := range o.Ways(a) {
			ways = append(ways, way.Words)
		}
		if c.Bool(flagJSON) {
			return cmdline.PrintJSON(c.App.Writer, map[string]any{
				"name": a.Name(), "account": a.Number(), "descriptor": a.Descriptor(), "first_address": first, "policy": ways, "watch_only": a.IsWatchOnly(),
			})
		}
		w := c.App.Writer
		fmt.Fprintf(w, "account %s (number %d)\n\n%s\n\n", a.Name(), a.Number(), a.Descriptor())
		fmt.Fprintln(w, "who can spend:")
		for i, way := range ways {
			fmt.Fprintf(w, "  %d. %s\n", i+1, way)
		}
		fmt.Fprintf(w, "first address: %s\n\n", first)
		_, err := fmt.Fprintln(w, "Compare the first address with the others. Keep the descriptor beside your\nwords: without it the words alone do not find these coins.")
		return err
	})
}
