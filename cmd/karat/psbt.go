package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/message"
	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

func psbtCommand() *cli.Command {
	return &cli.Command{
		Name: "psbt", Usage: "payments that several sign, or a machine without a node",
		Description: "A PSBT (BIP174, BIP370) is a payment on its way to be signed. Whoever sees it sees the\n" +
			"payment, and nobody can change it without a trace, so it may travel by any way: a file on\n" +
			"a stick, a text, a QR code. FILE may be binary or text; - is standard input.\n\n" +
			"   karat psbt create -o pay.psbt ADDRESS 1.5   make one, where the node is\n" +
			"   karat psbt show pay.psbt                    see what it does, and who has signed\n" +
			"   karat psbt sign -o signed.psbt pay.psbt     sign it; no node is needed\n" +
			"   karat psbt combine -o all.psbt a.psbt b.psbt\n" +
			"   karat psbt send all.psbt                    finish it, and send the payment",
		Subcommands: []*cli.Command{
			psbtCreateCommand(), psbtShowCommand(), psbtSignCommand(), psbtCombineCommand(), psbtFinalizeCommand(), psbtSendCommand(), psbtConvertCommand(),
		},
	}
}

// onePSBT is a command about one PSBT, with the wallet open. No node is asked unless sync is
// set.
func onePSBT(sync bool, run func(c *cli.Context, o *opened, p *psbt.Packet) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.NArg() != 1 {
			return cmdline.Usagef("%s wants one FILE", c.Command.HelpName)
		}
		if err := checkOutput(c); err != nil {
			return err
		}
		p, err := readSigned(c, c.Args().First())
		if err != nil {
			return err
		}
		return runOpened(c, sync, func(c *cli.Context, o *opened) error { return run(c, o, p) })
	}
}

func psbtCreateCommand() *cli.Command {
	return &cli.Command{
		Name: "create", Usage: "make a payment that is to be signed", ArgsUsage: "ADDRESS AMOUNT [ADDRESS AMOUNT…]",
		Description: "Chooses coins as karat send does, and signs nothing. All that signers need to know is in it.\n\n" +
			"   karat psbt create --account family -o pay.psbt krt1p… 1.5\n" +
			"   karat psbt create --account vault --way 2 --all krt1p…  by the second way that karat script new has told",
		Flags: append(append(feeFlags(confirmTarget), outputFlags()...),
			accountFlag(),
			&cli.BoolFlag{Name: flagSubtract, Usage: "take the fee from the amounts"},
			&cli.BoolFlag{Name: flagAll, Usage: "spend everything of the account"},
			&cli.StringFlag{Name: flagFile, Usage: "pay what stands in `FILE`, - for standard input"},
			&cli.StringSliceFlag{Name: flagLabel, Usage: "note `TEXT` beside the receiver's address; once for each, in their order"},
			&cli.StringSliceFlag{Name: flagCoin, Usage: "spend the coin `TXID:INDEX`, and no others; once for each"},
			&cli.BoolFlag{Name: flagMix, Usage: "take coins whatever their labels are (default: of one label, if those suffice)"},
			&cli.UintFlag{Name: flagWay, Usage: "spend by the `N`th way of the account, and meet its locks"},
			&cli.BoolFlag{Name: "psbt-v0", Usage: "make version 0, which older programs read"},
		),
		Action: psbtCreate,
	}
}

const flagWay = "way"

// psbtCreate builds a payment and writes it. Nobody is asked: nothing is signed.
func psbtCreate(c *cli.Context) error {
	h, err := findHome(c)
	if err != nil {
		return err
	}
	list, err := h.order(c)
	if err != nil {
		return err
	}
	l, err := h.feeLimits(c)
	if err != nil {
		return err
	}
	if err := checkOutput(c); err != nil {
		return err
	}
	return runOpened(c, true, func(c *cli.Context, o *opened) error {
		r, err := o.request(c, list, l)
		if err != nil {
			return err
		}
		if err := o.chooseWay(c, r); err != nil {
			return err
		}
		drafts, err := o.build(c, r)
		if err != nil {
			return err
		}
		p, err := o.packetOf(drafts)
		if err != nil {
			return err
		}
		if err := drafts[0].CheckFee(); err != nil {
			return err
		}
		if c.Bool("psbt-v0") {
			if err := p.Convert(0); err != nil {
				return err
			}
		}
		if err := o.setLabels(list); err != nil {
			return err
		}
		return o.deliver(c, p, "")
	})
}

