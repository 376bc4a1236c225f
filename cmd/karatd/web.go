package main

import (
	"net"
	"path"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/web/faucet"
)

// webPort is where the pages are, unless --web says so. It is no network's own: of several
// nodes on a machine one has it.
const webPort = 19580

// webOptions are what the flags say of the pages that people read.
type webOptions struct {
	listen, base string
	forwarded    bool
	operator     bool

	faucet                bool
	faucetGift, faucetAll string
}

func (o *webOptions) flags() []cli.Flag {
	const category = "Web:"
	return cmdline.FromEnvironment(
		&cli.StringFlag{Name: "web", Destination: &o.listen, Category: category, Usage: "show the chain to browsers at `HOST:PORT`, or none (default: none; on the dev network 127.0.0.1:" + strconv.Itoa(webPort) + ", or another port if that one is taken)"},
		&cli.StringFlag{Name: "web-base", Destination: &o.base, Category: category, Usage: "a proxy has the pages under `PATH`, such as /explorer, and passes it on"},
		&cli.BoolFlag{Name: "web-operator", Destination: &o.operator, Category: category, Usage: "show peers, their addresses and miners to whoever opens the pages on this machine itself, at 127.0.0.1 or localhost"},
		&cli.BoolFlag{Name: "faucet", Destination: &o.faucet, Category: category, Usage: "give coins away on the pages, from a key of its own; not on the main network"},
		&cli.StringFlag{Name: "faucet-amount", Destination: &o.faucetGift, Category: category, Usage: "give `AMOUNT` coins to an address, once an hour", DefaultText: faucet.DefaultAmount.String()},
		&cli.StringFlag{Name: "faucet-per-hour", Destination: &o.faucetAll, Category: category, Usage: "give `AMOUNT` coins to all together in an hour", DefaultText: faucet.DefaultPerHour.String()},
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
	return o.setFaucet(config)
}

// setFaucet reads what the faucet gives. On the main network coins are money, and a mistake
// would give it away.
func (o *webOptions) setFaucet(config *node.Config) (err error) {
	config.Faucet, config.FaucetAmount, config.FaucetPerHour = o.faucet, faucet.DefaultAmount, faucet.DefaultPerHour
	for _, amount := range []struct {
		flag, text string
		to         *types.Amount
	}{{"faucet-amount", o.faucetGift, &config.FaucetAmount}, {"faucet-per-hour", o.faucetAll, &config.FaucetPerHour}} {
		if amount.text == "" {
			continue
		}
		if *amount.to, err = types.ParseAmount(amount.text); err != nil || *amount.to <= 0 {
			return cmdline.Usagef("--%s %q: want an amount of coins, such as 1.5", amount.flag, amount.text)
		}
	}
	switch {
	case !o.faucet:
		return nil
	case config.Web == "":
		return cmdline.Usagef("--faucet: there are no pages; see --web")
	case config.Params.Name == "main":
		return cmdline.Usagef("--faucet: the coins of the main network are not given away")
	case config.FaucetAmount > config.FaucetPerHour:
		return cmdline.Usagef("--faucet-amount %s is more than --faucet-per-hour %s", config.FaucetAmount, config.FaucetPerHour)
	}
	return nil
}
