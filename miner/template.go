package miner

import (
	"encoding/binary"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// coinbaseWeight is set aside for the header and the coinbase, but for the script
// that is paid to.
const coinbaseWeight = 4000

// Template is a block that lacks its proof of work.
type Template struct {
	Block  *types.Block
	Height uint32
	Fees   types.Amount
	Weight int // weight units of the block

	behind bool // the pool was of another tip, so that the block is empty
}

// Template returns the best block that can be built on the tip now, paying to
// the script. Each call's coinbase differs from all others'.
func (m *Miner) Template(scriptPubKey []byte) *Template {
	state := m.o.Chain.TipState()
	t := &Template{Height: state.Index.Height + 1}
	txs := []types.Tx{{}}
	if m.o.Pool != nil {
		candidates, at := m.o.Pool.Select(max(0, m.o.Params.MaxBlockWeight-coinbaseWeight-types.WitnessScale*len(scriptPubKey)))
		t.behind = at != state.Index // it is about to follow the chain
		if !t.behind {
			for _, c := range candidates {
				txs = append(txs, *c.Tx)
				t.Fees += c.Fee
			}
		}
	}
	scriptSig := consensus.CoinbaseHeight(t.Height)
	scriptSig = binary.LittleEndian.AppendUint64(append(scriptSig, 8), m.extra.Add(1))
	if m.o.Tag != "" {
		scriptSig = append(append(scriptSig, byte(len(m.o.Tag))), m.o.Tag...)
	}
	txs[0] = types.Tx{
		Version:  2,
		Inputs:   []types.TxIn{{PreviousOutPoint: types.OutPoint{Index: types.NullIndex}, ScriptSig: scriptSig, Sequence: 0xffffffff}},
		Outputs:  []types.TxOut{{Value: consensus.Subsidy(m.o.Params, t.Height) + t.Fees, ScriptPubKey: scriptPubKey}},
		LockTime: 0,
	}
	t.Block = &types.Block{
		Header: types.Header{
			Version: 0x20000000, PrevBlock: state.Index.Hash, Bits: consensus.NextBits(m.o.Params, &state),
			Timestamp: uint32(max(m.o.Now().Unix(), int64(state.MedianTimePast())+1)),
		},
		Txs: txs,
	}
	consensus.Commit(t.Block)
	t.Weight = t.Block.Weight()
	return t
}

// extraNonceAt returns the place of the extra nonce in the coinbase's script.
func (t *Template) extraNonceAt() int { return len(consensus.CoinbaseHeight(t.Height)) + 1 }

// merkleBranch returns the hashes that lead from the coinbase to the root.
func merkleBranch(txs []types.Tx) []types.Hash {
	level := make([]types.Hash, len(txs))
	for i := 1; i < len(txs); i++ {
		level[i] = txs[i].TxID()
	}
	var branch []types.Hash
	for len(level) > 1 {
		branch = append(branch, level[1])
		if len(level)%2 == 1 {
			level = append(level, level[len(level)-1])
		}
		next := level[:0]
		for i := 0; i < len(level); i += 2 {
			next = append(next, pairHash(level[i], level[i+1]))
		}
		level = next
	}
	return branch
}

func pairHash(a, b types.Hash) types.Hash { return types.DoubleSHA256(append(a[:], b[:]...)) }

func rootOf(coinbase types.Hash, branch []types.Hash) types.Hash {
	for _, sibling := range branch {
		coinbase = pairHash(coinbase, sibling)
	}
	return coinbase
}
