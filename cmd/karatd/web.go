package main

import (
	"net"
	"path"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
)

// webPort is where the pages are, unless --web says so. It is no network's own: of several
// nodes on a machine one has it.
const webPort = 19580

// webOptions are what the flags say of the pages that people read.
type webOptions struct {
	listen, base string
	forwarded    bool
	operator     bool
}

func (o *webOptions) flags() []cli.Flag {
	const category = "Web:"
	return cmdline.FromEnvironment(
		&cli.StringFlag{Name: "web", Destination: &o.listen, Category: category, Usage: "show the chain to browsers at `HOST:PORT`, or none (default: none; on the dev network 127.0.0.1:" + strconv.Itoa(webPort) + ", or another port if that one is taken)"},
		&cli.StringFlag{Name: "web-base", Destination: &o.base, Category: category, Usage: "a proxy has the pages under `PATH`, such as /explorer, and passes it on"},
		&cli.BoolFlag{Name: "web-operator", Destination: &o.operator, Category: category, Usage: "show peers, their addresses and miners to whoever opens the pages on this machine itself, at 127.0.0.1 or localhost"},
		&cli.BoolFlag{Name: "web-forwarded", Destination: &o.forwarded, Category: category, Usage: "visitors come by a proxy, which tells in X-Forwarded-For who they are: limits are theirs and not the proxy's"},
	)
}

func (o *webOptions) set(_ *cli.Context, config *node.Config) (err error) {
	listen := o.listen
	if listen == "" {
		if listen = none; isDev(config.Params) {
			listen, config.WebAnyPort = net.JoinHostPort(loopback, strconv.Itoa(webPort)), true
		}
	}
	if config.Web, err = address("web", listen, loopback, webPort); err != nil {
		return err
	}
	if base := o.base; base != "" {
		if base = "/" + strings.Trim(base, "/"); base != path.Clean(base) || strings.ContainsFunc(base, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/-_.~", r)
		}) || base == "/" {
			return cmdline.Usagef("--web-base %q: want a path of letters, digits, dashes and slashes, such as /explorer", o.base)
		}
		config.WebBase = base
	}
	config.WebForwarded, config.WebOperator = o.forwarded, o.operator
	if o.forwarded && o.operator {
		return cmdline.Usagef("--web-operator: visitors who come by a proxy are not told apart from you; leave it out with --web-forwarded")
	}
	return nil
}
