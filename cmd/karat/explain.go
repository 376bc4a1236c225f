package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/wallet"
)

// explainer says of an error what can be done about it.
type explainer struct {
	c *cli.Context // with the flags of all commands; nil if the command line was not understood
}

// explain returns what to say about the errors that need more than their own text.
// What a node answers is printed as bitcoin-cli prints it, since scripts read the
// code.
func (e *explainer) explain(err error) (string, bool) {
	var refused *rpc.Error
	if errors.As(err, &refused) && refused == err {
		// The lines of a help text stay lines, and none of them looks like one of ours.
		return fmt.Sprintf("error code: %d\nerror message:\n%s", refused.Code, strings.ReplaceAll(optionNames.Replace(refused.Message), "\n", "\n   ")), true
	}
	// The cause of a payment that nobody knows of may be an interrupt, but "interrupted" would
	// hide that coins may have been spent.
	if errors.Is(err, context.Canceled) && !errors.Is(err, wallet.ErrUnsure) {
		return "", false
	}
	text := "karat: " + optionNames.Replace(cmdline.OneLine(err))
	if e.c != nil {
		text += e.hint(err)
	}
	return text, true
}

// optionNames turns the options of Bitcoin Core in a node's messages, which other programs
// compare, into those of karatd.
var optionNames = strings.NewReplacer(
	"(e.g. -maxtxfee, maxfeerate)", "(maxfeerate)", " -txindex", " --txindex", "the -generate cli option. Refer to -help for more information", "generatetoaddress",
	"Index is not enabled for filtertype basic", "the node keeps no block filters (start it with --filters)",
)

// hint returns what to do about a node that does not answer, or is not the right one. It
// names the network if that was not chosen: a forgotten --network looks like a node that
// does not run.
func (e *explainer) hint(err error) string {
	run, other := "karatd", " or choose another network with --"+flagNetwork
	if e.c.IsSet(flagNetwork) {
		run, other = run+" --network "+cmdline.Printable(e.c.String(flagNetwork)), ""
	}
	switch cookie := (*fs.PathError)(nil); {
	case errors.Is(err, rpc.ErrNoCookie) && errors.As(err, &cookie):
		return fmt.Sprintf("; this is %s: start a node with %s, or name its cookie with --%s FILE or its data directory with --%s DIR%s", e.network(), run, flagCookie, flagDataDir, other)
	case errors.Is(err, rpc.ErrUnreachable):
		return fmt.Sprintf("; this is %s: start a node with %s, or name another with --%s URL%s", e.network(), run, flagRPC, other)
	case errors.Is(err, rpc.ErrUnauthorized) && e.c.String(flagUser) != "":
		return fmt.Sprintf(": look at --%s and --%s, and at the node's --rpc-auth", flagUser, flagPassword)
	case errors.Is(err, rpc.ErrUnauthorized) && ofStored(e.c, err):
		return ": its operator has changed your user or password; ask for a new line for karat connect"
	case errors.Is(err, rpc.ErrUnauthorized):
		return fmt.Sprintf(": the cookie is of another node or of an earlier start; this is %s; name the node's cookie with --%s FILE, or a user with --%s NAME", e.network(), flagCookie, flagUser)
	case errors.Is(err, rpc.ErrNotNode):
		return fmt.Sprintf("; name a node's address for RPC with --%s URL", flagRPC)
	case errors.Is(err, rpc.ErrCertificate):
		return fmt.Sprintf("; name the node's rpc.cert with --%s FILE, or add #sha256=FINGERPRINT to --%s, as the node prints it", flagCert, flagRPC)
	case errors.Is(err, wallet.ErrOtherNetwork):
		return fmt.Sprintf("; this is %s: choose the node's with --%s, or another node with --%s URL", e.network(), flagNetwork, flagRPC)
	}
	return ""
}

// network names the network that the command line chose, or did not.
func (e *explainer) network() string { return networkName(e.c, e.c.String(flagNetwork)) }

// networkName names a network, and says so if nobody chose it.
func networkName(c *cli.Context, name string) string {
	if c.IsSet(flagNetwork) {
		return "network " + cmdline.Printable(name)
	}
	return "network " + name + ", the default"
}

// ofStored reports whether an error is about a node that karat connect has stored.
func ofStored(c *cli.Context, err error) bool {
	h, homeErr := findHome(c)
	if homeErr != nil {
		return false
	}
	stored, _ := h.storedNodes() // a file that is damaged has an error of its own
	return slices.ContainsFunc(stored, func(n storedNode) bool { return strings.Contains(err.Error(), n.name()) })
}
