package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/wallet"
)

// The flags that more than one command reads, or that an error names.
const (
	flagDataDir      = "datadir"
	flagConfig       = "config"
	flagNetwork      = "network"
	flagWallet       = "wallet"
	flagRPC          = "rpc"
	flagCookie       = "rpc-cookie"
	flagCert         = "rpc-cert"
	flagUser         = "rpc-user"
	flagPassword     = "rpc-password-file"
	flagPassphrase   = "passphrase-file"
	flagNoPassphrase = "no-passphrase"
	flagJSON         = "json"
)

// globalFlags returns the flags of all commands: which wallet, and which node. The
// node's own flags have the same names where they mean the same, so that one
// KARAT_NETWORK or KARAT_DATADIR serves both programs.
func globalFlags() []cli.Flag {
	// KARAT_CONFIG would name the node's file as well, which has other options.
	config := &cli.StringFlag{Name: flagConfig, Usage: "read options from a TOML `FILE` (default: " + configFile + " in the data directory, if there is one)"}
	return append([]cli.Flag{config}, cmdline.FromEnvironment(
		&cli.StringFlag{Name: flagDataDir, Usage: "keep wallets in the data directory `DIR`, beside the node's data (default: ~/.karat)"},
		&cli.StringFlag{Name: flagNetwork, Value: "main", Usage: "main, dev, the name of one that was joined, or the `FILE` of a network's genesis.json"},
		&cli.StringFlag{Name: flagWallet, Aliases: []string{"w"}, Value: "default", Usage: "use the wallet called `NAME`"},
		&cli.StringSliceFlag{Name: flagRPC, Usage: "ask the node at this `URL`; https:// if it speaks TLS, with #sha256=FINGERPRINT as it prints it, or with --rpc-cert; may be repeated, and then they check each other (default: the nodes of karat connect, and the network's port on this machine)"},
		&cli.StringFlag{Name: flagCert, Usage: "the node has the certificate in `FILE`, its rpc.cert (default for https://: rpc.cert in the network's data folder, if there is one)"},
		&cli.StringFlag{Name: flagCookie, Usage: "log in with the node's cookie `FILE` (default: .cookie in the network's data folder)"},
		&cli.StringFlag{Name: flagUser, Usage: "log in as `NAME` instead of with the cookie"},
		&cli.StringFlag{Name: flagPassword, Usage: "the password of --rpc-user is the first line of `FILE`"},
		cmdline.WideFlag(), cmdline.UTCFlag(),
	)...)
}

// passphraseFlag is the flag of the commands that need the keys. It names a file
// because a flag's value is seen by everybody on the machine.
func passphraseFlag() cli.Flag {
	return &cli.StringFlag{Name: flagPassphrase, Usage: "read the passphrase from the first line of `FILE`, - for standard input"}
}

func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: flagJSON, Usage: "print JSON"} }

// configFile is looked for in the data directory, unless --config names another.
const configFile = "karat.toml"

// readConfig sets the flags of all commands that stand in the configuration file and were
// not given in another way.
func readConfig(c *cli.Context) error {
	path := c.String(flagConfig)
	if path == "" {
		dir, err := karat.DataDir(c.String(flagDataDir), &consensus.Params{Name: "any"})
		if err != nil {
			return nil // where a data directory is needed, this is reported
		}
		path = filepath.Join(filepath.Dir(dir), configFile)
	}
	flags := slices.DeleteFunc(slices.Clone(c.App.Flags), func(flag cli.Flag) bool {
		return flag.Names()[0] == flagConfig || flag.Names()[0] == flagDataDir // they say where it is
	})
	return cmdline.ConfigFile{Path: path, Named: c.IsSet(flagConfig), Flags: flags, List: "karat --help"}.Read(c)
}

// home is what the flags of all commands come to: a network, and its folder in the
// data directory.
type home struct {
	params *consensus.Params
	dir    string // of the network
}

func findHome(c *cli.Context) (home, error) {
	params, err := karat.FindNetwork(c.String(flagDataDir), c.String(flagNetwork))
	if err != nil {
		return home{}, err
	}
	dir, err := karat.DataDir(c.String(flagDataDir), params)
	return home{params, dir}, err
}

// walletName is what a wallet may be called. A name becomes a folder, so it must not
// lead out of the data directory, be taken for a flag, or be too long for a disk.
var walletName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// walletDir returns the folder of the wallet.
func (h home) walletDir(c *cli.Context) (string, error) {
	name := c.String(flagWallet)
	if !walletName.MatchString(name) {
		return "", cmdline.Usagef("--%s %q: want up to 64 letters, digits, - and _", flagWallet, name)
	}
	return filepath.Join(h.dir, "wallets", name), nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// openFile opens the wallet's file, and returns its folder too. The keys in it stay
// locked.
func (h home) openFile(c *cli.Context) (dir string, f *wallet.File, err error) {
	if dir, err = h.walletDir(c); err != nil {
		return "", nil, err
	}
	f, err = wallet.OpenFile(filepath.Join(dir, wallet.FileName), h.params)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, h.noWallet(c)
	}
	return dir, f, err
}

