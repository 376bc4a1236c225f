package main

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/forecast"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
)

// choices are what the flags of network new say. The main ones are asked for on a
// terminal if they are not given, and have their defaults elsewhere; these have no
// field here. The defaults are those of the main network where that makes sense. What the
// difficulty begins with is made for the hash rate at launch, which is this machine's if
// nothing else is said: a target that is a hundred times too easy makes hundreds of blocks
// at once.
type choices struct {
	difficulty, bits, rate, subsidy, magic, output         string
	spacing, halfLife                                      time.Duration
	halving, maturity, weight, p2pPort, rpcPort, timestamp int64
	allocate, bootstrap                                    cli.StringSlice

	madeKey string // what was stored before the file
}

func networkNewCommand(o *options) *cli.Command {
	n := &choices{}
	return &cli.Command{
		Name:  "new",
		Usage: "create the genesis.json of a new network",
		Description: "Takes the network's choices from flags. Without --name it asks for the main ones, on a\n" +
			"terminal. The first blocks are made for the hash rate of all miners at launch, by\n" +
			"default this machine's. Then it finds the nonce of the genesis block, which takes about as\n" +
			"long as a block will, and prints the file or writes it to --output.\n\n" +
			"   karatd network new --name mycoin --spacing 30s -o mycoin.json\n" +
			"   karatd network new --name mycoin --hashrate 2GH/s -o mycoin.json\n" +
			"   karatd network new --name mycoin --allocate faucet=100000 -o mycoin.json",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "the `NAME` of the network: lower-case letters, digits, dashes"},
			&cli.StringFlag{Name: "hrp", Usage: "the `PREFIX` of addresses", DefaultText: "the name's first letters"},
			&cli.StringFlag{Name: "message", Usage: "a `TEXT` in the genesis block, such as a headline of the day"},
			&cli.DurationFlag{Name: "spacing", Destination: &n.spacing, Value: time.Minute, Usage: "the `TIME` between blocks"},
			&cli.StringFlag{Name: "difficulty", Destination: &n.difficulty, Value: consensus.DifficultyASERT, Usage: "the `RULE` of difficulty: asert (adjusts at every block) or fixed"},
			&cli.DurationFlag{Name: "half-life", Destination: &n.halfLife, Usage: "of asert: the `TIME` behind schedule that halves the difficulty", DefaultText: "30m, or 15 blocks if they take longer"},
			&cli.StringFlag{Name: "hashrate", Destination: &n.rate, Usage: "of all miners at launch, such as `3.4MH/s`", DefaultText: "this machine's"},
			&cli.StringFlag{Name: "bits", Destination: &n.bits, Usage: "the compact `TARGET` of the first blocks; 207fffff costs nothing", DefaultText: "made for --hashrate"},
			&cli.StringFlag{Name: "subsidy", Destination: &n.subsidy, Value: "10", Usage: "the `AMOUNT` of coins that each of the first blocks makes"},
			&cli.GenericFlag{Name: "halving", Value: cmdline.Number(&n.halving, 2_100_000, 0, math.MaxUint32), Usage: "the `BLOCKS` after which the subsidy halves"},
			&cli.StringSliceFlag{Name: "allocate", Destination: &n.allocate, Usage: "make coins that exist from the start: `ADDRESS=AMOUNT`, or faucet=AMOUNT for the faucet of this data directory's node; may be repeated"},
			&cli.GenericFlag{Name: "maturity", Value: cmdline.Number(&n.maturity, 100, 0, math.MaxUint32), Usage: "the `BLOCKS` after which a subsidy can be spent"},
			&cli.GenericFlag{Name: "max-weight", Value: cmdline.Number(&n.weight, 4_000_000, 0, math.MaxInt32), Usage: "the largest `WEIGHT` of a block"},
			&cli.GenericFlag{Name: "p2p-port", Value: cmdline.Number(&n.p2pPort, 19655, 0, math.MaxUint16), Usage: "the `PORT` for peers"},
			&cli.GenericFlag{Name: "rpc-port", Value: cmdline.Number(&n.rpcPort, 19654, 0, math.MaxUint16), Usage: "the `PORT` for RPC"},
			&cli.StringFlag{Name: "magic", Destination: &n.magic, Usage: "the eight hexadecimal `DIGITS` before each block in files", DefaultText: "from the name"},
			&cli.GenericFlag{Name: "timestamp", Value: cmdline.Number(&n.timestamp, time.Now().Unix(), 0, math.MaxUint32), Usage: "the time of the genesis block, in `SECONDS` since 1970", DefaultText: "now"},
			&cli.StringSliceFlag{Name: "bootstrap", Destination: &n.bootstrap, Usage: "name a first peer, `ID@HOST:PORT`; may be repeated"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Destination: &n.output, Usage: "write to `FILE`, which must not exist"},
		},
		Action: func(c *cli.Context) error { return n.newNetwork(c, o) },
	}
}

