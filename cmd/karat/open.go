package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/wallet"
)

const (
	flagDataDir      = "datadir"
	flagNetwork      = "network"
	flagWallet       = "wallet"
	flagRPC          = "rpc"
	flagCookie       = "rpc-cookie"
	flagUser         = "rpc-user"
	flagPassword     = "rpc-password-file"
	flagPassphrase   = "passphrase-file"
	flagNoPassphrase = "no-passphrase"
	flagJSON         = "json"
)

func env(name string) []string {
	return []string{"KARAT_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))}
}

func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagDataDir, EnvVars: env(flagDataDir), Usage: "the data directory, which node and wallets share: `DIR` (default: ~/.karat)"},
		&cli.StringFlag{Name: flagNetwork, EnvVars: env(flagNetwork), Value: "main", Usage: "main, dev, or the `FILE` of a network's genesis.json"},
		&cli.StringFlag{Name: flagWallet, Aliases: []string{"w"}, EnvVars: env(flagWallet), Value: "default", Usage: "the `NAME` of the wallet"},
		&cli.StringFlag{Name: flagRPC, EnvVars: env(flagRPC), Usage: "the node's `URL` (default: this machine, the network's port)"},
		&cli.StringFlag{Name: flagCookie, EnvVars: env(flagCookie), Usage: "the node's cookie `FILE` (default: .cookie in the network's data folder)"},
		&cli.StringFlag{Name: flagUser, EnvVars: env(flagUser), Usage: "the `NAME` of a user of the node, instead of the cookie"},
		&cli.StringFlag{Name: flagPassword, EnvVars: env(flagPassword), Usage: "the `FILE` with the password of --rpc-user"},
	}
}

func passphraseFlag() cli.Flag {
	return &cli.StringFlag{Name: flagPassphrase, Usage: "read the passphrase from the first line of `FILE`, - for standard input"}
}

func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: flagJSON, Usage: "print JSON"} }

// place is where a command finds things.
type place struct {
	params *consensus.Params
	dir    string // of the network
}

func findPlace(c *cli.Context) (place, error) {
	params, err := karat.LoadNetwork(c.String(flagNetwork))
	if err != nil {
		return place{}, err
	}
	dir, err := karat.DataDir(c.String(flagDataDir), params)
	return place{params, dir}, err
}

var walletName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// walletDir returns the folder of the wallet.
func (p place) walletDir(c *cli.Context) (string, error) {
	name := c.String(flagWallet)
	if !walletName.MatchString(name) {
		return "", fmt.Errorf("%w: --wallet %q: want letters, digits, - and _", errUsage, name)
	}
	return filepath.Join(p.dir, "wallets", name), nil
}

// client returns a client of the node.
func (p place) client(c *cli.Context) (*rpc.Client, error) {
	url := c.String(flagRPC)
	if url == "" {
		url = fmt.Sprintf("http://127.0.0.1:%d", p.params.Ports.RPC)
	}
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	user, file := c.String(flagUser), c.String(flagPassword)
	if (user == "") != (file == "") {
		return nil, fmt.Errorf("%w: --%s and --%s go together", errUsage, flagUser, flagPassword)
	}
	if user != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		password, _, _ := strings.Cut(string(data), "\n")
		return rpc.NewClient(url, user, strings.TrimSuffix(password, "\r")), nil
	}
	cookie := c.String(flagCookie)
	if cookie == "" {
		cookie = filepath.Join(p.dir, ".cookie")
	}
	return rpc.NewCookieClient(url, cookie), nil
}

// openFile opens the wallet's file.
func (p place) openFile(c *cli.Context) (dir string, f *wallet.File, err error) {
	if dir, err = p.walletDir(c); err != nil {
		return "", nil, err
	}
	f, err = wallet.OpenFile(filepath.Join(dir, wallet.FileName), p.params)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, fmt.Errorf("there is no wallet %q of network %s: make one with karat create", c.String(flagWallet), p.params.Name)
	}
	return dir, f, err
}

// opened is a wallet with its node.
type opened struct {
	place
	*wallet.Wallet
	file *wallet.File
	node *rpc.Client
}

// open opens the wallet, and syncs it if asked to.
func open(c *cli.Context, sync bool) (*opened, error) {
	p, err := findPlace(c)
	if err != nil {
		return nil, err
	}
	dir, f, err := p.openFile(c)
	if err != nil {
		return nil, err
	}
	node, err := p.client(c)
	if err != nil {
		return nil, err
	}
	w, err := wallet.Open(dir, f, p.params, nil)
	if err != nil {
		return nil, err
	}
	o := &opened{p, w, f, node}
	if sync {
		if err := o.sync(c); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return o, nil
}

// sync brings the wallet up to the node, with progress if that takes long.
func (o *opened) sync(c *cli.Context) error {
	m := newMeter(c.App.ErrWriter)
	err := o.Sync(c.Context, o.node, m.update)
	m.finish()
	return err
}

// close closes the wallet, and returns the first error.
func (o *opened) close(err *error) {
	if closeErr := o.Close(); *err == nil {
		*err = closeErr
	}
}

// askPassphrase returns the passphrase: from a file, or from a person, who types
// a new one twice.
func askPassphrase(c *cli.Context, isNew bool) (string, error) {
	switch path := c.String(flagPassphrase); {
	case isNew && c.Bool(flagNoPassphrase):
		return "", nil
	case path == "-":
		return firstLine(c.App.Reader)
	case path != "":
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		return firstLine(f)
	}
	in, ok := c.App.Reader.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		hint := ""
		if isNew {
			hint = ", or make a wallet without one by --no-passphrase"
		}
		return "", fmt.Errorf("%w: nobody can be asked for the passphrase here: name a file with --%s%s", errUsage, flagPassphrase, hint)
	}
	passphrase, err := askSecret(c, in, "Passphrase: ")
	if err != nil || !isNew {
		return passphrase, err
	}
	if passphrase == "" {
		return "", fmt.Errorf("%w: the passphrase is empty; if that is what you want, use --%s", errUsage, flagNoPassphrase)
	}
	again, err := askSecret(c, in, "Once more:  ")
	if err == nil && again != passphrase {
		err = errors.New("the passphrases differ; nothing was made")
	}
	return passphrase, err
}

func askSecret(c *cli.Context, in *os.File, prompt string) (string, error) {
	fmt.Fprint(c.App.ErrWriter, prompt)
	secret, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(c.App.ErrWriter)
	return string(secret), err
}

// firstLine returns the first line, without its end.
func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 1<<16)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// unlock opens the keys. A wallet without a passphrase needs none.
func (o *opened) unlock(c *cli.Context) (*wallet.Signer, error) {
	if !o.file.NeedsPassphrase() {
		return o.file.Unlock("")
	}
	passphrase, err := askPassphrase(c, false)
	if err != nil {
		return nil, err
	}
	return o.file.Unlock(passphrase)
}
