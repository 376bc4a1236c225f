package main

import (
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

// The flags of history.
const (
	flagFrom = "from"
	flagTo   = "to"
	flagCSV  = "csv"
)

func historyCommand() *cli.Command {
	return &cli.Command{
		Name: "history", Usage: "sync, and list the wallet's transactions",
		Description: "The oldest comes first. The balance is what the wallet had after each of them. karat tx ID tells\n" +
			"all about one; the first digits of its id suffice.\n\n" +
			"   karat history                               the newest\n" +
			"   karat history --limit 0 --wide              all, in full\n" +
			"   karat history --from 2026-01-01 --to 2026-12-31\n" +
			"   karat history --from 120000 --to 130000     by the heights of blocks\n" +
			"   karat history --from 2026-01 --to 2026-12 --csv >2026.csv   a year for the tax office",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagFrom, Usage: "begin at `WHEN`: a height, a month (2026-05), a day (2026-05-31) or a minute (2026-05-31T12:00)"},
			&cli.StringFlag{Name: flagTo, Usage: "end with `WHEN`, and all that is in it: a height, month, day or minute"},
			cmdline.LimitFlag(),
			&cli.BoolFlag{Name: flagCSV, Usage: "print a table for spreadsheets and tax advisers"},
			jsonFlag(),
		},
		Action: withSynced(history),
	}
}

// history lists transactions, the oldest first.
func history(c *cli.Context, o *opened) error {
	p, err := parsePeriod(c)
	if err != nil {
		return err
	}
	if c.Bool(flagCSV) && c.Bool(flagJSON) {
		return cmdline.Usagef("--%s and --%s cannot go together", flagCSV, flagJSON)
	}
	var entries []wallet.Entry
	for _, e := range o.History() {
		if p.holds(&e) {
			entries = append(entries, e)
		}
	}
	if !c.Bool(flagCSV) || c.IsSet("limit") {
		entries = cmdline.Last(c, entries)
	}
	switch {
	case c.Bool(flagJSON):
		return o.historyJSON(c, entries)
	case c.Bool(flagCSV):
		return o.historyCSV(c, entries)
	case len(entries) == 0:
		o.tellNothing(c, &p)
	}
	// The last two have lines of their own where the terminal is too narrow, which is nearly
	// everywhere: an address is there to be copied whole.
	rows := cmdline.NewRows(c, cmdline.Column{Title: "time"}, cmdline.Column{Title: "id", Fit: cmdline.Middle}, cmdline.Column{Title: "kind", Fit: cmdline.Drop},
		cmdline.Column{Title: "amount", Right: true}, cmdline.Column{Title: "balance", Right: true, Fit: cmdline.Drop}, cmdline.Column{Title: "fee", Right: true, Fit: cmdline.Drop},
		cmdline.Column{Title: "confirmed", Right: true}, cmdline.Column{Title: "block", Right: true, Fit: cmdline.Drop}, cmdline.Column{Title: "label", Fit: cmdline.Below},
		cmdline.Column{Title: "with", Fit: cmdline.Below})
	for i := range entries {
		e := &entries[i]
		fee, block := "", ""
		if e.Fee > 0 {
			fee = e.Fee.String()
		}
		if e.Confirmations > 0 {
			block = fmt.Sprint(e.Height)
		}
		rows.Add(cmdline.Time(c, e.Time), shortID(c, e.TxID), string(e.Kind), e.Amount.String(), e.Balance.String(), fee, confirmed(e), block, e.Labelled(), o.with(e))
	}
	return rows.Flush()
}

