package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/wallet"
)

const (
	flagKind  = "type"
	flagForce = "force"
)

func labelCommand() *cli.Command {
	return &cli.Command{
		Name: "label", Usage: "note what an address, a payment or a coin is", ArgsUsage: "ADDRESS|TXID|TXID:INDEX [TEXT]",
		Description: "The note is shown beside it in every list. It stays in this wallet: no node learns of it. An\n" +
			"empty text takes it away; without a text the label is printed.\n\n" +
			"   karat label krt1p… \"rent of May\"        an address, your own or another's\n" +
			"   karat label 4f1c…e2 \"a bicycle\"          a transaction\n" +
			"   karat label 4f1c…e2:0 \"from the shop\"    a coin\n" +
			"   karat label krt1p… \"\"                   no label any more",
		Flags:  []cli.Flag{&cli.StringFlag{Name: flagKind, Usage: "what the label is for: `tx`, addr, pubkey, input, output or xpub (default: what it looks like)"}, jsonFlag()},
		Action: withWallet(label),
	}
}

// label sets a label, or shows one. It needs no node: what is labelled may not be there yet.
func label(c *cli.Context, o *opened) error {
	if !c.Args().Present() {
		return cmdline.Usagef("label wants ADDRESS, TXID or TXID:INDEX, and a TEXT")
	}
	kind, ref, err := wallet.ParseLabelRef(o.params.HRP, c.Args().First())
	if given := c.String(flagKind); given != "" {
		kind, ref, err = wallet.LabelType(given), c.Args().First(), nil
	}
	if err != nil {
		return cmdline.Usagef("%w", err)
	}
	if c.NArg() > 1 {
		if err := o.SetLabel(kind, ref, strings.TrimSpace(strings.Join(c.Args().Tail(), " "))); errors.Is(err, wallet.ErrLabel) {
			return cmdline.Usagef("%w", err)
		} else if err != nil {
			return err
		}
	}
	l, ok := o.Label(kind, ref)
	switch {
	case c.Bool(flagJSON) && !ok:
		l.Type, l.Ref = kind, ref
		fallthrough
	case c.Bool(flagJSON):
		return cmdline.PrintJSON(c.App.Writer, l)
	case c.NArg() == 1 && l.Text == "":
		return fmt.Errorf("%s has no label", ref)
	case c.NArg() == 1:
		fmt.Fprintln(c.App.Writer, l.Text)
	}
	return nil
}

func labelsCommand() *cli.Command {
	return &cli.Command{
		Name: "labels", Usage: "list all labels, or take them to and from other wallets",
		Description: "Files are those of BIP329, which Sparrow, Nunchuk, BTCPay and others read and write. A coin\n" +
			"that is locked is in them too. They tell who you deal with: keep them as you keep your books.\n\n" +
			"   karat labels                       list them\n" +
			"   karat labels export labels.jsonl   write them to a file\n" +
			"   karat labels import labels.jsonl   add those of a file; - is standard input",
		Flags: []cli.Flag{jsonFlag()}, Action: withWallet(labels),
		Subcommands: []*cli.Command{{
			Name: "export", Usage: "write all labels to a file, or to standard output", ArgsUsage: "[FILE]",
			Flags: []cli.Flag{&cli.BoolFlag{Name: flagForce, Usage: "write over a file that is there"}}, Action: withWallet(exportLabels),
		}, {
			Name: "import", Usage: "take over the labels of a file; - is standard input", ArgsUsage: "FILE",
			Flags: []cli.Flag{jsonFlag()}, Action: withWallet(importLabels),
		}},
	}
}

// labels lists what was noted, and which coins are locked.
func labels(c *cli.Context, o *opened) error {
	list := o.Labels()
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, append([]wallet.Label{}, list...))
	}
	w := cmdline.Table(c.App.Writer, 0)
	for _, l := range list {
		text := l.Text
		if l.Spendable != nil && !*l.Spendable {
			text = strings.TrimSpace("(locked) " + text)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", l.Type, l.Ref, text)
	}
	return w.Flush()
}

// exportLabels writes a file that only its owner can read.
func exportLabels(c *cli.Context, o *opened) error {
	path := c.Args().First()
	switch {
	case c.NArg() > 1:
		return cmdline.Usagef("labels export takes one FILE")
	case path == "" || path == "-":
		return o.ExportLabels(c.App.Writer)
	}
	if _, err := os.Lstat(path); err == nil && !c.Bool(flagForce) {
		return fmt.Errorf("%s is there already: choose another name, or write over it with --%s", path, flagForce)
	}
	return wholefile.Replace(path, o.ExportLabels)
}

// importLabels takes over what it can, and fails if that is not all.
func importLabels(c *cli.Context, o *opened) error {
	if c.NArg() != 1 {
		return cmdline.Usagef("labels import takes one FILE, or - for standard input")
	}
	name := c.Args().First()
	result, err := cmdline.Await(c.Context, func() (wallet.LabelImport, error) {
		in, err := cmdline.Open(name, c.App.Reader)
		if err != nil {
			return wallet.LabelImport{}, err
		}
		defer in.Close()
		return o.ImportLabels(in)
	})
	if err != nil {
		return err
	}
	for _, p := range result.Problems {
		fmt.Fprintf(c.App.ErrWriter, "karat: line %d: %v\n", p.Line, p.Err)
	}
	if c.Bool(flagJSON) {
		err = cmdline.PrintJSON(c.App.Writer, map[string]any{
			"changed": result.Changed, "unchanged": result.Unchanged, "ignored": result.Ignored, "shortened": result.Cut, "foreign": result.Foreign, "failed": result.Failed,
		})
	} else {
		err = describeImport(c.App.Writer, result)
	}
	if result.Failed > 0 && err == nil {
		return fmt.Errorf("%s: %s could not be taken; all others were", name, plural(result.Failed, "line"))
	}
	return err
}

func describeImport(w io.Writer, r wallet.LabelImport) error {
	text := plural(r.Changed, "label") + " taken over"
	for _, also := range []struct {
		n    int
		what string
	}{
		{r.Unchanged, "%d as they were"}, {r.Cut, "%d shortened or without characters that cannot be shown"},
		{r.Foreign, "%d of other wallets, which are kept for an export"}, {r.Ignored, "%d left out, since their type is not known"},
	} {
		if also.n > 0 {
			text += ", " + fmt.Sprintf(also.what, also.n)
		}
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// plural returns a number with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
