package main

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/proof"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/wallet"
)

const (
	flagOut     = "out"
	flagPrivate = "private"
	flagWhole   = "all-headers"

	proofSuffix = ".karat-proof"
)

func wholeFlag() cli.Flag {
	return &cli.BoolFlag{Name: flagWhole, Usage: "put the headers of the whole chain into the proof, so that it can be verified without any other"}
}

func waitFlag(wait *int64) cli.Flag {
	return &cli.GenericFlag{Name: flagWait, Value: cmdline.Number(wait, 0, 0, math.MaxUint32), Usage: "wait until `N` blocks confirm it, and complete the proof"}
}

func notarizeCommand() *cli.Command {
	var wait int64
	return &cli.Command{
		Name: "notarize", Usage: "put a file's hash on the chain, to prove later that the file was there", ArgsUsage: "FILE",
		Description: "Pays a transaction with the SHA-256 of FILE, and writes a proof file, by which anybody verifies\n" +
			"with nothing but headers that FILE was there when the block was made. Shows the cost, and asks.\n\n" +
			"   karat notarize contract.pdf                           send it; then, when it is in a block:\n" +
			"   karat proof contract.pdf.karat-proof                  complete the proof\n" +
			"   karat notarize --wait 6 contract.pdf                  both at once\n" +
			"   karat verify contract.pdf contract.pdf.karat-proof    what anybody can do\n\n" +
			"FILE stays here. Who has the same file can find its hash on the chain; with --private only who\n" +
			"has the proof too. Keep the file and the proof: nothing else has them.",
		Flags: append(feeFlags(confirmTarget),
			&cli.StringFlag{Name: flagOut, Usage: "write the proof to `PROOF`, - for standard output (default: FILE" + proofSuffix + ")"},
			&cli.BoolFlag{Name: flagPrivate, Usage: "hide the file's hash by a salt, which only the proof has"},
			waitFlag(&wait), wholeFlag(),
		),
		Action: func(c *cli.Context) error { return notarize(c, uint32(wait)) },
	}
}

// notarize sends a file's hash. The proof is written before that, so that a salt is never on
// the chain alone.
func notarize(c *cli.Context, wait uint32) error {
	if c.NArg() != 1 {
		return cmdline.Usagef("notarize wants one FILE, - for standard input")
	}
	name, out := c.Args().First(), c.String(flagOut)
	if out == "" {
		if out = name + proofSuffix; name == "-" {
			return cmdline.Usagef("standard input has no name: name the proof with --%s", flagOut)
		}
	}
	if out == "-" && c.Bool(flagPrivate) { // it would be sent before it is known to be written
		return cmdline.Usagef("--%s keeps its salt in the proof: name a file with --%s", flagPrivate, flagOut)
	}
	if name == "-" && c.String(flagPassphrase) == "-" {
		return cmdline.Usagef("standard input has the file: name another with --%s", flagPassphrase)
	}
	if _, err := os.Lstat(out); out != "-" && err == nil {
		return fmt.Errorf("there is already a proof %s: complete it with karat proof, or name another with --%s", out, flagOut)
	}
	doc, err := hashFile(c, name)
	if err != nil {
		return err
	}
	if c.Bool(flagPrivate) {
		doc.Salt = make([]byte, proof.SaltSize)
		rand.Read(doc.Salt) // never fails
	}
	h, err := findHome(c)
	if err != nil {
		return err
	}
	l, err := h.feeLimits(c)
	if err != nil {
		return err
	}
	var p *proof.Proof
	var fee types.Amount
	if err := runOpened(c, true, func(c *cli.Context, o *opened) (err error) {
		p, fee, err = o.payFor(c, l, doc, out)
		return err
	}); err != nil {
		return err
	}
	if wait > 0 {
		if p, err = h.awaitProof(c, p, out, wait); err != nil {
			return err
		}
	}
	return showProof(c, p, out, map[string]any{"fee": number(fee)})
}

// hashFile hashes a file as it comes: it may be larger than memory.
func hashFile(c *cli.Context, name string) (*proof.Document, error) {
	return cmdline.Await(c.Context, func() (*proof.Document, error) {
		in, err := cmdline.Open(name, c.App.Reader)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		h := sha256.New()
		size, err := io.Copy(h, in)
		if err != nil {
			return nil, err
		}
		base := strings.ToValidUTF8(filepath.Base(name), "?")
		base = strings.ToValidUTF8(base[:min(len(base), proof.MaxName)], "")
		return &proof.Document{Name: base, Size: size, SHA256: [32]byte(h.Sum(nil))}, nil
	})
}

