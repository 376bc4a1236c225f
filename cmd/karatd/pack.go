package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/p2p/noise"
)

// nodeKeyFile is a node's key in the network's data folder.
const nodeKeyFile = "node.key"

func networkPackCommand(o *options) *cli.Command {
	return &cli.Command{
		Name: "pack", Usage: "put --network into one file, by which others join",
		Description: "The file has the network's genesis.json, its first peers, and a checksum. With --at the node\n" +
			"of this data directory becomes one of the peers, known by its id, so that nobody else can\n" +
			"answer in its place. The file is printed, or written to --output; who gets it says\n" +
			"karatd network join FILE. It holds no secret.\n\n" +
			"   karatd --network mycoin.json network pack --at node.example.org -o j.json",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "at", Usage: "others reach the node of this data directory at `HOST[:PORT]`; may be repeated"},
			&cli.StringSliceFlag{Name: "bootstrap", Usage: "name another first peer, `ID@HOST:PORT`; may be repeated"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE`, which must not exist"},
			&cli.BoolFlag{Name: "force", Usage: "replace the file of --output"},
		},
		Action: func(c *cli.Context) error { return networkPack(c, o) },
	}
}

func networkPack(c *cli.Context, o *options) error {
	p, err := o.chosen(c)
	if err != nil {
		return err
	}
	output := c.String("output")
	if _, err := os.Lstat(output); output != "" && err == nil && !c.Bool("force") {
		return fmt.Errorf("%s exists: choose another name for --output, or replace it by --force", output)
	}
	more := c.StringSlice("bootstrap")
	for _, peer := range more {
		if err := node.CheckPeer(peer); err != nil {
			return cmdline.Usagef("--bootstrap: %w", err)
		}
	}
	if at := c.StringSlice("at"); len(at) > 0 {
		own, err := o.ownPeers(p, at)
		if err != nil {
			return err
		}
		more = append(more, own...)
	}
	p.Bootstrap.Nodes = network.AddPeers(p.Bootstrap.Nodes, more)
	if err := network.Check(p); err != nil {
		return err
	}
	data := network.Pack(p)
	if output == "" {
		_, err = c.App.Writer.Write(data)
	} else if c.Bool("force") {
		if err = wholefile.ReplaceBytes(output, data); err == nil {
			err = os.Chmod(output, 0o644) // it is for others
		}
	} else {
		err = writeNew(output, data)
	}
	if err != nil {
		return err
	}
	cmdline.Line(c.App.ErrWriter, "network %s, identity %s, first peers: %d", p.Name, p.Identity(), len(p.Bootstrap.Nodes)+len(p.Bootstrap.DNS))
	if len(p.Bootstrap.Nodes)+len(p.Bootstrap.DNS) == 0 {
		cmdline.Line(c.App.ErrWriter, "karatd: who joins by it will know nobody: give --at HOST, where others reach this node")
	}
	return nil
}

// ownPeers returns the node of the data directory as a first peer at some addresses. Its key is
// made if there is none yet, so that the file can be given out before the node has run.
func (o *options) ownPeers(p *consensus.Params, at []string) (peers []string, err error) {
	for i, text := range at {
		if _, _, err := net.SplitHostPort(text); err != nil {
			text = net.JoinHostPort(text, strconv.Itoa(int(p.Ports.P2P)))
		}
		if err := node.CheckPeer(text); err != nil {
			return nil, cmdline.Usagef("--at %q: want HOST or HOST:PORT, where others reach this node: %w", at[i], err)
		}
		peers = append(peers, text)
	}
	dir, err := karat.DataDir(o.dataDir, p)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := noise.LoadOrCreateKey(filepath.Join(dir, nodeKeyFile))
	for i := range peers {
		peers[i] = key.ID().String() + "@" + peers[i]
	}
	return peers, err
}
