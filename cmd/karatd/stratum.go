package main

import (
	"crypto/tls"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
)

// stratumOptions are what the flags say of miners that connect.
type stratumOptions struct {
	listen, cert, key string
	most              int64
}

func (o *stratumOptions) flags() []cli.Flag {
	const mining = "Mining:"
	return cmdline.FromEnvironment(
		&cli.StringFlag{Name: "stratum", Destination: &o.listen, Value: none, Category: mining, Usage: "give miners work by Stratum at `HOST:PORT`, such as 0.0.0.0:3333; a miner's name, ADDRESS.RIG, is what its blocks pay"},
		&cli.StringFlag{Name: "stratum-cert", Destination: &o.cert, Category: mining, Usage: "speak TLS with miners, by the certificate in `FILE` (PEM) and the key of --stratum-key"},
		&cli.StringFlag{Name: "stratum-key", Destination: &o.key, Category: mining, Usage: "the private key of --stratum-cert is in `FILE` (PEM)"},
		&cli.GenericFlag{Name: "stratum-max", Value: cmdline.Number(&o.most, node.DefaultMaxMiners, 1, 100_000), Category: mining, Usage: "let at most `N` miners connect, " + strconv.Itoa(node.DefaultMaxMinersPerAddress) + " of them from one address of the internet"},
	)
}

// set sets what concerns miners that connect. The certificate is read even when none
// can: a mistake in it should not wait until somebody lets them.
func (o *stratumOptions) set(_ *cli.Context, config *node.Config) (err error) {
	const port = 3333 // at which many programs look
	if o.listen == "" {
		o.listen = none // an empty line of a file, or an empty variable, opens nothing
	}
	if config.Stratum, err = address("stratum", o.listen, loopback, port); err != nil {
		return err
	}
	config.MaxMiners = int(o.most)
	switch {
	case o.cert == "" && o.key == "":
		return nil
	case o.cert == "" || o.key == "":
		return cmdline.Usagef("--stratum-cert and --stratum-key need each other")
	}
	certificate, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return cmdline.Usagef("--stratum-cert, --stratum-key: %w", err)
	}
	config.StratumTLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	return nil
}