// newNetwork makes the file, and reads it back before anybody gets it: what is handed
// to others must be a network that their nodes accept.
func (n *choices) newNetwork(c *cli.Context, o *options) (err error) {
	defer func() {
		if c.Context.Err() != nil && err != nil {
			fmt.Fprintf(c.App.ErrWriter, "nothing was written%s\n", n.madeKey)
		}
	}()
	// Before anybody answers questions in vain.
	if n.output != "" {
		if _, err := os.Lstat(n.output); err == nil {
			return fmt.Errorf("%s exists: choose another name for --output", n.output)
		}
		if _, err := os.Stat(filepath.Dir(n.output)); err != nil {
			return fmt.Errorf("--output: %w", err)
		}
	}
	p, err := n.params(c, o)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.App.ErrWriter, "finding the nonce of the genesis block ...")
	start := time.Now()
	if err := mineGenesis(c, p); err != nil {
		return err
	}
	data := network.Marshal(p)
	if _, err := network.Parse(data); err != nil {
		return err
	}
	err = cmdline.Line(c.App.ErrWriter, "network %s, identity %s, found in %s", p.Name, p.Identity(), time.Since(start).Round(time.Millisecond))
	if err != nil {
		return err
	}
	if n.output == "" {
		_, err = c.App.Writer.Write(data)
		return err
	}
	if err := writeNew(n.output, data); err != nil {
		return err
	}
	return cmdline.Line(c.App.ErrWriter, "written to %s: run its first node by karatd --join %s", n.output, shellWord(n.output))
}

// writeNew writes a file that must not exist. A genesis file that is replaced is a
// network lost.
func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(name)) // half a file is none
	}
	return nil
}

// asked is a choice that a person is asked for on a terminal.
type asked struct {
	flag, question, byDefault string
	check                     func(string) error
}

// choose returns the value of a flag if it was given, else a person's answer, else the default.
// Who names the network has a command line in mind, often one that he was shown with others:
// questions would swallow the commands behind it.
// A wrong answer is told at once, and asked for again.
func (a asked) choose(c *cli.Context) (string, error) {
	if c.IsSet(a.flag) {
		if err := a.check(c.String(a.flag)); err != nil {
			return "", cmdline.Usagef("--%s: %w", a.flag, err)
		}
		return c.String(a.flag), nil
	}
	in, ok := cmdline.Terminal(c.App.Reader)
	if a.byDefault != "" && (!ok || c.IsSet("name")) {
		return a.byDefault, nil
	}
	question := a.question
	if a.byDefault != "" {
		question += " [" + a.byDefault + "]"
	}
	for ok {
		answer, err := cmdline.AskLine(c.Context, in, c.App.ErrWriter, question+": ")
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if answer = cmp.Or(answer, a.byDefault); answer != "" {
			wrong := a.check(answer)
			if wrong == nil {
				return answer, nil
			}
			fmt.Fprintf(c.App.ErrWriter, "%s\n", cmdline.OneLine(wrong))
		}
		ok = err == nil // there may be more input
	}
	return "", cmdline.Usagef("--%s is needed", a.flag)
}

// taken are prefixes of addresses that have a meaning, so that no coin's address is taken for
// another's.
var taken = map[string]string{"krt": "karat's main network", "krtd": "karat's dev network", "bc": "Bitcoin", "tb": "Bitcoin's test networks", "bcrt": "Bitcoin's regtest"}

func checkNewName(name string) error {
	if err := network.CheckName(name); err != nil {
		return fmt.Errorf("%.80q: want up to 32 lower-case letters, digits and dashes", name)
	}
	if karat.IsBuiltIn(name) {
		return fmt.Errorf("%s is a network that is built in: choose another name", name)
	}
	return nil
}

func checkNewHRP(hrp string) error {
	if whose, ok := taken[hrp]; ok {
		return fmt.Errorf("addresses that begin with %s1 are those of %s: choose another prefix", hrp, whose)
	}
	if _, err := taproot.EncodeAddress(hrp, taproot.OutputScript([32]byte{})); err != nil {
		return fmt.Errorf("%.80q: %w", hrp, err)
	}
	return nil
}

func checkMessage(text string) error {
	if len(text) < 1 || len(text) > consensus.MaxGenesisMessage || !utf8.ValidString(text) {
		return fmt.Errorf("%.20q has %d bytes: want up to %d of UTF-8", text, len(text), consensus.MaxGenesisMessage)
	}
	return nil
}

