package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

func txCommand() *cli.Command {
	return &cli.Command{
		Name: "tx", Usage: "tell in words what a transaction did, and what can be done about it", ArgsUsage: "ID",
		Description: "The ID is a txid, or as many of its first digits as no other transaction of the wallet has.\n\n" +
			"   karat tx 4a5e1e4b",
		Flags: []cli.Flag{jsonFlag()}, Action: withSynced(explainTx),
	}
}

// explainTx tells all that the wallet knows of one transaction.
func explainTx(c *cli.Context, o *opened) error {
	if c.NArg() != 1 {
		return cmdline.Usagef("tx wants the ID of a transaction, as karat history shows it")
	}
	txid, err := o.findTxid(c.Args().First())
	if err != nil {
		return err
	}
	e, err := o.Explain(txid)
	if err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		return o.explainJSON(c, e)
	}
	out := c.App.Writer
	fmt.Fprintf(out, "Transaction %s\n\n", e.TxID)
	if text := e.Labelled(); text != "" {
		tell(out, "label", text)
	}
	tell(out, "what", o.inWords(e))
	tell(out, "status", o.statusInWords(c, e))
	if e.Status == wallet.StatusConflicted {
		tell(out, "change", "none: it would have been "+signed(e.Amount)+" for the wallet")
	} else {
		tell(out, "change", signed(e.Amount)+" for the wallet, which had "+e.Balance.String()+" after it")
	}
	if rate, known := e.FeeRate(); known {
		tell(out, "fee", fmt.Sprintf("%s, %s grains for each of %d virtual bytes", e.Fee, rate, e.Tx.VirtualSize()))
	} else if e.Kind != wallet.KindMined {
		tell(out, "fee", "was paid by others, who alone know what they spent")
	}
	for _, other := range []struct {
		name string
		list []types.Hash
	}{{"replaces", e.Replaces}, {"replaced by", e.ReplacedBy}, {"spent by", e.SpentBy}} {
		for _, txid := range other.list {
			tell(out, other.name, txid.String())
		}
	}
	if text := canBeDone(e); text != "" {
		tell(out, "you can", text)
	}
	fmt.Fprintln(out)
	return o.putsAndPuts(c, e)
}

// tellWidth is where lines of words end. No terminal is narrower, and longer ones tire.
const tellWidth = 78

// tell writes a text behind a name, in as many lines as it takes.
func tell(out io.Writer, name, text string) {
	const column = 13
	line := fmt.Sprintf("%-*s", column, name)
	for i, word := range strings.Fields(cmdline.Printable(text)) {
		if i > 0 && cmdline.Width(line)+1+cmdline.Width(word) > tellWidth {
			fmt.Fprintln(out, line)
			line = strings.Repeat(" ", column) + word
			continue
		}
		if i > 0 {
			line += " "
		}
		line += word
	}
	fmt.Fprintln(out, line)
}

func signed(a types.Amount) string {
	if a > 0 {
		return "+" + a.String()
	}
	return a.String()
}

// inWords tells what a transaction did to the wallet.
func (o *opened) inWords(e *wallet.Explained) string {
	did := func(past, present, future string) string {
		switch e.Status {
		case wallet.StatusPending:
			return present
		case wallet.StatusConflicted:
			return future
		}
		return past
	}
	switch e.Kind {
	case wallet.KindMined:
		return did("You mined", "You mined", "You had mined") + " a block, and its reward of " + e.Amount.String() + " " + did("is", "is", "was") + " yours."
	case wallet.KindReceived:
		return did("You received", "You are being sent", "You would have received") + " " + e.Amount.String() + ". Who sent it is not in a transaction."
	case wallet.KindSelf:
		text := did("You paid", "You are paying", "You would have paid") + " coins of yours to yourself."
		if data := dataIn(e); data != "" {
			text += " It carries data: " + data + "."
		}
		return text
	}
	var parts []string
	var back types.Amount
	for _, p := range e.Outputs {
		address, err := taproot.EncodeAddress(o.params.HRP, p.ScriptPubKey)
		switch {
		case p.Ours:
			back += p.Value
		case err != nil:
		case p.Label != "":
			parts = append(parts, fmt.Sprintf("%s to %q at %s", p.Value, p.Label, address))
		default:
			parts = append(parts, fmt.Sprintf("%s to %s", p.Value, address))
		}
	}
	const most = 10 // the table below has them all
	if more := len(parts) - most; more > 0 {
		parts = append(parts[:most], fmt.Sprintf("%d others", more))
	}
	if n := len(parts); n > 1 {
		parts = []string{strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]}
	}
	text := did("You paid", "You are paying", "You would have paid") + " " + strings.Join(parts, "") + "."
	if back > 0 {
		text += " " + back.String() + " " + did("came", "comes", "would have come") + " back as change."
	}
	return text
}

