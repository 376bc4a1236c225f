package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/node/dev"
	"github.com/karatcoin/karat/rpc/devinfo"
)

// devOptions are the options of karatd dev alone.
type devOptions struct {
	words    string
	accounts int64
	balance  string
	mining   string
	json     bool

	kept bool // the folder was named
	lab  labOptions
}

// devBalance is what the dev network's genesis block gives each account.
const devBalance = types.Amount(100_000 * types.GrainsPerCoin)

// devCacheMiB is for coins, of which a developer's chain has few. The limit of all memory
// follows from it, and such a node stands beside much else.
const devCacheMiB = 64

// notOfDev are flags of run that would contradict what karatd dev is.
var notOfDev = []string{"mine", "mine-interval", "stop-at-height", "fast-prune"}

func devCommand(o *options) *cli.Command {
	d := &devOptions{}
	return &cli.Command{
		Name:  "dev",
		Usage: "run a chain to develop on: funded accounts, a block for each transaction",
		Description: "Runs a node of the dev network for whoever builds on karat. It prints accounts with\n" +
			"coins and the words that own them, mines a block as soon as a transaction comes, shows\n" +
			"the chain to a browser, gives coins away, and has RPC methods of its own: snapshots,\n" +
			"reorganisations, time travel, balances (docs/dev.md). It forgets everything when it\n" +
			"ends, unless --datadir names a folder. Everybody knows the words: they are worth nothing.\n\n" +
			"   karatd dev                                  a block for each transaction\n" +
			"   karatd dev --mining 1s --datadir ./chain    a block a second, and keep it\n" +
			"   karatd dev --nodes 5 --seed 7               a whole network, which can be cut apart\n" +
			"   karatd dev --rpc-listen 127.0.0.1:0 --json  for programs, which read where it is",
		Flags:  slices.Concat(d.flags(), d.lab.flags(), devRunFlags(o)),
		Action: func(c *cli.Context) error { return runDev(c, o, d) },
	}
}

func (d *devOptions) flags() []cli.Flag {
	return cmdline.FromEnvironment(
		&cli.StringFlag{Name: "words", Destination: &d.words, Value: dev.Words, Usage: "derive the accounts of these `WORDS` (BIP39); never of a wallet that has anything", DefaultText: "test, eleven times, and junk"},
		&cli.GenericFlag{Name: "accounts", Value: cmdline.Number(&d.accounts, dev.DefaultAccounts, 1, dev.MaxAccounts), Usage: "have `N` accounts"},
		&cli.StringFlag{Name: "balance", Destination: &d.balance, Usage: "give each account `AMOUNT` coins", DefaultText: devBalance.String()},
		&cli.StringFlag{Name: "mining", Destination: &d.mining, Value: string(devinfo.ByTransaction), Usage: "mine `WHEN`: tx (a block for each transaction), hand (when a client says so), or a time, such as 1s (a block so often)"},
		&cli.BoolFlag{Name: "json", Destination: &d.json, Usage: "say what runs as one line of JSON"},
	)
}

// devRunFlags are the flags of run that karatd dev has, too.
func devRunFlags(o *options) []cli.Flag {
	return slices.DeleteFunc(o.runFlags(), func(flag cli.Flag) bool { return slices.Contains(notOfDev, flag.Names()[0]) })
}

// parseMining reads --mining.
func parseMining(text string) (devinfo.Mining, error) {
	switch mode := devinfo.Mode(text); mode {
	case devinfo.ByTransaction, devinfo.ByHand:
		return devinfo.Mining{Mode: mode}, nil
	}
	every, err := time.ParseDuration(text)
	if err != nil || every < devinfo.LeastEvery || every > devinfo.MostEvery {
		return devinfo.Mining{}, cmdline.Usagef("--mining %q: want tx, hand, or a time from %s to %s, such as 1s", text, devinfo.LeastEvery, devinfo.MostEvery)
	}
	return devinfo.Mining{Mode: devinfo.ByInterval, Every: every}, nil
}

// runDev runs the node in a folder that is gone afterwards, unless one is named.
func runDev(c *cli.Context, o *options, d *devOptions) (err error) {
	if err := d.lab.check(c, d.mining); err != nil {
		return err
	}
	if o.dataDir == "" {
		dir, remove, made := makeDevFolder()
		if made != nil {
			return made
		}
		o.dataDir = dir
		defer func() { err = errors.Join(err, remove()) }()
	} else {
		d.kept = true
	}
	if d.lab.nodes > 1 {
		return d.lab.run(c, o, d)
	}
	keys, err := d.setUp(c, o)
	if err != nil {
		return err
	}
	config, err := d.config(c, o, keys)
	if err != nil {
		return err
	}
	n, err := node.Open(c.Context, config)
	if err != nil {
		return err
	}
	err = n.Run(c.Context, func(t node.Started) {
		if d.json {
			_ = json.NewEncoder(c.App.Writer).Encode(d.started(o, config, t)) // one line: whoever reads it waits for that
			return
		}
		d.announce(c.App.Writer, o, config, t)
	})
	return errors.Join(err, n.Close())
}

