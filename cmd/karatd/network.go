package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
)

func networkCommand() *cli.Command {
	return &cli.Command{
		Name:   "network",
		Usage:  "show, identify, compare and create networks",
		Action: noCommand,
		Subcommands: []*cli.Command{
			{
				Name: "show", Usage: "show the parameters of --network",
				Flags:  []cli.Flag{&cli.BoolFlag{Name: flagJSON, Usage: "print the genesis.json"}},
				Action: networkShow,
			},
			{
				Name: "hash", Usage: "print the identity of --network",
				Description: "The identity is a hash over the genesis block and every parameter that decides\n" +
					"which blocks are valid. Nodes with the same identity can talk to each other.",
				Action: networkHash,
			},
			{
				Name: "diff", Usage: "compare two networks field by field", ArgsUsage: "NETWORK NETWORK",
				Description: "The exit code is 1 if they differ.",
				Action:      networkDiff,
			},
			networkNewCommand(),
		},
	}
}

func networkShow(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	p, err := loadNetwork(c)
	if err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		_, err := c.App.Writer.Write(network.Marshal(p))
		return err
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	row("name", "%s", p.Name)
	row("identity", "%s", p.Identity())
	row("address prefix", "%s", p.HRP)
	row("magic", "%x", p.Magic)
	row("ports", "%d (peers), %d (RPC)", p.Ports.P2P, p.Ports.RPC)
	row("genesis block", "%s", p.GenesisBlock().Hash)
	row("genesis time", "%s", time.Unix(int64(p.Genesis.Timestamp), 0).UTC().Format(time.DateTime))
	row("message", "%s", p.Genesis.Message)
	allocated := types.Amount(0)
	coins := p.GenesisCoins()
	for i := range coins {
		allocated += coins[i].Coin.Value
	}
	row("allocations", "%d outputs with %s coins", len(coins), allocated)
	row("spacing", "%s", time.Duration(p.TargetSpacing)*time.Second)
	if p.Difficulty.Algorithm == consensus.DifficultyASERT {
		row("difficulty", "ASERT with a half-life of %s", time.Duration(p.Difficulty.HalfLife)*time.Second)
	} else {
		row("difficulty", "fixed at bits %08x", p.Genesis.Bits)
	}
	row("easiest target", "%s", p.PowLimit)
	row("subsidy", "%s, halved every %d blocks", p.InitialSubsidy, p.HalvingInterval)
	row("most coins ever", "%s", p.MaxMoney)
	row("maturity", "%d blocks", p.CoinbaseMaturity)
	row("weight limit", "%d", p.MaxBlockWeight)
	return w.Flush()
}

func networkHash(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	p, err := loadNetwork(c)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.App.Writer, p.Identity())
	return nil
}