// tellNothing says why a table is empty. Who means a year by its digits has asked for a block.
func (o *opened) tellNothing(c *cli.Context, p *period) {
	text := "nothing was paid yet"
	switch tip := int64(o.Position().Height); {
	case p.heights && p.firstHeight > tip:
		text = fmt.Sprintf("--%s %d is a block, and the last one is %d; a year begins with %d-01", flagFrom, p.firstHeight, tip, p.firstHeight)
		if p.firstHeight < 2009 || p.firstHeight > 2999 {
			text = fmt.Sprintf("--%s %d is a block, and the last one is %d", flagFrom, p.firstHeight, tip)
		}
	case p.heights || p.times:
		text = "nothing was paid in that time"
	}
	fmt.Fprintf(c.App.ErrWriter, "karat: %s\n", text)
}

// shortID returns as many digits of a txid as tell it from the others, for a person; whatever
// reads a file gets all of them.
func shortID(c *cli.Context, txid types.Hash) string {
	const digits = 8
	if cmdline.Columns(c.App.Writer) == 0 || c.Bool("wide") {
		return txid.String()
	}
	return txid.String()[:digits]
}

// confirmed tells how far a transaction has come in one word, or by its confirmations.
func confirmed(e *wallet.Entry) string {
	if e.Status == wallet.StatusConfirmed {
		return fmt.Sprint(e.Confirmations)
	}
	return string(e.Status)
}

// with tells the addresses that a transaction was with: those that were paid, or the wallet's
// own. Where coins come back to, or a block's reward goes to, nobody asks.
func (o *opened) with(e *wallet.Entry) string {
	addresses := o.addressesOf(e.Parties)
	if len(addresses) == 0 || e.Kind == wallet.KindSelf || e.Kind == wallet.KindMined {
		return ""
	}
	text := "at "
	if e.Kind == wallet.KindSent {
		text = "to "
	}
	text += addresses[0]
	if more := len(addresses) - 1; more > 0 {
		text += fmt.Sprintf(" +%d", more)
	}
	return text
}

// addressesOf returns the addresses of outputs; of what is none, such as data, nothing.
func (o *opened) addressesOf(parties []wallet.Party) []string {
	list := []string{}
	for _, p := range parties {
		if text, err := taproot.EncodeAddress(o.params.HRP, p.ScriptPubKey); err == nil {
			list = append(list, text)
		}
	}
	return list
}

// historyJSON prints what a program asks for. Fields are only ever added.
func (o *opened) historyJSON(c *cli.Context, entries []wallet.Entry) error {
	out := []map[string]any{} // an empty list is [], not null
	for i := range entries {
		e := &entries[i]
		parties := []map[string]any{}
		for _, p := range e.Parties {
			parties = append(parties, o.partyJSON(p))
		}
		out = append(out, map[string]any{
			"txid": e.TxID, "time": e.Time, "height": e.Height, "confirmations": e.Confirmations, "amount": number(e.Amount),
			"fee": number(e.Fee), "status": e.Status, "sent": e.Sent, "kind": e.Kind, "label": e.Labelled(), "balance": number(e.Balance), "outputs": parties,
		})
	}
	return cmdline.PrintJSON(c.App.Writer, out)
}

func (o *opened) partyJSON(p wallet.Party) map[string]any {
	m := map[string]any{"n": p.Index, "amount": number(p.Value), "ours": p.Ours, "change": p.Change, "label": p.Label, "script": hex.EncodeToString(p.ScriptPubKey)}
	if text, err := taproot.EncodeAddress(o.params.HRP, p.ScriptPubKey); err == nil {
		m["address"] = text
	}
	return m
}