// chooseWay sets what the way to spend asks for that the flag names.
func (o *opened) chooseWay(c *cli.Context, r *wallet.Request) error {
	account, err := o.account(c)
	if err != nil || !c.IsSet(flagWay) {
		return err
	}
	ways := o.Ways(account)
	n := c.Uint(flagWay)
	if n < 1 || n > uint(len(ways)) {
		return cmdline.Usagef("--%s %d: account %s has %s", flagWay, n, account.Name(), plural(len(ways), "way"))
	}
	way := &ways[n-1]
	r.Sequence = way.Sequence
	setWeight(r, way.WitnessWeight)
	const timesFrom = 500_000_000
	if way.LockTime >= timesFrom || way.LockTime > r.LockTime {
		r.LockTime = way.LockTime
	}
	return nil
}

// setWeight says what the witness of each input will weigh.
func setWeight(r *wallet.Request, witness int) {
	r.WitnessWeight = witness
	for _, coins := range [][]wallet.Coin{r.Coins, r.Required} {
		for i := range coins {
			coins[i].SpendWeight = witness
		}
	}
}

// deliver writes a PSBT, and tells on standard error what it is now.
func (o *opened) deliver(c *cli.Context, p *psbt.Packet, done string) error {
	review, err := o.ReviewPSBT(p)
	if err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		text, err := p.Base64()
		if err != nil {
			return err
		}
		if err := cmdline.PrintJSON(c.App.Writer, struct {
			PSBT string `json:"psbt"`
			reviewJSON
		}{text, toJSON(review)}); err != nil {
			return err
		}
	} else {
		if done != "" {
			fmt.Fprintf(c.App.ErrWriter, "%s\n", done)
		}
		fmt.Fprintln(c.App.ErrWriter, nextStep(review))
	}
	return writePSBT(c, p)
}

func psbtShowCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "say what a PSBT does, who has signed it and who has not", ArgsUsage: "FILE",
		Description: "No node is asked: all of it follows from the PSBT and the accounts of the wallet. What says\n" +
			"to come back to the wallet is believed only if an account of it makes the address.",
		Flags:  append([]cli.Flag{jsonFlag()}, cmdline.QRFlags("draw it as a QR code too")...),
		Action: onePSBT(false, psbtShow),
	}
}

func psbtShow(c *cli.Context, o *opened, p *psbt.Packet) error {
	review, err := o.ReviewPSBT(p)
	if err != nil {
		return err
	}
	text, err := p.Base64()
	if err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, toJSON(review))
	}
	if err := o.showPSBT(c, c.App.Writer, p, review); err != nil {
		return err
	}
	return cmdline.DrawQR(c, text)
}

func psbtSignCommand() *cli.Command {
	return &cli.Command{
		Name: "sign", Usage: "sign a PSBT by the keys of this wallet", ArgsUsage: "FILE",
		Description: "Shows what is signed, and asks before. No node is needed.\n\n" +
			"An account by MuSig2 is signed in two rounds: in the first each adds a nonce, and in the\n" +
			"second each signs. Who comes last does both at once. A nonce is used once: if a PSBT is lost\n" +
			"between the rounds, or has to be changed, all begin anew with --restart.",
		Flags: append(append([]cli.Flag{passphraseFlag()}, outputFlags()...),
			&cli.StringFlag{Name: flagMaxFee, Usage: fmt.Sprintf("sign no fee above `COINS`; with --%s, the leave to sign one above a quarter of the amount", flagYes)},
			&cli.BoolFlag{Name: flagYes, Aliases: []string{"y"}, Usage: "do not ask"},
			&cli.StringSliceFlag{Name: flagPreimage, Usage: "add what a script asks for by its hash, in `HEX`; once for each"},
			&cli.BoolFlag{Name: "restart", Usage: "drop all nonces and what was made with them, and begin anew"},
			&cli.BoolFlag{Name: "foreign", Usage: "sign also for scripts of no account of this wallet, if a key of it is in them"},
			&cli.BoolFlag{Name: "any-hash-type", Usage: "sign also by hash types that leave parts of the payment open, for others to change"},
			jsonFlag(),
		),
		Action: onePSBT(false, psbtSign),
	}
}

