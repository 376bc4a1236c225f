package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/seed"
)

// The files of a seed, in the network's data folder. A node may run there too: it has
// another key.
const (
	seedFile    = "seed.json"
	seedKeyFile = "seed.key"
)

func seedCommand(o *options) *cli.Command {
	port := int64(0)
	return &cli.Command{
		Name:  "seed",
		Usage: "crawl the network, and answer DNS with nodes to begin with",
		Description: "A node that knows nobody asks the names in \"bootstrap\": {\"dns\": [...]} of its\n" +
			"genesis.json. This command is what answers for such a name: it calls every node that\n" +
			"it hears of again and again, and tells of some that mostly answer, have all blocks and\n" +
			"listen at the network's port. To run one for a coin of your own, in a zone example.org:\n\n" +
			"   ns    IN A   192.0.2.1           this machine, in the zone example.org\n" +
			"   seed  IN NS  ns.example.org.     the name is answered there\n\n" +
			"   karatd --network coin.json seed --host seed.example.org \\\n" +
			"       --nameserver ns.example.org --connect 192.0.2.7:9555\n" +
			"   dig seed.example.org             ask it\n\n" +
			"Port 53 needs rights: listen at another one and redirect, or give the program\n" +
			"CAP_NET_BIND_SERVICE. docs/seed.md has more.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "host", Usage: "answer for `NAME`, such as seed.example.org"},
			&cli.StringFlag{Name: "nameserver", Usage: "this machine's `NAME`, at which the NS record of --host points"},
			&cli.StringFlag{Name: "listen", Value: ":53", Usage: "answer DNS at `HOST:PORT`, by UDP and TCP"},
			&cli.StringSliceFlag{Name: "connect", Usage: "begin with the node at `[ID@]HOST:PORT`, beside those of the network's file; may be repeated"},
			&cli.GenericFlag{Name: "port", Value: cmdline.Number(&port, 0, 0, 65_535), Usage: "tell of nodes that listen at `PORT`; 0 is the network's, which is the one that others will call"},
			&cli.BoolFlag{Name: "local", Usage: "tell of nodes of local networks too, for a laboratory"},
			&cli.BoolFlag{Name: "json", Usage: "print the state as a line of JSON, every minute"},
		},
		Action: func(c *cli.Context) error { return runSeed(c, o, uint16(port)) },
	}
}

func runSeed(c *cli.Context, o *options, port uint16) error {
	if c.String("host") == "" || c.String("nameserver") == "" {
		return cmdline.Usagef("seed needs --host NAME, which it answers for, and --nameserver NAME of this machine: see karatd seed --help")
	}
	config, err := o.config(c, slog.LevelInfo)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(config.DataDir, 0o700); err != nil {
		return err
	}
	key, err := noise.LoadOrCreateKey(filepath.Join(config.DataDir, seedKeyFile))
	if err != nil {
		return err
	}
	options := seed.Options{
		Params: config.Params, Key: key, UserAgent: node.UserAgent, Host: c.String("host"), Nameserver: c.String("nameserver"), Listen: c.String("listen"),
		Connect: c.StringSlice("connect"), Port: port, Local: c.Bool("local"), File: filepath.Join(config.DataDir, seedFile), Logger: config.Logger,
	}
	if c.Bool("json") {
		options.Report = func(s seed.Status) { _ = json.NewEncoder(c.App.Writer).Encode(s) }
	}
	s, err := seed.Open(options)
	if err != nil {
		return err
	}
	if !c.Bool("json") {
		fmt.Fprintf(c.App.Writer, "seed of network %s, data in %s\n  answers for %s at %s\n", config.Params.Name, config.DataDir, options.Host, s.Addr())
		ask := s.Addr().Addr()
		if ask.IsUnspecified() {
			ask = netip.MustParseAddr(loopback)
		}
		fmt.Fprintf(c.App.Writer, "Try in another terminal:\n  dig @%s -p %d %s\nStop with Ctrl-C.\n", ask, s.Addr().Port(), options.Host)
	}
	return s.Run(c.Context)
}