// historyCSV prints a table of RFC 4180. What will never be confirmed is not in it, since it
// has not happened.
func (o *opened) historyCSV(c *cli.Context, entries []wallet.Entry) error {
	out := c.App.Writer
	if cmdline.Columns(out) == 0 { // a terminal is shown no carriage returns
		out = cmdline.Raw(out)
	}
	w := csv.NewWriter(out)
	w.UseCRLF = true
	rows := [][]string{{"time", "time_utc", "kind", "amount", "fee", "balance", "counterparty", "own_address", "label", "status", "block", "txid"}}
	for i := range entries {
		e := &entries[i]
		if e.Status == wallet.StatusConflicted {
			continue
		}
		at := time.Unix(e.Time, 0)
		counterparty, own, block := "", strings.Join(o.addressesOf(e.Parties), " "), ""
		if e.Kind == wallet.KindSent {
			counterparty, own = own, ""
		}
		if e.Confirmations > 0 {
			block = fmt.Sprint(e.Height)
		}
		if c.Bool("utc") {
			at = at.UTC()
		}
		rows = append(rows, []string{
			at.Format(time.RFC3339), at.UTC().Format(time.RFC3339), string(e.Kind), e.Amount.String(), e.Fee.String(), e.Balance.String(),
			counterparty, own, defused(e.Labelled()), string(e.Status), block, e.TxID.String(),
		})
	}
	return w.WriteAll(rows)
}

// defused returns a text that no spreadsheet takes for a formula, which could run a program or
// send what else is in the table to somebody: a label may be of somebody else's making.
func defused(text string) string {
	if strings.HasPrefix(text, "'") || strings.IndexAny(text, "=+-@\t\r\n|%") == 0 {
		return "'" + text
	}
	return text
}

// period is a part of the history: between heights, or between times.
type period struct {
	heights, times           bool // which there are bounds of
	firstHeight, lastHeight  int64
	firstSecond, afterSecond int64 // since 1970
}

// holds reports whether a transaction is in the period. One that waits comes after all blocks.
func (p *period) holds(e *wallet.Entry) bool {
	height := int64(e.Height)
	if e.Confirmations == 0 {
		height = 1 << 32
	}
	return (!p.heights || height >= p.firstHeight && height <= p.lastHeight) && (!p.times || e.Time >= p.firstSecond && e.Time < p.afterSecond)
}

// parsePeriod reads --from and --to.
func parsePeriod(c *cli.Context) (p period, err error) {
	p = period{lastHeight: 1<<63 - 1, afterSecond: 1<<63 - 1}
	zone := time.Local
	if c.Bool("utc") {
		zone = time.UTC
	}
	for _, name := range []string{flagFrom, flagTo} {
		text := strings.TrimSpace(c.String(name))
		if text == "" {
			continue
		}
		first, after, isTime, ok := parseWhen(text, zone)
		if !ok {
			return p, cmdline.Usagef("--%s %q: want a height, or a month, day or minute such as 2026-05, 2026-05-31 or 2026-05-31T12:00", name, text)
		}
		p.times, p.heights = p.times || isTime, p.heights || !isTime
		switch {
		case isTime && name == flagFrom:
			p.firstSecond = first
		case isTime:
			p.afterSecond = after
		case name == flagFrom:
			p.firstHeight = first
		default:
			p.lastHeight = first
		}
	}
	if p.firstHeight > p.lastHeight || p.firstSecond >= p.afterSecond {
		return p, cmdline.Usagef("--%s is after --%s", flagFrom, flagTo)
	}
	return p, nil
}

// parseWhen reads a height, or a time together with how long it lasts: a day ends where the
// next begins. Digits alone are a height, and never a year.
func parseWhen(text string, zone *time.Location) (first, after int64, isTime, ok bool) {
	for _, form := range []struct {
		layout       string
		months, days int
		length       time.Duration
	}{
		{"2006-01", 1, 0, 0}, {time.DateOnly, 0, 1, 0},
		{"2006-01-02T15:04", 0, 0, time.Minute}, {"2006-01-02 15:04", 0, 0, time.Minute},
		{"2006-01-02T15:04:05", 0, 0, time.Second}, {time.DateTime, 0, 0, time.Second}, {time.RFC3339, 0, 0, time.Second},
	} {
		if at, err := time.ParseInLocation(form.layout, text, zone); err == nil {
			return at.Unix(), at.AddDate(0, form.months, form.days).Add(form.length).Unix(), true, true
		}
	}
	height, err := strconv.ParseUint(text, 10, 32)
	return int64(height), 0, false, err == nil
}
