package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/message"
	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

const (
	flagFile  = "file"
	flagFunds = "funds"
)

// errNotSigned is returned when somebody does not want to sign.
var errNotSigned = errors.New("nothing was signed")

func fileFlag() cli.Flag {
	return &cli.StringFlag{Name: flagFile, Usage: "the message is what is in `FILE`, - for standard input"}
}

func signMessageCommand() *cli.Command {
	return &cli.Command{
		Name: "sign-message", Aliases: []string{"signmessage"}, Usage: "sign a message by the key of an address of yours", ArgsUsage: "ADDRESS [MESSAGE]",
		Description: "Prints a signature (BIP322) by which everybody can verify that whoever can spend ADDRESS has\n" +
			"signed MESSAGE. It can never move a coin. Shows what is signed, and asks before.\n\n" +
			"   karat sign-message krt1p… 'I am Alice'             sign a text\n" +
			"   karat sign-message krt1p… --file contract.pdf      sign a file, byte for byte\n" +
			"   karat sign-message --funds krt1p… 'audit of 2026'  prove to have all coins of the wallet\n\n" +
			"The address of an account that several share takes several signatures:\n\n" +
			"   karat sign-message --psbt it krt1p… 'We agree'   then each: karat psbt sign it\n" +
			"   karat psbt finalize it                           prints the signature\n\n" +
			"The message is taken as it is: a line's end in a file is part of it.",
		Flags: []cli.Flag{
			passphraseFlag(), fileFlag(),
			&cli.BoolFlag{Name: "full", Usage: "write the signature in BIP322's full form"},
			&cli.BoolFlag{Name: flagFunds, Usage: "prove that all coins of the wallet that are in blocks are the signer's too; whoever sees it learns of all of them"},
			&cli.BoolFlag{Name: flagYes, Aliases: []string{"y"}, Usage: "do not ask"},
			&cli.StringFlag{Name: flagPSBT, Usage: "write a PSBT to `FILE` instead, which those who share the address sign by karat psbt sign"},
			jsonFlag(),
		},
		Action: signMessage,
	}
}

// signMessage signs. The wallet is only synced if coins are proven: the key of an address
// is the same whatever happens on the chain.
func signMessage(c *cli.Context) error {
	text, err := messageOf(c, 1)
	if err != nil {
		return err
	}
	return runOpened(c, c.Bool(flagFunds), func(c *cli.Context, o *opened) error {
		var coins []wallet.Coin
		if c.Bool(flagFunds) {
			if coins = o.confirmedCoins(); len(coins) == 0 {
				return errors.New("the wallet has no coins in blocks: there is nothing to prove")
			}
		}
		m, err := o.NewMessage(c.Args().First(), text, coins)
		if err != nil {
			return err
		}
		m.Full = c.Bool("full")
		if c.IsSet(flagPSBT) {
			return writeMessagePSBT(c, o, m)
		}
		if err := confirmMessage(c, m); err != nil {
			return err
		}
		signer, err := o.unlock(c)
		if err != nil {
			return err
		}
		defer signer.Wipe()
		signature, err := signer.SignMessage(m)
		if errors.Is(err, wallet.ErrNotOurs) {
			return fmt.Errorf("%s is not spent by a key of this wallet alone: make a PSBT with --%s FILE, and let it be signed", m.Address, flagPSBT)
		}
		if err != nil {
			return err
		}
		if c.Bool(flagJSON) {
			return cmdline.PrintJSON(c.App.Writer, map[string]any{"address": m.Address, "signature": signature, "coins": len(coins)})
		}
		fmt.Fprintln(c.App.Writer, signature)
		return nil
	})
}

// writeMessagePSBT writes what others have to sign too. Nothing is signed yet, so nobody is
// asked.
func writeMessagePSBT(c *cli.Context, o *opened, m *wallet.Message) error {
	p, err := o.MessagePacket(m)
	if err != nil {
		return err
	}
	if err := writeFile(c.String(flagPSBT), p); err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, map[string]any{"address": m.Address, "psbt": c.String(flagPSBT), "coins": len(m.Coins)})
	}
	fmt.Fprintf(c.App.Writer, "%s is to be signed: karat psbt sign\n", c.String(flagPSBT))
	return nil
}

