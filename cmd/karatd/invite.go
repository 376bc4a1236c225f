package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/rpc"
)

func inviteCommand(o *options) *cli.Command {
	return &cli.Command{
		Name: "invite", Usage: "let somebody's wallet use this node: make a user, and the line for karat connect", ArgsUsage: "NAME",
		Description: "Prints the line that you hand to NAME, who gives it to karat connect. It says where the node\n" +
			"is, by which certificate it is known, and of which network it is, and holds a new password:\n" +
			"send it on a way that nobody else reads. On standard error are the lines for " + configFile + ",\n" +
			"by which the node knows the user; they hold no secret. NAME may do what a wallet needs\n" +
			"(the role @wallet), and nothing else.\n\n" +
			"   karatd invite --at node.example:9554 alice\n\n" +
			"The node has to listen there with TLS: --rpc-listen 0.0.0.0:9554 --rpc-tls.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "at", Usage: "the node is reached at `HOST:PORT` from where NAME is"},
			&cli.StringFlag{Name: "cert", Usage: "the node has the certificate in `FILE`, the one of --rpc-cert (default: the one of --rpc-tls, which is made if there is none)"},
			&cli.BoolFlag{Name: "plain", Usage: "the node speaks no TLS: for this machine, or a network on which everybody is trusted"},
		},
		Action: func(c *cli.Context) error { return invite(c, o) },
	}
}

// invite prints the line to standard output, and what the operator has to do to standard
// error.
func invite(c *cli.Context, o *options) error {
	if c.NArg() != 1 {
		return cmdline.Usagef("invite needs the NAME of one user")
	}
	name, at := c.Args().First(), c.String("at")
	if host, port, err := net.SplitHostPort(at); err != nil || host == "" || port == "" {
		return cmdline.Usagef("--at %q: want HOST:PORT, where the node is reached from elsewhere", at)
	}
	params, err := o.chosen(c)
	if err != nil {
		return err
	}
	dir, err := karat.DataDir(o.dataDir, params)
	if err != nil {
		return err
	}
	login := rpc.Login{HostPort: at, Plain: c.Bool("plain"), User: name, Password: rpc.NewPassword(), Network: params.Name, Identity: params.Identity()}
	if !login.Plain {
		if login.Fingerprint, err = fingerprint(dir, c.String("cert"), at); err != nil {
			return err
		}
	}
	line, err := rpc.HashedLine(name, login.Password)
	if err != nil {
		return cmdline.Usagef("%w", err)
	}
	fmt.Fprintf(c.App.ErrWriter, "For %s, beside what its lists have already; then start the node again:\n\nrpc-auth = [%q]\nrpc-allow = [%q, %q]\n\nThe line for %s, who gives it to karat connect:\n\n", configFile, line, name+":@wallet", rpc.CookieUser+":@all", cmdline.Printable(name))
	_, err = fmt.Fprintln(c.App.Writer, login)
	return err
}

// fingerprint returns that of the certificate in a file, or of the node's own, which is made
// if there is none yet.
func fingerprint(dir, file, at string) (string, error) {
	if file != "" {
		text, err := wholefile.Read(file, 1<<20)
		if err != nil {
			return "", cmdline.Usagef("--cert: %w", err)
		}
		block, _ := pem.Decode(text)
		if block == nil || block.Type != "CERTIFICATE" {
			return "", cmdline.Usagef("--cert %s: it holds no certificate (PEM)", file)
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return "", cmdline.Usagef("--cert %s: %w", file, err)
		}
		return rpc.Fingerprint(leaf), nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	host, _, _ := net.SplitHostPort(at) // it was split before
	names, addresses := rpc.Names(nil, []string{host})
	certificate, err := rpc.OwnCertificate(dir, names, addresses, time.Now())
	if err != nil {
		return "", err
	}
	return rpc.Fingerprint(certificate.Leaf), nil
}