// dataIn returns what an OP_RETURN output of a transaction holds.
func dataIn(e *wallet.Explained) string {
	for _, p := range e.Outputs {
		if data := wallet.DataOf(p.ScriptPubKey); data != "" {
			return data
		}
	}
	return ""
}

// statusInWords tells how far a transaction has come, and whether it can be undone.
func (o *opened) statusInWords(c *cli.Context, e *wallet.Explained) string {
	when := cmdline.Time(c, e.Time)
	switch e.Status {
	case wallet.StatusPending:
		text := "pending since " + when + ": it is in no block yet. "
		if e.Sent {
			return text + "Nobody should take it for a payment before it is."
		}
		return text + "Do not count on it: who sent it can still take it back."
	case wallet.StatusConflicted:
		switch {
		case e.Kind == wallet.KindMined:
			return "gone: its block was undone, and another has taken its place."
		case e.Abandoned:
			return "abandoned: it was given up, or refused, and its coins are free. It counts again if a node has it after all."
		case len(e.ReplacedBy) > 0:
			return "replaced: another transaction has taken its coins, so it will not be confirmed."
		}
		return "conflicted: nodes refuse it, or what it spends is gone. It will not be confirmed unless that changes."
	}
	text := fmt.Sprintf("confirmed in block %d at %s, %s.", e.Height, when, plural(int(e.Confirmations), "confirmation"))
	if e.Status == wallet.StatusImmature {
		text += fmt.Sprintf(" A reward can be spent after %d blocks.", o.params.CoinbaseMaturity)
	}
	return text + " " + o.reversal(e.Confirmations)
}

// reversal tells how likely it is that a block is undone.
func (o *opened) reversal(confirmations uint32) string {
	if o.params.Difficulty.Algorithm == consensus.DifficultyFixed {
		return "On a network whose difficulty is fixed anybody can undo blocks."
	}
	return fmt.Sprintf("Whoever has a tenth of the network's power could undo it with a chance of %s, a quarter with %s.",
		percent(undoChance(0.1, confirmations)), percent(undoChance(0.25, confirmations)))
}

// undoChance returns the chance that somebody with a share of the network's power, below a
// half, catches up with a block of so many confirmations (Nakamoto, section 11).
func undoChance(share float64, confirmations uint32) float64 {
	if confirmations > 1000 {
		return 0
	}
	ratio, z := share/(1-share), float64(confirmations)
	mean := z * ratio
	chance, poisson := 1.0, math.Exp(-mean)
	for k := 0.0; k <= z; k++ {
		if k > 0 {
			poisson *= mean / k
		}
		chance -= poisson * (1 - math.Pow(ratio, z-k))
	}
	return max(chance, 0)
}

// percent writes a chance to two digits. Below one in a million it is no chance.
func percent(chance float64) string {
	if chance < 1e-6 {
		return "under 0.0001 %"
	}
	return fmt.Sprintf("%.2g %%", 100*chance)
}

