package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/store"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
)

const mebibyte = 1 << 20

// pruneByHand is the size for --prune that stands for none: blocks go when a client says so,
// as in Bitcoin Core.
const pruneByHand = 1

// none switches a listener off.
const none = "none"

const loopback = "127.0.0.1"

// options holds what the flags say. The two tables below are the one place where a
// flag's name, default, bounds and meaning stand. The environment (--rpc-listen is
// KARAT_RPC_LISTEN), the configuration file (rpc-listen = …) and the help text come
// from them.
type options struct {
	args   []string          // the command line
	values map[string]string // of all flags, when they were read
	level  *slog.LevelVar    // of the log

	dataDir, network, configFile string
	cacheMiB, pruneMiB           int64
	indexes                      indexOptions
	fastPrune                    bool
	logLevel, logFormat          string

	listen              string
	connect, allowPeers cli.StringSlice
	trustPeers          cli.StringSlice
	maxPeers            int64
	maxPerAddress       int64
	maxUpload           uint64
	stopAt              int64
	loadBlocks          cli.StringSlice
	noDiscovery         bool
	maxMemoryMiB        int64

	proxy, onion      string
	isolation         bool
	mapPort           bool
	externalAddresses cli.StringSlice

	rpc    rpcOptions
	pool   poolOptions
	blocks blockOptions

	joinFrom     string
	mine         bool
	mineTo       string
	mineInterval time.Duration
	threads      int64
	mineRate     string

	stratum stratumOptions
	outlets outletOptions
	events  eventsOptions
	web     webOptions
}

// flags are the flags of every command.
func (o *options) flags() []cli.Flag {
	flags := cmdline.FromEnvironment(
		&cli.StringFlag{Name: "datadir", Destination: &o.dataDir, Usage: "keep each network's data in a folder of its own in `DIR` (default: ~/.karat)"},
		&cli.StringFlag{Name: "network", Destination: &o.network, Value: "main", Usage: "main, dev, the name of one that was joined, or the `FILE` of a network's genesis.json"},
		&cli.StringFlag{Name: "config", Destination: &o.configFile, Usage: "read options from a TOML `FILE` (default: " + configFile + " in the data directory, if there is one)"},
		&cli.GenericFlag{Name: "dbcache", Value: cmdline.Number(&o.cacheMiB, store.DefaultCacheBytes/mebibyte, 4, 1<<20), Usage: "memory for coins, in `MiB`"},
		&cli.GenericFlag{Name: "prune", Value: cmdline.Number(&o.pruneMiB, 0, 0, 1<<30), Usage: "keep about this many `MiB` of old blocks, and always the last 288; 0 keeps all, 1 all up to a height that pruneblockchain is told"},
		&cli.BoolFlag{Name: "fast-prune", Destination: &o.fastPrune, Hidden: true, Usage: "keep blocks in files of 64 KiB, for tests of pruning"},
		&cli.StringFlag{Name: "log-level", Destination: &o.logLevel, Usage: "log from this `LEVEL` on: debug, info, warn or error (default: info for run and seed, else warn)"},
		&cli.StringFlag{Name: "log-format", Destination: &o.logFormat, Value: "text", Usage: "log in this `FORMAT`: text or json"},
	)
	return slices.Concat(flags, o.indexes.flags())
}

