package main

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

func coinsCommand() *cli.Command {
	return &cli.Command{
		Name: "coins", Usage: "sync, and list the coins that the wallet has",
		Description: "A coin is an output that is not spent yet, TXID:INDEX. A coin that is locked is left alone by\n" +
			"payments. Instead of all of a TXID its beginning will do, as in lists: 4f1c…e2:0, 4f1c:0.\n\n" +
			"   karat coins                       list them\n" +
			"   karat coins lock 4f1c…e2:0        leave a coin alone\n" +
			"   karat coins unlock 4f1c…e2:0      let it be spent again\n" +
			"   karat send --coin 4f1c…e2:0 …     pay with this coin",
		Flags: []cli.Flag{jsonFlag(), cmdline.LimitFlag()}, Action: withSynced(coins),
		Subcommands: []*cli.Command{{
			Name: "lock", Usage: "leave coins alone, whatever is paid", ArgsUsage: "COIN…", Flags: []cli.Flag{jsonFlag()},
			Action: withSynced(func(c *cli.Context, o *opened) error { return lock(c, o, true) }),
		}, {
			Name: "unlock", Usage: "let coins be spent again", ArgsUsage: "COIN…", Flags: []cli.Flag{jsonFlag()},
			Action: withSynced(func(c *cli.Context, o *opened) error { return lock(c, o, false) }),
		}},
	}
}

// sortedCoins returns all coins in an order in which two lists can be compared.
func (o *opened) sortedCoins() []wallet.Coin {
	list := o.Unspent()
	slices.SortFunc(list, func(a, b wallet.Coin) int {
		return cmp.Or(cmp.Compare(a.Height, b.Height), slices.Compare(a.TxID[:], b.TxID[:]), cmp.Compare(a.OutPoint.Index, b.OutPoint.Index))
	})
	return list
}

// coins lists every coin with the place of the output that it is, by which other
// programs know it.
func coins(c *cli.Context, o *opened) error {
	free := map[types.OutPoint]bool{}
	for _, coin := range o.Coins() {
		free[coin.OutPoint] = true
	}
	out := []map[string]any{}
	rows := cmdline.NewRows(c, cmdline.Column{Title: "amount", Right: true}, cmdline.Column{Title: "block", Right: true}, cmdline.Column{Title: "coin", Fit: cmdline.Middle},
		cmdline.Column{Title: "address", Fit: cmdline.Middle}, cmdline.Column{Title: "", Fit: cmdline.End})
	list := cmdline.Last(c, o.sortedCoins())
	labels := o.CoinLabels(list)
	for i, coin := range list {
		text, err := taproot.EncodeAddress(o.params.HRP, coin.ScriptPubKey)
		if err != nil {
			return err
		}
		locked, label := o.IsLocked(coin.OutPoint), labels[i]
		line := map[string]any{
			"txid": coin.TxID, "vout": coin.OutPoint.Index, "amount": number(coin.Value), "height": coin.Height, "address": text,
			"locked": locked, "spendable": free[coin.OutPoint], "change": coin.Key.Branch == wallet.Change,
		}
		if label != "" {
			line["label"] = label
		}
		out = append(out, line)
		// At height 0 are the coins of the genesis block, which are its coinbase's, and
		// those that wait for a block.
		block := "-"
		if coin.Height > 0 || coin.IsCoinbase {
			block = fmt.Sprint(coin.Height)
		}
		switch {
		case locked:
			label = strings.TrimSpace("(locked) " + label)
		case !free[coin.OutPoint] && block == "-":
			label = strings.TrimSpace("(pending) " + label)
		case !free[coin.OutPoint]:
			label = strings.TrimSpace("(immature) " + label)
		}
		rows.Add(coin.Value.String(), block, coin.OutPoint.String(), text, label)
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, out)
	}
	return rows.Flush()
}

