package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/proof"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
)

func proofCommand() *cli.Command {
	var wait int64
	return &cli.Command{
		Name: "proof", Usage: "complete a proof of a file, or prove that a payment is in a block", ArgsUsage: "PROOF|TXID",
		Description: "   karat proof contract.pdf.karat-proof        complete it, once the transaction is in a block\n" +
			"   karat proof 4f1c…e2 --out bicycle.karat-proof   prove a payment of this wallet, for karat verify\n\n" +
			"Does it anew if a reorganisation has undone the block.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagOut, Usage: "write to `FILE`, - for standard output (default: in place, or TXID" + proofSuffix + ")"},
			waitFlag(&wait), wholeFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error { return makeProof(c, uint32(wait)) },
	}
}

// makeProof makes a proof of what the wallet has in a block.
func makeProof(c *cli.Context, wait uint32) error {
	if c.NArg() != 1 {
		return cmdline.Usagef("proof wants one PROOF or TXID")
	}
	name, out := c.Args().First(), c.String(flagOut)
	var txid types.Hash
	var known *proof.Proof
	isNew := out != ""
	if len(name) == 2*types.HashSize && txid.UnmarshalText([]byte(name)) == nil {
		if isNew = true; out == "" {
			out = name + proofSuffix
		}
	} else {
		var err error
		if known, err = readProof(c, name); err != nil {
			return err
		}
		if out == "" {
			out = name
		}
	}
	if _, err := os.Lstat(out); isNew && out != "-" && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("there is already a file %s: name another with --%s", out, flagOut), err)
	}
	h, err := findHome(c)
	if err != nil {
		return err
	}
	if known != nil && known.Identity != h.params.Identity() {
		return fmt.Errorf("%w: it is of %q, and this is %q", proof.ErrNetwork, cmdline.Printable(known.Network), h.params.Name)
	}
	var p *proof.Proof
	if err := runOpened(c, true, func(c *cli.Context, o *opened) (err error) {
		if known == nil {
			p, err = o.Prove(c.Context, o.node, txid, c.Bool(flagWhole))
		} else {
			p, err = o.complete(c, known)
		}
		if err == nil && p.Block == nil && wait == 0 {
			err = fmt.Errorf("transaction %s is in no block yet: try again later, or with --%s", p.Tx.TxID(), flagWait)
		}
		if err != nil {
			return err
		}
		return writeProof(p, out, isNew)
	}); err != nil {
		return err
	}
	if wait > 0 {
		if p, err = h.awaitProof(c, p, out, wait); err != nil {
			return err
		}
	}
	return showProof(c, p, out, nil)
}

// readProof reads a proof file, which may be anything.
func readProof(c *cli.Context, name string) (*proof.Proof, error) {
	p, err := cmdline.Await(c.Context, func() (*proof.Proof, error) {
		in, err := cmdline.Open(name, c.App.Reader)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		text, err := io.ReadAll(io.LimitReader(in, proof.MaxSize+1))
		if err != nil {
			return nil, err
		}
		return proof.Decode(text)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}
