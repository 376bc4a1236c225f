package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/event"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/baton"
	"github.com/karatcoin/karat/internal/poke"
)

const (
	maxSubscriptions = 16      // of a client
	maxCursors       = 1000    // that a client may know
	maxFork          = 100_000 // blocks between a cursor and the best chain
)

// subscription is the sequence of events from a cursor on, as one client is told it.
type subscription struct {
	c     *socket
	id    uint64
	txs   bool   // the transactions of blocks, too
	watch *watch // of which transactions; nil: of all

	turn baton.Baton // held by whoever tells a step, or ends it
	// Guarded by turn:
	stream event.Stream
	told   map[types.Hash]struct{} // ids of the pool's transactions that were told; nil without watch
	held   int                     // bytes of the stream that are counted
	ended  bool
	end    context.CancelFunc // set before anything is told
}

func subscribeMethods() []method {
	return []method{
		{name: "subscribe", socket: true, read: subscribe, about: "Tells of every block that comes and goes, from a block on that the client knows: each is an event with a number and a cursor to go on from later. Returns the number of the subscription, and the cursor that was taken.", params: []param{
			{name: "events", kind: kindArray, optional: `'["blocks"]'`, about: "blocks; transactions for those of blocks, too; mempool for those that wait"},
			{name: "from", kind: kindAny, optional: "the tip", about: "A cursor, or several, the newest first: the first that the node knows counts"},
			{name: "filter", kind: kindObject, optional: "all transactions", about: "Of which transactions to tell", options: []param{
				{name: "addresses", kind: kindArray, optional: "none", about: "What pays to these, or spends from them"},
				{name: "scripts", kind: kindArray, optional: "none", about: "The same for scripts in hexadecimal"},
				{name: "outpoints", kind: kindArray, optional: "none", about: `What spends these: objects with "txid" and "vout"`}}}}},
		{name: "unsubscribe", socket: true, read: unsubscribe, about: "Ends a subscription.", params: []param{
			{name: "subscription", kind: kindNumber, sample: "1", about: "The number that subscribe returned"}}},
	}
}

// cursorJSON is a cursor as clients keep it. The mempool's part is of one run of the node.
type cursorJSON struct {
	Sequence uint64      `json:"sequence"`
	Height   *uint32     `json:"height"`
	Hash     *types.Hash `json:"hash"`
	Mempool  *poolCursor `json:"mempool,omitempty"`
}

// poolCursor is a position among the changes of the pool.
type poolCursor struct {
	Run      uint64 `json:"run"`
	Position uint64 `json:"position"`
}

// cursors reads the cursors that a client knows.
func (a *args) cursors(i int) (list []event.Cursor) {
	if !a.given(i) {
		return nil
	}
	raws := []json.RawMessage{a.values[i]}
	if raws[0][0] == '[' {
		raws = a.list(i, maxCursors)
	}
	for _, raw := range raws {
		var j cursorJSON
		members, err := exactly(raw, "sequence", "height", "hash", "mempool")
		if err != nil || json.Unmarshal(members, &j) != nil || j.Height == nil || j.Hash == nil {
			a.fail(failf(CodeType, "a cursor is {\"height\": N, \"hash\": HASH} and what else its event has, not %.100s", raw))
			return nil
		}
		c := event.Cursor{Sequence: j.Sequence, Block: types.Index{Height: *j.Height, Hash: *j.Hash}}
		if j.Mempool != nil {
			c.Run, c.Pool = j.Mempool.Run, j.Mempool.Position
		}
		list = append(list, c)
	}
	if len(list) == 0 && a.err == nil {
		a.fail(failf(CodeInvalidParam, "from has no cursor"))
	}
	return list
}