// runFlags are the flags of a node that runs.
func (o *options) runFlags() []cli.Flag {
	const peers, mining = "Peers:", "Mining:"
	flags := cmdline.FromEnvironment(
		&cli.StringFlag{Name: "join", Destination: &o.joinFrom, Category: peers, Usage: "first join the network in `FILE|URL`, as karatd network join does; when that was done once, a server that does not answer keeps nothing from starting"},
		&cli.StringSliceFlag{Name: "load-block", Destination: &o.loadBlocks, Usage: "read the blocks of a `FILE`, or of a folder of Bitcoin Core's, as import does, when the node starts; may be repeated"},
		&cli.GenericFlag{Name: "stop-at-height", Value: cmdline.Number(&o.stopAt, 0, 0, math.MaxUint32), Usage: "end when the best chain has this `HEIGHT`; 0 does not"},
		&cli.StringFlag{Name: "listen", Destination: &o.listen, Category: peers, Usage: "listen for peers at `HOST:PORT`, or none (default: the network's port on all addresses; on a fixed-difficulty network on 127.0.0.1)"},
		&cli.StringSliceFlag{Name: "connect", Destination: &o.connect, Category: peers, Usage: "stay connected to the peer at `[ID@]HOST:PORT`; may be repeated"},
		&cli.StringSliceFlag{Name: "allow-peer", Destination: &o.allowPeers, Category: peers, Usage: "let only the peer with this `ID` in; may be repeated"},
		&cli.GenericFlag{Name: "max-peers", Value: cmdline.Number(&o.maxPeers, node.DefaultMaxPeers, 0, 10_000), Category: peers, Usage: "let at most `N` peers in; when all places are taken, one who is of little use gives way to who comes"},
		&cli.GenericFlag{Name: "max-per-address", Value: cmdline.Number(&o.maxPerAddress, 0, 0, 10_000), Category: peers, Usage: "let at most `N` peers in from one address; 0 is " + strconv.Itoa(node.DefaultMaxPerAddress) + ", and half of all from one of this machine or of private networks"},
		&cli.StringSliceFlag{Name: "trust-peer", Destination: &o.trustPeers, Category: peers, Usage: "give the peer with this `ID`, address or SUBNET a place of its own, and do not ban it; may be repeated"},
		&cli.GenericFlag{Name: "max-upload", Value: cmdline.Size(&o.maxUpload, 0), Category: peers, Usage: "send peers at most about this `SIZE` in 24 hours, in MiB or with a unit (500M, 2G), by refusing blocks older than a week; 0 is no limit"},
		&cli.BoolFlag{Name: "no-discovery", Destination: &o.noDiscovery, Category: peers, Usage: "connect to nobody but the peers of --connect"},
		&cli.GenericFlag{Name: "max-memory", Value: cmdline.Number(&o.maxMemoryMiB, node.DefaultPeerBytes/mebibyte, 64, 1<<20), Category: peers, Usage: "hold at most so many `MiB` of what peers ask for, are sent and have sent in part, of all peers together"},
		&cli.StringFlag{Name: "proxy", Destination: &o.proxy, Category: peers, Usage: "connect to peers only through the SOCKS5 proxy at `HOST:PORT`, such as Tor's 127.0.0.1:9050, which looks names up as well; then do not listen, unless --listen says where"},
		&cli.StringFlag{Name: "onion", Destination: &o.onion, Category: peers, Usage: "connect to onion addresses through the SOCKS5 proxy at `HOST:PORT` (default: that of --proxy)"},
		&cli.BoolFlag{Name: "proxy-isolation", Destination: &o.isolation, Value: true, Category: peers, Usage: "be another user of the proxy for each connection, so that Tor keeps them apart; --proxy-isolation=false does not"},
		&cli.BoolFlag{Name: "map-port", Destination: &o.mapPort, Category: peers, Usage: "ask the router, by NAT-PMP or UPnP, to let peers outside call, and tell peers the address that it says"},
		&cli.StringSliceFlag{Name: "external-address", Destination: &o.externalAddresses, Category: peers, Usage: "tell peers that this node can be reached at `IP:PORT`; may be repeated"},
		&cli.BoolFlag{Name: "mine", Destination: &o.mine, Category: mining, Usage: "mine blocks"},
		&cli.StringFlag{Name: "mine-to", Destination: &o.mineTo, Category: mining, Usage: "pay for mined blocks to `ADDRESS` (default on the dev network: its first well-known key; with --faucet: the faucet)"},
		&cli.DurationFlag{Name: "mine-interval", Destination: &o.mineInterval, Category: mining, Usage: "on a fixed-difficulty network, mine a block every `DURATION`", DefaultText: "the network's spacing"},
		&cli.StringFlag{Name: "mine-rate", Destination: &o.mineRate, Category: mining, Usage: "mine with at most `RATE` hashes a second of all threads, such as 50kH/s", DefaultText: "as many as there can be"},
		&cli.GenericFlag{Name: "threads", Value: cmdline.Number(&o.threads, int64(runtime.NumCPU()), 1, 1024), Category: mining, DefaultText: "one for each core", Usage: "mine with `N` threads"},
	)
	return slices.Concat(flags, o.rpc.flags(), o.blocks.flags(), o.stratum.flags(), o.pool.flags(), o.outlets.flags(), o.events.flags(), o.web.flags())
}