// psbtSign signs. The keys are opened last, and are wiped as soon as it is signed.
func psbtSign(c *cli.Context, o *opened, p *psbt.Packet) error {
	l, err := o.feeLimits(c)
	if err != nil {
		return err
	}
	preimages, err := addPreimages(c, p)
	if err != nil {
		return err
	}
	review, err := o.ReviewPSBT(p)
	if err != nil {
		return err
	}
	if review.Problem != "" {
		return errors.New(review.Problem)
	}
	if review.Fee == nil {
		return errors.New("what it spends is not all in it, so nobody can tell the fee: let the one who made it add that (karat psbt create does)")
	}
	if err := o.agreePSBT(c, l, p, review, "Sign it? [y/N] "); err != nil {
		return err
	}
	signer, err := o.unlock(c)
	if err != nil {
		return err
	}
	defer signer.Wipe()
	done, err := o.SignPSBT(signer, p, wallet.SignOptions{Restart: c.Bool("restart"), Foreign: c.Bool("foreign"), AnyHashType: c.Bool("any-hash-type")})
	if err != nil {
		return err
	}
	if !done.Any() && preimages == 0 {
		if done.Waiting > 0 {
			return errors.New("there is nothing to add now: the nonces of others are missing")
		}
		return errors.New("there is nothing to sign: no key of this wallet is asked for, or all have signed already")
	}
	return o.deliver(c, p, signedText(done, preimages))
}

const flagPreimage = "preimage"

// addPreimages adds what the flag has, and counts it.
func addPreimages(c *cli.Context, p *psbt.Packet) (added int, err error) {
	for _, text := range c.StringSlice(flagPreimage) {
		raw, err := hex.DecodeString(text)
		if err != nil || len(raw) != 32 {
			return 0, cmdline.Usagef("--%s: want 64 hexadecimal digits", flagPreimage)
		}
		found := false
		for i := range p.Inputs {
			found = p.Inputs[i].AddPreimage(raw) || found
		}
		if !found {
			return 0, fmt.Errorf("--%s %s: no script asks for it", flagPreimage, text)
		}
		added++
	}
	return added, nil
}

// agreePSBT shows a PSBT and asks, as karat send asks.
func (o *opened) agreePSBT(c *cli.Context, l limits, p *psbt.Packet, review *wallet.PSBTReview, question string) error {
	if m, err := o.messageIn(p); m != nil || err != nil { // which moves nothing, whatever it spends
		if err != nil {
			return err
		}
		return confirmMessage(c, m)
	}
	if !c.Bool(flagYes) {
		if err := o.showPSBT(c, c.App.ErrWriter, p, review); err != nil {
			return err
		}
	}
	paid, what := paidOf(review)
	return o.agree(c, l, agreement{fee: *review.Fee, amount: paid, what: what, question: question})
}

// paidOf returns what a PSBT pays to others, or all of it if it pays nobody else.
func paidOf(review *wallet.PSBTReview) (paid types.Amount, what string) {
	all := types.Amount(0)
	for _, out := range review.Outputs {
		if all += out.Value; out.Account == "" {
			paid += out.Value
		}
	}
	if paid == 0 {
		return all, "what it moves"
	}
	return paid, "what it pays"
}

func psbtCombineCommand() *cli.Command {
	return &cli.Command{
		Name: "combine", Usage: "join what several have signed, each for himself", ArgsUsage: "FILE FILE…",
		Flags:  append(outputFlags(), jsonFlag()),
		Action: psbtCombine,
	}
}

