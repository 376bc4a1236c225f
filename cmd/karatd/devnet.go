package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/node/lab"
	"github.com/karatcoin/karat/rpc/devinfo"
)

// labOptions are the options of a lab: karatd dev with several nodes.
type labOptions struct {
	nodes, seed  int64
	delay        time.Duration
	loss, speed  float64
	spacing      time.Duration
	words, where string // that own the coins; the folder
}

// labSpacing is how often a block is found in a lab, unless --mining says so.
const labSpacing = 10 * time.Second

// portStep is between the ports of one node and those of the next.
const portStep = 10

func (l *labOptions) flags() []cli.Flag {
	const category = "SEVERAL NODES"
	return []cli.Flag{
		&cli.GenericFlag{Name: "nodes", Category: category, Value: cmdline.Number(&l.nodes, 1, 1, lab.MaxNodes), Usage: "run a network of `N` nodes in this process, and take commands"},
		&cli.GenericFlag{Name: "seed", Category: category, Value: cmdline.Number(&l.seed, 1, 0, math.MaxInt64), Usage: "who finds blocks when, and what is late or lost; the same `NUMBER` gives the same tip"},
		&cli.DurationFlag{Name: "delay", Category: category, Destination: &l.delay, Value: 200 * time.Millisecond, Usage: "let news take `TIME` from node to node, on average"},
		&cli.Float64Flag{Name: "loss", Category: category, Destination: &l.loss, Usage: "lose `PERCENT` of the news, which are sent again"},
		&cli.Float64Flag{Name: "speed", Category: category, Destination: &l.speed, Value: 1, Usage: "let `N` seconds pass in each; 0: time passes on command only"},
	}
}

// check reads what karatd dev and a lab understand in different ways.
func (l *labOptions) check(c *cli.Context, mining string) error {
	if l.nodes == 1 {
		for _, name := range []string{"seed", "delay", "loss", "speed"} {
			if c.IsSet(name) {
				return cmdline.Usagef("--%s is for several nodes: say how many with --nodes", name)
			}
		}
		return nil
	}
	l.spacing = labSpacing
	if c.IsSet("mining") {
		m, err := parseMining(mining)
		if err != nil {
			return err
		}
		switch m.Mode {
		case devinfo.ByTransaction:
			return cmdline.Usagef("--mining tx is for one node; with several want a time, such as 10s, or hand")
		case devinfo.ByHand:
			l.spacing = 0
		default:
			l.spacing = m.Every
		}
	}
	return nil
}

// run runs a lab of nodes that are made as one would be.
func (l *labOptions) run(c *cli.Context, o *options, d *devOptions) error {
	keys, err := d.setUp(c, o)
	if err != nil {
		return err
	}
	if o.logLevel == "" {
		o.logLevel = slog.LevelWarn.String() // of many nodes the rest is too much beside a console
	}
	config, err := o.runConfig(c)
	if err != nil {
		return err
	}
	if o.web.listen == "" {
		config.Web = net.JoinHostPort(loopback, strconv.Itoa(webPort))
	}
	l.words, l.where = keys.Words(), o.dataDir
	network, err := lab.Open(c.Context, lab.Options{
		Params: config.Params, Nodes: int(l.nodes), Seed: uint64(l.seed), Dir: o.dataDir,
		Spacing: l.spacing, Delay: l.delay, Loss: l.loss / 100, Speed: l.speed, Logger: config.Logger,
		Change: func(number int, own *node.Config) { l.change(config, number, own) },
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.Context)
	defer cancel()
	err = network.Run(ctx, func(nodes []node.Started) {
		if d.json {
			_ = cmdline.PrintJSON(c.App.Writer, l.started(nodes)) // whoever reads it waits for that
			return
		}
		l.announce(c.App.Writer, o, config, nodes)
		go func() {
			if newConsole(c, network).run(ctx) {
				cancel()
			}
		}()
	})
	return errors.Join(err, network.Close())
}

// change makes the configuration of a node from that of the flags, and leaves what the lab
// has set.
func (l *labOptions) change(flags node.Config, number int, own *node.Config) {
	its := *own
	*own = flags
	own.DataDir, own.Listen, own.Connect, own.NoDiscovery, own.MaxPeers = its.DataDir, its.Listen, its.Connect, its.NoDiscovery, its.MaxPeers
	own.NewListener, own.Dial, own.Lab, own.NoPersist, own.Logger = its.NewListener, its.Dial, its.Lab, its.NoPersist, its.Logger
	own.CacheBytes, own.Policy.MaxBytes, own.Indexes, own.WebAnyPort = its.CacheBytes, its.Policy.MaxBytes, flags.Indexes, true
	own.RPCListen = nil
	for _, at := range flags.RPCListen {
		own.RPCListen = append(own.RPCListen, portOf(at, number))
	}
	own.Web, own.Metrics, own.Stratum = portOf(flags.Web, number), portOf(flags.Metrics, number), portOf(flags.Stratum, number)
	if number > 0 { // of these one is enough
		own.ZMQ, own.Notify, own.Faucet = nil, node.Notify{}, false
	}
}

// portOf returns where a node listens when the first does at an address; none and any port
// are the same for all.
func portOf(address string, number int) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "0" {
		return address
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return address
	}
	return net.JoinHostPort(host, strconv.Itoa(int(n)+portStep*number))
}

