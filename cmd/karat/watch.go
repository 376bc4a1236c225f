package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/wallet"
)

const flagCount = "count"

// How long watch waits: between two syncs, and for a node that has gone, the first time and at
// most.
const (
	watchRest  = 500 * time.Millisecond
	watchRetry = time.Second
	watchMost  = 30 * time.Second
)

func watchCommand() *cli.Command {
	n := int64(0)
	return &cli.Command{
		Name: "watch", Usage: "show payments as they come, until Ctrl-C",
		Description: "Tells of each payment to or from the wallet when it is met, when it is confirmed, and if it is\n" +
			"undone. The node says only that something has happened, over a WebSocket; the wallet then\n" +
			"syncs as it always does, so that the node learns no address. Other commands can be used\n" +
			"meanwhile. If the node goes away it is waited for.\n\n" +
			"   karat watch\n" +
			"   karat watch --json      a line of JSON for each event\n" +
			"   karat watch --count 2   end after two lines: where it stands, and the first event",
		Flags: []cli.Flag{
			&cli.GenericFlag{Name: flagCount, Value: cmdline.Number(&n, 0, 0, 1<<31-1), DefaultText: "0, for no end", Usage: "end after `N` lines"},
			jsonFlag(),
		},
		Action: watch,
	}
}

// watcher shows what happens to a wallet.
type watcher struct {
	home
	c     *cli.Context
	left  int // lines to show; negative: no end
	last  *wallet.Wallet
	known []wallet.Entry
	wrong string // what was said to be wrong with the node; empty: nothing is
}

// errEnough ends a watch that has shown what it should.
var errEnough = errors.New("all lines are shown")

// watch ends well when somebody interrupts it: that is how it is meant to end.
func watch(c *cli.Context) error {
	h, err := findHome(c)
	if err != nil {
		return err
	}
	w := &watcher{home: h, c: c, left: -1}
	if text := fmt.Sprint(c.Generic(flagCount)); c.IsSet(flagCount) && text != "0" {
		_, _ = fmt.Sscan(text, &w.left) // it was checked
	}
	err = w.look(true)
	if err == nil {
		err = w.follow()
	}
	if errors.Is(err, errEnough) || c.Context.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// follow looks each time when the node says that something has happened.
func (w *watcher) follow() error {
	ctx, end := context.WithCancel(w.c.Context)
	defer end()
	poke := make(chan struct{}, 1) // what happens during a look leads to one more
	lost := make(chan error)
	node, err := w.client(w.c)
	if err != nil {
		return err
	}
	go func() { lost <- w.listen(ctx, node, poke) }()
	for {
		select {
		case err := <-lost:
			return err
		case <-poke:
		}
		if err := w.look(false); err != nil {
			end()
			<-lost
			return err
		}
		rest := watchRest
		if w.wrong != "" {
			rest = watchRetry
			fill(poke)
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
		}
	}
}

func fill(poke chan<- struct{}) {
	select {
	case poke <- struct{}{}:
	default: // there is one already
	}
}

// listen is poked by a node for as long as the context lasts, and waits for one that has gone.
func (w *watcher) listen(ctx context.Context, node *rpc.Client, poke chan<- struct{}) error {
	wait, gone := watchRetry, false
	for {
		err := node.Subscribe(ctx, []string{"mempool"}, func(string) error {
			if gone {
				fmt.Fprintln(w.c.App.ErrWriter, "karat: the node is back")
			}
			wait, gone = watchRetry, false
			fill(poke)
			return nil
		})
		var refused *rpc.Error
		starts := errors.As(err, &refused) && refused.Code == rpc.CodeInWarmup
		if ctx.Err() != nil || !starts && !errors.Is(err, rpc.ErrUnreachable) && !errors.Is(err, rpc.ErrSocketEnded) {
			return err
		}
		if !gone {
			fmt.Fprintf(w.c.App.ErrWriter, "karat: %v; trying again until it is back\n", err)
		}
		gone = true
		select {
		case <-time.After(wait):
			wait = min(2*wait, watchMost)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look opens the wallet, syncs it, and shows what has changed. It is open no longer than that,
// so that other commands can be used; while one of them has it, this one comes back later.
func (w *watcher) look(first bool) (err error) {
	o, err := w.open(w.c, false)
	for ; wallet.IsInUse(err); o, err = w.open(w.c, false) {
		select {
		case <-time.After(watchRest):
		case <-w.c.Context.Done():
			return w.c.Context.Err()
		}
	}
	if err != nil {
		return err
	}
	defer o.close(&err)
	if w.last != nil {
		o.Resume(w.last)
	}
	w.last = o.Wallet
	if first {
		if err := o.syncWithProgress(w.c); err != nil {
			return err
		}
		w.known = o.History()
		return w.showStart(o)
	}
	if err := o.Sync(w.c.Context, o.node, func(wallet.Progress) {}); err != nil {
		if w.c.Context.Err() != nil {
			return w.c.Context.Err()
		}
		return w.tell(err)
	}
	w.wrong = ""
	before := w.known
	w.known = o.History()
	for _, change := range wallet.Events(before, w.known) {
		if err := w.show(o, change); err != nil {
			return err
		}
	}
	return nil
}

// tell says, once, why the wallet cannot be synced. A node that has gone is told of by listen.
func (w *watcher) tell(err error) error {
	if w.wrong != err.Error() && !errors.Is(err, rpc.ErrUnreachable) {
		fmt.Fprintf(w.c.App.ErrWriter, "karat: %v; trying again\n", err)
	}
	w.wrong = err.Error()
	return nil
}

// showStart tells from where on it watches.
func (w *watcher) showStart(o *opened) error {
	at, total := o.Position(), o.Balance().Total()
	if w.c.Bool(flagJSON) {
		return w.line(map[string]any{"event": "start", "height": at.Height, "hash": at.Hash, "balance": number(total)}, "")
	}
	return w.line(nil, fmt.Sprintf("watching from block %d on, with %s in the wallet; Ctrl-C ends it", at.Height, total))
}

// show tells of one change.
func (w *watcher) show(o *opened, change wallet.Event) error {
	e := &change.Entry
	total := o.Balance().Total()
	if w.c.Bool(flagJSON) {
		return w.line(map[string]any{
			"event": change.What, "txid": e.TxID, "kind": e.Kind, "amount": number(e.Amount), "fee": number(e.Fee), "height": e.Height,
			"confirmations": e.Confirmations, "time": e.Time, "label": e.Labelled(), "addresses": o.addressesOf(e.Parties), "balance": number(total),
		}, "")
	}
	what := change.What
	if what == wallet.EventConfirmed {
		what = fmt.Sprintf("confirmed in block %d", e.Height)
	}
	text := fmt.Sprintf("%s  %s  %s %s, %s, %s", cmdline.Time(w.c, time.Now().Unix()), e.TxID.String()[:8], e.Kind, signed(e.Amount), what, "balance "+total.String())
	if label := e.Labelled(); label != "" {
		text += "\n    " + cmdline.Printable(label)
	}
	if with := o.with(e); with != "" {
		text += "\n    " + with
	}
	return w.line(nil, text)
}

// line shows one line, as JSON or as text, and counts it.
func (w *watcher) line(fields map[string]any, text string) error {
	if fields != nil {
		b, err := json.Marshal(fields)
		if err != nil {
			return err
		}
		text = string(b)
	}
	if _, err := fmt.Fprintln(w.c.App.Writer, text); err != nil {
		return err // whoever has read it has gone
	}
	if w.left > 0 {
		w.left--
	}
	if w.left == 0 {
		return errEnough
	}
	return nil
}
