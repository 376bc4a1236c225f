package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

// showPSBT says in words what a PSBT does. Addresses and coins have lines of their own, since
// 80 columns hold little else beside them.
func (o *opened) showPSBT(c *cli.Context, w io.Writer, p *psbt.Packet, r *wallet.PSBTReview) error {
	var b strings.Builder
	line := func(word, value, text string) { fmt.Fprintf(&b, "%-7s %14s  %s\n", word, value, text) }
	below := func(text string) { fmt.Fprintf(&b, "      %s\n", text) }
	fmt.Fprintf(&b, "payment %s\n", r.TxID)
	for i := range r.Inputs {
		in := &r.Inputs[i]
		switch {
		case !in.Known:
			line("spend", "?", "what it is worth is not told")
		case in.Account == "":
			line("spend", in.Value.String(), "not of this wallet")
		default:
			line("spend", in.Value.String(), "from account "+in.Account)
		}
		below(in.OutPoint.String())
		if in.HashType > 1 {
			below(fmt.Sprintf("hash type %#x: parts of it stay open for others to change", in.HashType))
		}
	}
	for i := range r.Outputs {
		out := &r.Outputs[i]
		switch {
		case out.Change:
			line("change", out.Value.String(), "comes back to account "+out.Account)
		case out.Account != "":
			line("keep", out.Value.String(), "to account "+out.Account+" of this wallet")
		default:
			line("pay", out.Value.String(), "to")
		}
		below(out.Address)
		if out.Far != "" {
			below("which is " + out.Far + " of this wallet, too far for any restore to find:")
			below("who made this can hold it back from you")
		}
	}
	value, text, judgement := feeText(r)
	line("fee", value, text)
	if judgement != "" {
		below(judgement)
	}
	for _, lock := range o.locksOf(c, r) {
		line("lock", "", lock)
	}
	for _, account := range o.Accounts() {
		for i, way := range o.waysOf(account, r) {
			if i == 0 {
				fmt.Fprintf(&b, "needs   %s\n", way.Words)
			} else {
				fmt.Fprintf(&b, "or      %s\n", way.Words)
			}
		}
	}
	for i := range r.Signers {
		fmt.Fprintf(&b, "signer  %-14s  %s\n", signerName(&r.Signers[i]), signerState(&r.Signers[i]))
	}
	_, err := fmt.Fprintf(w, "%s%s\n", b.String(), nextStep(r))
	return err
}

// reviewJSON is what a PSBT does, with amounts in coins as everywhere in JSON.
type reviewJSON struct {
	*wallet.PSBTReview
	Inputs  []inputJSON  `json:"inputs"`
	Outputs []outputJSON `json:"outputs"`
	Fee     *json.Number `json:"fee,omitempty"`
}

type inputJSON struct {
	wallet.PSBTInput
	TxID  types.Hash  `json:"txid"`
	Vout  uint32      `json:"vout"`
	Value json.Number `json:"value"`
}

type outputJSON struct {
	wallet.PSBTOutput
	Value json.Number `json:"value"`
}

func toJSON(r *wallet.PSBTReview) reviewJSON {
	out := reviewJSON{PSBTReview: r, Inputs: []inputJSON{}, Outputs: []outputJSON{}}
	for _, in := range r.Inputs {
		out.Inputs = append(out.Inputs, inputJSON{in, in.OutPoint.TxID, in.OutPoint.Index, number(in.Value)})
	}
	for _, o := range r.Outputs {
		out.Outputs = append(out.Outputs, outputJSON{o, number(o.Value)})
	}
	if r.Fee != nil {
		fee := number(*r.Fee)
		out.Fee = &fee
	}
	return out
}

// feeText says what the fee is, and what is to be thought of it.
func feeText(r *wallet.PSBTReview) (value, text, judgement string) {
	if r.Fee == nil {
		return "?", "not known, since not all that is spent is told", ""
	}
	value, text = r.Fee.String(), "the size is not known"
	if r.VSize > 0 {
		text = fmt.Sprintf("%s grains for each of %d virtual bytes", types.NewFeeRate(*r.Fee, r.VSize), r.VSize)
	}
	paid, what := paidOf(r)
	switch {
	case *r.Fee < 0:
		text = "it pays more than it spends"
	case *r.Fee > paid/dearPart:
		judgement = fmt.Sprintf("this is much: %s %s", share(*r.Fee, paid), what)
	}
	return value, text, judgement
}

// locksOf says what keeps the payment from being sent at once.
func (o *opened) locksOf(c *cli.Context, r *wallet.PSBTReview) (locks []string) {
	const timesFrom = 500_000_000
	switch {
	case r.LockTime >= timesFrom:
		locks = append(locks, "not before "+cmdline.Time(c, int64(r.LockTime)))
	case r.LockTime > o.Position().Height:
		locks = append(locks, fmt.Sprintf("not before block %d", r.LockTime+1))
	}
	var blocks uint16
	var seconds uint32
	for i := range r.Inputs {
		blocks, seconds = max(blocks, r.Inputs[i].Blocks), max(seconds, r.Inputs[i].Seconds)
	}
	if blocks > 0 {
		locks = append(locks, "what is spent has to be "+plural(int(blocks), "block")+" old")
	}
	if seconds > 0 {
		locks = append(locks, "what is spent has to be "+cmdline.Span(time.Duration(seconds)*time.Second)+" old")
	}
	return locks
}

// waysOf returns the ways to spend from an account that inputs which are not final are of.
func (o *opened) waysOf(a *wallet.Account, r *wallet.PSBTReview) []wallet.Way {
	for i := range r.Inputs {
		if r.Inputs[i].Account == a.Name() && !r.Inputs[i].Final {
			return o.Ways(a)
		}
	}
	return nil
}

func signerName(s *wallet.PSBTSigner) string {
	if s.Ours {
		return s.Fingerprint + " (you)"
	}
	return s.Fingerprint
}

func signerState(s *wallet.PSBTSigner) string {
	switch {
	case s.Wrong > 0:
		return "has given a part of a signature that is wrong"
	case s.Signed == s.Wanted:
		return "has signed"
	case s.Signed > 0:
		return fmt.Sprintf("has signed for %d of %d coins", s.Signed, s.Wanted)
	case s.Nonces == s.Wanted:
		return "has given nonces, and not signed yet"
	}
	return "has not signed"
}

// nextStep says what is to be done with a PSBT now.
func nextStep(r *wallet.PSBTReview) string {
	switch {
	case r.Problem != "":
		return "It cannot become a payment: " + r.Problem
	case r.Complete:
		return "It is complete: send it with karat psbt send."
	}
	return "It is not complete: " + missingText(r) + "."
}

// missingText says who has not signed.
func missingText(r *wallet.PSBTReview) string {
	var missing []string
	for i := range r.Signers {
		if s := &r.Signers[i]; s.Signed < s.Wanted {
			missing = append(missing, signerName(s))
		}
	}
	wrong := slices.IndexFunc(r.Signers, func(s wallet.PSBTSigner) bool { return s.Wrong > 0 })
	switch {
	case len(missing) == 0 && wrong >= 0:
		return "the part of " + signerName(&r.Signers[wrong]) + " is wrong: begin anew with karat psbt sign --restart"
	case len(missing) == 0 && len(r.Signers) > 0:
		return "all have signed, but a lock or something that a script asks for is not met"
	case len(missing) == 0:
		return "signatures are missing, of keys that no account of this wallet tells of"
	}
	return strings.Join(missing, ", ") + " can sign it"
}
