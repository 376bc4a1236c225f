package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// How many scripts and outpoints WebSockets may watch. Each takes some 120 bytes.
const (
	maxWatched    = 200_000 // one client
	maxWatchedAll = 600_000 // all of them
)

// maxWatchedScript is how long a script may be that is watched, in bytes: what is counted
// is how many there are. Only outputs that nobody can spend have longer ones.
const maxWatchedScript = 128

// watchLimits are how many one client may watch, and all together.
type watchLimits struct{ one, all int }

// watch is a set of scripts and outpoints.
type watch struct {
	scripts   map[string]struct{}
	outPoints map[types.OutPoint]struct{}
}

func newWatch() *watch {
	return &watch{scripts: map[string]struct{}{}, outPoints: map[types.OutPoint]struct{}{}}
}

// size is 0 for a nil watch, too.
func (w *watch) size() int {
	if w == nil {
		return 0
	}
	return len(w.scripts) + len(w.outPoints)
}

// pays reports whether an output has one of the scripts.
func (w *watch) pays(out *types.TxOut) bool {
	_, ok := w.scripts[string(out.ScriptPubKey)]
	return ok
}

// spends reports whether an outpoint is watched.
func (w *watch) spends(outPoint types.OutPoint) bool {
	_, ok := w.outPoints[outPoint]
	return ok
}

// add puts scripts and outpoints into the set.
func (w *watch) add(scripts [][]byte, outPoints []types.OutPoint) {
	for _, script := range scripts {
		w.scripts[string(script)] = struct{}{}
	}
	for _, outPoint := range outPoints {
		w.outPoints[outPoint] = struct{}{}
	}
}

// wanted is what a client wants to be told of by btcd's notifications.
type wanted struct {
	mu sync.Mutex
	// Guarded by mu:
	blocks  bool   // notifyblocks
	txs     bool   // notifynewtransactions
	verbose bool   // transactions in full
	filter  *watch // loadtxfilter; nil: none was loaded
	old     *watch // notifyreceived, notifyspent and rescan
	// Those that run, and the number of the last one:
	subscriptions []*subscription
	lastID        uint64
	watched       int // scripts and outpoints, with those of subscriptions
}

// resize notes that a client watches so many scripts and outpoints more, or fewer. It
// refuses what is too much. It assumes mu.
func (c *socket) resize(n int) error {
	if n > 0 && c.wanted.watched+n > c.s.sockets.limits.one {
		return failf(CodeOutOfMemory, "a client may watch %d addresses and outpoints", c.s.sockets.limits.one)
	}
	if all := c.s.sockets.watched.Add(int64(n)); n > 0 && all > int64(c.s.sockets.limits.all) {
		c.s.sockets.watched.Add(int64(-n))
		return failf(CodeOutOfMemory, "all clients together may watch %d addresses and outpoints", c.s.sockets.limits.all)
	}
	c.wanted.watched += n
	return nil
}

// grow lets a change add to a set, at most so many scripts and outpoints, and counts
// what it has added. It assumes mu.
func (c *socket) grow(w *watch, most int, change func()) error {
	if err := c.resize(most); err != nil {
		return err
	}
	before := w.size()
	change()
	return c.resize(w.size() - before - most)
}

// forget gives back what a client has held, when it is gone.
func (c *socket) forget() {
	c.wanted.mu.Lock()
	defer c.wanted.mu.Unlock()
	_ = c.resize(-c.wanted.watched)
	c.s.sockets.untaken.forget(c)
}

// outPointJSON is an outpoint in btcd's words.
type outPointJSON struct {
	Hash  string  `json:"hash"`
	Index *uint32 `json:"index"`
}

// outPoints reads a list of outpoints as btcd's clients write it.
func (a *args) outPoints(i int) []types.OutPoint {
	list := a.list(i, maxWatched)
	outPoints := make([]types.OutPoint, len(list))
	for j := range list {
		var given outPointJSON
		raw, err := exactly(list[j], "hash", "index")
		if err != nil || json.Unmarshal(raw, &given) != nil || given.Index == nil {
			a.fail(failf(CodeType, "an outpoint is {\"hash\": TXID, \"index\": N}, not %.100s", list[j]))
			return nil
		}
		outPoints[j] = types.OutPoint{TxID: a.parseHash("hash", given.Hash), Index: *given.Index}
	}
	return outPoints
}

// scripts reads a list of addresses. As btcd does, it leaves out what is no address,
// unless that is an error here: no output can pay to it.
func (a *args) scripts(s *Server, i int, strict bool) (scripts [][]byte) {
	for _, address := range a.texts(i, maxWatched) {
		script, err := taproot.DecodeAddress(s.Params.HRP, address)
		if err == nil {
			scripts = append(scripts, script)
		} else if strict {
			a.fail(failf(CodeAddressOrKey, "Invalid address or key: %.100s", address))
		}
	}
	return scripts
}

