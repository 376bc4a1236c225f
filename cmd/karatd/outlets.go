package main

import (
	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/rpc/zmqinfo"
)

// outletOptions are what the flags say of how others hear from the node, beside RPC and REST.
type outletOptions struct {
	zmq       cli.StringSlice
	highWater int64
	notify    node.Notify
	watch     cli.StringSlice
	metrics   string
}

func (o *outletOptions) flags() []cli.Flag {
	const outlets = "Notifications:"
	return cmdline.FromEnvironment(
		&cli.StringFlag{Name: "metrics", Destination: &o.metrics, Category: outlets, Usage: "answer monitors at `HOST:PORT`, without a password: /metrics for Prometheus, /health/live and /health/ready"},
		&cli.StringSliceFlag{Name: "zmq", Destination: &o.zmq, Category: outlets, Usage: "publish by ZeroMQ at `TOPIC=ADDRESS`, such as hashblock=tcp://127.0.0.1:28332; topics are hashblock, hashtx, rawblock, rawtx and sequence; may be repeated"},
		&cli.GenericFlag{Name: "zmq-high-water", Value: cmdline.Number(&o.highWater, zmqinfo.DefaultHighWater, 1, 1_000_000), Category: outlets, Usage: "let at most `N` messages wait for a subscriber"},
		&cli.StringFlag{Name: "blocknotify", Destination: &o.notify.Block, Category: outlets, Usage: "run `COMMAND` for each new best block; %s is its hash"},
		&cli.StringFlag{Name: "txnotify", Destination: &o.notify.Tx, Category: outlets, Usage: "run `COMMAND` for each transaction to or from --watch, when it waits and when it is in a block; %s is its id, %b the block's hash, %h the height"},
		&cli.StringSliceFlag{Name: "watch", Destination: &o.watch, Category: outlets, Usage: "an `ADDRESS` for --txnotify; may be repeated"},
		&cli.StringFlag{Name: "alertnotify", Destination: &o.notify.Alert, Category: outlets, Usage: "run `COMMAND` for each warning; %s is its text, in quotes"},
		&cli.StringFlag{Name: "startupnotify", Destination: &o.notify.Startup, Category: outlets, Usage: "run `COMMAND` when the node has started"},
		&cli.StringFlag{Name: "shutdownnotify", Destination: &o.notify.Shutdown, Category: outlets, Usage: "run `COMMAND` when the node begins to stop, and wait for it"},
	)
}

func (o *outletOptions) set(_ *cli.Context, config *node.Config) error {
	config.Notify, config.Metrics = o.notify, o.metrics
	for _, text := range o.zmq.Value() {
		e, err := zmqinfo.Parse(text, int(o.highWater))
		if err != nil {
			return cmdline.Usagef("--zmq %w", err)
		}
		config.ZMQ = append(config.ZMQ, e)
	}
	for _, text := range o.watch.Value() {
		script, err := taproot.DecodeAddress(config.Params.HRP, text)
		if err != nil {
			return cmdline.Usagef("--watch: %w", err)
		}
		config.Notify.Watch = append(config.Notify.Watch, script)
	}
	if set := len(config.Notify.Watch) > 0; set != (o.notify.Tx != "") {
		return cmdline.Usagef("--txnotify and --watch need each other")
	}
	return nil
}