// watchOf reads a filter; nil is none.
func (a *args) watchOf(s *Server, i int) *watch {
	if !a.given(i) {
		return nil
	}
	var given struct {
		Addresses, Scripts []string
		OutPoints          []struct {
			TxID string  `json:"txid"`
			Vout *uint32 `json:"vout"`
		}
	}
	lists, err := readMembers(a.values[i])
	a.fail(err)
	for _, m := range lists { // before any is decoded
		if elements(m.value) > maxWatched {
			a.fail(failf(CodeInvalidParam, "%.100s has %d elements, at most %d are allowed", m.name, elements(m.value), maxWatched))
		}
	}
	if a.err != nil {
		return nil
	}
	a.options(i, &given)
	w := newWatch()
	for _, text := range given.Addresses {
		script, err := taproot.DecodeAddress(s.Params.HRP, text)
		if err != nil {
			a.fail(failf(CodeAddressOrKey, "Invalid address: %v", err))
			return nil
		}
		w.scripts[string(script)] = struct{}{}
	}
	for _, text := range given.Scripts {
		if len(text) > 2*maxWatchedScript {
			a.fail(failf(CodeInvalidParam, "a script has at most %d bytes, and %.100s… is longer", maxWatchedScript, text))
			return nil
		}
		w.scripts[string(a.bytes(text, failf(CodeInvalidParam, "a script is not hexadecimal: %.100s", text)))] = struct{}{}
	}
	for _, o := range given.OutPoints {
		if o.Vout == nil {
			a.fail(failf(CodeInvalidParam, "an outpoint has no vout"))
			return nil
		}
		w.outPoints[types.OutPoint{TxID: a.parseHash("txid", o.TxID), Index: *o.Vout}] = struct{}{}
	}
	return w
}

// subscribe begins a subscription. Its events come behind the answer.
func subscribe(s *Server, a *args) work {
	c, session := a.socket, a.session
	sub := &subscription{c: c, turn: baton.New()}
	mempool := false
	for _, kind := range a.texts(0, 10) {
		switch kind {
		case "blocks":
		case "transactions":
			sub.txs = true
		case "mempool":
			mempool = true
		default:
			a.fail(failf(CodeInvalidParam, "events are blocks, transactions and mempool, not %.100s", kind))
		}
	}
	cursors := a.cursors(1)
	if sub.watch = a.watchOf(s, 2); sub.watch != nil {
		sub.told = map[types.Hash]struct{}{}
	}
	return func(ctx context.Context) (any, error) {
		at, err := s.findCursor(ctx, cursors)
		if err != nil {
			return nil, err
		}
		sub.stream = event.Stream{Blocks: s.Blocks, Run: s.sockets.run, At: at}
		if mempool {
			sub.stream.Pool = s.Pool
		}
		on, err := c.enter(sub)
		if err != nil {
			return nil, err
		}
		session.then = append(session.then, func() {
			c.work.Go(func() { sub.follow(on, s.Blocks) })
			if mempool {
				c.work.Go(func() { sub.follow(on, s.Pool) })
			}
		})
		return map[string]any{"subscription": sub.id, "cursor": cursorOf(at)}, nil
	}
}

// findCursor returns the first cursor from which there is a way to the tip; without any,
// the tip of now.
func (s *Server) findCursor(ctx context.Context, cursors []event.Cursor) (event.Cursor, error) {
	if len(cursors) == 0 {
		return event.Cursor{Block: s.Headers.Tip()}, nil
	}
	var first error
	for _, at := range cursors {
		leave, err := s.reading(ctx)
		if err != nil {
			return at, err
		}
		err = s.checkCursor(at.Block)
		leave()
		switch {
		case err == nil:
			return at, nil
		case errors.Is(err, consensus.ErrLocal) && !errors.Is(err, consensus.ErrNotFound):
			return at, err
		case first == nil:
			first = err
		}
	}
	return event.Cursor{}, first
}

// checkCursor says why there is no way from a block to the tip. It reads two blocks at
// most: where the way begins, and where it meets the best chain.
func (s *Server) checkCursor(at types.Index) error {
	info, ok := s.Headers.Info(at.Hash)
	tip := s.Headers.Tip()
	if !ok || info.Height != at.Height {
		return failf(CodeAddressOrKey, "the block %s at height %d is not known here; the tip is %s at height %d", at.Hash, at.Height, tip.Hash, tip.Height)
	}
	if !info.OnBestChain {
		if _, err := s.Blocks.BlockUpdate(at.Hash); err != nil {
			return failf(CodeAddressOrKey, "the block %s at height %d is of another branch, and is not stored here; the tip is %s at height %d", at.Hash, at.Height, tip.Hash, tip.Height)
		}
	}
	for i := 0; !info.OnBestChain; i++ {
		if info, ok = s.Headers.Info(info.Header.PrevBlock); !ok || i == maxFork {
			return failf(CodeAddressOrKey, "the block %s at height %d is too far from the best chain", at.Hash, at.Height)
		}
	}
	next, ok := s.Headers.HashAt(info.Height + 1)
	if !ok {
		return nil // it is the tip
	}
	_, err := s.Blocks.BlockUpdate(next)
	if errors.Is(err, consensus.ErrNotFound) {
		_, height, _ := s.Control.Pruned()
		return failf(CodeMisc, "the blocks above height %d are pruned; the first that is there is at height %d", info.Height, height)
	}
	return err
}