// messageIn returns the message that a PSBT is about, nil if it is a payment.
func (o *opened) messageIn(p *psbt.Packet) (*wallet.Message, error) {
	script, text, ok := message.FromPacket(p)
	if !ok {
		return nil, nil
	}
	address, err := taproot.EncodeAddress(o.params.HRP, script)
	if err != nil {
		return nil, err
	}
	m := &wallet.Message{Address: address, Text: text}
	for i := range p.Inputs[1:] {
		out, ok := p.Inputs[i+1].UTXO()
		if !ok {
			return nil, fmt.Errorf("the PSBT does not tell what coin %s is", p.Inputs[i+1].PreviousOutPoint)
		}
		m.Coins = append(m.Coins, wallet.Coin{OutPoint: p.Inputs[i+1].PreviousOutPoint, Value: out.Value})
	}
	return m, nil
}

// confirmedCoins returns the coins that others can find in blocks.
func (o *opened) confirmedCoins() (coins []wallet.Coin) {
	for _, coin := range o.Unspent() {
		if coin.Height > 0 || coin.IsCoinbase {
			coins = append(coins, coin)
		}
	}
	return coins
}

// messageOf returns the message that a command is about: its last argument, or what the
// flag names.
func messageOf(c *cli.Context, before int) ([]byte, error) {
	name, words := c.String(flagFile), c.Args().Slice()
	switch {
	case name != "" && len(words) == before:
	case name == "" && len(words) == before+1 && words[before] != "-":
		return []byte(words[before]), nil
	case name == "" && len(words) == before+1:
		name = "-"
	default:
		return nil, cmdline.Usagef("%s wants %s, or --%s and no MESSAGE; - is standard input", c.Command.Name, strings.NewReplacer("[", "", "]", "").Replace(c.Command.ArgsUsage), flagFile)
	}
	if name == "-" && c.String(flagPassphrase) == "-" {
		return nil, cmdline.Usagef("standard input has the message: name a file with --%s", flagPassphrase)
	}
	text, err := cmdline.ReadFile(c.Context, name, c.App.Reader)
	if err != nil {
		return nil, fmt.Errorf("the message: %w", err)
	}
	return []byte(text), nil
}

// maxShown is how many bytes of a message are shown before it is signed.
const maxShown = 2000

// confirmMessage shows what will be signed and asks for it. Each line of the message is
// indented, so that none looks like one of ours.
func confirmMessage(c *cli.Context, m *wallet.Message) error {
	if c.Bool(flagYes) {
		return nil
	}
	var b strings.Builder
	shown, rest := m.Text, 0
	if len(shown) > maxShown {
		shown, rest = shown[:maxShown], len(shown)-maxShown
	}
	fmt.Fprintf(&b, "The key of %s signs this message of %d bytes:\n\n", m.Address, len(m.Text))
	for line := range strings.SplitSeq(strings.ToValidUTF8(string(shown), "\uFFFD"), "\n") {
		fmt.Fprintf(&b, "   %s\n", line)
	}
	if rest > 0 {
		fmt.Fprintf(&b, "   … and %d bytes more\n", rest)
	}
	if len(m.Coins) > 0 {
		sum := types.Amount(0)
		for i := range m.Coins {
			sum += m.Coins[i].Value
		}
		fmt.Fprintf(&b, "\nIt also proves that %d coins with %s are yours. Whoever sees it knows all of them.\n", len(m.Coins), sum)
	}
	if _, err := fmt.Fprintln(c.App.ErrWriter, b.String()); err != nil {
		return err
	}
	return agree(c, "Sign it? [y/N] ", errNotSigned)
}

// agree asks a question at the terminal. Whatever is no yes is the error declined.
func agree(c *cli.Context, question string, declined error) error {
	in, ok := cmdline.Terminal(c.App.Reader)
	if !ok {
		return cmdline.Usagef("there is no terminal to ask at: add --%s to do it without a question", flagYes)
	}
	answer, err := cmdline.AskLine(c.Context, in, c.App.ErrWriter, question)
	if err != nil && !errors.Is(err, io.EOF) { // Ctrl-D is a no
		return err
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		return declined
	}
	return nil
}
