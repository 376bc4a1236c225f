package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
)

// reread are the options that a node takes over while it runs.
var reread = []string{"log-level", "allow-peer", "trust-peer", "rpc-auth", "rpc-user", "rpc-password-file", "rpc-allow", "rpc-allow-default", "rpc-allow-ip"}

// reload reads the options again, as they were given and as they stand in the configuration file now, and
// hands them to the node, nil while it starts. What is wrong with them is logged, and the old ones stay.
func (o *options) reload(ctx context.Context, n *node.Node, config node.Config) {
	memory := debug.SetMemoryLimit(-1)
	again := &options{args: o.args}
	fresh, err := again.parse(ctx, o, config)
	debug.SetMemoryLimit(memory) // that of a cache which stays as it is
	switch {
	case err != nil:
	case n == nil:
		err = errors.New("the node is starting")
	default:
		err = n.Reload(fresh)
	}
	if err != nil {
		config.Logger.Error("the options could not be read again, and stay as they were", "err", cmdline.OneLine(err))
		return
	}
	if later := o.changed(again); len(later) > 0 {
		config.Logger.Warn("some options have changed that count at the next start only", "options", strings.Join(later, " "))
	}
	o.values = again.values
}

// parse reads the options of a command line, of the environment and of the file, for a node that runs by other
// options and their configuration. What came once is taken from these: a password from the standard input, and
// the network that was joined at the start.
func (o *options) parse(ctx context.Context, before *options, old node.Config) (config node.Config, err error) {
	stdin := ""
	if before.rpc.passwordFile == "-" {
		stdin = old.RPCPassword + "\n"
	}
	var out bytes.Buffer
	app := newApp(o, cmdline.Streams{In: strings.NewReader(stdin), Out: &out, Err: &out})
	ran := false
	app.Command(app.DefaultCommand).Action = func(c *cli.Context) error {
		ran = true
		if err = o.readFile(c); err != nil {
			return nil
		}
		if o.joinFrom != "" && o.joinFrom == before.joinFrom {
			o.network = before.network
		}
		config, err = o.runConfig(c)
		return nil
	}
	if code := (cmdline.Program{App: app}).Run(ctx, o.args); code != cmdline.ExitOK || !ran {
		return config, errors.New(strings.TrimSpace(out.String()))
	}
	return config, err
}

// remember keeps the values of all flags as texts, to find out later which have changed.
func (o *options) remember(c *cli.Context) {
	o.values = map[string]string{}
	for _, flag := range slices.Concat(c.App.Flags, c.App.Command(c.App.DefaultCommand).Flags) {
		name := flag.Names()[0]
		if generic, ok := flag.(*cli.GenericFlag); ok {
			o.values[name] = generic.Value.String()
			continue
		}
		value := c.Value(name)
		if list, ok := value.(cli.StringSlice); ok {
			value = list.Value()
		}
		o.values[name] = fmt.Sprint(value)
	}
}

// changed returns the options that differ and are not taken over. Where only what they name has changed, such as
// a file, nobody sees it.
func (o *options) changed(other *options) (names []string) {
	for name, value := range other.values {
		if o.values[name] != value && !slices.Contains(reread, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