// checkSubsidy also looks whether all that will ever be mined can be counted.
func (n *choices) checkSubsidy(text string) error {
	amount, err := types.ParseAmount(text)
	if err != nil {
		return err
	}
	if network.Allocate(&consensus.Params{InitialSubsidy: amount, HalvingInterval: uint32(n.halving)}, nil) != nil {
		return fmt.Errorf("%s coins, halved every %d blocks, are more than can be counted", amount, n.halving)
	}
	return nil
}

// params makes the parameters from the flags and answers. What flags say is checked before
// anything is asked. The genesis block has no nonce yet.
func (n *choices) params(c *cli.Context, o *options) (*consensus.Params, error) {
	p := &consensus.Params{
		Ports:            consensus.Ports{P2P: uint16(n.p2pPort), RPC: uint16(n.rpcPort)},
		Genesis:          consensus.Genesis{Version: 1, Timestamp: uint32(n.timestamp)},
		Difficulty:       consensus.Difficulty{Algorithm: n.difficulty},
		HalvingInterval:  uint32(n.halving),
		CoinbaseMaturity: uint32(n.maturity),
		MaxBlockWeight:   int(n.weight),
		Bootstrap:        consensus.Bootstrap{Nodes: n.bootstrap.Value()},
	}
	ask := func(p *consensus.Params) error { return n.ask(c, p) }
	setTarget := func(p *consensus.Params) error { return n.setTarget(c, p) }
	setCoins := func(p *consensus.Params) error { return n.setCoins(o, p) }
	for _, set := range []func(*consensus.Params) error{n.checkFlags, n.setTimes, ask, n.setMagic, setCoins, setTarget} {
		if err := set(p); err != nil {
			return nil, err
		}
	}
	return p, network.Check(p)
}

// ask asks for the main choices.
func (n *choices) ask(c *cli.Context, p *consensus.Params) (err error) {
	if p.Name, err = (asked{"name", "Name of the network", "", checkNewName}).choose(c); err != nil {
		return err
	}
	hrp := strings.Trim(p.Name[:min(4, len(p.Name))], "-0123456789")
	if checkNewHRP(hrp) != nil {
		hrp = ""
	}
	if p.HRP, err = (asked{"hrp", "Prefix of addresses", hrp, checkNewHRP}).choose(c); err != nil {
		return err
	}
	if p.Genesis.Message, err = (asked{"message", "Message in the genesis block", p.Name + " begins", checkMessage}).choose(c); err != nil {
		return err
	}
	subsidy, err := asked{"subsidy", "Coins that the first blocks make", n.subsidy, n.checkSubsidy}.choose(c)
	if err != nil {
		return err
	}
	p.InitialSubsidy, err = types.ParseAmount(subsidy)
	return err
}

// setTimes sets what is counted in seconds. A fixed difficulty has no half-life, and a
// file that named one would be refused.
func (n *choices) setTimes(p *consensus.Params) (err error) {
	if p.TargetSpacing, err = wholeSeconds("spacing", n.spacing); err != nil {
		return err
	}
	if p.Difficulty.Algorithm == consensus.DifficultyASERT {
		p.Difficulty.HalfLife, err = wholeSeconds("half-life", cmp.Or(n.halfLife, forecast.DefaultHalfLife(n.spacing)))
	}
	return err
}

// wholeSeconds returns a duration in seconds. What does not fit into a field is
// refused, and not made to fit.
func wholeSeconds(flag string, d time.Duration) (uint32, error) {
	if d < time.Second || d%time.Second != 0 || d > math.MaxUint32*time.Second {
		return 0, cmdline.Usagef("--%s %s: want whole seconds, such as 30s or 10m", flag, d)
	}
	return uint32(d / time.Second), nil
}

// easierLimit is how much easier than the first blocks later ones may become when miners go.
const easierLimit = 1 << 10

// setTarget makes the target of the genesis block, and the easiest that there may be: a
// thousand times easier where the difficulty changes, so that a network can lose most of its
// miners.
func (n *choices) setTarget(c *cli.Context, p *consensus.Params) error {
	bits, err := n.firstBits(c)
	if err != nil {
		return err
	}
	target, negative, overflow := consensus.ExpandBits(bits)
	if negative || overflow || target.IsZero() {
		return cmdline.Usagef("--bits %q: this is no compact target; want one such as 1e0fffff", n.bits)
	}
	p.Genesis.Bits, p.PowLimit = bits, target
	if p.Difficulty.Algorithm == consensus.DifficultyASERT {
		easier := forecast.BitsFor(forecast.Hashes(bits)/easierLimit, time.Second)
		if limit, _, _ := consensus.ExpandBits(easier); limit.Cmp(target) > 0 {
			p.PowLimit = limit
		}
	}
	return nil
}

