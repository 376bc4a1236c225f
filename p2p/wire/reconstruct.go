package wire

import (
	"bytes"

	"github.com/karatcoin/karat/chain/types"
)

// Reconstruction puts the block of a compact block together: from what the
// compact block holds, what Offer brings (the pool's transactions), and what
// Fill brings (the peer's answer). It belongs to one goroutine at a time.
//
// A short id can be met by a transaction that was not meant. The merkle root tells, and
// only the chain looks at it. A block that was put together here and is refused as
// mutated has to be asked for whole, and nobody is to blame for it: chance or a third
// party may have put the wrong transaction into the pool.
type Reconstruction struct {
	header types.Header
	key    ShortIDKey
	txs    [][]byte           // by index in the block; nil: missing
	slots  map[ShortID]uint32 // index of each short id
	spoilt map[ShortID]bool   // short ids that two transactions met
	size   int                // bytes of txs
}

// NewReconstruction starts the reconstruction of a block. The error is
// ErrCollision.
func NewReconstruction(c *CompactBlock) (*Reconstruction, error) {
	r := &Reconstruction{
		header: c.Header, key: c.Key(), txs: make([][]byte, c.Txs()),
		slots: make(map[ShortID]uint32, len(c.ShortIDs)), spoilt: map[ShortID]bool{},
	}
	for _, p := range c.Prefilled {
		r.set(p.Index, p.Raw)
	}
	// Short ids take the places that the prefilled ones leave, in order. There are as
	// many: decoding has checked that every prefilled index lies in the block.
	index := 0
	for _, id := range c.ShortIDs {
		for r.txs[index] != nil {
			index++
		}
		if _, twice := r.slots[id]; twice {
			return nil, ErrCollision
		}
		r.slots[id] = uint32(index)
		index++
	}
	return r, nil
}

func (r *Reconstruction) set(index uint32, raw []byte) {
	r.size += len(raw) - len(r.txs[index])
	r.txs[index] = raw
}

// Wants reports whether a transaction with the witness id may be one of those
// that are missing, so that it should be offered.
func (r *Reconstruction) Wants(wtxid types.Hash) bool {
	_, ok := r.slots[r.key.ShortID(wtxid)]
	return ok
}

// Offer takes a transaction in Bitcoin's encoding, which must not change
// afterwards. Of two different ones that meet one short id it is not known which
// is meant, and neither is used.
func (r *Reconstruction) Offer(wtxid types.Hash, raw []byte) {
	id := r.key.ShortID(wtxid)
	index, ok := r.slots[id]
	if !ok || r.spoilt[id] {
		return
	}
	switch {
	case r.txs[index] == nil:
		r.set(index, raw)
	case !bytes.Equal(r.txs[index], raw):
		r.spoilt[id] = true // a third must not come in as if it were the first
		r.set(index, nil)
	}
}

// Missing returns the indexes of the transactions that are missing, ascending,
// as GetBlockTxs asks for them.
func (r *Reconstruction) Missing() []uint32 {
	var missing []uint32
	for i, raw := range r.txs {
		if raw == nil {
			missing = append(missing, uint32(i))
		}
	}
	return missing
}

// Fill takes the answer of the peer that sent the compact block to a request
// for all that Missing lists. An error wraps ErrProtocol: the answer does not fit
// the request, or its transactions do not fit the peer's own short ids. None of
// them is taken then.
func (r *Reconstruction) Fill(answer *BlockTxs) error {
	missing := r.Missing()
	if len(answer.Txs) != len(missing) {
		return broken("%d transactions of a block, want %d", len(answer.Txs), len(missing))
	}
	// The witness id is the hash of the whole encoding, so nothing needs decoding to see
	// that the peer sends what its own compact block names.
	for i, index := range missing {
		if at, ok := r.slots[r.key.ShortID(types.DoubleSHA256(answer.Txs[i]))]; !ok || at != index {
			return broken("transaction %d of a block is not the one of its short id", index)
		}
	}
	for i, index := range missing {
		r.set(index, answer.Txs[i])
	}
	return nil
}

// Block returns the encoding of the block and true, or false if transactions
// are missing.
func (r *Reconstruction) Block() ([]byte, bool) {
	raw := make([]byte, 0, types.HeaderSize+indexLen+r.size)
	raw = r.header.AppendTo(raw)
	raw = types.AppendCompactSize(raw, uint64(len(r.txs)))
	for _, tx := range r.txs {
		if tx == nil {
			return nil, false
		}
		raw = append(raw, tx...)
	}
	return raw, true
}
