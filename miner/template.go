package miner

import (
	"encoding/binary"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// coinbaseWeight is set aside in weight units for the header and the coinbase, but
// for the script that is paid to. They take some 1,100. The rest is a margin: a few
// transactions less cost nothing, a block that is too heavy costs all.
const coinbaseWeight = 4000

// Template is a block that lacks its proof of work.
type Template struct {
	Block  *types.Block
	Height uint32
	Fees   types.Amount
	Weight int // weight units of the block

	poolBehind bool // the pool was of another tip, so that the block is empty
}

// Template returns the best block that can be built on the tip now, paying to
// the script. Each call's coinbase differs from all others', so that no two callers
// search through the same headers.
func (m *Miner) Template(scriptPubKey []byte) *Template {
	state := m.o.Chain.TipState()
	t := &Template{Height: state.Index.Height + 1}
	txs := []types.Tx{{}}
	if m.o.Pool != nil {
		selected, at := m.o.Pool.Select(max(0, m.o.Params.MaxBlockWeight-coinbaseWeight-types.WitnessScale*len(scriptPubKey)))
		// The pool is about to follow the chain. Until then it may hold what the tip has
		// confirmed, and an empty block is better than none.
		t.poolBehind = at != state.Index
		if !t.poolBehind {
			for _, e := range selected {
				txs = append(txs, *e.Tx)
				t.Fees += e.Fee
			}
		}
	}
	// The height (BIP34), then a push of eight bytes, which extraNonceAt finds again.
	scriptSig := consensus.CoinbaseHeight(t.Height)
	scriptSig = binary.LittleEndian.AppendUint64(append(scriptSig, 8), m.extraNonce.Add(1))
	if m.o.Tag != "" {
		scriptSig = append(append(scriptSig, byte(len(m.o.Tag))), m.o.Tag...)
	}
	txs[0] = types.Tx{
		Version:  2,
		Inputs:   []types.TxIn{{PreviousOutPoint: types.OutPoint{Index: types.NullIndex}, ScriptSig: scriptSig, Sequence: types.SequenceFinal}},
		Outputs:  []types.TxOut{{Value: consensus.Subsidy(m.o.Params, t.Height) + t.Fees, ScriptPubKey: scriptPubKey}},
		LockTime: 0,
	}
	t.Block = &types.Block{
		Header: types.Header{
			Version: 0x20000000, PrevBlock: state.Index.Hash, Bits: consensus.NextBits(m.o.Params, &state),
			// The rules want a time above the median, whatever the clock says.
			Timestamp: uint32(max(m.o.Now().Unix(), int64(state.MedianTimePast())+1)),
		},
		Txs: txs,
	}
	consensus.Commit(t.Block)
	t.Weight = t.Block.Weight()
	return t
}

// extraNonceAt returns where the extra nonce begins in the coinbase's script.
func (t *Template) extraNonceAt() int { return len(consensus.CoinbaseHeight(t.Height)) + 1 }

// merkleBranch returns the hashes that lead from the coinbase to the root, lowest
// first. With them a new coinbase makes a new root in a few hashes, however many
// transactions there are.
func merkleBranch(txs []types.Tx) []types.Hash {
	level := make([]types.Hash, len(txs))
	for i := 1; i < len(txs); i++ {
		level[i] = txs[i].TxID()
	}
	var branch []types.Hash
	for len(level) > 1 {
		branch = append(branch, level[1]) // the sibling of what the coinbase's hash goes into
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

// merkleRoot climbs a branch from the coinbase's id.
func merkleRoot(coinbase types.Hash, branch []types.Hash) types.Hash {
	root := coinbase
	for _, sibling := range branch {
		root = pairHash(root, sibling)
	}
	return root
}
