package chaintest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// Block is a block of a Tree.
type Block struct {
	*types.Block
	Name   string // in the test's story
	Parent *Block
	Height uint32
	Hash   types.Hash
	Raw    []byte // its encoding
	TxIDs  []types.Hash
	Fault  error // what the block itself breaks; nil: nothing
	Coins  Coins // after it; nil where Valid is false
}

// Valid reports whether neither the block nor one below it breaks a rule.
func (b *Block) Valid() bool { return b == nil || b.Fault == nil && b.Parent.Valid() }

// Index is the block's place and name in a chain.
func (b *Block) Index() types.Index { return types.Index{Height: b.Height, Hash: b.Hash} }

// Spendable lists the coins that a child of the block can spend, in a fixed order:
// those of a script, or of any if it is nil.
func (b *Block) Spendable(maturity uint32, script []byte) (list []types.OutPoint) {
	for outPoint, coin := range b.Coins {
		mature := !coin.IsCoinbase || coin.Height+maturity <= b.Height+1
		if mature && (script == nil || bytes.Equal(coin.ScriptPubKey(), script)) {
			list = append(list, outPoint)
		}
	}
	slices.SortFunc(list, CompareOutPoints)
	return list
}

// CompareOutPoints orders outpoints by their bytes, then their indexes.
func CompareOutPoints(a, b types.OutPoint) int {
	if d := bytes.Compare(a.TxID[:], b.TxID[:]); d != 0 {
		return d
	}
	return int(a.Index) - int(b.Index)
}

// Tree makes blocks on any of its blocks, with the subsidy of Bitcoin's regtest
// network.
type Tree struct {
	Outputs
	Genesis *Block
	// Reward is what the coinbase at a height pays that may take so much. NewTree
	// sets one output that takes all, which anyone can spend.
	Reward func(height uint32, value types.Amount) []types.TxOut
}

// NewTree begins a tree.
func NewTree(genesis *types.Block) *Tree {
	t := &Tree{Outputs: Outputs{}}
	t.Reward = func(_ uint32, value types.Amount) []types.TxOut {
		return []types.TxOut{{Value: value, ScriptPubKey: t.Anyone()}}
	}
	t.Genesis = t.note(&Block{Block: genesis, Name: "genesis"})
	t.Genesis.Coins = Coins{}.After(genesis, 0)
	return t
}

// Anyone is a script that anyone can spend and that is nobody else's in the tree.
func (t *Tree) Anyone() []byte { return Anyone(len(t.Outputs)) }

// Block makes a valid block of transactions on a parent.
func (t *Tree) Block(name string, parent *Block, txs ...*types.Tx) *Block {
	return t.Spoiled(name, parent, nil, nil, txs...)
}

// Blocks makes n blocks without payments, each on the one before.
func (t *Tree) Blocks(prefix string, parent *Block, n int) []*Block {
	blocks := make([]*Block, n)
	for i := range blocks {
		parent = t.Block(fmt.Sprint(prefix, i+1), parent)
		blocks[i] = parent
	}
	return blocks
}

// Spoiled makes a block that is valid but for one fault. If no transaction brings it
// in, spoil does, before the proof of work is found.
func (t *Tree) Spoiled(name string, parent *Block, fault error, spoil func(*types.Block), txs ...*types.Tx) *Block {
	height := parent.Height + 1
	value := types.Amount(50*100_000_000) >> (height / 150) // the subsidy
	for _, tx := range txs {
		value += t.fee(tx)
	}
	tag := append(binary.LittleEndian.AppendUint32(nil, uint32(len(t.Outputs))), name...)
	block := NewBlock(&parent.Header, Coinbase(height, tag, t.Reward(height, value)...), txs...)
	if spoil != nil {
		spoil(block)
	}
	return t.note(&Block{Block: Mine(block), Name: name, Parent: parent, Height: height, Fault: fault})
}

// note completes a block.
func (t *Tree) note(b *Block) *Block {
	b.Hash, b.Raw = b.Header.Hash(), b.AppendTo(nil)
	for i := range b.Txs {
		b.TxIDs = append(b.TxIDs, b.Txs[i].TxID())
		t.Note(&b.Txs[i])
	}
	if b.Parent != nil && b.Valid() {
		b.Coins = b.Parent.Coins.After(b.Block, b.Height)
	}
	return b
}

// fee is what a transaction leaves to the miner, as far as what it spends is known.
func (t *Tree) fee(tx *types.Tx) (fee types.Amount) {
	for i := range tx.Inputs {
		fee += t.Outputs[tx.Inputs[i].PreviousOutPoint].Value
	}
	for i := range tx.Outputs {
		fee -= tx.Outputs[i].Value
	}
	return fee
}

// Greedy lets the coinbase take a grain too much.
func Greedy(block *types.Block) {
	block.Txs[0].Outputs[0].Value++
	SetMerkleRoot(block)
}

// BadSignature spoils the signature of the last transaction's first input.
func BadSignature(block *types.Block) {
	in := &block.Txs[len(block.Txs)-1].Inputs[0]
	signature := slices.Clone(in.Witness[0])
	signature[40] ^= 1
	in.Witness = [][]byte{signature}
	Commit(block)
}