func networkDiff(c *cli.Context) error {
	if c.Args().Len() != 2 {
		return cmdline.Usagef("diff needs two networks, each main, dev or a file")
	}
	a, err := karat.LoadNetwork(c.Args().Get(0))
	if err != nil {
		return err
	}
	b, err := karat.LoadNetwork(c.Args().Get(1))
	if err != nil {
		return err
	}
	differences := network.Diff(a, b)
	if len(differences) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "field\t%s\t%s\n", c.Args().Get(0), c.Args().Get(1))
	for _, d := range differences {
		fmt.Fprintf(w, "%s\t%s\t%s\n", d.Field, orNone(d.A), orNone(d.B))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if a.Identity() != b.Identity() {
		return errors.New("the networks have different identities: their nodes cannot talk to each other")
	}
	return errors.New("the networks differ, and have the same identity: their nodes can talk to each other")
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// The flags of network new. A choice that is not given is asked for on a
// terminal, and has its default elsewhere.
const (
	flagName       = "name"
	flagHRP        = "hrp"
	flagMessage    = "message"
	flagSpacing    = "spacing"
	flagDifficulty = "difficulty"
	flagHalfLife   = "half-life"
	flagBits       = "bits"
	flagSubsidy    = "subsidy"
	flagHalving    = "halving"
	flagAllocate   = "allocate"
	flagMaturity   = "maturity"
	flagWeight     = "max-weight"
	flagP2PPort    = "p2p-port"
	flagRPCPort    = "rpc-port"
	flagMagic      = "magic"
	flagTimestamp  = "timestamp"
	flagBootstrap  = "bootstrap"
	flagOutput     = "output"
)

func networkNewCommand() *cli.Command {
	return &cli.Command{
		Name:  "new",
		Usage: "create the genesis.json of a new network",
		Description: "Takes the network's choices from flags; on a terminal it asks for the main ones\n" +
			"that are not given. Then it finds the nonce of the genesis block, which takes\n" +
			"as long as --bits asks for, and prints the file, or writes it to --output.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagName, Usage: "name of the network: lower-case letters, digits, dashes"},
			&cli.StringFlag{Name: flagHRP, Usage: "prefix of addresses", DefaultText: "the name's first letters"},
			&cli.StringFlag{Name: flagMessage, Usage: "text in the genesis block, such as a headline of the day"},
			&cli.DurationFlag{Name: flagSpacing, Value: time.Minute, Usage: "time between blocks"},
			&cli.StringFlag{Name: flagDifficulty, Value: consensus.DifficultyASERT, Usage: "asert (adjusts at every block) or fixed"},
			&cli.DurationFlag{Name: flagHalfLife, Value: 12 * time.Hour, Usage: "of asert: how far behind schedule difficulty halves"},
			&cli.StringFlag{Name: flagBits, Value: "1e0fffff", Usage: "compact target of the first blocks; 207fffff costs nothing"},
			&cli.StringFlag{Name: flagSubsidy, Value: "10", Usage: "coins that the first blocks make"},
			&cli.UintFlag{Name: flagHalving, Value: 2_100_000, Usage: "blocks after which the subsidy halves"},
			&cli.StringSliceFlag{Name: flagAllocate, Usage: "an `ADDRESS=AMOUNT` that exists from the start; again for more"},
			&cli.UintFlag{Name: flagMaturity, Value: 100, Usage: "blocks before a subsidy can be spent"},
			&cli.UintFlag{Name: flagWeight, Value: 4_000_000, Usage: "largest weight of a block"},
			&cli.UintFlag{Name: flagP2PPort, Value: 19655, Usage: "default port for peers"},
			&cli.UintFlag{Name: flagRPCPort, Value: 19654, Usage: "default port for RPC"},
			&cli.StringFlag{Name: flagMagic, Usage: "eight hexadecimal digits before each block in files", DefaultText: "from the name"},
			&cli.Int64Flag{Name: flagTimestamp, Usage: "time of the genesis block, in `SECONDS` since 1970", DefaultText: "now"},
			&cli.StringSliceFlag{Name: flagBootstrap, Usage: "a first `PEER`, node-id@host:port; again for more"},
			&cli.StringFlag{Name: flagOutput, Aliases: []string{"o"}, Usage: "write to `FILE`, which must not exist"},
		},
		Action: networkNew,
	}
}

func networkNew(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	output := c.String(flagOutput)
	if _, err := os.Lstat(output); output != "" && err == nil {
		return fmt.Errorf("%s exists: choose another name for --output", output)
	}
	answers := asker{c: c}
	answers.in, _ = cmdline.Terminal(c.App.Reader)
	p, err := newParams(c, &answers)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "finding the genesis block's nonce ...\n")
	start := time.Now()
	if err := network.MineGenesis(c.Context, p); err != nil {
		return err
	}
	data := network.Marshal(p)
	if _, err := network.Parse(data); err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "network %s, identity %s, found in %s\n", p.Name, p.Identity(), time.Since(start).Round(time.Millisecond))
	if output != "" {
		return writeNew(output, data)
	}
	_, err = c.App.Writer.Write(data)
	return err
}

// writeNew writes a file that must not exist.
func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// asker takes choices from flags, else from the terminal.
type asker struct {
	c  *cli.Context
	in *os.File // a terminal, or nil: do not ask
}

// choice returns the flag's value if it was given, else the user's answer, else
// the default.
func (a *asker) choice(flag, question, byDefault string) (string, error) {
	if a.c.IsSet(flag) {
		return a.c.String(flag), nil
	}
	if a.in == nil {
		if byDefault == "" {
			return "", cmdline.Usagef("--%s is needed", flag)
		}
		return byDefault, nil
	}
	if byDefault != "" {
		question += " [" + byDefault + "]"
	}
	for {
		answer, err := cmdline.AskLine(a.c.Context, a.in, a.c.App.ErrWriter, question+": ")
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return "", err
		case answer != "":
			return answer, nil
		case byDefault != "":
			return byDefault, nil
		case err != nil:
			return "", cmdline.Usagef("--%s is needed", flag)
		}
	}
}

