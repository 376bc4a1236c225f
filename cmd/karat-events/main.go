// Command karat-events reads the events that nodes write into NATS JetStream (karatd
// --events), and fills tables of PostgreSQL from them, for people who ask a chain questions in
// SQL. It is a module of its own, so that nothing of PostgreSQL is linked into a node.
//
// stream.go reads the stream, rows.go makes rows of it, warehouse.go writes them, and follow.go
// lets the two run side by side. schema.sql is the tables.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node/events"
)

// program is what this program is called, also by the servers that it uses.
const program = "karat-events"

func main() { cmdline.Main(run) }

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, std cmdline.Streams) int {
	return cmdline.Program{App: newApp(&options{}, std)}.Run(ctx, args)
}

// options holds what the flags say.
type options struct {
	network                         string
	servers, credentials, authority string
	certificate, key                string
	database, schema                string
	once                            bool
	logLevel                        string
}

func newApp(o *options, std cmdline.Streams) *cli.App {
	return &cli.App{
		Name:  program,
		Usage: "fill PostgreSQL with what nodes tell NATS",
		Description: "A node that runs with --events writes every block that comes or goes into a stream of\n" +
			"NATS JetStream. This program fills tables of PostgreSQL from there: blocks, transactions,\n" +
			"inputs and outputs of the best chain. What a reorganisation undoes is taken out again. It\n" +
			"may be stopped or killed at any moment: how far it is stands in the tables, and changes\n" +
			"with them.\n\n" +
			"   karatd --events nats://127.0.0.1:4222\n" +
			"   createdb karat\n" +
			"   karatd events --database postgres:///karat --events nats://127.0.0.1:4222\n" +
			"   karatd events status --database postgres:///karat\n" +
			"   psql karat -c 'select sum(value) from karat.coins'\n\n" +
			"A second one waits, and takes over when the first has gone. A password is best left to\n" +
			"the environment (KARAT_EVENTS, PGPASSWORD) or to ~/.pgpass. docs/warehouse.md explains\n" +
			"the tables and has examples.\n\n" +
			"Exit codes: 0 done; 1 it could not be done; 2 the command line was not understood.",
		Flags: cmdline.FromEnvironment(
			&cli.StringFlag{Name: "network", Destination: &o.network, Value: "main", Usage: "main, dev, or the `FILE` of a network's genesis.json"},
			&cli.StringFlag{Name: "events", Destination: &o.servers, Value: "nats://127.0.0.1:4222", Usage: "read from the NATS servers at these `URLS`, with commas between them"},
			&cli.StringFlag{Name: "events-creds", Destination: &o.credentials, Usage: "log in by the NATS credentials in `FILE`"},
			&cli.StringFlag{Name: "events-ca", Destination: &o.authority, Usage: "speak TLS, and know servers by the certificates in `FILE`"},
			&cli.StringFlag{Name: "events-cert", Destination: &o.certificate, Usage: "speak TLS, and log in by the certificate in `FILE`"},
			&cli.StringFlag{Name: "events-key", Destination: &o.key, Usage: "the key of --events-cert, in `FILE`"},
			&cli.StringFlag{Name: "database", Destination: &o.database, Usage: "write to the PostgreSQL at this `URL`, such as postgres://USER@HOST/NAME (default: as PGHOST, PGDATABASE and others of PostgreSQL's variables say)"},
			&cli.StringFlag{Name: "schema", Destination: &o.schema, Value: "karat", Usage: "keep the tables in the schema `NAME`, which is made if it is not there"},
			&cli.BoolFlag{Name: "once", Destination: &o.once, Usage: "end when all that the stream has now is in the tables"},
			&cli.StringFlag{Name: "log-level", Destination: &o.logLevel, Value: "info", Usage: "log from this `LEVEL` on: debug, info, warn or error"},
		),
		Commands: []*cli.Command{
			{Name: "fill", Usage: "fill the tables, and keep them filled (what " + program + " does without a command)", Action: func(c *cli.Context) error { return fill(c, o) }},
			{
				Name: "status", Usage: "tell how far the tables are",
				Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "as JSON"}},
				Action: func(c *cli.Context) error { return status(c, o) },
			},
			{Name: "schema", Usage: "print the tables as SQL", Action: func(c *cli.Context) error {
				_, err := fmt.Fprint(c.App.Writer, schema)
				return err
			}},
			cmdline.CompletionCommand(program),
			cmdline.ManCommand(program),
		},
		DefaultCommand: "fill",
		Version:        karat.Version,
		Reader:         std.In,
		Writer:         std.Out,
		ErrWriter:      std.Err,
	}
}

