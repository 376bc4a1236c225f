package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/p2p/noise"
)

// identifyTime is how long a peer may take to say who it is.
const identifyTime = 15 * time.Second

func bootstrapCommand(o *options) *cli.Command {
	return &cli.Command{
		Name: "bootstrap", Usage: "the first peers of --network: whom a new node calls",
		Description: "They stand in the network's file, with the ids by which they are known. A network that was\n" +
			"joined has its file in its data folder; of one that is built in they are kept there, too. A\n" +
			"node reads them when it starts, and karatd network pack hands them on.",
		Subcommands: []*cli.Command{
			{
				Name: "add", Usage: "add first peers", ArgsUsage: "[ID@]HOST:PORT...",
				Description: "Each is called and must prove to be a node of the network. One that is given without its\n" +
					"id is asked for it: compare what is printed with what its operator sees at its start.\n\n" +
					"   karatd bootstrap add 192.0.2.1:19655\n" +
					"   karatd bootstrap add --offline ID@node.example.org:19655",
				Flags:  append(o.wayOut(), &cli.BoolFlag{Name: "offline", Usage: "add them without calling them; then they need their ids"}),
				Action: func(c *cli.Context) error { return bootstrapAdd(c, o) },
			},
			{
				Name: "remove", Usage: "remove first peers", ArgsUsage: "ID|HOST:PORT...",
				Action: func(c *cli.Context) error { return bootstrapRemove(c, o) },
			},
			{
				Name: "list", Usage: "list first peers",
				Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print JSON"}},
				Action: func(c *cli.Context) error { return bootstrapList(c, o) },
			},
		},
	}
}

// bootstrapAdd adds peers, all or none.
func bootstrapAdd(c *cli.Context, o *options) error {
	if c.NArg() == 0 {
		return cmdline.Usagef("bootstrap add needs one [ID@]HOST:PORT at least")
	}
	p, err := o.chosen(c)
	if err != nil {
		return err
	}
	peers := c.Args().Slice()
	for i, peer := range peers {
		if err := node.CheckPeer(peer); err != nil {
			return cmdline.Usagef("%w", err)
		}
		if c.Bool("offline") {
			if !strings.Contains(peer, "@") {
				return cmdline.Usagef("%s: with --offline the id is needed, ID@HOST:PORT; karatd prints it when it starts", peer)
			}
			continue
		}
		if peers[i], err = o.identify(c.Context, p, peer); err != nil {
			return fmt.Errorf("nothing was added: %w", err)
		}
	}
	path, err := o.networkPath(p)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return o.changePeers(c, path, func(p *consensus.Params) ([]string, error) {
		nodes := network.AddPeers(p.Bootstrap.Nodes, peers)
		if !slices.Equal(nodes, p.Bootstrap.Nodes) {
			return nodes, nil
		}
		_, err := fmt.Fprintln(c.App.Writer, "they were there before")
		return nil, err
	})
}

// identify calls a peer, which must be of the network, and returns it with the id that it
// proves to have. A key is made for the call, so that nobody learns whose it is.
func (o *options) identify(ctx context.Context, p *consensus.Params, peer string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, identifyTime)
	defer cancel()
	key, err := noise.GenerateKey()
	if err != nil {
		return "", err
	}
	want, at, has := strings.Cut(peer, "@")
	if !has {
		want, at = "", peer
	}
	conn, err := o.dialer().Dial(ctx, at)
	if err != nil {
		return "", fmt.Errorf("nobody answers at %s: %w; --offline adds it all the same", at, err)
	}
	defer conn.Close()
	id, err := noise.Identify(ctx, conn, key, p.Identity())
	switch {
	case errors.Is(err, noise.ErrWrongNetwork):
		return "", fmt.Errorf("%s answers, but is of another network than %s, or no karat node", at, p.Name)
	case err != nil:
		return "", fmt.Errorf("%s: %w", at, err)
	case has && !strings.EqualFold(want, id.String()):
		return "", fmt.Errorf("at %s there is another node, %s: somebody took its place, or it has a new key", at, id)
	}
	return id.String() + "@" + at, nil
}

func bootstrapRemove(c *cli.Context, o *options) error {
	if c.NArg() == 0 {
		return cmdline.Usagef("bootstrap remove needs one ID or HOST:PORT at least")
	}
	p, err := o.chosen(c)
	if err != nil {
		return err
	}
	path, err := o.networkPath(p)
	if err != nil {
		return err
	}
	return o.changePeers(c, path, func(p *consensus.Params) ([]string, error) {
		left := append([]string{}, p.Bootstrap.Nodes...)
		for _, gone := range c.Args().Slice() {
			before := len(left)
			left = slices.DeleteFunc(left, func(peer string) bool {
				id, at, _ := strings.Cut(peer, "@")
				return gone == peer || gone == id || gone == at
			})
			if len(left) == before {
				return nil, fmt.Errorf("%s is no first peer of %s: karatd bootstrap list shows them", gone, p.Name)
			}
		}
		return left, nil
	})
}

func bootstrapList(c *cli.Context, o *options) error {
	p, err := o.chosen(c)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return cmdline.PrintJSON(c.App.Writer, append([]string{}, p.Bootstrap.Nodes...))
	}
	if len(p.Bootstrap.Nodes) == 0 {
		_, err := fmt.Fprintf(c.App.Writer, "network %s has no first peers: karatd bootstrap add names some\n", p.Name)
		return err
	}
	for _, peer := range p.Bootstrap.Nodes {
		if _, err := fmt.Fprintln(c.App.Writer, peer); err != nil {
			return err
		}
	}
	return nil
}

// changePeers changes the first peers in the network's file: change returns all of them, or nil
// to leave them. A packed file stays one. Who changes it at the same time waits: none is lost.
func (o *options) changePeers(c *cli.Context, path string, change func(*consensus.Params) ([]string, error)) error {
	unlock, err := lockNetwork(c.Context, filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	p, err := o.params()
	if err != nil {
		return err
	}
	nodes, err := change(p)
	if err != nil || nodes == nil {
		return err
	}
	p.Bootstrap.Nodes = nodes
	if err := network.Check(p); err != nil {
		return err
	}
	text, mode := network.Marshal(p), fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
		if before, err := wholefile.Read(path, network.MaxFile); err == nil && network.IsPacked(before) {
			text = network.Pack(p)
		}
	}
	if err := (edit{path, string(text), mode}).write(); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "network %s has %d first peers, in %s\n", p.Name, len(nodes), path)
	for _, peer := range nodes {
		fmt.Fprintf(c.App.Writer, "  %s\n", peer)
	}
	return nil
}

// lockTime is how long others may take to change a network's file, which they do in a moment.
const lockTime = time.Minute

// lockNetwork keeps other commands from changing the network's file in a folder, if it is there.
// Where nothing can be locked, nobody is kept from it.
func lockNetwork(ctx context.Context, dir string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	lock, err := wholefile.WaitLock(ctx, dir)
	switch {
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return func() {}, nil
	case err != nil:
		return nil, fmt.Errorf("nothing was changed: %w", err)
	}
	return func() { _ = lock.Unlock() }, nil
}

// networkPath returns the file of --network: the one that was named, or the one in its folder.
func (o *options) networkPath(p *consensus.Params) (string, error) {
	dir, err := karat.DataDir(o.dataDir, p)
	if err != nil {
		return "", err
	}
	joined := filepath.Join(dir, karat.NetworkFile)
	if _, err := os.Stat(joined); karat.IsBuiltIn(o.network) || err == nil && o.network == p.Name {
		return joined, nil
	}
	return filepath.EvalSymlinks(o.network)
}