// newParams makes the parameters from the flags and answers. The genesis block
// has no nonce yet.
func newParams(c *cli.Context, answers *asker) (*consensus.Params, error) {
	name, err := answers.choice(flagName, "Name of the network", "")
	if err != nil {
		return nil, err
	}
	hrp, err := answers.choice(flagHRP, "Prefix of addresses", strings.Trim(name[:min(4, len(name))], "-0123456789"))
	if err != nil {
		return nil, err
	}
	message, err := answers.choice(flagMessage, "Message in the genesis block", name+" begins")
	if err != nil {
		return nil, err
	}
	subsidy, err := answers.choice(flagSubsidy, "Coins that the first blocks make", c.String(flagSubsidy))
	if err != nil {
		return nil, err
	}
	p := &consensus.Params{
		Name: name, HRP: hrp,
		Genesis:    consensus.Genesis{Version: 1, Message: message, Timestamp: uint32(time.Now().Unix())},
		Difficulty: consensus.Difficulty{Algorithm: c.String(flagDifficulty)},
		Bootstrap:  consensus.Bootstrap{Nodes: c.StringSlice(flagBootstrap)},
	}
	if err := setNumbers(c, p); err != nil {
		return nil, err
	}
	if p.InitialSubsidy, err = types.ParseAmount(subsidy); err != nil {
		return nil, cmdline.Usagef("--%s: %w", flagSubsidy, err)
	}
	if err := setTarget(p, c.String(flagBits)); err != nil {
		return nil, err
	}
	if err := setMagic(p, c.String(flagMagic)); err != nil {
		return nil, err
	}
	for _, peer := range p.Bootstrap.Nodes {
		if err := node.CheckPeer(peer); err != nil {
			return nil, cmdline.Usagef("--%s: %w", flagBootstrap, err)
		}
	}
	allocations := c.StringSlice(flagAllocate)
	switch err := network.Allocate(p, allocations); {
	case err != nil && len(allocations) > 0:
		return nil, cmdline.Usagef("--%s: %w", flagAllocate, err)
	case err != nil:
		return nil, err
	}
	return p, network.Check(p)
}

// setNumbers takes the choices that are numbers. What does not fit into a field is
// refused, and not made to fit; what a field may have is for network.Check.
func setNumbers(c *cli.Context, p *consensus.Params) error {
	for _, n := range []struct {
		flag string
		most uint64
		set  func(uint64)
	}{
		{flagP2PPort, math.MaxUint16, func(n uint64) { p.Ports.P2P = uint16(n) }},
		{flagRPCPort, math.MaxUint16, func(n uint64) { p.Ports.RPC = uint16(n) }},
		{flagHalving, math.MaxUint32, func(n uint64) { p.HalvingInterval = uint32(n) }},
		{flagMaturity, math.MaxUint32, func(n uint64) { p.CoinbaseMaturity = uint32(n) }},
		{flagWeight, math.MaxInt32, func(n uint64) { p.MaxBlockWeight = int(n) }},
	} {
		value := uint64(c.Uint(n.flag))
		if value > n.most {
			return cmdline.Usagef("--%s %d: want at most %d", n.flag, value, n.most)
		}
		n.set(value)
	}
	var err error
	if p.TargetSpacing, err = wholeSeconds(c, flagSpacing); err != nil {
		return err
	}
	if p.Difficulty.Algorithm == consensus.DifficultyASERT {
		if p.Difficulty.HalfLife, err = wholeSeconds(c, flagHalfLife); err != nil {
			return err
		}
	}
	if c.IsSet(flagTimestamp) {
		t := c.Int64(flagTimestamp)
		if t < 0 || t > math.MaxUint32 {
			return cmdline.Usagef("--%s %d: want seconds since 1970", flagTimestamp, t)
		}
		p.Genesis.Timestamp = uint32(t)
	}
	return nil
}

// wholeSeconds returns a duration in seconds.
func wholeSeconds(c *cli.Context, flag string) (uint32, error) {
	d := c.Duration(flag)
	if d < time.Second || d%time.Second != 0 || d > math.MaxUint32*time.Second {
		return 0, cmdline.Usagef("--%s %s: want whole seconds, such as 30s or 10m", flag, d)
	}
	return uint32(d / time.Second), nil
}

// setTarget makes the given compact target the genesis block's and the easiest.
func setTarget(p *consensus.Params, bits string) error {
	b, err := hex.DecodeString(bits)
	if err != nil || len(b) != 4 {
		return cmdline.Usagef("--%s %q: want eight hexadecimal digits", flagBits, bits)
	}
	p.Genesis.Bits = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	target, negative, overflow := consensus.ExpandBits(p.Genesis.Bits)
	if negative || overflow || target.IsZero() {
		return cmdline.Usagef("--%s %q is no target", flagBits, bits)
	}
	p.PowLimit = target
	return nil
}

// setMagic takes the magic, or makes one of the name that no text begins with.
func setMagic(p *consensus.Params, magic string) error {
	if magic == "" {
		sum := crc32.ChecksumIEEE([]byte(p.Name)) | 0x80808080
		p.Magic = [4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}
		return nil
	}
	b, err := hex.DecodeString(magic)
	if err != nil || len(b) != 4 {
		return cmdline.Usagef("--%s %q: want eight hexadecimal digits", flagMagic, magic)
	}
	p.Magic = [4]byte(b)
	return nil
}