func psbtCombine(c *cli.Context) error {
	if c.NArg() < 2 {
		return cmdline.Usagef("combine wants two FILEs or more")
	}
	if err := checkOutput(c); err != nil {
		return err
	}
	var parts []*psbt.Packet
	for _, name := range c.Args().Slice() {
		p, err := readSigned(c, name)
		if err != nil {
			return err
		}
		if len(parts) > 0 && p.Version != parts[0].Version {
			if err := p.Convert(parts[0].Version); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		parts = append(parts, p)
	}
	whole, err := psbt.Combine(parts)
	if errors.Is(err, psbt.ErrOtherTransaction) {
		return errors.New("they are not of one payment: karat psbt show tells what each does")
	} else if err != nil {
		return err
	}
	return runOpened(c, false, func(c *cli.Context, o *opened) error { return o.deliver(c, whole, "") })
}

func psbtFinalizeCommand() *cli.Command {
	return &cli.Command{
		Name: "finalize", Usage: "make the payment of a PSBT that all have signed", ArgsUsage: "FILE",
		Description: "karat psbt send does it as well, and sends the payment.",
		Flags:       append(outputFlags(), &cli.BoolFlag{Name: "tx", Usage: "print the transaction in hexadecimal, as other programs send it"}, jsonFlag()),
		Action:      onePSBT(false, psbtFinalize),
	}
}

func psbtFinalize(c *cli.Context, o *opened, p *psbt.Packet) error {
	tx, err := o.finished(p)
	if err != nil {
		return err
	}
	if _, _, ok := message.FromPacket(p); ok && !c.Bool("tx") {
		signature, err := message.FromFinal(p)
		if err != nil {
			return err
		}
		if c.Bool(flagJSON) {
			return cmdline.PrintJSON(c.App.Writer, map[string]any{"signature": signature})
		}
		fmt.Fprintln(c.App.Writer, signature)
		return nil
	}
	if c.Bool("tx") {
		fmt.Fprintln(c.App.Writer, hex.EncodeToString(tx.AppendTo(nil)))
		return nil
	}
	return o.deliver(c, p, "")
}

// finished finalizes a PSBT and returns its transaction. The error says who is missing.
func (o *opened) finished(p *psbt.Packet) (*types.Tx, error) {
	if !p.Finalize() {
		review, err := o.ReviewPSBT(p)
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("it is not complete: %s", missingText(review))
	}
	return p.Extract()
}

func psbtSendCommand() *cli.Command {
	return &cli.Command{
		Name: "send", Usage: "send the payment of a PSBT that all have signed", ArgsUsage: "FILE",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagMaxFee, Usage: fmt.Sprintf("pay no fee above `COINS`; with --%s, the leave to pay one above a quarter of the amount", flagYes)},
			&cli.BoolFlag{Name: flagYes, Aliases: []string{"y"}, Usage: "do not ask"},
			jsonFlag(),
		},
		Action: onePSBT(true, psbtSend),
	}
}

func psbtSend(c *cli.Context, o *opened, p *psbt.Packet) error {
	l, err := o.feeLimits(c)
	if err != nil {
		return err
	}
	tx, err := o.finished(p)
	if err != nil {
		return err
	}
	review, err := o.ReviewPSBT(p)
	if err != nil {
		return err
	}
	if review.Fee == nil {
		return errors.New("what it spends is not all in it, so nobody can tell the fee")
	}
	d := &wallet.Draft{Tx: tx}
	o.showDoubts(c, d)
	if err := o.agreePSBT(c, l, p, review, "Send it? [y/N] "); err != nil {
		return err
	}
	if err := o.Send(c.Context, o.node, d); err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, map[string]any{"txid": tx.TxID(), "fee": number(*review.Fee), "vsize": tx.VirtualSize()})
	}
	fmt.Fprintln(c.App.Writer, tx.TxID())
	return nil
}

func psbtConvertCommand() *cli.Command {
	return &cli.Command{
		Name: "convert", Usage: "write a PSBT in the other version, for programs that read only one", ArgsUsage: "FILE",
		Description: "Version 0 becomes 2 and version 2 becomes 0. Version 0 cannot say that inputs or outputs\n" +
			"may still be added.",
		Flags:  append(outputFlags(), jsonFlag()),
		Action: psbtConvert,
	}
}

// psbtConvert needs no wallet.
func psbtConvert(c *cli.Context) error {
	if c.NArg() != 1 {
		return cmdline.Usagef("convert wants one FILE")
	}
	if err := checkOutput(c); err != nil {
		return err
	}
	p, err := readPSBT(c, c.Args().First())
	if err != nil {
		return err
	}
	if err := p.Convert(2 - min(p.Version, 2)); err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		text, err := p.Base64()
		if err != nil {
			return err
		}
		if err := cmdline.PrintJSON(c.App.Writer, map[string]any{"psbt": text, "version": p.Version}); err != nil {
			return err
		}
	}
	return writePSBT(c, p)
}

// signedText says what was added.
func signedText(done wallet.Signed, preimages int) string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{done.Signatures, "signature"}, {done.Partial, "part of a joint signature"}, {done.Nonces, "nonce"}, {preimages, "preimage"}} {
		if part.n == 1 {
			parts = append(parts, "1 "+part.what)
		} else if part.n > 1 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, strings.Replace(part.what+"s", "part of a joint signatures", "parts of joint signatures", 1)))
		}
	}
	return "added " + strings.Join(parts, ", ")
}