// loadTxFilter is btcd's loadtxfilter. The client is told from now on of transactions
// that pay to the addresses, or spend the outpoints or what those payments made.
func loadTxFilter(s *Server, a *args) work {
	c, reload := a.socket, a.flag(0, false)
	scripts, outPoints := a.scripts(s, 1, false), a.outPoints(2)
	return func(ctx context.Context) (any, error) {
		c.wanted.mu.Lock()
		filter := c.wanted.filter
		if reload || filter == nil {
			filter = newWatch()
		}
		err := c.grow(filter, len(scripts)+len(outPoints), func() { filter.add(scripts, outPoints) })
		if err == nil && filter != c.wanted.filter {
			_ = c.resize(-c.wanted.filter.size())
			c.wanted.filter = filter
		}
		c.wanted.mu.Unlock()
		if err != nil {
			return nil, err
		}
		return nil, c.adjust(ctx)
	}
}

// notifyReceived is btcd's notifyreceived: older than loadtxfilter, and with other
// notifications.
func notifyReceived(s *Server, a *args) work {
	c, scripts := a.socket, a.scripts(s, 0, true)
	return func(ctx context.Context) (any, error) {
		return nil, c.watchOld(ctx, scripts, nil)
	}
}

// notifySpent is btcd's notifyspent. What is spent in the pool already is told at once.
func notifySpent(_ *Server, a *args) work {
	c, outPoints := a.socket, a.outPoints(0)
	return func(ctx context.Context) (any, error) {
		return nil, c.watchOld(ctx, nil, outPoints)
	}
}

// watchOld adds to what btcd's older notifications are about.
func (c *socket) watchOld(ctx context.Context, scripts [][]byte, outPoints []types.OutPoint) error {
	if err := c.addOld(scripts, outPoints); err != nil {
		return err
	}
	if err := c.adjust(ctx); err != nil {
		return err
	}
	c.tellSpent(outPoints)
	return nil
}

func (c *socket) addOld(scripts [][]byte, outPoints []types.OutPoint) error {
	c.wanted.mu.Lock()
	defer c.wanted.mu.Unlock()
	if c.wanted.old == nil {
		c.wanted.old = newWatch()
	}
	old := c.wanted.old
	return c.grow(old, len(scripts)+len(outPoints), func() { old.add(scripts, outPoints) })
}

// tellSpent tells of transactions of the pool that spend outpoints, each once.
func (c *socket) tellSpent(outPoints []types.OutPoint) {
	told := map[types.Hash]bool{}
	for _, outPoint := range outPoints {
		if e := c.s.Pool.SpentBy(outPoint); e != nil && !told[e.TxID] {
			told[e.TxID] = true
			c.send(notification("redeemingtx", fmt.Sprintf("%x", e.Raw)))
		}
	}
}

// stopNotifyReceived is btcd's stopnotifyreceived.
func stopNotifyReceived(s *Server, a *args) work {
	c, scripts := a.socket, a.scripts(s, 0, true)
	return func(ctx context.Context) (any, error) {
		return nil, c.unwatchOld(ctx, scripts, nil)
	}
}

// stopNotifySpent is btcd's stopnotifyspent.
func stopNotifySpent(_ *Server, a *args) work {
	c, outPoints := a.socket, a.outPoints(0)
	return func(ctx context.Context) (any, error) {
		return nil, c.unwatchOld(ctx, nil, outPoints)
	}
}

func (c *socket) unwatchOld(ctx context.Context, scripts [][]byte, outPoints []types.OutPoint) error {
	c.wanted.mu.Lock()
	if old := c.wanted.old; old != nil {
		before := old.size()
		for _, script := range scripts {
			delete(old.scripts, string(script))
		}
		for _, outPoint := range outPoints {
			delete(old.outPoints, outPoint)
		}
		_ = c.resize(old.size() - before)
	}
	c.wanted.mu.Unlock()
	return c.adjust(ctx)
}

// relevant reports whether the filter of a client matches a transaction. The outputs
// that it matches are watched from now on. It assumes mu.
func (c *socket) relevant(tx *types.Tx, txid types.Hash) (matches bool, err error) {
	filter := c.wanted.filter
	if filter == nil {
		return false, nil
	}
	for i := range tx.Inputs {
		matches = matches || filter.spends(tx.Inputs[i].PreviousOutPoint)
	}
	paid, err := c.watchOutputs(filter, tx, txid)
	return matches || paid, err
}

// watchOutputs watches the outputs of a transaction that pay to scripts of the set. It
// assumes mu.
func (c *socket) watchOutputs(w *watch, tx *types.Tx, txid types.Hash) (paid bool, err error) {
	for i := range tx.Outputs {
		if w.pays(&tx.Outputs[i]) {
			paid = true
			err = c.grow(w, 1, func() { w.outPoints[types.OutPoint{TxID: txid, Index: uint32(i)}] = struct{}{} })
			if err != nil {
				return paid, err
			}
		}
	}
	return paid, nil
}

// oldMatch tells which of btcd's older notifications a transaction gives rise to. An
// outpoint that a block spends is watched no more, and an output to a watched script
// is from now on. It assumes mu.
func (c *socket) oldMatch(tx *types.Tx, txid types.Hash, inBlock bool) (spends, pays bool, err error) {
	old := c.wanted.old
	if old.size() == 0 {
		return false, false, nil
	}
	for i := range tx.Inputs {
		if outPoint := tx.Inputs[i].PreviousOutPoint; old.spends(outPoint) {
			spends = true
			if inBlock {
				delete(old.outPoints, outPoint)
				_ = c.resize(-1)
			}
		}
	}
	pays, err = c.watchOutputs(old, tx, txid)
	return spends, pays, err
}
