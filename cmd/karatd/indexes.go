package main

import (
	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/internal/cmdline"
)

// indexOptions say which indexes are kept. Each is a flag, and can be switched on and
// off at any start.
type indexOptions struct {
	txs, filters, spenders, scripts, coins bool
}

func (o *indexOptions) flags() []cli.Flag {
	const indexes = "Indexes:"
	return cmdline.FromEnvironment(
		&cli.BoolFlag{Name: "txindex", Destination: &o.txs, Value: true, Category: indexes, Usage: "keep an index of all transactions; --txindex=false keeps none"},
		&cli.BoolFlag{Name: "filters", Destination: &o.filters, Value: true, Category: indexes, Usage: "keep block filters (BIP157), by which wallets sync; --filters=false keeps none"},
		&cli.BoolFlag{Name: "txospenderindex", Destination: &o.spenders, Category: indexes, Usage: "keep an index of what spends each output"},
		&cli.BoolFlag{Name: "coinstatsindex", Destination: &o.coins, Category: indexes, Usage: "keep statistics of the coins after each block, for gettxoutsetinfo"},
		&cli.BoolFlag{Name: "scriptindex", Destination: &o.scripts, Category: indexes, Usage: "keep an index of what each address was paid, and of what it has"},
	)
}

// names returns the indexes that are kept.
func (o *indexOptions) names() (names []string) {
	for _, index := range []struct {
		on   bool
		name string
	}{{o.txs, indexed.Txs}, {o.filters, indexed.Filters}, {o.spenders, indexed.Spenders}, {o.scripts, indexed.Scripts}, {o.coins, indexed.CoinStats}} {
		if index.on {
			names = append(names, index.name)
		}
	}
	return names
}