// firstBits returns the compact target that was given, or the one for the hash rate at launch.
// It says what that is, since nobody sees it in the digits.
func (n *choices) firstBits(c *cli.Context) (uint32, error) {
	rate, whose := 0.0, "at launch"
	switch {
	case n.rate != "":
		var err error
		if rate, err = parseHashRate(n.rate); err != nil {
			return 0, cmdline.Usagef("--hashrate %w", err)
		}
	case n.bits == "" && n.difficulty == consensus.DifficultyFixed:
		return trivialBits, nil
	default:
		rate, whose = measureHere(c.Context, measureTime), "here"
		if err := c.Context.Err(); err != nil {
			return 0, err
		}
	}
	suggested := forecast.BitsFor(rate, n.spacing)
	if n.bits == "" {
		fmt.Fprintf(c.App.ErrWriter, "%s %s: at bits %08x a block takes %s\n", hashRate(rate), whose, suggested, n.spacing)
		return suggested, nil
	}
	b, err := fourBytes("bits", n.bits)
	if err != nil {
		return 0, err
	}
	bits := binary.BigEndian.Uint32(b[:])
	takes := time.Duration(min(forecast.Hashes(bits)/rate, 1e9) * float64(time.Second))
	fmt.Fprintf(c.App.ErrWriter, "%s %s: at bits %08x a block takes %s", hashRate(rate), whose, bits, roughly(takes))
	if n.difficulty == consensus.DifficultyASERT && (takes < n.spacing/2 || takes > 2*n.spacing) {
		fmt.Fprintf(c.App.ErrWriter, ", not %s; suggested %08x", n.spacing, suggested)
	}
	fmt.Fprintln(c.App.ErrWriter)
	return bits, nil
}

const (
	measureTime = 500 * time.Millisecond
	trivialBits = 0x207fffff // what costs nothing
)

// setMagic takes the magic, or makes one from the name. Each of its bytes has the top
// bit set, so that no text in a file is taken for the beginning of a block.
func (n *choices) setMagic(p *consensus.Params) (err error) {
	if n.magic == "" {
		binary.BigEndian.PutUint32(p.Magic[:], crc32.ChecksumIEEE([]byte(p.Name))|0x80808080)
		return nil
	}
	p.Magic, err = fourBytes("magic", n.magic)
	return err
}

// fourBytes reads the hexadecimal digits of a field of four bytes.
func fourBytes(flag, text string) ([4]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 4 {
		return [4]byte{}, cmdline.Usagef("--%s %q: want eight hexadecimal digits", flag, text)
	}
	return [4]byte(b), nil
}

// checkFlags checks what needs no other choice.
func (n *choices) checkFlags(p *consensus.Params) error {
	if n.difficulty != consensus.DifficultyASERT && n.difficulty != consensus.DifficultyFixed {
		return cmdline.Usagef("--difficulty %q: want asert or fixed", n.difficulty)
	}
	if n.rate != "" {
		if _, err := parseHashRate(n.rate); err != nil {
			return cmdline.Usagef("--hashrate %w", err)
		}
	}
	for _, digits := range []struct{ flag, text string }{{"bits", n.bits}, {"magic", n.magic}} {
		if _, err := fourBytes(digits.flag, digits.text); digits.text != "" && err != nil {
			return err
		}
	}
	for _, peer := range p.Bootstrap.Nodes {
		if err := node.CheckPeer(peer); err != nil {
			return cmdline.Usagef("--bootstrap: %w", err)
		}
	}
	return nil
}

// setCoins makes the coins of the genesis block. Those for the faucet are for the one of the
// data directory, whose key is made for it.
func (n *choices) setCoins(o *options, p *consensus.Params) error {
	list := n.allocate.Value()
	for i, text := range list {
		amount, ok := strings.CutPrefix(text, "faucet=")
		if !ok {
			continue
		}
		address, err := n.faucetAddress(o, p)
		if err != nil {
			return err
		}
		list[i] = address + "=" + amount
	}
	// Without allocations this still makes the one output that a genesis block needs.
	err := network.Allocate(p, list)
	if err != nil && len(list) > 0 {
		return cmdline.Usagef("--allocate: %w", err)
	}
	return err
}

// faucetAddress returns what fills the faucet of the node that will have the network's data
// folder.
func (n *choices) faucetAddress(o *options, p *consensus.Params) (string, error) {
	dir, err := karat.DataDir(o.dataDir, p)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dir, karat.NetworkFile)); err == nil {
		return "", fmt.Errorf("there is a network called %s in %s: choose another name, or another --datadir", p.Name, dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	script, err := node.FaucetScript(dir)
	if err != nil {
		return "", err
	}
	n.madeKey = " but the faucet's key, in " + dir
	return taproot.EncodeAddress(p.HRP, script)
}
