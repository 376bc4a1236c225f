package main

import (
	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/node/events"
)

// eventsOptions are what the flags say of the stream of events.
type eventsOptions struct {
	config         events.Config
	format         string
	from, replicas int64
}

func (o *eventsOptions) flags() []cli.Flag {
	const category = "Notifications:"
	return cmdline.FromEnvironment(
		&cli.StringFlag{Name: "events", Destination: &o.config.Servers, Category: category, Usage: "write blocks and their transactions into a stream of NATS JetStream at `URL`, such as nats://127.0.0.1:4222 or tls://USER:PASSWORD@HOST; commas stand between the servers of a cluster; a password is better put into the configuration file"},
		&cli.StringFlag{Name: "events-format", Destination: &o.format, Value: string(journal.JSON), Category: category, Usage: "write them in this `FORMAT`: json or raw; each has a stream of its own"},
		&cli.GenericFlag{Name: "events-from", Value: cmdline.Number(&o.from, 0, 0, 1<<32-1), Category: category, Usage: "begin a stream that is new with the block at this `HEIGHT`"},
		&cli.GenericFlag{Name: "events-replicas", Value: cmdline.Number(&o.replicas, 1, 1, events.MaxReplicas), Category: category, Usage: "have `N` servers of the cluster keep a stream that is new"},
		&cli.StringFlag{Name: "events-creds", Destination: &o.config.Credentials, Category: category, Usage: "log in by the NATS credentials in `FILE`"},
		&cli.StringFlag{Name: "events-ca", Destination: &o.config.Authority, Category: category, Usage: "speak TLS, and know servers by the certificates in `FILE`"},
		&cli.StringFlag{Name: "events-cert", Destination: &o.config.Certificate, Category: category, Usage: "speak TLS, and log in by the certificate in `FILE`"},
		&cli.StringFlag{Name: "events-key", Destination: &o.config.Key, Category: category, Usage: "the key of --events-cert, in `FILE`"},
	)
}

func (o *eventsOptions) set(c *cli.Context, config *node.Config) error {
	if o.config.Servers == "" {
		for _, name := range []string{"format", "from", "replicas", "creds", "ca", "cert", "key"} {
			if c.IsSet("events-" + name) {
				return cmdline.Usagef("--events-%s is of no use without --events", name)
			}
		}
		return nil
	}
	o.config.Format, o.config.From, o.config.Replicas = journal.Format(o.format), uint32(o.from), int(o.replicas)
	if err := o.config.Check(); err != nil {
		return cmdline.Usagef("--events: %w", err)
	}
	config.Events = o.config
	return nil
}
