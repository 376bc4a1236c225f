package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/wallet"
)

func statusCommand() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "show how the node and the wallet are",
		Description: "The exit code is 0 if the node answers and knows its network's latest blocks, as far as\n" +
			"can be told, and 3 if not: it does not answer, is still syncing, or its last block is old.\n" +
			"The wallet is shown as it is stored; other commands sync it.",
		Flags: []cli.Flag{jsonFlag()}, Action: status,
	}
}

// nodeStatus is what a node tells of itself. Nothing of it can be checked.
type nodeStatus struct {
	Node      string     `json:"node"`
	Version   string     `json:"version,omitempty"`
	Height    uint32     `json:"height"`
	Headers   uint32     `json:"headers"`
	Hash      types.Hash `json:"hash"`
	Time      int64      `json:"time"` // of the last block
	IsSyncing bool       `json:"syncing"`
	Progress  float64    `json:"progress"` // of syncing, 0 to 1
	Peers     *int       `json:"peers,omitempty"`
	In        int        `json:"peers_in"`
	Out       int        `json:"peers_out"`
}

// walletStatus is how far a wallet is.
type walletStatus struct {
	Name     string     `json:"name"`
	Height   uint32     `json:"height"`
	Hash     types.Hash `json:"hash"`
	Birthday uint32     `json:"birthday"`
}

// status asks the node how it is. What cannot be had is left out, and told at the end.
func status(c *cli.Context) error {
	h, err := findHome(c)
	if err != nil {
		return err
	}
	nodes, err := h.asked(c)
	if err != nil {
		return err
	}
	n, problem := h.firstStatus(c, nodes)
	if interrupted := c.Context.Err(); interrupted != nil || errors.Is(problem, wallet.ErrOtherNetwork) {
		return problem
	}
	if problem == nil {
		problem = h.judgeNode(&n)
	}
	w, err := h.walletStatus(c)
	if err != nil {
		return err
	}
	if err := h.showStatus(c, n, w, problem); err != nil {
		return err
	}
	if problem != nil {
		return cmdline.Oldf("%w", problem)
	}
	return nil
}

// firstStatus asks nodes until one answers, and returns why the first did not if none does.
func (h home) firstStatus(c *cli.Context, nodes []askedNode) (n nodeStatus, problem error) {
	for i := range nodes {
		answer, err := h.askStatus(c, nodes[i].client)
		answer.Node = nodes[i].name
		if err == nil {
			return answer, nil
		}
		if i == 0 {
			n, problem = answer, err
		}
	}
	return n, problem
}

// askStatus asks a node how it is.
func (h home) askStatus(c *cli.Context, client *rpc.Client) (n nodeStatus, err error) {
	ctx, cancel := context.WithTimeout(c.Context, nodeTime)
	defer cancel()
	var genesis types.Hash
	if err := client.Call(ctx, "getblockhash", &genesis, 0); err != nil {
		return n, err
	}
	if want := h.params.GenesisBlock().Hash; genesis != want {
		return n, fmt.Errorf("%w: its genesis block is %s, and that of %s is %s", wallet.ErrOtherNetwork, genesis, h.params.Name, want)
	}
	var chain struct {
		Blocks, Headers uint32
		BestBlockHash   types.Hash
		Time            int64
		Progress        float64 `json:"verificationprogress"`
		IsSyncing       bool    `json:"initialblockdownload"`
	}
	if err := client.Call(ctx, "getblockchaininfo", &chain); err != nil {
		return n, err
	}
	n = nodeStatus{Height: chain.Blocks, Headers: chain.Headers, Hash: chain.BestBlockHash, Time: chain.Time, IsSyncing: chain.IsSyncing, Progress: chain.Progress}
	var network struct {
		Subversion  string
		Connections *int
		In          int `json:"connections_in"`
		Out         int `json:"connections_out"`
	}
	var refused *rpc.Error
	switch err := client.Call(ctx, "getnetworkinfo", &network); {
	case errors.As(err, &refused): // a user may not be allowed to ask that
	case err != nil:
		return n, err
	default:
		n.Version, n.Peers, n.In, n.Out = network.Subversion, network.Connections, network.In, network.Out
	}
	return n, nil
}

// judgeNode returns what is wrong with a node that answers, or nil.
func (h home) judgeNode(n *nodeStatus) error {
	age, old := wallet.TipAge(h.params, n.Time, time.Now())
	switch {
	case n.IsSyncing && n.Headers > n.Height:
		return fmt.Errorf("the node is still syncing: it has %d of %d blocks", n.Height, n.Headers)
	case old && n.Peers != nil && *n.Peers == 0:
		return fmt.Errorf("the node's last block is %s old, and it has no peers that could tell of others", cmdline.Span(age))
	case old:
		return fmt.Errorf("the node's last block is %s old: it may be cut off, or this computer's clock is wrong", cmdline.Span(age))
	}
	return nil
}

// walletStatus returns how far the wallet is, or nil if there is none.
func (h home) walletStatus(c *cli.Context) (s *walletStatus, err error) {
	dir, err := h.walletDir(c)
	if err != nil {
		return nil, err
	}
	f, err := wallet.OpenFile(filepath.Join(dir, wallet.FileName), h.params)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	w, err := wallet.Open(dir, f, h.params, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	at := w.Position()
	return &walletStatus{c.String(flagWallet), at.Height, at.Hash, f.Birthday().Height}, w.Close()
}

// showStatus prints what is known.
func (h home) showStatus(c *cli.Context, n nodeStatus, w *walletStatus, problem error) error {
	answered := n.Hash != types.Hash{}
	if c.Bool(flagJSON) {
		out := map[string]any{"network": h.params.Name, "node": map[string]any{"node": n.Node}}
		if answered {
			out["node"] = n
		}
		if w != nil {
			out["wallet"] = w
		}
		if problem != nil {
			out["problem"] = cmdline.OneLine(problem)
		}
		return cmdline.PrintJSON(c.App.Writer, out)
	}
	t := cmdline.Table(c.App.Writer, 0)
	fmt.Fprintf(t, "network\t%s\n", h.params.Name)
	fmt.Fprintf(t, "node\t%s\n", strings.TrimSpace(n.Node+" "+cmdline.Printable(n.Version)))
	if answered {
		state := "all that it has heard of"
		if n.Headers > n.Height {
			state = fmt.Sprintf("of %d, %.0f %% done", n.Headers, n.Progress*100)
		}
		fmt.Fprintf(t, "blocks\t%d, %s\n", n.Height, state)
		fmt.Fprintf(t, "last block\t%s, %s ago\n", cmdline.Time(c, n.Time), cmdline.Span(time.Since(time.Unix(n.Time, 0))))
	}
	if n.Peers != nil {
		fmt.Fprintf(t, "peers\t%d, of which %d called this node\n", *n.Peers, n.In)
	}
	switch {
	case w == nil:
		fmt.Fprintf(t, "wallet\tnone called %s; karat create makes one\n", c.String(flagWallet))
	case answered && n.Height > w.Height:
		fmt.Fprintf(t, "wallet\t%s, synced to block %d, %d behind\n", w.Name, w.Height, n.Height-w.Height)
	default:
		fmt.Fprintf(t, "wallet\t%s, synced to block %d\n", w.Name, w.Height)
	}
	return t.Flush()
}
