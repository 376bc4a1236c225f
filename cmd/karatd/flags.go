package main

import (
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/store"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
)

const (
	flagDataDir   = "datadir"
	flagNetwork   = "network"
	flagConfig    = "config"
	flagDBCache   = "dbcache"
	flagPrune     = "prune"
	flagLogLevel  = "log-level"
	flagLogFormat = "log-format"
	flagFilters   = "filters"
	flagTxIndex   = "txindex"
	flagJSON      = "json"
)

const mebibyte = 1 << 20

// workingMemory is what blocks on their way and a flush take beside the coin
// cache. The sum is a soft limit, near which garbage is collected more often.
const workingMemory = 112 * mebibyte

// env returns the environment variable of a flag.
func env(name string) []string {
	return []string{"KARAT_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))}
}

// noEnv is for the flags that run has once more: the environment has set them
// already where the command line of karatd itself can overrule it.
func noEnv(string) []string { return nil }

func globalFlags(env func(name string) []string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagDataDir, EnvVars: env(flagDataDir), Usage: "keep each network's data in a folder of its own in `DIR` (default: ~/.karat)"},
		&cli.StringFlag{Name: flagNetwork, EnvVars: env(flagNetwork), Value: "main", Usage: "main, dev, or the `FILE` of a network's genesis.json"},
		&cli.StringFlag{Name: flagConfig, EnvVars: env(flagConfig), Usage: "read options from a TOML `FILE` (default: " + configFile + " in the data directory, if there is one)"},
		&cli.Int64Flag{Name: flagDBCache, EnvVars: env(flagDBCache), Value: store.DefaultCacheBytes / mebibyte, Usage: "memory for coins, in `MiB`"},
		&cli.Int64Flag{Name: flagPrune, EnvVars: env(flagPrune), Usage: "keep about this many `MiB` of old blocks, and always the last 288; 0 keeps all"},
		&cli.BoolFlag{Name: flagFilters, EnvVars: env(flagFilters), Value: true, Usage: "keep block filters (BIP157), by which wallets sync"},
		&cli.BoolFlag{Name: flagTxIndex, EnvVars: env(flagTxIndex), Value: true, Usage: "keep an index of all transactions"},
		&cli.StringFlag{Name: flagLogLevel, EnvVars: env(flagLogLevel), Usage: "what to log: debug, info, warn or error (default: info for run, else warn)"},
		&cli.StringFlag{Name: flagLogFormat, EnvVars: env(flagLogFormat), Value: "text", Usage: "how to log: text or json"},
	}
}

// nodeConfig returns the configuration of the node that the flags describe, as
// far as every command needs it.
func nodeConfig(c *cli.Context, defaultLevel slog.Level) (node.Config, error) {
	if err := readConfig(c); err != nil {
		return node.Config{}, err
	}
	params, err := loadNetwork(c)
	if err != nil {
		return node.Config{}, err
	}
	dir, err := karat.DataDir(stringOption(c, flagDataDir), params)
	if err != nil {
		return node.Config{}, err
	}
	logger, err := logger(c, defaultLevel)
	if err != nil {
		return node.Config{}, err
	}
	cache, prune := intOption(c, flagDBCache), intOption(c, flagPrune)
	if cache < 4 || cache > 1<<20 {
		return node.Config{}, cmdline.Usagef("--dbcache %d: want 4 to 1048576 MiB", cache)
	}
	if prune < 0 || prune > 1<<30 {
		return node.Config{}, cmdline.Usagef("--prune %d: want a number of MiB, or 0 to keep all", prune)
	}
	debug.SetMemoryLimit(cache*mebibyte + workingMemory)
	return node.Config{
		DataDir: dir, Params: params, CacheBytes: cache * mebibyte, PruneBytes: prune * mebibyte, Logger: logger,
		Filters: boolOption(c, flagFilters), TxIndex: boolOption(c, flagTxIndex),
	}, nil
}

// openNode opens the node that the global flags describe.
func openNode(c *cli.Context) (*node.Node, error) {
	config, err := nodeConfig(c, slog.LevelWarn)
	if err != nil {
		return nil, err
	}
	return node.Open(c.Context, config)
}

// loadNetwork returns the parameters of --network.
func loadNetwork(c *cli.Context) (*consensus.Params, error) {
	return karat.LoadNetwork(stringOption(c, flagNetwork))
}

// baseDir returns the data directory that holds the networks' folders.
func baseDir(c *cli.Context) (string, error) {
	dir, err := karat.DataDir(stringOption(c, flagDataDir), &consensus.Params{Name: "any"})
	return filepath.Dir(dir), err
}

func logger(c *cli.Context, defaultLevel slog.Level) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: defaultLevel}
	if text := stringOption(c, flagLogLevel); text != "" {
		var level slog.Level
		if err := level.UnmarshalText([]byte(text)); err != nil {
			return nil, cmdline.Usagef("--log-level %q: want debug, info, warn or error", text)
		}
		options.Level = level
	}
	switch format := stringOption(c, flagLogFormat); format {
	case "text":
		return slog.New(slog.NewTextHandler(c.App.ErrWriter, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(c.App.ErrWriter, options)), nil
	default:
		return nil, cmdline.Usagef("--log-format %q: want text or json", format)
	}
}
