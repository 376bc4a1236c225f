package web

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// waitingScripts knows which transactions of the pool concern a script. A taproot input does
// not tell its script, so what each spends is looked up once, when it has come, and kept for
// as long as the transaction waits.
type waitingScripts struct {
	journal Journal
	pool    Pool
	blocks  Blocks

	turn     chan struct{} // held while changes are followed, which may wait for coins
	began    bool
	position uint64

	mu sync.Mutex
	// Guarded by mu:
	scripts map[indexed.ScriptHash][]*touch // by its transactions, in no order
	touches map[types.Hash][]*touch         // of each transaction
	taken   uint64                          // transactions up to now
}

// touch is what a transaction does with a script.
type touch struct {
	txid   types.Hash
	script indexed.ScriptHash
	n      uint64 // of the transaction, in the order in which they came
	at     int    // its place in the script's list, so that it is found among many
	stats  indexed.ScriptStats
	pays   []uint32 // its outputs to the script
}

// waitingTx is a transaction that waits, and what it does with one script.
type waitingTx struct {
	entry *pending.Entry
	touch
}

func newWaitingScripts(o *Options) *waitingScripts {
	return &waitingScripts{journal: o.Journal, pool: o.Pool, blocks: o.Blocks, turn: make(chan struct{}, 1), scripts: map[indexed.ScriptHash][]*touch{}, touches: map[types.Hash][]*touch{}}
}

// of returns the transactions that wait and concern a script, as the pool is now, those that
// came first before the others.
func (w *waitingScripts) of(ctx context.Context, script indexed.ScriptHash) (list []waitingTx, err error) {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	err = w.follow(ctx)
	<-w.turn
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	touches := make([]touch, len(w.scripts[script]))
	for i, t := range w.scripts[script] {
		touches[i] = *t
	}
	w.mu.Unlock()
	for i := range touches {
		if e := w.pool.Get(touches[i].txid); e != nil {
			list = append(list, waitingTx{e, touches[i]})
		}
	}
	slices.SortFunc(list, func(a, b waitingTx) int { return cmp.Compare(a.n, b.n) })
	return list, nil
}

// follow takes up what has come and gone since it was called last. It assumes turn.
func (w *waitingScripts) follow(ctx context.Context) error {
	const atOnce = 500
	for {
		changes, next, ok := w.journal.ChangesSince(w.position, atOnce)
		if !w.began || !ok {
			return w.begin(ctx)
		}
		var came []*pending.Entry
		for i := range changes {
			switch c := &changes[i]; {
			case c.Block != nil:
			case !c.Added:
				w.drop(c.TxID)
			default:
				if e := w.pool.Get(c.TxID); e != nil {
					came = append(came, e)
				}
			}
		}
		if err := w.add(ctx, came); err != nil {
			return err
		}
		if w.position = next; len(changes) == 0 {
			return nil
		}
	}
}

// begin takes up the whole pool.
func (w *waitingScripts) begin(ctx context.Context) error {
	entries, position := w.journal.Snapshot()
	w.mu.Lock()
	clear(w.scripts)
	clear(w.touches)
	w.mu.Unlock()
	const atOnce = 2000
	for part := range slices.Chunk(entries, atOnce) {
		if err := w.add(ctx, part); err != nil {
			return err
		}
	}
	w.position, w.began = position, true
	return nil
}

func (w *waitingScripts) drop(txid types.Hash) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.touches[txid] {
		list := w.scripts[t.script]
		last := len(list) - 1
		list[t.at] = list[last] // which takes its place
		list[t.at].at = t.at
		list[last] = nil
		if w.scripts[t.script] = list[:last]; last == 0 {
			delete(w.scripts, t.script)
		}
	}
	delete(w.touches, txid)
}

// add takes up transactions. Parents come before their children.
func (w *waitingScripts) add(ctx context.Context, entries []*pending.Entry) error {
	var outPoints []types.OutPoint
	for _, e := range entries {
		for i := range e.Tx.Inputs {
			outPoints = append(outPoints, e.Tx.Inputs[i].PreviousOutPoint)
		}
	}
	if len(outPoints) == 0 {
		return nil
	}
	coins, _, err := w.blocks.Coins(ctx, outPoints)
	if err != nil {
		return err
	}
	at := 0
	for _, e := range entries {
		spent := make([]*types.TxOut, len(e.Tx.Inputs))
		for i := range spent {
			spent[i] = w.output(&outPoints[at], &coins[at])
			at++
		}
		w.take(e, spent)
	}
	return nil
}

// output returns what an input spends: a coin, or an output of a transaction that waits. It
// is nil if neither is there any more, since a block has just taken it.
func (w *waitingScripts) output(o *types.OutPoint, coin *consensus.FetchedCoin) *types.TxOut {
	if coin.Found {
		out := coin.Coin.Output()
		return &out
	}
	if parent := w.pool.Get(o.TxID); parent != nil && int64(o.Index) < int64(len(parent.Tx.Outputs)) {
		return &parent.Tx.Outputs[o.Index]
	}
	return nil
}

func (w *waitingScripts) take(e *pending.Entry, spent []*types.TxOut) {
	touches := map[indexed.ScriptHash]*touch{}
	of := func(script []byte) *touch {
		hash := indexed.HashScript(script)
		if touches[hash] == nil {
			touches[hash] = &touch{txid: e.TxID, script: hash, stats: indexed.ScriptStats{Txs: 1}}
		}
		return touches[hash]
	}
	for _, out := range spent {
		if out != nil {
			t := of(out.ScriptPubKey)
			t.stats.Spent++
			t.stats.SpentSum += out.Value
		}
	}
	for i := range e.Tx.Outputs {
		out := &e.Tx.Outputs[i]
		if !consensus.IsSpendable(out.ScriptPubKey) {
			continue
		}
		t := of(out.ScriptPubKey)
		t.stats.Funded++
		t.stats.FundedSum += out.Value
		t.pays = append(t.pays, uint32(i))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.touches[e.TxID] != nil {
		return // it was there already
	}
	list := make([]*touch, 0, len(touches))
	for script, t := range touches {
		t.n, t.at = w.taken, len(w.scripts[script])
		w.scripts[script] = append(w.scripts[script], t)
		list = append(list, t)
	}
	w.touches[e.TxID] = list
	w.taken++
}
