package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/wallet"
)

func connectCommand() *cli.Command {
	return &cli.Command{
		Name: "connect", Usage: "use somebody's node, by the line that its operator hands out", ArgsUsage: "[LINE]",
		Description: "The operator makes the line by karatd invite NAME. It says where the node is, who you are\n" +
			"there, by which certificate the node is known, and of which network it is. karat asks for\n" +
			"it, since a password stands in it; given as an argument it stays in the shell's history. It\n" +
			"is tried, and stored in the network's data folder for all wallets there.\n\n" +
			"   karat connect                      paste the line\n" +
			"   karat connect - <line.txt          read it from a file\n" +
			"   karat nodes                        which nodes there are\n\n" +
			"A second node makes it hard to lie to you: karat compares what they say.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "offline", Usage: "store the node without trying it"},
			jsonFlag(),
		},
		Action: connect,
	}
}

// connect stores a node.
func connect(c *cli.Context) error {
	if c.NArg() > 1 {
		return cmdline.Usagef("connect needs one line: put it into quotes")
	}
	login, err := readLogin(c)
	if err != nil {
		return err
	}
	h, err := homeOf(c, login)
	if err != nil {
		return err
	}
	node := storedNode{URL: login.URL(), User: login.User, Password: login.Password}
	asked, err := node.reach()
	if err != nil {
		return err
	}
	warnPlain(c, node.URL)
	state := nodeState{Node: asked.name, User: asked.user, State: "not tried"}
	if !c.Bool("offline") {
		if state = asked.state(c.Context, h); state.err != nil {
			return fmt.Errorf("nothing was stored: node %s: %w", asked.name, state.err)
		}
	}
	list, err := h.storedNodes()
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(n storedNode) bool { return sameHost(n.URL, node.URL) })
	if err := h.storeNodes(append(list, node)); err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, state)
	}
	fmt.Fprintf(c.App.Writer, "connected to %s as %s, on network %s (%s)\n", asked.name, asked.user, h.params.Name, state.describe())
	return nil
}

// readLogin reads the line, and asks for a password that is not in it.
func readLogin(c *cli.Context) (login rpc.Login, err error) {
	text := c.Args().First()
	in, terminal := cmdline.Terminal(c.App.Reader)
	switch {
	case text != "" && text != "-":
	case text == "" && terminal:
		text, err = cmdline.AskSecret(c.Context, in, c.App.ErrWriter, "The operator's line (it is not shown): ")
	default:
		text, err = cmdline.FirstLine(c.Context, "-", c.App.Reader)
	}
	if err != nil {
		return login, err
	}
	if login, err = rpc.ParseLogin(text); err != nil {
		return login, cmdline.Usagef("the line cannot be read: %w", err)
	}
	switch {
	case login.Password == "" && terminal:
		login.Password, err = cmdline.AskSecret(c.Context, in, c.App.ErrWriter, "Password: ")
	case login.Password == "":
		err = cmdline.Usagef("there is no password in the line, and no terminal to ask for it")
	case c.NArg() == 1 && c.Args().First() != "-" && terminal:
		fmt.Fprintln(c.App.ErrWriter, "karat: a password stands in your shell's history now; without an argument, karat connect asks for the line")
	}
	return login, err
}

// homeOf returns the home of the network that a line names. If the command line names none,
// that is enough for one that karat knows.
func homeOf(c *cli.Context, login rpc.Login) (home, error) {
	h, err := findHome(c)
	if err != nil || h.params.Identity() == login.Identity {
		return h, err
	}
	if !c.IsSet(flagNetwork) && !strings.ContainsAny(login.Network, "./\\") {
		if params, err := karat.FindNetwork(c.String(flagDataDir), login.Network); err == nil && params.Identity() == login.Identity {
			dir, err := karat.DataDir(c.String(flagDataDir), params)
			return home{params, dir}, err
		}
	}
	return h, fmt.Errorf("the node is of network %s, and this is %s: choose the node's with --%s FILE, its genesis.json, which the operator has", login.Network, networkName(c, h.params.Name), flagNetwork)
}