// labStarted is what is said in JSON. Fields are added, and never changed.
type labStarted struct {
	Seed    int64            `json:"seed"`
	DataDir string           `json:"datadir"`
	Words   string           `json:"words"`
	Nodes   []labStartedNode `json:"nodes"`
}

type labStartedNode struct {
	NodeID     string `json:"node_id"`
	DataDir    string `json:"datadir"` // what --datadir of karat takes
	RPC        string `json:"rpc"`     // URL
	CookieFile string `json:"cookie_file"`
	Web        string `json:"web,omitempty"` // URL
}

func (l *labOptions) started(nodes []node.Started) labStarted {
	s := labStarted{Seed: l.seed, DataDir: l.where, Words: l.words}
	for i, t := range nodes {
		s.Nodes = append(s.Nodes, labStartedNode{t.NodeID, l.dirOf(i), rpcURL(t, hereAt(t.RPC)), t.CookieFile, t.Web})
	}
	return s
}

func (l *labOptions) dirOf(number int) string {
	return filepath.Join(l.where, "node"+strconv.Itoa(number))
}

// announce says what runs, and what to try.
func (l *labOptions) announce(w io.Writer, o *options, config node.Config, nodes []node.Started) {
	how := "blocks on command"
	if l.spacing > 0 {
		how = fmt.Sprintf("a block every %s on average", l.spacing)
	}
	fmt.Fprintf(w, "karat lab: %d nodes, seed %d, %s\n  data    %s/node0 and so on\n", l.nodes, l.seed, how, l.where)
	table := cmdline.Table(w, 0)
	fmt.Fprintln(table, "  node\tRPC\tlook (in a browser)")
	for i, t := range nodes {
		fmt.Fprintf(table, "  %d\t%s\t%s\n", i, rpcURL(t, hereAt(t.RPC)), t.Web)
	}
	_ = table.Flush()
	there := *o
	there.dataDir = l.dirOf(0)
	try := shellWord(walletProgram()) + tryFlags(&there, config, nodes[0])
	fmt.Fprintf(w, "The words that own the coins of the genesis block, and of all blocks:\n  %s\n", l.words)
	fmt.Fprintf(w, "Try in another terminal:\n  %s rpc getpeerinfo\n  %s rpc lab_do \"partition 0,1\"\n", try, try)
	fmt.Fprintln(w, "Commands are mine, wait, settle, partition, heal, delay, loss, speed, status,\nhelp; quit or Ctrl-C ends it.")
}

// printable joins numbers of nodes.
func printable(numbers []int) string {
	var words []string
	for _, n := range numbers {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, " ")
}
