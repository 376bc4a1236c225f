package main

import (
	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
)

// blockOptions are the options that concern the blocks that are put together here, for
// whoever mines them.
type blockOptions struct {
	maxWeight, reservedWeight int64
	minFeeRate                types.FeeRate
}

// flags are the part of runFlags that sets o.
func (o *blockOptions) flags() []cli.Flag {
	const category = "Mining:"
	return cmdline.FromEnvironment(
		&cli.GenericFlag{Name: "block-max-weight", Value: cmdline.Number(&o.maxWeight, 0, 0, types.MaxBlockWeight), Category: category, Usage: "make blocks of at most so many `WEIGHT` units; 0 is what the network allows"},
		&cli.GenericFlag{Name: "block-min-feerate", Value: rateOf(&o.minFeeRate, node.DefaultBlockMinFeeRate), Category: category, Usage: "put into blocks what pays at least so many `GRAINS` per virtual byte"},
		&cli.GenericFlag{Name: "block-reserved-weight", Value: cmdline.Number(&o.reservedWeight, node.DefaultBlockReservedWeight, 0, types.MaxBlockWeight), Category: category, Usage: "keep so many `WEIGHT` units of a block for its header and the largest coinbase that a miner makes"},
	)
}

// minReservedWeight is Bitcoin Core's. Header, count of transactions and a plain coinbase
// fit in it, with a margin.
const minReservedWeight = 2000

// set sets them in the configuration. The checks are Bitcoin Core's.
func (o *blockOptions) set(_ *cli.Context, config *node.Config) error {
	limit, most := int64(config.Params.MaxBlockWeight), o.maxWeight
	if most == 0 {
		most = limit
	}
	switch {
	case o.reservedWeight < minReservedWeight:
		return cmdline.Usagef("--block-reserved-weight (%d) is lower than minimum safety value of (%d)", o.reservedWeight, minReservedWeight)
	case o.reservedWeight > limit:
		return cmdline.Usagef("--block-reserved-weight (%d) exceeds consensus maximum block weight (%d)", o.reservedWeight, limit)
	case most > limit:
		return cmdline.Usagef("--block-max-weight (%d) exceeds consensus maximum block weight (%d)", most, limit)
	case o.reservedWeight > most:
		return cmdline.Usagef("--block-reserved-weight (%d) exceeds --block-max-weight (%d)", o.reservedWeight, most)
	}
	config.BlockMaxWeight, config.BlockReservedWeight = int(most), int(o.reservedWeight)
	config.BlockMinFeeRate = o.minFeeRate
	return nil
}