// events is what the flags say of the stream, as a node has it.
func (o *options) events() events.Config {
	return events.Config{
		Servers: o.servers, Format: journal.JSON, Credentials: o.credentials, Authority: o.authority, Certificate: o.certificate, Key: o.key,
	}
}

// check checks that before anybody is asked. An error never has a password in it.
func (o *options) check() error {
	c := o.events()
	if err := c.Check(); err != nil {
		return cmdline.Usagef("--events: %w", err)
	}
	return nil
}

func fill(c *cli.Context, o *options) error {
	params, err := karat.LoadNetwork(o.network)
	if err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return cmdline.Usagef("--log-level %q: want debug, info, warn or error", o.logLevel)
	}
	if err := o.check(); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: level}))
	f := &follower{o: o, params: params, log: log}
	return f.run(c.Context)
}

// state is what status tells.
type state struct {
	Network  string    `json:"network"`
	Height   int64     `json:"height"` // -1: there is no block
	Hash     string    `json:"hash,omitempty"`
	Steps    uint64    `json:"steps"`
	Sequence uint64    `json:"sequence"`
	Updated  time.Time `json:"updated"`
	Behind   *uint64   `json:"behind,omitempty"` // steps of the stream that are not in the tables
	Stream   string    `json:"stream,omitempty"` // why the stream could not be asked
}

func status(c *cli.Context, o *options) error {
	params, err := karat.LoadNetwork(o.network)
	if err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	s, err := readState(c.Context, o, params)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return cmdline.PrintJSON(c.App.Writer, s)
	}
	w := c.App.Writer
	fmt.Fprintf(w, "network  %s\n", s.Network)
	switch {
	case s.Height < 0:
		fmt.Fprintln(w, "height   none: the tables are empty")
	default:
		fmt.Fprintf(w, "height   %d\nblock    %s\n", s.Height, s.Hash)
	}
	fmt.Fprintf(w, "written  %s\n", cmdline.Time(c, s.Updated.Unix()))
	if s.Behind == nil {
		fmt.Fprintf(w, "behind   unknown: %s\n", s.Stream)
	} else {
		fmt.Fprintf(w, "behind   %d blocks that came or went\n", *s.Behind)
	}
	return nil
}

func readState(ctx context.Context, o *options, params *consensus.Params) (*state, error) {
	w, err := openWarehouse(ctx, o.database, o.schema, params)
	if err != nil {
		return nil, err
	}
	defer w.close()
	at, err := w.position(ctx)
	if err != nil {
		return nil, err
	}
	s := &state{Network: params.Name, Height: at.height(), Steps: at.Steps, Sequence: at.sequence}
	if s.Height >= 0 {
		s.Hash = at.Block.Hash.String()
	}
	if err := w.conn.QueryRow(ctx, "select updated from position").Scan(&s.Updated); err != nil {
		return nil, err
	}
	s.behind(ctx, o, params, at)
	return s, nil
}

// behind asks the stream, which may be away.
func (s *state) behind(ctx context.Context, o *options, params *consensus.Params, at position) {
	source, err := openSource(ctx, o, params)
	if err != nil {
		s.Stream = err.Error()
		return
	}
	defer source.close()
	end, err := source.end(ctx)
	if err != nil {
		s.Stream = err.Error()
		return
	}
	n := uint64(0)
	if end != nil && end.Number >= at.Steps {
		n = end.Number + 1 - at.Steps
	}
	s.Behind = &n
}
