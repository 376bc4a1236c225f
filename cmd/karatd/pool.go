package main

import (
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
)

// clustersAtLeast is the number of largest clusters for which a pool must have room, as
// with Bitcoin Core. Otherwise a few of them could push all others out.
const clustersAtLeast = 40

// maxPoolBytes is more than any machine has. Sizes are multiplied, and must not overflow.
const maxPoolBytes = 1 << 50

// poolOptions are the options that concern transactions that wait for a block.
type poolOptions struct {
	bytes                                  uint64
	minFeeRate, incrementalRate, dustRate  types.FeeRate
	clusterCount, clusterSize, expiryHours int64
	dataCarrier                            bool
	dataCarrierSize                        int64
	persist                                bool
}

// flags are the part of runFlags that sets o.
func (o *poolOptions) flags() []cli.Flag {
	const category = "Transactions:"
	d := node.DefaultPolicy()
	return cmdline.FromEnvironment(
		&cli.GenericFlag{Name: "mempool", Value: cmdline.Size(&o.bytes, uint64(d.MaxBytes)), Category: category, Usage: "memory for transactions that wait for a block, a `SIZE` in MiB or with a unit (300m, 1G); at least 40 times --limit-cluster-size"},
		&cli.GenericFlag{Name: "mempool-expiry", Value: cmdline.Number(&o.expiryHours, int64(d.Expiry/time.Hour), 1, 1<<20), Category: category, Usage: "forget transactions that have waited for this many `HOURS`"},
		&cli.BoolFlag{Name: "persist-mempool", Destination: &o.persist, Value: true, Category: category, Usage: "save waiting transactions and read them back at the next start; --persist-mempool=false does not"},
		&cli.GenericFlag{Name: "min-feerate", Value: rateOf(&o.minFeeRate, d.MinRelay), Category: category, Usage: "take and relay transactions from this feerate on, in `GRAINS` per virtual byte; 0 takes all while there is room"},
		&cli.GenericFlag{Name: "incremental-feerate", Value: rateOf(&o.incrementalRate, d.IncrementalRelay), Category: category, Usage: "let a transaction replace others, or come into a full pool, if it pays so many `GRAINS` per virtual byte more; raises --min-feerate, unless that is given"},
		&cli.GenericFlag{Name: "dust-feerate", Value: rateOf(&o.dustRate, d.DustRelay), Category: category, Usage: "refuse outputs that are worth less than making and spending them costs at this feerate, in `GRAINS` per virtual byte"},
		&cli.GenericFlag{Name: "limit-cluster-count", Value: cmdline.Number(&o.clusterCount, int64(d.MaxClusterCount), 1, int64(d.MaxClusterCount)), Category: category, Usage: "let at most `N` waiting transactions be connected by spending each other"},
		&cli.GenericFlag{Name: "limit-cluster-size", Value: cmdline.Number(&o.clusterSize, int64(d.MaxClusterVSize/1000), 1, 1<<20), Category: category, Usage: "let connected transactions have at most `KVB` thousand virtual bytes together"},
		&cli.BoolFlag{Name: "data-carrier", Destination: &o.dataCarrier, Value: true, Category: category, Usage: "take transactions with outputs that hold data (OP_RETURN); --data-carrier=false takes none"},
		&cli.GenericFlag{Name: "data-carrier-size", Value: cmdline.Number(&o.dataCarrierSize, int64(d.MaxDataCarrier), 0, 1<<32), Category: category, Usage: "take at most so many `BYTES` of such outputs' scripts in a transaction"},
	)
}

// set sets them in the configuration.
func (o *poolOptions) set(c *cli.Context, config *node.Config) error {
	p := &config.Policy
	*p = node.DefaultPolicy()
	p.MinRelay, p.IncrementalRelay, p.DustRelay = o.minFeeRate, o.incrementalRate, o.dustRate
	// As with Bitcoin Core, the increment alone sets both: what pays less than that more
	// than nothing is not worth its relay either.
	if !c.IsSet("min-feerate") {
		p.MinRelay = max(p.MinRelay, p.IncrementalRelay)
	}
	p.Expiry = time.Duration(o.expiryHours) * time.Hour
	p.MaxClusterCount, p.MaxClusterVSize = int(o.clusterCount), int(o.clusterSize)*1000
	p.MaxDataCarrier = int(o.dataCarrierSize)
	if !o.dataCarrier {
		p.MaxDataCarrier = 0
	}
	if least := uint64(clustersAtLeast * p.MaxClusterVSize); o.bytes < least {
		return cmdline.Usagef("--mempool: want at least %dm for a --limit-cluster-size of %d", (least+999_999)/1_000_000, o.clusterSize)
	}
	if o.bytes > maxPoolBytes {
		return cmdline.Usagef("--mempool: want at most %dT", maxPoolBytes>>40)
	}
	p.MaxBytes = int(o.bytes)
	config.NoPersist = !o.persist
	return nil
}
