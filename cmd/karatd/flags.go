package main

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/store"
	"github.com/karatcoin/karat/node"
)

const (
	flagDataDir  = "datadir"
	flagNetwork  = "network"
	flagDBCache  = "dbcache"
	flagPrune    = "prune"
	flagLogLevel = "log-level"
	flagJSON     = "json"
)

const mebibyte = 1 << 20

// workingMemory is what blocks on their way and a flush take beside the coin
// cache. The sum is a soft limit, near which garbage is collected more often.
const workingMemory = 112 * mebibyte

func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagDataDir, Usage: "keep each network's data in a folder of its own in `DIR` (default: ~/.karat)", EnvVars: []string{"KARAT_DATADIR"}},
		&cli.StringFlag{Name: flagNetwork, Value: "main", Usage: "main, dev, or the `FILE` of a network's genesis.json", EnvVars: []string{"KARAT_NETWORK"}},
		&cli.Int64Flag{Name: flagDBCache, Value: store.DefaultCacheBytes / mebibyte, Usage: "memory for coins, in `MiB`"},
		&cli.Int64Flag{Name: flagPrune, Usage: "keep about this many `MiB` of old blocks, and always the last 288; 0 keeps all"},
		&cli.StringFlag{Name: flagLogLevel, Value: "warn", Usage: "what to log: debug, info, warn or error"},
	}
}

// openNode opens the node that the global flags describe.
func openNode(c *cli.Context) (*node.Node, error) {
	params, err := network(c)
	if err != nil {
		return nil, err
	}
	dir, err := dataDir(c, params)
	if err != nil {
		return nil, err
	}
	logger, err := logger(c)
	if err != nil {
		return nil, err
	}
	cache, prune := c.Int64(flagDBCache), c.Int64(flagPrune)
	if cache < 4 || cache > 1<<20 {
		return nil, fmt.Errorf("%w: --dbcache %d: want 4 to 1048576 MiB", errUsage, cache)
	}
	if prune < 0 || prune > 1<<30 {
		return nil, fmt.Errorf("%w: --prune %d: want a number of MiB, or 0 to keep all", errUsage, prune)
	}
	debug.SetMemoryLimit(cache*mebibyte + workingMemory)
	return node.Open(c.Context, node.Config{
		DataDir: dir, Params: params, CacheBytes: cache * mebibyte, PruneBytes: prune * mebibyte, Logger: logger,
	})
}

func network(c *cli.Context) (*consensus.Params, error) {
	return karat.LoadNetwork(c.String(flagNetwork))
}

func dataDir(c *cli.Context, params *consensus.Params) (string, error) {
	return karat.DataDir(c.String(flagDataDir), params)
}

func logger(c *cli.Context) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String(flagLogLevel))); err != nil {
		return nil, fmt.Errorf("%w: --log-level: %w", errUsage, err)
	}
	return slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: level})), nil
}
