package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

func walletsCommand() *cli.Command {
	return &cli.Command{
		Name: "wallets", Usage: "list the wallets of the network",
		Description: "Shows what each of them had when it was last synced. Asks no node and no passphrase.",
		Flags:       []cli.Flag{jsonFlag()},
		Action:      listWallets,
	}
}

// listedWallet is a line of the list. What is in the way of reading a wallet is told there: one
// that is damaged, or open in another karat, must not hide the others.
type listedWallet struct {
	name, kind, problem string
	accounts            int
	balance             wallet.Balance
	height              uint32
}

func listWallets(c *cli.Context) error {
	h, err := findHome(c)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(h.dir, "wallets"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	rows := cmdline.NewRows(c, cmdline.Column{Title: "wallet", Fit: cmdline.End}, cmdline.Column{Title: "balance", Right: true},
		cmdline.Column{Title: "block", Right: true}, cmdline.Column{Title: "accounts", Right: true, Fit: cmdline.Drop}, cmdline.Column{Title: "kind", Fit: cmdline.End})
	out := []map[string]any{}
	for _, entry := range entries {
		if !walletName.MatchString(entry.Name()) {
			continue
		}
		l, ok := h.listed(entry.Name())
		if !ok {
			continue
		}
		line := map[string]any{"wallet": l.name, "kind": l.kind, "accounts": l.accounts}
		balance, height := "-", "-"
		if l.problem == "" {
			balance, height = l.balance.Total().String(), strconv.FormatUint(uint64(l.height), 10)
			line["balance"], line["height"] = number(l.balance.Total()), l.height
		} else {
			line["problem"] = l.problem
			l.kind += " (" + l.problem + ")"
		}
		out = append(out, line)
		rows.Add(l.name, balance, height, strconv.Itoa(l.accounts), l.kind)
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, out)
	}
	return rows.Flush()
}

// listed reads what is known of a wallet, and false if there is none of that name.
func (h home) listed(name string) (l listedWallet, ok bool) {
	dir := filepath.Join(h.dir, "wallets", name)
	f, err := wallet.OpenFile(filepath.Join(dir, wallet.FileName), h.params)
	if errors.Is(err, fs.ErrNotExist) {
		return l, false
	}
	l = listedWallet{name: name, kind: "cannot be read"}
	if err != nil {
		l.problem = err.Error()
		return l, true
	}
	l.accounts = len(f.Accounts())
	switch {
	case f.IsWatchOnly():
		l.kind = "only watches"
	case f.NeedsPassphrase():
		l.kind = "encrypted"
	default:
		l.kind = "not encrypted"
	}
	if _, err := os.Lstat(filepath.Join(dir, "db")); err != nil { // it was never synced, and opening it would make one
		return l, true
	}
	w, err := wallet.Open(dir, f, h.params, nil)
	if err != nil {
		l.problem = err.Error()
		return l, true
	}
	l.balance, l.height = w.Balance(), w.Position().Height
	if err := w.Close(); err != nil {
		l.problem = err.Error()
	}
	return l, true
}
