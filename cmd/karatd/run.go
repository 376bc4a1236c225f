package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
)

func runCommand(o *options) *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "run the node (what karatd does without a command)",
		Description: "Syncs with peers, relays transactions and blocks, mines if asked to, and answers\n" +
			"JSON-RPC and WebSocket clients, which find user and password in the file .cookie in\n" +
			"the network's data folder. Stop it with Ctrl-C, SIGTERM or `karat rpc stop`. SIGHUP has\n" +
			"it read its log level, its lists of peers and of RPC users, and its bans again.\n\n" +
			"   karatd --network dev --mine                     run a chain of your own on this machine\n" +
			"   karatd --connect ID@192.0.2.1:9555              begin with a peer that you know\n" +
			"   karatd --network coin.json --mine --mine-to ADDRESS",
		Flags:  o.runFlags(),
		Action: func(c *cli.Context) error { return runNode(c, o) },
	}
}

// runNode runs the node until the context ends or a part of it fails. Closing
// stores what is only in memory, so it comes last in either case, and what goes
// wrong there is reported beside what went wrong before.
func runNode(c *cli.Context, o *options) error {
	if o.joinFrom != "" {
		if err := o.joinFirst(c); err != nil {
			return err
		}
	}
	config, err := o.runConfig(c)
	if err != nil {
		return err
	}
	_, err = os.Stat(config.DataDir)
	isNew := errors.Is(err, fs.ErrNotExist)
	var opened atomic.Pointer[node.Node] // which may take a while, in which nobody should end it by a reload
	cmdline.OnHangup(c.Context, func() { o.reload(c.Context, opened.Load(), config) })
	n, err := node.Open(c.Context, config)
	if err != nil {
		return err
	}
	opened.Store(n)
	limited, stop := context.WithCancel(c.Context)
	defer stop()
	go o.limitMemory(limited, n)
	err = n.Run(c.Context, func(t node.Started) {
		tellSystemd(c.Context, n)
		announce(c.App.Writer, o, config, t, isNew)
	})
	return errors.Join(err, n.Close())
}

// announce says what runs, and what to try next. It is called when every listener
// is open, so that the commands that it shows work at once. A folder that was made is named
// as new: it may be elsewhere than was meant.
func announce(w io.Writer, o *options, config node.Config, t node.Started, isNew bool) {
	made := ""
	if isNew {
		made = " (made now)"
	}
	cmdline.Line(w, "karat node of network %s, data in %s%s", config.Params.Name, config.DataDir, made)
	pages := webURLs(t.Web, ownAddresses())
	for _, at := range pages {
		cmdline.Line(w, "  look    %s (in a browser)", at)
	}
	if t.Listen != "" {
		for _, at := range callable(t.Listen, ownAddresses()) {
			cmdline.Line(w, "  peers   %s@%s", t.NodeID, at)
		}
	}
	if t.RPC != "" {
		announceRPC(w, t)
	}
	if t.Stratum != "" {
		for _, at := range callable(t.Stratum, ownAddresses()) {
			cmdline.Line(w, "  miners  stratum+tcp://%s", at)
		}
	}
	if t.Metrics != "" {
		for _, at := range callable(t.Metrics, ownAddresses()) {
			cmdline.Line(w, "  watch   http://%s/metrics", at)
		}
	}
	if t.Faucet != nil && len(pages) > 0 {
		fills, _ := taproot.EncodeAddress(config.Params.HRP, t.Faucet)
		cmdline.Line(w, "  faucet  %sfaucet; fill it at %s", pages[len(pages)-1], fills)
	}
	if config.Mine {
		mineTo := config.MineTo
		if len(mineTo) == 0 {
			mineTo = t.Faucet
		}
		to, _ := taproot.EncodeAddress(config.Params.HRP, mineTo) // it was decoded from one
		cmdline.Line(w, "  mining  to %s", to)
	}
	if t.RPC != "" {
		how := shellWord(walletProgram()) + tryFlags(o, config, t)
		fmt.Fprintf(w, "Try in another terminal:\n  %s rpc getblockchaininfo\n  %s create\n", how, how)
	}
	fmt.Fprintln(w, "Stop with Ctrl-C.")
}

// walletProgram returns how to call karat here: by its name if a shell finds it, else
// by its path beside this program, so that what announce shows can be pasted. After
// `make` both are in bin, which is on nobody's PATH.
func walletProgram() string {
	const name = "karat"
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	self, err := os.Executable()
	if err != nil {
		return name
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err != nil {
		return name
	}
	if here, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(here, path); err == nil && !strings.HasPrefix(relative, "..") {
			return relative
		}
	}
	return path
}

// tryFlags returns the flags by which karat finds this node: those that differ from
// its defaults.
func tryFlags(o *options, config node.Config, t node.Started) string {
	how := ""
	if o.network != "main" {
		how += " --network " + shellWord(o.network)
	}
	if o.dataDir != "" {
		how += " --datadir " + shellWord(o.dataDir)
	}
	if t.RPC == "" {
		return how
	}
	here := hereAt(t.RPC)
	if usual := net.JoinHostPort(loopback, strconv.Itoa(int(config.Params.Ports.RPC))); here != usual || t.RPCKey != "" {
		how += " --rpc " + shellWord(strings.TrimPrefix(rpcURL(t, here), "http://"))
	}
	return how
}

// shellWord quotes a word for a shell where that is needed: a path may hold spaces.
func shellWord(word string) string {
	if strings.ContainsFunc(word, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+@:,=", r)
	}) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}
