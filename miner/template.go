package miner

import (
	"context"
	"encoding/binary"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
)

const (
	// DefaultReservedWeight is set aside in weight units for the header and the coinbase,
	// as in Bitcoin Core. It is more than they need: a few transactions less cost nothing,
	// a block that is too heavy costs all.
	DefaultReservedWeight = 8000
	// coinbaseWeight is what header and coinbase take at most, but for the script that is
	// paid to.
	coinbaseWeight = 1240
)

// recent is a template and what it was made of, with which it is still the best one.
type recent struct {
	template *template.Template
	tip      types.Hash   // that it builds on
	pool     pending.Info // Position and Sequence
}

// Template returns the best block that can be built on the tip now. It is the same one
// for as long as neither the tip nor the pool has changed, so the time in its header may
// be of the past.
func (m *Miner) Template() *template.Template {
	_ = m.making.Take(context.Background()) // who has it makes the very template that this call is for
	defer m.making.Give()
	state, pool := m.o.Chain.TipState(), m.poolInfo()
	last := &m.recent
	if last.template == nil || last.tip != state.Index.Hash || last.pool.Position != pool.Position || last.pool.Sequence != pool.Sequence {
		m.recent = recent{m.newTemplate(&state, pool, m.o.ReservedWeight), state.Index.Hash, pool}
	}
	return m.recent.template
}

// templateFor returns a template whose coinbase has room to pay to the script. The room
// that is always reserved is enough for all but very long ones.
func (m *Miner) templateFor(scriptPubKey []byte) *template.Template {
	need := coinbaseWeight + types.WitnessScale*len(scriptPubKey)
	if need <= m.o.ReservedWeight {
		return m.Template()
	}
	state := m.o.Chain.TipState()
	return m.newTemplate(&state, m.poolInfo(), need)
}

func (m *Miner) poolInfo() (info pending.Info) {
	if m.o.Pool != nil {
		info = m.o.Pool.Info()
	}
	return info
}

// newTemplate makes a template with room for a header and a coinbase of a weight. The
// pool's state was read before: what comes while it chooses is news.
func (m *Miner) newTemplate(state *consensus.State, pool pending.Info, reserved int) *template.Template {
	var entries []*pending.Entry
	behind := false
	if m.o.Pool != nil {
		var at types.Index
		entries, at = m.o.Pool.Select(pending.Selection{MaxWeight: max(0, m.o.MaxWeight-reserved), MinFeeRate: m.o.MinFeeRate})
		// The pool is about to follow the chain. Until then it may hold what the tip has
		// confirmed, and an empty block is better than none.
		if behind = at != state.Index; behind {
			entries = nil
		}
	}
	t := template.New(m.o.Params, state, entries, reserved, m.o.Now())
	t.PoolChanges, t.PoolBehind = pool.Sequence, behind
	m.newest.Store(t)
	return t
}

// Last returns the template that was made last, nil if none was.
func (m *Miner) Last() *template.Template { return m.newest.Load() }

// Coinbase returns a coinbase of the template that pays to the script. It differs from
// all others, so that no two searches go through the same headers.
func (m *Miner) Coinbase(t *template.Template, scriptPubKey []byte) types.Tx {
	// A push of eight bytes, and one of the tag.
	data := binary.LittleEndian.AppendUint64([]byte{8}, m.extraNonce.Add(1))
	if m.o.Tag != "" {
		data = append(append(data, byte(len(m.o.Tag))), m.o.Tag...)
	}
	return t.Coinbase(scriptPubKey, data)
}

// block returns the template's block at this time, with a coinbase of its own.
func (m *Miner) block(t *template.Template, scriptPubKey []byte) *types.Block {
	coinbase := m.Coinbase(t, scriptPubKey)
	header := t.HeaderAt(m.o.Now())
	header.MerkleRoot = t.Root(coinbase.TxID())
	return t.Block(header, coinbase)
}
