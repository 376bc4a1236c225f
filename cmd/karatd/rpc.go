package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/rpc"
)

// rpcOptions are what the flags say of RPC clients.
type rpcOptions struct {
	listen, auth, allow, hosts, allowIP cli.StringSlice
	user, passwordFile                  string
	allowDefault                        string
	ownTLS, cookie, rest, pprof         bool
	cert, key, cookiePerms              string
	idle, callTime                      time.Duration
	rate                                int64
	memory                              uint64
}

func (o *rpcOptions) flags() []cli.Flag {
	const rpc = "RPC:"
	return cmdline.FromEnvironment(
		&cli.StringSliceFlag{Name: "rpc-listen", Destination: &o.listen, Category: rpc, Usage: "answer JSON-RPC and WebSocket at `HOST:PORT`, or none; may be repeated (default: the network's port on 127.0.0.1)"},
		&cli.StringSliceFlag{Name: "rpc-auth", Destination: &o.auth, Category: rpc, Usage: "let a user in by `NAME:SALT$HASH`, as `karatd rpcauth` and Bitcoin's rpcauth.py print it; may be repeated"},
		&cli.StringFlag{Name: "rpc-user", Destination: &o.user, Category: rpc, Usage: "let the user `NAME` in with the password of --rpc-password-file"},
		&cli.StringFlag{Name: "rpc-password-file", Destination: &o.passwordFile, Category: rpc, Usage: "the password of --rpc-user is the first line of `FILE`"},
		&cli.StringSliceFlag{Name: "rpc-allow", Destination: &o.allow, Category: rpc, Usage: "let the user of `NAME:METHOD+METHOD` call these methods and no others, or those of the roles @read, @wallet, @mine, @all; may be repeated"},
		&cli.StringFlag{Name: "rpc-allow-default", Destination: &o.allowDefault, Category: rpc, Usage: "let users without --rpc-allow call `WHAT`: all or none", DefaultText: "all while nobody has --rpc-allow, then none"},
		&cli.StringSliceFlag{Name: "rpc-allow-ip", Destination: &o.allowIP, Category: rpc, Usage: "let clients connect from this `ADDRESS`, or subnet, and from this machine; may be repeated (default: from everywhere)"},
		&cli.StringSliceFlag{Name: "rpc-host", Destination: &o.hosts, Category: rpc, Usage: "clients may call this node `NAME`, beside its addresses, localhost and the name of the machine; may be repeated"},
		&cli.BoolFlag{Name: "rpc-tls", Destination: &o.ownTLS, Category: rpc, Usage: "speak TLS with clients, by a certificate that is made at the first start (rpc.cert and rpc.key in the network's data folder)"},
		&cli.StringFlag{Name: "rpc-cert", Destination: &o.cert, Category: rpc, Usage: "speak TLS with clients, by the certificate in `FILE` (PEM) and the key of --rpc-key"},
		&cli.StringFlag{Name: "rpc-key", Destination: &o.key, Category: rpc, Usage: "the private key of --rpc-cert is in `FILE` (PEM)"},
		&cli.BoolFlag{Name: "rpc-use-cookie", Destination: &o.cookie, Value: true, Category: rpc, Usage: "write a cookie, by which who can read it logs in; --rpc-use-cookie=false writes none"},
		&cli.StringFlag{Name: "rpc-cookie-perms", Destination: &o.cookiePerms, Value: "owner", Category: rpc, Usage: "let `WHO` read the cookie: owner, group or all"},
		&cli.DurationFlag{Name: "rpc-timeout", Destination: &o.idle, Value: defaultRPCIdle, Category: rpc, Usage: "hang up on a client that asks nothing for `DURATION`"},
		&cli.GenericFlag{Name: "rpc-rate", Value: cmdline.Number(&o.rate, 0, 0, 1_000_000), Category: rpc, Usage: "let each user but the cookie's make at most `N` calls a second; more wait, then are refused; 0 is no limit"},
		&cli.DurationFlag{Name: "rpc-call-time", Destination: &o.callTime, Value: defaultCallTime, Category: rpc, Usage: "end a request, with all calls of a batch, after `DURATION`"},
		&cli.GenericFlag{Name: "rpc-memory", Value: cmdline.Size(&o.memory, defaultUserMemory), Category: rpc, Usage: "let requests and answers of one user that are under way take this `SIZE` of memory, in MiB or with a unit (500M, 2G); more wait, then are refused"},
		&cli.BoolFlag{Name: "pprof", Destination: &o.pprof, Category: rpc, Usage: "give profiles of the program (Go's pprof) at /debug/pprof/ to users who may call everything"},
		&cli.BoolFlag{Name: "rest", Destination: &o.rest, Category: rpc, Usage: "answer Bitcoin Core's REST at /rest/, to anybody who reaches --rpc-listen"},
	)
}

