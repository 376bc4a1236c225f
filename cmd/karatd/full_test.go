package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/internal/cmdline"
)

// fullDisk takes nothing, and tells that somebody tried.
type fullDisk struct{ tried func() }

var errNoRoom = errors.New("no space left on device")

// Write implements io.Writer.
func (f fullDisk) Write([]byte) (int, error) {
	f.tried()
	return 0, errNoRoom
}

// TestEveryCommandNoticesAFullDisk: a command that could not show what it should is a
// failure, and says why in its last line; so is a help text. A node runs all the same
// until it is stopped: its work is elsewhere.
func TestEveryCommandNoticesAFullDisk(t *testing.T) {
	dir, blocks := emptyChain(t), filepath.Join(t.TempDir(), "blocks.dat")
	if code, _, stderr := karatd("--network", "dev", "--datadir", dir, "export", blocks); code != 0 {
		t.Fatal(stderr)
	}
	packed := writeFile(t, filepath.Join(t.TempDir(), "coin.json"), string(network.Pack(aNetwork(t, nil))))
	arguments := map[string]string{ // of the commands that need more than their names
		"import": blocks, "export": "-", "completion": "zsh", "network diff": "main dev", "network new": "--name coin --bits 207fffff", "network simulate": "--days 1",
		"network join": packed, "bootstrap add": "--offline " + somePeer, "bootstrap remove": somePeer, "man": filepath.Join(t.TempDir(), "man1"),
		"rpcauth": "--generate alice", "invite": "--at node.example:9554 alice", "seed": "--host seed.example --nameserver ns.example --listen 127.0.0.1:0", "run": "--listen none --rpc-listen 127.0.0.1:0",
	}
	var walk func(path string, commands []*cli.Command)
	walk = func(path string, commands []*cli.Command) {
		for _, command := range commands {
			name := strings.TrimSpace(path + " " + command.Name)
			if len(command.Subcommands) > 0 {
				walk(name, command.Subcommands)
				continue
			}
			if name == "events" { // it is another program
				arguments[name] = "--help"
			}
			for _, words := range []string{arguments[name], "--help"} {
				var errs bytes.Buffer
				ctx, stop := context.WithCancel(t.Context())
				args := append([]string{"karatd", "--network", "dev", "--datadir", dir}, strings.Fields(name+" "+words)...)
				code := run(ctx, args, cmdline.Streams{In: strings.NewReader(""), Out: fullDisk{stop}, Err: &errs})
				stop()
				lines := strings.Split(strings.TrimSuffix(errs.String(), "\n"), "\n")
				if code != cmdline.ExitFailure || !strings.Contains(lines[len(lines)-1], errNoRoom.Error()) {
					t.Errorf("karatd %s %s: exit code %d: %s(a command that needs arguments has them in this test)", name, words, code, errs.String())
				}
			}
		}
	}
	walk("", newApp(&options{}, cmdline.Streams{}).Commands)
}