// payFor asks for the transaction with a file's hash, signs it, writes what there is of its
// proof, and sends it.
func (o *opened) payFor(c *cli.Context, l limits, doc *proof.Document, out string) (p *proof.Proof, fee types.Amount, err error) {
	// No list of payments, since nobody is paid.
	request, err := o.request(c, nil, l)
	if err != nil {
		return nil, 0, err
	}
	request.Outputs = []types.TxOut{{ScriptPubKey: doc.Script()}}
	draft, err := wallet.Build(request)
	if err != nil {
		return nil, 0, err
	}
	if err := draft.CheckFee(); err != nil {
		return nil, 0, err
	}
	if err := o.confirmNotarizing(c, l, doc, draft); err != nil {
		return nil, 0, err
	}
	if err := o.sign(c, draft); err != nil {
		return nil, 0, err
	}
	p = proof.Pending(o.params, draft.Tx)
	p.Document = doc
	if err := writeProof(p, out, true); err != nil {
		return nil, 0, err
	}
	if err := o.Send(c.Context, o.node, draft); err != nil {
		if !errors.Is(err, wallet.ErrUnsure) && out != "-" {
			return nil, 0, errors.Join(err, os.Remove(out)) // it would prove nothing
		}
		return nil, 0, err
	}
	return p, draft.Fee, o.SetLabel(wallet.LabelTx, draft.Tx.TxID().String(), "notarized "+cmdline.Printable(doc.Name))
}

// confirmNotarizing shows what is put on the chain and what that costs, and asks.
func (o *opened) confirmNotarizing(c *cli.Context, l limits, doc *proof.Document, d *wallet.Draft) error {
	if !c.Bool(flagYes) {
		w := cmdline.Table(c.App.ErrWriter, 0)
		fmt.Fprintf(w, "file\t%s, %d bytes\n", cmdline.Printable(doc.Name), doc.Size)
		fmt.Fprintf(w, "sha256\t%x\n", doc.SHA256)
		if len(doc.Salt) > 0 {
			fmt.Fprintln(w, "salt\ton the chain nobody recognises it without the proof")
		}
		if before, ok := o.FindOutput(doc.Script()); ok {
			if e, err := o.Explain(before); err == nil && e.Status != wallet.StatusConflicted {
				fmt.Fprintf(w, "before\tthe same was notarized in %s\n", before)
			}
		}
		fmt.Fprintf(w, "fee\t%s, %s grains for each of %d virtual bytes\n", d.Fee, types.NewFeeRate(d.Fee, d.VirtualSize), d.VirtualSize)
		if err := w.Flush(); err != nil {
			return err
		}
	}
	var spent types.Amount // all of which comes back, but for the fee
	for i := range d.Inputs {
		spent += d.Inputs[i].Value
	}
	return o.agree(c, l, agreement{fee: d.Fee, amount: spent, what: "the coins that it spends", question: "Put it on the chain? [y/N] "})
}

// writeProof writes a proof. A new one never takes the place of another file.
func writeProof(p *proof.Proof, out string, isNew bool) error {
	text, err := p.Encode()
	if err != nil || out == "-" {
		return err // it is printed when it is whole
	}
	if isNew {
		return wholefile.CreateBytes(out, text)
	}
	return wholefile.ReplaceBytes(out, text)
}

// awaitProof waits until the transaction is in a block, and writes the proof then. If somebody
// interrupts it, the transaction is sent all the same.
func (h home) awaitProof(c *cli.Context, p *proof.Proof, out string, wait uint32) (*proof.Proof, error) {
	if err := h.waitFor(c, p.Tx.TxID(), wait); err != nil {
		return nil, err
	}
	var complete *proof.Proof
	err := runOpened(c, true, func(c *cli.Context, o *opened) (err error) {
		if complete, err = o.complete(c, p); err != nil {
			return err
		}
		return writeProof(complete, out, false)
	})
	return complete, err
}

// complete makes a proof anew, as the chain is now. A transaction that was replaced by another
// with the same hash in it is proven by that one.
func (o *opened) complete(c *cli.Context, p *proof.Proof) (*proof.Proof, error) {
	txid := p.Tx.TxID()
	if p.Document != nil {
		if found, ok := o.FindOutput(p.Document.Script()); ok {
			txid = found
		}
	}
	complete, err := o.Prove(c.Context, o.node, txid, c.Bool(flagWhole))
	if err != nil {
		return nil, err
	}
	complete.Document = p.Document
	return complete, nil
}

// showProof says what there is now.
func showProof(c *cli.Context, p *proof.Proof, out string, more map[string]any) error {
	if out == "-" {
		text, err := p.Encode()
		if err != nil {
			return err
		}
		_, err = c.App.Writer.Write(text)
		return err
	}
	txid := p.Tx.TxID()
	if c.Bool(flagJSON) {
		said := map[string]any{"txid": txid, "proof": out, "complete": p.Block != nil}
		if p.Document != nil {
			said["sha256"] = fmt.Sprintf("%x", p.Document.SHA256)
		}
		if p.Block != nil {
			said["height"], said["block"] = p.Block.Height, p.Block.Header.Hash()
		}
		for name, value := range more {
			said[name] = value
		}
		return cmdline.PrintJSON(c.App.Writer, said)
	}
	w := cmdline.Table(c.App.Writer, 0)
	fmt.Fprintf(w, "transaction\t%s\nproof\t%s\n", txid, out)
	if p.Block == nil {
		fmt.Fprintf(w, "next\twhen it is in a block, complete the proof: karat proof %s\n", out)
	} else {
		fmt.Fprintf(w, "block\t%d, %s\n", p.Block.Height, p.Block.Header.Hash())
	}
	return w.Flush()
}
