package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
)

func coinsCommand(o *options) *cli.Command {
	return &cli.Command{
		Name:  "coins",
		Usage: "count and hash the coins (the unspent outputs)",
		Description: "Reads every coin. The hashes are those of Bitcoin Core's gettxoutsetinfo, so that two\n" +
			"nodes can be compared: equal hashes are equal coins.",
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print JSON with Bitcoin Core's keys"}},
		Action: func(c *cli.Context) error { return coins(c, o) },
	}
}

// coinSetJSON has the keys of Bitcoin Core's gettxoutsetinfo, so that a script that
// compares nodes can read both.
type coinSetJSON struct {
	Height          uint32      `json:"height"`
	BestBlock       types.Hash  `json:"bestblock"`
	TxOuts          uint64      `json:"txouts"`
	Transactions    uint64      `json:"transactions"`
	BogoSize        uint64      `json:"bogosize"`
	TotalAmount     json.Number `json:"total_amount"`
	MuHash          types.Hash  `json:"muhash"`
	HashSerialized3 types.Hash  `json:"hash_serialized_3"`
}

// coins counts the coins on disk. A node that runs answers gettxoutsetinfo instead.
func coins(c *cli.Context, o *options) (err error) {
	n, err := o.openStored(c)
	if err != nil {
		return err
	}
	defer closeNode(n, &err)
	m := cmdline.NewMeter(c.App.ErrWriter)
	set, err := n.Coins(c.Context, func(coins uint64) {
		m.Update(int64(coins), 0, func() string { return fmt.Sprintf("%d coins", coins) })
	})
	m.Finish()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return cmdline.PrintJSON(c.App.Writer, coinSetJSON{
			Height: set.At.Height, BestBlock: set.At.Hash, TxOuts: set.Stats.TxOuts,
			Transactions: set.Stats.Transactions, BogoSize: set.Stats.BogoSize,
			TotalAmount: json.Number(set.Stats.TotalAmount.String()),
			MuHash:      set.Stats.MuHash, HashSerialized3: set.Stats.HashSerialized3,
		})
	}
	w := cmdline.Table(c.App.Writer, 0)
	fmt.Fprintf(w, "height\t%d\nbest block\t%s\ncoins\t%d\ntransactions\t%d\ntotal amount\t%s\nmuhash\t%s\nhash_serialized_3\t%s\n",
		set.At.Height, set.At.Hash, set.Stats.TxOuts, set.Stats.Transactions, set.Stats.TotalAmount,
		set.Stats.MuHash, set.Stats.HashSerialized3)
	return w.Flush()
}