// coinRef is how a person names a coin: its outpoint, whose TXID may be cut at the end, or in
// the middle as tables do it.
var coinRef = regexp.MustCompile(`^([0-9a-f]{4,64})(?:(?:…|\.\.\.)([0-9a-f]*))?:([0-9]{1,10})$`)

// findCoins returns the coins that are named, none twice.
func (o *opened) findCoins(names []string) (found []types.OutPoint, err error) {
	list := o.sortedCoins()
	for _, name := range names {
		m := coinRef.FindStringSubmatch(strings.ToLower(name))
		if m == nil {
			return nil, cmdline.Usagef("%.80q is no coin: want TXID:INDEX, as karat coins shows it", name)
		}
		index, err := strconv.ParseUint(m[3], 10, 32)
		if err != nil {
			return nil, cmdline.Usagef("%.80q is no coin: the index is too large", name)
		}
		var matches []types.OutPoint
		for _, coin := range list {
			if txid := coin.TxID.String(); uint64(coin.OutPoint.Index) == index && strings.HasPrefix(txid, m[1]) && strings.HasSuffix(txid, m[2]) {
				matches = append(matches, coin.OutPoint)
			}
		}
		if txid, err := types.ParseHash(m[1]); err == nil && len(matches) == 0 { // whoever asks will say why it is none
			matches = []types.OutPoint{{TxID: txid, Index: uint32(index)}}
		}
		switch {
		case len(matches) == 0:
			return nil, fmt.Errorf("the wallet has no coin %s", name)
		case len(matches) > 1:
			return nil, fmt.Errorf("%s is more than one coin: give more of the TXID", name)
		case slices.Contains(found, matches[0]):
			return nil, cmdline.Usagef("the coin %s is named twice", matches[0])
		}
		found = append(found, matches[0])
	}
	return found, nil
}

// lock locks or unlocks coins.
func lock(c *cli.Context, o *opened, locked bool) error {
	if !c.Args().Present() {
		return cmdline.Usagef("coins %s wants one COIN or more, as karat coins shows them", c.Command.Name)
	}
	found, err := o.findCoins(c.Args().Slice())
	if err != nil {
		return err
	}
	has := map[types.OutPoint]bool{}
	for _, coin := range o.Unspent() {
		has[coin.OutPoint] = true
	}
	for _, at := range found {
		if !has[at] && locked {
			return fmt.Errorf("the wallet has no coin %s", at)
		}
	}
	out := []map[string]any{}
	for _, at := range found {
		if err := o.Lock(at, locked); err != nil {
			return err
		}
		out = append(out, map[string]any{"txid": at.TxID, "vout": at.Index, "locked": locked})
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, out)
	}
	for _, at := range found {
		fmt.Fprintf(c.App.Writer, "%s %sed\n", at, c.Command.Name)
	}
	return nil
}

func consolidateCommand() *cli.Command {
	var most int64
	return &cli.Command{
		Name: "consolidate", Usage: "join many small coins into few, while that is cheap",
		Description: "Later payments then need fewer coins, and cost less. Coins of different labels are joined apart,\n" +
			"since joining shows everybody that they are one owner's.\n\n" +
			"   karat consolidate                    join all, at the node's lowest estimate\n" +
			"   karat consolidate --max 100          join the 100 smallest\n" +
			"   karat consolidate --feerate 0.2",
		Flags: append(feeFlags(patient),
			&cli.GenericFlag{Name: "max", Value: cmdline.Number(&most, 0, 0, 1_000_000), Usage: "join the `N` smallest; 0 for all"},
			&cli.BoolFlag{Name: flagMix, Usage: "join coins of different labels, too"},
			accountFlag(),
		),
		Action: func(c *cli.Context) error { return consolidate(c, int(most)) },
	}
}

// patient is within how many blocks a consolidation should be confirmed: it can wait.
const patient = 144

