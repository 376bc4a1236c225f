package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/proof"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

const flagBlock = "block"

// errUnknownBlock is a proof that is right, of a block of which nothing is known.
var errUnknownBlock = errors.New("nothing here says that the block is of the network's chain")

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "verify a proof of a file or of a payment, offline", ArgsUsage: "[FILE] PROOF",
		Description: "Checks that FILE was there when a block was made, by its PROOF and headers alone: no node is asked.\n\n" +
			"   karat verify contract.pdf contract.pdf.karat-proof\n" +
			"   karat verify bicycle.karat-proof                     of a payment, which has no file\n\n" +
			"That the block is of the network's chain is known by the headers of the wallet, if there is one here\n" +
			"(karat sync brings them up to date), else by those of the whole chain in the proof, else because you\n" +
			"know a block of it: --block HASH.\n\n" +
			"Exit codes: 0 verified; 1 not, or it cannot be known; 2 the command line was not understood.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagBlock, Usage: "the block with this `HASH` is known to be of the chain; it has to be in the proof"},
			jsonFlag(),
		},
		Action: verifyProof,
	}
}

// verdict is what a proof comes to.
type verdict struct {
	proof         *proof.Proof
	result        *proof.Result
	by            string // how it is known that the block is of the chain
	confirmations uint32
	work          consensus.Uint256 // of the block and what is on top
}

// verifyProof verifies a proof. The file is hashed first: if it is another, nothing else
// matters.
func verifyProof(c *cli.Context) error {
	words := c.Args().Slice()
	if len(words) != 1 && len(words) != 2 {
		return cmdline.Usagef("verify wants FILE PROOF, or the PROOF of a payment")
	}
	var trusted types.Hash
	if text := c.String(flagBlock); text != "" {
		if err := trusted.UnmarshalText([]byte(text)); err != nil {
			return cmdline.Usagef("--%s: %w", flagBlock, err)
		}
	}
	h, err := findHome(c)
	if err != nil {
		return err
	}
	p, err := readProof(c, words[len(words)-1])
	if err != nil {
		return err
	}
	switch {
	case p.Document != nil && len(words) == 1:
		return cmdline.Usagef("this is the proof of a file: name the file before it")
	case p.Document == nil && len(words) == 2:
		return cmdline.Usagef("this is the proof of a payment, which has no file: karat verify %s", words[1])
	}
	v := &verdict{proof: p}
	err = h.judge(c, v, words, trusted)
	if c.Bool(flagJSON) {
		return errors.Join(cmdline.PrintJSON(c.App.Writer, v.json(err)), err)
	}
	if err != nil {
		return err
	}
	return h.showVerdict(c, v)
}

// judge fills in a verdict. An error is the verdict that nothing is proven.
func (h home) judge(c *cli.Context, v *verdict, words []string, trusted types.Hash) (err error) {
	if v.proof.Document != nil {
		doc, err := hashFile(c, words[0])
		if err != nil {
			return err
		}
		if doc.SHA256 != v.proof.Document.SHA256 {
			return fmt.Errorf("%w: it is of a file with SHA-256 %x, and %s has %x", proof.ErrFalse, v.proof.Document.SHA256, words[0], doc.SHA256)
		}
		v.proof.Document.Size = doc.Size // of the file here, whatever the proof says
	}
	if v.result, err = v.proof.Verify(h.params, time.Now().Unix()); errors.Is(err, proof.ErrNoBlock) {
		return fmt.Errorf("%w: complete it with karat proof %s", err, words[len(words)-1])
	} else if err != nil {
		return err
	}
	v.confirmations, v.work = v.result.Tip.Height-v.result.Block.Height+1, v.result.Work
	if !trusted.IsZero() {
		if !v.proof.Has(trusted) {
			return fmt.Errorf("%w: block %s is not in the proof: make one with more headers, by karat proof", errUnknownBlock, trusted)
		}
		v.by = "the block that you know"
		return nil
	}
	known, err := h.byWallet(c, v)
	if known || err != nil {
		return err
	}
	return h.byProof(v)
}

