package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/wallet"
)

// waitEvery is how often a node is asked for its tip while a payment is waited for.
const waitEvery = time.Second

// errNotConfirmed is a payment that was sent, and will not be confirmed.
var errNotConfirmed = errors.New("the payment will not be confirmed")

// waitFor waits until a payment has some confirmations, and shows how many it has. The wallet
// is open only while it looks at a block, so that other commands can be used meanwhile.
func (h home) waitFor(c *cli.Context, txid types.Hash, want uint32) error {
	node, err := h.client(c)
	if err != nil {
		return err
	}
	var seen types.Hash
	said := "" // the last error that is tried again
	for {
		var tip types.Hash
		if err := node.Call(c.Context, "getbestblockhash", &tip); err != nil {
			return fmt.Errorf("%s was sent, and cannot be waited for: %w", txid, err)
		}
		confirmations, err := uint32(0), error(nil)
		if tip != seen {
			confirmations, err = h.look(c, txid)
			if errors.Is(err, errNotConfirmed) || c.Context.Err() != nil {
				return err
			}
			if err == nil { // else another karat has the wallet open, or the node changes its chain
				seen = tip
				fmt.Fprintf(c.App.ErrWriter, "karat: %d of %s\n", min(confirmations, want), plural(int(want), "confirmation"))
			}
			if err != nil && err.Error() != said {
				said = err.Error()
				fmt.Fprintf(c.App.ErrWriter, "karat: %v; trying again\n", err)
			}
			if err == nil && confirmations >= want {
				return nil
			}
		}
		select {
		case <-c.Context.Done():
			return fmt.Errorf("%s was sent, and waits: %w", txid, c.Context.Err())
		case <-time.After(waitEvery):
		}
	}
}

// look syncs, and returns how many confirmations a payment has.
func (h home) look(c *cli.Context, txid types.Hash) (confirmations uint32, err error) {
	o, err := h.open(c, true)
	if err != nil {
		return 0, err
	}
	defer o.close(&err)
	confirmations, status := o.Confirmations(txid)
	if status == wallet.StatusConflicted {
		return 0, fmt.Errorf("%s: %w: another has taken its place", txid, errNotConfirmed)
	}
	return confirmations, nil
}