// enter gives a subscription its number, and a context that ends with it.
func (c *socket) enter(sub *subscription) (context.Context, error) {
	c.wanted.mu.Lock()
	defer c.wanted.mu.Unlock()
	if len(c.wanted.subscriptions) == maxSubscriptions {
		return nil, failf(CodeOutOfMemory, "a client may have %d subscriptions", maxSubscriptions)
	}
	if err := c.resize(sub.watch.size()); err != nil {
		return nil, err
	}
	c.wanted.lastID++
	sub.id = c.wanted.lastID
	var on context.Context
	on, sub.end = context.WithCancel(c.ctx)
	c.wanted.subscriptions = append(c.wanted.subscriptions, sub)
	return on, nil
}

// leave gives back what a subscription has had. It assumes the turn.
func (sub *subscription) leave() {
	if sub.ended {
		return
	}
	sub.ended = true
	sub.end()
	sub.c.s.sockets.untaken.hold(sub.c, -sub.held)
	w := &sub.c.wanted
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subscriptions = slices.DeleteFunc(w.subscriptions, func(other *subscription) bool { return other == sub })
	_ = sub.c.resize(-sub.watch.size() - len(sub.told))
}

// unsubscribe ends a subscription: behind its answer no event of it comes.
func unsubscribe(_ *Server, a *args) work {
	c, id := a.socket, a.integer(0, 0)
	return func(ctx context.Context) (any, error) {
		c.wanted.mu.Lock()
		at := slices.IndexFunc(c.wanted.subscriptions, func(sub *subscription) bool { return int64(sub.id) == id })
		var sub *subscription
		if at >= 0 {
			sub = c.wanted.subscriptions[at]
		}
		c.wanted.mu.Unlock()
		if sub == nil {
			return nil, failf(CodeInvalidParam, "there is no subscription %d", id)
		}
		if err := sub.turn.Take(ctx); err != nil {
			return nil, err
		}
		defer sub.turn.Give()
		sub.leave()
		return nil, nil
	}
}

// follow tells of events whenever a source has some.
func (sub *subscription) follow(ctx context.Context, source poke.Source) {
	err := poke.Follow(ctx, source, func() (more bool, err error) {
		if err := sub.turn.Take(ctx); err != nil {
			return false, nil
		}
		defer sub.turn.Give()
		if sub.ended || sub.c.goodbye.Load() {
			return false, nil
		}
		return sub.tell(ctx)
	})
	if err != nil {
		sub.c.broken(err)
	}
}

// tell tells the next step. It assumes the turn.
func (sub *subscription) tell(ctx context.Context) (more bool, err error) {
	c := sub.c
	leave, err := c.s.reading(ctx)
	if err != nil {
		return false, nil
	}
	sequence := sub.stream.At.Sequence
	events, err := sub.stream.Next(notifyBlocks)
	c.s.sockets.untaken.hold(c, sub.stream.Held()-sub.held)
	sub.held = sub.stream.Held()
	var messages [][]byte
	var full error
	for i := range events {
		e := &events[i]
		var wanted bool
		if wanted, full = sub.wants(e); full != nil {
			break
		}
		if wanted {
			sequence++
			e.Cursor.Sequence = sequence
			var message []byte
			if message, full = sub.encode(e); full != nil {
				break
			}
			messages = append(messages, message)
		}
	}
	leave()
	sub.stream.At.Sequence = sequence
	c.sendAll(messages)
	if full != nil {
		return false, full
	}
	if err != nil { // those of before were told
		c.s.log.Warn("a subscription cannot go on", "err", err)
		c.send(sub.encodeEnd(asError(err)))
		sub.leave()
	}
	return len(events) > 0, nil
}
