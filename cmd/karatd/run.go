package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
)

const (
	flagListen       = "listen"
	flagConnect      = "connect"
	flagAllowPeer    = "allow-peer"
	flagMaxPeers     = "max-peers"
	flagNoDiscovery  = "no-discovery"
	flagRPCListen    = "rpc-listen"
	flagRPCAuth      = "rpc-auth"
	flagRPCAllow     = "rpc-allow"
	flagRPCUser      = "rpc-user"
	flagRPCPassword  = "rpc-password-file"
	flagMempool      = "mempool"
	flagMinFeeRate   = "min-feerate"
	flagMine         = "mine"
	flagMineTo       = "mine-to"
	flagMineInterval = "mine-interval"
	flagThreads      = "threads"
)

// none is what switches a listener off.
const none = "none"

// listFlags may be given more than once.
var listFlags = []string{flagConnect, flagAllowPeer, flagRPCAuth, flagRPCAllow}

// runFlags are all flags of a node that runs.
func runFlags(env func(name string) []string) []cli.Flag {
	return append(globalFlags(env),
		&cli.StringFlag{Name: flagListen, EnvVars: env(flagListen), Category: "Peers:", Usage: "listen for peers at `HOST:PORT`, or none (default: the network's port on all addresses; on a fixed-difficulty network on 127.0.0.1)"},
		&cli.StringSliceFlag{Name: flagConnect, EnvVars: env(flagConnect), Category: "Peers:", Usage: "stay connected to the peer at `[ID@]HOST:PORT`; may be repeated"},
		&cli.StringSliceFlag{Name: flagAllowPeer, EnvVars: env(flagAllowPeer), Category: "Peers:", Usage: "let only the peer with this `ID` in; may be repeated"},
		&cli.Int64Flag{Name: flagMaxPeers, EnvVars: env(flagMaxPeers), Category: "Peers:", Value: node.DefaultMaxPeers, Usage: "have at most `N` peers that connected by themselves"},
		&cli.BoolFlag{Name: flagNoDiscovery, EnvVars: env(flagNoDiscovery), Category: "Peers:", Usage: "connect to nobody but the peers of --connect"},
		&cli.StringFlag{Name: flagRPCListen, EnvVars: env(flagRPCListen), Category: "RPC:", Usage: "answer JSON-RPC and WebSocket at `HOST:PORT`, or none (default: the network's port on 127.0.0.1)"},
		&cli.StringSliceFlag{Name: flagRPCAuth, EnvVars: env(flagRPCAuth), Category: "RPC:", Usage: "let a user in by `NAME:SALT$HASH`, as Bitcoin's rpcauth.py prints it; may be repeated"},
		&cli.StringFlag{Name: flagRPCUser, EnvVars: env(flagRPCUser), Category: "RPC:", Usage: "let the user `NAME` in with the password of --rpc-password-file"},
		&cli.StringFlag{Name: flagRPCPassword, EnvVars: env(flagRPCPassword), Category: "RPC:", Usage: "the `FILE` with the password of --rpc-user"},
		&cli.StringSliceFlag{Name: flagRPCAllow, EnvVars: env(flagRPCAllow), Category: "RPC:", Usage: "let a user call nothing but `NAME:METHOD+METHOD`; may be repeated"},
		&cli.Int64Flag{Name: flagMempool, EnvVars: env(flagMempool), Category: "Transactions:", Value: node.DefaultMempoolBytes / mebibyte, Usage: "memory for transactions that wait for a block, in `MiB`"},
		&cli.StringFlag{Name: flagMinFeeRate, EnvVars: env(flagMinFeeRate), Category: "Transactions:", Value: node.DefaultMinFeeRate.String(), Usage: "take and relay transactions from this feerate on, in `GRAINS` per virtual byte"},
		&cli.BoolFlag{Name: flagMine, EnvVars: env(flagMine), Category: "Mining:", Usage: "mine blocks"},
		&cli.StringFlag{Name: flagMineTo, EnvVars: env(flagMineTo), Category: "Mining:", Usage: "pay for mined blocks to `ADDRESS` (on the dev network by default: its first well-known key)"},
		&cli.DurationFlag{Name: flagMineInterval, EnvVars: env(flagMineInterval), Category: "Mining:", Usage: "on a fixed-difficulty network, mine a block every `DURATION`", DefaultText: "the network's spacing"},
		&cli.Int64Flag{Name: flagThreads, EnvVars: env(flagThreads), Category: "Mining:", Value: int64(runtime.NumCPU()), Usage: "mine with `N` threads"},
	)
}

func runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "run the node (what karatd does without a command)",
		Description: "Syncs with peers, relays transactions and blocks, mines if asked to, and answers\n" +
			"JSON-RPC and WebSocket clients, who find user and password in the file .cookie of\n" +
			"the network's data folder. Stop it with Ctrl-C, SIGTERM or `karat rpc stop`.\n\n" +
			"   karatd --network dev --mine                     a chain of your own on this machine\n" +
			"   karatd --connect ID@192.0.2.1:9555              begin with a peer that you know\n" +
			"   karatd --network coin.json --mine --mine-to ADDRESS\n\n" +
			"Each flag can also be set by the environment (--rpc-listen is KARAT_RPC_LISTEN) or by\n" +
			"a line of a TOML file (rpc-listen = \"127.0.0.1:9554\"). The command line wins over the\n" +
			"environment, and that over the file.",
		Flags:  runFlags(noEnv),
		Action: runNode,
	}
}

func runNode(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	config, err := runConfig(c)
	if err != nil {
		return err
	}
	n, err := node.Open(c.Context, config)
	if err != nil {
		return err
	}
	err = n.Run(c.Context, func(t node.Started) { announce(c, config, t) })
	if closeErr := n.Close(); closeErr != nil {
		err = errors.Join(err, closeErr)
	}
	return err
}

// runConfig returns the whole configuration of a node that runs.
func runConfig(c *cli.Context) (node.Config, error) {
	config, err := nodeConfig(c, slog.LevelInfo)
	if err != nil {
		return config, err
	}
	for _, part := range []func(*cli.Context, *node.Config) error{peerConfig, rpcConfig, poolConfig, miningConfig} {
		if err := part(c, &config); err != nil {
			return config, err
		}
	}
	return config, nil
}

// address returns the HOST:PORT of a listener, or nothing for none.
func address(c *cli.Context, flag, host string, port uint16) (string, error) {
	text := stringOption(c, flag)
	switch text {
	case none:
		return "", nil
	case "":
		return net.JoinHostPort(host, strconv.Itoa(int(port))), nil
	}
	if _, service, err := net.SplitHostPort(text); err != nil || service == "" {
		return "", cmdline.Usagef("--%s %q: want HOST:PORT, such as 127.0.0.1:%d, or none", flag, text, port)
	}
	return text, nil
}

const loopback = "127.0.0.1"

func peerConfig(c *cli.Context, config *node.Config) (err error) {
	host := ""
	if config.Params.Difficulty.Algorithm == consensus.DifficultyFixed {
		host = loopback // anybody could make any number of blocks
	}
	if config.Listen, err = address(c, flagListen, host, config.Params.Ports.P2P); err != nil {
		return err
	}
	config.Connect = listOption(c, flagConnect)
	config.AllowPeers = listOption(c, flagAllowPeer)
	config.NoDiscovery = boolOption(c, flagNoDiscovery)
	config.MaxPeers, err = count(c, flagMaxPeers, 0, 10_000)
	return err
}

func rpcConfig(c *cli.Context, config *node.Config) (err error) {
	if config.RPCListen, err = address(c, flagRPCListen, loopback, config.Params.Ports.RPC); err != nil {
		return err
	}
	config.RPCAuth = listOption(c, flagRPCAuth)
	config.RPCAllow = listOption(c, flagRPCAllow)
	user, path := stringOption(c, flagRPCUser), stringOption(c, flagRPCPassword)
	if (user == "") != (path == "") {
		return cmdline.Usagef("--%s and --%s go together", flagRPCUser, flagRPCPassword)
	}
	if user != "" {
		config.RPCUser = user
		if config.RPCPassword, err = cmdline.FirstLine(c.Context, path, c.App.Reader); err != nil {
			return fmt.Errorf("--%s: %w", flagRPCPassword, err)
		}
		if config.RPCPassword == "" {
			return fmt.Errorf("--%s: the file %s is empty", flagRPCPassword, path)
		}
	}
	return nil
}