// nodeState is how a node answers.
type nodeState struct {
	Node   string `json:"node"`
	User   string `json:"user,omitempty"`
	Stored bool   `json:"stored"`
	Height uint32 `json:"height"`
	Time   int64  `json:"time,omitempty"` // of its last block
	Pruned bool   `json:"pruned,omitempty"`
	State  string `json:"state"` // ok, or what is wrong
	err    error
}

// nodeTime is how long a node may take to say how it is, or where its chain ends. Nobody who
// asks that waits for what a long call may take. Tests shorten it.
var nodeTime = 15 * time.Second

// state asks a node how it is, by what a wallet's role may call.
func (n askedNode) state(ctx context.Context, h home) (s nodeState) {
	ctx, cancel := context.WithTimeout(ctx, nodeTime)
	defer cancel()
	s = nodeState{Node: n.name, User: n.user, Stored: n.stored, State: "ok"}
	var genesis types.Hash
	if s.err = n.client.Call(ctx, "getblockhash", &genesis, 0); s.err == nil && genesis != h.params.GenesisBlock().Hash {
		s.err = fmt.Errorf("%w: its genesis block is %s", wallet.ErrOtherNetwork, genesis)
	}
	if s.err == nil {
		var info struct {
			Blocks  uint32 `json:"blocks"`
			Headers uint32 `json:"headers"`
			Time    int64  `json:"time"`
			Pruned  bool   `json:"pruned"`
		}
		s.err = n.client.Call(ctx, "getblockchaininfo", &info)
		s.Height, s.Time, s.Pruned = info.Blocks, info.Time, info.Pruned
		if info.Headers > info.Blocks {
			s.State = fmt.Sprintf("syncing, %d blocks to go", info.Headers-info.Blocks)
		}
	}
	if s.err != nil {
		s.State = cmdline.OneLine(s.err)
	}
	return s
}

// describe says it in words.
func (s nodeState) describe() string {
	if s.Height == 0 && s.State != "ok" {
		return s.State
	}
	text := fmt.Sprintf("block %d", s.Height)
	if s.State != "ok" {
		text += ", " + s.State
	}
	return text
}

func nodesCommand() *cli.Command {
	return &cli.Command{
		Name: "nodes", Usage: "list the nodes that are asked, and how they are; remove one",
		Description: "   karat nodes\n" +
			"   karat nodes --remove https://node.example:9554",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "remove", Usage: "do not use the node at this `URL` any more, and forget its password"},
			jsonFlag(),
		},
		Action: listNodes,
	}
}

// listNodes asks all nodes at once.
func listNodes(c *cli.Context) error {
	h, err := findHome(c)
	if err != nil {
		return err
	}
	if where := c.String("remove"); where != "" {
		return h.removeNode(c, where)
	}
	list, err := h.asked(c)
	if err != nil {
		return err
	}
	answers := make([]chan nodeState, len(list))
	for i := range list {
		answers[i] = make(chan nodeState, 1)
		go func() { answers[i] <- list[i].state(c.Context, h) }()
	}
	states := make([]nodeState, len(list))
	for i := range states {
		states[i] = <-answers[i]
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, states)
	}
	t := cmdline.NewRows(c, cmdline.Column{Title: "node"}, cmdline.Column{Title: "user", Fit: cmdline.Drop}, cmdline.Column{Title: "block", Right: true}, cmdline.Column{Title: "state", Fit: cmdline.End})
	for _, s := range states {
		user := s.User
		if user == "" {
			user = "(cookie)"
		}
		t.Add(s.Node, user, strconv.FormatUint(uint64(s.Height), 10), s.State)
	}
	return t.Flush()
}

// removeNode forgets a node.
func (h home) removeNode(c *cli.Context, where string) error {
	if !strings.Contains(where, "://") {
		where = "https://" + where
	}
	list, err := h.storedNodes()
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(list), func(n storedNode) bool { return sameHost(n.URL, where) })
	if len(left) == len(list) {
		return fmt.Errorf("no node is stored at %s: karat nodes lists them", where)
	}
	if err := h.storeNodes(left); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s is not used any more\n", nodeName(where))
	return err
}