// params returns the parameters of --network.
func (o *options) params() (*consensus.Params, error) { return karat.FindNetwork(o.dataDir, o.network) }

// chosen returns them for a command that needs nothing else of the configuration file.
func (o *options) chosen(c *cli.Context) (*consensus.Params, error) {
	if err := o.readFile(c); err != nil {
		return nil, err
	}
	return o.params()
}

// openNode opens the node that the flags describe, for a command that does not run
// it.
func (o *options) openNode(c *cli.Context) (*node.Node, error) {
	config, err := o.config(c, slog.LevelWarn)
	if err != nil {
		return nil, err
	}
	return node.Open(c.Context, config)
}

// openStored opens it for a command that only reads it. Where nothing is stored it makes
// nothing: a directory whose name is mistyped would be found in good order.
func (o *options) openStored(c *cli.Context) (*node.Node, error) {
	config, err := o.config(c, slog.LevelWarn)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(config.DataDir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("nothing is stored in %s: see --datadir and --network", config.DataDir)
	}
	return node.Open(c.Context, config)
}

// config returns the configuration of a node as far as every command needs it.
func (o *options) config(c *cli.Context, defaultLevel slog.Level) (node.Config, error) {
	if err := o.readFile(c); err != nil {
		return node.Config{}, err
	}
	params, err := o.params()
	if err != nil {
		return node.Config{}, err
	}
	dir, err := karat.DataDir(o.dataDir, params)
	if err != nil {
		return node.Config{}, err
	}
	logger, err := o.logger(c, defaultLevel)
	if err != nil {
		return node.Config{}, err
	}
	debug.SetMemoryLimit(o.cacheMiB*mebibyte + workingMemory)
	config := node.Config{
		DataDir: dir, Params: params, CacheBytes: o.cacheMiB * mebibyte, PruneBytes: o.pruneMiB * mebibyte, Logger: logger, LogLevel: o.level, LogPath: logPath(c),
		Indexes: o.indexes.names(),
	}
	if o.pruneMiB == pruneByHand {
		config.Prune, config.PruneBytes = true, 0
	}
	if o.fastPrune {
		config.FileBytes = 64 << 10
	}
	return config, nil
}

// baseDir returns the data directory, which holds a folder for each network.
func (o *options) baseDir() (string, error) {
	dir, err := karat.DataDir(o.dataDir, &consensus.Params{Name: "any"})
	return filepath.Dir(dir), err
}

// logger returns the logger of --log-level and --log-format. A node that runs logs
// what it does; a command that is done in a moment only what goes wrong.
func (o *options) logger(c *cli.Context, defaultLevel slog.Level) (*slog.Logger, error) {
	level := defaultLevel
	if o.logLevel != "" {
		if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
			return nil, cmdline.Usagef("--log-level %q: want debug, info, warn or error", o.logLevel)
		}
	}
	o.level = &slog.LevelVar{}
	o.level.Set(level)
	options := &slog.HandlerOptions{Level: o.level}
	switch o.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(c.App.ErrWriter, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(c.App.ErrWriter, options)), nil
	}
	return nil, cmdline.Usagef("--log-format %q: want text or json", o.logFormat)
}