func poolConfig(c *cli.Context, config *node.Config) error {
	mib, err := count(c, flagMempool, 1, 1<<20)
	if err != nil {
		return err
	}
	config.MempoolBytes = int64(mib) * mebibyte
	if config.MinFeeRate, err = types.ParseFeeRate(stringOption(c, flagMinFeeRate)); err != nil {
		return cmdline.Usagef("--%s: %w", flagMinFeeRate, err)
	}
	if config.MinFeeRate == 0 { // which would mean the default, and fill memory for nothing
		return cmdline.Usagef("--%s 0: want at least %s grains a virtual byte", flagMinFeeRate, types.FeeRate(1))
	}
	return nil
}

func miningConfig(c *cli.Context, config *node.Config) (err error) {
	config.Mine = boolOption(c, flagMine)
	config.MineInterval = option(c, flagMineInterval, (*cli.Context).Duration)
	if config.MineInterval < 0 || config.MineInterval > 24*time.Hour {
		return cmdline.Usagef("--%s %s: want up to 24h", flagMineInterval, config.MineInterval)
	}
	if config.Threads, err = count(c, flagThreads, 1, 1024); err != nil {
		return err
	}
	to := stringOption(c, flagMineTo)
	switch {
	case to != "":
		if config.MineTo, err = taproot.DecodeAddress(config.Params.HRP, to); err != nil {
			return cmdline.Usagef("--%s: %w", flagMineTo, err)
		}
	case isDev(config.Params):
		config.MineTo = config.Params.Genesis.Outputs[0].ScriptPubKey
	case config.Mine:
		return cmdline.Usagef("--%s needs --%s ADDRESS (`karat address` prints one of your wallet)", flagMine, flagMineTo)
	}
	return nil
}

// isDev reports whether the network is the built-in one whose coins belong to keys
// that everybody knows, and not just one of that name.
func isDev(params *consensus.Params) bool {
	dev, err := karat.LoadNetwork("dev")
	return err == nil && params.Identity() == dev.Identity()
}

// count returns the value of a flag that is a number within bounds.
func count(c *cli.Context, flag string, least, most int64) (int, error) {
	n := intOption(c, flag)
	if n < least || n > min(most, math.MaxInt32) {
		return 0, cmdline.Usagef("--%s %d: want %d to %d", flag, n, least, most)
	}
	return int(n), nil
}

// announce tells a person what runs and what to try.
func announce(c *cli.Context, config node.Config, t node.Started) {
	w := c.App.Writer
	fmt.Fprintf(w, "karat node of network %s, data in %s\n", config.Params.Name, config.DataDir)
	if t.Listen != "" {
		fmt.Fprintf(w, "  peers   %s@%s\n", t.NodeID, t.Listen)
	}
	if t.RPC != "" {
		fmt.Fprintf(w, "  RPC     http://%s (user and password: %s)\n", t.RPC, t.CookieFile)
	}
	if config.Mine {
		to, _ := taproot.EncodeAddress(config.Params.HRP, config.MineTo)
		fmt.Fprintf(w, "  mining  to %s\n", to)
	}
	if t.RPC != "" {
		how := shellWord(walletProgram()) + tryFlags(c, config, t)
		fmt.Fprintf(w, "Try in another terminal:\n  %s rpc getblockchaininfo\n  %s create\n", how, how)
	}
	fmt.Fprintln(w, "Stop with Ctrl-C.")
}

// walletProgram returns how karat is called here: by its name if a shell finds it,
// else by the path beside this program.
func walletProgram() string {
	const name = "karat"
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	self, err := os.Executable()
	if err != nil {
		return name
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err != nil {
		return name
	}
	if here, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(here, path); err == nil && !strings.HasPrefix(relative, "..") {
			return relative
		}
	}
	return path
}

// tryFlags returns the flags by which karat finds this node.
func tryFlags(c *cli.Context, config node.Config, t node.Started) string {
	how := ""
	if name := stringOption(c, flagNetwork); name != "main" {
		how += " --network " + shellWord(name)
	}
	if dir := stringOption(c, flagDataDir); dir != "" {
		how += " --datadir " + shellWord(dir)
	}
	if usual := net.JoinHostPort(loopback, strconv.Itoa(int(config.Params.Ports.RPC))); t.RPC != "" && t.RPC != usual {
		how += " --rpc " + t.RPC
	}
	return how
}

// shellWord quotes a word for a shell where it has to be.
func shellWord(word string) string {
	if strings.ContainsFunc(word, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+@:,=", r)
	}) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}