// byWallet looks the block up in the wallet's headers, if there is a wallet. One that is in use
// elsewhere, or has not come so far, says nothing.
func (h home) byWallet(c *cli.Context, v *verdict) (known bool, err error) {
	dir, f, err := h.openFile(c)
	if err != nil {
		if c.IsSet(flagWallet) {
			return false, err
		}
		return false, nil
	}
	w, err := wallet.Open(dir, f, h.params, slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		fmt.Fprintf(c.App.ErrWriter, "karat: the wallet's headers are not looked at: %v\n", err)
		return false, nil
	}
	confirmations, work, err := w.Depth(v.result.Block)
	err = errors.Join(err, w.Close())
	if errors.Is(err, wallet.ErrAhead) {
		return false, nil
	}
	if errors.Is(err, wallet.ErrUndone) {
		return false, fmt.Errorf("%w; if a reorganisation undid it, make the proof anew with karat proof", err)
	}
	v.by, v.confirmations, v.work = "the headers of this wallet", confirmations, work
	return err == nil, err
}

// byProof takes the proof's headers, if they are a chain from the genesis block on which is
// worth following.
func (h home) byProof(v *verdict) error {
	r := v.result
	switch {
	case !r.Whole:
		return fmt.Errorf("%w: sync a wallet (karat sync) until block %d, or name a block of the chain that you know with --%s; the proof is right, and about 2^%.1f hashes were spent on its %d headers",
			errUnknownBlock, r.Block.Height, flagBlock, log2(r.Work), v.confirmations)
	case r.Work.Cmp(h.params.MinimumChainWork) < 0:
		return fmt.Errorf("%w: the chain in the proof has less work than the network's is known to have", errUnknownBlock)
	}
	v.by = "the headers in the proof alone"
	return nil
}

// log2 returns how many bits a number has, with a fraction.
func log2(u consensus.Uint256) float64 {
	n, _ := new(big.Int).SetString(u.String(), 16)
	mantissa := new(big.Float)
	exponent := new(big.Float).SetInt(n).MantExp(mantissa)
	m, _ := mantissa.Float64() // from a half to one
	return float64(exponent) + math.Log2(m)
}

func (v *verdict) json(err error) map[string]any {
	out := map[string]any{"verified": err == nil, "txid": v.proof.Tx.TxID()}
	if err != nil {
		out["reason"] = err.Error()
	}
	if d := v.proof.Document; d != nil {
		out["sha256"] = fmt.Sprintf("%x", d.SHA256)
	}
	if v.result != nil {
		out["height"], out["block"], out["time"] = v.result.Block.Height, v.result.Block.Hash, v.result.Time
	}
	if err == nil {
		out["confirmations"], out["work"], out["by"] = v.confirmations, v.work, v.by
	}
	return out
}

// showVerdict says what was proven. The time of a block is its miner's: rules hold it to
// within two hours of the clocks of nodes above, and to the median of the blocks before below.
func (h home) showVerdict(c *cli.Context, v *verdict) error {
	w := cmdline.Table(c.App.Writer, 0)
	thing := "the transaction"
	if d := v.proof.Document; d != nil {
		thing = "the file"
		fmt.Fprintf(w, "file\t%s, %d bytes\nsha256\t%x\n", cmdline.Printable(d.Name), d.Size, d.SHA256)
	}
	fmt.Fprintf(w, "transaction\t%s\n", v.proof.Tx.TxID())
	if v.proof.Document == nil {
		for i := range v.proof.Tx.Outputs {
			out := &v.proof.Tx.Outputs[i]
			text, err := taproot.EncodeAddress(h.params.HRP, out.ScriptPubKey)
			if err != nil {
				text = fmt.Sprintf("script %.80x", out.ScriptPubKey)
			}
			fmt.Fprintf(w, "pays\t%s to %s\n", out.Value, text)
		}
	}
	r := v.result
	fmt.Fprintf(w, "block\t%d, %s\n", r.Block.Height, r.Block.Hash)
	fmt.Fprintf(w, "time\t%s, by the miner's clock, which may be two hours off\n", time.Unix(int64(r.Time), 0).Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(w, "confirmations\t%d, by %s\n", v.confirmations, v.by)
	fmt.Fprintf(w, "work\tabout 2^%.1f hashes\n", log2(v.work))
	if err := w.Flush(); err != nil {
		return err
	}
	if h.params.Difficulty.Algorithm == consensus.DifficultyFixed {
		fmt.Fprintf(c.App.ErrWriter, "karat: on network %s blocks cost next to nothing, so such a proof is worth as little\n", h.params.Name)
	}
	fmt.Fprintf(c.App.Writer, "verified: %s was there when block %d was made\n", thing, r.Block.Height)
	return nil
}