// noWallet is the error about a wallet that is not there. Mostly it is on another network,
// or has another name.
func (h home) noWallet(c *cli.Context) error {
	name := c.String(flagWallet)
	text := fmt.Sprintf("there is no wallet %q on %s", name, networkName(c, h.params.Name))
	others, _ := filepath.Glob(filepath.Join(h.dir, "wallets", "*", wallet.FileName)) // the pattern is good
	elsewhere, _ := filepath.Glob(filepath.Join(filepath.Dir(h.dir), "*", "wallets", name, wallet.FileName))
	switch {
	case len(elsewhere) > 0:
		network := filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(elsewhere[0]))))
		return fmt.Errorf("%s, but there is one on %s: choose it with --%s %s, or make one with karat create", text, network, flagNetwork, network)
	case len(others) > 0:
		var names []string
		for _, path := range others[:min(len(others), 10)] {
			names = append(names, filepath.Base(filepath.Dir(path)))
		}
		return fmt.Errorf("%s, but there is %s: choose it with --%s, or make one with karat create", text, strings.Join(names, ", "), flagWallet)
	}
	return fmt.Errorf("%s: make one with karat create", text)
}

// opened is a wallet together with what a command needs beside it.
type opened struct {
	home
	*wallet.Wallet
	file *wallet.File // which has the keys; the wallet only watches
	node *wallet.Nodes
}

// open opens the wallet, and syncs it if sync is set. Commands that show or spend
// coins sync first: a balance that is old without saying so is worse than an error.
func (h home) open(c *cli.Context, sync bool) (*opened, error) {
	dir, f, err := h.openFile(c)
	if err != nil {
		return nil, err
	}
	node, err := h.nodes(c)
	if err != nil {
		return nil, err
	}
	w, err := wallet.Open(dir, f, h.params, slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return nil, err
	}
	o := &opened{h, w, f, node}
	if sync {
		if err := o.syncWithProgress(c); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return o, nil
}

// syncWithProgress brings the wallet up to the node's chain, shows progress if that takes
// long, and warns of what is wrong with the node.
func (o *opened) syncWithProgress(c *cli.Context) error {
	if err := o.syncQuietly(c); err != nil {
		return err
	}
	return o.warn(c)
}

// syncQuietly brings the wallet up to the node's chain, and shows progress if that takes long.
func (o *opened) syncQuietly(c *cli.Context) error {
	m := cmdline.NewMeter(c.App.ErrWriter)
	defer m.Finish()
	return o.Sync(c.Context, o.node, func(p wallet.Progress) {
		m.Update(int64(p.Scanned), int64(p.Tip), func() string {
			return fmt.Sprintf("syncing: headers %d, looked through %d of %d blocks", p.Headers, p.Scanned, p.Tip)
		})
	})
}

// warn says what is wrong with a sync that could be done all the same.
func (o *opened) warn(c *cli.Context) error {
	view, err := o.View()
	warnOf(c, append(view.Nodes, view.Problems...))
	return err
}

// warnOf shows problems, which may hold a node's texts.
func warnOf(c *cli.Context, problems []error) {
	for _, problem := range problems {
		fmt.Fprintf(c.App.ErrWriter, "karat: %s\n", cmdline.OneLine(problem))
	}
}

// stale returns an error of the kind cmdline.ErrOld if what the wallet shows may be old: the
// node could not be asked, or knows too little. It says from when it is.
func (o *opened) stale(c *cli.Context) error {
	view, err := o.View()
	warnOf(c, view.Nodes)
	if err != nil || len(view.Problems) == 0 {
		return err
	}
	return cmdline.Oldf("shown as of block %d of %s: %w", view.Position.Height, cmdline.Time(c, view.Time), errors.Join(view.Problems...))
}

// isOfNode reports whether a sync failed because the node could not be asked, or knows less
// than the wallet. What the wallet knows is true all the same. A node that lies, or is of
// another network, is a mistake that nobody should work with.
func isOfNode(err error) bool {
	for _, kind := range []error{wallet.ErrUnreachable, wallet.ErrBehind, wallet.ErrLittleWork} {
		if errors.Is(err, kind) {
			return true
		}
	}
	var refused *rpc.Error // such as that it is still starting
	return errors.As(err, &refused)
}

// close closes the wallet when a command returns, and keeps the command's own error
// if there is one.
func (o *opened) close(err *error) {
	if closeErr := o.Close(); *err == nil {
		*err = closeErr
	}
}

// unlock opens the keys, and asks for the passphrase only if the file has one.
func (o *opened) unlock(c *cli.Context) (*wallet.Signer, error) {
	return withPassphrase(c, o.file, o.file.Unlock)
}