// logPath returns the file that the standard error was sent to, if it was one and the
// system tells. Then that is the log's.
func logPath(c *cli.Context) string {
	path, err := os.Readlink("/proc/self/fd/2")
	if err != nil || cmdline.Stream(c.App.ErrWriter) != os.Stderr {
		return ""
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return path
}

// runConfig returns the whole configuration of a node that runs.
func (o *options) runConfig(c *cli.Context) (node.Config, error) {
	config, err := o.config(c, slog.LevelInfo)
	if err != nil {
		return config, err
	}
	o.remember(c)
	// Everything that can be wrong is found before the data directory is opened,
	// which may take a while.
	for _, part := range []func(*cli.Context, *node.Config) error{o.setPeers, o.rpc.set, o.pool.set, o.setMining, o.blocks.set, o.stratum.set, o.outlets.set, o.events.set, o.web.set} {
		if err := part(c, &config); err != nil {
			return config, err
		}
	}
	return config, nil
}

// setPeers sets what concerns peers. What an ID or an address must look like is known
// to package p2p, which refuses a bad one before the node starts.
func (o *options) setPeers(_ *cli.Context, config *node.Config) (err error) {
	host := ""
	if config.Params.Difficulty.Algorithm == consensus.DifficultyFixed {
		host = loopback // strangers could make any number of blocks there
	}
	listen := o.listen
	if listen == "" && o.proxy != "" {
		listen = none // whoever called would see where the node is
	}
	if config.Listen, err = address("listen", listen, host, config.Params.Ports.P2P); err != nil {
		return err
	}
	config.Connect, config.AllowPeers, config.TrustPeers = o.connect.Value(), o.allowPeers.Value(), o.trustPeers.Value()
	config.MaxPeers, config.NoDiscovery, config.PeerBytes = int(o.maxPeers), o.noDiscovery, o.maxMemoryMiB*mebibyte
	config.StopAt, config.LoadBlocks = uint32(o.stopAt), o.loadBlocks.Value()
	config.MaxUpload, config.MaxPerAddress = o.maxUpload, int(o.maxPerAddress)
	return o.setReach(config)
}

// setReach sets how peers are reached, and where they reach the node.
func (o *options) setReach(config *node.Config) error {
	for _, proxy := range []struct{ flag, text string }{{"proxy", o.proxy}, {"onion", o.onion}} {
		if host, port, err := net.SplitHostPort(proxy.text); proxy.text != "" && (err != nil || host == "" || port == "") {
			return cmdline.Usagef("--%s %q: want HOST:PORT of a SOCKS5 proxy, such as 127.0.0.1:9050, where Tor listens", proxy.flag, proxy.text)
		}
	}
	config.Proxy, config.Onion, config.OneStream = o.proxy, o.onion, !o.isolation
	config.MapPort = o.mapPort
	for _, text := range o.externalAddresses.Value() {
		at, err := netip.ParseAddrPort(text)
		if err != nil || at.Port() == 0 || at.Addr().IsUnspecified() || at.Addr().Zone() != "" {
			return cmdline.Usagef("--external-address %q: want IP:PORT, such as 192.0.2.1:%d or [2001:db8::1]:%d", text, config.Params.Ports.P2P, config.Params.Ports.P2P)
		}
		config.External = append(config.External, at)
	}
	return nil
}

// setMining sets what concerns mining. The address is checked even without --mine: a
// mistake in it should not wait until somebody adds that.
func (o *options) setMining(_ *cli.Context, config *node.Config) (err error) {
	if o.mineInterval < 0 || o.mineInterval > 24*time.Hour {
		return cmdline.Usagef("--mine-interval %s: want up to 24h", o.mineInterval)
	}
	if o.mineRate != "" {
		if config.MineRate, err = parseHashRate(o.mineRate); err != nil || config.MineRate < 1 {
			return cmdline.Usagef("--mine-rate %q: want hashes a second, such as 50kH/s", o.mineRate)
		}
	}
	config.Mine, config.MineInterval, config.Threads = o.mine, o.mineInterval, int(o.threads)
	switch {
	case o.mineTo != "":
		if config.MineTo, err = taproot.DecodeAddress(config.Params.HRP, o.mineTo); err != nil {
			return cmdline.Usagef("--mine-to: %w", err)
		}
	case isDev(config.Params) && !o.web.faucet: // so that a first node needs no wallet
		config.MineTo = config.Params.Genesis.Outputs[0].ScriptPubKey
	case o.mine && !o.web.faucet:
		return cmdline.Usagef("--mine needs --mine-to ADDRESS (`karat address` prints one of your wallet)")
	}
	return nil
}

// isDev reports whether this is the built-in network whose coins belong to keys that
// everybody knows. The name alone does not say so: mining on another network of that
// name must not pay to these keys.
func isDev(params *consensus.Params) bool {
	dev, err := karat.LoadNetwork("dev")
	return err == nil && params.Identity() == dev.Identity()
}

// address returns where to listen: what the flag says, else the network's port at
// host. It is empty if the flag says none.
func address(flag, text, host string, port uint16) (string, error) {
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
