package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/message"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
)

const flagOffline = "offline"

func verifyMessageCommand() *cli.Command {
	return &cli.Command{
		Name: "verify-message", Aliases: []string{"verifymessage"}, Usage: "verify who signed a message", ArgsUsage: "ADDRESS SIGNATURE [MESSAGE]",
		Description: "Verifies a signature as BIP322 has them, in every form, without a wallet or a node. Of a proof of\n" +
			"funds it also asks the node whether the coins are there and unspent, unless --offline is given.\n\n" +
			"   karat verify-message krt1p… smpAUB… 'I am Alice'\n" +
			"   karat verify-message krt1p… smpAUB… --file contract.pdf\n\n" +
			"Exit codes: 0 the signature is valid; 1 it is not, or that cannot be judged.",
		Flags: []cli.Flag{
			fileFlag(), jsonFlag(),
			&cli.BoolFlag{Name: flagOffline, Usage: "do not ask the node about the coins of a proof of funds"},
		},
		Action: verifyMessage,
	}
}

// verifyMessage verifies a signature. JSON tells what is wrong too, but the exit code is
// the same as without it.
func verifyMessage(c *cli.Context) error {
	text, err := messageOf(c, 2)
	if err != nil {
		return err
	}
	h, err := findHome(c)
	if err != nil {
		return err
	}
	address, signature := c.Args().Get(0), c.Args().Get(1)
	script, err := taproot.DecodeAddress(h.params.HRP, address)
	if err != nil {
		return cmdline.Usagef("%w", err)
	}
	proof, coins, err := message.VerifyFunds(script, text, signature)
	var sum types.Amount
	if err == nil {
		sum, err = sumOfCoins(coins)
	}
	asked := err == nil && len(coins) > 0 && !c.Bool(flagOffline)
	if asked {
		err = h.checkCoins(c, coins)
	}
	if c.Bool(flagJSON) && (err == nil || isVerdict(err)) {
		out := map[string]any{"valid": err == nil, "lock_time": proof.LockTime, "age": proof.Age}
		if err != nil {
			out["reason"] = err.Error()
		}
		if len(coins) > 0 {
			out["coins"], out["amount"], out["unspent"] = h.coinsJSON(coins), number(sum), asked && err == nil
		}
		return errors.Join(cmdline.PrintJSON(c.App.Writer, out), err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "valid: whoever can spend %s has signed this message of %d bytes%s\n", address, len(text), locks(proof))
	if len(coins) > 0 {
		said := "which are there and unspent"
		if !asked {
			said = "if they are there and unspent: no node was asked"
		}
		fmt.Fprintf(c.App.Writer, "The same person can spend %d coins with %s, %s.\n", len(coins), sum, said)
	}
	return nil
}

// errCoin is a coin of a proof of funds that is not as the proof tells it.
var errCoin = errors.New("the proof of funds is not true")

// isVerdict reports whether an error says something about the signature, and not that it
// could not be looked at.
func isVerdict(err error) bool {
	return errors.Is(err, message.ErrInvalid) || errors.Is(err, message.ErrMalformed) || errors.Is(err, message.ErrInconclusive) || errors.Is(err, errCoin)
}

// sumOfCoins adds the amounts that a proof tells.
func sumOfCoins(coins []message.Coin) (sum types.Amount, err error) {
	const most = types.Amount(1) << 60 // more than any network's money, and far from overflow
	for i := range coins {
		if coins[i].Value < 0 || coins[i].Value > most-sum {
			return 0, fmt.Errorf("%w: coin %s has more than there can be", errCoin, coins[i].OutPoint)
		}
		sum += coins[i].Value
	}
	return sum, nil
}

// checkCoins asks the node whether there are such coins. A proof can invent their scripts
// and amounts.
func (h home) checkCoins(c *cli.Context, coins []message.Coin) error {
	node, err := h.client(c)
	if err != nil {
		return err
	}
	params := make([][]any, len(coins))
	for i := range coins {
		params[i] = []any{coins[i].TxID, coins[i].OutPoint.Index, true}
	}
	err = node.Batch(c.Context, "gettxout", params, func(i int, result json.RawMessage, err error) error {
		var found *struct {
			Value        json.Number
			ScriptPubKey struct{ Hex string }
		}
		if err = errors.Join(err, json.Unmarshal(result, &found)); err != nil {
			return err
		}
		switch coin := &coins[i]; {
		case found == nil:
			return fmt.Errorf("%w: coin %s is spent or never was", errCoin, coin.OutPoint)
		case found.ScriptPubKey.Hex != hex.EncodeToString(coin.ScriptPubKey) || found.Value != number(coin.Value):
			return fmt.Errorf("%w: coin %s is another one", errCoin, coin.OutPoint)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errCoin) {
		return fmt.Errorf("the signature is valid, but whether its coins are unspent is not known; --%s passes over that: %w", flagOffline, err)
	}
	return err
}

func (h home) coinsJSON(coins []message.Coin) []map[string]any {
	out := []map[string]any{}
	for i := range coins {
		text, err := taproot.EncodeAddress(h.params.HRP, coins[i].ScriptPubKey)
		if err != nil { // a proof has only taproot outputs
			text = ""
		}
		out = append(out, map[string]any{"txid": coins[i].TxID, "vout": coins[i].OutPoint.Index, "amount": number(coins[i].Value), "address": text})
	}
	return out
}

// locks says in words what a signature's validity depends on (BIP65, BIP68).
func locks(p message.Proof) string {
	const (
		firstTime = 500_000_000 // the least lock time that is no height
		disabled  = 1 << 31
		inTime    = 1 << 22 // the age is in units of 512 seconds
	)
	said := ""
	switch {
	case p.LockTime >= firstTime:
		said = fmt.Sprintf(", from %s on", time.Unix(int64(p.LockTime), 0).Format("2006-01-02 15:04 MST"))
	case p.LockTime > 0:
		said = fmt.Sprintf(", from block %d on", p.LockTime)
	}
	switch age := p.Age & 0xffff; {
	case p.Age&disabled != 0 || age == 0:
	case p.Age&inTime != 0:
		said += fmt.Sprintf(", by coins that are %s old", time.Duration(age)*512*time.Second)
	default:
		said += fmt.Sprintf(", by coins that are %d blocks old", age)
	}
	return said
}