// setUp chooses the network, and derives the keys. With the options' defaults it is the
// built-in one, so that every wallet knows it; with others the genesis block is made for
// them, the same one each time, in a file in the data directory.
func (d *devOptions) setUp(c *cli.Context, o *options) (*dev.Keys, error) {
	if !c.IsSet("network") {
		o.network = "dev"
	}
	params, err := o.params()
	if err != nil {
		return nil, err
	}
	if params.Difficulty.Algorithm != consensus.DifficultyFixed {
		return nil, cmdline.Usagef("karatd dev works on networks of fixed difficulty only, and %s is none: leave out --network for the dev network", params.Name)
	}
	keys, err := dev.NewKeys(d.words, params.HRP, int(d.accounts))
	if err != nil {
		return nil, cmdline.Usagef("--words: %w", err)
	}
	balance := devBalance
	if d.balance != "" {
		if balance, err = types.ParseAmount(d.balance); err != nil || balance <= 0 {
			return nil, cmdline.Usagef("--balance %q: want an amount of coins, such as 1000", d.balance)
		}
	}
	isUsual := keys.Words() == dev.Words && d.accounts <= dev.DefaultAccounts && balance == devBalance
	switch {
	case isUsual:
	case !isDev(params):
		return nil, cmdline.Usagef("--words, --accounts and --balance need a genesis block of their own: leave out --network")
	default:
		if o.network, err = makeDevNetwork(c, o, params, keys, balance); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// bankLeast is what the bank of such a network has, unless an account has more.
const bankLeast = 10 * devBalance

// makeDevNetwork writes the genesis file of a network like dev that pays the accounts, and
// returns its path. What is written depends on nothing but the choices.
func makeDevNetwork(c *cli.Context, o *options, p *consensus.Params, keys *dev.Keys, balance types.Amount) (path string, err error) {
	allocations := []string{}
	for _, account := range keys.Accounts() {
		allocations = append(allocations, account.Address+"="+balance.String())
	}
	allocations = append(allocations, keys.Bank().Address+"="+max(bankLeast, balance).String())
	sum := sha256.Sum256([]byte(strings.Join(allocations, "\n")))
	p.Name = "dev-" + hex.EncodeToString(sum[:4])
	if err := network.Allocate(p, allocations); err != nil {
		return "", fmt.Errorf("--balance %s for %d accounts: %w", balance, len(allocations)-1, err)
	}
	if err := network.MineGenesis(c.Context, p, nil); err != nil {
		return "", err
	}
	dir, err := karat.DataDir(o.dataDir, p)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", err
	}
	path = dir + ".json"
	return path, os.WriteFile(path, network.Marshal(p), 0o600)
}

// config returns the configuration of the node: that of its flags, with what a developer
// wants to have on.
func (d *devOptions) config(c *cli.Context, o *options, keys *dev.Keys) (node.Config, error) {
	mining, err := parseMining(d.mining)
	if err != nil {
		return node.Config{}, err
	}
	if c.IsSet("scriptindex") && !o.indexes.scripts {
		return node.Config{}, cmdline.Usagef("karatd dev needs --scriptindex, by which it knows what accounts have")
	}
	for name, on := range map[string]*bool{"txospenderindex": &o.indexes.spenders, "coinstatsindex": &o.indexes.coins, "scriptindex": &o.indexes.scripts} {
		*on = *on || !c.IsSet(name)
	}
	if !c.IsSet("listen") {
		o.listen = none
	}
	o.noDiscovery = true
	if !c.IsSet("dbcache") {
		o.cacheMiB = devCacheMiB
	}
	config, err := o.runConfig(c)
	if err != nil {
		return config, err
	}
	keys.NoteGenesis(config.Params)
	config.Dev = &node.Dev{Keys: keys, Mining: mining}
	switch {
	case o.mineTo != "":
	case keys.Bank().Genesis > 0:
		config.MineTo = keys.Miner().Script
	default: // where else should it have coins from
		config.MineTo = keys.Bank().Script
	}
	if o.web.listen == "" {
		config.Web, config.WebAnyPort = net.JoinHostPort(loopback, strconv.Itoa(webPort)), true
	}
	if config.Web != "" && !c.IsSet("faucet") {
		config.Faucet = true
	}
	if !c.IsSet("web-operator") { // who opens them on this machine runs the node
		config.WebOperator = !config.WebForwarded
	}
	if o.web.faucetAll == "" {
		config.FaucetPerHour = max(config.FaucetPerHour, config.FaucetAmount*1000)
	}
	return config, nil
}

// devStarted is what is said in JSON. Fields are added, and never changed.
type devStarted struct {
	Network    string       `json:"network"`       // what --network of karat takes
	DataDir    string       `json:"datadir"`       // what --datadir takes
	RPC        string       `json:"rpc,omitempty"` // URL
	CookieFile string       `json:"cookie_file,omitempty"`
	Web        string       `json:"web,omitempty"`   // URL
	Peers      string       `json:"peers,omitempty"` // what --connect of another node takes
	Mining     string       `json:"mining"`
	Words      string       `json:"words"`
	Accounts   []devAccount `json:"accounts"`
	Bank       devAccount   `json:"bank"`
}

type devAccount struct {
	Address string      `json:"address"`
	Path    string      `json:"path"`
	Genesis json.Number `json:"genesis_balance"` // coins, as in RPC
}

func (d *devOptions) started(o *options, config node.Config, t node.Started) devStarted {
	account := func(a devinfo.Account) devAccount {
		return devAccount{a.Address, a.Path, json.Number(a.Genesis.String())}
	}
	s := devStarted{
		Network: o.network, DataDir: o.dataDir, Web: t.Web, Mining: config.Dev.Mining.String(),
		Words: config.Dev.Keys.Words(), Bank: account(config.Dev.Keys.Bank()),
	}
	if t.RPC != "" {
		s.RPC, s.CookieFile = rpcURL(t, hereAt(t.RPC)), t.CookieFile
	}
	if t.Listen != "" {
		s.Peers = t.NodeID + "@" + hereAt(t.Listen)
	}
	for _, a := range config.Dev.Keys.Accounts() {
		s.Accounts = append(s.Accounts, account(a))
	}
	return s
}

// announce says what runs, whose coins there are, and what to try.
func (d *devOptions) announce(w io.Writer, o *options, config node.Config, t node.Started) {
	keys := config.Dev.Keys
	fate := "gone when this ends; --datadir keeps one"
	if d.kept {
		fate = "kept"
	}
	fmt.Fprintf(w, "karat dev: a chain to develop on\n  data    %s (%s)\n", o.dataDir, fate)
	if t.Web != "" {
		fmt.Fprintf(w, "  look    %s (in a browser)\n", t.Web)
	}
	if t.Faucet != nil {
		fmt.Fprintf(w, "  faucet  %sfaucet\n", t.Web)
	}
	if t.RPC != "" {
		announceRPC(w, t)
	}
	if t.Listen != "" {
		for _, at := range callable(t.Listen, ownAddresses()) {
			fmt.Fprintf(w, "  peers   %s@%s\n", t.NodeID, at)
		}
	}
	fmt.Fprintf(w, "  mining  %s\n", miningInWords(config.Dev.Mining))
	d.announceAccounts(w, config)
	if t.RPC != "" {
		how := shellWord(walletProgram()) + tryFlags(o, config, t)
		fmt.Fprintf(w, "\nTry in another terminal:\n  echo %s | %s restore --no-passphrase\n  %s balance\n  %s rpc dev_info\n", keys.Words(), how, how, how)
	}
	fmt.Fprintln(w, "Stop with Ctrl-C.")
}

// announceAccounts says whose coins there are.
func (d *devOptions) announceAccounts(w io.Writer, config node.Config) {
	keys := config.Dev.Keys
	accounts, bank := keys.Accounts(), keys.Bank()
	fmt.Fprintf(w, "\nAccounts, which begin with %s coins each:\n", accounts[0].Genesis)
	for i, a := range accounts {
		fmt.Fprintf(w, "  %5s  %s\n", "("+strconv.Itoa(i)+")", a.Address)
	}
	fmt.Fprintf(w, "The bank, which pays balances that are set and has %s coins:\n  %5s  %s\n", bank.Genesis, "", bank.Address)
	if to, err := taproot.EncodeAddress(config.Params.HRP, config.MineTo); err == nil {
		fmt.Fprintf(w, "Who is paid for blocks:\n  %5s  %s\n", "", to)
	}
	fmt.Fprintf(w, "The words of all of them:\n  %s\nEVERYBODY KNOWS THESE WORDS. What is sent to them on another network is lost.\n", keys.Words())
}

func miningInWords(m devinfo.Mining) string {
	switch m.Mode {
	case devinfo.ByTransaction:
		return "a block for each transaction"
	case devinfo.ByHand:
		return "when a client asks for a block (generatetoaddress, dev_mine)"
	}
	return "a block every " + m.Every.String()
}