// canBeDone tells the commands that help with a transaction that waits.
func canBeDone(e *wallet.Explained) string {
	id := e.TxID.String()[:16]
	switch {
	case e.Status == wallet.StatusPending && e.Sent:
		return fmt.Sprintf("raise its fee (karat bump %s), take it back (karat cancel %s), or pass it on again (karat rebroadcast %s). It may just need time.", id, id, id)
	case e.Status == wallet.StatusPending:
		return fmt.Sprintf("let a payment of yours pay its fee (karat cpfp %s), or wait.", id)
	case e.Status == wallet.StatusConflicted && e.Kind == wallet.KindSent && len(e.ReplacedBy) == 0:
		return "pay again: its coins are free, as far as they are still there."
	}
	return ""
}

// putsAndPuts lists what a transaction spends and makes.
func (o *opened) putsAndPuts(c *cli.Context, e *wallet.Explained) error {
	rows := cmdline.NewRows(c, cmdline.Column{Title: ""}, cmdline.Column{Title: "amount", Right: true}, cmdline.Column{Title: "whose"}, cmdline.Column{Title: "address", Fit: cmdline.Middle}, cmdline.Column{Title: "label", Fit: cmdline.End})
	for i, in := range e.Inputs {
		switch {
		case e.Kind == wallet.KindMined:
			rows.Add("in", "", "new", "coins that did not exist before")
		case in.Known:
			rows.Add(fmt.Sprintf("in %d", i), in.Value.String(), "yours", o.addressOr(in.ScriptPubKey, in.OutPoint.String()))
		default:
			rows.Add(fmt.Sprintf("in %d", i), "", "others'", in.OutPoint.String())
		}
	}
	for _, p := range e.Outputs {
		whose := "others'"
		switch {
		case p.Change:
			whose = "yours, change"
		case p.Ours:
			whose = "yours"
		}
		rows.Add(fmt.Sprintf("out %d", p.Index), p.Value.String(), whose, o.addressOr(p.ScriptPubKey, "data "+wallet.DataOf(p.ScriptPubKey)), p.Label)
	}
	return rows.Flush()
}

// addressOr returns the address of a script, or another text if it has none.
func (o *opened) addressOr(script []byte, other string) string {
	if text, err := taproot.EncodeAddress(o.params.HRP, script); err == nil {
		return text
	}
	return other
}

func (o *opened) explainJSON(c *cli.Context, e *wallet.Explained) error {
	inputs, outputs := []map[string]any{}, []map[string]any{}
	for _, in := range e.Inputs {
		m := map[string]any{"txid": in.TxID, "vout": in.Index, "ours": in.Known}
		if in.Known {
			m["amount"], m["address"] = number(in.Value), o.addressOr(in.ScriptPubKey, "")
		}
		inputs = append(inputs, m)
	}
	for _, p := range e.Outputs {
		outputs = append(outputs, o.partyJSON(p))
	}
	m := map[string]any{
		"txid": e.TxID, "time": e.Time, "height": e.Height, "confirmations": e.Confirmations, "amount": number(e.Amount), "fee": number(e.Fee),
		"status": e.Status, "sent": e.Sent, "kind": e.Kind, "label": e.Labelled(), "vsize": e.Tx.VirtualSize(), "hex": fmt.Sprintf("%x", e.Tx.AppendTo(nil)),
		"inputs": inputs, "outputs": outputs, "abandoned": e.Abandoned,
		"replaces": slices.Concat([]types.Hash{}, e.Replaces), "replaced_by": slices.Concat([]types.Hash{}, e.ReplacedBy), "spent_by": slices.Concat([]types.Hash{}, e.SpentBy),
	}
	if rate, known := e.FeeRate(); known {
		m["feerate"] = rate.String()
	}
	return cmdline.PrintJSON(c.App.Writer, m)
}

// findTxid reads the id of a transaction of the wallet, or the beginning of one.
func (o *opened) findTxid(text string) (types.Hash, error) {
	txid, err := types.ParseHash(text)
	if err == nil {
		return txid, nil
	}
	if txid, err = o.FindTx(text); errors.Is(err, wallet.ErrUnknownTx) {
		return txid, cmdline.Usagef("%w", err)
	}
	return txid, err
}