// The defaults of package rpc, whose name the category of the flags has.
const (
	defaultRPCIdle    = rpc.DefaultIdleTimeout
	defaultCallTime   = rpc.DefaultCallTime
	defaultUserMemory = rpc.DefaultUserMemory
)

// set sets what concerns clients. Without any user the node still makes a cookie,
// so that karat on this machine needs no configuration.
func (o *rpcOptions) set(c *cli.Context, config *node.Config) (err error) {
	config.REST, config.Profiles = o.rest, o.pprof
	listen := o.listen.Value()
	if len(listen) == 0 {
		listen = []string{""}
	}
	for _, text := range listen {
		at, err := address("rpc-listen", text, loopback, config.Params.Ports.RPC)
		if err != nil {
			return err
		}
		if at == "" && len(listen) > 1 {
			return cmdline.Usagef("--rpc-listen none: there are others: %s", strings.Join(listen, " "))
		}
		if at != "" && !slices.Contains(config.RPCListen, at) {
			config.RPCListen = append(config.RPCListen, at)
		}
	}
	config.RPCAuth, config.RPCAllow, config.RPCHosts = o.auth.Value(), o.allow.Value(), o.hosts.Value()
	if o.idle < time.Second {
		return cmdline.Usagef("--rpc-timeout %s: want a second at least", o.idle)
	}
	config.RPCIdle = o.idle
	if o.callTime < time.Second {
		return cmdline.Usagef("--rpc-call-time %s: want a second at least", o.callTime)
	}
	if o.memory < 1<<20 {
		return cmdline.Usagef("--rpc-memory: want 1 MiB at least")
	}
	config.RPCLimits = rpc.Limits{Rate: float64(o.rate), CallTime: o.callTime, Memory: int64(o.memory)}
	for _, part := range []func(*node.Config) error{o.setOthers, o.setAllowIP, o.setCookie, o.setTLS} {
		if err := part(config); err != nil {
			return err
		}
	}
	config.RPCUser = o.user
	config.RPCPassword, err = cmdline.Password(c, o.user, o.passwordFile)
	return err
}

func (o *rpcOptions) setOthers(config *node.Config) error {
	switch o.allowDefault {
	case "":
	case "all":
		config.RPCOthers = node.OthersAll
	case none:
		config.RPCOthers = node.OthersNone
	default:
		return cmdline.Usagef("--rpc-allow-default %q: want all or none", o.allowDefault)
	}
	return nil
}

func (o *rpcOptions) setAllowIP(config *node.Config) error {
	for _, text := range o.allowIP.Value() {
		text = strings.Trim(text, "[]")
		prefix, err := netip.ParsePrefix(text)
		if address, notPrefix := netip.ParseAddr(text); notPrefix == nil {
			prefix, err = address.Prefix(address.BitLen())
		}
		if err != nil {
			return cmdline.Usagef("--rpc-allow-ip %q: want an address or a subnet, such as 192.0.2.0/24", text)
		}
		config.RPCAllowIP = append(config.RPCAllowIP, prefix.Masked())
	}
	return nil
}