func consolidate(c *cli.Context, most int) error {
	h, err := findHome(c)
	if err != nil {
		return err
	}
	l, err := h.feeLimits(c)
	if err != nil {
		return err
	}
	return runOpened(c, true, func(c *cli.Context, o *opened) error {
		rate, err := o.feeRate(c, l, patient)
		if err != nil {
			return err
		}
		account, err := o.account(c)
		if err != nil {
			return err
		}
		joined, err := o.Consolidate(account.Number(), rate, most, c.Bool(flagMix))
		if err != nil {
			return err
		}
		var drafts []*wallet.Draft
		for _, j := range joined {
			drafts = append(drafts, j.Draft)
		}
		if err := o.signsAlone(drafts...); err != nil {
			return err
		}
		sum := summed(drafts)
		if !c.Bool(flagYes) {
			if err := o.showConsolidation(c, joined, sum); err != nil {
				return err
			}
		}
		if err := o.agree(c, l, agreement{fee: sum.fee, amount: sum.paid, what: "what is joined", question: "Join them? [y/N] "}); err != nil {
			return err
		}
		if err := o.signAndSend(c, drafts); err != nil {
			return err
		}
		if c.Bool(flagJSON) {
			return cmdline.PrintJSON(c.App.Writer, map[string]any{"txids": sum.txids, "coins": sum.coins, "fee": number(sum.fee), "amount": number(sum.paid)})
		}
		for _, txid := range sum.txids {
			fmt.Fprintln(c.App.Writer, txid)
		}
		return nil
	})
}

// sums are what drafts come to together.
type sums struct {
	txids     []types.Hash
	coins     int
	fee, paid types.Amount
	size      int
}

func summed(drafts []*wallet.Draft) (s sums) {
	for _, d := range drafts {
		s.txids = append(s.txids, d.Tx.TxID())
		s.coins += len(d.Inputs)
		s.fee += d.Fee
		s.paid += paid(d)
		s.size += d.VirtualSize
	}
	return s
}

func (o *opened) showConsolidation(c *cli.Context, joined []wallet.Consolidated, sum sums) error {
	w := cmdline.Table(c.App.ErrWriter, 0)
	for _, j := range joined {
		label := ""
		if j.Label != "" {
			label = " of " + strconv.Quote(j.Label)
		}
		fmt.Fprintf(w, "join\t%s\tin %s%s\n", paid(j.Draft), plural(len(j.Inputs), "coin"), label)
	}
	rate := types.NewFeeRate(sum.fee, sum.size)
	fmt.Fprintf(w, "fee\t%s\t%s grains for each of %d virtual bytes, in %s\n", sum.fee, rate, sum.size, plural(len(joined), "transaction"))
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "Expect it %s.\n", o.expected(c, rate))
	return nil
}

// signAndSend signs all drafts before it sends any: a passphrase that is wrong, or a key that is
// missing, must not leave half of it done.
func (o *opened) signAndSend(c *cli.Context, drafts []*wallet.Draft) error {
	signer, err := o.unlock(c)
	if err != nil {
		return err
	}
	defer signer.Wipe()
	m := cmdline.NewMeter(c.App.ErrWriter)
	defer m.Finish()
	for i, d := range drafts {
		m.Update(int64(i), int64(len(drafts)), func() string { return fmt.Sprintf("signed %d of %d transactions", i, len(drafts)) })
		if err := signer.Sign(d); err != nil {
			return err
		}
		if err := c.Context.Err(); err != nil {
			return err
		}
	}
	for i, d := range drafts {
		m.Update(int64(i), int64(len(drafts)), func() string { return fmt.Sprintf("sent %d of %d transactions", i, len(drafts)) })
		if err := o.Send(c.Context, o.node, d); err != nil {
			if i > 0 && !errors.Is(err, wallet.ErrUnsure) {
				return fmt.Errorf("%d of %d transactions were sent, and then: %w", i, len(drafts), err)
			}
			return err
		}
	}
	return nil
}
