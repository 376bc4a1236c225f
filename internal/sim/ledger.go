package sim

import (
	"bytes"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// block is a block or a header whose rules hold. Nodes share it, since what holds for
// one of them holds for all. Only raw and what follows from it may come later.
type block struct {
	parent *block // nil: genesis
	hash   types.Hash
	state  consensus.State // after it

	raw   []byte // nil: nobody has shown a body
	txids []types.Hash
}

func (b *block) height() uint32     { return b.state.Index.Height }
func (b *block) index() types.Index { return b.state.Index }

// above reports whether the block's chain has more work than another's.
func (b *block) above(other *block) bool { return b.state.Work.Cmp(other.state.Work) > 0 }

// ledger is what all nodes of a world have in common: blocks that were checked by
// one of them, coins that exist, transactions that were built once. It saves memory
// and time, and tells no node what it has not been told by a peer.
type ledger struct {
	params *consensus.Params

	mu sync.Mutex
	// Guarded by mu:
	blocks map[types.Hash]*block
	txs    map[types.Hash]*pending.Entry // by witness id
	ids    map[types.Hash]*pending.Entry // by id
	coins  map[types.OutPoint]struct{}   // that existed in the beginning
	unique uint64
}

func newLedger(params *consensus.Params) *ledger {
	genesis := params.GenesisBlock()
	l := &ledger{params: params, blocks: map[types.Hash]*block{}, txs: map[types.Hash]*pending.Entry{}, ids: map[types.Hash]*pending.Entry{}, coins: map[types.OutPoint]struct{}{}}
	l.blocks[genesis.Hash] = &block{hash: genesis.Hash, state: params.GenesisState(), raw: genesis.Raw, txids: genesis.TxIDs}
	return l
}

func (l *ledger) genesis() *block {
	hash := l.params.GenesisBlock().Hash
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blocks[hash]
}

// header returns the block of a header on a parent. Its errors are those of
// consensus.CheckHeader and ValidateHeader.
func (l *ledger) header(parent *block, h *types.Header, now time.Time) (*block, error) {
	hash := h.Hash()
	if err := consensus.CheckHeader(l.params, h, hash); err != nil {
		return nil, err
	}
	if err := consensus.ValidateHeader(l.params, &parent.state, h, now.Unix()); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.blocks[hash]
	if b == nil {
		b = &block{parent: parent, hash: hash, state: parent.state.Extend(h, hash)}
		l.blocks[hash] = b
	}
	return b, nil
}

// body checks a body on a header that is known. A body that was found good before is
// not checked again.
func (l *ledger) body(b *block, raw []byte) error {
	l.mu.Lock()
	good := b.raw != nil && bytes.Equal(b.raw, raw)
	l.mu.Unlock()
	if good {
		return nil
	}
	opened, err := consensus.OpenBlock(l.params, raw)
	if err != nil {
		return err
	}
	if err := consensus.ValidateBlock(l.params, &b.parent.state, opened); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b.raw, b.txids = raw, opened.TxIDs
	return nil
}

// bodyOf returns the body that was found good.
func (l *ledger) bodyOf(b *block) (raw []byte, txids []types.Hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return b.raw, b.txids
}

// entry returns the entry of a transaction.
func (l *ledger) entry(tx *types.Tx, wtxid types.Hash, now time.Time) *pending.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.txs[wtxid]
	if e == nil {
		raw := tx.AppendTo(nil)
		e = &pending.Entry{
			Tx: tx, Raw: raw, TxID: tx.TxID(), WTxID: wtxid, Weight: tx.Weight(), VSize: tx.VirtualSize(), Time: now.Truncate(time.Second),
			Fee: types.Amount(10 * tx.VirtualSize()),
		}
		l.txs[wtxid], l.ids[e.TxID] = e, e
	}
	return e
}

// byID returns the entry of a transaction that was built or relayed, or nil.
func (l *ledger) byID(txid types.Hash) *pending.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ids[txid]
}

// exists reports whether an outpoint is one of those that existed in the beginning.
func (l *ledger) exists(at types.OutPoint) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.coins[at]
	return ok
}