func (o *rpcOptions) setCookie(config *node.Config) error {
	config.RPCNoCookie = !o.cookie
	switch o.cookiePerms {
	case "owner":
	case "group":
		config.RPCCookieMode = fs.FileMode(0o640)
	case "all":
		config.RPCCookieMode = fs.FileMode(0o644)
	default:
		return cmdline.Usagef("--rpc-cookie-perms %q: want owner, group or all", o.cookiePerms)
	}
	return nil
}

// setTLS reads the certificate even when nobody can connect: a mistake in it should not
// wait until somebody can.
func (o *rpcOptions) setTLS(config *node.Config) error {
	config.RPCOwnTLS = o.ownTLS
	switch {
	case o.cert == "" && o.key == "":
		return nil
	case o.cert == "" || o.key == "":
		return cmdline.Usagef("--rpc-cert and --rpc-key need each other")
	}
	certificate, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return cmdline.Usagef("--rpc-cert, --rpc-key: %w", err)
	}
	config.RPCTLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	return nil
}

// announceRPC says where clients find the node, and how they know it.
func announceRPC(w io.Writer, t node.Started) {
	for _, listen := range append([]string{t.RPC}, t.RPCMore...) {
		for _, at := range callable(listen, ownAddresses()) {
			cmdline.Line(w, "  RPC     %s (user and password: %s)", rpcURL(t, at), t.CookieFile)
		}
	}
}

func rpcURL(t node.Started, at string) string {
	if t.RPCKey != "" {
		return rpc.WithFingerprint(at, t.RPCKey)
	}
	return "http://" + at
}

func rpcauthCommand() *cli.Command {
	return &cli.Command{
		Name: "rpcauth", Usage: "make the line by which a user of RPC logs in (see --rpc-auth)", ArgsUsage: "NAME",
		Description: "Prints the line for --rpc-auth, or for rpc-auth in the configuration file. The password is\n" +
			"asked for, or is the first line of standard input; it stands in no history and in no list\n" +
			"of processes. An empty one is made, and printed.\n\n" +
			"   karatd rpcauth alice\n" +
			"   karatd rpcauth --generate alice",
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "generate", Usage: "make a password, and do not ask for one"}},
		Action: printAuth,
	}
}

// printAuth prints the line to standard output, and all else to standard error: the line
// can go into a file by itself.
func printAuth(c *cli.Context) error {
	if c.NArg() != 1 {
		return cmdline.Usagef("rpcauth needs the NAME of one user")
	}
	password, err := newPassword(c)
	if err != nil {
		return err
	}
	if password == "" {
		password = rpc.NewPassword()
		fmt.Fprintf(c.App.ErrWriter, "The password is\n%s\n", password)
	}
	line, err := rpc.HashedLine(c.Args().First(), password)
	if err != nil {
		return cmdline.Usagef("%w", err)
	}
	fmt.Fprintf(c.App.ErrWriter, "The line for --rpc-auth, or for rpc-auth in %s:\n", configFile)
	_, err = fmt.Fprintln(c.App.Writer, line)
	return err
}

// newPassword asks for a password, twice, since it is not shown.
func newPassword(c *cli.Context) (string, error) {
	if c.Bool("generate") {
		return "", nil
	}
	in, ok := cmdline.Terminal(c.App.Reader)
	if !ok {
		return cmdline.FirstLine(c.Context, "-", c.App.Reader)
	}
	password, err := cmdline.AskSecret(c.Context, in, c.App.ErrWriter, "Password (empty: one is made): ")
	if err != nil || password == "" {
		return "", err
	}
	again, err := cmdline.AskSecret(c.Context, in, c.App.ErrWriter, "Once more: ")
	if err == nil && again != password {
		err = fmt.Errorf("the passwords differ: nothing was made")
	}
	return password, err
}
